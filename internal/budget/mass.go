package budget

import (
	"cmp"
	"math"
	"math/bits"
)

// MaxGrams bounds a single booking, and the limit: a thousand million tonnes, which
// no machine emits.
const MaxGrams = 1e15

const (
	picograms = 1e12
	twoTo64   = 1 << 64
)

// mass is a number of picograms. 128 bits hold 3·10²⁶ g: 3·10¹¹ bookings of
// MaxGrams, so sums are not checked for overflow. The resolution is what 1 µs at 1 W
// emits on a grid of 4 g/kWh.
type mass struct{ hi, lo uint64 }

// massOf rounds grams between 0 and MaxGrams to the nearest picogram.
func massOf(grams float64) mass {
	v := math.Round(grams * picograms)
	hi := uint64(v / twoTo64)
	return mass{hi, uint64(v - float64(hi)*twoTo64)} // exact: v has 53 bits
}

func (m mass) grams() float64 { return (float64(m.hi)*twoTo64 + float64(m.lo)) / picograms }

func (m mass) plus(n mass) mass {
	lo, carry := bits.Add64(m.lo, n.lo, 0)
	hi, _ := bits.Add64(m.hi, n.hi, carry)
	return mass{hi, lo}
}

// minus needs n to be no more than m.
func (m mass) minus(n mass) mass {
	lo, borrow := bits.Sub64(m.lo, n.lo, 0)
	hi, _ := bits.Sub64(m.hi, n.hi, borrow)
	return mass{hi, lo}
}

func (m mass) compare(n mass) int {
	return cmp.Or(cmp.Compare(m.hi, n.hi), cmp.Compare(m.lo, n.lo))
}
