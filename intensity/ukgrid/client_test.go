package ukgrid_test

import (
	"net/http"
	"os"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/intensitytest"
	"github.com/otelcarbon/otelcarbon/intensity/ukgrid"
)

func open(t testing.TB, client *http.Client) *ukgrid.Provider {
	t.Helper()
	p, err := ukgrid.New(ukgrid.Options{HTTP: client})
	require.NoError(t, err)
	return p
}

func provider(t testing.TB, client *http.Client) intensity.Provider {
	t.Helper()
	return open(t, client)
}

// The paths of the service, with times of the only form that it takes.
var path = regexp.MustCompile(`^(/regional)?/intensity/\d{4}-\d\d-\d\dT\d\d:\d\dZ/(fw48h|\d{4}-\d\d-\d\dT\d\d:\d\dZ)` +
	`(/regionid/([1-9]|1[0-8])|/postcode/[A-Z]{1,2}\d[A-Z\d]?)?$`)

// strict refuses what the service would refuse, and answers with a file.
func strict(t testing.TB, file string) http.Handler {
	t.Helper()
	h := intensitytest.File(t, 200, "testdata/"+file)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, http.MethodGet, r.Method)
		assert.Equal(t, "api.carbonintensity.org.uk", r.URL.Host)
		assert.Equal(t, "https", r.URL.Scheme)
		assert.Empty(t, r.URL.RawQuery)
		assert.Equal(t, "application/json", r.Header.Get("Accept"))
		assert.Contains(t, r.Header.Get("User-Agent"), "otelcarbon")
		if m := path.FindStringSubmatch(r.URL.Path); assert.NotNil(t, m, r.URL.Path) {
			assert.Equal(t, m[1] != "", m[3] != "", "a region, and only a region, has a path under regional: %s", r.URL.Path)
		}
		h.ServeHTTP(w, r)
	})
}

func utc(day, hour, minute int) time.Time {
	return time.Date(2023, 3, day, hour, minute, 0, 0, time.UTC)
}

func TestContract(t *testing.T) {
	for _, c := range []struct {
		zone, file string
		from, to   time.Time
	}{
		{"GB", "intensity-pt24h.2023-03-15T1401Z.json", utc(14, 14, 0), utc(15, 14, 0)},
		{"1", "regional-intensity-fw48h.2023-03-12T0401Z.json", utc(12, 4, 0), utc(12, 4, 30)},
		{"RG10", "regional-intensity-fw48h-postcode.RG10.json", time.Date(2018, 1, 20, 12, 0, 0, 0, time.UTC), time.Date(2018, 1, 20, 12, 30, 0, 0, time.UTC)},
	} {
		t.Run(c.zone, func(t *testing.T) {
			intensitytest.Run(t, intensitytest.Setup{
				New:   provider,
				Serve: strict(t, c.file),
				Zone:  c.zone, From: c.from, To: c.to,
			})
		})
	}
}

// at runs f at a moment, by a clock of its own.
func at(t *testing.T, now time.Time, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(now))
		f(t)
	})
}

func TestRequests(t *testing.T) {
	const national, regional = "intensity-pt24h.2023-03-15T1401Z.json", "regional-intensity-fw48h-postcode.RG10.json"
	for _, c := range []struct {
		name, zone, file string
		from, to         time.Time
		want             string
	}{
		{"whole half hours", "GB", national, utc(14, 15, 0), utc(14, 16, 0), "/intensity/2023-03-14T15:00Z/2023-03-14T16:00Z"},
		{"whole minutes around seconds", "gb", national, utc(14, 15, 0).Add(time.Second), utc(14, 16, 0).Add(time.Second), "/intensity/2023-03-14T15:00Z/2023-03-14T16:01Z"},
		{"in UTC", "GB", national, utc(14, 15, 0).In(time.FixedZone("", 3600)), utc(14, 16, 0), "/intensity/2023-03-14T15:00Z/2023-03-14T16:00Z"},
		{"region", "3", regional, utc(14, 15, 0), utc(14, 16, 0), "/regional/intensity/2023-03-14T15:00Z/2023-03-14T16:00Z/regionid/3"},
		{"postcode", "rg10", regional, utc(14, 15, 0), utc(14, 16, 0), "/regional/intensity/2023-03-14T15:00Z/2023-03-14T16:00Z/postcode/RG10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at(t, utc(15, 14, 1), func(t *testing.T) {
				server := intensitytest.Serve(strict(t, c.file))
				_, _ = open(t, server.Client()).Fetch(t.Context(), c.zone, c.from, c.to)
				require.Len(t, server.Requests(), 1)
				assert.Equal(t, c.want, server.Requests()[0].URL.Path)
			})
		})
	}
}

func TestForecast(t *testing.T) {
	for _, c := range []struct {
		name  string
		now   time.Time
		ahead time.Duration
		path  string
		slots int
	}{
		{"six hours reach into a 13th slot", utc(15, 14, 1), 6 * time.Hour, "/intensity/2023-03-15T14:01Z/fw48h", 13},
		{"at a border", utc(15, 14, 0), 6 * time.Hour, "/intensity/2023-03-15T14:01Z/fw48h", 12},
		{"all of it", utc(15, 14, 29), 48 * time.Hour, "/intensity/2023-03-15T14:01Z/fw48h", 96},
	} {
		t.Run(c.name, func(t *testing.T) {
			at(t, c.now, func(t *testing.T) {
				server := intensitytest.Serve(strict(t, "intensity-fw48h.2023-03-15T1401Z.json"))
				s, err := open(t, server.Client()).FetchForecast(t.Context(), "GB", c.ahead)
				require.NoError(t, err)
				require.NoError(t, s.Check())
				require.Len(t, server.Requests(), 1)
				assert.Equal(t, c.path, server.Requests()[0].URL.Path)
				require.Len(t, s.Slots, c.slots)
				assert.Empty(t, s.Gaps)
				assert.Equal(t, utc(15, 14, 0), s.Slots[0].Start, "it begins with the slot that holds now")
				for _, x := range s.Slots {
					assert.Equal(t, intensity.Predicted, x.Quality)
					assert.False(t, x.Origin.IssuedAt.IsZero())
				}
			})
		})
	}
}

func TestForecastOfARegion(t *testing.T) {
	at(t, time.Date(2018, 1, 20, 12, 1, 0, 0, time.UTC), func(t *testing.T) {
		server := intensitytest.Serve(strict(t, "regional-intensity-fw48h-postcode.RG10.json"))
		s, err := open(t, server.Client()).FetchForecast(t.Context(), "RG10", time.Hour)
		require.NoError(t, err)
		assert.Equal(t, "/regional/intensity/2018-01-20T12:01Z/fw48h/postcode/RG10", server.Requests()[0].URL.Path)
		require.Len(t, s.Slots, 1)
		assert.Equal(t, "GB-3", s.Slots[0].Origin.ZoneServed)
		assert.Equal(t, "RG10", s.Slots[0].Origin.ZoneAsked)
		require.Len(t, s.Gaps, 1)
		require.ErrorIs(t, s.Gaps[0].Err, intensity.KindNotYet)
	})
}

func TestWhatIsRefusedWithoutARequest(t *testing.T) {
	server := intensitytest.Serve(http.NotFoundHandler())
	p := open(t, server.Client())
	from := utc(14, 15, 0)
	for _, zone := range []string{"", "FR", "0", "19", "+3", "013", "BT1", "JE2", "RG10 9AB", "../x", "GB-1", "GB-NIR"} {
		_, err := p.Fetch(t.Context(), zone, from, from.Add(time.Hour))
		require.ErrorIs(t, err, intensity.KindZone, "%q", zone)
	}
	_, err := p.Fetch(t.Context(), "GB", from, from)
	require.ErrorIs(t, err, intensity.KindConfig)
	_, err = p.Fetch(t.Context(), "GB", from, from.Add(15*24*time.Hour))
	require.ErrorIs(t, err, intensity.KindConfig)
	require.ErrorContains(t, err, "at most 336h0m0s")
	_, err = p.FetchForecast(t.Context(), "GB", 49*time.Hour)
	require.ErrorIs(t, err, intensity.KindPlan)
	_, err = p.FetchForecast(t.Context(), "GB", 0)
	require.ErrorIs(t, err, intensity.KindConfig)
	assert.Empty(t, server.Requests())
}

func TestErrorBodies(t *testing.T) {
	for _, c := range []struct {
		status int
		file   string
		kind   intensity.Kind
		text   string
	}{
		{400, "error-400.json", intensity.KindConfig, "400 Bad Request"},
		{500, "error-500.json", intensity.KindUpstream, "Requested resource not found"},
		{200, "empty-object.json", intensity.KindNoData, "no value from"},
		{200, "empty-data.json", intensity.KindNoData, "no value from"},
	} {
		t.Run(c.file, func(t *testing.T) {
			body, err := os.ReadFile("testdata/" + c.file)
			require.NoError(t, err)
			server := intensitytest.Serve(intensitytest.Bytes(c.status, "application/json", body))
			_, err = open(t, server.Client()).Fetch(t.Context(), "RG10", utc(14, 15, 0), utc(14, 16, 0))
			require.ErrorIs(t, err, c.kind)
			require.ErrorContains(t, err, c.text)
			require.ErrorContains(t, err, "uk_national_grid RG10")
		})
	}
}

func TestResolve(t *testing.T) {
	p := open(t, &http.Client{})
	for _, c := range []struct {
		name string
		loc  intensity.Location
		want string
		err  string
	}{
		{"zone", intensity.Location{Zone: "GB"}, "GB", ""},
		{"region by number", intensity.Location{Zone: "GB-13"}, "13", ""},
		{"region by postcode", intensity.Location{Zone: "gb-sw1a"}, "SW1A", ""},
		{"whole postcode", intensity.Location{Zone: "GB-SW1A 1AA"}, "", "first parts of postcodes"},
		{"no such region", intensity.Location{Zone: "GB-19"}, "", "regions 1 to 18"},
		{"England", intensity.Location{Subdivision: "GB-ENG"}, "15", ""},
		{"Scotland", intensity.Location{Zone: "GB-SCT"}, "16", ""},
		{"Wales", intensity.Location{Country: "GB", Subdivision: "GB-WLS"}, "17", ""},
		{"Great Britain", intensity.Location{Subdivision: "GB-GBN"}, "GB", ""},
		{"London is in no list of subdivisions", intensity.Location{Subdivision: "GB-LND"}, "GB", ""},
		{"country", intensity.Location{Country: "GB"}, "GB", ""},
		{"country by its everyday name", intensity.Location{Country: "UK"}, "", "want GB"},
		{"Northern Ireland", intensity.Location{Subdivision: "GB-NIR"}, "", "Irish grid"},
		{"Belfast", intensity.Location{Country: "GB", Subdivision: "GB-BFS"}, "", "Irish grid"},
		{"postcode in Northern Ireland", intensity.Location{Zone: "GB-BT1"}, "", "Irish grid"},
		{"Jersey", intensity.Location{Country: "JE"}, "", "not covered"},
		{"Shetland is a grid of its own", intensity.Location{Subdivision: "GB-ZET"}, "", "not covered"},
		{"aws", intensity.Location{CloudProvider: "aws", CloudRegion: "eu-west-2"}, "GB", ""},
		{"azure", intensity.Location{CloudProvider: "azure", CloudRegion: "ukwest"}, "GB", ""},
		{"gcp", intensity.Location{CloudProvider: "gcp", CloudZone: "europe-west2-c"}, "GB", ""},
		{"position", intensity.Location{Point: &intensity.LatLon{Lat: 51.5, Lon: -0.12}}, "GB", ""},
		{"France", intensity.Location{Zone: "FR"}, "", "covers Great Britain"},
		{"nothing", intensity.Location{}, "", "no place was given"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := p.Resolve(t.Context(), c.loc)
			if c.err != "" {
				require.ErrorIs(t, err, intensity.KindZone)
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		name string
		o    ukgrid.Options
		ok   bool
	}{
		{"none", ukgrid.Options{}, true},
		{"a mirror", ukgrid.Options{Endpoint: "https://mirror.example/uk/"}, true},
		{"http on loopback", ukgrid.Options{Endpoint: "http://127.0.0.1:8080"}, true},
		{"http", ukgrid.Options{Endpoint: "http://mirror.example"}, false},
		{"http on purpose", ukgrid.Options{Endpoint: "http://mirror.example", Insecure: true}, true},
		{"impossible half-width", ukgrid.Options{HalfWidths: intensity.HalfWidths{Measured: -1}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ukgrid.New(c.o)
			if c.ok {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, intensity.KindConfig)
			}
		})
	}
}
