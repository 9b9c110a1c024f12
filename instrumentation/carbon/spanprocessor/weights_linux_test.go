package spanprocessor_test

import (
	"bytes"
	"context"
	"log"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon"
	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/cputime/cputimetest"
	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/spanprocessor"
)

// hundredWattsACPU is a source of 100 J for each second of CPU time, however long that takes
// on a busy machine.
type hundredWattsACPU struct{}

func (hundredWattsACPU) Read(context.Context) (carbon.Reading, error) {
	var u unix.Rusage
	err := unix.Getrusage(unix.RUSAGE_SELF, &u)
	return carbon.Reading{Amounts: []carbon.Amount{{Type: "cpu", Method: "measured", Sensor: "rapl", Joules: 100 * float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9}}}, err
}

func (hundredWattsACPU) Close() error { return nil }

// weighed measures 100 W for each CPU.
func weighed(t *testing.T, opts ...carbon.Option) (*carbon.Monitor, trace.Tracer, *tracetest.InMemoryExporter, *sdktrace.TracerProvider) {
	t.Helper()
	all := append([]carbon.Option{
		carbon.WithEnergySource(hundredWattsACPU{}), carbon.WithInterval(10 * time.Millisecond), carbon.WithZone("FR"), carbon.WithCPUWeights(),
	}, opts...)
	m, err := carbon.Start(all...)
	require.NoError(t, err)
	recorder := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spanprocessor.New(sdktrace.NewSimpleSpanProcessor(recorder), m)))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, m.Shutdown(ctx))
		require.NoError(t, provider.Shutdown(ctx))
	})
	time.Sleep(50 * time.Millisecond) // until the power is known
	tracer := provider.Tracer("test")
	return m, tracer, recorder, provider
}

func number(s *tracetest.SpanStub, key attribute.Key) float64 {
	set := attribute.NewSet(s.Attributes...)
	v, _ := set.Value(key)
	return v.AsFloat64()
}

func word(s *tracetest.SpanStub, key attribute.Key) string {
	set := attribute.NewSet(s.Attributes...)
	v, _ := set.Value(key)
	return v.AsString()
}

// Two spans of one name at the same time, for 1.2 s or more: one works, one sleeps. Evenly
// each would have half.
func TestWhoWorksPays(t *testing.T) {
	m, tracer, recorder, provider := weighed(t)
	var both sync.WaitGroup
	done := make(chan struct{})
	begin := time.Now()
	for _, work := range []bool{true, false} {
		both.Go(func() {
			_, span := tracer.Start(t.Context(), "job", trace.WithAttributes(attribute.Bool("work", work)))
			defer span.End()
			if work {
				defer close(done)
				cputimetest.Burn(1200 * time.Millisecond)
				return
			}
			<-done
		})
	}
	both.Wait()
	took := time.Since(begin)
	require.NoError(t, provider.ForceFlush(t.Context()))
	spans := recorder.GetSpans()
	require.Len(t, spans, 2)
	sum, worked := 0.0, 0.0
	for i := range spans {
		s := &spans[i]
		sum += number(s, "carbon.energy")
		if number(s, "carbon.energy") > worked {
			worked = number(s, "carbon.energy")
		}
		assert.Equal(t, "cpu", word(s, "carbon.attribution"))
		assert.Empty(t, word(s, "carbon.coverage"), "all of it was read")
		assert.InEpsilon(t, number(s, "carbon.energy")/3.6e6*number(s, "carbon.grid.intensity"), number(s, "carbon.emissions"), 1e-9)
	}
	// A window with fewer samples says less of who worked, and the sleeper is held to have
	// had one of them (cputime.Divider). On a machine with other work 1.2 s of CPU time take
	// longer, so there are fewer in each second; 90 % is what must hold there, too.
	least := 0.95
	if took > 2*time.Second {
		least = 0.9
	}
	assert.Greater(t, worked, least*sum, "%v for 1.2 s of CPU time", took)
	assert.InDelta(t, m.Report().Energy.Total(), sum+m.Report().Unattributed, 5, "the sum stays what it was, up to the readings since")
	assert.Greater(t, sum, 100.0)
}

// A program that waits most of the time: what its spans draw is theirs, though the energy is
// read only each 100 ms, in which they work for 20. It is the real process, without weights.
func TestSpansOfAProgramThatWaits(t *testing.T) {
	m, err := carbon.Start(carbon.WithZone("FR"))
	require.NoError(t, err)
	recorder := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spanprocessor.New(sdktrace.NewSimpleSpanProcessor(recorder), m)))
	for range 15 {
		time.Sleep(110 * time.Millisecond)
		_, span := provider.Tracer("test").Start(t.Context(), "work")
		cputimetest.Burn(20 * time.Millisecond)
		span.End()
	}
	sum := 0.0
	spans := recorder.GetSpans()
	for i := range spans {
		sum += number(&spans[i], "carbon.energy")
	}
	require.NoError(t, provider.Shutdown(t.Context()))
	require.NoError(t, m.Shutdown(t.Context()))
	all := m.Report()
	assert.Greater(t, sum, all.Energy.Total()*0.6)
	assert.InDelta(t, all.Energy.Total(), sum+all.Unattributed, 0.1*all.Energy.Total())
}

// A parent does nothing while its child works; short children share by time.
func TestChildrenPayForThemselves(t *testing.T) {
	_, tracer, recorder, provider := weighed(t)
	ctx, parent := tracer.Start(t.Context(), "parent")
	began := time.Now()
	children := 0
	for ; time.Since(began) < 600*time.Millisecond; children++ {
		_, child := tracer.Start(ctx, "child")
		cputimetest.Burn(time.Millisecond)
		child.End()
	}
	parent.End()
	require.NoError(t, provider.ForceFlush(t.Context()))
	all, most, none := 0.0, 0.0, 0
	spans := recorder.GetSpans()
	for i := range spans {
		s := &spans[i]
		if s.Name == "parent" {
			continue
		}
		e := number(s, "carbon.energy")
		all, most = all+e, max(most, e)
		if e == 0 {
			none++
		}
	}
	own := number(&spans[len(spans)-1], "carbon.energy")
	assert.Greater(t, all, 10*own)
	assert.Zero(t, none, "a span of 1 ms is not without energy because no sample met it")
	assert.Less(t, most, 0.2*all, "nor has it that of ten")
}

// What goes on in no span is nobody's, and who works for a span elsewhere says so.
func TestWorkersAttach(t *testing.T) {
	m, tracer, recorder, provider := weighed(t)
	jobs := make(chan context.Context)
	var pool sync.WaitGroup
	pool.Go(func() {
		for ctx := range jobs {
			if ctx == nil {
				cputimetest.Burn(300 * time.Millisecond)
				continue
			}
			detach := m.Attach(ctx)
			cputimetest.Burn(300 * time.Millisecond)
			detach()
		}
	})
	ctx, span := tracer.Start(t.Context(), "served")
	jobs <- ctx
	jobs <- nil
	jobs <- nil
	close(jobs)
	pool.Wait()
	span.End()
	require.NoError(t, provider.ForceFlush(t.Context()))
	spans := recorder.GetSpans()
	require.Len(t, spans, 1)
	// A third of the CPU time was for the span; it is 90 samples, give or take.
	all := number(&spans[0], "carbon.energy") + m.Report().Unattributed
	assert.InDelta(t, all/3, number(&spans[0], "carbon.energy"), 0.1*all)
	assert.Greater(t, all, 80.0)
}

// A goroutine that is started in a span belongs to it; labels of the program stay.
func TestLabels(t *testing.T) {
	_, tracer, recorder, provider := weighed(t)
	pprof.Do(t.Context(), pprof.Labels("team", "a"), func(ctx context.Context) {
		ctx, span := tracer.Start(ctx, "outer")
		_, inner := tracer.Start(ctx, "inner")
		var all sync.WaitGroup
		all.Go(func() { cputimetest.Burn(300 * time.Millisecond) })
		all.Wait()
		inner.End()
		span.End()
		var goroutines bytes.Buffer
		require.NoError(t, pprof.Lookup("goroutine").WriteTo(&goroutines, 1))
		assert.Contains(t, goroutines.String(), `labels: {"team":"a"}`)
	})
	require.NoError(t, provider.ForceFlush(t.Context()))
	spans := recorder.GetSpans()
	require.Len(t, spans, 2)
	assert.Equal(t, "inner", spans[0].Name)
	assert.Greater(t, number(&spans[0], "carbon.energy"), 9*number(&spans[1], "carbon.energy"))
}

// Who profiles the program itself has the profiler; meanwhile all is shared evenly.
func TestOthersProfile(t *testing.T) {
	var theirs bytes.Buffer
	require.NoError(t, pprof.StartCPUProfile(&theirs))
	m, tracer, recorder, provider := weighed(t)
	_, span := tracer.Start(t.Context(), "even")
	cputimetest.Burn(100 * time.Millisecond)
	span.End()
	require.NoError(t, provider.ForceFlush(t.Context()))
	pprof.StopCPUProfile()
	assert.NotEmpty(t, theirs.Bytes())
	spans := recorder.GetSpans()
	require.Len(t, spans, 1)
	assert.Empty(t, word(&spans[0], "carbon.attribution"))
	assert.InDelta(t, 10, number(&spans[0], "carbon.energy"), 3)

	// And who asks gets it.
	resume := m.PauseCPUWeights()
	require.NoError(t, pprof.StartCPUProfile(&theirs))
	pprof.StopCPUProfile()
	resume()
	resume()
	_, span = tracer.Start(t.Context(), "weighed")
	cputimetest.Burn(300 * time.Millisecond)
	span.End()
	require.NoError(t, provider.ForceFlush(t.Context()))
	spans = recorder.GetSpans()
	assert.Equal(t, "cpu", word(&spans[1], "carbon.attribution"))
}

// Tasks share by CPU time, too, with those in them counted for those around them.
func TestTasksByCPUTime(t *testing.T) {
	m, tracer, _, _ := weighed(t)
	ctx, job := m.Task(t.Context(), "job")
	var both sync.WaitGroup
	var worked, waited carbon.Report
	done := make(chan struct{})
	both.Go(func() {
		ctx, task := m.Task(ctx, "work")
		_, span := tracer.Start(ctx, "half")
		cputimetest.Burn(300 * time.Millisecond)
		span.End()
		cputimetest.Burn(300 * time.Millisecond)
		worked = task.End()
		close(done)
	})
	both.Go(func() {
		_, task := m.Task(ctx, "wait")
		<-done
		waited = task.End()
	})
	both.Wait()
	all := job.End()
	assert.Greater(t, worked.Energy.Total(), 9*waited.Energy.Total())
	assert.Greater(t, worked.Energy.Total(), 40.0)
	assert.InEpsilon(t, worked.Energy.Total()+waited.Energy.Total(), all.Energy.Total(), 0.15, "but for what the job around them was given")
	assert.InEpsilon(t, all.Energy.Total()/3.6e6*all.Intensity, all.Emissions, 1e-9)
	assert.Greater(t, all.Energy.CPU, 0.99*all.Energy.Total())
}

// In whatever order a program stops, each span is passed on once.
func TestWeightsAtTheEnd(t *testing.T) {
	for _, first := range []string{"monitor", "provider"} {
		t.Run(first, func(t *testing.T) {
			m, tracer, recorder, provider := weighed(t)
			_, open := tracer.Start(t.Context(), "open")
			for range 10 {
				_, span := tracer.Start(t.Context(), "ended")
				cputimetest.Burn(5 * time.Millisecond)
				span.End()
			}
			if first == "monitor" {
				require.NoError(t, m.Shutdown(t.Context()))
			}
			open.End()
			require.NoError(t, provider.ForceFlush(t.Context()))
			require.Len(t, recorder.GetSpans(), 11)
			require.NoError(t, provider.Shutdown(t.Context()))
		})
	}
}

// slow takes its time for each span.
type slow struct {
	nothing

	takes time.Duration
	stop  chan struct{} // nil, or it waits for it
	got   atomic.Int64
	down  atomic.Bool
	late  atomic.Int64
}

func (s *slow) OnEnd(sdktrace.ReadOnlySpan) {
	if s.stop != nil {
		<-s.stop
	}
	time.Sleep(s.takes)
	if s.down.Load() {
		s.late.Add(1)
	}
	s.got.Add(1)
}

func (s *slow) Shutdown(context.Context) error {
	s.down.Store(true)
	return nil
}

// ForceFlush waits for spans that are being passed on, so that Shutdown loses none; and what
// burns meanwhile pays for itself.
func TestASlowExporter(t *testing.T) {
	m, err := carbon.Start(carbon.WithEnergySource(hundredWattsACPU{}), carbon.WithCPUWeights(), carbon.WithInterval(10*time.Millisecond))
	require.NoError(t, err)
	next := &slow{takes: 5 * time.Millisecond}
	recorder := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(spanprocessor.New(next, m)),
		sdktrace.WithSpanProcessor(spanprocessor.New(sdktrace.NewSimpleSpanProcessor(recorder), m)))
	tracer := provider.Tracer("test")
	time.Sleep(50 * time.Millisecond)
	for range 100 {
		_, s := tracer.Start(t.Context(), "small")
		s.End()
	}
	require.Eventually(t, func() bool { return next.got.Load() > 0 }, 5*time.Second, time.Millisecond)
	_, work := tracer.Start(t.Context(), "work")
	cputimetest.Burn(200 * time.Millisecond)
	work.End()
	require.NoError(t, provider.ForceFlush(t.Context()))
	assert.EqualValues(t, 101, next.got.Load())
	for _, s := range recorder.GetSpans() {
		if s.Name == "work" {
			assert.InDelta(t, 20, number(&s, "carbon.energy"), 6)
		}
	}
	require.NoError(t, provider.Shutdown(t.Context()))
	assert.Zero(t, next.late.Load())
	require.NoError(t, m.Shutdown(t.Context()))
}

// An exporter that never returns holds up nobody for ever.
func TestAnExporterThatHangs(t *testing.T) {
	m, err := carbon.Start(carbon.WithEnergySource(hundredWattsACPU{}), carbon.WithCPUWeights())
	require.NoError(t, err)
	next := &slow{stop: make(chan struct{})}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spanprocessor.New(next, m)))
	for range 3 {
		_, s := provider.Tracer("test").Start(t.Context(), "span")
		s.End()
		time.Sleep(50 * time.Millisecond)
	}
	_, task := m.Task(t.Context(), "task")
	began := time.Now()
	task.End()
	assert.Less(t, time.Since(began), time.Second, "a task waits for its CPU time, not for exporters")
	require.ErrorContains(t, provider.ForceFlush(t.Context()), "the span processor takes its time")
	require.Error(t, m.Shutdown(t.Context()))
	close(next.stop)
	require.Eventually(t, func() bool { return next.got.Load() == 3 }, 5*time.Second, time.Millisecond)
	require.NoError(t, provider.Shutdown(t.Context()))
}

// A handler of errors may use the Monitor of which it is told.
func TestAnErrorHandlerThatAsks(t *testing.T) {
	var theirs bytes.Buffer
	require.NoError(t, pprof.StartCPUProfile(&theirs))
	defer pprof.StopCPUProfile()
	monitor, told := make(chan *carbon.Monitor, 1), make(chan struct{})
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {
		m := <-monitor
		m.Report()
		close(told)
	}))
	defer otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Print(err) }))
	m, err := carbon.Start(carbon.WithEnergySource(hundredWattsACPU{}), carbon.WithCPUWeights())
	require.NoError(t, err)
	monitor <- m
	<-told
	second, err := carbon.Start(carbon.WithEnergySource(hundredWattsACPU{}), carbon.WithCPUWeights())
	require.ErrorContains(t, err, "another Monitor shares by CPU time already")
	require.NoError(t, second.Shutdown(t.Context()))
	require.NoError(t, m.Shutdown(t.Context()))
}

// A source is closed once nobody reads it, whatever ends at the same time.
type open struct {
	reads int // a data race, if it is one
	ended bool
}

func (o *open) Read(context.Context) (carbon.Reading, error) {
	if o.reads++; o.ended {
		panic("read after its end")
	}
	return carbon.Reading{Amounts: []carbon.Amount{{Type: "cpu", Method: "measured", Joules: float64(o.reads)}}}, nil
}

func (o *open) Close() error {
	o.reads++
	o.ended = true
	return nil
}

func TestASourceIsUsedByOne(t *testing.T) {
	for i := range 30 {
		opts := []carbon.Option{carbon.WithEnergySource(&open{}), carbon.WithInterval(10 * time.Millisecond)}
		if i%2 == 0 {
			opts = append(opts, carbon.WithCPUWeights())
		}
		m, err := carbon.Start(opts...)
		require.NoError(t, err)
		var all sync.WaitGroup
		for range 4 {
			_, task := m.Task(t.Context(), "task")
			all.Go(func() { task.End() })
		}
		require.NoError(t, m.Shutdown(t.Context()))
		all.Wait()
	}
}

// Conservation with random trees of spans, of which some never end, on several goroutines.
func TestWeightsConserve(t *testing.T) {
	m, tracer, recorder, provider := weighed(t)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 200 {
				ctx, a := tracer.Start(t.Context(), "a")
				if (i+g)%3 == 0 {
					cputimetest.Burn(time.Duration(i%5) * time.Millisecond)
				}
				_, b := tracer.Start(ctx, "b")
				time.Sleep(time.Duration(i%3) * time.Millisecond)
				if i%10 != 0 {
					b.End()
				}
				a.End()
			}
		})
	}
	all.Wait()
	require.NoError(t, provider.ForceFlush(t.Context()))
	spans := recorder.GetSpans()
	require.NoError(t, provider.Shutdown(t.Context())) // what never ended is nobody's from now on
	require.NoError(t, m.Shutdown(t.Context()))
	sum := 0.0
	require.Equal(t, 4*380, len(spans)) //nolint:testifylint // they would all be printed
	for i := range spans {
		require.GreaterOrEqual(t, number(&spans[i], "carbon.energy"), 0.0)
		sum += number(&spans[i], "carbon.energy")
	}
	r := m.Report()
	assert.InEpsilon(t, r.Energy.Total(), sum+r.Unattributed, 0.02, "all of it, but for what was given ahead of the last reading")
}
