package carbonprocessor

import (
	"errors"
	"fmt"
	"math"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/internal/emission"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

// Config is the configuration of the processor. The README explains every key.
type Config struct {
	Location    LocationConfig    `mapstructure:"location"`
	Providers   []ProviderConfig  `mapstructure:"providers"`   // in order; none means the embedded tables only
	Offline     bool              `mapstructure:"offline"`     // no socket is opened, whatever the providers
	CloudsFile  string            `mapstructure:"clouds_file"` // path of a table in place of the embedded clouds.csv
	MaxStale    time.Duration     `mapstructure:"max_stale"`   // how long a last good value may stand in
	Signal      string            `mapstructure:"signal"`      // "average" or "marginal"
	Boundary    string            `mapstructure:"boundary"`    // "any", "lifecycle" or "direct"
	PUE         float64           `mapstructure:"pue"`         // 0: that of the cloud region, else 1
	Range       bool              `mapstructure:"range"`       // whether bounds are emitted
	Uncertainty UncertaintyConfig `mapstructure:"uncertainty"`
	MaxStreams  int               `mapstructure:"max_streams"` // streams of input points that are remembered
	StaleAfter  time.Duration     `mapstructure:"stale_after"` // silence after which a stream is forgotten

	WUE              float64                `mapstructure:"wue"` // L/kWh; 0: no water
	ElectricityPrice ElectricityPriceConfig `mapstructure:"electricity_price"`
	Inputs           []InputConfig          `mapstructure:"inputs"`      // besides hw.energy and carbon.energy
	Temporality      string                 `mapstructure:"temporality"` // "": that of the input; "delta" or "cumulative"

	Embodied   configoptional.Optional[EmbodiedConfig] `mapstructure:"embodied"` // left out: nothing embodied
	Budgets    []BudgetConfig                          `mapstructure:"budgets"`
	SCI        *SCIConfig                              `mapstructure:"sci"`         // nil: no carbon.sci
	Revise     bool                                    `mapstructure:"revise"`      // whether corrections are emitted when better values come
	Storage    *component.ID                           `mapstructure:"storage"`     // extension that keeps the state; nil: it is forgotten
	SpanEvents bool                                    `mapstructure:"span_events"` // whether events of spans are priced like spans
}

// LocationConfig says where the machines are.
type LocationConfig struct {
	Zone    string `mapstructure:"zone"`    // grid zone of all resources, whatever they say of themselves
	Default string `mapstructure:"default"` // for resources that say nothing: zone, country, subdivision or provider:region
}

// UncertaintyConfig holds relative half-widths: 0.35 is ± 35 %.
type UncertaintyConfig struct {
	Power     PowerUncertainty     `mapstructure:"power"`
	Intensity IntensityUncertainty `mapstructure:"intensity"`
}

// PowerUncertainty is by the method of a point, its attribute carbon.method.
type PowerUncertainty struct {
	Measured   float64 `mapstructure:"measured"`
	Integrated float64 `mapstructure:"integrated"`
	Modelled   float64 `mapstructure:"modelled"` // of points without a known method, too
}

// IntensityUncertainty is by how a value of the tables came to be used.
type IntensityUncertainty struct {
	Yearly  float64 `mapstructure:"yearly"`  // a mean of a year in place of the hour
	Widened float64 `mapstructure:"widened"` // added where a country or the world stands in for the zone
}

// ElectricityPriceConfig is what electricity costs.
type ElectricityPriceConfig struct {
	PerKWh   float64 `mapstructure:"per_kwh"`  // 0: no cost
	Currency string  `mapstructure:"currency"` // the unit of the cost, in braces
}

var (
	_ component.Config  = (*Config)(nil)
	_ confmap.Validator = (*Config)(nil)
)

func createDefaultConfig() component.Config {
	power, grid := emission.DefaultWidths(), intensity.DefaultHalfWidths()
	return &Config{
		MaxStale: 6 * time.Hour,
		Signal:   names.SignalAverage,
		Boundary: anyBoundary,
		Range:    true,
		Uncertainty: UncertaintyConfig{
			Power: PowerUncertainty{
				Measured:   power.Power(names.MethodMeasured, ""),
				Integrated: power.Power(names.MethodIntegrated, ""),
				Modelled:   power.Power(names.MethodModelled, ""),
			},
			Intensity: IntensityUncertainty{Yearly: grid.Yearly, Widened: grid.Widened},
		},
		MaxStreams: 100_000,
		StaleAfter: 10 * time.Minute,

		ElectricityPrice: ElectricityPriceConfig{Currency: "USD"},
		Embodied:         configoptional.Default(EmbodiedConfig{Lifetime: 35_040 * time.Hour}), // four years
	}
}

const (
	anyBoundary  = "any"
	ratioExample = "want a number from 0 to 3, such as 0.35 for ± 35 %"
	maxHalf      = 3 // what is more is a percentage
)

// Validate names the key and what would be right. It reads no file; what depends
// on one is checked when the processor starts.
func (c *Config) Validate() error {
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	switch c.Signal {
	case names.SignalAverage, names.SignalMarginal:
	default:
		refuse("signal: %q is not known; use average or marginal", c.Signal)
	}
	switch c.Boundary {
	case anyBoundary, names.BoundaryLifecycle, names.BoundaryDirect:
	default:
		refuse("boundary: %q is not known; use any, lifecycle or direct", c.Boundary)
	}
	if c.PUE != 0 && !(c.PUE >= 1 && finite(c.PUE)) {
		refuse("pue: %v is impossible; use 1 or more, or 0 for the value of the cloud region", c.PUE)
	}
	if !(c.WUE >= 0) || !finite(c.WUE) {
		refuse("wue: %v is impossible; use liters for each kWh of the machine, such as 0.18, or 0", c.WUE)
	}
	if p := c.ElectricityPrice.PerKWh; !(p >= 0) || !finite(p) {
		refuse("electricity_price::per_kwh: %v is impossible; use a price of 0 or more", p)
	}
	if cur := c.ElectricityPrice.Currency; !isCurrency(cur) {
		refuse("electricity_price::currency: %q is not a code of letters, such as USD", cur)
	}
	if _, known := temporalities()[c.Temporality]; !known {
		refuse("temporality: %q is not known; use delta or cumulative, or leave it out for that of the input", c.Temporality)
	}
	c.checkInputs(refuse)
	if c.MaxStale <= 0 {
		refuse("max_stale: %v is not a duration above 0, such as 6h", c.MaxStale)
	}
	if c.MaxStreams <= 0 {
		refuse("max_streams: %d is not above 0; the default is 100000", c.MaxStreams)
	}
	if c.StaleAfter <= 0 {
		refuse("stale_after: %v is not a duration above 0, such as 10m", c.StaleAfter)
	}
	for key, half := range c.Uncertainty.all {
		if !(half >= 0) || half > maxHalf {
			refuse("uncertainty::%s: %v: %s", key, half, ratioExample)
		}
	}
	c.checkProviders(refuse)
	c.checkBudgets(refuse)
	if e := c.Embodied; e.HasValue() {
		if kg := e.Get().KgCO2e; !(kg >= 0) || !finite(kg) {
			refuse("embodied::kg_co2e: %v is impossible; use kg of a machine, or 0 for the tables", kg)
		}
		if e.Get().Lifetime <= 0 {
			refuse("embodied::lifetime: %v is not a duration above 0, such as 35040h", e.Get().Lifetime)
		}
	}
	if c.SCI != nil {
		if err := c.SCI.check(c.Inputs); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// temporalities of the configuration.
func temporalities() map[string]pmetric.AggregationTemporality {
	return map[string]pmetric.AggregationTemporality{
		"":           pmetric.AggregationTemporalityUnspecified,
		"delta":      pmetric.AggregationTemporalityDelta,
		"cumulative": pmetric.AggregationTemporalityCumulative,
	}
}

func isCurrency(s string) bool {
	if s == "" || len(s) > 16 {
		return false
	}
	for _, c := range s {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

func (u UncertaintyConfig) all(yield func(string, float64) bool) {
	_ = yield("power::measured", u.Power.Measured) &&
		yield("power::integrated", u.Power.Integrated) &&
		yield("power::modelled", u.Power.Modelled) &&
		yield("intensity::yearly", u.Intensity.Yearly) &&
		yield("intensity::widened", u.Intensity.Widened)
}

// widths is the table of power half-widths with what was configured.
func (u UncertaintyConfig) widths() emission.Widths {
	ws := emission.DefaultWidths()
	for method, half := range map[string]float64{
		names.MethodMeasured:   u.Power.Measured,
		names.MethodIntegrated: u.Power.Integrated,
		names.MethodModelled:   u.Power.Modelled,
		"":                     u.Power.Modelled,
	} {
		ws = ws.With(emission.Width{Method: method, Half: half, Source: "configuration"})
	}
	return ws
}

// halfWidths is the table of intensity half-widths with what was configured.
func (u UncertaintyConfig) halfWidths() intensity.HalfWidths {
	h := intensity.DefaultHalfWidths()
	h.Yearly, h.Widened = u.Intensity.Yearly, u.Intensity.Widened
	return h
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }
