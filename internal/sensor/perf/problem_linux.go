package perf

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// errOffline is why a part has no event: none of its CPUs is in cpumask.
var errOffline = errors.New("its CPUs are offline")

const returns = "it is read again when it returns, for example with its CPUs"

// newProblem says what a failed access to a file means.
func newProblem(path string, cause error) *sensor.Problem {
	if pe := (*fs.PathError)(nil); errors.As(cause, &pe) {
		cause = pe.Err // the path stands in Path
	}
	p := &sensor.Problem{Sensor: names.SensorPerf, Class: sensor.Malformed, Path: path, Err: cause}
	var errno unix.Errno
	switch {
	case errors.Is(cause, fs.ErrPermission):
		p.Class, p.Remedy = sensor.Permission, "every user may read /sys/bus/event_source by default: see which mount, AppArmor or SELinux rule takes that away"
	case errors.Is(cause, fs.ErrNotExist), errors.Is(cause, unix.ENODEV):
		p.Class, p.Remedy = sensor.Gone, returns
	case errors.As(cause, &errno) && errno != unix.ELOOP && errno != unix.EISDIR:
		p.Class = sensor.IO
	}
	return p
}

// fail keeps in a counter why it has no reading. A failure that lasts is one
// value and costs no memory.
func (r *reader) fail(c *counter, err error) {
	class := r.classify(c, err)
	if class == sensor.Permission {
		r.deny(c, err)
		return
	}
	if sameProblem(c.problem, err) && c.problem.Class == class {
		return
	}
	p := &sensor.Problem{Sensor: names.SensorPerf, Class: class, Path: r.dir + "/events/" + string(c.key.domain), Err: fmt.Errorf("%s: %w", c.part.ID, err)}
	switch class {
	case sensor.Masked:
		p.Remedy = "a seccomp filter or a sandbox answers in place of the kernel: allow perf_event_open"
	case sensor.Gone:
		p.Remedy = returns
		r.wanted = r.wanted || c.found
	case sensor.IO:
		if errors.Is(err, unix.EMFILE) {
			p.Remedy = "raise the limit of open files (LimitNOFILE)"
		}
	}
	c.problem = p
}

// deny keeps in a counter that its event is refused. That is one problem for all
// counters, made anew by a scan if its text has changed.
func (r *reader) deny(c *counter, err error) {
	if !sameProblem(r.denied, err) {
		r.denied = &sensor.Problem{
			Sensor: names.SensorPerf, Class: sensor.Permission, Path: r.dir,
			Remedy: r.permissionRemedy(err), Err: fmt.Errorf("perf_event_open: %w", err),
		}
		if sameProblem(c.problem, err) && c.problem.Remedy == r.denied.Remedy {
			r.denied = c.problem
		}
	}
	c.problem = r.denied
}

// lost says that a part has missed energy, although it is read again.
func (r *reader) lost(c *counter, err error) *sensor.Problem {
	return &sensor.Problem{
		Sensor: names.SensorPerf, Class: sensor.Gone, Path: r.dir + "/events/" + string(c.key.domain),
		Remedy: "none is needed: it is opened anew; what was used meanwhile is not counted",
		Err:    fmt.Errorf("%s: %w", c.part.ID, err),
	}
}

// classify says what it means that an event cannot be opened or read.
func (r *reader) classify(c *counter, err error) sensor.Class {
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return sensor.Permission
	case errors.Is(err, unix.ENOSYS): // but the kernel shows a PMU
		return sensor.Masked
	case errors.Is(err, errOffline), hasEnded(err):
		if c.shown || !errors.Is(err, unix.ENODEV) {
			return sensor.Gone
		}
		return r.lacking()
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENXIO):
		return r.lacking()
	}
	return sensor.IO
}

func (r *reader) lacking() sensor.Class {
	if r.machine.virtual {
		return sensor.VirtualMac
	}
	return sensor.Absent
}

// sameProblem says whether p already tells of err. All errors of a kernel are
// values that can be compared.
func sameProblem(p *sensor.Problem, err error) bool { return p != nil && errors.Is(p.Err, err) }

// permissionRemedy says which of the three hurdles it is, as far as one can see:
// the sysctl and the capability, which the kernel asks for, and seccomp.
func (r *reader) permissionRemedy(err error) string {
	var b strings.Builder
	const sysctl = "proc/sys/kernel/perf_event_paranoid"
	if v, readErr := readFile(filepath.Join(r.root, sysctl), smallFile); readErr == nil {
		fmt.Fprintf(&b, "/%s is %.20s and this process runs as uid %d", sysctl, trim(v), unix.Geteuid())
	} else {
		fmt.Fprintf(&b, "/%s cannot be read and this process runs as uid %d", sysctl, unix.Geteuid())
	}
	status, _ := readHead(filepath.Join(r.root, "proc/self/status"), cpuinfoSize)
	p := parseStatus(status)
	switch {
	case p.perfmon:
		b.WriteString(" with CAP_PERFMON or CAP_SYS_ADMIN, which count only in the host's user namespace (not in a rootless container)")
		if p.seccomp {
			b.WriteString(", and under a seccomp filter, which has to allow perf_event_open")
		}
		b.WriteString("; SELinux can refuse too (class perf_event)")
		return b.String()
	case errors.Is(err, unix.EPERM) && p.seccomp:
		b.WriteString("; the seccomp filter of this process refuses perf_event_open, which those of Docker and containerd allow with the capability")
	}
	b.WriteString("; either grant CAP_PERFMON (systemd: AmbientCapabilities=CAP_PERFMON; container: --cap-add=PERFMON and a seccomp profile that allows perf_event_open; " +
		"a single program: setcap cap_perfmon=ep; before Linux 5.8: CAP_SYS_ADMIN), " +
		"or let every user count: sysctl kernel.perf_event_paranoid=0, it has to be 0 or less")
	return b.String()
}

// absent says why there is nothing to open. Refused is what opening the events
// gave, if there are any.
func (r *reader) absent(s *scan, refused error) *sensor.Problem {
	p := &sensor.Problem{Sensor: names.SensorPerf, Class: sensor.Absent, Path: s.devices + "/power"}
	var why string
	switch {
	case !exists(s.sys):
		p.Path = s.sys
		why, p.Remedy = "there is no such folder", "root_path has to be the folder in which sys and proc of the host lie"
	case s.dangling != "" && s.dir == "":
		p.Class, p.Path = sensor.Masked, s.dangling
		why, p.Remedy = "the link leads nowhere: the container runtime hides the PMU", "mount the host's /sys read-only elsewhere, such as /host/sys, and set root_path to /host"
	case r.machine.virtual:
		p.Class = sensor.VirtualMac
		why = "a virtual machine without access to the energy counters of its host"
		p.Remedy = "measure on the host; in the guest only the model sensor is left"
	case refused != nil:
		p.Err = fmt.Errorf("the kernel does not know the events of this PMU: %w", errors.Join(refused, errors.ErrUnsupported))
		return p
	case s.dir != "":
		p.Path = s.dir
		why = "the PMU has no energy events on this machine"
	case r.machine.known && r.machine.vendor == "":
		why = "this CPU has no power PMU, which is of Intel, AMD and Hygon"
	case !exists(s.devices):
		p.Path = s.devices
		why, p.Remedy = "the kernel has no perf events", "it needs CONFIG_PERF_EVENTS"
	default:
		why, p.Remedy = "the kernel has no power PMU", "modprobe rapl, or intel_rapl_perf before Linux 5.8; it needs CONFIG_PERF_EVENTS_INTEL_RAPL, also on AMD"
	}
	p.Err = fmt.Errorf("%s: %w", why, errors.ErrUnsupported)
	return p
}
