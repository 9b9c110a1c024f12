package energinet_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/energinet"
)

// The server stands in for the service, whose endpoint needs no option.
func ExampleNew() {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.URL.Path, r.URL.Query().Get("filter"))
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"dataset":"CO2Emis","records":[{"Minutes5UTC":"2026-01-20T16:30:00","PriceArea":"DK1","CO2Emission":160.0}]}`)
	}))
	defer service.Close()

	denmark, err := energinet.New(energinet.Options{Endpoint: service.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	_, err = denmark.Resolve(ctx, intensity.Location{Country: "DK"})
	fmt.Println(err)
	from := time.Date(2026, 1, 20, 16, 30, 0, 0, time.UTC)
	series, err := denmark.Fetch(ctx, "DK1", from, from.Add(5*time.Minute))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range series.Slots {
		fmt.Printf("%s %g g/kWh in %s, %s\n", s.Start.Format(time.TimeOnly), s.GramsPerKWh, s.Origin.ZoneServed, s.Basis)
	}
	// Output:
	// energinet: unknown zone: Denmark is two price areas: want DK-DK1, west of the Great Belt, or DK-DK2, east of it
	// /dataset/CO2Emis {"PriceArea":["DK1"]}
	// 16:30:00 160 g/kWh in DK-DK1, average direct consumption co2
}
