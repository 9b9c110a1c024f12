package powerreceiver

import (
	"context"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/idle"
	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// idleInterval is the least time between two looks at the CPUs, a second less what
// a ticker may come too early.
const idleInterval = 950 * time.Millisecond

// cpuTimes tells the busy time of all CPUs and their capacity, both since some
// moment.
type cpuTimes func(ctx context.Context) (busy, capacity time.Duration, err error)

// idleFloors learns the idle power of each part that is counted. Loads are used by who
// samples; the floors' values are guarded by sampler.mu.
type idleFloors struct {
	*idle.Floors

	configured map[string]float64 // W, by hw.id or hw.type
	checkAt    time.Time          // when configured is compared with what is there
	checked    bool
	times      cpuTimes // nil: nothing is learned
	lookAt     time.Time
	loads      []sensor.Load // scratch
}

func newIdleFloors(configured map[string]float64, times cpuTimes) idleFloors {
	return idleFloors{Floors: idle.New(configured), configured: configured, times: times}
}

// noteLoads takes in how far the GPUs are used at a sample.
func (f *idleFloors) noteLoads(sources []*source, now time.Time) {
	f.loads = f.loads[:0]
	for _, src := range sources {
		if a, ok := src.sensor.(sensor.Attributor); ok && src.gave > 0 {
			f.loads = a.Loads(f.loads)
		}
	}
	f.Note(f.loads, now)
}

// observeIdle shows the floors what was booked since they last looked. The meter leaves
// out a time in which the kernel's counts jumped.
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
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Look(s.ledger, busy, capacity, now)
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
		if p, origin := s.idle.Value(a.Part); origin != energy.Unknown {
			f(a.Part.ID, p, origin)
		}
	}
}
