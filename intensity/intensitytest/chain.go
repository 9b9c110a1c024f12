package intensitytest

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/chain"
)

// pinned asks its provider for the time of the Setup only, for which there is an answer.
type pinned struct {
	intensity.Provider

	s *Setup
}

func (p pinned) Caps() intensity.Caps {
	c := p.Provider.Caps()
	c.Locates = false
	return c
}

func (p pinned) Resolve(context.Context, intensity.Location) (string, error) { return p.s.Zone, nil }

func (p pinned) Fetch(ctx context.Context, _ string, from, to time.Time) (intensity.Series, error) {
	got, err := p.Provider.Fetch(ctx, p.s.Zone, p.s.From, p.s.To)
	if err != nil {
		return intensity.Series{}, err
	}
	g, err := intensity.NewGrid(got.Slots, nil)
	if err != nil {
		return intensity.Series{}, err
	}
	return g.Series(from, to, intensity.KindNotYet), nil
}

// constant is a table of 300 g/kWh.
type constant struct{}

func (constant) Caps() intensity.Caps {
	return intensity.Caps{ID: "table", Bases: []intensity.Basis{{}}}
}

func (constant) Resolve(context.Context, intensity.Location) (string, error) { return "table", nil }

func (constant) Fetch(context.Context, string, time.Time, time.Time) (intensity.Series, error) {
	return intensity.Series{}, intensity.KindNoData
}

func (constant) Slots(intensity.Query) ([]*intensity.Slot, error) {
	start, end := intensity.Always()
	return []*intensity.Slot{{
		Start: start, End: end, GramsPerKWh: 300, Quality: intensity.Periodic, Origin: intensity.Origin{Provider: "table"},
		Basis: intensity.Basis{Signal: intensity.Average, Boundary: intensity.Lifecycle, Flow: intensity.Consumption, Gas: intensity.CO2e},
	}}, nil
}

// inChain tests what a chain of the provider and a table answers while a fault lasts. From
// the start on, that is the table. After a good answer it is the newest value that was seen,
// as old as that answer, for 6 h after its slot has ended, and the table from then on.
func (s *Setup) inChain(t *testing.T, f fault) {
	var faulty atomic.Bool
	client := Serve(s.only(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if faulty.Load() {
			f.handle(w, r)
			return
		}
		s.Serve.ServeHTTP(w, r)
	}))).Client()
	p := s.New(t, client)
	var mu sync.Mutex
	var failures []error
	hooks := chain.Hooks{Request: func(_, _ string, _ time.Duration, err error) {
		mu.Lock()
		defer mu.Unlock()
		failures = append(failures, err)
	}}
	open := func() intensity.Source { // of a provider that has not logged in
		src, err := chain.New(chain.Config{Hooks: hooks}, pinned{s.New(t, client), s}, constant{})
		require.NoError(t, err)
		return src
	}
	q := intensity.Query{Location: intensity.Location{Zone: s.Zone}}
	isTable := func(slot *intensity.Slot) {
		t.Helper()
		assert.Equal(t, "table", slot.Origin.Provider)
		assert.InDelta(t, 300, slot.GramsPerKWh, 0)
		assert.Equal(t, intensity.Periodic, slot.Quality)
		assert.NotZero(t, slot.Flags&intensity.FellBack)
		assert.True(t, slot.Origin.FetchedAt.IsZero())
	}

	good, err := p.Fetch(t.Context(), s.Zone, s.From, s.To)
	require.NoError(t, err)
	var newest *intensity.Slot
	for _, slot := range good.Slots {
		if slot.Quality < intensity.Predicted && !slot.Start.After(s.Now) {
			newest = slot
		}
	}
	if newest == nil {
		t.Skip("the answer has been foreseen only")
	}
	if d := p.Caps().Depth; d > 0 && s.Now.Sub(newest.Start) > d {
		t.Skip("the answer is out of the provider's reach by now")
	}

	faulty.Store(true)
	src := open()
	slot, err := src.At(t.Context(), q, newest.Start)
	require.NoError(t, err)
	require.NoError(t, src.Close())
	isTable(slot)
	mu.Lock()
	require.NotEmpty(t, failures)
	for _, failure := range failures {
		require.ErrorIs(t, failure, s.kind(f))
	}
	mu.Unlock()

	faulty.Store(false)
	src = open()
	defer func() { assert.NoError(t, src.Close()) }()
	slot, err = src.At(t.Context(), q, newest.Start)
	require.NoError(t, err)
	assert.Equal(t, p.Caps().ID, slot.Origin.Provider)
	assert.InDelta(t, newest.GramsPerKWh, slot.GramsPerKWh, 0)
	fetched := slot.Origin.FetchedAt
	faulty.Store(true)
	time.Sleep(p.Caps().Step + 40*time.Minute) // a token that it was given is no good any more
	slot, err = src.At(t.Context(), q, time.Now())
	require.NoError(t, err)
	switch {
	case slot.Quality == intensity.Predicted:
		assert.Equal(t, p.Caps().ID, slot.Origin.Provider, "it has been foreseen")
		return
	case time.Now().Before(newest.End.Add(6 * time.Hour)):
		assert.Equal(t, p.Caps().ID, slot.Origin.Provider)
		assert.InDelta(t, newest.GramsPerKWh, slot.GramsPerKWh, 0)
		assert.NotZero(t, slot.Flags&intensity.Extrapolated)
		assert.GreaterOrEqual(t, slot.Quality, intensity.Estimated)
		assert.Equal(t, fetched, slot.Origin.FetchedAt, "as old as the good answer")
		time.Sleep(time.Until(newest.End.Add(6 * time.Hour)))
		slot, err = src.At(t.Context(), q, time.Now())
		require.NoError(t, err)
	}
	isTable(slot)
}
