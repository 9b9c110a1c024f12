package carbonprocessor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/configmiddleware"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/intensitytest"
)

const (
	fine  = componentstatus.StatusOK
	lacks = componentstatus.StatusRecoverableError
)

// bubble is a host whose extension answers requests inside of a synctest bubble, and an
// entry for a provider that uses it.
func bubble(name string, h http.Handler) (*host, ProviderConfig) {
	id := component.MustNewID("replay")
	return &host{extensions: map[component.ID]component.Component{id: wrap{RoundTripper: intensitytest.Serve(h)}}},
		at(name, "", func(l *LiveConfig) { l.Middlewares = []configmiddleware.Config{{ID: id}} })
}

func TestStatusFollowsWhatPrices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var status atomic.Int64
		status.Store(500)
		h, entry := bubble("electricity_maps", &world{before: func(w http.ResponseWriter, _ *http.Request) bool {
			s := int(status.Load())
			if s != 200 {
				w.WriteHeader(s)
			}
			return s != 200
		}})
		r := liveRig(t, h, "FR", []ProviderConfig{entry}, nil)

		// The access, and the history with two more tries.
		time.Sleep(10 * time.Second)
		for range 3 {
			_, got := r.burn()
			assert.Equal(t, said{"grids_csv", "FR", "lifecycle"}, got)
		}
		assert.Equal(t, map[string]int64{"upstream": 4}, r.requests("electricity_maps"))
		assert.Equal(t, []componentstatus.Status{lacks}, h.statuses(), "once, not for each batch")
		assert.Contains(t, h.cause(), "energy is priced with what stands in for live intensity, or not at all: electricity_maps FR: provider unavailable: status 500")
		assert.Equal(t, 1, r.logs.FilterMessageSnippet("live intensity is not to be had").Len())

		status.Store(200)
		time.Sleep(2 * time.Minute)
		grams, got := r.burn()
		assert.Equal(t, said{"electricity_maps", "FR", "lifecycle"}, got)
		assert.InEpsilon(t, 0.5, grams, 1e-9)
		assert.Equal(t, []componentstatus.Status{lacks, fine}, h.statuses())
		assert.Equal(t, 1, r.logs.FilterMessageSnippet("to be had again").Len())

		// Refused again: first the forecast counts, then what was seen last, for 6 h, then the table.
		status.Store(503)
		time.Sleep(90 * time.Minute)
		_, got = r.burn()
		assert.Equal(t, "electricity_maps", got.source)
		assert.Equal(t, []componentstatus.Status{lacks, fine}, h.statuses(), "it is priced live, whatever was refused")
		time.Sleep(3 * time.Hour)
		_, got = r.burn()
		assert.Equal(t, "electricity_maps", got.source)
		assert.Equal(t, []componentstatus.Status{lacks, fine, lacks}, h.statuses(), "of hours ago, and it could not be renewed")
		time.Sleep(6 * time.Hour)
		_, got = r.burn()
		assert.Equal(t, "grids_csv", got.source)
		assert.Len(t, h.statuses(), 3)

		status.Store(200)
		time.Sleep(time.Hour)
		_, got = r.burn()
		assert.Equal(t, "electricity_maps", got.source)
		assert.Equal(t, []componentstatus.Status{lacks, fine, lacks, fine}, h.statuses())
		assert.Equal(t, 2, r.logs.FilterMessageSnippet("live intensity is not to be had").Len())
	})
}

func TestWhatIsNoFailureIsNoStatus(t *testing.T) {
	for _, c := range []struct {
		name, provider, zone string
		status               int
		source               string
		outcome              string
		want                 []componentstatus.Status
	}{
		{"a place that is not covered", "uk_national_grid", "DE", 200, "grids_csv", "", nil},
		{"no value", "electricity_maps", "FR", 404, "grids_csv", "no_data", nil},
		{"a wrong key", "electricity_maps", "FR", 401, "grids_csv", "auth", []componentstatus.Status{lacks}},
		{"too often", "electricity_maps", "FR", 429, "grids_csv", "rate", []componentstatus.Status{lacks}},
		{"a wrong request", "electricity_maps", "FR", 400, "grids_csv", "config", []componentstatus.Status{lacks}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, entry := bubble(c.provider, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(c.status)
					if c.status == 404 {
						_, _ = w.Write([]byte(`{"error":"No recent data for zone"}`))
					}
				}))
				r := liveRig(t, h, c.zone, []ProviderConfig{entry}, nil)
				time.Sleep(time.Minute)
				_, got := r.burn()
				assert.Equal(t, c.source, got.source)
				assert.Equal(t, c.want, h.statuses())
				counts := r.requests(c.provider)
				if c.outcome == "" {
					assert.Empty(t, counts)
				} else {
					assert.Positive(t, counts[c.outcome])
					assert.Len(t, counts, 1)
				}
			})
		})
	}
}

// A marginal value has no stand-in: without an answer nothing is priced, and nothing at 0.
func TestNothingStandsInForMarginalValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, entry := bubble("watttime", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
		fifty := 50.0
		r := liveRig(t, h, "CAISO_NORTH", []ProviderConfig{entry, {Static: &StaticConfig{GramsPerKWh: &fifty}}}, func(cfg *Config) { cfg.Signal = "marginal" })
		time.Sleep(time.Minute)
		grams, got := r.burn()
		assert.Zero(t, grams)
		assert.Equal(t, said{}, got)
		assert.Equal(t, map[string]int64{"no_intensity": 1}, r.dropped())
		unused := r.logs.FilterMessageSnippet("a provider is never used").All()
		require.Len(t, unused, 1)
		assert.Equal(t, "static", unused[0].ContextMap()["provider"])
		assert.Equal(t, "marginal", unused[0].ContextMap()["wanted"])
		assert.Equal(t, []componentstatus.Status{componentstatus.StatusRecoverableError}, h.statuses(), "that nothing stands in is worse")
	})
}

func TestTheAgeAndTheQualityOfWhatPricesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, entry := bubble("electricity_maps", &world{})
		r := liveRig(t, h, "FR", []ProviderConfig{entry}, nil)
		_, err := r.telemetry.GetMetric("otelcol_processor_carbon_intensity_age")
		require.Error(t, err, "no live value has priced anything")
		synctest.Wait() // fetched at once, in no time
		time.Sleep(10 * time.Second)
		_, got := r.burn()
		assert.Equal(t, "electricity_maps", got.source)
		time.Sleep(5 * time.Second)
		m, err := r.telemetry.GetMetric("otelcol_processor_carbon_intensity_age")
		require.NoError(t, err)
		dps := m.Data.(metricdata.Gauge[float64]).DataPoints
		require.Len(t, dps, 1)
		source, _ := dps[0].Attributes.Value("carbon.grid.source")
		assert.Equal(t, "electricity_maps", source.AsString())
		assert.InDelta(t, 15, dps[0].Value, 1e-3, "since it was fetched, not since it priced")

		// 10 kJ at 180 g/kWh, twice: of the hour that runs, which is preliminary.
		r.burn()
		m, err = r.telemetry.GetMetric("otelcol_processor_carbon_emissions_priced")
		require.NoError(t, err)
		sums := m.Data.(metricdata.Sum[float64]).DataPoints
		require.Len(t, sums, 1)
		quality, _ := sums[0].Attributes.Value("carbon.grid.quality")
		assert.Equal(t, "preliminary", quality.AsString())
		assert.InEpsilon(t, 1.0, sums[0].Value, 1e-9)
	})
}

func TestGramsAreCountedByTheQualityOfTheTables(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Location.Zone, c.Providers = "FR", nil })
	grams, _ := r.burn()
	m, err := r.telemetry.GetMetric("otelcol_processor_carbon_emissions_priced")
	require.NoError(t, err)
	sums := m.Data.(metricdata.Sum[float64]).DataPoints
	require.Len(t, sums, 1)
	quality, _ := sums[0].Attributes.Value("carbon.grid.quality")
	assert.Equal(t, "periodic", quality.AsString())
	assert.InEpsilon(t, grams, sums[0].Value, 1e-9)
}

func TestOutcomes(t *testing.T) {
	seen := map[string]bool{}
	for c, name := range classNames() {
		require.NotEmpty(t, name, c)
		require.False(t, seen[name], name)
		seen[name] = true
	}
	for _, c := range []struct {
		err     error
		want    string
		answers bool
	}{
		{nil, "success", true},
		{&intensity.Error{Kind: intensity.KindNoData}, "no_data", true},
		{&intensity.Error{Kind: intensity.KindZone}, "zone", true},
		{fmt.Errorf("of late: %w", &intensity.Error{Kind: intensity.KindAuth}), "auth", false},
		{&intensity.Error{Kind: intensity.KindPlan}, "plan", false},
		{&intensity.Error{}, "other", false},
		{&intensity.Error{Kind: 200}, "other", false},
		{context.DeadlineExceeded, "upstream", false},
		{context.Canceled, "canceled", false},
		{errors.New("boom"), "other", false},
	} {
		got := classOf(c.err)
		assert.Equal(t, c.want, classNames()[got], "%v", c.err)
		assert.Equal(t, c.answers, got.answers(), "%v", c.err)
	}
}

func TestEveryPipelineIsToldWhileItRuns(t *testing.T) {
	s := newStatus(zap.NewNop())
	a, b, late := new(host), new(host), new(host)
	detach := s.attach(a)
	s.attach(b)
	now := time.Now()
	boom := &intensity.Error{Kind: intensity.KindUpstream, Provider: "p", Zone: "z"}
	s.settle(true, nil, now)
	assert.Empty(t, a.statuses(), "nothing has failed")
	s.request("p", "z", class(boom.Kind), boom, now)
	s.settle(false, nil, now)
	assert.Empty(t, a.statuses(), "nothing stands in")
	s.settle(true, nil, now)
	detach()
	detach()
	s.attach(late)
	assert.Equal(t, []componentstatus.Status{lacks}, late.statuses())
	s.request("p", "z", canceled, context.Canceled, now)
	s.settle(false, nil, now)
	s.request("p", "z", succeeded, nil, now)
	s.settle(true, nil, now)
	assert.Equal(t, []componentstatus.Status{lacks}, a.statuses())
	assert.Equal(t, []componentstatus.Status{lacks, fine}, b.statuses())
	assert.Equal(t, []componentstatus.Status{lacks, fine}, late.statuses())
}

func TestAFailureThatConcernsNobodyIsForgotten(t *testing.T) {
	now := time.Now()
	boom := &intensity.Error{Kind: intensity.KindUpstream, Provider: "p"}
	start := func() (*status, *host) {
		s, h := newStatus(zap.NewNop()), new(host)
		s.attach(h)
		s.request("p", "z", class(boom.Kind), boom, now)
		s.request("p", "", class(boom.Kind), boom, now)
		return s, h
	}
	gaugeOf := func(provider, zone string, flags intensity.Flags) []*gauge {
		return []*gauge{{slot: &intensity.Slot{Flags: flags, Origin: intensity.Origin{Provider: provider, ZoneAsked: zone, FetchedAt: now}}}}
	}

	s, h := start()
	s.settle(true, gaugeOf("p", "z", 0), now)
	assert.Empty(t, h.statuses(), "the zone has a live value")
	s, h = start()
	s.settle(true, gaugeOf("p", "z", intensity.Stale), now)
	assert.Equal(t, []componentstatus.Status{lacks}, h.statuses(), "it has one that could not be renewed")
	s.settle(false, gaugeOf("p", "other", 0), now.Add(9*time.Minute))
	assert.Len(t, h.statuses(), 1)
	s.settle(false, nil, now.Add(11*time.Minute))
	assert.Equal(t, []componentstatus.Status{lacks, fine}, h.statuses(), "nobody needs it any more")
	s.settle(true, nil, now.Add(12*time.Minute))
	assert.Equal(t, []componentstatus.Status{lacks, fine, lacks}, h.statuses())
	s.settle(true, nil, now.Add(26*time.Hour))
	assert.Equal(t, []componentstatus.Status{lacks, fine, lacks, fine}, h.statuses(), "it is not asked any more")

	for i := range 2 * maxFailing {
		s.request("p", fmt.Sprint(i), class(boom.Kind), boom, now)
	}
	assert.Len(t, s.failing, maxFailing)
}

func TestTroublesAreLoggedOnceAndNotForEver(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	s := newStatus(zap.New(core))
	for i := range 1000 {
		s.trouble(fmt.Errorf("trouble %d", i/2))
	}
	assert.Equal(t, maxTroubles, logs.FilterMessage("trouble with live intensity").Len())
	assert.Equal(t, maxTroubles+1, logs.Len())
	assert.True(t, strings.HasPrefix(logs.All()[maxTroubles].Message, "too many troubles"))
}

func TestHooksMayComeAtAnyTime(t *testing.T) {
	h := new(host)
	r := newRig(t, func(c *Config) {
		c.Providers = []ProviderConfig{at("rte_eco2mix", "https://127.0.0.1:1", nil)}
		c.Offline = true
	})
	hooks := r.p.engine.live.hooks()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for k := range 200 {
				var err error
				if k%2 == 0 {
					err = &intensity.Error{Kind: intensity.KindUpstream, Provider: "rte_eco2mix"}
				}
				hooks.Request("rte_eco2mix", "FR", time.Second, err)
				hooks.Request("nobody", "FR", time.Second, err)
				hooks.Trouble(fmt.Errorf("trouble %d", i))
				r.p.engine.live.status.attach(h)()
			}
		})
	}
	for range 50 {
		r.burn()
	}
	wg.Wait()
	assert.Equal(t, map[string]int64{"success": 400, "upstream": 400}, r.requests("rte_eco2mix"))
}
