package emission_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/internal/emission"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

func TestGrams(t *testing.T) {
	for _, c := range []struct {
		name                    string
		joules, pue, gramsPerKW float64
		want                    float64
	}{
		{"one kWh behind a PUE of 1.2 at 250 g/kWh", 3.6e6, 1.2, 250, 300},
		{"half a kWh, no overhead, world average", 1.8e6, 1, 473.01, 236.505},
		{"a watt hour in Quebec", 3600, 1.19, 1.7, 0.002023}, // 0.001 kWh × 1.19 × 1.7
		{"a carbon-free grid", 3.6e6, 1.5, 0, 0},
		{"no energy", 0, 1.2, 250, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.InEpsilon(t, c.want+1, emission.Grams(c.joules, c.pue, c.gramsPerKW)+1, 1e-12)
		})
	}
}

func TestGramsIsExactWhereTheNumbersAre(t *testing.T) {
	assert.Equal(t, 300.0, emission.Grams(3.6e6, 1.2, 250)) //nolint:testifylint // exactness is the point
}

func TestAround(t *testing.T) {
	for _, c := range []struct {
		name         string
		grams, half  float64
		lower, upper float64
	}{
		{"± 25 % of 300 g", 300, 0.25, 225, 375},
		{"exactly known", 300, 0, 300, 300},
		{"a range wider than the value is clipped at 0", 100, 1.5, 0, 250},
		{"a negative half-width counts as none", 100, -1, 100, 100},
		{"an undefined half-width counts as none", 100, math.NaN(), 100, 100},
		{"nothing has no range", 0, 0.35, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, emission.Range{Grams: c.grams, Lower: c.lower, Upper: c.upper}, emission.Around(c.grams, c.half))
		})
	}
}

func TestBoundsAddLikeTheAmounts(t *testing.T) {
	var total emission.Range
	total.Add(emission.Around(100, 0.5)) // 50 … 150
	total.Add(emission.Around(200, 0.1)) // 180 … 220
	assert.Equal(t, emission.Range{Grams: 300, Lower: 230, Upper: 370}, total)
}

func TestCombine(t *testing.T) {
	assert.InDelta(t, 0.5, emission.Combine(0.3, 0.4), 1e-15) // 3-4-5
	assert.InDelta(t, 0.35, emission.Combine(0, 0.35), 0)
	// A measured package on a yearly table: √(0.07² + 0.35²) = √0.1274.
	assert.InDelta(t, 0.356931, emission.Combine(0.07, 0.35), 1e-6)
}

func TestPowerHalfWidths(t *testing.T) {
	ws := emission.DefaultWidths()
	require.NoError(t, ws.Check())
	for _, c := range []struct {
		name           string
		method, sensor string
		want           float64
	}{
		{"a counter", names.MethodMeasured, names.SensorRAPL, 0.07},
		{"a gauge", names.MethodIntegrated, names.SensorHwmon, 0.35},
		{"a model", names.MethodModelled, names.SensorModel, 0.60},
		{"a method nobody knows is no better than a model", "guessed", "oracle", 0.60},
		{"a point without attributes", "", "", 0.60},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, ws.Power(c.method, c.sensor)) //nolint:testifylint // copied, not computed
		})
	}
	for _, w := range ws {
		assert.NotEmpty(t, w.Source, "row %q %q names no source", w.Method, w.Sensor)
	}
}

func TestPowerHalfWidthsAreConfigurable(t *testing.T) {
	ws := emission.DefaultWidths()
	mine := ws.With(emission.Width{Method: "measured", Sensor: "rapl", Half: 0.02}).
		With(emission.Width{Method: "modelled", Half: 0.9})
	assert.Equal(t, 0.02, mine.Power("measured", "rapl"))  //nolint:testifylint // copied, not computed
	assert.Equal(t, 0.07, mine.Power("measured", "nvml"))  //nolint:testifylint // copied, not computed
	assert.Equal(t, 0.9, mine.Power("modelled", "model"))  //nolint:testifylint // copied, not computed
	assert.Equal(t, 0.07, ws.Power("measured", "rapl"))    //nolint:testifylint // With copies
	assert.Zero(t, emission.Widths(nil).Power("any", "x")) // no table, no range
	for _, h := range []float64{-0.1, math.NaN(), math.Inf(1)} {
		require.ErrorContains(t, ws.With(emission.Width{Method: "measured", Half: h}).Check(), `"measured"`)
	}
}

func TestLookUpAllocatesNothing(t *testing.T) {
	ws := emission.DefaultWidths()
	var r emission.Range
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		r.Add(emission.Around(emission.Grams(10, 1.2, 250), emission.Combine(ws.Power("modelled", "model"), 0.35)))
	}))
}

// Adding up the ranges of any parts of an energy gives the range of the whole.
func TestRangeDoesNotDependOnHowEnergyIsCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.Float64Range(0, 1e9), 1, 20).Draw(t, "parts")
		half := rapid.Float64Range(0, 3).Draw(t, "half")
		var sum emission.Range
		var joules float64
		for _, p := range parts {
			joules += p
			sum.Add(emission.Around(emission.Grams(p, 1.3, 400), half))
		}
		whole := emission.Around(emission.Grams(joules, 1.3, 400), half)
		for _, d := range []float64{sum.Grams - whole.Grams, sum.Lower - whole.Lower, sum.Upper - whole.Upper} {
			if math.Abs(d) > 1e-12*(whole.Upper+1) {
				t.Fatalf("parts give %+v, the whole %+v", sum, whole)
			}
		}
		if sum.Lower < 0 || sum.Lower > sum.Grams || sum.Grams > sum.Upper {
			t.Fatalf("bounds out of order: %+v", sum)
		}
	})
}

func BenchmarkAround(b *testing.B) {
	ws := emission.DefaultWidths()
	b.ReportAllocs()
	var r emission.Range
	for b.Loop() {
		r.Add(emission.Around(emission.Grams(10, 1.2, 250), emission.Combine(ws.Power("measured", "rapl"), 0.35)))
	}
}
