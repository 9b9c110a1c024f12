package intensity_test

import (
	"context"
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

// forecast is made of hourly values, ± 10 %.
func forecast(from time.Time, grams ...float64) intensity.Series {
	s := intensity.Series{From: from, To: from.Add(time.Duration(len(grams)) * time.Hour)}
	for i, g := range grams {
		start := from.Add(time.Duration(i) * time.Hour)
		s.Slots = append(s.Slots, &intensity.Slot{
			Start: start, End: start.Add(time.Hour), GramsPerKWh: g,
			Quality: intensity.Predicted, Spread: intensity.Spread{Half: 0.1, From: "assumed"},
		})
	}
	return s
}

// A job of 90 minutes that may begin at 18:00 and has to be done by midnight. Its
// end touches the border at 22:00; beginning at 20:00 or 21:00 would be dearer.
func ExampleBestWindow() {
	evening := time.Date(2026, 6, 1, 18, 0, 0, 0, time.UTC)
	series := forecast(evening, 300, 240, 150, 100, 180, 220)
	plan, err := intensity.BestWindow(series, intensity.Job{
		Duration: 90 * time.Minute, Earliest: evening, Deadline: evening.Add(6 * time.Hour),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s to %s at %.1f g/kWh\n", plan.Start.Format("15:04"), plan.End.Format("15:04"), plan.GramsPerKWh)
	fmt.Printf("%.0f %% less than the %g g/kWh of starting at once\n", 100*plan.Saving.Share(), plan.Saving.AtOnce)
	if plan.Saving.Clear {
		fmt.Println("worth the wait")
	}
	// Output:
	// 20:30 to 22:00 at 116.7 g/kWh
	// 58 % less than the 280 g/kWh of starting at once
	// worth the wait
}

func ExampleBestWindows() {
	evening := time.Date(2026, 6, 1, 18, 0, 0, 0, time.UTC)
	plans, err := intensity.BestWindows(forecast(evening, 300, 240, 150, 100, 180, 220), intensity.Job{Duration: time.Hour}, 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range plans {
		fmt.Println(p.Start.Format("15:04"), p.GramsPerKWh, "g/kWh")
	}
	// Output:
	// 21:00 100 g/kWh
	// 20:00 150 g/kWh
	// 22:00 180 g/kWh
}

// A job that can be paused takes the cheapest hours wherever they are, or, with a
// MinChunk, the best runs that are long enough.
func ExampleBestSlots() {
	evening := time.Date(2026, 6, 1, 18, 0, 0, 0, time.UTC)
	series := forecast(evening, 300, 90, 150, 100, 110, 220)
	for _, chunk := range []time.Duration{0, 90 * time.Minute} {
		plan, err := intensity.BestSlots(series, intensity.Job{Duration: 3 * time.Hour, MinChunk: chunk})
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, run := range plan.Runs {
			fmt.Print(run.Start.Format("15:04"), "–", run.End.Format("15:04"), " ")
		}
		fmt.Printf("at %.1f g/kWh\n", plan.GramsPerKWh)
	}
	// Output:
	// 19:00–20:00 21:00–23:00 at 100.0 g/kWh
	// 19:00–20:30 21:00–22:30 at 106.7 g/kWh
}

// The first candidate is where the job runs if nothing moves it. With BestWindow
// in place of BestSlots, the job would not be interrupted.
func ExampleBestRegion() {
	evening := time.Date(2026, 6, 1, 18, 0, 0, 0, time.UTC)
	choice, err := intensity.BestRegion([]intensity.Candidate{
		{Name: "europe-west3", Series: forecast(evening, 420, 400, 380, 390)},
		{Name: "europe-west9", Series: forecast(evening, 45, 40, 44, 38)},
	}, intensity.Job{Duration: 2 * time.Hour}, intensity.BestSlots)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s in %d runs, %g g/kWh less than at once in europe-west3\n",
		choice.Name, len(choice.Plan.Runs), choice.Saving.GramsPerKWh)
	// Output: europe-west9 in 2 runs, 371 g/kWh less than at once in europe-west3
}

// Two missing hours: the first gets the value before, the second the one after.
func ExampleFill() {
	noon := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	series := intensity.Series{From: noon.Add(-time.Hour), To: noon.Add(3 * time.Hour), Slots: []*intensity.Slot{
		{Start: noon.Add(-time.Hour), End: noon, GramsPerKWh: 100, Quality: intensity.Measured},
		{Start: noon.Add(2 * time.Hour), End: noon.Add(3 * time.Hour), GramsPerKWh: 180, Quality: intensity.Measured},
	}}
	filled, err := intensity.Fill(series, intensity.Rules{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range filled.Slots {
		fmt.Printf("%s %g g/kWh, %s [%s]\n", s.Start.Format("15:04"), s.GramsPerKWh, s.Quality, s.Flags)
	}
	e := intensity.Integrate([]intensity.Use{
		{Start: noon.Add(-time.Hour), End: noon.Add(3 * time.Hour), Joules: 4 * 3.6e6},
	}, filled)
	fmt.Printf("%g g ± %.1f %%, %.0f %% of the energy met gaps\n", e.Grams, 100*e.Half, 100*e.FilledShare())
	// Output:
	// 11:00 100 g/kWh, measured []
	// 12:00 100 g/kWh, estimated [filled_neighbor]
	// 13:00 180 g/kWh, estimated [filled_neighbor]
	// 14:00 180 g/kWh, measured []
	// 560 g ± 16.5 %, 50 % of the energy met gaps
}

// nightly is a Source that has lost an hour: in a program, chain.New makes one.
type nightly struct{ intensity.Source }

func (nightly) Range(_ context.Context, _ intensity.Query, from, to time.Time) (intensity.Series, error) {
	midnight := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	grid, err := intensity.NewGrid(nil, []*intensity.Slot{
		{Start: midnight, End: midnight.Add(time.Hour), GramsPerKWh: 90, Quality: intensity.Measured},
		{Start: midnight.Add(2 * time.Hour), End: midnight.Add(3 * time.Hour), GramsPerKWh: 60, Quality: intensity.Measured},
	})
	if err != nil {
		return intensity.Series{}, err
	}
	return grid.Series(from, to, intensity.KindNoData), nil
}

func ExampleIntegrateFrom() {
	midnight := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	e, err := intensity.IntegrateFrom(context.Background(), nightly{},
		intensity.Query{Location: intensity.Location{Country: "FR"}},
		[]intensity.Use{{Start: midnight, End: midnight.Add(3 * time.Hour), Joules: 3 * 3.6e6}},
		intensity.Rules{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%g g, of which %g g by the neighboring hour; %g J without a price\n",
		e.Grams, e.Filled.Neighbor.Grams, e.Uncovered)
	// Output: 240 g, of which 90 g by the neighboring hour; 0 J without a price
}
