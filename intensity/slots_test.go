package intensity_test

import (
	"math"
	"math/bits"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/intensity"
)

func TestBestSlots(t *testing.T) {
	half := func(n int) time.Time { return hour(0).Add(time.Duration(n) * 30 * time.Minute) }
	for _, c := range []struct {
		name   string
		series intensity.Series
		job    intensity.Job
		runs   []intensity.Span
		grams  float64
	}{
		{
			"the cheapest hours, and neighbors are one run",
			hours(90, 10, 20, 80, 15, 70),
			intensity.Job{Duration: 3 * time.Hour},
			[]intensity.Span{span(hour(1), hour(3)), span(hour(4), hour(5))},
			15,
		},
		{
			// Hours 1 and 3, and the first half of hour 5: (10 + 10 + 20/2) / 2.5 = 12.
			"a part of the last slot, at its beginning",
			hours(90, 10, 90, 10, 90, 20),
			intensity.Job{Duration: 150 * time.Minute},
			[]intensity.Span{span(hour(1), hour(2)), span(hour(3), hour(4)), span(hour(5), half(11))},
			12,
		},
		{
			// Hour 1 and half of hour 0: (10 + 20/2) / 1.5 = 13.333. At its end it is one run with hour 1.
			"at its end, if that spares an interruption",
			hours(20, 10, 90),
			intensity.Job{Duration: 90 * time.Minute},
			[]intensity.Span{span(half(1), hour(2))},
			40.0 / 3,
		},
		{
			"ties go to the earliest",
			hours(10, 10, 90, 10, 10),
			intensity.Job{Duration: 3 * time.Hour},
			[]intensity.Span{span(hour(0), hour(2)), span(hour(3), hour(4))},
			10,
		},
		{
			"gaps are not taken",
			hours(50, -1, 60, 70),
			intensity.Job{Duration: 2 * time.Hour},
			[]intensity.Span{span(hour(0), hour(1)), span(hour(2), hour(3))},
			55,
		},
		{
			// From 0:30 to 3:30 there are only half of hour 0 and half of hour 3.
			"only between Earliest and Deadline",
			hours(10, 90, 80, 20),
			intensity.Job{Duration: 90 * time.Minute, Earliest: half(1), Deadline: half(7)},
			[]intensity.Span{span(half(1), hour(1)), span(half(5), half(7))},
			(5.0 + 10 + 40) / 1.5,
		},
		{
			// Single hours would be 1 and 4; runs of two: 0+1 = 30 or 1+2 = 40, with 4+5 = 25 at best.
			"no run shorter than MinChunk",
			hours(20, 10, 30, 90, 5, 20),
			intensity.Job{Duration: 4 * time.Hour, MinChunk: 2 * time.Hour},
			[]intensity.Span{span(hour(0), hour(2)), span(hour(4), hour(6))},
			55.0 / 4,
		},
		{
			// Three hours in runs of two or more are one run: 2 to 4 or 3 to 5, 101 each.
			"MinChunk over half of the job",
			hours(2, 50, 50, 50, 1, 50),
			intensity.Job{Duration: 3 * time.Hour, MinChunk: 2 * time.Hour},
			[]intensity.Span{span(hour(2), hour(5))},
			101.0 / 3,
		},
		{
			// A run of 90 min and one of 60: 0:30 to 2:00 and 4:00 to 5:00.
			"runs longer than MinChunk begin inside slots",
			hours(20, 10, 90, 90, 10, 50),
			intensity.Job{Duration: 150 * time.Minute, MinChunk: time.Hour},
			[]intensity.Span{span(half(1), hour(2)), span(hour(4), hour(5))},
			(10.0 + 10 + 10) / 2.5,
		},
		{
			// Earliest is off by a nanosecond. The lattice begins at 1:00, and so does the best plan.
			"an Earliest to the nanosecond",
			hours(90, 10, 80, 10),
			intensity.Job{Duration: 2 * time.Hour, MinChunk: time.Hour, Earliest: hour(0).Add(1)},
			[]intensity.Span{span(hour(1), hour(2)), span(hour(3), hour(4))},
			10,
		},
		{
			// Off the lattice, the first 59 min would be lost, if one run of all were not tried too.
			"never worse than without interruption",
			hours(10, 10, 90),
			intensity.Job{Duration: time.Hour, MinChunk: time.Hour, Earliest: hour(0).Add(time.Hour + 1), Deadline: hour(3)},
			[]intensity.Span{span(hour(1).Add(1), hour(2).Add(1))},
			10 + 80.0/3.6e12,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := intensity.BestSlots(c.series, c.job)
			require.NoError(t, err)
			assert.Equal(t, c.runs, got.Runs)
			assert.InDelta(t, c.grams, got.GramsPerKWh, 1e-9)
			assert.Equal(t, c.runs[0].Start, got.Start)
			assert.Equal(t, c.runs[len(c.runs)-1].End, got.End)
		})
	}
}

func TestBestSlotsSaving(t *testing.T) {
	// Two hours at once: 90 and 10, mean 50. Best: hours 1 and 3, mean 10. In common is hour 1; what decides is
	// 90 g ± 10 % and 10 g ± 10 %, each half of the mean: √(4.5² + 0.5²) = 4.528.
	s := hours(90, 10, 80, 10)
	for _, slot := range s.Slots {
		slot.Spread = intensity.Spread{Half: 0.1, From: "assumed"}
	}
	got, err := intensity.BestSlots(s, intensity.Job{Duration: 2 * time.Hour})
	require.NoError(t, err)
	assert.InDelta(t, 40, got.Saving.GramsPerKWh, 1e-12)
	assert.InDelta(t, 4.528, got.Saving.Half, 0.001)
	assert.True(t, got.Saving.Clear)
}

func TestBestSlotsRefuses(t *testing.T) {
	_, err := intensity.BestSlots(hours(1, -1, 1), intensity.Job{Duration: 3 * time.Hour})
	require.ErrorIs(t, err, intensity.KindNoData)
	require.ErrorContains(t, err, "the slots in that time add up to 2h0m0s")

	_, err = intensity.BestSlots(hours(1, -1, 1), intensity.Job{Duration: 2 * time.Hour, MinChunk: 90 * time.Minute})
	require.ErrorIs(t, err, intensity.KindNoData)
	require.ErrorContains(t, err, "stretches of at least 1h30m0s without a gap do not add up to it")

	_, err = intensity.BestSlots(hours(1, -1, 1), intensity.Job{Duration: 2*time.Hour - 1, MinChunk: time.Minute})
	require.ErrorIs(t, err, intensity.KindConfig)
	require.ErrorContains(t, err, "in steps of 1ns is too much")

	_, err = intensity.BestSlots(hours(1), intensity.Job{})
	require.ErrorIs(t, err, intensity.KindConfig)
}

func TestBestSlotsAreThoseOfBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMinutes(t, 30, time.Minute)
		if len(m.series.Slots) == 0 {
			return
		}
		from := rapid.IntRange(0, len(m.grams)-1).Draw(t, "earliest")
		to := rapid.IntRange(from+1, len(m.grams)).Draw(t, "deadline")
		length := rapid.IntRange(1, to-from).Draw(t, "duration")

		var open []int
		for _, g := range m.grams[from:to] {
			if g >= 0 {
				open = append(open, g)
			}
		}
		got, err := intensity.BestSlots(m.series, m.job(from, to, length))
		if len(open) < length {
			require.ErrorIs(t, err, intensity.KindNoData)
			return
		}
		require.NoError(t, err)
		slices.Sort(open)
		least := 0
		for _, g := range open[:length] {
			least += g
		}
		m.check(t, got, from, to, length, 1, least)
	})
}

// Each subset of few minutes is tried.
func TestBestChunksAreThoseOfBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMinutes(t, 4, time.Minute)
		n := min(len(m.grams), 14)
		if len(m.series.Slots) == 0 {
			return
		}
		length := rapid.IntRange(1, n).Draw(t, "duration")
		chunk := rapid.IntRange(1, length).Draw(t, "chunk")

		least, end := math.MaxInt, 0
		for set := range uint(1 << n) {
			if sum, ok := m.sum(set, length, chunk); ok && (sum < least || sum == least && bits.Len(set) < end) {
				least, end = sum, bits.Len(set)
			}
		}
		job := m.job(0, n, length)
		job.MinChunk = time.Duration(chunk) * time.Minute
		got, err := intensity.BestSlots(m.series, job)
		if least == math.MaxInt {
			require.ErrorIs(t, err, intensity.KindNoData)
			return
		}
		require.NoError(t, err)
		m.check(t, got, 0, n, length, chunk, least)
		require.Equal(t, hour(0).Add(time.Duration(end)*time.Minute), got.End, "the one that is done first")
		require.True(t, !got.Saving.Known || got.Saving.GramsPerKWh >= 0)
	})
}

// sum returns what the minutes in set cost, and false if they are no plan.
func (m minutes) sum(set uint, length, chunk int) (sum int, ok bool) {
	if bits.OnesCount(set) != length {
		return 0, false
	}
	for i := 0; set>>i != 0; i++ {
		run := bits.TrailingZeros(^(set >> i)) // ones from i
		cost, ok := m.cost(i, i+run)
		if run > 0 && run < chunk || !ok {
			return 0, false
		}
		sum += cost
		i += run
	}
	return sum, true
}

func (m minutes) job(from, to, length int) intensity.Job {
	return intensity.Job{
		Duration: time.Duration(length) * time.Minute,
		Earliest: hour(0).Add(time.Duration(from) * time.Minute), Deadline: hour(0).Add(time.Duration(to) * time.Minute),
	}
}

func (m minutes) check(t *rapid.T, got intensity.Plan, from, to, length, chunk, least int) {
	at := func(x time.Time) int { return int(x.Sub(hour(0)) / time.Minute) }
	sum, all, last := 0, 0, from-1
	for i, r := range got.Runs {
		cost, ok := m.cost(at(r.Start), at(r.End))
		require.True(t, ok, "a gap")
		require.GreaterOrEqual(t, at(r.End)-at(r.Start), chunk)
		require.True(t, at(r.Start) > last || i == 0 && at(r.Start) >= from, "in order and apart")
		require.LessOrEqual(t, at(r.End), to)
		sum, all, last = sum+cost, all+at(r.End)-at(r.Start), at(r.End)
	}
	require.Equal(t, length, all)
	require.Equal(t, least, sum)
	require.InDelta(t, float64(least)/float64(length), got.GramsPerKWh, 1e-12)
}

func BenchmarkBestSlots(b *testing.B) {
	for name, c := range map[string]struct {
		slots int
		job   intensity.Job
	}{
		"year":        {105_120, intensity.Job{Duration: 100 * time.Hour}},
		"week_chunks": {2016, intensity.Job{Duration: 20 * time.Hour, MinChunk: time.Hour}},
		"most_chunks": {20_000, intensity.Job{Duration: 17 * time.Hour, MinChunk: time.Hour}},
	} {
		series := fiveMinutes(c.slots)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := intensity.BestSlots(series, c.job); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
