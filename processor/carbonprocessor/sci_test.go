package carbonprocessor

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// counting appends a counter of units to the first resource of a batch.
func (r *rig) counting(md pmetric.Metrics, start, at float64, n int64) pmetric.Metrics {
	m := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().AppendEmpty()
	m.SetName("http.server.request.count")
	sum := m.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(cumulative)
	dp := sum.DataPoints().AppendEmpty()
	dp.SetStartTimestamp(r.at(start))
	dp.SetTimestamp(r.at(at))
	dp.SetIntValue(n)
	return md
}

// At 360 g/kWh, 10 kJ are 1 g.
func TestGramsPerUnit(t *testing.T) {
	r := newRig(t, func(c *Config) { c.SCI = &SCIConfig{Per: "http.server.request.count"} })
	batch := func(name string, at, joules float64) pmetric.Metrics {
		i := in{name: name, resource: map[string]any{"service.name": "shop"}}
		return energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{5, at, joules}) })
	}
	sci := func(md pmetric.Metrics) (got []float64) {
		for _, dp := range found(r.send(md), "carbon.sci") {
			assert.Equal(t, "http.server.request.count", str(dp, "carbon.sci.per"))
			got = append(got, dp.DoubleValue())
		}
		return got
	}
	// 2 g for 100 requests.
	assert.Equal(t, []float64{0.02}, sci(r.counting(batch("carbon.energy", 10, 20_000), 5, 10, 100)))
	// 3 g and no request, then 1 g and 200 requests: nothing is left out.
	assert.Empty(t, sci(r.counting(batch("carbon.energy", 20, 50_000), 5, 20, 100)))
	assert.Equal(t, []float64{0.02}, sci(r.counting(batch("carbon.energy", 30, 60_000), 5, 30, 300)))
	// Units that come without energy wait for it.
	md := batch("other", 40, 0)
	assert.Empty(t, sci(r.counting(md, 5, 40, 400)))
	assert.Equal(t, []float64{0.01}, sci(r.counting(batch("carbon.energy", 50, 80_000), 5, 50, 500)), "2 g for 200")
}

func TestUnitsOfAHistogramByAnAttribute(t *testing.T) {
	r := newRig(t, func(c *Config) { c.SCI = &SCIConfig{Per: "rpc.server.duration", By: []string{"host.id"}} })
	md := energy(t, in{name: "carbon.energy", temporality: delta, resource: map[string]any{"host.id": "h", "container.id": "c"}},
		func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, 10, 10_000.0}) })
	units := pmetric.NewMetrics()
	rm := units.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("host.id", "h")
	rm.Resource().Attributes().PutStr("service.name", "s")
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("rpc.server.duration")
	m.SetEmptyHistogram().SetAggregationTemporality(delta)
	dp := m.Histogram().DataPoints().AppendEmpty()
	dp.SetStartTimestamp(r.at(0))
	dp.SetTimestamp(r.at(10))
	dp.SetCount(4)
	units.ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
	got := found(r.send(md), "carbon.sci")
	require.Len(t, got, 1)
	assert.InEpsilon(t, 0.25, got[0].DoubleValue(), 1e-12)
}

// A histogram that says it has no value has not begun anew: 2 g for 10 more requests.
func TestAMarkerIsNoUnit(t *testing.T) {
	r := newRig(t, func(c *Config) { c.SCI = &SCIConfig{Per: "rpc.server.duration"} })
	send := func(at float64, n uint64, marker bool) []pmetric.NumberDataPoint {
		md := energy(t, in{name: "carbon.energy"}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{5, at, at * 1000}) })
		m := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().AppendEmpty()
		m.SetName("rpc.server.duration")
		m.SetEmptyExponentialHistogram().SetAggregationTemporality(cumulative)
		dp := m.ExponentialHistogram().DataPoints().AppendEmpty()
		dp.SetStartTimestamp(r.at(5))
		dp.SetTimestamp(r.at(at))
		dp.SetCount(n)
		dp.SetFlags(dp.Flags().WithNoRecordedValue(marker))
		return found(r.send(md), "carbon.sci")
	}
	require.Len(t, send(10, 100, false), 1)
	assert.Empty(t, send(20, 0, true))
	got := send(30, 110, false)
	require.Len(t, got, 1)
	assert.InEpsilon(t, 0.2, got[0].DoubleValue(), 1e-9)
}
