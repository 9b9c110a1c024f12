package carbonprocessor

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// foreign is a batch with one point of a metric that is none of ours: a sum if it has a
// temporality, else a gauge.
func foreign(t testing.TB, i in, sum bool, edit func(pmetric.NumberDataPoint)) pmetric.Metrics {
	t.Helper()
	md := energy(t, i, edit)
	m := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
	m.SetUnit(i.unit)
	if !sum {
		dps := pmetric.NewNumberDataPointSlice()
		m.Sum().DataPoints().CopyTo(dps)
		dps.CopyTo(m.SetEmptyGauge().DataPoints())
	}
	return md
}

// At 360 g/kWh, 10 kJ are 1 g.
func TestAnyMetricOfEnergyOrPower(t *testing.T) {
	for _, tc := range []struct {
		name     string
		input    InputConfig
		unit     string // of the metric itself
		sum      bool
		of       pmetric.AggregationTemporality
		points   []point
		want     []emitted
		dropped  map[string]int64
		elsewise string // metric of the emissions, if it is not carbon.emissions
	}{
		{
			name: "a counter in the unit of the configuration", input: InputConfig{Unit: "J"}, sum: true, of: cumulative,
			points: []point{{-5, 10, 1000.0}, {-5, 20, 11_000.0}},
			want:   []emitted{{10, 20, 1}},
		},
		{
			name: "a counter in its own unit", input: InputConfig{}, unit: "kWh", sum: true, of: cumulative,
			points: []point{{-5, 10, 1.0}, {-5, 20, 1.5}}, // 0.5 kWh × 360
			want:   []emitted{{10, 20, 180}},
		},
		{
			name: "millijoules of a host", input: InputConfig{Unit: "mJ", Of: "host"}, sum: true, of: cumulative, elsewise: "carbon.host.emissions",
			points: []point{{-5, 10, 1e6}, {-5, 20, 21_000_000}}, // 20 kJ
			want:   []emitted{{10, 20, 2}},
		},
		{
			name: "microjoules as deltas", input: InputConfig{Unit: "uJ"}, sum: true, of: delta,
			points: []point{{0, 10, 1e10}, {10, 20, 5e9}},
			want:   []emitted{{0, 10, 1}, {10, 20, 0.5}},
		},
		{
			// 100 W for 10 s, then from 100 to 300 W in 10 s: 1000 J + 2000 J.
			name: "a gauge of power by trapezoids", input: InputConfig{Unit: "W"},
			points: []point{{none(), 10, 100.0}, {none(), 20, 100}, {none(), 30, 300.0}},
			want:   []emitted{{10, 20, 0.1}, {10, 30, 0.3}},
		},
		{
			name: "milliwatts", input: InputConfig{Unit: "mW"}, unit: "mW",
			points: []point{{none(), 10, 1e6}, {none(), 20, 1e6}}, // 1 kW for 10 s
			want:   []emitted{{10, 20, 1}},
		},
		{
			// From 20 to 60 nothing is known; 100 W for 10 s before and after.
			name: "a gap that is too long is not bridged", input: InputConfig{Unit: "W", MaxGap: 30 * time.Second},
			points:  []point{{none(), 10, 100.0}, {none(), 20, 100.0}, {none(), 60, 100.0}, {none(), 70, 100.0}},
			want:    []emitted{{10, 20, 0.1}, {10, 60, 0.1}, {10, 70, 0.2}},
			dropped: map[string]int64{"gap": 1},
		},
		{
			name: "a gap as long as allowed is bridged", input: InputConfig{Unit: "W", MaxGap: 30 * time.Second},
			points: []point{{none(), 10, 100.0}, {none(), 40, 100.0}},
			want:   []emitted{{10, 40, 0.3}},
		},
		{
			name: "values of power that repeat or are late", input: InputConfig{Unit: "W"},
			points:  []point{{none(), 10, 100.0}, {none(), 20, 100.0}, {none(), 20, 100.0}, {none(), 15, 900.0}, {none(), 30, 100.0}},
			want:    []emitted{{10, 20, 0.1}, {10, 30, 0.2}},
			dropped: map[string]int64{"duplicate": 1, "out_of_order": 1},
		},
		{
			name: "what is no power", input: InputConfig{Unit: "W"},
			points:  []point{{none(), 10, -5.0}, {none(), 10, math.NaN()}, {none(), 10, 100.0}, {none(), 20, 100.0}},
			want:    []emitted{{10, 20, 0.1}},
			dropped: map[string]int64{"negative": 1, "not_finite": 1},
		},
		{
			name: "a counter whose sender does not say that it is one", input: InputConfig{Unit: "J", Kind: "counter"},
			points: []point{{none(), 10, 1000.0}, {none(), 20, 11_000.0}},
			want:   []emitted{{10, 20, 1}},
		},
		{
			name: "a gauge of energy", input: InputConfig{Unit: "J"},
			points: []point{{none(), 10, 1000.0}}, dropped: map[string]int64{"wrong_type": 1},
		},
		{
			name: "a sum of power", input: InputConfig{Unit: "W"}, sum: true, of: cumulative,
			points: []point{{none(), 10, 1000.0}}, dropped: map[string]int64{"wrong_type": 1},
		},
		{
			name: "no unit at all", input: InputConfig{}, sum: true, of: cumulative,
			points: []point{{none(), 10, 1000.0}}, dropped: map[string]int64{"wrong_unit": 1},
		},
		{
			name: "a unit that contradicts the configuration", input: InputConfig{Unit: "J"}, unit: "kWh", sum: true, of: cumulative,
			points: []point{{none(), 10, 1000.0}}, dropped: map[string]int64{"wrong_unit": 1},
		},
		{
			name: "a word for the same unit", input: InputConfig{Unit: "J"}, unit: "joules", sum: true, of: cumulative,
			points: []point{{-5, 10, 0.0}, {-5, 20, 10_000.0}}, want: []emitted{{10, 20, 1}},
		},
		{
			name: "a word that says nothing", input: InputConfig{Unit: "J"}, unit: "{count}", sum: true, of: cumulative,
			points: []point{{-5, 10, 0.0}, {-5, 20, 10_000.0}}, want: []emitted{{10, 20, 1}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.input.Metric = "some_metric"
			r := newRig(t, func(c *Config) { c.Inputs = []InputConfig{tc.input} })
			name := "carbon.emissions"
			if tc.elsewise != "" {
				name = tc.elsewise
			}
			var got []emitted
			for _, p := range tc.points {
				i := in{name: "some_metric", unit: tc.unit, temporality: tc.of}
				out := r.send(foreign(t, i, tc.sum, func(dp pmetric.NumberDataPoint) { r.fill(dp, p) }))
				for _, dp := range found(out, name) {
					assert.Equal(t, "some_metric", str(dp, "carbon.input"))
					got = append(got, emitted{r.seconds(dp.StartTimestamp()), r.seconds(dp.Timestamp()), dp.DoubleValue()})
				}
			}
			require.Len(t, got, len(tc.want), "%+v", got)
			for i, want := range tc.want {
				assert.InEpsilon(t, want.grams, got[i].grams, 1e-12, "output %d", i)
				want.grams = got[i].grams
				assert.Equal(t, want, got[i], "output %d", i)
			}
			if tc.dropped == nil {
				tc.dropped = map[string]int64{}
			}
			assert.Equal(t, tc.dropped, r.dropped())
		})
	}
}

// Two metrics that mean the same family become one metric of emissions, in which their
// names keep them apart. Points that nobody asked for are no input.
func TestInputsOfOneScopeShareTheirOutput(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Inputs = []InputConfig{
			{Metric: "cpu_joules", Unit: "J", Match: map[string]string{"zone": "package*"}, Attributes: map[string]string{"hw.type": "cpu"}, Method: "measured"},
			{Metric: "gpu_joules", Unit: "J", Attributes: map[string]string{"hw.type": "gpu"}},
		}
	})
	md := foreign(t, in{name: "cpu_joules", temporality: delta, attrs: map[string]any{"zone": "package-0"}}, true, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, 10, 10_000.0}) })
	more := foreign(t, in{name: "gpu_joules", temporality: delta}, true, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, 10, 20_000.0}) })
	list := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	other := list.At(0).Sum().DataPoints().AppendEmpty()
	r.fill(other, point{0, 10, 99.0})
	other.Attributes().PutStr("zone", "psys")
	more.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().MoveAndAppendTo(list)
	out := r.send(md)

	names := map[string]int{}
	for _, m := range out.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		names[m.Name()]++
	}
	assert.Equal(t, map[string]int{"cpu_joules": 1, "gpu_joules": 1, "carbon.emissions": 1, "carbon.emissions_lower": 1, "carbon.emissions_upper": 1}, names)
	got := map[string]float64{}
	for _, dp := range found(out, "carbon.emissions") {
		got[str(dp, "hw.type")+" "+str(dp, "zone")] = dp.DoubleValue()
	}
	assert.Equal(t, map[string]float64{"cpu package-0": 1, "gpu ": 2}, got)
	// What is measured errs by 7 %, what nobody vouches for by 60 %.
	assert.InEpsilon(t, 1.07, found(out, "carbon.emissions_upper")[0].DoubleValue(), 1e-12)
	assert.InEpsilon(t, 3.2, found(out, "carbon.emissions_upper")[1].DoubleValue(), 1e-12)
	assert.Empty(t, r.dropped())
}

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		name, pattern string
		value         any // nil: there is no such attribute
		want          bool
	}{
		{"the value", "dram", "dram", true},
		{"another value", "dram", "dram-0", false},
		{"a begin", "package*", "package-0", true},
		{"no more than the begin", "package*", "package", true},
		{"another begin", "package*", "core", false},
		{"an end", "*:0", "intel-rapl:0", true},
		{"another end", "*:0", "intel-rapl:1", false},
		{"a middle", "*/intel-rapl:*", "/host/sys/class/powercap/intel-rapl:0:0", true},
		{"another middle", "*/intel-rapl:*", "/host/sys/class/powercap/intel-rapl-mmio:0", false},
		{"texts in their order", "a*b*c", "a1b2c", true},
		{"texts in another order", "a*b*c", "a1c2b", false},
		{"a text that would have to stand twice", "ab*ba", "aba", false},
		{"anything", "*", "", true},
		{"anything, where nothing is", "*", nil, false},
		{"nothing", "", nil, true},
		{"an empty value, which is nothing", "", "", true},
		{"something instead of nothing", "", "3", false},
		{"a value that is missing", "dram", nil, false},
		{"a number", "3", 3, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			attrs := pcommon.NewMap()
			if tc.value != nil {
				require.NoError(t, attrs.FromRaw(map[string]any{"key": tc.value}))
			}
			assert.Equal(t, tc.want, fitsAll(patterns(map[string]string{"key": tc.pattern}), attrs))
		})
	}
}

// What a metric says of its points decides what becomes of them. A point counts for the
// first entry that it matches, and for no other.
func TestEntriesOfOneMetricShareItsPoints(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Inputs = []InputConfig{
			{Metric: "j", Unit: "J", Match: map[string]string{"zone": "package*"}, Attributes: map[string]string{"hw.type": "cpu"}, Method: "measured"},
			{Metric: "j", Unit: "J", Match: map[string]string{"zone": "p*"}, Attributes: map[string]string{"hw.type": "other"}},
			{Metric: "j", Unit: "J", Match: map[string]string{"zone": ""}},
		}
	})
	md := foreign(t, in{name: "j", temporality: delta}, true, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, 10, 10_000.0}) })
	list := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints()
	for i, zone := range []string{"package-0", "psys", "core"} {
		dp := list.AppendEmpty()
		r.fill(dp, point{0, 10, 10_000 * float64(i+2)})
		dp.Attributes().PutStr("zone", zone)
	}
	out := r.send(md)

	grams, upper := map[string]float64{}, map[string]float64{}
	for _, dp := range found(out, "carbon.emissions") {
		grams[str(dp, "zone")+" "+str(dp, "hw.type")] = dp.DoubleValue()
	}
	for _, dp := range found(out, "carbon.emissions_upper") {
		upper[str(dp, "zone")+" "+str(dp, "hw.type")] = dp.DoubleValue()
	}
	assert.Equal(t, map[string]float64{" ": 1, "package-0 cpu": 2, "psys other": 3}, grams)
	assert.InEpsilon(t, 2*1.07, upper["package-0 cpu"], 1e-12) // measured
	assert.InEpsilon(t, 3*1.6, upper["psys other"], 1e-12)     // nobody vouches for it
	assert.Empty(t, r.dropped())
}

func TestOwnInputsCanBeNarrowed(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Inputs = []InputConfig{
			{Metric: "hw.energy", Match: map[string]string{"hw.type": "cpu"}},
			{Metric: "hw.energy", Match: map[string]string{"hw.type": "gpu"}},
		}
	})
	md := energy(t, in{temporality: delta}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, 10, 10_000.0}) })
	list := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints()
	for i, hwType := range []string{"cpu", "gpu", "vm"} {
		dp := list.AppendEmpty()
		r.fill(dp, point{0, 10, 10_000 * float64(i+2)})
		dp.Attributes().PutStr("hw.type", hwType)
	}
	got := map[string]float64{}
	for _, dp := range found(r.send(md), "carbon.host.emissions") {
		assert.Empty(t, str(dp, "carbon.input"))
		got[str(dp, "hw.type")] = dp.DoubleValue()
	}
	assert.Equal(t, map[string]float64{"cpu": 2, "gpu": 3}, got)

	// The other one stays as it is.
	other := r.send(energy(t, in{name: "carbon.energy", temporality: delta}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, 10, 10_000.0}) }))
	assert.Len(t, found(other, "carbon.emissions"), 1)
}

// A gauge that ended begins anew with its next value: between them nothing was drawn.
func TestAGaugeOfPowerThatEnds(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Inputs = []InputConfig{{Metric: "w", Unit: "W"}} })
	send := func(at float64, v any) pmetric.Metrics {
		return r.send(foreign(t, in{name: "w"}, false, func(dp pmetric.NumberDataPoint) {
			r.fill(dp, point{none(), at, v})
			if v == nil {
				dp.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
			}
		}))
	}
	send(10, 100.0)
	send(20, 100.0)
	marker := found(send(30, nil), "carbon.emissions")
	require.Len(t, marker, 1)
	assert.True(t, marker[0].Flags().NoRecordedValue())
	again := found(send(40, 100.0), "carbon.emissions")
	require.Len(t, again, 1)
	assert.InEpsilon(t, 0.1, again[0].DoubleValue(), 1e-12, "10 s at 100 W before the end")
	assert.InEpsilon(t, 0.2, found(send(50, 100.0), "carbon.emissions")[0].DoubleValue(), 1e-12)
}

// 100 W: 0.1 g in 10 s.
func TestTemporalityCanBeForced(t *testing.T) {
	for _, tc := range []struct {
		name   string
		from   pmetric.AggregationTemporality
		to     string
		points []point
		want   []emitted
	}{
		{
			"cumulative to delta", cumulative, "delta",
			[]point{{-5, 10, 0.0}, {-5, 20, 1000.0}, {-5, 30, 3000.0}},
			[]emitted{{10, 20, 0.1}, {20, 30, 0.2}},
		},
		{
			"delta to cumulative", delta, "cumulative",
			[]point{{0, 10, 1000.0}, {10, 20, 2000.0}, {25, 30, 1000.0}},
			[]emitted{{0, 10, 0.1}, {0, 20, 0.3}, {0, 30, 0.4}},
		},
		{
			"a reset within deltas", cumulative, "delta",
			[]point{{-5, 10, 0.0}, {-5, 20, 1000.0}, {22, 30, 500.0}},
			[]emitted{{10, 20, 0.1}, {22, 30, 0.05}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.Temporality = tc.to })
			var got []emitted
			for _, p := range tc.points {
				out := r.send(energy(t, in{temporality: tc.from}, func(dp pmetric.NumberDataPoint) { r.fill(dp, p) }))
				for _, m := range out.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
					if m.Name() == "hw.energy" {
						assert.Equal(t, tc.from, m.Sum().AggregationTemporality(), "the input stays as it is")
						continue
					}
					assert.Equal(t, temporalities()[tc.to], m.Sum().AggregationTemporality(), m.Name())
				}
				for _, dp := range found(out, "carbon.host.emissions") {
					got = append(got, emitted{r.seconds(dp.StartTimestamp()), r.seconds(dp.Timestamp()), dp.DoubleValue()})
				}
			}
			require.Len(t, got, len(tc.want), "%+v", got)
			for i, want := range tc.want {
				assert.InEpsilon(t, want.grams, got[i].grams, 1e-12, "output %d", i)
				want.grams = got[i].grams
				assert.Equal(t, want, got[i], "output %d", i)
			}
		})
	}
}

// 3.6 MJ are 1 kWh: 1.8 L at the machine, whatever the building adds; 1.2 kWh on the bill.
func TestWaterAndCost(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.WUE, c.PUE, c.ElectricityPrice = 1.8, 1.2, ElectricityPriceConfig{PerKWh: 0.25, Currency: "EUR"}
	})
	send := func(at, joules float64) pmetric.Metrics {
		return r.send(energy(t, in{attrs: map[string]any{"hw.id": "cpu0"}}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{5, at, joules}) }))
	}
	for i, out := range []pmetric.Metrics{send(10, 3.6e6), send(20, 7.2e6)} {
		n := float64(i + 1)
		cost, water := found(out, "carbon.electricity_cost"), found(out, "carbon.water_usage")
		require.Len(t, cost, 1)
		require.Len(t, water, 1)
		assert.InEpsilon(t, 0.3*n, cost[0].DoubleValue(), 1e-12)
		assert.InEpsilon(t, 1.8*n, water[0].DoubleValue(), 1e-12)
		assert.Equal(t, found(out, "carbon.host.emissions")[0].Attributes().AsRaw(), cost[0].Attributes().AsRaw())
		assert.InDelta(t, 5, r.seconds(cost[0].StartTimestamp()), 0)
		for _, m := range out.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
			switch m.Name() {
			case "carbon.electricity_cost":
				assert.Equal(t, "{EUR}", m.Unit())
				assert.True(t, m.Sum().IsMonotonic())
			case "carbon.water_usage":
				assert.Equal(t, "L", m.Unit())
			}
		}
	}
}

// What cannot be used is logged once for each metric, with what would be right.
func TestAMetricThatIsNoUseIsToldOnce(t *testing.T) {
	r := newRig(t, nil)
	for range 3 {
		r.send(energy(t, in{unit: "kWh"}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, 10, 1.0}) }))
	}
	told := r.logs.FilterMessageSnippet("is not priced").All()
	require.Len(t, told, 1)
	assert.Equal(t, map[string]any{"metric": "hw.energy", "reason": "wrong_unit", "type": "Sum", "unit": "kWh", "wanted_unit": "J"}, told[0].ContextMap())
}
