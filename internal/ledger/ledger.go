package ledger

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

const (
	// MaxParts bounds the number of accounts. The largest machines have some
	// hundred parts (32 GPUs, 8 sockets with cores and DRAM).
	MaxParts = 4096

	maxIDLength = 256

	// RemainderID is that of the part which holds what no sensor of a part shows.
	RemainderID = "other"
)

// Config of a Ledger; the zero value is usable.
type Config struct {
	// MaxGap is the longest interval between two readings of a power gauge that is
	// bridged; 0 stands for energy.DefaultMaxGap. Three sampling intervals do well.
	MaxGap time.Duration
	// Psys says whether an envelope that need not be the whole host decides its
	// energy; Whole the same of one that is.
	Psys, Whole Trust
	// Calibration corrects the host's energy; the zero value does not.
	Calibration Calibration
	// Idle says which workloads get the idle energy. Retention is for how long what a
	// workload used is told after its end.
	Idle      IdlePolicy
	Retention time.Duration
}

// Ledger holds the accounts of one machine.
type Ledger struct {
	config Config
	tick   uint64 // number of the Book that is going on

	byPart map[*sensor.Part]*part
	byID   map[string]*part
	order  []*part // by ID; the remainder among them
	read   []*part // in this tick

	types     map[string]*hwType
	views     map[viewKey]*views
	viewed    []*views // the same, in order of appearance
	mirrors   []*mirrors
	envelopes []*envelope
	trusted   *envelope // the newest
	other     *part     // the remainder; nil before an envelope was trusted or anything calibrated

	calibration calibration
	attribution attribution

	host     account
	counters Counters
}

// New returns an empty ledger.
func New(c Config) *Ledger {
	if c.MaxGap <= 0 {
		c.MaxGap = energy.DefaultMaxGap
	}
	return &Ledger{
		config: c,
		byPart: map[*sensor.Part]*part{},
		byID:   map[string]*part{},
		types:  map[string]*hwType{},
		views:  map[viewKey]*views{},

		calibration: newCalibration(c.Calibration),
		attribution: attribution{policy: c.Idle},
	}
}

// account is a running total.
type account struct {
	energy    unit.Microjoules
	start, at time.Time
}

// part is what the ledger knows of a sensor.Part.
type part struct {
	account
	*sensor.Part              // as first seen
	key          *sensor.Part // as last seen
	kind         sensor.Kind

	limits  energy.Limits
	counter *energy.Counter // one of the two
	gauge   *energy.Gauge

	hw       *hwType
	covers   []*hwType // of Part.Covers
	view     *view     // if others may measure the same
	mirrors  *mirrors  // if it may be a mirror
	envelope *envelope // if it is one
	watch    watch

	// While its view is counted: nothing before from counts; since it is not any
	// more: nothing after until.
	from, until time.Time
	pending     energy.Delta // while its view stands by: since the newest reading of the counted one
	last        time.Time    // moment of the newest accepted reading

	// Of the tick in which it was last read.
	tick   uint64
	moment time.Time
	delta  energy.Delta
	event  energy.Event
	step   unit.Microjoules // of the counter, debt not paid; only if clean
	booked unit.Microjoules // of delta, what went into the account
	dark   time.Duration    // of unknown energy, which ended
	darkAt time.Time        // when it began

	withheld unit.Microjoules // of a model: since the envelope that holds it was settled

	born             uint64 // tick of the first baseline
	advanced, before uint64 // the last two ticks in which it got a baseline or closed an interval
	turns            uint64 // how often it began to be counted
	gaps0            uint64 // gaps and their time from before its account began
	gapTime0         time.Duration
	gaps             uint64 // beside those of its readings
	gapTime          time.Duration
	covering         bool // its Covers are known to be measured
	closed           bool // the remainder, after its envelope was demoted
	paused           bool // nothing is to be told until the next reading, on purpose

	stake stake // of those who used it
}

// Book enters the readings of one tick, those of all sensors together. At most
// one reading of a part counts in a tick, the first.
func (l *Ledger) Book(rs []sensor.Reading) {
	l.tick++
	l.read = l.read[:0]
	for i := range rs {
		if p := l.admit(&rs[i]); p != nil {
			p.take(&rs[i], l.tick)
			l.read = append(l.read, p)
		}
	}
	l.excuseGaps()
	l.chooseViews()
	l.noteMeasured()
	l.noteSilence()
	sum := l.enter()
	l.compareMirrors()
	l.settle(sum)
	l.calibrate(sum)
}

// Pause says of a part that there is nothing to tell until its next reading, and
// that this is no failure (sensor.Pauser): nobody waits for it. It is called before
// the Book of the tick in which the part gave nothing. If the part is the envelope
// that decides the energy of the host, the host is the sum of the parts at once.
func (l *Ledger) Pause(q *sensor.Part) {
	p := l.byID[q.ID]
	if p == nil || p.paused {
		return
	}
	p.paused = true
	if p.gauge != nil {
		p.gauge.Pause()
	}
	if p.envelope != nil {
		l.pauseEnvelope(p.envelope)
	}
}

// Accounts calls yield for each account until it returns false: the parts by
// ID, then the host, if anything has been counted. Accounts without a baseline
// are not told.
func (l *Ledger) Accounts(yield func(Account) bool) {
	live := false
	for _, p := range l.order {
		if p.start.IsZero() {
			continue
		}
		live = live || p.live()
		if !yield(p.tell()) {
			return
		}
	}
	if !l.host.start.IsZero() {
		yield(Account{
			Kind: HostAccount, Energy: l.host.energy, Start: l.host.start, At: l.host.at, Live: live,
			Stats: Stats{Demoted: l.trusted != nil && l.trusted.demoted || l.other != nil && l.other.closed},
		})
	}
}

// Counters returns what was refused so far.
func (l *Ledger) Counters() Counters { return l.counters }

// admit returns the part of a reading, new or known, or nil if the reading does
// not count.
func (l *Ledger) admit(r *sensor.Reading) *part {
	q := r.Part
	if q == nil || r.At.IsZero() || r.Kind > sensor.Gauge {
		l.counters.Refused++
		return nil
	}
	p, known := l.byPart[q]
	if !known {
		if p = l.byID[q.ID]; p == nil {
			return l.register(q, r)
		}
	}
	switch {
	case p.kind != r.Kind, p.Role != q.Role, p.Type != q.Type, p.Method != q.Method:
		l.counters.Conflicts++
		return nil
	case p.tick == l.tick:
		l.counters.Duplicates++
		return nil
	case !known:
		// A rescan found it again: same ID, new pointer.
		delete(l.byPart, p.key)
		p.key = q
		l.byPart[q] = p
	}
	return p
}

func (l *Ledger) register(q *sensor.Part, r *sensor.Reading) *part {
	if q.ID == "" || q.ID == RemainderID || len(q.ID) > maxIDLength || len(l.byID) >= MaxParts {
		l.counters.Refused++
		return nil
	}
	p := &part{Part: q, key: q, kind: r.Kind, limits: energy.Limits{Max: r.Max, MaxPower: q.MaxPower, Step: q.Step}}
	if r.Kind == sensor.Gauge {
		p.gauge = energy.NewGauge(max(l.config.MaxGap, 3*q.Period))
	} else {
		p.counter = energy.NewCounter(p.limits)
	}
	l.byPart[q], l.byID[q.ID] = p, p
	l.insert(p)
	l.place(p)
	return p
}

func (l *Ledger) insert(p *part) {
	at, _ := slices.BinarySearchFunc(l.order, p.ID, func(p *part, id string) int { return strings.Compare(p.ID, id) })
	l.order = slices.Insert(l.order, at, p)
}

// take advances the part's counter or gauge.
func (p *part) take(r *sensor.Reading, tick uint64) {
	p.tick, p.moment, p.booked, p.step = tick, r.At, 0, 0
	gaps := p.readerStats().GapTime
	if p.gauge != nil {
		p.delta, p.event = p.gauge.Advance(r.At, r.Power)
		p.step = p.delta.Energy
	} else {
		owed := p.counter.Debt()
		p.counter.SetMax(r.Max)
		p.delta, p.event = p.counter.Advance(r.At, r.Energy)
		if p.event.Has(energy.Accepted) {
			p.step = p.delta.Energy + owed - p.counter.Debt()
		}
	}
	p.dark, p.darkAt = p.readerStats().GapTime-gaps, p.last
	if p.event.Has(energy.Baseline) || !p.delta.To.IsZero() {
		p.paused = false
		p.before, p.advanced, p.last = p.advanced, tick, r.At
		if p.start.IsZero() {
			p.start, p.born = r.At, tick
		}
	}
}

// enter adds what was read in this tick to the accounts and returns how much the
// host got.
func (l *Ledger) enter() unit.Microjoules {
	var sum unit.Microjoules
	for _, p := range l.read {
		if p.advanced != l.tick {
			continue
		}
		e, at := p.counts()
		if p.isHeld() {
			p.withheld = plus(p.withheld, p.delta.Energy-e)
		}
		switch {
		case p.Role != sensor.Primary:
			p.energy = plus(p.energy, e)
		case l.add(p, e):
			p.booked = e
			sum += e
		}
		p.extend(at)
		if p.live() || p.booked > 0 {
			l.host.reach(p.account)
		}
	}
	return sum
}

// add enters e for a part and for the host, or for neither.
func (l *Ledger) add(p *part, e unit.Microjoules) bool {
	if e > math.MaxUint64-l.host.energy {
		l.counters.Overflows++
		return false
	}
	p.energy += e
	l.host.energy += e
	return true
}

// reach extends the time that an account covers over that of a part of it.
func (a *account) reach(b account) {
	if a.start.IsZero() || b.start.Before(a.start) {
		a.start = b.start
	}
	a.extend(b.at)
}

// extend lets an account cover the time until t.
func (a *account) extend(t time.Time) {
	if t.After(a.at) {
		a.at = t
	}
}

func (p *part) tell() Account {
	a := Account{Kind: DetailAccount, Part: p.Part, Energy: p.energy, Start: p.start, At: p.at, Live: true, Stats: p.stats()}
	if p.Role == sensor.Primary {
		a.Kind, a.Live = PartAccount, p.live()
	} else {
		a.Live = !p.standsBy()
	}
	if !a.Live && p.energy == 0 {
		a.Kind = UncountedAccount
	}
	return a
}

// readerStats are those of its readings, whether it was counted or not.
func (p *part) readerStats() energy.Stats {
	switch {
	case p.counter != nil:
		return p.counter.Stats()
	case p.gauge != nil:
		return p.gauge.Stats()
	}
	return energy.Stats{}
}

func (p *part) stats() Stats {
	s := p.readerStats()
	var short Shortfall
	if e := p.envelope; e != nil && e.isShort() {
		d := e.settledAt.Sub(e.from)
		short = Shortfall{Shown: e.shown.Power(d), Parts: e.shares.Power(d)}
	}
	return Stats{
		Short: short,
		Wraps: s.Wraps, Resets: s.Resets, Suspects: s.Suspects, Corrections: s.Corrections,
		Gaps: s.Gaps + p.gaps - p.gaps0, GapTime: s.GapTime + p.gapTime - p.gapTime0, Turns: p.turns, OverRange: s.OverRange, Untimely: s.Untimely,
		Mirrored: p.mirrored(), Standby: p.standsBy(), Distinct: p.mirrors != nil && p.mirrors.distinct && p.mirrors.counted != p,
		Demoted: p.closed || p.envelope != nil && p.envelope.demoted,
	}
}

func plus(a, b unit.Microjoules) unit.Microjoules {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}
