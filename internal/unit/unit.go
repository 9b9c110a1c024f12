// Package unit holds the quantities that cross package borders, so that a bare
// number never has to say in a comment whether it is watts or milliwatts.
//
// Energy and power are unsigned integers in the kernel's own resolution (µJ,
// µW): sums of them are exact, which is what conservation of energy rests on.
// Floating point begins where a value leaves for a metric.
package unit

import (
	"math"
	"math/bits"
	"time"
)

// JoulesPerKWh is exact by definition: 1 kWh = 1000 W × 3600 s.
const JoulesPerKWh = 3.6e6

// Microjoules is an energy in µJ. The largest value is 18.4 TJ.
type Microjoules uint64

// Joules returns the energy in J. It is exact below 2⁵³ µJ (9 GJ, which is 104
// days at 1 kW) and correct to the last digit of a float64 above.
func (e Microjoules) Joules() float64 { return float64(e) / 1e6 }

// FromJoules returns j as µJ, rounded to the nearest. Negative values and NaN
// give 0, values above the range the largest representable energy.
func FromJoules(j float64) Microjoules { return Microjoules(fromMicro(j * 1e6)) }

// Power returns the mean power of e drawn over d, in µW, or 0 if d is not
// positive.
func (e Microjoules) Power(d time.Duration) Microwatts {
	if d <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(e), uint64(time.Second))
	if hi >= uint64(d) {
		return math.MaxUint64
	}
	q, _ := bits.Div64(hi, lo, uint64(d))
	return Microwatts(q)
}

// Microwatts is a power in µW.
type Microwatts uint64

// Watt is 1 W.
const Watt Microwatts = 1_000_000

// Watts returns the power in W.
func (p Microwatts) Watts() float64 { return float64(p) / 1e6 }

// FromWatts returns w as µW, rounded to the nearest, with the same treatment of
// values out of range as FromJoules.
func FromWatts(w float64) Microwatts { return Microwatts(fromMicro(w * 1e6)) }

// Over returns the energy of p drawn for d, rounded down to a µJ. It is 0 if d
// is not positive and saturates at the largest representable energy.
func (p Microwatts) Over(d time.Duration) Microjoules {
	if d <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(p), uint64(d))
	if hi >= uint64(time.Second) {
		return math.MaxUint64
	}
	q, _ := bits.Div64(hi, lo, uint64(time.Second))
	return Microjoules(q)
}

func fromMicro(v float64) uint64 {
	switch v = math.Round(v); {
	case !(v > 0): // NaN too
		return 0
	case v >= math.MaxUint64:
		return math.MaxUint64
	}
	return uint64(v)
}
