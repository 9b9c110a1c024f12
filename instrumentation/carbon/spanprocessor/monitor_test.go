package spanprocessor_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon"
	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/spanprocessor"
)

// hundredWatts is a source of a constant power.
type hundredWatts struct{ began time.Time }

func (h hundredWatts) Read(context.Context) (carbon.Reading, error) {
	return carbon.Reading{Amounts: []carbon.Amount{{Type: "cpu", Method: "measured", Sensor: "rapl", Joules: 100 * time.Since(h.began).Seconds()}}}, nil
}

func (hundredWatts) Close() error { return nil }

// A task around a span around a task around a span, each of some time of its own: what
// they have is what the process drew, and each joule is with one of them.
func TestSpansAndTasksOfAMonitor(t *testing.T) {
	m, err := carbon.Start(carbon.WithEnergySource(hundredWatts{time.Now()}), carbon.WithInterval(10*time.Millisecond), carbon.WithZone("FR"))
	require.NoError(t, err)
	recorder := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spanprocessor.New(sdktrace.NewSimpleSpanProcessor(recorder), m)))
	tracer := provider.Tracer("test")
	time.Sleep(50 * time.Millisecond) // until the power is known

	ctx, job := m.Task(t.Context(), "job")
	ctx, outer := tracer.Start(ctx, "outer")
	time.Sleep(100 * time.Millisecond)
	ctx, part := m.Task(ctx, "part")
	time.Sleep(100 * time.Millisecond)
	_, inner := tracer.Start(ctx, "inner")
	time.Sleep(100 * time.Millisecond)
	inner.End()
	inside := part.End()
	outer.End()
	all := job.End()

	got := map[string]float64{}
	for _, s := range recorder.GetSpans() {
		attrs := attribute.NewSet(s.Attributes...)
		energy, _ := attrs.Value("carbon.energy")
		emissions, _ := attrs.Value("carbon.emissions")
		intensity, _ := attrs.Value("carbon.grid.intensity")
		got[s.Name] = energy.AsFloat64()
		assert.InEpsilon(t, energy.AsFloat64()/3.6e6*intensity.AsFloat64(), emissions.AsFloat64(), 1e-9)
	}
	// 10 J each, and as much longer as this machine slept. The inner span is part of the
	// inner task, and all is part of the outer one.
	assert.Greater(t, got["outer"], 8.0)
	assert.Greater(t, got["inner"], 8.0)
	assert.InDelta(t, 100*inside.Duration.Seconds(), inside.Energy.Total(), 3)
	assert.InDelta(t, 100*all.Duration.Seconds(), all.Energy.Total(), 3)
	assert.InDelta(t, all.Energy.Total(), got["outer"]+inside.Energy.Total(), 3, "nothing is told twice, and none forgotten")
	require.NoError(t, provider.Shutdown(t.Context()))
	require.NoError(t, m.Shutdown(t.Context()))
}

// What Span measures around a span that a span processor measures has what is its own.
func TestASpanInsideOfWhatSpanMeasures(t *testing.T) {
	reader := metric.NewManualReader()
	m, err := carbon.Start(carbon.WithEnergySource(hundredWatts{time.Now()}), carbon.WithInterval(10*time.Millisecond),
		carbon.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(reader))))
	require.NoError(t, err)
	defer func() { require.NoError(t, m.Shutdown(t.Context())) }()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spanprocessor.New(nothing{}, m)))
	time.Sleep(50 * time.Millisecond) // until the power is known
	ctx, done := m.Span(t.Context(), attribute.String("route", "/"))
	_, s := provider.Tracer("test").Start(ctx, "inner")
	time.Sleep(200 * time.Millisecond)
	s.End()
	done()
	// 20 J are the span's. With both side by side, each would have 10.
	var got metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &got))
	for _, i := range got.ScopeMetrics[0].Metrics {
		if i.Name == "carbon.operation.energy" {
			assert.Less(t, i.Data.(metricdata.Sum[float64]).DataPoints[0].Value, 5.0)
			return
		}
	}
	t.Error("carbon.operation.energy is missing")
}

// Spans of many goroutines and the rest are the energy of the process.
func TestSpansAreTheEnergyOfTheProcess(t *testing.T) {
	m, err := carbon.Start(carbon.WithEnergySource(hundredWatts{time.Now()}), carbon.WithInterval(10*time.Millisecond))
	require.NoError(t, err)
	recorder := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spanprocessor.New(sdktrace.NewSimpleSpanProcessor(recorder), m)))
	tracer := provider.Tracer("test")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				ctx, span := tracer.Start(t.Context(), "a")
				_, child := tracer.Start(ctx, "b")
				time.Sleep(time.Millisecond)
				child.End()
				span.End()
			}
		})
	}
	all.Wait()
	spans := recorder.GetSpans()
	require.Len(t, spans, 800)
	require.NoError(t, provider.Shutdown(t.Context()))
	require.NoError(t, m.Shutdown(t.Context()))
	sum := 0.0
	for _, s := range spans {
		attrs := attribute.NewSet(s.Attributes...)
		energy, _ := attrs.Value("carbon.energy")
		sum += energy.AsFloat64()
	}
	r := m.Report()
	assert.InDelta(t, r.Energy.Total(), sum+r.Unattributed, 1.5, "ahead of what was read by a tick, at most")
	assert.Greater(t, sum, r.Energy.Total()/2)
}
