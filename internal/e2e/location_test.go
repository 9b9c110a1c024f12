package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

const gateway = `
extensions:
  health_check: {endpoint: "${HEALTH}"}
receivers:
  otlp: {protocols: {http: {endpoint: "${OTLP}"}}}
processors:
  carbon: ${CARBON}
exporters:
  file: {path: "${OUT}"}
service:
  extensions: [health_check]
  telemetry: {metrics: {level: none}}
  pipelines:
    metrics:
      receivers: [otlp]
      processors: [carbon]
      exporters: [file]
`

// startGateway runs otlp → carbon → file with the given section for the
// processor, and returns where it takes OTLP.
func startGateway(t *testing.T, carbon string) (c *collector, endpoint string) {
	t.Helper()
	endpoint = freePort(t)
	return start(t, strings.NewReplacer("${OTLP}", endpoint, "${CARBON}", carbon).Replace(gateway)), endpoint
}

// kWh is a resource that draws 3.6 MJ in an hour: a delta, so that one point is
// enough.
func kWh(resource map[string]any, hour time.Time) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	if err := rm.Resource().Attributes().FromRaw(resource); err != nil {
		panic(err)
	}
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("hw.energy")
	m.SetUnit("J")
	sum := m.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	dp := sum.DataPoints().AppendEmpty()
	dp.SetStartTimestamp(pcommon.NewTimestampFromTime(hour))
	dp.SetTimestamp(pcommon.NewTimestampFromTime(hour.Add(time.Hour)))
	dp.SetDoubleValue(3.6e6)
	dp.Attributes().PutStr("hw.id", "rapl:package-0")
	dp.Attributes().PutStr("hw.type", "cpu")
	dp.Attributes().PutStr("carbon.method", "measured")
	return md
}

func send(t *testing.T, endpoint string, md pmetric.Metrics) {
	t.Helper()
	body, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalJSON()
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+endpoint+"/v1/metrics", bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

// Every figure is copied from clouds.csv by hand: lifecycle_… where the row has
// it, else direct_…; pue_ratio, or 1 where the row has none. One kWh at the PUE
// gives PUE × intensity grams.
func TestCloudRegionsGetTheirIntensity(t *testing.T) {
	regions := []struct {
		provider, region, zone, boundary string
		intensity, pue                   float64
	}{
		{"aws", "us-east-1", "US-MIDA-PJM", "lifecycle", 327.17, 1.15},
		{"aws", "eu-west-3", "FR", "lifecycle", 41.45, 1.35},
		{"aws", "ca-central-1", "CA-QC", "direct", 1.7, 1.19},
		{"aws", "ap-southeast-2", "AU-NSW", "direct", 660, 1.14},
		{"azure", "westeurope", "NL", "lifecycle", 253.56, 1.14},
		{"azure", "swedencentral", "SE-SE3", "lifecycle", 35.35, 1.16},
		{"gcp", "europe-west1", "BE", "lifecycle", 109.3, 1.09},
		{"gcp", "us-central1", "US-MIDW-MISO", "lifecycle", 275.36, 1.1},
		{"oracle_cloud", "eu-frankfurt-1", "DE", "lifecycle", 329.65, 1},
		{"alibaba_cloud", "cn-hangzhou", "CN", "lifecycle", 526.19, 1},
		{"hetzner", "fsn1", "DE", "lifecycle", 329.65, 1},
		{"scaleway_cloud", "fr-par", "FR", "lifecycle", 41.45, 1},
		{"ibm_cloud", "jp-tok", "JP-TK", "lifecycle", 477.37, 1},
		{"tencent_cloud", "ap-singapore", "SG", "lifecycle", 497.09, 1},
	}
	c, endpoint := startGateway(t, "{}")
	hour := time.Now().Add(-2 * time.Hour).Truncate(time.Hour)
	for i, r := range regions {
		send(t, endpoint, kWh(map[string]any{"host.id": fmt.Sprint(i), "cloud.provider": r.provider, "cloud.region": r.region}, hour))
	}
	c.stop()

	emissions := map[string]point{}
	for _, p := range c.points("carbon.host.emissions") {
		emissions[p.resource["host.id"].(string)] = p
	}
	intensities := map[string]point{}
	for _, p := range c.points("carbon.grid.intensity") {
		intensities[p.resource["host.id"].(string)] = p
	}
	for i, r := range regions {
		t.Run(r.provider+" "+r.region, func(t *testing.T) {
			p, ok := emissions[fmt.Sprint(i)]
			require.True(t, ok)
			require.InEpsilon(t, r.pue*r.intensity, p.value, 1e-9)
			require.Equal(t, r.zone, p.str("carbon.grid.zone"))
			require.Equal(t, r.boundary, p.str("carbon.grid.boundary"))
			require.Equal(t, "clouds_csv", p.str("carbon.grid.source"))
			require.InDelta(t, r.intensity, intensities[fmt.Sprint(i)].value, 1e-9)
			require.Equal(t, "average", intensities[fmt.Sprint(i)].str("carbon.grid.signal"))
		})
	}
}

// grids.csv, newest preferred row: FR 2025 41.45 (lifecycle), DE 2025 329.65,
// world 2024 473.01.
func TestPlacesThatAreNotCloudRegions(t *testing.T) {
	c, endpoint := startGateway(t, `{location: {default: DE}}`)
	hour := time.Now().Add(-2 * time.Hour).Truncate(time.Hour)
	for id, resource := range map[string]map[string]any{
		"zone":           {"carbon.grid.zone": "FR", "cloud.provider": "aws", "cloud.region": "us-east-1"},
		"country":        {"geo.country.iso_code": "FR"},
		"unknown region": {"cloud.provider": "aws", "cloud.region": "mars-north-1"},
		"nothing":        {},
	} {
		resource["host.id"] = id
		send(t, endpoint, kWh(resource, hour))
	}
	c.stop()
	got := map[string]float64{}
	for _, p := range c.points("carbon.host.emissions") {
		id, _ := p.resource["host.id"].(string)
		got[id] = p.value
		require.Equal(t, "grids_csv", p.str("carbon.grid.source"), id)
	}
	require.InEpsilon(t, 41.45, got["zone"], 1e-9)
	require.InEpsilon(t, 41.45, got["country"], 1e-9)
	require.InEpsilon(t, 329.65, got["unknown region"], 1e-9, "the default")
	require.InEpsilon(t, 329.65, got["nothing"], 1e-9, "the default")
	require.Contains(t, c.logs(), "mars-north-1")
}

func TestWithoutAnyPlaceTheWorldAverageIsUsedAndNamed(t *testing.T) {
	c, endpoint := startGateway(t, "{}")
	send(t, endpoint, kWh(map[string]any{"host.id": "x"}, time.Now().Add(-2*time.Hour).Truncate(time.Hour)))
	c.stop()
	points := c.points("carbon.host.emissions")
	require.Len(t, points, 1)
	require.InEpsilon(t, 473.01, points[0].value, 1e-9)
	require.Equal(t, "world_average", points[0].str("carbon.grid.source"))
}

func TestStaticIntensity(t *testing.T) {
	c, endpoint := startGateway(t, "{providers: [{static: {g_per_kwh: 50}}], pue: 1.5}")
	send(t, endpoint, kWh(map[string]any{"host.id": "x", "cloud.provider": "aws", "cloud.region": "us-east-1"}, time.Now().Add(-2*time.Hour).Truncate(time.Hour)))
	c.stop()
	points := c.points("carbon.host.emissions")
	require.Len(t, points, 1)
	require.InEpsilon(t, 75, points[0].value, 1e-9) // 1 kWh × 1.5 × 50
	require.Equal(t, "static", points[0].str("carbon.grid.source"))
}

func TestWrongConfigurationIsRefusedByName(t *testing.T) {
	for _, tc := range []struct{ name, carbon, want string }{
		{"unknown key", "{locaton: {zone: FR}}", "locaton"},
		{"unknown zone", "{location: {zone: FRR}}", "FRR"},
		{"unknown boundary", "{boundary: upstream}", "boundary"},
		{"PUE below one", "{pue: 0.5}", "pue"},
		{"missing table", "{clouds_file: /does/not/exist.csv}", "/does/not/exist.csv"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			config := strings.NewReplacer("${OTLP}", freePort(t), "${CARBON}", tc.carbon).Replace(gateway)
			require.Contains(t, launch(t, config).fails(), tc.want)
		})
	}
}
