package chain_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/chain"
)

func zoneq(z string) intensity.Query { return intensity.Query{Location: intensity.Location{Zone: z}} }

// A value that is in the cache does not wait for somebody else's request.
func TestPolicyWhatIsInTheCacheWaitsForNobody(t *testing.T) {
	live := newUpstream("live")
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		_, err := src.At(t.Context(), france(), begin())
		require.NoError(t, err)
		synctest.Wait()
		live.set(func(u *upstream) { u.wait = 20 * time.Second })
		go func() {
			_, _ = src.Range(t.Context(), france(), noon().Add(-240*time.Hour), noon().Add(-230*time.Hour))
		}()
		time.Sleep(time.Second)
		began := time.Now()
		_, err = src.At(t.Context(), france(), begin())
		require.NoError(t, err)
		assert.Zero(t, time.Since(began))
	}, live, yearly(lifecycle()))
}

// The pause doubles with each time that asking fails, not with each request of 20 in flight.
func TestPolicyRequestsThatFailTogetherCountOnce(t *testing.T) {
	live := newUpstream("live")
	live.wait = 5 * time.Second
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		live.set(func(u *upstream) { u.fail = failing("live", intensity.KindUpstream, 0) })
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() { _, _ = src.At(t.Context(), zoneq(fmt.Sprint("Z", i)), begin()) })
		}
		wg.Wait()
		live.set(func(u *upstream) { u.fail = nil; u.wait = 0 })
		time.Sleep(2 * time.Minute)
		_, err := src.At(t.Context(), zoneq("NEW"), begin())
		require.NoError(t, err, "the provider has been well for 2 minutes")
	}, live)
}

// Retry-After is not shortened by another answer.
func TestPolicyRetryAfterHoldsBesideShorterOnes(t *testing.T) {
	live := newUpstream("live")
	live.wait = time.Second
	live.fail = func(zone string) error {
		e := &intensity.Error{Kind: intensity.KindRate, Provider: "live"}
		if zone == "A" {
			e.RetryAfter = 10 * time.Minute
		}
		return e
	}
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		go func() { _, _ = src.At(t.Context(), zoneq("A"), begin()) }()
		time.Sleep(500 * time.Millisecond)
		_, _ = src.At(t.Context(), zoneq("B"), begin())
		last := time.Now()
		time.Sleep(5 * time.Minute)
		_, _ = src.At(t.Context(), zoneq("C"), begin())
		for _, r := range live.requests() {
			assert.False(t, r.at.After(last), "asked %v after 429 with Retry-After 10m", r.at.Sub(last))
		}
	}, live)
}

func TestPolicyAFailureOfThePastLeavesThePresent(t *testing.T) {
	live := newUpstream("live")
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		_, err := src.Handle(france())
		require.NoError(t, err)
		synctest.Wait()
		old := noon().Add(-50 * 24 * time.Hour)
		_, err = src.Range(t.Context(), france(), old, old.Add(time.Hour))
		require.NoError(t, err)
		live.set(func(u *upstream) { u.fail = failing("live", intensity.KindPlan, 0) })
		_, _ = src.Range(t.Context(), france(), old.Add(-time.Hour), old.Add(time.Hour))
		live.set(func(u *upstream) { u.fail = nil })
		series, err := src.Range(t.Context(), france(), noon().Add(2*time.Hour), noon().Add(3*time.Hour))
		require.NoError(t, err)
		require.Len(t, series.Slots, 1)
		assert.Zero(t, series.Slots[0].Flags&intensity.Stale, "no refresh has failed")
	}, live)
}

// What was asked last stays, also where the zone has as many slots as it may.
func TestPolicyOldValuesAreKept(t *testing.T) {
	live := &fine{upstream: newUpstream("live"), step: 5 * time.Minute}
	live.caps.Step = 5 * time.Minute
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		_, err := src.Range(t.Context(), france(), noon().Add(-70*24*time.Hour), noon())
		require.NoError(t, err)
		n := len(live.requests())
		for range 3 {
			_, err = src.At(t.Context(), france(), noon().Add(-100*24*time.Hour))
			require.NoError(t, err)
		}
		assert.LessOrEqual(t, len(live.requests())-n, 1)
	}, live)
}

// fine is an upstream with slots of another length, aligned to it.
type fine struct {
	*upstream
	step time.Duration
}

func (u *fine) Fetch(ctx context.Context, zone string, from, to time.Time) (intensity.Series, error) {
	u.mu.Lock()
	u.asked = append(u.asked, request{zone, time.Now(), from, to})
	u.mu.Unlock()
	now := time.Now().UTC()
	var slots []*intensity.Slot
	for x := from.UTC().Truncate(u.step); x.Before(to) && !x.After(now); x = x.Add(u.step) {
		s := u.slot(zone, x, 100, intensity.Measured)
		s.End = x.Add(u.step)
		slots = append(slots, s)
	}
	grid, err := intensity.NewGrid(slots, nil)
	if err != nil {
		return intensity.Series{}, err
	}
	return grid.Series(from, to, intensity.KindNotYet), nil
}

// An estimate of more than a day ago gives way to the measured value.
func TestPolicyAnOldEstimateIsCorrected(t *testing.T) {
	live := &estimator{upstream: newUpstream("live")}
	live.est = true
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		x := noon().Add(-30 * time.Hour)
		slot, err := src.At(t.Context(), france(), x)
		require.NoError(t, err)
		require.Equal(t, intensity.Estimated, slot.Quality)
		live.est = false
		time.Sleep(40 * 24 * time.Hour)
		slot, err = src.At(t.Context(), france(), x)
		require.NoError(t, err)
		assert.Equal(t, intensity.Measured, slot.Quality)
	}, live)
}

type estimator struct {
	*upstream
	est bool
}

func (e *estimator) Fetch(ctx context.Context, zone string, from, to time.Time) (intensity.Series, error) {
	s, err := e.upstream.Fetch(ctx, zone, from, to)
	for _, x := range s.Slots {
		if e.est {
			x.Quality = intensity.Estimated
		}
	}
	return s, err
}

// A forecast from the cache begins with the running slot, and is as long as was asked.
func TestPolicyAForecastBeginsNow(t *testing.T) {
	o := &oracle{upstream: newUpstream("live")}
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		time.Sleep(45 * time.Minute) // 12:55
		_, err := src.Forecast(t.Context(), france(), 10*time.Hour)
		require.NoError(t, err)
		time.Sleep(10 * time.Minute) // 13:05
		s, err := src.Forecast(t.Context(), france(), 10*time.Hour)
		require.NoError(t, err)
		assert.True(t, s.Slots[0].End.After(time.Now()), "begins with the slot %v to %v at %v", s.Slots[0].Start, s.Slots[0].End, time.Now().UTC())
		s, err = src.Forecast(t.Context(), france(), time.Hour)
		require.NoError(t, err)
		assert.LessOrEqual(t, len(s.Slots), 3, "an hour was asked for")
	}, o)
}

func TestPolicyAForecastOfTheSecondProviderSaysSo(t *testing.T) {
	first, o := newUpstream("first"), &oracle{upstream: newUpstream("live")}
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		s, err := src.Forecast(t.Context(), france(), 10*time.Hour)
		require.NoError(t, err)
		assert.NotZero(t, s.Slots[0].Flags&intensity.FellBack)
		assert.Equal(t, 1, s.Slots[0].Origin.Depth)
	}, first, o)
}

// That there is no forecast is remembered.
func TestPolicyARefusedForecastIsRemembered(t *testing.T) {
	o := &oracle{upstream: newUpstream("live"), err: &intensity.Error{Kind: intensity.KindNoData, Provider: "live"}}
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		for range 100 {
			_, err := src.Forecast(t.Context(), france(), 10*time.Hour)
			require.Error(t, err)
		}
		assert.Less(t, o.forecasts, 10)
	}, o)
}

// A value is carried forward from the newest only, not into each hole at the end of a range.
func TestPolicyAHoleIsOneWhereverTheRangeEnds(t *testing.T) {
	live := newUpstream("live")
	hole := noon().Add(-100 * time.Hour)
	live.gram = func(x time.Time) float64 {
		if x.Equal(hole) {
			return -1
		}
		return 50
	}
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		a, err := src.Range(t.Context(), france(), hole.Add(-2*time.Hour), hole.Add(2*time.Hour))
		require.NoError(t, err)
		require.Len(t, a.Gaps, 1)
		b, err := src.Range(t.Context(), france(), hole.Add(-2*time.Hour), hole.Add(time.Hour))
		require.NoError(t, err)
		assert.Len(t, b.Gaps, 1, "the same hole")
	}, live)
}

// late has a value two hours after its end.
type late struct{ *oracle }

func (l *late) Fetch(ctx context.Context, zone string, from, to time.Time) (intensity.Series, error) {
	s, err := l.upstream.Fetch(ctx, zone, from, to)
	if err != nil {
		return s, err
	}
	var kept []*intensity.Slot
	for _, x := range s.Slots {
		if x.End.Before(time.Now().Add(-2 * time.Hour)) {
			kept = append(kept, x)
		}
	}
	g, _ := intensity.NewGrid(kept, nil)
	return g.Series(from, to, intensity.KindNotYet), nil
}

func TestPolicyBetweenTheSeenAndTheForeseen(t *testing.T) {
	l := &late{&oracle{upstream: newUpstream("live")}}
	l.caps.Horizon, l.caps.Latency = 24*time.Hour, 2*time.Hour
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		h, err := src.Handle(france())
		require.NoError(t, err)
		synctest.Wait()
		slot := h.Peek(begin().Add(-time.Hour)) // neither seen yet nor foreseen any more
		assert.Equal(t, "live", slot.Origin.Provider, "11:10 is an hour behind the newest value that was seen")
	}, l, yearly(lifecycle()))
}

// Nothing is carried forward from a forecast.
func TestPolicyAForecastIsNotCarriedForward(t *testing.T) {
	o := &oracle{upstream: newUpstream("live")}
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		_, err := src.Forecast(t.Context(), france(), 10*time.Hour) // to 23:00
		require.NoError(t, err)
		o.set(func(u *upstream) { u.fail = failing("live", intensity.KindUpstream, 0) })
		time.Sleep(time.Until(noon().Add(15 * time.Hour)))
		slot, err := src.At(t.Context(), france(), time.Now())
		require.NoError(t, err)
		assert.Equal(t, "table", slot.Origin.Provider, "15 h after anything came, and max_stale is 6 h: %v %v", slot.Quality, slot.Flags)
	}, o, yearly(lifecycle()))
}

// slowResolver counts how often it is asked for a zone.
type slowResolver struct {
	*upstream
	n       int
	resolve func() error
}

func (s *slowResolver) Resolve(ctx context.Context, l intensity.Location) (string, error) {
	s.mu.Lock()
	s.n++
	s.mu.Unlock()
	if s.resolve != nil {
		if err := s.resolve(); err != nil {
			return "", err
		}
	}
	return "S", nil
}

func TestPolicyResolveOfTheSecondDoesNotHoldUpTheFirst(t *testing.T) {
	first, second := newUpstream("first"), &slowResolver{upstream: newUpstream("second")}
	second.resolve = func() error {
		time.Sleep(20 * time.Second)
		return &intensity.Error{Kind: intensity.KindUpstream, Provider: "second"}
	}
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		_, err := src.At(t.Context(), france(), begin())
		require.NoError(t, err)
		time.Sleep(45 * time.Second)
		began := time.Now()
		_, err = src.At(t.Context(), france(), begin())
		require.NoError(t, err)
		assert.Less(t, time.Since(began), time.Second, "it is in the cache")
	}, first, second)
}

// A place is found by one provider after the other, each when it is its turn to be asked.
func TestPolicyResolveThatHangsDoesNotHoldUpTheFirst(t *testing.T) {
	for name, ask := range map[string]func(*testing.T, intensity.Source){
		"at": func(t *testing.T, src intensity.Source) {
			slot, err := src.At(within(t, 5*time.Second), france(), begin())
			require.NoError(t, err)
			assert.Equal(t, "first", slot.Origin.Provider)
		},
		"forecast": func(t *testing.T, src intensity.Source) {
			_, err := src.Forecast(within(t, 5*time.Second), france(), time.Hour)
			require.NoError(t, err)
		},
		"handle": func(t *testing.T, src intensity.Source) {
			h, err := src.Handle(france())
			require.NoError(t, err)
			time.Sleep(5 * time.Second)
			slot := h.Peek(time.Now())
			require.NotNil(t, slot)
			assert.Equal(t, "first", slot.Origin.Provider)
		},
		"known": func(t *testing.T, src intensity.Source) {
			hour := noon().Add(-2 * time.Hour)
			one := func() (intensity.Series, bool) {
				s, open, _ := recaller(t, src).Known(france(), hour, hour.Add(time.Hour))
				return s, open
			}
			_, open := one()
			assert.True(t, open)
			time.Sleep(5 * time.Second)
			s, open := one()
			require.Len(t, s.Slots, 1)
			assert.False(t, open, "it has been measured, whatever the second would say")
		},
	} {
		t.Run(name, func(t *testing.T) {
			first, second := &oracle{upstream: newUpstream("first")}, &slowResolver{upstream: newUpstream("second")}
			first.caps.Horizon = 24 * time.Hour
			second.resolve = func() error {
				time.Sleep(20 * time.Second)
				return &intensity.Error{Kind: intensity.KindUpstream, Provider: "second"}
			}
			at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
				ask(t, src)
				time.Sleep(20 * time.Second)
			}, first, second)
		})
	}
}

func TestPolicyResolveKeepsTheLimit(t *testing.T) {
	s := &slowResolver{upstream: newUpstream("live")}
	s.caps.Rate = intensity.Rate{Burst: 2, Per: time.Minute}
	s.resolve = func() error {
		return &intensity.Error{Kind: intensity.KindRate, Provider: "live", RetryAfter: 10 * time.Minute}
	}
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		for i := range 200 {
			_, _ = src.At(t.Context(), zoneq(fmt.Sprint(i)), begin())
		}
		assert.LessOrEqual(t, s.n, 2)
	}, s)
}

func TestPolicyOneProvidersLimitDoesNotHoldUpAnother(t *testing.T) {
	slow, quick := newUpstream("slow"), newUpstream("quick")
	slow.caps.Rate = intensity.Rate{Burst: 1, Per: 72 * time.Second}
	slow.caps.ID = "slow"
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		for i := range 40 {
			_, err := src.Handle(zoneq(fmt.Sprint("Z", i)))
			require.NoError(t, err)
		}
		time.Sleep(5 * time.Minute)
		// In 5 minutes slow has its turn for 5 of them; those that wait for more than one are asked
		// of the other.
		assert.GreaterOrEqual(t, len(quick.requests()), 35, "quick has no limit")
	}, slow, quick)
}

func TestPolicyHostsAskAtDifferentMoments(t *testing.T) {
	var when []time.Time
	for range 2 {
		live := newUpstream("live")
		at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
			_, err := src.Handle(france())
			require.NoError(t, err)
			time.Sleep(90 * time.Minute)
			r := live.requests()
			when = append(when, r[len(r)-1].at)
		}, live)
	}
	assert.NotEqual(t, when[0], when[1], "two hosts")
}

func TestPolicyTheStoreDoesNotCrossBases(t *testing.T) {
	store, err := chain.NewFileStore(t.TempDir())
	require.NoError(t, err)
	at(t, chain.Config{Store: store}, func(t *testing.T, src intensity.Source) {
		_, err := src.At(t.Context(), france(), begin())
		require.NoError(t, err)
	}, newUpstream("live"))
	direct := lifecycle()
	direct.Boundary = intensity.Direct
	down := newUpstream("live")
	down.caps.Bases = []intensity.Basis{direct}
	down.fail = failing("live", intensity.KindUpstream, 0)
	at(t, chain.Config{Store: store}, func(t *testing.T, src intensity.Source) {
		slot, err := src.At(t.Context(), france(), begin())
		if err == nil {
			assert.Equal(t, direct, slot.Basis, "the provider is configured for direct emissions only")
		}
	}, down)
}

// short answers without an error and without a value.
type short struct{ *upstream }

func (s *short) Fetch(_ context.Context, zone string, from, to time.Time) (intensity.Series, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, request{zone, time.Now(), from, to})
	return intensity.Series{From: from, To: from}, nil
}

func TestPolicyAnEmptyAnswerIsRemembered(t *testing.T) {
	live := &short{newUpstream("live")}
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		for range 100 {
			_, _ = src.At(t.Context(), france(), begin())
		}
		assert.Less(t, len(live.requests()), 5)
	}, live)
}

func TestPolicyWhatNobodyWaitedForIsKept(t *testing.T) {
	live := newUpstream("live")
	live.wait = 3 * time.Second
	x := noon().Add(-100 * time.Hour)
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, _ = src.At(ctx, france(), x)
			cancel()
			time.Sleep(10 * time.Second)
		}
		n := 0
		for _, r := range live.requests() {
			if r.from.Equal(x) {
				n++
			}
		}
		assert.LessOrEqual(t, n, 1, "requests for the same hour, each answered")
	}, live)
}

// Zones are renewed for those who have a Handle only.
func TestPolicyOneQuestionIsNotAskedForEver(t *testing.T) {
	live := newUpstream("live")
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		_, err := src.At(t.Context(), france(), noon().Add(-100*time.Hour))
		require.NoError(t, err)
		time.Sleep(7 * 24 * time.Hour)
		assert.Less(t, len(live.requests()), 30, "nobody has a Handle")
	}, live)
}

// A slot of 20 ms is carried forward in steps of the provider's.
func TestPolicyAShortSlotIsNotCarriedInShortSteps(t *testing.T) {
	live := &blip{newUpstream("live")}
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		allocs := testing.AllocsPerRun(1, func() {
			_, _ = src.At(t.Context(), france(), begin())
		})
		assert.Less(t, allocs, 10000.0)
	}, live)
}

type blip struct{ *upstream }

func (b *blip) Fetch(_ context.Context, zone string, from, to time.Time) (intensity.Series, error) {
	s := b.slot(zone, from.UTC(), 1, intensity.Measured)
	s.End = s.Start.Add(20 * time.Millisecond)
	return intensity.Series{From: from, To: to, Slots: []*intensity.Slot{s}, Gaps: []intensity.Gap{{Start: s.End, End: to}}}, nil
}

func TestPolicyARefusedPlaceIsAskedAgainADayLater(t *testing.T) {
	s := &slowResolver{upstream: newUpstream("live")}
	s.resolve = func() error { return &intensity.Error{Kind: intensity.KindPlan, Provider: "live"} }
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		_, err := src.At(t.Context(), france(), begin())
		require.Error(t, err)
		s.resolve = nil
		time.Sleep(25 * time.Hour)
		_, err = src.At(t.Context(), france(), time.Now())
		assert.NoError(t, err, "negative answers hold for 24 h")
	}, s)
}

// renamed says in its slots which part of it has answered.
type renamed struct{ *upstream }

func (r *renamed) Fetch(ctx context.Context, zone string, from, to time.Time) (intensity.Series, error) {
	s, err := r.upstream.Fetch(ctx, zone, from, to)
	for _, x := range s.Slots {
		x.Origin.Provider = "live_finer"
	}
	return s, err
}

func TestPolicyStaleWhateverTheSlotsCallTheirProvider(t *testing.T) {
	live := &renamed{newUpstream("live")}
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		h, err := src.Handle(france())
		require.NoError(t, err)
		synctest.Wait()
		live.set(func(u *upstream) { u.fail = failing("live", intensity.KindUpstream, 0) })
		time.Sleep(2 * time.Hour)
		assert.NotZero(t, h.Peek(time.Now()).Flags&intensity.Stale)
	}, live)
}

// A retry that the limiter refuses leaves the reason of the first failure.
func TestPolicyTheLimitDoesNotHideTheFailure(t *testing.T) {
	live := newUpstream("live")
	live.caps.Rate = intensity.Rate{Burst: 1, Per: time.Minute}
	live.fail = failing("live", intensity.KindUpstream, 0)
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		_, err := src.Range(t.Context(), france(), noon().Add(-100*time.Hour), noon().Add(-99*time.Hour))
		assert.ErrorIs(t, err, intensity.KindUpstream)
	}, live)
}

// prophet calls what it forecasts estimated.
type prophet struct{ *oracle }

func (p *prophet) FetchForecast(ctx context.Context, zone string, d time.Duration) (intensity.Series, error) {
	s, err := p.oracle.FetchForecast(ctx, zone, d)
	for _, x := range s.Slots {
		x.Quality = intensity.Estimated
	}
	return s, err
}

func TestPolicyTheFutureIsPredicted(t *testing.T) {
	p := &prophet{&oracle{upstream: newUpstream("live")}}
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		s, err := src.Forecast(t.Context(), france(), 5*time.Hour)
		require.NoError(t, err)
		assert.Equal(t, intensity.Predicted, s.Slots[3].Quality)
	}, p)
}

func TestPolicyAPieceDoesNotReplaceTheWhole(t *testing.T) {
	live := &fine{upstream: newUpstream("live"), step: 6 * time.Hour}
	live.caps.Step = 0
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		day := noon().Add(-24 * time.Hour)
		_, err := src.Range(t.Context(), france(), day, day.Add(12*time.Hour))
		require.NoError(t, err)
		n := len(live.requests())
		s, err := src.At(t.Context(), france(), day.Add(9*time.Hour))
		require.NoError(t, err)
		assert.Equal(t, 6*time.Hour, s.End.Sub(s.Start))
		time.Sleep(4 * time.Hour) // the background asks from 16:00 on
		_, err = src.At(t.Context(), france(), day.Add(time.Hour))
		require.NoError(t, err)
		for _, r := range live.requests()[n:] {
			assert.False(t, r.from.Equal(day.Add(time.Hour)) || r.from.Equal(day), "asked again for %v %v", r.from, r.to)
		}
	}, live)
}

// bomb panics where it is asked.
type bomb struct{ *upstream }

func (*bomb) Fetch(context.Context, string, time.Time, time.Time) (intensity.Series, error) {
	panic("bomb")
}

func TestPolicyAProviderThatPanics(t *testing.T) {
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		h, err := src.Handle(france())
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, "table", h.Peek(begin()).Origin.Provider)
		slot, err := src.At(t.Context(), france(), begin())
		require.NoError(t, err)
		assert.Equal(t, "table", slot.Origin.Provider)
	}, &bomb{newUpstream("live")}, yearly(lifecycle()))
}

func TestPolicyARevisionIsRemembered(t *testing.T) {
	live := newUpstream("live")
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		h, err := src.Handle(france())
		require.NoError(t, err)
		synctest.Wait()
		live.set(func(u *upstream) { u.gram = func(time.Time) float64 { return 55 } })
		time.Sleep(65 * time.Minute)
		require.NotZero(t, h.Peek(begin()).Flags&intensity.Revised)
		time.Sleep(time.Hour)
		assert.NotZero(t, h.Peek(begin()).Flags&intensity.Revised)
	}, live)
}

// undated does not say when it fetched what it estimates.
type undated struct{ *upstream }

func (u *undated) Fetch(ctx context.Context, zone string, from, to time.Time) (intensity.Series, error) {
	s, err := u.upstream.Fetch(ctx, zone, from, to)
	for _, x := range s.Slots {
		x.Quality, x.Origin.FetchedAt = intensity.Estimated, time.Time{}
	}
	return s, err
}

func TestPolicyAnUndatedEstimateIsAskedForOnce(t *testing.T) {
	live := &undated{newUpstream("live")}
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		for range 100 {
			_, err := src.At(t.Context(), france(), begin())
			require.NoError(t, err)
		}
		assert.Less(t, len(live.requests()), 5)
	}, live)
}

// A second provider is not asked while the first answers, and is when it does not.
func TestPolicyTheSecondIsAskedWhenTheFirstFails(t *testing.T) {
	first, second := newUpstream("first"), newUpstream("second")
	second.gram = func(time.Time) float64 { return 77 }
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		h, err := src.Handle(france())
		require.NoError(t, err)
		time.Sleep(10 * time.Hour)
		assert.Empty(t, second.requests())
		first.set(func(u *upstream) { u.fail = failing("first", intensity.KindUpstream, 0) })
		time.Sleep(2 * time.Hour)
		assert.NotEmpty(t, second.requests())
		assert.InDelta(t, 77, h.Peek(time.Now()).GramsPerKWh, 0)
		assert.InDelta(t, 112, h.Peek(begin()).GramsPerKWh, 0, "what the first has said holds")
	}, first, second)
}

// A program that is started again within the hour asks nobody.
func TestPolicyARestartCostsNoRequest(t *testing.T) {
	store, err := chain.NewFileStore(t.TempDir())
	require.NoError(t, err)
	at(t, chain.Config{Store: store}, func(t *testing.T, src intensity.Source) {
		_, err := src.Handle(france())
		require.NoError(t, err)
		synctest.Wait()
	}, newUpstream("live"))
	live := newUpstream("live")
	at(t, chain.Config{Store: store}, func(t *testing.T, src intensity.Source) {
		h, err := src.Handle(france())
		require.NoError(t, err)
		synctest.Wait()
		assert.InDelta(t, 112, h.Peek(time.Now()).GramsPerKWh, 0)
		assert.Empty(t, live.requests())
		time.Sleep(65 * time.Minute)
		assert.Len(t, live.requests(), 1)
	}, live)
}

// After a break one request finds out whether the provider is there, and any answer says so.
func TestPolicyThatThereIsNothingIsAnAnswer(t *testing.T) {
	for _, k := range []intensity.Kind{intensity.KindNoData, intensity.KindNotYet, intensity.KindZone, intensity.KindPlan, intensity.KindMismatch} {
		t.Run(k.Error(), func(t *testing.T) {
			live := newUpstream("live")
			live.fail = failing("live", intensity.KindUpstream, 0)
			at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
				for i := range 3 {
					_, err := src.At(t.Context(), zoneq(fmt.Sprint(i)), begin())
					require.ErrorIs(t, err, intensity.KindUpstream)
				}
				time.Sleep(2 * time.Minute)
				live.set(func(u *upstream) { u.fail, u.wait = failing("live", k, 0), time.Second })
				_, err := src.At(t.Context(), zoneq("A"), begin())
				require.ErrorIs(t, err, k)
				n := len(live.requests())
				var wg sync.WaitGroup
				for i := range 10 {
					wg.Go(func() { _, _ = src.At(t.Context(), zoneq(fmt.Sprint("B", i)), begin()) })
				}
				wg.Wait()
				assert.Equal(t, 10, len(live.requests())-n, "all are asked for")
			}, live)
		})
	}
}

// That a refusal is remembered does not make it last.
func TestPolicyARefusedZoneIsAskedForADayLater(t *testing.T) {
	live := newUpstream("live")
	live.wait, live.fail = time.Second, failing("live", intensity.KindPlan, 0)
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		h, err := src.Handle(france())
		require.NoError(t, err)
		time.Sleep(time.Hour)
		live.set(func(u *upstream) { u.fail = nil })
		for range 24 {
			time.Sleep(time.Hour)
			h.Peek(time.Now())
		}
		require.NotNil(t, h.Peek(time.Now()))
		assert.Equal(t, "live", h.Peek(time.Now()).Origin.Provider)
	}, live, yearly(lifecycle()))
}

// Nor that it is told to another place, which is found likewise.
func TestPolicyARefusedLocationIsAskedForADayLater(t *testing.T) {
	s := &slowResolver{upstream: newUpstream("live")}
	s.caps.Locates = true
	s.resolve = func() error { return &intensity.Error{Kind: intensity.KindZone, Provider: "live"} }
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		_, err := src.At(t.Context(), france(), begin())
		require.ErrorIs(t, err, intensity.KindZone)
		time.Sleep(23 * time.Hour)
		q := france()
		q.MaxStale = time.Hour
		_, err = src.At(t.Context(), q, begin())
		require.ErrorIs(t, err, intensity.KindZone)
		s.resolve = nil
		time.Sleep(time.Hour)
		_, err = src.At(t.Context(), q, begin())
		require.NoError(t, err)
	}, s)
}
