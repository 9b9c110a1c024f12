package carbon_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon"
	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/chain"
	"github.com/otelcarbon/otelcarbon/intensity/static"
)

// testMain is TestMain of a process that is not a child.
func testMain(m *testing.M) int {
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// meter is a source of a constant power, which may fail.
type meter struct {
	began time.Time

	mu     sync.Mutex
	watts  float64
	memory float64
	fail   error
	closed int
}

func newMeter(watts float64) *meter { return &meter{began: time.Now(), watts: watts} }

func (m *meter) Read(context.Context) (carbon.Reading, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return carbon.Reading{}, m.fail
	}
	s := time.Since(m.began).Seconds()
	return carbon.Reading{Amounts: []carbon.Amount{
		{Type: "cpu", Method: "measured", Sensor: "rapl", Joules: s * m.watts},
		{Type: "memory", Method: "measured", Sensor: "rapl", Joules: s * m.memory},
	}}, nil
}

func (m *meter) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed++
	return nil
}

func (m *meter) set(f func(*meter)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
}

// at360 is a grid of 360 g/kWh, exactly known: 10 kJ are 1 g.
func at360(t *testing.T) intensity.Source {
	t.Helper()
	p, err := static.New(static.Options{GramsPerKWh: 360})
	require.NoError(t, err)
	s, err := chain.New(chain.Config{}, p)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// start measures 100 W at 360 g/kWh: 0.01 g each second.
func start(t *testing.T, m *meter, opts ...carbon.Option) (*carbon.Monitor, *sdkmetric.ManualReader) {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	all := append([]carbon.Option{
		carbon.WithEnergySource(m), carbon.WithIntensity(at360(t)), carbon.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))),
	}, opts...)
	c, err := carbon.Start(all...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Shutdown(context.WithoutCancel(t.Context()))) })
	return c, reader
}

// collect returns the values of a metric by an attribute.
func collect(t *testing.T, r *sdkmetric.ManualReader, name, key string) map[string]float64 {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, r.Collect(t.Context(), &rm))
	got := map[string]float64{}
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			if m.Name != name {
				continue
			}
			var points []metricdata.DataPoint[float64]
			switch d := m.Data.(type) {
			case metricdata.Sum[float64]:
				points = d.DataPoints
			case metricdata.Gauge[float64]:
				points = d.DataPoints
			}
			for _, dp := range points {
				v, _ := dp.Attributes.Value(attribute.Key(key))
				got[v.AsString()] += dp.Value
			}
		}
	}
	return got
}

func TestTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(80)
		m.memory = 20
		c, reader := start(t, m, carbon.WithAttributes(attribute.String("team", "a")))
		time.Sleep(100 * time.Second)
		synctest.Wait()
		// 100 s at 80 and 20 W: 8 and 2 kJ, 0.8 and 0.2 g, ± 7 %.
		r := c.Report()
		assert.InDelta(t, 8000, r.Energy.CPU, 20)
		assert.InDelta(t, 2000, r.Energy.Memory, 5)
		assert.InDelta(t, 1, r.Emissions, 0.01)
		assert.InDelta(t, 0.93, r.Lower, 0.01)
		assert.InDelta(t, 1.07, r.Upper, 0.01)
		assert.InDelta(t, 360, r.Intensity, 1e-9)
		assert.Equal(t, "static", r.Source)
		assert.Equal(t, "measured", r.Method)
		assert.Equal(t, 100*time.Second, r.Duration)
		assert.InDelta(t, 9300, r.EnergyLower, 30) // ± 7 %, as far as energy goes
		assert.InDelta(t, 10_700, r.EnergyUpper, 30)
		assert.InDelta(t, 1, r.PUE, 0)

		energy := collect(t, reader, "carbon.energy", "hw.type")
		assert.InDelta(t, 8000, energy["cpu"], 20)
		assert.InDelta(t, 2000, energy["memory"], 5)
		emitted := collect(t, reader, "carbon.emissions", "hw.type")
		assert.InDelta(t, energy["cpu"]/1e4, emitted["cpu"], 1e-9)
		assert.Equal(t, map[string]float64{"static": 360}, collect(t, reader, "carbon.grid.intensity", "carbon.grid.source"))
		assert.InDelta(t, 1, collect(t, reader, "carbon.emissions", "team")["a"], 0.01)
		assert.InDelta(t, 1.07, collect(t, reader, "carbon.emissions_upper", "carbon.emission_type")["operational"], 0.01)

		require.NoError(t, c.Shutdown(t.Context()))
		assert.Equal(t, 1, m.closed)
		time.Sleep(time.Minute)
		assert.InDelta(t, 10_000, c.Report().Energy.Total(), 25, "nothing is added after the end")
		assert.Equal(t, 100*time.Second, c.Report().Duration)
		// A meter provider that is shut down later has the last of it; what was so then is gone.
		energy = collect(t, reader, "carbon.energy", "hw.type")
		assert.InDelta(t, c.Report().Energy.CPU, energy["cpu"], 1e-9)
		assert.Empty(t, collect(t, reader, "carbon.grid.intensity", "carbon.grid.source"))
	})
}

// What ends after the Monitor was shut down has used nothing since, as far as anybody knows.
func TestTheEndIsTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := start(t, newMeter(100))
		time.Sleep(time.Second)
		_, task := c.Task(t.Context(), "task")
		provider, exported := spans(t)
		ctx, s := provider.Tracer("test").Start(t.Context(), "span")
		_, done := c.Span(ctx)
		time.Sleep(2 * time.Second) // of which each has half
		require.NoError(t, c.Shutdown(t.Context()))
		time.Sleep(10 * time.Second)
		done()
		s.End()
		assert.InDelta(t, 100, task.End().Energy.Total(), 1e-6)
		got := exported.GetSpans()
		assert.InDelta(t, 100, values(&got[0])["carbon.energy"], 1e-6)
		assert.Equal(t, "partial", values(&got[0])["carbon.coverage"])
	})
}

// Two Monitors of one process would send its energy twice.
func TestOnlyOneSends(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	meters := carbon.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	first, err := carbon.Start(meters)
	require.NoError(t, err)
	second, err := carbon.Start(meters)
	require.ErrorContains(t, err, "another Monitor measures this process already")
	x := 1.0
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		x += 1 / x
	}
	require.Positive(t, x)
	require.NoError(t, second.Shutdown(t.Context()))
	require.NoError(t, first.Shutdown(t.Context()))
	assert.InDelta(t, first.Report().Energy.CPU, collect(t, reader, "carbon.energy", "hw.type")["cpu"], 1e-9)
	assert.Positive(t, second.Report().Energy.CPU, "it measures all the same")
	third, err := carbon.Start(meters) // after the first has ended, its energy stays
	require.NoError(t, err)
	require.NoError(t, third.Shutdown(t.Context()))
	assert.InDelta(t, first.Report().Energy.CPU+third.Report().Energy.CPU, collect(t, reader, "carbon.energy", "hw.type")["cpu"], 1e-9)
}

// 100 W: the outer task runs from 0 to 30 s, two inner ones at the same time from 10 to 20.
func TestTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := start(t, newMeter(100))
		ctx, outer := c.Task(t.Context(), "outer")
		time.Sleep(10 * time.Second)
		_, a := c.Task(ctx, "a")
		_, b := c.Task(ctx, "b")
		time.Sleep(10 * time.Second)
		ra, rb := a.End(), b.End()
		time.Sleep(10 * time.Second)
		r := outer.End()
		assert.InDelta(t, 500, ra.Energy.Total(), 15, "10 s, shared by two")
		assert.InDelta(t, 500, rb.Energy.Total(), 15)
		assert.InDelta(t, 3000, r.Energy.Total(), 15, "what is in it is part of it")
		assert.InDelta(t, 0.3, r.Emissions, 0.002)
		assert.InDelta(t, 360, r.Intensity, 1e-9)
		assert.Equal(t, 30*time.Second, r.Duration)
		assert.Equal(t, r, outer.End(), "ended once")
		time.Sleep(time.Second)
		assert.Equal(t, r, outer.Report())
		assert.Contains(t, r.String(), "outer: 3")
		assert.Contains(t, r.String(), "360 g/kWh, static")
	})
}

func TestMeasureIsOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := start(t, newMeter(100))
		var got carbon.Report
		func() {
			defer c.Measure("work", func(r carbon.Report) { got = r })()
			time.Sleep(10 * time.Second)
		}()
		assert.Equal(t, "work", got.Name)
		assert.InDelta(t, 1000, got.Energy.Total(), 15)
	})
}

// The source fails from 10 s to 20 s and keeps counting: what it counted meanwhile comes
// with its next reading, and the time is a gap.
func TestASourceThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(100)
		c, _ := start(t, m)
		time.Sleep(10 * time.Second)
		m.set(func(m *meter) { m.fail = errors.New("no such device") })
		time.Sleep(10 * time.Second)
		before := c.Report()
		assert.InDelta(t, 1000, before.Energy.Total(), 15, "not 0 for the gap, and not guessed")
		m.set(func(m *meter) { m.fail = nil })
		time.Sleep(10 * time.Second)
		r := c.Report()
		assert.InDelta(t, 3000, r.Energy.Total(), 15)
		assert.InDelta(t, 10, r.Gap.Seconds(), 0.2)
		assert.Contains(t, r.String(), "not read for 10")
	})
}

// 0.01 g each second: 1 g are spent after 100 s.
func TestBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []float64
		c, reader := start(t, newMeter(100), carbon.WithBudget(carbon.Budget{
			Name: "run", Grams: 1, OnThreshold: func(e carbon.BudgetEvent) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, e.Percent)
			},
		}))
		time.Sleep(60 * time.Second)
		ctx, done, err := c.Within(t.Context(), carbon.Budget{Name: "step", Grams: 0.1})
		require.NoError(t, err)
		defer done()
		time.Sleep(9 * time.Second)
		require.NoError(t, ctx.Err())
		time.Sleep(2 * time.Second)
		require.ErrorIs(t, context.Cause(ctx), carbon.ErrBudgetSpent)
		assert.InDelta(t, 0.71, collect(t, reader, "carbon.budget.utilization", "carbon.budget.name")["run"], 0.02)
		assert.Equal(t, map[string]float64{"run": 1, "step": 0.1}, collect(t, reader, "carbon.budget.limit", "carbon.budget.name"))
		time.Sleep(40 * time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		assert.Equal(t, []float64{50, 80, 100}, told)
		_, _, err = c.Within(t.Context(), carbon.Budget{Name: "run", Grams: 1})
		require.ErrorContains(t, err, "one of that name already")
	})
}

func TestGramsPerUnit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, reader := start(t, newMeter(100))
		u := c.Unit("inference")
		assert.Same(t, u, c.Unit("inference"))
		_, ok := u.Grams()
		assert.False(t, ok)
		time.Sleep(100 * time.Second)
		synctest.Wait()
		u.Add(50)
		u.Add(-1)
		each, ok := u.Grams()
		assert.True(t, ok)
		assert.InDelta(t, 0.02, each, 0.0002) // 1 g for 50
		assert.InDelta(t, 0.02, collect(t, reader, "carbon.sci", "carbon.sci.per")["inference"], 0.0002)
		assert.InDelta(t, 0.02, collect(t, reader, "carbon.sci", "carbon.sci.per")["inference"], 0.0002, "for another reader as well")
		u.Add(math.Inf(1))
		time.Sleep(30 * time.Second) // 0.3 g more, and 50 units: 1.3 g for 100
		u.Add(50)
		synctest.Wait()
		assert.InDelta(t, 0.013, collect(t, reader, "carbon.sci", "carbon.sci.per")["inference"], 0.0002)
		time.Sleep(3 * time.Minute)
		assert.Empty(t, collect(t, reader, "carbon.sci", "carbon.sci.per"), "there was no unit in the last minutes")
	})
}

// Ten steps of 1 kJ each, three of them done: 10 kJ, and no spread.
func TestForecast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := start(t, newMeter(100))
		_, task := c.Task(t.Context(), "training")
		_, err := task.Forecast(t.Context(), 10)
		require.ErrorIs(t, err, carbon.ErrNoSteps)
		for range 3 {
			time.Sleep(10 * time.Second)
			task.Step()
		}
		f, err := task.Forecast(t.Context(), 10)
		require.NoError(t, err)
		assert.InDelta(t, 10_000, f.Energy, 100)
		assert.InDelta(t, 70, f.Remaining.Seconds(), 0.1)
		assert.InDelta(t, 1, f.Emissions, 0.01)
		assert.Less(t, f.Lower, f.Emissions)
		assert.Greater(t, f.Upper, f.Emissions)
		assert.InDelta(t, 360, f.Intensity, 1e-9)
		assert.False(t, f.IntensityIsKnown)
		task.End()
	})
}

// A Monitor that is nil, disabled or ended does nothing, and hurts nobody.
func TestNothingHurtsTheProgram(t *testing.T) {
	var none *carbon.Monitor
	t.Setenv("OTELCARBON_DISABLED", "true")
	m := newMeter(1)
	off, err := carbon.Start(carbon.WithEnergySource(m))
	require.NoError(t, err)
	assert.Equal(t, 1, m.closed)
	for _, c := range []*carbon.Monitor{none, off} {
		ctx, task := c.Task(t.Context(), "x")
		task.Step()
		assert.Zero(t, task.Report())
		assert.Zero(t, task.End())
		_, done := c.Span(ctx)
		done()
		c.Unit("x").Add(1)
		_, cancel, err := c.Within(ctx, carbon.Budget{})
		require.NoError(t, err)
		cancel()
		assert.Zero(t, c.Report())
		c.Measure("x", carbon.Print)()
		w := httptest.NewRecorder()
		c.Handler(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		assert.Equal(t, http.StatusNotFound, w.Code)
		require.NoError(t, c.Shutdown(t.Context()))
		require.NoError(t, c.Shutdown(t.Context()))
	}
}

func TestWrongOptionsAreNamedAndTheRestWorks(t *testing.T) {
	t.Setenv("OTELCARBON_PUE", "lots")
	t.Setenv("OTELCARBON_IDLE", "mine")
	t.Setenv("OTELCARBON_ROOT_PATH", "/nowhere")
	c, err := carbon.Start(carbon.WithEnergySource(newMeter(1)), carbon.WithInterval(time.Hour), carbon.WithZone("FRR"), carbon.WithRootPath(t.TempDir()),
		carbon.WithBudget(carbon.Budget{Name: "b"}))
	for _, w := range []string{"OTELCARBON_PUE", `OTELCARBON_ROOT_PATH: "/nowhere" has no folder proc`, "WithRootPath: ", "OTELCARBON_IDLE", "interval of 1h0m0s: want 10ms to 1m0s", `WithZone: `, `"FRR"`, `budget "b": grams`} {
		require.ErrorContains(t, err, w)
	}
	require.NotNil(t, c)
	require.NoError(t, c.Shutdown(t.Context()))
}
