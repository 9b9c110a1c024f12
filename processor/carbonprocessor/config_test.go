package carbonprocessor

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

func load(t *testing.T, conf *confmap.Conf) (*Config, error) {
	t.Helper()
	cfg := createDefaultConfig().(*Config)
	if err := conf.Unmarshal(cfg); err != nil {
		return nil, err
	}
	return cfg, confmap.Validate(cfg)
}

func TestConfigIsRead(t *testing.T) {
	all, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)

	sub, err := all.Sub("carbon")
	require.NoError(t, err)
	got, err := load(t, sub)
	require.NoError(t, err)
	want := &Config{
		MaxStale: 6 * time.Hour, Signal: "average", Boundary: "any", Range: true, MaxStreams: 100_000, StaleAfter: 10 * time.Minute,
		Uncertainty: UncertaintyConfig{
			Power:     PowerUncertainty{Measured: 0.07, Integrated: 0.35, Modelled: 0.60},
			Intensity: IntensityUncertainty{Yearly: 0.35, Widened: 0.20},
		},
		ElectricityPrice: ElectricityPriceConfig{Currency: "USD"},
		Embodied:         configoptional.Default(EmbodiedConfig{Lifetime: 35_040 * time.Hour}),
	}
	assert.Equal(t, want, got)

	sub, err = all.Sub("carbon/everything")
	require.NoError(t, err)
	got, err = load(t, sub)
	require.NoError(t, err)
	fifty := 50.0
	store := component.MustNewIDWithName("file_storage", "carbon")
	want = &Config{
		Location:  LocationConfig{Zone: "FR", Default: "aws:eu-west-3"},
		Providers: []ProviderConfig{{Static: &StaticConfig{GramsPerKWh: &fifty, HalfWidth: 0.1}}},
		Offline:   true, CloudsFile: "clouds.csv", MaxStale: time.Hour, Signal: "average", Boundary: "lifecycle", PUE: 1.2,
		Uncertainty: UncertaintyConfig{
			Power:     PowerUncertainty{Measured: 0.05, Integrated: 0.3, Modelled: 0.5},
			Intensity: IntensityUncertainty{Yearly: 0.4, Widened: 0.1},
		},
		MaxStreams: 10, StaleAfter: time.Minute,
		ElectricityPrice: ElectricityPriceConfig{PerKWh: 0.3, Currency: "EUR"},
		WUE:              1.8, Temporality: "delta", Revise: true,
		Embodied: configoptional.Some(EmbodiedConfig{KgCO2e: 1200, Lifetime: time.Hour}),
		Budgets:  []BudgetConfig{{Name: "team-a", Grams: 5000, Period: 24 * time.Hour, Match: map[string]string{"service.namespace": "team-a"}, Thresholds: []float64{90}}},
		Inputs: []InputConfig{{
			Metric: "some_metric", Unit: "kWh", Of: "host", Kind: "counter", MaxGap: time.Minute,
			Match: map[string]string{"zone": "package*"}, Attributes: map[string]string{"hw.type": "cpu"}, Method: "measured",
		}},
		SCI:     &SCIConfig{Per: "http.server.request.count", By: []string{"service.name"}},
		Storage: &store, SpanEvents: true,
	}
	assert.Equal(t, want, got)
}

func TestWrongConfigIsRefusedWithKeyAndRemedy(t *testing.T) {
	provider := func(entry map[string]any) map[string]any { return map[string]any{"providers": []any{entry}} }
	input := func(entries ...map[string]any) map[string]any {
		list := make([]any, 0, len(entries))
		for _, e := range entries {
			list = append(list, e)
		}
		return map[string]any{"inputs": list}
	}
	for _, tc := range []struct {
		name string
		conf map[string]any
		want string
	}{
		{"an unknown key", map[string]any{"locaton": map[string]any{"zone": "FR"}}, "locaton"},
		{"an unknown key below", map[string]any{"location": map[string]any{"zoen": "FR"}}, "zoen"},
		{"span_events that is no switch", map[string]any{"span_events": "some"}, "span_events"},
		{"an unknown signal", map[string]any{"signal": "median"}, `signal: "median" is not known; use average or marginal`},
		{"a signal that no table has", map[string]any{"signal": "marginal"}, "signal: marginal is in no table, and none of the providers tells it with boundary any: add watttime"},
		{"an unknown boundary", map[string]any{"boundary": "upstream"}, `boundary: "upstream" is not known; use any, lifecycle or direct`},
		{"a PUE below one", map[string]any{"pue": 0.5}, "pue: 0.5 is impossible; use 1 or more"},
		{"a PUE that is no number", map[string]any{"pue": math.NaN()}, "pue: NaN is impossible"},
		{"an endless PUE", map[string]any{"pue": math.Inf(1)}, "pue: +Inf is impossible"},
		{"no time for old values", map[string]any{"max_stale": "0s"}, "max_stale: 0s is not a duration above 0, such as 6h"},
		{"no streams", map[string]any{"max_streams": 0}, "max_streams: 0 is not above 0"},
		{"no time for streams", map[string]any{"stale_after": "-1s"}, "stale_after: -1s is not a duration above 0, such as 10m"},
		{"a negative half-width", map[string]any{"uncertainty": map[string]any{"power": map[string]any{"modelled": -0.1}}}, "uncertainty::power::modelled: -0.1: want a number from 0 to 3"},
		{"a half-width in percent", map[string]any{"uncertainty": map[string]any{"power": map[string]any{"measured": 7}}}, "uncertainty::power::measured: 7: want a number from 0 to 3"},
		{"a threshold that is no percentage", map[string]any{"budgets": []any{map[string]any{"name": "a", "grams": 1, "thresholds": []any{0.5}}}}, "thresholds: 0.5 is not a share of the limit: want a percentage from 1"},
		{"an endless half-width", map[string]any{"uncertainty": map[string]any{"intensity": map[string]any{"yearly": math.Inf(1)}}}, "uncertainty::intensity::yearly: +Inf: want a number"},
		{"negative water", map[string]any{"wue": -1.8}, "wue: -1.8 is impossible; use liters"},
		{"a negative price", map[string]any{"electricity_price": map[string]any{"per_kwh": -0.3}}, "electricity_price::per_kwh: -0.3 is impossible"},
		{"no currency", map[string]any{"electricity_price": map[string]any{"currency": "$"}}, `electricity_price::currency: "$" is not a code of letters`},
		{"an unknown temporality", map[string]any{"temporality": "both"}, `temporality: "both" is not known; use delta or cumulative`},
		{"negative hardware", map[string]any{"embodied": map[string]any{"kg_co2e": -1}}, "embodied::kg_co2e: -1 is impossible"},
		{"hardware that does not live", map[string]any{"embodied": map[string]any{"lifetime": "0s"}}, "embodied::lifetime: 0s is not a duration above 0"},
		{"a budget of nothing", map[string]any{"budgets": []any{map[string]any{"name": "team-a"}}}, `budgets[0]: budget "team-a": grams: 0 is not a limit`},
		{"a budget without a name", map[string]any{"budgets": []any{map[string]any{"grams": 1}}}, "budgets[0]: budget of 1 g: name: is empty"},
		{"two budgets of one name", map[string]any{"budgets": []any{map[string]any{"name": "a", "grams": 1}, map[string]any{"name": "a", "grams": 2}}}, `budgets[1]: name: "a" stands there twice`},
		{"an unknown key of a budget", map[string]any{"budgets": []any{map[string]any{"name": "a", "kilograms": 1}}}, "kilograms"},
		{"no functional unit", map[string]any{"sci": map[string]any{"by": []any{"service.name"}}}, "sci::per is missing"},
		{"units that are energy", map[string]any{"sci": map[string]any{"per": "hw.energy"}}, "sci::per: hw.energy is energy or emissions"},
		{"units that are an input", map[string]any{"sci": map[string]any{"per": "x"}, "inputs": []any{map[string]any{"metric": "x"}}}, "sci::per: x is energy or emissions"},
		{"units by nothing", map[string]any{"sci": map[string]any{"per": "x", "by": []any{""}}}, "sci::by: an attribute without a name"},
		{"an input that matches nothing", input(map[string]any{"metric": "x", "match": map[string]any{"": "y"}}), "inputs[0]: match: an attribute without a name"},
		{"an input with nothing to add", input(map[string]any{"metric": "x", "attributes": map[string]any{"": "y"}}), "inputs[0]: attributes: an attribute without a name"},
		{"an input without a metric", input(map[string]any{"unit": "J"}), "inputs[0]: metric is missing"},
		{"an input in an unknown unit", input(map[string]any{"metric": "x", "unit": "BTU"}), `inputs[0]: unit: "BTU" is not known; use J, mJ`},
		{"an input that is one already", input(map[string]any{"metric": "hw.energy"}), "inputs[0]: metric: hw.energy is an input already"},
		{"an input that is an output", input(map[string]any{"metric": "carbon.emissions_upper"}), "carbon.emissions_upper is an output of this processor"},
		{"an input of nobody", input(map[string]any{"metric": "x", "of": "pod"}), `inputs[0]: of: "pod" is not known; use workload or host`},
		{
			"some of an own input with a unit", input(map[string]any{"metric": "carbon.energy", "match": map[string]any{"a": "b"}, "unit": "kJ"}),
			"inputs[0]: metric: carbon.energy is an input already: match is the only key beside it",
		},
		{"an input twice", input(map[string]any{"metric": "x"}, map[string]any{"metric": "x"}), "inputs: x stands there twice, and the first takes all its points"},
		{
			"an input twice with one match", input(map[string]any{"metric": "x", "match": map[string]any{"a": "b"}}, map[string]any{"metric": "x", "match": map[string]any{"a": "b"}}),
			"inputs: x stands there twice with the same match",
		},
		{
			"an input in two units", input(map[string]any{"metric": "x", "unit": "J", "match": map[string]any{"a": "b"}}, map[string]any{"metric": "x", "unit": "mJ"}),
			"inputs: x has another unit, of, kind or max_gap where it stands again",
		},
		{"a counter of power", input(map[string]any{"metric": "x", "unit": "W", "kind": "counter"}), "inputs[0]: kind: counter is a sum of energy, but the unit W is one of power"},
		{"a counter of nothing", input(map[string]any{"metric": "x", "kind": "counter"}), "inputs[0]: kind: counter needs a unit"},
		{"an input of another kind", input(map[string]any{"metric": "x", "kind": "gauge"}), `inputs[0]: kind: "gauge" is not known`},
		{"a negative gap", input(map[string]any{"metric": "x", "max_gap": "-1s"}), "inputs[0]: max_gap: -1s is not a duration above 0"},
		{"an unknown method", input(map[string]any{"metric": "x", "method": "guessed"}), `inputs[0]: method: "guessed" is not known`},
		{"an unknown preset", input(map[string]any{"preset": "turbostat"}), `inputs[0]: preset: "turbostat" is not known; use one of`},
		{"a provider that nobody announced", provider(map[string]any{"oracle": map[string]any{"api_key": "s3cret"}}), `"oracle" is no provider; known here: electricity_maps, energinet, open_electricity, rte_eco2mix, static, uk_national_grid, watttime`},
		{"two providers in one entry", provider(map[string]any{"static": map[string]any{"g_per_kwh": 1}, "watttime": nil}), "has one key, the name of the provider, not 2 (static, watttime)"},
		{"an empty entry", provider(map[string]any{}), "has one key, the name of the provider, not 0"},
		{"a constant without a value", provider(map[string]any{"static": nil}), "providers[0]: static::g_per_kwh is missing"},
		{"a constant without its value", provider(map[string]any{"static": map[string]any{"half_width": 0.1}}), "providers[0]: static::g_per_kwh is missing"},
		{"a negative constant", provider(map[string]any{"static": map[string]any{"g_per_kwh": -1}}), "providers[0]: static::g_per_kwh: -1 is not a number between 0 and 5000"},
		{"a constant in the wrong unit", provider(map[string]any{"static": map[string]any{"g_per_kwh": 50000}}), "providers[0]: static::g_per_kwh: 50000 is not a number between 0 and 5000"},
		{"a constant with an impossible width", provider(map[string]any{"static": map[string]any{"g_per_kwh": 1, "half_width": -1}}), "providers[0]: static::half_width: -1: want a number"},
		{"a constant with an unknown key", provider(map[string]any{"static": map[string]any{"g_per_kwh": 1, "grams": 1}}), "grams"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := load(t, confmap.NewFromStringMap(tc.conf))
			require.ErrorContains(t, err, tc.want)
			assert.NotContains(t, err.Error(), "s3cret")
		})
	}
}

func TestAllMistakesAreNamedAtOnce(t *testing.T) {
	_, err := load(t, confmap.NewFromStringMap(map[string]any{"pue": 0.5, "boundary": "x", "wue": -1}))
	for _, w := range []string{"pue", "boundary", "wue"} {
		require.ErrorContains(t, err, w)
	}
}

func TestConfiguredUncertaintyReachesThePoints(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Providers[0].Static.HalfWidth = 0.4
		c.Uncertainty.Power.Integrated = 0.3
		c.Uncertainty.Power.Modelled = 0
	})
	for method, want := range map[string]float64{"integrated": 0.5, "modelled": 0.4, "": 0.4} { // √(0.3² + 0.4²)
		i := in{temporality: delta, attrs: map[string]any{"carbon.method": method}}
		out := r.send(energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, 10, 10_000.0}) }))
		assert.InDelta(t, 1-want, found(out, "carbon.host.emissions_lower")[0].DoubleValue(), 1e-12)
		assert.InDelta(t, 1+want, found(out, "carbon.host.emissions_upper")[0].DoubleValue(), 1e-12)
	}
}
