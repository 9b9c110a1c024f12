// Package names holds the metric names, attribute keys, attribute values and
// units that this module reads or writes and that no generator writes down:
// mdatagen keeps its names in a package internal to one component, where the
// other components cannot see them. They are a contract with dashboards and
// alerts; a name changes only together with the changelog.
//
// A metric and an attribute of the same name (carbon.energy) are two constants.
package names

// Metrics of energy and power. Sums are cumulative doubles from 0 at their start
// time, in J; power is a gauge in W.
const (
	MetricHWEnergy     = "hw.energy"            // per part of the machine, parts do not overlap unless hw.parent says so
	MetricHWPower      = "hw.power"             // mean over the last collection interval
	MetricHostEnergy   = "hw.host.energy"       // the whole host: never added to hw.energy
	MetricHostPower    = "hw.host.power"        // likewise
	MetricSensorEnergy = "carbon.sensor.energy" // readings that overlap hw.energy: core, uncore, rails
	MetricEnergy       = "carbon.energy"        // attributed to the workload that the resource names
	MetricEnergyGap    = "carbon.energy_gap"    // sum, s: for how long that was not known
)

// Metrics of emissions. Sums are cumulative doubles in g of CO2-equivalent.
const (
	MetricHostEmissions           = "carbon.host.emissions" // from hw.energy
	MetricHostEmissionsLower      = "carbon.host.emissions_lower"
	MetricHostEmissionsUpper      = "carbon.host.emissions_upper"
	MetricEmissions               = "carbon.emissions" // from carbon.energy
	MetricEmissionsLower          = "carbon.emissions_lower"
	MetricEmissionsUpper          = "carbon.emissions_upper"
	MetricHostEmissionsCorrection = "carbon.host.emissions_correction" // not monotonic: what a better intensity changes later
	MetricEmissionsCorrection     = "carbon.emissions_correction"
	MetricOperationEnergy         = "carbon.operation.energy"    // of spans, by attributes of the program
	MetricOperationEmissions      = "carbon.operation.emissions" // likewise
	MetricSCI                     = "carbon.sci"                 // gauge, g per functional unit
	MetricGridIntensity           = "carbon.grid.intensity"      // gauge, g/(kW.h)
	MetricElectricityCost         = "carbon.electricity_cost"    // sum, in the currency as a UCUM annotation: {USD}
	MetricWaterUsage              = "carbon.water_usage"         // sum, L
	MetricBudgetLimit             = "carbon.budget.limit"        // gauge, g
	MetricBudgetUtilization       = "carbon.budget.utilization"  // gauge, 1
)

// Units in UCUM. Emissions have plain grams: a unit in braces loses its name on
// the way to Prometheus.
const (
	UnitJoule       = "J"
	UnitWatt        = "W"
	UnitGram        = "g"
	UnitGramsPerKWh = "g/(kW.h)"
	UnitLiter       = "L"
	UnitSecond      = "s"
	UnitOne         = "1"
)
