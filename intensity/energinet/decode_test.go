package energinet

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/rows"
)

func utc(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return at
}

func with(area string, forecast bool, from, to, now time.Time) decoder {
	return decoder{
		Ask:  rows.Ask{Provider: id, Zone: area, From: from, To: to, Now: now, Late: latency},
		area: area, forecast: forecast, widths: intensity.DefaultHalfWidths(),
		origin: intensity.Origin{Provider: id, ZoneAsked: area, ZoneServed: "DK-" + area},
	}
}

func read(t testing.TB, file, area string, forecast bool, from, to, now string) (intensity.Series, error) {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", file))
	require.NoError(t, err)
	return decode(body, with(area, forecast, utc(t, from), utc(t, to), utc(t, now)))
}

func TestRecordedAnswers(t *testing.T) {
	for _, c := range []struct {
		file, area    string
		forecast      bool
		from, to, now string

		grams   []float64
		quality intensity.Quality
		gaps    []intensity.Kind
	}{
		{
			file: "co2emis.DK1.json", area: "DK1", from: "2026-01-20T16:30:00Z", to: "2026-01-20T16:35:00Z", now: "2026-01-20T16:40:00Z",
			grams: []float64{160}, quality: intensity.Preliminary,
		},
		{ // a week later it is settled
			file: "co2emis.DK1.json", area: "DK1", from: "2026-01-20T16:30:00Z", to: "2026-01-20T16:35:00Z", now: "2026-01-27T16:35:00Z",
			grams: []float64{160}, quality: intensity.Measured,
		},
		{ // what is newer than the newest value may yet come, what is older will not
			file: "co2emis.DK1.json", area: "DK1", from: "2026-01-20T16:00:00Z", to: "2026-01-20T16:40:00Z", now: "2026-01-20T16:46:00Z",
			grams: []float64{160}, quality: intensity.Preliminary, gaps: []intensity.Kind{intensity.KindNoData, intensity.KindNotYet},
		},
		{ // the night on which the hour from 02:00 to 03:00 comes twice, newest first
			file: "co2emis.dst-night.DK2.json", area: "DK2", from: "2025-10-26T00:00:00Z", to: "2025-10-26T01:15:00Z", now: "2025-10-26T01:16:00Z",
			grams: []float64{95, 95, 94, 92, 92, 91}, quality: intensity.Preliminary, gaps: []intensity.Kind{intensity.KindNoData}, // 00:15Z to 01:00Z
		},
		{
			file: "co2emisprog.DK2.json", area: "DK2", forecast: true, from: "2019-10-15T21:50:00Z", to: "2019-10-15T22:00:00Z", now: "2019-10-15T12:00:00Z",
			grams: []float64{289, 289}, quality: intensity.Predicted,
		},
	} {
		t.Run(c.file+" at "+c.now, func(t *testing.T) {
			s, err := read(t, c.file, c.area, c.forecast, c.from, c.to, c.now)
			require.NoError(t, err)
			require.NoError(t, s.Check())
			require.Len(t, s.Slots, len(c.grams))
			for i, x := range s.Slots {
				assert.InDelta(t, c.grams[i], x.GramsPerKWh, 0)
				assert.Equal(t, c.quality, x.Quality)
				assert.Equal(t, 5*time.Minute, x.End.Sub(x.Start))
				assert.Equal(t, intensity.Basis{Signal: intensity.Average, Boundary: intensity.Direct, Flow: intensity.Consumption, Gas: intensity.CO2}, x.Basis)
				assert.Equal(t, "DK-"+c.area, x.Origin.ZoneServed)
			}
			var gaps []intensity.Kind
			for _, g := range s.Gaps {
				kind, ok := g.Err.(intensity.Kind) //nolint:errorlint // they are bare
				require.True(t, ok)
				gaps = append(gaps, kind)
			}
			assert.Equal(t, c.gaps, gaps)
		})
	}
}

func TestTheHourThatComesTwiceIsTwoHours(t *testing.T) {
	s, err := read(t, "co2emis.dst-night.DK2.json", "DK2", false, "2025-10-26T00:00:00Z", "2025-10-26T01:15:00Z", "2025-10-26T01:16:00Z")
	require.NoError(t, err)
	assert.Equal(t, utc(t, "2025-10-26T00:00:00Z"), s.Slots[0].Start, "02:00 in summer time")
	assert.Equal(t, utc(t, "2025-10-26T01:00:00Z"), s.Slots[3].Start, "02:00 in winter time")
}

func TestTheRangeOfAForecastGrowsWithItsLead(t *testing.T) {
	s, err := read(t, "co2emisprog.DK2.json", "DK2", true, "2019-10-15T21:50:00Z", "2019-10-15T22:00:00Z", "2019-10-15T16:50:00Z")
	require.NoError(t, err)
	assert.InDelta(t, 0.10+5*0.04, s.Slots[0].Spread.Half, 1e-9) // 5 h ahead
	assert.Equal(t, utc(t, "2019-10-15T16:50:00Z"), s.Slots[0].Origin.IssuedAt)
	s, err = read(t, "co2emisprog.DK2.json", "DK2", true, "2019-10-15T21:50:00Z", "2019-10-15T22:00:00Z", "2019-10-16T16:50:00Z")
	require.NoError(t, err)
	assert.Equal(t, intensity.Predicted, s.Slots[0].Quality, "a forecast remains one")
	assert.Equal(t, s.Slots[0].Start, s.Slots[0].Origin.IssuedAt, "and was made before its slot")
}

func TestOddAnswers(t *testing.T) {
	row := func(at, area, grams string) string {
		return `{"Minutes5UTC":"` + at + `","Minutes5DK":"2026-06-01T14:00:00","PriceArea":"` + area + `","CO2Emission":` + grams + `}`
	}
	const noon = "2026-06-01T12:00:00"
	for _, c := range []struct {
		name, body string
		kind       intensity.Kind
		grams      float64
	}{
		{"0 is data", `{"records":[` + row(noon, "DK1", "0") + `]}`, 0, 0},
		{"a fraction", `{"records":[` + row(noon, "DK1", "12.5") + `]}`, 0, 12.5},
		{"null", `{"records":[` + row(noon, "DK1", "null") + `]}`, intensity.KindNoData, 0},
		{"empty", `{"total":0,"limit":0,"dataset":"CO2Emis","records":[]}`, intensity.KindNoData, 0},
		{"without records", `{}`, intensity.KindMalformed, 0},
		{"an error with status 200", `{"message":"An error has occurred."}`, intensity.KindUpstream, 0},
		{"the other area", `{"records":[` + row(noon, "DK2", "1") + `]}`, intensity.KindMismatch, 0},
		{"both areas", `{"records":[` + row(noon, "DK1", "1") + "," + row(noon, "DK2", "2") + `]}`, intensity.KindMismatch, 0},
		{"twice: the later row", `{"records":[` + row(noon, "DK1", "1") + "," + row(noon, "DK1", "2") + `]}`, 0, 2},
		{"a time with a zone", `{"records":[` + row(noon+"+02:00", "DK1", "1") + `]}`, intensity.KindMalformed, 0},
		{"a time between", `{"records":[` + row("2026-06-01T12:02:00", "DK1", "1") + `]}`, intensity.KindMalformed, 0},
		{"no time", `{"records":[{"PriceArea":"DK1","CO2Emission":1}]}`, intensity.KindMalformed, 0},
		{"a number as text", `{"records":[` + row(noon, "DK1", `"1"`) + `]}`, intensity.KindMalformed, 0},
		{"below 0", `{"records":[` + row(noon, "DK1", "-1") + `]}`, intensity.KindMalformed, 0},
		{"kg per kWh", `{"records":[` + row(noon, "DK1", "160000") + `]}`, intensity.KindMalformed, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := utc(t, "2026-06-01T12:00:00Z")
			s, err := decode([]byte(c.body), with("DK1", false, from, from.Add(step), from.Add(time.Hour)))
			if c.kind != 0 {
				require.ErrorIs(t, err, c.kind)
				return
			}
			require.NoError(t, err)
			require.Len(t, s.Slots, 1)
			assert.InDelta(t, c.grams, s.Slots[0].GramsPerKWh, 0)
		})
	}
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(body)
	}
	from := utc(f, "2025-10-26T00:02:00Z")
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, area := range []string{west, east} {
			s, err := decode(body, with(area, area == east, from, from.Add(2*time.Hour), from.Add(time.Hour)))
			if err != nil {
				require.NotEmpty(t, err.Error())
				continue
			}
			require.NoError(t, s.Check())
			require.NotEmpty(t, s.Slots)
		}
	})
}
