package carbonprocessor

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// worth is what became of one metric and type of hardware: grams, and the relative
// half-width of their range.
type worth struct{ grams, half float64 }

const measured, modelled = 0.07, 0.60

// The batches are what the Collector's Prometheus receiver made of two scrapes, which
// stand beside them; internal/scrape lets it do so. At 360 g/kWh, 10 kJ are 1 g.
func TestPresets(t *testing.T) {
	for _, tc := range []struct {
		name, preset, folder string
		want                 map[string]worth // by metric of emissions, input and hw.type
	}{
		{
			// Package rose by 20 kJ, dram by 5 kJ, the GPU by 40 kJ. The 50 kJ of psys contain
			// package and dram, and package contains the 12 kJ of core and the 1 kJ of uncore.
			// The container has 6 kJ of package, 0.5 kJ of dram, 8 kJ of the GPU; what it has of
			// core and psys lies within or around that. The other one has ended: its 30.2 kJ
			// are told once more under another state.
			"kepler, containers", "kepler", "kepler",
			map[string]worth{
				"host kepler_node_cpu_joules_total cpu":             {2, measured},
				"host kepler_node_cpu_joules_total memory":          {0.5, measured},
				"host kepler_node_gpu_joules_total gpu":             {4, measured},
				"workload kepler_container_cpu_joules_total cpu":    {0.6, modelled},
				"workload kepler_container_cpu_joules_total memory": {0.05, modelled},
				"workload kepler_container_gpu_joules_total gpu":    {0.8, modelled},
			},
		},
		{
			"kepler, pods", "kepler_pods", "kepler",
			map[string]worth{
				"host kepler_node_cpu_joules_total cpu":       {2, measured},
				"host kepler_node_cpu_joules_total memory":    {0.5, measured},
				"host kepler_node_gpu_joules_total gpu":       {4, measured},
				"workload kepler_pod_cpu_joules_total cpu":    {0.6, modelled},
				"workload kepler_pod_cpu_joules_total memory": {0.05, modelled},
			},
		},
		{
			// 6 kJ in the container and 1 kJ outside.
			"kepler, processes", "kepler_processes", "kepler",
			map[string]worth{
				"host kepler_node_cpu_joules_total cpu":        {2, measured},
				"host kepler_node_cpu_joules_total memory":     {0.5, measured},
				"host kepler_node_gpu_joules_total gpu":        {4, measured},
				"workload kepler_process_cpu_joules_total cpu": {0.7, modelled},
			},
		},
		{
			"kepler, virtual machines", "kepler_vms", "kepler",
			map[string]worth{
				"host kepler_node_cpu_joules_total cpu":    {2, measured},
				"host kepler_node_cpu_joules_total memory": {0.5, measured},
				"host kepler_node_gpu_joules_total gpu":    {4, measured},
				"workload kepler_vm_cpu_joules_total cpu":  {0.3, modelled},
			},
		},
		{
			// Dynamic and idle: 10 + 20 kJ of package, 2 + 5 kJ of dram, 5 + 3 kJ of the
			// container. Platform contains the first two, other is the rest of it.
			"kepler before 0.10", "kepler", "kepler_before_0_10",
			map[string]worth{
				"host kepler_node_package_joules_total cpu":  {3, measured},
				"host kepler_node_dram_joules_total memory":  {0.7, measured},
				"workload kepler_container_joules_total any": {0.8, modelled},
			},
		},
		{
			// 30 kJ, of which 29 in the socket and 1 in its memory. Java had 20 W, then 40 W
			// after 10 s: 300 J. Nothing was drawn by sshd.
			"scaphandre", "scaphandre", "scaphandre",
			map[string]worth{
				"host scaph_host_energy_microjoules any":                  {3, measured},
				"workload scaph_process_power_consumption_microwatts any": {0.03, modelled},
			},
		},
		{
			// 20 kJ of the first GPU, 5 kJ of the second, which its MIG instances repeat. The
			// third is shared: its rows would multiply its energy.
			"dcgm", "dcgm", "dcgm",
			map[string]worth{"host DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION gpu": {2.5, measured}},
		},
		{
			// 6 kJ of the second package; the counter of the first wrapped, and nothing is known
			// of its interval. 1 + 2 kJ of dram.
			"ceems", "ceems", "ceems",
			map[string]worth{
				"host ceems_rapl_package_joules_total cpu": {0.6, measured},
				"host ceems_rapl_dram_joules_total memory": {0.3, measured},
			},
		},
		{
			// 3 + 6 kJ of packages, of which the MMIO interface repeats the first.
			"ceems with labels", "ceems", "ceems_zone_label",
			map[string]worth{
				"host ceems_rapl_joules_total cpu":    {0.9, measured},
				"host ceems_rapl_joules_total memory": {0.3, measured},
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.Inputs = []InputConfig{{Preset: tc.preset}} })
			var out pmetric.Metrics
			for i, name := range []string{"input_1.yaml", "input_2.yaml"} {
				md, err := golden.ReadMetrics(filepath.Join("testdata", "presets", tc.folder, name))
				require.NoError(t, err)
				stamp(md, r.at(10+10*float64(i)))
				out = r.send(md)
			}
			assertWorth(t, tc.want, out)
			assert.Empty(t, r.dropped())
		})
	}
}

// MetricsHub sends OTLP. What the receiver power says of the same machines passes beside it.
func TestPresetMetricsHub(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Inputs = []InputConfig{{Preset: "metricshub"}} })
	send := func(at float64, kilojoules ...float64) pmetric.Metrics {
		md := pmetric.NewMetrics()
		list := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
		points := func(name string) pmetric.NumberDataPointSlice {
			m := list.AppendEmpty()
			m.SetName(name)
			m.SetUnit("J")
			sum := m.SetEmptySum()
			sum.SetIsMonotonic(true)
			sum.SetAggregationTemporality(cumulative)
			return sum.DataPoints()
		}
		host, part := points("hw.host.energy"), points("hw.energy")
		for i, p := range []struct {
			to    pmetric.NumberDataPointSlice
			attrs map[string]any
		}{
			{host, map[string]any{"id": "a", "quality": "measured"}},
			{host, map[string]any{"id": "b", "quality": "estimated"}},
			{host, map[string]any{"hw.id": "psys"}},
			{part, map[string]any{"id": "a/cpu", "connector_id": "MIB2", "hw.type": "cpu"}},
			{part, map[string]any{"id": "a/vm", "connector_id": "MIB2", "hw.type": "vm"}},
			{part, map[string]any{"hw.id": "rapl/package-0", "hw.type": "cpu", "carbon.method": "measured"}},
		} {
			dp := p.to.AppendEmpty()
			r.fill(dp, point{none(), at, kilojoules[i] * 1000})
			for k, v := range p.attrs {
				dp.Attributes().PutStr(k, v.(string))
			}
		}
		return r.send(md)
	}
	// 100 kJ at one host, 20 kJ at another, 10 kJ that the receiver measured.
	send(10, 0, 0, 0, 0, 0, 0)
	assertWorth(t, map[string]worth{
		"host hw.host.energy any": {12, (10*measured + 2*modelled) / 12},
		"host  cpu":               {1, measured},
	}, send(20, 100, 20, 300, 40, 50, 10))
}

func TestEveryPreset(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for name, list := range presets() {
		t.Run(name, func(t *testing.T) {
			require.NotEmpty(t, list)
			for i := range list {
				require.NoError(t, list[i].check(), list[i].Metric)
			}
			cfg := createDefaultConfig().(*Config)
			cfg.Inputs = []InputConfig{{Preset: name}}
			require.NoError(t, cfg.Validate())
			assert.Contains(t, string(readme), "\n| `"+name+"` | ")
		})
	}
}

// The collector of this repository lacks the receiver of the example; internal/scrape
// checks the rest of it.
func TestExampleWithAPreset(t *testing.T) {
	all, err := confmaptest.LoadConf(filepath.Join("..", "..", "examples", "kepler", "collector.yaml"))
	require.NoError(t, err)
	sub, err := all.Sub("processors::carbon")
	require.NoError(t, err)
	cfg, err := load(t, sub)
	require.NoError(t, err)
	assert.Equal(t, []InputConfig{{Preset: "kepler"}}, cfg.Inputs)
}

func TestWhatDoesNotGoWithAPreset(t *testing.T) {
	for _, tc := range []struct {
		name   string
		inputs []InputConfig
		want   string
	}{
		{"two levels of workloads", []InputConfig{{Preset: "kepler"}, {Preset: "kepler_pods"}}, "inputs: kepler_node_cpu_joules_total stands there twice with the same match"},
		{"a metric of its own", []InputConfig{{Preset: "scaphandre"}, {Metric: "scaph_host_energy_microjoules", Unit: "uJ", Of: "host"}}, "inputs: scaph_host_energy_microjoules stands there twice"},
		{"a level that it lacks", []InputConfig{{Preset: "dcgm", Of: "workload"}}, "inputs[0]: of: the preset dcgm has nothing of workloads"},
		{"another key", []InputConfig{{Preset: "dcgm", Method: "modelled"}}, "inputs[0]: preset: dcgm stands for its metrics as they are: of is the only key beside it"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := createDefaultConfig().(*Config)
			cfg.Inputs = tc.inputs
			assert.ErrorContains(t, cfg.Validate(), tc.want)
		})
	}
	hosts := createDefaultConfig().(*Config)
	hosts.Inputs = []InputConfig{{Preset: "kepler", Of: "workload"}, {Preset: "ceems", Of: "host"}}
	assert.NoError(t, hosts.Validate(), "hosts of one, workloads of the other")
}

// stamp moves all points to a moment.
func stamp(md pmetric.Metrics, at pcommon.Timestamp) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				for _, dp := range found(md, m.Name()) {
					dp.SetTimestamp(at)
				}
			}
		}
	}
}

func assertWorth(t *testing.T, want map[string]worth, out pmetric.Metrics) {
	t.Helper()
	grams, upper := map[string]float64{}, map[string]float64{}
	for of, metric := range map[string]string{"host": "carbon.host.emissions", "workload": "carbon.emissions"} {
		for name, sums := range map[string]map[string]float64{metric: grams, metric + "_upper": upper} {
			for _, dp := range found(out, name) {
				hwType := str(dp, "hw.type")
				if hwType == "" {
					hwType = "any"
				}
				sums[strings.Join([]string{of, str(dp, "carbon.input"), hwType}, " ")] += dp.DoubleValue()
			}
		}
	}
	assert.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(grams)))
	for key, w := range want {
		assert.InEpsilon(t, w.grams, grams[key], 1e-6, key)
		assert.InEpsilon(t, w.grams*(1+w.half), upper[key], 1e-6, key)
	}
}
