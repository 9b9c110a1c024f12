package electricitymaps_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/electricitymaps"
	"github.com/otelcarbon/otelcarbon/intensity/intensitytest"
)

const key = "s3cr/et key+1"

func open(t testing.TB, client *http.Client, change ...func(*electricitymaps.Config)) *electricitymaps.Provider {
	t.Helper()
	c := electricitymaps.Config{Key: key, HTTP: client}
	for _, f := range change {
		f(&c)
	}
	p, err := electricitymaps.New(c)
	require.NoError(t, err)
	return p
}

func v3(c *electricitymaps.Config)     { c.Version = "v3" }
func direct(c *electricitymaps.Config) { c.EmissionFactorType = "direct" }
func strictly(c *electricitymaps.Config) {
	c.DisableEstimations = true
}

// strict refuses what the service would refuse, or would misunderstand, before h answers.
func strict(t testing.TB, h http.Handler) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		ok := assert.Equal(t, []string{key}, r.Header.Values("auth-token")) &&
			assert.Empty(t, r.Header.Values("Authorization")) &&
			assert.Equal(t, http.MethodGet, r.Method) &&
			assert.Equal(t, "https", r.URL.Scheme) &&
			assert.Equal(t, "api.electricitymaps.com", r.URL.Host) &&
			assert.Contains(t, r.Header.Get("User-Agent"), "otelcarbon")
		for _, form := range []string{key, url.QueryEscape(key), url.PathEscape(key)} {
			ok = ok && assert.NotContains(t, r.URL.String(), form, "a key is no part of a URL")
		}
		if !strings.HasSuffix(r.URL.Path, "/zones") {
			known := []string{"zone", "disableCallerLookup", "emissionFactorType", "disableEstimations", "start", "end", "temporalGranularity", "horizonHours"}
			for name, values := range q {
				ok = ok && assert.Contains(t, known, name) && assert.Len(t, values, 1)
			}
			ok = ok && assert.NotEmpty(t, q.Get("zone"), "without a zone, the caller's address decides") &&
				assert.Equal(t, "true", q.Get("disableCallerLookup"))
		}
		if !ok {
			http.Error(w, `{"error":"Invalid auth-token"}`, http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func file(t testing.TB, name string) http.Handler {
	t.Helper()
	return strict(t, intensitytest.File(t, 200, "testdata/"+name))
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse("2006-01-02T15:04Z", text)
	require.NoError(t, err)
	return v
}

// when runs f at a moment, by a clock of its own.
func when(t *testing.T, now string, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(at(t, now)))
		f(t)
	})
}

func TestContract(t *testing.T) {
	for _, c := range []struct {
		name, file, zone, from, to, now string
		change                          func(*electricitymaps.Config)
	}{
		{"v4 history", "v4-ci-history.at-1734Z.DK-DK2.json", "DK-DK2", "2027-03-09T18:00Z", "2027-03-10T18:00Z", "2027-03-10T17:34Z", nil},
		{"v4 past-range", "v4-ci-past-range.DK-DK2.json", "DK-DK2", "2027-03-10T03:00Z", "2027-03-10T06:00Z", "2027-03-20T12:00Z", nil},
		{"v3 history", "v3-ci-history.measured.DE.json", "de", "2031-02-12T01:00Z", "2031-02-13T01:00Z", "2031-02-13T00:40Z", v3},
		{"v3 past-range", "v3-ci-past-range.zone-fallback.json", "US-CAR-DUK", "2031-02-11T05:00Z", "2031-02-12T05:00Z", "2031-07-23T00:00Z", v3},
	} {
		t.Run(c.name, func(t *testing.T) {
			intensitytest.Run(t, intensitytest.Setup{
				New: func(t testing.TB, client *http.Client) intensity.Provider {
					t.Helper()
					if c.change == nil {
						return open(t, client)
					}
					return open(t, client, c.change)
				},
				Serve: file(t, c.file),
				Zone:  c.zone, From: at(t, c.from), To: at(t, c.to), Now: at(t, c.now),
				Secrets: []string{key, url.QueryEscape(key), url.PathEscape(key)},
			})
		})
	}
}

// answers has a body for each hour that is asked for, and remembers nothing.
func answers(t testing.TB) http.Handler {
	t.Helper()
	return strict(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		now := time.Now().UTC().Truncate(time.Hour)
		from, to, list := now.Add(-23*time.Hour), now.Add(time.Hour), "history"
		switch {
		case strings.HasSuffix(r.URL.Path, "/past-range"):
			var err error
			from, err = time.Parse(time.RFC3339, q.Get("start"))
			assert.NoError(t, err)
			to, err = time.Parse(time.RFC3339, q.Get("end"))
			assert.NoError(t, err)
			assert.LessOrEqual(t, to.Sub(from), 240*time.Hour, "10 days")
			to, list = to.Add(time.Hour), "data" // as if the end were part of it
		case strings.HasSuffix(r.URL.Path, "/forecast"):
			var hours int
			_, err := fmt.Sscan(q.Get("horizonHours"), &hours)
			assert.NoError(t, err)
			assert.Contains(t, []int{6, 24, 48, 72}, hours)
			from, to, list = now, now.Add(time.Duration(hours+1)*time.Hour), "forecast"
		}
		rows := []map[string]any{}
		for ; from.Before(to); from = from.Add(time.Hour) {
			row := map[string]any{"datetime": from.Format("2006-01-02T15:04:05.000Z"), "carbonIntensity": from.Unix() / 3600 % 1000}
			if list != "forecast" {
				row["zone"], row["isEstimated"], row["emissionFactorType"] = q.Get("zone"), false, q.Get("emissionFactorType")
			}
			rows = append(rows, row)
		}
		w.Header().Set("Content-Type", "application/json")
		assert.NoError(t, json.NewEncoder(w).Encode(map[string]any{"zone": q.Get("zone"), list: rows}))
	}))
}

func TestRequests(t *testing.T) {
	const always = "disableCallerLookup=true&emissionFactorType=lifecycle&"
	for _, c := range []struct {
		name, from, to string
		change         []func(*electricitymaps.Config)
		want           string
		old            int // hours before the history
	}{
		{"the last hours", "2026-06-10T09:30Z", "2026-06-10T12:10Z", nil, "/v4/carbon-intensity/history?" + always + "zone=DE", 0},
		{"all that the history has", "2026-06-09T13:00Z", "2026-06-10T13:00Z", nil, "/v4/carbon-intensity/history?" + always + "zone=DE", 0},
		{"the last 24 h", "2026-06-09T12:34Z", "2026-06-10T12:34Z", nil, "/v4/carbon-intensity/history?" + always + "zone=DE", 1},
		{"the last 24 h in whole hours", "2026-06-09T12:00Z", "2026-06-10T13:00Z", nil, "/v4/carbon-intensity/history?" + always + "zone=DE", 1},
		{
			"an hour more", "2026-06-09T11:00Z", "2026-06-10T13:00Z", nil,
			"/v4/carbon-intensity/past-range?disableCallerLookup=true&emissionFactorType=lifecycle&end=2026-06-10T13%3A00%3A00Z&start=2026-06-09T11%3A00%3A00Z&temporalGranularity=hourly&zone=DE", 0,
		},
		{
			"the hour that the history has not", "2026-06-09T12:00Z", "2026-06-09T13:00Z", nil,
			"/v4/carbon-intensity/past-range?disableCallerLookup=true&emissionFactorType=lifecycle&end=2026-06-09T13%3A00%3A00Z&start=2026-06-09T12%3A00%3A00Z&temporalGranularity=hourly&zone=DE", 0,
		},
		{
			"whole hours around it", "2026-06-01T11:30Z", "2026-06-01T12:30Z", nil,
			"/v4/carbon-intensity/past-range?disableCallerLookup=true&emissionFactorType=lifecycle&end=2026-06-01T13%3A00%3A00Z&start=2026-06-01T11%3A00%3A00Z&temporalGranularity=hourly&zone=DE", 0,
		},
		{
			"as much as one request may ask for, off the hours", "2026-05-20T11:30Z", "2026-05-30T10:30Z", nil,
			"/v4/carbon-intensity/past-range?disableCallerLookup=true&emissionFactorType=lifecycle&end=2026-05-30T11%3A00%3A00Z&start=2026-05-20T11%3A00%3A00Z&temporalGranularity=hourly&zone=DE", 0,
		},
		{
			"v3", "2026-06-01T11:00Z", "2026-06-01T12:00Z",
			[]func(*electricitymaps.Config){v3, direct, strictly},
			"/v3/carbon-intensity/past-range?disableCallerLookup=true&disableEstimations=true&emissionFactorType=direct&end=2026-06-01T12%3A00%3A00Z&start=2026-06-01T11%3A00%3A00Z&zone=DE", 0,
		},
		{
			"options", "2026-06-10T10:00Z", "2026-06-10T12:00Z",
			[]func(*electricitymaps.Config){direct, strictly},
			"/v4/carbon-intensity/history?disableCallerLookup=true&disableEstimations=true&emissionFactorType=direct&zone=DE", 0,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			when(t, "2026-06-10T12:34Z", func(t *testing.T) {
				server := intensitytest.Serve(answers(t))
				from, to := at(t, c.from), at(t, c.to)
				s, err := open(t, server.Client(), c.change...).Fetch(t.Context(), "DE", from, to)
				require.NoError(t, err)
				require.NoError(t, s.Check())
				require.Len(t, server.Requests(), 1)
				assert.Equal(t, c.want, server.Requests()[0].URL.RequestURI())
				require.Len(t, s.Gaps, c.old)
				for _, g := range s.Gaps {
					require.ErrorIs(t, g.Err, intensity.KindTooOld)
					assert.Equal(t, from, g.Start)
					assert.Equal(t, at(t, "2026-06-09T13:00Z"), g.End)
				}
				for _, slot := range s.Slots {
					assert.InDelta(t, float64(slot.Start.Truncate(time.Hour).Unix()/3600%1000), slot.GramsPerKWh, 0)
				}
			})
		})
	}
}

func TestWhatIsRefusedWithoutARequest(t *testing.T) {
	when(t, "2026-06-10T12:34Z", func(t *testing.T) {
		server := intensitytest.Serve(http.NotFoundHandler())
		p := open(t, server.Client())
		_, err := p.Fetch(t.Context(), " ", at(t, "2026-06-10T10:00Z"), at(t, "2026-06-10T12:00Z"))
		require.ErrorIs(t, err, intensity.KindZone)
		_, err = p.Fetch(t.Context(), "DE", at(t, "2026-06-10T12:00Z"), at(t, "2026-06-10T12:00Z"))
		require.ErrorIs(t, err, intensity.KindConfig)
		_, err = p.Fetch(t.Context(), "DE", at(t, "2026-05-01T00:00Z"), at(t, "2026-05-11T00:00Z"))
		require.ErrorIs(t, err, intensity.KindConfig)
		require.ErrorContains(t, err, "at most 239h0m0s")
		_, err = p.Fetch(t.Context(), "DE", at(t, "2026-06-10T13:00Z"), at(t, "2026-06-10T14:00Z"))
		require.ErrorIs(t, err, intensity.KindNotYet)
		for _, ahead := range []time.Duration{0, -time.Hour} {
			_, err = p.FetchForecast(t.Context(), "DE", ahead)
			require.ErrorIs(t, err, intensity.KindConfig)
		}
		_, err = p.FetchForecast(t.Context(), "DE", 73*time.Hour)
		require.ErrorIs(t, err, intensity.KindPlan)
		_, err = open(t, server.Client(), direct).FetchForecast(t.Context(), "DE", time.Hour)
		require.ErrorIs(t, err, intensity.KindBasis)
		_, err = p.Latest(t.Context(), "")
		require.ErrorIs(t, err, intensity.KindZone)
		assert.Empty(t, server.Requests())
	})
}

func TestForecast(t *testing.T) {
	for _, c := range []struct {
		name, now string
		ahead     time.Duration
		hours     string
		slots     int
	}{
		{"less than an hour", "2026-06-10T12:34Z", 10 * time.Minute, "6", 1},
		{"into the next hour", "2026-06-10T12:34Z", 30 * time.Minute, "6", 2},
		{"six hours reach into a seventh", "2026-06-10T12:34Z", 6 * time.Hour, "6", 7},
		{"at a border", "2026-06-10T12:00Z", 6 * time.Hour, "6", 6},
		{"a little more than six", "2026-06-10T12:34Z", 6*time.Hour + 1, "24", 7},
		{"a day", "2026-06-10T12:34Z", 24 * time.Hour, "24", 25},
		{"all of it", "2026-06-10T12:34Z", 72 * time.Hour, "72", 73},
	} {
		t.Run(c.name, func(t *testing.T) {
			when(t, c.now, func(t *testing.T) {
				server := intensitytest.Serve(answers(t))
				s, err := open(t, server.Client()).FetchForecast(t.Context(), "DE", c.ahead)
				require.NoError(t, err)
				require.NoError(t, s.Check())
				require.Len(t, server.Requests(), 1)
				assert.Equal(t, "/v4/carbon-intensity/forecast?disableCallerLookup=true&horizonHours="+c.hours+"&zone=DE", server.Requests()[0].URL.RequestURI())
				require.Len(t, s.Slots, c.slots)
				assert.Empty(t, s.Gaps)
				assert.Equal(t, at(t, "2026-06-10T12:00Z"), s.Slots[0].Start, "it begins with the slot that holds now")
				for _, slot := range s.Slots {
					assert.Equal(t, intensity.Predicted, slot.Quality)
					assert.Equal(t, at(t, c.now), slot.Origin.IssuedAt)
					assert.Equal(t, "v4/carbon-intensity/forecast", slot.Origin.Endpoint)
				}
			})
		})
	}
}

func TestLatest(t *testing.T) {
	when(t, "2027-03-10T17:34Z", func(t *testing.T) {
		server := intensitytest.Serve(file(t, "v4-ci-latest.estimated.DK-DK2.json"))
		s, err := open(t, server.Client()).Latest(t.Context(), "dk-dk2")
		require.NoError(t, err)
		assert.Equal(t, "/v4/carbon-intensity/latest?disableCallerLookup=true&emissionFactorType=lifecycle&zone=DK-DK2", server.Requests()[0].URL.RequestURI())
		assert.InDelta(t, 124, s.GramsPerKWh, 0)
		assert.Equal(t, intensity.Estimated, s.Quality)
		assert.Equal(t, "v4/carbon-intensity/latest", s.Origin.Endpoint)
		assert.Equal(t, at(t, "2027-03-10T17:34Z"), s.Origin.FetchedAt)
		assert.Equal(t, time.Date(2027, 3, 10, 17, 24, 21, 291e6, time.UTC), s.Origin.UpdatedAt)
	})
}

// Slots are of UTC, so that a local day has 23 or 25 of them, each once.
func TestNightsInWhichClocksChange(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	for _, c := range []struct {
		name       string
		month, day int
		now        string
		hours      int
		route      string
	}{
		{"forward, from past-range", 3, 29, "2026-04-10T12:00Z", 23, "past-range"},
		{"back, from past-range", 10, 25, "2026-11-10T12:00Z", 25, "past-range"},
		{"forward, from the history", 3, 29, "2026-03-29T21:30Z", 23, "history"},
	} {
		t.Run(c.name, func(t *testing.T) {
			when(t, c.now, func(t *testing.T) {
				from := time.Date(2026, time.Month(c.month), c.day, 0, 0, 0, 0, berlin)
				to := time.Date(2026, time.Month(c.month), c.day+1, 0, 0, 0, 0, berlin)
				server := intensitytest.Serve(answers(t))
				s, err := open(t, server.Client()).Fetch(t.Context(), "DE", from, to)
				require.NoError(t, err)
				require.NoError(t, s.Check())
				assert.Contains(t, server.Requests()[0].URL.Path, c.route)
				require.Len(t, s.Slots, c.hours)
				assert.Empty(t, s.Gaps)
				for i, slot := range s.Slots {
					assert.True(t, slot.Start.Equal(from.Add(time.Duration(i)*time.Hour)))
					assert.Equal(t, time.UTC, slot.Start.Location())
				}
			})
		})
	}
}

// The hour that is running has begun by the server's clock, which makes it no forecast.
func TestTheClockIsTheServers(t *testing.T) {
	when(t, "2027-03-10T17:34Z", func(t *testing.T) {
		server := intensitytest.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", "Wed, 10 Mar 2027 20:03:00 GMT")
			intensitytest.File(t, 200, "testdata/v4-ci-latest.before-slot-has-data.DK-DK2.json").ServeHTTP(w, r)
		}))
		s, err := open(t, server.Client()).Latest(t.Context(), "DK-DK2")
		require.NoError(t, err)
		assert.Equal(t, intensity.Estimated, s.Quality)
	})
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		file   string
		status int
		fresh  intensity.Kind // of the first answer
		later  intensity.Kind // after one that was good
	}{
		{"error-401.missing-header.json", 401, intensity.KindAuth, intensity.KindRate},
		{"error-401.invalid-token.json", 401, intensity.KindAuth, intensity.KindRate},
		{"error-401.not-in-plan.json", 401, intensity.KindPlan, intensity.KindPlan},
		{"error-401.not-in-plan.v3-variant.json", 401, intensity.KindPlan, intensity.KindPlan},
		{"error-401.endpoint-not-in-plan.json", 401, intensity.KindPlan, intensity.KindPlan},
		{"error-401.endpoint-not-in-plan.json", 400, intensity.KindPlan, intensity.KindPlan},
		{"error-401.endpoint-not-in-plan.json", 403, intensity.KindPlan, intensity.KindPlan},
		{"error-400.bad-temporality.json", 400, intensity.KindConfig, intensity.KindConfig},
		{"error-404.no-recent-data.json", 404, intensity.KindNoData, intensity.KindNoData},
		{"error-404.no-route.json", 404, intensity.KindConfig, intensity.KindConfig},
		{"error-429.json", 429, intensity.KindRate, intensity.KindRate},
		{"error-503.html", 503, intensity.KindUpstream, intensity.KindUpstream},
		{"error-503.html", 404, intensity.KindConfig, intensity.KindConfig},
		{"error-503.html", 200, intensity.KindMalformed, intensity.KindMalformed},
	} {
		t.Run(fmt.Sprintf("%d %s", c.status, c.file), func(t *testing.T) {
			for _, again := range []bool{false, true} {
				when(t, "2027-03-10T17:34Z", func(t *testing.T) {
					n := 0
					good, bad := file(t, "v4-ci-history.at-1734Z.DK-DK2.json"), strict(t, intensitytest.File(t, c.status, "testdata/"+c.file))
					server := intensitytest.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if n++; again && n <= 10 {
							good.ServeHTTP(w, r)
							return
						}
						bad.ServeHTTP(w, r)
					}))
					p := open(t, server.Client())
					fetch := func() error {
						_, err := p.Fetch(t.Context(), "DK-DK2", at(t, "2027-03-10T15:00Z"), at(t, "2027-03-10T17:00Z"))
						return err
					}
					want := c.fresh
					if again {
						want = c.later
						for range 10 {
							require.NoError(t, fetch())
						}
					}
					err := fetch()
					require.ErrorIs(t, err, want)
					e, ok := errors.AsType[*intensity.Error](err)
					require.True(t, ok)
					assert.Equal(t, "DK-DK2", e.Zone)
					assert.NotContains(t, err.Error(), key)
					if c.status != 200 {
						assert.Equal(t, c.status, e.Status)
					}
				})
			}
		})
	}
}

func TestRefusalsInOtherWords(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   intensity.Kind
	}{
		{400, `{"error":"Missing arguments \"node\""}`, intensity.KindZone},
		{400, `{"error":"Zone 'XY' does not exist"}`, intensity.KindZone},
		{400, `{"error":"Missing or invalid date parameter \"start\""}`, intensity.KindConfig},
		{404, `{"error":"Zone not found"}`, intensity.KindZone},
		{404, ``, intensity.KindNoData},
		{401, `not even JSON`, intensity.KindAuth},
		{401, `{"error":"Token unauthorized for zoneKey DE"}`, intensity.KindPlan},
		{401, `{"error":"` + key + ` is not valid"}`, intensity.KindAuth},
	} {
		t.Run(c.body, func(t *testing.T) {
			server := intensitytest.Serve(intensitytest.Bytes(c.status, "application/json", []byte(c.body)))
			_, err := open(t, server.Client()).Latest(t.Context(), "DE")
			require.ErrorIs(t, err, c.want)
			assert.NotContains(t, err.Error(), key)
		})
	}
	server := intensitytest.Serve(intensitytest.Bytes(400, "application/json", []byte(`{"error":"Horizon 48 is not available"}`)))
	_, err := open(t, server.Client()).FetchForecast(t.Context(), "DE", 40*time.Hour)
	require.ErrorIs(t, err, intensity.KindPlan)
}

func TestLimitSaysWhenAgain(t *testing.T) {
	when(t, "2027-03-10T17:34Z", func(t *testing.T) {
		good := file(t, "v4-ci-latest.estimated.DK-DK2.json")
		limited := false
		server := intensitytest.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if limited {
				w.Header().Set("Retry-After", "30")
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			good.ServeHTTP(w, r)
		}))
		p := open(t, server.Client())
		_, err := p.Latest(t.Context(), "DK-DK2")
		require.NoError(t, err)
		limited = true
		_, err = p.Latest(t.Context(), "DK-DK2")
		require.ErrorIs(t, err, intensity.KindRate)
		e, ok := errors.AsType[*intensity.Error](err)
		require.True(t, ok)
		assert.Equal(t, 30*time.Second, e.RetryAfter)
	})
}

// A key without past-range is told so once; what the history has of a time, it still gets.
func TestARefusedRouteIsNotAskedAgain(t *testing.T) {
	when(t, "2026-06-10T12:34Z", func(t *testing.T) {
		rest := answers(t)
		server := intensitytest.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/past-range") {
				intensitytest.File(t, 401, "testdata/error-401.not-in-plan.json").ServeHTTP(w, r)
				return
			}
			rest.ServeHTTP(w, r)
		}))
		p := open(t, server.Client())
		from, border, to := at(t, "2026-06-05T00:00Z"), at(t, "2026-06-09T13:00Z"), at(t, "2026-06-10T12:00Z")
		_, err := p.Fetch(t.Context(), "DE", from, to)
		require.ErrorIs(t, err, intensity.KindPlan)

		_, err = p.Fetch(t.Context(), "DE", from, border)
		require.ErrorIs(t, err, intensity.KindTooOld)
		require.ErrorContains(t, err, "past-range")
		require.Len(t, server.Requests(), 1)

		s, err := p.Fetch(t.Context(), "DE", from, to)
		require.NoError(t, err)
		require.NoError(t, s.Check())
		require.Len(t, s.Slots, 23)
		require.Len(t, s.Gaps, 1)
		require.ErrorIs(t, s.Gaps[0].Err, intensity.KindTooOld)
		assert.Equal(t, border, s.Gaps[0].End)
		require.Len(t, server.Requests(), 2)

		_, err = p.Fetch(t.Context(), "FR", from, to)
		require.ErrorIs(t, err, intensity.KindPlan, "another zone may have it")
		time.Sleep(24 * time.Hour)
		_, err = p.Fetch(t.Context(), "DE", from, to)
		require.ErrorIs(t, err, intensity.KindPlan, "plans change")
		require.Len(t, server.Requests(), 4)
	})
}

func TestAccess(t *testing.T) {
	when(t, "2027-03-10T17:34Z", func(t *testing.T) {
		zones, rest := file(t, "v4-zones.with-free-token.json"), answers(t)
		down := true
		server := intensitytest.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path != "/v4/zones":
				rest.ServeHTTP(w, r)
			case down:
				w.WriteHeader(http.StatusServiceUnavailable)
			default:
				assert.Empty(t, r.URL.RawQuery)
				zones.ServeHTTP(w, r)
			}
		}))
		p := open(t, server.Client())
		_, err := p.Access(t.Context())
		require.ErrorIs(t, err, intensity.KindUpstream)
		down = false
		for range 3 {
			a, err := p.Access(t.Context())
			require.NoError(t, err)
			assert.True(t, a.Known())
			assert.Equal(t, []string{"AE", "DK-DK2"}, a.Zones())
			assert.False(t, a.May("DK-DK2", "carbon-intensity/past-range"))
		}
		require.Len(t, server.Requests(), 2, "the failed one, and one")

		_, err = p.Fetch(t.Context(), "DE", at(t, "2027-03-10T15:00Z"), at(t, "2027-03-10T17:00Z"))
		require.ErrorIs(t, err, intensity.KindPlan, "the key does not have the zone")
		_, err = p.Fetch(t.Context(), "AE", at(t, "2027-03-01T15:00Z"), at(t, "2027-03-02T17:00Z"))
		require.ErrorIs(t, err, intensity.KindTooOld, "the key does not have past-range")
		require.Len(t, server.Requests(), 2)
		s, err := p.Fetch(t.Context(), "AE", at(t, "2027-03-09T00:00Z"), at(t, "2027-03-10T17:00Z"))
		require.NoError(t, err)
		assert.Len(t, s.Slots, 23)
		require.Len(t, server.Requests(), 3)
	})
}

func TestAccessOfAWrongKey(t *testing.T) {
	server := intensitytest.Serve(intensitytest.File(t, 401, "testdata/error-401.invalid-token.json"))
	_, err := open(t, server.Client()).Access(t.Context())
	require.ErrorIs(t, err, intensity.KindAuth)
	require.Len(t, server.Requests(), 1)

	server = intensitytest.Serve(intensitytest.File(t, 503, "testdata/error-503.html"))
	_, err = open(t, server.Client()).Access(t.Context())
	require.ErrorIs(t, err, intensity.KindUpstream)
	server = intensitytest.Serve(intensitytest.File(t, 200, "testdata/error-503.html"))
	_, err = open(t, server.Client()).Access(t.Context())
	require.ErrorIs(t, err, intensity.KindMalformed)
}

// A list without access says nothing, so that nothing is refused for it.
func TestAccessThatTellsNothing(t *testing.T) {
	when(t, "2031-02-13T00:40Z", func(t *testing.T) {
		zones, data := file(t, "v3-zones.no-token.json"), file(t, "v3-ci-history.measured.DE.json")
		server := intensitytest.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v3/zones" {
				zones.ServeHTTP(w, r)
				return
			}
			data.ServeHTTP(w, r)
		}))
		p := open(t, server.Client(), v3)
		a, err := p.Access(t.Context())
		require.NoError(t, err)
		assert.False(t, a.Known())
		_, err = p.Fetch(t.Context(), "DE", at(t, "2031-02-12T15:00Z"), at(t, "2031-02-12T17:00Z"))
		require.NoError(t, err)
	})
}

func TestResolve(t *testing.T) {
	p := open(t, &http.Client{Transport: intensitytest.Serve(http.NotFoundHandler())})
	for _, c := range []struct {
		name string
		loc  intensity.Location
		want string
		err  string
	}{
		{"a zone", intensity.Location{Zone: " us-mida-pjm", Country: "FR"}, "US-MIDA-PJM", ""},
		{"a misspelled zone", intensity.Location{Zone: "DK-DK3"}, "", "did you mean DK-DK1?"},
		{"a retired zone", intensity.Location{Zone: "MX-BC"}, "", "retired"},
		{"a cloud region", intensity.Location{CloudProvider: "aws", CloudRegion: "us-east-1", Country: "FR"}, "US-MIDA-PJM", ""},
		{"an availability zone", intensity.Location{CloudProvider: "gcp", CloudZone: "europe-west9-b"}, "FR", ""},
		{"a cloud region before a subdivision", intensity.Location{CloudProvider: "aws", CloudRegion: "eu-south-1", Country: "IT", Subdivision: "IT-MI"}, "IT-NO", ""},
		{"an unknown cloud region", intensity.Location{CloudProvider: "aws", CloudRegion: "eu-west-33"}, "", "did you mean"},
		{"an unknown cloud region in a country", intensity.Location{CloudProvider: "own", CloudRegion: "cellar", Country: "de"}, "DE", ""},
		{"a subdivision that is a zone", intensity.Location{Country: "CA", Subdivision: "CA-QC"}, "CA-QC", ""},
		{"a subdivision that is a zone beside its country", intensity.Location{Subdivision: "GB-NIR"}, "GB-NIR", ""},
		{"a subdivision of a country of one zone", intensity.Location{Subdivision: "DE-BY"}, "DE", ""},
		{"a subdivision of the mainland", intensity.Location{Country: "FR", Subdivision: "FR-IDF"}, "FR", ""},
		{"a subdivision across the sea", intensity.Location{Country: "FR", Subdivision: "FR-2A"}, "", "mainland only"},
		{"a subdivision of a country of many zones", intensity.Location{Country: "US", Subdivision: "US-VA"}, "", "set the zone"},
		{"Sondrio is not the south", intensity.Location{Country: "IT", Subdivision: "IT-SO"}, "", "set the zone"},
		{"a subdivision of another country", intensity.Location{Country: "FR", Subdivision: "US-VA"}, "FR", ""},
		{"a country", intensity.Location{Country: "se"}, "SE", ""},
		{"a country of many zones without a key", intensity.Location{Country: "CL"}, "", "CL-SEN"},
		{"a region of it", intensity.Location{Subdivision: "CL-RM"}, "", "set the zone"},
		{"no country", intensity.Location{Country: "UK"}, "", "not covered"},
		{"a position", intensity.Location{Point: &intensity.LatLon{Lat: 48.85, Lon: 2.35}}, "FR", ""},
		{"a position in two boxes", intensity.Location{Point: &intensity.LatLon{Lat: 54.9, Lon: -5.9}}, "", "say which zone"},
		{"0,0 is a place", intensity.Location{Point: &intensity.LatLon{}}, "", "position 0,0"},
		{"a default", intensity.Location{Default: "NO-NO1"}, "NO-NO1", ""},
		{"nothing", intensity.Location{}, "", "no place was given"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := p.Resolve(t.Context(), c.loc)
			if c.err == "" {
				require.NoError(t, err)
				assert.Equal(t, c.want, got)
				return
			}
			require.ErrorIs(t, err, intensity.KindZone)
			require.ErrorContains(t, err, c.err)
		})
	}
}

// The tables may be older than a zone.
func TestZonesThatOnlyTheProviderKnows(t *testing.T) {
	server := intensitytest.Serve(intensitytest.Bytes(200, "application/json", []byte(`{"ZZ-NEW":{"zoneName":"New","access":["*"]}}`)))
	p := open(t, server.Client())
	_, err := p.Resolve(t.Context(), intensity.Location{Zone: "zz-new"})
	require.ErrorIs(t, err, intensity.KindZone)
	_, err = p.Access(t.Context())
	require.NoError(t, err)
	zone, err := p.Resolve(t.Context(), intensity.Location{Zone: "zz-new"})
	require.NoError(t, err)
	assert.Equal(t, "ZZ-NEW", zone)
}

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*electricitymaps.Config)
		want   string
	}{
		{"no key", func(c *electricitymaps.Config) { c.Key = "" }, "token"},
		{"a key with its end of line", func(c *electricitymaps.Config) { c.Key += "\n" }, "line break"},
		{"a version", func(c *electricitymaps.Config) { c.Version = "4" }, "want v3 or v4"},
		{"a factor", func(c *electricitymaps.Config) { c.EmissionFactorType = "Direct" }, "want lifecycle or direct"},
		{"a rate", func(c *electricitymaps.Config) { c.Rate.Burst = -1 }, "less than 0"},
		{"no TLS", func(c *electricitymaps.Config) { c.Endpoint = "http://api.electricitymaps.com" }, "not https"},
		{"a version in the endpoint", func(c *electricitymaps.Config) { c.Endpoint = "https://api.electricitymaps.com/v3/" }, "set Version"},
		{"a key in the endpoint", func(c *electricitymaps.Config) {
			c.Endpoint = "https://api.electricitymaps.com?auth-token=" + url.QueryEscape(key)
		}, "query"},
		{"a half-width", func(c *electricitymaps.Config) { c.HalfWidths.Measured = -1 }, "0 or more"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := electricitymaps.Config{Key: key}
			c.change(&cfg)
			_, err := electricitymaps.New(cfg)
			require.ErrorIs(t, err, intensity.KindConfig)
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), key)
			assert.NotContains(t, err.Error(), url.QueryEscape(key))
		})
	}
	for _, endpoint := range []string{"http://127.0.0.1:8080", "http://localhost/proxy/", "https://api.electricitymap.org"} {
		_, err := electricitymaps.New(electricitymaps.Config{Key: key, Endpoint: endpoint})
		require.NoError(t, err, endpoint)
	}
	_, err := electricitymaps.New(electricitymaps.Config{Key: key, Endpoint: "http://proxy.example", Insecure: true})
	require.NoError(t, err)
}

func TestNoVerbShowsTheKey(t *testing.T) {
	c := electricitymaps.Config{Key: key}
	p, err := electricitymaps.New(c)
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		for _, v := range []any{c, &c, p} {
			assert.NotContains(t, fmt.Sprintf(verb, v), key, verb)
		}
	}
}

func TestCaps(t *testing.T) {
	lifecycle, stack := open(t, nil).Caps(), open(t, nil, direct, strictly).Caps()
	assert.Equal(t, "electricity_maps", lifecycle.ID)
	assert.Equal(t, []intensity.Basis{{Signal: intensity.Average, Boundary: intensity.Lifecycle, Flow: intensity.Consumption, Gas: intensity.CO2e}}, lifecycle.Bases)
	assert.Equal(t, intensity.Direct, stack.Bases[0].Boundary)
	assert.Equal(t, 72*time.Hour, lifecycle.Horizon)
	assert.Zero(t, stack.Horizon, "forecasts are lifecycle")
	assert.Equal(t, intensity.Rate{Burst: 10, Per: 72 * time.Second}, lifecycle.Rate)
	assert.Zero(t, lifecycle.Latency, "estimates are there at once")
	assert.Positive(t, stack.Latency)
	assert.False(t, lifecycle.Offers(intensity.Basis{Signal: intensity.Marginal}))
}

// A real server on loopback, since the headers of a real client differ.
func TestOverASocket(t *testing.T) {
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("auth-token"), r.URL.Query().Get("disableCallerLookup"))
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"zone":"DE","carbonIntensity":300,"datetime":%q,"isEstimated":true}`, time.Now().UTC().Truncate(time.Hour).Format(time.RFC3339))
	}))
	defer server.Close()
	p, err := electricitymaps.New(electricitymaps.Config{Key: key, Endpoint: server.URL})
	require.NoError(t, err)
	s, err := p.Latest(t.Context(), "DE")
	require.NoError(t, err)
	assert.InDelta(t, 300, s.GramsPerKWh, 0)
	assert.True(t, slices.Equal(seen, []string{key, "true"}), "%v", seen)
}
