package workload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

var errForm = errors.New("it does not have the form that the kernel gives it")

// A Reader reads the workloads of one machine. One goroutine uses it at a time.
type Reader struct {
	rootPath string
	at       layout
	config   Config
	closed   bool

	root    *node
	machine *account
	book    book
	files   budget
	split   splitter

	// This Read.
	now      time.Time
	elapsed  time.Duration // since the last one
	baseline bool          // it is the first
	beside   int64         // ns that ran in the root of version 1 and were not told

	ring      []*node // all cgroups, and those gone that it has not come by yet
	hand      int
	listing   uint32
	cgroups   int
	workloads int
	spread    int

	busy      busyMeter
	used      Busy
	total     uint64 // memory of the machine
	machineAt time.Time
	statFile  handle

	processes processes

	obstacle *sensor.Problem // that Open found; told by the first Read
	foreign  bool            // /proc is of another PID namespace
	stats    Stats
	failures [4]failure

	claims    []claim
	claimants []*node
	small     [512]byte
	large     []byte
	dirents   []byte
}

// Open prepares to read the machine whose /sys and /proc lie below root. Nothing is
// counted yet. It returns errors.ErrUnsupported if there is no machine below root.
func Open(root string, c Config) (*Reader, error) {
	r := &Reader{
		rootPath: root, config: c,
		machine: &account{socket: -1},
		files:   budget{limit: fileLimit()},
		large:   make([]byte, 16<<10),
		dirents: make([]byte, 32<<10),
	}
	r.initFailures()
	if !exists(r.below("proc/stat")) {
		return nil, &sensor.Problem{
			Sensor: subsystem, Class: sensor.Absent, Path: r.below("proc/stat"),
			Remedy: "root_path has to be the folder in which sys and proc of the host lie",
			Err:    fmt.Errorf("there is no such file: %w", errors.ErrUnsupported),
		}
	}
	r.at = r.findLayout()
	r.checkProc()
	r.root = &node{acc: r.machine, fresh: true, attention: true}
	r.processes.init(r)
	return r, nil
}

// checkProc looks whether the processes of this /proc are those that cgroups list for
// this process. If not, none is told: a PID of one namespace is another process in the
// other.
func (r *Reader) checkProc() {
	self, err := os.Readlink(r.below("proc/self"))
	if err != nil {
		return // not a kernel's
	}
	if pid, err := strconv.Atoi(self); err != nil || pid != os.Getpid() {
		told := "no GPU is divided among processes"
		if r.config.Processes {
			told = "no process is told singly, and " + told
		}
		r.config.Processes, r.foreign = false, true
		r.obstacle = &sensor.Problem{
			Sensor: subsystem, Class: sensor.Masked, Path: r.below("proc"), Remedy: remedy(sensor.Masked, nil),
			Err: fmt.Errorf("this process is %s there and %d here, in another PID namespace: %s", self, os.Getpid(), told),
		}
		return
	}
	if r.config.Processes && !exists(r.below("proc/1")) {
		r.obstacle = &sensor.Problem{
			Sensor: subsystem, Class: sensor.Permission, Path: r.below("proc"),
			Remedy: "grant CAP_SYS_PTRACE, or mount /proc without hidepid=2 (ProtectProc=default in a unit of systemd)",
			Err:    errors.New("processes of other users are hidden; what they use is told as exited"),
		}
	}
}

// findLayout looks for the cgroup file systems: as process 1 of the machine has them,
// then as this process has, then where they usually are.
func (r *Reader) findLayout() layout {
	sources := [...]func() []mount{
		func() []mount { return parseMountinfo(r.text("proc/1/mountinfo")) },
		func() []mount { return parseMounts(r.text("proc/mounts")) },
		customary,
	}
	for _, source := range sources {
		mounts := source()
		for i := range mounts {
			mounts[i].point = r.mountPoint(mounts[i].point)
		}
		l := arrange(mounts, exists, func(m mount) string {
			b, _ := os.ReadFile(m.point + "/cgroup.controllers")
			return string(b)
		})
		if l.tree != "" {
			return l
		}
	}
	return layout{}
}

// mountPoint is where this process finds a mount of the machine. What /proc/mounts names
// may already lie below the root, as seen from a container that has the host there.
func (r *Reader) mountPoint(point string) string {
	top := strings.TrimSuffix(r.rootPath, "/")
	if moved := top + point; exists(moved) || !strings.HasPrefix(point, top+"/") {
		return moved
	}
	return point
}

// text reads a file for parsing at leisure; "" if that is impossible, which the callers
// have an answer to.
func (r *Reader) text(name string) []byte {
	b, err := readFollow(r.below(name))
	if err != nil {
		return nil
	}
	return b
}

// readFollow reads a file that may be reached by a link, such as /proc/mounts.
func readFollow(path string) ([]byte, error) {
	const most = 8 << 20
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, errForm
	}
	return os.ReadFile(path)
}

// Read appends what was used since the last Read to dst and returns the extended slice.
// The first Read is the baseline: it tells what is held and no CPU time. What could not
// be read is told as Exited of what it lies in, and in an error that joins a
// *sensor.Problem for each class of failures that has begun since the last Read; the
// usages are right nevertheless. In steady state it allocates nothing when dst has room.
//
// Every Usage of a workload itself (Own) carries what it holds at present; those of
// Exited and Other hold nothing.
func (r *Reader) Read(ctx context.Context, dst []Usage) ([]Usage, error) {
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	if r.closed {
		return dst, fmt.Errorf("workload: the reader is closed: %w", os.ErrClosed)
	}
	now := time.Now()
	r.baseline = r.now.IsZero()
	if !r.baseline {
		r.elapsed = now.Sub(r.now)
	}
	r.now = now
	r.files.now++
	r.stats.CgroupsRead, r.stats.ProcessesRead = 0, 0

	r.readMachine()
	r.readBusy()
	r.processes.begin(r)
	r.nap()
	r.walk()
	r.processes.finish(r)
	return r.tell(dst), r.problems()
}

// tell appends what the accounts have to tell.
func (r *Reader) tell(dst []Usage) []Usage {
	dst = r.processes.tell(r, dst)
	for i, a := range r.book.touched {
		dst = a.usages(dst)
		r.book.touched[i] = nil
	}
	r.book.touched = r.book.touched[:0]
	return dst
}

// Busy returns how busy the machine was before the last Read. It is valid until the
// next. Sockets is empty if /proc/stat could not be read, and has no CPU time after the
// first Read.
func (r *Reader) Busy() Busy { return r.used }

// Stats returns figures about the Reader itself.
func (r *Reader) Stats() Stats {
	s := r.stats
	s.Cgroups, s.Files, s.Processes = r.cgroups, len(r.files.slots), len(r.processes.byPID)
	return s
}

// Close closes all files. It may be called twice.
func (r *Reader) Close() error {
	r.closed = true
	r.files.shutAll()
	return nil
}
