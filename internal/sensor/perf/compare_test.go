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

// views are the same package as perf and powercap show it.
func views() (a, b *sensor.Part) {
	return &sensor.Part{ID: "perf:package-0", Sensor: "perf", Same: "package-0"}, &sensor.Part{ID: "rapl:package-0", Sensor: "rapl", Same: "package-0"}
}

// Powercap of AMD wraps at 65 532 611 002 µJ between the second and the third tick; both
// count 100 J in each of four intervals of 10 s, of which three are a half minute.
func TestCheckC33SeesReadings(t *testing.T) {
	a, b := views()
	other := &sensor.Part{ID: "hwmon:x", Sensor: "hwmon", Same: "package-0"}
	var c Check
	assert.Empty(t, c.Differences())
	at := time.Now()
	const limit, modulus = 65_532_610_987, 65_532_611_002
	for i := range 5 {
		energy := unit.Microjoules(100_000_000 * i)
		news := c.Book([]sensor.Reading{
			{Part: a, At: at, Energy: energy},
			{Part: b, At: at.Add(time.Millisecond), Energy: (modulus - 150_000_000 + energy) % modulus, Max: limit},
			{Part: other, At: at, Energy: 7 * energy},
			{Part: &sensor.Part{ID: "perf:x", Sensor: "perf"}, At: at, Energy: energy},
			{Part: b, At: at, Kind: sensor.Gauge, Power: 3},
		})
		assert.Equal(t, i == 3, news, "tick %d", i)
		at = at.Add(10 * time.Second)
	}
	assert.Equal(t, []Difference{{Same: "package-0", Perf: 10 * unit.Watt, RAPL: 10 * unit.Watt, Agree: true}}, c.Differences())
}

// Powercap shows 100 W throughout. Perf may be read from second 100 on and shows 80 W,
// but for seconds 110 and 111: the window is that from 112 to 142.
func TestCheckC33ComparesTheFirstWindowThatBothAreReadIn(t *testing.T) {
	a, b := views()
	var c Check
	began := time.Now()
	var told []int
	for i := range 300 {
		at := began.Add(time.Duration(i) * time.Second)
		rs := []sensor.Reading{{Part: b, At: at, Energy: unit.Microjoules(100_000_000 * i), Max: 262_143_328_850}}
		if i >= 100 && i != 110 && i != 111 {
			rs = append(rs, sensor.Reading{Part: a, At: at, Energy: unit.Microjoules(80_000_000 * i)})
		}
		if c.Book(rs) {
			told = append(told, i)
		}
	}
	assert.Equal(t, []int{142}, told, "once")
	require.Len(t, c.Differences(), 1)
	d := c.Differences()[0]
	assert.Equal(t, [2]unit.Microwatts{80 * unit.Watt, 100 * unit.Watt}, [2]unit.Microwatts{d.Perf, d.RAPL})
	assert.InDelta(t, -0.2, d.Relative, 1e-9)
	assert.False(t, d.Agree)
}

// A second package comes up after the first was compared; a counter that began anew
// begins the window anew.
func TestCheckC33HasAWindowForEachPair(t *testing.T) {
	a0, b0 := views()
	a1, b1 := views()
	a1.Same, b1.Same = "package-1", "package-1"
	var c Check
	began := time.Now()
	told := map[int][]string{}
	for i := range 200 {
		at, e := began.Add(time.Duration(i)*time.Second), unit.Microjoules(50_000_000*i)
		rs := []sensor.Reading{{Part: a0, At: at, Energy: e}, {Part: b0, At: at, Energy: e, Max: 262_143_328_850}}
		if i >= 40 {
			rs = append(rs, sensor.Reading{Part: b1, At: at, Energy: e, Max: 262_143_328_850})
		}
		if i >= 50 {
			e := e
			if i >= 60 { // after a reset to 0, which takes two readings to be known
				e = unit.Microjoules(50_000_000 * (i - 60))
			}
			rs = append(rs, sensor.Reading{Part: a1, At: at, Energy: e})
		}
		if c.Book(rs) {
			for _, d := range c.Differences() {
				told[i] = append(told[i], d.Same)
				assert.True(t, d.Agree, "%+v", d)
			}
		}
	}
	assert.Equal(t, map[int][]string{30: {"package-0"}, 91: {"package-0", "package-1"}}, told)
}

func TestCheckAllocatesNothingOnceItKnows(t *testing.T) {
	a, b := views()
	alone := &sensor.Part{ID: "rapl:psys", Sensor: "rapl", Same: "psys"}
	var c Check
	now, n := time.Now(), 0
	rs := []sensor.Reading{{Part: a}, {Part: b, Max: 262_143_328_850}, {Part: alone}}
	tick := func() {
		n++
		for i := range rs {
			rs[i].At, rs[i].Energy = now.Add(time.Duration(n)*time.Second), unit.Microjoules(50_000_000*n)
		}
		c.Book(rs)
	}
	for range 40 {
		tick()
	}
	require.Len(t, c.Differences(), 1)
	assert.Zero(t, testing.AllocsPerRun(200, tick))
}
