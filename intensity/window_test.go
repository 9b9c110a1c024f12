package intensity_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// british is the national forecast as it stood at 2023-03-15T14:01Z, in half hours
// from 14:00Z. Source: Carbon Intensity API, National Energy System Operator, CC BY
// 4.0.
func british() intensity.Series {
	grams := []float64{
		209, 207, 201, 197, 192, 192, 197, 198, 198, 198, 189, 172, 156, 141, 130, 117, 107, 102, 104, 101, // from 14:00Z
		101, 99, 99, 97, 98, 96, 97, 97, 98, 99, 102, 106, 109, 108, 100, 91, 89, 88, 82, 80, 80, 77, 76, 76, // from midnight
		75, 75, 75, 77, 78, 79, 81, 82, 87, 93, 99, 102, 104, 106, 106, 103, 100, 98, 99, 97, 99, 102, 106, 107, // from noon
		110, 112, 116, 119, 126, 130, 131, 133, 135, 140, 142, 144, 142, 149, 154, 153, 150, 150, 146, 147, 144, 145, 144, 143,
		144, 141, 144, 141,
	}
	start, issued := at("2023-03-15T14:00:00Z"), at("2023-03-15T14:01:00Z")
	return steps(start, 30*time.Minute, func(i int) *intensity.Slot {
		lead := time.Duration(i) * 30 * time.Minute
		return &intensity.Slot{
			GramsPerKWh: grams[i], Quality: intensity.Predicted,
			Spread: intensity.DefaultHalfWidths().Spread(intensity.Predicted, intensity.Circumstances{Lead: lead}),
			Origin: intensity.Origin{Provider: "carbon_intensity_uk", IssuedAt: issued, FetchedAt: issued.Add(time.Duration(i) * time.Second)},
		}
	}, len(grams))
}

// steps lays n slots behind each other; where make returns nil, there is a gap.
func steps(start time.Time, step time.Duration, slot func(i int) *intensity.Slot, n int) intensity.Series {
	s := intensity.Series{From: start, To: start.Add(time.Duration(n) * step)}
	for i := range n {
		from := start.Add(time.Duration(i) * step)
		made := slot(i)
		if n := len(s.Gaps); made == nil && n > 0 && s.Gaps[n-1].End.Equal(from) {
			s.Gaps[n-1].End = from.Add(step)
			continue
		}
		if made == nil {
			s.Gaps = append(s.Gaps, intensity.Gap{Start: from, End: from.Add(step), Err: intensity.KindNoData})
			continue
		}
		made.Start, made.End = from, from.Add(step)
		s.Slots = append(s.Slots, made)
	}
	return s
}

// hours lays hourly slots behind each other from hour(0); less than 0 is a gap.
func hours(grams ...float64) intensity.Series {
	return steps(hour(0), time.Hour, func(i int) *intensity.Slot {
		if grams[i] < 0 {
			return nil
		}
		return &intensity.Slot{GramsPerKWh: grams[i], Quality: intensity.Predicted}
	}, len(grams))
}

func span(from, to time.Time) intensity.Span { return intensity.Span{Start: from, End: to} }

func TestBestWindow(t *testing.T) {
	for _, c := range []struct {
		name   string
		series intensity.Series
		job    intensity.Job
		start  time.Time
		grams  float64
	}{
		{
			// 76, 75, 75, 75 are the four lowest neighbors: 301 / 4 = 75.25.
			"British forecast, two hours",
			british(),
			intensity.Job{Duration: 2 * time.Hour},
			at("2023-03-16T11:30:00Z"), 75.25,
		},
		{
			// 75, 75 from 12:00 and from 12:30.
			"ties go to the earliest",
			british(),
			intensity.Job{Duration: time.Hour},
			at("2023-03-16T12:00:00Z"), 75,
		},
		{
			// The end on the border at 13:30: 10 min at 76, 90 min at 75: (760 + 6750) / 100 = 75.1.
			// Beginning at 12:00 instead, the last 10 min are at 77: 75.2.
			"the end may touch a border instead of the start",
			british(),
			intensity.Job{Duration: 100 * time.Minute},
			at("2023-03-16T11:50:00Z"), 75.1,
		},
		{
			// From 12:10, where the end touches 13:50: 80 min at 75 and 20 at 77: 75.4. Any later start is dearer.
			"not before Earliest",
			british(),
			intensity.Job{Duration: 100 * time.Minute, Earliest: at("2023-03-16T12:10:00Z")},
			at("2023-03-16T12:10:00Z"), 75.4,
		},
		{
			// Done by 11:40 at the latest: 10:00 to 11:40 is 30 at 80, 30 at 77, 40 at 76: (2400 + 2310 + 3040) / 100 = 77.5.
			"done by the Deadline",
			british(),
			intensity.Job{Duration: 100 * time.Minute, Deadline: at("2023-03-16T11:40:00Z")},
			at("2023-03-16T10:00:00Z"), 77.5,
		},
		{
			// Two hours at 1 g lie on either side of the gap; without it, 3 h would average 67.
			"a gap is no hour of 0 g",
			hours(300, 1, -1, 1, 400, 500),
			intensity.Job{Duration: 2 * time.Hour},
			hour(0), 150.5,
		},
		{
			"carbon-free hours are values",
			hours(300, 0, 0, 200),
			intensity.Job{Duration: 2 * time.Hour},
			hour(1), 0,
		},
		{
			"a job that fills the time exactly",
			hours(300, 100),
			intensity.Job{Duration: 2 * time.Hour},
			hour(0), 200,
		},
		{
			// 7.1 + 7.3 = 7.2 + 7.2 in decimals, though not in binary fractions.
			"ties are those of decimal numbers",
			hours(9, 7.1, 7.3, 9, 7.2, 7.2, 9),
			intensity.Job{Duration: 2 * time.Hour},
			hour(1), 7.2,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := intensity.BestWindow(c.series, c.job)
			require.NoError(t, err)
			assert.Equal(t, c.start, got.Start)
			assert.InDelta(t, c.grams, got.GramsPerKWh, 1e-12)
			assert.Equal(t, c.start.Add(c.job.Duration), got.End)
			assert.Equal(t, []intensity.Span{span(got.Start, got.End)}, got.Runs)
		})
	}
}

func TestPlanTellsWhatItRestsOn(t *testing.T) {
	got, err := intensity.BestWindow(british(), intensity.Job{Duration: 2 * time.Hour})
	require.NoError(t, err)
	assert.Equal(t, intensity.Predicted, got.Worst)
	assert.Equal(t, at("2023-03-15T14:01:00Z"), got.IssuedAt)
	assert.Equal(t, at("2023-03-15T14:01:43Z"), got.FetchedAt, "of the slot from 11:30, the 44th")
	assert.InDelta(t, 0.60, got.Half, 1e-12, "21.5 h ahead and more: 10 % + 4 % an hour, but at most 60 %")

	// At once: 209, 207, 201, 197, on average 203.5. Half-widths by lead: 10, 12, 14, 16 %:
	// (20.9 + 24.84 + 28.14 + 31.52) / 4 = 26.35 g. Best: 60 % of 75.25 = 45.15 g. Together √(26.35² + 45.15²) = 52.277.
	assert.True(t, got.Saving.Known)
	assert.InDelta(t, 203.5, got.Saving.AtOnce, 1e-12)
	assert.InDelta(t, 128.25, got.Saving.GramsPerKWh, 1e-12)
	assert.InDelta(t, 52.277, got.Saving.Half, 0.001)
	assert.True(t, got.Saving.Clear)
	assert.InDelta(t, 0.630, got.Saving.Share(), 0.001)
}

func TestSaving(t *testing.T) {
	// Hour i has i·10 % of half-width.
	vague := func(s intensity.Series) intensity.Series {
		for i, slot := range s.Slots {
			slot.Spread = intensity.Spread{Half: 0.1 * float64(i+1), From: "assumed"}
		}
		return s
	}
	for _, c := range []struct {
		name   string
		series intensity.Series
		job    intensity.Job
		want   intensity.Saving
	}{
		{
			"nothing is better than at once",
			vague(hours(100, 200, 300)),
			intensity.Job{Duration: time.Hour},
			intensity.Saving{Known: true, AtOnce: 100},
		},
		{
			// Hours 1 to 3 instead of 0 to 2: only hour 0 (300 g ± 10 %) and hour 3 (150 g ± 40 %) decide, each a third of
			// the mean: √(10² + 20²) = 22.361 g. The common hours, vague as they are, change nothing.
			"common time errs on both alike",
			vague(hours(300, 200, 100, 150)),
			intensity.Job{Duration: 3 * time.Hour},
			intensity.Saving{Known: true, AtOnce: 200, GramsPerKWh: 50, Half: 22.361, Clear: true},
		},
		{
			// 100 ± 10 against 95 ± 19: √(10² + 19²) = 21.471.
			"a saving within the range is not clear",
			vague(hours(100, 95)),
			intensity.Job{Duration: time.Hour},
			intensity.Saving{Known: true, AtOnce: 100, GramsPerKWh: 5, Half: 21.471},
		},
		{
			"without a spread nothing is clear",
			hours(500, 1),
			intensity.Job{Duration: time.Hour},
			intensity.Saving{Known: true, AtOnce: 500, GramsPerKWh: 499},
		},
		{
			"a gap in the way of running at once",
			vague(hours(500, -1, 1, 1)),
			intensity.Job{Duration: 2 * time.Hour},
			intensity.Saving{},
		},
		{
			"the series begins later than the job may",
			vague(hours(500, 1)),
			intensity.Job{Duration: time.Hour, Earliest: hour(-1)},
			intensity.Saving{},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan, err := intensity.BestWindow(c.series, c.job)
			require.NoError(t, err)
			got := plan.Saving
			assert.InDelta(t, c.want.AtOnce, got.AtOnce, 1e-9)
			assert.InDelta(t, c.want.GramsPerKWh, got.GramsPerKWh, 1e-9)
			assert.InDelta(t, c.want.Half, got.Half, 0.001)
			assert.Equal(t, c.want.Known, got.Known)
			assert.Equal(t, c.want.Clear, got.Clear)
		})
	}
	assert.Zero(t, intensity.Saving{}.Share())
}

func TestImpossibleJobsAreRefused(t *testing.T) {
	always := func() intensity.Series {
		start, end := intensity.Always()
		return series(slot(start, end, 43))
	}
	for _, c := range []struct {
		name   string
		series intensity.Series
		job    intensity.Job
		kind   intensity.Kind
		text   string
	}{
		{
			"no duration", hours(1),
			intensity.Job{},
			intensity.KindConfig,
			"configuration: a job of 0s: its Duration is to be more than 0",
		},
		{
			"chunks longer than the job", hours(1),
			intensity.Job{Duration: time.Hour, MinChunk: 2 * time.Hour},
			intensity.KindConfig,
			"configuration: MinChunk 2h0m0s of a job of 1h0m0s: want 0, or a time up to that",
		},
		{
			"deadline too early", hours(1, 1, 1),
			intensity.Job{Duration: 2 * time.Hour, Deadline: hour(1)},
			intensity.KindConfig,
			"configuration: a job of 2h0m0s does not fit between 2026-06-01T00:00:00Z and 2026-06-01T01:00:00Z: its Deadline is to be 2026-06-01T02:00:00Z or later",
		},
		{
			"no beginning", always(),
			intensity.Job{Duration: time.Hour},
			intensity.KindConfig,
			"configuration: the series has no beginning: set the job's Earliest",
		},
		{
			"no slots",
			intensity.Series{},
			intensity.Job{Duration: time.Hour},
			intensity.KindNoData,
			"no data: a series without slots has no best time",
		},
		{
			"gaps everywhere", hours(1, -1, 1, 1, -1, 1),
			intensity.Job{Duration: 3 * time.Hour},
			intensity.KindNoData,
			"no data: no plan for a job of 3h0m0s from 2026-06-01T00:00:00Z to 2026-06-01T06:00:00Z: the longest stretch without a gap is 2h0m0s from 2026-06-01T02:00:00Z",
		},
		{
			"the series ends before", hours(1),
			intensity.Job{Duration: time.Hour, Earliest: hour(5), Deadline: hour(7)},
			intensity.KindNoData,
			"no data: no plan for a job of 1h0m0s from 2026-06-01T05:00:00Z to 2026-06-01T07:00:00Z: the series has no value in that time",
		},
		{
			"overlap", series(slot(hour(0), hour(2), 1), slot(hour(1), hour(3), 1)),
			intensity.Job{Duration: time.Hour},
			intensity.KindMalformed,
			"malformed answer: slot from 2026-06-01T01:00:00Z begins before the one from 2026-06-01T00:00:00Z ends",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := intensity.BestWindow(c.series, c.job)
			require.ErrorIs(t, err, c.kind)
			require.EqualError(t, err, c.text)
			_, err = intensity.BestWindows(c.series, c.job, 2)
			require.ErrorIs(t, err, c.kind)
		})
	}
	_, err := intensity.BestWindows(hours(1), intensity.Job{Duration: time.Hour}, 0)
	require.ErrorIs(t, err, intensity.KindConfig)
}

func TestAConstantHasAWindowToo(t *testing.T) {
	start, end := intensity.Always()
	for _, deadline := range []time.Time{{}, hour(5)} {
		got, err := intensity.BestWindow(series(slot(start, end, 43)), intensity.Job{Duration: time.Hour, Earliest: hour(1), Deadline: deadline})
		require.NoError(t, err)
		assert.Equal(t, hour(1), got.Start)
		assert.InDelta(t, 43, got.GramsPerKWh, 1e-12)
		assert.False(t, got.Saving.Clear)
	}
}

func TestBestWindows(t *testing.T) {
	// The best two hours are 1 and 2; of the rest, 4 and 5; then nothing is left that is long enough.
	s := hours(50, 10, 10, 30, 20, 20, 40)
	got, err := intensity.BestWindows(s, intensity.Job{Duration: 2 * time.Hour}, 3)
	require.NoError(t, err)
	var found []string
	for _, p := range got {
		found = append(found, fmt.Sprintf("%d h: %g", int(p.Start.Sub(hour(0)).Hours()), p.GramsPerKWh))
		assert.InDelta(t, 30, p.Saving.AtOnce, 1e-12) // hours 0 and 1
	}
	assert.Equal(t, []string{"1 h: 10", "4 h: 20"}, found)

	// Equal ones in order of time.
	got, err = intensity.BestWindows(hours(7, 7, 7), intensity.Job{Duration: time.Hour}, 5)
	require.NoError(t, err)
	require.Len(t, got, 3)
	for i, p := range got {
		assert.Equal(t, hour(i), p.Start)
	}
}

// minutes is a Series drawn by rapid, spelled out: grams by minute, -1 in gaps.
type minutes struct {
	series intensity.Series
	grams  []int
}

func drawMinutes(t *rapid.T, most int, unit time.Duration) minutes {
	m := minutes{series: intensity.Series{From: hour(0)}}
	for n := rapid.IntRange(1, 8).Draw(t, "slots"); n > 0; n-- {
		length := rapid.IntRange(1, most).Draw(t, "length")
		grams := rapid.IntRange(-1, 6).Draw(t, "grams") // few values, so that there are ties
		from := hour(0).Add(time.Duration(len(m.grams)) * unit)
		to := from.Add(time.Duration(length) * unit)
		if grams < 0 {
			m.series.Gaps = append(m.series.Gaps, intensity.Gap{Start: from, End: to})
		} else {
			m.series.Slots = append(m.series.Slots, slot(from, to, float64(grams)))
		}
		for range length {
			m.grams = append(m.grams, grams)
		}
		m.series.To = to
	}
	return m
}

// cost returns what [from, to) costs in minutes times grams, or false in a gap.
func (m minutes) cost(from, to int) (sum int, ok bool) {
	for i := from; i < to; i++ {
		if i < 0 || i >= len(m.grams) || m.grams[i] < 0 {
			return 0, false
		}
		sum += m.grams[i]
	}
	return sum, true
}

// All borders and times lie on whole units here, and so does one of the best
// windows; trying each of them is the definition.
func TestBestWindowIsThatOfBruteForce(t *testing.T) {
	for name, unit := range map[string]time.Duration{"minutes": time.Minute, "seconds": time.Second, "7 ns": 7} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				m := drawMinutes(t, 40, unit)
				length := rapid.IntRange(1, 60).Draw(t, "duration")
				from := rapid.IntRange(-10, len(m.grams)).Draw(t, "earliest")
				to := from + length + rapid.IntRange(0, 200).Draw(t, "slack")
				job := intensity.Job{
					Duration: time.Duration(length) * unit,
					Earliest: hour(0).Add(time.Duration(from) * unit), Deadline: hour(0).Add(time.Duration(to) * unit),
				}
				best, least := 0, math.MaxInt
				for start := from; start+length <= to; start++ {
					if sum, ok := m.cost(start, start+length); ok && sum < least {
						best, least = start, sum
					}
				}
				got, err := intensity.BestWindow(m.series, job)
				if len(m.series.Slots) == 0 || least == math.MaxInt {
					require.ErrorIs(t, err, intensity.KindNoData)
					return
				}
				require.NoError(t, err)
				require.Equal(t, hour(0).Add(time.Duration(best)*unit), got.Start)
				require.InDelta(t, float64(least)/float64(length), got.GramsPerKWh, 1e-12)
				atOnce, known := m.cost(from, from+length)
				require.Equal(t, known, got.Saving.Known)
				if known {
					require.InDelta(t, float64(atOnce)/float64(length), got.Saving.AtOnce, 1e-12)
					require.GreaterOrEqual(t, got.Saving.GramsPerKWh, 0.0)
				}
			})
		})
	}
}

func TestBestWindowsAreTheBestOfWhatIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMinutes(t, 20, time.Minute)
		if len(m.series.Slots) == 0 {
			return
		}
		length := rapid.IntRange(1, 15).Draw(t, "duration")
		if length > len(m.grams) {
			return
		}
		var want []int
		for left := (minutes{grams: append([]int(nil), m.grams...)}); len(want) < 4; {
			best, least := -1, math.MaxInt
			for start := range left.grams {
				if sum, ok := left.cost(start, start+length); ok && sum < least {
					best, least = start, sum
				}
			}
			if best < 0 {
				break
			}
			want = append(want, best)
			for i := range length {
				left.grams[best+i] = -1
			}
		}
		got, err := intensity.BestWindows(m.series, intensity.Job{
			Duration: time.Duration(length) * time.Minute, Earliest: m.series.From, Deadline: m.series.To,
		}, 4)
		require.Equal(t, len(want) == 0, err != nil)
		var starts []int
		for _, p := range got {
			starts = append(starts, int(p.Start.Sub(hour(0)).Minutes()))
		}
		require.Equal(t, want, starts)
	})
}

func BenchmarkBestWindow(b *testing.B) {
	year := fiveMinutes(105_120)
	for name, duration := range map[string]time.Duration{"100min": 100 * time.Minute, "30days": 720 * time.Hour} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := intensity.BestWindow(year, intensity.Job{Duration: duration}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// fiveMinutes is a grid of waves that do not repeat.
func fiveMinutes(n int) intensity.Series {
	return steps(hour(0), 5*time.Minute, func(i int) *intensity.Slot {
		day := float64(i) / 288
		return &intensity.Slot{
			GramsPerKWh: 300 + 120*math.Sin(2*math.Pi*day) + 60*math.Sin(day) + 10*math.Sin(float64(i)),
			Quality:     intensity.Measured, Spread: intensity.Spread{Half: 0.05, From: "assumed"},
			Origin: intensity.Origin{Provider: "test", ZoneServed: "FR"},
		}
	}, n)
}
