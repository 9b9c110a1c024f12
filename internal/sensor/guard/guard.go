// Package guard keeps a sensor whose reads may block, in a driver or a firmware,
// from holding back the others.
package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// closeWait is how long Close waits for a read that does not end.
const closeWait = time.Second

// ErrSlow is in what Read returns while a read takes longer than the timeout.
var ErrSlow = errors.New("the read does not end")

// Sensor reads another sensor in a goroutine of its own. Where a read takes longer
// than the timeout, Read goes on without it; what the read brings is returned by
// the Read after it has ended.
type Sensor struct {
	inner   sensor.Sensor
	timeout time.Duration
	slow    *sensor.Problem // told while a read is under way for longer than that

	request chan context.Context
	done    chan struct{} // one token for each read that has ended
	stop    context.CancelFunc
	worker  sync.WaitGroup

	busy   bool // a read is under way
	wrap   time.Duration
	closed bool
	timer  *time.Timer

	readings []sensor.Reading // of the read that ended last; the worker's while busy
	err      error

	attributor sensor.Attributor // inner, if it is one
	instances  []sensor.Instance // what it told after the read that was returned last
	processes  []sensor.ProcessUse
	loads      []sensor.Load
}

// New guards a sensor, whose name stands in the problem that Read reports. It owns
// the sensor from then on. What is returned is a *Sensor that also offers what the
// inner one offers: it is a sensor.Describer or a sensor.Attempter if that is one,
// and always a sensor.Wrapper, a sensor.Pauser, a sensor.Asker and a sensor.Attributor.
func New(name string, inner sensor.Sensor, timeout time.Duration) sensor.Sensor {
	s := newSensor(name, inner, timeout)
	d, describes := inner.(sensor.Describer)
	a, attempts := inner.(sensor.Attempter)
	switch {
	case describes && attempts:
		return struct {
			*Sensor
			describer
			attempter
		}{s, describer{s, d}, attempter{s, a}}
	case describes:
		return struct {
			*Sensor
			describer
		}{s, describer{s, d}}
	case attempts:
		return struct {
			*Sensor
			attempter
		}{s, attempter{s, a}}
	}
	return s
}

func newSensor(name string, inner sensor.Sensor, timeout time.Duration) *Sensor {
	ctx, stop := context.WithCancel(context.Background())
	s := &Sensor{
		inner: inner, timeout: timeout, stop: stop,
		slow:    &sensor.Problem{Sensor: name, Class: sensor.IO, Err: fmt.Errorf("%w within %v", ErrSlow, timeout)},
		request: make(chan context.Context), done: make(chan struct{}, 1),
		timer: time.NewTimer(time.Hour),
	}
	s.attributor, _ = inner.(sensor.Attributor)
	s.worker.Go(func() { s.run(ctx) })
	return s
}

func (s *Sensor) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case asked := <-s.request:
			s.readings, s.err = s.inner.Read(asked, s.readings[:0]) //nolint:contextcheck // the context of who asked
			s.done <- struct{}{}
		}
	}
}

// Read implements sensor.Sensor. It returns within the timeout.
func (s *Sensor) Read(ctx context.Context, dst []sensor.Reading) ([]sensor.Reading, error) {
	if s.closed {
		return dst, fmt.Errorf("%s: the sensor is closed: %w", s.slow.Sensor, os.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	if !s.busy {
		s.busy = true
		s.request <- context.WithoutCancel(ctx)
	}
	s.timer.Reset(s.timeout)
	select {
	case <-s.done:
		s.busy = false
		if a := s.attributor; a != nil {
			s.instances, s.processes, s.loads = a.Instances(s.instances[:0]), a.Processes(s.processes[:0]), a.Loads(s.loads[:0])
		}
		return append(dst, s.readings...), s.err
	case <-s.timer.C:
		return dst, s.slow
	case <-ctx.Done():
		return dst, ctx.Err()
	}
}

// free reports whether the inner sensor may be used: no read is under way.
func (s *Sensor) free() bool { return !s.busy && !s.closed }

// Wrap implements sensor.Wrapper. While a read is under way it is as before that.
func (s *Sensor) Wrap() time.Duration {
	if w, ok := s.inner.(sensor.Wrapper); ok && s.free() {
		s.wrap = w.Wrap()
	}
	return s.wrap
}

// Paused implements sensor.Pauser. While a read is under way nobody knows.
func (s *Sensor) Paused(yield func(p *sensor.Part) bool) {
	if p, ok := s.inner.(sensor.Pauser); ok && s.free() {
		p.Paused(yield)
	}
}

// Ask implements sensor.Asker. Beside a read that is under way it does nothing.
func (s *Sensor) Ask(ctx context.Context) {
	if a, ok := s.inner.(sensor.Asker); ok && s.free() {
		a.Ask(ctx)
	}
}

// Instances implements sensor.Attributor.
func (s *Sensor) Instances(dst []sensor.Instance) []sensor.Instance {
	return append(dst, s.instances...)
}

// Processes implements sensor.Attributor.
func (s *Sensor) Processes(dst []sensor.ProcessUse) []sensor.ProcessUse {
	return append(dst, s.processes...)
}

// Loads implements sensor.Attributor.
func (s *Sensor) Loads(dst []sensor.Load) []sensor.Load { return append(dst, s.loads...) }

// describer implements sensor.Describer.
type describer struct {
	guard *Sensor
	inner sensor.Describer
}

// Describe is empty while a read is under way.
func (d describer) Describe() string {
	if !d.guard.free() {
		return ""
	}
	return d.inner.Describe()
}

// attempter implements sensor.Attempter.
type attempter struct {
	guard *Sensor
	inner sensor.Attempter
}

// Failures tells nothing while a read is under way; it does so afterwards.
func (a attempter) Failures(yield func(class sensor.Class, n uint64) bool) {
	if a.guard.free() {
		a.inner.Failures(yield)
	}
}

// Close closes the guarded sensor. If a read does not end within a second, it is
// left behind, and the sensor is closed when the read ends.
func (s *Sensor) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	s.stop()
	ended := make(chan error, 1)
	go func() {
		s.worker.Wait()
		ended <- s.inner.Close()
	}()
	select {
	case err := <-ended:
		return err
	case <-time.After(closeWait):
		return s.slow
	}
}
