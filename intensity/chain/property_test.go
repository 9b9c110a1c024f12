package chain_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/chain"
)

// moody is an upstream that answers, late or never, fails, panics or ends its goroutine,
// until it is told to be well.
type moody struct {
	*oracle

	mood *rand.Rand
	well bool
	all  []time.Time // requests of any kind
}

func (m *moody) swing(ctx context.Context) error {
	m.mu.Lock()
	m.all = append(m.all, time.Now())
	mood, wait, kind := m.mood.IntN(8), time.Duration(m.mood.IntN(40_000))*time.Millisecond, intensity.Kind(1+m.mood.IntN(11))
	if m.well {
		mood = 7
	}
	m.mu.Unlock()
	switch mood {
	case 0, 1:
		return &intensity.Error{Kind: kind, Provider: m.caps.ID, RetryAfter: wait}
	case 2:
		<-ctx.Done()
		return ctx.Err()
	case 3:
		time.Sleep(wait) // deaf
	case 4:
		runtime.Goexit()
	case 5:
		panic("as scripted")
	case 6:
		return errors.New("of no kind")
	}
	return nil
}

func (m *moody) Resolve(ctx context.Context, l intensity.Location) (string, error) {
	if m.caps.Locates {
		if err := m.swing(ctx); err != nil {
			return "", err
		}
	}
	return m.upstream.Resolve(ctx, l)
}

func (m *moody) Fetch(ctx context.Context, zone string, from, to time.Time) (intensity.Series, error) {
	if err := m.swing(ctx); err != nil {
		return intensity.Series{}, err
	}
	return m.upstream.Fetch(ctx, zone, from, to)
}

func (m *moody) FetchForecast(ctx context.Context, zone string, d time.Duration) (intensity.Series, error) {
	if err := m.swing(ctx); err != nil {
		return intensity.Series{}, err
	}
	return m.oracle.FetchForecast(ctx, zone, d)
}

// Whatever providers do: nobody waits longer than its context, no provider is asked more
// than it allows, no Handle answers for another time, no basis is crossed, Close ends, and
// 26 hours after the providers are well a Handle has a value of the first.
func TestWhateverProvidersDo(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { whatever(t, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

func whatever(t *testing.T, r *rand.Rand) {
	time.Sleep(time.Until(begin()))
	providers := make([]intensity.Provider, 0, 3)
	moods := make([]*moody, 2)
	for i := range moods {
		m := &moody{oracle: &oracle{upstream: newUpstream(fmt.Sprint("live", i))}, mood: rand.New(rand.NewPCG(r.Uint64(), 1))}
		m.caps.Rate = intensity.Rate{Burst: 1 + r.IntN(5), Per: time.Duration(1+r.IntN(90)) * time.Second}
		m.caps.Locates, m.caps.Horizon = r.IntN(2) == 0, 24*time.Hour
		if r.IntN(2) == 0 {
			m.caps.MaxSpan = 12 * time.Hour
		}
		moods[i], providers = m, append(providers, m)
	}
	src, err := chain.New(chain.Config{Store: &memory{}, MaxPlaces: 5, MaxZones: 3, MaxIdle: 12 * time.Hour}, append(providers, yearly(lifecycle()))...)
	require.NoError(t, err)

	zones := []string{"A", "B", "C", "D", "E"}
	h, err := src.Handle(zoneq("A"))
	require.NoError(t, err)
	peek := func() *intensity.Slot {
		at := time.Now().Add(-time.Duration(r.IntN(48*60)-120) * time.Minute)
		slot := h.Peek(at)
		require.NotNil(t, slot)
		require.False(t, slot.Start.After(at) || !slot.End.After(at), "%v does not hold %v", slot, at)
		require.Equal(t, lifecycle(), slot.Basis)
		return slot
	}
	var wg sync.WaitGroup
	for range 300 {
		zone, what, limit := zones[r.IntN(len(zones))], r.IntN(4), time.Duration(1+r.IntN(60))*time.Second
		ago := time.Duration(r.IntN(72*60)) * time.Minute
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			began, when := time.Now(), time.Now().Add(-ago)
			switch what {
			case 0:
				slot, err := src.At(ctx, zoneq(zone), when)
				assert.True(t, err != nil || !slot.Start.After(when) && slot.End.After(when))
			case 1:
				s, err := src.Range(ctx, zoneq(zone), when, when.Add(3*time.Hour))
				assert.True(t, err != nil || s.Check() == nil)
			case 2:
				_, _ = src.Forecast(ctx, zoneq(zone), 5*time.Hour)
			case 3:
				_, _, _ = src.(intensity.Recaller).Known(zoneq(zone), when, when.Add(time.Hour))
				assert.Zero(t, time.Since(began))
			}
			assert.LessOrEqual(t, time.Since(began), limit)
		})
		time.Sleep(time.Duration(r.IntN(600)) * time.Second)
		peek()
	}
	wg.Wait()
	for _, m := range moods {
		m.set(func(*upstream) { m.well = true })
	}
	for range 26 * 60 { // a refusal of a zone or a plan counts for a day
		time.Sleep(time.Minute)
		h.Peek(time.Now())
	}
	assert.Equal(t, "live0", h.Peek(time.Now()).Origin.Provider, "%+v", h.Peek(time.Now()))
	for _, m := range moods {
		tokens, last := float64(m.caps.Rate.Burst), begin()
		for _, at := range m.all {
			tokens = min(tokens+float64(at.Sub(last))/float64(m.caps.Rate.Per), float64(m.caps.Rate.Burst)) - 1
			last = at
			require.GreaterOrEqual(t, tokens, -0.01, "%s at %v: %+v", m.caps.ID, at, m.caps.Rate)
		}
	}
	require.NoError(t, src.Close())
}
