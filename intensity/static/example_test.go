package static_test

import (
	"context"
	"fmt"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/chain"
	"github.com/otelcarbon/otelcarbon/intensity/static"
)

func ExampleNew() {
	roof, err := static.New(static.Options{GramsPerKWh: 43, Half: 0.2, Zone: "own-roof"})
	if err != nil {
		fmt.Println(err)
		return
	}
	src, err := chain.New(chain.Config{}, roof)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = src.Close() }()
	slot, err := src.At(context.Background(), intensity.Query{}, time.Now())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%g g/kWh ± %g %%, %s by %s in %s\n",
		slot.GramsPerKWh, 100*slot.Spread.Half, slot.Quality, slot.Origin.Provider, slot.Origin.ZoneServed)
	// Output: 43 g/kWh ± 20 %, assumed by static in own-roof
}
