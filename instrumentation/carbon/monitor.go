package carbon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/clock"
	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/span"
	"github.com/otelcarbon/otelcarbon/internal/emission"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

// Monitor measures this process until it is shut down. All methods are safe for
// concurrent use, and work on a nil *Monitor: they do nothing and return zeros.
type Monitor struct {
	cfg     *config
	grid    *grid
	clock   *clock.Clock
	table   *span.Table // spans that a span processor measures
	source  EnergySource
	own     *ownEnergy // source, if it is ours
	claimed bool       // it sends metrics that no other Monitor may send
	began   time.Time  // with the monotonic clock

	cancel      context.CancelFunc
	work        sync.WaitGroup
	closed      atomic.Bool
	hangs       atomic.Bool // the source does, and somebody was told
	instruments instruments

	method  atomic.Pointer[span.How] // of the newest energy
	zero    atomic.Int64             // what the wall clock says, in Unix ns, when ours is 0
	ticked  atomic.Int64             // the newest reading, in ns of our clock
	sparing atomic.Int64             // until when there is no glance
	nested  atomic.Bool              // there may be a context with something in progress
	weigh   *weigher                 // nil: spans and tasks share evenly

	reading chan struct{} // full while somebody reads the source
	events  teller        // of budgets

	mu      sync.Mutex
	last    time.Time // of the newest reading; zero: there was none
	told    time.Time // when it was, as the source says
	counted map[kind]float64
	glances int64 // when they would have come, had they been apart
	takes   int64 // ns that one takes, about
	anew    bool  // the newest reading began anew: what was drawn before it is lost
	falls   int   // readings in a row that were below those before
	drew    []drawn
	ratio   Energy // parts of the newest energy, of 1
	books   books
	gap     time.Duration // in which energy was not known
	missing time.Time     // since when it is not; zero: it is
	over    bool          // it was shut down
	limits  []*limit
	units   []*Unit
	whole   *tally
	dropped float64 // J of spans that nobody ended, and that are in no task
	running map[*tally]struct{}
}

// Start begins to measure. What is wrong with the options or the environment, and what
// cannot be opened, is in the error; the Monitor works as far as it can all the same, and
// is never nil. It waits a second for the first reading of a source of the program's own.
//
// Have one in a process: a second one sends no metrics to the same provider, unless it has
// a source of its own, whose energy is added to that of the first.
func Start(opts ...Option) (*Monitor, error) {
	cfg, err := newConfig(opts)
	c := clock.New(0)
	m := &Monitor{cfg: cfg, clock: c, table: span.NewTable(c, span.DefaultLimit), began: time.Now(), running: make(map[*tally]struct{}), counted: make(map[kind]float64), reading: make(chan struct{}, 1)}
	m.table.OnDrop(m.drop)
	c.Reach(max(2*int64(time.Second), 2*int64(cfg.interval)))
	m.zero.Store(m.began.UnixNano())
	m.method.Store(&span.How{Method: names.MethodModelled, Half: emission.DefaultWidths().Power(names.MethodModelled, "")})
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
		m.own, _ = m.source.(*ownEnergy)
		errs = append(errs, err)
	}
	m.books.init(m.grid)
	m.whole = m.tally("")
	for _, b := range cfg.budgets {
		_, err := m.budget(b, nil)
		errs = append(errs, err)
	}
	if m.source != nil {
		errs = append(errs, m.soon(ctx, m.source.Read))
		if cfg.weights && !exports.weigh() {
			errs = append(errs, errors.New("another Monitor shares by CPU time already, with labels that goroutines have one of: this one shares evenly"))
		} else if cfg.weights {
			m.weigh = newWeigher(m)
			m.work.Go(func() { m.weigh.run(ctx) })
		}
		m.work.Go(func() { m.run(ctx) })
	}
	if m.own == nil || exports.claim(cfg.meters) {
		errs = append(errs, m.register())
		m.claimed = m.own != nil
	} else {
		errs = append(errs, errors.New("another Monitor measures this process already and sends its metrics: this one sends none, for they would be added up"))
	}
	return m, errors.Join(errs...)
}

// Shutdown takes a last reading, stops measuring and closes the energy source. Reports and
// counters stay what they were, also for a meter provider that is shut down later. It waits
// a second for what does not answer, and a tenth of that if ctx is over.
func (m *Monitor) Shutdown(ctx context.Context) error {
	if m == nil || m.closed.Swap(true) {
		return nil
	}
	wait := patience
	if ctx.Err() != nil {
		wait = short
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), wait)
	defer cancel()
	var errs []error
	if m.source != nil {
		errs = append(errs, m.soon(last, m.settled), m.Flush(last))
	}
	m.mu.Lock()
	m.gap, m.missing, m.over = m.unknown(time.Now()), time.Time{}, true
	m.clock.Miss(m.now()) // what ends from now on is not known to have drawn anything since
	m.mu.Unlock()
	m.cancel()
	closed := make(chan error, 1)
	go func() {
		m.work.Wait()
		m.reading <- struct{}{} // and it stays so: nobody reads what is closed
		if m.source != nil {
			closed <- m.source.Close()
		}
		close(closed)
	}()
	select {
	case err := <-closed:
		errs = append(errs, err)
	case <-time.After(wait):
		errs = append(errs, errors.New("energy source: it does not answer, and is closed when it does"))
	}
	if m.grid != nil {
		errs = append(errs, m.grid.close())
	}
	if m.claimed {
		exports.release(m.cfg.meters)
	}
	if m.weigh != nil {
		exports.unweigh()
	}
	return errors.Join(errs...)
}

func (m *Monitor) run(ctx context.Context) {
	interval := m.cfg.interval
	if m.own != nil {
		interval = min(interval, longestOwn)
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := m.regular(ctx); err != nil && ctx.Err() == nil {
				handle(err)
			}
		}
	}
}

// regular is sample, each interval.
func (m *Monitor) regular(ctx context.Context) error {
	if m.own == nil {
		return m.soon(ctx, m.source.Read)
	}
	return m.sample(ctx, m.source.Read) // ours takes no time
}

// near is for when energy of children may be due: ours looks at the machine then.
func (m *Monitor) near(ctx context.Context) (Reading, error) {
	if m.own != nil {
		return m.own.Near(ctx)
	}
	return m.source.Read(ctx)
}

// settled reads the source as exactly as it can.
func (m *Monitor) settled(ctx context.Context) (Reading, error) {
	if m.own != nil {
		return m.own.Settle(ctx)
	}
	return m.source.Read(ctx)
}

// now is the time of our clock, in ns.
func (m *Monitor) now() int64 { return int64(time.Since(m.began)) }

// wall is what the wall clock says at a time of our clock, as of the newest reading: it may
// have been set since Start.
func (m *Monitor) wall(ns int64) time.Time { return time.Unix(0, m.zero.Load()+ns) }

const (
	// apart is how far glances are apart in the long run: at 4 µs each, they are 0.2 % of a CPU
	// in a program that begins and ends single spans all the time. Where they take longer, as
	// in some virtual machines, they are so far apart that they are no more than one part in
	// share.
	apart = 2 * time.Millisecond
	share = 200
	// longestGlance is what one counts as at most, so that the scheduler does not.
	longestGlance = 200 * time.Microsecond
	// burst is how many may follow each other sooner.
	burst = 20
	// fresh is how old a reading is at least for a glance to be worth while.
	fresh = 50 * time.Microsecond
)

// glance reads the energy where a program that does one thing at a time begins or ends
// something. Between two regular readings energy is taken as drawn evenly, and of a program
// that waits most of the time that would be far from it. Sources that are not ours are not
// asked: nobody knows how long they take.
func (m *Monitor) glance(now int64) {
	if now >= m.sparing.Load() { // else it is inlined
		m.look(now)
	}
}

func (m *Monitor) look(now int64) {
	if m.own == nil || m.clock.Crowd() > 1 || now-m.ticked.Load() < int64(fresh) {
		return
	}
	select {
	case m.reading <- struct{}{}:
		defer func() { <-m.reading }()
	default:
		return // somebody does
	}
	if !m.mu.TryLock() {
		return
	}
	defer m.mu.Unlock()
	if m.over || !m.missing.IsZero() || m.last.IsZero() {
		return
	}
	far := max(int64(apart), share*m.takes)
	m.glances = max(m.glances, now-burst*far) + far
	m.sparing.Store(m.glances)
	if r, ok := m.own.Glance(); ok && m.sound(r) == nil {
		m.bookReading(r, time.Now())
	}
	m.takes += (min(m.now()-now, int64(longestGlance)) - m.takes) / 8
}

// taken is when a reading was taken. A source may leave that open, have the time from
// elsewhere, or from a clock that is set meanwhile.
func (m *Monitor) taken(at, now time.Time) time.Time {
	if ago := now.Sub(at); !at.IsZero() && ago > 0 && (m.last.IsZero() || ago < now.Sub(m.last)) {
		return now.Add(-ago)
	}
	return now
}

// patience is how long a program waits for a source.
const patience = time.Second

// soon is sample, but does not wait for ever.
func (m *Monitor) soon(ctx context.Context, read func(context.Context) (Reading, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- m.sample(ctx, read) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		if m.hangs.Swap(true) { // it was told
			return nil
		}
		return fmt.Errorf("energy source: no reading yet: %w", ctx.Err())
	}
}

// sample reads the source and books what was drawn since the last time. The error is the
// first of those that follow each other.
func (m *Monitor) sample(ctx context.Context, read func(context.Context) (Reading, error)) error {
	if ctx.Err() != nil {
		return nil
	}
	select {
	case m.reading <- struct{}{}:
		defer func() { <-m.reading }()
	case <-ctx.Done():
		return nil // it was asked to stop
	}
	r, err := guarded(ctx, read)
	m.hangs.Store(false)
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over {
		return nil // it came too late
	}
	if err == nil {
		err = m.sound(r)
	}
	if err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil // it was asked to stop
		}
		m.clock.Miss(m.now())
		if m.missing.IsZero() {
			if m.missing = m.last; m.missing.IsZero() {
				m.missing = now
			}
			return fmt.Errorf("energy of the process is not known for now: %w", err)
		}
		return nil
	}
	m.bookReading(r, now)
	return nil
}

// bookReading books what was drawn since the last reading.
func (m *Monitor) bookReading(r Reading, now time.Time) {
	if !r.At.IsZero() && r.At.Equal(m.told) {
		return // it has nothing new
	}
	m.told = r.At
	at := m.taken(r.At, now)
	if late := at.Sub(m.last); m.missing.IsZero() && !m.last.IsZero() && late > patience+2*m.cfg.interval {
		m.missing = m.last
	}
	if !m.missing.IsZero() {
		m.gap += max(at.Sub(m.missing), 0)
		m.missing = time.Time{}
	}
	took := at.Sub(m.last)
	if !m.last.IsZero() && took <= 0 {
		return // the next reading has it
	}
	m.drew = m.drawn(m.drew[:0], r)
	tick := int64(at.Sub(m.began))
	m.zero.Store(at.UnixNano() - tick)
	m.ticked.Store(tick)
	if m.last.IsZero() {
		m.last = at
		return
	}
	from := at.Add(-took) // which is not m.last if the wall clock was set
	m.last = at
	used := m.mix(m.drew)
	if m.anew {
		m.clock.BookPart(used.Total(), tick)
		m.anew = false
	} else {
		m.clock.Book(used.Total(), tick)
	}
	if m.weigh != nil {
		m.weigh.book(used)
	}
	m.tick(from, at)
	m.whole.add(used, from, at)
	emitted := m.books.book(m.drew, from, at)
	for _, u := range m.units {
		u.add(emitted, at)
	}
	m.spend(from, at, emitted)
}

// guarded reads a source that may be foreign, which must not take the program with it.
func guarded(ctx context.Context, read func(context.Context) (Reading, error)) (r Reading, err error) {
	defer func() {
		if p := recover(); p != nil {
			r, err = Reading{}, fmt.Errorf("energy source: panic: %v", p)
		}
	}()
	return read(ctx)
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
	if now := (span.How{Method: most.method, Sensor: most.sensor, Half: half / sum}); *m.method.Load() != now {
		m.method.Store(&now)
	}
	return used
}
