package carbonprocessor

import (
	"math"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

const (
	delta      = pmetric.AggregationTemporalityDelta
	cumulative = pmetric.AggregationTemporalityCumulative
)

// point is an input: times in seconds after the start of the processor, NaN for
// none; v in J.
type point struct {
	start, at float64
	v         any // float64, int or nil
}

// emitted is an output of carbon.host.emissions: times likewise, grams.
type emitted struct {
	start, at, grams float64
}

func none() float64 { return math.NaN() }

func (r *rig) fill(dp pmetric.NumberDataPoint, p point) {
	if !math.IsNaN(p.start) {
		dp.SetStartTimestamp(r.at(p.start))
	}
	if !math.IsNaN(p.at) {
		dp.SetTimestamp(r.at(p.at))
	}
	switch v := p.v.(type) {
	case float64:
		dp.SetDoubleValue(v)
	case int:
		dp.SetIntValue(int64(v))
	}
}

// At 360 g/kWh and a PUE of 1, 1 J is 1e-4 g: 100 W for 10 s are 0.1 g.
func TestConversion(t *testing.T) {
	for _, tc := range []struct {
		name        string
		temporality pmetric.AggregationTemporality
		points      []point // one batch each
		want        []emitted
		dropped     map[string]int64
		resets      int64
		unpriced    int // outputs that repeat what was known before a reset
	}{
		{
			name:        "a counter that is older than the processor begins with a baseline",
			temporality: cumulative,
			points:      []point{{-50, 10, 1e6}, {-50, 20, 1e6 + 1000}, {-50, 30, 1e6 + 2000}},
			want:        []emitted{{10, 20, 0.1}, {10, 30, 0.2}},
		},
		{
			name:        "a counter that began later counts as a whole",
			temporality: cumulative,
			points:      []point{{5, 10, 500.0}, {5, 20, 1500.0}},
			want:        []emitted{{5, 10, 0.05}, {5, 20, 0.15}},
		},
		{
			name:        "a first value of 0 at its start is 0 g since then",
			temporality: cumulative,
			points:      []point{{5, 5, 0.0}, {5, 15, 1000.0}},
			want:        []emitted{{5, 5, 0}, {5, 15, 0.1}},
		},
		{
			name:        "a start that is only the time of the first point says nothing of what was counted before",
			temporality: cumulative,
			points:      []point{{10, 10, 1e9}, {10, 20, 1e9 + 1000}},
			want:        []emitted{{10, 20, 0.1}},
		},
		{
			name:        "nor does one at a reset",
			temporality: cumulative,
			points:      []point{{-50, 10, 1e6}, {-50, 20, 1e6 + 1000}, {30, 30, 500.0}, {30, 40, 1500.0}},
			want:        []emitted{{10, 20, 0.1}, {10, 30, 0.1}, {10, 40, 0.2}},
			resets:      1,
			unpriced:    1,
		},
		{
			name:        "integers are joules too",
			temporality: cumulative,
			points:      []point{{-50, 10, 7_000_000}, {-50, 20, 7_001_000}, {-50, 30, 7_002_000}},
			want:        []emitted{{10, 20, 0.1}, {10, 30, 0.2}},
		},
		{
			name:        "integers may turn into doubles",
			temporality: cumulative,
			points:      []point{{-50, 10, 7_000_000}, {-50, 20, 7_001_000.0}},
			want:        []emitted{{10, 20, 0.1}},
		},
		{
			name:        "deltas keep their interval",
			temporality: delta,
			points:      []point{{0, 10, 1000.0}, {10, 20, 2000}, {25, 30, 0.0}},
			want:        []emitted{{0, 10, 0.1}, {10, 20, 0.2}, {25, 30, 0}},
		},
		{
			name:        "deltas from before the start of the processor count",
			temporality: delta,
			points:      []point{{-3600, 0, 3.6e6}},
			want:        []emitted{{-3600, 0, 360}},
		},
		{
			name:        "a reset with a new start counts from there and the output goes on",
			temporality: cumulative,
			points:      []point{{-50, 10, 1e6}, {-50, 20, 1e6 + 1000}, {22, 30, 500.0}},
			want:        []emitted{{10, 20, 0.1}, {10, 30, 0.15}},
			resets:      1,
		},
		{
			name:        "a reset at an unknown moment adds nothing",
			temporality: cumulative,
			points:      []point{{none(), 10, 1e6}, {none(), 20, 1e6 + 1000}, {none(), 30, 400.0}, {none(), 40, 1400.0}},
			want:        []emitted{{10, 20, 0.1}, {10, 30, 0.1}, {10, 40, 0.2}},
			resets:      1,
			unpriced:    1,
		},
		{
			name:        "a duplicate is counted and adds nothing",
			temporality: cumulative,
			points:      []point{{5, 10, 500.0}, {5, 10, 500.0}, {5, 20, 1500.0}},
			want:        []emitted{{5, 10, 0.05}, {5, 20, 0.15}},
			dropped:     map[string]int64{"duplicate": 1},
		},
		{
			name:        "a late point of a counter is in the next one already",
			temporality: cumulative,
			points:      []point{{5, 10, 500.0}, {5, 30, 2500.0}, {5, 20, 1500.0}, {5, 40, 3500.0}},
			want:        []emitted{{5, 10, 0.05}, {5, 30, 0.25}, {5, 40, 0.35}},
			dropped:     map[string]int64{"out_of_order": 1},
		},
		{
			name:        "deltas are never priced twice",
			temporality: delta,
			points:      []point{{0, 10, 1000.0}, {0, 10, 1000.0}, {0, 10, 1001.0}, {0, 5, 500.0}},
			want:        []emitted{{0, 10, 0.1}},
			dropped:     map[string]int64{"duplicate": 1, "out_of_order": 2},
		},
		{
			name:        "what is no amount of energy is dropped by reason and hurts nothing",
			temporality: cumulative,
			points: []point{
				{5, 10, 500.0},
				{5, 20, math.NaN()},
				{5, 20, math.Inf(1)},
				{5, 20, math.Inf(-1)},
				{5, 20, -1.0},
				{5, 20, -1},
				{5, 20, nil},
				{30, 20, 1.0},
				{5, none(), 1.0},
				{5, 20, 1500.0},
			},
			want:    []emitted{{5, 10, 0.05}, {5, 20, 0.15}},
			dropped: map[string]int64{"not_finite": 3, "negative": 2, "no_value": 1, "invalid_time": 2},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				i := in{temporality: tc.temporality, attrs: map[string]any{"hw.id": "cpu0", "carbon.method": "measured"}}
				var got []emitted
				for _, p := range tc.points {
					md := energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, p) })
					before := pmetric.NewMetrics()
					md.CopyTo(before)
					out := r.send(md)
					assertUntouched(t, before, out)
					for k, dp := range found(out, "carbon.host.emissions") {
						got = append(got, emitted{r.seconds(dp.StartTimestamp()), r.seconds(dp.Timestamp()), dp.DoubleValue()})
						lower, upper := found(out, "carbon.host.emissions_lower")[k], found(out, "carbon.host.emissions_upper")[k]
						assert.InEpsilon(t, 1+0.93*dp.DoubleValue(), 1+lower.DoubleValue(), 1e-9) // measured: ± 7 %
						assert.InEpsilon(t, 1+1.07*dp.DoubleValue(), 1+upper.DoubleValue(), 1e-9)
						for _, b := range []pmetric.NumberDataPoint{lower, upper} {
							assert.Equal(t, dp.Timestamp(), b.Timestamp())
							assert.Equal(t, dp.StartTimestamp(), b.StartTimestamp())
							assert.Equal(t, dp.Attributes().AsRaw(), b.Attributes().AsRaw())
						}
					}
				}
				require.Len(t, got, len(tc.want), "%+v", got)
				for k := range got {
					assert.InDelta(t, tc.want[k].start, got[k].start, 0, "start of output %d", k)
					assert.InDelta(t, tc.want[k].at, got[k].at, 0, "time of output %d", k)
					assert.InEpsilon(t, 1+tc.want[k].grams, 1+got[k].grams, 1e-12, "grams of output %d", k)
				}
				want := tc.dropped
				if want == nil {
					want = map[string]int64{}
				}
				assert.Equal(t, want, r.dropped())
				assert.Equal(t, tc.resets, r.total("otelcol_processor_carbon_resets"))
				assert.Equal(t, int64(len(tc.want)-tc.unpriced), r.total("otelcol_processor_carbon_points_converted"))
			})
		})
	}
}

// assertUntouched fails if a metric of the input is not in the output as it was.
func assertUntouched(t *testing.T, before, after pmetric.Metrics) {
	t.Helper()
	for i, rm := range before.ResourceMetrics().All() {
		for j, sm := range rm.ScopeMetrics().All() {
			for k, m := range sm.Metrics().All() {
				got := pmetric.NewMetrics()
				after.ResourceMetrics().At(i).ScopeMetrics().At(j).Metrics().At(k).CopyTo(got.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty())
				want := pmetric.NewMetrics()
				m.CopyTo(want.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty())
				a, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(want)
				require.NoError(t, err)
				b, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(got)
				require.NoError(t, err)
				require.Equal(t, a, b, "input passes unchanged")
			}
		}
	}
}

func TestWhatIsNoMonotonicSumInJoulesIsLeftAlone(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(pmetric.Metric)
		want map[string]int64
	}{
		{"a gauge", func(m pmetric.Metric) { m.SetEmptyGauge().DataPoints().AppendEmpty().SetIntValue(1) }, map[string]int64{"wrong_type": 1}},
		{"a histogram", func(m pmetric.Metric) { m.SetEmptyHistogram().DataPoints().AppendEmpty() }, map[string]int64{"wrong_type": 1}},
		{"an exponential histogram", func(m pmetric.Metric) { m.SetEmptyExponentialHistogram().DataPoints().AppendEmpty() }, map[string]int64{"wrong_type": 1}},
		{"a summary", func(m pmetric.Metric) { m.SetEmptySummary().DataPoints().AppendEmpty() }, map[string]int64{"wrong_type": 1}},
		{"kilowatt hours", func(m pmetric.Metric) { m.SetUnit("kW.h") }, map[string]int64{"wrong_unit": 1}},
		{"a sum that may fall", func(m pmetric.Metric) { m.Sum().SetIsMonotonic(false) }, map[string]int64{"not_monotonic": 1}},
		{
			"a sum over nobody knows which time",
			func(m pmetric.Metric) { m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityUnspecified) },
			map[string]int64{"wrong_temporality": 1},
		},
		{"the whole host, which the parts add up to", func(m pmetric.Metric) { m.SetName("hw.host.energy") }, map[string]int64{}},
		{"power", func(m pmetric.Metric) { m.SetName("hw.power") }, map[string]int64{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, nil)
			md := energy(t, in{temporality: delta}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, 10, 1000.0}) })
			tc.edit(md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0))
			out := r.send(md)
			assert.Equal(t, 1, out.MetricCount())
			assert.Equal(t, 1, out.ResourceMetrics().At(0).ScopeMetrics().Len())
			assert.Equal(t, tc.want, r.dropped())
		})
	}
}

func TestAMetricWithoutUnitIsInJoules(t *testing.T) {
	r := newRig(t, nil)
	md := energy(t, in{temporality: delta}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, 10, 1000.0}) })
	md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).SetUnit("")
	assert.Len(t, found(r.send(md), "carbon.host.emissions"), 1)
}

func TestTheEnergyOfWorkloadsBecomesTheirEmissions(t *testing.T) {
	r := newRig(t, nil)
	i := in{name: "carbon.energy", temporality: delta, attrs: map[string]any{"carbon.share": "workload"}}
	out := r.send(energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, 10, 1000.0}) }))
	got := found(out, "carbon.emissions")
	require.Len(t, got, 1)
	assert.InDelta(t, 0.1, got[0].DoubleValue(), 1e-12)
	assert.Equal(t, "workload", str(got[0], "carbon.share"))
	// Neither method nor sensor is stated: no better than a model, ± 60 %.
	assert.InDelta(t, 0.04, found(out, "carbon.emissions_lower")[0].DoubleValue(), 1e-12)
	assert.InDelta(t, 0.16, found(out, "carbon.emissions_upper")[0].DoubleValue(), 1e-12)
	assert.Empty(t, found(out, "carbon.host.emissions"))
}

func TestOutputsSayWhatTheyAre(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Location.Zone = "FR" })
	i := in{temporality: delta, attrs: map[string]any{"hw.id": "cpu0", "cores": int64(8)}}
	md := energy(t, i, func(dp pmetric.NumberDataPoint) {
		r.fill(dp, point{0, 10, 1000.0})
		dp.Exemplars().AppendEmpty().SetDoubleValue(1)
	})
	md.ResourceMetrics().At(0).SetSchemaUrl("https://opentelemetry.io/schemas/1.43.0")
	md.ResourceMetrics().At(0).ScopeMetrics().At(0).SetSchemaUrl("https://opentelemetry.io/schemas/1.42.0")
	out := r.send(md)

	rm := out.ResourceMetrics().At(0)
	assert.Equal(t, "https://opentelemetry.io/schemas/1.43.0", rm.SchemaUrl())
	require.Equal(t, 2, rm.ScopeMetrics().Len())
	sm := rm.ScopeMetrics().At(0)
	assert.Equal(t, "https://opentelemetry.io/schemas/1.42.0", sm.SchemaUrl())
	for k, want := range []string{"hw.energy", "carbon.host.emissions", "carbon.host.emissions_lower", "carbon.host.emissions_upper"} {
		m := sm.Metrics().At(k)
		assert.Equal(t, want, m.Name())
		if k == 0 {
			continue
		}
		assert.Equal(t, "g", m.Unit())
		assert.True(t, m.Sum().IsMonotonic())
		assert.Equal(t, delta, m.Sum().AggregationTemporality())
		assert.NotEmpty(t, m.Description())
		dp := m.Sum().DataPoints().At(0)
		assert.Zero(t, dp.Exemplars().Len())
		assert.Equal(t, map[string]any{
			"hw.id": "cpu0", "cores": int64(8), "carbon.emission_type": "operational",
			"carbon.grid.zone": "FR", "carbon.grid.source": "static", "carbon.grid.boundary": "lifecycle",
		}, dp.Attributes().AsRaw())
	}
	grid := rm.ScopeMetrics().At(1)
	assert.Equal(t, "github.com/otelcarbon/otelcarbon/processor/carbonprocessor", grid.Scope().Name())
	assert.Equal(t, "1.2.3", grid.Scope().Version())
	m := grid.Metrics().At(0)
	assert.Equal(t, "carbon.grid.intensity", m.Name())
	assert.Equal(t, "g/(kW.h)", m.Unit())
	require.Equal(t, 1, m.Gauge().DataPoints().Len())
	dp := m.Gauge().DataPoints().At(0)
	assert.InDelta(t, 360, dp.DoubleValue(), 0)
	assert.Equal(t, r.at(10), dp.Timestamp())
	assert.Equal(t, map[string]any{
		"carbon.grid.zone": "FR", "carbon.grid.source": "static", "carbon.grid.boundary": "lifecycle",
		"carbon.grid.signal": "average", "carbon.grid.quality": "assumed",
	}, dp.Attributes().AsRaw())
}

func TestBoundsCanBeSwitchedOff(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Range = false })
	out := r.send(energy(t, in{temporality: delta}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, 10, 1000.0}) }))
	assert.Len(t, found(out, "carbon.host.emissions"), 1)
	assert.Empty(t, found(out, "carbon.host.emissions_lower"))
	assert.Empty(t, found(out, "carbon.host.emissions_upper"))
}

func TestTheEndOfAStreamIsPassedOn(t *testing.T) {
	for _, temporality := range []pmetric.AggregationTemporality{cumulative, delta} {
		t.Run(temporality.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				i := in{temporality: temporality}
				end := func(at float64) []pmetric.NumberDataPoint {
					out := r.send(energy(t, i, func(dp pmetric.NumberDataPoint) {
						r.fill(dp, point{5, at, nil})
						dp.SetFlags(dp.Flags().WithNoRecordedValue(true))
					}))
					lower, upper := found(out, "carbon.host.emissions_lower"), found(out, "carbon.host.emissions_upper")
					got := found(out, "carbon.host.emissions")
					require.Len(t, lower, len(got))
					require.Len(t, upper, len(got))
					for k := range got {
						assert.True(t, lower[k].Flags().NoRecordedValue())
						assert.True(t, upper[k].Flags().NoRecordedValue())
					}
					return got
				}
				assert.Empty(t, end(7), "nothing was derived from it")
				r.send(energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{5, 10, 1000.0}) }))
				got := end(20)
				require.Len(t, got, 1)
				assert.True(t, got[0].Flags().NoRecordedValue())
				assert.Equal(t, r.at(5), got[0].StartTimestamp())
				assert.Equal(t, r.at(20), got[0].Timestamp())
				assert.Equal(t, "static", str(got[0], "carbon.grid.source"))
				assert.Empty(t, end(9), "it was alive after that")

				// The stream goes on as if nothing had been.
				out := r.send(energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{5, 30, 3000.0}) }))
				assert.InDelta(t, 0.3, found(out, "carbon.host.emissions")[0].DoubleValue(), 1e-12)
				assert.Empty(t, r.dropped())
			})
		})
	}
}

// 1000 J are 0.1 g here. What was emitted before the end must not come back under its start.
func TestAStreamThatBeginsAnewAfterItsEndIsAnotherSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		send := func(start, at float64, v any) []pmetric.NumberDataPoint {
			return found(r.send(energy(t, in{name: "carbon.energy"}, func(dp pmetric.NumberDataPoint) {
				r.fill(dp, point{start, at, v})
				dp.SetFlags(dp.Flags().WithNoRecordedValue(v == nil))
			})), "carbon.emissions")
		}
		send(5, 10, 1000.0)
		require.Len(t, send(5, 20, nil), 1)
		for _, want := range []emitted{{20, 30, 0.2}, {20, 40, 0.3}} { // it begins where the marker stands
			got := send(20, want.at, want.grams*1e4)
			require.Len(t, got, 1)
			assert.False(t, got[0].Flags().NoRecordedValue())
			assert.InDelta(t, want.start, r.seconds(got[0].StartTimestamp()), 0)
			assert.InEpsilon(t, want.grams, got[0].DoubleValue(), 1e-12)
		}
		end := send(20, 50, nil)
		require.Len(t, end, 1)
		assert.True(t, end[0].Flags().NoRecordedValue())
		assert.Equal(t, r.at(20), end[0].StartTimestamp())
		assert.Zero(t, r.total("otelcol_processor_carbon_resets"))
		assert.Empty(t, r.dropped())
	})
}

func TestASumThatNoNumberHoldsIsDropped(t *testing.T) {
	// 1.8e308 J / 3.6e6 × 1e5 × 360 g/kWh is more than 1.8e308 g.
	for _, temporality := range []pmetric.AggregationTemporality{cumulative, delta} {
		r := newRig(t, func(c *Config) { c.PUE = 1e5 })
		send := func(p point) []pmetric.NumberDataPoint {
			return found(r.send(energy(t, in{temporality: temporality}, func(dp pmetric.NumberDataPoint) { r.fill(dp, p) })), "carbon.host.emissions")
		}
		require.Len(t, send(point{5, 10, 500.0}), 1)
		assert.Empty(t, send(point{5, 20, math.MaxFloat64}))
		assert.Equal(t, map[string]int64{"overflow": 1}, r.dropped())
		assert.Len(t, send(point{5, 30, 1500.0}), 1, "the stream goes on")
	}
}
