package perf

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

const megajoule unit.Microjoules = 1e12

func TestCompareC33(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name       string
		perf, rapl Increment
		relative   float64
		agree      bool
	}{
		// 100 J in 1 s each.
		{"C33 the same", Increment{"package-0", 100e6, s}, Increment{"package-0", 100e6, s}, 0, true},
		// 15.258 ÷ 15.2587890625 = 1 − 51.7 ppm.
		{"C33 unit of AMD cut by the kernel", Increment{"package-0", megajoule, 1000 * s}, Increment{"package-0", 999_948_288_000, 1000 * s}, 51.7e-6, true},
		{"C33 windows of different length, same power", Increment{"package-0", 100e6, s}, Increment{"package-0", 110e6, 1100 * time.Millisecond}, 0, true},
		{"C33 perf shows half", Increment{"package-0", 50e6, s}, Increment{"package-0", 100e6, s}, -0.5, false},
		{"C33 powercap shows half", Increment{"package-0", 100e6, s}, Increment{"package-0", 50e6, s}, 0.5, false},
		{"C33 powercap shows nothing", Increment{"package-0", 100e6, s}, Increment{"package-0", 0, s}, 1, false},
		{"C33 perf shows nothing", Increment{"package-0", 0, s}, Increment{"package-0", 100e6, s}, -1, false},
		{"C33 both show nothing", Increment{"package-0", 0, s}, Increment{"package-0", 0, s}, 0, true},
		// 9 J and 10 J: a step of 1 J is 10 %.
		{"C33 steps of 1 J", Increment{"psys", 9e6, s}, Increment{"psys", 10e6, s}, -0.1, true},
		{"C33 1 % more", Increment{"package-0", 1000e6, s}, Increment{"package-0", 990e6, s}, 0.01, true},
		{"C33 2 % more", Increment{"package-0", 1000e6, s}, Increment{"package-0", 980e6, s}, 0.02, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Compare([]Increment{c.perf}, []Increment{c.rapl})
			require.Len(t, got, 1)
			assert.InDelta(t, c.relative, got[0].Relative, 1e-6)
			assert.Equal(t, c.agree, got[0].Agree)
			assert.Equal(t, c.perf.Energy.Power(c.perf.Over), got[0].Perf)
			assert.Equal(t, c.rapl.Energy.Power(c.rapl.Over), got[0].RAPL)
		})
	}
}

func TestCompareC33LeavesOutWhatOnlyOneHas(t *testing.T) {
	got := Compare(
		[]Increment{{"psys", 1, time.Second}, {"package-1", 1, time.Second}, {"package-0", 1, time.Second}, {"", 1, time.Second}, {"new", 0, 0}},
		[]Increment{{"package-0", 1, time.Second}, {"package-0/dram", 1, time.Second}, {"package-1", 1, time.Second}, {"", 1, time.Second}, {"new", 0, 0}},
	)
	require.Len(t, got, 2)
	assert.Equal(t, "package-0", got[0].Same)
	assert.Equal(t, "package-1", got[1].Same)
	assert.Empty(t, Compare(nil, nil))
}

// Powercap of AMD wraps at 65 532 611 002 µJ between the second and the third tick; both
// count 100 J in each of three intervals.
func TestCheckC33SeesReadings(t *testing.T) {
	a := &sensor.Part{ID: "perf:package-0", Sensor: "perf", Same: "package-0"}
	b := &sensor.Part{ID: "rapl:package-0", Sensor: "rapl", Same: "package-0"}
	other := &sensor.Part{ID: "hwmon:x", Sensor: "hwmon", Same: "package-0"}
	var c Check
	assert.Empty(t, c.Differences())
	at := time.Now()
	const limit, modulus = 65_532_610_987, 65_532_611_002
	for i := range 4 {
		energy := unit.Microjoules(100_000_000 * i)
		c.Book([]sensor.Reading{
			{Part: a, At: at, Energy: energy},
			{Part: b, At: at.Add(time.Millisecond), Energy: (modulus - 150_000_000 + energy) % modulus, Max: limit},
			{Part: other, At: at, Energy: 7 * energy},
			{Part: &sensor.Part{ID: "perf:x", Sensor: "perf"}, At: at, Energy: energy},
			{Part: b, At: at, Kind: sensor.Gauge, Power: 3},
		})
		at = at.Add(time.Second)
	}
	assert.Equal(t, []Difference{{Same: "package-0", Perf: 100 * unit.Watt, RAPL: 100 * unit.Watt, Agree: true}}, c.Differences())
}
