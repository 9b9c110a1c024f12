package intensity_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
)

func sure(half float64, s intensity.Series) intensity.Series {
	for _, slot := range s.Slots {
		slot.Spread = intensity.Spread{Half: half, From: "assumed"}
	}
	return s
}

func TestBestRegion(t *testing.T) {
	job := intensity.Job{Duration: 2 * time.Hour}
	got, err := intensity.BestRegion([]intensity.Candidate{
		{Name: "home", Series: sure(0.1, hours(200, 200, 100, 100))},
		{Name: "dark", Series: intensity.Series{}},
		{Name: "away", Series: sure(0.2, hours(90, 60, 40, 70))},
		{Name: "same", Series: sure(0.1, hours(50, 50, 90, 90))},
	}, job, nil)
	require.NoError(t, err)
	assert.Equal(t, 2, got.Index)
	assert.Equal(t, "away", got.Name)
	assert.Equal(t, hour(1), got.Plan.Start) // 60 and 40; "same" has 50 too, but stands behind
	assert.InDelta(t, 25, got.Plan.Saving.GramsPerKWh, 1e-12, "against 75 g at once in the same place")
	// Against 200 g at once at home: √((200·0.1)² + (50·0.2)²) = 22.361 g.
	assert.InDelta(t, 200, got.Saving.AtOnce, 1e-12)
	assert.InDelta(t, 150, got.Saving.GramsPerKWh, 1e-12)
	assert.InDelta(t, 22.361, got.Saving.Half, 0.001)
	assert.True(t, got.Saving.Clear)
	require.Len(t, got.Skipped, 1)
	require.EqualError(t, got.Skipped[0], "dark: no data: a series without slots has no best time")
	require.ErrorIs(t, got.Skipped[0], intensity.KindNoData)
}

func TestBestRegionByOrder(t *testing.T) {
	job := intensity.Job{Duration: time.Hour}
	got, err := intensity.BestRegion([]intensity.Candidate{
		{Name: "b", Series: sure(0.1, hours(9, 5))}, {Name: "a", Series: sure(0.1, hours(5, 9))},
	}, job, intensity.BestWindow)
	require.NoError(t, err)
	assert.Equal(t, "b", got.Name, "although a would be done earlier")
	assert.Equal(t, got.Plan.Saving, got.Saving, "at home both are one")
}

func TestBestRegionTakesASearch(t *testing.T) {
	// Without interruption: 45 at home against 40. With: 10 at home.
	candidates := []intensity.Candidate{{Name: "home", Series: hours(10, 80, 10)}, {Name: "away", Series: hours(40, 40, 40)}}
	job := intensity.Job{Duration: 2 * time.Hour}
	window, err := intensity.BestRegion(candidates, job, intensity.BestWindow)
	require.NoError(t, err)
	assert.Equal(t, "away", window.Name)
	assert.False(t, window.Saving.Clear, "no spread is known")
	slots, err := intensity.BestRegion(candidates, job, intensity.BestSlots)
	require.NoError(t, err)
	assert.Equal(t, "home", slots.Name)
}

func TestBestRegionKnowsNothingOfHome(t *testing.T) {
	got, err := intensity.BestRegion([]intensity.Candidate{
		{Name: "home"}, {Name: "away", Series: sure(0.1, hours(40, 30))},
	}, intensity.Job{Duration: time.Hour}, nil)
	require.NoError(t, err)
	assert.False(t, got.Saving.Known)
	assert.InDelta(t, 10, got.Plan.Saving.GramsPerKWh, 1e-12)
}

func TestBestRegionRefuses(t *testing.T) {
	job := intensity.Job{Duration: time.Hour}
	_, err := intensity.BestRegion(nil, job, nil)
	require.ErrorIs(t, err, intensity.KindConfig)

	marginal := hours(100)
	marginal.Slots[0].Basis = intensity.Basis{Signal: intensity.Marginal, Boundary: intensity.Direct}
	average := hours(500)
	average.Slots[0].Basis = intensity.Basis{Signal: intensity.Average, Boundary: intensity.Direct}
	_, err = intensity.BestRegion([]intensity.Candidate{{Name: "dark"}, {Name: "a", Series: average}, {Name: "b", Series: marginal}}, job, nil)
	require.ErrorIs(t, err, intensity.KindBasis)
	require.EqualError(t, err, "wanted basis not offered: a is average direct and b is marginal direct: ask for one basis with Query.Want")

	_, err = intensity.BestRegion([]intensity.Candidate{{Name: "a"}, {Name: "b", Series: hours(-1)}}, job, nil)
	require.ErrorIs(t, err, intensity.KindNoData)
	require.ErrorContains(t, err, "a: ")
	require.ErrorContains(t, err, "b: ")

	_, err = intensity.BestRegion([]intensity.Candidate{{Name: "a", Series: hours(1)}}, intensity.Job{}, nil)
	require.ErrorIs(t, err, intensity.KindConfig)
	require.ErrorContains(t, err, "a: ")
}
