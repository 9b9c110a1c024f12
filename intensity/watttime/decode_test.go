package watttime

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/rows"
)

func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return b
}

// six is the start of most files.
var six = time.Date(2026, 5, 4, 6, 0, 0, 0, time.UTC)

func reading(s signal, region string, from time.Time, span time.Duration) decoder {
	return decoder{
		Ask:    rows.Ask{Provider: id, Zone: region, From: from, To: from.Add(span), Now: from.Add(30 * 24 * time.Hour), Late: s.latency()},
		signal: s, widths: intensity.DefaultHalfWidths(),
		origin: intensity.Origin{Provider: id, Endpoint: pathHistorical, ZoneAsked: region, Method: string(s)},
	}
}

func TestHistoricalMarginal(t *testing.T) {
	s, err := decodeHistorical(file(t, "v3-historical.CAISO_NORTH.json"), reading(moer, "CAISO_NORTH", six, 10*time.Minute))
	require.NoError(t, err)
	require.NoError(t, s.Check())
	require.Empty(t, s.Gaps)
	require.Len(t, s.Slots, 2)
	first, second := s.Slots[0], s.Slots[1]
	assert.Equal(t, six, first.Start)
	assert.Equal(t, six.Add(5*time.Minute), first.End)
	assert.InDelta(t, 453.59237, first.GramsPerKWh, 1e-9, "1000 lb/MWh")
	assert.InDelta(t, 226.796185, second.GramsPerKWh, 1e-9, "500 lb/MWh")
	assert.Equal(t, intensity.Basis{Signal: intensity.Marginal, Boundary: intensity.Direct, Gas: intensity.CO2}, first.Basis)
	assert.Equal(t, intensity.Estimated, first.Quality, "a model, a month later too")
	assert.Equal(t, intensity.Imputed, first.Flags)
	assert.Equal(t, intensity.Spread{Half: 0.60, From: "assumed"}, first.Spread, "the rough kind of estimate")
	assert.Equal(t, intensity.Origin{
		Provider: "watttime", Endpoint: "/v3/historical", ZoneAsked: "CAISO_NORTH", ZoneServed: "CAISO_NORTH",
		Method: "co2_moer", Model: "2025-11-30",
		UpdatedAt: time.Date(2026, 5, 20, 3, 0, 0, 0, time.UTC),
		Why:       "WattTime warns: EXAMPLE_WARNING: This is just an example",
	}, first.Origin)
}

func TestTheEndOfTheAnswerIsCutToTheEndThatWasAsked(t *testing.T) {
	body := file(t, "v3-historical.CAISO_NORTH.json")
	s, err := decodeHistorical(body, reading(moer, "CAISO_NORTH", six, 5*time.Minute))
	require.NoError(t, err)
	assert.Len(t, s.Slots, 1, "both ends are in the answer, one in the question")

	s, err = decodeHistorical(body, reading(moer, "CAISO_NORTH", six.Add(-time.Hour), 2*time.Hour))
	require.NoError(t, err)
	require.Len(t, s.Gaps, 2)
	assert.Equal(t, six.Add(10*time.Minute), s.Gaps[1].Start)
	assert.Equal(t, intensity.KindNoData, s.Gaps[1].Err)

	recent := reading(moer, "CAISO_NORTH", six, time.Hour)
	recent.Now = six.Add(time.Hour)
	s, err = decodeHistorical(body, recent)
	require.NoError(t, err)
	assert.Equal(t, intensity.KindNotYet, s.Gaps[0].Err, "ends now")
}

func TestHistoricalAverage(t *testing.T) {
	body := file(t, "v3-historical.co2_aoer.json")
	d := reading(aoer, "CAISO_NORTH", six, 2*time.Hour)
	s, err := decodeHistorical(body, d)
	require.NoError(t, err)
	require.Len(t, s.Slots, 2)
	filled, metered := s.Slots[1], s.Slots[0]
	assert.Equal(t, intensity.Average, metered.Basis.Signal)
	assert.Equal(t, time.Hour, metered.End.Sub(metered.Start))
	assert.InDelta(t, 181.663744185, metered.GramsPerKWh, 1e-9, "400.5 lb/MWh: 400 × 0.45359237 = 181.436948, half of it for 0.5: 0.226796185")
	assert.Equal(t, intensity.Measured, metered.Quality)
	assert.Equal(t, intensity.Spread{Half: 0.05, From: "assumed"}, metered.Spread)
	assert.Zero(t, metered.Flags)
	assert.Empty(t, metered.Origin.Why)
	assert.InDelta(t, 136.1911090925, filled.GramsPerKWh, 1e-9, "300.25 lb/MWh: 136.077711 + 0.1133980925")
	assert.Equal(t, intensity.Estimated, filled.Quality)
	assert.Equal(t, intensity.Imputed, filled.Flags)
	assert.Equal(t, intensity.Spread{Half: 0.60, From: "assumed"}, filled.Spread)

	d.Now = six.Add(3 * time.Hour)
	s, err = decodeHistorical(body, d)
	require.NoError(t, err)
	assert.Equal(t, intensity.Preliminary, s.Slots[0].Quality, "younger than a week")

	silent := strings.ReplaceAll(string(body), "imputed_data_used", "something_else")
	s, err = decodeHistorical([]byte(silent), d)
	require.NoError(t, err)
	assert.Equal(t, intensity.Estimated, s.Slots[0].Quality, "nobody says that it is metered")
	assert.Zero(t, s.Slots[0].Flags, "nor that it is not")
}

func TestForecast(t *testing.T) {
	d := reading(moer, "CAISO_NORTH", six, 10*time.Minute)
	d.Now = six.Add(time.Minute)
	s, err := decodeForecast(file(t, "v3-forecast.CAISO_NORTH.json"), d)
	require.NoError(t, err)
	require.Len(t, s.Slots, 2)
	assert.InDelta(t, 290.327466323125, s.Slots[0].GramsPerKWh, 1e-9, "640.0625 lb/MWh: 640 × 0.45359237 = 290.2991168, 1/16 of it: 0.028349523125")
	assert.InDelta(t, 145.1637331615625, s.Slots[1].GramsPerKWh, 1e-9, "half as many")
	assert.Equal(t, intensity.Predicted, s.Slots[0].Quality)
	assert.Equal(t, six, s.Slots[0].Origin.IssuedAt)
	assert.Equal(t, "2025-11-30", s.Slots[0].Origin.Model)
	assert.InDelta(t, 0.10, s.Slots[0].Spread.Half, 1e-12)
	assert.InDelta(t, 0.10+0.04/12, s.Slots[1].Spread.Half, 1e-12, "5 min ahead")
}

func TestForecastsAsTheyWereMade(t *testing.T) {
	body := file(t, "v3-forecast-historical.CAISO_NORTH.json")
	d := reading(moer, "CAISO_NORTH", six, time.Hour)
	all, err := decodeIssued(body, d, time.Hour)
	require.NoError(t, err)
	require.Len(t, all, 1)
	s := all[0]
	require.NoError(t, s.Check())
	assert.Equal(t, six.Add(time.Hour), s.To)
	require.Len(t, s.Slots, 3)
	assert.InDelta(t, 317.514659, s.Slots[2].GramsPerKWh, 1e-9, "700 lb/MWh")
	assert.Equal(t, six.Add(10*time.Minute), s.Slots[2].Start)
	assert.Equal(t, intensity.Predicted, s.Slots[2].Quality)
	assert.Equal(t, six, s.Slots[2].Origin.IssuedAt)

	d = reading(moer, "CAISO_NORTH", six.Add(-5*time.Minute), 5*time.Minute)
	_, err = decodeIssued(body, d, time.Hour)
	require.ErrorIs(t, err, intensity.KindNoData, "it was made at the end, which was not asked for")
}

func TestIndexIsAPercentileAndNothingElse(t *testing.T) {
	body := file(t, "v3-signal-index.PSCO.json")
	d := decoder{Ask: rows.Ask{Provider: id, Zone: "PSCO"}, signal: moer}
	got, err := decodeIndex(body, d)
	require.NoError(t, err)
	assert.Equal(t, Index{At: time.Date(2026, 5, 4, 9, 20, 0, 0, time.UTC), Percentile: 41, Region: "PSCO"}, got)

	d = reading(moer, "PSCO", six, 6*time.Hour)
	for name, decode := range map[string]func([]byte, decoder) (intensity.Series, error){"historical": decodeHistorical, "forecast": decodeForecast} {
		_, err := decode(body, d)
		require.ErrorIs(t, err, intensity.KindMalformed, name)
		require.ErrorContains(t, err, `the unit is "percentile", want lbs_co2_per_mwh`, name)
	}
	_, err = decodeIndex(file(t, "v3-historical.CAISO_NORTH.json"), reading(moer, "CAISO_NORTH", six, time.Hour))
	require.ErrorIs(t, err, intensity.KindMalformed, "nor the reverse")
}

func TestRegionOfAPosition(t *testing.T) {
	region, err := decodeRegion(file(t, "v3-region-from-loc.PSCO.json"), moer)
	require.NoError(t, err)
	assert.Equal(t, "PSCO", region)
	_, err = decodeRegion(file(t, "v3-region-from-loc.PSCO.json"), aoer)
	require.ErrorIs(t, err, intensity.KindMismatch)
	_, err = decodeRegion(file(t, "v3-region-from-loc.not-covered.json"), moer)
	require.ErrorIs(t, err, intensity.KindMalformed, "of status 404, which is looked at before")
}

func TestAccessOfAnAccount(t *testing.T) {
	a, err := decodeAccess(file(t, "v3-my-access.json"))
	require.NoError(t, err)
	assert.Equal(t, []Grant{
		{Signal: intensity.Marginal, Word: "co2_moer", Region: "CAISO_NORTH", Name: "California ISO Northern", Path: "/v3/forecast", Models: []string{"2025-11-30"}},
		{Signal: intensity.Marginal, Word: "co2_moer", Region: "CAISO_NORTH", Name: "California ISO Northern", Path: "/v3/historical", Models: []string{"2025-11-30"}},
	}, a.Grants)
	_, err = decodeAccess([]byte(`{}`))
	require.ErrorIs(t, err, intensity.KindMalformed)
}

func TestAnswersThatAreNotWhatWasAsked(t *testing.T) {
	good := string(file(t, "v3-historical.CAISO_NORTH.json"))
	change := func(from, to string) []byte {
		require.Contains(t, good, from)
		return []byte(strings.Replace(good, from, to, 1))
	}
	for _, c := range []struct {
		name string
		body []byte
		kind intensity.Kind
		says string
	}{
		{"another region", change(`"CAISO_NORTH"`, `"PSCO"`), intensity.KindMismatch, `for region "PSCO"`},
		{"another signal", change(`"co2_moer"`, `"health_damage"`), intensity.KindMismatch, "want co2_moer"},
		{"another unit", change(`"lbs_co2_per_mwh"`, `"kg_co2_per_mwh"`), intensity.KindMalformed, "want lbs_co2_per_mwh"},
		{"no meta", []byte(`{"data":[]}`), intensity.KindMalformed, "no meta"},
		{"no period", change(`300`, `0`), intensity.KindMalformed, "between 60 and 3600"},
		{"a period that divides no hour", change(`300`, `700`), intensity.KindMalformed, "divides an hour"},
		{"a time without zone", change(`06:00:00+00:00`, `06:00:00`), intensity.KindMalformed, "want one like"},
		{"a time between two steps", change(`06:00:00+00:00`, `06:01:00+00:00`), intensity.KindMalformed, "not on a step"},
		{"a number in a string", change(`1000`, `"1000"`), intensity.KindMalformed, "value"},
		{"grams per MWh", change(`1000`, `400000`), intensity.KindMalformed, "between 0 and 5000"},
		{"less than nothing", change(`1000`, `-1`), intensity.KindMalformed, "between 0 and 5000"},
		{"a revision at no time", change(`2026-05-20T03:00:00+00:00`, `yesterday`), intensity.KindMalformed, "last_updated"},
		{"no points", []byte(`{"data":[],"meta":{"region":"CAISO_NORTH","signal_type":"co2_moer","units":"lbs_co2_per_mwh","data_point_period_seconds":300}}`), intensity.KindNoData, ""},
		{"something behind", append([]byte(good), '{'), intensity.KindMalformed, ""},
		{"the retired API", file(t, "v2-index.retired.json"), intensity.KindMalformed, "no meta"},
		{"an error", file(t, "error-403.invalid-scope.json"), intensity.KindMalformed, "no meta"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := decodeHistorical(c.body, reading(moer, "CAISO_NORTH", six, 10*time.Minute))
			require.ErrorIs(t, err, c.kind)
			require.ErrorContains(t, err, c.says)
		})
	}

	_, err := decodeForecast([]byte(good), reading(moer, "CAISO_NORTH", six, 10*time.Minute))
	require.ErrorContains(t, err, "generated_at", "a forecast says when it was made")

	blanks := file(t, "v3-forecast-historical.blanks.json")
	d := reading(moer, "CAISO_NORTH", time.Date(2026, 5, 5, 12, 0, 0, 0, time.UTC), time.Hour)
	_, err = decodeIssued(blanks, d, time.Hour)
	require.ErrorContains(t, err, "no meta")
	var answer map[string]any
	require.NoError(t, json.Unmarshal(blanks, &answer))
	answer["meta"] = map[string]any{"region": "CAISO_NORTH", "signal_type": "co2_moer", "units": "lbs_co2_per_mwh", "data_point_period_seconds": 300}
	blanks, err = json.Marshal(answer)
	require.NoError(t, err)
	_, err = decodeIssued(blanks, d, time.Hour)
	require.ErrorIs(t, err, intensity.KindMalformed)
	require.ErrorContains(t, err, `generated_at "2026-05-05T12: 00: 00+00: 00" is no time`)
}

func TestNullIsAGapAndZeroIsAValue(t *testing.T) {
	body := strings.NewReplacer("1000", "null", `"value": 500`, `"value": 0`).Replace(string(file(t, "v3-historical.CAISO_NORTH.json")))
	s, err := decodeHistorical([]byte(body), reading(moer, "CAISO_NORTH", six, 10*time.Minute))
	require.NoError(t, err)
	require.Len(t, s.Gaps, 1)
	require.Len(t, s.Slots, 1)
	assert.Equal(t, six.Add(5*time.Minute), s.Slots[0].Start)
	assert.Zero(t, s.Slots[0].GramsPerKWh)
}

// Whatever comes, it is a Series over what was asked, or an error of a kind.
func FuzzDecode(f *testing.F) {
	names, err := filepath.Glob("testdata/*.json")
	if err != nil || len(names) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range names {
		f.Add(file(f, filepath.Base(name)))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, s := range []signal{moer, aoer} {
			d := reading(s, "CAISO_NORTH", six, 2*time.Hour)
			for _, decode := range []func([]byte, decoder) (intensity.Series, error){decodeHistorical, decodeForecast} {
				got, err := decode(body, d)
				sound(t, d, got, err)
			}
			all, err := decodeIssued(body, d, time.Hour)
			if err != nil {
				sound(t, d, intensity.Series{}, err)
			}
			for _, one := range all {
				require.NoError(t, one.Check())
			}
			index, err := decodeIndex(body, d)
			if err == nil {
				require.False(t, math.IsNaN(index.Percentile) || index.Percentile < 0 || index.Percentile > 100)
			}
			if region, err := decodeRegion(body, s); err == nil {
				require.True(t, isRegion(region))
			}
			if a, err := decodeAccess(body); err == nil {
				_ = a.list(s)
			}
		}
	})
}

func sound(t *testing.T, d decoder, s intensity.Series, err error) {
	t.Helper()
	if err != nil {
		kinds := []intensity.Kind{intensity.KindMalformed, intensity.KindMismatch, intensity.KindNoData}
		for _, k := range kinds {
			if k == kindOf(err) {
				return
			}
		}
		t.Fatalf("%v is of none of the kinds %v", err, kinds)
	}
	require.NoError(t, s.Check())
	require.True(t, s.From.Equal(d.From) && s.To.Equal(d.To))
	for _, slot := range s.Slots {
		require.Equal(t, "CAISO_NORTH", slot.Origin.ZoneServed)
		require.NotZero(t, slot.Quality)
	}
}

func kindOf(err error) intensity.Kind {
	if e, ok := err.(*intensity.Error); ok { //nolint:errorlint // decoders return their own
		return e.Kind
	}
	return 0
}
