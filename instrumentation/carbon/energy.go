package carbon

import (
	"context"
	"math"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/names"
)

// Energy is an amount in J, by what drew it.
type Energy struct{ CPU, Memory, GPU, Other float64 }

// Total adds up the parts, in J.
func (e Energy) Total() float64 { return e.CPU + e.Memory + e.GPU + e.Other }

func (e Energy) plus(f Energy) Energy {
	return Energy{e.CPU + f.CPU, e.Memory + f.Memory, e.GPU + f.GPU, e.Other + f.Other}
}

func (e Energy) times(f float64) Energy {
	return Energy{e.CPU * f, e.Memory * f, e.GPU * f, e.Other * f}
}

// add adds energy of a type of hardware.
func (e *Energy) add(hwType string, joules float64) {
	switch hwType {
	case names.HWTypeCPU:
		e.CPU += joules
	case names.HWTypeMemory:
		e.Memory += joules
	case names.HWTypeGPU:
		e.GPU += joules
	default:
		e.Other += joules
	}
}

// Reading is what an EnergySource knows of the process.
type Reading struct {
	At time.Time // with the monotonic clock; zero: when Read returned
	// Amounts has one entry for each type and method. It is valid until the next Read.
	Amounts []Amount
}

// Amount is what one type of hardware drew for the process, as far as it is known in one
// way.
type Amount struct {
	Type   string  // "cpu", "memory", "gpu" or "other"
	Method string  // "measured", "integrated" or "modelled"
	Sensor string  // "rapl", "model", … or what else fits carbon.sensor; may be ""
	Joules float64 // since any origin, the same for all Readings; it does not fall
}

// An EnergySource tells the energy of this process. One goroutine uses it at a time. An
// error means that nothing is known at the moment; what was drawn meanwhile may be in
// the next Reading. What the first Reading has is where counting begins.
type EnergySource interface {
	Read(ctx context.Context) (Reading, error)
	Close() error
}

// drawn is an Amount since the Reading before.
type drawn struct {
	kind

	joules float64
}

// drawn appends what a Reading has more than those before.
func (m *Monitor) drawn(dst []drawn, r Reading) []drawn {
	for i := range r.Amounts {
		a := &r.Amounts[i]
		key := kind{part: a.Type, method: a.Method}
		before, known := m.counted[key]
		if !known || a.Joules > before {
			m.counted[key] = a.Joules
		}
		if more := a.Joules - before; known && more > 0 && !math.IsInf(more, 0) {
			dst = append(dst, drawn{kind{a.Type, a.Method, a.Sensor}, more})
		}
	}
	return dst
}
