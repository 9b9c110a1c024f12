package nvml

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

func TestSensor(t *testing.T) {
	sensortest.Run(t, func(t *testing.T) sensor.Sensor {
		t.Helper()
		old := pascal("GPU-c3")
		old.buffer = []powerSample{{stamp(time.Now()) - 1000, 100_000}}
		a := hopper("GPU-a1")
		a.uses, a.lists = []useSample{}, map[ProcessKind][]process{compute: {{pid: 7, instance: unallocated}}}
		return mustOpen(t, machine(a, hopper("GPU-b2"), old, pascal("GPU-d4")), Config{Processes: true})
	}, sensortest.Options{ZeroAlloc: true, MinReadings: 4})
}

func TestParts(t *testing.T) {
	unnamed := hopper("")
	r := mustOpen(t, machine(hopper("GPU-4a3b"), unnamed, pascal("GPU-c3")), Config{})
	rs, ps := read(t, r)
	require.Empty(t, ps)
	assert.Equal(t, &sensor.Part{
		ID: "nvml:GPU-4a3b", Name: "NVIDIA H100 80GB HBM3", Type: "gpu", Sensor: "nvml", Method: sensor.Measured,
		Socket: -1, Die: -1, Same: "gpu/GPU-4a3b", MaxPower: 1400 * unit.Watt, // twice the limit of 700 W
		Step: 140_000_000, Refresh: 100 * time.Millisecond, // µJ in 100 ms
	}, rs["nvml:GPU-4a3b"].Part)
	assert.Equal(t, "gpu/0000:3b:00.0", rs["nvml:0000:3b:00.0"].Part.Same, "without UUID by PCI address")
	assert.Equal(t, &sensor.Part{
		ID: "nvml:GPU-c3", Name: "Tesla P100-PCIE-16GB", Type: "gpu", Sensor: "nvml", Method: sensor.Integrated,
		Socket: -1, Die: -1, Same: "gpu/GPU-c3", MaxPower: 1000 * unit.Watt,
	}, rs["nvml:GPU-c3"].Part)
}

func TestOpenWithoutGPUs(t *testing.T) {
	for _, c := range []struct {
		name   string
		lib    *fakeLibrary
		absent bool
		class  sensor.Class
	}{
		{"C44_the library is missing", &fakeLibrary{init: libraryNotFound}, true, sensor.Absent},
		{"C44_the driver is not loaded", &fakeLibrary{init: driverNotLoaded}, true, sensor.Absent},
		{"C44_there is no device", &fakeLibrary{}, true, sensor.Absent},
		{"C44_library and driver differ", &fakeLibrary{init: versionMismatch}, false, sensor.IO},
		{"C44_the device files are not in the container", &fakeLibrary{init: noPermission}, false, sensor.Permission},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := open(c.lib, Config{})
			if c.absent {
				require.ErrorIs(t, err, errors.ErrUnsupported)
				assert.Nil(t, s)
			} else {
				require.NoError(t, err)
				_, err = s.Read(t.Context(), nil)
				require.NotErrorIs(t, err, errors.ErrUnsupported)
				require.NoError(t, s.Close())
			}
			var p *sensor.Problem
			require.ErrorAs(t, err, &p)
			assert.Equal(t, c.class, p.Class)
			if c.lib.init != success {
				assert.NotEmpty(t, p.Remedy)
			}
		})
	}
}

func TestDriverAppearsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lib := machine(hopper("GPU-a1"))
		lib.init = versionMismatch
		r := mustOpen(t, lib, Config{})
		_, ps := read(t, r)
		require.Contains(t, ps["nvmlInit"].Remedy, "restart this process")
		lib.init = success
		time.Sleep(time.Second)
		rs, ps := read(t, r)
		require.Empty(t, ps)
		require.Contains(t, rs, "nvml:GPU-a1")
	})
}

func TestCounter(t *testing.T) {
	t.Run("C46_a fall is seen as it is and counted as a reset", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := hopper("GPU-a1")
			r := mustOpen(t, machine(g), Config{})
			c := energy.NewCounter(energy.Limits{})
			advance := func() (energy.Delta, energy.Event) {
				rs, _ := read(t, r)
				x := rs["nvml:GPU-a1"]
				require.Zero(t, x.Max)
				return c.Advance(x.At, x.Energy)
			}
			advance()
			time.Sleep(time.Second)
			d, _ := advance()
			assert.EqualValues(t, 300_000_000, d.Energy) // 300 W for 1 s
			time.Sleep(time.Second)
			g.energy = drawing(300, 0) // the driver was loaded again
			_, event := advance()
			assert.Equal(t, energy.Held, event)
			time.Sleep(time.Second)
			d, event = advance()
			assert.True(t, event.Has(energy.Reset))
			assert.EqualValues(t, 300_000_000, d.Energy, "since the reset")
		})
	})
	t.Run("C47_equal reads within the update step are readings", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := hopper("GPU-a1")
			start := time.Now()
			g.energy = func() uint64 { return 300 * uint64(time.Since(start).Milliseconds()/100*100) }
			r := mustOpen(t, machine(g), Config{})
			rs, _ := read(t, r)
			p := rs["nvml:GPU-a1"].Part
			c := energy.NewCounter(energy.Limits{MaxPower: p.MaxPower, Step: p.Step})
			var sum unit.Microjoules
			for range 101 { // 0 to 1 s in steps of 10 ms
				rs, _ = read(t, r)
				require.Len(t, rs, 1)
				d, event := c.Advance(rs["nvml:GPU-a1"].At, rs["nvml:GPU-a1"].Energy)
				require.False(t, event.Has(energy.Held|energy.Gap), event)
				sum += d.Energy
				time.Sleep(10 * time.Millisecond)
			}
			assert.EqualValues(t, 300_000_000, sum) // 300 W for 1 s
		})
	})
	t.Run("a count beyond reason is no reading", func(t *testing.T) {
		g := hopper("GPU-a1")
		g.energy = func() uint64 { return 1 << 60 }
		rs, ps := read(t, mustOpen(t, machine(g), Config{}))
		assert.Empty(t, rs)
		assert.Equal(t, sensor.Malformed, ps["GPU-a1: energy"].Class)
	})
	t.Run("a counter that ceases to be is no reading", func(t *testing.T) {
		g := hopper("GPU-a1")
		r := mustOpen(t, machine(g), Config{})
		g.energy = nil
		rs, ps := read(t, r)
		assert.Empty(t, rs)
		assert.Equal(t, sensor.Gone, ps["GPU-a1: energy"].Class)
	})
}

func TestHandles(t *testing.T) {
	t.Run("C48_one handle fails and the others keep their names", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			lib := machine(hopper("GPU-a1"), hopper("GPU-b2"), hopper("GPU-c3"))
			lib.gpus[1].handle = noPermission
			r := mustOpen(t, lib, Config{})
			rs, ps := read(t, r)
			assert.Len(t, rs, 2)
			assert.Contains(t, rs, "nvml:GPU-c3")
			assert.Equal(t, sensor.Permission, ps["GPU 1"].Class)

			lib.gpus[0].handle, lib.gpus[1].handle = success, success
			time.Sleep(rescanInterval)
			again, ps := read(t, r)
			assert.Empty(t, ps)
			assert.Len(t, again, 3)
			assert.Same(t, rs["nvml:GPU-c3"].Part, again["nvml:GPU-c3"].Part)
		})
	})
	t.Run("C48_one GPU fails to answer and the others go on", func(t *testing.T) {
		lib := machine(hopper("GPU-a1"), hopper("GPU-b2"))
		r := mustOpen(t, lib, Config{})
		lib.gpus[0].health = noPermission
		rs, ps := read(t, r)
		assert.Len(t, rs, 1)
		require.Contains(t, ps, "GPU-a1: energy")
		_, again := read(t, r)
		assert.Same(t, ps["GPU-a1: energy"], again["GPU-a1: energy"], "a failure that lasts is one value")
		lib.gpus[0].health = success
		rs, ps = read(t, r)
		assert.Len(t, rs, 2)
		assert.Empty(t, ps)
	})
	t.Run("two GPUs with one UUID are counted once", func(t *testing.T) {
		rs, ps := read(t, mustOpen(t, machine(hopper("GPU-a1"), hopper("GPU-a1")), Config{}))
		assert.Len(t, rs, 1)
		assert.Equal(t, sensor.Malformed, ps["GPU 1"].Class)
	})
	t.Run("a GPU without any name is not counted", func(t *testing.T) {
		g := hopper("GPU-\x00")
		g.bus = "?"
		rs, ps := read(t, mustOpen(t, machine(g, hopper("GPU-b2")), Config{}))
		assert.Len(t, rs, 1)
		assert.Equal(t, sensor.Malformed, ps["GPU 0"].Class)
	})
}

func TestLost(t *testing.T) {
	for _, s := range []status{gpuIsLost, unknown, versionMismatch} {
		t.Run("C49_"+s.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lib := machine(hopper("GPU-a1"), hopper("GPU-b2"))
				r := mustOpen(t, lib, Config{})
				before, _ := read(t, r)
				start := time.Now()
				lib.inits = nil
				lib.gpus[1].health = s
				lib.gpus[1].handle = s
				// Every second for 25 minutes: retried after 1, 2, 4 … 256, 300, 300 s.
				for range 25 * 60 {
					rs, ps := read(t, r)
					require.Len(t, rs, 1, "the other one goes on")
					require.NotEmpty(t, ps)
					time.Sleep(time.Second)
				}
				var after []time.Duration
				for _, at := range lib.inits {
					after = append(after, at.Sub(start))
				}
				assert.Equal(t, []time.Duration{
					1 * time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second, 31 * time.Second, 63 * time.Second,
					127 * time.Second, 255 * time.Second, 511 * time.Second, 811 * time.Second, 1111 * time.Second, 1411 * time.Second,
				}, after)
				assert.Equal(t, len(after), lib.shut)

				lib.gpus[1].health, lib.gpus[1].handle = success, success
				time.Sleep(5 * time.Minute)
				rs, ps := read(t, r)
				assert.Empty(t, ps)
				assert.Same(t, before["nvml:GPU-b2"].Part, rs["nvml:GPU-b2"].Part)

				// After a quiet time the back-off begins anew.
				time.Sleep(10 * time.Minute)
				read(t, r)
				lib.inits = nil
				lib.gpus[0].health = s
				read(t, r)
				lib.gpus[0].health = success
				time.Sleep(time.Second)
				read(t, r)
				assert.Len(t, lib.inits, 1)
			})
		})
	}
	t.Run("C49_an unknown error of what energy does not need", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := hopper("GPU-a1")
			g.privilege, g.migStatus = unknown, unknown
			lib := machine(g)
			r := mustOpen(t, lib, Config{Processes: true})
			for range 10 {
				rs, ps := read(t, r)
				require.Len(t, rs, 1)
				require.Len(t, ps, 2)
				time.Sleep(time.Minute)
			}
			assert.Len(t, lib.inits, 1)
		})
	})
	t.Run("C49_a GPU that is no longer counted is reported and comes back", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			lib := machine(hopper("GPU-a1"), hopper("GPU-b2"))
			r := mustOpen(t, lib, Config{})
			lib.gpus[1].health, lib.hidden = gpuIsLost, 1
			read(t, r)
			time.Sleep(time.Second)
			rs, ps := read(t, r)
			assert.Len(t, rs, 1)
			assert.Equal(t, sensor.Gone, ps["GPU-b2"].Class)
			lib.gpus[1].health, lib.hidden = success, 0
			time.Sleep(5 * time.Minute)
			rs, ps = read(t, r)
			assert.Len(t, rs, 2)
			assert.Empty(t, ps)
		})
	})
}
