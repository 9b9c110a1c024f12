package e2e

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon"
)

const bare = `
extensions:
  health_check: {endpoint: "${HEALTH}"}
receivers:
  power: {root_path: "${ROOT}", collection_interval: 1s, sampling_interval: 100ms, initial_delay: 200ms, sensors: ${SENSORS}}
processors:
  carbon: {}
exporters:
  file: {path: "${OUT}"}
  prometheus: {endpoint: "${PROMETHEUS}", resource_to_telemetry_conversion: {enabled: true}}
service:
  extensions: [health_check]
  telemetry: {metrics: {level: none}}
  pipelines:
    metrics:
      receivers: [power]
      processors: [carbon]
      exporters: [file, prometheus]
`

func TestC72_machine_without_a_sensor_stays_healthy_and_says_why(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "sys/class"), 0o755))
	c := start(t, strings.NewReplacer("${ROOT}", root, "${SENSORS}", "{rapl: {}}", "${PROMETHEUS}", freePort(t)).Replace(bare))
	time.Sleep(3 * time.Second)
	c.stop()
	require.Empty(t, c.points("hw.energy"), "nothing is invented")
	require.Empty(t, c.points("hw.host.energy"))
	require.Equal(t, 1, strings.Count(c.logs(), "power sensor not available"), "said once")
	require.Contains(t, c.logs(), "powercap")
}

func TestRequiredSensorThatIsMissingIsAStartError(t *testing.T) {
	config := strings.NewReplacer("${ROOT}", t.TempDir(), "${SENSORS}", "{rapl: {required: true}}", "${PROMETHEUS}", freePort(t)).Replace(bare)
	require.Contains(t, launch(t, config).fails(), "sensors::rapl::required")
}

// This machine itself, whatever it has.
func TestThisMachineIsMeasuredOrModelled(t *testing.T) {
	endpoint := freePort(t)
	c := start(t, strings.NewReplacer("${ROOT}", "/", "${SENSORS}", "", "${PROMETHEUS}", endpoint).Replace(bare))
	var body string
	require.Eventually(t, func() bool {
		resp, err := http.Get("http://" + endpoint + "/metrics")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		body = string(b)
		return err == nil && strings.Contains(body, "carbon_host_emissions_grams_total{")
	}, patience, 100*time.Millisecond)
	c.stop()
	for _, name := range []string{
		"hw_energy_joules_total{", "hw_power_watts{", "hw_host_energy_joules_total{", "hw_host_power_watts{",
		"carbon_host_emissions_lower_grams_total{", "carbon_host_emissions_upper_grams_total{", "carbon_grid_intensity_grams_per_kW_h{",
	} {
		require.Contains(t, body, name)
	}
	var parts, host float64
	for _, p := range c.last("hw.energy") {
		require.Contains(t, []string{"measured", "integrated", "modelled"}, p.str("carbon.method"))
		require.NotEmpty(t, p.resource["host.name"])
		if _, nested := p.attrs["hw.parent"]; !nested {
			parts += p.value
		}
	}
	for _, p := range c.last("hw.host.energy") {
		host += p.value
	}
	require.Positive(t, parts)
	require.InDelta(t, parts, host, 1e-3)
}

// The licenses of the embedded data want their attributions in every binary.
func TestBinaryCarriesTheNotice(t *testing.T) {
	raw, err := os.ReadFile(binary(t))
	require.NoError(t, err)
	require.True(t, bytes.Contains(raw, []byte(otelcarbon.Notice())))
}
