package intensity

import (
	"sync/atomic"
	"time"
)

// Handle is the intensity of one place, at hand: no lock, no allocation, no
// waiting. It is made by a Source and safe for concurrent use. When the Source
// has tables, a Handle has an answer for every time.
type Handle struct {
	grid   atomic.Pointer[Grid]
	unread atomic.Bool // since Read was called; written to by the first who reads only
}

// NewHandle returns a Handle on g. Programs get theirs from Source.Handle.
func NewHandle(g *Grid) *Handle {
	h := &Handle{}
	h.grid.Store(g)
	return h
}

// Set replaces what the Handle answers from. Readers see the old or the new Grid
// as a whole.
func (h *Handle) Set(g *Grid) { h.grid.Store(g) }

// Grid returns what the Handle answers from at this moment; it may be nil.
func (h *Handle) Grid() *Grid { return h.load() }

// Read reports whether anybody has asked the Handle for anything since the last call of
// Read. It is for the Source, which does not keep up for ever what nobody reads.
func (h *Handle) Read() bool { return !h.unread.Swap(true) }

func (h *Handle) load() *Grid {
	if h.unread.Load() {
		h.unread.Store(false)
	}
	return h.grid.Load()
}

// Peek returns the slot that holds t, or nil if none is known. It costs two atomic
// loads and one look-up, and allocates nothing.
func (h *Handle) Peek(t time.Time) *Slot {
	g := h.load()
	if g == nil {
		return nil
	}
	return g.at(inside(t))
}

// Each cuts an amount of energy that was drawn evenly over [from, to) at the
// borders of the slots and calls yield for each part, in order of time; s is nil
// where no slot is known. The parts are never negative and add up, in order, to
// joules within one unit in the last place. If from is not before to, all energy
// belongs to the moment to. Each yields nothing if joules is negative or not a
// number. It allocates nothing, and sees one consistent state even while slots are
// replaced.
func (h *Handle) Each(from, to time.Time, joules float64, yield func(s *Slot, joules float64)) {
	g := h.load()
	if g == nil {
		g = &Grid{} // does not leave the stack
	}
	g.Each(from, to, joules, yield)
}
