package rows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/rows"
)

func at(minute int) time.Time {
	return time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(minute) * time.Minute)
}

func slot(from, to int, grams float64) *intensity.Slot {
	return &intensity.Slot{Start: at(from), End: at(to), GramsPerKWh: grams}
}

func ask(from, to int) *rows.Ask {
	return &rows.Ask{Provider: "test", Zone: "T", From: at(from), To: at(to), Now: at(60), Late: 10 * time.Minute}
}

func TestSeries(t *testing.T) {
	for _, c := range []struct {
		name     string
		from, to int
		slots    []*intensity.Slot
		want     []float64
		gaps     int
		kind     intensity.Kind
	}{
		{"newest first", 0, 15, []*intensity.Slot{slot(10, 15, 3), slot(5, 10, 2), slot(0, 5, 1)}, []float64{1, 2, 3}, 0, 0},
		{"a slot twice: the later row", 0, 10, []*intensity.Slot{slot(0, 5, 1), slot(5, 10, 2), slot(0, 5, 9)}, []float64{9, 2}, 0, 0},
		{"outside is dropped", 5, 10, []*intensity.Slot{slot(0, 5, 1), slot(5, 10, 2), slot(10, 15, 3)}, []float64{2}, 0, 0},
		{"half inside is cut", 2, 8, []*intensity.Slot{slot(0, 5, 1), slot(5, 10, 2)}, []float64{1, 2}, 0, 0},
		{"holes are gaps", 0, 20, []*intensity.Slot{slot(5, 10, 2)}, []float64{2}, 2, 0},
		{"nothing", 0, 5, nil, nil, 0, intensity.KindNoData},
		{"nothing inside", 0, 5, []*intensity.Slot{slot(5, 10, 2)}, nil, 0, intensity.KindNoData},
		{"overlap", 0, 15, []*intensity.Slot{slot(0, 10, 1), slot(5, 15, 2)}, nil, 0, intensity.KindMalformed},
		{"no length", 0, 15, []*intensity.Slot{slot(5, 5, 1)}, nil, 0, intensity.KindMalformed},
		{"impossible", 0, 5, []*intensity.Slot{slot(0, 5, -1)}, nil, 0, intensity.KindMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := ask(c.from, c.to).Series(c.slots)
			if c.kind != 0 {
				require.ErrorIs(t, err, c.kind)
				require.ErrorContains(t, err, "test T")
				return
			}
			require.NoError(t, err)
			require.NoError(t, s.Check())
			var got []float64
			for _, x := range s.Slots {
				got = append(got, x.GramsPerKWh)
			}
			assert.Equal(t, c.want, got)
			assert.Len(t, s.Gaps, c.gaps)
		})
	}
}

func TestGapsOfRecentSlotsMayYetBeFilled(t *testing.T) {
	s, err := ask(0, 70).Series([]*intensity.Slot{slot(10, 20, 1), slot(40, 45, 2)}) // it is minute 60
	require.NoError(t, err)
	require.Len(t, s.Gaps, 3)
	assert.Equal(t, intensity.KindNoData, s.Gaps[0].Err, "minute 0 to 10")
	assert.Equal(t, intensity.KindNoData, s.Gaps[1].Err, "minute 20 to 40, 20 min ago")
	assert.Equal(t, intensity.KindNotYet, s.Gaps[2].Err, "minute 45 to 70")
}

func TestQualityFollowsAge(t *testing.T) {
	a := ask(0, 60)
	assert.Equal(t, intensity.Predicted, a.Quality(at(61), at(66), time.Hour), "has not begun")
	assert.Equal(t, intensity.Preliminary, a.Quality(at(58), at(63), time.Hour), "is running")
	assert.Equal(t, intensity.Preliminary, a.Quality(at(0), at(5), time.Hour))
	assert.Equal(t, intensity.Measured, a.Quality(at(-5), at(0), time.Hour), "ended an hour ago")
}

func TestCheck(t *testing.T) {
	require.NoError(t, ask(0, 10).Check(10*time.Minute))
	require.NoError(t, ask(0, 10).Check(0))
	require.ErrorIs(t, ask(0, 11).Check(10*time.Minute), intensity.KindConfig)
	require.ErrorContains(t, ask(0, 11).Check(10*time.Minute), "ask for at most 10m0s")
	require.ErrorIs(t, ask(5, 5).Check(0), intensity.KindConfig)
}
