package intensity_test

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/intensity"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

func slot(from, to time.Time, grams float64) *intensity.Slot {
	return &intensity.Slot{Start: from, End: to, GramsPerKWh: grams, Quality: intensity.Measured}
}

// years returns slots for 2024 and 2025, extended over all time.
func years() []*intensity.Slot {
	start, end := intensity.Always()
	y := func(n int) time.Time { return time.Date(n, 1, 1, 0, 0, 0, 0, time.UTC) }
	return []*intensity.Slot{slot(start, y(2025), 400), slot(y(2025), y(2026), 300), slot(y(2026), end, 200)}
}

func handle(t testing.TB, coarse, fine []*intensity.Slot) *intensity.Handle {
	t.Helper()
	g, err := intensity.NewGrid(coarse, fine)
	require.NoError(t, err)
	return intensity.NewHandle(g)
}

// noon is a row of three hours from 12:00 with a hole from 13:00 to 14:00, of
// half-hour slots, over the years.
func noon(t testing.TB) *intensity.Handle {
	t.Helper()
	h := at("2026-06-01T12:00:00Z")
	return handle(t, years(), []*intensity.Slot{
		slot(h, h.Add(30*time.Minute), 100),
		slot(h.Add(30*time.Minute), h.Add(time.Hour), 120),
		slot(h.Add(2*time.Hour), h.Add(3*time.Hour), 140), // twice the step
	})
}

func TestPeek(t *testing.T) {
	h := noon(t)
	for _, c := range []struct {
		name string
		at   time.Time
		want float64
	}{
		{"the first moment of a slot is inside", at("2026-06-01T12:00:00Z"), 100},
		{"the last moment before its end is inside", at("2026-06-01T12:29:59.999999999Z"), 100},
		{"its end belongs to the next", at("2026-06-01T12:30:00Z"), 120},
		{"before the fine layer the table answers", at("2026-06-01T11:59:59.999999999Z"), 200},
		{"in a hole of the fine layer the table answers", at("2026-06-01T13:00:00Z"), 200},
		{"a slot of two steps answers in the second", at("2026-06-01T14:45:00Z"), 140},
		{"after the fine layer the table answers", at("2026-06-01T15:00:00Z"), 200},
		{"another time zone is the same moment", at("2026-06-01T14:10:00+02:00"), 100},
		{"borders of years are in UTC", at("2026-01-01T00:30:00+01:00"), 300},
		{"the first moment of a year", at("2026-01-01T00:00:00Z"), 200},
		{"long ago", at("1900-01-01T00:00:00Z"), 400},
		{"before int64 nanoseconds", at("0800-12-25T00:00:00Z"), 400},
		{"the zero time", time.Time{}, 400},
		{"the far future", at("2250-01-01T00:00:00Z"), 200},
		{"after int64 nanoseconds", at("9000-01-01T00:00:00Z"), 200},
		{"the largest time", time.Unix(math.MaxInt64, 0), 200},
		{"the smallest time", time.Unix(math.MinInt64, 0), 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := h.Peek(c.at)
			require.NotNil(t, got)
			assert.InDelta(t, c.want, got.GramsPerKWh, 0)
		})
	}
}

func TestPeekKnowsNothing(t *testing.T) {
	var zero intensity.Handle
	assert.Nil(t, zero.Peek(time.Now()))
	assert.Nil(t, zero.Grid())
	assert.Nil(t, handle(t, nil, nil).Peek(time.Now()))

	h := at("2026-06-01T12:00:00Z")
	only := handle(t, []*intensity.Slot{slot(h, h.Add(time.Hour), 1), slot(h.Add(2*time.Hour), h.Add(3*time.Hour), 3)}, nil)
	for _, d := range []time.Duration{-1, time.Hour, 90 * time.Minute, 3 * time.Hour} {
		assert.Nil(t, only.Peek(h.Add(d)), "at %v", d)
	}
	assert.NotNil(t, only.Peek(h.Add(2*time.Hour)))
}

func TestNewGridRefuses(t *testing.T) {
	h := at("2026-06-01T12:00:00Z")
	good := slot(h, h.Add(time.Hour), 1)
	for _, c := range []struct {
		name         string
		coarse, fine []*intensity.Slot
		text         string
	}{
		{"a negative value", []*intensity.Slot{slot(h, h.Add(1), -1)}, nil, "-1 is not a number between 0 and 5000 g/kWh"},
		{"not a number", nil, []*intensity.Slot{slot(h, h.Add(1), math.NaN())}, "NaN"},
		{"infinity", nil, []*intensity.Slot{slot(h, h.Add(1), math.Inf(1))}, "+Inf"},
		{"kilograms read as grams", nil, []*intensity.Slot{slot(h, h.Add(1), 5000.1)}, "5000.1"},
		{"no length", []*intensity.Slot{slot(h, h, 1)}, nil, "not after its start"},
		{"nil", []*intensity.Slot{nil}, nil, "nil"},
		{"overlap", []*intensity.Slot{good, slot(h.Add(time.Minute), h.Add(2*time.Hour), 1)}, nil, "begins before"},
		{"wrong order", nil, []*intensity.Slot{slot(h.Add(time.Hour), h.Add(2*time.Hour), 1), good}, "begins before"},
		{
			"two bases", []*intensity.Slot{good, {
				Start: good.End, End: good.End.Add(1), Basis: intensity.Basis{Boundary: intensity.Direct},
			}}, nil, "is direct, the one before any",
		},
		{"half-width below 0", []*intensity.Slot{{Start: h, End: h.Add(1), Spread: intensity.Spread{Half: -0.1}}}, nil, "half-width -0.1"},
		{"no common step", nil, []*intensity.Slot{good, slot(good.End.Add(1), good.End.Add(2), 1)}, "no common step"},
		{"beyond the clock", nil, []*intensity.Slot{slot(at("3000-01-01T00:00:00Z"), at("3001-01-01T00:00:00Z"), 1)}, "out of range"},
		{"fine slots for ever", nil, years(), "no common step"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := intensity.NewGrid(c.coarse, c.fine)
			require.ErrorIs(t, err, intensity.KindMalformed)
			assert.ErrorContains(t, err, c.text)
		})
	}
	_, err := intensity.NewGrid([]*intensity.Slot{slot(h, h.Add(1), 0), slot(h.Add(1), h.Add(2), 5000)}, nil)
	require.NoError(t, err, "0 and 5000 are legal")
}

type part struct {
	grams, joules float64 // grams -1: no slot
}

func parts(h *intensity.Handle, from, to time.Time, joules float64) []part {
	var all []part
	h.Each(from, to, joules, func(s *intensity.Slot, j float64) {
		if s == nil {
			all = append(all, part{-1, j})
			return
		}
		all = append(all, part{s.GramsPerKWh, j})
	})
	return all
}

func TestEach(t *testing.T) {
	h := noon(t)
	for _, c := range []struct {
		name     string
		from, to string
		joules   float64
		want     []part
	}{
		{"inside a slot nothing is cut", "2026-06-01T12:00:00Z", "2026-06-01T12:30:00Z", 10, []part{{100, 10}}},
		// 20 of 60 min at 100, 30 at 120, 10 in the hole.
		{"cut at every border", "2026-06-01T12:10:00Z", "2026-06-01T13:10:00Z", 60, []part{{100, 20}, {120, 30}, {200, 10}}},
		{"one slot on two steps is one part", "2026-06-01T14:00:00Z", "2026-06-01T15:00:00Z", 7, []part{{140, 7}}},
		// 11:00 to 16:00 is 300 min: 60 before, 30, 30, 60 hole, 60, 60 after.
		{
			"table, fine, table, fine, table", "2026-06-01T11:00:00Z", "2026-06-01T16:00:00Z", 300,
			[]part{{200, 60}, {100, 30}, {120, 30}, {200, 60}, {140, 60}, {200, 60}},
		},
		{"over new year", "2025-12-31T23:59:50Z", "2026-01-01T00:00:05Z", 15, []part{{300, 10}, {200, 5}}},
		{"no length belongs to the end", "2026-06-01T12:30:00Z", "2026-06-01T12:30:00Z", 5, []part{{120, 5}}},
		{"reversed belongs to the end", "2026-06-01T14:30:00Z", "2026-06-01T12:00:00Z", 5, []part{{100, 5}}},
		{"no energy still meets its slots", "2026-06-01T12:00:00Z", "2026-06-01T13:00:00Z", 0, []part{{100, 0}, {120, 0}}},
		{"before and after the clock's range", "0001-01-01T00:00:00Z", "0500-01-01T00:00:00Z", 5, []part{{400, 5}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := parts(h, at(c.from), at(c.to), c.joules)
			require.Len(t, got, len(c.want))
			for i := range got {
				assert.InDelta(t, c.want[i].grams, got[i].grams, 0)
				assert.InDelta(t, c.want[i].joules, got[i].joules, 1e-12)
			}
		})
	}
}

func TestEachReportsWhatNoSlotCovers(t *testing.T) {
	h := at("2026-06-01T12:00:00Z")
	live := handle(t, nil, []*intensity.Slot{slot(h, h.Add(time.Hour), 100), slot(h.Add(2*time.Hour), h.Add(3*time.Hour), 200)})
	assert.Equal(t, []part{{-1, 10}, {100, 60}, {-1, 60}, {200, 60}, {-1, 10}},
		parts(live, h.Add(-10*time.Minute), h.Add(190*time.Minute), 200))
	var zero intensity.Handle
	assert.Equal(t, []part{{-1, 5}}, parts(&zero, h, h.Add(time.Hour), 5))
	assert.Equal(t, []part{{-1, 5}}, parts(&zero, h, h, 5))
}

func TestEachTakesNoImpossibleEnergy(t *testing.T) {
	h := noon(t)
	for _, j := range []float64{-1, math.NaN(), math.Inf(1), math.Inf(-1)} {
		assert.Empty(t, parts(h, at("2026-06-01T12:00:00Z"), at("2026-06-01T13:00:00Z"), j), "%v J", j)
	}
}

func TestSeriesCoversTheInterval(t *testing.T) {
	g := noon(t).Grid()
	from, to := at("2026-06-01T11:00:00Z"), at("2026-06-01T14:30:00Z")
	s := g.Series(from, to, nil)
	require.NoError(t, s.Check())
	require.Len(t, s.Slots, 5)
	assert.Equal(t, from, s.Slots[0].Start, "cut at the beginning")
	assert.Equal(t, at("2026-06-01T12:00:00Z"), s.Slots[0].End, "cut where a fine slot lies over it")
	assert.Same(t, g.Slot(at("2026-06-01T12:00:00Z")), s.Slots[1], "a whole slot is not copied")
	assert.Equal(t, to, s.Slots[4].End, "cut at the end")
	assert.Empty(t, s.Gaps)
	require.NoError(t, s.Err())

	empty := g.Series(to, from, nil)
	require.NoError(t, empty.Check())
	assert.Empty(t, empty.Slots)

	start, end := intensity.Always()
	all := g.Series(start, end, nil)
	require.NoError(t, all.Check())
	assert.Equal(t, end, all.Slots[len(all.Slots)-1].End)

	h := at("2026-06-01T12:00:00Z")
	holes := handle(t, []*intensity.Slot{slot(h, h.Add(time.Hour), 1)}, nil).Grid().Series(h.Add(-time.Hour), h.Add(2*time.Hour), intensity.KindTooOld)
	require.NoError(t, holes.Check())
	require.Len(t, holes.Gaps, 2)
	require.ErrorIs(t, holes.Err(), intensity.KindTooOld)
}

func TestSeriesCheckRefuses(t *testing.T) {
	h := at("2026-06-01T12:00:00Z")
	good := slot(h, h.Add(time.Hour), 1)
	for name, s := range map[string]intensity.Series{
		"a hole that is no gap":  {From: h, To: h.Add(2 * time.Hour), Slots: []*intensity.Slot{good}},
		"a slot outside":         {From: h.Add(1), To: h.Add(time.Hour), Slots: []*intensity.Slot{good}},
		"an end that sticks out": {From: h, To: h.Add(time.Minute), Slots: []*intensity.Slot{good}},
		"a gap over a slot": {
			From: h, To: h.Add(time.Hour), Slots: []*intensity.Slot{good},
			Gaps: []intensity.Gap{{Start: h, End: h.Add(time.Hour)}},
		},
		"a gap without length": {From: h, To: h, Gaps: []intensity.Gap{{Start: h, End: h}}},
	} {
		require.ErrorIs(t, s.Check(), intensity.KindMalformed, name)
	}
	require.ErrorIs(t, intensity.Series{Gaps: []intensity.Gap{{}}}.Err(), intensity.KindNoData)
}

// Any use over any slots: parts in order add up to the whole, none is negative,
// and consecutive parts belong to different slots.
func TestEachConservesEnergy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, _ := randomGrid(t)
		from := randomTime(t, "from")
		to := from.Add(time.Duration(rapid.Int64Range(-1e9, 60*int64(time.Hour)).Draw(t, "length")))
		joules := rapid.Float64Range(0, 1e12).Draw(t, "joules")
		var sum float64
		calls := 0
		var last *intensity.Slot
		g.Each(from, to, joules, func(s *intensity.Slot, j float64) {
			if j < 0 || math.IsNaN(j) {
				t.Fatalf("part %d is %v J", calls, j)
			}
			if calls > 0 && s == last {
				t.Fatalf("parts %d and %d are the same slot", calls-1, calls)
			}
			last = s
			sum += j
			calls++
		})
		if calls == 0 {
			t.Fatal("nothing was yielded")
		}
		if ulp := math.Nextafter(joules, math.Inf(1)) - joules; math.Abs(sum-joules) > ulp {
			t.Fatalf("%d parts add up to %v of %v J", calls, sum, joules)
		}
	})
}

// The grid answers like a plain search through the slots.
func TestGridAnswersLikeASearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, lists := randomGrid(t)
		when := randomTime(t, "when")
		var want *intensity.Slot
		for _, list := range lists { // fine last: it lies over the coarse one
			for _, s := range list {
				if !when.Before(s.Start) && when.Before(s.End) {
					want = s
				}
			}
		}
		if got := g.Slot(when); got != want {
			t.Fatalf("at %v: got %+v, want %+v", when, got, want)
		}
	})
}

func randomTime(t *rapid.T, label string) time.Time {
	return time.Unix(1_780_000_000, 0).UTC().Add(time.Duration(rapid.Int64Range(0, 72*int64(time.Hour)).Draw(t, label)))
}

func randomGrid(t *rapid.T) (*intensity.Grid, [][]*intensity.Slot) {
	draw := func(label string, step time.Duration) []*intensity.Slot {
		begin := time.Unix(1_780_000_000, 0).UTC().Add(time.Duration(rapid.Int64Range(0, 20).Draw(t, label+" begin")) * time.Hour)
		var list []*intensity.Slot
		for _, n := range rapid.SliceOfN(rapid.IntRange(-3, 5), 0, 8).Draw(t, label) {
			length := time.Duration(max(n, -n)) * step
			if n > 0 {
				list = append(list, slot(begin, begin.Add(length), float64(len(list))))
			}
			begin = begin.Add(length) // a negative number is a gap
		}
		return list
	}
	lists := [][]*intensity.Slot{draw("coarse", 4*time.Hour), draw("fine", 30*time.Minute)}
	g, err := intensity.NewGrid(lists[0], lists[1])
	if err != nil {
		t.Fatal(err)
	}
	return g, lists
}

func FuzzEach(f *testing.F) {
	f.Add(int64(1_780_000_000), int64(0), int64(10), int64(0), 100.0)
	f.Add(int64(math.MaxInt64), int64(0), int64(math.MinInt64), int64(0), 1.0)
	f.Add(int64(math.MinInt64), int64(-5), int64(math.MaxInt64), int64(7), 1e300)
	f.Add(int64(0), int64(0), int64(0), int64(0), math.NaN())
	f.Fuzz(func(t *testing.T, fromSec, fromNs, toSec, toNs int64, joules float64) {
		h := noon(t)
		from, to := time.Unix(fromSec, fromNs), time.Unix(toSec, toNs)
		var sum float64
		h.Each(from, to, joules, func(s *intensity.Slot, j float64) {
			if s == nil || !(j >= 0) {
				t.Fatalf("%+v gets %v J", s, j)
			}
			sum += j
		})
		if joules >= 0 && !math.IsInf(joules, 0) && math.Abs(sum-joules) > math.Nextafter(joules, math.Inf(1))-joules {
			t.Fatalf("parts add up to %v of %v J", sum, joules)
		}
		e := intensity.Integrate([]intensity.Use{{Start: from, End: to, Joules: joules}}, h.Grid().Series(from, to, nil))
		if math.IsNaN(e.Grams) || e.Grams < 0 || math.IsNaN(e.Half) || e.Uncovered < 0 {
			t.Fatalf("integral is %+v", e)
		}
	})
}

func TestReadersSeeOldOrNew(t *testing.T) {
	h := noon(t)
	when := at("2026-06-01T12:00:00Z")
	old := h.Grid()
	other := handle(t, []*intensity.Slot{slot(when, when.Add(time.Hour), 7)}, nil).Grid()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 2000 {
				if s := h.Peek(when); s.GramsPerKWh != 100 && s.GramsPerKWh != 7 {
					t.Errorf("Peek = %v", s.GramsPerKWh)
				}
				var sum float64
				h.Each(when, when.Add(time.Hour), 60, func(_ *intensity.Slot, j float64) { sum += j })
				if sum != 60 {
					t.Errorf("Each gives %v of 60 J", sum)
				}
			}
		})
	}
	wg.Go(func() {
		for range 2000 {
			h.Set(other)
			h.Set(old)
		}
	})
	wg.Wait()
}

func TestHotPathAllocatesNothing(t *testing.T) {
	h, empty := noon(t), &intensity.Handle{}
	from, to := at("2026-06-01T12:10:00Z"), at("2026-06-01T13:10:00Z")
	var grams, joules float64
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		grams += h.Peek(from).GramsPerKWh
		h.Each(from, to, 60, func(s *intensity.Slot, j float64) {
			grams += j * s.GramsPerKWh
			joules += j
		})
		empty.Each(from, to, 60, func(_ *intensity.Slot, j float64) { joules += j })
	}))
}

func BenchmarkPeek(b *testing.B) {
	h := noon(b)
	for name, when := range map[string]time.Time{"live": at("2026-06-01T12:40:00Z"), "table": at("2026-07-01T00:00:00Z"), "old": at("2024-07-01T00:00:00Z")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if h.Peek(when) == nil {
					b.Fatal("no slot")
				}
			}
		})
	}
}

func BenchmarkEach(b *testing.B) {
	h := noon(b)
	for name, when := range map[string]time.Time{"one_slot": at("2026-07-01T00:00:00Z"), "two_slots": at("2026-06-01T12:29:55Z")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var grams float64
			to := when.Add(10 * time.Second)
			for b.Loop() {
				h.Each(when, to, 100, func(s *intensity.Slot, j float64) { grams += j * s.GramsPerKWh })
			}
		})
	}
}
