package intensity

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// maxCells bounds the fine layer of a Grid: 5-minute slots for 227 days.
const maxCells = 1 << 16

// Grid is an immutable set of slots made for fast look-ups: a fine layer on a
// uniform step, for live values, over a coarse layer, for tables. Where the fine
// layer has nothing, the coarse one answers. It is safe for concurrent use.
type Grid struct {
	fine        []*Slot // cell i holds [first + i·step, first + (i+1)·step); nil: look below
	first, last int64   // ns since 1970 of the fine layer, half open
	step        int64   // ns, never 0
	coarse      layer
}

// layer is a sorted list of intervals without overlaps, in ns since 1970.
type layer struct {
	starts, ends []int64
	slots        []*Slot
}

// NewGrid builds a Grid from slots of tables (coarse, of any length, usually
// reaching over all time) and of live providers (fine). Fine slots have to lie on
// a common step that needs no more than 65 536 cells from the first to the last.
// Both lists have to pass CheckSlots; the errors are of KindMalformed.
func NewGrid(coarse, fine []*Slot) (*Grid, error) {
	if err := CheckSlots(coarse); err != nil {
		return nil, err
	}
	if err := CheckSlots(fine); err != nil {
		return nil, err
	}
	g := &Grid{step: 1, coarse: newLayer(coarse)}
	if len(fine) == 0 {
		return g, nil
	}
	f := newLayer(fine)
	g.first, g.last = f.starts[0], f.ends[len(f.ends)-1]
	var step uint64
	for i := range f.starts {
		step = gcd(gcd(step, uint64(f.starts[i]-g.first)), uint64(f.ends[i]-g.first)) //nolint:gosec // not negative: sorted
	}
	if step == 0 { // all of them beyond the years 1678 to 2262
		return nil, malformed("slot from %s is out of range", stamp(fine[0].Start))
	}
	cells := uint64(g.last-g.first) / step //nolint:gosec // not negative: sorted
	if cells > maxCells {
		return nil, malformed("slots from %s to %s lie on no common step: %d cells, at most %d",
			stamp(fine[0].Start), stamp(fine[len(fine)-1].End), cells, maxCells)
	}
	g.step = int64(step)
	g.fine = make([]*Slot, cells)
	for i, s := range f.slots {
		for at := f.starts[i]; at < f.ends[i]; at += g.step {
			g.fine[(at-g.first)/g.step] = s
		}
	}
	return g, nil
}

// newLayer takes what it can use: it leaves out slots that do not pass Check,
// sorts the rest, and lets a slot that begins later end the one before it.
func newLayer(slots []*Slot) layer {
	byStart := func(a, b *Slot) int { return cmp.Compare(nanos(a.Start), nanos(b.Start)) }
	usable := make([]*Slot, 0, len(slots))
	for _, s := range slots {
		if s.Check() == nil {
			usable = append(usable, s)
		}
	}
	if !slices.IsSortedFunc(usable, byStart) {
		slices.SortStableFunc(usable, byStart)
	}
	l := layer{starts: make([]int64, len(usable)), ends: make([]int64, len(usable)), slots: usable}
	for i, s := range usable {
		l.starts[i], l.ends[i] = nanos(s.Start), nanos(s.End)
		if i > 0 {
			l.ends[i-1] = min(l.ends[i-1], l.starts[i])
		}
	}
	return l
}

// Slot returns the slot that holds t, or nil if there is none. It allocates
// nothing.
func (g *Grid) Slot(t time.Time) *Slot { return g.at(inside(t)) }

// Each is Handle.Each on this Grid.
func (g *Grid) Each(from, to time.Time, joules float64, yield func(s *Slot, joules float64)) {
	if !(joules >= 0) || math.IsInf(joules, 0) {
		return
	}
	start, end := inside(from), inside(to)
	if start >= end {
		yield(g.at(end), joules)
		return
	}
	whole, given := span(start, end), 0.0
	g.walk(start, end, func(s *Slot, _, border int64) {
		part := joules - given // to the last border: all that is left
		if border < end {
			part = joules*(span(start, border)/whole) - given
		}
		part = max(0, part) // a part below one ulp may round to less than nothing
		given += part
		yield(s, part)
	})
}

// Series returns what the Grid has for [from, to), as Source.Range does: slots are
// cut where the interval ends and where a fine slot lies over them, and gaps carry
// missing as their error.
func (g *Grid) Series(from, to time.Time, missing error) Series {
	s := Series{From: from.UTC(), To: to.UTC()}
	start, end := nanos(from), nanos(to)
	if start >= end {
		return s
	}
	g.walk(start, end, func(slot *Slot, a, b int64) {
		first, last := s.From, s.To
		if a > start {
			first = time.Unix(0, a).UTC()
		}
		if b < end {
			last = time.Unix(0, b).UTC()
		}
		if slot == nil {
			s.Gaps = append(s.Gaps, Gap{Start: first, End: last, Err: missing})
			return
		}
		if !slot.Start.Equal(first) || !slot.End.Equal(last) {
			part := *slot
			part.Start, part.End = first, last
			slot = &part
		}
		s.Slots = append(s.Slots, slot)
	})
	return s
}

// walk calls visit for each stretch of [from, to) that one slot, or none, holds.
func (g *Grid) walk(from, to int64, visit func(s *Slot, from, to int64)) {
	s, border := g.run(from, to)
	for border < to {
		next, then := g.run(border, to)
		if next != s {
			visit(s, from, border)
			s, from = next, border
		}
		border = then
	}
	visit(s, from, to)
}

// run returns the slot that holds at, and a moment up to which it surely does, at
// most limit.
func (g *Grid) run(at, limit int64) (*Slot, int64) {
	if at >= g.first && at < g.last {
		i := (at - g.first) / g.step
		cell := g.fine[i]
		for i++; i < int64(len(g.fine)) && g.fine[i] == cell; i++ {
			if g.first+i*g.step >= limit {
				break
			}
		}
		limit = min(limit, g.first+i*g.step)
		if cell != nil {
			return cell, limit
		}
	} else if at < g.first && len(g.fine) > 0 {
		limit = min(limit, g.first)
	}
	s, border := g.coarse.run(at)
	return s, min(limit, border)
}

func (g *Grid) at(ns int64) *Slot {
	if ns >= g.first && ns < g.last {
		if s := g.fine[(ns-g.first)/g.step]; s != nil {
			return s
		}
	}
	return g.coarse.at(ns)
}

func (l *layer) at(ns int64) *Slot {
	if i := l.index(ns); i >= 0 && ns < l.ends[i] {
		return l.slots[i]
	}
	return nil
}

// run returns the slot that holds ns and its end, or nil and the next start.
func (l *layer) run(ns int64) (*Slot, int64) {
	i := l.index(ns)
	switch {
	case i >= 0 && ns < l.ends[i]:
		return l.slots[i], l.ends[i]
	case i+1 < len(l.starts):
		return nil, l.starts[i+1]
	}
	return nil, math.MaxInt64
}

// index returns the last slot that begins at or before ns, or -1. Most look-ups
// are about the present, which in a table is the last slot.
func (l *layer) index(ns int64) int {
	lo, hi := 0, len(l.starts)
	if hi > 0 && l.starts[hi-1] <= ns {
		return hi - 1
	}
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if l.starts[mid] <= ns {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo - 1
}

// nanos returns t in ns since 1970, or the nearest that an int64 holds, so that
// slots "from ever" and "for ever" need no cases of their own.
func nanos(t time.Time) int64 {
	const limit = math.MaxInt64 / int64(time.Second) // 292 years
	switch sec := t.Unix(); {
	case sec >= limit:
		return math.MaxInt64
	case sec <= -limit:
		return math.MinInt64
	}
	return t.UnixNano()
}

// inside is nanos, but never the end of time, which no half-open slot holds.
func inside(t time.Time) int64 { return min(nanos(t), math.MaxInt64-1) }

// span returns the ns from a to b, which has to be later. The difference of two
// int64 fits a uint64.
func span(a, b int64) float64 { return float64(uint64(b) - uint64(a)) } //nolint:gosec // wraps as intended

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
