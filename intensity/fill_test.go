package intensity_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/intensity"
)

func annual(grams float64) []*intensity.Slot {
	start, end := intensity.Always()
	return []*intensity.Slot{{
		Start: start, End: end, GramsPerKWh: grams, Quality: intensity.Periodic,
		Spread: intensity.Spread{Half: 0.35, From: "assumed"}, Origin: intensity.Origin{Provider: "grids_csv", Why: "zone FR"},
	}}
}

// told writes slots and gaps by the hour: "0-1:100 1-1.5:100N 1.5-2:-".
func told(s intensity.Series) string {
	type piece struct {
		start time.Time
		text  string
	}
	h := func(t time.Time) string { return fmt.Sprintf("%g", t.Sub(hour(0)).Hours()) }
	var pieces []piece
	for _, x := range s.Slots {
		rule := ""
		switch {
		case x.Flags.Has(intensity.FilledNeighbor):
			rule = "N"
		case x.Flags.Has(intensity.FilledDayBefore):
			rule = "D"
		case x.Flags.Has(intensity.FilledFallback):
			rule = "F"
		}
		pieces = append(pieces, piece{x.Start, fmt.Sprintf("%s-%s:%g%s", h(x.Start), h(x.End), x.GramsPerKWh, rule)})
	}
	for _, g := range s.Gaps {
		pieces = append(pieces, piece{g.Start, fmt.Sprintf("%s-%s:-", h(g.Start), h(g.End))})
	}
	slices.SortFunc(pieces, func(a, b piece) int { return a.start.Compare(b.start) })
	var texts []string
	for _, p := range pieces {
		texts = append(texts, p.text)
	}
	return strings.Join(texts, " ")
}

// measured makes hours of what is no forecast.
func measured(s intensity.Series) intensity.Series {
	for _, slot := range s.Slots {
		slot.Quality = intensity.Measured
	}
	return s
}

func TestFill(t *testing.T) {
	// A day of hours 1, 2, … 24 g, then as said.
	dayThen := func(grams ...float64) intensity.Series {
		var all []float64
		for i := range 24 {
			all = append(all, float64(i+1))
		}
		return measured(hours(append(all, grams...)...))
	}
	for _, c := range []struct {
		name   string
		series intensity.Series
		rules  intensity.Rules
		want   string // from the end of the first day on, if there is one
	}{
		{"nothing to do", measured(hours(10, 20)), intensity.Rules{}, "0-1:10 1-2:20"},
		{"a missing hour is that before", measured(hours(10, -1, 30)), intensity.Rules{}, "0-1:10 1-2:10N 2-3:30"},
		{"of two, the second is that after", measured(hours(10, -1, -1, 40)), intensity.Rules{}, "0-1:10 1-2:10N 2-3:40N 3-4:40"},
		{
			"what no neighbor reaches stays a gap", measured(hours(10, -1, -1, -1, 50)),
			intensity.Rules{},
			"0-1:10 1-2:10N 2-3:- 3-4:50N 4-5:50",
		},
		{
			"at the ends there is one neighbor", measured(hours(-1, -1, 30, -1, -1)),
			intensity.Rules{},
			"0-1:- 1-2:30N 2-3:30 3-4:30N 4-5:-",
		},
		{"neighbors may reach further", measured(hours(10, -1, -1, -1, 50)), intensity.Rules{Neighbor: 90 * time.Minute}, "0-1:10 1-2.5:10N 2.5-4:50N 4-5:50"},
		{"or not at all", measured(hours(10, -1, 30)), intensity.Rules{Neighbor: -1}, "0-1:10 1-2:- 2-3:30"},
		{
			// Hours 24 and 25 have neighbors; 26 and 27 are hours 2 and 3 of the day before: 3 and 4 g.
			"then the same hour of the day before", dayThen(-1, -1, -1, -1, -1, 99),
			intensity.Rules{},
			"24-25:24N 25-26:2D 26-27:3D 27-28:4D 28-29:99N 29-30:99",
		},
		{
			"then the fallback", measured(hours(10, -1, -1, -1, 50)),
			intensity.Rules{Fallback: annual(300)},
			"0-1:10 1-2:10N 2-3:300F 3-4:50N 4-5:50",
		},
		{
			"the day before and its gaps", measured(hours(append(append([]float64{7, 8, -1, 9}, slices.Repeat([]float64{5}, 20)...), -1, -1, -1, -1, -1)...)),
			intensity.Rules{Fallback: annual(300)},
			"24-25:5N 25-26:8D 26-27:300F 27-28:9D 28-29:5D",
		},
		{"without the day before", dayThen(-1, -1, -1), intensity.Rules{NoDayBefore: true}, "24-25:24N 25-27:-"},
		{"only the fallback", measured(hours(10, -1)), intensity.Rules{Neighbor: -1, NoDayBefore: true, Fallback: annual(300)}, "0-1:10 1-2:300F"},
		{
			"a yearly mean is nobody's neighbor",
			func() intensity.Series {
				s := measured(hours(10, -1, -1, 40))
				s.Slots[0].Quality, s.Slots[1].Quality = intensity.Periodic, intensity.Assumed
				return s
			}(),
			intensity.Rules{},
			"0-1:10 1-3:- 3-4:40",
		},
		{"nothing known", hours(-1, -1), intensity.Rules{Fallback: annual(300)}, "0-2:300F"},
		{"nothing at all", intensity.Series{}, intensity.Rules{Fallback: annual(300)}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := intensity.Fill(c.series, c.rules)
			require.NoError(t, err)
			text := told(got)
			if i := strings.Index(text, " 24-"); i >= 0 {
				text = text[i+1:]
			}
			assert.Equal(t, c.want, text)
			require.NoError(t, got.Check())
		})
	}
}

func TestFilledSlotsSayWhatTheyAre(t *testing.T) {
	s := measured(hours(append(slices.Repeat([]float64{100}, 24), -1, -1, -1, -1, -1)...))
	for _, slot := range s.Slots {
		slot.Spread = intensity.Spread{Half: 0.05, From: "published"}
		slot.Origin = intensity.Origin{Provider: "electricity_maps", ZoneServed: "FR", Why: "zone FR"}
	}
	s.Slots[2].Quality, s.Slots[2].Spread = intensity.Predicted, intensity.Spread{Half: 0.7, From: "observed"}
	s.Slots = slices.Delete(s.Slots, 3, 4)
	got, err := intensity.Fill(s, intensity.Rules{Fallback: annual(300)})
	require.NoError(t, err)
	require.Len(t, got.Slots, 29)

	neighbor, dayBefore, forecast, fallback := got.Slots[24], got.Slots[25], got.Slots[26], got.Slots[27]
	assert.Equal(t, hour(24), neighbor.Start)
	assert.Equal(t, intensity.Estimated, neighbor.Quality)
	assert.InDelta(t, 0.33, neighbor.Spread.Half, 1e-12, "an estimate, 30 %, and 3 % for the hour")
	assert.Equal(t, "assumed", neighbor.Spread.From)
	assert.Equal(t, "zone FR; the slot before stands in for a gap", neighbor.Origin.Why)
	assert.Equal(t, "electricity_maps", neighbor.Origin.Provider)

	assert.Equal(t, intensity.Estimated, dayBefore.Quality)
	assert.InDelta(t, 0.60, dayBefore.Spread.Half, 1e-12, "a rough estimate")
	assert.Equal(t, "zone FR; the same hour of the day before stands in for a gap", dayBefore.Origin.Why)

	assert.Equal(t, intensity.Predicted, forecast.Quality, "no better than its model")
	assert.Equal(t, intensity.Spread{Half: 0.7, From: "observed"}, forecast.Spread, "nor surer")

	assert.Equal(t, intensity.Periodic, fallback.Quality)
	assert.Equal(t, intensity.Spread{Half: 0.35, From: "assumed"}, fallback.Spread)
	assert.Equal(t, intensity.FilledFallback, fallback.Flags)
	assert.Equal(t, hour(27), fallback.Start)

	assert.Equal(t, 0.05, s.Slots[22].Spread.Half, "the models stay as they are") //nolint:testifylint // untouched, not computed
	assert.Zero(t, s.Slots[22].Flags)
}

// A fallback without a width is known by its length, of which a gap shows a part.
func TestFallbackWithoutWidth(t *testing.T) {
	yearly := annual(300)
	yearly[0].Spread = intensity.Spread{}
	got, err := intensity.Fill(hours(-1), intensity.Rules{Fallback: yearly})
	require.NoError(t, err)
	assert.InDelta(t, 0.35, got.Slots[0].Spread.Half, 1e-12)
}

// Berlin turned its clocks back on 2025-10-26 at 01:00Z. A day is 24 hours still.
func TestFillDoesNotChangeClocks(t *testing.T) {
	berlin := time.FixedZone("CEST", 2*3600)
	summer := at("2025-10-25T01:00:00Z").In(berlin) // 03:00 by the clock
	gap := at("2025-10-26T01:00:00Z")               // 02:00 by the clock, for the second time
	rest := at("2025-10-26T08:00:00Z").In(time.FixedZone("CET", 3600))
	s := intensity.Series{
		From: summer, To: rest.Add(time.Hour),
		Slots: []*intensity.Slot{
			slot(summer, summer.Add(time.Hour), 40), slot(summer.Add(time.Hour), summer.Add(2*time.Hour), 50), slot(rest, rest.Add(time.Hour), 90),
		},
	}
	got, err := intensity.Fill(s, intensity.Rules{Neighbor: -1})
	require.NoError(t, err)
	require.Len(t, got.Slots, 5)
	assert.Equal(t, gap, got.Slots[2].Start, "in UTC")
	assert.InDelta(t, 40, got.Slots[2].GramsPerKWh, 0)
	assert.Equal(t, gap.Add(time.Hour), got.Slots[3].Start)
	assert.InDelta(t, 50, got.Slots[3].GramsPerKWh, 0)
}

func TestFillKeepsErrorsAndBases(t *testing.T) {
	s := intensity.Series{
		From: hour(0), To: hour(5), Slots: []*intensity.Slot{slot(hour(0), hour(1), 100)},
		Gaps: []intensity.Gap{{Start: hour(1), End: hour(3), Err: intensity.KindRate}, {Start: hour(3), End: hour(5), Err: intensity.KindNotYet}},
	}
	got, err := intensity.Fill(s, intensity.Rules{})
	require.NoError(t, err)
	assert.Equal(t, []intensity.Gap{
		{Start: hour(2), End: hour(3), Err: intensity.KindRate}, {Start: hour(3), End: hour(5), Err: intensity.KindNotYet},
	}, got.Gaps)

	direct := annual(300)
	direct[0].Basis = intensity.Basis{Boundary: intensity.Direct}
	got, err = intensity.Fill(s, intensity.Rules{Fallback: direct})
	require.NoError(t, err)
	require.Len(t, got.Slots, 2, "the neighbor, and nothing of another basis")
	require.ErrorIs(t, got.Err(), intensity.KindBasis)
	require.ErrorIs(t, got.Err(), intensity.KindRate)
	require.ErrorContains(t, got.Err(), "the fallback is direct, the series any")
}

func TestFillRefuses(t *testing.T) {
	overlap := []*intensity.Slot{slot(hour(0), hour(2), 1), slot(hour(1), hour(3), 1)}
	_, err := intensity.Fill(intensity.Series{Slots: overlap}, intensity.Rules{})
	require.ErrorIs(t, err, intensity.KindMalformed)
	_, err = intensity.Fill(hours(1), intensity.Rules{Fallback: overlap})
	require.ErrorIs(t, err, intensity.KindMalformed)
	_, err = intensity.Fill(hours(1), intensity.Rules{HalfWidths: intensity.HalfWidths{Yearly: -1}})
	require.ErrorIs(t, err, intensity.KindConfig)
}

// The definition of the rules, minute by minute.
func TestFillByTheMinute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m minutes
		for len(m.grams) < 26*60 { // a day and more
			more := drawMinutes(t, 400, time.Minute)
			offset := time.Duration(len(m.grams)) * time.Minute
			for _, s := range more.series.Slots {
				s.Start, s.End = s.Start.Add(offset), s.End.Add(offset)
				s.Quality = rapid.SampledFrom([]intensity.Quality{intensity.Measured, intensity.Predicted, intensity.Periodic}).Draw(t, "quality")
				m.series.Slots = append(m.series.Slots, s)
			}
			for _, g := range more.series.Gaps {
				m.series.Gaps = append(m.series.Gaps, intensity.Gap{Start: g.Start.Add(offset), End: g.End.Add(offset)})
			}
			m.grams = append(m.grams, more.grams...)
		}
		m.series.From, m.series.To = hour(0), hour(0).Add(time.Duration(len(m.grams))*time.Minute)
		reach := rapid.IntRange(0, 90).Draw(t, "reach")
		rules := intensity.Rules{
			Neighbor: time.Duration(reach) * time.Minute, NoDayBefore: rapid.Bool().Draw(t, "no day before"),
		}
		if reach == 0 {
			rules.Neighbor = -1
		}
		if rapid.Bool().Draw(t, "fallback") {
			rules.Fallback = []*intensity.Slot{slot(hour(2), hour(20), 1000), slot(hour(22), hour(400), 2000)}
		}
		old := map[time.Time]*intensity.Slot{}
		for _, s := range m.series.Slots {
			for x := s.Start; x.Before(s.End); x = x.Add(time.Minute) {
				old[x] = s
			}
		}
		got, err := intensity.Fill(m.series, rules)
		if err != nil {
			t.Fatal(err)
		}
		if err := got.Check(); err != nil {
			t.Fatal(err)
		}
		filled := map[time.Time]*intensity.Slot{}
		for _, s := range got.Slots {
			for x := s.Start; x.Before(s.End); x = x.Add(time.Minute) {
				filled[x] = s
			}
		}
		for i := range m.grams {
			x := hour(0).Add(time.Duration(i) * time.Minute)
			want, flag := byRule(x, old, rules, reach)
			s := filled[x]
			switch {
			case want == nil && s == nil:
			case want == nil || s == nil || s.GramsPerKWh != want.GramsPerKWh || s.Basis != want.Basis:
				t.Fatalf("at minute %d: %+v, want %+v", i, s, want)
			case flag == 0 && s != want:
				t.Fatalf("minute %d had a slot, which has been replaced", i)
			case flag != 0 && (s.Flags != flag || s.Quality < intensity.Estimated || s.Quality < want.Quality ||
				s.Spread.Half < want.Spread.Half || s.Spread.Half <= 0 || s.Origin.Why == ""):
				t.Fatalf("at minute %d: %+v stands in for %+v by rule %s", i, s, want, flag)
			}
		}
		again, err := intensity.Fill(got, rules)
		if err != nil || !slices.Equal(again.Slots, got.Slots) || len(again.Gaps) != len(got.Gaps) {
			t.Fatalf("filling twice changes %s to %s (%v)", told(got), told(again), err)
		}
	})
}

// byRule returns what a minute should be filled with, and by which rule.
func byRule(x time.Time, old map[time.Time]*intensity.Slot, r intensity.Rules, reach int) (*intensity.Slot, intensity.Flags) {
	if s := old[x]; s != nil {
		return s, 0
	}
	for _, way := range []int{-1, 1} {
		// Minute x is reached if the first slot before it ends, or the next begins, at most reach away.
		for n := 1; n <= reach; n++ {
			if s := old[x.Add(time.Duration(way*n)*time.Minute)]; s != nil {
				if s.Quality < intensity.Periodic {
					return s, intensity.FilledNeighbor
				}
				break
			}
		}
	}
	if s := old[x.Add(-24*time.Hour)]; s != nil && s.Quality < intensity.Periodic && !r.NoDayBefore {
		return s, intensity.FilledDayBefore
	}
	for _, s := range r.Fallback {
		if !x.Before(s.Start) && x.Before(s.End) {
			return s, intensity.FilledFallback
		}
	}
	return nil, 0
}

// One kWh an hour: 100 g known, 100 by the neighbor, 2 × 300 by the fallback, and one hour without any price.
func TestIntegrateTellsWhatWasFilled(t *testing.T) {
	fallback := annual(300)
	fallback[0].Start, fallback[0].End = hour(0), hour(4)
	s, err := intensity.Fill(measured(hours(100, -1, -1, -1, -1)), intensity.Rules{Fallback: fallback})
	require.NoError(t, err)
	e := intensity.Integrate([]intensity.Use{{Start: hour(0), End: hour(5), Joules: 5 * 3.6e6}}, s)
	assert.InDelta(t, 800, e.Grams, 1e-9)
	assert.InDelta(t, 3.6e6, e.Uncovered, 1e-6)
	assert.Equal(t, intensity.Amount{Grams: 100, Joules: 3.6e6}, e.Filled.Neighbor)
	assert.Equal(t, intensity.Amount{}, e.Filled.DayBefore)
	assert.InDelta(t, 600, e.Filled.Fallback.Grams, 1e-9)
	assert.InDelta(t, 2*3.6e6, e.Filled.Fallback.Joules, 1e-6)
	assert.InDelta(t, 700, e.Filled.Total().Grams, 1e-9)
	assert.InDelta(t, 0.6, e.FilledShare(), 1e-12)
	assert.Zero(t, intensity.Emission{}.FilledShare())
}

// Cutting uses anywhere changes nothing but rounding, in what is filled either.
func TestCuttingUsesChangesNothingOfFilled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMinutes(t, 400, time.Minute)
		s, err := intensity.Fill(m.series, intensity.Rules{Fallback: []*intensity.Slot{slot(hour(1), hour(9), 1000)}})
		if err != nil {
			t.Fatal(err)
		}
		length := int64(s.To.Sub(s.From))
		cuts := rapid.SliceOfN(rapid.Int64Range(1, length), 0, 20).Draw(t, "cuts")
		slices.Sort(cuts)
		cuts = append(cuts, length)
		const watts = 250
		var uses []intensity.Use
		at := int64(0)
		for _, to := range slices.Compact(cuts) {
			uses = append(uses, intensity.Use{Start: s.From.Add(time.Duration(at)), End: s.From.Add(time.Duration(to)), Joules: watts * float64(to-at) / 1e9})
			at = to
		}
		whole := intensity.Integrate([]intensity.Use{{Start: s.From, End: s.To, Joules: watts * float64(length) / 1e9}}, s)
		got := intensity.Integrate(uses, s)
		near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*(1+math.Abs(a)) }
		if !near(got.Grams, whole.Grams) || !near(got.Uncovered, whole.Uncovered) ||
			!near(got.Filled.Neighbor.Grams, whole.Filled.Neighbor.Grams) || !near(got.Filled.Fallback.Joules, whole.Filled.Fallback.Joules) {
			t.Fatalf("%d parts give %+v, the whole %+v", len(uses), got, whole)
		}
		if got.Filled.Total().Joules > got.Joules*(1+1e-9) || !near(got.Joules, whole.Joules) {
			t.Fatalf("%+v", got)
		}
	})
}
