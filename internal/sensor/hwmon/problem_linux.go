package hwmon

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sysfs"
)

func (s *scan) problem(path string, err error) {
	s.problems = append(s.problems, newProblem(path, err))
}

func (s *scan) malformed(path, format string, args ...any) {
	s.problems = append(s.problems, &sensor.Problem{Sensor: names.SensorHwmon, Class: sensor.Malformed, Path: path, Err: fmt.Errorf(format, args...)})
}

// complain makes problems of what a plan found out.
func (s *scan) complain(complaints []complaint) {
	for _, c := range complaints {
		p := &sensor.Problem{Sensor: names.SensorHwmon, Class: sensor.Malformed, Path: c.path, Remedy: c.remedy, Err: errors.New(c.reason)}
		if c.absent {
			p.Class, p.Path = sensor.Absent, s.sys+"/"+c.path
		}
		s.problems = append(s.problems, p)
	}
}

// newProblem says what a failed access to path means.
func newProblem(path string, cause error) *sensor.Problem {
	if pe := (*fs.PathError)(nil); errors.As(cause, &pe) {
		cause = pe.Err // the path stands in Path
	}
	p := &sensor.Problem{Sensor: names.SensorHwmon, Class: classify(cause), Path: path, Err: cause}
	switch {
	case p.Class == sensor.Permission:
		p.Remedy = permissionRemedy(path)
	case p.Class == sensor.Gone:
		p.Remedy = "it is read again when it returns, for example with its driver"
	case errors.Is(cause, unix.EMFILE):
		p.Remedy = "raise the limit of open files (LimitNOFILE)"
	case errors.Is(cause, errSentinel):
		p.Remedy = "the firmware has no value at the moment; if that lasts, update it or leave the chip out"
	}
	return p
}

func classify(err error) sensor.Class {
	var errno unix.Errno
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return sensor.Permission
	case sysfs.IsGone(err):
		return sensor.Gone
	case errors.As(err, &errno) && errno != unix.ELOOP && errno != unix.EISDIR:
		return sensor.IO
	}
	return sensor.Malformed
}

// sameProblem says whether p already tells that err happened to path, so that a
// failure that lasts is one value and costs no memory.
func sameProblem(p *sensor.Problem, path string, err error) bool {
	return p != nil && p.Path == path && errors.Is(p.Err, err)
}

func permissionRemedy(path string) string {
	var b strings.Builder
	var st unix.Stat_t
	if unix.Stat(path, &st) == nil {
		fmt.Fprintf(&b, "the mode is %04o, the owner uid %d, this process runs as uid %d; ", st.Mode&0o7777, st.Uid, unix.Geteuid())
	}
	if unix.Geteuid() == 0 {
		b.WriteString("uid 0 is refused in a user namespace (rootless container), without CAP_DAC_READ_SEARCH, or by AppArmor or SELinux")
		return b.String()
	}
	b.WriteString("either grant CAP_DAC_READ_SEARCH (systemd: AmbientCapabilities=CAP_DAC_READ_SEARCH; container: run as uid 0), " +
		"or let a udev rule for SUBSYSTEM==\"hwmon\" give the file to a group")
	return b.String()
}

// absent says why a scan found no channel and no problem with one.
func absent(s *scan) *sensor.Problem {
	p := &sensor.Problem{Sensor: names.SensorHwmon, Class: sensor.Absent, Path: s.class}
	var why string
	silent := make([]string, 0, len(s.chips))
	for i := range s.chips {
		silent = append(silent, s.chips[i].name)
	}
	slices.Sort(silent)
	silent = slices.Compact(silent)
	switch {
	case !sysfs.Exists(s.sys):
		p.Path = s.sys
		why, p.Remedy = "there is no such folder", "root_path has to be the folder in which sys and proc of the host lie"
	case len(silent) > 0:
		why = "of the chips here, these are known and have no channel of power or energy that is switched on: " + strings.Join(silent, ", ")
		if slices.Contains(silent, chipI915) || slices.Contains(silent, chipXe) {
			p.Remedy = "integrated GPUs have none: rapl has them as uncore"
		}
	case s.dangling != "":
		p.Class, p.Path = sensor.Masked, s.dangling
		why, p.Remedy = "the link leads nowhere: the container runtime hides the device", "mount the host's /sys read-only elsewhere, such as /host/sys, and set root_path to /host"
	case len(s.others) > 0:
		slices.Sort(s.others)
		why = "none of the chips here is known to measure the power of a part: " + strings.Join(s.others, ", ")
		p.Remedy = "if one does, add it to chips in the configuration, with its place"
	case s.hasClass:
		why = "the hwmon class is empty: no driver of a chip is loaded, or the machine is virtual"
	default:
		why, p.Remedy = "the kernel has no hwmon class", "it needs CONFIG_HWMON"
	}
	p.Err = fmt.Errorf("%s: %w", why, errors.ErrUnsupported)
	return p
}
