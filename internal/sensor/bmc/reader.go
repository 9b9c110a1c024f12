package bmc

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// source is one way to ask a controller. One goroutine uses it.
type source interface {
	// sample asks once. It returns when ctx ends, or soon after.
	sample(ctx context.Context) (sample, error)
	// close releases what sample built up; sample is not called afterwards.
	close(ctx context.Context)
	// where names the controller in problems.
	where() string
}

// sample is one answer.
type sample struct {
	at    time.Time
	power unit.Microwatts
	name  string // what was measured
	// stamp is the controller's own mark of when it measured, and what it measured
	// beside power; "" if it gives none. Equal stamps and powers are one measurement.
	stamp string
}

const (
	pollDeadline  = time.Minute // for one question with all its requests; the first has many
	closeDeadline = 3 * time.Second
	longestPause  = 5 * time.Minute
	// refusedPause is the time after a controller that has answered before refused the
	// credentials for the first time: mostly its sessions are used up, or it was restarted.
	// With it the first three attempts take 90 s and more, and the pauses reach 5 minutes
	// with the fifth; controllers lock an account after 3 to 5 failures within a minute or few.
	refusedPause = 30 * time.Second
)

// reader implements sensor.Sensor. All that is below mu is shared with the
// goroutine that asks.
type reader struct {
	src      source
	interval time.Duration
	maxAge   time.Duration

	cancel context.CancelFunc
	done   chan struct{}
	out    chan chan struct{} // who wants a question out of turn, and waits for its end

	// Of the goroutine.
	last    sample // the newest measurement that differed
	lastAt  time.Time
	failed  int // questions in a row
	refused int // questions since the last answer

	mu      sync.Mutex
	part    *sensor.Part
	newest  sensor.Reading // Part is nil if it was returned already
	problem *sensor.Problem
	asked   time.Time // when the question under way began; zero: none is
	silent  *sensor.Problem
	untold  []failures // since Failures was last called
	closed  bool
}

// failures counts questions that failed with problems of one class.
type failures struct {
	class sensor.Class
	n     uint64
}

func newReader(src source, c Config) *reader {
	return &reader{src: src, interval: c.Interval, maxAge: c.MaxAge, out: make(chan chan struct{}), silent: &sensor.Problem{
		Sensor: sensorName, Class: sensor.IO, Path: src.where(),
		Err:    fmt.Errorf("no answer for longer than %v", c.MaxAge),
		Remedy: "the management controller is slow or hangs",
	}}
}

// start starts the goroutine, which Close stops.
func (r *reader) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel, r.done = cancel, make(chan struct{})
	go func() {
		defer close(r.done)
		r.run(ctx)
	}()
}

func (r *reader) run(ctx context.Context) {
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeDeadline)
		defer cancel()
		r.src.close(ctx)
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var started time.Time
	for ctx.Err() == nil {
		var waits chan struct{}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case waits = <-r.out:
			if r.failed > 0 || time.Since(started) < leastInterval {
				close(waits)
				continue
			}
		}
		started = time.Now()
		pause := r.ask(ctx)
		timer.Reset(max(pause-time.Since(started), 0))
		if waits != nil {
			close(waits)
		}
	}
}

// Ask implements sensor.Asker.
func (r *reader) Ask(ctx context.Context) {
	answered := make(chan struct{})
	select {
	case r.out <- answered:
	case <-ctx.Done():
		return
	case <-r.done:
		return
	}
	select {
	case <-answered:
	case <-ctx.Done():
	case <-r.done:
	}
}

// ask asks once, publishes the answer and returns the time from the beginning of
// this question to the next.
func (r *reader) ask(ctx context.Context) time.Duration {
	r.mu.Lock()
	r.asked = time.Now()
	r.mu.Unlock()

	limited, cancel := context.WithTimeout(ctx, pollDeadline)
	s, err := r.src.sample(limited)
	if err != nil && limited.Err() != nil && !errors.Is(err, limited.Err()) {
		err = also(err, limited.Err())
	}
	cancel()
	if err == nil {
		err = r.check(s)
	}
	if ctx.Err() != nil { // closed meanwhile: whatever failed, failed of that
		return 0
	}
	if err != nil {
		r.failed++
		if errors.Is(err, errDenied) {
			r.refused++
		}
		r.publish(nil, newProblem(r.src.where(), err))
		return r.pause(err, rand.Float64()) //nolint:gosec // spreads requests, guards nothing
	}
	r.failed, r.refused = 0, 0
	r.publish(&s, nil)
	return r.interval
}

// check tells an answer from the repetition of an old one.
func (r *reader) check(s sample) error {
	if s.stamp == "" || s.stamp != r.last.stamp || s.power != r.last.power || s.name != r.last.name {
		r.last, r.lastAt = s, s.at
		return nil
	}
	if age := s.at.Sub(r.lastAt); age > r.maxAge {
		return &failure{
			cause:  fmt.Errorf("the controller repeats an answer that is older than %v", r.maxAge),
			remedy: "its power meter stands still; reset the controller",
		}
	}
	return nil
}

// pause is the time until the next question after failures in a row. Jitter is in
// [0, 1) and only lengthens it.
func (r *reader) pause(err error, jitter float64) time.Duration {
	d, times := r.interval, r.failed
	class, answered := classify(err), r.last.name != ""
	switch {
	case errors.Is(err, errForbidden): // costs the controller nothing
		times = 1
	case class == sensor.Permission && answered:
		d, times = max(d, refusedPause), r.refused
	case class == sensor.Permission, class == sensor.Absent && !answered:
		d = max(d, longestPause)
	}
	for ; times > 1 && d < longestPause; times-- {
		d = min(2*d, longestPause)
	}
	return d + time.Duration(jitter*float64(d)/4)
}

func (r *reader) publish(s *sample, p *sensor.Problem) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = time.Time{}
	if p != nil {
		r.count(p.Class)
		if !same(p, r.problem) {
			r.problem = p
		}
		return
	}
	r.problem = nil
	if r.part == nil || r.part.Name != s.name {
		r.part = newPart(s.name, r.interval)
	}
	r.newest = sensor.Reading{Part: r.part, At: s.at, Kind: sensor.Gauge, Power: s.power}
}

// count counts a question that failed. There is one entry for each class at most.
func (r *reader) count(class sensor.Class) {
	for i := range r.untold {
		if r.untold[i].class == class {
			r.untold[i].n++
			return
		}
	}
	r.untold = append(r.untold, failures{class, 1})
}

// Failures implements sensor.Attempter. A question that has not come back yet has
// not failed yet.
func (r *reader) Failures(yield func(class sensor.Class, n uint64) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	told := 0
	for _, f := range r.untold {
		told++
		if !yield(f.class, f.n) {
			break
		}
	}
	r.untold = slices.Delete(r.untold, 0, told)
}

var errClosed = fmt.Errorf("%s: the sensor is closed: %w", sensorName, os.ErrClosed)

// Read implements sensor.Sensor. It gives each answer once, and waits for none.
func (r *reader) Read(ctx context.Context, dst []sensor.Reading) ([]sensor.Reading, error) {
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return dst, errClosed
	}
	if r.newest.Part != nil {
		dst = append(dst, r.newest)
		r.newest.Part = nil
	}
	switch {
	case r.problem != nil:
		return dst, r.problem
	case !r.asked.IsZero() && time.Since(r.asked) > r.maxAge:
		return dst, r.silent
	}
	return dst, nil
}

// Close implements sensor.Sensor. It ends a Redfish session; it waits for a
// question under way, which ends at once or, in IPMI, within its deadline.
func (r *reader) Close() error {
	r.mu.Lock()
	was := r.closed
	r.closed = true
	r.mu.Unlock()
	if was || r.cancel == nil {
		return nil
	}
	r.cancel()
	limit := time.NewTimer(2 * closeDeadline)
	defer limit.Stop()
	select {
	case <-r.done:
	case <-limit.C:
		return fmt.Errorf("%s: %s: a question to the management controller does not come back; it was left behind", sensorName, r.src.where())
	}
	return nil
}
