package openelectricity_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/openelectricity"
)

// In place of Open Electricity, a server that sends a file.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, "testdata/v4-network-by-fueltech.NEM.json")
	}))
	defer server.Close()

	p, err := openelectricity.New(openelectricity.Options{Key: "secret", Endpoint: server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	zone, err := p.Resolve(ctx, intensity.Location{CloudProvider: "aws", CloudRegion: "ap-southeast-2"})
	if err != nil {
		fmt.Println(err)
		return
	}
	from := time.Date(2026, 5, 21, 14, 0, 0, 0, time.UTC) // midnight in the network
	series, err := p.Fetch(ctx, zone, from, from.Add(3*time.Hour))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range series.Slots {
		fmt.Printf("%s %s: %g g/kWh, %s\n", zone, s.Start.Format("15:04"), s.GramsPerKWh, s.Basis)
	}
	fmt.Println(len(series.Gaps), "gap")
	// Output:
	// NSW1 14:00: 675 g/kWh, average direct production co2e
	// NSW1 15:00: 620 g/kWh, average direct production co2e
	// 1 gap
}
