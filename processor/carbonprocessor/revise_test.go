package carbonprocessor

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// know replaces what is known of every place.
func (r *rig) know(slots ...*intensity.Slot) {
	r.t.Helper()
	grid, err := intensity.NewGrid(nil, slots)
	require.NoError(r.t, err)
	r.p.engine.source.(*fixedSource).handle.Set(grid)
}

// 100 W are 1000 J in 10 s: 0.1 g at 360 g/kWh, 0.2 g at 720, 0.05 g at 180.
func TestRevision(t *testing.T) {
	for _, forced := range []string{"cumulative", "delta"} {
		t.Run(forced, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				hour := func(n, grams float64, q intensity.Quality) *intensity.Slot {
					return slot(began, 3600*n, 3600*(n+1), grams, "live", q)
				}
				r := newRig(t, func(c *Config) { c.Revise, c.Temporality = true, forced }, hour(0, 360, intensity.Estimated), hour(1, 360, intensity.Measured))
				total, fixed := 0.0, 0.0
				send := func(at float64) {
					t.Helper()
					time.Sleep(time.Until(r.at(at).AsTime()))
					out := r.send(energy(t, in{}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, at, 100 * at}) }))
					points := found(out, "carbon.host.emissions_correction")
					if forced == "cumulative" {
						total, fixed = 0, 0
					}
					for _, dp := range found(out, "carbon.host.emissions") {
						total += dp.DoubleValue()
					}
					for _, dp := range points {
						fixed += dp.DoubleValue()
						assert.Equal(t, "live", str(dp, "carbon.grid.source"))
						assert.Equal(t, "operational", str(dp, "carbon.emission_type"))
					}
					for _, m := range out.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
						if m.Name() == "carbon.host.emissions_correction" {
							assert.False(t, m.Sum().IsMonotonic())
							assert.Equal(t, temporalities()[forced], m.Sum().AggregationTemporality())
						}
					}
				}
				send(10)
				send(20)
				assert.InDelta(t, 0.2, total, 1e-12)
				assert.Zero(t, fixed)
				// The first hour turns out to be twice as bad: what was emitted stays, 0.2 g come on top.
				r.know(hour(0, 720, intensity.Preliminary), hour(1, 360, intensity.Measured))
				send(30)
				assert.InDelta(t, 0.4, total, 1e-12, "0.2 g more at the new price")
				assert.InDelta(t, 0.2, fixed, 1e-12)
				send(40)
				assert.InDelta(t, 0.6, total, 1e-12)
				assert.InDelta(t, 0.2, fixed, 1e-12, "once")
				// It is final at half the first guess: 40 s at 0.005 g/s are 0.2 g of 0.6 + 0.2.
				r.know(hour(0, 180, intensity.Measured), hour(1, 360, intensity.Measured))
				send(50)
				assert.InDelta(t, 0.65, total, 1e-12)
				assert.InDelta(t, -0.4, fixed, 1e-12, "0.25 g in all")
				// What is final is not touched again, whatever comes.
				r.know(hour(0, 999, intensity.Measured), hour(1, 999, intensity.Measured))
				send(60)
				assert.InDelta(t, 0.65+0.1*999/360, total, 1e-9)
				assert.InDelta(t, -0.4, fixed, 1e-12)
			})
		})
	}
}

// A price is final a day after, too: providers are not asked for older values.
func TestRevisionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		day := func(grams float64) *intensity.Slot {
			return slot(began, 0, 3*86_400, grams, "live", intensity.Estimated)
		}
		r := newRig(t, func(c *Config) { c.Revise, c.StaleAfter = true, 48*time.Hour }, day(360))
		send := func(at float64) []pmetric.NumberDataPoint {
			time.Sleep(time.Until(r.at(at).AsTime()))
			out := r.send(energy(t, in{}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, at, at}) }))
			return found(out, "carbon.host.emissions_correction")
		}
		assert.Empty(t, send(300))
		assert.Empty(t, send(310))
		assert.Empty(t, send(90_000)) // 25 h
		require.Len(t, r.p.streams.ring.newer.debts.owed, 1, "of the last one only")
		r.know(day(720))
		// 89,690 J are 8.969 g more: those before are final.
		got := send(90_010)
		require.Len(t, got, 1)
		assert.InEpsilon(t, 8.969, got[0].DoubleValue(), 1e-9)
	})
}

// What is owed within one cell of 5 minutes is one entry.
func TestWhatIsOwedStaysSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := newRig(t, func(c *Config) { c.Revise = true }, slot(began, 0, 86_400, 360, "tables", intensity.Periodic))
		for at := 10.0; at <= 3600; at += 10 {
			time.Sleep(10 * time.Second)
			r.send(energy(t, in{}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, at, at * 100}) }))
		}
		assert.Len(t, r.p.streams.ring.newer.debts.owed, 12)
	})
}

func TestNothingIsRevisedUnlessAskedFor(t *testing.T) {
	began := time.Now()
	r := newRig(t, nil, slot(began, -10, 3600, 360, "live", intensity.Estimated))
	send := func(at float64) pmetric.Metrics {
		return r.send(energy(t, in{}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{5, at, at * 100}) }))
	}
	send(10)
	r.know(slot(began, -10, 3600, 720, "live", intensity.Measured))
	assert.Empty(t, found(send(20), "carbon.host.emissions_correction"))
}

// A table that stands in, as after a restart before a provider has answered, does not
// replace what was known better.
func TestATableIsNoRevision(t *testing.T) {
	began := time.Now()
	hour := func(grams float64, source string, q intensity.Quality) *intensity.Slot {
		return slot(began, -10, 3600, grams, source, q)
	}
	r := newRig(t, func(c *Config) { c.Revise = true }, hour(360, "live", intensity.Preliminary))
	send := func(at float64) []pmetric.NumberDataPoint {
		out := r.send(energy(t, in{}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{5, at, at * 1000}) }))
		return found(out, "carbon.host.emissions_correction")
	}
	assert.Empty(t, send(10))
	r.know(hour(36, "grids_csv", intensity.Periodic))
	assert.Empty(t, send(20))
	// 10 kJ at twice the price, 1 g each; 10 kJ that the table priced at a tenth.
	r.know(hour(720, "live", intensity.Measured))
	got := send(20.000001)
	require.Len(t, got, 1)
	assert.InDelta(t, 1+1.9, got[0].DoubleValue(), 1e-9)
}

// Corrections end and begin anew together with what they are added to.
func TestCorrectionsOfASeriesThatBeginsAnew(t *testing.T) {
	began := time.Now()
	day := func(grams float64) *intensity.Slot {
		return slot(began, -10, 86_400, grams, "live", intensity.Estimated)
	}
	r := newRig(t, func(c *Config) { c.Revise = true }, day(360))
	send := func(start, at, joules float64, end bool) []pmetric.NumberDataPoint {
		out := r.send(energy(t, in{}, func(dp pmetric.NumberDataPoint) {
			r.fill(dp, point{start, at, joules})
			dp.SetFlags(dp.Flags().WithNoRecordedValue(end))
		}))
		return found(out, "carbon.host.emissions_correction")
	}
	send(5, 10, 10_000, false)
	r.know(day(720))
	require.Len(t, send(5, 20, 10_000, false), 1)
	got := send(5, 30, 0, true)
	require.Len(t, got, 1)
	assert.True(t, got[0].Flags().NoRecordedValue())
	assert.Empty(t, send(35, 40, 10_000, false))
	r.know(day(360))
	got = send(35, 50, 10_000, false)
	require.Len(t, got, 1)
	assert.InDelta(t, -2, got[0].DoubleValue(), 1e-9, "1 g back for each 10 kJ, of which the new series has the whole")
	assert.InDelta(t, 35, r.seconds(got[0].StartTimestamp()), 0)
}

// Gaps within cells, borders of cells within points, times of anywhere: what is owed is
// bounded, and nothing of it is lost that counts.
func TestWhatIsOwedIsBounded(t *testing.T) {
	price := func(d *debts) (joules float64) {
		for _, o := range d.owed {
			joules += o.joules
		}
		return joules
	}
	slot := &intensity.Slot{Quality: intensity.Estimated}
	owe := func(s *stream, from, to time.Duration) {
		s.owe([]part{{tariff: tariff{slot: slot}, from: int64(from), to: int64(to), joules: 1}}, nil)
	}
	s := &stream{}
	for at := 7 * time.Second; at < time.Hour; at += 10 * time.Second { // with gaps of 1 s
		owe(s, at, at+9*time.Second)
	}
	assert.Len(t, s.debts.owed, 13, "12 cells, and the last point reaches into the next one")
	assert.InDelta(t, 360, price(s.debts), 1e-9)
	for _, o := range s.debts.owed {
		assert.Equal(t, cellOf(o.from), cellOf(o.to-1))
	}
	for at := range 10_000 {
		owe(s, time.Duration(at)*24*time.Hour, time.Duration(at)*24*time.Hour+1)
	}
	assert.Len(t, s.debts.owed, maxOwed)
}

// What was priced by one boundary is not corrected by a value of another: they do not add up.
func TestARevisionKeepsTheBoundary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := newRig(t, func(c *Config) { c.Revise = true }, slot(began, 0, 3600, 360, "tables", intensity.Estimated))
		send := func(at float64) []pmetric.NumberDataPoint {
			time.Sleep(time.Until(r.at(at).AsTime()))
			out := r.send(energy(t, in{}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, at, 100 * at}) }))
			return found(out, "carbon.host.emissions_correction")
		}
		send(10)
		direct := slot(began, 0, 3600, 180, "live", intensity.Measured)
		direct.Basis.Boundary = intensity.Direct
		r.know(direct)
		assert.Empty(t, send(20))
		// The lifecycle value that comes later counts for what was priced so: 0.05 g of 0.1 g less.
		r.know(slot(began, 0, 3600, 180, "live", intensity.Measured))
		got := send(30)
		require.Len(t, got, 1)
		assert.InDelta(t, -0.05, got[0].DoubleValue(), 1e-12)
	})
}
