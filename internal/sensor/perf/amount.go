package perf

import (
	"math"
	"math/bits"

	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// A ratio is how many µJ one count is: num/den, den > 0.
type ratio struct{ num, den uint64 }

// An amount is an energy in µJ with the fraction below, so that any number of
// small steps adds up to the same as one large step.
type amount struct {
	whole unit.Microjoules
	rest  uint64 // of den
}

// step adds a step of the count. A step down, which the kernel passes on from
// hardware that corrects itself, takes away as much, down to 0 at the lowest: a
// fall below the beginning makes a new beginning.
func (a *amount) step(counts int64, r ratio) {
	if counts >= 0 {
		hi, lo := bits.Mul64(uint64(counts), r.num)
		lo, carry := bits.Add64(lo, a.rest, 0)
		q, rest := divide(hi+carry, lo, r.den)
		whole, over := bits.Add64(uint64(a.whole), q, 0)
		if over != 0 {
			whole = math.MaxUint64
		}
		*a = amount{unit.Microjoules(whole), rest}
		return
	}
	hi, lo := bits.Mul64(-uint64(counts), r.num) //nolint:gosec // the magnitude, also of the lowest
	q, rest := divide(hi, lo, r.den)
	if a.rest < rest {
		a.rest += r.den // no overflow: den is at most 2⁶³
		q++
	}
	if q > uint64(a.whole) {
		*a = amount{}
		return
	}
	*a = amount{a.whole - unit.Microjoules(q), a.rest - rest}
}

// divide is bits.Div64 with a largest quotient instead of a panic.
func divide(hi, lo, den uint64) (quo, rest uint64) {
	if hi >= den {
		return math.MaxUint64 - 1, 0
	}
	return bits.Div64(hi, lo, den)
}
