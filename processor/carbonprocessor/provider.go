package carbonprocessor

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/providers"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

// ProviderConfig is one entry of the list of providers. One of Static and Live is set.
type ProviderConfig struct {
	Static *StaticConfig `mapstructure:"static"`
	Name   string        `mapstructure:"-"` // of Live: the only key of the entry
	Live   *LiveConfig   `mapstructure:"live"`
}

// StaticConfig is an intensity that the operator knows.
type StaticConfig struct {
	GramsPerKWh *float64 `mapstructure:"g_per_kwh"`
	HalfWidth   float64  `mapstructure:"half_width"` // relative: 0.1 is ± 10 %
}

// LiveConfig is a provider that is asked over the network. The keys of an HTTP client, such
// as endpoint and tls, stand beside those that it has itself.
type LiveConfig struct {
	confighttp.ClientConfig `mapstructure:",squash"`

	APIKey             configopaque.String `mapstructure:"api_key"`
	Username           configopaque.String `mapstructure:"username"`
	Password           configopaque.String `mapstructure:"password"`
	Version            string              `mapstructure:"version"`
	EmissionFactorType string              `mapstructure:"emission_factor_type"` // "lifecycle" or "direct"; "": as boundary wants it
	DisableEstimations bool                `mapstructure:"disable_estimations"`
	Signal             string              `mapstructure:"signal"` // "": that of the processor

	// prevent unkeyed literals
	_ struct{}
}

var (
	_ confmap.Unmarshaler = (*ProviderConfig)(nil)
	_ confmap.Marshaler   = ProviderConfig{}
)

// longestTimeout is how long a request is waited for anyway, with all its retries.
const longestTimeout = 30 * time.Second

// providerNames are the keys that an entry may have.
func providerNames() []string {
	all := append(providers.Names(), names.SourceStatic)
	slices.Sort(all)
	return all
}

// Unmarshal reads a map with the name of the provider as its only key. What stands
// under the names of providers that are not known is not read at all: it may be a
// secret.
func (p *ProviderConfig) Unmarshal(conf *confmap.Conf) error {
	keys := make([]string, 0, 1)
	for k := range conf.ToStringMap() {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	if len(keys) != 1 {
		return fmt.Errorf("an entry has one key, the name of the provider, not %d (%s): begin each with a dash of its own", len(keys), strings.Join(keys, ", "))
	}
	name := keys[0]
	if !slices.Contains(providerNames(), name) {
		return fmt.Errorf("%q is no provider; known here: %s", name, strings.Join(providerNames(), ", "))
	}
	switch conf.Get(name).(type) {
	case nil, map[string]any:
	default: // what it is instead may be a secret
		return fmt.Errorf("%s: its keys, such as endpoint or g_per_kwh, belong below it, one in a line", name)
	}
	sub, err := conf.Sub(name)
	if err != nil {
		return err
	}
	var read ProviderConfig
	if name == names.SourceStatic {
		read.Static = new(StaticConfig)
		err = sub.Unmarshal(read.Static)
	} else {
		read.Name, read.Live = name, &LiveConfig{ClientConfig: confighttp.NewDefaultClientConfig()}
		err = sub.Unmarshal(read.Live)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	*p = read
	return nil
}

// Marshal is the reverse of Unmarshal.
func (p ProviderConfig) Marshal(conf *confmap.Conf) error {
	if p.Live != nil {
		return conf.Marshal(map[string]*LiveConfig{p.Name: p.Live})
	}
	return conf.Marshal(map[string]*StaticConfig{names.SourceStatic: p.Static})
}

// want is the basis that values have to have.
func (c *Config) want() (b intensity.Basis, err error) {
	if b.Signal, err = intensity.ParseSignal(c.Signal); err != nil {
		return b, fmt.Errorf("signal: %w", err)
	}
	if b.Boundary, err = intensity.ParseBoundary(c.Boundary); err != nil {
		return b, fmt.Errorf("boundary: %w", err)
	}
	return b, nil
}

func (c *Config) checkProviders(refuse func(string, ...any)) {
	seen, right := make(map[string]bool), true
	for i := range c.Providers {
		p := &c.Providers[i]
		name := p.name()
		switch {
		case seen[name]:
			refuse("providers[%d]: %s stands there twice; keep one entry", i, name)
		case seen[names.SourceStatic]:
			refuse("providers[%d]: %s would never be asked, since static before it answers for every place; put it before static", i, name)
		}
		seen[name] = true
		if err := p.check(c); err != nil {
			refuse("providers[%d]: %w", i, err)
			right = false
		}
	}
	want, err := c.want()
	if err != nil || !right || want.Signal != intensity.Marginal {
		return
	}
	if c.Offline {
		refuse("signal: marginal is in no table, and offline asks nobody else; use average")
		return
	}
	for i := range c.Providers {
		if p, err := c.Providers[i].open(c, nil); err == nil && p.Caps().Offers(want) {
			return
		}
	}
	refuse("signal: marginal is in no table, and none of the providers tells it with boundary %s: add watttime, whose values are direct, or use average", c.Boundary)
}

func (p *ProviderConfig) name() string {
	if p.Static != nil {
		return names.SourceStatic
	}
	return p.Name
}

// check names keys by the provider, not by its place in a Go struct.
func (p *ProviderConfig) check(c *Config) error {
	switch {
	case p.Live != nil:
		return p.checkLive(c)
	case p.Static != nil:
		return p.Static.check()
	}
	return errors.New("the entry is empty; want one of " + strings.Join(providerNames(), ", "))
}

func (s *StaticConfig) check() error {
	switch {
	case s.GramsPerKWh == nil:
		return errors.New("static::g_per_kwh is missing: the intensity in g/kWh")
	case !(*s.GramsPerKWh >= 0 && *s.GramsPerKWh <= intensity.MaxGramsPerKWh):
		return fmt.Errorf("static::g_per_kwh: %v is not a number between 0 and %d g/kWh", *s.GramsPerKWh, intensity.MaxGramsPerKWh)
	case !(s.HalfWidth >= 0) || s.HalfWidth > maxHalf:
		return fmt.Errorf("static::half_width: %v: %s", s.HalfWidth, ratioExample)
	}
	return nil
}

func (p *ProviderConfig) checkLive(c *Config) error {
	l := p.Live
	has, needs := providers.Takes(p.Name)
	var errs []error
	for _, k := range l.keys() {
		switch {
		case k.set && !slices.Contains(has, k.option):
			errs = append(errs, fmt.Errorf("%s::%s: it has no such key; remove it", p.Name, k.key))
		case !k.set && slices.Contains(needs, k.option):
			errs = append(errs, fmt.Errorf("%s::%s is missing", p.Name, k.key))
		}
	}
	for _, k := range []struct{ key, mine, key2, all string }{
		{"signal", l.Signal, "signal", c.Signal},
		{"emission_factor_type", l.EmissionFactorType, "boundary", c.Boundary},
	} {
		if k.mine != "" && k.mine != k.all && k.all != anyBoundary {
			errs = append(errs, fmt.Errorf("%s::%s: %q is not what %s of the processor wants, %q, so that its values would never be used", p.Name, k.key, k.mine, k.key2, k.all))
		}
	}
	if l.Compression.IsCompressed() {
		errs = append(errs, fmt.Errorf("%s::compression: its requests have no body; remove it", p.Name))
	}
	if l.Timeout < 0 || l.Timeout > longestTimeout {
		errs = append(errs, fmt.Errorf("%s::timeout: %v is not between 0 and %v", p.Name, l.Timeout, longestTimeout))
	}
	if len(errs) == 0 {
		_, err := p.open(c, nil)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

type liveKey struct {
	key    string
	option providers.Option
	set    bool
}

// keys are those that not all providers have.
func (l *LiveConfig) keys() []liveKey {
	return []liveKey{
		{"api_key", providers.OptionKey, l.APIKey != ""},
		{"username", providers.OptionUsername, l.Username != ""},
		{"password", providers.OptionPassword, l.Password != ""},
		{"version", providers.OptionVersion, l.Version != ""},
		{"emission_factor_type", providers.OptionBoundary, l.EmissionFactorType != ""},
		{"disable_estimations", providers.OptionDisableEstimations, l.DisableEstimations},
		{"signal", providers.OptionSignal, l.Signal != ""},
	}
}

// options translates the configuration. A provider that tells several signals or
// boundaries is asked for those that the processor wants.
func (p *ProviderConfig) options(c *Config) (o providers.Options, err error) {
	l := p.Live
	has, _ := providers.Takes(p.Name)
	o = providers.Options{
		Key: string(l.APIKey), Username: string(l.Username), Password: string(l.Password),
		Version: l.Version, DisableEstimations: l.DisableEstimations,
		Endpoint: l.Endpoint, Insecure: l.TLS.Insecure, HalfWidths: c.Uncertainty.halfWidths(),
	}
	if slices.Contains(has, providers.OptionSignal) {
		if o.Signal, err = intensity.ParseSignal(cmp.Or(l.Signal, c.Signal)); err != nil {
			return o, fmt.Errorf("%s::signal: %w", p.Name, err)
		}
	}
	if slices.Contains(has, providers.OptionBoundary) {
		if o.Boundary, err = intensity.ParseBoundary(cmp.Or(l.EmissionFactorType, c.Boundary)); err != nil {
			return o, fmt.Errorf("%s::emission_factor_type: %w", p.Name, err)
		}
	}
	return o, nil
}

// isLive reports whether there is a provider that is asked over the network.
func (c *Config) isLive() bool {
	return slices.ContainsFunc(c.Providers, func(p ProviderConfig) bool { return p.Live != nil })
}
