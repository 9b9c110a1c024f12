package watttime_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity/watttime"
)

// In place of WattTime, a server that knows one hour of one region.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/login" {
			fmt.Fprint(w, `{"token":"a.b.c"}`)
			return
		}
		fmt.Fprint(w, `{"data":[{"point_time":"2026-05-04T06:00:00+00:00","value":1000,"imputed_data_used":false}],
			"meta":{"region":"CAISO_NORTH","signal_type":"co2_moer","units":"lbs_co2_per_mwh","data_point_period_seconds":300,"model":{"date":"2025-11-30"}}}`)
	}))
	defer server.Close()

	p, err := watttime.New(watttime.Options{Username: "someone", Password: "secret", Endpoint: server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	from := time.Date(2026, 5, 4, 6, 0, 0, 0, time.UTC)
	series, err := p.Fetch(context.Background(), "CAISO_NORTH", from, from.Add(5*time.Minute))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range series.Slots {
		fmt.Printf("%.1f g/kWh ± %.0f %%, %s, %s, model of %s\n", s.GramsPerKWh, 100*s.Spread.Half, s.Basis, s.Quality, s.Origin.Model)
	}
	// Output: 453.6 g/kWh ± 30 %, marginal direct co2, estimated, model of 2025-11-30
}
