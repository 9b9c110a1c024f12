package energinet_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/energinet"
	"github.com/otelcarbon/otelcarbon/intensity/intensitytest"
)

func open(t testing.TB, client *http.Client) *energinet.Provider {
	t.Helper()
	p, err := energinet.New(energinet.Options{HTTP: client})
	require.NoError(t, err)
	return p
}

func provider(t testing.TB, client *http.Client) intensity.Provider {
	t.Helper()
	return open(t, client)
}

var minute = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d[05]$`)

// strict refuses what the service would refuse or misunderstand, and answers with a file.
func strict(t testing.TB, file string) http.Handler {
	t.Helper()
	h := intensitytest.File(t, 200, "testdata/"+file)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, http.MethodGet, r.Method)
		assert.Equal(t, "https://api.energidataservice.dk", r.URL.Scheme+"://"+r.URL.Host)
		assert.Contains(t, []string{"/dataset/CO2Emis", "/dataset/CO2EmisProg"}, r.URL.Path)
		assert.Contains(t, r.Header.Get("User-Agent"), "otelcarbon")
		q := r.URL.Query()
		assert.Regexp(t, minute, q.Get("start"))
		assert.Regexp(t, minute, q.Get("end"))
		assert.Less(t, q.Get("start"), q.Get("end"))
		assert.Equal(t, "UTC", q.Get("timezone"), "else the times are Danish")
		assert.Equal(t, "0", q.Get("limit"), "else some records are missing")
		assert.Equal(t, "Minutes5UTC", q.Get("sort"))
		assert.Equal(t, "Minutes5UTC,PriceArea,CO2Emission", q.Get("columns"))
		var filter map[string][]string
		if assert.NoError(t, json.Unmarshal([]byte(q.Get("filter")), &filter)) {
			assert.Len(t, filter, 1)
			assert.Len(t, filter["PriceArea"], 1)
			assert.Contains(t, []string{"DK1", "DK2"}, filter["PriceArea"][0])
		}
		h.ServeHTTP(w, r)
	})
}

func TestContract(t *testing.T) {
	from := time.Date(2026, 1, 20, 16, 30, 0, 0, time.UTC)
	intensitytest.Run(t, intensitytest.Setup{
		New:   provider,
		Serve: strict(t, "co2emis.DK1.json"),
		Zone:  "DK1", From: from, To: from.Add(5 * time.Minute),
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
	night := time.Date(2025, 10, 26, 0, 0, 0, 0, time.UTC)
	at(t, night.Add(75*time.Minute), func(t *testing.T) {
		server := intensitytest.Serve(strict(t, "co2emis.dst-night.DK2.json"))
		// In the local time of the night on which an hour comes twice.
		local := time.FixedZone("CEST", 2*3600)
		s, err := open(t, server.Client()).Fetch(t.Context(), "dk2", night.Add(2*time.Minute).In(local), night.Add(71*time.Minute))
		require.NoError(t, err)
		require.NoError(t, s.Check())
		require.Len(t, server.Requests(), 1)
		q := server.Requests()[0].URL.Query()
		assert.Equal(t, "2025-10-26T00:00", q.Get("start"))
		assert.Equal(t, "2025-10-26T01:15", q.Get("end"))
		assert.JSONEq(t, `{"PriceArea":["DK2"]}`, q.Get("filter"))
		assert.Equal(t, "/dataset/CO2Emis", server.Requests()[0].URL.Path)
		assert.Equal(t, night.Add(2*time.Minute), s.Slots[0].Start, "the first slot is cut")
		assert.Equal(t, night.Add(71*time.Minute), s.Slots[len(s.Slots)-1].End, "and so is the last")
		assert.Equal(t, "/dataset/CO2Emis", s.Slots[0].Origin.Endpoint)
		assert.Equal(t, "DK2", s.Slots[0].Origin.ZoneAsked)
	})
}

func TestForecast(t *testing.T) {
	now := time.Date(2019, 10, 15, 21, 52, 0, 0, time.UTC)
	at(t, now, func(t *testing.T) {
		server := intensitytest.Serve(strict(t, "co2emisprog.DK2.json"))
		s, err := open(t, server.Client()).FetchForecast(t.Context(), "DK2", time.Hour)
		require.NoError(t, err)
		require.NoError(t, s.Check())
		require.Len(t, server.Requests(), 1)
		assert.Equal(t, "/dataset/CO2EmisProg", server.Requests()[0].URL.Path)
		assert.Equal(t, "2019-10-15T21:50", server.Requests()[0].URL.Query().Get("start"))
		assert.Equal(t, "2019-10-15T22:55", server.Requests()[0].URL.Query().Get("end"))
		require.Len(t, s.Slots, 2)
		assert.Equal(t, time.Date(2019, 10, 15, 21, 50, 0, 0, time.UTC), s.Slots[0].Start, "it begins with the slot that holds now")
		assert.Equal(t, intensity.Predicted, s.Slots[0].Quality)
		require.Len(t, s.Gaps, 1)
		require.ErrorIs(t, s.Gaps[0].Err, intensity.KindNotYet, "the next day is not published yet")
	})
}

func TestWhatIsRefusedWithoutARequest(t *testing.T) {
	server := intensitytest.Serve(http.NotFoundHandler())
	p := open(t, server.Client())
	from := time.Date(2026, 1, 20, 16, 30, 0, 0, time.UTC)
	for _, zone := range []string{"", "DK", "DK3", "DK-DK1", `DK1"]}`} {
		_, err := p.Fetch(t.Context(), zone, from, from.Add(time.Hour))
		require.ErrorIs(t, err, intensity.KindZone, "%q", zone)
	}
	_, err := p.Fetch(t.Context(), "DK1", from, from)
	require.ErrorIs(t, err, intensity.KindConfig)
	_, err = p.Fetch(t.Context(), "DK1", from, from.Add(32*24*time.Hour))
	require.ErrorIs(t, err, intensity.KindConfig)
	_, err = p.FetchForecast(t.Context(), "DK1", 37*time.Hour)
	require.ErrorIs(t, err, intensity.KindPlan)
	_, err = p.FetchForecast(t.Context(), "DK1", -time.Hour)
	require.ErrorIs(t, err, intensity.KindConfig)
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
		{"west", intensity.Location{Zone: "DK-DK1"}, "DK1", ""},
		{"east, in the provider's spelling", intensity.Location{Zone: "dk2"}, "DK2", ""},
		{"Denmark", intensity.Location{Country: "DK"}, "", "two price areas"},
		{"Denmark as a zone", intensity.Location{Zone: "DK"}, "", "want DK-DK1"},
		{"Aarhus", intensity.Location{Country: "DK", Subdivision: "DK-82"}, "DK1", ""},
		{"Odense", intensity.Location{Subdivision: "DK-83"}, "DK1", ""},
		{"Copenhagen", intensity.Location{Country: "DK", Subdivision: "DK-84"}, "DK2", ""},
		{"azure", intensity.Location{CloudProvider: "azure", CloudRegion: "denmarkeast"}, "DK2", ""},
		{"position", intensity.Location{Point: &intensity.LatLon{Lat: 55.23, Lon: 11.76}}, "DK2", ""},
		{"the Faroes", intensity.Location{Country: "FO"}, "", "not covered"},
		{"Bornholm, as it was once called", intensity.Location{Zone: "DK-BHM"}, "", "retired"},
		{"a cloud region elsewhere", intensity.Location{CloudProvider: "aws", CloudRegion: "eu-west-2"}, "", "covers the west"},
		{"default", intensity.Location{Default: "DK-DK1"}, "DK1", ""},
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
	_, err := energinet.New(energinet.Options{})
	require.NoError(t, err)
	for _, o := range []energinet.Options{{Endpoint: "http://mirror.example"}, {Endpoint: "ftp://x"}, {HalfWidths: intensity.HalfWidths{Measured: -1}}} {
		_, err := energinet.New(o)
		require.ErrorIs(t, err, intensity.KindConfig, "%+v", o)
	}
}
