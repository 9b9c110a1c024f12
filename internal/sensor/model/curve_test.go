package model

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// m5.large: 4.4, 7, 14.1 and 20 W at 0, 10, 50 and 100 %.
func m5() curve {
	return curve{points: []point{{0, 4_400_000}, {0.1, 7_000_000}, {0.5, 14_100_000}, {1, 20_000_000}}}
}

func TestCurveIsStraightBetweenItsPoints(t *testing.T) {
	c := m5()
	for _, x := range []struct {
		use  float64
		want unit.Microwatts
	}{
		{0, 4_400_000},
		{0.05, 5_700_000}, // half way from 4.4 to 7
		{0.1, 7_000_000},
		{0.3, 10_550_000}, // half way from 7 to 14.1
		{0.5, 14_100_000},
		{0.75, 17_050_000}, // half way from 14.1 to 20
		{1, 20_000_000},
		{1.5, 20_000_000},
		{-1, 4_400_000},
		{math.NaN(), 4_400_000},
		{math.Inf(1), 20_000_000},
	} {
		assert.Equal(t, x.want, c.at(x.use), "at %g", x.use)
	}
	assert.False(t, c.flat())
	assert.True(t, (&curve{points: line(5, 5)}).flat())
}

func TestCurveCheck(t *testing.T) {
	for name, points := range map[string][]point{
		"no point":         nil,
		"one point":        {{0, 1}},
		"no idle":          {{0.1, 1}, {1, 2}},
		"no full":          {{0, 1}, {0.5, 2}},
		"not rising":       {{0, 1}, {0.5, 2}, {0.5, 3}, {1, 4}},
		"more than a hall": {{0, 1}, {1, 1_000_000_000_001}},
	} {
		require.Error(t, (&curve{points: points}).check(), name)
	}
	c := m5()
	require.NoError(t, c.check())
}

func TestIntegratorCarriesWhatIsLessThanAMicrojoule(t *testing.T) {
	var s integrator
	s.add(3, 500*time.Millisecond) // 1.5 µJ
	assert.Equal(t, unit.Microjoules(1), s.energy)
	s.add(3, 500*time.Millisecond)
	assert.Equal(t, unit.Microjoules(3), s.energy)
	s = integrator{}
	s.add(unit.FromWatts(maxWatts), maxGap) // 1 MW for a day
	assert.Equal(t, unit.FromJoules(86.4e9), s.energy)
}

// Energy does not depend on how an interval is cut.
func TestIntegratorProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := unit.Microwatts(rapid.Uint64Range(0, 1e12).Draw(t, "µW"))
		var cut, whole integrator
		var total time.Duration
		for range rapid.IntRange(1, 20).Draw(t, "pieces") {
			d := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "ns"))
			cut.add(p, d)
			total += d
		}
		whole.add(p, total)
		if cut != whole {
			t.Fatalf("cut %+v, whole %+v", cut, whole)
		}
	})
}
