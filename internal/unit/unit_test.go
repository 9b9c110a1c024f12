package unit_test

import (
	"math"
	"testing"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/unit"
)

func TestPowerOverTimeIsEnergy(t *testing.T) {
	for _, c := range []struct {
		p    unit.Microwatts
		d    time.Duration
		want unit.Microjoules
	}{
		{100 * unit.Watt, time.Second, 100_000_000},
		{1, time.Second - 1, 0},          // rounded down
		{3, 1_500 * time.Millisecond, 4}, // 4.5 µJ
		{unit.Watt, -time.Second, 0},
		{1000 * unit.Watt, 24 * time.Hour, 86_400_000_000_000},
		{math.MaxUint64, 2 * time.Second, math.MaxUint64}, // saturates
	} {
		if got := c.p.Over(c.d); got != c.want {
			t.Errorf("%d µW over %v = %d µJ, want %d", c.p, c.d, got, c.want)
		}
	}
}

func TestEnergyOverTimeIsPower(t *testing.T) {
	for _, c := range []struct {
		e    unit.Microjoules
		d    time.Duration
		want unit.Microwatts
	}{
		{100_000_000, time.Second, 100 * unit.Watt},
		{100_000_000, 10 * time.Second, 10 * unit.Watt},
		{1, 0, 0},
		{math.MaxUint64, 1, math.MaxUint64},
	} {
		if got := c.e.Power(c.d); got != c.want {
			t.Errorf("%d µJ over %v = %d µW, want %d", c.e, c.d, got, c.want)
		}
	}
}

func TestConversionsRefuseNonsense(t *testing.T) {
	for v, want := range map[float64]unit.Microjoules{
		1.5: 1_500_000, 0: 0, -1: 0, math.Inf(1): math.MaxUint64, math.Inf(-1): 0, 1e-7: 0, 6e-7: 1,
	} {
		if got := unit.FromJoules(v); got != want {
			t.Errorf("FromJoules(%g) = %d, want %d", v, got, want)
		}
	}
	if got := unit.FromWatts(math.NaN()); got != 0 {
		t.Errorf("FromWatts(NaN) = %d, want 0", got)
	}
	if got := unit.Microjoules(2_500_000).Joules(); got != 2.5 {
		t.Errorf("Joules = %g, want 2.5", got)
	}
	if got := unit.FromWatts(2.5).Watts(); got != 2.5 {
		t.Errorf("Watts = %g, want 2.5", got)
	}
}
