package powerreceiver

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.uber.org/zap"

	"github.com/otelcarbon/otelcarbon/internal/host"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

func namesOf(sources []*source) (out []string) {
	for _, s := range sources {
		out = append(out, s.name)
	}
	return out
}

func nothingIsMeasured(string) bool { return false }

func TestEverySensorIsTriedButTheController(t *testing.T) {
	cfg, err := load(t, map[string]any{})
	require.NoError(t, err)
	assert.Equal(t, []string{"perf", "rapl", "nvml", "nvidia_smi", "hwmon", "battery", "model"},
		namesOf(cfg.sources(host.Facts{}, nothingIsMeasured, nil)))

	cfg, err = load(t, map[string]any{"sensors": map[string]any{"bmc": nil, "model": nil}})
	require.NoError(t, err)
	assert.Equal(t, []string{"bmc", "model"}, namesOf(cfg.sources(host.Facts{}, nothingIsMeasured, nil)))
}

func TestTheProgramIsTheSpareOfTheLibraryUnlessItIsNamed(t *testing.T) {
	cfg, err := load(t, map[string]any{})
	require.NoError(t, err)
	sources := cfg.sources(host.Facts{}, nothingIsMeasured, nil)
	assert.Same(t, sources[2], sources[3].spareOf)
	for i, s := range sources {
		assert.Equal(t, i == 3, s.spareOf != nil, s.name)
	}

	cfg, err = load(t, map[string]any{"sensors": map[string]any{"nvml": nil, "nvidia_smi": nil}})
	require.NoError(t, err)
	for _, s := range cfg.sources(host.Facts{}, nothingIsMeasured, nil) {
		assert.Nil(t, s.spareOf, s.name)
	}
}

func TestDevicesMayComeAsOneWord(t *testing.T) {
	assert.Equal(t, []string{"0", "1", "GPU-4a3b"}, split([]string{"0,1", " GPU-4a3b ", ""}))
	assert.Empty(t, split([]string{""}))
}

// A controller that knows only the legacy resource: 412 W.
func TestRedfishIsAskedWithTheConfiguredClient(t *testing.T) {
	const user, password = "reader", "hunter2-hunter2"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, ok := r.BasicAuth(); ok && (u != user || p != password) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/redfish/v1", "/redfish/v1/":
			fmt.Fprint(w, `{"@odata.id":"/redfish/v1/","Chassis":{"@odata.id":"/redfish/v1/Chassis"}}`)
		case "/redfish/v1/Chassis":
			fmt.Fprint(w, `{"Members":[{"@odata.id":"/redfish/v1/Chassis/1"}]}`)
		case "/redfish/v1/Chassis/1":
			fmt.Fprint(w, `{"@odata.id":"/redfish/v1/Chassis/1","Id":"1","ChassisType":"RackMount","Power":{"@odata.id":"/redfish/v1/Chassis/1/Power"}}`)
		case "/redfish/v1/Chassis/1/Power":
			fmt.Fprint(w, `{"@odata.id":"/redfish/v1/Chassis/1/Power","PowerControl":[{"PowerConsumedWatts":412}]}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer srv.Close()
	cfg, err := load(t, map[string]any{
		"collection_interval": "50ms", "sampling_interval": "20ms", "initial_delay": "0s",
		"metrics": map[string]any{"carbon.sensor.energy": map[string]any{"enabled": true}},
		"sensors": map[string]any{"bmc": map[string]any{
			"interval": "1s", "redfish": map[string]any{"endpoint": srv.URL, "username": user, "password": password},
		}},
	})
	require.NoError(t, err)
	assert.NotContains(t, fmt.Sprintf("%+v", cfg.Sensors.BMC.Redfish), password)

	sink := new(consumertest.MetricsSink)
	set, logs := settings(componenttest.NewTelemetry(), zap.DebugLevel)
	r, err := newReceiver(set, cfg, sink)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	require.Eventually(t, func() bool {
		v, _ := lastOf(sink.AllMetrics(), "carbon.sensor.energy", "bmc:host")
		return v > 0
	}, 20*time.Second, 20*time.Millisecond)
	require.NoError(t, r.Shutdown(t.Context()))
	for _, e := range logs.All() {
		assert.NotContains(t, fmt.Sprint(e.Message, e.ContextMap()), password)
	}
	for _, md := range sink.AllMetrics() {
		if _, dp, ok := value(md, "carbon.sensor.energy", "bmc:host"); ok {
			method, _ := dp.Attributes().Get("carbon.method")
			assert.Equal(t, string(sensor.Integrated), method.Str())
		}
	}
}
