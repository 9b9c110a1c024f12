package intensity_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// ranges is a Source that has slots and notes what it is asked for.
type ranges struct {
	intensity.Source
	slots []*intensity.Slot
	fail  func(call int) error
	asked []string
}

func (r *ranges) Range(_ context.Context, _ intensity.Query, from, to time.Time) (intensity.Series, error) {
	r.asked = append(r.asked, fmt.Sprintf("%.5g-%.5g", from.Sub(hour(0)).Hours(), to.Sub(hour(0)).Hours()))
	if r.fail != nil {
		if err := r.fail(len(r.asked)); err != nil {
			return intensity.Series{}, err
		}
	}
	g, err := intensity.NewGrid(r.slots, nil)
	if err != nil {
		return intensity.Series{}, err
	}
	return g.Series(from, to, intensity.KindNoData), nil
}

// behind makes the slots of a table that a chain has put behind a live provider.
func behind(slots []*intensity.Slot) []*intensity.Slot {
	for _, s := range slots {
		s.Flags |= intensity.FellBack
		s.Origin.Depth = 1
	}
	return slots
}

// around lays live slots over a table, as a chain does.
func around(t *testing.T, live intensity.Series, table []*intensity.Slot) []*intensity.Slot {
	t.Helper()
	g, err := intensity.NewGrid(table, live.Slots)
	require.NoError(t, err)
	start, end := intensity.Always()
	return g.Series(start, end, nil).Slots
}

func kWh(from, to int) intensity.Use {
	return intensity.Use{Start: hour(from), End: hour(to), Joules: 3.6e6 * float64(to-from)}
}

func TestIntegrateFrom(t *testing.T) {
	// A day at 10 g, of which hour 2 at 77; then 100, three hours of nothing, 400, 500.
	day := slices.Repeat([]float64{10}, 24)
	day[2] = 77
	live := measured(hours(append(day, 100, -1, -1, -1, 400, 500)...))
	for _, c := range []struct {
		name  string
		slots []*intensity.Slot
		use   intensity.Use
		rules intensity.Rules
		asked []string
		grams float64
		share float64
		left  float64 // kWh uncovered
	}{
		{
			name: "without gaps one question, and no margin", slots: live.Slots, use: kWh(23, 25),
			asked: []string{"23-25"}, grams: 110,
		},
		{
			// 100 + 100 (before) + 77 (hour 2 of the day before) + 400 (after) + 400.
			name: "gaps by rules", slots: live.Slots, use: kWh(24, 29),
			asked: []string{"24-29", "0-30"}, grams: 1077, share: 0.6,
		},
		{
			// Only the middle of the gap is asked for, and its neighbors lie outside: they are looked for all the same.
			name: "neighbors outside", slots: live.Slots, use: kWh(25, 26),
			asked: []string{"25-26", "1-27"}, grams: 100, share: 1,
		},
		{
			name: "what no rule covers is reported", slots: live.Slots, use: kWh(24, 29), rules: intensity.Rules{NoDayBefore: true},
			asked: []string{"24-29", "23-30"}, grams: 1000, share: 0.4, left: 1,
		},
		{
			name: "the caller's fallback", slots: live.Slots, use: kWh(24, 29), rules: intensity.Rules{NoDayBefore: true, Fallback: annual(300)},
			asked: []string{"24-29", "23-30"}, grams: 1300, share: 0.6,
		},
		{
			name: "a table behind waits for the other rules", slots: around(t, live, behind(annual(300))), use: kWh(24, 29),
			asked: []string{"24-29", "0-30"}, grams: 1077, share: 0.6,
		},
		{
			name: "and then stands in", slots: around(t, live, behind(annual(300))), use: kWh(24, 29), rules: intensity.Rules{NoDayBefore: true},
			asked: []string{"24-29", "23-30"}, grams: 1300, share: 0.6,
		},
		{
			name: "a table that comes first is the answer", slots: annual(300), use: kWh(24, 29),
			asked: []string{"24-29"}, grams: 1500,
		},
		{
			name: "a use without length", slots: live.Slots, use: intensity.Use{Start: hour(24), End: hour(24), Joules: 3.6e6},
			asked: []string{"24-24"}, grams: 100,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := &ranges{slots: c.slots}
			got, err := intensity.IntegrateFrom(t.Context(), src, intensity.Query{}, []intensity.Use{c.use}, c.rules)
			require.NoError(t, err)
			assert.InDelta(t, c.grams, got.Grams, 1e-9)
			assert.InDelta(t, c.share, got.FilledShare(), 1e-12)
			assert.InDelta(t, c.left, got.Uncovered/3.6e6, 1e-9)
			assert.Equal(t, c.asked, src.asked)
		})
	}
}

func TestIntegrateFromNothing(t *testing.T) {
	src := &ranges{}
	for _, uses := range [][]intensity.Use{nil, {{Start: hour(0), End: hour(1), Joules: math.NaN()}, {Start: hour(0), End: hour(1), Joules: -1}}} {
		got, err := intensity.IntegrateFrom(t.Context(), src, intensity.Query{}, uses, intensity.Rules{})
		require.NoError(t, err)
		assert.Zero(t, got)
	}
	assert.Empty(t, src.asked)
}

func TestIntegrateFromReportsFailures(t *testing.T) {
	down := &intensity.Error{Kind: intensity.KindUpstream, Provider: "em", Detail: "down"}
	uses := []intensity.Use{kWh(0, 2), kWh(3, 4)}

	src := &ranges{fail: func(int) error { return down }}
	got, err := intensity.IntegrateFrom(t.Context(), src, intensity.Query{}, uses, intensity.Rules{})
	require.ErrorIs(t, err, intensity.KindUpstream)
	assert.InDelta(t, 3*3.6e6, got.Uncovered, 1e-6)
	assert.Equal(t, []string{"0-4", "-24-5"}, src.asked)

	got, err = intensity.IntegrateFrom(t.Context(), src, intensity.Query{}, uses, intensity.Rules{Fallback: annual(300)})
	require.ErrorIs(t, err, intensity.KindUpstream, "although all is priced")
	assert.InDelta(t, 900, got.Grams, 1e-9)
	assert.Zero(t, got.Uncovered)

	// What the first answer has is kept if the second fails, and the other way round.
	for failing, want := range map[int]float64{1: 200, 2: 200} {
		src = &ranges{slots: measured(hours(100)).Slots, fail: func(call int) error {
			if call%2 == failing%2 {
				return down
			}
			return nil
		}}
		got, err = intensity.IntegrateFrom(t.Context(), src, intensity.Query{}, uses, intensity.Rules{})
		require.NoError(t, err)
		assert.InDelta(t, want, got.Grams, 1e-9, "100 g, and 100 g by the neighbor")
		assert.InDelta(t, 3.6e6, got.Uncovered, 1e-6)
	}

	ctx, cancel := context.WithCancel(t.Context())
	src = &ranges{fail: func(int) error { cancel(); return ctx.Err() }}
	got, err = intensity.IntegrateFrom(ctx, src, intensity.Query{}, uses, intensity.Rules{})
	require.ErrorIs(t, err, context.Canceled)
	assert.InDelta(t, 3*3.6e6, got.Uncovered, 1e-6)
	assert.Len(t, src.asked, 1)

	q := intensity.Query{Want: intensity.Basis{Boundary: intensity.Direct}}
	got, err = intensity.IntegrateFrom(t.Context(), &ranges{}, q, uses, intensity.Rules{Fallback: annual(300)})
	require.ErrorIs(t, err, intensity.KindBasis)
	require.EqualError(t, err, "wanted basis not offered: the fallback is any, wanted is direct")
	assert.InDelta(t, 3*3.6e6, got.Uncovered, 1e-6)

	broken := &ranges{slots: measured(hours(100)).Slots}
	_, err = intensity.IntegrateFrom(t.Context(), broken, intensity.Query{}, uses, intensity.Rules{HalfWidths: intensity.HalfWidths{Yearly: -1}})
	require.ErrorIs(t, err, intensity.KindConfig)
}
