package carbon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon"
	"github.com/otelcarbon/otelcarbon/intensity"
)

// wallMeter is 100 W by a clock that is set: it says when it read as the wall clock does,
// without the monotonic one.
type wallMeter struct {
	began time.Time

	mu    sync.Mutex
	ahead time.Duration // of the wall clock
}

func (m *wallMeter) Read(context.Context) (carbon.Reading, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	return carbon.Reading{
		At:      now.Round(0).Add(m.ahead),
		Amounts: []carbon.Amount{{Type: "cpu", Method: "measured", Joules: 100 * now.Sub(m.began).Seconds()}},
	}, nil
}

func (*wallMeter) Close() error { return nil }

func (m *wallMeter) set(ahead time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ahead = ahead
}

// The clock is set back by an hour after 10 s, and ahead by a day after 20 s: 100 W for 30 s
// are 3 kJ, none lost and none twice.
func TestTheWallClockIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &wallMeter{began: time.Now()}
		c, err := carbon.Start(carbon.WithEnergySource(m), carbon.WithIntensity(at360(t)))
		require.NoError(t, err)
		_, task := c.Task(t.Context(), "task")
		time.Sleep(10 * time.Second)
		m.set(-time.Hour)
		time.Sleep(10 * time.Second)
		assert.InDelta(t, 2000, c.Report().Energy.Total(), 15)
		m.set(24 * time.Hour)
		time.Sleep(10 * time.Second)
		r := task.End()
		assert.InDelta(t, 3000, r.Energy.Total(), 15)
		assert.Equal(t, 30*time.Second, r.Duration)
		require.NoError(t, c.Shutdown(t.Context()))
		r = c.Report()
		assert.InDelta(t, 3000, r.Energy.Total(), 1e-6)
		assert.InDelta(t, 0.3, r.Emissions, 1e-9)
		assert.Zero(t, r.Gap)
	})
}

// spans measures with the helper, by an SDK that exports at once.
func spans(t *testing.T) (*sdktrace.TracerProvider, *tracetest.InMemoryExporter) {
	t.Helper()
	e := tracetest.NewInMemoryExporter()
	p := sdktrace.NewTracerProvider(sdktrace.WithSyncer(e))
	return p, e
}

func values(s *tracetest.SpanStub) map[attribute.Key]any {
	out := map[attribute.Key]any{}
	for _, a := range s.Attributes {
		out[a.Key] = a.Value.AsInterface()
	}
	return out
}

// 100 W; from 10 s to 20 s the source fails and counts nothing. A span inside of that has
// no energy, which is not 0; one that reaches into it has too little, and says so.
func TestAGapIsLabeled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(100)
		c, reader := start(t, m)
		provider, exported := spans(t)
		tracer := provider.Tracer("test")
		span := func(name string) func() {
			ctx, s := tracer.Start(t.Context(), name)
			_, done := c.Span(ctx, attribute.String("name", name))
			return func() {
				done()
				done() // does no harm
				s.End()
			}
		}
		time.Sleep(9 * time.Second)
		into := span("into")
		time.Sleep(950 * time.Millisecond)
		m.set(func(m *meter) { m.fail = errors.New("no such device") })
		time.Sleep(5 * time.Second)
		into()
		inside := span("inside")
		time.Sleep(time.Second)
		inside()
		synctest.Wait()
		assert.InDelta(t, 6, collect(t, reader, "carbon.energy_gap", "")[""], 0.2)
		assert.InDelta(t, 6, c.Report().Gap.Seconds(), 0.2)
		// The counter was replaced: it begins anew.
		m.set(func(m *meter) { m.fail, m.began = nil, time.Now() })
		time.Sleep(time.Second)
		after := span("after")
		time.Sleep(time.Second)
		after()

		got := exported.GetSpans()
		require.Len(t, got, 3)
		attrs := values(&got[0])
		assert.InDelta(t, 100, attrs["carbon.energy"], 1e-6) // from 9 s until the reading that failed
		assert.Equal(t, "partial", attrs["carbon.coverage"])
		assert.NotContains(t, values(&got[1]), attribute.Key("carbon.energy"))
		assert.NotContains(t, values(&got[1]), attribute.Key("carbon.emissions"))
		assert.Equal(t, map[string]float64{"into": attrs["carbon.energy"].(float64)}, trim(collect(t, reader, "carbon.operation.energy", "name"), "after"))
	})
}

func trim(m map[string]float64, key string) map[string]float64 {
	delete(m, key)
	return m
}

// A span that ends between two readings is at the power of the last ones for that part, and
// says so. At 100 W ± 7 % of what is measured nothing is added; where the power changes, so
// much as the readings before were off.
func TestInterpolationIsMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(100)
		c, _ := start(t, m)
		provider, exported := spans(t)
		tracer := provider.Tracer("test")
		span := func(d time.Duration) map[attribute.Key]any {
			ctx, s := tracer.Start(t.Context(), "span")
			_, done := c.Span(ctx)
			time.Sleep(d)
			done()
			s.End()
			got := exported.GetSpans()
			exported.Reset()
			return values(&got[0])
		}
		time.Sleep(1010 * time.Millisecond)
		got := span(30 * time.Millisecond)
		assert.InDelta(t, 3, got["carbon.energy"], 1e-6)
		assert.Equal(t, "interpolated", got["carbon.coverage"])
		assert.InDelta(t, 0.07, got["carbon.uncertainty"], 1e-6)
		time.Sleep(60 * time.Millisecond)
		got = span(900 * time.Millisecond) // it ends with a reading
		assert.InDelta(t, 90, got["carbon.energy"], 1e-6)

		m.set(func(m *meter) { m.watts = 200; m.began = m.began.Add(time.Since(m.began) / 2) }) // without a jump
		time.Sleep(210 * time.Millisecond)
		got = span(30 * time.Millisecond)
		// The last tick was off by (200 − 150)/150, the one before by 1: it had 100 W in mind. Half
		// the weight each time: 2·√((1 + …)/…) is far from 0.
		assert.Greater(t, got["carbon.uncertainty"], 0.3)
	})
}

// Metrics of operations say how they are known and lead to traces by exemplars.
func TestOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, reader := start(t, newMeter(100), carbon.WithAttributes(attribute.String("team", "a")))
		provider, _ := spans(t)
		time.Sleep(time.Second)
		ctx, s := provider.Tracer("test").Start(t.Context(), "span")
		ctx, done := c.Span(ctx, attribute.String("route", "/"))
		time.Sleep(time.Second)
		done()
		_, none := c.Span(context.WithoutCancel(t.Context())) // neither a span nor an operation
		none()
		s.End()
		assert.InDelta(t, 100, collect(t, reader, "carbon.operation.energy", "route")["/"], 1e-6)
		assert.InDelta(t, 100, collect(t, reader, "carbon.operation.energy", "carbon.method")["measured"], 1e-6)
		assert.InDelta(t, 0.01, collect(t, reader, "carbon.operation.emissions", "carbon.grid.source")["static"], 1e-9)
		assert.InDelta(t, 0.01, collect(t, reader, "carbon.operation.emissions", "team")["a"], 1e-9)

		var rm metricdata.ResourceMetrics
		require.NoError(t, reader.Collect(t.Context(), &rm))
		found := false
		for _, sm := range rm.ScopeMetrics {
			for _, m := range sm.Metrics {
				if sum, ok := m.Data.(metricdata.Sum[float64]); ok && m.Name == "carbon.operation.energy" {
					id := s.SpanContext().TraceID()
					for _, e := range sum.DataPoints[0].Exemplars {
						found = found || bytes.Equal(e.TraceID, id[:])
					}
				}
			}
		}
		assert.True(t, found, "no exemplar leads to the trace")
		_ = ctx
	})
}

// What no span and no task had is told: 10 s without, 10 s with, of 100 W.
func TestUnattributed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := start(t, newMeter(100))
		time.Sleep(10 * time.Second)
		_, task := c.Task(t.Context(), "task")
		time.Sleep(10 * time.Second)
		r := task.End()
		synctest.Wait()
		all := c.Report()
		assert.InDelta(t, 1000, all.Unattributed, 15)
		assert.InDelta(t, all.Energy.Total(), all.Unattributed+r.Energy.Total(), 1e-6)
		assert.Zero(t, r.Unattributed)
	})
}

// forecaster knows 360 g/kWh for 35 s, and 720 after that.
type forecaster struct{ intensity.Source }

func (f forecaster) Forecast(_ context.Context, _ intensity.Query, _ time.Duration) (intensity.Series, error) {
	now := time.Now()
	slot := func(from, to time.Duration, g float64) *intensity.Slot {
		return &intensity.Slot{Start: now.Add(from), End: now.Add(to), GramsPerKWh: g, Spread: intensity.Spread{Half: 0.1}, Quality: intensity.Predicted}
	}
	return intensity.Series{Slots: []*intensity.Slot{slot(0, 35*time.Second, 360), slot(35*time.Second, time.Hour, 720)}}, nil
}

// Three of ten steps of 1 kJ in 10 s are done: 0.3 g. The other 70 s are at 540 g/kWh in the
// mean: 7 kJ are 1.05 g.
func TestForecastOfTheGrid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := start(t, newMeter(100), carbon.WithIntensity(forecaster{at360(t)}))
		_, task := c.Task(t.Context(), "training")
		for range 3 {
			time.Sleep(10 * time.Second)
			task.Step()
		}
		f, err := task.Forecast(t.Context(), 10)
		require.NoError(t, err)
		assert.True(t, f.IntensityIsKnown)
		assert.InDelta(t, 540, f.Intensity, 1)
		assert.InDelta(t, 1.35, f.Emissions, 0.015)
		assert.Equal(t, "measured", f.Method)
		task.End()
	})
}

// What belongs to the program may do what it likes: panic, take its time, shut down.
func TestForeignCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(100)
		started := make(chan *carbon.Monitor, 1)
		told := make(chan float64, 3)
		c, _ := start(t, m, carbon.WithBudget(carbon.Budget{Name: "b", Grams: 1, OnThreshold: func(e carbon.BudgetEvent) {
			told <- e.Percent
			c := <-started
			started <- c
			switch e.Percent {
			case 50:
				panic("at 50")
			case 80:
				assert.InDelta(t, 8000, c.Report().Energy.Total(), 100)
				time.Sleep(time.Minute)
			case 100:
				assert.NoError(t, c.Shutdown(t.Context()))
			}
		}}))
		started <- c
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		assert.Equal(t, []float64{50, 80, 100}, []float64{<-told, <-told, <-told})
		m.set(func(m *meter) { assert.Equal(t, 1, m.closed) })
	})
	synctest.Test(t, func(t *testing.T) {
		c, err := carbon.Start(carbon.WithEnergySource(panics{}))
		require.ErrorContains(t, err, "energy source: panic: at the meter")
		time.Sleep(time.Second)
		assert.Zero(t, c.Report().Energy.Total())
		require.NoError(t, c.Shutdown(t.Context()))
	})
}

// hangs answers for a second, and then not until it is let go. It does not honor its context.
type hangs struct {
	*meter

	from time.Time
	free chan struct{}
}

func (h hangs) Read(ctx context.Context) (carbon.Reading, error) {
	if time.Since(h.from) > time.Second {
		<-h.free
	}
	return h.meter.Read(ctx)
}

// A source that hangs holds up nobody for longer than a second: no end of a task, of a span,
// of the program.
func TestASourceThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hangs{newMeter(100), time.Now(), make(chan struct{})}
		c, err := carbon.Start(carbon.WithEnergySource(h))
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		began := time.Now()
		_, task := c.Task(t.Context(), "task")
		time.Sleep(100 * time.Millisecond)
		task.End()
		assert.LessOrEqual(t, time.Since(began), 2*time.Second)
		r := c.Report()
		assert.InDelta(t, 100, r.Energy.Total(), 11)
		assert.InDelta(t, time.Since(h.from).Seconds()-1, r.Gap.Seconds(), 0.2)
		began = time.Now()
		require.ErrorContains(t, c.Shutdown(t.Context()), "it does not answer, and is closed when it does")
		assert.LessOrEqual(t, time.Since(began), 3*time.Second)
		close(h.free) // let go at last, it adds nothing
		synctest.Wait()
		assert.InDelta(t, 100, c.Report().Energy.Total(), 11)
	})
	synctest.Test(t, func(t *testing.T) { // from the start
		h := hangs{newMeter(100), time.Now().Add(-time.Hour), make(chan struct{})}
		c, err := carbon.Start(carbon.WithEnergySource(h))
		require.ErrorContains(t, err, "no reading yet")
		close(h.free)
		time.Sleep(10 * time.Second)
		assert.InDelta(t, 1000, c.Report().Energy.Total(), 120)
		require.NoError(t, c.Shutdown(t.Context()))
	})
}

// The usual end: a signal has canceled the context. The source is read and closed.
func TestShutdownWithACanceledContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(100)
		c, err := carbon.Start(carbon.WithEnergySource(m), carbon.WithInterval(time.Minute))
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, c.Shutdown(ctx))
		assert.InDelta(t, 1000, c.Report().Energy.Total(), 1e-6)
		m.set(func(m *meter) { assert.Equal(t, 1, m.closed) })
	})
}

// late answers after some time.
type late struct {
	*meter

	mu    sync.Mutex
	until time.Time
}

func (l *late) Read(ctx context.Context) (carbon.Reading, error) {
	l.mu.Lock()
	d := time.Until(l.until)
	l.mu.Unlock()
	time.Sleep(max(d, 0))
	return l.meter.Read(ctx)
}

// A source that takes 5 s once: that is a gap, and it stays one.
func TestAReadingThatIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &late{meter: newMeter(100)}
		c, reader := start(t, l.meter, carbon.WithEnergySource(l))
		time.Sleep(10 * time.Second)
		l.mu.Lock()
		l.until = time.Now().Add(5 * time.Second)
		l.mu.Unlock()
		time.Sleep(4 * time.Second)
		during := collect(t, reader, "carbon.energy_gap", "")[""]
		_, task := c.Task(t.Context(), "task")
		time.Sleep(3 * time.Second)
		r := task.End()
		after := collect(t, reader, "carbon.energy_gap", "")[""]
		assert.Greater(t, during, 3.0)
		assert.InDelta(t, 5, after, 0.2)
		assert.InDelta(t, after-during, r.Gap.Seconds(), 0.2)
		assert.InDelta(t, 1700, c.Report().Energy.Total(), 15, "and its energy came")
	})
}

// A counter that moves once a second and says when it did: between, there is nothing new.
type slowCounter struct{ began time.Time }

func (s slowCounter) Read(context.Context) (carbon.Reading, error) {
	d := time.Since(s.began).Truncate(time.Second)
	return carbon.Reading{At: s.began.Add(d), Amounts: []carbon.Amount{{Type: "cpu", Method: "measured", Joules: 100 * d.Seconds()}}}, nil
}

func (slowCounter) Close() error { return nil }

func TestACounterThatMovesSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := carbon.Start(carbon.WithEnergySource(slowCounter{time.Now()}))
		require.NoError(t, err)
		provider, exported := spans(t)
		time.Sleep(10*time.Second + 150*time.Millisecond)
		for range 10 {
			ctx, s := provider.Tracer("test").Start(t.Context(), "span")
			_, done := c.Span(ctx)
			time.Sleep(300 * time.Millisecond)
			done()
			s.End()
		}
		for _, s := range exported.GetSpans() {
			assert.InDelta(t, 30, values(&s)["carbon.energy"], 1e-6)
		}
		require.NoError(t, c.Shutdown(t.Context()))
	})
}

// With a reading a minute, spans between have the power of the readings before, and one across
// a counter that began anew says that some of it is not known.
func TestALongInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(100)
		c, _ := start(t, m, carbon.WithInterval(time.Minute))
		provider, exported := spans(t)
		span := func(d time.Duration) {
			ctx, s := provider.Tracer("test").Start(t.Context(), "span")
			_, done := c.Span(ctx)
			time.Sleep(d)
			done()
			s.End()
		}
		time.Sleep(2*time.Minute + time.Second)
		span(10 * time.Second)
		time.AfterFunc(2*time.Minute, func() { m.set(func(m *meter) { m.began = time.Now() }) })
		span(10 * time.Minute)
		got := exported.GetSpans()
		assert.InDelta(t, 1000, values(&got[0])["carbon.energy"], 1e-6)
		assert.Equal(t, "interpolated", values(&got[0])["carbon.coverage"])
		assert.Equal(t, "partial", values(&got[1])["carbon.coverage"])
	})
}

type panics struct{}

func (panics) Read(context.Context) (carbon.Reading, error) { panic("at the meter") }
func (panics) Close() error                                 { return nil }

const asChild = "OTELCARBON_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		child()
		return
	}
	os.Exit(testMain(m))
}

// child works for a second and tells what it used itself.
func child() {
	c, err := carbon.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	x := 1.0
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		x += 1 / x
	}
	_ = json.NewEncoder(os.Stdout).Encode(c.Report())
	_ = c.Shutdown(context.Background())
}

// A program that starts another one: each has its own energy. With WithChildren the one
// that waited has that of its children, too.
func TestChildren(t *testing.T) {
	alone, err := carbon.Start()
	require.NoError(t, err)
	defer func() { require.NoError(t, alone.Shutdown(t.Context())) }()
	both, err := carbon.Start(carbon.WithChildren(), carbon.WithMeterProvider(sdkmetric.NewMeterProvider()))
	require.NoError(t, err)
	defer func() { require.NoError(t, both.Shutdown(t.Context())) }()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), asChild+"=1")
	var told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &told, os.Stderr
	_, task := both.Task(t.Context(), "child")
	require.NoError(t, cmd.Run())
	ran := task.End()
	var its carbon.Report
	require.NoError(t, json.Unmarshal(told.Bytes(), &its))
	time.Sleep(1100 * time.Millisecond) // a look at the machine
	assert.Greater(t, its.Energy.CPU, 0.1)
	assert.Less(t, alone.Report().Energy.CPU, its.Energy.CPU/3, "the work of the child is not the parent's")
	assert.Greater(t, both.Report().Energy.CPU, its.Energy.CPU/2)
	assert.Less(t, both.Report().Energy.CPU, 3*its.Energy.CPU)
	assert.Greater(t, ran.Energy.CPU, its.Energy.CPU/2, "of the task that waited for it")
}

// list is a source that says what it is told to.
type list []carbon.Reading

func (l *list) Read(context.Context) (carbon.Reading, error) {
	r := (*l)[0]
	if len(*l) > 1 {
		*l = (*l)[1:]
	}
	return r, nil
}

func (*list) Close() error { return nil }

// What is not there, or is nothing that is known, is no energy of 0.
func TestWrongReadings(t *testing.T) {
	cpu := func(j float64) carbon.Amount { return carbon.Amount{Type: "cpu", Method: "measured", Joules: j} }
	gpu := func(j float64) carbon.Amount { return carbon.Amount{Type: "gpu", Method: "measured", Joules: j} }
	of := func(a ...carbon.Amount) carbon.Reading { return carbon.Reading{Amounts: a} }
	for name, c := range map[string]struct {
		readings list // each second
		want     string
		joules   float64
		gap      time.Duration
	}{
		"nothing for a second": {list{of(cpu(0)), of(), of(cpu(20)), of(cpu(30))}, "0 of 1 amounts", 30, 2 * time.Second},
		// After three readings without it, its 5 J stand, and it begins anew with 7 J.
		"a GPU is gone and comes back": {
			list{of(cpu(0), gpu(0)), of(cpu(1), gpu(5)), of(cpu(2)), of(cpu(3)), of(cpu(4)), of(cpu(5)), of(cpu(6), gpu(7)), of(cpu(7), gpu(9))},
			"1 of 2 amounts", 7 + 5 + 2, 3 * time.Second,
		},
		"an unknown type":   {list{of(cpu(0)), of(carbon.Amount{Type: "CPU", Method: "measured", Joules: 9})}, `type "CPU": want one of cpu, memory, gpu, other`, 0, 0},
		"an unknown method": {list{of(cpu(0)), of(carbon.Amount{Type: "cpu", Method: "guessed", Joules: 9})}, `method "guessed": want one of measured, integrated, modelled`, 0, 0},
		"no number":         {list{of(cpu(0)), of(cpu(math.NaN()))}, "want a number", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told []error
				otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { told = append(told, err) }))
				n := len(c.readings)
				m, err := carbon.Start(carbon.WithEnergySource(&c.readings), carbon.WithInterval(time.Second))
				require.NoError(t, err)
				time.Sleep(time.Duration(n) * time.Second)
				require.NoError(t, m.Shutdown(t.Context()))
				assert.InDelta(t, c.joules, m.Report().Energy.Total(), 1e-9)
				require.NotEmpty(t, told)
				require.ErrorContains(t, told[0], c.want)
				if c.gap > 0 {
					assert.Equal(t, c.gap, m.Report().Gap)
				}
			})
		})
	}
}

// The counter falls to 0 for one reading and comes back, at 10.1 s: that is none. At 20.15 s it
// begins anew, which is believed at the third reading, at 20.4 s: of the 0.3 s since the last one
// before nothing is known. At 30.1 s it shows 995 J, 970 more.
func TestACounterThatFalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(100)
		c, _ := start(t, m)
		began := m.began
		time.Sleep(10*time.Second + 50*time.Millisecond)
		m.set(func(m *meter) { m.began = time.Now() })
		time.Sleep(100 * time.Millisecond)
		m.set(func(m *meter) { m.began = began })
		time.Sleep(10 * time.Second)
		assert.InDelta(t, 2010, c.Report().Energy.Total(), 1e-6)
		m.set(func(m *meter) { m.began = time.Now() })
		time.Sleep(10 * time.Second)
		r := c.Report()
		assert.InDelta(t, 2010+970, r.Energy.Total(), 1e-6)
		assert.InDelta(t, 0.2+0.3, r.Gap.Seconds(), 1e-6)
	})
}

// A reader with delta temporality, for which a gap must not make all come again.
func TestDeltasAcrossAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := sdkmetric.NewManualReader(sdkmetric.WithTemporalitySelector(func(sdkmetric.InstrumentKind) metricdata.Temporality { return metricdata.DeltaTemporality }))
		m := newMeter(100)
		c, err := carbon.Start(carbon.WithEnergySource(m), carbon.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Shutdown(t.Context())) }()
		sum := 0.0
		for i := range 6 {
			m.set(func(m *meter) {
				m.fail = nil
				if i == 2 || i == 3 {
					m.fail = errors.New("away")
				}
			})
			time.Sleep(10*time.Second + time.Millisecond)
			sum += collect(t, reader, "carbon.energy", "hw.type")["cpu"]
		}
		assert.InDelta(t, c.Report().Energy.Total(), sum, 1e-6)
	})
}
