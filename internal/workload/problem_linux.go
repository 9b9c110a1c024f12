package workload

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// subsystem stands before the text of every problem.
const subsystem = "workload"

// errHidden is what a 0 in cgroup.procs means.
var errHidden = errors.New("processes of another PID namespace are listed as 0")

// reportAgain is for how long a class of failures is not told again while it lasts.
const reportAgain = time.Minute

// A failure is what is known about one class of failed reads.
type failure struct {
	class sensor.Class
	count *uint64
	last  time.Time
	now   *sensor.Problem // to be told by this Read
}

// fail notes that a read failed. One of each class is told, when it begins: a failure of
// a thousand processes is one that somebody has to do something about.
func (r *Reader) fail(path string, err error) {
	class := sensor.IO
	switch {
	case errors.Is(err, errHidden):
		class = sensor.Masked
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		class = sensor.Permission
	case errors.Is(err, errEmpty), errors.Is(err, errForm):
		class = sensor.Malformed
	}
	for i := range r.failures {
		f := &r.failures[i]
		if f.class != class {
			continue
		}
		*f.count++
		if r.now.Sub(f.last) > reportAgain {
			f.now = &sensor.Problem{Sensor: subsystem, Class: class, Path: path, Err: err, Remedy: remedy(class, err)}
		}
		f.last = r.now
		return
	}
}

func (r *Reader) initFailures() {
	r.failures = [...]failure{
		{class: sensor.Permission, count: &r.stats.Permission},
		{class: sensor.IO, count: &r.stats.IO},
		{class: sensor.Malformed, count: &r.stats.Malformed},
		{class: sensor.Masked, count: &r.stats.Hidden},
	}
}

// problems returns what has begun to fail since the last Read.
func (r *Reader) problems() error {
	var errs []error
	if r.obstacle != nil {
		errs = append(errs, r.obstacle)
		r.obstacle = nil
	}
	for i := range r.failures {
		if f := &r.failures[i]; f.now != nil {
			errs = append(errs, f.now)
			f.now = nil
		}
	}
	return errors.Join(errs...)
}

func remedy(class sensor.Class, err error) string {
	switch {
	case class == sensor.Masked:
		return "share the host's PID namespace: hostPID: true in Kubernetes, --pid=host of docker"
	case class == sensor.Permission:
		return fmt.Sprintf("this process runs as uid %d: grant CAP_SYS_PTRACE where /proc is mounted with hidepid, CAP_DAC_READ_SEARCH "+
			"where a cgroup is closed, or run it as uid 0; what it cannot read is told as exited", unix.Geteuid())
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return "raise the limit of open files (LimitNOFILE)"
	}
	return ""
}
