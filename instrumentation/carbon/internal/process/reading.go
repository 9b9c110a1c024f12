package process

import (
	"time"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// Reading is what the process has used since Open.
type Reading struct {
	At            time.Time // with the monotonic clock
	CPU           Amount    // hw.type cpu
	GPU           Amount    // of Config.Extra
	Memory, Other Amount

	CPUTime time.Duration // own time on CPUs, which the energy goes by; of children, where they count, too
	// Gaps is for how long altogether a counter could not be read and did not tell
	// afterwards what it had counted; of several counters, that of the worst.
	Gaps time.Duration
	// Waits is for how long, up to now, a counter that counts has given nothing. Its
	// energy may still come.
	Waits time.Duration
}

// Amount is what was used of one type of hardware, by how that is known. Nothing
// ever falls.
type Amount struct {
	Measured, Integrated, Modelled unit.Microjoules

	Method sensor.Method // of what is counted now; "": nothing is
	Sensor string        // that counts it: "rapl"
	Idle   energy.Origin // how its idle power is known; Unknown: everything was taken to be use
}

// Energy is all of it.
func (a *Amount) Energy() unit.Microjoules { return a.Measured + a.Integrated + a.Modelled }

// Energy is that of all types together.
func (r *Reading) Energy() unit.Microjoules {
	return r.CPU.Energy() + r.Memory.Energy() + r.GPU.Energy() + r.Other.Energy()
}

// Types and methods by number.
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

// sums is energy by type and method.
type sums [types][methods]unit.Microjoules

func typeOf(hwType string) int {
	switch hwType {
	case names.HWTypeCPU:
		return cpuType
	case names.HWTypeMemory:
		return memoryType
	case names.HWTypeGPU:
		return gpuType
	}
	return otherType
}

func methodOf(m sensor.Method) int {
	switch m {
	case sensor.Measured:
		return measured
	case sensor.Integrated:
		return integrated
	}
	return modelled
}

// label is how a type is counted now.
type label struct {
	method sensor.Method
	sensor string
	idle   energy.Origin
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
func (s *Source) fromParts(began time.Time) {
	s.labels = [types]label{}
	s.gaps, s.waits = 0, 0
	for a := range s.books.Accounts {
		if a.Kind != ledger.PartAccount {
			continue
		}
		s.gaps = max(s.gaps, a.Stats.GapTime)
		if !a.Live {
			continue
		}
		if l := &s.labels[typeOf(a.Part.Type)]; l.sensor == "" {
			_, origin := s.floors.Value(a.Part)
			*l = label{a.Part.Method, a.Part.Sensor, origin}
		}
		if a.At.Before(began) {
			s.waits = max(s.waits, began.Sub(a.At))
		}
	}
}

func (s *Source) tell(now time.Time, own time.Duration) Reading {
	r := Reading{At: now, CPUTime: own - s.began + s.children.taken, Gaps: s.gaps, Waits: s.waits}
	for t, a := range [types]*Amount{&r.CPU, &r.Memory, &r.GPU, &r.Other} {
		sum, ended, l := &s.told[t], &s.children.sum[t], &s.labels[t]
		*a = Amount{
			Measured: sum[measured] + ended[measured], Integrated: sum[integrated] + ended[integrated],
			Modelled: sum[modelled] + ended[modelled],
			Method:   l.method, Sensor: l.sensor, Idle: l.idle,
		}
	}
	return r
}
