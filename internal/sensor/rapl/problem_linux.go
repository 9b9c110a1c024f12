package rapl

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// newProblem says what a failed access to path means.
func newProblem(path string, cause error) *sensor.Problem {
	if pe := (*fs.PathError)(nil); errors.As(cause, &pe) {
		cause = pe.Err // the path stands in Path
	}
	p := &sensor.Problem{Sensor: names.SensorRAPL, Class: classify(cause), Path: path, Err: cause}
	switch {
	case p.Class == sensor.Permission:
		p.Remedy = permissionRemedy(path)
	case p.Class == sensor.Gone:
		p.Remedy = "it is read again when it returns, for example with its CPUs"
	case errors.Is(cause, unix.EMFILE):
		p.Remedy = "raise the limit of open files (LimitNOFILE)"
	}
	return p
}

func classify(err error) sensor.Class {
	var errno unix.Errno
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return sensor.Permission
	case isGone(err):
		return sensor.Gone
	case errors.As(err, &errno) && errno != unix.ELOOP && errno != unix.EISDIR:
		return sensor.IO
	}
	return sensor.Malformed
}

// sameProblem says whether p already tells that err happened to path, so that a
// failure that lasts is one value and costs no memory.
func sameProblem(p *sensor.Problem, path string, err error) bool {
	if p == nil || p.Path != path {
		return false
	}
	var was, is unix.Errno
	if errors.As(p.Err, &was); errors.As(err, &is) || was != 0 {
		return was == is
	}
	return p.Class == sensor.Malformed // whatever the content is now
}

func permissionRemedy(path string) string {
	var b strings.Builder
	var st unix.Stat_t
	if unix.Stat(path, &st) == nil {
		fmt.Fprintf(&b, "the mode is %04o, the owner uid %d, this process runs as uid %d; ", st.Mode&0o7777, st.Uid, unix.Geteuid())
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			b.WriteString("the folder must be readable and searchable; ")
		}
	}
	if unix.Geteuid() == 0 {
		b.WriteString("uid 0 is refused in a user namespace (rootless container), without CAP_DAC_READ_SEARCH, or by AppArmor or SELinux: " +
			"run it in the host's user namespace with that capability, and in a container mount the host's /sys read-only elsewhere and set root_path")
		return b.String()
	}
	b.WriteString("either grant CAP_DAC_READ_SEARCH (systemd: AmbientCapabilities=CAP_DAC_READ_SEARCH; container: run as uid 0), " +
		"or let a group read it by the udev rule " +
		`SUBSYSTEM=="powercap", KERNEL=="intel-rapl*:*", ACTION=="add", RUN+="/bin/chgrp GROUP /sys%p/energy_uj", RUN+="/bin/chmod g+r /sys%p/energy_uj"` +
		" and udevadm trigger --subsystem-match=powercap --action=add")
	if strings.HasSuffix(path, "/energy_uj") {
		fmt.Fprintf(&b, ", or until the next boot, for every user: chmod a+r %s", path)
	}
	return b.String()
}

// absent says why a scan found no counter and no problem with one.
func absent(sys string, s *scan, m machine) *sensor.Problem {
	p := &sensor.Problem{Sensor: names.SensorRAPL, Class: sensor.Absent, Path: s.class}
	var why string
	switch {
	case !exists(sys):
		p.Path = sys
		why, p.Remedy = "there is no such folder", "root_path has to be the folder in which sys and proc of the host lie"
	case s.dangling != "":
		p.Class, p.Path = sensor.Masked, s.dangling
		why, p.Remedy = "the link leads nowhere: the container runtime hides the powercap folder", maskedRemedy
	case s.emptyDevices:
		p.Class, p.Path = sensor.Masked, s.devices
		why, p.Remedy = "the folder is empty: the container runtime hides what is in it", maskedRemedy
	case s.powerOnly != "":
		p.Path = s.powerOnly
		why = "the zones of this machine have no energy_uj"
	case m.virtual:
		p.Class = sensor.VirtualMac
		why = "a virtual machine without access to the energy counters of its host"
		p.Remedy = "measure on the host; in the guest only the model sensor is left"
	case m.known && m.vendor == "":
		why = "this CPU has no RAPL, which is of Intel, AMD and Hygon"
	case s.control != "":
		p.Path = s.control
		why, p.Remedy = "the driver is loaded and has found no counter", "see dmesg | grep -i rapl for the reason"
	case len(s.foreign) > 0:
		why = "only other control types: " + strings.Join(s.foreign, ", ")
		p.Remedy = loadDriver
	case s.hasClass:
		why, p.Remedy = "the powercap class is empty: no RAPL driver is loaded", loadDriver
	default:
		why = "the kernel has no powercap class"
		p.Remedy = "it needs CONFIG_POWERCAP and CONFIG_INTEL_RAPL; " + loadDriver
	}
	p.Err = fmt.Errorf("%s: %w", why, errors.ErrUnsupported)
	return p
}

const (
	loadDriver   = "modprobe intel_rapl_msr, or intel_rapl_tpmi on newer Xeon servers"
	maskedRemedy = "mount the host's /sys read-only elsewhere, such as /host/sys, and set root_path to /host"
)

func exists(path string) bool {
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil
}
