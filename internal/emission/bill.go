package emission

import "github.com/otelcarbon/otelcarbon/internal/unit"

// Water returns the water in L that was used for an energy in J at a site with a
// water usage effectiveness of wue, in L for each kWh that its machines draw. It
// takes no PUE: a WUE is given per kWh of the machines themselves, and what cools
// them is in it. It does not check its arguments.
func Water(joules, wue float64) float64 {
	return joules / unit.JoulesPerKWh * wue
}

// Cost returns the price of an energy in J that was drawn behind a PUE (1 or more,
// a plain ratio), in the currency of pricePerKWh. With PUE, because the building's
// overhead stands on the same bill. It does not check its arguments.
func Cost(joules, pue, pricePerKWh float64) float64 {
	return joules / unit.JoulesPerKWh * pue * pricePerKWh
}
