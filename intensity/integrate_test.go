package intensity_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/intensity"
)

func hour(n int) time.Time { return at("2026-06-01T00:00:00Z").Add(time.Duration(n) * time.Hour) }

func series(slots ...*intensity.Slot) intensity.Series {
	return intensity.Series{From: slots[0].Start, To: slots[len(slots)-1].End, Slots: slots}
}

func with(s *intensity.Slot, q intensity.Quality, half float64, provider, method string) *intensity.Slot {
	s.Quality, s.Spread = q, intensity.Spread{Half: half, From: "assumed"}
	s.Origin = intensity.Origin{Provider: provider, Method: method}
	return s
}

func TestIntegrate(t *testing.T) {
	s := series(slot(hour(0), hour(1), 100), slot(hour(1), hour(2), 300))
	for _, c := range []struct {
		name string
		uses []intensity.Use
		want intensity.Emission
	}{
		{
			"a kWh inside one hour",
			[]intensity.Use{{Start: hour(0), End: hour(1), Joules: 3.6e6}},
			intensity.Emission{Grams: 100, Joules: 3.6e6},
		},
		{
			// 30 min of two hours each: half of 1 kWh at 100, half at 300 g/kWh.
			"an interval across a border is split there",
			[]intensity.Use{{Start: hour(0).Add(30 * time.Minute), End: hour(1).Add(30 * time.Minute), Joules: 3.6e6}},
			intensity.Emission{Grams: 200, Joules: 3.6e6},
		},
		{
			// 55 min at 100 and 5 min at 300: 0.3 kWh × (55·100 + 5·300)/60 = 35 g; at the price of the last moment it would be 90.
			"not the price of the moment of the report",
			[]intensity.Use{{Start: hour(0).Add(5 * time.Minute), End: hour(1).Add(5 * time.Minute), Joules: 1.08e6}},
			intensity.Emission{Grams: 35, Joules: 1.08e6},
		},
		{
			"energy outside is reported, not priced at zero",
			[]intensity.Use{{Start: hour(-1), End: hour(1), Joules: 7.2e6}},
			intensity.Emission{Grams: 100, Joules: 7.2e6, Uncovered: 3.6e6},
		},
		{
			"a use without length belongs to its end",
			[]intensity.Use{{Start: hour(1), End: hour(1), Joules: 3.6e6}},
			intensity.Emission{Grams: 300, Joules: 3.6e6},
		},
		{
			"impossible energy is left out",
			[]intensity.Use{{Start: hour(0), End: hour(1), Joules: math.NaN()}, {Start: hour(0), End: hour(1), Joules: -5}},
			intensity.Emission{},
		},
		{"nothing", nil, intensity.Emission{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := intensity.Integrate(c.uses, s)
			assert.InDelta(t, c.want.Grams, got.Grams, 1e-9)
			assert.InDelta(t, c.want.Joules, got.Joules, 1e-6)
			assert.InDelta(t, c.want.Uncovered, got.Uncovered, 1e-6)
			assert.InDelta(t, c.want.Grams, got.ByQuality[intensity.Measured], 1e-9)
		})
	}
}

func TestIntegrateTellsHowSure(t *testing.T) {
	// 1 kWh in each of four hours: 100, 200, 300 and 400 g.
	s := series(
		with(slot(hour(0), hour(1), 100), intensity.Measured, 0.05, "em", ""),
		with(slot(hour(1), hour(2), 200), intensity.Estimated, 0.30, "em", "PROFILE"),
		with(slot(hour(2), hour(3), 300), intensity.Estimated, 0.60, "em", "PROFILE"),
		with(slot(hour(3), hour(4), 400), intensity.Periodic, 0.35, "grids_csv", "annual mean"),
	)
	revised := at("2026-06-01T09:00:00Z")
	s.Slots[1].Origin.UpdatedAt = revised
	s.Slots[2].Origin.UpdatedAt = revised.Add(-time.Hour)

	e := intensity.Integrate([]intensity.Use{{Start: hour(0), End: hour(4), Joules: 4 * 3.6e6}}, s)

	assert.InDelta(t, 1000, e.Grams, 1e-9)
	assert.InDelta(t, 100, e.ByQuality[intensity.Measured], 1e-9)
	assert.InDelta(t, 500, e.ByQuality[intensity.Estimated], 1e-9)
	assert.InDelta(t, 400, e.ByQuality[intensity.Periodic], 1e-9)
	assert.Equal(t, intensity.Periodic, e.Worst)
	assert.Equal(t, revised, e.Latest)
	// Groups: 100·0.05 = 5 g; 200·0.3 + 300·0.6 = 240 g, added because one method
	// errs one way; 400·0.35 = 140 g. √(25 + 57 600 + 19 600) = 277.894 g of 1000 g.
	assert.InDelta(t, 0.277894, e.Half, 1e-6)
}

func TestIntegrateTakesABrokenSeries(t *testing.T) {
	s := intensity.Series{Slots: []*intensity.Slot{
		slot(hour(1), hour(3), 300), nil, slot(hour(0), hour(2), 100), // unsorted, overlapping
		slot(hour(3), hour(4), math.NaN()), slot(hour(5), hour(4), 1),
	}}
	// The later start wins: hour 0 at 100, hours 1 and 2 at 300, hour 3 is a gap.
	e := intensity.Integrate([]intensity.Use{{Start: hour(0), End: hour(4), Joules: 4 * 3.6e6}}, s)
	assert.InDelta(t, 700, e.Grams, 1e-9)
	assert.InDelta(t, 3.6e6, e.Uncovered, 1e-6)
}

func TestCarbonFreeHasNoRange(t *testing.T) {
	e := intensity.Integrate([]intensity.Use{{Start: hour(0), End: hour(1), Joules: 1}}, series(with(slot(hour(0), hour(1), 0), intensity.Measured, 0.05, "gb", "")))
	assert.Zero(t, e.Grams)
	assert.Zero(t, e.Half)
	assert.Equal(t, intensity.Measured, e.Worst)
}

// Cutting uses anywhere changes nothing but rounding.
func TestCuttingUsesChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, _ := randomGrid(t)
		from := randomTime(t, "from")
		length := rapid.Int64Range(1, 48*int64(time.Hour)).Draw(t, "length")
		to := from.Add(time.Duration(length))
		s := g.Series(from, to, nil)
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		joules := rapid.Float64Range(1, 1e9).Draw(t, "joules")
		whole := intensity.Integrate([]intensity.Use{{Start: from, End: to, Joules: joules}}, s)

		var cut []intensity.Use
		begin := int64(0)
		for begin < length {
			end := min(length, begin+rapid.Int64Range(1, max(1, length/3)).Draw(t, "cut"))
			cut = append(cut, intensity.Use{
				Start: from.Add(time.Duration(begin)), End: from.Add(time.Duration(end)),
				Joules: joules * float64(end-begin) / float64(length),
			})
			begin = end
			if len(cut) > 50 {
				break
			}
		}
		if begin < length {
			cut = append(cut, intensity.Use{
				Start: from.Add(time.Duration(begin)), End: to, Joules: joules * float64(length-begin) / float64(length),
			})
		}
		got := intensity.Integrate(cut, s)
		if math.Abs(got.Grams-whole.Grams) > 1e-9*(whole.Grams+1) ||
			math.Abs(got.Joules-whole.Joules) > 1e-9*whole.Joules ||
			math.Abs(got.Uncovered-whole.Uncovered) > 1e-9*whole.Joules ||
			math.Abs(got.Half-whole.Half) > 1e-9 {
			t.Fatalf("%d parts give %+v, the whole %+v", len(cut), got, whole)
		}
	})
}

func TestDefaultHalfWidths(t *testing.T) {
	w := intensity.DefaultHalfWidths()
	require.NoError(t, w.Check())
	year, month := 365*24*time.Hour, 31*24*time.Hour
	for _, c := range []struct {
		name    string
		quality intensity.Quality
		c       intensity.Circumstances
		want    float64
	}{
		{"measured", intensity.Measured, intensity.Circumstances{}, 0.05},
		{"preliminary", intensity.Preliminary, intensity.Circumstances{}, 0.10},
		{"estimated", intensity.Estimated, intensity.Circumstances{}, 0.30},
		{"estimated in a windy zone", intensity.Estimated, intensity.Circumstances{Rough: true}, 0.60},
		{"forecast for now", intensity.Predicted, intensity.Circumstances{}, 0.10},
		{"forecast five hours ahead", intensity.Predicted, intensity.Circumstances{Lead: 5 * time.Hour}, 0.30}, // 10 + 5·4
		{"forecast for the day after tomorrow", intensity.Predicted, intensity.Circumstances{Lead: 48 * time.Hour}, 0.60},
		{"monthly", intensity.Periodic, intensity.Circumstances{Length: month}, 0.25},
		{"yearly", intensity.Periodic, intensity.Circumstances{Length: year}, 0.35},
		{"periodic of unknown length", intensity.Periodic, intensity.Circumstances{}, 0.35},
		{"the country for the zone", intensity.Periodic, intensity.Circumstances{Widened: true}, 0.55}, // 35 + 20
		{"the world for an unknown place", intensity.Periodic, intensity.Circumstances{Widened: true, World: true}, 0.88},
		{"measured, carried for two hours", intensity.Measured, intensity.Circumstances{Carried: 2 * time.Hour}, 0.11},
		{"a constant", intensity.Assumed, intensity.Circumstances{}, 0},
		{"unknown quality", 0, intensity.Circumstances{Widened: true}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := w.Spread(c.quality, c.c)
			assert.InDelta(t, c.want, got.Half, 1e-12)
			assert.Equal(t, c.want > 0, got.From != "")
		})
	}
	w.Monthly = math.NaN()
	require.ErrorIs(t, w.Check(), intensity.KindConfig)
}
