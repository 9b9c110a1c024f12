package carbonprocessor

import (
	"context"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/pmetrictest"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/offline"
	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor/internal/metadatatest"
)

// rig is a started processor and what it says about itself.
type rig struct {
	t         testing.TB
	p         *metricsProcessor
	telemetry *componenttest.Telemetry
	logs      *observer.ObservedLogs
	began     time.Time
	burned    int
}

// newRig starts a processor at 360 g/kWh, so that 10 kJ are 1 g, unless edit
// changes the configuration or slots are given in place of it.
func newRig(t testing.TB, edit func(*Config), slots ...*intensity.Slot) *rig {
	t.Helper()
	cfg := createDefaultConfig().(*Config)
	g := 360.0
	cfg.Providers = []ProviderConfig{{Static: &StaticConfig{GramsPerKWh: &g}}}
	if edit != nil {
		edit(cfg)
	}
	require.NoError(t, cfg.Validate())
	r := &rig{t: t, telemetry: componenttest.NewTelemetry()}
	set := metadatatest.NewSettings(r.telemetry)
	core, logs := observer.New(zap.InfoLevel)
	set.Logger, r.logs = zap.New(core), logs
	set.BuildInfo.Version = "1.2.3"
	p := newProcessor(t, cfg, set)
	if len(slots) > 0 {
		p.engine.open = func(_ context.Context, e *engine, _ component.Host) (intensity.Source, *offline.Provider, error) {
			grid, err := intensity.NewGrid(nil, slots)
			require.NoError(t, err)
			tables, err := openTables(e.config)
			return &fixedSource{handle: intensity.NewHandle(grid)}, tables, err
		}
	}
	require.NoError(t, p.start(t.Context(), componenttest.NewNopHost()))
	r.p, r.began = p, p.engine.began
	t.Cleanup(func() {
		require.NoError(t, p.shutdown(context.WithoutCancel(t.Context())))
		require.NoError(t, r.telemetry.Shutdown(context.WithoutCancel(t.Context())))
	})
	return r
}

// newProcessor has an engine of its own.
func newProcessor(t testing.TB, cfg *Config, set processor.Settings) *metricsProcessor {
	t.Helper()
	e, err := newEngine(cfg, set)
	require.NoError(t, err)
	return newMetricsProcessor(e, e.counters.Shutdown)
}

// fixedSource has one Handle for every place.
type fixedSource struct {
	intensity.Source
	handle *intensity.Handle
}

func (s *fixedSource) Handle(intensity.Query) (*intensity.Handle, error) { return s.handle, nil }
func (s *fixedSource) Close() error                                      { return nil }

// at is a moment in seconds after the start of the processor.
func (r *rig) at(seconds float64) pcommon.Timestamp {
	return pcommon.NewTimestampFromTime(r.began.Add(time.Duration(seconds * float64(time.Second))))
}

// seconds is the reverse of at.
func (r *rig) seconds(ts pcommon.Timestamp) float64 {
	return ts.AsTime().Sub(r.began).Seconds()
}

// send lets the processor work on a batch, which has to be valid afterwards.
func (r *rig) send(md pmetric.Metrics) pmetric.Metrics {
	r.t.Helper()
	out, err := r.p.processMetrics(r.t.Context(), md)
	require.NoError(r.t, err)
	require.NoError(r.t, pmetrictest.ValidateMetrics(out))
	return out
}

// dropped returns the points dropped so far, by reason.
func (r *rig) dropped() map[string]int64 {
	return r.counter("otelcol_processor_carbon_points_dropped", "reason")
}

// total returns a counter without attributes.
func (r *rig) total(name string) int64 { return r.counter(name, "")[""] }

func (r *rig) counter(name, key string) map[string]int64 {
	got := map[string]int64{}
	m, err := r.telemetry.GetMetric(name)
	if err != nil {
		return got // nothing was counted
	}
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		for _, dp := range data.DataPoints {
			v, _ := dp.Attributes.Value("reason")
			if key == "" {
				got[""] += dp.Value
				continue
			}
			got[v.AsString()] += dp.Value
		}
	case metricdata.Gauge[int64]:
		for _, dp := range data.DataPoints {
			got[""] += dp.Value
		}
	}
	return got
}

// in describes an input metric of one resource.
type in struct {
	resource    map[string]any
	name, unit  string
	temporality pmetric.AggregationTemporality
	attrs       map[string]any
}

// energy is a batch with one point of hw.energy, which edit completes.
func energy(t testing.TB, i in, edit func(pmetric.NumberDataPoint)) pmetric.Metrics {
	t.Helper()
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	require.NoError(t, rm.Resource().Attributes().FromRaw(i.resource))
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName("test")
	m := sm.Metrics().AppendEmpty()
	m.SetName("hw.energy")
	if i.name != "" {
		m.SetName(i.name)
	}
	m.SetUnit("J")
	if i.unit != "" {
		m.SetUnit(i.unit)
	}
	sum := m.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	if i.temporality != 0 {
		sum.SetAggregationTemporality(i.temporality)
	}
	dp := sum.DataPoints().AppendEmpty()
	require.NoError(t, dp.Attributes().FromRaw(i.attrs))
	edit(dp)
	return md
}

// found returns all points of a metric, with the metric and the resource they are in.
func found(md pmetric.Metrics, name string) []pmetric.NumberDataPoint {
	var all []pmetric.NumberDataPoint
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Name() != name {
					continue
				}
				var list pmetric.NumberDataPointSlice
				if m.Type() == pmetric.MetricTypeGauge {
					list = m.Gauge().DataPoints()
				} else {
					list = m.Sum().DataPoints()
				}
				for _, dp := range list.All() {
					all = append(all, dp)
				}
			}
		}
	}
	return all
}

func str(dp pmetric.NumberDataPoint, key string) string {
	v, ok := dp.Attributes().Get(key)
	if !ok {
		return ""
	}
	return v.Str()
}
