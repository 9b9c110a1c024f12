package static_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/static"
)

func constant(t *testing.T, o static.Options) *static.Provider {
	t.Helper()
	p, err := static.New(o)
	require.NoError(t, err)
	return p
}

func TestAConstantHoldsEverywhereAndAlways(t *testing.T) {
	p := constant(t, static.Options{GramsPerKWh: 50})
	slots, err := p.Slots(intensity.Query{Location: intensity.Location{Zone: "FR"}})
	require.NoError(t, err)
	require.Len(t, slots, 1)
	s := slots[0]
	start, end := intensity.Always()
	assert.Equal(t, []time.Time{start, end}, []time.Time{s.Start, s.End})
	assert.InDelta(t, 50, s.GramsPerKWh, 0)
	assert.Equal(t, intensity.Assumed, s.Quality)
	assert.Equal(t, "static", s.Origin.Provider)
	assert.Equal(t, "FR", s.Origin.ZoneServed)
	assert.Equal(t, intensity.Spread{}, s.Spread, "nobody stated a range")
	assert.Equal(t, intensity.Basis{Signal: intensity.Average, Boundary: intensity.Lifecycle, Flow: intensity.Consumption, Gas: intensity.CO2e}, s.Basis)

	slots, err = p.Slots(intensity.Query{})
	require.NoError(t, err)
	assert.Empty(t, slots[0].Origin.ZoneServed, "no zone was asked for")
}

func TestOptionsAreServed(t *testing.T) {
	p := constant(t, static.Options{GramsPerKWh: 0, Half: 0.1, Zone: "roof"})
	slots, err := p.Slots(intensity.Query{Location: intensity.Location{Zone: "FR"}})
	require.NoError(t, err)
	assert.Zero(t, slots[0].GramsPerKWh, "0 is legal")
	assert.Equal(t, "roof", slots[0].Origin.ZoneServed)
	assert.Equal(t, intensity.Spread{Half: 0.1, From: "assumed"}, slots[0].Spread)
}

func TestTheConstantIsWhatWasAskedForUnlessItSaysOtherwise(t *testing.T) {
	want := intensity.Basis{Signal: intensity.Marginal, Boundary: intensity.Direct, Flow: intensity.Production, Gas: intensity.CO2}
	slots, err := constant(t, static.Options{GramsPerKWh: 50}).Slots(intensity.Query{Want: want})
	require.NoError(t, err)
	assert.Equal(t, want, slots[0].Basis)

	direct := constant(t, static.Options{GramsPerKWh: 50, Basis: intensity.Basis{Boundary: intensity.Direct}})
	assert.True(t, direct.Caps().Offers(intensity.Basis{Signal: intensity.Marginal}))
	assert.False(t, direct.Caps().Offers(intensity.Basis{Boundary: intensity.Lifecycle}))
	_, err = direct.Slots(intensity.Query{Want: intensity.Basis{Boundary: intensity.Lifecycle}})
	require.ErrorIs(t, err, intensity.KindBasis)
	slots, err = direct.Slots(intensity.Query{})
	require.NoError(t, err)
	assert.Equal(t, intensity.Direct, slots[0].Basis.Boundary)
}

func TestImpossibleConstantsAreRefused(t *testing.T) {
	for _, g := range []float64{-1, 5001, math.NaN(), math.Inf(1)} {
		_, err := static.New(static.Options{GramsPerKWh: g})
		require.ErrorIs(t, err, intensity.KindConfig, "%v g/kWh", g)
		require.ErrorContains(t, err, "between 0 and 5000")
	}
	for _, h := range []float64{-0.1, math.NaN(), math.Inf(1)} {
		_, err := static.New(static.Options{GramsPerKWh: 1, Half: h})
		require.ErrorIs(t, err, intensity.KindConfig, "half-width %v", h)
	}
}

func TestFetch(t *testing.T) {
	p := constant(t, static.Options{GramsPerKWh: 50})
	zone, err := p.Resolve(t.Context(), intensity.Location{Zone: "FR"})
	require.NoError(t, err)
	from := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	s, err := p.Fetch(t.Context(), zone, from, from.Add(time.Hour))
	require.NoError(t, err)
	require.NoError(t, s.Check())
	require.Len(t, s.Slots, 1)
	assert.Equal(t, "FR", s.Slots[0].Origin.ZoneServed)
}
