package chain_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/chain"
	"github.com/otelcarbon/otelcarbon/intensity/offline"
	"github.com/otelcarbon/otelcarbon/intensity/static"
)

// table is a provider whose answers are scripted.
type table struct {
	caps  intensity.Caps
	slots func(q intensity.Query) ([]*intensity.Slot, error)
}

func (t *table) Caps() intensity.Caps { return t.caps }
func (t *table) Resolve(context.Context, intensity.Location) (string, error) {
	return "Z", nil
}

func (t *table) Fetch(context.Context, string, time.Time, time.Time) (intensity.Series, error) {
	return intensity.Series{}, errors.New("a chain asks tables for slots")
}
func (t *table) Slots(q intensity.Query) ([]*intensity.Slot, error) { return t.slots(q) }

// seer is a table that forecasts.
type seer struct {
	table
	forecast func(horizon time.Duration) (intensity.Series, error)
}

func (s *seer) FetchForecast(_ context.Context, _ string, horizon time.Duration) (intensity.Series, error) {
	return s.forecast(horizon)
}

// network is a provider that is no table.
type network struct{ intensity.Provider }

func (network) Caps() intensity.Caps { return intensity.Caps{ID: "live", Network: true} }

type noTable struct{ intensity.Provider }

func (noTable) Caps() intensity.Caps { return intensity.Caps{ID: "mine"} }

func lifecycle() intensity.Basis {
	return intensity.Basis{Signal: intensity.Average, Boundary: intensity.Lifecycle, Flow: intensity.Consumption, Gas: intensity.CO2e}
}

func noon() time.Time { return time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC) }

// answers returns a table of hours from noon; a negative value is a gap.
func answers(id string, quality intensity.Quality, grams ...float64) *table {
	return &table{
		caps: intensity.Caps{ID: id, Bases: []intensity.Basis{{}}},
		slots: func(intensity.Query) ([]*intensity.Slot, error) {
			var slots []*intensity.Slot
			for i, g := range grams {
				if g < 0 {
					continue
				}
				slots = append(slots, &intensity.Slot{
					Start: noon().Add(time.Duration(i) * time.Hour), End: noon().Add(time.Duration(i+1) * time.Hour),
					GramsPerKWh: g, Basis: lifecycle(), Quality: quality, Origin: intensity.Origin{Provider: id},
				})
			}
			return slots, nil
		},
	}
}

func fails(id string, err error) *table {
	return &table{
		caps:  intensity.Caps{ID: id, Bases: []intensity.Basis{{}}},
		slots: func(intensity.Query) ([]*intensity.Slot, error) { return nil, err },
	}
}

func open(t testing.TB, providers ...intensity.Provider) intensity.Source {
	t.Helper()
	src, err := chain.New(chain.Config{}, providers...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, src.Close()) })
	return src
}

func tables(t testing.TB) *offline.Provider {
	t.Helper()
	p, err := offline.New(offline.Options{})
	require.NoError(t, err)
	return p
}

func constant(t testing.TB, o static.Options) *static.Provider {
	t.Helper()
	p, err := static.New(o)
	require.NoError(t, err)
	return p
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name      string
		cfg       chain.Config
		providers []intensity.Provider
		text      string
	}{
		{"no provider", chain.Config{}, nil, "at least one provider"},
		{"nil", chain.Config{}, []intensity.Provider{nil}, "provider 0 is nil"},
		{"nothing but the network, offline", chain.Config{Offline: true}, []intensity.Provider{network{}}, "at least one table"},
		{"a provider that is no table", chain.Config{}, []intensity.Provider{noTable{}}, `"mine" needs no network, so it has to implement intensity.Table`},
		{"a negative bound", chain.Config{MaxPlaces: -1}, []intensity.Provider{tables(t)}, "MaxPlaces is -1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := chain.New(c.cfg, c.providers...)
			require.ErrorIs(t, err, intensity.KindConfig)
			assert.ErrorContains(t, err, c.text)
		})
	}
}

func TestTheFirstThatAnswersAnswers(t *testing.T) {
	ctx := t.Context()
	germany := intensity.Query{Location: intensity.Location{Country: "DE"}}

	s, err := open(t, constant(t, static.Options{GramsPerKWh: 50}), tables(t)).At(ctx, germany, noon())
	require.NoError(t, err)
	assert.InDelta(t, 50, s.GramsPerKWh, 0, "a constant in front replaces everything")
	assert.Zero(t, s.Flags)

	s, err = open(t, tables(t), constant(t, static.Options{GramsPerKWh: 50})).At(ctx, germany, noon())
	require.NoError(t, err)
	assert.InDelta(t, 329.65, s.GramsPerKWh, 0, "a constant at the end is never reached")

	marginal := germany
	marginal.Want.Signal = intensity.Marginal
	s, err = open(t, tables(t), constant(t, static.Options{GramsPerKWh: 700})).At(ctx, marginal, noon())
	require.NoError(t, err)
	assert.InDelta(t, 700, s.GramsPerKWh, 0, "except for what the tables do not offer")
	assert.Equal(t, intensity.FellBack, s.Flags)
	assert.Equal(t, 1, s.Origin.Depth)
}

func TestNothingCrossesABasis(t *testing.T) {
	ctx, direct := t.Context(), static.Options{GramsPerKWh: 50, Basis: intensity.Basis{Boundary: intensity.Direct}}
	q := intensity.Query{Location: intensity.Location{Country: "DE"}, Want: intensity.Basis{Boundary: intensity.Lifecycle}}
	s, err := open(t, constant(t, direct), tables(t)).At(ctx, q, noon())
	require.NoError(t, err)
	assert.InDelta(t, 329.65, s.GramsPerKWh, 0)
	assert.True(t, s.Flags.Has(intensity.FellBack))

	q.Want = intensity.Basis{Signal: intensity.Marginal}
	_, err = open(t, tables(t)).At(ctx, q, noon())
	require.ErrorIs(t, err, intensity.KindBasis)

	// A provider that answers with something else than its Caps promise.
	q.Want = intensity.Basis{Boundary: intensity.Direct}
	_, err = open(t, answers("liar", intensity.Measured, 1)).At(ctx, q, noon())
	require.ErrorIs(t, err, intensity.KindMismatch)
}

func TestTheNextFillsGapsOfTheSameBasisOnly(t *testing.T) {
	ctx := t.Context()
	src := open(t, answers("a", intensity.Measured, 100, -1, 120), answers("b", intensity.Estimated, 7, 8, 9, 10))
	s, err := src.Range(ctx, intensity.Query{}, noon(), noon().Add(5*time.Hour))
	require.NoError(t, err)
	require.NoError(t, s.Check())
	var grams []float64
	for _, slot := range s.Slots {
		grams = append(grams, slot.GramsPerKWh)
	}
	assert.Equal(t, []float64{100, 8, 120, 10}, grams)
	assert.Equal(t, 1, s.Slots[1].Origin.Depth)
	assert.True(t, s.Slots[1].Flags.Has(intensity.FellBack))
	assert.Zero(t, s.Slots[2].Origin.Depth)
	require.Len(t, s.Gaps, 1)
	require.ErrorIs(t, s.Err(), intensity.KindNoData)

	direct := constant(t, static.Options{GramsPerKWh: 5, Basis: intensity.Basis{Boundary: intensity.Direct}})
	_, err = open(t, answers("a", intensity.Measured, 100), direct).At(ctx, intensity.Query{}, noon().Add(time.Hour))
	require.ErrorIs(t, err, intensity.KindNoData)

	_, err = src.Range(ctx, intensity.Query{}, noon().Add(-2*time.Hour), noon().Add(-time.Hour))
	require.ErrorIs(t, err, intensity.KindNoData, "nothing at all is an error")
}

func TestWorseThanWantedIsRefused(t *testing.T) {
	q := intensity.Query{Location: intensity.Location{Country: "DE"}, Worst: intensity.Estimated}
	_, err := open(t, tables(t)).At(t.Context(), q, noon())
	require.ErrorIs(t, err, intensity.KindNoData)
	require.ErrorContains(t, err, "values are periodic, wanted is estimated or better")
	s, err := open(t, tables(t), answers("b", intensity.Measured, 5)).At(t.Context(), q, noon())
	require.NoError(t, err)
	assert.InDelta(t, 5, s.GramsPerKWh, 0)
}

func TestFailuresAreJoinedAndNothingBecomesZero(t *testing.T) {
	plan := &intensity.Error{Kind: intensity.KindPlan, Provider: "a"}
	broken := answers("c", intensity.Measured, math.NaN())
	src := open(t, fails("a", plan), fails("b", nil), broken)
	_, err := src.At(t.Context(), intensity.Query{}, noon())
	require.ErrorIs(t, err, intensity.KindPlan)
	require.ErrorIs(t, err, intensity.KindNoData)
	require.ErrorIs(t, err, intensity.KindMalformed)
	_, err = src.Range(t.Context(), intensity.Query{}, noon(), noon().Add(time.Hour))
	require.ErrorIs(t, err, intensity.KindPlan)

	s, err := open(t, fails("a", plan), answers("b", intensity.Measured, 5)).At(t.Context(), intensity.Query{}, noon())
	require.NoError(t, err)
	assert.Equal(t, 1, s.Origin.Depth)
}

func TestForecast(t *testing.T) {
	ctx := t.Context()
	_, err := open(t, tables(t)).Forecast(ctx, intensity.Query{}, time.Hour)
	require.ErrorIs(t, err, intensity.KindNoData)
	require.ErrorContains(t, err, "no provider of the chain forecasts")

	oracle := &seer{table: *answers("oracle", intensity.Predicted, 5)}
	oracle.forecast = func(h time.Duration) (intensity.Series, error) {
		return intensity.Series{From: noon(), To: noon().Add(h), Slots: []*intensity.Slot{
			{Start: noon(), End: noon().Add(h), GramsPerKWh: 5, Basis: lifecycle(), Quality: intensity.Predicted},
		}}, nil
	}
	src := open(t, tables(t), oracle)
	s, err := src.Forecast(ctx, intensity.Query{}, 6*time.Hour)
	require.NoError(t, err)
	assert.Len(t, s.Slots, 1)
	_, err = src.Forecast(ctx, intensity.Query{Want: intensity.Basis{Boundary: intensity.Direct}}, time.Hour)
	require.ErrorIs(t, err, intensity.KindMismatch)

	oracle.forecast = func(time.Duration) (intensity.Series, error) { return intensity.Series{}, intensity.KindPlan }
	_, err = src.Forecast(ctx, intensity.Query{}, time.Hour)
	require.ErrorIs(t, err, intensity.KindPlan)

	oracle.caps.Bases = []intensity.Basis{{Signal: intensity.Marginal}}
	_, err = src.Forecast(ctx, intensity.Query{Want: intensity.Basis{Signal: intensity.Average}}, time.Hour)
	require.ErrorIs(t, err, intensity.KindBasis)
}

func TestACancelledContextStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	src := open(t, &seer{table: *answers("a", intensity.Measured, 1)})
	_, err := src.At(ctx, intensity.Query{}, noon())
	require.ErrorIs(t, err, context.Canceled)
	_, err = src.Range(ctx, intensity.Query{}, noon(), noon())
	require.ErrorIs(t, err, context.Canceled)
	_, err = src.Forecast(ctx, intensity.Query{}, time.Hour)
	require.ErrorIs(t, err, context.Canceled)
}

func TestEqualQueriesShareOneHandle(t *testing.T) {
	src := open(t, tables(t))
	handle := func(loc intensity.Location) *intensity.Handle {
		h, err := src.Handle(intensity.Query{Location: loc})
		require.NoError(t, err)
		return h
	}
	paris := func() intensity.Location {
		return intensity.Location{Point: &intensity.LatLon{Lat: 48.85, Lon: 2.35}}
	}
	first := handle(paris())
	assert.Same(t, first, handle(paris()), "the pointer is not the place")
	nowhere := intensity.Location{Point: &intensity.LatLon{Lat: math.NaN()}}
	first = handle(nowhere)
	assert.Same(t, first, handle(nowhere))
	assert.NotSame(t, handle(intensity.Location{}), handle(intensity.Location{Point: &intensity.LatLon{}}))
	assert.NotSame(t, handle(intensity.Location{Country: "DE"}), handle(intensity.Location{Zone: "DE"}))
}

func TestMemoryIsBounded(t *testing.T) {
	src, err := chain.New(chain.Config{MaxPlaces: 10}, tables(t))
	require.NoError(t, err)
	first, err := src.Handle(intensity.Query{Location: intensity.Location{Country: "FR"}})
	require.NoError(t, err)
	for i := range 1000 {
		_, err := src.Handle(intensity.Query{Location: intensity.Location{Zone: "X" + strconv.Itoa(i)}})
		require.NoError(t, err)
	}
	again, err := src.Handle(intensity.Query{Location: intensity.Location{Country: "FR"}})
	require.NoError(t, err)
	assert.NotSame(t, first, again, "it was forgotten")
	assert.Equal(t, again.Peek(noon()), first.Peek(noon()), "and still answers")

	long := intensity.Query{Location: intensity.Location{CloudProvider: "aws", CloudRegion: strings.Repeat("x", 1<<20)}}
	h, err := src.Handle(long)
	require.NoError(t, err)
	assert.InDelta(t, 473.01, h.Peek(noon()).GramsPerKWh, 0)
	other, err := src.Handle(long)
	require.NoError(t, err)
	assert.NotSame(t, h, other, "a megabyte of name is not remembered")
}

func TestFailuresAreRememberedToo(t *testing.T) {
	asked := 0
	src := open(t, &table{
		caps: intensity.Caps{ID: "a", Bases: []intensity.Basis{{}}},
		slots: func(intensity.Query) ([]*intensity.Slot, error) {
			asked++
			return nil, &intensity.Error{Kind: intensity.KindZone, Provider: "a"}
		},
	})
	for range 3 {
		_, err := src.Handle(intensity.Query{})
		require.ErrorIs(t, err, intensity.KindZone)
	}
	assert.Equal(t, 1, asked)
}

func TestClose(t *testing.T) {
	src, err := chain.New(chain.Config{}, tables(t))
	require.NoError(t, err)
	h, err := src.Handle(intensity.Query{Location: intensity.Location{Country: "FR"}})
	require.NoError(t, err)
	require.NoError(t, src.Close())
	require.NoError(t, src.Close(), "twice")
	assert.NotNil(t, h.Peek(noon()), "handles keep answering")
	_, err = src.Handle(intensity.Query{})
	require.ErrorIs(t, err, chain.ErrClosed)
	_, err = src.At(t.Context(), intensity.Query{}, noon())
	require.ErrorIs(t, err, chain.ErrClosed)
	_, err = src.Range(t.Context(), intensity.Query{}, noon(), noon())
	require.ErrorIs(t, err, chain.ErrClosed)
	_, err = src.Forecast(t.Context(), intensity.Query{}, time.Hour)
	require.ErrorIs(t, err, chain.ErrClosed)
}

func TestManyGoroutinesShareOneHandle(t *testing.T) {
	src := open(t, tables(t))
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		handles = map[*intensity.Handle]bool{}
	)
	for range 50 {
		wg.Go(func() {
			h, err := src.Handle(intensity.Query{Location: intensity.Location{CloudProvider: "aws", CloudRegion: "us-east-1"}})
			if err != nil || h.Peek(noon()) == nil {
				t.Errorf("Handle = %v, %v", h, err)
			}
			mu.Lock()
			handles[h] = true
			mu.Unlock()
		})
	}
	wg.Wait()
	assert.Len(t, handles, 1)
}

func TestAKnownPlaceCostsNoMemory(t *testing.T) {
	src := open(t, tables(t))
	q := intensity.Query{Location: intensity.Location{CloudProvider: "aws", CloudRegion: "us-east-1"}}
	h, err := src.Handle(q)
	require.NoError(t, err)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		again, _ := src.Handle(q)
		runtime.KeepAlive(again.Peek(noon()))
	}))
	require.NotNil(t, h)
}

func BenchmarkHandle(b *testing.B) {
	src := open(b, tables(b))
	q := intensity.Query{Location: intensity.Location{CloudProvider: "aws", CloudRegion: "us-east-1"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := src.Handle(q); err != nil {
			b.Fatal(err)
		}
	}
}
