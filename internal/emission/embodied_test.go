package emission_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/internal/emission"
	"github.com/otelcarbon/otelcarbon/internal/tables"
)

const (
	hour      = time.Hour
	fourYears = 35_040 * time.Hour
)

func TestWater(t *testing.T) {
	for _, c := range []struct {
		name              string
		joules, wue, want float64
	}{
		{"one kWh at 1.8 L/kWh", 3.6e6, 1.8, 1.8},
		{"a watt hour at AWS's average of 2025", 3600, 0.12, 0.00012}, // 0.001 kWh × 0.12
		{"a site that uses none", 3.6e6, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.InEpsilon(t, 1+c.want, 1+emission.Water(c.joules, c.wue), 1e-15)
		})
	}
}

func TestCost(t *testing.T) {
	for _, c := range []struct {
		name                     string
		joules, pue, price, want float64
	}{
		{"one kWh at 0.30, no overhead", 3.6e6, 1, 0.30, 0.30},
		{"ten kWh behind a PUE of 1.5", 3.6e7, 1.5, 0.20, 3}, // 15 kWh on the bill
		{"power that is paid for taking it", 3.6e6, 1.25, -0.08, -0.1},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.InEpsilon(t, c.want, emission.Cost(c.joules, c.pue, c.price), 1e-15)
		})
	}
}

func TestEmbodied(t *testing.T) {
	for _, c := range []struct {
		name              string
		kg                float64
		lifetime, elapsed time.Duration
		share, half       float64
		want              emission.Range
	}{
		{"a device for all its life", 1000, fourYears, fourYears, 1, 0, emission.Range{Grams: 1e6, Lower: 1e6, Upper: 1e6}},
		// 1,752,000 g / 35,040 h = 50 g/h; ± 60 % are 30 g.
		{"an hour of a server", 1752, fourYears, hour, 1, 0.6, emission.Range{Grams: 50, Lower: 20, Upper: 80}},
		// 50 g/h × 1/6 h × 1/4 = 2.0833 g.
		{"ten minutes of a quarter of it", 1752, fourYears, 10 * time.Minute, 0.25, 0, emission.Range{Grams: 2.083333333, Lower: 2.083333333, Upper: 2.083333333}},
		// 164,000 g / 35,040 h = 4.680365 g/h; ± 15 % are 0.702055.
		{"an hour of an H100", 164, fourYears, hour, 1, 0.15, emission.Range{Grams: 4.680365297, Lower: 3.978310502, Upper: 5.382420091}},
		{"longer than it was meant to last", 1752, fourYears, 2 * fourYears, 1, 0, emission.Range{Grams: 3_504_000, Lower: 3_504_000, Upper: 3_504_000}},
		{"no time", 1752, fourYears, 0, 1, 0.6, emission.Range{}},
		{"no share", 1752, fourYears, hour, 0, 0.6, emission.Range{}},
		{"a device that cost nothing", 0, fourYears, hour, 1, 0.6, emission.Range{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := emission.Embodied(c.kg, c.lifetime, c.elapsed, c.share, c.half)
			assert.True(t, ok)
			assert.InEpsilon(t, 1+c.want.Grams, 1+got.Grams, 1e-9)
			assert.InEpsilon(t, 1+c.want.Lower, 1+got.Lower, 1e-9)
			assert.InEpsilon(t, 1+c.want.Upper, 1+got.Upper, 1e-9)
		})
	}
	for _, c := range []struct {
		name              string
		kg                float64
		lifetime, elapsed time.Duration
		share             float64
	}{
		{"no lifetime", 1000, 0, hour, 1},
		{"a negative lifetime", 1000, -hour, hour, 1},
		{"a clock that was set back", 1000, fourYears, -1, 1},
		{"a negative mass", -1, fourYears, hour, 1},
		{"an undefined mass", math.NaN(), fourYears, hour, 1},
		{"an infinite mass", math.Inf(1), fourYears, hour, 1},
		{"an infinite mass for no time", math.Inf(1), fourYears, 0, 1},
		{"a mass beyond all numbers", math.MaxFloat64, fourYears, hour, 1},
		{"more than the device", 1000, fourYears, hour, 1.01},
		{"a negative share", 1000, fourYears, hour, -0.1},
		{"an undefined share", 1000, fourYears, hour, math.NaN()},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := emission.Embodied(c.kg, c.lifetime, c.elapsed, c.share, 0.5)
			assert.False(t, ok)
			assert.Zero(t, got)
		})
	}
}

// Shares and intervals add up to the whole device.
func TestEmbodiedDoesNotDependOnHowTimeIsCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kg := rapid.Float64Range(0, 1e5).Draw(t, "kg")
		share := rapid.Float64Range(0, 1).Draw(t, "share")
		var sum emission.Range
		var elapsed time.Duration
		for _, s := range rapid.SliceOfN(rapid.IntRange(0, 1e6), 1, 20).Draw(t, "seconds") {
			elapsed += time.Duration(s) * time.Second
			for _, part := range []float64{share, 1 - share} {
				r, ok := emission.Embodied(kg, fourYears, time.Duration(s)*time.Second, part, 0.6)
				if !ok {
					t.Fatalf("share %v is refused", part)
				}
				sum.Add(r)
			}
		}
		whole, _ := emission.Embodied(kg, fourYears, elapsed, 1, 0.6)
		for _, d := range []float64{sum.Grams - whole.Grams, sum.Lower - whole.Lower, sum.Upper - whole.Upper} {
			if math.Abs(d) > 1e-12*(whole.Upper+1) {
				t.Fatalf("parts give %+v, the whole %+v", sum, whole)
			}
		}
	})
}

func TestEmbodiedWidths(t *testing.T) {
	ws := emission.EmbodiedWidths()
	require.NoError(t, ws.Check())
	assert.Equal(t, 0.15, ws.Power(tables.EmbodiedFootprint, "")) //nolint:testifylint // copied, not computed
	assert.Equal(t, 0.60, ws.Power(tables.EmbodiedScreening, "")) //nolint:testifylint // copied, not computed
	assert.Equal(t, 0.60, ws.Power("configured", ""))             //nolint:testifylint // copied, not computed
	for _, w := range ws {
		assert.NotEmpty(t, w.Source, "row %q names no source", w.Method)
	}
}

func TestSCI(t *testing.T) {
	// 900 g of running and 100 g embodied for 4,000 requests.
	got, ok := emission.SCI(900, 100, 4000)
	assert.True(t, ok)
	assert.Equal(t, 0.25, got) //nolint:testifylint // exact in binary
	got, ok = emission.SCI(0, 0, 10)
	assert.True(t, ok)
	assert.Zero(t, got)
	for _, c := range [][3]float64{
		{1, 1, 0},
		{0, 0, 0},
		{1, 1, -1},
		{1, 1, math.NaN()},
		{math.NaN(), 1, 1},
		{1, math.Inf(1), 1},
		{1, math.Inf(1), math.Inf(1)},
		{1, 1, 5e-324}, // more than a float64 holds
	} {
		got, ok := emission.SCI(c[0], c[1], c[2])
		assert.False(t, ok, "%v", c)
		assert.Zero(t, got)
	}
}

func TestEmbodiedAllocatesNothing(t *testing.T) {
	ws := emission.EmbodiedWidths()
	var total emission.Range
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		r, _ := emission.Embodied(1752, fourYears, hour, 0.25, ws.Power(tables.EmbodiedScreening, ""))
		total.Add(r)
		emission.SCI(total.Grams+emission.Water(1, 1)+emission.Cost(1, 1, 1), total.Grams, 7)
	}))
}

func BenchmarkEmbodied(b *testing.B) {
	b.ReportAllocs()
	var r emission.Range
	for b.Loop() {
		more, _ := emission.Embodied(1752, fourYears, time.Second, 0.25, 0.6)
		r.Add(more)
	}
}
