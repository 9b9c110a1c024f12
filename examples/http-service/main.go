// Http-service is a service with OpenTelemetry whose spans carry their own energy and
// emissions. Spans go to an OTLP endpoint, such as Jaeger, if OTEL_EXPORTER_OTLP_ENDPOINT
// is set, else to the standard output.
//
//	go -C examples/http-service run . &
//	curl 'localhost:8080/primes?below=2000000'
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon"
	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/spanprocessor"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listen := flag.String("listen", "127.0.0.1:8080", "address and port")
	flag.Parse()
	if err := run(ctx, *listen, func(address string) { log.Print("listening on ", address) }); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, address string, ready func(address string)) (err error) {
	exporter, err := spans(ctx)
	if err != nil {
		return err
	}
	metrics, err := stdoutmetric.New()
	if err != nil {
		return err
	}
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metrics)))
	otel.SetMeterProvider(meters)

	// The three lines:
	m, wrong := carbon.Start(carbon.WithZone("FR"))
	if wrong != nil {
		log.Print(wrong)
	}
	defer func() { err = errors.Join(err, m.Shutdown(context.WithoutCancel(ctx))) }()

	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spanprocessor.New(sdktrace.NewBatchSpanProcessor(exporter), m)))
	otel.SetTracerProvider(tracers)
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, tracers.Shutdown(ending), meters.Shutdown(ending))
	}()

	mux := http.NewServeMux()
	mux.HandleFunc("/primes", primes)
	server := &http.Server{Handler: otelhttp.NewHandler(mux, "request"), ReadHeaderTimeout: time.Second}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	ready(listener.Addr().String())
	done := context.AfterFunc(ctx, func() { _ = server.Shutdown(context.WithoutCancel(ctx)) }) // Serve returns then
	defer done()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func spans(ctx context.Context) (sdktrace.SpanExporter, error) {
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "" {
		return otlptracehttp.New(ctx)
	}
	return stdouttrace.New()
}

func primes(w http.ResponseWriter, r *http.Request) {
	below, err := strconv.Atoi(r.FormValue("below"))
	if err != nil || below < 2 || below > 50_000_000 {
		http.Error(w, "below: want a number from 2 to 50000000", http.StatusBadRequest)
		return
	}
	_, span := otel.Tracer("primes").Start(r.Context(), "sieve")
	span.SetAttributes(attribute.Int("below", below))
	n := sieve(below)
	span.End()
	fmt.Fprintln(w, n)
}

func sieve(below int) (n int) {
	composite := make([]bool, below)
	for i := 2; i < below; i++ {
		if composite[i] {
			continue
		}
		n++
		for j := i * i; j < below; j += i {
			composite[j] = true
		}
	}
	return n
}
