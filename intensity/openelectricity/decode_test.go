package openelectricity

import (
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

// midnight of 22 May in the network: UTC+10.
var midnight = time.Date(2026, 5, 21, 14, 0, 0, 0, time.UTC)

func reading(span time.Duration) decoder {
	return decoder{
		Ask:     rows.Ask{Provider: id, Zone: "NSW1", From: midnight, To: midnight.Add(span), Now: midnight.Add(48 * time.Hour), Late: latency},
		network: nem(), widths: intensity.DefaultHalfWidths(),
		origin: intensity.Origin{Provider: id, Endpoint: "/v4/data/network/NEM", ZoneAsked: "NSW1", ZoneServed: "NSW1"},
	}
}

func TestEmissionsOverEnergy(t *testing.T) {
	s, err := decode(file(t, "v4-network-emissions-energy.NEM.json"), reading(2*time.Hour))
	require.NoError(t, err)
	require.NoError(t, s.Check())
	require.Len(t, s.Slots, 1)
	got := s.Slots[0]
	assert.Equal(t, midnight, got.Start)
	assert.Equal(t, midnight.Add(time.Hour), got.End)
	assert.InDelta(t, 650, got.GramsPerKWh, 1e-9, "4940 t over 7600 MWh")
	assert.Equal(t, intensity.Basis{Signal: intensity.Average, Boundary: intensity.Direct, Flow: intensity.Production, Gas: intensity.CO2e}, got.Basis)
	assert.Equal(t, intensity.Preliminary, got.Quality, "two days old")
	assert.Equal(t, intensity.Spread{Half: 0.10, From: "assumed"}, got.Spread)
	assert.Equal(t, intensity.Origin{
		Provider: "open_electricity", Endpoint: "/v4/data/network/NEM", ZoneAsked: "NSW1", ZoneServed: "NSW1",
		Method: "emissions over energy, what storage takes included",
	}, got.Origin)
	assert.Equal(t, []intensity.Gap{{Start: midnight.Add(time.Hour), End: midnight.Add(2 * time.Hour), Err: intensity.KindNoData}}, s.Gaps, "null emissions are not 0")
}

func TestStorageIsNoGeneration(t *testing.T) {
	s, err := decode(file(t, "v4-network-by-fueltech.NEM.json"), reading(4*time.Hour))
	require.NoError(t, err)
	require.Len(t, s.Slots, 2)
	assert.InDelta(t, 675, s.Slots[0].GramsPerKWh, 1e-9, "5400 t over 6000 + 400 + 1600 = 8000 MWh; 620.7 with what storage takes")
	assert.InDelta(t, 620, s.Slots[1].GramsPerKWh, 1e-9, "4960 t over 5500 + 500 + 2000 = 8000 MWh")
	assert.Equal(t, "emissions over energy, storage left out", s.Slots[0].Origin.Method)
	require.Len(t, s.Gaps, 1)
	assert.Equal(t, midnight.Add(2*time.Hour), s.Gaps[0].Start, "no emissions of coal, then no coal")
	assert.Equal(t, midnight.Add(4*time.Hour), s.Gaps[0].End)
}

func TestATechnologyThatHardlyMattersMayBeMissing(t *testing.T) {
	body := string(file(t, "v4-network-by-fueltech.NEM.json"))
	// 50 of 8000 MWh in the first hour only, in both metrics
	for _, metric := range []string{"energy", "emissions"} {
		value := map[string]string{"energy": "50.0", "emissions": "0.0"}[metric]
		body = strings.Replace(body, `"name": "`+metric+`_NSW1|hydro"`,
			`"columns": {"region": "NSW1", "fueltech": "bioenergy_biogas"}, "data": [["2026-05-22T00:00:00+10:00", `+value+`]]}, {"name": "`+metric+`_NSW1|hydro"`, 1)
	}
	s, err := decode([]byte(body), reading(2*time.Hour))
	require.NoError(t, err)
	require.Len(t, s.Slots, 2)
	assert.InDelta(t, 5400.0/8050*1000, s.Slots[0].GramsPerKWh, 1e-9)
	assert.InDelta(t, 620, s.Slots[1].GramsPerKWh, 1e-9)
}

func TestTheRunningHourIsNotYetOne(t *testing.T) {
	d := reading(2 * time.Hour)
	d.Now = midnight.Add(90 * time.Minute)
	s, err := decode(file(t, "v4-network-by-fueltech.NEM.json"), d)
	require.NoError(t, err)
	require.Len(t, s.Slots, 1)
	require.Len(t, s.Gaps, 1)
	assert.Equal(t, intensity.KindNotYet, s.Gaps[0].Err)

	d.Now = midnight.AddDate(0, 0, 9)
	s, err = decode(file(t, "v4-network-by-fueltech.NEM.json"), d)
	require.NoError(t, err)
	assert.Equal(t, intensity.Measured, s.Slots[0].Quality)
}

func TestTimesWithoutZoneAreOfTheNetwork(t *testing.T) {
	body := strings.ReplaceAll(string(file(t, "v4-network-by-fueltech.NEM.json")), ":00:00+10:00", ":00:00")
	s, err := decode([]byte(body), reading(2*time.Hour))
	require.NoError(t, err)
	assert.Equal(t, midnight, s.Slots[0].Start)
	assert.InDelta(t, 675, s.Slots[0].GramsPerKWh, 1e-9)

	west := strings.NewReplacer("NEM", "WEM", "NSW1", "WEM", "+10:00", "+08:00").Replace(string(file(t, "v4-network-by-fueltech.NEM.json")))
	d := reading(2 * time.Hour)
	d.Zone, d.network = "WEM", wem()
	d.From, d.To = d.From.Add(2*time.Hour), d.To.Add(2*time.Hour)
	s, err = decode([]byte(west), d)
	require.NoError(t, err)
	require.Len(t, s.Slots, 2)
	assert.Equal(t, time.Date(2026, 5, 21, 16, 0, 0, 0, time.UTC), s.Slots[0].Start, "midnight in Perth")
}

// In January, Sydney is at UTC+11; the network is not.
func TestSummerTimeDoesNotMatter(t *testing.T) {
	body := strings.ReplaceAll(string(file(t, "v4-network-by-fueltech.NEM.json")), "2026-05-22", "2026-01-22")
	d := reading(time.Hour)
	d.From = time.Date(2026, 1, 21, 14, 0, 0, 0, time.UTC)
	d.To, d.Now = d.From.Add(time.Hour), d.From.AddDate(0, 0, 2)
	s, err := decode([]byte(body), d)
	require.NoError(t, err)
	assert.Empty(t, s.Gaps)

	for _, other := range []string{"+11:00", "Z"} {
		_, err := decode([]byte(strings.ReplaceAll(body, ":00:00+10:00", ":00:00"+other)), d)
		require.ErrorIs(t, err, intensity.KindMalformed, other)
		require.ErrorContains(t, err, "want a time of the network", other)
	}
}

func TestAnswersThatAreNotWhatWasAsked(t *testing.T) {
	good := string(file(t, "v4-network-emissions-energy.NEM.json"))
	change := func(from, to string) []byte {
		require.Contains(t, good, from)
		return []byte(strings.ReplaceAll(good, from, to))
	}
	for _, c := range []struct {
		name string
		body []byte
		kind intensity.Kind
		says string
	}{
		{"a facility", file(t, "v4-facility-energy.NEM.json"), intensity.KindMismatch, `steps of "1d", want 1h`},
		{"another region", change(`"region": "NSW1"`, `"region": "QLD1"`), intensity.KindMismatch, `region "QLD1"`},
		{"another network", change(`"network_code": "NEM"`, `"network_code": "WEM"`), intensity.KindMismatch, "want NEM"},
		{"another clock", change(`"network_timezone_offset": "+10:00"`, `"network_timezone_offset": "+11:00"`), intensity.KindMismatch, "want +10:00"},
		{"another unit of energy", change(`"MWh"`, `"GWh"`), intensity.KindMalformed, "want MWh"},
		{"another unit of emissions", change(`"unit": "t"`, `"unit": "kt"`), intensity.KindMalformed, "want t"},
		{"half hours", change(`T01:00:00+10:00`, `T01:30:00+10:00`), intensity.KindMalformed, "whole hours"},
		{"no time", change(`"2026-05-22T01:00:00+10:00"`, `"soon"`), intensity.KindMalformed, "want a time of the network"},
		{"a row of three", change(`7600.0`, `7600.0, 1`), intensity.KindMalformed, "[time, value]"},
		{"a number in a string", change(`7600.0`, `"7600"`), intensity.KindMalformed, ""},
		{"no energy", change(`7600.0`, `0`), intensity.KindNoData, ""},
		{"energy below nothing", change(`7600.0`, `-1`), intensity.KindNoData, ""},
		{"energy alone", change(`"emissions"`, `"market_value"`), intensity.KindNoData, ""},
		{"kilograms", change(`4940.0`, `4940000`), intensity.KindMalformed, "between 0 and 5000"},
		{"nothing", []byte(`{"success":true,"data":[]}`), intensity.KindNoData, ""},
		{"no data", []byte(`{"success":true}`), intensity.KindMalformed, "no data"},
		{"no success", []byte(`{"success":false,"error":"database"}`), intensity.KindUpstream, "database"},
		{"something behind", append([]byte(good), ']'), intensity.KindMalformed, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := decode(c.body, reading(time.Hour))
			require.ErrorIs(t, err, c.kind)
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestOtherRegionsBesideTheOneThatWasAsked(t *testing.T) {
	body := string(file(t, "v4-network-emissions-energy.NEM.json"))
	body = strings.ReplaceAll(body, `"results": [`, `"results": [{"columns": {"region": "VIC1"}, "data": [["2026-05-22T00:00:00+10:00", 1]]},`)
	body = strings.ReplaceAll(body, `"region": "NSW1"`, `"network_region": "NSW1"`)
	s, err := decode([]byte(body), reading(time.Hour))
	require.NoError(t, err)
	assert.InDelta(t, 650, s.Slots[0].GramsPerKWh, 1e-9)
}

func FuzzDecode(f *testing.F) {
	names, err := filepath.Glob("testdata/*.json")
	if err != nil || len(names) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range names {
		f.Add(file(f, filepath.Base(name)))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d := reading(4 * time.Hour)
		s, err := decode(body, d)
		if err != nil {
			e, ok := err.(*intensity.Error) //nolint:errorlint // decoders return their own
			require.True(t, ok, "%v", err)
			require.NotZero(t, e.Kind)
			return
		}
		require.NoError(t, s.Check())
		require.True(t, s.From.Equal(d.From) && s.To.Equal(d.To))
		again, err := decode(body, d)
		require.NoError(t, err)
		require.Equal(t, s, again)
	})
}
