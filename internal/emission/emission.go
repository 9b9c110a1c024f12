// Package emission turns energy into grams of CO2-equivalent with a range. It is
// pure arithmetic on what the caller looked up: the energy of one slot, the power
// usage effectiveness (PUE) of the building, the intensity of the slot, and how
// uncertain the power and the intensity are.
//
//	half := emission.Combine(widths.Power("measured", "rapl"), slot.Spread.Half)
//	grams := emission.Grams(joules, pue, slot.GramsPerKWh)
//	total.Add(emission.Around(grams, half))
//
// An interval that crosses a border of the intensity is cut before, by
// intensity.Handle.Each.
//
// What else follows from an energy is here as well: Water and Cost, and SCI, which
// divides emissions by what they were for. Embodied emissions follow from time
// alone: Embodied spreads those of a device over its lifetime.
package emission

import (
	"math"

	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// Grams returns the emissions in g of an energy in J that was drawn behind a PUE
// (1 or more, a plain ratio) from a grid of gramsPerKWh. It does not check its
// arguments: a NaN gives NaN.
func Grams(joules, pue, gramsPerKWh float64) float64 {
	return joules / unit.JoulesPerKWh * pue * gramsPerKWh
}

// Range is an amount in g and the bounds between which it is believed to lie.
// Its zero value is 0 g, exactly known.
type Range struct {
	Grams, Lower, Upper float64
}

// Around returns grams with bounds half × grams away from it; half is relative
// (0.35 for ± 35 %). The lower bound is never below 0, since half may exceed 1. A
// negative or undefined half counts as 0.
func Around(grams, half float64) Range {
	if !(half > 0) {
		half = 0
	}
	return Range{Grams: grams, Lower: grams * max(0, 1-half), Upper: grams * (1 + half)}
}

// Add adds amounts whose errors go together, as those of one sensor and one grid
// do over time: bounds add like the amounts. It does not shrink the range by
// pretending that errors of many intervals cancel out.
func (r *Range) Add(more Range) {
	r.Grams += more.Grams
	r.Lower += more.Lower
	r.Upper += more.Upper
}

// Combine returns the relative half-width of a product of factors whose errors are
// independent: the root of the sum of squares of the factors' half-widths.
func Combine(power, intensity float64) float64 {
	return math.Hypot(power, intensity)
}
