package emission

import (
	"math"
	"time"
)

// Embodied returns the part of what the making of a device emitted that falls to a
// time of its use: kg of the whole device, spread evenly over its lifetime, for the
// time elapsed, times the share of the device (1 for all of it, 0.25 for a workload
// that holds a quarter); half is as in Around. It goes on at the same rate when a
// device is used for longer than its lifetime, since nobody tells how old it is:
// give a longer lifetime then.
//
// It is energy of no grid: never add it to an energy, and keep it a series of its
// own. It is not ok, and 0, where lifetime is not positive, elapsed is negative,
// share is not between 0 and 1, or kg is negative or not a number.
func Embodied(kg float64, lifetime, elapsed time.Duration, share, half float64) (r Range, ok bool) {
	if lifetime <= 0 || elapsed < 0 || !(share >= 0 && share <= 1) || !(kg >= 0) {
		return Range{}, false
	}
	grams := kg * 1000 * share * (float64(elapsed) / float64(lifetime))
	if !finite(grams) {
		return Range{}, false
	}
	return Around(grams, half), true
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// EmbodiedWidths returns the half-widths of embodied emissions: rows for the method
// by which a figure was made, as package tables names it, and one for all others,
// such as a figure that somebody configured. Widths.Power looks one up, with no
// sensor. None of the tables' sources gives a range for its own figures.
func EmbodiedWidths() Widths {
	return Widths{
		{Method: "footprint", Half: 0.15, Source: "C. L. Weber, Uncertainty and Variability in Carbon Footprinting for Electronics: Case Study of an " +
			"IBM Rack-mount Server (Carnegie Mellon University, 2010): ± 15 % for production; he takes the true one for larger, for want of data"},
		{Method: "screening", Half: screeningHalf, Source: "data/PROVENANCE.md, instances.csv: the two series of embodied emissions that Cloud Carbon Footprint published " +
			"for 392 types of AWS differ by factors of 0.4 to 1.5"},
		{Half: screeningHalf, Source: "assumed: no better than a screening constant until proven"},
	}
}

// screeningHalf is 1 − 0.4, the larger distance from 1 of the two factors.
const screeningHalf = 0.60
