package powerreceiver

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcarbon/otelcarbon/internal/testfs"
	"github.com/otelcarbon/otelcarbon/receiver/powerreceiver/internal/metadata"
	"github.com/otelcarbon/otelcarbon/receiver/powerreceiver/internal/metadatatest"
)

// oneSocket is a single-socket server without psys. Its counter stands 1 J below
// its end: 262 143 328 850 µJ; with a unit of 61.035 µJ the modulus is
// 262 143 328 911.
const oneSocket = `A one-socket Xeon, Linux 6.1, as it lies below /.
-- sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/name --
package-0
-- sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/energy_uj --
262142328850
-- sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/max_energy_range_uj --
262143328850
-- sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/constraint_0_max_power_uw --
150000000
-- sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/intel-rapl:0:0/name --
dram
-- sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/intel-rapl:0:0/energy_uj --
0
-- sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/intel-rapl:0:0/max_energy_range_uj --
65712999613
-- etc/machine-id --
0123456789abcdef0123456789abcdef
-- etc/hostname --
xeon
`

func onlyRAPL(root string) *Config {
	cfg := createDefaultConfig().(*Config)
	cfg.RootPath = root
	cfg.Sensors.named = []string{"rapl"}
	cfg.InitialDelay = 0
	return cfg
}

func set(t *testing.T, root, file string, value uint64) {
	t.Helper()
	testfs.Write(t, root, filepath.Join("sys/devices/virtual/powercap/intel-rapl", file), strconv.FormatUint(value, 10)+"\n")
}

func settings(tt *componenttest.Telemetry, level zapcore.Level) (receiver.Settings, *observer.ObservedLogs) {
	s := metadatatest.NewSettings(tt)
	core, logs := observer.New(level)
	s.Logger = zap.New(core)
	return s, logs
}

// lastOf returns the newest value of a metric for a part over all batches.
func lastOf(batches []pmetric.Metrics, metric, id string) (v float64, ok bool) {
	for _, md := range batches {
		if got, _, found := value(md, metric, id); found {
			v, ok = got, true
		}
	}
	return v, ok
}

func TestAWholeLifeOnAPowercapTree(t *testing.T) {
	root := testfs.Unpack(t, []byte(oneSocket))
	tt := componenttest.NewTelemetry()
	defer func() { require.NoError(t, tt.Shutdown(t.Context())) }()
	set0, _ := settings(tt, zap.WarnLevel)
	sink := new(consumertest.MetricsSink)
	cfg := onlyRAPL(root)
	cfg.CollectionInterval = time.Hour // all that arrives is caused by Start and Shutdown
	r, err := newReceiver(set0, cfg, sink)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))

	// To the counter's end and 2 J beyond: 1 000 061 µJ (to the modulus) + 2 J.
	set(t, root, "intel-rapl:0/energy_uj", 2_000_000)
	set(t, root, "intel-rapl:0/intel-rapl:0:0/energy_uj", 500_000)
	require.Eventually(t, func() bool { return r.scraper.sampler.wraps() == 1 }, 10*time.Second, time.Millisecond)
	metadatatest.AssertEqualReceiverPowerWraps(t, tt, []metricdata.DataPoint[int64]{
		{Attributes: idSet("rapl:package-0"), Value: 1}, {Attributes: idSet("rapl:package-0/dram"), Value: 0},
	}, metricdatatest.IgnoreTimestamp())

	require.NoError(t, r.Shutdown(t.Context()))
	require.NoError(t, r.Shutdown(t.Context()), "a second time")

	all := sink.AllMetrics()
	pkg, ok := lastOf(all, "hw.energy", "rapl:package-0")
	require.True(t, ok)
	assert.InDelta(t, 3.000061, pkg, 1e-9)
	host, _ := lastOf(all, "hw.host.energy", "host")
	assert.InDelta(t, 3.500061, host, 1e-9)
	rm := all[len(all)-1].ResourceMetrics().At(0)
	assert.Equal(t, map[string]any{"host.id": "0123456789abcdef0123456789abcdef", "host.name": "xeon"}, rm.Resource().Attributes().AsRaw())
}

func TestC73_receiver_can_be_started_again_on_the_same_configuration(t *testing.T) {
	cfg := onlyRAPL(testfs.Unpack(t, []byte(oneSocket)))
	for range 3 {
		tt := componenttest.NewTelemetry()
		s, _ := settings(tt, zap.WarnLevel)
		r, err := newReceiver(s, cfg, consumertest.NewNop())
		require.NoError(t, err)
		require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
		require.NoError(t, r.Shutdown(t.Context()))
		require.NoError(t, tt.Shutdown(t.Context()))
	}
}

func TestC72_without_any_sensor_it_starts_and_says_why_once(t *testing.T) {
	tt := componenttest.NewTelemetry()
	defer func() { require.NoError(t, tt.Shutdown(t.Context())) }()
	s, logs := settings(tt, zap.InfoLevel)
	sink := new(consumertest.MetricsSink)
	cfg := onlyRAPL(testfs.Unpack(t, []byte("-- sys/class/ --\n-- proc/cpuinfo --\n")))
	cfg.CollectionInterval = 10 * time.Millisecond
	cfg.SamplingInterval = 10 * time.Millisecond
	r, err := newReceiver(s, cfg, sink)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	require.Eventually(t, func() bool {
		scraped, missing := tt.GetMetric("otelcol_scraper_scraped_metric_points")
		return missing == nil && len(scraped.Data.(metricdata.Sum[int64]).DataPoints) > 0
	}, 10*time.Second, time.Millisecond)
	_, err = tt.GetMetric("otelcol_receiver_power_sensor_unavailable")
	require.NoError(t, err)
	require.NoError(t, r.Shutdown(t.Context()))
	assert.Empty(t, sink.AllMetrics(), "batches without points")
	said := logs.FilterMessage("power sensor not available").All()
	require.Len(t, said, 1)
	assert.Contains(t, said[0].ContextMap()["error"], "powercap")
}

// A sink that counts batches, and what it says about itself.
type batches struct {
	consumertest.MetricsSink
	n int
}

func (b *batches) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	b.n++
	return b.MetricsSink.ConsumeMetrics(ctx, md)
}

func (b *batches) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: true}
}

func TestABatchWithoutPointsIsNotPassedOn(t *testing.T) {
	var sink batches
	next := notEmpty{&sink}
	empty := pmetric.NewMetrics()
	require.NoError(t, next.ConsumeMetrics(t.Context(), empty))
	empty.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty().SetEmptyGauge()
	require.NoError(t, next.ConsumeMetrics(t.Context(), empty))
	assert.Zero(t, sink.n)

	full := pmetric.NewMetrics()
	full.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty().SetEmptyGauge().DataPoints().AppendEmpty()
	require.NoError(t, next.ConsumeMetrics(t.Context(), full))
	assert.Equal(t, 1, sink.n)
	assert.True(t, next.Capabilities().MutatesData)
}

func TestARequiredSensorThatIsMissingFailsStart(t *testing.T) {
	cfg := onlyRAPL(t.TempDir())
	cfg.Sensors.RAPL.Required = true
	s, _ := settings(componenttest.NewTelemetry(), zap.InfoLevel)
	r, err := newReceiver(s, cfg, consumertest.NewNop())
	require.NoError(t, err)
	err = r.Start(t.Context(), componenttest.NewNopHost())
	require.ErrorContains(t, err, "sensors::rapl::required")
	require.NoError(t, r.Shutdown(t.Context()))
}

func TestARequiredSensorThatGivesNothingFailsStart(t *testing.T) {
	root := testfs.Unpack(t, []byte(oneSocket))
	for _, zone := range []string{"intel-rapl:0", "intel-rapl:0/intel-rapl:0:0"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, "sys/devices/virtual/powercap/intel-rapl", zone, "energy_uj"), []byte("garbage\n"), 0o600))
	}
	cfg := onlyRAPL(root)
	cfg.Sensors.RAPL.Required = true
	s, _ := settings(componenttest.NewTelemetry(), zap.InfoLevel)
	r, err := newReceiver(s, cfg, consumertest.NewNop())
	require.NoError(t, err)
	require.ErrorContains(t, r.Start(t.Context(), componenttest.NewNopHost()), "energy_uj")
}

// DRAM has no constraint, so 1 kW is assumed: 65 712 999 628 µJ / 1 kW = 65.7 s,
// of which half is 32.856 s.
func TestSamplingMoreRarelyThanHalfAWrapIsRefused(t *testing.T) {
	cfg := onlyRAPL(testfs.Unpack(t, []byte(oneSocket)))
	s, _ := settings(componenttest.NewTelemetry(), zap.InfoLevel)
	for interval, want := range map[time.Duration]string{32 * time.Second: "", 33 * time.Second: "use at most 32.856s"} {
		cfg.SamplingInterval = interval
		r, err := newReceiver(s, cfg, consumertest.NewNop())
		require.NoError(t, err)
		err = r.Start(t.Context(), componenttest.NewNopHost())
		if want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, want)
			assert.True(t, strings.HasPrefix(err.Error(), "sampling_interval: 33s"), err.Error())
		}
		require.NoError(t, r.Shutdown(t.Context()))
	}
}

func TestC81_the_host_mounted_elsewhere_is_read_there(t *testing.T) {
	outer := t.TempDir()
	root := filepath.Join(outer, "hostfs")
	require.NoError(t, os.Mkdir(root, 0o755))
	require.NoError(t, testfs.UnpackInto(root, []byte(oneSocket)))
	s, _ := settings(componenttest.NewTelemetry(), zap.InfoLevel)
	r, err := newReceiver(s, onlyRAPL(root), consumertest.NewNop())
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	id, _ := r.scraper.resource.Attributes().Get("host.id")
	assert.Equal(t, "0123456789abcdef0123456789abcdef", id.Str())
	require.NoError(t, r.Shutdown(t.Context()))
}

func TestTheModelStandsInForThisMachine(t *testing.T) {
	s, _ := settings(componenttest.NewTelemetry(), zap.InfoLevel)
	sink := new(consumertest.MetricsSink)
	cfg := createDefaultConfig().(*Config)
	cfg.Sensors.named = []string{"model"}
	cfg.Sensors.Model.IdleWatts, cfg.Sensors.Model.MaxWatts = 50, 50 // whatever the load
	cfg.InitialDelay, cfg.CollectionInterval, cfg.SamplingInterval = 0, 50*time.Millisecond, 10*time.Millisecond
	r, err := newReceiver(s, cfg, sink)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	require.Eventually(t, func() bool { v, _ := lastOf(sink.AllMetrics(), "hw.energy", "model:cpu"); return v > 5 }, 20*time.Second, 10*time.Millisecond)
	require.NoError(t, r.Shutdown(t.Context()))
	power, ok := lastOf(sink.AllMetrics(), "hw.power", "model:cpu")
	require.True(t, ok)
	assert.InDelta(t, 50, power, 0.5)
	for _, md := range sink.AllMetrics() {
		if _, dp, found := value(md, "hw.energy", "model:cpu"); found {
			method, _ := dp.Attributes().Get("carbon.method")
			assert.Equal(t, "modelled", method.Str())
		}
	}
	require.Equal(t, metadata.Type, NewFactory().Type())
}

// BenchmarkStart is the time from Start to the first reading of a machine with a
// package and its DRAM, which is taken before Start returns.
func BenchmarkStart(b *testing.B) {
	cfg := onlyRAPL(testfs.Unpack(b, []byte(oneSocket)))
	s, _ := settings(componenttest.NewTelemetry(), zap.ErrorLevel)
	b.ReportAllocs()
	for b.Loop() {
		r, err := newReceiver(s, cfg, consumertest.NewNop())
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Start(b.Context(), componenttest.NewNopHost()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer() // the last sample of a life waits a little
		if err := r.Shutdown(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
