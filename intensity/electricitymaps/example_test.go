package electricitymaps_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/electricitymaps"
)

// The server of this example stands in for Electricity Maps.
func Example() {
	running := time.Now().UTC().Truncate(time.Hour)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		row := func(at time.Time, grams int, estimated bool) string {
			return fmt.Sprintf(`{"zone":"FR","datetime":%q,"carbonIntensity":%d,"emissionFactorType":"lifecycle","isEstimated":%t}`,
				at.Format(time.RFC3339), grams, estimated)
		}
		fmt.Fprintf(w, `{"zone":"FR","history":[%s,%s]}`, row(running.Add(-time.Hour), 41, false), row(running, 44, true))
	}))
	defer server.Close()

	p, err := electricitymaps.New(electricitymaps.Config{Key: "key of an account", Endpoint: server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	zone, err := p.Resolve(ctx, intensity.Location{CloudProvider: "gcp", CloudRegion: "europe-west9"})
	if err != nil {
		fmt.Println(err)
		return
	}
	series, err := p.Fetch(ctx, zone, running.Add(-time.Hour), running.Add(time.Hour))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range series.Slots {
		fmt.Printf("%s: %g g/kWh ± %.0f %%, %s, %s\n", s.Origin.ZoneServed, s.GramsPerKWh, 100*s.Spread.Half, s.Quality, s.Basis)
	}
	// Output:
	// FR: 41 g/kWh ± 10 %, preliminary, average lifecycle consumption co2e
	// FR: 44 g/kWh ± 30 %, estimated, average lifecycle consumption co2e
}
