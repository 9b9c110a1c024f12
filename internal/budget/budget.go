package budget

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Key tells machines apart, as a hash of host.id or the like. The zero Key stands
// for a machine that is not known.
type Key [2]uint64

// Scope says what a booking is the emission of.
type Scope uint8

const (
	// Workload is a part of a machine: a process, a container, a span.
	Workload Scope = iota
	// Host is a machine as a whole, all workloads contained.
	Host
)

// maxThresholds is how many bits of period.told there are to spend.
const maxThresholds = 16

// Config describes a budget.
type Config struct {
	Name   string        // what it is called in metrics and logs
	Grams  float64       // the limit in g for each period, more than 0
	Period time.Duration // 1 s or more; 0: the whole run
	// Thresholds in percent of Grams, each more than 0, in any order; at most 16.
	// nil: 50, 80 and 100. Empty: none.
	Thresholds []float64
}

// check returns an error that names the key to change.
func (c Config) check() error {
	if c.Name == "" {
		return fmt.Errorf("budget of %v g: name: is empty: want what to call it, such as team-a", c.Grams)
	}
	if !(c.Grams > 0) || c.Grams > MaxGrams {
		return fmt.Errorf("budget %q: grams: %v is not a limit: want a number above 0 and up to %g", c.Name, c.Grams, MaxGrams)
	}
	if c.Period != 0 && c.Period < time.Second {
		return fmt.Errorf("budget %q: period: %v is too short: want 1s or more, such as 24h, or 0 for the whole run", c.Name, c.Period)
	}
	if len(c.Thresholds) > maxThresholds {
		return fmt.Errorf("budget %q: thresholds: %d of them: want at most %d", c.Name, len(c.Thresholds), maxThresholds)
	}
	for i, t := range c.Thresholds {
		if !(t >= 1) || t > maxPercent {
			return fmt.Errorf("budget %q: thresholds: %v is not a share of the limit: want a percentage from 1 to %d, such as 80", c.Name, t, maxPercent)
		}
		if slices.Contains(c.Thresholds[:i], t) {
			return fmt.Errorf("budget %q: thresholds: %v stands there twice: want each once", c.Name, t)
		}
	}
	return nil
}

const maxPercent = 10_000

// threshold is a share of the limit that is worth telling.
type threshold struct {
	percent float64
	at      mass
}

// Budget is the account. It is not safe for concurrent use.
type Budget struct {
	name       string
	limit      float64 // g
	length     time.Duration
	thresholds []threshold // ascending

	// Previous, current and next period; of a budget for the whole run only the
	// current one is ever used.
	periods     [3]*period
	late, ahead mass
}

const (
	previous = iota
	current
	next
)

// New returns a budget with nothing used, in the period of now. The error names
// the key of Config that is wrong.
func New(c Config, now time.Time) (*Budget, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	percents := slices.Clone(c.Thresholds)
	if percents == nil {
		percents = []float64{50, 80, 100}
	}
	slices.Sort(percents)
	b := &Budget{name: c.Name, limit: c.Grams, length: c.Period}
	for _, p := range percents {
		at := math.Min(c.Grams*p/100, MaxGrams)
		b.thresholds = append(b.thresholds, threshold{p, massOf(at)})
	}
	b.periods = window(b.length, now)
	return b, nil
}

// window returns empty periods around now.
func window(length time.Duration, now time.Time) [3]*period {
	var w [3]*period
	for i := range w {
		w[i] = &period{}
		start, end := span(length, now, i)
		w[i].reset(start, end)
	}
	return w
}

// span returns start and end of a period of the window around now.
func span(length time.Duration, now time.Time, which int) (start, end time.Time) {
	if length == 0 {
		return now.UTC().Round(0), time.Time{}
	}
	start = now.UTC().Truncate(length).Add(time.Duration(which-current) * length)
	return start, start.Add(length)
}

// Turn makes the period of now the current one. It costs next to nothing while that
// is the case already, so call it before each batch of bookings and before Status.
// A budget for the whole run does not turn.
func (b *Budget) Turn(now time.Time) {
	if b.length == 0 {
		return
	}
	cur := b.periods[current]
	if !now.Before(cur.start) && now.Before(cur.end) {
		return
	}
	old := b.periods
	b.periods = [3]*period{}
	for i := range b.periods { // those that stay
		start, _ := span(b.length, now, i)
		for j, p := range old {
			if p != nil && p.start.Equal(start) {
				b.periods[i], old[j] = p, nil
			}
		}
	}
	for i := range b.periods { // those that are new take the place of those that went
		if b.periods[i] != nil {
			continue
		}
		j := slices.IndexFunc(old[:], func(p *period) bool { return p != nil })
		b.periods[i], old[j] = old[j], nil
		b.periods[i].reset(span(b.length, now, i))
	}
}

// Add books grams for energy that was drawn in the interval from … to by a machine
// or a workload on it. Where from is not before to, or zero because nobody knows it,
// all of it counts at to, and a moment on the border of two periods to the later
// one. Add returns the grams of the interval that lie outside the three open
// periods and so were not booked; Status adds them up.
//
// An amount that is not a number between 0 and MaxGrams is ignored.
func (b *Budget) Add(k Key, of Scope, from, to time.Time, grams float64) (unbooked float64) {
	if !(grams > 0) || grams > MaxGrams {
		return 0
	}
	cur := b.periods[current]
	if from.IsZero() || !from.Before(to) {
		from = to
	}
	if b.length == 0 || !from.Before(cur.start) && to.Before(cur.end) {
		cur.book(k, of, massOf(grams))
		return 0
	}
	// What was drawn up to each border, of which the differences are the parts:
	// rounding neither makes nor loses anything.
	i := interval{from, to, grams}
	booked := i.until(b.periods[previous].start)
	late := booked
	for _, p := range b.periods {
		upTo := i.until(p.end)
		p.book(k, of, upTo.minus(booked))
		booked = upTo
	}
	ahead := massOf(grams).minus(booked)
	b.late, b.ahead = b.late.plus(late), b.ahead.plus(ahead)
	return late.plus(ahead).grams()
}

// interval is an amount that was drawn evenly.
type interval struct {
	from, to time.Time
	grams    float64
}

// until returns how much of it was drawn before t; it never falls with t.
func (i interval) until(t time.Time) mass {
	switch {
	case t.After(i.to), t.Equal(i.to) && i.from.Before(i.to):
		return massOf(i.grams)
	case !t.After(i.from):
		return mass{}
	}
	return massOf(i.grams * (float64(t.Sub(i.from)) / float64(i.to.Sub(i.from))))
}

// Status is how a budget stands in its current period.
type Status struct {
	Start, End  time.Time // UTC; End is zero for the whole run
	Used        float64   // g
	Limit       float64   // g
	Utilization float64   // Used/Limit, above 1 once the limit is passed

	Machines int  // in the current period, that of the zero Key included
	Lumped   bool // there are more than MaxKeys: Used is a lower bound

	// What was not booked, in g, since New: drawn before the previous period, and
	// after the next.
	Late, Ahead float64
}

// Name returns the name of the budget.
func (b *Budget) Name() string { return b.name }

// Status returns how the budget stands. Used does not fall while Start stays.
func (b *Budget) Status() Status {
	p := b.periods[current]
	used := p.used.grams()
	return Status{
		Start: p.start, End: p.end, Used: used, Limit: b.limit, Utilization: used / b.limit,
		Machines: len(p.machines), Lumped: p.lumped, Late: b.late.grams(), Ahead: b.ahead.grams(),
	}
}

// Crossing is the event that a threshold was reached.
type Crossing struct {
	Percent    float64   // the threshold
	Used       float64   // g, at the time of telling
	Limit      float64   // g
	Start, End time.Time // of the period, UTC; End is zero for the whole run
	Late       bool      // the period was over when this was told
}

// Crossings appends to dst the thresholds that were reached in the current and the
// previous period and have not been told yet, and counts them as told: each comes
// once for each period, ascending, all that one booking has passed at once. Ask
// after each batch of bookings: what nobody asked for until the period is no longer
// open is never told.
func (b *Budget) Crossings(dst []Crossing) []Crossing {
	for which, p := range b.periods[:next] {
		for i, t := range b.thresholds {
			if bit := uint32(1) << i; p.told&bit == 0 && p.used.compare(t.at) >= 0 && p.used != (mass{}) {
				p.told |= bit
				dst = append(dst, Crossing{
					Percent: t.percent, Used: p.used.grams(), Limit: b.limit, Start: p.start, End: p.end, Late: which == previous,
				})
			}
		}
	}
	return dst
}
