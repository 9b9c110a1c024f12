package rte_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/rte"
)

// The server stands in for the platform, whose endpoint needs no option.
func ExampleNew() {
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"total_count":1,"results":[{"taux_co2":18,"date_heure":"2025-05-14T12:45:00+00:00"}]}`)
	}))
	defer platform.Close()

	france, err := rte.New(rte.Options{Endpoint: platform.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	zone, err := france.Resolve(ctx, intensity.Location{Country: "FR"})
	if err != nil {
		fmt.Println(err)
		return
	}
	from := time.Date(2025, 5, 14, 12, 45, 0, 0, time.UTC)
	series, err := france.Fetch(ctx, zone, from, from.Add(30*time.Minute))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range series.Slots {
		fmt.Printf("%s %g g/kWh ± %g %%, %s\n", s.Start.Format(time.TimeOnly), s.GramsPerKWh, 100*s.Spread.Half, s.Basis)
	}
	for _, g := range series.Gaps {
		fmt.Printf("%s %v\n", g.Start.Format(time.TimeOnly), g.Err)
	}
	// Output:
	// 12:45:00 18 g/kWh ± 10 %, average direct production co2
	// 13:00:00 no data
}
