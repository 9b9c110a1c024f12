package carbonprocessor

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/providers"
)

const secret = "s3cr3t-Pa55"

func fromYAML(t *testing.T, yaml string) (*Config, error) {
	t.Helper()
	raw, err := confmap.NewRetrievedFromYAML([]byte(yaml))
	require.NoError(t, err)
	conf, err := raw.AsConf()
	require.NoError(t, err)
	return load(t, conf)
}

func TestLiveProvidersAreRead(t *testing.T) {
	cfg, err := fromYAML(t, `
providers:
  - electricity_maps:
      api_key: `+secret+`
      endpoint: https://maps.example
      timeout: 7s
      version: v3
      emission_factor_type: direct
      disable_estimations: true
      proxy_url: http://proxy.example:3128
      tls: {ca_file: /etc/ca.pem, min_version: "1.3"}
      headers: {X-Site: `+secret+`}
  - watttime: {username: somebody, password: `+secret+`, signal: average}
  - open_electricity: {api_key: "0123"}
  - uk_national_grid:
  - energinet: {}
  - rte_eco2mix: {idle_conn_timeout: 5s}
  - static: {g_per_kwh: 50}
`)
	require.NoError(t, err)
	require.Len(t, cfg.Providers, 7)
	maps := cfg.Providers[0].Live
	assert.Equal(t, "electricity_maps", cfg.Providers[0].Name)
	assert.EqualValues(t, secret, maps.APIKey)
	assert.Equal(t, "https://maps.example", maps.Endpoint)
	assert.Equal(t, 7*time.Second, maps.Timeout)
	assert.Equal(t, "1.3", maps.TLS.MinVersion)
	assert.Equal(t, 100, maps.MaxIdleConns, "a default of the HTTP client")
	assert.EqualValues(t, "0123", cfg.Providers[2].Live.APIKey)
	assert.Equal(t, 100, cfg.Providers[3].Live.MaxIdleConns, "a name alone has the defaults")
	assert.Equal(t, 5*time.Second, cfg.Providers[5].Live.IdleConnTimeout)
	assert.InDelta(t, 50, *cfg.Providers[6].Static.GramsPerKWh, 0)

	o, err := cfg.Providers[0].options(cfg)
	require.NoError(t, err)
	assert.Equal(t, intensity.Direct, o.Boundary)
	assert.Equal(t, "v3", o.Version)
	assert.True(t, o.DisableEstimations)
	assert.Equal(t, cfg.Uncertainty.halfWidths(), o.HalfWidths)

	for _, p := range cfg.Providers {
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v", p, p, p), secret)
		if p.Live != nil {
			assert.NotContains(t, fmt.Sprintf("%v %+v %#v", *p.Live, *p.Live, *p.Live), secret)
			assert.NotContains(t, fmt.Sprintf("%+v", p.Live), "somebody")
		}
	}
	printed := confmap.New()
	require.NoError(t, printed.Marshal(cfg))
	text := fmt.Sprint(printed.ToStringMap())
	assert.NotContains(t, text, secret)
	assert.Contains(t, text, "electricity_maps:map[")
	assert.Contains(t, text, "api_key:[REDACTED]")
	assert.Contains(t, text, "static:map[g_per_kwh:50")
}

// A provider that is new needs an entry in the list of providers and nothing here.
func TestEveryProviderMayBeConfigured(t *testing.T) {
	require.NotEmpty(t, providers.Names())
	for _, name := range providers.Names() {
		live := map[string]any{}
		_, needs := providers.Takes(name)
		for _, k := range new(LiveConfig).keys() {
			for _, n := range needs {
				if k.option == n {
					live[k.key] = secret
				}
			}
		}
		assert.Len(t, live, len(needs), "a key for each option that %s needs", name)
		_, err := load(t, confmap.NewFromStringMap(map[string]any{"providers": []any{map[string]any{name: live}}}))
		require.NoError(t, err, name)
	}
}

// What the processor wants decides what a provider tells that can tell more than one thing.
func TestWhatIsWantedReachesTheProviders(t *testing.T) {
	for _, c := range []struct {
		asks     func(*Config)
		signal   intensity.Signal
		boundary intensity.Boundary
	}{
		{func(*Config) {}, intensity.Average, 0},
		{func(c *Config) { c.Boundary = "lifecycle" }, intensity.Average, intensity.Lifecycle},
		{func(c *Config) { c.Signal, c.Boundary = "marginal", "direct" }, intensity.Marginal, intensity.Direct},
	} {
		cfg := createDefaultConfig().(*Config)
		c.asks(cfg)
		want, err := cfg.want()
		require.NoError(t, err)
		assert.Equal(t, intensity.Basis{Signal: c.signal, Boundary: c.boundary}, want)
		o, err := (&ProviderConfig{Name: "watttime", Live: new(LiveConfig)}).options(cfg)
		require.NoError(t, err)
		assert.Equal(t, c.signal, o.Signal)
		assert.Zero(t, o.Boundary, "it has but one")
		o, err = (&ProviderConfig{Name: "electricity_maps", Live: new(LiveConfig)}).options(cfg)
		require.NoError(t, err)
		assert.Equal(t, c.boundary, o.Boundary)
		assert.Zero(t, o.Signal)
	}
}

func TestWrongProvidersAreRefusedWithTheKey(t *testing.T) {
	maps := "electricity_maps: {api_key: " + secret
	for _, c := range []struct{ name, yaml, want string }{
		{"no key", "electricity_maps:", "providers[0]: electricity_maps::api_key is missing"},
		{"no key here either", "open_electricity: {}", "providers[0]: open_electricity::api_key is missing"},
		{"no password", "watttime: {username: u}", "providers[0]: watttime::password is missing"},
		{"neither", "watttime:", "providers[0]: watttime::username is missing"},
		{"a key too many", "uk_national_grid: {api_key: " + secret + "}", "providers[0]: uk_national_grid::api_key: it has no such key; remove it"},
		{"another's name", maps + ", username: u}", "electricity_maps::username: it has no such key"},
		{"another's password", "energinet: {password: " + secret + "}", "energinet::password: it has no such key"},
		{"another's version", "rte_eco2mix: {version: v4}", "rte_eco2mix::version: it has no such key"},
		{"another's boundary", "uk_national_grid: {emission_factor_type: direct}", "uk_national_grid::emission_factor_type: it has no such key"},
		{"another's estimations", "uk_national_grid: {disable_estimations: true}", "uk_national_grid::disable_estimations: it has no such key"},
		{"another's signal", maps + ", signal: average}", "electricity_maps::signal: it has no such key"},
		{"an unknown key", maps + ", apikey: x}", "apikey"},
		{"an unknown key that holds a secret", "electricity_maps: {token: " + secret + "}", "token"},
		{"an unknown key below", maps + ", tls: {cafile: x}}", "cafile"},
		{"a key that is a map", "electricity_maps: {api_key: {value: " + secret + "}}", "api_key"},
		{"a key that is a list", "electricity_maps: {api_key: [" + secret + "]}", "api_key"},
		{"a key in place of the keys", "electricity_maps: " + secret, "electricity_maps: its keys, such as endpoint or g_per_kwh, belong below it"},
		{"keys beside the name", "electricity_maps:\n    api_key: " + secret, "has one key, the name of the provider, not 2 (api_key, electricity_maps)"},
		{"only a key", "api_key: " + secret, `"api_key" is no provider; known here: electricity_maps,`},
		{"no map", secret, "providers[0]"},
		{"a name of the struct", "live: {api_key: " + secret + "}", `"live" is no provider`},
		{"a version that is none", maps + ", version: v5}", `providers[0]: electricity_maps: configuration: version "v5": want v3 or v4`},
		{"a boundary that is none", maps + ", emission_factor_type: all}", "electricity_maps::emission_factor_type: "},
		{"a signal that is none", "watttime: {username: u, password: p, signal: median}", `watttime::signal: "median"`},
		{"a signal that is not wanted", "watttime: {username: u, password: p, signal: marginal}", `watttime::signal: "marginal" is not what signal of the processor wants, "average"`},
		{"no encryption", maps + ", endpoint: http://maps.example}", "is not https"},
		{"credentials in the address", maps + ", endpoint: 'https://u:" + secret + "@maps.example'}", "holds credentials"},
		{"a query in the address", maps + ", endpoint: 'https://maps.example?key=" + secret + "'}", "query"},
		{"a version in the address", maps + ", endpoint: https://maps.example/v4}", "ends in a version"},
		{"a line break", "electricity_maps: {api_key: \"" + secret + "\\n\"}", "line break"},
		{"a colon in the name", "watttime: {username: 'a:b', password: " + secret + "}", "colon"},
		{"compression", maps + ", compression: gzip}", "electricity_maps::compression: its requests have no body"},
		{"a timeout that nobody waits for", maps + ", timeout: 1m}", "electricity_maps::timeout: 1m0s is not between 0 and 30s"},
		{"a timeout that has passed", maps + ", timeout: -1s}", "electricity_maps::timeout: -1s is not between"},
		{"a TLS version that is none", maps + ", tls: {min_version: '9'}}", "9"},
		{"the same twice", "energinet:\n  - energinet: {endpoint: https://other.example}", "providers[1]: energinet stands there twice"},
		{"two constants", "static: {g_per_kwh: 1}\n  - static: {g_per_kwh: 2}", "providers[1]: static stands there twice"},
		{"behind a constant", "static: {g_per_kwh: 1}\n  - energinet:", "providers[1]: energinet would never be asked, since static before it answers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := fromYAML(t, "providers:\n  - "+c.yaml+"\n")
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, fmt.Sprintf("%v %+v", err, err), secret)
		})
	}
}

func TestWhatIsWantedHasToBeToldBySomebody(t *testing.T) {
	const watttime = "\nproviders: [{watttime: {username: u, password: " + secret + "}}]"
	for _, c := range []struct{ name, yaml, want string }{
		{"marginal by WattTime", "signal: marginal" + watttime, ""},
		{"marginal and direct", "signal: marginal\nboundary: direct" + watttime, ""},
		{"marginal by nobody", "signal: marginal", "signal: marginal is in no table, and none of the providers tells it"},
		{"marginal by those who do not tell it", "signal: marginal\nproviders: [{electricity_maps: {api_key: k}}, {uk_national_grid: }]", "none of the providers tells it"},
		{"marginal by a constant", "signal: marginal\nproviders: [{static: {g_per_kwh: 1}}]", "none of the providers tells it"},
		{"marginal without a network", "signal: marginal\noffline: true" + watttime, "signal: marginal is in no table, and offline asks nobody else"},
		{"marginal and lifecycle", "signal: marginal\nboundary: lifecycle" + watttime, "tells it with boundary lifecycle"},
		{"a wrong key first", "signal: marginal\nproviders: [{watttime: {}}]", "watttime::username is missing"},
		{"lifecycle factors where the stack is wanted", "boundary: direct\nproviders: [{electricity_maps: {api_key: k, emission_factor_type: lifecycle}}]", `"lifecycle" is not what boundary of the processor wants, "direct"`},
		{"factors of one's own where anything is wanted", "providers: [{electricity_maps: {api_key: k, emission_factor_type: direct}}]", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := fromYAML(t, c.yaml)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), secret)
		})
	}
}

func TestTheExampleOfLiveIntensityIsValid(t *testing.T) {
	all, err := confmaptest.LoadConf("../../examples/electricity-maps/config.yaml")
	require.NoError(t, err)
	conf, err := all.Sub("processors::carbon")
	require.NoError(t, err)
	cfg, err := load(t, conf)
	require.NoError(t, err)
	require.NotEmpty(t, cfg.Providers)
	assert.Equal(t, "electricity_maps", cfg.Providers[0].Name)
}
