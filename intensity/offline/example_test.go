package offline_test

import (
	"fmt"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/offline"
)

// A zone that a person wrote down is checked before it is used.
func ExampleProvider_Explain() {
	tables, err := offline.New(offline.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, zone := range []string{"CA-QC", "US-MIDA-PJM", "FRR"} {
		r := tables.Explain(intensity.Location{Zone: zone})
		fmt.Println(r.Known, r.Zones, r.Why())
	}
	// Output:
	// true [CA-QC CA] zone CA-QC
	// true [US] zone US-MIDA-PJM has no yearly value of its own; its country US
	// false [] zone "FRR" is unknown: did you mean FR?
}

func ExampleProvider_Slots() {
	tables, err := offline.New(offline.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	quebec := intensity.Location{CloudProvider: "aws", CloudRegion: "ca-central-1"}
	for _, boundary := range []intensity.Boundary{0, intensity.Lifecycle} {
		slots, err := tables.Slots(intensity.Query{Location: quebec, Want: intensity.Basis{Boundary: boundary}})
		if err != nil {
			fmt.Println(err)
			return
		}
		newest := slots[len(slots)-1]
		fmt.Println(newest.GramsPerKWh, newest.Basis.Boundary, newest.Origin.ZoneServed, newest.Origin.Provider)
	}
	// Output:
	// 1.7 direct CA-QC clouds_csv
	// 190.73 lifecycle CA grids_csv
}
