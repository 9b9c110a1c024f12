package nvml

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// openTimeout is how long Open waits for the driver, which takes a second or two
// for each GPU that no other program keeps awake.
const openTimeout = 5 * time.Second

// reader implements sensor.Sensor and sensor.Attributor. It owns the goroutine that
// calls NVML, and touches the state of that goroutine only between an answer and
// the next request.
type reader struct {
	timeout time.Duration

	core     *core // of the worker while one request is unanswered
	requests chan request
	answers  chan struct{}
	done     chan struct{} // the worker has ended

	asked     time.Time
	waiting   bool            // for the answer to an earlier request
	delivered bool            // what the last answer brought was handed over
	hang      *sensor.Problem // while a call does not return
	timer     *time.Timer
	closed    bool

	instances []Instance
	processes []ProcessUse
	loads     []Load
}

// request tells the worker whether what it gathered last has arrived.
type request struct{ delivered bool }

// start starts the worker and has it look for GPUs.
func start(lib library, c Config) (*reader, *sensor.Problem) {
	r := &reader{
		timeout:  c.Timeout,
		core:     newCore(lib, c),
		requests: make(chan request, 1),
		answers:  make(chan struct{}, 1),
		done:     make(chan struct{}),
		timer:    time.NewTimer(time.Hour),
	}
	go r.work()
	r.ask()
	if r.wait(context.Background(), max(openTimeout, c.Timeout)) != nil {
		return r, nil //nolint:nilerr // Read says what hangs
	}
	if p := r.core.absent; p != nil {
		_ = r.Close()
		return nil, p
	}
	return r, nil
}

// work serves requests until there are no more. NVML keeps errors of dlopen and
// the like by thread.
func (r *reader) work() {
	defer close(r.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for q := range r.requests {
		r.core.collect(q.delivered)
		r.answers <- struct{}{}
	}
	r.core.shutdown()
}

func (r *reader) ask() {
	r.asked, r.waiting = time.Now(), true
	r.requests <- request{r.delivered}
	r.delivered = false
}

var errTimeout = errors.New("no answer in time")

// wait waits for the answer until timeout after the question.
func (r *reader) wait(ctx context.Context, timeout time.Duration) error {
	select {
	case <-r.answers:
		r.waiting, r.hang = false, nil
		return nil
	default:
	}
	left := timeout - time.Since(r.asked)
	if left <= 0 {
		return errTimeout
	}
	r.timer.Reset(left)
	defer r.timer.Stop()
	select {
	case <-r.answers:
		r.waiting, r.hang = false, nil
		return nil
	case <-r.timer.C:
		return errTimeout
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errClosed = fmt.Errorf("%s: the sensor is closed: %w", names.SensorNVML, os.ErrClosed)

// Read implements sensor.Sensor.
func (r *reader) Read(ctx context.Context, dst []sensor.Reading) ([]sensor.Reading, error) {
	if r.closed {
		return dst, errClosed
	}
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	if r.waiting { // what comes now is old: it is gathered anew below
		if err := r.wait(ctx, r.timeout); err != nil {
			return dst, r.late(err)
		}
	}
	r.ask()
	if err := r.wait(ctx, r.timeout); err != nil {
		return dst, r.late(err)
	}
	r.delivered = true
	r.instances = r.core.instances
	r.processes = append(r.processes[:0], r.core.uses...)
	r.loads = append(r.loads[:0], r.core.loads...)
	return append(dst, r.core.readings...), r.core.err
}

// late says which call the worker is in.
func (r *reader) late(err error) error {
	if !errors.Is(err, errTimeout) {
		return err
	}
	if call := r.core.doing.String(); r.hang == nil || r.hang.Path != call {
		r.hang = &sensor.Problem{
			Sensor: names.SensorNVML, Class: sensor.IO, Path: call,
			Remedy: "the GPUs are read again when it returns; if it never does, see dmesg | grep -i xid, and restart this process after the driver is well",
			Err:    fmt.Errorf("the call hangs: no answer of the driver within %v", r.timeout),
		}
	}
	return r.hang
}

// Instances implements sensor.Attributor.
func (r *reader) Instances(dst []Instance) []Instance { return append(dst, r.instances...) }

// Processes implements sensor.Attributor.
func (r *reader) Processes(dst []ProcessUse) []ProcessUse { return append(dst, r.processes...) }

// Loads implements sensor.Attributor.
func (r *reader) Loads(dst []Load) []Load { return append(dst, r.loads...) }

// Close implements sensor.Sensor. If a call hangs, the worker ends after it.
func (r *reader) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	close(r.requests)
	if r.hang != nil {
		return nil
	}
	r.timer.Reset(r.timeout)
	defer r.timer.Stop()
	select {
	case <-r.done:
	case <-r.timer.C:
	}
	return nil
}
