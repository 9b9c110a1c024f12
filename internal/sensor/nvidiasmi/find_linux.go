package nvidiasmi

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// places are where drivers, containers and distributions put it.
func places() []string {
	return []string{
		"/usr/bin/nvidia-smi",
		"/usr/local/nvidia/bin/nvidia-smi", // mounted by the device plugin of GKE
		"/usr/local/bin/nvidia-smi",
		"/opt/bin/nvidia-smi",                   // Flatcar
		"/run/current-system/sw/bin/nvidia-smi", // NixOS
		"/usr/lib/wsl/lib/nvidia-smi",
	}
}

// libraries is where nvidia-smi finds its library when that is in none of the
// loader's folders.
const libraries = "/usr/local/nvidia/lib64:/usr/local/nvidia/lib"

// find returns the first place that holds something.
func find(places []string) (path string, p *sensor.Problem) {
	for _, path := range places {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", startProblem(path, err)
		}
		return path, executable(path, info)
	}
	p = &sensor.Problem{
		Sensor: sensorName, Class: sensor.Absent,
		Remedy: "install the driver's utilities, in a container let the NVIDIA runtime mount them (NVIDIA_DRIVER_CAPABILITIES=utility), or set its path",
		Err:    fmt.Errorf("there is no %s: %w", strings.Join(places, ", "), errors.ErrUnsupported),
	}
	if len(places) == 1 {
		p.Path = places[0]
	}
	return "", p
}

// executable refuses what is no program, and what somebody else could have put
// there: a collector often runs as root.
func executable(path string, info fs.FileInfo) *sensor.Problem {
	p := &sensor.Problem{Sensor: sensorName, Class: sensor.Permission, Path: path}
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		p.Class, p.Err = sensor.Malformed, errors.New("not a regular file")
	case mode.Perm()&0o111 == 0:
		p.Err, p.Remedy = errors.New("not executable"), "chmod a+x "+path
	case mode.Perm()&0o002 != 0:
		p.Err, p.Remedy = errors.New("everyone may write to it, so it is not run"), "chmod o-w "+path
	default:
		return nil
	}
	return p
}

// startProblem says why a process could not be started.
func startProblem(path string, err error) *sensor.Problem {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err // the path stands in Path
	}
	p := &sensor.Problem{Sensor: sensorName, Class: sensor.IO, Path: path, Err: err}
	switch {
	case errors.Is(err, fs.ErrPermission):
		p.Class, p.Remedy = sensor.Permission, "let this user execute it; look for noexec mounts, AppArmor and SELinux too"
	case errors.Is(err, fs.ErrNotExist):
		p.Class, p.Remedy = sensor.Gone, "it is looked for again"
	}
	return p
}
