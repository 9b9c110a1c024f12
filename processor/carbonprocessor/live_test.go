package carbonprocessor

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configauth"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/extension/extensionauth"
	"go.opentelemetry.io/collector/extension/extensionmiddleware"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor/processortest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor/internal/metadata"
	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor/internal/metadatatest"
)

// host has extensions, and remembers the status that it is told.
type host struct {
	extensions map[component.ID]component.Component

	mu     sync.Mutex
	events []*componentstatus.Event
}

func (h *host) GetExtensions() map[component.ID]component.Component { return h.extensions }

func (h *host) Report(ev *componentstatus.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, ev)
}

// statuses are all that were told so far.
func (h *host) statuses() (out []componentstatus.Status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ev := range h.events {
		out = append(out, ev.Status())
	}
	return out
}

func (h *host) cause() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.events[len(h.events)-1].Err().Error()
}

// at is an entry for a provider whose server is somewhere else.
func at(name, endpoint string, edit func(*LiveConfig)) ProviderConfig {
	l := &LiveConfig{ClientConfig: confighttp.NewDefaultClientConfig()}
	l.Endpoint = endpoint
	switch name {
	case "electricity_maps", "open_electricity":
		l.APIKey = secret
	case "watttime":
		l.Username, l.Password = "somebody", secret
	}
	if edit != nil {
		edit(l)
	}
	return ProviderConfig{Name: name, Live: l}
}

// liveRig starts a processor with providers and a host.
func liveRig(t *testing.T, h component.Host, zone string, entries []ProviderConfig, edit func(*Config)) *rig {
	t.Helper()
	cfg := createDefaultConfig().(*Config)
	cfg.Providers, cfg.Location.Zone = entries, zone
	if edit != nil {
		edit(cfg)
	}
	require.NoError(t, cfg.Validate())
	r := &rig{t: t, telemetry: componenttest.NewTelemetry()}
	set := metadatatest.NewSettings(r.telemetry)
	core, logs := observer.New(zap.InfoLevel)
	set.Logger, r.logs = zap.New(core), logs
	p := newProcessor(t, cfg, set)
	require.NoError(t, p.start(t.Context(), h))
	r.p, r.began = p, p.engine.began
	t.Cleanup(func() {
		require.NoError(t, p.shutdown(context.WithoutCancel(t.Context())))
		require.NoError(t, r.telemetry.Shutdown(context.WithoutCancel(t.Context())))
	})
	return r
}

// said is what a point of emissions says of the grid.
type said struct{ source, zone, boundary string }

// burn has 10 kJ drawn in the last second, and returns the grams and what they say.
func (r *rig) burn() (float64, said) {
	r.t.Helper()
	now := time.Now()
	r.burned++
	out := r.send(energy(r.t, in{temporality: delta, attrs: map[string]any{"hw.id": r.burned}}, func(dp pmetric.NumberDataPoint) {
		dp.SetStartTimestamp(pcommon.NewTimestampFromTime(now.Add(-time.Second)))
		dp.SetTimestamp(pcommon.NewTimestampFromTime(now))
		dp.SetDoubleValue(10_000)
	}))
	points := found(out, "carbon.host.emissions")
	if len(points) == 0 {
		return 0, said{}
	}
	dp := points[len(points)-1]
	return dp.DoubleValue(), said{str(dp, "carbon.grid.source"), str(dp, "carbon.grid.zone"), str(dp, "carbon.grid.boundary")}
}

// until burns until the source is the wanted one.
func (r *rig) until(source string) (grams float64, p said) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		grams, p = r.burn()
		return p.source == source
	}, 30*time.Second, 10*time.Millisecond, "last: %+v", p)
	return grams, p
}

// requests are those that were counted, by outcome.
func (r *rig) requests(provider string) map[string]int64 {
	r.t.Helper()
	got := map[string]int64{}
	m, err := r.telemetry.GetMetric("otelcol_processor_carbon_provider_requests")
	if err != nil {
		return got
	}
	for _, dp := range m.Data.(metricdata.Sum[int64]).DataPoints {
		if p, _ := dp.Attributes.Value("provider"); p.AsString() == provider {
			outcome, _ := dp.Attributes.Value("outcome")
			got[outcome.AsString()] += dp.Value
		}
	}
	return got
}

// world answers as the servers of all providers do: 180 g/kWh, always and everywhere, so
// that 10 kJ are 0.5 g.
type world struct {
	asked  sync.Map // requests by path: *atomic.Int64
	before func(http.ResponseWriter, *http.Request) (done bool)
}

func (w *world) count(path string) int64 {
	n, ok := w.asked.Load(path)
	if !ok {
		return 0
	}
	return n.(*atomic.Int64).Load()
}

func (w *world) ServeHTTP(to http.ResponseWriter, r *http.Request) {
	n, _ := w.asked.LoadOrStore(r.URL.Path, new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
	if w.before != nil && w.before(to, r) {
		return
	}
	body := answer(r, time.Now().UTC())
	to.Header().Set("Content-Type", "application/json")
	if body == nil {
		to.WriteHeader(http.StatusNotFound)
		body = map[string]any{"error": "no Route matched"}
	}
	_ = json.NewEncoder(to).Encode(body) // who asked may have gone
}

type object = map[string]any

// every returns what row makes of each step of the time around now that was asked for.
func every(step time.Duration, from, to time.Time, row func(time.Time) any) []any {
	list := []any{}
	for t := from.Truncate(step); t.Before(to); t = t.Add(step) {
		list = append(list, row(t))
	}
	return list
}

// answer has the shapes of the files in intensity/*/testdata.
func answer(r *http.Request, now time.Time) object {
	q := r.URL.Query()
	path := r.URL.Path
	switch {
	case path == "/v4/zones":
		return object{"FR": object{"zoneName": "France", "zoneKey": "FR", "access": []string{"carbon-intensity/history", "carbon-intensity/forecast"}}}
	case path == "/v4/carbon-intensity/history":
		return object{"zone": q.Get("zone"), "history": every(time.Hour, now.Add(-23*time.Hour), now.Add(1), func(t time.Time) any {
			return object{
				"zone": q.Get("zone"), "carbonIntensity": 180, "datetime": t.Format(time.RFC3339), "updatedAt": now.Format(time.RFC3339),
				"emissionFactorType": q.Get("emissionFactorType"), "flowTraced": true, "isEstimated": false, "estimationMethod": nil,
			}
		})}
	case path == "/v4/carbon-intensity/forecast":
		return object{"zone": q.Get("zone"), "forecast": every(time.Hour, now, now.Add(6*time.Hour), func(t time.Time) any {
			return object{"carbonIntensity": 180, "datetime": t.Format(time.RFC3339)}
		})}

	case path == "/login":
		return object{"token": "abcd1234.fake.token"}
	case path == "/v3/my-access":
		return object{"signal_types": []any{object{"signal_type": "co2_moer", "regions": []any{object{"region": "CAISO_NORTH", "endpoints": []any{
			object{"endpoint": "v3/forecast", "models": []any{object{"model": "2025-11-30"}}}, object{"endpoint": "v3/historical", "models": []any{object{"model": "2025-11-30"}}},
		}}}}}}
	case path == "/v3/historical", path == "/v3/forecast":
		from, to := now.Add(-24*time.Hour), now.Add(-10*time.Minute)
		if path == "/v3/forecast" {
			from, to = now, now.Add(3*time.Hour)
		}
		return object{
			"data": every(5*time.Minute, from, to, func(t time.Time) any {
				return object{"point_time": t.Format("2006-01-02T15:04:05+00:00"), "value": 180 / 0.45359237} // lb/MWh
			}),
			"meta": object{
				"data_point_period_seconds": 300, "region": q.Get("region"), "signal_type": q.Get("signal_type"), "units": "lbs_co2_per_mwh",
				"model": object{"date": "2025-11-30"}, "generated_at": now.Format("2006-01-02T15:04:05+00:00"),
			},
		}

	case strings.HasPrefix(path, "/intensity/"):
		return object{"data": every(30*time.Minute, now.Add(-24*time.Hour), now.Add(6*time.Hour), func(t time.Time) any {
			const layout = "2006-01-02T15:04Z"
			value := object{"forecast": 180, "actual": nil, "index": "moderate"}
			if t.Before(now.Add(-time.Hour)) {
				value["actual"] = 180
			}
			return object{"from": t.Format(layout), "to": t.Add(30 * time.Minute).Format(layout), "intensity": value}
		})}

	case strings.HasPrefix(path, "/dataset/CO2Emis"):
		from, to := now.Add(-24*time.Hour), now.Add(-10*time.Minute)
		if strings.HasSuffix(path, "Prog") {
			from, to = now.Add(-10*time.Minute), now.Add(6*time.Hour) // where the other ends, so that nothing is open between
		}
		return object{"records": every(5*time.Minute, from, to, func(t time.Time) any {
			return object{"Minutes5UTC": t.Format("2006-01-02T15:04:05"), "PriceArea": "DK1", "CO2Emission": 180.0}
		})}

	case strings.HasSuffix(path, "/eco2mix-national-tr/records"):
		return object{"results": every(15*time.Minute, now.Add(-23*time.Hour), now.Add(-30*time.Minute), func(t time.Time) any {
			return object{"taux_co2": 180, "date_heure": t.Format("2006-01-02T15:04:05+00:00")}
		})}

	case path == "/v4/data/network/NEM":
		aest := time.FixedZone("", 10*3600)
		series := func(metric, unit string, value float64) any {
			return object{
				"network_code": "NEM", "metric": metric, "unit": unit, "interval": "1h", "network_timezone_offset": "+10:00",
				"results": []any{object{
					"columns": object{"region": q.Get("network_region"), "fueltech": "coal_black"},
					"data": every(time.Hour, now.Add(-23*time.Hour), now.Add(-time.Hour), func(t time.Time) any {
						return []any{t.In(aest).Format(time.RFC3339), value}
					}),
				}},
			}
		}
		return object{"success": true, "data": []any{series("energy", "MWh", 1000), series("emissions", "t", 180)}}
	}
	return nil
}

// Every provider's values reach the points: 10 kJ / 3.6e6 × 180 g/kWh = 0.5 g.
func TestLiveValuesPriceEnergy(t *testing.T) {
	for _, c := range []struct {
		name, zone, signal string
		want               said
	}{
		{"electricity_maps", "FR", "", said{"electricity_maps", "FR", "lifecycle"}},
		{"watttime", "CAISO_NORTH", "marginal", said{"watttime", "CAISO_NORTH", "direct"}},
		{"uk_national_grid", "GB", "", said{"uk_national_grid", "GB", "direct"}},
		{"energinet", "DK-DK1", "", said{"energinet", "DK-DK1", "direct"}},
		{"rte_eco2mix", "FR", "", said{"rte_eco2mix", "FR", "direct"}},
		{"open_electricity", "AU-NSW", "", said{"open_electricity", "NSW1", "direct"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(&world{})
			t.Cleanup(server.Close)
			h := new(host)
			r := liveRig(t, h, c.zone, []ProviderConfig{at(c.name, server.URL, nil)}, func(cfg *Config) {
				if c.signal != "" {
					cfg.Signal = c.signal
				}
			})
			grams, got := r.until(c.name)
			assert.Equal(t, c.want, got)
			assert.InEpsilon(t, 0.5, grams, 1e-9)
			assert.Positive(t, r.requests(c.name)["success"])
			assert.Empty(t, h.statuses(), "it is as it was")
			assert.Empty(t, r.logs.FilterLevelExact(zap.WarnLevel).All())
		})
	}
}

// France by Electricity Maps, and by RTE where that refuses.
func TestProvidersAreAskedInOrder(t *testing.T) {
	failing := &world{before: func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		return true
	}}
	first, second := httptest.NewServer(failing), httptest.NewServer(&world{})
	t.Cleanup(first.Close)
	t.Cleanup(second.Close)
	h := new(host)
	r := liveRig(t, h, "", []ProviderConfig{at("electricity_maps", first.URL, nil), at("rte_eco2mix", second.URL, nil)}, func(cfg *Config) {
		cfg.Location.Default = "FR"
	})
	grams, got := r.until("rte_eco2mix")
	assert.Equal(t, said{"rte_eco2mix", "FR", "direct"}, got)
	assert.InEpsilon(t, 0.5, grams, 1e-9)
	assert.Equal(t, []componentstatus.Status{componentstatus.StatusRecoverableError}, h.statuses(), "what is second stands in for what is first")
	assert.Contains(t, h.cause(), "electricity_maps")
}

// A server that never answers delays nothing: the tables price meanwhile, and say so.
func TestNothingWaitsForAProviderThatHangs(t *testing.T) {
	ended := make(chan struct{})
	asked := make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(ended) })
	h := new(host)
	r := liveRig(t, h, "FR", []ProviderConfig{at("uk_national_grid", server.URL, nil), at("rte_eco2mix", server.URL, nil)}, nil)
	<-asked
	began := time.Now()
	for range 20 {
		_, got := r.burn()
		assert.Equal(t, said{"grids_csv", "FR", "lifecycle"}, got)
	}
	assert.Less(t, time.Since(began), 10*time.Second, "a request is given up after 20 s")
	began = time.Now()
	require.NoError(t, r.p.shutdown(t.Context()))
	assert.Less(t, time.Since(began), 10*time.Second, "nor does the end wait for it")
	assert.Empty(t, h.statuses(), "no request has failed yet")
}

// certificate writes what a client has to trust.
func certificate(t *testing.T, s *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	return path
}

func TestTheServerIsTrustedAsConfigured(t *testing.T) {
	server := httptest.NewUnstartedServer(&world{})
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the client that does not trust it
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := certificate(t, server)
	r := liveRig(t, new(host), "FR", []ProviderConfig{at("electricity_maps", server.URL, func(l *LiveConfig) { l.TLS.CAFile = ca })}, nil)
	r.until("electricity_maps")

	h := new(host)
	r = liveRig(t, h, "FR", []ProviderConfig{at("electricity_maps", server.URL, nil)}, nil)
	require.Eventually(t, func() bool {
		r.burn()
		return len(h.statuses()) == 1
	}, 30*time.Second, 10*time.Millisecond)
	assert.Contains(t, h.cause(), "certificate")
	assert.Zero(t, r.requests("electricity_maps")["success"])
	assert.Positive(t, r.requests("electricity_maps")["upstream"])

	cfg := createDefaultConfig().(*Config)
	cfg.Providers = []ProviderConfig{at("electricity_maps", server.URL, func(l *LiveConfig) { l.TLS.CAFile = "/does/not/exist" })}
	p := newProcessor(t, cfg, processortest.NewNopSettings(metadata.Type))
	require.ErrorContains(t, p.start(t.Context(), new(host)), "providers[0]: electricity_maps: ")
}

// bearer is an extension that adds a token.
type bearer struct {
	component.StartFunc
	component.ShutdownFunc
}

var _ extensionauth.HTTPClient = bearer{}

func (bearer) RoundTripper(base http.RoundTripper) (http.RoundTripper, error) {
	return trip(func(r *http.Request) (*http.Response, error) {
		own := r.Clone(r.Context())
		own.Header.Set("Authorization", "Bearer "+secret)
		return base.RoundTrip(own)
	}), nil
}

type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRequestsAreAuthorizedByAnExtension(t *testing.T) {
	var wrong atomic.Int64
	server := httptest.NewServer(&world{before: func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") != "Bearer "+secret || r.Header.Get("X-Site") != "north" {
			wrong.Add(1)
		}
		return false
	}})
	t.Cleanup(server.Close)
	id := component.MustNewID("bearer")
	entry := at("rte_eco2mix", server.URL, func(l *LiveConfig) {
		l.Auth = configoptional.Some(configauth.Config{AuthenticatorID: id})
		l.Headers = configopaque.MapList{{Name: "X-Site", Value: "north"}}
	})
	r := liveRig(t, &host{extensions: map[component.ID]component.Component{id: bearer{}}}, "FR", []ProviderConfig{entry}, nil)
	r.until("rte_eco2mix")
	assert.Zero(t, wrong.Load())

	cfg := createDefaultConfig().(*Config)
	cfg.Providers = []ProviderConfig{entry}
	for _, h := range []*host{{}, {extensions: map[component.ID]component.Component{component.MustNewID("other"): bearer{}}}} {
		p := newProcessor(t, cfg, processortest.NewNopSettings(metadata.Type))
		err := p.start(t.Context(), h)
		require.ErrorContains(t, err, "providers[0]: rte_eco2mix: ")
		require.ErrorContains(t, err, "bearer")
	}
	cfg.Offline = true
	p := newProcessor(t, cfg, processortest.NewNopSettings(metadata.Type))
	require.NoError(t, p.start(t.Context(), new(host)), "nothing is asked")
	require.NoError(t, p.shutdown(t.Context()))
}

// The server goes on, and sees all connections close, whatever wraps the client's transport.
func TestTheEndClosesConnections(t *testing.T) {
	var opened, closed atomic.Int64
	server := httptest.NewUnstartedServer(&world{})
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			opened.Add(1)
		case http.StateClosed:
			closed.Add(1)
		case http.StateActive, http.StateIdle, http.StateHijacked:
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	id := component.MustNewID("bearer")
	entry := at("rte_eco2mix", server.URL, func(l *LiveConfig) {
		l.Auth = configoptional.Some(configauth.Config{AuthenticatorID: id})
		l.Headers = configopaque.MapList{{Name: "X-Site", Value: "north"}}
	})
	r := liveRig(t, &host{extensions: map[component.ID]component.Component{id: bearer{}}}, "FR", []ProviderConfig{entry}, nil)
	r.until("rte_eco2mix")
	assert.Zero(t, closed.Load(), "it is kept for the next request")
	require.NoError(t, r.p.shutdown(t.Context()))
	require.Eventually(t, func() bool { return opened.Load() > 0 && closed.Load() == opened.Load() }, 30*time.Second, 10*time.Millisecond)
}

// wrap is an extension that answers in place of the network.
type wrap struct {
	component.StartFunc
	component.ShutdownFunc
	http.RoundTripper
}

var _ extensionmiddleware.HTTPClient = wrap{}

func (w wrap) GetHTTPRoundTripper(context.Context) (extensionmiddleware.WrapHTTPRoundTripperFunc, error) {
	return func(context.Context, http.RoundTripper) (http.RoundTripper, error) { return w.RoundTripper, nil }, nil
}

func TestOfflineOpensNoSocket(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked for %s", r.URL) }))
	t.Cleanup(server.Close)
	usual := http.DefaultTransport
	t.Cleanup(func() { http.DefaultTransport = usual })
	http.DefaultTransport = &http.Transport{DialContext: func(_ context.Context, network, address string) (net.Conn, error) {
		t.Errorf("dialed %s %s", network, address)
		return nil, errors.New("denied")
	}}
	var entries []ProviderConfig
	for _, name := range []string{"electricity_maps", "uk_national_grid", "energinet", "rte_eco2mix", "open_electricity", "watttime"} {
		entries = append(entries, at(name, server.URL, nil))
	}
	h := new(host)
	r := liveRig(t, h, "FR", entries, func(cfg *Config) { cfg.Offline = true })
	for range 5 {
		_, got := r.burn()
		assert.Equal(t, said{"grids_csv", "FR", "lifecycle"}, got)
		time.Sleep(20 * time.Millisecond) // a background, if there were one, would have begun
	}
	assert.Empty(t, r.requests("electricity_maps"))
	assert.Empty(t, h.statuses())

	fifty := 50.0
	entries = append(entries, ProviderConfig{Static: &StaticConfig{GramsPerKWh: &fifty}})
	r = liveRig(t, h, "FR", entries, func(cfg *Config) { cfg.Offline = true })
	_, got := r.burn()
	assert.Equal(t, "static", got.source, "a constant needs no network")
}

func TestTwoPipelinesMakeOneRequest(t *testing.T) {
	w := new(world)
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	cfg := createDefaultConfig().(*Config)
	cfg.Location.Zone = "FR"
	cfg.Providers = []ProviderConfig{at("electricity_maps", server.URL, nil)}
	f := NewFactory()
	set := processortest.NewNopSettings(metadata.Type)
	sink := new(consumertest.MetricsSink)
	for range 2 {
		p, err := f.CreateMetrics(t.Context(), set, cfg, sink)
		require.NoError(t, err)
		require.NoError(t, p.Start(t.Context(), new(host)))
		t.Cleanup(func() { require.NoError(t, p.Shutdown(context.WithoutCancel(t.Context()))) })
		require.Eventually(t, func() bool {
			now := time.Now()
			md := fleet(1, 1, now)
			dp := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints().At(0)
			dp.SetStartTimestamp(pcommon.NewTimestampFromTime(now.Add(-time.Millisecond)))
			dp.Attributes().PutStr("hw.id", fmt.Sprint(now.UnixNano()))
			md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().SetAggregationTemporality(delta)
			if !assert.NoError(t, p.ConsumeMetrics(t.Context(), md)) {
				return true
			}
			out := sink.AllMetrics()
			dps := found(out[len(out)-1], "carbon.host.emissions")
			return len(dps) == 1 && str(dps[0], "carbon.grid.source") == "electricity_maps"
		}, 30*time.Second, 10*time.Millisecond)
	}
	assert.EqualValues(t, 1, w.count("/v4/carbon-intensity/history"))
	assert.LessOrEqual(t, w.count("/v4/zones"), int64(1))
}

// A server that sends back all that it was sent does not bring a secret into the log,
// the status or an error.
func TestNoSecretIsToldToAnybody(t *testing.T) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(object{"error": fmt.Sprint(r.Header)})
	})
	server := httptest.NewServer(echo)
	t.Cleanup(server.Close)
	const header = "t0ken-of-a-proxy"
	id := component.MustNewID("bearer")
	for _, name := range []string{"electricity_maps", "open_electricity", "uk_national_grid"} {
		t.Run(name, func(t *testing.T) {
			h := &host{extensions: map[component.ID]component.Component{id: bearer{}}}
			zone := map[string]string{"electricity_maps": "FR", "open_electricity": "AU-NSW", "uk_national_grid": "GB"}[name]
			r := liveRig(t, h, zone, []ProviderConfig{at(name, server.URL, func(l *LiveConfig) {
				l.Headers = configopaque.MapList{{Name: "X-Proxy", Value: header}}
				l.Auth = configoptional.Some(configauth.Config{AuthenticatorID: id})
			})}, nil)
			require.Eventually(t, func() bool {
				r.burn()
				return len(h.statuses()) == 1
			}, 30*time.Second, 10*time.Millisecond)
			told := h.cause()
			for _, e := range r.logs.All() {
				told += fmt.Sprint(e.Message, e.ContextMap())
			}
			assert.Contains(t, told, "[removed]")
			assert.NotContains(t, told, secret)
			assert.NotContains(t, told, header)
			assert.Positive(t, r.requests(name)["auth"])
		})
	}
}

func TestAZoneThatOnlyAProviderKnows(t *testing.T) {
	server := httptest.NewServer(&world{})
	t.Cleanup(server.Close)
	entries := []ProviderConfig{at("uk_national_grid", server.URL, nil), at("energinet", server.URL, nil)}
	r := liveRig(t, new(host), "", entries, func(cfg *Config) { cfg.Location.Default = "DE" })
	for _, c := range []struct{ zone, first, then string }{
		{"DK1", "DE", "DK-DK1"},  // for the tables the default is next
		{"ATLANTIS", "DE", "DE"}, // nobody knows it
	} {
		send := func() string {
			now := time.Now()
			out := r.send(energy(t, in{
				resource: map[string]any{"carbon.grid.zone": c.zone}, temporality: delta, attrs: map[string]any{"hw.id": now.UnixNano()},
			}, func(dp pmetric.NumberDataPoint) {
				dp.SetStartTimestamp(pcommon.NewTimestampFromTime(now.Add(-time.Millisecond)))
				dp.SetTimestamp(pcommon.NewTimestampFromTime(now))
				dp.SetDoubleValue(1)
			}))
			return str(found(out, "carbon.host.emissions")[0], "carbon.grid.zone")
		}
		if first := send(); first != c.then {
			assert.Equal(t, c.first, first)
		}
		require.Eventually(t, func() bool { return send() == c.then }, 30*time.Second, 10*time.Millisecond, c.zone)
	}
	assert.EqualValues(t, 1, r.total("otelcol_processor_carbon_places_unknown"))

	cfg := createDefaultConfig().(*Config)
	cfg.Location.Zone, cfg.Providers = "NSW1", entries
	p := newProcessor(t, cfg, processortest.NewNopSettings(metadata.Type))
	require.ErrorContains(t, p.start(t.Context(), new(host)), `location::zone: `)
}
