package rte

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
	at, err := time.Parse("2006-01-02T15:04Z", text)
	require.NoError(t, err)
	return at
}

func with(from, to, now time.Time) decoder {
	return decoder{
		Ask:    rows.Ask{Provider: id, Zone: france, From: from, To: to, Now: now, Late: late},
		widths: intensity.DefaultHalfWidths(),
		origin: intensity.Origin{Provider: id, ZoneAsked: france, ZoneServed: france},
	}
}

func read(t testing.TB, file, from, to, now string) (intensity.Series, error) {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", file))
	require.NoError(t, err)
	return decode(body, with(utc(t, from), utc(t, to), utc(t, now)))
}

func TestRecordedAnswers(t *testing.T) {
	type value struct {
		from  string
		grams float64
	}
	for _, c := range []struct {
		file, from, to, now string

		want []value
		gaps []intensity.Kind
	}{
		{
			file: "v2.1-eco2mix-national-tr.latest.json", from: "2025-05-14T12:45Z", to: "2025-05-14T13:00Z", now: "2025-05-14T13:05Z",
			want: []value{{"2025-05-14T12:45Z", 18}},
		},
		{ // newest first, and the quarters of an hour without a value are a gap that may yet be filled
			file: "v2.1-eco2mix-national-tr.null-tail.json", from: "2025-05-14T12:30Z", to: "2025-05-14T13:45Z", now: "2025-05-14T13:35Z",
			want: []value{{"2025-05-14T12:30Z", 18}, {"2025-05-14T12:45Z", 18}}, gaps: []intensity.Kind{intensity.KindNotYet},
		},
		{ // a day later nobody will fill it
			file: "v2.1-eco2mix-national-tr.null-tail.json", from: "2025-05-14T12:30Z", to: "2025-05-14T13:45Z", now: "2025-05-15T13:35Z",
			want: []value{{"2025-05-14T12:30Z", 18}, {"2025-05-14T12:45Z", 18}}, gaps: []intensity.Kind{intensity.KindNoData},
		},
		{ // the old API; heure is 16:45, 17:45 and 19:30, in local time
			file: "v1-eco2mix-national-tr.2022-07-12.json", from: "2022-07-12T14:45Z", to: "2022-07-12T17:45Z", now: "2022-07-12T18:00Z",
			want: []value{{"2022-07-12T14:45Z", 57}, {"2022-07-12T15:45Z", 60}, {"2022-07-12T17:30Z", 65}},
			gaps: []intensity.Kind{intensity.KindNoData, intensity.KindNotYet}, // 15:00 to 15:45, 16:00 to 17:30
		},
	} {
		t.Run(c.file+" at "+c.now, func(t *testing.T) {
			s, err := read(t, c.file, c.from, c.to, c.now)
			require.NoError(t, err)
			require.NoError(t, s.Check())
			require.Len(t, s.Slots, len(c.want))
			for i, x := range s.Slots {
				assert.Equal(t, utc(t, c.want[i].from), x.Start)
				assert.Equal(t, 15*time.Minute, x.End.Sub(x.Start))
				assert.InDelta(t, c.want[i].grams, x.GramsPerKWh, 0)
				assert.Equal(t, intensity.Preliminary, x.Quality)
				assert.Equal(t, intensity.Spread{Half: 0.10, From: "assumed"}, x.Spread)
				assert.Equal(t, intensity.Basis{Signal: intensity.Average, Boundary: intensity.Direct, Flow: intensity.Production, Gas: intensity.CO2}, x.Basis)
				assert.Equal(t, "FR", x.Origin.ZoneServed)
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

func TestAnswersWithoutValues(t *testing.T) {
	for _, c := range []struct {
		file string
		kind intensity.Kind
		text string
	}{
		{"v2.1-empty.json", intensity.KindNoData, "no value from 2025-05-14T12:30Z"},
		{"v2.1-error-400.json", intensity.KindConfig, "ODSQL query is malformed"}, // with status 200
	} {
		_, err := read(t, c.file, "2025-05-14T12:30Z", "2025-05-14T13:00Z", "2025-05-14T13:35Z")
		require.ErrorIs(t, err, c.kind)
		require.ErrorContains(t, err, c.text)
	}
}

func TestOddAnswers(t *testing.T) {
	const noon = `"date_heure":"2026-06-01T12:00:00+00:00"`
	for _, c := range []struct {
		name, body string
		kind       intensity.Kind
		grams      float64
	}{
		{"0 is data", `{"results":[{` + noon + `,"taux_co2":0}]}`, 0, 0},
		{"null", `{"results":[{` + noon + `,"taux_co2":null}]}`, intensity.KindNoData, 0},
		{"no such column", `{"results":[{` + noon + `}]}`, intensity.KindNoData, 0},
		{"local time", `{"results":[{"date_heure":"2026-06-01T14:00:00+02:00","taux_co2":7}]}`, 0, 7},
		{"local time without offset", `{"results":[{"date_heure":"2026-06-01T14:00:00","taux_co2":7}]}`, intensity.KindMalformed, 0},
		{"no time", `{"results":[{"date_heure":null,"taux_co2":7}]}`, intensity.KindMalformed, 0},
		{"a time between", `{"results":[{"date_heure":"2026-06-01T12:05:00+00:00","taux_co2":7}]}`, intensity.KindMalformed, 0},
		{"the future", `{"results":[{"date_heure":"2026-06-01T13:30:00+00:00","taux_co2":7}]}`, intensity.KindNoData, 0},
		{"a number as text", `{"results":[{` + noon + `,"taux_co2":"7"}]}`, intensity.KindMalformed, 0},
		{"a number as text in v1", `{"records":[{"fields":{` + noon + `,"taux_co2":"7"}}]}`, 0, 7},
		{"ND in v1", `{"records":[{"fields":{` + noon + `,"taux_co2":"ND"}}]}`, intensity.KindNoData, 0},
		{"NaN in v1", `{"records":[{"fields":{` + noon + `,"taux_co2":"NaN"}}]}`, intensity.KindMalformed, 0},
		{"a word in v1", `{"records":[{"fields":{` + noon + `,"taux_co2":"bas"}}]}`, intensity.KindMalformed, 0},
		{"null in v1", `{"records":[{"fields":{` + noon + `,"taux_co2":null}}]}`, intensity.KindNoData, 0},
		{"twice: the later row", `{"results":[{` + noon + `,"taux_co2":1},{` + noon + `,"taux_co2":2}]}`, 0, 2},
		{"below 0", `{"results":[{` + noon + `,"taux_co2":-1}]}`, intensity.KindMalformed, 0},
		{"empty in v1", `{"nhits":0,"records":[]}`, intensity.KindNoData, 0},
		{"without results", `{"total_count":0}`, intensity.KindMalformed, 0},
		{"an error with status 200", `{"message":"service unavailable","error_code":"InternalError"}`, intensity.KindUpstream, 0},
		{"an error of v1 with status 200", `{"error":"Unknown dataset"}`, intensity.KindUpstream, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := utc(t, "2026-06-01T12:00Z")
			s, err := decode([]byte(c.body), with(from, from.Add(step), from.Add(time.Hour)))
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
	from := utc(f, "2022-07-12T14:50Z")
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := decode(body, with(from, from.Add(4*time.Hour), from.Add(5*time.Hour)))
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		require.NoError(t, s.Check())
		require.NotEmpty(t, s.Slots)
	})
}
