package watttime_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/intensitytest"
	"github.com/otelcarbon/otelcarbon/intensity/watttime"
)

const (
	user     = "someone@example.org"
	password = "correct horse/battery+staple"
	freeOne  = "CAISO_NORTH"
)

// six is the start of most files in testdata.
var six = time.Date(2026, 5, 4, 6, 0, 0, 0, time.UTC)

func basic() string { return base64.StdEncoding.EncodeToString([]byte(user + ":" + password)) }

func open(t testing.TB, client *http.Client, change ...func(*watttime.Options)) *watttime.Provider {
	t.Helper()
	o := watttime.Options{Username: user, Password: password, HTTP: client}
	for _, c := range change {
		c(&o)
	}
	p, err := watttime.New(o)
	require.NoError(t, err)
	return p
}

func average(o *watttime.Options) { o.Signal = intensity.Average }

// upstream is strict where WattTime is. Logins give out tokens that count, each good for
// 30 minutes by its clock.
type upstream struct {
	t       testing.TB
	data    http.Handler // of all paths but the login
	login   http.Handler // nil: as it should be
	refuses func(token int) bool

	mu     sync.Mutex
	issued []time.Time
}

func token(n int) string { return fmt.Sprintf("eyJhbGciOi.%d.c2lnbmF0dXJl", n) }

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	assert.Equal(u.t, http.MethodGet, r.Method)
	assert.NotContains(u.t, r.URL.RawQuery, "+", "a plus is a blank there")
	if r.URL.Path == "/login" {
		assert.Equal(u.t, "Basic "+basic(), r.Header.Get("Authorization"))
		assert.Empty(u.t, r.URL.RawQuery)
		if u.login != nil {
			u.login.ServeHTTP(w, r)
			return
		}
		u.mu.Lock()
		u.issued = append(u.issued, time.Now())
		n := len(u.issued)
		u.mu.Unlock()
		intensitytest.Bytes(200, "application/json", fmt.Appendf(nil, `{"token":%q}`, token(n))).ServeHTTP(w, r)
		return
	}
	u.mu.Lock()
	good := -1
	for i, since := range u.issued {
		if r.Header.Get("Authorization") == "Bearer "+token(i+1) && time.Since(since) < 30*time.Minute && (u.refuses == nil || !u.refuses(i+1)) {
			good = i
		}
	}
	u.mu.Unlock()
	if good < 0 {
		intensitytest.File(u.t, 403, "testdata/login.forbidden.html").ServeHTTP(w, r)
		return
	}
	u.data.ServeHTTP(w, r)
}

func (u *upstream) logins() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.issued)
}

// historical answers for all of two hours, whatever the query says in detail.
func historical(t testing.TB) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/v3/historical", r.URL.Path)
		q := r.URL.Query()
		assert.Equal(t, freeOne, q.Get("region"))
		assert.Equal(t, "co2_moer", q.Get("signal_type"))
		assert.Equal(t, "true", q.Get("include_imputed_marker"))
		for _, name := range []string{"start", "end"} {
			assert.Contains(t, r.URL.RawQuery, name+"="+strings.ReplaceAll(strings.ReplaceAll(q.Get(name), ":", "%3A"), "+", "%2B"))
			_, err := time.Parse("2006-01-02T15:04:05+00:00", q.Get(name))
			assert.NoError(t, err)
		}
		assert.Len(t, q, 5)
		intensitytest.File(t, 200, "testdata/v3-historical.CAISO_NORTH.json").ServeHTTP(w, r)
	})
}

func isLogin(r *http.Request) bool { return r.URL.Path == "/login" }

func setup(t *testing.T) intensitytest.Setup {
	t.Helper()
	return intensitytest.Setup{
		New: func(t testing.TB, client *http.Client) intensity.Provider {
			t.Helper()
			return open(t, client)
		},
		Serve: &upstream{t: t, data: historical(t)},
		Zone:  freeOne, From: six, To: six.Add(10 * time.Minute),
		Secrets: []string{user, password, basic(), token(1), "eyJhbGciOi"},
	}
}

func TestContract(t *testing.T) {
	s := setup(t)
	s.Fault = func(r *http.Request) bool { return !isLogin(r) }
	intensitytest.Run(t, s)
}

// The same faults, at the login.
func TestContractOfTheLogin(t *testing.T) {
	s := setup(t)
	s.Login = true
	s.Fault = isLogin
	s.Kinds = map[string]intensity.Kind{"404": intensity.KindConfig}
	intensitytest.Run(t, s)
}

// serve runs f at a time shortly after the values in testdata.
func serve(t *testing.T, u *upstream, f func(t *testing.T, server *intensitytest.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(six.Add(10 * time.Minute)))
		u.t = t
		f(t, intensitytest.Serve(u))
	})
}

func paths(s *intensitytest.Server) (out []string) {
	for _, r := range s.Requests() {
		out = append(out, strings.TrimPrefix(r.URL.Path, "/v3/"))
	}
	return out
}

func fetch(ctx context.Context, p intensity.Provider) error {
	_, err := p.Fetch(ctx, freeOne, six, six.Add(10*time.Minute))
	return err
}

func TestWhatIsAskedOfHistory(t *testing.T) {
	u := &upstream{data: historical(t)}
	serve(t, u, func(t *testing.T, server *intensitytest.Server) {
		p := open(t, server.Client())
		got, err := p.Fetch(t.Context(), freeOne, six.Add(2*time.Minute), six.Add(10*time.Minute))
		require.NoError(t, err)
		assert.Equal(t, six.Add(2*time.Minute), got.Slots[0].Start, "cut, although the answer begins before")
		q := server.Requests()[1].URL.Query()
		assert.Equal(t, "2026-05-04T06:00:00+00:00", q.Get("start"), "the step that holds the start")
		assert.Equal(t, "2026-05-04T06:05:00+00:00", q.Get("end"), "the last step, since the end is part of the answer")
		assert.Equal(t, time.Now().UTC(), got.Slots[0].Origin.FetchedAt)
	})
}

func TestWhatMakesNoRequest(t *testing.T) {
	serve(t, &upstream{}, func(t *testing.T, server *intensitytest.Server) {
		ctx, p, q := t.Context(), open(t, server.Client()), open(t, server.Client(), average)
		history := func(p *watttime.Provider, region string, from, to time.Time) error {
			_, err := p.Fetch(ctx, region, from, to)
			return err
		}
		forecast := func(p *watttime.Provider, ahead time.Duration) error {
			_, err := p.FetchForecast(ctx, freeOne, ahead)
			return err
		}
		issued := func(p *watttime.Provider, to time.Time, ahead time.Duration) error {
			_, err := p.FetchIssued(ctx, freeOne, six, to, ahead)
			return err
		}
		_, index := q.Index(ctx, freeOne)
		for name, c := range map[string]struct {
			err  error
			kind intensity.Kind
		}{
			"upside down":                  {history(p, freeOne, six, six), intensity.KindConfig},
			"31 days":                      {history(p, freeOne, six.AddDate(0, 0, -31), six), intensity.KindConfig},
			"the future":                   {history(p, freeOne, six.Add(time.Hour), six.Add(2*time.Hour)), intensity.KindNotYet},
			"no region":                    {history(p, "US-CAL-CISO", six, six.Add(time.Hour)), intensity.KindZone},
			"a path in a region":           {history(p, "../login", six, six.Add(time.Hour)), intensity.KindZone},
			"no horizon":                   {forecast(p, 0), intensity.KindConfig},
			"four days":                    {forecast(p, 96*time.Hour), intensity.KindPlan},
			"forecast of the average":      {forecast(q, time.Hour), intensity.KindPlan},
			"past forecast of the average": {issued(q, six.Add(time.Hour), time.Hour), intensity.KindPlan},
			"a day of past forecasts":      {issued(p, six.Add(24*time.Hour), time.Hour), intensity.KindConfig},
			"past forecasts of nothing":    {issued(p, six.Add(time.Hour), 0), intensity.KindConfig},
			"index of the average":         {index, intensity.KindPlan},
		} {
			require.ErrorIs(t, c.err, c.kind, name)
		}
		assert.Empty(t, server.Requests())
		assert.Zero(t, q.Caps().Horizon)
		assert.Equal(t, 72*time.Hour, p.Caps().Horizon)
		assert.Equal(t, time.Hour, q.Caps().Step)
	})
}

func TestForecastBeginsNow(t *testing.T) {
	u := &upstream{data: intensitytest.File(t, 200, "testdata/v3-forecast.CAISO_NORTH.json")}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(six.Add(6 * time.Minute)))
		u.t = t
		server := intensitytest.Serve(u)
		s, err := open(t, server.Client()).FetchForecast(t.Context(), freeOne, 61*time.Minute)
		require.NoError(t, err)
		require.NoError(t, s.Check())
		require.Len(t, s.Slots, 1, "the slot before is over, and those after are not in the file")
		assert.Equal(t, six.Add(5*time.Minute), s.Slots[0].Start)
		assert.Equal(t, six.Add(70*time.Minute), s.To)
		assert.Equal(t, intensity.Predicted, s.Slots[0].Quality)
		q := server.Requests()[1].URL.Query()
		assert.Equal(t, "2", q.Get("horizon_hours"), "61 minutes")
		assert.Len(t, q, 3)
	})
}

func TestForecastsAsTheyWereMade(t *testing.T) {
	u := &upstream{data: intensitytest.File(t, 200, "testdata/v3-forecast-historical.CAISO_NORTH.json")}
	serve(t, u, func(t *testing.T, server *intensitytest.Server) {
		all, err := open(t, server.Client()).FetchIssued(t.Context(), freeOne, six, six.Add(5*time.Minute), 2*time.Hour)
		require.NoError(t, err)
		require.Len(t, all, 1)
		q := server.Requests()[1].URL.Query()
		assert.Equal(t, "2026-05-04T06:00:00+00:00", q.Get("start"))
		assert.Equal(t, "2026-05-04T06:00:00+00:00", q.Get("end"))
		assert.Equal(t, "2", q.Get("horizon_hours"))
	})
}

func TestIndexOfARegion(t *testing.T) {
	u := &upstream{data: intensitytest.File(t, 200, "testdata/v3-signal-index.PSCO.json")}
	serve(t, u, func(t *testing.T, server *intensitytest.Server) {
		got, err := open(t, server.Client()).Index(t.Context(), "PSCO")
		require.NoError(t, err)
		assert.InDelta(t, 41, got.Percentile, 0)
	})
}

func TestAPlanThatDoesNotReach(t *testing.T) {
	u := &upstream{data: intensitytest.File(t, 403, "testdata/error-403.invalid-scope.json")}
	serve(t, u, func(t *testing.T, server *intensitytest.Server) {
		err := fetch(t.Context(), open(t, server.Client()))
		require.ErrorIs(t, err, intensity.KindPlan)
		assert.NotContains(t, err.Error(), token(1))
		assert.Equal(t, []string{"/login", "historical"}, paths(server), "JSON, so the token was good")
	})
}

func TestALimit(t *testing.T) {
	u := &upstream{data: intensitytest.File(t, 429, "testdata/error-429.json")}
	serve(t, u, func(t *testing.T, server *intensitytest.Server) {
		require.ErrorIs(t, fetch(t.Context(), open(t, server.Client())), intensity.KindRate)
	})
}

func TestOneLoginServesAll(t *testing.T) {
	u := &upstream{data: historical(t)}
	serve(t, u, func(t *testing.T, server *intensitytest.Server) {
		p := open(t, server.Client())
		for range 3 { // hours
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() { assert.NoError(t, fetch(t.Context(), p)) })
			}
			wg.Wait()
			time.Sleep(time.Hour)
		}
		assert.Equal(t, 3, u.logins())
	})
}

func TestTokensAreRenewedBeforeTheyEnd(t *testing.T) {
	u := &upstream{data: historical(t)}
	serve(t, u, func(t *testing.T, server *intensitytest.Server) {
		p := open(t, server.Client())
		for range 60 { // minutes
			require.NoError(t, fetch(t.Context(), p))
			time.Sleep(time.Minute)
		}
		assert.Equal(t, 3, u.logins(), "at minute 0, 25 and 50")
		assert.Len(t, server.Requests(), 63, "none was refused")
	})
}

func TestAFailedRenewalDoesNotMatterWhileTheOldTokenCounts(t *testing.T) {
	u := &upstream{data: historical(t)}
	serve(t, u, func(t *testing.T, server *intensitytest.Server) {
		p := open(t, server.Client())
		require.NoError(t, fetch(t.Context(), p))
		u.login = intensitytest.Bytes(503, "text/html", []byte("<html>down</html>"))
		time.Sleep(26 * time.Minute)
		require.NoError(t, fetch(t.Context(), p))
		time.Sleep(4 * time.Minute)
		require.ErrorIs(t, fetch(t.Context(), p), intensity.KindUpstream)
		u.login = nil
		require.NoError(t, fetch(t.Context(), p))
	})
}

func TestARefusedTokenIsRenewedOnce(t *testing.T) {
	var revoked atomic.Int64
	u := &upstream{data: historical(t), refuses: func(n int) bool { return int64(n) <= revoked.Load() }}
	serve(t, u, func(t *testing.T, server *intensitytest.Server) {
		p := open(t, server.Client())
		require.NoError(t, fetch(t.Context(), p))
		revoked.Store(1)
		require.NoError(t, fetch(t.Context(), p))
		assert.Equal(t, []string{"/login", "historical", "historical", "/login", "historical"}, paths(server))

		revoked.Store(100)
		err := fetch(t.Context(), p)
		require.ErrorIs(t, err, intensity.KindRate, "the account is good")
		require.ErrorContains(t, err, "taken for a limit")
		assert.Equal(t, []string{"historical", "/login", "historical"}, paths(server)[5:])
	})
}

func TestAFirstTokenThatIsRefusedIsNoLimit(t *testing.T) {
	u := &upstream{refuses: func(int) bool { return true }}
	serve(t, u, func(t *testing.T, server *intensitytest.Server) {
		require.ErrorIs(t, fetch(t.Context(), open(t, server.Client())), intensity.KindAuth)
		assert.Equal(t, []string{"/login", "historical"}, paths(server), "another login would not help")
	})
}

func TestAWrongPassword(t *testing.T) {
	u := &upstream{login: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Second) // so that all of them wait
		intensitytest.File(t, 403, "testdata/login.forbidden.html").ServeHTTP(w, r)
	})}
	serve(t, u, func(t *testing.T, server *intensitytest.Server) {
		p := open(t, server.Client())
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				assert.ErrorContains(t, fetch(t.Context(), p), "credential rejected: the login is refused; check name and password")
			})
		}
		wg.Wait()
		assert.Len(t, server.Requests(), 1, "who waits for a login takes its failure too")
		require.ErrorIs(t, fetch(t.Context(), p), intensity.KindAuth)
		assert.Len(t, server.Requests(), 2, "who comes later tries again")
	})
}

func TestALoginWhoseCallerLeavesIsTakenOver(t *testing.T) {
	u := &upstream{data: historical(t)}
	var slow atomic.Bool
	slow.Store(true)
	u.login = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slow.Swap(false) {
			<-r.Context().Done()
			return
		}
		u.mu.Lock()
		u.issued = append(u.issued, time.Now())
		u.mu.Unlock()
		intensitytest.Bytes(200, "application/json", []byte(`{"token":"`+token(1)+`"}`)).ServeHTTP(w, r)
	})
	serve(t, u, func(t *testing.T, server *intensitytest.Server) {
		p := open(t, server.Client())
		hasty, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { assert.ErrorIs(t, fetch(hasty, p), context.DeadlineExceeded) })
		synctest.Wait()
		wg.Go(func() { assert.NoError(t, fetch(t.Context(), p)) })
		wg.Wait()
	})
}

func TestLoginsThatAreNone(t *testing.T) {
	for _, body := range []string{`{}`, `{"token":""}`, `{"token":"two\nlines"}`, `{"token":7}`} {
		u := &upstream{login: intensitytest.Bytes(200, "application/json", []byte(body))}
		serve(t, u, func(t *testing.T, server *intensitytest.Server) {
			require.ErrorIs(t, fetch(t.Context(), open(t, server.Client())), intensity.KindMalformed, body)
		})
	}
	u := &upstream{login: intensitytest.File(t, 200, "testdata/login.ok.json"), data: historical(t)}
	serve(t, u, func(t *testing.T, server *intensitytest.Server) {
		_ = fetch(t.Context(), open(t, server.Client())) // not a token of this upstream
		assert.Equal(t, "Bearer abcd1234.fake.token", server.Requests()[1].Header.Get("Authorization"))
	})
}

func TestResolve(t *testing.T) {
	u := &upstream{}
	u.data = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		assert.Equal(u.t, "/v3/region-from-loc", r.URL.Path)
		assert.Equal(u.t, "co2_moer", q.Get("signal_type"))
		assert.Len(u.t, q, 3)
		if q.Get("latitude") == "0" && q.Get("longitude") == "0" {
			intensitytest.File(u.t, 404, "testdata/v3-region-from-loc.not-covered.json").ServeHTTP(w, r)
			return
		}
		intensitytest.File(u.t, 200, "testdata/v3-region-from-loc.PSCO.json").ServeHTTP(w, r)
	})
	regions := func(o *watttime.Options) {
		o.Regions = map[string]string{"us-cal-ciso": freeOne, "FR": "FR", "US-TX": "ERCOT_NORTHCENTRAL"}
	}
	denver := &intensity.LatLon{Lat: 39.74, Lon: -104.99}
	for _, c := range []struct {
		name     string
		loc      intensity.Location
		want     string
		requests int // but for the login
	}{
		{"a zone as WattTime spells it", intensity.Location{Zone: "CAISO_NORTH"}, "CAISO_NORTH", 0},
		{"another", intensity.Location{Zone: "PSCO"}, "PSCO", 0},
		{"a zone of the options", intensity.Location{Zone: "US-CAL-CISO"}, freeOne, 0},
		{"two letters of the options", intensity.Location{Zone: "FR"}, "FR", 0},
		{"two letters otherwise", intensity.Location{Zone: "GB"}, "", 0},
		{"a zone that only Electricity Maps has, and a position", intensity.Location{Zone: "US-NW-PSCO", Point: denver}, "PSCO", 1},
		{"a cloud region of a zone of the options", intensity.Location{CloudProvider: "aws", CloudRegion: "us-west-1"}, freeOne, 0},
		{"a cloud region", intensity.Location{CloudProvider: "aws", CloudRegion: "us-east-1"}, "PSCO", 1},
		{"a country of the options", intensity.Location{Country: "FR"}, "FR", 0},
		{"a subdivision of the options", intensity.Location{Country: "US", Subdivision: "US-TX"}, "ERCOT_NORTHCENTRAL", 0},
		{"a country alone", intensity.Location{Country: "US"}, "", 0},
		{"a position", intensity.Location{Point: denver}, "PSCO", 1},
		{"0,0 is a position, in the sea", intensity.Location{Point: &intensity.LatLon{}}, "", 1},
		{"no position", intensity.Location{Point: &intensity.LatLon{Lat: 91}}, "", 0},
		{"a default", intensity.Location{Default: "PSCO"}, "PSCO", 0},
		{"a default beside what leads nowhere", intensity.Location{Country: "US", Default: "PSCO"}, "", 0},
		{"nothing", intensity.Location{}, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			serve(t, u, func(t *testing.T, server *intensitytest.Server) {
				got, err := open(t, server.Client(), regions).Resolve(t.Context(), c.loc)
				assert.Equal(t, c.want, got)
				if c.want == "" {
					require.ErrorIs(t, err, intensity.KindZone)
				} else {
					require.NoError(t, err)
				}
				assert.Len(t, slices.DeleteFunc(server.Requests(), isLogin), c.requests)
			})
		})
	}
}

func TestAccessIsAskedForOnce(t *testing.T) {
	u := &upstream{}
	u.data = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v3/my-access" {
			assert.Empty(u.t, r.URL.RawQuery)
			intensitytest.File(u.t, 200, "testdata/v3-my-access.json").ServeHTTP(w, r)
			return
		}
		historical(u.t).ServeHTTP(w, r)
	})
	serve(t, u, func(t *testing.T, server *intensitytest.Server) {
		p := open(t, server.Client())
		for range 2 {
			a, err := p.Access(t.Context())
			require.NoError(t, err)
			assert.True(t, a.Has(intensity.Marginal, freeOne, "/v3/forecast"))
			assert.False(t, a.Has(intensity.Average, freeOne, "/v3/historical"))
		}
		require.NoError(t, fetch(t.Context(), p))
		_, err := p.Fetch(t.Context(), "PSCO", six, six.Add(time.Hour))
		require.ErrorIs(t, err, intensity.KindPlan)
		require.ErrorContains(t, err, "it has CAISO_NORTH")
		assert.Equal(t, []string{"/login", "my-access", "historical"}, paths(server))

		q := open(t, server.Client(), average)
		_, err = q.Access(t.Context())
		require.NoError(t, err)
		require.ErrorIs(t, fetch(t.Context(), q), intensity.KindPlan, "the average signal is in no plan of this account")
	})
}

func TestAFailedAccessIsNotRemembered(t *testing.T) {
	u := &upstream{data: intensitytest.Bytes(500, "application/json", []byte(`{}`))}
	serve(t, u, func(t *testing.T, server *intensitytest.Server) {
		p := open(t, server.Client())
		_, err := p.Access(t.Context())
		require.ErrorIs(t, err, intensity.KindUpstream)
		u.data = historical(t)
		require.NoError(t, fetch(t.Context(), p), "nothing depends on it")
	})
}

func TestOptionsThatAreWrong(t *testing.T) {
	for name, change := range map[string]func(*watttime.Options){
		"no name":         func(o *watttime.Options) { o.Username = "" },
		"no password":     func(o *watttime.Options) { o.Password = "" },
		"a colon":         func(o *watttime.Options) { o.Username = "a:b" },
		"an end of line":  func(o *watttime.Options) { o.Password = "secret\n" },
		"no signal":       func(o *watttime.Options) { o.Signal = 9 },
		"no region":       func(o *watttime.Options) { o.Regions = map[string]string{"DE": "de"} },
		"no https":        func(o *watttime.Options) { o.Endpoint = "http://api.example" },
		"a negative half": func(o *watttime.Options) { o.HalfWidths.Estimated = -1 },
	} {
		o := watttime.Options{Username: user, Password: password}
		change(&o)
		_, err := watttime.New(o)
		require.ErrorIs(t, err, intensity.KindConfig, name)
		assert.NotContains(t, err.Error(), "secret", name)
	}
}
