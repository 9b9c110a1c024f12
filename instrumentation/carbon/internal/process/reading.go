package process

import (
	"time"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// Reading is what the process has used since Open. It is a copy.
type Reading struct {
	At      time.Time     // with the monotonic clock
	CPUTime time.Duration // own time on CPUs, which the energy goes by; of children, where they count, too

	// Gaps is for how long altogether a counter could not be read and did not tell
	// afterwards what it had counted; of several counters, that of the worst.
	Gaps time.Duration
	// Waits is for how long, up to now, a counter that counts has given nothing. Its
	// energy may still come.
	Waits time.Duration

	amounts [types][methods]Amount
}

// Amount is what was used of one type of hardware, as far as it is known in one way.
type Amount struct {
	Type   string        // hw.type: "cpu", "memory", "gpu", "other"
	Method sensor.Method // carbon.method
	Sensor string        // carbon.sensor of what counted it last: "rapl"; "": nothing has
	Energy unit.Microjoules

	// Now says that what is used now comes on this amount. Then Idle is how the idle
	// power is known that is taken off; Unknown: all that is drawn is taken to be use.
	Now  bool
	Idle energy.Origin
}

// All calls yield with the amount of each type and method until it returns false: the
// same ones in the same order in each Reading, also those that are 0. No Energy ever
// falls.
func (r *Reading) All(yield func(a *Amount) bool) {
	for t := range r.amounts {
		for m := range r.amounts[t] {
			if !yield(&r.amounts[t][m]) {
				return
			}
		}
	}
}

// Energy is that of all amounts together.
func (r *Reading) Energy() (e unit.Microjoules) {
	for a := range r.All {
		e += a.Energy
	}
	return e
}

const (
	cpuType = iota
	memoryType
	gpuType
	otherType
	types

	measured   = 0
	integrated = 1
	modelled   = 2
	methods    = 3
)

// typeNames are the values of hw.type in the order of their numbers here.
func typeNames() [types]string {
	return [...]string{names.HWTypeCPU, names.HWTypeMemory, names.HWTypeGPU, names.HWTypeOther}
}

func methodNames() [methods]sensor.Method {
	return [...]sensor.Method{sensor.Measured, sensor.Integrated, sensor.Modelled}
}

// sums is energy by type and method.
type sums [types][methods]unit.Microjoules

func typeOf(hwType string) int {
	for t, name := range typeNames() {
		if name == hwType {
			return t
		}
	}
	return otherType
}

func methodOf(m sensor.Method) int {
	switch m {
	case sensor.Measured:
		return measured
	case sensor.Integrated:
		return integrated
	case sensor.Modelled:
	}
	return modelled
}

// fromBooks reads from the ledger what was booked for the process and for the machine
// itself, which is the use of all others.
func (s *Source) fromBooks() (own, others sums) {
	for w := range s.books.Workloads {
		switch {
		case w.Of == s.self:
			own[typeOf(w.Type)][methodOf(w.Method)] += w.Energy
		case w.Share == ledger.ShareSystem:
			others[typeOf(w.Type)][methodOf(w.Method)] += w.Energy
		}
	}
	return own, others
}

// fromParts reads how each type is counted, and what of it is not known.
func (s *Source) fromParts(now time.Time) {
	for a := range s.amounts.All {
		a.Now = false
	}
	s.amounts.Gaps, s.amounts.Waits = 0, 0
	for a := range s.books.Accounts {
		if a.Kind != ledger.PartAccount {
			continue
		}
		s.amounts.Gaps = max(s.amounts.Gaps, a.Stats.GapTime)
		if !a.Live {
			continue
		}
		if to := &s.amounts.amounts[typeOf(a.Part.Type)][methodOf(a.Part.Method)]; !to.Now {
			_, origin := s.floors.Value(a.Part)
			to.Now, to.Sensor, to.Idle = true, a.Part.Sensor, origin
		}
		if a.At.Before(now) {
			s.amounts.Waits = max(s.amounts.Waits, now.Sub(a.At))
		}
	}
}

// tell returns what was used until now, own being the CPU time.
func (s *Source) tell(now time.Time, own time.Duration) Reading {
	r := s.amounts
	r.At, r.CPUTime = now, own-s.began+s.children.taken
	for t := range r.amounts {
		for m := range r.amounts[t] {
			r.amounts[t][m].Energy = s.told[t][m] + s.children.sum[t][m]
		}
	}
	return r
}

// newAmounts returns a Reading with nothing used.
func newAmounts() (r Reading) {
	for t, name := range typeNames() {
		for m, method := range methodNames() {
			r.amounts[t][m] = Amount{Type: name, Method: method}
		}
	}
	return r
}
