package intensity_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

func TestWordsAreTheAttributeValues(t *testing.T) {
	for got, want := range map[string]string{
		intensity.Average.String():     names.SignalAverage,
		intensity.Marginal.String():    names.SignalMarginal,
		intensity.Lifecycle.String():   names.BoundaryLifecycle,
		intensity.Direct.String():      names.BoundaryDirect,
		intensity.Measured.String():    names.QualityMeasured,
		intensity.Preliminary.String(): names.QualityPreliminary,
		intensity.Estimated.String():   names.QualityEstimated,
		intensity.Predicted.String():   names.QualityPredicted,
		intensity.Periodic.String():    names.QualityPeriodic,
		intensity.Assumed.String():     names.QualityAssumed,
		intensity.Consumption.String(): "consumption",
		intensity.Production.String():  "production",
		intensity.CO2.String():         "co2",
		intensity.CO2e.String():        "co2e",
		intensity.Signal(0).String():   "",
		intensity.Quality(0).String():  "",
		intensity.Boundary(9).String(): "boundary(9)",
	} {
		assert.Equal(t, want, got)
	}
}

func TestWordsAreReadBack(t *testing.T) {
	for v := intensity.Measured; v <= intensity.Assumed; v++ {
		got, err := intensity.ParseQuality(v.String())
		require.NoError(t, err)
		assert.Equal(t, v, got)
	}
	signal, err := intensity.ParseSignal("marginal")
	require.NoError(t, err)
	assert.Equal(t, intensity.Marginal, signal)
	flow, err := intensity.ParseFlow("consumption")
	require.NoError(t, err)
	assert.Equal(t, intensity.Consumption, flow)
	gas, err := intensity.ParseGas("co2e")
	require.NoError(t, err)
	assert.Equal(t, intensity.CO2e, gas)
	for word, want := range map[string]intensity.Boundary{
		"any": 0, "": 0, "lifecycle": intensity.Lifecycle, "direct": intensity.Direct,
	} {
		got, err := intensity.ParseBoundary(word)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}

func TestUnknownWordsAreRefusedWithTheKnownOnes(t *testing.T) {
	_, err := intensity.ParseBoundary("life-cycle")
	require.ErrorIs(t, err, intensity.KindConfig)
	require.EqualError(t, err, `configuration: boundary "life-cycle" is none of any, direct, lifecycle`)
	_, err = intensity.ParseSignal("Average")
	require.EqualError(t, err, `configuration: signal "Average" is none of average, marginal`)
	_, err = intensity.ParseQuality("best")
	require.ErrorIs(t, err, intensity.KindConfig)
}

func TestFlags(t *testing.T) {
	f := intensity.Extrapolated | intensity.ZoneWidened
	assert.Equal(t, "extrapolated|zone_widened", f.String())
	assert.True(t, f.Has(intensity.ZoneWidened))
	assert.False(t, f.Has(intensity.ZoneWidened|intensity.Stale))
	assert.Equal(t, "revised|filled_neighbor", (intensity.Revised | intensity.FilledNeighbor).String())
	assert.Equal(t, "filled_day_before|filled_fallback", (intensity.FilledDayBefore | intensity.FilledFallback).String())
	assert.Empty(t, intensity.Flags(0).String())
	assert.Equal(t, "stale|0x8000", (intensity.Stale | 1<<15).String())
}

func TestBasis(t *testing.T) {
	direct := intensity.Basis{Signal: intensity.Average, Boundary: intensity.Direct, Flow: intensity.Production, Gas: intensity.CO2}
	assert.Equal(t, "average direct production co2", direct.String())
	assert.Equal(t, "any", intensity.Basis{}.String())

	for _, c := range []struct {
		name string
		want intensity.Basis
		have intensity.Basis
		ok   bool
	}{
		{"zero fields accept anything", intensity.Basis{}, direct, true},
		{"stated fields have to agree", intensity.Basis{Boundary: intensity.Lifecycle}, direct, false},
		{"average is not marginal", intensity.Basis{Signal: intensity.Marginal}, direct, false},
		{"CO2 is not CO2e", intensity.Basis{Gas: intensity.CO2e}, direct, false},
		{"production is not consumption", intensity.Basis{Flow: intensity.Consumption}, direct, false},
		{"what is not stated cannot be promised", intensity.Basis{Gas: intensity.CO2}, intensity.Basis{}, false},
		{"agreement", direct, direct, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.ok, c.want.Accepts(c.have))
		})
	}
}

func TestCapsOffers(t *testing.T) {
	caps := intensity.Caps{Bases: []intensity.Basis{
		{Signal: intensity.Average, Boundary: intensity.Direct, Gas: intensity.CO2e},
		{Signal: intensity.Average, Boundary: intensity.Lifecycle, Gas: intensity.CO2e},
	}}
	assert.True(t, caps.Offers(intensity.Basis{}))
	assert.True(t, caps.Offers(intensity.Basis{Boundary: intensity.Lifecycle, Flow: intensity.Consumption}), "the flow is open")
	assert.False(t, caps.Offers(intensity.Basis{Signal: intensity.Marginal}))
	assert.False(t, caps.Offers(intensity.Basis{Gas: intensity.CO2}))
	assert.False(t, intensity.Caps{}.Offers(intensity.Basis{}))
}
