package carbonprocessor

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/pmetrictest"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor/processortest"
	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/offline"
	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor/internal/metadata"
)

// meter is a sender of one stream.
type meter struct {
	resource, scope, metric, id string
	kind                        kind

	at, value       float64 // of the newest point, in s and 10 kJ or 10 kW
	joules          float64 // that it has told of, in 10 kJ
	known           bool    // it has sent a point
	workload, power bool
}

func meters() []*meter {
	return []*meter{
		{resource: "h", scope: "rapl", metric: "hw.energy", id: "cpu0", kind: kindCumulative},
		{resource: "h", scope: "rapl", metric: "hw.energy", id: "cpu1", kind: kindCumulative},
		{resource: "h", scope: "rapl", metric: "pdu", id: "pdu", kind: kindDelta},
		{resource: "h", scope: "rapl", metric: "watts", id: "fan", kind: kindPower, power: true},
		{resource: "h", scope: "rapl", metric: "carbon.energy", id: "w0", kind: kindCumulative, workload: true},
		{resource: "h", scope: "nvml", metric: "hw.energy", id: "gpu0", kind: kindCumulative},
		{resource: "c1", scope: "cgroup", metric: "carbon.energy", id: "w1", kind: kindDelta, workload: true},
		{resource: "c2", scope: "cgroup", metric: "carbon.energy", id: "w2", kind: kindCumulative, workload: true},
		{resource: "c2", scope: "cgroup", metric: "joules", id: "w3", kind: kindDelta, workload: true},
	}
}

// site is a Collector with all that the processor can do, which may crash.
type site struct {
	t         *testing.T
	rt        *rapid.T
	began     time.Time
	shelf     *shelf
	edit      func(*Config)
	handle    *intensity.Handle
	pipelines []*metricsProcessor
	books     []*ledger // of the pipelines
	used      float64   // g in the budget
	orderly   bool      // no point is late: of a stream that was evicted it would count
}

// ledger is what a backend makes of what a pipeline has sent.
type ledger struct {
	sums  map[string]map[string]float64 // by metric and series with its start
	times map[string]pcommon.Timestamp  // of the newest point, by series
}

func (w *site) open() {
	cfg := createDefaultConfig().(*Config)
	cfg.Storage = &shelfID
	w.edit(cfg)
	require.NoError(w.t, cfg.Validate())
	e, err := newEngine(cfg, processortest.NewNopSettings(metadata.Type))
	require.NoError(w.t, err)
	e.open = func(context.Context, *engine, component.Host) (intensity.Source, *offline.Provider, error) {
		tables, err := openTables(cfg)
		return &fixedSource{handle: w.handle}, tables, err
	}
	w.pipelines = nil
	for range w.books {
		p := newMetricsProcessor(e, func() {})
		require.NoError(w.t, p.start(w.t.Context(), w.shelf.host()))
		w.pipelines = append(w.pipelines, p)
	}
}

func (w *site) crash() {
	l := &life{t: w.t, pipelines: w.pipelines}
	l.crash(w.shelf)
	w.open()
}

// know sets the price before and after 60 s, in g for 10 kJ.
func (w *site) know(before, after float64, q intensity.Quality) {
	const per10kJ = 360
	grid, err := intensity.NewGrid(nil, []*intensity.Slot{
		slot(w.began, -3600, 60, before*per10kJ, "live", q), slot(w.began, 60, 3600, after*per10kJ, "live", q),
	})
	require.NoError(w.t, err)
	w.handle.Set(grid)
}

// read has some meters read at about a moment.
func (w *site) read(ms []*meter, now float64) pmetric.Metrics {
	r := &rig{t: w.t, began: w.began}
	md := pmetric.NewMetrics()
	resources, scopes, metrics := map[string]pmetric.ResourceMetrics{}, map[string]pmetric.ScopeMetrics{}, map[string]pmetric.Metric{}
	for _, m := range ms {
		rm, ok := resources[m.resource]
		if !ok {
			rm = md.ResourceMetrics().AppendEmpty()
			rm.Resource().Attributes().PutStr("host.id", "h")
			rm.Resource().Attributes().PutStr("name", m.resource)
			resources[m.resource] = rm
		}
		sm, ok := scopes[m.resource+m.scope]
		if !ok {
			sm = rm.ScopeMetrics().AppendEmpty()
			sm.Scope().SetName(m.scope)
			scopes[m.resource+m.scope] = sm
		}
		key := m.resource + m.scope + m.metric
		metric, ok := metrics[key]
		if !ok {
			metric = sm.Metrics().AppendEmpty()
			metric.SetName(m.metric)
			metric.SetUnit("J")
			if m.power {
				metric.SetUnit("W")
				metric.SetEmptyGauge()
			} else {
				metric.SetEmptySum().SetIsMonotonic(true)
				metric.Sum().SetAggregationTemporality(cumulative)
				if m.kind == kindDelta {
					metric.Sum().SetAggregationTemporality(delta)
				}
			}
			metrics[key] = metric
		}
		at := now + float64(rapid.IntRange(-8, 0).Draw(w.rt, "late"))
		if w.orderly && m.known {
			at = max(at, m.at+1)
		}
		v := float64(rapid.IntRange(0, 1000).Draw(w.rt, "drawn"))
		p, newer := point{-50, at, v * 1e4}, !m.known || at > m.at
		switch m.kind {
		case kindDelta:
			if p.start = min(m.at, at); !m.known {
				p.start = at - 5
			}
			if newer {
				m.joules += v
			}
		case kindPower:
			if p.start = none(); m.known && newer {
				m.joules += (m.value + v) / 2 * (at - m.at)
			}
		case kindCumulative:
			if m.known && newer {
				m.joules += v
			}
			if newer {
				v += m.value
			} else {
				v = m.value // of a time before
			}
			p.v = v * 1e4
		}
		if newer {
			m.at, m.value, m.known = at, v, true
		}
		var dps pmetric.NumberDataPointSlice
		if m.power {
			dps = metric.Gauge().DataPoints()
		} else {
			dps = metric.Sum().DataPoints()
		}
		dp := dps.AppendEmpty()
		dp.Attributes().PutStr("id", m.id)
		r.fill(dp, p)
	}
	return md
}

// send has all pipelines work on a batch, and books what they add.
func (w *site) send(md pmetric.Metrics) {
	for i, p := range w.pipelines {
		one := pmetric.NewMetrics()
		md.CopyTo(one)
		out, err := p.processMetrics(w.t.Context(), one)
		require.NoError(w.t, err)
		if err := pmetrictest.ValidateMetrics(out); err != nil {
			w.rt.Fatal(err)
		}
		w.books[i].book(w.rt, out)
		for _, dp := range found(out, "carbon.budget.utilization") {
			if str(dp, "carbon.budget.name") == "w" {
				w.used = dp.DoubleValue() * 1e6
			}
		}
	}
}

func (l *ledger) book(rt *rapid.T, out pmetric.Metrics) {
	h := hasher{seed: 1}
	for _, rm := range out.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if !isOurs(m.Name()) || m.Type() != pmetric.MetricTypeSum {
					continue
				}
				deltas := m.Sum().AggregationTemporality() == delta
				base := h.base(h.attributes(rm.Resource().Attributes()), sm.Scope(), m.Name(), 0)
				for _, dp := range m.Sum().DataPoints().All() {
					series := fmt.Sprint(h.point(base, dp.Attributes()))
					what := fmt.Sprintf("%s%v", m.Name(), dp.Attributes().AsRaw())
					if dp.Flags().NoRecordedValue() {
						continue
					}
					if dp.StartTimestamp() == 0 || dp.StartTimestamp() > dp.Timestamp() {
						rt.Fatalf("%s: from %v to %v", what, dp.StartTimestamp(), dp.Timestamp())
					}
					if last := l.times[series]; dp.Timestamp() < last || deltas && dp.StartTimestamp() < last {
						rt.Fatalf("%s: from %v to %v after %v", what, dp.StartTimestamp().AsTime(), dp.Timestamp().AsTime(), last.AsTime())
					}
					l.times[series] = dp.Timestamp()
					kind, _ := dp.Attributes().Get("carbon.emission_type")
					name := m.Name() + " " + kind.Str()
					if l.sums[name] == nil {
						l.sums[name] = map[string]float64{}
					}
					if deltas {
						l.sums[name][series] += dp.DoubleValue()
						continue
					}
					series += dp.StartTimestamp().String()
					if dp.DoubleValue() < l.sums[name][series] && m.Sum().IsMonotonic() {
						rt.Fatalf("%s fell from %v to %v", what, l.sums[name][series], dp.DoubleValue())
					}
					l.sums[name][series] = dp.DoubleValue()
				}
			}
		}
	}
}

func (l *ledger) total(names ...string) (sum float64) {
	for _, name := range names {
		for _, v := range l.sums[name] {
			sum += v
		}
	}
	return sum
}

// With all that the processor can do, in two pipelines, through crashes and prices that
// change: every joule is emitted and billed once, corrections make up for what was not known,
// machines get older once, budgets count once, and all outputs are valid.
func TestEverythingAddsUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		forced := rapid.SampledFrom([]string{"", "delta", "cumulative"}).Draw(rt, "temporality")
		w := &site{t: t, rt: rt, began: time.Now().Add(-time.Hour), shelf: newShelf(), handle: intensity.NewHandle(nil)}
		for range 2 {
			w.books = append(w.books, &ledger{map[string]map[string]float64{}, map[string]pcommon.Timestamp{}})
		}
		w.edit = func(c *Config) {
			c.Temporality, c.Revise, c.WUE, c.ElectricityPrice.PerKWh = forced, true, 360, 360
			c.Embodied = configoptional.Some(EmbodiedConfig{KgCO2e: 36, Lifetime: 10 * time.Hour}) // 1 g/s
			c.SCI = &SCIConfig{Per: "requests", By: []string{"host.id"}}
			c.Budgets = []BudgetConfig{{Name: "w", Grams: 1e6, Match: map[string]string{"id": "w*"}}, {Name: "cpus", Grams: 1, Match: map[string]string{"id": "cpu*"}}}
			c.Inputs = []InputConfig{{Metric: "pdu", Of: "host"}, {Metric: "watts", Of: "host", MaxGap: time.Hour}, {Metric: "joules"}}
		}
		w.know(1, 2, intensity.Estimated)
		w.open()
		all := meters()
		now := 0.0
		for range rapid.IntRange(1, 12).Draw(rt, "batches") {
			now += float64(rapid.IntRange(0, 60).Draw(rt, "time"))
			var some []*meter
			for _, m := range all {
				if rapid.IntRange(0, 2).Draw(rt, "read") > 0 {
					some = append(some, m)
				}
			}
			w.send(w.read(some, now))
			switch rapid.IntRange(0, 6).Draw(rt, "then") {
			case 0:
				w.crash()
			case 1:
				w.know(float64(rapid.IntRange(0, 3).Draw(rt, "before")), float64(rapid.IntRange(0, 3).Draw(rt, "after")), intensity.Preliminary)
			}
		}
		emitted := w.books[0].total("carbon.emissions operational", "carbon.emissions embodied")
		if math.Abs(emitted-w.used) > 1e-6*(1+emitted) {
			rt.Fatalf("the budget counts %v g of %v", w.used, emitted)
		}
		w.know(1, 1, intensity.Measured)
		w.send(w.read(all, now+50))
		var hosts, workloads float64
		for _, m := range all {
			if m.workload {
				workloads += m.joules
			} else {
				hosts += m.joules
			}
		}
		for i, l := range w.books {
			check := func(what string, got, want float64) {
				if math.Abs(got-want) > 1e-6*(1+want) {
					rt.Fatalf("pipeline %d: %s: %v, want %v", i, what, got, want)
				}
			}
			check("cost", l.total("carbon.electricity_cost operational"), hosts+workloads)
			check("water", l.total("carbon.water_usage operational"), hosts+workloads)
			check("hosts", l.total("carbon.host.emissions operational", "carbon.host.emissions_correction operational"), hosts)
			check("workloads", l.total("carbon.emissions operational", "carbon.emissions_correction operational"), workloads)
			for _, family := range []string{"carbon.host.emissions", "carbon.emissions"} {
				if age := l.total(family + " embodied"); age > now+50+8+5+1e-6 { // the first delta begins 5 s before a point that is 8 s late
					rt.Fatalf("pipeline %d: %s: the machine is %v s old at %v", i, family, age, now)
				}
			}
		}
		for _, p := range w.pipelines {
			require.NoError(t, p.shutdown(context.WithoutCancel(t.Context())))
		}
	})
}

// Streams are evicted, come back, end, and begin anew: outputs stay valid, and nothing counts
// twice for a backend that adds up what begins anew.
func TestNothingIsCountedTwiceWhateverComes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &site{t: t, rt: rt, began: time.Now().Add(-time.Hour), shelf: newShelf(), handle: intensity.NewHandle(nil), orderly: true}
		w.books = []*ledger{{map[string]map[string]float64{}, map[string]pcommon.Timestamp{}}}
		limit := rapid.IntRange(2, 20).Draw(rt, "streams")
		forced := rapid.SampledFrom([]string{"", "delta", "cumulative"}).Draw(rt, "temporality")
		w.edit = func(c *Config) {
			c.Temporality, c.Revise, c.WUE, c.ElectricityPrice.PerKWh, c.MaxStreams = forced, true, 360, 360, limit
			c.Embodied = configoptional.Some(EmbodiedConfig{KgCO2e: 36, Lifetime: 10 * time.Hour}) // 1 g/s
			c.Budgets = []BudgetConfig{{Name: "w", Grams: 1e6, Match: map[string]string{"id": "w*"}}}
			c.Inputs = []InputConfig{{Metric: "pdu", Of: "host"}, {Metric: "watts", Of: "host", MaxGap: time.Hour}, {Metric: "joules"}}
		}
		w.know(1, 1, intensity.Measured)
		w.open()
		all := meters()
		now, most, starts := 0.0, 0.0, map[*meter]float64{}
		for range rapid.IntRange(1, 20).Draw(rt, "batches") {
			now += float64(rapid.IntRange(1, 60).Draw(rt, "time"))
			var some []*meter
			for _, m := range all {
				switch rapid.IntRange(0, 5).Draw(rt, "read") {
				case 0, 1:
					continue
				case 2: // it begins anew, with what it has drawn since its newest point
					if m.kind == kindCumulative && m.known {
						starts[m], m.value = m.at, 0
					}
				}
				some = append(some, m)
			}
			md := w.read(some, now)
			for _, rm := range md.ResourceMetrics().All() {
				for _, sm := range rm.ScopeMetrics().All() {
					for _, metric := range sm.Metrics().All() {
						if metric.Type() != pmetric.MetricTypeSum {
							continue
						}
						for _, dp := range metric.Sum().DataPoints().All() {
							for m, start := range starts {
								if str(dp, "id") == m.id && (&rig{began: w.began}).seconds(dp.Timestamp()) >= start {
									dp.SetStartTimestamp((&rig{began: w.began}).at(start))
								}
							}
							if rapid.IntRange(0, 9).Draw(rt, "end") == 0 {
								dp.SetFlags(dp.Flags().WithNoRecordedValue(true))
							}
							if metric.Sum().AggregationTemporality() == delta {
								most += dp.DoubleValue() / 1e4
							}
						}
					}
				}
			}
			w.send(md)
			if rapid.IntRange(0, 8).Draw(rt, "then") == 0 {
				w.crash()
			}
		}
		for _, m := range all {
			if m.kind != kindDelta {
				most += m.joules
			}
		}
		got := w.books[0].total("carbon.electricity_cost operational")
		if got > most*(1+1e-9)+1e-9 {
			rt.Fatalf("%v of %v", got, most)
		}
		for _, family := range []string{"carbon.host.emissions", "carbon.emissions"} {
			if age := w.books[0].total(family + " embodied"); age > now+8+5+1e-6 {
				rt.Fatalf("%s: the machine is %v s old at %v", family, age, now)
			}
		}
		for _, p := range w.pipelines {
			require.NoError(t, p.shutdown(context.WithoutCancel(t.Context())))
		}
	})
}
