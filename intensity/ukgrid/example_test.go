package ukgrid_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/ukgrid"
)

// The server stands in for the service, whose endpoint needs no option.
func ExampleNew() {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"data":[{"from":"2023-03-14T14:30Z","to":"2023-03-14T15:00Z","intensity":{"forecast":91,"actual":115,"index":"low"}}]}`)
	}))
	defer service.Close()

	uk, err := ukgrid.New(ukgrid.Options{Endpoint: service.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	zone, err := uk.Resolve(ctx, intensity.Location{CloudProvider: "aws", CloudRegion: "eu-west-2"})
	if err != nil {
		fmt.Println(err)
		return
	}
	from := time.Date(2023, 3, 14, 14, 30, 0, 0, time.UTC)
	series, err := uk.Fetch(ctx, zone, from, from.Add(30*time.Minute))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range series.Slots {
		fmt.Printf("%s %g g/kWh ± %g %%, %s, %s\n", s.Start.Format(time.TimeOnly), s.GramsPerKWh, 100*s.Spread.Half, s.Quality, s.Basis)
	}
	// Output:
	// GET /intensity/2023-03-14T14:30Z/2023-03-14T15:00Z
	// 14:30:00 115 g/kWh ± 5 %, measured, average direct consumption co2
}
