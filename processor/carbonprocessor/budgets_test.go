package carbonprocessor

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// utilization returns carbon.budget.utilization by name, and checks the limits.
func utilization(t *testing.T, out pmetric.Metrics, limits map[string]float64) map[string]float64 {
	t.Helper()
	got := map[string]float64{}
	for _, dp := range found(out, "carbon.budget.utilization") {
		got[str(dp, "carbon.budget.name")] = dp.DoubleValue()
	}
	for _, dp := range found(out, "carbon.budget.limit") {
		assert.InDelta(t, limits[str(dp, "carbon.budget.name")], dp.DoubleValue(), 0)
	}
	return got
}

// At 360 g/kWh, 10 kJ are 1 g. synctest begins at midnight UTC.
func TestBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) {
			c.Budgets = []BudgetConfig{
				{Name: "team-a", Grams: 10, Period: 24 * time.Hour, Match: map[string]string{"service.namespace": "team-a"}},
				{Name: "all", Grams: 100},
			}
		})
		limits := map[string]float64{"team-a": 10, "all": 100}
		send := func(team, host, metric string, start, at, joules float64) map[string]float64 {
			i := in{name: metric, temporality: delta, resource: map[string]any{"service.namespace": team, "host.id": host}}
			return utilization(t, r.send(energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{start, at, joules}) })), limits)
		}
		told := func() (all []string) {
			for _, e := range r.logs.TakeAll() {
				require.Equal(t, "carbon budget: threshold reached", e.Message)
				m := e.ContextMap()
				all = append(all, fmt.Sprint(m["carbon.budget.name"], m["percent"]))
				assert.Contains(t, m, "used_g")
			}
			return all
		}
		assert.Equal(t, map[string]float64{"team-a": 0.4, "all": 0.04}, send("team-a", "h1", "carbon.energy", 0, 10, 40_000))
		assert.Empty(t, told())
		// Another team counts in the other budget only.
		assert.Equal(t, map[string]float64{"all": 0.05}, send("team-b", "h1", "carbon.energy", 0, 10, 10_000))
		// 4.5 g more: 8.5 of 10, past 50 and 80.
		assert.Equal(t, map[string]float64{"team-a": 0.85, "all": 0.095}, send("team-a", "h2", "carbon.energy", 10, 20, 45_000))
		assert.Equal(t, []string{"team-a50", "team-a80"}, told())
		// The whole machine h1, of which 4 g and 1 g were known already, drew 9 g: 9 + 4.5 of h2.
		assert.Equal(t, map[string]float64{"all": 0.135}, send("", "h1", "hw.energy", 0, 20, 90_000))
		assert.Empty(t, told())

		// The day turns at 86,400 s. 2 g evenly around it: 1 g each, 9.5 of yesterday.
		time.Sleep(24*time.Hour + time.Minute)
		got := send("team-a", "h2", "carbon.energy", 86_390, 86_410, 20_000)
		assert.InDelta(t, 0.1, got["team-a"], 1e-9)
		// 1 g of yesterday that comes late brings it past 100 %: told as such.
		got = send("team-a", "h3", "carbon.energy", 86_000, 86_010, 10_000)
		assert.InDelta(t, 0.1, got["team-a"], 1e-9)
		late := r.logs.TakeAll()
		require.Len(t, late, 1)
		assert.Equal(t, true, late[0].ContextMap()["period_over"])
		assert.InDelta(t, 100, late[0].ContextMap()["percent"], 0)
	})
}

// Budgets of different parts of one resource are points of one metric.
func TestBudgetsOfOneResourceShareTheirMetrics(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Budgets = []BudgetConfig{
			{Name: "cpu", Grams: 10, Match: map[string]string{"hw.type": "cpu"}},
			{Name: "gpu", Grams: 10, Match: map[string]string{"hw.type": "gpu"}},
		}
	})
	md := energy(t, in{attrs: map[string]any{"hw.type": "cpu"}}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{5, 10, 10_000.0}) })
	dps := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints()
	dps.At(0).CopyTo(dps.AppendEmpty())
	dps.At(1).Attributes().PutStr("hw.type", "gpu")
	assert.Equal(t, map[string]float64{"cpu": 0.1, "gpu": 0.1}, utilization(t, r.send(md), map[string]float64{"cpu": 10, "gpu": 10}))
}

// What two pipelines see counts once.
func TestABudgetCountsAStreamOfTwoPipelinesOnce(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Budgets = []BudgetConfig{{Name: "all", Grams: 10}} })
	second := newMetricsProcessor(r.p.engine, func() {})
	require.NoError(t, second.start(t.Context(), componenttest.NewNopHost()))
	limits := map[string]float64{"all": 10}
	batch := func(at float64) pmetric.Metrics {
		return energy(t, in{}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{5, at, at * 1000}) })
	}
	// 20 kJ at 20 s: 2 g. Both pipelines emit them, the budget counts them once.
	for _, p := range []*metricsProcessor{r.p, second} {
		out, err := p.processMetrics(t.Context(), batch(20))
		require.NoError(t, err)
		assert.InEpsilon(t, 2, found(out, "carbon.host.emissions")[0].DoubleValue(), 1e-12)
	}
	assert.Equal(t, map[string]float64{"all": 0.4}, utilization(t, r.send(batch(40)), limits))
	// When the pipeline that counted stops, the other one goes on from then.
	require.NoError(t, second.shutdown(t.Context()))
	assert.Equal(t, map[string]float64{"all": 0.5}, utilization(t, r.send(batch(50)), limits))
}

// The pipeline that counted a stream forgets it, and does not see it any more: the other
// one goes on from then.
func TestABudgetGoesOnWhenAStreamIsForgotten(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Budgets, c.MaxStreams = []BudgetConfig{{Name: "all", Grams: 10}}, 1
	})
	second := newMetricsProcessor(r.p.engine, func() {})
	require.NoError(t, second.start(t.Context(), componenttest.NewNopHost()))
	defer func() { require.NoError(t, second.shutdown(t.Context())) }()
	send := func(p *metricsProcessor, id string, at float64) map[string]float64 {
		md := energy(t, in{attrs: map[string]any{"hw.id": id}}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{5, at, at * 1000}) })
		out, err := p.processMetrics(t.Context(), md)
		require.NoError(t, err)
		return utilization(t, out, map[string]float64{"all": 10})
	}
	assert.Equal(t, map[string]float64{"all": 0.2}, send(r.p, "a", 20))
	assert.Empty(t, send(second, "a", 20))
	assert.Equal(t, map[string]float64{"all": 0.3}, send(r.p, "b", 10), "in place of a")
	assert.Equal(t, map[string]float64{"all": 0.4}, send(second, "a", 30))
}
