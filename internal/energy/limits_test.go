package energy_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

func TestModulus(t *testing.T) {
	for _, c := range []struct {
		name      string
		max, want unit.Microjoules
		wrap      time.Duration // at 1 kW
	}{
		// max + max ÷ (2³²−1), rounded: 61.035, 15.3, 15.258 µJ and 1 J.
		{"C2 Intel package, 61 035 nJ", 262_143_328_850, 262_143_328_911, 262_143_328_911},
		{"C2 Intel package of older kernels, 2⁻¹⁴ J", 262_143_999_938, 262_143_999_999, 262_143_999_999},
		{"C2 Intel server DRAM, 15 300 nJ", 65_712_999_613, 65_712_999_628, 65_712_999_628},
		{"C2 AMD, 15 258 nJ", amdMax, amdM, amdM},
		{"C2 psys of 1 J", psysMax, 4_294_967_296_000_000, 4_294_967_296_000_000},
		{"C2 unit below 1 µJ still moves by one", 4_294_967, 4_294_968, 4_294_968},
		{"C2 a register of 1 µJ", 1<<32 - 1, 1 << 32, 1 << 32},
		{"C2 no register: µJ", 999_999_999, 1_000_000_000, 1_000_000_000},
		{"C2 one off a register: µJ", amdMax - 3, amdMax - 2, amdMax - 2},
		{"C4 missing", 0, 0, 0},
		{"C4 garbage 1", 1, 2, 2},
		{"C4 above 2⁶³", 1<<63 + 1, 1<<63 + 2, math.MaxInt64},
		{"C4 all ones", math.MaxUint64, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := energy.Limits{Max: c.max}
			assert.Equal(t, c.want, l.Modulus())
			// 1 kW is 1 µJ in 1 ns.
			assert.Equal(t, c.wrap, l.ShortestWrap())
		})
	}
}

func TestBoundHasAQuarterToSpare(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits energy.Limits
		d      time.Duration
		want   unit.Microjoules
	}{
		{"1 kW unless known", energy.Limits{}, s, 1251 * j},
		{"200 W for 2 s, steps of 1 J", energy.Limits{MaxPower: 200 * unit.Watt, Step: j}, 2 * s, 502 * j},
		{"a limit that no part reaches is an error of firmware", energy.Limits{MaxPower: math.MaxUint64}, s, 1251 * j},
		{"1 MW is the largest believed", energy.Limits{MaxPower: 1_000_000 * unit.Watt}, s, 1_250_001 * j},
		{"saturates", energy.Limits{Step: math.MaxUint64}, math.MaxInt64, math.MaxUint64},
	} {
		t.Run(c.name, func(t *testing.T) { assert.Equal(t, c.want, c.limits.Bound(c.d)) })
	}
}
