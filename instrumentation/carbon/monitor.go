package carbon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/clock"
	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/span"
	"github.com/otelcarbon/otelcarbon/internal/emission"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

// Monitor measures this process until it is shut down. All methods are safe for
// concurrent use, and work on a nil *Monitor: they do nothing and return zeros.
type Monitor struct {
	cfg    *config
	grid   *grid
	clock  *clock.Clock
	table  *span.Table // spans that a span processor measures
	source EnergySource
	began  time.Time // with the monotonic clock

	registration metric.Registration
	cancel       context.CancelFunc
	work         sync.WaitGroup
	closed       atomic.Bool
	instruments  instruments

	method atomic.Pointer[how] // of the newest energy

	reading sync.Mutex // held by who reads the source

	mu      sync.Mutex
	first   time.Time // of the first reading; zero: there was none
	last    time.Time // of the newest
	counted map[kind]float64
	drew    []drawn
	ratio   Energy // parts of the newest energy, of 1
	books   books
	gap     time.Duration // in which energy was not known
	missing time.Time     // since when it is not; zero: it is
	limits  []*limit
	units   []*Unit
	whole   *tally
	running map[*tally]struct{}
}

// Start begins to measure. What is wrong with the options or the environment, and what
// cannot be opened, is in the error; the Monitor works as far as it can all the same, and
// is never nil.
func Start(opts ...Option) (*Monitor, error) {
	cfg, err := newConfig(opts)
	c := clock.New(0)
	m := &Monitor{cfg: cfg, clock: c, table: span.NewTable(c, span.DefaultLimit), began: time.Now(), running: make(map[*tally]struct{}), counted: make(map[kind]float64)}
	m.method.Store(&how{method: names.MethodModelled, half: emission.DefaultWidths().Power(names.MethodModelled, "")})
	if cfg.disabled {
		m.closed.Store(true)
		if cfg.source != nil {
			err = errors.Join(err, cfg.source.Close())
		}
		return m, err
	}
	errs := []error{err}
	m.grid, err = newGrid(cfg)
	errs = append(errs, err)
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	if m.source = cfg.source; m.source == nil {
		m.source, err = openProcess(ctx, cfg)
		errs = append(errs, err)
	}
	m.books.init(m.grid)
	m.whole = m.tally("")
	for _, b := range cfg.budgets {
		_, err := m.budget(b)
		errs = append(errs, err)
	}
	if m.source != nil {
		errs = append(errs, m.sample(ctx, m.source.Read))
		m.work.Go(func() { m.run(ctx) })
	}
	errs = append(errs, m.register())
	return m, errors.Join(errs...)
}

// Shutdown takes a last reading, stops measuring and closes the energy source. Reports
// stay what they were.
func (m *Monitor) Shutdown(ctx context.Context) error {
	if m == nil || m.closed.Swap(true) {
		return nil
	}
	var errs []error
	if m.source != nil {
		errs = append(errs, m.sample(ctx, m.settled))
	}
	m.cancel()
	done := make(chan struct{})
	go func() {
		m.work.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return errors.Join(append(errs, fmt.Errorf("energy source: %w", ctx.Err()))...)
	}
	if m.source != nil {
		errs = append(errs, m.source.Close())
	}
	if m.registration != nil {
		errs = append(errs, m.registration.Unregister())
	}
	if m.grid != nil {
		errs = append(errs, m.grid.close())
	}
	return errors.Join(errs...)
}

func (m *Monitor) run(ctx context.Context) {
	tick := time.NewTicker(m.cfg.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := m.sample(ctx, m.source.Read); err != nil && ctx.Err() == nil {
				otel.Handle(err)
			}
		}
	}
}

// settled reads the source as exactly as it can.
func (m *Monitor) settled(ctx context.Context) (Reading, error) {
	if s, ok := m.source.(interface {
		Settle(ctx context.Context) (Reading, error)
	}); ok {
		return s.Settle(ctx)
	}
	return m.source.Read(ctx)
}

// now is the time of the clock, in ns.
func (m *Monitor) now() int64 { return int64(time.Since(m.began)) }

// sample reads the source and books what was drawn since the last time. The error is the
// first of those that follow each other.
func (m *Monitor) sample(ctx context.Context, read func(context.Context) (Reading, error)) error {
	m.reading.Lock()
	defer m.reading.Unlock()
	var tell []func() // without the lock: they are foreign
	defer func() {
		for _, f := range tell {
			f()
		}
	}()
	r, err := read(ctx)
	if r.At.IsZero() {
		r.At = time.Now()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		if ctx.Err() != nil {
			return nil // it was asked to stop
		}
		m.clock.Miss(m.now())
		if m.missing.IsZero() {
			if m.missing = m.last; m.missing.IsZero() {
				m.missing = r.At
			}
			return fmt.Errorf("energy of the process is not known for now: %w", err)
		}
		return nil
	}
	if !m.missing.IsZero() {
		m.gap += r.At.Sub(m.missing)
		m.missing = time.Time{}
	}
	m.drew = m.drawn(m.drew[:0], r)
	from := m.last
	if m.first.IsZero() {
		m.first, m.last = r.At, r.At
		return nil
	}
	if !r.At.After(from) {
		return nil
	}
	m.last = r.At
	used := m.mix(m.drew)
	m.clock.Book(used.Total(), int64(r.At.Sub(m.began)))
	m.tick(from, r.At)
	m.whole.add(used, from, r.At)
	emitted := m.books.book(m.drew, from, r.At)
	for _, u := range m.units {
		u.add(emitted)
	}
	tell = m.spend(from, r.At, emitted)
	return nil
}

// mix returns the energy by type, and remembers its parts and how it is known.
func (m *Monitor) mix(list []drawn) (used Energy) {
	var sum, half float64
	var most *drawn
	for i := range list {
		d := &list[i]
		used.add(d.part, d.joules)
		sum += d.joules
		half += d.joules * m.grid.widths.Power(d.method, d.sensor)
		if most == nil || d.joules > most.joules {
			most = d
		}
	}
	if !(sum > 0) {
		return used
	}
	m.ratio = used.times(1 / sum)
	if now := (how{most.method, most.sensor, half / sum}); *m.method.Load() != now {
		m.method.Store(&now)
	}
	return used
}
