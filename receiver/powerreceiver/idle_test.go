package powerreceiver

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.uber.org/zap/zapcore"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
	"github.com/otelcarbon/otelcarbon/internal/unit"
	"github.com/otelcarbon/otelcarbon/receiver/powerreceiver/internal/metadatatest"
)

// idleMachine is a machine of 4 CPUs whose package draws 30 W + 70 W · use, whose
// DRAM draws 5 W and whose GPU draws 40 W.
type idleMachine struct {
	use         float64
	jump        unit.Microjoules // added to the package's counter once
	step        unit.Microjoules // of the package's counter
	meterErr    error
	asked       int
	last        time.Time
	pkg, dram   float64 // J
	busy, total time.Duration

	parts [3]*sensor.Part
}

func newIdleMachine() *idleMachine {
	gpu := &sensor.Part{ID: "nvml:GPU-1", Name: "GPU-1", Type: "gpu", Sensor: "nvml", Method: sensor.Measured, Socket: -1, Die: -1}
	return &idleMachine{step: 1, parts: [3]*sensor.Part{
		rapl("package-0", "cpu", sensor.Primary, 0), rapl("package-0/dram", "memory", sensor.Primary, 0), gpu,
	}}
}

// turn lets the machine run until now.
func (m *idleMachine) turn(now time.Time) {
	if !m.last.IsZero() {
		d := now.Sub(m.last)
		m.pkg += (30 + 70*m.use) * d.Seconds()
		m.dram += 5 * d.Seconds()
		m.total += 4 * d
		m.busy += time.Duration(m.use * float64(4*d))
	}
	m.last = now
}

func (m *idleMachine) read(_ int, now time.Time) sensortest.Step {
	m.turn(now)
	pkg := unit.FromJoules(m.pkg) + m.jump
	gpu := sensor.Reading{Part: m.parts[2], At: now, Kind: sensor.Gauge, Power: 40 * unit.Watt}
	return sensortest.Step{Readings: []sensor.Reading{
		counting(m.parts[0], now, pkg-pkg%m.step), counting(m.parts[1], now, unit.FromJoules(m.dram)), gpu,
	}}
}

func (m *idleMachine) times(context.Context) (busy, capacity time.Duration, err error) {
	m.asked++
	return m.busy, m.total, m.meterErr
}

func (m *idleMachine) sampler(t *testing.T, configured map[string]float64) *sampler {
	t.Helper()
	s, _ := scripted(t, &sensortest.Fake{Next: m.read})
	s.sampler.idle = newIdleFloors(configured, m.times)
	return s.sampler
}

// run takes n samples, one in each interval.
func run(t *testing.T, s *sampler, n int, interval time.Duration) {
	t.Helper()
	for range n {
		s.sample(t.Context())
		time.Sleep(interval)
	}
}

type floor struct {
	watts  float64
	origin string
}

func floors(s *sampler) map[string]floor {
	out := make(map[string]floor)
	s.eachIdle(func(id string, p unit.Microwatts, origin energy.Origin) { out[id] = floor{p.Watts(), origin.String()} })
	return out
}

func requireIdle(t *testing.T, s *sampler, id, origin string, want, within float64) {
	t.Helper()
	got := floors(s)[id]
	require.Equal(t, origin, got.origin, id)
	require.InDelta(t, want, got.watts, within, id)
}

// What the model takes to be idle is known from the first sample.
func TestTheIdlePowerOfTheModelIsNotLearned(t *testing.T) {
	modelled := &sensor.Part{ID: "model:cpu", Type: "cpu", Sensor: "model", Method: sensor.Modelled, Socket: -1, Die: -1, Idle: 20 * unit.Watt}
	s, _ := scripted(t, sensortest.NewFake(sensortest.Step{Readings: []sensor.Reading{counting(modelled, noon, 0)}}))
	s.sampler.idle = newIdleFloors(nil, nil)
	s.sampler.sample(t.Context())
	requireIdle(t, s.sampler, "model:cpu", "modelled", 20, 0)
	s.sampler.idle = newIdleFloors(map[string]float64{"cpu": 25}, nil)
	requireIdle(t, s.sampler, "model:cpu", "configured", 25, 0)
}

func TestC69_an_idle_machine_tells_the_floor_of_its_parts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newIdleMachine()
		s := m.sampler(t, nil)
		run(t, s, 5, time.Second)
		assert.Empty(t, floors(s), "cold start")
		run(t, s, 60, time.Second)
		requireIdle(t, s, "rapl:package-0", "learned", 30, 0.6)
		requireIdle(t, s, "rapl:package-0/dram", "learned", 5, 0.1)
		assert.Len(t, floors(s), 2, "the use of a GPU is not known")

		m.use = 0.8
		run(t, s, 600, time.Second)
		requireIdle(t, s, "rapl:package-0", "learned", 30, 0.6)
	})
}

func TestC69_a_machine_that_is_never_idle_is_extrapolated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newIdleMachine()
		s := m.sampler(t, nil)
		for i := range 200 { // 22 %, 32 %, … 92 % of the time since the last sample
			m.use = 0.22 + 0.1*float64(i%8)
			run(t, s, 1, time.Second)
		}
		requireIdle(t, s, "rapl:package-0", "extrapolated", 30, 0.01)
		requireIdle(t, s, "rapl:package-0/dram", "extrapolated", 5, 0.01)
	})
}

func TestTheCPUsAreAskedOnceASecondAndNotWhileTheyCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newIdleMachine()
		s := m.sampler(t, nil)
		run(t, s, 300, 100*time.Millisecond)
		assert.Equal(t, 30, m.asked)
		requireIdle(t, s, "rapl:package-0", "learned", 30, 0.6)

		m.meterErr, m.asked = errors.New("masked"), 0
		run(t, s, 121, time.Second)
		assert.Equal(t, 3, m.asked, "once a minute")

		m.meterErr, m.asked = nil, 0
		run(t, s, 120, time.Second)
		assert.Greater(t, m.asked, 59, "it is back")
	})
}

// 697 J too much and back a second later: at 30 W the counter owes them for 23 s.
func TestC69_a_counter_that_jumps_and_repays_does_not_lower_the_floor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newIdleMachine()
		s := m.sampler(t, nil)
		run(t, s, 100, time.Second)
		m.jump = 697 * joule
		run(t, s, 1, time.Second)
		m.jump = 0
		for range 60 {
			run(t, s, 1, time.Second)
			requireIdle(t, s, "rapl:package-0", "learned", 30, 0.6)
		}
	})
}

// In steps of 7 J a second of 30 W shows 28 J or 35 J; 140 J show it to a twentieth.
func TestC69_a_coarse_counter_is_watched_for_longer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newIdleMachine()
		m.step, m.parts[0].Step = 7*joule, 7*joule
		s := m.sampler(t, nil)
		run(t, s, 600, time.Second)
		requireIdle(t, s, "rapl:package-0", "learned", 30, 1.5)
	})
}

func TestAConfiguredIdlePowerWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newIdleMachine()
		s := m.sampler(t, map[string]float64{"cpu": 11, "rapl:package-0": 12.5, "gpu": 25, "rapl:package-7": 1})
		run(t, s, 60, time.Second)
		requireIdle(t, s, "rapl:package-0", "configured", 12.5, 0)
		requireIdle(t, s, "nvml:GPU-1", "configured", 25, 0)
		requireIdle(t, s, "rapl:package-0/dram", "learned", 5, 0.1)
		assert.Len(t, floors(s), 3)
	})
}

func TestTheIdlePowerIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tt := componenttest.NewTelemetry()
		set, _ := settings(tt, zapcore.InfoLevel)
		tel, err := newSelfTelemetry(set.TelemetrySettings)
		require.NoError(t, err)
		s := newIdleMachine().sampler(t, map[string]float64{"memory": 4.5})
		require.NoError(t, tel.observe(s))
		run(t, s, 3, time.Second)
		metadatatest.AssertEqualReceiverPowerIdleFloor(t, tt, []metricdata.DataPoint[float64]{{
			Attributes: attribute.NewSet(attribute.String("hw.id", "rapl:package-0/dram"), attribute.String("origin", "configured")), Value: 4.5,
		}}, metricdatatest.IgnoreTimestamp())
		tel.shutdown()
		require.NoError(t, tt.Shutdown(context.WithoutCancel(t.Context())))
	})
}

func TestWrongIdlePowersAreRefusedByTheirKey(t *testing.T) {
	for name, tc := range map[string]struct {
		watts map[string]any
		want  string
	}{
		"negative":  {map[string]any{"cpu": -1}, "idle_watts::cpu: -1 is not between 0 and 100000 W"},
		"NaN":       {map[string]any{"rapl:package-0": math.NaN()}, "idle_watts::rapl:package-0: NaN"},
		"infinite":  {map[string]any{"cpu": math.Inf(1)}, "idle_watts::cpu: +Inf"},
		"megawatts": {map[string]any{"cpu": 100_001}, "idle_watts::cpu: 100001"},
		"no key":    {map[string]any{"": 5}, "idle_watts: 5 W of nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, map[string]any{"idle_watts": tc.watts})
			require.ErrorContains(t, err, tc.want)
		})
	}
	cfg, err := load(t, map[string]any{"idle_watts": map[string]any{"rapl:package-0": 12.5, "memory": 0}})
	require.NoError(t, err)
	assert.Equal(t, map[string]float64{"rapl:package-0": 12.5, "memory": 0}, cfg.IdleWatts)
}

// card is a GPU that a library like NVML tells of.
type card struct {
	sensortest.Fake
	part   *sensor.Part
	watts  float64
	load   *sensor.Load // nil: the driver does not say
	energy float64      // J
	last   time.Time
}

func newCard() *card {
	c := &card{part: &sensor.Part{ID: "nvml:GPU-1", Name: "GPU-1", Type: "gpu", Sensor: "nvml", Method: sensor.Measured, Socket: -1, Die: -1}}
	c.Next = func(_ int, now time.Time) sensortest.Step {
		if !c.last.IsZero() {
			c.energy += c.watts * now.Sub(c.last).Seconds()
		}
		c.last = now
		return sensortest.Step{Readings: []sensor.Reading{counting(c.part, now, unit.FromJoules(c.energy))}}
	}
	return c
}

func (c *card) Instances(dst []sensor.Instance) []sensor.Instance     { return dst }
func (c *card) Processes(dst []sensor.ProcessUse) []sensor.ProcessUse { return dst }
func (c *card) Loads(dst []sensor.Load) []sensor.Load {
	if c.load == nil {
		return dst
	}
	l := *c.load
	l.GPU = c.part
	return append(dst, l)
}

func TestC69_the_floor_of_a_GPU(t *testing.T) {
	idle, held, hidden := &sensor.Load{}, &sensor.Load{Held: true}, &sensor.Load{Busy: 0.9}
	for name, tc := range map[string]struct {
		run    func(c *card, second int)
		origin string
		watts  float64
	}{
		"idle at 75 W":                       {func(c *card, _ int) { c.watts, c.load = 75, idle }, "learned", 75},
		"held and not used at 115 W":         {func(c *card, _ int) { c.watts, c.load = 115, held }, "unknown", 0},
		"used by processes that nobody sees": {func(c *card, _ int) { c.watts, c.load = 600, hidden }, "unknown", 0},
		"cut into instances":                 {func(c *card, _ int) { c.watts, c.load = 75, nil }, "unknown", 0},
		"idle, then used, then silent, then so": {func(c *card, i int) {
			c.watts, c.load = 75, idle
			switch {
			case i > 120:
				c.watts, c.load = 600, nil
			case i > 60:
				c.watts, c.load = 600, &sensor.Load{Busy: 0.9, Held: true}
			}
		}, "learned", 75},
		// 100 W + 500 W · use, in turn at 0.2, 0.4, 0.6 and 0.8
		"never idle": {func(c *card, i int) {
			use := 0.2 + 0.2*float64(i%40/10)
			c.watts, c.load = 100+500*use, &sensor.Load{Busy: use, Held: true}
		}, "extrapolated", 100},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCard()
				s, _ := scripted(t, c)
				s.sampler.idle = newIdleFloors(nil, newIdleMachine().clock())
				for i := range 200 {
					tc.run(c, i)
					s.sampler.sample(t.Context())
					time.Sleep(time.Second)
				}
				got := floors(s.sampler)["nvml:GPU-1"]
				if tc.origin == "unknown" {
					assert.Empty(t, got)
					return
				}
				assert.Equal(t, tc.origin, got.origin)
				assert.InDelta(t, tc.watts, got.watts, 0.03*tc.watts)
			})
		})
	}
}

// Samples of 0.1 s, of which ten make a window of 1 s.
//   - Held in one sample of ten, at 115 W: no window is idle, though the GPU is held for a
//     tenth of each.
//   - Held all the time, between samples that are no whole number of seconds apart, and in
//     windows of 1.4 s, of which a twentieth divided by 1.4 s is rounded to less.
//   - Silent for 0.3 s of each second, in which it draws 600 W: the second that follows
//     is not known either, and none is learned from.
//   - Held at every second look, in windows of one look: each begins or ends with that.
//   - Silent at every second look, at 600 W for 0.1 s before and after it: the window that
//     ends there and the one that begins there would be of (0.9 · 75 + 0.1 · 600) W = 127.5 W.
//   - Held for one look in four, in windows of four, since the counter moves every 0.2 s:
//     at the beginning, the middle or the end of each.
//   - Idle at 75 W for a minute: learned.
func TestC69_the_floor_of_a_GPU_is_that_of_times_in_which_nobody_held_it(t *testing.T) {
	idle, held := &sensor.Load{}, &sensor.Load{Held: true}
	inFour := func(n int) func(c *card, i int) {
		return func(c *card, i int) {
			if c.watts, c.load = 115, idle; i%4 == n {
				c.load = held
			}
		}
	}
	for name, tc := range map[string]struct {
		interval time.Duration
		refresh  time.Duration // of the counter
		run      func(c *card, i int)
		want     float64 // W; 0: not known
	}{
		"now and then": {100 * time.Millisecond, 0, func(c *card, i int) {
			if c.watts, c.load = 115, idle; i%10 == 3 {
				c.load = held
			}
		}, 0},
		"all the time":             {333_333_333, 0, func(c *card, _ int) { c.watts, c.load = 115, held }, 0},
		"all the time, each 1.4 s": {1400 * time.Millisecond, 0, func(c *card, _ int) { c.watts, c.load = 115, held }, 0},
		"silent in between": {100 * time.Millisecond, 0, func(c *card, i int) {
			if c.watts, c.load = 75, idle; i%10 > 3 && i%10 < 7 {
				c.watts, c.load = 600, nil
			}
		}, 0},
		"by nobody": {100 * time.Millisecond, 0, func(c *card, _ int) { c.watts, c.load = 75, idle }, 75},
		"at every second look": {time.Second, 0, func(c *card, i int) {
			if c.watts, c.load = 115, idle; i%2 == 0 {
				c.load = held
			}
		}, 0},
		"silent at every second look": {100 * time.Millisecond, 0, func(c *card, i int) {
			c.watts, c.load = 75, idle
			if i %= 20; i == 10 {
				c.load = nil
			}
			if i == 10 || i == 11 {
				c.watts = 600
			}
		}, 0},
		"at one look in four, one":   {time.Second, 200 * time.Millisecond, inFour(1), 0},
		"at one look in four, three": {time.Second, 200 * time.Millisecond, inFour(3), 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCard()
				c.part.Refresh = tc.refresh
				s, _ := scripted(t, c)
				s.sampler.idle = newIdleFloors(nil, newIdleMachine().clock())
				for i := range 1200 {
					tc.run(c, i)
					s.sampler.sample(t.Context())
					time.Sleep(tc.interval)
				}
				got := floors(s.sampler)["nvml:GPU-1"]
				assert.InDelta(t, tc.want, got.watts, 0.03*tc.want, got.origin)
			})
		})
	}
}

// clock is the machine's CPU times, of which half is busy.
func (m *idleMachine) clock() cpuTimes {
	began := time.Now()
	return func(context.Context) (busy, capacity time.Duration, err error) {
		d := time.Since(began)
		return 2 * d, 4 * d, nil
	}
}

func TestGPUFloorsAllocateNothing(t *testing.T) {
	c := newCard()
	c.load = &sensor.Load{Held: true}
	s, _ := scripted(t, c)
	s.sampler.sample(t.Context())
	f := newIdleFloors(nil, nil)
	now := time.Now()
	tick := func() {
		now = now.Add(time.Second)
		f.noteLoads(s.sampler.sources, now)
		f.Look(s.sampler.ledger, 0, now.Sub(noon), now)
	}
	tick()
	assert.Zero(t, testing.AllocsPerRun(100, tick))
}

func TestIdleWattsOfNothingIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newIdleMachine()
		s, logs := scripted(t, &sensortest.Fake{Next: m.read})
		s.sampler.idle = newIdleFloors(map[string]float64{"cpu": 30, "rapl:package-0/dram": 5, "rapl:package-7": 30, "memroy": 5}, m.times)
		run(t, s.sampler, 60, time.Second)
		assert.Zero(t, logs.FilterMessageSnippet("idle_watts").Len(), "a slow sensor may still come")
		run(t, s.sampler, 200, time.Second)
		told := logs.FilterMessageSnippet("idle_watts").All()
		require.Len(t, told, 1)
		var parts []any
		for a := range s.sampler.ledger.Accounts {
			if a.Kind == ledger.PartAccount {
				parts = append(parts, a.Part.ID)
			}
		}
		require.Len(t, parts, 3)
		assert.Equal(t, map[string]any{"keys": []any{"memroy", "rapl:package-7"}, "parts": parts}, told[0].ContextMap())
	})
}
