package chain_test

import (
	"context"
	"errors"
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

func retryAfter(t *testing.T, err error) time.Duration {
	t.Helper()
	require.ErrorIs(t, err, intensity.KindRate)
	e, ok := errors.AsType[*intensity.Error](err)
	require.True(t, ok)
	return e.RetryAfter
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// 4 at once and one a minute: forecasts leave 2 of the 4, and have one each 2 minutes.
func TestForecastsLeaveTheRateToValues(t *testing.T) {
	o := &oracle{upstream: newUpstream("live")}
	o.caps.Rate, o.caps.Horizon = intensity.Rate{Burst: 4, Per: time.Minute}, 24*time.Hour
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		began := time.Now()
		for _, z := range []string{"A", "B"} { // 4 → 3 → 2
			_, err := src.Forecast(t.Context(), zoneq(z), time.Hour)
			require.NoError(t, err)
		}
		// There are 2, a third comes in a minute; the next of forecasts in 2.
		_, err := src.Forecast(within(t, time.Second), zoneq("C"), time.Hour)
		assert.Equal(t, 2*time.Minute, retryAfter(t, err))
		_, err = src.Forecast(t.Context(), zoneq("C"), time.Hour)
		assert.Equal(t, 2*time.Minute, retryAfter(t, err), "without a deadline it does not wait for more than half a minute")
		for _, z := range []string{"A", "B"} { // 2 → 1 → 0
			_, err := src.At(t.Context(), zoneq(z), noon().Add(-1))
			require.NoError(t, err)
		}
		_, err = src.At(t.Context(), zoneq("C"), noon().Add(-1))
		assert.Equal(t, time.Minute, retryAfter(t, err))
		assert.Equal(t, began, time.Now(), "nobody has waited")

		// From 0 to the 3 of which it takes one: 3 minutes.
		_, err = src.Forecast(within(t, 4*time.Minute), zoneq("C"), time.Hour)
		require.NoError(t, err)
		assert.InDelta(t, 3*time.Minute, time.Since(began), float64(5*time.Millisecond))
		assert.Equal(t, 3, o.forecasts)
	}, o)
}

func TestAForecastWaitsNoLongerThanItsContext(t *testing.T) {
	o := &oracle{upstream: newUpstream("live")}
	o.caps.Rate, o.caps.Horizon = intensity.Rate{Burst: 1, Per: time.Hour}, 24*time.Hour
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		_, err := src.At(t.Context(), zoneq("A"), noon()) // takes the only one
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
		go func() {
			time.Sleep(time.Minute)
			cancel()
		}()
		began := time.Now()
		_, err = src.Forecast(ctx, zoneq("A"), time.Hour)
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, time.Minute, time.Since(began))

		var wg sync.WaitGroup // of many who wait, one asks: 59 minutes later
		for range 10 {
			wg.Go(func() {
				_, err := src.Forecast(within(t, 3*time.Hour), zoneq("A"), time.Hour)
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		assert.InDelta(t, time.Hour, time.Since(began), float64(5*time.Millisecond))
		assert.Equal(t, 1, o.forecasts)
	}, o)
}

// While a forecast waits for the rate, a value of the same zone is to be had.
func TestAForecastThatWaitsHoldsUpNoValue(t *testing.T) {
	o := &oracle{upstream: newUpstream("live")}
	o.caps.Rate, o.caps.Horizon = intensity.Rate{Burst: 2, Per: time.Minute}, 24*time.Hour
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		_, err := src.Forecast(t.Context(), zoneq("A"), time.Hour) // leaves 1
		require.NoError(t, err)
		done := make(chan error)
		go func() {
			_, err := src.Forecast(within(t, time.Hour), zoneq("A"), 9*time.Hour)
			done <- err
		}()
		synctest.Wait()
		began := time.Now()
		_, err = src.At(t.Context(), zoneq("A"), noon())
		require.NoError(t, err)
		assert.Zero(t, time.Since(began))
		require.NoError(t, <-done)
	}, o)
}

// 10 zones at one request a minute: all have a value after 10 minutes, and the forecasts
// of the background come behind.
func TestValuesComeBeforeForecasts(t *testing.T) {
	o := &oracle{upstream: newUpstream("live")}
	o.caps.Rate, o.caps.Horizon = intensity.Rate{Burst: 1, Per: time.Minute}, 24*time.Hour
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		for i := range 10 {
			_, err := src.Handle(zoneq(fmt.Sprint("Z", i)))
			require.NoError(t, err)
		}
		time.Sleep(9*time.Minute + time.Second) // the first at once, then 9
		assert.Len(t, o.requests(), 10)
	}, o)
}

// 2 at once and one a minute, for places and values together.
func TestFindingAPlaceTakesPartInTheRate(t *testing.T) {
	s := &slowResolver{upstream: newUpstream("live")}
	s.caps.Rate, s.caps.Locates = intensity.Rate{Burst: 2, Per: time.Minute}, true
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		var last error
		for i := range 200 {
			_, last = src.At(t.Context(), zoneq(fmt.Sprint(i)), begin())
		}
		assert.Equal(t, time.Minute, retryAfter(t, last))
		assert.Equal(t, 2, s.n+len(s.requests()))
		time.Sleep(time.Hour) // asked in the background, and not more either
		for i := range 200 {
			_, _ = src.Handle(zoneq(fmt.Sprint(i)))
		}
		time.Sleep(time.Hour)
		s.mu.Lock()
		defer s.mu.Unlock()
		assert.LessOrEqual(t, s.n+len(s.asked), 2+120)
		assert.Greater(t, s.n, 20)
	}, s)
}

// Queries of one location are one question, whatever else they want.
func TestAPlaceIsFoundOnce(t *testing.T) {
	s := &slowResolver{upstream: newUpstream("live")}
	s.caps.Locates = true
	s.resolve = func() error {
		time.Sleep(time.Second)
		return nil
	}
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		query := func(i int) intensity.Query {
			q := zoneq("A")
			q.MaxStale = time.Duration(i+1) * time.Hour
			return q
		}
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				_, err := src.At(t.Context(), query(i), begin())
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		assert.Equal(t, 1, s.n, "at the same time")
		_, err := src.At(t.Context(), query(99), begin())
		require.NoError(t, err)
		assert.Equal(t, 1, s.n, "later")
		assert.Len(t, s.requests(), 1)
	}, s)
}

func TestThatAPlaceIsNotCoveredIsRememberedForADay(t *testing.T) {
	s := &slowResolver{upstream: newUpstream("live")}
	s.caps.Locates = true
	s.resolve = func() error { return &intensity.Error{Kind: intensity.KindZone, Provider: "live"} }
	at(t, chain.Config{MaxPlaces: 1}, func(t *testing.T, src intensity.Source) {
		for i := range 20 { // of which one is remembered
			q := zoneq("A")
			q.MaxStale = time.Duration(i+1) * time.Hour
			_, err := src.At(t.Context(), q, begin())
			require.ErrorIs(t, err, intensity.KindZone)
		}
		assert.Equal(t, 1, s.n)
		time.Sleep(24 * time.Hour)
		_, err := src.At(t.Context(), zoneq("A"), begin())
		require.ErrorIs(t, err, intensity.KindZone)
		assert.Equal(t, 2, s.n)
	}, s)
}

// Five places that cannot be found for want of the provider are enough for a minute.
func TestFindingPlacesBreaksTheCircuit(t *testing.T) {
	s := &slowResolver{upstream: newUpstream("live")}
	s.caps.Locates = true
	s.resolve = func() error { return &intensity.Error{Kind: intensity.KindUpstream, Provider: "live"} }
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		for i := range 50 {
			_, err := src.At(t.Context(), zoneq(fmt.Sprint(i)), begin())
			require.ErrorIs(t, err, intensity.KindUpstream)
		}
		assert.Equal(t, 5, s.n)
		time.Sleep(time.Minute)
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() { _, _ = src.At(t.Context(), zoneq(fmt.Sprint(i)), begin()) })
		}
		wg.Wait()
		assert.Equal(t, 6, s.n, "one alone finds out")
	}, s)
}

// 200 zones at one request a second, of which each takes 20 s, and then none: what has
// waited meanwhile does not come all at once.
func TestTheRateHoldsAfterAProviderWasSlow(t *testing.T) {
	live := newUpstream("live")
	live.caps.Rate = intensity.Rate{Burst: 1, Per: time.Second}
	live.wait = 20 * time.Second
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		for i := range 200 {
			_, err := src.Handle(zoneq(fmt.Sprint("Z", i)))
			require.NoError(t, err)
		}
		time.Sleep(150 * time.Second)
		live.set(func(u *upstream) { u.wait = 0 })
		time.Sleep(10 * time.Minute)
		asked := live.requests()
		require.GreaterOrEqual(t, len(asked), 200, "and each has its turn")
		for i := range asked[1:] {
			require.GreaterOrEqual(t, asked[i+1].at.Sub(asked[i].at), time.Second-time.Millisecond, "request %d", i+1)
		}
	}, live)
}

// lateOracle forecasts after 20 s.
type lateOracle struct{ *oracle }

func (l lateOracle) FetchForecast(ctx context.Context, zone string, d time.Duration) (intensity.Series, error) {
	select {
	case <-time.After(20 * time.Second):
		return l.oracle.FetchForecast(ctx, zone, d)
	case <-ctx.Done():
		return intensity.Series{}, ctx.Err()
	}
}

func TestAHandleHasItsValueBeforeTheForecast(t *testing.T) {
	l := lateOracle{&oracle{upstream: newUpstream("live")}}
	l.caps.Horizon = 24 * time.Hour
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		h, err := src.Handle(france())
		require.NoError(t, err)
		time.Sleep(time.Second)
		require.NotNil(t, h.Peek(time.Now()))
		require.NotZero(t, h.Peek(noon().Add(time.Hour)).Flags&intensity.Extrapolated)
		time.Sleep(20 * time.Second)
		assert.Equal(t, intensity.Predicted, h.Peek(noon().Add(time.Hour)).Quality)
	}, l)
}

// What a forecast brings when nobody waits for it any more is there for who asks next.
func TestAForecastThatNobodyWaitedForIsKept(t *testing.T) {
	l := lateOracle{&oracle{upstream: newUpstream("live")}}
	l.caps.Horizon = 24 * time.Hour
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		for range 3 {
			_, err := src.Forecast(within(t, time.Second), france(), 5*time.Hour)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		time.Sleep(30 * time.Second)
		_, err := src.Forecast(within(t, time.Second), france(), 5*time.Hour)
		require.NoError(t, err)
		assert.Equal(t, 1, l.forecasts)
	}, l)
}
