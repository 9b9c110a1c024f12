package otlp

import (
	"compress/gzip"
	"context"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/clock"
	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/span"
	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/spanprocessor"
)

// monitor knows a process that draws 10 W at 500 g/kWh, at a time that the test sets.
type monitor struct {
	*span.Table

	now atomic.Int64
}

func newMonitor() *monitor {
	c := clock.New(0)
	c.Book(1, 100e6)
	m := &monitor{Table: span.NewTable(c, 1000)}
	m.now.Store(100e6)
	return m
}

func (m *monitor) StartSpan(_ context.Context, _ span.Named, id, parent span.ID) {
	m.Start(id, parent, clock.Ref{}, nil, m.now.Load())
}

func (m *monitor) EndSpan(id span.ID, r *span.Result, _ span.Waiter) span.State {
	var e span.Ended
	if !m.End(id, m.now.Load(), &e) {
		return span.Unknown
	}
	r.Joules = e.Energy.Joules
	return span.Known
}

func (*monitor) Price(r *span.Result) span.Use {
	return span.Use{
		Joules: r.Joules, Method: "measured", Priced: true, Grams: r.Joules / 3.6e6 * 500, Intensity: 500,
		Zone: "FR", Source: "static", Uncertainty: 0.2,
	}
}

func (*monitor) Flush(context.Context) error { return nil }

func (m *monitor) RemoveProcessor() { m.Table.RemoveProcessor(m.now.Load()) }

// server keeps the spans that arrive.
type server struct {
	*httptest.Server

	t     *testing.T
	mu    sync.Mutex
	spans map[string]*otlp.Span
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, spans: map[string]*otlp.Span{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			s.t.Error(err)
			return
		}
		body = z
	}
	data, err := io.ReadAll(body)
	var request collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(data, &request)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		s.t.Errorf("%s: %v", r.URL, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range request.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				s.spans[span.GetName()] = span
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func attributes(s *otlp.Span) (strings map[string]string, doubles map[string]float64) {
	strings, doubles = map[string]string{}, map[string]float64{}
	for _, a := range s.GetAttributes() {
		if v := a.GetValue().GetStringValue(); v != "" {
			strings[a.GetKey()] = v
		} else {
			doubles[a.GetKey()] = a.GetValue().GetDoubleValue()
		}
	}
	return strings, doubles
}

func TestEnergyArrives(t *testing.T) {
	s, m := newServer(t), newMonitor()
	exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(s.URL+"/v1/traces"),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	if err != nil {
		t.Fatal(err)
	}
	limits := sdktrace.NewSpanLimits()
	limits.AttributeCountLimit = 8
	provider := sdktrace.NewTracerProvider(sdktrace.WithRawSpanLimits(limits), sdktrace.WithSpanProcessor(
		spanprocessor.New(sdktrace.NewBatchSpanProcessor(exporter), m, spanprocessor.WithAttributeCountLimit(8))))
	tracer := provider.Tracer("test")

	// 10 W: 20 ms of its own for the server, 30 ms for the client in it.
	ctx, outer := tracer.Start(t.Context(), "server", trace.WithAttributes(attribute.String("http.route", "/")))
	m.now.Add(20e6)
	_, inner := tracer.Start(ctx, "client", trace.WithAttributes(attribute.String("a", "1"), attribute.String("b", "2"), attribute.String("c", "3")))
	inner.AddEvent("event")
	m.now.Add(30e6)
	inner.End()
	outer.End()
	if err := provider.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}

	for name, want := range map[string]struct {
		joules     float64
		attributes int
		dropped    uint32
		events     int
	}{
		"server": {0.2, 8, 0, 0},
		"client": {0.3, 8, 2, 1}, // no room for source and uncertainty
	} {
		got := s.spans[name]
		strings, doubles := attributes(got)
		if len(got.GetAttributes()) != want.attributes || got.GetDroppedAttributesCount() != want.dropped || len(got.GetEvents()) != want.events {
			t.Errorf("%s: %v", name, got)
		}
		if strings["carbon.method"] != "measured" || math.Abs(doubles["carbon.energy"]-want.joules) > 1e-9 ||
			math.Abs(doubles["carbon.emissions"]-want.joules/3.6e6*500) > 1e-12 {
			t.Errorf("%s: %v", name, got)
		}
	}
	if strings, doubles := attributes(s.spans["server"]); strings["carbon.grid.source"] != "static" || strings["carbon.grid.zone"] != "FR" ||
		strings["http.route"] != "/" || doubles["carbon.uncertainty"] != 0.2 || doubles["carbon.grid.intensity"] != 500 {
		t.Errorf("server: %v", s.spans["server"])
	}
}
