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

// threeHours are 100, 200 and 400 g/kWh. A constant 100 W are 0.1 kWh in each: 10, 20 and
// 40 g.
func threeHours(began time.Time) []*intensity.Slot {
	return []*intensity.Slot{
		slot(began, 0, 3600, 100, "live", intensity.Measured),
		slot(began, 3600, 7200, 200, "live", intensity.Measured),
		slot(began, 7200, 10_800, 400, "live", intensity.Measured),
	}
}

// told is a point of the constant 100 W as a sender has it, which arrives at a moment of
// its own.
type told struct {
	start, at float64 // s
	arrives   float64 // 0: at once
	since     float64 // what the counter counts from, if it is one
}

func TestAConstantPowerOverThreeHours(t *testing.T) {
	everyTenMinutes := func(late float64) (all []told) {
		for at := 600.0; at <= 10_800; at += 600 {
			all = append(all, told{start: at - 600, at: at, arrives: at + late})
		}
		return all
	}
	for _, tc := range []struct {
		name   string
		points []told
		// sums are grams at the end, by form.
		cumulative, delta, gauge float64
		dropped                  map[string]int64 // of the cumulative form
		resets                   int64
	}{
		{
			name: "every ten minutes", points: everyTenMinutes(0),
			cumulative: 70, delta: 70, gauge: 70 - 10.0/6, // a gauge begins with its first value
		},
		{
			name: "fifty minutes late", points: everyTenMinutes(3000),
			cumulative: 70, delta: 70, gauge: 70 - 10.0/6,
		},
		{
			// 0:30 to 1:30 is half an hour of each, 1:30 to 3:00 half of the second and all of the third.
			name: "points that straddle hours", points: []told{{0, 1800, 0, 0}, {1800, 5400, 0, 0}, {5400, 10_800, 0, 0}},
			cumulative: 70, delta: 70, gauge: 65,
		},
		{
			name: "one point for everything", points: []told{{0, 10_800, 0, 0}},
			cumulative: 70, delta: 70,
		},
		{
			name: "points that repeat", points: []told{{0, 3600, 0, 0}, {0, 3600, 0, 0}, {3600, 10_800, 0, 0}, {3600, 10_800, 0, 0}},
			cumulative: 70, delta: 70, gauge: 60,
			dropped: map[string]int64{"duplicate": 2},
		},
		{
			name: "a point that comes too late", points: []told{{0, 3600, 0, 0}, {7200, 10_800, 0, 0}, {3600, 7200, 10_900, 0}},
			cumulative: 70, delta: 50, gauge: 60,
			dropped: map[string]int64{"out_of_order": 1},
		},
		{
			// The counter begins anew at 1:30, and again at 2:30.
			name:   "resets",
			points: []told{{0, 3600, 0, 0}, {3600, 5400, 0, 0}, {5400, 7200, 0, 5400}, {7200, 9000, 0, 5400}, {9000, 10_800, 0, 9000}},
			// All of it is known to have been drawn after the last point before.
			cumulative: 70, delta: 70, gauge: 60, resets: 2,
		},
		{
			// It is gone from 1:00 to 2:00, and counts from there: what it drew is not known.
			name:       "a restart that takes an hour",
			points:     []told{{0, 3600, 0, 0}, {7200, 10_800, 0, 7200}},
			cumulative: 50, delta: 50, gauge: 60, resets: 1,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for form, want := range map[string]float64{"cumulative": tc.cumulative, "delta": tc.delta, "gauge": tc.gauge} {
				t.Run(form, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						r := newRig(t, func(c *Config) {
							c.StaleAfter = 4 * time.Hour
							c.Inputs = []InputConfig{{Metric: "power", Unit: "W", Of: "host", MaxGap: 4 * time.Hour}}
						}, threeHours(time.Now())...)
						sum := 0.0
						for _, p := range tc.points {
							if wait := time.Until(r.at(max(p.at, p.arrives)).AsTime()); wait > 0 {
								time.Sleep(wait)
							}
							var md pmetric.Metrics
							switch form {
							case "cumulative":
								md = energy(t, in{}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{p.since, p.at, 100 * (p.at - p.since)}) })
							case "delta":
								md = energy(t, in{temporality: delta}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{p.start, p.at, 100 * (p.at - p.start)}) })
							case "gauge":
								md = foreign(t, in{name: "power"}, false, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{none(), p.at, 100}) })
							}
							g := grams(r.send(md), "carbon.host.emissions")
							if form == "delta" {
								sum += g
							} else {
								sum = max(sum, g)
							}
						}
						assert.InDelta(t, want, sum, 1e-9)
						if form == "cumulative" {
							require.Equal(t, tc.resets, r.total("otelcol_processor_carbon_resets"))
							if tc.dropped == nil {
								tc.dropped = map[string]int64{}
							}
							assert.Equal(t, tc.dropped, r.dropped())
						}
					})
				})
			}
		})
	}
}

// In Central Europe 2026-03-29 has no hour from 2 to 3, and 2026-10-25 has it twice. What
// a provider tells is in UTC, so that each hour has one value and a day of 23 or 25 hours
// has as many: 100 W at 100 g/kWh and 10 g/kWh more in each hour.
func TestDaysOnWhichClocksChange(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Paris")
	require.NoError(t, err)
	for _, tc := range []struct {
		day   time.Time
		hours int
		want  float64
	}{
		// Σ 0.1 × (100 + 10 n) over n = 0…22 is 0.1 × (2300 + 2530).
		{time.Date(2026, 3, 29, 0, 0, 0, 0, zone), 23, 483},
		// Over n = 0…24: 0.1 × (2500 + 3000).
		{time.Date(2026, 10, 25, 0, 0, 0, 0, zone), 25, 550},
	} {
		t.Run(tc.day.Format(time.DateOnly), func(t *testing.T) {
			next := time.Date(tc.day.Year(), tc.day.Month(), tc.day.Day()+1, 0, 0, 0, 0, zone)
			require.InDelta(t, tc.hours, next.Sub(tc.day).Hours(), 0)
			var slots []*intensity.Slot
			for n := range tc.hours {
				slots = append(slots, slot(tc.day, 3600*float64(n), 3600*float64(n+1), float64(100+10*n), "live", intensity.Measured))
			}
			r := newRig(t, nil, slots...)
			r.began = tc.day
			length := next.Sub(tc.day).Seconds()
			out := r.send(energy(t, in{temporality: delta}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, length, 100 * length}) }))
			assert.InEpsilon(t, tc.want, grams(out, "carbon.host.emissions"), 1e-12)
		})
	}
}
