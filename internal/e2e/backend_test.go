package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// toBackend is a collector that computes all that the processor can.
const toBackend = `
extensions:
  health_check: {endpoint: "${HEALTH}"}
receivers:
  otlp: {protocols: {http: {endpoint: "${OTLP}"}}}
processors:
  carbon:
    providers: [{static: {g_per_kwh: 100, half_width: 0.24}}]
    pue: 1.5
    wue: 0.2
    electricity_price: {per_kwh: 0.3, currency: EUR}
    budgets: [{name: all, grams: 1000}]
    sci: {per: http.server.request.duration, by: [host.id]}
exporters:
  ${NAME}: ${EXPORTER}
service:
  extensions: [health_check]
  telemetry: {metrics: {level: none}}
  pipelines:
    metrics: {receivers: [otlp], processors: [carbon], exporters: [${NAME}]}
`

// aKWh is what a machine has drawn since a moment at which the processor was running. A
// workload has half of it, and has answered 10 requests.
func aKWh(began time.Time) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("host.id", "h1")
	rm.Resource().Attributes().PutStr("service.name", "shop")
	list := rm.ScopeMetrics().AppendEmpty().Metrics()
	add := func(name, unit string, monotonic bool, value float64) pcommon.Map {
		m := list.AppendEmpty()
		m.SetName(name)
		m.SetUnit(unit)
		sum := m.SetEmptySum()
		sum.SetIsMonotonic(monotonic)
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		dp := sum.DataPoints().AppendEmpty()
		dp.SetStartTimestamp(pcommon.NewTimestampFromTime(began))
		dp.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		dp.SetDoubleValue(value)
		return dp.Attributes()
	}
	attrs := add("hw.energy", "J", true, 3.6e6)
	attrs.PutStr("hw.id", "rapl:package-0")
	attrs.PutStr("hw.type", "cpu")
	attrs.PutStr("carbon.method", "measured")
	attrs = add("carbon.energy", "J", true, 1.8e6)
	attrs.PutStr("carbon.share", "workload")
	attrs.PutStr("carbon.method", "measured")
	add("http.server.request.duration", "{request}", true, 10)
	list = rm.ScopeMetrics().AppendEmpty().Metrics() // whose sender has priced its energy is not in the scope above
	add("carbon.host.emissions_correction", "g", false, -3)
	add("carbon.emissions_correction", "g", false, -1.5)
	return md
}

// figures are what aKWh comes to. The bounds are ± √(0.07² + 0.24²) = ± 0.25.
func figures() []figure {
	return []figure{
		{"hw.energy", "hw_energy_joules_total", 3.6e6},
		{"carbon.host.emissions", "carbon_host_emissions_grams_total", 150},               // 1 kWh × 1.5 × 100 g/kWh
		{"carbon.host.emissions_lower", "carbon_host_emissions_lower_grams_total", 112.5}, // 150 × 0.75
		{"carbon.host.emissions_upper", "carbon_host_emissions_upper_grams_total", 187.5}, // 150 × 1.25
		{"carbon.emissions", "carbon_emissions_grams_total", 75},
		{"carbon.emissions_lower", "carbon_emissions_lower_grams_total", 56.25},
		{"carbon.emissions_upper", "carbon_emissions_upper_grams_total", 93.75},
		{"carbon.host.emissions_correction", "carbon_host_emissions_correction_grams", -3}, // passes as it came
		{"carbon.emissions_correction", "carbon_emissions_correction_grams", -1.5},
		{"carbon.grid.intensity", "carbon_grid_intensity_grams_per_kW_h", 100},
		{"carbon.water_usage", "carbon_water_usage_L_total", 0.2},          // of the host: 1 kWh × 0.2 L, without the PUE
		{"carbon.electricity_cost", "carbon_electricity_cost_total", 0.45}, // likewise: 1 kWh × 1.5 × 0.3
		{"carbon.budget.limit", "carbon_budget_limit_grams", 1000},
		{"carbon.budget.utilization", "carbon_budget_utilization_ratio", 0.15}, // 150 g of the host, of which the 75 g are a part
		{"carbon.sci", "carbon_sci_grams", 7.5},                                // 75 g for 10 requests
	}
}

type figure struct {
	metric, prometheus string
	value              float64
}

// sample is one series in the answer to a query.
type sample struct {
	Metric map[string]string
	Value  [2]any // time, and the value as text
}

func (s sample) value(t testing.TB) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(fmt.Sprint(s.Value[1]), 64)
	require.NoError(t, err)
	return v
}

// query asks by the API of Prometheus, which others have, too.
func query(endpoint, promQL string) ([]sample, error) {
	var answer struct {
		Status, Error string
		Data          struct{ Result []sample }
	}
	if err := ask("http://"+endpoint+"/api/v1/query?"+url.Values{"query": {promQL}}.Encode(), &answer); err != nil {
		return nil, err
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("%s: %s: %s", promQL, answer.Status, answer.Error)
	}
	return answer.Data.Result, nil
}

func ask(address string, into any) error {
	resp, err := http.Get(address)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", address, resp.Status, body)
	}
	return json.Unmarshal(body, into)
}

// toldTo starts a collector with an exporter, and sends it aKWh.
func toldTo(t *testing.T, exporter, config string) {
	t.Helper()
	otlp := freePort(t)
	start(t, strings.NewReplacer("${OTLP}", otlp, "${NAME}", exporter, "${EXPORTER}", config).Replace(toBackend))
	began := time.Now()
	require.NoError(t, offer(t.Context(), otlp, aKWh(began)))
}

// requireFigures asks a backend until it has an answer: with a selector for each figure, and
// labels as the backend writes the names of attributes.
func requireFigures(t *testing.T, backend *process, endpoint string, selector func(figure) string, label func(attribute string) string) {
	t.Helper()
	for _, f := range figures() {
		var found []sample
		var err error
		backend.await(func() bool {
			found, err = query(endpoint, selector(f))
			return err == nil && len(found) > 0
		}, "an answer to "+selector(f))
		if len(found) > 1 { // of the host and of the workload
			found = slices.DeleteFunc(found, func(s sample) bool { return s.Metric[label("hw.type")] != "cpu" })
		}
		require.Len(t, found, 1, "%s: %v", selector(f), err)
		require.InEpsilon(t, f.value, found[0].value(t), 1e-9, "%s", selector(f))
		require.Equal(t, "h1", found[0].Metric[label("host.id")])
		if f.metric == "carbon.host.emissions" {
			for attribute, want := range map[string]string{
				"hw.id": "rapl:package-0", "carbon.emission_type": "operational", "carbon.grid.source": "static",
				"carbon.grid.boundary": "lifecycle", "carbon.method": "measured",
			} {
				require.Equal(t, want, found[0].Metric[label(attribute)], "%s of %s", attribute, f.metric)
			}
		}
	}
}

// underscored is how Prometheus writes an attribute.
func underscored(attribute string) string { return strings.ReplaceAll(attribute, ".", "_") }

func TestPrometheusHasTheGrams(t *testing.T) {
	path := program(t, "E2E_PROMETHEUS", "`make backends`, and then `make e2e`, which sets it")
	exporter, endpoint := freePort(t), freePort(t)
	toldTo(t, "prometheus", `{endpoint: "`+exporter+`", resource_to_telemetry_conversion: {enabled: true}}`)
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yaml")
	require.NoError(t, os.WriteFile(config, []byte(`
global: {scrape_interval: 1s}
scrape_configs: [{job_name: carbon, static_configs: [{targets: ["`+exporter+`"]}]}]
`), 0o600))
	p := run(t, path, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+endpoint)
	requireFigures(t, p, endpoint, func(f figure) string { return f.prometheus + `{job="carbon"}` }, underscored)

	readme, err := os.ReadFile("../../processor/carbonprocessor/README.md")
	require.NoError(t, err)
	for _, f := range figures() {
		if line := "| `" + f.metric + "` | `" + f.prometheus + "` |"; !strings.Contains(string(readme), "\n"+line+"\n") {
			t.Errorf("the README of the processor does not have %s", line)
		}
	}
}

// Names stay as they are in OTLP, unless VictoriaMetrics is told to translate them.
func TestVictoriaMetricsHasTheGrams(t *testing.T) {
	path := program(t, "E2E_VICTORIA_METRICS", "`make backends`, and then `make e2e`, which sets it")
	for _, translated := range []bool{false, true} {
		t.Run(fmt.Sprintf("translated %v", translated), func(t *testing.T) {
			endpoint := freePort(t)
			p := run(t, path, "-httpListenAddr="+endpoint, "-storageDataPath="+t.TempDir(), "-search.latencyOffset=0s",
				fmt.Sprintf("-opentelemetry.usePrometheusNaming=%v", translated))
			toldTo(t, "otlp_http", `{metrics_endpoint: "http://`+endpoint+`/opentelemetry/v1/metrics"}`)
			label := func(attribute string) string { return attribute }
			if translated {
				label = underscored
			}
			requireFigures(t, p, endpoint, func(f figure) string {
				switch {
				case !translated:
					return `{__name__="` + f.metric + `"}`
				case f.metric == "carbon.grid.intensity":
					return `{__name__="carbon_grid_intensity_grams_per_(kW.h)"}` // VictoriaMetrics alone calls it so
				}
				return f.prometheus
			}, label)
		})
	}
}
