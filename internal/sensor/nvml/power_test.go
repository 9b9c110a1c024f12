package nvml

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

func TestSource(t *testing.T) {
	powers := func(average, instant, usage uint64) *fakeGPU {
		g := &fakeGPU{uuid: "GPU-a1", arch: ampere, migStatus: notSupported, fields: map[[2]uint32]uint64{}}
		if average > 0 {
			g.fields[[2]uint32{fieldPowerAverage, scopeGPU}] = average
		}
		if instant > 0 {
			g.fields[[2]uint32{fieldPowerInstant, scopeGPU}] = instant
		}
		if usage > 0 {
			g.power = func() uint32 { return uint32(usage) }
		}
		return g
	}
	for _, c := range []struct {
		name string
		gpu  *fakeGPU
		arch architecture
		want unit.Microwatts
	}{
		{"C54_Ampere and newer: the mean of a second", powers(250_000, 251_000, 252_000), ampere, 250 * unit.Watt},
		{"C54_GA100 has no mean: the power now", powers(0, 251_000, 252_000), ampere, 251 * unit.Watt},
		{"C54_before Ampere a mean is not believed", powers(250_000, 251_000, 252_000), 6, 251 * unit.Watt},
		{"C54_an old driver without fields: what it calls usage", powers(0, 0, 252_000), 4, 252 * unit.Watt},
		{"C54_an unknown architecture: the power now", powers(250_000, 251_000, 0), 0, 251 * unit.Watt},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.gpu.arch = c.arch
			rs, ps := read(t, mustOpen(t, machine(c.gpu), Config{}))
			require.Empty(t, ps)
			got := rs["nvml:GPU-a1"]
			assert.Equal(t, sensor.Gauge, got.Kind)
			assert.Equal(t, sensor.Integrated, got.Part.Method)
			assert.Equal(t, c.want, got.Power)
		})
	}
	t.Run("nothing at all is a problem, not 0 W", func(t *testing.T) {
		rs, ps := read(t, mustOpen(t, machine(powers(0, 0, 0)), Config{}))
		assert.Empty(t, rs)
		assert.Equal(t, sensor.Absent, ps["GPU-a1: energy"].Class)
	})
	t.Run("a power beyond reason is no reading", func(t *testing.T) {
		rs, ps := read(t, mustOpen(t, machine(powers(0, math.MaxUint64, 0)), Config{}))
		assert.Empty(t, rs)
		assert.Equal(t, sensor.Malformed, ps["GPU-a1: energy"].Class)
	})
	t.Run("a GPU that fails at first is decided later", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := hopper("GPU-a1")
			g.health = notReady
			r := mustOpen(t, machine(g), Config{})
			rs, _ := read(t, r)
			require.Empty(t, rs)
			g.health = success
			rs, ps := read(t, r)
			require.Empty(t, ps)
			assert.Equal(t, sensor.Measured, rs["nvml:GPU-a1"].Part.Method)
		})
	})
}

func TestSamples(t *testing.T) {
	t.Run("C45_Pascal: samples are integrated by trapezoids", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			now := stamp(time.Now())
			g := pascal("GPU-c3")
			g.buffer = []powerSample{{now - 40_000, 90_000}, {now - 20_000, 100_000}}
			r := mustOpen(t, machine(g), Config{})
			first, _ := read(t, r)
			from := first["nvml:GPU-c3"]
			require.Equal(t, sensor.Counter, from.Kind)
			require.Equal(t, sensor.Integrated, from.Part.Method)

			time.Sleep(time.Second)
			// From the last one 100 W → 200 W in 1 s − 20 ms, out of order and one twice:
			// (100+160)/2 × 0.52 + (160+200)/2 × 0.46 = 67.6 + 82.8 = 150.4 J.
			g.buffer = append(g.buffer, powerSample{now + 960_000, 200_000}, powerSample{now + 500_000, 160_000}, powerSample{now + 960_000, 200_000})
			rs, ps := read(t, r)
			require.Empty(t, ps)
			assert.EqualValues(t, 150_400_000, rs["nvml:GPU-c3"].Energy-from.Energy)

			// C47: nothing new gives the same count again.
			time.Sleep(20 * time.Millisecond)
			again, ps := read(t, r)
			require.Empty(t, ps)
			assert.Equal(t, rs["nvml:GPU-c3"].Energy, again["nvml:GPU-c3"].Energy)
			assert.True(t, again["nvml:GPU-c3"].At.After(rs["nvml:GPU-c3"].At))
		})
	})
	t.Run("what is below a µJ is carried", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			now := stamp(time.Now())
			g := pascal("GPU-c3")
			g.buffer = []powerSample{{now, 1}} // 1 mW
			r := mustOpen(t, machine(g), Config{})
			rs, _ := read(t, r)
			from := rs["nvml:GPU-c3"].Energy
			for i := range uint64(1000) { // a third of a µJ each: 333 µs × 1 mW
				g.buffer = []powerSample{{now + 333*(i+1), 1}}
				rs, _ = read(t, r)
			}
			assert.EqualValues(t, 333, rs["nvml:GPU-c3"].Energy-from) // 0.333 s × 1 mW
		})
	})
	t.Run("silence is no 0 W", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := pascal("GPU-c3")
			g.buffer = []powerSample{{stamp(time.Now()), 100_000}}
			r := mustOpen(t, machine(g), Config{})
			read(t, r)
			time.Sleep(silence + time.Second)
			rs, ps := read(t, r)
			assert.Empty(t, rs)
			require.ErrorContains(t, ps["GPU-c3: energy"], "no new samples")

			g.buffer = append(g.buffer, powerSample{stamp(time.Now()), 100_000})
			rs, ps = read(t, r)
			assert.Len(t, rs, 1)
			require.ErrorContains(t, ps["GPU-c3: energy"], "not counted", "31 s are not bridged")
			_, ps = read(t, r)
			assert.Empty(t, ps)
		})
	})
	t.Run("stamps of the future and absurd powers are left out", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			now := stamp(time.Now())
			g := pascal("GPU-c3")
			g.buffer = []powerSample{{now, 100_000}}
			r := mustOpen(t, machine(g), Config{})
			rs, _ := read(t, r)
			from := rs["nvml:GPU-c3"].Energy
			time.Sleep(time.Second)
			g.buffer = []powerSample{{now + 500_000, math.MaxUint64}, {now + 1_000_000, 100_000}, {now + 3_600_000_000, 100_000}, {math.MaxUint64, 1}}
			rs, ps := read(t, r)
			require.Empty(t, ps)
			assert.EqualValues(t, 100_000_000, rs["nvml:GPU-c3"].Energy-from) // 100 W for 1 s
		})
	})
	t.Run("a clock set back begins anew", func(t *testing.T) {
		n := &integral{gauge: energy.NewGauge(silence)}
		now := time.Now()
		n.add([]powerSample{{stamp(now), 100_000}, {stamp(now) + 1_000_000, 100_000}}, now)
		require.EqualValues(t, 100_000_000, n.total)
		back := now.Add(-time.Hour)
		n.add([]powerSample{{stamp(back), 100_000}, {stamp(back) + 2_000_000, 100_000}}, back)
		assert.EqualValues(t, 300_000_000, n.total) // 2 s more
	})
}

func TestModule(t *testing.T) {
	grace := func() *fakeGPU {
		g := hopper("GPU-a1")
		g.name = "GH200 480GB"
		g.fields[[2]uint32{fieldPowerInstant, scopeModule}] = 650_000
		return g
	}
	t.Run("C55_the module is an envelope beside its GPU", func(t *testing.T) {
		r := mustOpen(t, machine(grace()), Config{})
		rs, ps := read(t, r)
		require.Empty(t, ps)
		require.Len(t, rs, 2)
		assert.Equal(t, sensor.Measured, rs["nvml:GPU-a1"].Part.Method)
		assert.Equal(t, sensor.Primary, rs["nvml:GPU-a1"].Part.Role)
		m := rs["nvml:GPU-a1/module"]
		assert.Equal(t, &sensor.Part{
			ID: "nvml:GPU-a1/module", Name: "GH200 480GB module", Type: "other", Sensor: "nvml", Method: sensor.Integrated,
			Role: sensor.Envelope, Socket: -1, Die: -1, MaxPower: 4000 * unit.Watt,
		}, m.Part)
		assert.Equal(t, 650*unit.Watt, m.Power)
		assert.False(t, m.Part.Whole, "there may be more than one module")
	})
	t.Run("C55_the mean of a second comes first", func(t *testing.T) {
		g := grace()
		g.fields[[2]uint32{fieldPowerAverage, scopeModule}] = 600_000
		rs, _ := read(t, mustOpen(t, machine(g), Config{}))
		assert.Equal(t, 600*unit.Watt, rs["nvml:GPU-a1/module"].Power)
	})
	t.Run("C55_its failure leaves the GPU alone", func(t *testing.T) {
		g := grace()
		r := mustOpen(t, machine(g), Config{})
		read(t, r)
		delete(g.fields, [2]uint32{fieldPowerInstant, scopeModule})
		rs, ps := read(t, r)
		assert.Len(t, rs, 1)
		assert.Contains(t, ps, "GPU-a1: module power")
	})
}
