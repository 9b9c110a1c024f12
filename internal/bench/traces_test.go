//go:build unix

package bench

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/attributesprocessor"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor"
)

const (
	spanBatches   = 20
	spansPerBatch = 500
)

// requests is a batch of server spans of one service that know their energy.
func requests(spans int) ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	resource := rs.Resource().Attributes()
	resource.PutStr("service.name", "checkout")
	resource.PutStr("service.version", "2.7.1")
	resource.PutStr("service.instance.id", "627cc493-f310-47de-96bd-71410b7dec09")
	resource.PutStr("host.name", "node-17")
	resource.PutStr("k8s.pod.uid", "9a6b6d1c-2e0c-4d5e-a9dd-0c1d1f0e9f00")
	resource.PutStr("cloud.provider", "aws")
	resource.PutStr("cloud.region", "eu-west-3")
	ss := rs.ScopeSpans().AppendEmpty()
	ss.Scope().SetName("go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp")
	start := time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)
	for i := range spans {
		s := ss.Spans().AppendEmpty()
		s.SetName("GET /cart/{id}")
		s.SetKind(ptrace.SpanKindServer)
		s.SetTraceID(pcommon.TraceID{1, 2, 3, byte(i), byte(i >> 8)})
		s.SetSpanID(pcommon.SpanID{1, byte(i), byte(i >> 8)})
		at := start.Add(time.Duration(i) * time.Millisecond)
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(at))
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(at.Add(30 * time.Millisecond)))
		a := s.Attributes()
		a.PutStr("http.request.method", "GET")
		a.PutStr("http.route", "/cart/{id}")
		a.PutStr("url.scheme", "https")
		a.PutStr("url.path", fmt.Sprintf("/cart/%d", i))
		a.PutStr("server.address", "shop.example")
		a.PutInt("server.port", 443)
		a.PutInt("http.response.status_code", 200)
		a.PutStr("network.protocol.version", "2")
		a.PutDouble("carbon.energy", 0.5+float64(i)/1000)
		a.PutStr("carbon.method", "modelled")
	}
	return td
}

// inserts makes the attributes processor write as many attributes of the same types,
// with constants for what carbon computes.
func inserts(b *testing.B, cfg component.Config) {
	b.Helper()
	err := confmap.NewFromStringMap(map[string]any{"actions": []any{
		map[string]any{"action": "insert", "key": "carbon.emissions", "value": 0.0001},
		map[string]any{"action": "insert", "key": "carbon.grid.intensity", "value": 41.45},
		map[string]any{"action": "insert", "key": "carbon.grid.zone", "value": "FR"},
		map[string]any{"action": "insert", "key": "carbon.grid.source", "value": "clouds_csv"},
		map[string]any{"action": "insert", "key": "carbon.uncertainty", "value": 0.69},
	}}).Unmarshal(cfg)
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkTraces sends batches from as many goroutines as there are cores.
func BenchmarkTraces(b *testing.B) {
	for _, c := range []struct {
		name    string
		factory processor.Factory
		edit    func(*testing.B, component.Config)
	}{
		{"carbon", carbonprocessor.NewFactory(), func(*testing.B, component.Config) {}},
		{"attributes", attributesprocessor.NewFactory(), inserts},
	} {
		b.Run(c.name, func(b *testing.B) {
			cfg := c.factory.CreateDefaultConfig()
			c.edit(b, cfg)
			p, err := c.factory.CreateTraces(b.Context(), processortest.NewNopSettings(c.factory.Type()), cfg, consumertest.NewNop())
			if err != nil {
				b.Fatal(err)
			}
			if err := p.Start(b.Context(), componenttest.NewNopHost()); err != nil {
				b.Fatal(err)
			}
			defer func() { _ = p.Shutdown(context.Background()) }()
			measureTraces(b, p.ConsumeTraces)
		})
	}
}

func measureTraces(b *testing.B, consume func(context.Context, ptrace.Traces) error) {
	b.Helper()
	var (
		fresh   = requests(spansPerBatch)
		batches [spanBatches]ptrace.Traces
		used    time.Duration
	)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		for i := range batches { // anew, since attributes keep the room that they have once got
			batches[i] = ptrace.NewTraces()
			fresh.CopyTo(batches[i])
		}
		before := processTime(b)
		b.StartTimer()
		var wg sync.WaitGroup
		workers := runtime.GOMAXPROCS(0)
		for w := range workers {
			wg.Go(func() {
				for i := w; i < len(batches); i += workers {
					if err := consume(b.Context(), batches[i]); err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
		b.StopTimer()
		used += processTime(b) - before
		b.StartTimer()
	}
	b.StopTimer()
	if _, ok := batches[0].ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Attributes().Get("carbon.emissions"); !ok {
		b.Fatal("spans without emissions")
	}
	spans := float64(b.N * spanBatches * spansPerBatch)
	b.ReportMetric(spans/b.Elapsed().Seconds(), "spans/s")
	b.ReportMetric(spans/used.Seconds(), "spans/cpu-s")
}
