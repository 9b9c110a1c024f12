package rte_test

import (
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/intensitytest"
	"github.com/otelcarbon/otelcarbon/intensity/rte"
)

func open(t testing.TB, client *http.Client) *rte.Provider {
	t.Helper()
	p, err := rte.New(rte.Options{HTTP: client})
	require.NoError(t, err)
	return p
}

func provider(t testing.TB, client *http.Client) intensity.Provider {
	t.Helper()
	return open(t, client)
}

var where = regexp.MustCompile(`^taux_co2 is not null and date_heure >= date'\d{4}-\d\d-\d\dT\d\d:(00|15|30|45):00Z' and ` +
	`date_heure < date'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ'$`)

// strict refuses what the platform would refuse or misunderstand, and answers with a file.
func strict(t testing.TB, status int, file string) http.Handler {
	t.Helper()
	h := intensitytest.File(t, status, "testdata/"+file)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, http.MethodGet, r.Method)
		assert.Equal(t, "https://odre.opendatasoft.com", r.URL.Scheme+"://"+r.URL.Host)
		assert.Equal(t, "/api/explore/v2.1/catalog/datasets/eco2mix-national-tr/records", r.URL.Path)
		assert.Contains(t, r.Header.Get("User-Agent"), "otelcarbon")
		q := r.URL.Query()
		assert.Regexp(t, where, q.Get("where"))
		q.Del("where")
		assert.Equal(t, url.Values{
			"select": {"taux_co2,date_heure"}, "order_by": {"date_heure"}, "limit": {"100"}, "timezone": {"UTC"},
		}, q)
		h.ServeHTTP(w, r)
	})
}

func quarter(hour, minute int) time.Time { return time.Date(2025, 5, 14, hour, minute, 0, 0, time.UTC) }

func TestContract(t *testing.T) {
	intensitytest.Run(t, intensitytest.Setup{
		New:   provider,
		Serve: strict(t, 200, "v2.1-eco2mix-national-tr.null-tail.json"),
		Zone:  "FR", From: quarter(12, 30), To: quarter(13, 30),
	})
}

// at runs f at a moment, by a clock of its own.
func at(t *testing.T, now time.Time, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(now))
		f(t)
	})
}

func TestFetchAsksForWholeSlots(t *testing.T) {
	at(t, quarter(13, 10), func(t *testing.T) {
		server := intensitytest.Serve(strict(t, 200, "v2.1-eco2mix-national-tr.null-tail.json"))
		paris := time.FixedZone("CEST", 2*3600)
		s, err := open(t, server.Client()).Fetch(t.Context(), "fr", quarter(12, 35).In(paris), quarter(12, 50).Add(time.Millisecond))
		require.NoError(t, err)
		require.NoError(t, s.Check())
		require.Len(t, server.Requests(), 1)
		assert.Equal(t, "taux_co2 is not null and date_heure >= date'2025-05-14T12:30:00Z' and date_heure < date'2025-05-14T12:50:01Z'",
			server.Requests()[0].URL.Query().Get("where"))
		require.Len(t, s.Slots, 2)
		assert.Equal(t, quarter(12, 35), s.Slots[0].Start, "the first slot is cut")
		assert.Equal(t, "/api/explore/v2.1/catalog/datasets/eco2mix-national-tr/records", s.Slots[0].Origin.Endpoint)
	})
}

func TestErrorBodies(t *testing.T) {
	for _, c := range []struct {
		name, file string
		status     int
		now        time.Time
		kind       intensity.Kind
		text       string
	}{
		{"a query that the platform does not understand", "v2.1-error-400.json", 400, quarter(13, 10), intensity.KindConfig, "ODSQL query is malformed"},
		{"just after midnight", "v2.1-empty.json", 200, quarter(13, 10), intensity.KindNoData, "no value from"},
		{"before what the data set holds", "v2.1-empty.json", 200, quarter(13, 10).AddDate(0, 2, 0), intensity.KindTooOld, "ask for the last 31 days"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at(t, c.now, func(t *testing.T) {
				server := intensitytest.Serve(strict(t, c.status, c.file))
				_, err := open(t, server.Client()).Fetch(t.Context(), "FR", quarter(12, 30), quarter(12, 45))
				require.ErrorIs(t, err, c.kind)
				require.ErrorContains(t, err, c.text)
				require.ErrorContains(t, err, "rte_eco2mix FR")
			})
		})
	}
}

func TestWhatIsRefusedWithoutARequest(t *testing.T) {
	server := intensitytest.Serve(http.NotFoundHandler())
	p := open(t, server.Client())
	for _, zone := range []string{"", "DE", "FR-COR", "FR' or '1"} {
		_, err := p.Fetch(t.Context(), zone, quarter(12, 0), quarter(13, 0))
		require.ErrorIs(t, err, intensity.KindZone, "%q", zone)
	}
	_, err := p.Fetch(t.Context(), "FR", quarter(12, 0), quarter(12, 0))
	require.ErrorIs(t, err, intensity.KindConfig)
	_, err = p.Fetch(t.Context(), "FR", quarter(12, 0), quarter(12, 0).Add(25*time.Hour))
	require.ErrorContains(t, err, "at most 24h0m0s")
	assert.Empty(t, server.Requests())
}

func TestResolve(t *testing.T) {
	p := open(t, &http.Client{})
	for _, c := range []struct {
		name string
		loc  intensity.Location
		want string
		err  string
	}{
		{"zone", intensity.Location{Zone: "FR"}, "FR", ""},
		{"country", intensity.Location{Country: "fr"}, "FR", ""},
		{"Paris", intensity.Location{Country: "FR", Subdivision: "FR-75C"}, "FR", ""},
		{"Corsica", intensity.Location{Subdivision: "FR-2A"}, "", "Corsica"},
		{"Corsica as a zone", intensity.Location{Zone: "FR-COR"}, "", "Corsica"},
		{"Réunion", intensity.Location{Country: "FR", Subdivision: "FR-974"}, "", "overseas"},
		{"Réunion as a country", intensity.Location{Country: "RE"}, "", "not covered"},
		{"aws", intensity.Location{CloudProvider: "aws", CloudRegion: "eu-west-3"}, "FR", ""},
		{"ovh", intensity.Location{CloudProvider: "ovh", CloudRegion: "GRA11"}, "FR", ""},
		{"position", intensity.Location{Point: &intensity.LatLon{Lat: 44.84, Lon: -0.58}}, "FR", ""},                            // Bordeaux
		{"position near a border", intensity.Location{Point: &intensity.LatLon{Lat: 48.58, Lon: 7.75}}, "", "which zone it is"}, // Strasbourg: in Germany's box too
		{"Germany", intensity.Location{Zone: "DE"}, "", "covers France"},
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
	_, err := rte.New(rte.Options{Endpoint: "https://reseaux-energies-rte.opendatasoft.com"})
	require.NoError(t, err)
	for _, o := range []rte.Options{{Endpoint: "http://mirror.example"}, {Endpoint: "ftp://x"}, {HalfWidths: intensity.HalfWidths{Measured: -1}}} {
		_, err := rte.New(o)
		require.ErrorIs(t, err, intensity.KindConfig, "%+v", o)
	}
}
