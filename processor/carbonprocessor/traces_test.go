package carbonprocessor

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor/processortest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/offline"
	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor/internal/metadata"
	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor/internal/metadatatest"
)

// tracesRig is a rig for a pipeline of traces.
type tracesRig struct {
	rig

	p *tracesProcessor
}

// newTracesRig is newRig for traces. Slots that are periodic are those of tables.
func newTracesRig(t testing.TB, edit func(*Config), slots ...*intensity.Slot) *tracesRig {
	t.Helper()
	cfg := createDefaultConfig().(*Config)
	g := 360.0
	cfg.Providers = []ProviderConfig{{Static: &StaticConfig{GramsPerKWh: &g}}}
	if edit != nil {
		edit(cfg)
	}
	require.NoError(t, cfg.Validate())
	r := &tracesRig{rig: rig{t: t, telemetry: componenttest.NewTelemetry()}}
	set := metadatatest.NewSettings(r.telemetry)
	core, logs := observer.New(zap.InfoLevel)
	set.Logger, r.logs = zap.New(core), logs
	e, err := newEngine(cfg, set)
	require.NoError(t, err)
	if len(slots) > 0 {
		e.open = func(_ context.Context, e *engine, _ component.Host) (intensity.Source, *offline.Provider, error) {
			var coarse, fine []*intensity.Slot
			for _, s := range slots {
				if s.Quality == intensity.Periodic {
					coarse = append(coarse, s)
				} else {
					fine = append(fine, s)
				}
			}
			grid, err := intensity.NewGrid(coarse, fine)
			require.NoError(t, err)
			tables, err := openTables(e.config)
			return &fixedSource{handle: intensity.NewHandle(grid)}, tables, err
		}
	}
	r.p = newTracesProcessor(e, e.counters.Shutdown)
	require.NoError(t, r.p.start(t.Context(), componenttest.NewNopHost()))
	r.began = e.began
	t.Cleanup(func() {
		require.NoError(t, r.p.shutdown(context.WithoutCancel(t.Context())))
		require.NoError(t, r.telemetry.Shutdown(context.WithoutCancel(t.Context())))
	})
	return r
}

// span is one that lasts from one second after the start of the processor to another.
func (r *tracesRig) span(from, to float64, attrs map[string]any) ptrace.Span {
	r.t.Helper()
	s := ptrace.NewSpan()
	s.SetStartTimestamp(r.at(from))
	s.SetEndTimestamp(r.at(to))
	require.NoError(r.t, s.Attributes().FromRaw(attrs))
	return s
}

// price sends a span alone and returns its attributes.
func (r *tracesRig) price(resource map[string]any, s ptrace.Span) map[string]any {
	r.t.Helper()
	td := traces(r.t, resource, s)
	out, err := r.p.processTraces(r.t.Context(), td)
	require.NoError(r.t, err)
	require.Equal(r.t, 1, out.SpanCount())
	return firstSpan(out).Attributes().AsRaw()
}

func (r *tracesRig) spansDropped() map[string]int64 {
	return r.counter("otelcol_processor_carbon_spans_dropped", "reason")
}

func traces(t testing.TB, resource map[string]any, spans ...ptrace.Span) ptrace.Traces {
	t.Helper()
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	require.NoError(t, rs.Resource().Attributes().FromRaw(resource))
	ss := rs.ScopeSpans().AppendEmpty()
	for _, s := range spans {
		s.CopyTo(ss.Spans().AppendEmpty())
	}
	return td
}

func firstSpan(td ptrace.Traces) ptrace.Span {
	return td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
}

func marshaled(t testing.TB, td ptrace.Traces) []byte {
	t.Helper()
	raw, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
	require.NoError(t, err)
	return raw
}

// requests is a batch of spans that know their energy.
func requests(spans int) ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "checkout")
	rs.Resource().Attributes().PutStr("cloud.provider", "aws")
	rs.Resource().Attributes().PutStr("cloud.region", "eu-west-3")
	ss := rs.ScopeSpans().AppendEmpty()
	start := time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)
	for i := range spans {
		s := ss.Spans().AppendEmpty()
		s.SetName("GET /cart/{id}")
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(start.Add(time.Duration(i) * time.Millisecond)))
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(start.Add(time.Duration(i+30) * time.Millisecond)))
		s.Attributes().PutStr("http.request.method", "GET")
		s.Attributes().PutStr("http.route", "/cart/{id}")
		s.Attributes().PutInt("http.response.status_code", 200)
		s.Attributes().PutDouble("carbon.energy", 3.6e6)
		s.Attributes().PutStr("carbon.method", "modelled")
	}
	return td
}

func TestBatchesOfSpansMayArriveTogether(t *testing.T) {
	sink := new(consumertest.TracesSink)
	p, err := NewFactory().CreateTraces(t.Context(), processortest.NewNopSettings(metadata.Type), createDefaultConfig(), sink)
	require.NoError(t, err)
	require.NoError(t, p.Start(t.Context(), componenttest.NewNopHost()))
	assert.True(t, p.Capabilities().MutatesData)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for round := range 50 {
				td := requests(20)
				rs := td.ResourceSpans().At(0).Resource().Attributes()
				rs.PutStr("service.instance.id", fmt.Sprint(worker, round%5))
				if worker%2 == 0 {
					rs.PutStr("carbon.grid.zone", "DE")
				}
				assert.NoError(t, p.ConsumeTraces(t.Context(), td))
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 8*50*20, sink.SpanCount())
	for _, td := range sink.AllTraces() {
		want := 1.35 * 41.45
		if _, german := td.ResourceSpans().At(0).Resource().Attributes().Get("carbon.grid.zone"); german {
			want = 329.65
		}
		for _, s := range td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().All() {
			v, _ := s.Attributes().Get("carbon.emissions")
			require.InEpsilon(t, want, v.Double(), 1e-9)
		}
	}
	require.NoError(t, p.Shutdown(t.Context()))
	require.NoError(t, p.Shutdown(t.Context()), "twice is no mistake")
}

func TestAShutdownWaitsForBatches(t *testing.T) {
	r := newTracesRig(t, nil)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				_, err := r.p.processTraces(t.Context(), requests(5))
				assert.NoError(t, err)
			}
		})
	}
	require.NoError(t, r.p.shutdown(t.Context()))
	wg.Wait()
}

func TestSpansPassUnchangedBeforeStartAndAfterShutdown(t *testing.T) {
	e, err := newEngine(createDefaultConfig().(*Config), processortest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	p := newTracesProcessor(e, e.counters.Shutdown)
	pass := func() {
		out, err := p.processTraces(t.Context(), requests(1))
		require.NoError(t, err)
		assert.Equal(t, marshaled(t, requests(1)), marshaled(t, out))
	}
	pass()
	require.NoError(t, p.start(t.Context(), componenttest.NewNopHost()))
	require.NoError(t, p.start(t.Context(), componenttest.NewNopHost()))
	require.NoError(t, p.shutdown(t.Context()))
	require.NoError(t, p.shutdown(t.Context()))
	pass()
}

func TestAWrongLocationIsRefusedByTracesToo(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	cfg.Location.Zone = "FRR"
	f := NewFactory()
	p, err := f.CreateTraces(t.Context(), processortest.NewNopSettings(metadata.Type), cfg, consumertest.NewNop())
	require.NoError(t, err)
	require.ErrorContains(t, p.Start(t.Context(), componenttest.NewNopHost()), "location::zone")
	require.NoError(t, p.Shutdown(t.Context()))
}

type closingSource struct {
	fixedSource

	closed *atomic.Int64
}

func (s *closingSource) Close() error {
	s.closed.Add(1)
	return nil
}

func TestPipelinesOfOneConfigurationShareTheSource(t *testing.T) {
	var opened, closed atomic.Int64
	cfg := createDefaultConfig().(*Config)
	f := new(factory)
	set := processortest.NewNopSettings(metadata.Type)
	metrics, err := f.createMetrics(t.Context(), set, cfg, consumertest.NewNop())
	require.NoError(t, err)
	spans, err := f.createTraces(t.Context(), set, cfg, consumertest.NewNop())
	require.NoError(t, err)
	e, release, err := f.engine(set, cfg)
	require.NoError(t, err)
	e.open = func(context.Context, *engine, component.Host) (intensity.Source, *offline.Provider, error) {
		opened.Add(1)
		tables, err := openTables(cfg)
		return &closingSource{closed: &closed}, tables, err
	}
	release()
	host := componenttest.NewNopHost()
	require.NoError(t, spans.Start(t.Context(), host))
	require.NoError(t, metrics.Start(t.Context(), host))
	assert.EqualValues(t, 1, opened.Load())
	require.NoError(t, spans.Shutdown(t.Context()))
	assert.Zero(t, closed.Load(), "the metrics go on")
	require.NoError(t, metrics.Shutdown(t.Context()))
	assert.EqualValues(t, 1, closed.Load())
}

func TestAMillionSpansInOneBatch(t *testing.T) {
	if testing.Short() {
		t.Skip("a second and half a gigabyte")
	}
	r := newTracesRig(t, nil)
	const spans = 1_000_000
	td := traces(t, nil)
	list := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans()
	list.EnsureCapacity(spans)
	for i := range spans {
		s := list.AppendEmpty()
		s.SetStartTimestamp(r.at(float64(i % 3600)))
		s.SetEndTimestamp(r.at(float64(i%3600) + 1))
		s.Attributes().PutDouble("carbon.energy", float64(i%10)-1)
	}
	out, err := r.p.processTraces(t.Context(), td)
	require.NoError(t, err)
	assert.Equal(t, spans, out.SpanCount())
	assert.EqualValues(t, spans/10*9, r.total("otelcol_processor_carbon_spans_converted"))
	assert.Equal(t, map[string]int64{"negative": spans / 10}, r.spansDropped())
}

func TestSpansOfManyPlacesDoNotFillTheMemory(t *testing.T) {
	r := newTracesRig(t, nil)
	for i := range 5 { // of a thousand each
		td := ptrace.NewTraces()
		for j := range 1000 {
			rs := td.ResourceSpans().AppendEmpty()
			rs.Resource().Attributes().PutStr("carbon.grid.zone", fmt.Sprintf("DE-%d-%d", i, j))
			r.span(0, 1, map[string]any{"carbon.energy": 1.0}).CopyTo(rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty())
		}
		_, err := r.p.processTraces(t.Context(), td)
		require.NoError(t, err)
	}
	assert.Equal(t, maxPlaces, r.p.places.known.Len())
	assert.LessOrEqual(t, r.p.places.resources.Len(), maxResources)
}

// What a batch costs is what pdata needs for the attributes, and counting.
func TestSpansAllocateNothingButTheirAttributes(t *testing.T) {
	const spans, runs = 100, 20
	r := newTracesRig(t, nil)
	batches := make([]ptrace.Traces, 0, runs+1)
	fill := func() {
		batches = batches[:0]
		for range runs + 1 { // one to warm up
			batches = append(batches, requests(spans))
		}
	}
	next := func() (td ptrace.Traces) {
		td, batches = batches[0], batches[1:]
		return td
	}
	fill()
	got := testing.AllocsPerRun(runs, func() { _, _ = r.p.processTraces(t.Context(), next()) })
	fill()
	floor := testing.AllocsPerRun(runs, func() {
		for _, s := range next().ResourceSpans().At(0).ScopeSpans().At(0).Spans().All() {
			a := s.Attributes()
			a.EnsureCapacity(a.Len() + 5)
			a.PutDouble("carbon.emissions", 1)
			a.PutDouble("carbon.grid.intensity", 1)
			a.PutStr("carbon.grid.zone", "FR")
			a.PutStr("carbon.grid.source", "static")
			a.PutDouble("carbon.uncertainty", 1)
		}
	})
	assert.LessOrEqual(t, got-floor, 10.0, "%v allocations for a batch, %v for its attributes", got, floor)
}

func BenchmarkTraces(b *testing.B) {
	p, err := NewFactory().CreateTraces(b.Context(), processortest.NewNopSettings(metadata.Type), createDefaultConfig(), consumertest.NewNop())
	require.NoError(b, err)
	require.NoError(b, p.Start(b.Context(), componenttest.NewNopHost()))
	defer func() { require.NoError(b, p.Shutdown(b.Context())) }()
	const spans = 10_000
	fresh := requests(spans)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		td := ptrace.NewTraces()
		fresh.CopyTo(td)
		b.StartTimer()
		if err := p.ConsumeTraces(b.Context(), td); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*spans)/b.Elapsed().Seconds(), "spans/s")
}

// BenchmarkQuotes is what a span costs without its attributes, which are the business
// of pdata.
func BenchmarkQuotes(b *testing.B) {
	cfg := createDefaultConfig().(*Config)
	e, err := newEngine(cfg, processortest.NewNopSettings(metadata.Type))
	require.NoError(b, err)
	p := newTracesProcessor(e, e.counters.Shutdown)
	require.NoError(b, p.start(b.Context(), componenttest.NewNopHost()))
	defer func() { require.NoError(b, p.shutdown(b.Context())) }()
	td := requests(1)
	s := firstSpan(td)
	at, _ := p.placeOf(td.ResourceSpans().At(0).Resource().Attributes())
	q := &newSpanBatch(p).quote
	b.ReportAllocs()
	for b.Loop() {
		c, _ := claimOf(s.Attributes())
		if !q.ask(at, int64(s.StartTimestamp()), int64(s.EndTimestamp()), e.widths.Power(c.method, c.sensor)) {
			b.Fatal("no intensity")
		}
	}
}
