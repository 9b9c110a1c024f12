package scrape

import (
	"context"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/pmetrictest"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor/processortest"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor"
)

var update = flag.Bool("update", false, "rewrite what the receiver delivers in the testdata of the processor")

var cases = filepath.Join("..", "..", "processor", "carbonprocessor", "testdata", "presets")

// Every folder holds what an exporter says at two scrapes, and what the receiver makes
// of it.
func TestReceiverDelivers(t *testing.T) {
	scrapes, err := filepath.Glob(filepath.Join(cases, "*", "scrape_1.prom"))
	require.NoError(t, err)
	require.NotEmpty(t, scrapes)
	for _, first := range scrapes {
		folder := filepath.Dir(first)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			sink := new(consumertest.MetricsSink)
			scrape(t, sink, first, filepath.Join(folder, "scrape_2.prom"))
			for i, got := range sink.AllMetrics()[:2] {
				steady(t, got)
				path := filepath.Join(folder, []string{"input_1.yaml", "input_2.yaml"}[i])
				if *update {
					require.NoError(t, golden.WriteMetricsToFile(path, got))
				}
				want, err := golden.ReadMetrics(path)
				require.NoError(t, err)
				require.NoError(t, pmetrictest.CompareMetrics(want, got,
					pmetrictest.IgnoreTimestamp(), pmetrictest.IgnoreMetricsOrder(), pmetrictest.IgnoreMetricDataPointsOrder()))
			}
		})
	}
}

// At 360 g/kWh 10 kJ are 1 g: 20 kJ of package, 5 kJ of dram and 40 kJ of the GPU.
func TestPipeline(t *testing.T) {
	sink := new(consumertest.MetricsSink)
	scrape(t, priced(t, sink, "kepler"), filepath.Join(cases, "kepler", "scrape_1.prom"), filepath.Join(cases, "kepler", "scrape_2.prom"))
	grams := 0.0
	for _, rm := range sink.AllMetrics()[1].ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Name() != "carbon.host.emissions" {
					continue
				}
				for _, dp := range m.Sum().DataPoints().All() {
					grams += dp.DoubleValue()
				}
			}
		}
	}
	require.InEpsilon(t, 6.5, grams, 1e-9)
}

func TestExampleIsValid(t *testing.T) {
	conf, err := confmaptest.LoadConf(filepath.Join("..", "..", "examples", "kepler", "collector.yaml"))
	require.NoError(t, err)
	for key, cfg := range map[string]component.Config{
		"receivers::prometheus": prometheusreceiver.NewFactory().CreateDefaultConfig(),
		"processors::carbon":    carbonprocessor.NewFactory().CreateDefaultConfig(),
	} {
		sub, err := conf.Sub(key)
		require.NoError(t, err)
		require.NotEmpty(t, sub.ToStringMap(), key)
		require.NoError(t, sub.Unmarshal(cfg), key)
		require.NoError(t, confmap.Validate(cfg), key)
	}
}

// scrape runs the receiver until it has delivered both texts.
func scrape(t *testing.T, next consumer.Metrics, first, second string) {
	t.Helper()
	texts := make([][]byte, 0, 2)
	for _, name := range []string{first, second} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		texts = append(texts, text)
	}
	var asked, delivered atomic.Int32
	exporter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = w.Write(texts[min(asked.Add(1), 2)-1])
	}))
	t.Cleanup(exporter.Close)

	factory := prometheusreceiver.NewFactory()
	cfg := factory.CreateDefaultConfig()
	require.NoError(t, confmap.NewFromStringMap(map[string]any{
		"discovery_reload_on_startup": true,
		"config": map[string]any{"scrape_configs": []any{map[string]any{
			"job_name": "exporter", "scrape_interval": "200ms", "scrape_timeout": "200ms",
			"static_configs": []any{map[string]any{"targets": []any{strings.TrimPrefix(exporter.URL, "http://")}}},
		}}},
	}).Unmarshal(cfg))
	count, err := consumer.NewMetrics(func(ctx context.Context, md pmetric.Metrics) error {
		defer delivered.Add(1)
		return next.ConsumeMetrics(ctx, md)
	})
	require.NoError(t, err)
	r, err := factory.CreateMetrics(t.Context(), receivertest.NewNopSettings(factory.Type()), cfg, count)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { require.NoError(t, r.Shutdown(context.WithoutCancel(t.Context()))) })
	require.Eventually(t, func() bool { return delivered.Load() >= 2 }, 30*time.Second, 10*time.Millisecond)
}

// priced is the processor with a preset before the next consumer.
func priced(t *testing.T, next consumer.Metrics, preset string) consumer.Metrics {
	t.Helper()
	factory := carbonprocessor.NewFactory()
	cfg := factory.CreateDefaultConfig()
	require.NoError(t, confmap.NewFromStringMap(map[string]any{
		"providers": []any{map[string]any{"static": map[string]any{"g_per_kwh": 360}}},
		"inputs":    []any{map[string]any{"preset": preset}},
	}).Unmarshal(cfg))
	p, err := factory.CreateMetrics(t.Context(), processortest.NewNopSettings(factory.Type()), cfg, next)
	require.NoError(t, err)
	require.NoError(t, p.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { require.NoError(t, p.Shutdown(context.WithoutCancel(t.Context()))) })
	return p
}

// steady removes what differs from run to run: the port, and what the receiver says
// of the scrape itself.
func steady(t *testing.T, md pmetric.Metrics) {
	t.Helper()
	own := []string{"up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added"}
	for _, rm := range md.ResourceMetrics().All() {
		rm.Resource().Attributes().PutStr("service.instance.id", "127.0.0.1:8888")
		rm.Resource().Attributes().PutStr("server.port", "8888")
		for _, sm := range rm.ScopeMetrics().All() {
			sm.Scope().SetVersion("")
			sm.Metrics().RemoveIf(func(m pmetric.Metric) bool { return slices.Contains(own, m.Name()) })
		}
	}
}
