package providers_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/chain"
	"github.com/otelcarbon/otelcarbon/intensity/intensitytest"
	"github.com/otelcarbon/otelcarbon/intensity/offline"
	"github.com/otelcarbon/otelcarbon/intensity/providers"
	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

const secret = "s3cr3t-Pa55"

func TestDependencies(t *testing.T) {
	const mod = "github.com/otelcarbon/otelcarbon"
	deptest.Only(t, mod)
	deptest.Never(t, "any Go program may use them", "go.opentelemetry.io", mod+"/receiver", mod+"/processor", mod+"/instrumentation")
}

// credentials of all that have some.
func options(name string) (o providers.Options) {
	switch name {
	case "electricity_maps", "open_electricity":
		o.Key = secret
	case "watttime":
		o.Username, o.Password = "somebody", secret
	}
	return o
}

func TestEachIsMadeByItsName(t *testing.T) {
	require.Len(t, providers.Names(), 6)
	for _, name := range providers.Names() {
		t.Run(name, func(t *testing.T) {
			p, err := providers.New(name, options(name))
			require.NoError(t, err)
			c := p.Caps()
			assert.Equal(t, name, c.ID)
			assert.True(t, c.Network)
			assert.NotContains(t, fmt.Sprintf("%v %+v %#v", p, p, p), secret)
		})
	}
}

// What is needed is what New does not do without, and what is had is what it takes.
func TestWhatEachTakes(t *testing.T) {
	wishes := map[providers.Option]func(*providers.Options){
		providers.OptionKey:                func(o *providers.Options) { o.Key = secret },
		providers.OptionUsername:           func(o *providers.Options) { o.Username = "somebody" },
		providers.OptionPassword:           func(o *providers.Options) { o.Password = secret },
		providers.OptionSignal:             func(o *providers.Options) { o.Signal = intensity.Average },
		providers.OptionBoundary:           func(o *providers.Options) { o.Boundary = intensity.Direct },
		providers.OptionDisableEstimations: func(o *providers.Options) { o.DisableEstimations = true },
		providers.OptionVersion:            func(o *providers.Options) { o.Version = "v3" },
	}
	for _, name := range providers.Names() {
		t.Run(name, func(t *testing.T) {
			has, needs := providers.Takes(name)
			makes := func(but, and providers.Option) error {
				var o providers.Options
				for _, n := range append([]providers.Option{and}, needs...) {
					if n != but && n != "" {
						wishes[n](&o)
					}
				}
				_, err := providers.New(name, o)
				return err
			}
			require.NoError(t, makes("", ""))
			for _, n := range needs {
				assert.Contains(t, has, n)
				require.ErrorIs(t, makes(n, ""), intensity.KindConfig, n)
			}
			for w := range wishes {
				if err := makes("", w); slices.Contains(has, w) {
					assert.NoError(t, err, w)
				} else {
					assert.ErrorContains(t, err, "it has no "+string(w))
				}
			}
		})
	}
	has, needs := providers.Takes("grid")
	assert.Empty(t, has)
	assert.Empty(t, needs)
}

func TestWhatIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		provider string
		options  providers.Options
		want     string
	}{
		"unknown":           {"grid", providers.Options{}, "want one of electricity_maps, energinet, open_electricity, rte_eco2mix, uk_national_grid, watttime"},
		"no key":            {"electricity_maps", providers.Options{}, "there is no key"},
		"a key too many":    {"uk_national_grid", providers.Options{Key: secret}, "it has no key"},
		"no password":       {"watttime", providers.Options{Username: "me"}, "password"},
		"a version":         {"rte_eco2mix", providers.Options{Version: "v2"}, "it has no version"},
		"not encrypted":     {"energinet", providers.Options{Endpoint: "http://api.example"}, "https"},
		"in the address":    {"open_electricity", providers.Options{Key: "k", Endpoint: "https://u:" + secret + "@api.example"}, "credentials"},
		"with a line break": {"electricity_maps", providers.Options{Key: secret + "\n"}, "line break"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := providers.New(c.provider, c.options)
			require.ErrorIs(t, err, intensity.KindConfig)
			assert.Nil(t, p)
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), secret)
		})
	}
}

// denied is a network that nothing may touch.
type denied struct{ t *testing.T }

func (d denied) RoundTrip(r *http.Request) (*http.Response, error) {
	d.t.Errorf("%s is asked", r.URL.Host)
	return nil, errors.New("denied")
}

// Offline, a chain of all providers, with credentials, for places that each of them covers,
// asks nobody, whatever it is asked.
func TestOfflineNoProviderIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tables, err := offline.New(offline.Options{})
		require.NoError(t, err)
		var list []intensity.Provider
		for _, name := range providers.Names() {
			o := options(name)
			o.HTTP = &http.Client{Transport: denied{t}}
			p, err := providers.New(name, o)
			require.NoError(t, err)
			list = append(list, p)
		}
		src, err := chain.New(chain.Config{Offline: true}, append(list, tables)...)
		require.NoError(t, err)
		for _, country := range []string{"FR", "GB", "DK", "AU", "US"} {
			q := intensity.Query{Location: intensity.Location{Country: country}}
			h, err := src.Handle(q)
			require.NoError(t, err)
			require.NotNil(t, h.Peek(time.Now()))
			slot, err := src.At(t.Context(), q, time.Now())
			require.NoError(t, err)
			assert.Equal(t, intensity.Periodic, slot.Quality)
			_, err = src.Range(t.Context(), q, time.Now().Add(-time.Hour), time.Now())
			require.NoError(t, err)
			_, err = src.Forecast(t.Context(), q, time.Hour)
			require.ErrorIs(t, err, intensity.KindNoData)
			k, ok := src.(intensity.Recaller)
			require.True(t, ok)
			_, open, err := k.Known(q, time.Now().Add(-time.Hour), time.Now())
			require.NoError(t, err)
			assert.False(t, open)
		}
		time.Sleep(25 * time.Hour)
		require.NoError(t, src.Close())
	})
}

// A network that takes down who asks for what: no provider opens a socket before it is
// asked, and its errors hold no credential, whatever the network says.
func TestNoCredentialIsInAnError(t *testing.T) {
	for _, name := range providers.Names() {
		t.Run(name, func(t *testing.T) {
			server := intensitytest.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				intensitytest.Fail(w, fmt.Errorf("cannot ask %s with %v", r.URL, r.Header))
			}))
			o := options(name)
			o.HTTP = server.Client()
			p, err := providers.New(name, o)
			require.NoError(t, err)
			assert.Empty(t, server.Requests())
			zone := map[string]string{"electricity_maps": "FR", "energinet": "DK1", "open_electricity": "NEM/NSW1", "rte_eco2mix": "FR", "uk_national_grid": "GB", "watttime": "CAISO_NORTH"}[name]
			_, err = p.Fetch(t.Context(), zone, begin, begin.Add(span))
			require.Error(t, err)
			e, ok := errors.AsType[*intensity.Error](err)
			require.True(t, ok, "%v", err)
			assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, *e), secret)
		})
	}
}
