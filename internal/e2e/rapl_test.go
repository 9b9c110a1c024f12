package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The row aws, us-east-1 of clouds.csv: lifecycle_carbon_intensity_g_per_kwh (of
// Virginia) and pue_ratio.
const (
	usEast1    = 327.17
	usEast1PUE = 1.15
)

// pipeline is a configuration of the whole distribution: the receiver on another
// root, the processor, and the file exporter.
const pipeline = `
extensions:
  health_check: {endpoint: "${HEALTH}"}
receivers:
  power:
    root_path: ${ROOT}
    collection_interval: ${COLLECT}
    sampling_interval: 500ms
    initial_delay: 200ms
    sensors: {rapl: {required: true}}
    metrics:
      carbon.sensor.energy: {enabled: true}
processors:
  resource:
    attributes:
      - {key: cloud.provider, value: aws, action: upsert}
      - {key: cloud.region, value: us-east-1, action: upsert}
  carbon: {}
exporters:
  file: {path: "${OUT}"}
service:
  extensions: [health_check]
  telemetry: {metrics: {level: none}}
  pipelines:
    metrics:
      receivers: [power]
      processors: [resource, carbon]
      exporters: [file]
`

func onTree(tr *tree, collect string) string {
	return strings.NewReplacer("${ROOT}", tr.root, "${COLLECT}", collect).Replace(pipeline)
}

// The counters stand still until the collector has its baseline and again before
// it is stopped, so that the truth is exact and the assertion can be, too.
func TestTwoSocketTreeGivesItsJoulesAndGrams(t *testing.T) {
	tr := twoSockets(t)
	c := start(t, onTree(tr, "1s"))
	tr.run()
	time.Sleep(20 * time.Second) // the time in which energy is drawn
	tr.freeze()
	c.stop()

	truth, wraps := tr.truth()
	require.GreaterOrEqual(t, wraps, 4, "the tree is to wrap several times")

	var sum float64
	for _, p := range c.last("hw.energy") {
		sum += p.value
		require.NotContains(t, p.str("hw.name"), "psys")
		require.NotContains(t, p.attrs, "hw.parent", "nothing in hw.energy is nested")
		require.Equal(t, "measured", p.str("carbon.method"))
		require.Equal(t, "rapl", p.str("carbon.sensor"))
		require.Equal(t, "J", p.unit)
		require.Equal(t, "0123456789abcdef0123456789abcdef", p.resource["host.id"])
	}
	require.Len(t, c.last("hw.energy"), 4, "two packages and their DRAM")
	require.InDelta(t, float64(truth)/1e6, sum, 1e-3, "J; %d wraps", wraps)

	host := c.last("hw.host.energy")
	require.Len(t, host, 1)
	require.InDelta(t, sum, host[0].value, 1e-3, "the host is the sum of its parts")

	// core and psys overlap the parts: seen only where they were asked for.
	details := map[string]float64{}
	for _, p := range c.last("carbon.sensor.energy") {
		details[p.str("hw.name")] = p.value
	}
	require.Contains(t, details, "psys")
	require.InDelta(t, float64(tr.counters[5].drawn)/1e6, details["psys"], 1e-3)

	intensity := c.last("carbon.grid.intensity")
	require.Len(t, intensity, 1)
	require.Equal(t, "g/(kW.h)", intensity[0].unit)
	require.Equal(t, "clouds_csv", intensity[0].str("carbon.grid.source"))
	require.InDelta(t, usEast1, intensity[0].value, 1e-9)

	energy := map[string]float64{}
	for _, p := range c.last("hw.energy") {
		energy[p.str("hw.id")] = p.value
	}
	emissions := c.last("carbon.host.emissions")
	require.Len(t, emissions, 4)
	for _, p := range emissions {
		want := energy[p.str("hw.id")] / 3.6e6 * usEast1PUE * usEast1
		require.InEpsilon(t, want, p.value, 1e-9, "grams of %s", p.str("hw.id"))
		require.Equal(t, "g", p.unit)
		require.Equal(t, "operational", p.str("carbon.emission_type"))
		require.Equal(t, "lifecycle", p.str("carbon.grid.boundary"))
		require.Equal(t, "US-MIDA-PJM", p.str("carbon.grid.zone"))
	}
	for _, name := range []string{"carbon.host.emissions_lower", "carbon.host.emissions_upper"} {
		require.Len(t, c.last(name), 4)
	}
	requireGrowing(t, c.points("hw.energy"))
	requireGrowing(t, c.points("carbon.host.emissions"))
}

// The only collection is the one that SIGTERM causes.
func TestSIGTERMLosesNoInterval(t *testing.T) {
	tr := twoSockets(t)
	c := start(t, onTree(tr, "1h"))
	time.Sleep(time.Second) // the collection after initial_delay is over
	tr.run()
	time.Sleep(3 * time.Second)
	tr.freeze()
	c.stop()

	truth, _ := tr.truth()
	var sum, grams float64
	for _, p := range c.last("hw.energy") {
		sum += p.value
	}
	for _, p := range c.last("carbon.host.emissions") {
		grams += p.value
	}
	require.InDelta(t, float64(truth)/1e6, sum, 1e-3)
	require.InEpsilon(t, float64(truth)/1e6/3.6e6*usEast1PUE*usEast1, grams, 1e-9)
}

func TestSamplingIntervalLongerThanHalfAWrapIsRefused(t *testing.T) {
	tr := twoSockets(t)
	// The shortest wrap is that of DRAM: its limit of 8 kW is taken twice, so
	// 65 712 999 628 µJ / 16 kW = 4.107 s.
	log := launch(t, strings.Replace(onTree(tr, "10s"), "sampling_interval: 500ms", "sampling_interval: 3s", 1)).fails()
	require.Contains(t, log, "sampling_interval")
	require.Contains(t, log, "2.053s", "half the shortest wrap")
}

func requireGrowing(t *testing.T, points []point) {
	t.Helper()
	newest := map[string]point{}
	for _, p := range points {
		id := p.str("hw.id")
		if last, ok := newest[id]; ok {
			require.GreaterOrEqual(t, p.value, last.value, "%s of %s falls", p.metric, id)
			require.True(t, p.at.After(last.at), "%s of %s: time stamps do not grow", p.metric, id)
			require.Equal(t, last.start, p.start, "%s of %s: the start time moves", p.metric, id)
		}
		require.False(t, p.start.After(p.at))
		newest[id] = p
	}
}
