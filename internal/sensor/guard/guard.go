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

var errSlow = errors.New("the read does not end")

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
	closed bool
	timer  *time.Timer

	readings []sensor.Reading // of the read that ended last; the worker's while busy
	err      error
}

// New guards a sensor, whose name stands in the problem that Read reports. It owns
// the sensor from then on. Wrap and Describe of the inner sensor are reached
// through Unwrap.
func New(name string, inner sensor.Sensor, timeout time.Duration) *Sensor {
	ctx, stop := context.WithCancel(context.Background())
	s := &Sensor{
		inner: inner, timeout: timeout, stop: stop,
		slow:    &sensor.Problem{Sensor: name, Class: sensor.IO, Err: fmt.Errorf("%w within %v", errSlow, timeout)},
		request: make(chan context.Context), done: make(chan struct{}, 1),
		timer: time.NewTimer(time.Hour),
	}
	s.worker.Go(func() { s.run(ctx) })
	return s
}

// Unwrap returns the sensor that is guarded.
func (s *Sensor) Unwrap() sensor.Sensor { return s.inner }

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
		return append(dst, s.readings...), s.err
	case <-s.timer.C:
		return dst, s.slow
	case <-ctx.Done():
		return dst, ctx.Err()
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
