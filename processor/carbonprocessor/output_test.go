package carbonprocessor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// together puts the metrics of batches under the scope and the resource of the first.
func together(mds ...pmetric.Metrics) pmetric.Metrics {
	list := mds[0].ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	for _, md := range mds[1:] {
		md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().MoveAndAppendTo(list)
	}
	return mds[0]
}

// scopes returns the values of a metric by the scope that it is in.
func scopes(out pmetric.Metrics, name string) map[string][]float64 {
	got := map[string][]float64{}
	for _, rm := range out.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			one := pmetric.NewMetrics()
			sm.CopyTo(one.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty())
			for _, dp := range found(one, name) {
				got[sm.Scope().Name()] = append(got[sm.Scope().Name()], dp.DoubleValue())
			}
		}
	}
	return got
}

// Hosts and workloads in one scope have one metric of the cost: 3.6 MJ and 1.8 MJ at 1 USD/kWh.
func TestBothFamiliesShareTheMetricsOfCostAndWater(t *testing.T) {
	r := newRig(t, func(c *Config) { c.ElectricityPrice.PerKWh, c.WUE = 1, 2 })
	one := func(name string, joules float64) pmetric.Metrics {
		return energy(t, in{name: name}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{5, 10, joules}) })
	}
	out := r.send(together(one("hw.energy", 3.6e6), one("carbon.energy", 1.8e6)))
	assert.Equal(t, map[string][]float64{"test": {1, 0.5}}, scopes(out, "carbon.electricity_cost"))
	assert.Empty(t, str(found(out, "carbon.electricity_cost")[0], "carbon.input"))
	assert.Equal(t, "carbon.energy", str(found(out, "carbon.electricity_cost")[1], "carbon.input"), "or else the points would be the same")
	assert.Equal(t, map[string][]float64{"test": {2, 1}}, scopes(out, "carbon.water_usage"))
}

// At 360 g/kWh, 10 kJ are 1 g. Deltas may stand in another scope, cumulative sums may not.
func TestBothTemporalitiesInOneScope(t *testing.T) {
	one := func(r *rig, name string, of pmetric.AggregationTemporality, start, at, joules float64) pmetric.Metrics {
		return energy(t, in{name: name, temporality: of}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{start, at, joules}) })
	}
	for forced, want := range map[string]map[string][]float64{
		"":           {"test": {1}, "test/delta": {2}},
		"cumulative": {"test": {1, 2}},
		"delta":      {"test": {1, 2}},
	} {
		r := newRig(t, func(c *Config) {
			c.Temporality, c.Inputs = forced, []InputConfig{{Metric: "pdu", Of: "host"}}
		})
		out := r.send(together(one(r, "hw.energy", cumulative, 5, 10, 10_000), one(r, "pdu", delta, 5, 10, 20_000)))
		assert.Equal(t, want, scopes(out, "carbon.host.emissions"), forced)
		out = r.send(one(r, "pdu", delta, 10, 20, 30_000))
		assert.Contains(t, scopes(out, "carbon.host.emissions"), "test", "there is nothing that it could be taken for")
	}
}

// What a sender has priced is not there a second time, whichever of its metrics tells.
func TestWhatASenderGivesIsNotGivenAgain(t *testing.T) {
	for _, given := range []string{"carbon.host.emissions", "carbon.host.emissions_upper", "carbon.host.emissions_correction", "carbon.electricity_cost", "carbon.water_usage"} {
		r := newRig(t, func(c *Config) { c.ElectricityPrice.PerKWh, c.WUE = 1, 1 })
		one := func(name string) pmetric.Metrics {
			return energy(t, in{name: name}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{5, 10, 1.0}) })
		}
		assert.Len(t, found(r.send(together(one("hw.energy"), one(given))), given), 1, given)
	}
}

// Whatever one large batch needed is not kept.
func TestManyScopesInOneBatch(t *testing.T) {
	r := newRig(t, making(36, 10*time.Hour))
	md := energy(t, in{}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{5, 10, 1.0}) })
	sms := md.ResourceMetrics().At(0).ScopeMetrics()
	for i := range 2 * maxOutputs {
		sms.At(0).CopyTo(sms.AppendEmpty())
		sms.At(i+1).Scope().Attributes().PutInt("n", int64(i))
	}
	_, err := r.p.processMetrics(t.Context(), md)
	require.NoError(t, err)
	assert.LessOrEqual(t, len(r.p.made), maxOutputs)
	assert.Zero(t, r.p.used)
}
