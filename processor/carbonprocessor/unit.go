package carbonprocessor

import "github.com/otelcarbon/otelcarbon/internal/unit"

// A measure is what a unit makes of a number: joules, or watts if it is of power.
type measure struct {
	factor float64
	power  bool
}

// measureOf returns the measure of a unit in UCUM, or in the words that exporters for
// Prometheus use; false if it is neither of energy nor of power.
func measureOf(name string) (measure, bool) {
	switch name {
	case "J", "joule", "joules", "W.s", "Ws":
		return measure{factor: 1}, true
	case "mJ", "millijoules":
		return measure{factor: 1e-3}, true
	case "uJ", "µJ", "microjoules":
		return measure{factor: 1e-6}, true
	case "kJ":
		return measure{factor: 1e3}, true
	case "MJ":
		return measure{factor: 1e6}, true
	case "Wh", "W.h":
		return measure{factor: unit.JoulesPerKWh / 1e3}, true
	case "kWh", "kW.h":
		return measure{factor: unit.JoulesPerKWh}, true
	case "MWh", "MW.h":
		return measure{factor: unit.JoulesPerKWh * 1e3}, true
	case "W", "watt", "watts", "J/s":
		return measure{factor: 1, power: true}, true
	case "mW", "milliwatts":
		return measure{factor: 1e-3, power: true}, true
	case "uW", "µW", "microwatts":
		return measure{factor: 1e-6, power: true}, true
	case "kW":
		return measure{factor: 1e3, power: true}, true
	}
	return measure{}, false
}

const knownUnits = "J, mJ, uJ, kJ, MJ, Wh, kWh, MWh, W, mW, uW or kW"
