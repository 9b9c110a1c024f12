package nvidiasmi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// Bounds of what one process may write.
const (
	maxBytes = 256 << 10 // in one interval
	maxBad   = 64        // lines in a row that are no rows
)

// A runner keeps one nvidia-smi running. All of it happens in one goroutine.
type runner struct {
	places   []string
	interval time.Duration
	limits   limits
	store    *store
	verdict  chan struct{} // closed when there are rows, or the first process ended
	judged   bool

	old   bool // this nvidia-smi has no power.draw.instant
	path  string
	lines lines
	chunk [4096]byte

	// Of the process that runs now:
	reason *sensor.Problem // what it said last, before a row or in place of one
	rows   int
	bad    int       // lines since the last row
	since  time.Time // begin of an interval …
	wrote  int       // … and bytes in it
}

// run starts processes until ctx is canceled.
func (r *runner) run(ctx context.Context) {
	// A process asks the kernel to be killed with the thread that started it: this
	// goroutine's, which therefore must not end before.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	wait := backoff{first: r.limits.first, longest: r.limits.longest}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		again := r.one(ctx)
		if ctx.Err() != nil {
			return
		}
		if again {
			timer.Reset(0)
			continue
		}
		r.judge()
		timer.Reset(wait.next(time.Since(began)))
	}
}

// judge ends the waiting of Open.
func (r *runner) judge() {
	if !r.judged {
		r.judged = true
		close(r.verdict)
	}
}

// one runs a process until it ends or has to. It returns true if another one with
// other arguments is worth an attempt at once.
func (r *runner) one(ctx context.Context) (again bool) {
	r.reason, r.rows, r.bad, r.wrote, r.lines.n, r.lines.skip = nil, 0, 0, 0, 0, false
	var p *sensor.Problem
	if r.path, p = find(r.places); p != nil {
		r.store.fail(p)
		return false
	}
	out, in, err := os.Pipe()
	if err != nil {
		r.store.fail(startProblem(r.path, err))
		return false
	}
	cmd := r.command(in)
	err = cmd.Start()
	_ = in.Close()
	if err != nil {
		_ = out.Close()
		r.store.fail(startProblem(r.path, err))
		return false
	}
	stop := context.AfterFunc(ctx, func() { _ = out.SetReadDeadline(time.Unix(1, 0)) })
	p = r.follow(ctx, out)
	stop()
	if p != nil { // before the wait, which lasts as long as the driver hangs
		r.store.fail(p)
	}
	_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL) // its children too; not reaped yet, so the number is still its own
	_ = out.Close()
	err = cmd.Wait()
	if p != nil || ctx.Err() != nil {
		return false
	}
	if !r.old && r.reason != nil && errors.Is(r.reason.Err, errNoField) {
		r.old = true
		return true
	}
	r.store.fail(r.ended(err))
	return false
}

// command returns the process. Each argument is fixed but the number of
// milliseconds.
func (r *runner) command(out *os.File) *exec.Cmd {
	fields := "index,uuid,power.draw,power.draw.instant,name"
	switch {
	case r.old:
		fields = "index,uuid,power.draw,name"
	case r.interval < time.Second: // than which the mean in power.draw is longer
		fields = "index,uuid,power.draw.instant,power.draw,name"
	}
	return &exec.Cmd{
		Path: r.path,
		Args: []string{
			r.path, "--query-gpu=" + fields, "--format=csv,noheader,nounits",
			"--loop-ms=" + strconv.FormatInt(r.interval.Milliseconds(), 10),
		},
		Env:         []string{"LC_ALL=C", "PATH=/usr/bin:/bin", "LD_LIBRARY_PATH=" + libraries},
		Dir:         "/",
		Stdout:      out,
		Stderr:      out,
		SysProcAttr: &unix.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL},
	}
}

// powers is how many fields of power a line has.
func (r *runner) powers() int {
	if r.old {
		return 1
	}
	return 2
}

// follow reads lines until there are no more. It returns why the process has to be
// killed, or nil if it closed its output or ctx was canceled.
func (r *runner) follow(ctx context.Context, out *os.File) *sensor.Problem {
	patience := r.limits.startup
	r.since = time.Now()
	for {
		if err := out.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return startProblem(r.path, err)
		}
		if ctx.Err() != nil { // its deadline may have come before this one
			return nil //nolint:nilerr // to be canceled is no problem
		}
		n, err := out.Read(r.chunk[:])
		now := time.Now()
		if n > 0 {
			patience = r.limits.silence
			if p := r.take(r.chunk[:n], now); p != nil {
				return p
			}
		}
		if err != nil {
			return r.silence(ctx, err, patience)
		}
	}
}

// silence says what it means that nothing more could be read: why the process has
// to be killed, or nil if it closed its output or ctx was canceled.
func (r *runner) silence(ctx context.Context, err error, patience time.Duration) *sensor.Problem {
	if ctx.Err() != nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return nil //nolint:nilerr // to be canceled is no problem, and why it ended Wait says
	}
	return &sensor.Problem{
		Sensor: sensorName, Class: sensor.IO, Path: r.path, Remedy: "the driver hangs: see dmesg | grep -i nvrm",
		Err: fmt.Errorf("no line for %v: it was killed", patience),
	}
}

// take takes a piece of output. It returns why the process has to be killed.
func (r *runner) take(piece []byte, now time.Time) (kill *sensor.Problem) {
	if now.Sub(r.since) >= r.interval {
		r.since, r.wrote = now, 0
	}
	r.wrote += len(piece)
	rows := r.rows
	r.lines.add(piece, func(line []byte) { r.line(line, now) })
	if r.rows > rows {
		r.judge()
	}
	switch {
	case r.wrote > maxBytes:
		kill = &sensor.Problem{Err: fmt.Errorf("it writes more than %d kB in %v", maxBytes>>10, r.interval)}
	case r.bad >= maxBad:
		kill = &sensor.Problem{Err: fmt.Errorf("%d lines in a row are no rows of the table; in the last, %w", r.bad, r.reason.Err)}
	default:
		return nil
	}
	kill.Sensor, kill.Class, kill.Path, kill.Remedy = sensorName, sensor.Malformed, r.path, "look at what it prints when run by hand"
	return kill
}

// line takes one line.
func (r *runner) line(line []byte, now time.Time) {
	if len(line) == 0 {
		return
	}
	if row, ok := parseRow(line, r.powers()); ok && r.store.put(row, now) {
		r.rows++
		r.bad = 0
		return
	}
	r.bad++
	p := explain(r.path, line)
	if r.bad == 1 || r.reason == nil || r.reason.Class == sensor.Malformed {
		r.reason = p // what follows a first word is only its rest
	}
	if r.old || !errors.Is(p.Err, errNoField) { // the older fields come next
		r.store.complain(p, now)
	}
}

// ended says why a process ended by itself, with what Wait returned.
func (r *runner) ended(err error) *sensor.Problem {
	if r.bad > 0 && r.reason != nil {
		return r.reason
	}
	p := &sensor.Problem{
		Sensor: sensorName, Class: sensor.IO, Path: r.path, Remedy: "it is started again; run it by hand to see why",
		Err: errors.New("it closed its output"),
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Exited() {
		p.Err = fmt.Errorf("it ended with status %d", exit.ExitCode())
	} else if err == nil {
		p.Err = errors.New("it ended")
	}
	return p
}
