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

// slot is an intensity between two moments in seconds after began.
func slot(began time.Time, from, to, grams float64, source string, q intensity.Quality) *intensity.Slot {
	at := func(s float64) time.Time { return began.Add(time.Duration(s * float64(time.Second))).UTC() }
	return &intensity.Slot{
		Start: at(from), End: at(to), GramsPerKWh: grams, Quality: q,
		Basis:  intensity.Basis{Signal: intensity.Average, Boundary: intensity.Lifecycle, Flow: intensity.Consumption, Gas: intensity.CO2e},
		Origin: intensity.Origin{Provider: source, ZoneServed: "FR"},
	}
}

type labeled struct {
	source string
	emitted
}

func (r *rig) labeled(out pmetric.Metrics) []labeled {
	var got []labeled
	for _, dp := range found(out, "carbon.host.emissions") {
		got = append(got, labeled{
			str(dp, "carbon.grid.source"),
			emitted{r.seconds(dp.StartTimestamp()), r.seconds(dp.Timestamp()), dp.DoubleValue()},
		})
	}
	return got
}

func requireLabeled(t *testing.T, want, got []labeled) {
	t.Helper()
	require.Len(t, got, len(want), "%+v", got)
	for i := range want {
		assert.InEpsilon(t, 1+want[i].grams, 1+got[i].grams, 1e-12, "output %d", i)
		want[i].grams = got[i].grams
		assert.Equal(t, want[i], got[i], "output %d", i)
	}
}

// The grid changes at second 20 and its source at second 40. 1000 J from second
// 10 to 30 are 500 J at 360 g/kWh (0.05 g) and 500 J at 720 (0.1 g).
func TestEnergyIsCutWhereTheIntensityChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := newRig(t, nil,
			slot(began, 0, 20, 360, "live", intensity.Measured),
			slot(began, 20, 40, 720, "live", intensity.Measured),
			slot(began, 40, 60, 360, "tables", intensity.Periodic),
			slot(began, 60, 80, 360, "live", intensity.Measured),
		)
		send := func(start, at, joules float64) []labeled {
			return r.labeled(r.send(energy(t, in{}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{start, at, joules}) })))
		}
		requireLabeled(t, []labeled{{"live", emitted{10, 30, 0.15}}}, send(10, 30, 1000))
		// 500 J at 720 until second 40, 500 J at 360 from then on, each under its own label.
		requireLabeled(t, []labeled{
			{"live", emitted{10, 50, 0.25}},
			{"tables", emitted{40, 50, 0.05}},
		}, send(10, 50, 2000))
		// 500 J more for the tables, 500 J for the live source, which goes on where it was.
		requireLabeled(t, []labeled{
			{"live", emitted{10, 70, 0.3}},
			{"tables", emitted{40, 70, 0.1}},
		}, send(10, 70, 3000))
		// A point within one slot repeats the other label, so that their sum never falls.
		requireLabeled(t, []labeled{
			{"live", emitted{10, 75, 0.35}},
			{"tables", emitted{40, 75, 0.1}},
		}, send(10, 75, 3500))
	})
}

func TestADeltaIsCutWhereTheSourceChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := newRig(t, nil,
			slot(began, 0, 20, 360, "live", intensity.Measured),
			slot(began, 20, 40, 720, "live", intensity.Measured),
			slot(began, 40, 60, 360, "tables", intensity.Periodic),
		)
		send := func(start, at, joules float64) []labeled {
			return r.labeled(r.send(energy(t, in{temporality: delta}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{start, at, joules}) })))
		}
		// 4000 J from 10 to 50: 1000 J at 360, 2000 J at 720, 1000 J at 360 from the tables.
		requireLabeled(t, []labeled{
			{"live", emitted{10, 50, 0.5}},
			{"tables", emitted{10, 50, 0.1}},
		}, send(10, 50, 4000))
		requireLabeled(t, []labeled{{"tables", emitted{50, 60, 0.1}}}, send(50, 60, 1000))
	})
}

func TestEnergyWithoutAnIntensityIsNeverPricedAtZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := newRig(t, nil, slot(began, 0, 20, 360, "live", intensity.Measured), slot(began, 40, 60, 360, "live", intensity.Measured))
		send := func(start, at, joules float64) []labeled {
			return r.labeled(r.send(energy(t, in{}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{start, at, joules}) })))
		}
		requireLabeled(t, []labeled{{"live", emitted{10, 20, 0.1}}}, send(10, 20, 1000))
		// Nothing is known from 20 to 40: the energy is lost, and counted.
		requireLabeled(t, []labeled{{"live", emitted{10, 30, 0.1}}}, send(10, 30, 2000))
		assert.Equal(t, map[string]int64{"no_intensity": 1}, r.dropped())
		// Half of 2000 J from 30 to 50 has a price.
		requireLabeled(t, []labeled{{"live", emitted{10, 50, 0.2}}}, send(10, 50, 4000))
		assert.Equal(t, map[string]int64{"no_intensity": 2}, r.dropped())
		requireLabeled(t, []labeled{{"live", emitted{10, 60, 0.3}}}, send(10, 60, 5000))
	})
}

func TestIntensityIsReportedOncePerZoneAndBatch(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Providers = nil })
	md := pmetric.NewMetrics()
	add := func(id, country string, at float64) {
		i := in{resource: map[string]any{"host.id": id, "geo.country.iso_code": country}, temporality: delta}
		energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{at - 10, at, 1000.0}) }).ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
	}
	add("a", "FR", 10)
	add("b", "DE", 20)
	add("c", "FR", 30)
	add("d", "FR", 25)
	out := r.send(md)

	want := []struct {
		host, zone string
		at         float64
	}{{"a", "FR", 30}, {"b", "DE", 20}} // the newest point that was priced with it
	k := 0
	for _, rm := range out.ResourceMetrics().All() {
		host, _ := rm.Resource().Attributes().Get("host.id")
		for _, sm := range rm.ScopeMetrics().All() {
			if sm.Scope().Name() != "github.com/otelcarbon/otelcarbon/processor/carbonprocessor" {
				continue
			}
			require.Less(t, k, len(want))
			dp := sm.Metrics().At(0).Gauge().DataPoints().At(0)
			assert.Equal(t, want[k].host, host.Str())
			assert.Equal(t, want[k].zone, str(dp, "carbon.grid.zone"))
			assert.InDelta(t, want[k].at, r.seconds(dp.Timestamp()), 0)
			assert.Equal(t, "periodic", str(dp, "carbon.grid.quality"))
			k++
		}
	}
	assert.Equal(t, len(want), k)

	out = r.send(energy(t, in{resource: map[string]any{"geo.country.iso_code": "FR"}}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{-5, 40, 1.0}) }))
	assert.Empty(t, found(out, "carbon.grid.intensity"), "nothing was priced in this batch")
}

func TestOneResourceMayNeedSeveralIntensities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := newRig(t, nil,
			slot(began, 0, 20, 360, "live", intensity.Measured),
			slot(began, 20, 40, 720, "live", intensity.Estimated),
			slot(began, 40, 60, 100, "live", intensity.Measured),
		)
		out := r.send(energy(t, in{temporality: delta}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{10, 50, 4000.0}) }))
		got := map[string]float64{}
		for _, dp := range found(out, "carbon.grid.intensity") {
			got[str(dp, "carbon.grid.quality")] = dp.DoubleValue()
		}
		assert.Equal(t, map[string]float64{"measured": 100, "estimated": 720}, got, "the newest of each kind")
	})
}
