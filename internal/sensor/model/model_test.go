package model

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

func still(context.Context) (busy, capacity time.Duration, err error) { return 0, 0, nil }

// cpus scripts CPU times.
type cpus struct {
	busy, capacity time.Duration
	err            error
	calls          int
}

func (c *cpus) times(context.Context) (busy, capacity time.Duration, err error) {
	c.calls++
	return c.busy, c.capacity, c.err
}

// pass lets d go by, in which n CPUs are busy at the given share.
func (c *cpus) pass(d time.Duration, n int, use float64) {
	time.Sleep(d)
	c.capacity += time.Duration(n) * d
	c.busy += time.Duration(use * float64(time.Duration(n)*d))
}

// measured scripts what something else measures.
type measured map[string]bool

func (m measured) by(hwType string) bool { return m[hwType] }

// vm is an m5.large with 8 GiB: 4.4, 7, 14.1, 20 W, memory included; memory alone
// would be 8 × 0.392 = 3.136 W.
func vm() Host {
	return Host{CloudProvider: "aws", InstanceType: "m5.large", LogicalCPUs: 2, MemoryBytes: 8 << 30, Virtual: true}
}

// laptop has a TDP of 35 W, so 3.15 to 26.25 W without memory.
func laptop() Host {
	return Host{CPUModel: "AMD Ryzen 7 7840HS", LogicalCPUs: 16, Sockets: 1, MemoryBytes: 8 << 30}
}

// energies reads and returns the sums by part.
func energies(t *testing.T, s sensor.Sensor) map[string]unit.Microjoules {
	t.Helper()
	rs, err := s.Read(t.Context(), nil)
	require.NoError(t, err)
	sums := map[string]unit.Microjoules{}
	for _, r := range rs {
		assert.Equal(t, time.Now(), r.At)
		assert.Equal(t, sensor.Counter, r.Kind)
		sums[r.Part.ID] = r.Energy
	}
	return sums
}

type sums = map[string]unit.Microjoules

func TestReadIntegratesOverTheMeanUseOfEachInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cpus{busy: time.Hour, capacity: 10 * time.Hour} // since boot; not ours
		s, err := Open(Config{Times: c.times, Host: vm()})
		require.NoError(t, err)
		assert.Equal(t, sums{"model:cpu": 0}, energies(t, s), "the first read is the baseline")

		c.pass(10*time.Second, 2, 0.3) // 10.55 W
		assert.Equal(t, sums{"model:cpu": 105_500_000}, energies(t, s))

		c.pass(2*time.Second, 2, 0) // 4.4 W
		assert.Equal(t, sums{"model:cpu": 114_300_000}, energies(t, s))

		c.pass(time.Second, 2, 0.2) // a second at 0.2 and one at 0.8 have the mean 0.5: 14.1 W
		c.pass(time.Second, 2, 0.8)
		assert.Equal(t, sums{"model:cpu": 142_500_000}, energies(t, s))

		c.pass(time.Second, 1, 1) // C67 one CPU offline, the other busy: full use of what there is
		assert.Equal(t, sums{"model:cpu": 162_500_000}, energies(t, s))
	})
}

func TestMemoryIsAPartOfItsOwnWhereNothingElseContainsIt(t *testing.T) {
	for _, c := range []struct {
		name     string
		config   Config
		measured measured
		want     sums // after 10 idle seconds
	}{
		{"figures of whole servers contain it", Config{Host: vm()}, nil, sums{"model:cpu": 44_000_000}},
		{"a TDP does not", Config{Host: laptop()}, nil, sums{"model:cpu": 31_500_000, "model:memory": 31_360_000}},
		{"configured watts are taken to", Config{Host: laptop(), IdleWatts: 10, MaxWatts: 40}, nil, sums{"model:cpu": 100_000_000}},
		{"configured watts per GiB are always a part", Config{Host: vm(), MemoryWattsPerGiB: 0.5}, nil, sums{"model:cpu": 44_000_000, "model:memory": 40_000_000}},
		{"next to a measured CPU nothing contains it", Config{Host: vm()}, measured{"cpu": true}, sums{"model:memory": 31_360_000}},
		{"measured memory is left alone", Config{Host: laptop()}, measured{"memory": true}, sums{"model:cpu": 31_500_000}},
		{"measured, both are left alone", Config{Host: laptop(), MemoryWattsPerGiB: 0.5}, measured{"cpu": true, "memory": true}, sums{}},
		{"memory of unknown size is no part", Config{Host: Host{CPUModel: "AMD Ryzen 7 7840HS", LogicalCPUs: 16}}, nil, sums{"model:cpu": 31_500_000}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var x cpus
				c.config.Times, c.config.Measured = x.times, c.measured.by
				s, err := Open(c.config)
				require.NoError(t, err)
				energies(t, s)
				x.pass(10*time.Second, 2, 0)
				assert.Equal(t, c.want, energies(t, s))
			})
		})
	}
}

// The permission for RAPL is granted while we run: the CPU's model ends, and the
// memory that was inside it becomes a part from that moment on.
func TestAPartThatBecomesMeasuredIsLeftAloneForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var x cpus
		m := measured{}
		s, err := Open(Config{Times: x.times, Host: vm(), Measured: m.by})
		require.NoError(t, err)
		energies(t, s)
		x.pass(10*time.Second, 2, 0)
		assert.Equal(t, sums{"model:cpu": 44_000_000}, energies(t, s))

		m["cpu"] = true
		x.pass(10*time.Second, 2, 0)
		assert.Equal(t, sums{"model:cpu": 88_000_000, "model:memory": 0}, energies(t, s), "these 10 s are in the CPU's figure, and memory has its baseline")
		calls := x.calls
		m["cpu"] = false // the other sensor fails for a while
		x.pass(10*time.Second, 2, 0)
		assert.Equal(t, sums{"model:memory": 31_360_000}, energies(t, s))
		assert.Equal(t, calls, x.calls, "no CPU times are read for nothing")
	})
}

func TestAnIntervalWithoutCPUTimesIsMadeUpByTheNext(t *testing.T) {
	broken := &fs.PathError{Op: "open", Path: "/host/proc/stat", Err: syscall.EACCES}
	for _, c := range []struct {
		name   string
		within func(*cpus)
		err    sensor.Class // "" for none
	}{
		{"the times did not move", func(*cpus) {}, ""},
		{"the times began anew", func(x *cpus) { x.busy, x.capacity = 0, 0 }, ""},
		{"the times cannot be read", func(x *cpus) { x.err = broken }, sensor.Permission},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := cpus{busy: time.Hour, capacity: 2 * time.Hour}
				s, err := Open(Config{Times: x.times, Host: laptop()})
				require.NoError(t, err)
				energies(t, s)
				time.Sleep(time.Second)
				c.within(&x)
				rs, err := s.Read(t.Context(), nil)
				require.Len(t, rs, 1, "memory needs no CPU times")
				assert.Equal(t, "model:memory", rs[0].Part.ID)
				var p *sensor.Problem
				if c.err == "" {
					require.NoError(t, err)
				} else if assert.ErrorAs(t, err, &p) {
					assert.Equal(t, c.err, p.Class)
					assert.Equal(t, "/host/proc/stat", p.Path)
					assert.NotEmpty(t, p.Remedy)
					assert.ErrorIs(t, err, fs.ErrPermission)
				}
				x.err = nil
				x.pass(time.Second, 16, 1) // 26.25 W, for both seconds
				assert.Equal(t, sums{"model:cpu": 52_500_000, "model:memory": 6_272_000}, energies(t, s))
			})
		})
	}
}

func TestCPUTimesThatStandStillAreReportedAfterAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(Config{Times: still, Host: vm()})
		require.NoError(t, err)
		energies(t, s)
		time.Sleep(time.Minute)
		assert.Empty(t, energies(t, s))
		time.Sleep(time.Second)
		_, err = s.Read(t.Context(), nil)
		var p *sensor.Problem
		require.ErrorAs(t, err, &p)
		assert.Equal(t, sensor.Malformed, p.Class)
		assert.Equal(t, "model: the CPU times have not advanced for 1m1s (to count without utilization, set idle_watts and max_watts to the same value)", err.Error())
	})
}

func TestFlatPowerNeedsNoCPUTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(Config{IdleWatts: 12, MaxWatts: 12})
		require.NoError(t, err)
		energies(t, s)
		time.Sleep(time.Hour)
		assert.Equal(t, sums{"model:cpu": 43_200_000_000}, energies(t, s))
	})
}

// Both machines see eight hours go by; only one of them worked.
func TestALongIntervalCountsOnlyIfTheMachineWasAwake(t *testing.T) {
	for _, c := range []struct {
		name string
		pass func(*cpus)
		want sums // idle 3.15 W, memory 3.136 W
	}{
		{"the process was stopped, the machine ran idle", func(x *cpus) { x.pass(8*time.Hour, 16, 0) }, sums{"model:cpu": 90_720_000_000, "model:memory": 90_316_800_000}},
		{"half of the CPUs are offline", func(x *cpus) { x.pass(8*time.Hour, 8, 0) }, sums{"model:cpu": 90_720_000_000, "model:memory": 90_316_800_000}},
		{"the machine was asleep", func(x *cpus) { time.Sleep(8 * time.Hour); x.capacity += 16 * time.Second }, sums{"model:cpu": 0, "model:memory": 0}},
		{"two days are too long to say anything", func(x *cpus) { x.pass(48*time.Hour, 16, 0) }, sums{"model:cpu": 0, "model:memory": 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var x cpus
				s, err := Open(Config{Times: x.times, Host: laptop()})
				require.NoError(t, err)
				energies(t, s)
				c.pass(&x)
				assert.Equal(t, c.want, energies(t, s))
				x.pass(time.Second, 16, 0)
				c.want["model:cpu"] += 3_150_000
				c.want["model:memory"] += 3_136_000
				assert.Equal(t, c.want, energies(t, s), "and it goes on")
			})
		})
	}
}

func TestTimesMayPassTheRangeOfADuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := cpus{busy: math.MaxInt64 - time.Second/2, capacity: math.MaxInt64 - time.Second}
		s, err := Open(Config{Times: x.times, Host: vm()})
		require.NoError(t, err)
		energies(t, s)
		x.pass(time.Second, 2, 0.5) // both go on below zero
		require.Negative(t, x.busy)
		require.Negative(t, x.capacity)
		assert.Equal(t, sums{"model:cpu": 14_100_000}, energies(t, s))
	})
}

// However a span is cut, a straight curve gives the energy of its mean use, and
// never more than full power over the whole time.
func TestReadProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ticks := rapid.SliceOfN(rapid.Int64Range(1, 30_000), 1, 30).Draw(rt, "ms")
		uses := rapid.SliceOfN(rapid.Float64Range(0, 1), len(ticks), len(ticks)).Draw(rt, "use")
		synctest.Test(t, func(t *testing.T) {
			var x cpus
			s, err := Open(Config{Times: x.times, Host: Host{LogicalCPUs: 4}, IdleWatts: 10, MaxWatts: 110})
			require.NoError(t, err)
			energies(t, s)
			var total time.Duration
			var last unit.Microjoules
			for i, ms := range ticks {
				d := time.Duration(ms) * time.Millisecond
				x.pass(d, 4, uses[i])
				total += d
				now := energies(t, s)["model:cpu"]
				require.GreaterOrEqual(t, now, last)
				last = now
			}
			// 10 W × T + 100 W × busy CPU-seconds / 4; rounding of power to µW costs
			// at most half a µW over the whole time.
			want := 10*total.Seconds() + 100*x.busy.Seconds()/4
			assert.InDelta(t, want, last.Joules(), 0.5e-6*total.Seconds()+2e-6)
		})
	})
}

func TestProblemsOfCPUTimes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want sensor.Class
	}{
		{os.ErrNotExist, sensor.Absent},
		{fs.ErrPermission, sensor.Permission},
		{errors.ErrUnsupported, sensor.NotBuilt},
		{syscall.EIO, sensor.IO},
	} {
		var p *sensor.Problem
		require.ErrorAs(t, problem(c.err), &p)
		assert.Equal(t, c.want, p.Class)
		require.ErrorIs(t, p, c.err)
	}
	require.Equal(t, context.Canceled, problem(context.Canceled), "not a problem of the machine")
}

func TestDescribe(t *testing.T) {
	const (
		m5  = "instance type m5.large (teads-2021): 4.4 W idle, 20 W full"
		tdp = "TDP of AMD Ryzen 7 7840HS (35 W), 1 socket, amd-specs+codecarbon-cpu: 3.15 W idle, 26.2 W full"
		mem = "memory: 3.14 W (8 GiB × 0.392 W/GiB, ccf-2024)"
	)
	for _, c := range []struct {
		name     string
		config   Config
		measured measured
		want     string
	}{
		{"a server", Config{Host: vm()}, nil, m5 + ", memory included"},
		{"a laptop", Config{Host: laptop()}, nil, tdp + "; " + mem},
		{"memory by hand", Config{Host: vm(), MemoryWattsPerGiB: 0.5}, nil, m5 + "; memory: 4 W (8 GiB × 0.5 W/GiB, configured)"},
		{"watts by hand", Config{IdleWatts: 120, MaxWatts: 1234}, nil, "configured: 120 W idle, 1234 W full, memory included"},
		{"a measured CPU", Config{Host: vm()}, measured{"cpu": true}, mem},
		{"measured memory", Config{Host: laptop()}, measured{"memory": true}, tdp},
		{"both measured", Config{Host: laptop()}, measured{"cpu": true, "memory": true}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.config.Times, c.config.Measured = running(), c.measured.by
			s, err := open(c.config)
			require.NoError(t, err)
			_, err = s.Read(t.Context(), nil)
			require.NoError(t, err)
			assert.Equal(t, c.want, s.Describe())
		})
	}
}

// The parts are what the ledger and the metrics go by.
func TestParts(t *testing.T) {
	s, err := open(Config{Host: laptop(), Times: still})
	require.NoError(t, err)
	assert.Equal(t, sensor.Part{
		ID: "model:cpu", Name: "cpu", Type: "cpu", Sensor: "model", Method: sensor.Modelled, Role: sensor.Primary,
		Socket: -1, Die: -1, MaxPower: unit.FromWatts(2 * 26.25), Idle: unit.FromWatts(3.15), // 9 % of 35 W
	}, s.cpuPart)
	assert.Equal(t, sensor.Part{
		ID: "model:memory", Name: "memory", Type: "memory", Sensor: "model", Method: sensor.Modelled, Role: sensor.Primary,
		Socket: -1, Die: -1, MaxPower: unit.FromWatts(2 * 3.136), Idle: unit.FromWatts(3.136),
	}, s.memoryPart)
}

// running returns CPU times that always have advanced.
func running() func(context.Context) (busy, capacity time.Duration, err error) {
	var busy, capacity time.Duration
	return func(context.Context) (time.Duration, time.Duration, error) {
		busy, capacity = busy+time.Millisecond, capacity+2*time.Millisecond
		return busy, capacity, nil
	}
}

func TestSensor(t *testing.T) {
	sensortest.Run(t, func(t *testing.T) sensor.Sensor {
		t.Helper()
		s, err := Open(Config{Host: laptop(), Times: running(), Measured: measured{}.by})
		require.NoError(t, err)
		return s
	}, sensortest.Options{ZeroAlloc: true, MinReadings: 2})
}

func BenchmarkRead(b *testing.B) {
	s, err := Open(Config{Host: vm(), Times: running(), MemoryWattsPerGiB: 0.4})
	require.NoError(b, err)
	ctx := b.Context()
	dst := make([]sensor.Reading, 0, 2)
	b.ReportAllocs()
	for b.Loop() {
		if dst, err = s.Read(ctx, dst[:0]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	c := Config{Host: Host{CPUModel: "Intel(R) Xeon(R) Platinum 8175M CPU @ 2.50GHz", LogicalCPUs: 2, MemoryBytes: 8 << 30}, Times: still}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Open(c); err != nil {
			b.Fatal(err)
		}
	}
}
