package powerreceiver

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

const (
	// idleInterval is the least time between two looks at the CPUs, a second less what
	// a ticker may come too early.
	idleInterval = 950 * time.Millisecond
	// idleSteps is how many steps of a coarse counter a window holds, so that its power
	// is right to a twentieth.
	idleSteps = 20
	// idleSettle is how many windows in which energy moved are left out after a counter
	// jumped: one holds the jump, one the end of what a correction owes.
	idleSettle = 2

	mostIdleWatts = 100_000
)

// cpuTimes tells the busy time of all CPUs and their capacity, both since some
// moment.
type cpuTimes func(ctx context.Context) (busy, capacity time.Duration, err error)

// idleFloors learns the idle power of each part that is counted. The busy ratio
// is that of the machine's CPUs; for a GPU its own, where the sensor tells it, and one
// that a process holds is not idle, whatever it does: a context alone draws power.
//
// The meter and the uses of GPUs are used by who samples; the rest is guarded by
// sampler.mu.
type idleFloors struct {
	configured map[string]float64 // W, by hw.id or hw.type
	checkAt    time.Time          // when configured is compared with what is there
	checked    bool
	times      cpuTimes // nil: nothing is learned

	loads   []sensor.Load      // scratch
	loadsAt time.Time          // sample before
	gpus    map[string]*gpuUse // by hw.id

	lookAt   time.Time
	capacity time.Duration
	parts    map[*sensor.Part]*idlePart
}

// gpuUse is for how long a GPU was used.
type gpuUse struct {
	busy, total time.Duration
	at          time.Time // sample that last told it
	held        bool      // by a process, in that sample
	wasHeld     bool      // in any sample since the last look, or in that of the look
	broken      bool      // there is time since the last look of which nobody told it
}

// noteLoads takes in how far the GPUs are used at a sample.
func (f *idleFloors) noteLoads(sources []*source, now time.Time) {
	f.loads = f.loads[:0]
	for _, src := range sources {
		if a, ok := src.sensor.(sensor.Attributor); ok && src.gave > 0 {
			f.loads = a.Loads(f.loads)
		}
	}
	for i := range f.loads {
		l := &f.loads[i]
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

// idlePart is a part's floor and the beginning of its present window.
type idlePart struct {
	floor          *energy.Floor
	energy         unit.Microjoules
	at             time.Time
	busy, capacity time.Duration
	jumps          uint64
	settle         int
	held           bool      // at any time in the window
	round          time.Time // the look in which it was last seen
}

func newIdleFloors(configured map[string]float64, times cpuTimes) idleFloors {
	return idleFloors{configured: configured, times: times, gpus: make(map[string]*gpuUse), parts: make(map[*sensor.Part]*idlePart)}
}

// validateIdle reports the values that cannot be right, in the order of their keys.
func validateIdle(configured map[string]float64) (errs []error) {
	for _, key := range slices.Sorted(maps.Keys(configured)) {
		switch w := configured[key]; {
		case key == "":
			errs = append(errs, fmt.Errorf("idle_watts: %g W of nothing; the key is an hw.id such as rapl:package-0, or an hw.type such as cpu", w))
		case math.IsNaN(w) || w < 0 || w > mostIdleWatts:
			errs = append(errs, fmt.Errorf("idle_watts::%s: %v is not between 0 and %d W", key, w, mostIdleWatts))
		}
	}
	return errs
}

// observeIdle shows the floors what was booked since they last looked.
func (s *sampler) observeIdle(ctx context.Context, now time.Time) {
	f := &s.idle
	if f.times == nil {
		return
	}
	if f.noteLoads(s.sources, now); now.Before(f.lookAt) {
		return
	}
	busy, capacity, err := f.times(ctx)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil: // what is missing may come, but not soon
		f.lookAt = now.Add(reopenInterval)
		return
	}
	f.lookAt = now.Add(idleInterval)
	// The meter leaves out a time in which the kernel's counts jumped. It says nothing
	// about the windows that hold it.
	jumped := capacity <= f.capacity
	f.capacity = capacity
	s.mu.Lock()
	defer s.mu.Unlock()
	for a := range s.ledger.Accounts {
		switch {
		case a.Kind != ledger.PartAccount || !a.Live:
		case a.Part.Type != names.HWTypeGPU:
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

func (f *idleFloors) part(of *sensor.Part) *idlePart {
	p := f.parts[of]
	if p == nil {
		p = &idlePart{floor: energy.NewFloor()}
		f.parts[of] = p
	}
	return p
}

// observe ends the part's window if energy moved in it. Until then nobody knows
// whether the counter only waits for its next step.
func (p *idlePart) observe(a *ledger.Account, busy, capacity time.Duration, held, jumped bool, now time.Time) {
	p.round, p.held = now, p.held || held
	// Energy that is unknown or was counted too early makes a window look too low.
	jumps := a.Stats.Gaps + a.Stats.Resets + a.Stats.Corrections
	if jumps != p.jumps {
		p.jumps, p.settle = jumps, idleSettle
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
func (p *idlePart) tooShort(a *ledger.Account, moved unit.Microjoules) bool {
	if every := a.Part.Refresh; every > 0 {
		return a.At.Sub(p.at) < idleSteps*every
	}
	return moved < idleSteps*a.Part.Step
}

// value is what is known about the idle power of a part.
func (f *idleFloors) value(of *sensor.Part) (unit.Microwatts, energy.Origin) {
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

// checkIdleKeys says once which keys of idle_watts are of no part, when slow sensors have
// had a minute to give theirs. A part that is plugged in later gets its value all the same.
func (s *sampler) checkIdleKeys(now time.Time) {
	f := &s.idle
	switch {
	case f.checked || len(f.configured) == 0:
		return
	case f.checkAt.IsZero():
		f.checkAt = now.Add(reopenInterval)
		return
	case now.Before(f.checkAt):
		return
	}
	f.checked = true
	var ids []string
	known := make(map[string]bool)
	s.mu.Lock()
	for a := range s.ledger.Accounts {
		if a.Kind == ledger.PartAccount {
			ids = append(ids, a.Part.ID)
			known[a.Part.ID], known[a.Part.Type] = true, true
		}
	}
	s.mu.Unlock()
	var unknown []string
	for _, key := range slices.Sorted(maps.Keys(f.configured)) {
		if !known[key] {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) > 0 {
		s.logger.Warn("idle_watts has keys that are neither the hw.id nor the hw.type of a part; they have no effect unless such a part appears",
			zap.Strings("keys", unknown), zap.Strings("parts", ids))
	}
}

// eachIdle calls f with the idle power of every part that is counted, as far as it
// is known.
func (s *sampler) eachIdle(f func(id string, power unit.Microwatts, origin energy.Origin)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for a := range s.ledger.Accounts {
		if a.Kind != ledger.PartAccount || !a.Live {
			continue
		}
		if p, origin := s.idle.value(a.Part); origin != energy.Unknown {
			f(a.Part.ID, p, origin)
		}
	}
}
