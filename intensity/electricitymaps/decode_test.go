package electricitymaps

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/place"
	"github.com/otelcarbon/otelcarbon/intensity/internal/rows"
)

func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse("2006-01-02T15:04Z", text)
	require.NoError(t, err)
	return v
}

func basisOf(b intensity.Boundary) intensity.Basis {
	return intensity.Basis{Signal: intensity.Average, Boundary: b, Flow: intensity.Consumption, Gas: intensity.CO2e}
}

func reader(zone string, from, to, now time.Time) decoder {
	w := intensity.DefaultHalfWidths()
	return decoder{
		Ask:   rows.Ask{Provider: id, Zone: zone, From: from, To: to, Now: now},
		basis: basisOf(intensity.Lifecycle), whole: place.Whole(zone), widths: &w,
		origin: intensity.Origin{Provider: id, ZoneAsked: zone, FetchedAt: now},
	}
}

func body(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	require.NoError(t, err)
	return b
}

// Each file and what becomes of it, read from the file by a person: the values of the hours
// from the first, with -1 for a gap, and the first letters of their qualities
// (m, p, e; f for predicted, a forecast; - for a gap).
var series = []struct {
	file, zone    string
	from, to, now string
	grams         []float64
	quality       string
	kind          intensity.Kind
}{
	{
		"v3-ci-history.measured.DE.json", "DE", "2031-02-12T01:00Z", "2031-02-13T01:00Z", "2031-02-13T00:40Z",
		[]float64{200, 207, 214, 221, 228, 235, 242, 249, 256, 263, 270, 277, 284, 291, 298, 305, 312, 319, 326, 333, 340, 347, 354, 361},
		"pppppppppppppppppppppp" + "ee", 0,
	},
	{ // 72 h after 05:00: the hours that ended until then have settled
		"v3-ci-history.measured.DE.json", "DE", "2031-02-12T02:00Z", "2031-02-12T08:00Z", "2031-02-15T05:00Z",
		[]float64{207, 214, 221, 228, 235, 242},
		"mmm" + "ppp", 0,
	},
	{ // 22:10, when the last two had not begun, and the last but one was running
		"v3-ci-history.measured.DE.json", "DE", "2031-02-12T20:00Z", "2031-02-13T01:00Z", "2031-02-12T22:10Z",
		[]float64{333, 340, 347, 354, 361},
		"ppp" + "ff", 0,
	},
	{
		"v3-ci-history.mixed.US-MIDW-MISO.json", "US-MIDW-MISO", "2031-02-11T11:00Z", "2031-02-12T11:00Z", "2031-02-12T10:40Z",
		[]float64{200, 207, 214, 221, 228, 235, 242, 249, 256, 263, 270, 277, 284, 291, 298, 305, 312, 319, 326, 333, 340, 347, 354, 361},
		"e" + "pppppppppppppppp" + "eeeeeee", 0,
	},
	{ // of another zone
		"v3-ci-history.mixed.US-MIDW-MISO.json", "DE", "2031-02-11T11:00Z", "2031-02-12T11:00Z", "2031-02-12T10:40Z",
		nil, "", intensity.KindMismatch,
	},
	{
		"v3-ci-history.null-row.JP-KN.json", "JP-KN", "2031-02-11T11:00Z", "2031-02-11T17:00Z", "2031-02-11T17:40Z",
		[]float64{200, 207, 214, 221, 228, -1},
		"eeeee-", 0,
	},
	{
		"v3-ci-history.null-row.JP-KN.json", "JP-KN", "2031-02-11T16:00Z", "2031-02-11T17:00Z", "2031-02-11T17:40Z",
		nil, "", intensity.KindNoData,
	},
	{ // asked for a point in the Atlantic, it answered for the caller's zone
		"v3-ci-past-range.zone-fallback.json", "PT-AC", "2031-02-11T05:00Z", "2031-02-12T05:00Z", "2031-07-23T00:00Z",
		nil, "", intensity.KindMismatch,
	},
	{ // the same rows for the one who asked for them: 2 hours, 21 missing, 1
		"v3-ci-past-range.zone-fallback.json", "US-CAR-DUK", "2031-02-11T05:00Z", "2031-02-12T05:00Z", "2031-07-23T00:00Z",
		[]float64{200, 207, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 214},
		"mm" + "---------------------" + "m", 0,
	},
	{"v3-ci-past.measured.DE.json", "DE", "2031-02-11T05:00Z", "2031-02-11T06:00Z", "2034-01-01T00:00Z", []float64{200}, "m", 0},
	{
		"v3-ci-forecast.DE.json", "DE", "2031-02-11T21:00Z", "2031-02-12T03:00Z", "2031-02-11T21:40Z",
		[]float64{200, 207, 214, 221, 228, 235},
		"ffffff", 0,
	},
	{ // a guess made at 21:11 for the hour from 22:00
		"v3-ci-latest.future-hour.FR.json", "FR", "2031-02-11T22:00Z", "2031-02-11T23:00Z", "2031-02-11T21:55Z",
		[]float64{200},
		"f", 0,
	},
	{
		"v4-ci-history.at-1734Z.DK-DK2.json", "DK-DK2", "2027-03-09T18:00Z", "2027-03-10T18:00Z", "2027-03-10T17:34Z",
		[]float64{220, 231, 212, 198, 180, 176, 171, 165, 150, 121, 96, 90, 88, 94, 99, 92, 95, 101, 104, 107, 110, 118, 115, 124},
		"pppppppppppppppppppppp" + "ee", 0,
	},
	{ // 15:00 was called measured before, at 118; 16:00 and 17:00 were 115 and 124
		"v4-ci-history.at-2003Z.DK-DK2.json", "DK-DK2", "2027-03-09T21:00Z", "2027-03-10T21:00Z", "2027-03-10T20:03Z",
		[]float64{198, 180, 176, 171, 165, 150, 121, 96, 90, 88, 94, 99, 92, 95, 101, 104, 107, 110, 111, 92, 71, 70, 74, 77},
		"ppppppppppppppppppppp" + "eee", 0,
	},
	{
		"v4-ci-past-range.DK-DK2.json", "DK-DK2", "2027-03-10T03:00Z", "2027-03-10T06:00Z", "2027-03-13T05:00Z",
		[]float64{121, 96, 90},
		"mm" + "p", 0,
	},
	{ // an end that is part of the answer is not part of the question
		"v4-ci-past-range.DK-DK2.json", "DK-DK2", "2027-03-10T04:00Z", "2027-03-10T05:00Z", "2027-03-20T00:00Z",
		[]float64{96},
		"m", 0,
	},
	{
		"v4-ci-forecast.DK-DK2.json", "DK-DK2", "2027-03-10T17:00Z", "2027-03-11T18:00Z", "2027-03-10T17:34Z",
		[]float64{126, 125, 121, 119, 118, 118, 117, 117, 116, 114, 115, 119, 127, 138, 155, 152, 149, 149, 152, 158, 163, 171, 176, 189, 216},
		"fffffffffffffffffffffffff", 0,
	},
	{"v4-electricity-mix-past-range.sandbox.FR.json", "FR", "2031-02-11T14:00Z", "2031-02-11T15:00Z", "2031-02-13T00:00Z", nil, "", intensity.KindSynthetic},
	// Answers of routes that are not asked, some of which look much alike.
	{"v3-power-breakdown-latest.DE.json", "DE", "2031-02-12T00:00Z", "2031-02-12T01:00Z", "2031-02-12T01:00Z", nil, "", intensity.KindMalformed},
	{"v3-power-breakdown-history.DE.json", "DE", "2031-02-12T00:00Z", "2031-02-12T01:00Z", "2031-02-12T01:00Z", nil, "", intensity.KindMalformed},
	{"v4-electricity-mix-latest.flow-traced.DK-DK2.json", "DK-DK2", "2027-03-10T20:00Z", "2027-03-10T21:00Z", "2027-03-10T21:00Z", nil, "", intensity.KindMalformed},
	{"v4-electricity-mix-latest.normal.DK-DK2.json", "DK-DK2", "2027-03-10T20:00Z", "2027-03-10T21:00Z", "2027-03-10T21:00Z", nil, "", intensity.KindMalformed},
	{"v4-ci-level-latest.DK-DK2.json", "DK-DK2", "2027-03-10T17:00Z", "2027-03-10T18:00Z", "2027-03-10T18:00Z", nil, "", intensity.KindMalformed},
	{"v4-renewable-energy-latest.DK-DK2.json", "DK-DK2", "2027-03-10T17:00Z", "2027-03-10T18:00Z", "2027-03-10T18:00Z", nil, "", intensity.KindMalformed},
	{"v3-home-assistant.ok.DE.json", "DE", "2031-02-11T13:00Z", "2031-02-11T14:00Z", "2031-02-11T14:00Z", nil, "", intensity.KindMalformed},
	{"v3-home-assistant.unknown-status.DE.json", "DE", "2031-02-11T13:00Z", "2031-02-11T14:00Z", "2031-02-11T14:00Z", nil, "", intensity.KindMalformed},
	{"v3-home-assistant.no-data.DE.json", "DE", "2031-02-11T13:00Z", "2031-02-11T14:00Z", "2031-02-11T14:00Z", nil, "", intensity.KindNoData},
	{"co2signal-v1-latest.FR.retired.json", "FR", "2031-02-11T22:00Z", "2031-02-11T23:00Z", "2031-02-11T23:00Z", nil, "", intensity.KindMalformed},
	{"beta-carbon-aware-optimizer.json", "FR", "2031-02-11T20:00Z", "2031-02-11T21:00Z", "2031-02-11T21:00Z", nil, "", intensity.KindMalformed},
	{"v4-zones.with-free-token.json", "AE", "2031-02-11T20:00Z", "2031-02-11T21:00Z", "2031-02-11T21:00Z", nil, "", intensity.KindMalformed},
}

func TestSeries(t *testing.T) {
	for _, c := range series {
		t.Run(c.file+" "+c.zone+" "+c.from, func(t *testing.T) {
			d := reader(c.zone, at(t, c.from), at(t, c.to), at(t, c.now))
			got, err := decode(body(t, c.file), d)
			if c.kind != 0 {
				refuses(t, err, c.kind)
				return
			}
			require.NoError(t, err)
			require.NoError(t, got.Check())
			assert.Equal(t, d.From, got.From)
			assert.Equal(t, d.To, got.To)
			require.Len(t, c.grams, len(c.quality), "of the test")
			grid, err := intensity.NewGrid(got.Slots, nil)
			require.NoError(t, err)
			for i, want := range c.grams {
				hour := d.From.Add(time.Duration(i) * time.Hour)
				s := grid.Slot(hour)
				if want < 0 {
					assert.Nil(t, s, "%s", hour)
					continue
				}
				if !assert.NotNil(t, s, "%s", hour) {
					continue
				}
				assert.InDelta(t, want, s.GramsPerKWh, 0, "%s", hour)
				assert.Equal(t, hour, s.Start)
				assert.Equal(t, hour.Add(time.Hour), s.End)
				assert.Equal(t, letters[c.quality[i]], s.Quality, "%s", hour)
				assert.Equal(t, basisOf(intensity.Lifecycle), s.Basis)
				assert.Equal(t, c.zone, s.Origin.ZoneServed)
				assert.Equal(t, s.Quality == intensity.Predicted, !s.Origin.IssuedAt.IsZero())
				assert.Equal(t, strings.Contains(c.file, "forecast"), s.Origin.UpdatedAt.IsZero(), "the time of a forecast is that of the request")
			}
			assert.Len(t, got.Slots, len(c.grams)-strings.Count(c.quality, "-"))
			for _, g := range got.Gaps {
				require.ErrorIs(t, g.Err, intensity.KindNoData)
			}
		})
	}
}

var letters = map[byte]intensity.Quality{
	'm': intensity.Measured, 'p': intensity.Preliminary, 'e': intensity.Estimated, 'f': intensity.Predicted,
}

func refuses(t *testing.T, err error, kind intensity.Kind) {
	t.Helper()
	require.ErrorIs(t, err, kind)
	e, ok := errors.AsType[*intensity.Error](err)
	require.True(t, ok)
	assert.Equal(t, id, e.Provider)
}

var latestCases = []struct {
	file, zone string
	boundary   intensity.Boundary
	start, now string
	grams      float64
	quality    intensity.Quality
	method     string
	half       float64
	kind       intensity.Kind
}{
	// The half-width of a prediction is 10 % and 4 % for each hour of lead, here 12 min.
	{"v3-ci-latest.estimated.US-CAR-DUK.json", "US-CAR-DUK", intensity.Lifecycle, "2031-02-12T00:00Z", "2031-02-11T23:48Z", 200, intensity.Predicted, "TIME_SLICER_AVERAGE", 0.108, 0},
	{"v3-ci-latest.estimated.US-CAR-DUK.json", "US-CAR-DUK", intensity.Lifecycle, "2031-02-12T00:00Z", "2031-02-12T00:05Z", 200, intensity.Estimated, "TIME_SLICER_AVERAGE", 0.30, 0},
	{"v3-ci-latest.lifecycle.US-MIDW-MISO.json", "US-MIDW-MISO", intensity.Lifecycle, "2031-02-11T08:00Z", "2031-02-11T08:20Z", 200, intensity.Estimated, "TIME_SLICER_AVERAGE", 0.30, 0},
	{"v3-ci-latest.direct.US-MIDW-MISO.json", "US-MIDW-MISO", intensity.Direct, "2031-02-11T05:00Z", "2031-02-11T05:45Z", 200, intensity.Estimated, "TIME_SLICER_AVERAGE", 0.30, 0},
	{"v3-ci-latest.direct.US-MIDW-MISO.json", "US-MIDW-MISO", intensity.Lifecycle, "", "2031-02-11T05:45Z", 0, 0, "", 0, intensity.KindMismatch},
	{"v3-ci-latest.lifecycle.US-MIDW-MISO.json", "US-MIDW-MISO", intensity.Direct, "", "2031-02-11T08:20Z", 0, 0, "", 0, intensity.KindMismatch},
	{"v3-ci-latest.lifecycle.US-MIDW-MISO.json", "US-MIDA-PJM", intensity.Lifecycle, "", "2031-02-11T08:20Z", 0, 0, "", 0, intensity.KindMismatch},
	{"v3-ci-latest.future-hour.FR.json", "FR", intensity.Lifecycle, "2031-02-11T22:00Z", "2031-02-11T21:45Z", 200, intensity.Predicted, "TIME_SLICER_AVERAGE", 0.11, 0},
	{"v3-ci-latest.estimated.NL.json", "NL", intensity.Lifecycle, "2031-02-11T15:00Z", "2031-02-11T15:00Z", 200, intensity.Estimated, "TIME_SLICER_AVERAGE", 0.30, 0},
	{"v3-ci-latest.float.FR.json", "FR", intensity.Lifecycle, "2031-02-12T00:00Z", "2031-02-12T00:10Z", 200.12345678901235, intensity.Estimated, "TIME_SLICER_AVERAGE", 0.30, 0},
	{"v3-ci-past.measured.DE.json", "DE", intensity.Lifecycle, "2031-02-11T05:00Z", "2034-01-01T00:00Z", 200, intensity.Measured, "", 0.05, 0},
	{"v4-ci-latest.estimated.DK-DK2.json", "DK-DK2", intensity.Lifecycle, "2027-03-10T17:00Z", "2027-03-10T17:34Z", 124, intensity.Estimated, "FORECASTS_HIERARCHY", 0.30, 0},
	{"v4-ci-latest.before-slot-has-data.DK-DK2.json", "DK-DK2", intensity.Lifecycle, "2027-03-10T20:00Z", "2027-03-10T20:03Z", 77, intensity.Estimated, "FORECASTS_HIERARCHY", 0.30, 0},
	{"v4-ci-history.at-2003Z.DK-DK2.json", "DK-DK2", intensity.Lifecycle, "", "2027-03-10T20:03Z", 0, 0, "", 0, intensity.KindMalformed},
	{"v4-electricity-mix-latest.normal.DK-DK2.json", "DK-DK2", intensity.Lifecycle, "", "2027-03-10T20:03Z", 0, 0, "", 0, intensity.KindMalformed},
}

func TestLatest(t *testing.T) {
	for _, c := range latestCases {
		t.Run(c.file+" "+c.zone+" "+c.boundary.String()+" "+c.now, func(t *testing.T) {
			d := reader(c.zone, time.Time{}, time.Time{}, at(t, c.now))
			d.basis = basisOf(c.boundary)
			s, err := decodeLatest(body(t, c.file), d)
			if c.kind != 0 {
				refuses(t, err, c.kind)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, at(t, c.start), s.Start)
			assert.Equal(t, at(t, c.start).Add(time.Hour), s.End)
			assert.InDelta(t, c.grams, s.GramsPerKWh, 0)
			assert.Equal(t, c.quality, s.Quality)
			assert.Equal(t, basisOf(c.boundary), s.Basis)
			assert.Equal(t, c.method, s.Origin.Method)
			assert.InDelta(t, c.half, s.Spread.Half, 1e-9)
			assert.Equal(t, "assumed", s.Spread.From)
		})
	}
}

// The rules that no recorded answer shows.
func TestRows(t *testing.T) {
	const head = `"zone":"SE","datetime":"2031-02-11T05:00:00Z","emissionFactorType":"lifecycle"`
	for _, c := range []struct {
		name, body string
		grams      float64
		quality    intensity.Quality
		kind       intensity.Kind
	}{
		{"zero is a value", `{` + head + `,"carbonIntensity":0,"isEstimated":false}`, 0, intensity.Preliminary, 0},
		{"an offset of another clock", `{"zone":"SE","datetime":"2031-02-11T06:00:00+01:00","carbonIntensity":9,"isEstimated":false}`, 9, intensity.Preliminary, 0},
		{"who does not say has not measured", `{` + head + `,"carbonIntensity":9}`, 9, intensity.Estimated, 0},
		{"an unknown method", `{` + head + `,"carbonIntensity":9,"isEstimated":true,"estimationMethod":"CRYSTAL_BALL"}`, 9, intensity.Estimated, 0},
		{"measured by a method of estimation", `{` + head + `,"carbonIntensity":9,"isEstimated":false,"estimationMethod":"OUTAGE"}`, 9, intensity.Estimated, 0},
		{"the newest version of an hour", `{"history":[{` + head + `,"carbonIntensity":2,"updatedAt":"2031-02-11T08:00:00Z"},{` + head + `,"carbonIntensity":1,"updatedAt":"2031-02-11T07:00:00Z"}]}`, 2, intensity.Estimated, 0},
		{"the later row of one version", `{"history":[{` + head + `,"carbonIntensity":1},{` + head + `,"carbonIntensity":2}]}`, 2, intensity.Estimated, 0},
		{"null", `{` + head + `,"carbonIntensity":null}`, 0, 0, intensity.KindNoData},
		{"no rows", `{"zone":"SE","history":[]}`, 0, 0, intensity.KindNoData},
		{"nothing", `{` + head + `}`, 0, 0, intensity.KindMalformed},
		{"below zero", `{` + head + `,"carbonIntensity":-1}`, 0, 0, intensity.KindMalformed},
		{"above what exists", `{` + head + `,"carbonIntensity":5001}`, 0, 0, intensity.KindMalformed},
		{"a number as text", `{` + head + `,"carbonIntensity":"9"}`, 0, 0, intensity.KindMalformed},
		{"no number of this world", `{` + head + `,"carbonIntensity":1e999}`, 0, 0, intensity.KindMalformed},
		{"no time", `{"zone":"SE","history":[{"carbonIntensity":9}]}`, 0, 0, intensity.KindMalformed},
		{"not a time", `{"zone":"SE","datetime":"today","carbonIntensity":9}`, 0, 0, intensity.KindMalformed},
		{"a half hour", `{"zone":"SE","datetime":"2031-02-11T05:30:00Z","carbonIntensity":9}`, 0, 0, intensity.KindMalformed},
		{"no zone", `{"datetime":"2031-02-11T05:00:00Z","carbonIntensity":9}`, 0, 0, intensity.KindMalformed},
		{"two lists", `{"zone":"SE","history":[],"data":[]}`, 0, 0, intensity.KindMalformed},
		{"something behind it", `{` + head + `,"carbonIntensity":9} {}`, 0, 0, intensity.KindMalformed},
		{"one row of another zone", `{"zone":"SE","history":[{` + head + `,"carbonIntensity":9},{"zone":"NO","datetime":"2031-02-11T06:00:00Z","carbonIntensity":9}]}`, 0, 0, intensity.KindMismatch},
		{"another step", `{` + head + `,"carbonIntensity":9,"temporalGranularity":"5_minutes"}`, 0, 0, intensity.KindMismatch},
		{"production", `{` + head + `,"carbonIntensity":9,"flowTraced":false}`, 0, 0, intensity.KindMismatch},
		{"an unknown factor", `{"zone":"SE","datetime":"2031-02-11T05:00:00Z","emissionFactorType":"operational","carbonIntensity":9}`, 0, 0, intensity.KindMismatch},
		{"sandbox by method", `{` + head + `,"carbonIntensity":9,"estimationMethod":"SANDBOX_MODE_DATA"}`, 0, 0, intensity.KindSynthetic},
		{"sandbox by its disclaimer", `{"_disclaimer":"This is Sandbox Mode",` + head + `,"carbonIntensity":9}`, 0, 0, intensity.KindSynthetic},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := decode([]byte(c.body), reader("SE", at(t, "2031-02-11T05:00Z"), at(t, "2031-02-11T06:00Z"), at(t, "2031-02-11T09:00Z")))
			if c.kind != 0 {
				refuses(t, err, c.kind)
				return
			}
			require.NoError(t, err)
			require.Len(t, s.Slots, 1)
			assert.InDelta(t, c.grams, s.Slots[0].GramsPerKWh, 0)
			assert.Equal(t, c.quality, s.Slots[0].Quality)
			assert.True(t, s.Slots[0].Flags.Has(intensity.ZoneWidened), "Sweden is four zones")
		})
	}
}

// A forecast does not say its factor, which is lifecycle where nobody says.
func TestForecastOfUnknownFactorIsNotDirect(t *testing.T) {
	d := reader("DK-DK2", at(t, "2027-03-10T17:00Z"), at(t, "2027-03-11T18:00Z"), at(t, "2027-03-10T17:34Z"))
	d.basis = basisOf(intensity.Direct)
	_, err := decode(body(t, "v4-ci-forecast.DK-DK2.json"), d)
	refuses(t, err, intensity.KindMismatch)
}

func TestHalfWidths(t *testing.T) {
	d := reader("DK-DK2", at(t, "2027-03-10T17:00Z"), at(t, "2027-03-11T18:00Z"), at(t, "2027-03-10T17:30Z"))
	s, err := decode(body(t, "v4-ci-forecast.DK-DK2.json"), d)
	require.NoError(t, err)
	assert.InDelta(t, 0.10, s.Slots[0].Spread.Half, 1e-9, "the running hour")
	assert.InDelta(t, 0.12, s.Slots[1].Spread.Half, 1e-9, "half an hour ahead: 10 % + 4 %/2")
	assert.InDelta(t, 0.60, s.Slots[24].Spread.Half, 1e-9, "23.5 h ahead: 104 %, and never more than 60")

	// No live source: all of it is a model.
	d = reader("ID", at(t, "2031-02-11T05:00Z"), at(t, "2031-02-11T06:00Z"), at(t, "2031-02-11T09:00Z"))
	s, err = decode([]byte(`{"zone":"ID","datetime":"2031-02-11T05:00:00Z","carbonIntensity":9,"isEstimated":true,"estimationMethod":"CONSTRUCT_BREAKDOWN"}`), d)
	require.NoError(t, err)
	assert.InDelta(t, 0.60, s.Slots[0].Spread.Half, 1e-9)

	// The sum of zones is none of them: 30 % + 20 %.
	d = reader("SE", d.From, d.To, d.Now)
	s, err = decode([]byte(`{"zone":"SE","datetime":"2031-02-11T05:00:00Z","carbonIntensity":9,"isEstimated":true}`), d)
	require.NoError(t, err)
	assert.InDelta(t, 0.50, s.Slots[0].Spread.Half, 1e-9)
}

func TestAccess(t *testing.T) {
	for _, c := range []struct {
		file  string
		known bool
		zones int
		may   []string
		not   []string
	}{
		{"v3-zones.no-token.json", false, 15, []string{"DE carbon-intensity/past-range", "XX anything"}, nil},
		{
			"v3-zones.with-token.json", true, 2,
			[]string{"NL carbon-intensity/history", "NL carbon-intensity/forecast", "DE carbon-intensity/past-range"},
			[]string{"NL carbon-intensity/past-range", "NL carbon-intensity/latest", "FR carbon-intensity/history"},
		},
		{
			"v4-zones.with-free-token.json", true, 2,
			[]string{"AE carbon-intensity/history", "DK-DK2 carbon-intensity/latest", "DK-DK2 carbon-intensity/forecast"},
			[]string{"DK-DK2 carbon-intensity/past-range", "AE carbon-intensity/past", "DK carbon-intensity/history"},
		},
	} {
		t.Run(c.file, func(t *testing.T) {
			a, err := decodeAccess(body(t, c.file))
			require.NoError(t, err)
			assert.Equal(t, c.known, a.Known())
			assert.Len(t, a.Zones(), c.zones)
			for _, ask := range c.may {
				zone, route, _ := strings.Cut(ask, " ")
				assert.True(t, a.May(zone, route), ask)
			}
			for _, ask := range c.not {
				zone, route, _ := strings.Cut(ask, " ")
				assert.False(t, a.May(zone, route), ask)
			}
		})
	}
	for _, text := range []string{"", "{}", "[]", "null", `{"error":"no"}`, `{"DE":{}}`, `{"DE":{"zoneName":"Germany","access":"*"}}`} {
		_, err := decodeAccess([]byte(text))
		refuses(t, err, intensity.KindMalformed)
	}
	var nobody *Access
	assert.True(t, nobody.May("DE", history))
	assert.Empty(t, nobody.Zones())
	empty, err := decodeAccess([]byte(`{"DE":{"zoneName":"Germany","access":[]}}`))
	require.NoError(t, err)
	assert.False(t, empty.May("DE", history), "an empty list is a list")
}

// No file lies in testdata that nothing is expected of.
func TestEachFileIsExpected(t *testing.T) {
	expected := map[string]bool{"README.md": true}
	for _, c := range series {
		expected[c.file] = true
	}
	for _, c := range latestCases {
		expected[c.file] = true
	}
	for _, f := range []string{"v3-zones.no-token.json", "v3-zones.with-token.json", "v4-zones.with-free-token.json"} {
		expected[f] = true
	}
	files, err := os.ReadDir("testdata")
	require.NoError(t, err)
	require.Greater(t, len(files), 40)
	for _, f := range files {
		if name := f.Name(); !f.IsDir() && !strings.HasPrefix(name, "error-") { // see Refusals
			assert.True(t, expected[name], name)
		}
	}
}

func seeds(f *testing.F) [][]byte {
	f.Helper()
	files, err := filepath.Glob("testdata/*.*")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	var all [][]byte
	for _, name := range files {
		all = append(all, body(f, filepath.Base(name)))
	}
	return all
}

func FuzzDecode(f *testing.F) {
	for _, b := range seeds(f) {
		for _, zone := range []string{"DE", "DK-DK2", "US-MIDW-MISO", "FR"} {
			f.Add(b, zone, int64(1_931_500_000), int64(20), true)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, zone string, now, hours int64, lifecycle bool) {
		at := time.Unix(now%(1<<36), 0).UTC()
		to := at.Truncate(time.Hour)
		d := reader(zone, to.Add(-time.Duration(1+abs(hours)%240)*time.Hour), to.Add(time.Hour), at)
		if !lifecycle {
			d.basis = basisOf(intensity.Direct)
		}
		if s, err := decodeLatest(b, d); err == nil {
			require.NoError(t, s.Check())
		}
		s, err := decode(b, d)
		if err != nil {
			_, ok := errors.AsType[*intensity.Error](err)
			require.True(t, ok, "%v", err)
			return
		}
		require.NoError(t, s.Check())
		require.NotEmpty(t, s.Slots)
		require.True(t, s.From.Equal(d.From) && s.To.Equal(d.To))
		for _, slot := range s.Slots {
			require.Equal(t, d.basis, slot.Basis)
			require.Equal(t, zone, slot.Origin.ZoneServed)
			require.Contains(t, []intensity.Quality{intensity.Measured, intensity.Preliminary, intensity.Estimated, intensity.Predicted}, slot.Quality)
			if slot.Start.After(at) {
				require.Equal(t, intensity.Predicted, slot.Quality)
			}
			if slot.Quality == intensity.Measured {
				require.GreaterOrEqual(t, at.Sub(slot.End), settle)
			}
		}
	})
}

func abs(n int64) int64 {
	if n < 0 {
		return -(n + 1)
	}
	return n
}

func FuzzDecodeAccess(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b, "DE", history)
	}
	f.Fuzz(func(t *testing.T, b []byte, zone, route string) {
		a, err := decodeAccess(b)
		if err != nil {
			require.ErrorIs(t, err, intensity.KindMalformed)
			return
		}
		require.NotEmpty(t, a.Zones())
		_ = a.May(zone, route)
	})
}
