package intensity_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// One kWh over half an hour on either side of a border.
func ExampleIntegrate() {
	noon := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	series := intensity.Series{Slots: []*intensity.Slot{
		{Start: noon.Add(-time.Hour), End: noon, GramsPerKWh: 100, Quality: intensity.Measured},
		{Start: noon, End: noon.Add(time.Hour), GramsPerKWh: 300, Quality: intensity.Estimated},
	}}
	e := intensity.Integrate([]intensity.Use{
		{Start: noon.Add(-30 * time.Minute), End: noon.Add(30 * time.Minute), Joules: 3.6e6},
	}, series)
	fmt.Printf("%g g, of which %g g at estimated values\n", e.Grams, e.ByQuality[intensity.Estimated])
	// Output: 200 g, of which 150 g at estimated values
}

func ExampleHandle_Each() {
	noon := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	grid, err := intensity.NewGrid(nil, []*intensity.Slot{
		{Start: noon.Add(-time.Hour), End: noon, GramsPerKWh: 100},
		{Start: noon, End: noon.Add(time.Hour), GramsPerKWh: 300},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	h := intensity.NewHandle(grid)
	h.Each(noon.Add(-2*time.Second), noon.Add(8*time.Second), 1000, func(s *intensity.Slot, joules float64) {
		fmt.Println(joules, "J at", s.GramsPerKWh, "g/kWh")
	})
	// Output:
	// 200 J at 100 g/kWh
	// 800 J at 300 g/kWh
}

func ExampleKind() {
	err := fmt.Errorf("pricing the last hour: %w", &intensity.Error{
		Kind: intensity.KindRate, Provider: "electricity_maps", Zone: "FR", RetryAfter: time.Minute,
	})
	var e *intensity.Error
	if errors.Is(err, intensity.KindRate) && errors.As(err, &e) {
		fmt.Println(err, "- again in", e.RetryAfter)
	}
	// Output: pricing the last hour: electricity_maps FR: throttled - again in 1m0s
}
