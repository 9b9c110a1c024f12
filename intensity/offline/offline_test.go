package offline_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/offline"
)

func provider(t testing.TB) *offline.Provider {
	t.Helper()
	p, err := offline.New(offline.Options{})
	require.NoError(t, err)
	return p
}

// peek returns the slot that holds the middle of a year.
func peek(t testing.TB, p *offline.Provider, loc intensity.Location, boundary intensity.Boundary, year int) *intensity.Slot {
	t.Helper()
	slots, err := p.Slots(intensity.Query{Location: loc, Want: intensity.Basis{Boundary: boundary}})
	require.NoError(t, err)
	g, err := intensity.NewGrid(slots, nil)
	require.NoError(t, err)
	s := g.Slot(time.Date(year, 7, 1, 0, 0, 0, 0, time.UTC))
	require.NotNil(t, s)
	return s
}

func cloud(provider, region string) intensity.Location {
	return intensity.Location{CloudProvider: provider, CloudRegion: region}
}

// Values copied by hand from clouds.csv.
func TestCloudRegionsHaveTheValueOfTheTable(t *testing.T) {
	p := provider(t)
	for _, c := range []struct {
		provider, region string
		grams            float64
		zone, source     string
		boundary         intensity.Boundary
		flow             intensity.Flow
		half             float64
	}{
		{"aws", "us-east-1", 327.17, "US-MIDA-PJM", "ember-2026", intensity.Lifecycle, intensity.Production, 0.35},
		{"aws", "eu-central-1", 329.65, "DE", "ember-2026", intensity.Lifecycle, intensity.Production, 0.35},
		{"azure", "westeurope", 253.56, "NL", "ember-2026", intensity.Lifecycle, intensity.Production, 0.35},
		{"azure", "swedencentral", 35.35, "SE-SE3", "ember-2026", intensity.Lifecycle, intensity.Production, 0.922772},    // (35.35 − 2.73) / 35.35
		{"gcp", "us-central1", 275.36, "US-MIDW-MISO", "ember-2026", intensity.Lifecycle, intensity.Production, 0.526293}, // (420.28 − 275.36) / 275.36
		{"gcp", "europe-west9", 41.45, "FR", "ember-2026", intensity.Lifecycle, intensity.Production, 0.606755},           // (41.45 − 16.30) / 41.45
		{"gcp", "southamerica-west1", 290.51, "CL-SEN", "ember-2026", intensity.Lifecycle, intensity.Production, 0.35},
		{"oracle_cloud", "uk-london-1", 217.41, "GB", "ember-2026", intensity.Lifecycle, intensity.Production, 0.512718}, // (217.41 − 105.94) / 217.41
		{"alibaba_cloud", "ap-northeast-1", 477.37, "JP-TK", "ember-2026", intensity.Lifecycle, intensity.Production, 0.35},
		{"tencent_cloud", "ap-singapore", 497.09, "SG", "ember-2026", intensity.Lifecycle, intensity.Production, 0.35},
		{"digitalocean", "nyc3", 383.55, "US-NY-NYIS", "owid-ember-2025", intensity.Lifecycle, intensity.Production, 0.35},
		{"hetzner", "fsn1", 329.65, "DE", "ember-2026", intensity.Lifecycle, intensity.Production, 0.35},
		{"scaleway_cloud", "fr-par", 41.45, "FR", "ember-2026", intensity.Lifecycle, intensity.Production, 0.606755},
		{"ibm_cloud", "eu-de", 329.65, "DE", "ember-2026", intensity.Lifecycle, intensity.Production, 0.35},
		// Canada and Australia: direct only.
		{"aws", "ca-central-1", 1.7, "CA-QC", "eccc-nir-2024", intensity.Direct, intensity.Consumption, 2.223529}, // (5.48 − 1.7) / 1.7
		{"azure", "canadacentral", 38, "CA-ON", "eccc-nir-2024", intensity.Direct, intensity.Consumption, 0},
		{"aws", "ap-southeast-2", 660, "AU-NSW", "au-nga-2024", intensity.Direct, intensity.Consumption, 0.35}, // (660 − 497.5) / 660 = 0.246
		{"azure", "australiasoutheast", 770, "AU-VIC", "au-nga-2024", intensity.Direct, intensity.Consumption, 0},
	} {
		t.Run(c.provider+" "+c.region, func(t *testing.T) {
			s := peek(t, p, cloud(c.provider, c.region), 0, 2026)
			assert.InDelta(t, c.grams, s.GramsPerKWh, 0)
			assert.Equal(t, "clouds_csv", s.Origin.Provider)
			assert.Equal(t, c.zone, s.Origin.ZoneServed)
			assert.Equal(t, c.provider+"/"+c.region, s.Origin.ZoneAsked)
			assert.Equal(t, c.source, s.Origin.Model)
			assert.Equal(t, intensity.Periodic, s.Quality)
			assert.Equal(t, intensity.Basis{Signal: intensity.Average, Boundary: c.boundary, Flow: c.flow, Gas: intensity.CO2e}, s.Basis)
			assert.Equal(t, intensity.Extrapolated, s.Flags, "no table describes 2026")
			if c.half != 0 {
				assert.InDelta(t, c.half, s.Spread.Half, 1e-6)
				assert.Equal(t, c.half > 0.35, s.Spread.From == "observed")
			}
		})
	}
}

func TestBoundaryIsNotCrossedInSilence(t *testing.T) {
	p := provider(t)
	quebec, virginia := cloud("aws", "ca-central-1"), cloud("aws", "us-east-1")
	for _, c := range []struct {
		name         string
		loc          intensity.Location
		boundary     intensity.Boundary
		grams        float64
		source, zone string
		flags        intensity.Flags
	}{
		{"lifecycle of Quebec is that of Canada", quebec, intensity.Lifecycle, 190.73, "grids_csv", "CA", intensity.ZoneWidened},
		{"direct of Quebec", quebec, intensity.Direct, 1.7, "clouds_csv", "CA-QC", 0},
		{"lifecycle of Virginia", virginia, intensity.Lifecycle, 327.17, "clouds_csv", "US-MIDA-PJM", 0},
		{"direct of Virginia is its eGRID subregion's", virginia, intensity.Direct, 270.49, "clouds_csv", "US-MIDA-PJM", 0},
		{"lifecycle of New South Wales by zone is that of Australia", intensity.Location{Zone: "AU-NSW"}, intensity.Lifecycle, 524.59, "grids_csv", "AU", intensity.ZoneWidened},
		{"direct of the US by zone", intensity.Location{Zone: "US"}, intensity.Direct, 349.67, "grids_csv", "US", 0},
		{"New York has a direct value only", intensity.Location{Subdivision: "US-NY"}, 0, 222.87, "grids_csv", "US-NY", 0},
		{"lifecycle of New York is that of the US", intensity.Location{Subdivision: "US-NY"}, intensity.Lifecycle, 383.55, "grids_csv", "US", intensity.ZoneWidened},
		{"an eGRID subregion", intensity.Location{Zone: "US-eGRID-SRVC"}, 0, 270.49, "grids_csv", "US-eGRID-SRVC", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := peek(t, p, c.loc, c.boundary, 2040)
			assert.InDelta(t, c.grams, s.GramsPerKWh, 0)
			assert.Equal(t, c.source, s.Origin.Provider)
			assert.Equal(t, c.zone, s.Origin.ZoneServed)
			assert.Equal(t, c.flags|intensity.Extrapolated, s.Flags)
			if c.boundary != 0 {
				assert.Equal(t, c.boundary, s.Basis.Boundary)
			}
			if c.flags != 0 {
				assert.InDelta(t, 0.55, s.Spread.Half, 1e-12) // 0.35 for a year, 0.20 for the wider zone
			}
		})
	}
}

func TestBasisThatNoTableHas(t *testing.T) {
	p := provider(t)
	for name, want := range map[string]intensity.Basis{
		"marginal":                         {Signal: intensity.Marginal},
		"CO2 without the other gases":      {Gas: intensity.CO2},
		"direct, which Germany lacks":      {Boundary: intensity.Direct},
		"consumption, which Ember has not": {Flow: intensity.Consumption},
	} {
		_, err := p.Slots(intensity.Query{Location: intensity.Location{Country: "DE"}, Want: want})
		require.ErrorIs(t, err, intensity.KindBasis, name)
		require.ErrorContains(t, err, "offline DE", name)
	}
	slots, err := p.Slots(intensity.Query{Location: cloud("aws", "ca-central-1"), Want: intensity.Basis{Flow: intensity.Consumption}})
	require.NoError(t, err)
	assert.InDelta(t, 1.7, slots[0].GramsPerKWh, 0, "the Canadian figure is of consumption")
}

// Values copied by hand from grids.csv.
func TestTheYearOfThePointDecides(t *testing.T) {
	p := provider(t)
	for _, c := range []struct {
		name   string
		loc    intensity.Location
		year   int
		grams  float64
		source string
		flags  intensity.Flags
	}{
		{"its own year", intensity.Location{Country: "FR"}, 2022, 78.55, "ember-2026", 0},
		{"an older publisher where the newer begins later", intensity.Location{Country: "FR"}, 2019, 59.79, "owid-ember-2025", 0},
		{"the newest year", intensity.Location{Country: "FR"}, 2025, 41.45, "ember-2026", 0},
		{"after the newest", intensity.Location{Country: "FR"}, 2026, 41.45, "ember-2026", intensity.Extrapolated},
		{"long after the newest", intensity.Location{Country: "FR"}, 2300, 41.45, "ember-2026", intensity.Extrapolated},
		{"before the oldest", intensity.Location{Country: "FR"}, 2001, 59.92, "owid-ember-2025", intensity.Extrapolated},
		{"before the nanoseconds of an int64", intensity.Location{Country: "FR"}, 1500, 59.92, "owid-ember-2025", intensity.Extrapolated},
		{"a country without a key of Electricity Maps", intensity.Location{Country: "CL"}, 2024, 260.89, "ember-2026", 0},
		{"a table that ends early", intensity.Location{Country: "HK"}, 2024, 681.99, "owid-ember-2025", intensity.Extrapolated},
		{"a subdivision", intensity.Location{Subdivision: "US-VA"}, 2023, 302.97, "ember-2026", 0},
		{"a subdivision before its first lifecycle year", intensity.Location{Subdivision: "US-VA"}, 2021, 321.4, "ember-2026", intensity.Extrapolated},
		{"a cloud region in its year", cloud("aws", "us-east-1"), 2025, 327.17, "ember-2026", 0},
		{"a cloud region before its year", cloud("aws", "us-east-1"), 2024, 327.17, "ember-2026", intensity.Extrapolated},
		{"the world", intensity.Location{Zone: "WORLD"}, 2024, 473.01, "owid-ember-2025", 0},
		{"the European Union", intensity.Location{Zone: "EU"}, 2024, 213.31, "owid-ember-2025", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := peek(t, p, c.loc, 0, c.year)
			assert.InDelta(t, c.grams, s.GramsPerKWh, 0)
			assert.Equal(t, c.source, s.Origin.Model)
			assert.Equal(t, c.flags, s.Flags)
		})
	}
}

func TestYearsBeginInUTC(t *testing.T) {
	slots, err := provider(t).Slots(intensity.Query{Location: intensity.Location{Country: "FR"}})
	require.NoError(t, err)
	g, err := intensity.NewGrid(slots, nil)
	require.NoError(t, err)
	border := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	assert.InDelta(t, 40.49, g.Slot(border.Add(-1)).GramsPerKWh, 0)
	assert.InDelta(t, 41.45, g.Slot(border).GramsPerKWh, 0)
	start, end := intensity.Always()
	require.NoError(t, g.Series(start, end, nil).Check())
	assert.Empty(t, g.Series(start, end, nil).Gaps)
}

func TestCarbonOfAKnownHost(t *testing.T) {
	// 1 kWh in each of 2024 and 2025, over new year: 40.49 + 41.45 g.
	slots, err := provider(t).Slots(intensity.Query{Location: intensity.Location{Country: "FR"}})
	require.NoError(t, err)
	border := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	e := intensity.Integrate(
		[]intensity.Use{{Start: border.Add(-time.Hour), End: border.Add(time.Hour), Joules: 7.2e6}},
		intensity.Series{Slots: slots})
	assert.InDelta(t, 81.94, e.Grams, 1e-9)
	assert.InDelta(t, 0.35, e.Half, 1e-12, "two years of one table err together")
}

func TestUsersTable(t *testing.T) {
	const table = "cloud.provider,cloud.region,lifecycle_carbon_intensity_g_per_kwh,pue_ratio\n" +
		"acme,basement-1,12.5,1.6\n"
	p, err := offline.New(offline.Options{Clouds: strings.NewReader(table), CloudsName: "mine.csv"})
	require.NoError(t, err)
	s := peek(t, p, cloud("acme", "basement-1"), 0, 2026)
	assert.InDelta(t, 12.5, s.GramsPerKWh, 0)
	assert.Equal(t, "clouds_csv", s.Origin.Provider)
	assert.Equal(t, "acme/basement-1", s.Origin.ZoneServed, "the table names no zone")
	assert.Zero(t, s.Flags, "it names no year, so no year is another one")
	r := p.Explain(cloud("acme", "basement-1"))
	assert.InDelta(t, 1.6, r.PUE, 0)
	assert.Zero(t, r.WUE)

	r = p.Explain(cloud("aws", "us-east-1"))
	assert.False(t, r.Known, "it takes the place of the embedded table")
}

func TestMistakesInAUsersTableAreNamed(t *testing.T) {
	const table = "cloud.provider,cloud.region,lifecycle_carbon_intensity_g_per_kwh\n" +
		"acme,basement-1,plenty\n"
	_, err := offline.New(offline.Options{Clouds: strings.NewReader(table), CloudsName: "mine.csv"})
	require.ErrorContains(t, err, "mine.csv:2:")
	require.ErrorContains(t, err, "plenty")
	_, err = offline.New(offline.Options{Clouds: strings.NewReader("")})
	require.ErrorContains(t, err, "clouds table")
}

func TestTheRepositorysTableIsAUsersTable(t *testing.T) {
	f, err := os.Open(filepath.Join("..", "..", "clouds.csv"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, f.Close()) })
	p, err := offline.New(offline.Options{Clouds: f, CloudsName: f.Name()})
	require.NoError(t, err)
	for _, region := range []intensity.Location{cloud("aws", "us-east-1"), cloud("azure", "canadaeast"), cloud("hetzner", "eu-central")} {
		assert.Equal(t, peek(t, provider(t), region, 0, 2026), peek(t, p, region, 0, 2026))
	}
}

func TestHalfWidthsAreConfigurable(t *testing.T) {
	w := intensity.DefaultHalfWidths()
	w.Yearly, w.Widened = 0.1, 0.05
	p, err := offline.New(offline.Options{HalfWidths: w})
	require.NoError(t, err)
	assert.InDelta(t, 0.1, peek(t, p, intensity.Location{Country: "DE"}, 0, 2026).Spread.Half, 1e-12)
	assert.InDelta(t, 0.15, peek(t, p, intensity.Location{Zone: "DK-DK1"}, 0, 2026).Spread.Half, 1e-12)
	w.Yearly = -1
	_, err = offline.New(offline.Options{HalfWidths: w})
	require.ErrorIs(t, err, intensity.KindConfig)
}

func TestProviderInterface(t *testing.T) {
	p, ctx := provider(t), t.Context()
	assert.False(t, p.Caps().Network)
	for _, c := range []struct {
		loc  intensity.Location
		want string
	}{
		{cloud("aws", "us-east-1"), "aws/us-east-1"},
		{intensity.Location{CloudProvider: "gcp", CloudZone: "us-central1-a"}, "gcp/us-central1"},
		{intensity.Location{Zone: "US-MIDA-PJM"}, "US"},
		{intensity.Location{Subdivision: "AU-NSW"}, "AU-NSW"},
		{intensity.Location{}, "WORLD"},
	} {
		zone, err := p.Resolve(ctx, c.loc)
		require.NoError(t, err)
		assert.Equal(t, c.want, zone)
		from := time.Date(2023, 6, 1, 0, 0, 0, 0, time.UTC)
		s, err := p.Fetch(ctx, zone, from, from.AddDate(1, 0, 0))
		require.NoError(t, err)
		require.NoError(t, s.Check())
		assert.NotEmpty(t, s.Slots)
		assert.Empty(t, s.Gaps)
	}
	_, err := p.Resolve(ctx, intensity.Location{Zone: "FRR"})
	require.ErrorIs(t, err, intensity.KindZone)
	_, err = p.Fetch(ctx, "aws/us-east-9", time.Time{}, time.Now())
	require.ErrorIs(t, err, intensity.KindZone)
}
