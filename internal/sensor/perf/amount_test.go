package perf

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// 10⁶ ÷ 2³² = 15625 ÷ 2²⁶: 10⁶ = 2⁶ × 15625.
func power() ratio { return ratio{15625, 1 << 26} }

func TestAmount(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []int64
		want  amount
	}{
		{"1 J", []int64{1 << 32}, amount{whole: 1_000_000}},
		{"one count is 0.00023 µJ", []int64{1}, amount{0, 15625}},
		// A unit of Intel, 2⁻¹⁴ J = 61.035 15625 µJ; 0.03515625 × 2²⁶ = 2 359 296.
		{"one unit of Intel", []int64{1 << 18}, amount{61, 2_359_296}},
		{"16384 units of Intel are 1 J to the last digit", repeat(1<<18, 16384), amount{whole: 1_000_000}},
		{"65536 units of AMD are 1 J to the last digit", repeat(1<<16, 65536), amount{whole: 1_000_000}},
		{"C7 700 J up and down again", []int64{100 << 32, 700 << 32, -700 << 32}, amount{whole: 100_000_000}},
		{"a fall of a fraction borrows", []int64{1 << 32, -1}, amount{999_999, 1<<26 - 15625}},
		{"C6 a fall below the beginning is a new beginning", []int64{5 << 32, -700 << 32, 3 << 32}, amount{whole: 3_000_000}},
		{"a fall by less than a count's µJ below the beginning", []int64{1, -2}, amount{}},
		{"the deepest fall", []int64{math.MinInt64}, amount{}},
		// (2⁶³−1) × 2⁻³² J = 2³¹ J less one count: 2 147 483 648 000 000 µJ less 0.00023.
		{"the largest step", []int64{math.MaxInt64}, amount{2_147_483_647_999_999, 1<<26 - 15625}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var a amount
			for _, s := range c.steps {
				a.step(s, power())
			}
			assert.Equal(t, c.want, a)
		})
	}
}

func repeat(step int64, n int) []int64 {
	steps := make([]int64, n)
	for i := range steps {
		steps[i] = step
	}
	return steps
}

func TestAmountSaturates(t *testing.T) {
	var a amount
	a.step(math.MaxInt64, ratio{1_000_000, 1}) // 1 J for one count: 9.2 × 10²⁴ µJ
	assert.InDelta(t, float64(math.MaxUint64), float64(a.whole), 4)
	a.step(math.MaxInt64, ratio{1_000_000, 1})
	assert.Equal(t, unit.Microjoules(math.MaxUint64), a.whole)
	a.step(math.MinInt64, ratio{1_000_000, 1})
	assert.Less(t, a.whole, unit.Microjoules(2))
}

// Whatever the steps are, the sum is that of the steps, rounded down once.
func TestAmountNeverDrifts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := power()
		if rapid.Bool().Draw(t, "odd scale") {
			r = ratio{rapid.Uint64Range(1, 1<<62).Draw(t, "num"), rapid.Uint64Range(1<<55, 1<<63).Draw(t, "den")}
		}
		a, sum := amount{}, new(big.Int)
		for _, s := range rapid.SliceOf(rapid.Int64Range(-1<<40, 1<<45)).Draw(t, "steps") {
			a.step(s, r)
			if sum.Add(sum, big.NewInt(s)); sum.Sign() < 0 {
				sum.SetInt64(0)
			}
			want := new(big.Int).Mul(sum, new(big.Int).SetUint64(r.num))
			whole, rest := want.QuoRem(want, new(big.Int).SetUint64(r.den), new(big.Int))
			if whole.Uint64() != uint64(a.whole) || rest.Uint64() != a.rest {
				t.Fatalf("%d counts are %d µJ and %d, want %d and %d of %d", sum, a.whole, a.rest, whole, rest, r.den)
			}
		}
	})
}
