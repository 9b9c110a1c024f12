package intensity

import (
	"fmt"
	"math"
	"sort"
	"time"
)

// Job is work that can be moved in time. It is taken to draw the same power
// whenever it runs, so that what it emits depends on the mean intensity alone.
type Job struct {
	Duration time.Duration // how long it runs, more than 0

	// Earliest is when it may begin, usually now: a Plan's Saving is reckoned
	// against beginning there. Zero stands for the beginning of the Series.
	Earliest time.Time
	// Deadline is when it has to be done. Zero stands for the end of the Series,
	// and what lies beyond that end is never part of a Plan.
	Deadline time.Time

	// MinChunk is the shortest time that the job runs without interruption, where
	// BestSlots interrupts it; 0 means that any is long enough.
	MinChunk time.Duration
}

// Span is the half-open interval [Start, End), in UTC.
type Span struct{ Start, End time.Time }

// Plan says when a Job should run and what that is worth.
type Plan struct {
	Start, End time.Time // of the first and of the last of Runs
	Runs       []Span    // when the job runs, in order of time, never touching; together as long as Job.Duration

	GramsPerKWh float64 // mean over Runs, weighted by time
	// Half is the relative half-width of GramsPerKWh, combined as that of Emission.
	Half float64

	Worst     Quality   // of the slots in Runs
	IssuedAt  time.Time // of the oldest forecast in Runs; zero if none says
	FetchedAt time.Time // of the slot in Runs that was fetched first; zero if none was
	Saving    Saving    // against beginning at Job.Earliest
}

// Saving compares a Plan with running at once: from Job.Earliest, without
// interruption.
type Saving struct {
	// Known is false where a gap, or the end of the Series, lies in the way of
	// running at once. The other fields are then 0 and say nothing.
	Known       bool
	AtOnce      float64 // mean of running at once, g/kWh
	GramsPerKWh float64 // AtOnce less the mean of the Plan
	// Half is the half-width of GramsPerKWh, in g/kWh: the half-widths of either
	// side, as the root of the sum of squares. Time that both sides have in common
	// errs on both alike, and counts in neither.
	Half float64
	// Clear says that GramsPerKWh is more than Half, and that no slot on which this
	// depends is of unknown spread. Where it is false, the saving may be none, and
	// moving the job is hardly worth any trouble.
	Clear bool
}

// Share returns the part of AtOnce that is saved: 0.2 is 20 %. It is 0 if AtOnce
// is 0 or not known.
func (s Saving) Share() float64 {
	if !s.Known || s.AtOnce <= 0 {
		return 0
	}
	return s.GramsPerKWh / s.AtOnce
}

// track is a Series and a Job as the searches see them. Intensities are whole
// numbers of 10⁻⁹ g/kWh and times whole ns, so that sums are exact, windows of
// equal cost are equal, and the order of adding changes nothing.
type track struct {
	slots  []*Slot
	cells  []cell // one for each of slots
	lo, hi int64  // the job has to run inside, ns since 1970
	length uint64 // of the job, ns
}

type cell struct {
	interval
	nano uint64 // 10⁻⁹ g/kWh
}

// interval is half open, in ns since 1970.
type interval struct{ from, to int64 }

func (i interval) length() uint64 { return uint64(i.to) - uint64(i.from) } //nolint:gosec // the difference of two int64 fits

func (i interval) span() Span {
	return Span{Start: time.Unix(0, i.from).UTC(), End: time.Unix(0, i.to).UTC()}
}

func newTrack(s Series, job Job) (*track, error) {
	if job.Duration <= 0 {
		return nil, refuse("a job of %s: its Duration is to be more than 0", job.Duration)
	}
	if job.MinChunk < 0 || job.MinChunk > job.Duration {
		return nil, refuse("MinChunk %s of a job of %s: want 0, or a time up to that", job.MinChunk, job.Duration)
	}
	cells, err := cellsOf(s.Slots)
	if err != nil {
		return nil, err
	}
	if len(s.Slots) == 0 {
		return nil, &Error{Kind: KindNoData, Detail: "a series without slots has no best time"}
	}
	from, to := bounds(s)
	if !job.Earliest.IsZero() {
		from = job.Earliest
	}
	if !job.Deadline.IsZero() {
		to = job.Deadline
	}
	t := &track{lo: nanos(from), hi: nanos(to), length: uint64(job.Duration)}
	switch {
	case t.lo == math.MinInt64:
		return nil, refuse("the series has no beginning: set the job's Earliest")
	case t.lo >= t.hi || (interval{t.lo, t.hi}).length() < t.length:
		return nil, refuse("a job of %s does not fit between %s and %s: its Deadline is to be %s or later",
			job.Duration, stamp(from), stamp(to), stamp(from.Add(job.Duration)))
	}
	first := sort.Search(len(cells), func(i int) bool { return cells[i].to > t.lo })
	end := first + sort.Search(len(cells)-first, func(i int) bool { return cells[first+i].from >= t.hi })
	t.slots, t.cells = s.Slots[first:end], cells[first:end]
	return t, nil
}

// cellsOf checks slots as CheckSlots does. It goes over them once, because slots
// lie apart in memory: fetching them costs more than all the arithmetic.
func cellsOf(slots []*Slot) ([]cell, error) {
	cells := make([]cell, len(slots))
	var before *Slot
	for i, s := range slots {
		if err := s.follows(before); err != nil {
			return nil, err
		}
		cells[i] = cell{interval{nanos(s.Start), nanos(s.End)}, uint64(s.GramsPerKWh*1e9 + 0.5)}
		before = s
	}
	return cells, nil
}

// bounds returns what a Series covers; one made by hand may leave From and To out.
func bounds(s Series) (from, to time.Time) {
	from, to = s.From, s.To
	if n := len(s.Slots); n > 0 && !from.Before(to) {
		from, to = s.Slots[0].Start, s.Slots[n-1].End
	}
	return from, to
}

// parts calls visit for the part of each slot in i, and reports whether the slots
// cover i without a gap.
func (t *track) parts(i interval, visit func(s *Slot, c cell)) bool {
	at := i.from
	for n := t.holder(at); n < len(t.cells) && at < i.to && t.cells[n].from <= at; n++ {
		c := t.cells[n]
		c.from, c.to = at, min(c.to, i.to)
		visit(t.slots[n], c)
		at = c.to
	}
	return at >= i.to
}

// holder returns the first cell that ends after ns.
func (t *track) holder(ns int64) int {
	return sort.Search(len(t.cells), func(i int) bool { return t.cells[i].to > ns })
}

// plan evaluates runs, which lie inside slots and are as long as the job.
func (t *track) plan(runs []interval) Plan {
	p := Plan{Runs: make([]Span, len(runs))}
	var cost wide
	for i, r := range runs {
		p.Runs[i] = r.span()
		t.parts(r, func(s *Slot, c cell) {
			cost.add(c.nano, c.length())
			p.Worst = max(p.Worst, s.Quality)
			p.IssuedAt = older(p.IssuedAt, s.Origin.IssuedAt)
			p.FetchedAt = older(p.FetchedAt, s.Origin.FetchedAt)
		})
	}
	p.Start, p.End = p.Runs[0].Start, p.Runs[len(runs)-1].End
	p.GramsPerKWh = cost.mean(t.length)
	half, _ := t.half(runs)
	p.Half = relative(half, p.GramsPerKWh)
	p.Saving = t.saving(runs, p.GramsPerKWh)
	return p
}

func (t *track) saving(runs []interval, mean float64) Saving {
	once := t.once()
	atOnce, known := t.mean(once)
	if !known {
		return Saving{}
	}
	before, sure := t.half(minus([]interval{once}, runs))
	after, alsoSure := t.half(minus(runs, []interval{once}))
	return newSaving(atOnce, mean, math.Hypot(before, after), sure && alsoSure)
}

func newSaving(atOnce, mean, half float64, sure bool) Saving {
	s := Saving{Known: true, AtOnce: atOnce, GramsPerKWh: atOnce - mean, Half: half}
	s.Clear = sure && s.GramsPerKWh > s.Half
	return s
}

// once is when the job runs if nothing moves it.
func (t *track) once() interval { return interval{t.lo, t.lo + int64(t.length)} } //nolint:gosec // fits: newTrack has compared it

// mean returns g/kWh over an interval as long as the job, and false if a gap is in it.
func (t *track) mean(i interval) (float64, bool) {
	var cost wide
	covered := t.parts(i, func(_ *Slot, c cell) { cost.add(c.nano, c.length()) })
	return cost.mean(t.length), covered
}

// half returns what runs add to the half-width of the job's mean, in g/kWh, and
// false if a slot of unknown spread is among them.
func (t *track) half(runs []interval) (half float64, sure bool) {
	sure = true
	var groups []group
	for _, r := range runs {
		t.parts(r, func(s *Slot, c cell) {
			sure = sure && s.Spread != Spread{}
			groups = add(groups, s, s.GramsPerKWh*float64(c.length())/float64(t.length))
		})
	}
	return combined(groups), sure
}

// minus returns what of a is not in b. Both are sorted and free of overlaps.
func minus(a, b []interval) []interval {
	var out []interval
	for _, x := range a {
		for _, y := range b {
			if y.to <= x.from || y.from >= x.to {
				continue
			}
			if x.from < y.from {
				out = append(out, interval{x.from, y.from})
			}
			x.from = min(x.to, y.to)
		}
		if x.from < x.to {
			out = append(out, x)
		}
	}
	return out
}

// older returns the earlier of two times, of which zero ones are not known.
func older(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func relative(half, of float64) float64 {
	if of <= 0 {
		return 0
	}
	return half / of
}

func refuse(format string, args ...any) error {
	return &Error{Kind: KindConfig, Detail: fmt.Sprintf(format, args...)}
}

// noData says for which job there is no plan, and why.
func (t *track) noData(format string, args ...any) error {
	return &Error{Kind: KindNoData, Detail: fmt.Sprintf("no plan for a job of %s from %s to %s: %s",
		time.Duration(t.length), stamp(time.Unix(0, t.lo)), stamp(time.Unix(0, t.hi)), fmt.Sprintf(format, args...))} //nolint:gosec // was a Duration
}
