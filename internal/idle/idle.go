// Package idle learns what the parts of a machine draw while nobody uses them, from
// the books and from how far CPUs and GPUs were used meanwhile (ENERGY.md A.3).
//
// The busy ratio is that of the machine's CPUs; for a GPU it is its own, where the
// sensor tells it, and a GPU that a process holds is not idle, whatever it does: a
// context alone draws power.
package idle

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

const (
	// steps is how many steps of a coarse counter a window holds, so that its power
	// is right to a twentieth.
	steps = 20
	// settle is how many windows in which energy moved are left out after a counter
	// jumped: one holds the jump, one the end of what a correction owes.
	settle = 2

	mostWatts = 100_000

	gpuType = "gpu" // hw.type
)

// Validate reports the values of New's argument that cannot be right, in the order of
// their keys. The messages call it idle_watts.
func Validate(configured map[string]float64) (errs []error) {
	for _, key := range slices.Sorted(maps.Keys(configured)) {
		switch w := configured[key]; {
		case key == "":
			errs = append(errs, fmt.Errorf("idle_watts: %g W of nothing; the key is an hw.id such as rapl:package-0, or an hw.type such as cpu", w))
		case math.IsNaN(w) || w < 0 || w > mostWatts:
			errs = append(errs, fmt.Errorf("idle_watts::%s: %v is not between 0 and %d W", key, w, mostWatts))
		}
	}
	return errs
}

// Floors holds the idle power of each part that is counted. It is not safe for
// concurrent use, except that Note may be called while Value is.
type Floors struct {
	configured map[string]float64 // W, by hw.id or hw.type

	loadsAt time.Time          // Note before
	gpus    map[string]*gpuUse // by hw.id

	capacity time.Duration
	parts    map[*sensor.Part]*part
}

// New returns floors of which the configured ones, in W by hw.id or hw.type, are known.
func New(configured map[string]float64) *Floors {
	return &Floors{configured: configured, gpus: make(map[string]*gpuUse), parts: make(map[*sensor.Part]*part)}
}

// gpuUse is for how long a GPU was used.
type gpuUse struct {
	busy, total time.Duration
	at          time.Time // sample that last told it
	held        bool      // by a process, in that sample
	wasHeld     bool      // in any sample since the last look, or in that of the look
	broken      bool      // there is time since the last look of which nobody told it
}

// Note takes in how far the GPUs are used at a sample.
func (f *Floors) Note(loads []sensor.Load, now time.Time) {
	for i := range loads {
		l := &loads[i]
		u := f.gpus[l.GPU.ID]
		if u == nil {
			u = &gpuUse{}
			f.gpus[l.GPU.ID] = u
		}
		if d := now.Sub(u.at); !u.at.IsZero() && u.at.Equal(f.loadsAt) {
			u.busy += time.Duration(l.Busy * float64(d))
			u.total += d
		} else {
			u.broken = true // what it did since it was last told is not known
		}
		u.at, u.held, u.wasHeld = now, l.Held, u.wasHeld || l.Held
	}
	for _, u := range f.gpus {
		u.broken = u.broken || !u.at.Equal(now)
	}
	f.loadsAt = now
}

// look returns what a GPU was used until now, whether a process held it at any time
// since the last look, and whether all of that is known.
func (u *gpuUse) look() (busy, total time.Duration, held, known bool) {
	if u == nil {
		return 0, 0, false, false
	}
	held, known = u.wasHeld, !u.broken
	u.wasHeld, u.broken = u.held, false
	return u.busy, u.total, held, known
}

// part is a part's floor and the beginning of its present window.
type part struct {
	floor          *energy.Floor
	energy         unit.Microjoules
	at             time.Time
	busy, capacity time.Duration
	jumps          uint64
	settle         int
	held           bool      // at any time in the window
	round          time.Time // the look in which it was last seen
}

// Look shows the floors what was booked since they last looked, with the sums of the
// busy time of all CPUs and of their capacity, which are from any origin. A capacity
// that does not grow says that the busy ratio of the time since is not known.
func (f *Floors) Look(l *ledger.Ledger, busy, capacity time.Duration, now time.Time) {
	jumped := capacity <= f.capacity
	f.capacity = capacity
	for a := range l.Accounts {
		switch {
		case a.Kind != ledger.PartAccount || !a.Live:
		case a.Part.Type != gpuType:
			f.part(a.Part).observe(&a, busy, capacity, false, jumped, now)
		default:
			if used, total, held, known := f.gpus[a.Part.ID].look(); known || f.parts[a.Part] != nil {
				f.part(a.Part).observe(&a, used, total, held, !known, now)
			}
		}
	}
	for _, p := range f.parts { // what did not count for a while begins a new window
		if !p.round.Equal(now) {
			p.at = time.Time{}
		}
	}
}

func (f *Floors) part(of *sensor.Part) *part {
	p := f.parts[of]
	if p == nil {
		p = &part{floor: energy.NewFloor()}
		f.parts[of] = p
	}
	return p
}

// observe ends the part's window if energy moved in it. Until then nobody knows
// whether the counter only waits for its next step.
func (p *part) observe(a *ledger.Account, busy, capacity time.Duration, held, jumped bool, now time.Time) {
	p.round, p.held = now, p.held || held
	// Energy that is unknown or was counted too early makes a window look too low.
	jumps := a.Stats.Gaps + a.Stats.Resets + a.Stats.Corrections
	if jumps != p.jumps {
		p.jumps, p.settle = jumps, settle
	}
	moved := a.Energy - p.energy
	begun := !p.at.IsZero() && !jumped
	if begun && (moved == 0 || p.tooShort(a, moved)) {
		return
	}
	switch length, of := a.At.Sub(p.at), capacity-p.capacity; {
	case !begun || of <= 0:
	case p.settle > 0:
		p.settle--
	default:
		use := float64(busy-p.busy) / float64(of)
		if p.held { // whatever it did
			use = max(use, energy.IdleBelow)
		}
		p.floor.Observe(moved.Power(length), use, length)
	}
	p.held = false
	p.energy, p.at, p.busy, p.capacity = a.Energy, a.At, busy, capacity
}

// tooShort reports whether the steps of a coarse counter would spoil the power of the
// present window.
func (p *part) tooShort(a *ledger.Account, moved unit.Microjoules) bool {
	if every := a.Part.Refresh; every > 0 {
		return a.At.Sub(p.at) < steps*every
	}
	return moved < steps*a.Part.Step
}

// Value is what is known about the idle power of a part.
func (f *Floors) Value(of *sensor.Part) (unit.Microwatts, energy.Origin) {
	for _, key := range [...]string{of.ID, of.Type} {
		if w, ok := f.configured[key]; ok {
			return unit.FromWatts(w), energy.Configured
		}
	}
	if of.Idle > 0 {
		return of.Idle, energy.Modelled
	}
	if p := f.parts[of]; p != nil {
		return p.floor.Value()
	}
	return 0, energy.Unknown
}
