package energy

import (
	"cmp"
	"math/big"
	"math/bits"
	"slices"

	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// Split divides total among the weights: into[i] becomes total·weights[i] ÷ Σ
// weights, rounded down or up to a µJ such that Σ into + rest == total. The
// microjoules that rounding down leaves go to the largest remainders, on a tie
// to the lower index, so order the weights by a stable id. If all weights are 0,
// rest is the whole total and into is all zeros; otherwise rest is 0.
//
// into and weights should be of one length: elements of into beyond weights
// become 0, weights beyond into are not served. Split allocates nothing unless
// the weights add up to more than 2⁶⁴−1.
func Split(into []unit.Microjoules, total unit.Microjoules, weights []uint64) (rest unit.Microjoules) {
	n := min(len(into), len(weights))
	clear(into[n:])
	into, weights = into[:n], weights[:n]

	var sum, over uint64
	for _, w := range weights {
		var carry uint64
		sum, carry = bits.Add64(sum, w, 0)
		over += carry
	}
	switch {
	case over > 0:
		splitWide(into, total, weights)
		return 0
	case sum == 0:
		clear(into)
		return total
	}

	left := total
	for i, w := range weights {
		hi, lo := bits.Mul64(uint64(total), w)
		q, _ := bits.Div64(hi, lo, sum) // w ≤ sum, so hi < sum
		into[i] = unit.Microjoules(q)
		left -= into[i]
	}
	if left > 0 {
		giveOut(into, uint64(left), uint64(total), weights, sum)
	}
	return 0
}

// giveOut adds 1 µJ to the left shares that have the largest remainders; left is
// less than their number. It finds the smallest remainder that gets one digit by
// digit from the top, which needs no memory and no order: two or three passes.
func giveOut(into []unit.Microjoules, left, total uint64, weights []uint64, sum uint64) {
	// The products are known modulo 2⁶⁴, the remainder is less than that.
	remainder := func(i int) uint64 { return total*weights[i] - uint64(into[i])*sum }

	const digit = 8
	var found uint64 // the digits of the smallest remainder, found so far
	step := min(digit, bits.Len64(sum))
	shift := bits.Len64(sum) - step
	for {
		var count [1 << digit]uint64
		for i := range weights {
			if r := remainder(i) >> shift; r>>step == found {
				count[r&(1<<step-1)]++
			}
		}
		d := uint64(1)<<step - 1
		for ; left >= count[d]; d-- { // stops: all of them together are more than left
			left -= count[d]
		}
		found = found<<step | d
		if left == 0 || shift == 0 {
			break
		}
		step = min(digit, shift)
		shift -= step
	}
	for i := range weights {
		switch r := remainder(i) >> shift; {
		case r > found:
			into[i]++
		case r == found && left > 0:
			into[i]++
			left--
		}
	}
}

// splitWide is Split for weights whose sum does not fit 64 bits. No measured
// weight comes near that; it need only be right.
func splitWide(into []unit.Microjoules, total unit.Microjoules, weights []uint64) {
	type remainder struct {
		i int
		r *big.Int
	}
	sum, e := new(big.Int), new(big.Int).SetUint64(uint64(total))
	for _, w := range weights {
		sum.Add(sum, new(big.Int).SetUint64(w))
	}
	left := total
	remainders := make([]remainder, len(weights))
	for i, w := range weights {
		q, r := new(big.Int).SetUint64(w), new(big.Int)
		q.QuoRem(q.Mul(q, e), sum, r)
		into[i] = unit.Microjoules(q.Uint64())
		left -= into[i]
		remainders[i] = remainder{i, r}
	}
	slices.SortFunc(remainders, func(a, b remainder) int {
		return cmp.Or(b.r.Cmp(a.r), cmp.Compare(a.i, b.i))
	})
	for _, x := range remainders[:left] {
		into[x.i]++
	}
}
