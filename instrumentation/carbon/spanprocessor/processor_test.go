package spanprocessor_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/spanprocessor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tracing returns a tracer whose spans arrive in e, and the provider.
func tracing(m spanprocessor.Monitor, opts ...sdktrace.TracerProviderOption) (trace.Tracer, *ended, *sdktrace.TracerProvider) {
	e := &ended{}
	p := sdktrace.NewTracerProvider(append(opts, sdktrace.WithSpanProcessor(spanprocessor.New(e, m)))...)
	tracer := p.Tracer("test")
	return tracer, e, p
}

// attributes returns those of the only span with a name.
func (e *ended) attributes(t *testing.T, name string) map[attribute.Key]any {
	t.Helper()
	var out map[attribute.Key]any
	for _, s := range e.spans {
		if s.Name() != name {
			continue
		}
		if out != nil {
			t.Errorf("there are two spans %s", name)
		}
		out = map[attribute.Key]any{}
		for _, a := range s.Attributes() {
			if _, twice := out[a.Key]; twice {
				t.Errorf("%s: %s twice", name, a.Key)
			}
			out[a.Key] = a.Value.AsInterface()
		}
	}
	if out == nil {
		t.Fatalf("no span %s", name)
	}
	return out
}

func (e *ended) joules(t *testing.T, name string, want float64) {
	t.Helper()
	got, ok := e.attributes(t, name)["carbon.energy"].(float64)
	if !ok || math.Abs(got-want) > 1e-9 {
		t.Errorf("%s: carbon.energy = %v, %v, want %v", name, got, ok, want)
	}
}

func TestSpansHaveTheirEnergy(t *testing.T) {
	// 10 W. server 100–120 and 180–200, left and right 120–180 in parallel until left ends at 160:
	// server 20 + 20 ms = 0.4 J, left 40 ms / 2 = 0.2 J, right 20 + 20 ms = 0.4 J.
	m, sleep := scripted()
	tracer, e, _ := tracing(m)
	ctx, server := tracer.Start(t.Context(), "server")
	sleep(20)
	_, left := tracer.Start(ctx, "left")
	_, right := tracer.Start(ctx, "right")
	sleep(40)
	left.End()
	sleep(20)
	right.End()
	sleep(20)
	server.End()
	e.joules(t, "server", 0.4)
	e.joules(t, "left", 0.2)
	e.joules(t, "right", 0.4)

	got := e.attributes(t, "server")
	delete(got, "carbon.energy")
	grams, ok := got["carbon.emissions"].(float64) // 0.4 J / 3.6e6 × 500 g
	if delete(got, "carbon.emissions"); !ok || math.Abs(grams-5.5555555555e-5) > 1e-12 {
		t.Errorf("carbon.emissions = %v", grams)
	}
	want := map[attribute.Key]any{
		"carbon.method": "measured", "carbon.grid.intensity": 500.0, "carbon.grid.zone": "FR",
		"carbon.grid.source": "static", "carbon.uncertainty": 0.2,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWhatIsNotKnownIsNotThere(t *testing.T) {
	m := newMonitor(1000) // no reading yet
	tracer, e, _ := tracing(m)
	_, s := tracer.Start(t.Context(), "early")
	s.End()
	if got := e.attributes(t, "early"); len(got) != 0 {
		t.Errorf("early: %v", got)
	}
	m, sleep := scripted()
	m.priced = false
	tracer, e, _ = tracing(m)
	_, s = tracer.Start(t.Context(), "unpriced")
	sleep(10)
	s.End()
	e.joules(t, "unpriced", 0.1)
	if got := e.attributes(t, "unpriced"); len(got) != 2 || got["carbon.method"] != "measured" {
		t.Errorf("unpriced: %v", got)
	}
}

func TestWhatTheApplicationSetsWins(t *testing.T) {
	for _, c := range []struct {
		own  attribute.KeyValue
		ours int
	}{
		{attribute.String("http.route", "/"), 7},
		{attribute.Float64("carbon.energy", 42), 0},
		{attribute.String("carbon.method", "guessed"), 0},
		{attribute.Float64("carbon.uncertainty", 42), 0},
		{attribute.Float64("carbon.emissions", 42), 2},
		{attribute.Float64("carbon.grid.intensity", 42), 2},
		{attribute.String("carbon.grid.zone", "DE"), 2},
		{attribute.String("carbon.grid.quality", "measured"), 2},
		{attribute.String("carbon.budget.name", "b"), 7},
	} {
		t.Run(string(c.own.Key), func(t *testing.T) {
			m, sleep := scripted()
			tracer, e, _ := tracing(m)
			_, s := tracer.Start(t.Context(), "work", trace.WithAttributes(c.own))
			sleep(10)
			s.End()
			got := e.attributes(t, "work")
			if len(got) != 1+c.ours || got[c.own.Key] != c.own.Value.AsInterface() {
				t.Errorf("got %v, want %v and %d of ours", got, c.own, c.ours)
			}
		})
	}
}

func TestAttributeLimit(t *testing.T) {
	for _, c := range []struct{ limit, own, want, dropped int }{
		{128, 3, 10, 0},
		{128, 128, 128, 7},
		{128, 126, 128, 5},
		{128, 130, 128, 9}, // 2 by the SDK
		{5, 0, 5, 2},
		{5, 4, 5, 6},
		{0, 0, 0, 7},
		{0, 2, 0, 9},
		{-1, 200, 207, 0},
	} {
		t.Run(fmt.Sprintf("limit %d, %d own", c.limit, c.own), func(t *testing.T) {
			m, sleep := scripted()
			e := &ended{}
			limits := sdktrace.NewSpanLimits()
			opts := []spanprocessor.Option{nil}
			if limits.AttributeCountLimit = c.limit; c.limit != 128 {
				opts = append(opts, spanprocessor.WithAttributeCountLimit(c.limit))
			}
			provider := sdktrace.NewTracerProvider(sdktrace.WithRawSpanLimits(limits),
				sdktrace.WithSpanProcessor(spanprocessor.New(e, m, opts...)))
			_, s := provider.Tracer("").Start(t.Context(), "work")
			for i := range c.own {
				s.SetAttributes(attribute.Int(fmt.Sprint("own.", i), i))
			}
			sleep(10)
			s.End()
			got := e.spans[0]
			if n, d := len(got.Attributes()), got.DroppedAttributes(); n != c.want || d != c.dropped {
				t.Errorf("%d attributes and %d dropped, want %d and %d", n, d, c.want, c.dropped)
			}
			if c.limit > c.own {
				e.joules(t, "work", 0.1)
			}
		})
	}
	t.Run("of the environment", func(t *testing.T) {
		t.Setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1")
		m, sleep := scripted()
		tracer, e, _ := tracing(m)
		_, s := tracer.Start(t.Context(), "work")
		sleep(10)
		s.End()
		e.joules(t, "work", 0.1)
		if n, d := len(e.spans[0].Attributes()), e.spans[0].DroppedAttributes(); n != 1 || d != 6 {
			t.Errorf("%d attributes and %d dropped", n, d)
		}
	})
}

// Everything but attributes is what the SDK made, and so are the attributes for
// whoever gets the span otherwise.
func TestTheRestOfTheSpanIsUntouched(t *testing.T) {
	m, sleep := scripted()
	with, without := &ended{}, &ended{}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(without),
		sdktrace.WithSpanProcessor(spanprocessor.New(with, m)))
	tracer := provider.Tracer("lib", trace.WithInstrumentationVersion("v1"))
	ctx, parent := tracer.Start(t.Context(), "parent")
	_, s := tracer.Start(ctx, "work", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.Int("own", 1)),
		trace.WithLinks(trace.Link{SpanContext: parent.SpanContext(), Attributes: []attribute.KeyValue{attribute.Int("link", 1)}}))
	s.AddEvent("event", trace.WithAttributes(attribute.Int("event", 1)))
	s.RecordError(errors.New("error"))
	s.SetStatus(codes.Error, "error")
	sleep(10)
	s.End()
	parent.End()
	if n := len(with.spans[0].Attributes()); n != 8 {
		t.Errorf("%d attributes", n)
	}
	got, want := tracetest.SpanStubFromReadOnlySpan(with.spans[0]), tracetest.SpanStubFromReadOnlySpan(without.spans[0])
	if len(want.Attributes) != 1 || len(want.Events) != 2 || len(want.Links) != 1 {
		t.Errorf("without: %+v", want)
	}
	got.Attributes = want.Attributes
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestParents(t *testing.T) {
	t.Run("remote", func(t *testing.T) {
		m, sleep := scripted()
		tracer, e, _ := tracing(m)
		ctx := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, Remote: true,
		}))
		_, s := tracer.Start(ctx, "server")
		sleep(10)
		s.End()
		e.joules(t, "server", 0.1)
		if !e.spans[0].Parent().IsRemote() {
			t.Error("the parent was not remote")
		}
	})
	t.Run("in the same process over the network", func(t *testing.T) {
		m, sleep := scripted()
		tracer, e, _ := tracing(m)
		_, client := tracer.Start(t.Context(), "client")
		ctx := trace.ContextWithRemoteSpanContext(t.Context(), client.SpanContext())
		_, server := tracer.Start(ctx, "server")
		sleep(10)
		server.End()
		client.End()
		e.joules(t, "server", 0.1)
		e.joules(t, "client", 0)
	})
	t.Run("new root", func(t *testing.T) {
		m, sleep := scripted()
		tracer, e, _ := tracing(m)
		ctx, a := tracer.Start(t.Context(), "a")
		_, b := tracer.Start(ctx, "b", trace.WithNewRoot())
		sleep(10)
		b.End()
		a.End()
		e.joules(t, "a", 0.05)
		e.joules(t, "b", 0.05)
	})
	t.Run("ended before its child", func(t *testing.T) {
		m, sleep := scripted()
		tracer, e, _ := tracing(m)
		ctx, a := tracer.Start(t.Context(), "a")
		_, b := tracer.Start(ctx, "b")
		sleep(10)
		a.End()
		sleep(10)
		_, c := tracer.Start(ctx, "c")
		b.End()
		sleep(10)
		c.End()
		e.joules(t, "a", 0)
		e.joules(t, "b", 0.2)
		e.joules(t, "c", 0.1)
	})
}

// samplerFunc decides by the name of a span.
type samplerFunc func(name string) sdktrace.SamplingDecision

func (f samplerFunc) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	return sdktrace.SamplingResult{Decision: f(p.Name)}
}

func (samplerFunc) Description() string { return "by name" }

func TestSampling(t *testing.T) {
	// 10 ms at 10 W for two of the three: nobody knows of the one that was dropped.
	m, sleep := scripted()
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(samplerFunc(func(name string) sdktrace.SamplingDecision {
			return map[string]sdktrace.SamplingDecision{
				"sampled": sdktrace.RecordAndSample, "recorded": sdktrace.RecordOnly, "dropped": sdktrace.Drop,
			}[name]
		})),
		sdktrace.WithSpanProcessor(spanprocessor.New(sdktrace.NewSimpleSpanProcessor(exporter), m)))
	var spans []trace.Span
	for _, name := range []string{"sampled", "recorded", "dropped"} {
		_, s := provider.Tracer("").Start(t.Context(), name)
		spans = append(spans, s)
	}
	if n := m.table.Len(); n != 2 {
		t.Errorf("%d spans are measured", n)
	}
	sleep(10)
	for _, s := range spans {
		s.End()
	}
	got := exporter.GetSpans()
	if len(got) != 1 || got[0].Name != "sampled" {
		t.Fatalf("exported %+v", got)
	}
	if a := got[0].Attributes[0]; a.Key != "carbon.energy" || math.Abs(a.Value.AsFloat64()-0.05) > 1e-9 {
		t.Errorf("%v", a)
	}
}

func TestTwoProcessorsMeasureOnce(t *testing.T) {
	m, sleep := scripted()
	one, two := &ended{}, &ended{}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spanprocessor.New(one, m)),
		sdktrace.WithSpanProcessor(spanprocessor.New(two, m)))
	_, s := provider.Tracer("").Start(t.Context(), "work")
	sleep(10)
	s.End()
	one.joules(t, "work", 0.1)
	two.joules(t, "work", 0.1)
	if n := m.table.Len(); n != 0 {
		t.Errorf("%d spans left", n)
	}
}

func TestSpansThatNeverEndMakeRoom(t *testing.T) {
	m := newMonitor(160)
	m.clock.Book(1, m.now())
	tracer, e, _ := tracing(m)
	_, first := tracer.Start(t.Context(), "first")
	for range 10_000 {
		tracer.Start(t.Context(), "never")
	}
	if n := m.table.Len(); n >= 320 || m.table.Evicted() == 0 {
		t.Errorf("%d spans in progress, %d evicted", n, m.table.Evicted())
	}
	first.End()
	if got := e.attributes(t, "first"); len(got) != 0 {
		t.Errorf("first: %v", got)
	}
}

func TestFlushAndShutdown(t *testing.T) {
	m, sleep := scripted()
	tracer, e, provider := tracing(m)
	_, open := tracer.Start(t.Context(), "open")
	_ = provider.ForceFlush(t.Context())
	if e.flushed != 1 {
		t.Errorf("flushed %d times", e.flushed)
	}
	for range 2 {
		if err := provider.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if e.down != 1 {
		t.Errorf("shut down %d times", e.down)
	}
	if n := m.clock.Totals(m.now()).Leaves; n != 0 || m.table.Len() != 0 {
		t.Errorf("%d leaves, %d spans after the end", n, m.table.Len())
	}
	sleep(10)
	open.End()
	_, s := tracer.Start(t.Context(), "late")
	s.End()

	// The processor by itself forgets nothing that comes late, and may be told twice.
	p := spanprocessor.New(e, m)
	for range 2 {
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	_, s = sdktrace.NewTracerProvider().Tracer("").Start(t.Context(), "by hand")
	p.OnStart(t.Context(), s.(sdktrace.ReadWriteSpan))
	p.OnEnd(s.(sdktrace.ReadOnlySpan))
	if got := e.attributes(t, "by hand"); len(got) != 0 || m.table.Len() != 0 {
		t.Errorf("%v, %d spans", got, m.table.Len())
	}
	if spanprocessor.New(e, nil) != sdktrace.SpanProcessor(e) {
		t.Error("without a monitor there is nothing to wrap")
	}
}

// What all spans have together is what the clock says, through the batch processor
// and from many goroutines.
func TestConcurrently(t *testing.T) {
	const workers, rounds = 8, 200
	m := newMonitor(100_000)
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spanprocessor.New(
		sdktrace.NewBatchSpanProcessor(exporter, sdktrace.WithBlocking(), sdktrace.WithBatchTimeout(time.Millisecond)), m)))
	stop, ticks := make(chan struct{}), sync.WaitGroup{}
	ticks.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				m.clock.Book(0.001, m.now())
			}
		}
	})
	tracer := provider.Tracer("test")
	ctx, root := tracer.Start(t.Context(), "root")
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				ctx, a := tracer.Start(ctx, "a")
				_, b := tracer.Start(ctx, "b")
				a.End()
				b.End()
			}
		})
	}
	wg.Wait()
	root.End()
	close(stop)
	ticks.Wait()
	if err := provider.ForceFlush(t.Context()); err != nil {
		t.Error(err)
	}
	spans := exporter.GetSpans()
	if len(spans) != 2*workers*rounds+1 {
		t.Errorf("%d spans", len(spans))
	}
	sum := 0.0
	for _, s := range spans {
		for _, a := range s.Attributes {
			if a.Key == "carbon.energy" {
				sum += a.Value.AsFloat64()
			}
		}
	}
	if want := m.clock.Totals(m.now()).Nodes; sum == 0 || math.Abs(sum-want) > 1e-9*want {
		t.Errorf("the spans have %v J, the clock gave %v", sum, want)
	}
	if err := provider.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOneAllocationMore(t *testing.T) {
	m := newMonitor(1000)
	m.clock.Book(1, m.now())
	allocs := func(p sdktrace.SpanProcessor) float64 {
		tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(p)).Tracer("")
		work := func() {
			_, s := tracer.Start(t.Context(), "work")
			s.End()
		}
		for range 200 {
			work() // fills the table's store of entries
		}
		return testing.AllocsPerRun(1000, work)
	}
	bare, with := allocs(nothing{}), allocs(spanprocessor.New(nothing{}, m))
	if with > bare+1 {
		t.Errorf("%v allocations, %v without energy", with, bare)
	}
}
