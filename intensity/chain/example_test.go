package chain_test

import (
	"context"
	"fmt"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/chain"
	"github.com/otelcarbon/otelcarbon/intensity/offline"
)

func ExampleNew() {
	tables, err := offline.New(offline.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	src, err := chain.New(chain.Config{}, tables)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = src.Close() }()
	q := intensity.Query{Location: intensity.Location{CloudProvider: "aws", CloudRegion: "eu-west-3"}}
	slot, err := src.At(context.Background(), q, time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(slot.GramsPerKWh, slot.Basis, slot.Origin.ZoneServed)
	fmt.Println(slot.Origin.Why)
	// Output:
	// 41.45 average lifecycle production co2e FR
	// cloud region aws/eu-west-3; value of FR for 2025 from ember-2026
}
