package energy_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

func TestSplit(t *testing.T) {
	const huge = math.MaxUint64
	for _, c := range []struct {
		name    string
		total   unit.Microjoules
		weights []uint64
		want    []unit.Microjoules
		rest    unit.Microjoules
	}{
		{"worked check: 40 J by 1.2, 0.6 and 1.2 CPU seconds", 40 * j, []uint64{1200, 600, 1200}, []unit.Microjoules{16 * j, 8 * j, 16 * j}, 0},
		// 10/3 each: 3, and the one left goes to the first of three equal remainders.
		{"equal remainders go by index", 10, []uint64{1, 1, 1}, []unit.Microjoules{4, 3, 3}, 0},
		{"two left over three", 11, []uint64{7, 7, 7}, []unit.Microjoules{4, 4, 3}, 0},
		// 5·1/9 = 0 r 5, 5·3/9 = 1 r 6, 5·5/9 = 2 r 7: two left, to 7 and 6.
		{"largest remainders first", 5, []uint64{1, 3, 5}, []unit.Microjoules{0, 2, 3}, 0},
		{"C59 all weights 0", 77, []uint64{0, 0}, []unit.Microjoules{0, 0}, 77},
		{"C59 nobody there", 77, nil, []unit.Microjoules{}, 77},
		{"C59 nothing to divide", 0, []uint64{1, 2}, []unit.Microjoules{0, 0}, 0},
		{"a weight of 0 gets nothing", 10, []uint64{0, 3, 0}, []unit.Microjoules{0, 10, 0}, 0},
		{"fewer µJ than workloads", 2, []uint64{5, 5, 6, 5}, []unit.Microjoules{1, 0, 1, 0}, 0},
		// The product needs 128 bits: (2⁶⁴−1)·2⁶² ÷ 2⁶³ = 2⁶³ − ½ each.
		{"C59 products beyond 64 bits", huge, []uint64{1 << 62, 1 << 62}, []unit.Microjoules{1 << 63, 1<<63 - 1}, 0},
		// Σ = 3·(2⁶⁴−1): a third of 10 each.
		{"sum beyond 64 bits", 10, []uint64{huge, huge, huge}, []unit.Microjoules{4, 3, 3}, 0},
		// Σ = 2⁶⁴: 7·(2⁶⁴−1) ÷ 2⁶⁴ is just below 7, 7 ÷ 2⁶⁴ just above 0: the larger remainder wins.
		{"sum of exactly 2⁶⁴", 7, []uint64{1, huge}, []unit.Microjoules{0, 7}, 0},
		{"sum of 2⁶⁴−1", huge, []uint64{huge - 1, 1}, []unit.Microjoules{huge - 1, 1}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			into := make([]unit.Microjoules, len(c.weights))
			for i := range into {
				into[i] = 99 // what was there before does not matter
			}
			rest := energy.Split(into, c.total, c.weights)
			if diff := cmp.Diff(c.want, into); diff != "" || rest != c.rest {
				t.Errorf("Split(%d, %v): rest %d, want %d\n%s", c.total, c.weights, rest, c.rest, diff)
			}
		})
	}
}

func TestSplitWithUnequalLengths(t *testing.T) {
	into := []unit.Microjoules{9, 9, 9}
	if rest := energy.Split(into, 10, []uint64{1, 1}); rest != 0 || !cmp.Equal(into, []unit.Microjoules{5, 5, 0}) {
		t.Errorf("more room than weights: %v, rest %d", into, rest)
	}
	if rest := energy.Split(into[:1], 10, []uint64{1, 1}); rest != 0 || into[0] != 10 {
		t.Errorf("less room than weights: %v, rest %d", into[:1], rest)
	}
}

func weightsOf(t *rapid.T) []uint64 {
	w := rapid.OneOf(
		rapid.Uint64Range(0, 3), rapid.Uint64Range(0, 10_000_000), rapid.SampledFrom([]uint64{0, 1, math.MaxUint64, 1 << 63}), rapid.Uint64(),
	)
	small := rapid.OneOf(rapid.Uint64Range(0, 3), rapid.Uint64Range(0, 10_000_000))
	if rapid.Bool().Draw(t, "small") {
		w = small
	}
	n := rapid.OneOf(rapid.IntRange(1, 5), rapid.IntRange(1, 300)).Draw(t, "n")
	return rapid.SliceOfN(w, n, n).Draw(t, "weights")
}

func TestPropertySplitIsExactAndFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := weightsOf(t)
		total := rapid.OneOf(rapid.Uint64Range(0, 1000), rapid.Uint64Range(0, 1e12), rapid.Uint64()).Draw(t, "total")
		into := make([]unit.Microjoules, len(weights))
		rest := energy.Split(into, unit.Microjoules(total), weights)

		sum, given := new(big.Int), new(big.Int).SetUint64(uint64(rest))
		for i, w := range weights {
			sum.Add(sum, new(big.Int).SetUint64(w))
			given.Add(given, new(big.Int).SetUint64(uint64(into[i])))
		}
		if given.Cmp(new(big.Int).SetUint64(total)) != 0 {
			t.Fatalf("Σ = %v, want %d", given, total)
		}
		if sum.Sign() == 0 {
			if uint64(rest) != total {
				t.Fatalf("rest = %d, want all of %d", rest, total)
			}
			return
		}
		if rest != 0 {
			t.Fatalf("rest = %d", rest)
		}
		// |Eᵢ − E·wᵢ/W| < 1, in whole numbers: |Eᵢ·W − E·wᵢ| < W. And who is rounded up has
		// no smaller remainder than who is not, and on a tie the lower index.
		var up, down *big.Int
		var lastUp, firstDown int
		for i, w := range weights {
			exact := new(big.Int).Mul(new(big.Int).SetUint64(total), new(big.Int).SetUint64(w))
			got := new(big.Int).Mul(new(big.Int).SetUint64(uint64(into[i])), sum)
			if new(big.Int).Abs(got.Sub(got, exact)).Cmp(sum) >= 0 {
				t.Fatalf("share %d = %d is 1 µJ or more away", i, into[i])
			}
			r := new(big.Int).Mod(exact, sum)
			switch rounded := got.Sign() > 0; {
			case rounded && (up == nil || r.Cmp(up) <= 0):
				up, lastUp = r, i
			case !rounded && (down == nil || r.Cmp(down) > 0):
				down, firstDown = r, i
			}
		}
		if up != nil && down != nil {
			if c := up.Cmp(down); c < 0 || c == 0 && lastUp > firstDown {
				t.Fatalf("%d rounded up with remainder %v, %d down with %v", lastUp, up, firstDown, down)
			}
		}
	})
}

// Whatever order a map gave the workloads in: sorted by id the shares are the
// same, and unsorted at most who gets the last µJ among equals differs.
func TestPropertySplitDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := weightsOf(t)
		total := unit.Microjoules(rapid.Uint64Range(0, 1e12).Draw(t, "total"))
		order := rapid.Permutation(indices(len(weights))).Draw(t, "order")
		shuffled := make([]uint64, len(weights))
		for to, from := range order {
			shuffled[to] = weights[from]
		}
		a, b := make([]unit.Microjoules, len(weights)), make([]unit.Microjoules, len(weights))
		energy.Split(a, total, weights)
		energy.Split(b, total, shuffled)

		// Per weight the shares are the same multiset, so their sum is, unless two
		// different weights have the same remainder; then they differ by 1 µJ a share.
		for to, from := range order {
			if d := int64(a[from] - b[to]); d < -1 || d > 1 {
				t.Fatalf("weight %d: %d or %d", weights[from], a[from], b[to])
			}
		}
		distinct := map[uint64]bool{}
		for _, w := range weights {
			r := remainder(uint64(total), w, weights)
			if distinct[r] {
				return
			}
			distinct[r] = true
		}
		for to, from := range order {
			if a[from] != b[to] {
				t.Fatalf("weight %d: %d or %d without a tie", weights[from], a[from], b[to])
			}
		}
	})
}

func indices(n int) []int {
	is := make([]int, n)
	for i := range is {
		is[i] = i
	}
	return is
}

// remainder returns the low bits of total·w mod Σ weights; equal values may be a tie.
func remainder(total, w uint64, weights []uint64) uint64 {
	sum := new(big.Int)
	for _, x := range weights {
		sum.Add(sum, new(big.Int).SetUint64(x))
	}
	if sum.Sign() == 0 {
		return 0
	}
	r := new(big.Int).Mul(new(big.Int).SetUint64(total), new(big.Int).SetUint64(w))
	return r.Mod(r, sum).Uint64()
}

func TestSplitAllocatesNothing(t *testing.T) {
	weights := make([]uint64, 2000)
	for i := range weights {
		weights[i] = uint64(i) * 7919 % 10_007
	}
	into := make([]unit.Microjoules, len(weights))
	if n := testing.AllocsPerRun(100, func() { energy.Split(into, 123_456_789, weights) }); n != 0 {
		t.Errorf("Split allocates %v times", n)
	}
}
