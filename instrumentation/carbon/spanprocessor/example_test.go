package spanprocessor_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon"
	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/spanprocessor"
)

func ExampleNew() {
	m, err := carbon.Start(carbon.WithZone("FR"))
	if err != nil {
		log.Print(err)
	}
	exporter := tracetest.NewInMemoryExporter() // or that of OTLP
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(
		spanprocessor.New(sdktrace.NewBatchSpanProcessor(exporter), m)))

	_, span := tracers.Tracer("shop").Start(context.Background(), "checkout")
	span.End()
	fmt.Println(tracers.ForceFlush(context.Background()))
	fmt.Println(exporter.GetSpans()[0].Name)
	fmt.Println(errors.Join(tracers.Shutdown(context.Background()), m.Shutdown(context.Background())))
	// Output:
	// <nil>
	// checkout
	// <nil>
}

func ExampleWithAttributeCountLimit() {
	m, err := carbon.Start()
	if err != nil {
		log.Print(err)
	}
	limits := sdktrace.NewSpanLimits()
	limits.AttributeCountLimit = 32
	tracers := sdktrace.NewTracerProvider(sdktrace.WithRawSpanLimits(limits), sdktrace.WithSpanProcessor(
		spanprocessor.New(sdktrace.NewBatchSpanProcessor(tracetest.NewInMemoryExporter()), m, spanprocessor.WithAttributeCountLimit(32))))
	fmt.Println(errors.Join(tracers.Shutdown(context.Background()), m.Shutdown(context.Background())))
	// Output: <nil>
}
