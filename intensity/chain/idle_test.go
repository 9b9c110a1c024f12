package chain_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/chain"
)

func TestWhatNobodyReadsIsNotRenewed(t *testing.T) {
	live, store := newUpstream("live"), &memory{}
	at(t, chain.Config{MaxIdle: 3 * time.Hour, Store: store}, func(t *testing.T, src intensity.Source) {
		h, err := src.Handle(france())
		require.NoError(t, err)
		for range 24 { // read each hour, it is kept up
			time.Sleep(time.Hour)
			require.Equal(t, "live", h.Peek(time.Now()).Origin.Provider)
		}
		n := len(live.requests())
		assert.InDelta(t, 25, n, 1, "at once, and 5 to 12 minutes after each hour; it is 10 past")
		time.Sleep(24 * time.Hour) // idle after 3 of them, and perhaps that of 12 o'clock is still to come
		assert.LessOrEqual(t, len(live.requests())-n, 4)
		n = len(live.requests())
		gets, _, _ := store.counts()
		assert.Equal(t, 1, gets)

		assert.Equal(t, "table", h.Peek(time.Now()).Origin.Provider)
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		assert.Equal(t, "live", h.Peek(time.Now()).Origin.Provider, "taken up again")
		assert.Len(t, live.requests(), n+1)
		gets, _, _ = store.counts()
		assert.Equal(t, 2, gets, "it had been forgotten, and was stored")
		// Since the day before yesterday at 12:10, a request brought the day before: 11:00 then is known by the store alone.
		old := h.Peek(begin().Add(-10 * time.Hour))
		assert.Equal(t, "live", old.Origin.Provider)
		assert.InDelta(t, 102, old.GramsPerKWh, 0, "02:00")
	}, live, yearly(lifecycle()))
}

// A zone that was asked for once, by no Handle, is forgotten likewise.
func TestAZoneThatNobodyAsksForIsForgotten(t *testing.T) {
	live, store := newUpstream("live"), &memory{}
	at(t, chain.Config{Store: store}, func(t *testing.T, src intensity.Source) {
		ask := func() {
			_, err := src.At(t.Context(), france(), noon())
			require.NoError(t, err)
		}
		ask()
		time.Sleep(47 * time.Hour)
		ask()
		gets, _, _ := store.counts()
		assert.Equal(t, 1, gets)
		time.Sleep(48*time.Hour + 5*time.Minute)
		ask()
		gets, sets, _ := store.counts()
		assert.Equal(t, 2, gets)
		assert.Positive(t, sets)
	}, live)
}

// Without a store what is forgotten is asked for anew.
func TestWhatIsForgottenWithoutAStoreIsAskedForAnew(t *testing.T) {
	live := newUpstream("live")
	at(t, chain.Config{MaxIdle: time.Hour}, func(t *testing.T, src intensity.Source) {
		for range 3 {
			slot, err := src.At(t.Context(), france(), noon())
			require.NoError(t, err)
			assert.InDelta(t, 112, slot.GramsPerKWh, 0)
			time.Sleep(63 * time.Minute)
		}
		assert.Len(t, live.requests(), 3)
	}, live)
}

func TestTwoPlacesOfOneZone(t *testing.T) {
	live := newUpstream("live")
	at(t, chain.Config{MaxIdle: 2 * time.Hour}, func(t *testing.T, src intensity.Source) {
		read, err := src.Handle(france())
		require.NoError(t, err)
		other := france()
		other.MaxStale = time.Hour
		unread, err := src.Handle(other)
		require.NoError(t, err)
		for range 6 {
			time.Sleep(time.Hour)
			require.NotNil(t, read.Peek(time.Now()))
		}
		assert.Nil(t, unread.Peek(noon()), "it has let go")
		assert.InDelta(t, 112, read.Peek(noon()).GramsPerKWh, 0, "the zone is in use")
		n := len(live.requests())
		time.Sleep(61 * time.Second)
		assert.InDelta(t, 112, unread.Peek(noon()).GramsPerKWh, 0)
		assert.LessOrEqual(t, len(live.requests()), n+1, "nothing had to be asked for")
	}, live)
}

// Two places have one zone, whether the cache of zones has let go of it or not.
func TestAZoneIsOneForAllItsPlaces(t *testing.T) {
	live, store := newUpstream("live"), &memory{}
	at(t, chain.Config{MaxZones: 1, Store: store}, func(t *testing.T, src intensity.Source) {
		one, err := src.Handle(france())
		require.NoError(t, err)
		time.Sleep(10 * time.Minute)                       // 12:20: behind the moment of each hour at which it is asked
		_, err = src.At(t.Context(), zoneq("DE"), begin()) // the cache holds this one now
		require.NoError(t, err)
		q := france()
		q.MaxStale = time.Hour
		other, err := src.Handle(q)
		require.NoError(t, err)
		for range 20 {
			time.Sleep(time.Hour)
			a, b := one.Peek(time.Now()), other.Peek(time.Now())
			require.NotNil(t, a)
			require.NotNil(t, b)
			require.Equal(t, *a, *b)
			require.Zero(t, b.Flags)
		}
		assert.InDelta(t, 22, len(live.requests()), 1, "one each hour")
	}, live)
}

// A Handle that is read stays, however many other places are asked for.
func TestAHandleThatIsReadIsNotForgotten(t *testing.T) {
	live := newUpstream("live")
	at(t, chain.Config{MaxPlaces: 10, MaxZones: 10}, func(t *testing.T, src intensity.Source) {
		h, err := src.Handle(france())
		require.NoError(t, err)
		for i := range 200 {
			_, err := src.At(t.Context(), zoneq(fmt.Sprint(i)), begin())
			require.NoError(t, err)
			time.Sleep(2 * time.Minute)
			require.NotNil(t, h.Peek(time.Now()))
		}
		assert.Zero(t, h.Peek(time.Now()).Flags, "it has been renewed until now")
		same, err := src.Handle(france())
		require.NoError(t, err)
		assert.Same(t, h, same)
	}, live)
}

// What was asked for is stored within minutes, for the program may not come to Close.
func TestWhatIsAskedForIsStoredBeforeTheEnd(t *testing.T) {
	live, store := newUpstream("live"), &memory{}
	at(t, chain.Config{Store: store}, func(t *testing.T, src intensity.Source) {
		for i := range 3 {
			_, err := src.At(t.Context(), france(), noon().Add(-time.Duration(i)*50*time.Hour))
			require.NoError(t, err)
		}
		time.Sleep(2*time.Minute + time.Second)
		again, err := chain.New(chain.Config{Store: store}, live)
		require.NoError(t, err)
		n := len(live.requests())
		for i := range 3 {
			_, err := again.At(t.Context(), france(), noon().Add(-time.Duration(i)*50*time.Hour))
			require.NoError(t, err)
		}
		assert.Len(t, live.requests(), n)
		_, sets, _ := store.counts()
		assert.LessOrEqual(t, sets, 3, "at most each minute")
		require.NoError(t, again.Close())
	}, live)
}
