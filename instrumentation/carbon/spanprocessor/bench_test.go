package spanprocessor_test

import (
	"fmt"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/span"
	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/spanprocessor"
)

// What a span costs with the SDK alone and with energy on it, beside others in
// progress and from several goroutines. The difference is ours.
func BenchmarkStartEnd(b *testing.B) {
	for _, concurrent := range []int{1, 10, 100, 1000} {
		for _, wrapped := range []bool{false, true} {
			b.Run(fmt.Sprintf("spans=%d/energy=%v", concurrent, wrapped), func(b *testing.B) {
				tracer := tracerFor(b, wrapped)
				ctx, _ := tracer.Start(b.Context(), "root")
				for range concurrent - 1 {
					tracer.Start(ctx, "other")
				}
				b.ReportAllocs()
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						_, s := tracer.Start(ctx, "work")
						s.End()
					}
				})
			})
		}
	}
}

// What the processor itself does, without the SDK.
func BenchmarkProcessor(b *testing.B) {
	m := newMonitor(span.DefaultLimit)
	p := spanprocessor.New(nothing{}, m)
	m.clock.Book(1, m.now())
	provider := sdktrace.NewTracerProvider()
	ctx, parent := provider.Tracer("").Start(b.Context(), "root")
	_, s := provider.Tracer("").Start(ctx, "work")
	p.OnStart(b.Context(), parent.(sdktrace.ReadWriteSpan))
	rw := s.(sdktrace.ReadWriteSpan)
	b.ReportAllocs()
	for b.Loop() {
		p.OnStart(ctx, rw)
		p.OnEnd(rw)
	}
}

// What an exporter waits for.
func BenchmarkAttributes(b *testing.B) {
	e := &ended{}
	m := newMonitor(span.DefaultLimit)
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spanprocessor.New(e, m)))
	m.clock.Book(1, m.now())
	_, s := provider.Tracer("").Start(b.Context(), "work")
	s.End()
	b.ReportAllocs()
	for b.Loop() {
		if len(e.spans[0].Attributes()) != span.Attributes {
			b.Fatal("no attributes")
		}
	}
}

func tracerFor(b *testing.B, wrapped bool) trace.Tracer {
	b.Helper()
	var p sdktrace.SpanProcessor = nothing{}
	if wrapped {
		m := newMonitor(span.DefaultLimit)
		m.clock.Book(1, m.now())
		p = spanprocessor.New(p, m)
	}
	return sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(p)).Tracer("bench")
}
