package carbon

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
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
	Type   string // "cpu", "memory", "gpu" or "other"
	Method string // "measured", "integrated" or "modelled"
	Sensor string // "rapl", "model", … or what else fits carbon.sensor; may be ""
	// Joules is since any origin, the same for all Readings. If it falls, or an Amount of
	// the Reading before is missing, that is taken as a Read that failed; if it stays so for
	// three of them, as a counter that began anew, or is gone.
	Joules float64
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

// resets is how many readings in a row a counter is below what it was until it is believed
// that it began anew: before, it may come back, and all of it would be counted again.
const resets = 3

// sound reports what is wrong with a Reading. A counter that began anew counts from there.
func (m *Monitor) sound(r Reading) error {
	var wrong error
	found := 0
	for i := range r.Amounts {
		a := &r.Amounts[i]
		if !slices.Contains(types(), a.Type) {
			return fmt.Errorf("energy source: type %q: want one of %s", a.Type, strings.Join(types(), ", "))
		}
		if !slices.Contains(methods(), a.Method) {
			return fmt.Errorf("energy source: %s: method %q: want one of %s", a.Type, a.Method, strings.Join(methods(), ", "))
		}
		if math.IsNaN(a.Joules) || math.IsInf(a.Joules, 0) {
			return fmt.Errorf("energy source: %s: %v J: want a number", a.Type, a.Joules)
		}
		before, known := m.counted[kind{part: a.Type, method: a.Method}]
		if known {
			found++
		}
		if known && before-a.Joules > math.Abs(before)*rounding {
			wrong = fmt.Errorf("energy source: %s: %v J after %v J: want what is drawn since always the same time", a.Type, a.Joules, before)
		}
	}
	if wrong == nil && found < len(m.counted) {
		wrong = fmt.Errorf("energy source: %d of %d amounts: what was told before is missing", found, len(m.counted))
	}
	if wrong == nil {
		m.falls = 0
		return nil
	}
	if m.falls++; m.falls < resets {
		return wrong
	}
	m.falls = 0
	counted := make(map[kind]float64, len(r.Amounts))
	for i := range r.Amounts {
		a := &r.Amounts[i]
		key := kind{part: a.Type, method: a.Method}
		if before, known := m.counted[key]; known {
			counted[key] = min(before, a.Joules)
		}
	}
	m.counted, m.anew = counted, true
	return nil
}

func types() []string {
	return []string{names.HWTypeCPU, names.HWTypeMemory, names.HWTypeGPU, names.HWTypeOther}
}

func methods() []string {
	return []string{names.MethodMeasured, names.MethodIntegrated, names.MethodModelled}
}

// rounding is by how much a sum of a source may fall because it is a float64.
const rounding = 1e-12

// drawn appends what a Reading has more than those before.
func (m *Monitor) drawn(dst []drawn, r Reading) []drawn {
	for i := range r.Amounts {
		a := &r.Amounts[i]
		key := kind{part: a.Type, method: a.Method}
		before, known := m.counted[key]
		if !known || a.Joules > before {
			m.counted[key] = a.Joules
		}
		if more := a.Joules - before; known && more > 0 {
			dst = append(dst, drawn{kind{a.Type, a.Method, a.Sensor}, more})
		}
	}
	return dst
}
