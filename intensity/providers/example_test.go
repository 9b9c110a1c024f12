package providers_test

import (
	"fmt"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity/providers"
)

var begin = time.Now().UTC().Truncate(time.Hour).Add(-3 * time.Hour) //nolint:gochecknoglobals // of the tests

const span = time.Hour

func ExampleNew() {
	_, err := providers.New("uk_national_grid", providers.Options{Key: "not needed"})
	fmt.Println(err)
	_, err = providers.New("national_grid", providers.Options{})
	fmt.Println(err)
	// Output:
	// uk_national_grid: configuration: it has no key
	// configuration: there is no provider "national_grid": want one of electricity_maps, energinet, open_electricity, rte_eco2mix, uk_national_grid, watttime
}
