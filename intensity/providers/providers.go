// Package providers lists the intensity providers by the names that configurations use
// and that carbon.grid.source has, for programs that let their users choose:
//
//	p, err := providers.New("uk_national_grid", providers.Options{})
//	src, err := chain.New(chain.Config{}, p, offlineTables)
//
// A program that uses one provider imports its package instead, and has all of its
// options.
package providers

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/electricitymaps"
	"github.com/otelcarbon/otelcarbon/intensity/energinet"
	"github.com/otelcarbon/otelcarbon/intensity/openelectricity"
	"github.com/otelcarbon/otelcarbon/intensity/rte"
	"github.com/otelcarbon/otelcarbon/intensity/ukgrid"
	"github.com/otelcarbon/otelcarbon/intensity/watttime"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

// Options of any provider. What one does not have is refused by New, so that no wish is
// silently ignored.
type Options struct {
	// Key is the credential of electricity_maps and open_electricity.
	Key string
	// Username and Password are those of watttime.
	Username, Password string
	// Signal is what watttime is asked for; 0 is its usual one, marginal.
	Signal intensity.Signal
	// Boundary is what electricity_maps counts; 0 is lifecycle.
	Boundary intensity.Boundary
	// DisableEstimations has electricity_maps tell measured values only.
	DisableEstimations bool
	// Version of the interface of electricity_maps, "v3" or "v4"; "" is v4.
	Version string
	// Endpoint is where the provider is; "" is where its own servers are. It is https,
	// unless the host is on loopback or Insecure is set.
	Endpoint string
	Insecure bool
	// HTTP makes the requests; nil is a client of our own, with limits for everything. Its
	// redirects are not followed. A Transport that adds secrets to requests may have a method
	// Secrets() []string: what it returns is in no error.
	HTTP *http.Client
	// HalfWidths of the values; the zero value is intensity.DefaultHalfWidths.
	HalfWidths intensity.HalfWidths
}

// Option is one that not all providers have, by the word that errors have for it.
type Option string

// The options that not all providers have.
const (
	OptionKey                Option = "key"
	OptionUsername           Option = "username"
	OptionPassword           Option = "password"
	OptionSignal             Option = "signal"
	OptionBoundary           Option = "boundary"
	OptionDisableEstimations Option = "disable_estimations"
	OptionVersion            Option = "version"
)

// Names returns the names that New knows, sorted.
func Names() []string { return slices.Sorted(maps.Keys(constructors())) }

// Takes returns which options the provider of that name has, and which of them it cannot
// do without, for programs that have words of their own for them. Both are nil for a name
// that New does not know.
func Takes(name string) (has, needs []Option) {
	c := constructors()[name]
	return c.takes, c.needs
}

// New returns the provider of that name. Errors are of KindConfig, and name the option
// that is wrong; none holds a credential.
func New(name string, o Options) (intensity.Provider, error) {
	c, ok := constructors()[name]
	if !ok {
		return nil, &intensity.Error{
			Kind: intensity.KindConfig, Detail: fmt.Sprintf("there is no provider %q: want one of %s", name, strings.Join(Names(), ", ")),
		}
	}
	for _, w := range o.wishes() {
		if w.set && !slices.Contains(c.takes, w.option) {
			return nil, &intensity.Error{Kind: intensity.KindConfig, Provider: name, Detail: "it has no " + string(w.option)}
		}
	}
	return c.make(o)
}

type constructor struct {
	takes []Option
	needs []Option // of them
	make  func(o Options) (intensity.Provider, error)
}

type wish struct {
	option Option
	set    bool
}

func (o *Options) wishes() []wish {
	return []wish{
		{OptionKey, o.Key != ""},
		{OptionUsername, o.Username != ""},
		{OptionPassword, o.Password != ""},
		{OptionSignal, o.Signal != 0},
		{OptionBoundary, o.Boundary != 0},
		{OptionDisableEstimations, o.DisableEstimations},
		{OptionVersion, o.Version != ""},
	}
}

// provided avoids an interface that holds a nil pointer.
func provided[P intensity.Provider](p P, err error) (intensity.Provider, error) {
	if err != nil {
		return nil, err
	}
	return p, nil
}

func constructors() map[string]constructor {
	return map[string]constructor{
		names.SourceElectricityMaps: {[]Option{OptionKey, OptionBoundary, OptionDisableEstimations, OptionVersion}, []Option{OptionKey}, func(o Options) (intensity.Provider, error) {
			factors := ""
			if o.Boundary != 0 {
				factors = o.Boundary.String()
			}
			return provided(electricitymaps.New(electricitymaps.Config{
				Key: o.Key, EmissionFactorType: factors, DisableEstimations: o.DisableEstimations, Version: o.Version,
				Endpoint: o.Endpoint, Insecure: o.Insecure, HTTP: o.HTTP, HalfWidths: o.HalfWidths,
			}))
		}},
		names.SourceWattTime: {[]Option{OptionUsername, OptionPassword, OptionSignal}, []Option{OptionUsername, OptionPassword}, func(o Options) (intensity.Provider, error) {
			return provided(watttime.New(watttime.Options{
				Username: o.Username, Password: o.Password, Signal: o.Signal,
				Endpoint: o.Endpoint, Insecure: o.Insecure, HTTP: o.HTTP, HalfWidths: o.HalfWidths,
			}))
		}},
		names.SourceOpenElectricity: {[]Option{OptionKey}, []Option{OptionKey}, func(o Options) (intensity.Provider, error) {
			return provided(openelectricity.New(openelectricity.Options{
				Key: o.Key, Endpoint: o.Endpoint, Insecure: o.Insecure, HTTP: o.HTTP, HalfWidths: o.HalfWidths,
			}))
		}},
		names.SourceUKNationalGrid: {nil, nil, func(o Options) (intensity.Provider, error) {
			return provided(ukgrid.New(ukgrid.Options{Endpoint: o.Endpoint, Insecure: o.Insecure, HTTP: o.HTTP, HalfWidths: o.HalfWidths}))
		}},
		names.SourceEnerginet: {nil, nil, func(o Options) (intensity.Provider, error) {
			return provided(energinet.New(energinet.Options{Endpoint: o.Endpoint, Insecure: o.Insecure, HTTP: o.HTTP, HalfWidths: o.HalfWidths}))
		}},
		names.SourceRTEEco2mix: {nil, nil, func(o Options) (intensity.Provider, error) {
			return provided(rte.New(rte.Options{Endpoint: o.Endpoint, Insecure: o.Insecure, HTTP: o.HTTP, HalfWidths: o.HalfWidths}))
		}},
	}
}
