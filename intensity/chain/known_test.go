package chain_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/chain"
)

func recaller(t testing.TB, src intensity.Source) intensity.Recaller {
	t.Helper()
	r, ok := src.(intensity.Recaller)
	require.True(t, ok)
	return r
}

// one asks for the hour that begins at a moment, and for nothing else.
func one(t *testing.T, src intensity.Source, start time.Time) (*intensity.Slot, bool) {
	t.Helper()
	began := time.Now()
	s, open, err := recaller(t, src).Known(france(), start, start.Add(time.Hour))
	require.NoError(t, err)
	require.NoError(t, s.Check())
	require.Len(t, s.Slots, 1)
	assert.Equal(t, began, time.Now(), "it does not wait")
	return s.Slots[0], open
}

// The hour from 02:00 three days ago: 102 g/kWh, but that of the table until it is known.
func TestALatePointGetsTheValueOfItsTime(t *testing.T) {
	live := newUpstream("live")
	live.wait = 2 * time.Second
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		h, err := src.Handle(france())
		require.NoError(t, err)
		time.Sleep(time.Minute)
		n := len(live.requests())
		hour := noon().Add(-82 * time.Hour)
		assert.Equal(t, "table", h.Peek(hour).Origin.Provider, "the last day is what a Handle has by itself")
		slot, open := one(t, src, hour)
		assert.Equal(t, "table", slot.Origin.Provider)
		assert.NotZero(t, slot.Flags&intensity.FellBack)
		assert.True(t, open)
		for range 100 { // however often
			one(t, src, hour)
		}
		time.Sleep(3 * time.Second)
		slot, open = one(t, src, hour)
		assert.Equal(t, "live", slot.Origin.Provider)
		assert.InDelta(t, 102, slot.GramsPerKWh, 0)
		assert.False(t, open, "it has been measured")
		assert.InDelta(t, 102, h.Peek(hour).GramsPerKWh, 0)
		assert.Len(t, live.requests(), n+1)
	}, live, yearly(lifecycle()))
}

// settling is an upstream whose values are preliminary until they are a day old, and 10
// g/kWh less from then on.
type settling struct{ *upstream }

func (s settling) Fetch(ctx context.Context, zone string, from, to time.Time) (intensity.Series, error) {
	series, err := s.upstream.Fetch(ctx, zone, from, to)
	for i, slot := range series.Slots {
		own := *slot
		own.Quality = intensity.Preliminary
		if time.Since(own.End) > s.caps.Settle {
			own.Quality, own.GramsPerKWh = intensity.Measured, own.GramsPerKWh-10
		}
		series.Slots[i] = &own
	}
	return series, err
}

// What is to be revised is open until it has been, and who asks each hour is told within
// two days: it is asked for again when it has settled, and a day after the last time.
func TestAPreliminaryValueIsOpenUntilItHasSettled(t *testing.T) {
	live := newUpstream("live")
	live.caps.Settle = 36 * time.Hour
	type change struct{ from, to time.Time }
	var mu sync.Mutex
	var changes []change
	var handle *intensity.Handle
	hooks := chain.Hooks{Changed: func(h *intensity.Handle, from, to time.Time) {
		mu.Lock()
		defer mu.Unlock()
		handle, changes = h, append(changes, change{from, to})
	}}
	at(t, chain.Config{Hooks: hooks}, func(t *testing.T, src intensity.Source) {
		h, err := src.Handle(france())
		require.NoError(t, err)
		synctest.Wait()
		hour := noon().Add(-2 * time.Hour)
		slot, open := one(t, src, hour)
		assert.InDelta(t, 110, slot.GramsPerKWh, 0)
		assert.Equal(t, intensity.Preliminary, slot.Quality)
		assert.True(t, open)
		mu.Lock()
		assert.Same(t, h, handle)
		// The last day in whole hours, and the one that runs.
		assert.Equal(t, []change{{noon().Add(-24 * time.Hour), noon().Add(time.Hour)}}, changes)
		mu.Unlock()
		for open && time.Since(begin()) < 100*time.Hour {
			time.Sleep(time.Hour)
			h.Peek(time.Now())
			slot, open = one(t, src, hour)
		}
		assert.InDelta(t, 100, slot.GramsPerKWh, 0)
		assert.Equal(t, intensity.Measured, slot.Quality)
		assert.NotZero(t, slot.Flags&intensity.Revised)
		// The last hourly request with it was at about 10:10 the day after. A day later its end is 47 h old.
		assert.InDelta(t, 47*time.Hour, time.Since(begin()), float64(3*time.Hour))
		assert.InDelta(t, 100, h.Peek(hour).GramsPerKWh, 0)
		mu.Lock()
		defer mu.Unlock()
		told := false
		for _, c := range changes[1:] {
			told = told || !c.from.After(hour) && !c.to.Before(hour.Add(time.Hour))
		}
		assert.True(t, told)
	}, settling{live}, yearly(lifecycle()))
}

// A provider that estimates for ever has been asked for the last time a day after the
// hour, and what it has not at all likewise.
func TestWhatTheProviderNeverKnowsIsNotOpenForEver(t *testing.T) {
	for name, gram := range map[string]func(time.Time) float64{
		"estimated": nil,
		"nothing":   func(time.Time) float64 { return -1 },
	} {
		t.Run(name, func(t *testing.T) {
			live := &estimator{upstream: newUpstream("live"), est: true}
			live.gram = gram
			live.caps.Settle = 0
			at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
				hour := noon().Add(-2 * time.Hour)
				_, open := one(t, src, hour)
				assert.True(t, open)
				for open && time.Since(begin()) < 100*time.Hour {
					time.Sleep(time.Hour)
					_, open = one(t, src, hour)
				}
				// Asked for at 12:10. Its end is 11:00, so from 11:00 tomorrow on an answer is the last; it
				// is asked for a day after the first time, or, where there was none, each 15 minutes of its
				// first day if somebody wants it, which is each hour here.
				assert.LessOrEqual(t, time.Since(begin()), 26*time.Hour)
				n := len(live.requests())
				assert.LessOrEqual(t, n, 26)
				one(t, src, hour)
				time.Sleep(time.Minute)
				assert.Len(t, live.requests(), n, "what is settled is not asked for")
			}, live, yearly(lifecycle()))
		})
	}
}

// Nor is what takes several requests, of which the newest comes first.
func TestThatSeveralRequestsBringNothingIsKnown(t *testing.T) {
	live := newUpstream("live")
	live.caps.MaxSpan = 24 * time.Hour
	live.gram = func(time.Time) float64 { return -1 }
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		to := noon().Add(-10 * 24 * time.Hour)
		ask := func() bool {
			_, open, err := recaller(t, src).Known(france(), to.Add(-72*time.Hour), to)
			require.NoError(t, err)
			return open
		}
		assert.True(t, ask())
		time.Sleep(time.Minute)
		assert.False(t, ask())
		assert.Len(t, live.requests(), 3)
	}, live, yearly(lifecycle()))
}

func TestWhatCannotBeKnownIsNotOpen(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(u *upstream)
		zone string
	}{
		"out of reach":    {func(u *upstream) { u.caps.Depth = 24 * time.Hour }, "FR"},
		"not in the plan": {func(u *upstream) { u.fail = failing("live", intensity.KindPlan, 0) }, "FR"},
		"no such place":   {func(*upstream) {}, "NOWHERE"},
	} {
		t.Run(name, func(t *testing.T) {
			live := newUpstream("live")
			c.set(live)
			at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
				q, hour := zoneq(c.zone), noon().Add(-82*time.Hour)
				_, open, err := recaller(t, src).Known(q, hour, hour.Add(time.Hour))
				require.NoError(t, err)
				assert.True(t, open, "nobody was asked yet")
				time.Sleep(time.Second)
				_, open, err = recaller(t, src).Known(q, hour, hour.Add(time.Hour))
				require.NoError(t, err)
				time.Sleep(time.Second)
				if open { // now that there is a zone
					_, open, err = recaller(t, src).Known(q, hour, hour.Add(time.Hour))
					require.NoError(t, err)
				}
				assert.False(t, open)
			}, live, yearly(lifecycle()))
		})
	}
}

func TestKnownOfTables(t *testing.T) {
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		slot, open := one(t, src, noon())
		assert.InDelta(t, 300, slot.GramsPerKWh, 0)
		assert.False(t, open)
	}, yearly(lifecycle()))
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		_, open, err := recaller(t, src).Known(france(), noon().Add(-2*time.Hour), noon())
		require.ErrorIs(t, err, intensity.KindNoData)
		assert.True(t, open)
		require.NoError(t, src.Close())
		_, _, err = recaller(t, src).Known(france(), noon(), noon().Add(time.Hour))
		require.ErrorIs(t, err, chain.ErrClosed)
	}, newUpstream("live"))
}

// A limit that is used up delays what is wanted of the past, and loses none of it.
func TestWhatIsWantedOfThePastWaitsForTheRate(t *testing.T) {
	live := newUpstream("live")
	live.caps.Rate, live.caps.MaxSpan = intensity.Rate{Burst: 1, Per: time.Minute}, 24*time.Hour
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		_, err := src.At(t.Context(), france(), begin())
		require.NoError(t, err)
		hours := []time.Time{noon().Add(-100 * time.Hour), noon().Add(-200 * time.Hour), noon().Add(-300 * time.Hour)}
		for _, hour := range hours {
			one(t, src, hour)
		}
		time.Sleep(4 * time.Minute)
		for _, hour := range hours {
			slot, open := one(t, src, hour)
			assert.Equal(t, "live", slot.Origin.Provider)
			assert.False(t, open)
		}
		assert.Len(t, live.requests(), 4)
	}, live, yearly(lifecycle()))
}

func BenchmarkKnown(b *testing.B) {
	live := newUpstream("live")
	src, err := chain.New(chain.Config{}, live, yearly(lifecycle()))
	require.NoError(b, err)
	defer func() { require.NoError(b, src.Close()) }()
	hour := time.Now().Add(-5 * time.Hour).Truncate(time.Hour)
	_, err = src.At(b.Context(), france(), hour)
	require.NoError(b, err)
	r := recaller(b, src)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := r.Known(france(), hour, hour.Add(time.Hour)); err != nil {
			b.Fatal(err)
		}
	}
}

// foreseer never says anything but forecasts, as the Carbon Intensity API does of regions.
type foreseer struct{ *upstream }

func (p foreseer) Fetch(ctx context.Context, zone string, from, to time.Time) (intensity.Series, error) {
	s, err := p.upstream.Fetch(ctx, zone, from, to)
	for _, slot := range s.Slots {
		slot.Quality = intensity.Predicted
	}
	return s, err
}

// It is asked for what has happened each quarter of an hour if somebody wants to know, then
// once a day, and is not expected to know better for ever.
func TestWhatIsNeverMoreThanForeseen(t *testing.T) {
	live := newUpstream("live")
	at(t, chain.Config{MaxIdle: 30 * 24 * time.Hour}, func(t *testing.T, src intensity.Source) {
		hour := noon().Add(-2 * time.Hour)
		for range 20 {
			s, err := src.Range(t.Context(), france(), hour, hour.Add(time.Hour))
			require.NoError(t, err)
			require.Equal(t, intensity.Predicted, s.Slots[0].Quality)
			_, open := one(t, src, hour)
			assert.True(t, open)
			time.Sleep(time.Second)
		}
		assert.Len(t, live.requests(), 1)
		time.Sleep(15 * time.Minute)
		_, err := src.Range(t.Context(), france(), hour, hour.Add(time.Hour))
		require.NoError(t, err)
		assert.Len(t, live.requests(), 2)

		time.Sleep(96 * time.Hour) // settled after 72
		one(t, src, hour)
		time.Sleep(time.Second)
		for range 20 {
			_, open := one(t, src, hour)
			assert.False(t, open)
			time.Sleep(time.Minute)
		}
		assert.Len(t, live.requests(), 3)
	}, foreseer{live})
}
