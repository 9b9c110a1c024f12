package chain_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/chain"
)

// memory is a Store whose calls last until they are let go, whatever their context says.
type memory struct {
	hold chan struct{} // nil: nobody is held

	mu         sync.Mutex
	values     map[string][]byte
	gets, sets int
	now, most  int // calls at the same time
}

func (m *memory) call(count *int) func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	*count++
	m.now++
	m.most = max(m.most, m.now)
	hold := m.hold
	return func() {
		if hold != nil {
			<-hold
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.now--
	}
}

func (m *memory) Get(_ context.Context, key string) ([]byte, error) {
	m.call(&m.gets)()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[key], nil
}

func (m *memory) Set(_ context.Context, key string, value []byte) error {
	m.call(&m.sets)()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values == nil {
		m.values = make(map[string][]byte)
	}
	m.values[key] = value
	return nil
}

func (m *memory) counts() (gets, sets, most int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gets, m.sets, m.most
}

// Who asks waits for the store as for the network: as long as its context, and no longer.
func TestASlowStoreHoldsUpNobody(t *testing.T) {
	for name, ask := range map[string]func(context.Context, intensity.Source) error{
		"at": func(ctx context.Context, src intensity.Source) error {
			_, err := src.At(ctx, france(), time.Now())
			return err
		},
		"range": func(ctx context.Context, src intensity.Source) error {
			_, err := src.Range(ctx, france(), noon(), time.Now())
			return err
		},
		"forecast": func(ctx context.Context, src intensity.Source) error {
			_, err := src.Forecast(ctx, france(), time.Hour)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(begin()))
				store := &memory{hold: make(chan struct{})}
				src, err := chain.New(chain.Config{Store: store}, &oracle{upstream: newUpstream("live")}, yearly(lifecycle()))
				require.NoError(t, err)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				require.ErrorIs(t, ask(ctx, src), context.DeadlineExceeded)
				assert.Equal(t, time.Second, time.Since(began))
				h, err := src.Handle(france())
				require.NoError(t, err)
				require.NotNil(t, h.Peek(time.Now()))
				assert.Equal(t, time.Second, time.Since(began), "nor does a Handle wait")
				// Began by the first, the call of the store has failed after 10 s: 9 from here.
				require.NoError(t, ask(t.Context(), src))
				assert.Equal(t, 10*time.Second, time.Since(began))
				close(store.hold)
				require.NoError(t, src.Close())
			})
		})
	}
}

// Of a store that never returns, at most 8 calls are waited for at the same time.
func TestCallsOfAStoreAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(begin()))
		store := &memory{hold: make(chan struct{})}
		src, err := chain.New(chain.Config{Store: store}, newUpstream("live"))
		require.NoError(t, err)
		for i := range 40 {
			_, err := src.Handle(zoneq(fmt.Sprint("Z", i)))
			require.NoError(t, err)
		}
		time.Sleep(11 * time.Second)
		for i := range 40 {
			h, err := src.Handle(zoneq(fmt.Sprint("Z", i)))
			require.NoError(t, err)
			assert.NotNil(t, h.Peek(time.Now()), "%d is asked for without the store", i)
		}
		_, _, most := store.counts()
		assert.Equal(t, 8, most)
		began := time.Now()
		err = src.Close()
		require.ErrorContains(t, err, "the store")
		assert.LessOrEqual(t, time.Since(began), 10*time.Second)
		close(store.hold)
	})
}

// deaf is an upstream that does not hear its context end, until it is let go.
type deaf struct {
	*upstream

	hold      chan struct{}
	now, most int
}

func (d *deaf) Fetch(context.Context, string, time.Time, time.Time) (intensity.Series, error) {
	d.mu.Lock()
	d.now++
	d.most = max(d.most, d.now)
	d.mu.Unlock()
	<-d.hold
	d.mu.Lock()
	d.now--
	d.mu.Unlock()
	return intensity.Series{}, errors.New("let go")
}

func TestCloseNamesWhoDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(begin()))
		store := &memory{}
		d := &deaf{upstream: newUpstream("deaf"), hold: make(chan struct{})}
		src, err := chain.New(chain.Config{Store: store}, newUpstream("live"), d)
		require.NoError(t, err)
		_, err = src.At(t.Context(), france(), time.Now())
		require.NoError(t, err)
		go func() {
			_, _ = src.Range(t.Context(), zoneq("D"), noon().Add(-time.Hour), noon())
		}()
		synctest.Wait()
		require.NoError(t, src.Close(), "nobody was asked who does not end")

		src, err = chain.New(chain.Config{Store: store}, d)
		require.NoError(t, err)
		_, err = src.Handle(france())
		require.NoError(t, err)
		time.Sleep(time.Second)
		began := time.Now()
		err = src.Close()
		require.ErrorContains(t, err, "deaf")
		require.NotContains(t, err.Error(), "the store")
		assert.Equal(t, 5*time.Second, time.Since(began))
		assert.Equal(t, err, src.Close(), "twice")
		close(d.hold) // and no goroutine is left, or the bubble does not end
	})
}

// A request that goes on after its 30 s is given up, and of those there are at most 8, and
// as many as the breaker takes to open.
func TestADeafProviderIsGivenUp(t *testing.T) {
	d := &deaf{upstream: newUpstream("deaf")}
	at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
		d.hold = make(chan struct{})
		defer close(d.hold)
		began := time.Now()
		slot, err := src.At(t.Context(), france(), time.Now())
		require.NoError(t, err)
		assert.Equal(t, "table", slot.Origin.Provider)
		assert.Equal(t, 30*time.Second, time.Since(began))
		for i := range 20 {
			_, err := src.Handle(zoneq(fmt.Sprint("Z", i)))
			require.NoError(t, err)
		}
		time.Sleep(48 * time.Hour)
		d.mu.Lock()
		defer d.mu.Unlock()
		assert.LessOrEqual(t, d.most, 8+4, "4 may be on their way at once")
		assert.Equal(t, d.most, d.now)
	}, d, yearly(lifecycle()))
}

// quitter is an upstream whose first call of each method ends its goroutine, as t.FailNow
// does.
type quitter struct {
	*oracle

	quit map[string]bool
}

func (q *quitter) first(what string) {
	q.mu.Lock()
	done := q.quit[what]
	q.quit[what] = true
	q.mu.Unlock()
	if !done {
		runtime.Goexit()
	}
}

func (q *quitter) Resolve(ctx context.Context, l intensity.Location) (string, error) {
	q.first("resolve")
	return q.upstream.Resolve(ctx, l)
}

func (q *quitter) Fetch(ctx context.Context, zone string, from, to time.Time) (intensity.Series, error) {
	q.first("fetch")
	return q.upstream.Fetch(ctx, zone, from, to)
}

func (q *quitter) FetchForecast(ctx context.Context, zone string, d time.Duration) (intensity.Series, error) {
	q.first("forecast")
	return q.oracle.FetchForecast(ctx, zone, d)
}

func (q *quitter) Probe(context.Context) error {
	q.first("probe")
	return nil
}

func TestAProviderThatEndsItsGoroutineHoldsUpNobody(t *testing.T) {
	for _, locates := range []bool{false, true} {
		q := &quitter{oracle: &oracle{upstream: newUpstream("live")}, quit: make(map[string]bool)}
		q.caps.Locates, q.caps.Horizon = locates, 24*time.Hour
		at(t, chain.Config{}, func(t *testing.T, src intensity.Source) {
			began := time.Now()
			_, err := src.At(t.Context(), france(), time.Now())
			require.ErrorIs(t, err, intensity.KindMalformed, "resolve")
			time.Sleep(time.Minute) // until a place is tried again
			_, err = src.At(t.Context(), france(), time.Now())
			require.ErrorIs(t, err, intensity.KindMalformed, "fetch")
			time.Sleep(5 * time.Second) // until a request is
			slot, err := src.At(t.Context(), france(), time.Now())
			require.NoError(t, err)
			assert.InDelta(t, 112, slot.GramsPerKWh, 0)
			_, err = src.Forecast(t.Context(), france(), time.Hour)
			require.ErrorIs(t, err, intensity.KindMalformed, "forecast")
			time.Sleep(5 * time.Second)
			_, err = src.Forecast(t.Context(), france(), time.Hour)
			require.NoError(t, err)
			assert.Equal(t, 70*time.Second, time.Since(began), "nobody has waited")
			h, err := src.Handle(zoneq("DE")) // probes
			require.NoError(t, err)
			synctest.Wait()
			assert.NotNil(t, h.Peek(time.Now()))
		}, q)
	}
}

// The hooks are foreign code, too.
func TestAHookThatEndsItsGoroutineHoldsUpNobody(t *testing.T) {
	var once sync.Once
	hooks := chain.Hooks{Request: func(string, string, time.Duration, error) { once.Do(runtime.Goexit) }}
	at(t, chain.Config{Hooks: hooks}, func(t *testing.T, src intensity.Source) {
		_, err := src.At(t.Context(), france(), time.Now())
		require.Error(t, err)
		_, err = src.At(t.Context(), france(), time.Now())
		require.NoError(t, err)
	}, newUpstream("live"))
}

// Nor does one that goes wrong on the one request that finds out whether a provider is back.
func TestAHookThatEndsItsGoroutineDoesNotSuspendAProvider(t *testing.T) {
	live, quit := newUpstream("live"), false
	live.fail = failing("live", intensity.KindUpstream, 0)
	hooks := chain.Hooks{Request: func(string, string, time.Duration, error) {
		if quit {
			runtime.Goexit()
		}
	}}
	at(t, chain.Config{Hooks: hooks}, func(t *testing.T, src intensity.Source) {
		for i := range 3 {
			_, err := src.At(t.Context(), zoneq(fmt.Sprint(i)), begin())
			require.ErrorIs(t, err, intensity.KindUpstream)
		}
		time.Sleep(2 * time.Minute)
		live.set(func(u *upstream) { u.fail = nil })
		quit = true
		_, err := src.At(t.Context(), france(), begin())
		require.Error(t, err)
		quit = false
		_, err = src.At(t.Context(), zoneq("DE"), begin())
		require.NoError(t, err)
	}, live)
}

// blips is an upstream of slots so short that they fit no Handle.
type blips struct{ *upstream }

func (b blips) Fetch(ctx context.Context, zone string, from, to time.Time) (intensity.Series, error) {
	series, err := b.upstream.Fetch(ctx, zone, from, to)
	for _, s := range series.Slots {
		s.End = s.Start.Add(time.Millisecond)
		series.Gaps = append(series.Gaps, intensity.Gap{Start: s.End, End: s.Start.Add(time.Hour), Err: intensity.KindNoData})
	}
	return series, err
}

// No hook is called while anything is locked: it may ask the source that calls it.
func TestAHookMayAsk(t *testing.T) {
	for _, live := range []intensity.Provider{newUpstream("live"), blips{newUpstream("live")}} {
		var src intensity.Source
		var changed, trouble atomic.Bool
		ask := func(once *atomic.Bool, hour time.Time) {
			if once.CompareAndSwap(false, true) {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second) //nolint:usetesting // that of the test is not of the bubble
				defer cancel()
				_, err := src.Handle(france())
				assert.NoError(t, err)
				_, err = src.At(ctx, france(), hour) // makes a request
				assert.NoError(t, err)
			}
		}
		hooks := chain.Hooks{
			Changed: func(*intensity.Handle, time.Time, time.Time) { ask(&changed, noon().Add(-48*time.Hour)) },
			Trouble: func(error) { ask(&trouble, noon().Add(-72*time.Hour)) },
		}
		at(t, chain.Config{Hooks: hooks}, func(t *testing.T, s intensity.Source) {
			src = s
			_, err := src.At(t.Context(), france(), time.Now())
			require.NoError(t, err)
			assert.True(t, changed.Load() || trouble.Load())
		}, live, yearly(lifecycle()))
	}
}

// wrongStore panics, or ends its goroutine.
type wrongStore struct{ quit func() }

func (w wrongStore) Get(context.Context, string) ([]byte, error) {
	w.quit()
	return nil, nil
}

func (w wrongStore) Set(context.Context, string, []byte) error {
	w.quit()
	return nil
}

func TestAStoreThatGoesWrongIsNoMatter(t *testing.T) {
	for what, quit := range map[string]func(){"panics": func() { panic("oh") }, "ends its goroutine": runtime.Goexit} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(begin()))
			src, err := chain.New(chain.Config{Store: wrongStore{quit}}, newUpstream("live"))
			require.NoError(t, err)
			_, err = src.At(t.Context(), france(), time.Now())
			require.NoError(t, err)
			require.ErrorContains(t, src.Close(), what)
		})
	}
}
