package openelectricity_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/intensitytest"
	"github.com/otelcarbon/otelcarbon/intensity/openelectricity"
)

const key = "oe_3secret+key/of=mine"

// midnight of 22 May in the network: UTC+10.
var midnight = time.Date(2026, 5, 21, 14, 0, 0, 0, time.UTC)

func open(t testing.TB, client *http.Client) *openelectricity.Provider {
	t.Helper()
	p, err := openelectricity.New(openelectricity.Options{Key: key, HTTP: client})
	require.NoError(t, err)
	return p
}

// upstream is strict where the service is: a time with a zone is an error there.
func upstream(t testing.TB, start, end string, answer http.Handler) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		assert.Equal(t, http.MethodGet, r.Method)
		assert.Equal(t, "/v4/data/network/NEM", r.URL.Path)
		assert.Equal(t, "Bearer "+key, r.Header.Get("Authorization"))
		assert.Equal(t, []string{"energy", "emissions"}, q["metrics"])
		for name, want := range map[string]string{
			"interval": "1h", "network_region": "NSW1", "primary_grouping": "network_region", "secondary_grouping": "fueltech",
			"date_start": start, "date_end": end,
		} {
			assert.Equal(t, []string{want}, q[name], name)
		}
		assert.Len(t, q, 7)
		answer.ServeHTTP(w, r)
	})
}

func TestContract(t *testing.T) {
	for name, file := range map[string]string{"by technology": "v4-network-by-fueltech.NEM.json", "all in one": "v4-network-emissions-energy.NEM.json"} {
		t.Run(name, func(t *testing.T) {
			intensitytest.Run(t, intensitytest.Setup{
				New: func(t testing.TB, client *http.Client) intensity.Provider {
					t.Helper()
					return open(t, client)
				},
				Serve: upstream(t, "2026-05-22T00:00:00", "2026-05-22T02:00:00", intensitytest.File(t, 200, "testdata/"+file)),
				Zone:  "NSW1", From: midnight, To: midnight.Add(2 * time.Hour),
				Secrets: []string{key},
			})
		})
	}
}

// serve runs f on the evening of 23 May.
func serve(t *testing.T, h http.Handler, f func(t *testing.T, p *openelectricity.Provider, server *intensitytest.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(midnight.Add(44 * time.Hour)))
		server := intensitytest.Serve(h)
		f(t, open(t, server.Client()), server)
	})
}

func TestWholeHoursAreAskedForAndCut(t *testing.T) {
	h := upstream(t, "2026-05-22T00:00:00", "2026-05-22T02:00:00", intensitytest.File(t, 200, "testdata/v4-network-by-fueltech.NEM.json"))
	serve(t, h, func(t *testing.T, p *openelectricity.Provider, _ *intensitytest.Server) {
		s, err := p.Fetch(t.Context(), "NSW1", midnight.Add(30*time.Minute), midnight.Add(61*time.Minute))
		require.NoError(t, err)
		require.NoError(t, s.Check())
		require.Len(t, s.Slots, 2)
		assert.Equal(t, midnight.Add(30*time.Minute), s.Slots[0].Start)
		assert.InDelta(t, 675, s.Slots[0].GramsPerKWh, 1e-9)
		assert.Equal(t, midnight.Add(61*time.Minute), s.Slots[1].End)
	})
}

func TestWesternAustraliaHasAClockOfItsOwn(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/v4/data/network/WEM", r.URL.Path)
		assert.Equal(t, "WEM", r.URL.Query().Get("network_region"))
		assert.Equal(t, "2026-05-21T22:00:00", r.URL.Query().Get("date_start"), "UTC+8")
		intensitytest.File(t, 200, "testdata/v4-network-by-fueltech.NEM.json").ServeHTTP(w, r)
	})
	serve(t, h, func(t *testing.T, p *openelectricity.Provider, _ *intensitytest.Server) {
		_, err := p.Fetch(t.Context(), "WEM", midnight, midnight.Add(time.Hour))
		require.ErrorIs(t, err, intensity.KindMismatch)
	})
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		kind   intensity.Kind
		says   string
	}{
		{"nothing there", 416, `{"success":false,"error":"No data available for network NEM in the specified time range"}`, intensity.KindNoData, "No data available"},
		{"before the plan", 400, `{"detail":"Date start is too far in the past. Your plan allows data from the last 367 days."}`, intensity.KindTooOld, "367 days"},
		{"too much", 400, `{"detail":"Date range too large for 1h interval. Maximum range is 32 days."}`, intensity.KindConfig, "32 days"},
		{"wrong", 422, `{"error":{"code":"validation_error","message":"Invalid parameters"}}`, intensity.KindConfig, "Invalid parameters"},
	} {
		t.Run(c.name, func(t *testing.T) {
			serve(t, intensitytest.Bytes(c.status, "application/json", []byte(c.body)), func(t *testing.T, p *openelectricity.Provider, _ *intensitytest.Server) {
				_, err := p.Fetch(t.Context(), "NSW1", midnight, midnight.Add(time.Hour))
				require.ErrorIs(t, err, c.kind)
				require.ErrorContains(t, err, c.says)
			})
		})
	}
}

func TestWhatMakesNoRequest(t *testing.T) {
	serve(t, http.NotFoundHandler(), func(t *testing.T, p *openelectricity.Provider, server *intensitytest.Server) {
		now := time.Now()
		for name, c := range map[string]struct {
			zone     string
			from, to time.Time
			kind     intensity.Kind
		}{
			"a zone of somebody else": {"AU-NSW", midnight, midnight.Add(time.Hour), intensity.KindZone},
			"upside down":             {"NSW1", midnight, midnight, intensity.KindConfig},
			"32 days":                 {"NSW1", midnight.AddDate(0, 0, -32), midnight, intensity.KindConfig},
			"the future":              {"NSW1", now.Add(time.Hour), now.Add(2 * time.Hour), intensity.KindNotYet},
		} {
			_, err := p.Fetch(t.Context(), c.zone, c.from, c.to)
			require.ErrorIs(t, err, c.kind, name)
		}
		assert.Empty(t, server.Requests())
	})
}

func TestResolve(t *testing.T) {
	p := open(t, nil)
	for _, c := range []struct {
		loc  intensity.Location
		want string
		says string
	}{
		{intensity.Location{Zone: "AU-NSW"}, "NSW1", ""},
		{intensity.Location{Zone: "au-vic"}, "VIC1", ""},
		{intensity.Location{Zone: "QLD1"}, "QLD1", ""},
		{intensity.Location{Zone: "AU-WA"}, "WEM", ""},
		{intensity.Location{Country: "AU", Subdivision: "AU-ACT"}, "NSW1", ""},
		{intensity.Location{Subdivision: "AU-TAS"}, "TAS1", ""},
		{intensity.Location{CloudProvider: "aws", CloudRegion: "ap-southeast-2"}, "NSW1", ""},
		{intensity.Location{CloudProvider: "aws", CloudRegion: "ap-southeast-4"}, "VIC1", ""},
		{intensity.Location{Point: &intensity.LatLon{Lat: -31.95, Lon: 115.86}}, "WEM", ""}, // Perth
		{intensity.Location{Country: "AU"}, "", "not one grid"},
		{intensity.Location{Zone: "AU-NT"}, "", "neither market"},
		{intensity.Location{Zone: "AU-TAS-KI"}, "", "covers AU-NSW"},
		{intensity.Location{Country: "NZ"}, "", "covers AU-NSW"},
		{intensity.Location{}, "", "no place"},
	} {
		got, err := p.Resolve(t.Context(), c.loc)
		assert.Equal(t, c.want, got)
		if c.want == "" {
			require.ErrorIs(t, err, intensity.KindZone)
			require.ErrorContains(t, err, c.says)
		} else {
			require.NoError(t, err)
		}
	}
}

func TestOptionsThatAreWrong(t *testing.T) {
	for name, o := range map[string]openelectricity.Options{
		"no key":          {},
		"an end of line":  {Key: "oe_secret\n"},
		"no https":        {Key: key, Endpoint: "http://api.example"},
		"a negative half": {Key: key, HalfWidths: intensity.HalfWidths{Measured: -1}},
	} {
		_, err := openelectricity.New(o)
		require.ErrorIs(t, err, intensity.KindConfig, name)
		assert.NotContains(t, err.Error(), "oe_", name)
	}
}
