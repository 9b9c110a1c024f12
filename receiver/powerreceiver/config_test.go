package powerreceiver

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
)

func load(t *testing.T, section map[string]any) (*Config, error) {
	t.Helper()
	cfg := createDefaultConfig().(*Config)
	if err := confmap.NewFromStringMap(section).Unmarshal(cfg); err != nil {
		return nil, err
	}
	return cfg, confmap.Validate(cfg)
}

func TestDefaultsAreThoseOfTheContract(t *testing.T) {
	cfg, err := load(t, map[string]any{})
	require.NoError(t, err)
	assert.Equal(t, 10*time.Second, cfg.CollectionInterval)
	assert.Equal(t, time.Second, cfg.SamplingInterval)
	assert.Equal(t, "/", cfg.RootPath)
	for _, name := range []string{"rapl", "perf", "hwmon", "nvml", "model"} {
		use, named := cfg.Sensors.selected(name)
		assert.True(t, use, name)
		assert.False(t, named, name)
	}
}

// The configuration of the contract, key by key at its default.
func TestFullConfigurationIsAccepted(t *testing.T) {
	cfg, err := load(t, map[string]any{
		"collection_interval": "10s", "sampling_interval": "1s", "root_path": "/",
		"sensors": map[string]any{
			"rapl": map[string]any{"required": false}, "perf": map[string]any{}, "hwmon": map[string]any{}, "nvml": map[string]any{},
			"model": map[string]any{"idle_watts": 0, "max_watts": 0, "memory_watts_per_gib": 0},
		},
		"calibration": map[string]any{"offset_watts": 0, "gain": 1},
		"workloads": map[string]any{
			"containers": map[string]any{"enabled": true}, "processes": map[string]any{"enabled": false, "top": 100},
			"idle_policy": "separate", "retention": "30s",
		},
	})
	require.NoError(t, err)
	use, named := cfg.Sensors.selected("perf")
	assert.True(t, use && named)
	use, _ = cfg.Sensors.selected("bmc")
	assert.False(t, use, "only what is named is used")
}

func TestNamingASensorSelectsIt(t *testing.T) {
	for name, section := range map[string]any{"an empty map": map[string]any{}, "nothing": nil} {
		t.Run(name, func(t *testing.T) {
			cfg, err := load(t, map[string]any{"sensors": map[string]any{"rapl": section}})
			require.NoError(t, err)
			use, named := cfg.Sensors.selected("rapl")
			assert.True(t, use && named)
			use, _ = cfg.Sensors.selected("model")
			assert.False(t, use)
			assert.Equal(t, "auto", cfg.Sensors.RAPL.Psys, "the other keys keep their defaults")
		})
	}
}

func TestWrongValuesAreRefusedByTheirKey(t *testing.T) {
	model := func(m map[string]any) map[string]any { return map[string]any{"sensors": map[string]any{"model": m}} }
	for _, tc := range []struct {
		name    string
		section map[string]any
		want    string
	}{
		{"unknown key", map[string]any{"sampling": "1s"}, "sampling"},
		{"unknown sensor", map[string]any{"sensors": map[string]any{"rapll": nil}}, "rapll"},
		{"unknown key of a sensor", map[string]any{"sensors": map[string]any{"rapl": map[string]any{"require": true}}}, "require"},
		{"sampling too often", map[string]any{"sampling_interval": "1ms"}, "sampling_interval: 1ms is too short"},
		{"negative sampling", map[string]any{"sampling_interval": "-1s"}, "sampling_interval"},
		{"no collection", map[string]any{"collection_interval": "0s"}, "collection_interval"},
		{"relative root", map[string]any{"root_path": "hostfs"}, `root_path: "hostfs" is not absolute`},
		{"psys", map[string]any{"sensors": map[string]any{"rapl": map[string]any{"psys": "yes"}}}, "sensors::rapl::psys"},
		{"negative idle", model(map[string]any{"idle_watts": -1}), "sensors::model::idle_watts"},
		{"NaN", model(map[string]any{"max_watts": math.NaN()}), "sensors::model::max_watts"},
		{"idle above full", model(map[string]any{"idle_watts": 20, "max_watts": 10}), "more than max_watts"},
		{"idle without full", model(map[string]any{"idle_watts": 20}), "sensors::model::max_watts: missing"},
		{"memory", model(map[string]any{"memory_watts_per_gib": 1e6}), "memory_watts_per_gib"},
		{"negative calibration", map[string]any{"calibration": map[string]any{"offset_watts": -5}}, "calibration::offset_watts"},
		{"calibration that makes energy vanish", map[string]any{"calibration": map[string]any{"gain": 0.9}}, "calibration::gain"},
		{"a chip without a name", map[string]any{"sensors": map[string]any{"hwmon": map[string]any{"chips": []any{map[string]any{"channel": "power1", "hw_type": "other", "role": "primary"}}}}}, "sensors::hwmon: chips[0].name"},
		{"a GPU that cannot be", map[string]any{"sensors": map[string]any{"nvml": map[string]any{"devices": []any{"first"}}}}, "sensors::nvml: nvml: devices[0]"},
		{"a controller without address", map[string]any{"sensors": map[string]any{"bmc": map[string]any{"redfish": map[string]any{"username": "u"}}}}, "sensors::bmc::redfish::endpoint: missing"},
		{"credentials in the address", map[string]any{"sensors": map[string]any{"bmc": map[string]any{"redfish": map[string]any{"endpoint": "https://u:p@bmc"}}}}, "credentials belong into"},
		{"two ways to a controller", map[string]any{"sensors": map[string]any{"bmc": map[string]any{"redfish": map[string]any{"endpoint": "https://bmc"}, "ipmi": map[string]any{"device": "/dev/ipmi0"}}}}, "both set"},
		{"a controller asked too often", map[string]any{"sensors": map[string]any{"bmc": map[string]any{"interval": "10ms"}}}, "sensors::bmc::interval"},
		{"idle policy", map[string]any{"workloads": map[string]any{"idle_policy": "fair"}}, `workloads::idle_policy: "fair" is none of separate, request, equal, usage`},
		{"a negative number of processes", map[string]any{"workloads": map[string]any{"processes": map[string]any{"top": -1}}}, "workloads::processes::top: -1"},
		{"negative retention", map[string]any{"workloads": map[string]any{"retention": "-1s"}}, "workloads::retention: -1s"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := load(t, tc.section)
			require.ErrorContains(t, err, tc.want)
		})
	}
}
