package intensity

import (
	"errors"
	"fmt"
	"sort"
	"time"
)

// Rules say what may stand in for a gap. The zero value means the rules as Fill
// describes them, without a fallback.
type Rules struct {
	// Neighbor is how far a slot reaches into the gap next to it: 0 means one hour,
	// less than 0 not at all.
	Neighbor time.Duration
	// NoDayBefore switches off the rule of the same hour of the day before.
	NoDayBefore bool
	// Fallback is the last resort: yearly values, or a constant. Slots of another
	// Basis than the Series are never used.
	Fallback []*Slot
	// HalfWidths of what stands in; the zero value stands for DefaultHalfWidths.
	HalfWidths HalfWidths
}

const (
	filled = FilledNeighbor | FilledDayBefore | FilledFallback
	aDay   = 24 * time.Hour // in UTC all days are equal: no clock change moves an hour
)

// reach returns how far outside of an interval its gaps look for something to
// stand in for them.
func (r Rules) reach() (before, after time.Duration) {
	before = r.neighbor()
	if !r.NoDayBefore {
		before = max(before, aDay)
	}
	return before, r.neighbor()
}

func (r Rules) neighbor() time.Duration {
	if r.Neighbor == 0 {
		return time.Hour
	}
	return max(0, r.Neighbor)
}

// Fill returns s with slots in its gaps, as far as a rule has something for them.
// For each moment of a gap, the first of these wins:
//
//   - The slot before the gap, up to one hour after its end. It comes first because
//     it was known at that moment: what a gap is filled with does not change when
//     the slot after it arrives.
//   - The slot after the gap, up to one hour before its start.
//   - The value of 24 hours earlier, where s has one: the same hour of the day
//     before, in UTC, so that clocks may change.
//   - The slot of Rules.Fallback.
//
// Only s itself is looked at, so it should begin a day before what is to be filled.
// The first three rules take hourly and finer values, forecasts included, but
// neither yearly and monthly means nor constants, which say nothing of an hour; and
// never what is filled itself. A fallback has to be of the Basis of s.
//
// What stands in carries the flag of its rule and a reason in Origin.Why. It has
// the Quality Estimated, unless that of its model is worse. Its half-width is that
// of its model, or of an estimate in Rules.HalfWidths if that is more: widened for
// each hour from the model, if that is a neighbor, and the one for rough estimates
// if it is the day before.
//
// Slots of s stay as they are, and the same ones; gaps that no rule covers stay
// gaps, with their errors. Filling twice is filling once. Fill is pure.
//
// Errors: KindMalformed if s or the fallback does not pass CheckSlots; KindConfig
// if a half-width is impossible.
func Fill(s Series, r Rules) (Series, error) {
	r.HalfWidths = r.HalfWidths.OrDefault()
	if err := errors.Join(CheckSlots(s.Slots), CheckSlots(r.Fallback), r.HalfWidths.Check()); err != nil {
		return Series{}, err
	}
	f := filler{rules: r, old: s, grid: Grid{step: 1, coarse: newLayer(s.Slots)}}
	f.out.From, f.out.To = bounds(s)
	if mixed := len(s.Slots) > 0 && len(r.Fallback) > 0 && s.Slots[0].Basis != r.Fallback[0].Basis; mixed {
		f.refused = &Error{Kind: KindBasis, Detail: fmt.Sprintf("the fallback is %s, the series %s", r.Fallback[0].Basis, s.Slots[0].Basis)}
		r.Fallback = nil
	}
	f.fallback = Grid{step: 1, coarse: newLayer(r.Fallback)}

	at := f.out.From
	for i, slot := range s.Slots {
		f.hole(at, slot.Start, i)
		f.out.Slots = append(f.out.Slots, slot)
		at = slot.End
	}
	f.hole(at, f.out.To, len(s.Slots))
	return f.out, nil
}

type filler struct {
	rules          Rules
	old, out       Series
	grid, fallback Grid  // of old, of the fallback
	refused        error // why there is no fallback
}

// hole fills the time between slots next-1 and next.
func (f *filler) hole(from, to time.Time, next int) {
	if !from.Before(to) {
		return
	}
	reach := f.rules.neighbor()
	if next > 0 {
		if model := f.old.Slots[next-1]; serves(model) {
			end := earlier(to, from.Add(reach))
			f.put(model, from, end, f.neighbor(model, end.Sub(from)), FilledNeighbor, "the slot before")
			from = end
		}
	}
	end := to
	if next < len(f.old.Slots) && serves(f.old.Slots[next]) {
		if end = to.Add(-reach); end.Before(from) {
			end = from
		}
	}
	f.middle(from, end)
	if end.Before(to) {
		model := f.old.Slots[next]
		f.put(model, end, to, f.neighbor(model, to.Sub(end)), FilledNeighbor, "the slot after")
	}
}

// middle fills what no neighbor reaches.
func (f *filler) middle(from, to time.Time) {
	if f.rules.NoDayBefore {
		f.last(from, to)
		return
	}
	for _, model := range f.grid.Series(from.Add(-aDay), to.Add(-aDay), nil).Slots {
		if !serves(model) {
			continue
		}
		start, end := model.Start.Add(aDay), model.End.Add(aDay)
		f.last(from, start)
		f.put(model, start, end, f.dayBefore(model), FilledDayBefore, "the same hour of the day before")
		from = end
	}
	f.last(from, to)
}

// last fills with the fallback, and leaves gaps where it has nothing.
func (f *filler) last(from, to time.Time) {
	if !from.Before(to) {
		return
	}
	s := f.fallback.Series(from, to, nil)
	for len(s.Slots) > 0 || len(s.Gaps) > 0 {
		if len(s.Gaps) == 0 || len(s.Slots) > 0 && s.Slots[0].Start.Before(s.Gaps[0].Start) {
			model := s.Slots[0]
			f.put(model, model.Start, model.End, f.lastResort(f.fallback.Slot(model.Start)), FilledFallback, "the fallback")
			s.Slots = s.Slots[1:]
			continue
		}
		f.gap(s.Gaps[0].Start, s.Gaps[0].End)
		s.Gaps = s.Gaps[1:]
	}
}

// gap leaves a gap, in pieces if the old ones have different errors.
func (f *filler) gap(from, to time.Time) {
	gaps := f.old.Gaps
	first := sort.Search(len(gaps), func(i int) bool { return gaps[i].End.After(from) })
	for _, g := range gaps[first:] {
		start, end := later(from, g.Start), earlier(to, g.End)
		if !start.Before(end) {
			break
		}
		f.leave(from, start, nil)
		f.leave(start, end, g.Err)
		from = end
	}
	f.leave(from, to, nil)
}

func (f *filler) leave(from, to time.Time, err error) {
	if !from.Before(to) {
		return
	}
	if f.refused != nil {
		err = errors.Join(err, f.refused)
	}
	f.out.Gaps = append(f.out.Gaps, Gap{Start: from.UTC(), End: to.UTC(), Err: err})
}

func (f *filler) put(model *Slot, from, to time.Time, spread Spread, rule Flags, what string) {
	if !from.Before(to) {
		return
	}
	s := *model
	s.Start, s.End = from.UTC(), to.UTC()
	s.Quality = max(s.Quality, Estimated)
	s.Flags |= rule
	s.Spread = spread
	if s.Origin.Why != "" {
		s.Origin.Why += "; "
	}
	s.Origin.Why += what + " stands in for a gap"
	f.out.Slots = append(f.out.Slots, &s)
}

// serves reports whether a slot says something about other hours.
func serves(s *Slot) bool { return s.Quality < Periodic && s.Flags&filled == 0 }

func (f *filler) neighbor(model *Slot, far time.Duration) Spread {
	c := Circumstances{Carried: far}
	own := model.Spread
	if own != (Spread{}) {
		own = Spread{Half: own.Half + f.rules.HalfWidths.StalePerHour*far.Hours(), From: "assumed"}
	}
	return wider(own, f.rules.HalfWidths.Spread(max(model.Quality, Estimated), c))
}

// dayBefore takes the width of an estimate without a live source, or of a forecast
// made a day ahead.
func (f *filler) dayBefore(model *Slot) Spread {
	c := Circumstances{Rough: true, Lead: aDay}
	return wider(model.Spread, f.rules.HalfWidths.Spread(max(model.Quality, Estimated), c))
}

// lastResort takes the whole slot of the fallback, because its length tells whether
// it is a yearly mean.
func (f *filler) lastResort(model *Slot) Spread {
	length := model.End.Sub(model.Start)
	return wider(model.Spread, f.rules.HalfWidths.Spread(max(model.Quality, Estimated), Circumstances{Length: length}))
}

func wider(a, b Spread) Spread {
	if b.Half > a.Half {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
