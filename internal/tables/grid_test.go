package tables

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Values copied by hand from grids.csv.
func TestGridOfAZone(t *testing.T) {
	for _, c := range []struct {
		name           string
		zone, boundary string
		year           int
		g              float64 // 0: no row
		wantYear       int
		wantBoundary   string
		source         string
		extrapolated   bool
	}{
		{"newest row of a country", "DE", "any", 0, 329.65, 2025, "lifecycle", "ember-2026", false},
		{"no boundary is any", "DE", "", 0, 329.65, 2025, "lifecycle", "ember-2026", false},
		{"exact year", "DE", "any", 2019, 392.49, 2019, "lifecycle", "owid-ember-2025", false},
		{"two sources in a year: the preferred one, not 371.31", "DE", "any", 2023, 363.59, 2023, "lifecycle", "ember-2026", false},
		{"after the last year: the newest", "DE", "any", 2031, 329.65, 2025, "lifecycle", "ember-2026", true},
		{"before the first year: the oldest", "DE", "any", 1999, 454.55, 2018, "lifecycle", "owid-ember-2025", true},
		{"lower case", "de", "any", 0, 329.65, 2025, "lifecycle", "ember-2026", false},
		{"country without a direct row", "DE", "direct", 0, 0, 0, "", "", false},
		{"country with both: lifecycle by default", "US", "any", 2023, 392.85, 2023, "lifecycle", "owid-ember-2025", false},
		{"country with both: direct when asked", "US", "direct", 2023, 349.67, 2023, "direct", "epa-egrid", false},
		{"direct ends earlier than lifecycle", "US", "direct", 2025, 349.67, 2023, "direct", "epa-egrid", true},
		{"neither direct row is preferred: consumption, not 120 of generation", "CA", "direct", 2018, 130, 2018, "direct", "eccc-nir-2024", false},
		{"lifecycle where both exist", "CA", "lifecycle", 0, 190.73, 2025, "lifecycle", "ember-2026", false},
		{"only direct: any gives it", "CA-QC", "any", 0, 1.7, 2022, "direct", "eccc-nir-2024", false},
		{"only direct: lifecycle refuses it", "CA-QC", "lifecycle", 0, 0, 0, "", "", false},
		{"subdivision", "US-VA", "any", 2023, 302.97, 2023, "lifecycle", "ember-2026", false},
		{"subdivision, other boundary", "US-VA", "direct", 0, 267.61, 2022, "direct", "epa-egrid-state", false},
		{"eGRID subregion", "US-eGRID-SRVC", "direct", 0, 270.49, 2023, "direct", "epa-egrid", false},
		{"eGRID subregion in capitals", "US-EGRID-SRVC", "direct", 2022, 283.89, 2022, "direct", "epa-egrid", false},
		{"Australian state", "AU-NSW", "any", 0, 660, 2024, "direct", "au-nga-2024", false},
		{"European Union", "EU", "any", 0, 213.31, 2024, "lifecycle", "owid-ember-2025", false},
		{"world", World, "any", 0, 473.01, 2024, "lifecycle", "owid-ember-2025", false},
		{"world in an old year", World, "lifecycle", 2020, 491.97, 2020, "lifecycle", "owid-ember-2025", false},
		{"world has no direct row", World, "direct", 0, 0, 0, "", "", false},
		{"part of a grid is not a grid", "US-MIDA-PJM", "any", 0, 0, 0, "", "", false},
		{"unknown zone", "ZZ", "any", 0, 0, 0, "", "", false},
		{"no zone", "", "any", 0, 0, 0, "", "", false},
		{"unknown boundary", "DE", "marginal", 0, 0, 0, "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Grids().Lookup(c.zone, c.boundary, c.year)
			if c.g == 0 {
				require.Nil(t, r)
				return
			}
			require.NotNil(t, r)
			require.InDelta(t, c.g, r.G, 0)
			require.Equal(t, c.wantYear, r.Year)
			require.Equal(t, c.wantBoundary, r.Boundary)
			require.Equal(t, c.source, r.Source)
			require.Equal(t, c.extrapolated, r.Extrapolated(c.year))
		})
	}
}

func TestAllOfAGridIsRead(t *testing.T) {
	require.Equal(t, Grid{
		Zone: "CA-QC", Type: "subdivision", Name: "Québec", Country: "CA", Subdivision: "CA-QC", EMZone: "CA-QC",
		Year: 2022, G: 1.7, Boundary: "direct", Basis: "consumption", Gas: "co2e", Source: "eccc-nir-2024", Preferred: true, Latest: true,
	}, *Grids().Lookup("CA-QC", "any", 0))
	require.Equal(t, 1821, Grids().Len())
}

// Whatever the table says, every zone answers for every year, and the default is
// the row that the table prefers wherever that has the boundary of the zone.
func TestEveryZoneAnswersForEveryYear(t *testing.T) {
	for i := range Grids().rows {
		g := &Grids().rows[i]
		for _, boundary := range []string{"any", g.Boundary} {
			for year := 2010; year < 2040; year++ {
				r := Grids().Lookup(g.Zone, boundary, year)
				require.NotNil(t, r)
				require.Equal(t, g.Zone, r.Zone)
				require.Equal(t, r.Year != year, r.Extrapolated(year))
			}
		}
		if g.Preferred {
			require.Same(t, g, Grids().Lookup(g.Zone, g.Boundary, g.Year))
		}
		if g.Latest && g.Boundary == "lifecycle" {
			require.Same(t, g, Grids().Lookup(g.Zone, "any", 0))
		}
		if g.Subdivision != "" && g.Zone == g.Subdivision {
			require.NotNil(t, Grids().Lookup(g.Subdivision, "any", g.Year))
		}
		if g.EMZone != "" {
			require.Equal(t, g.Zone, Grids().Lookup(g.EMZone, "any", g.Year).Zone)
		}
	}
}

// A user reaches an intensity from the zone of every region: directly, or by the
// country of the zone.
func TestZonesOfRegionsLeadToAGrid(t *testing.T) {
	for c := range Clouds().All() {
		if c.Zone == "" {
			continue
		}
		z := Zones().Lookup(c.Zone)
		require.NotNil(t, z, "%s", c.Zone)
		if Grids().Lookup(c.Zone, "any", 0) == nil {
			require.NotNil(t, Grids().Lookup(z.Country, "any", 0), "%s", c.Zone)
		}
	}
}

func TestZone(t *testing.T) {
	require.Equal(t, Zone{
		Key: "US-MIDA-PJM", Name: "PJM Interconnection, Llc", Country: "US", CountryName: "USA",
		Box: Box{MinLon: -90.2907, MinLat: 35.3093, MaxLon: -73.9537, MaxLat: 42.5076}, BoxBasis: "geometry",
		Lat: 39.4412, Lon: -80.7484, Centered: true, Source: "em-contrib-mit",
	}, *Zones().Lookup("US-MIDA-PJM"))
	require.Same(t, Zones().Lookup("US-MIDA-PJM"), Zones().Lookup("us-mida-pjm"))
	require.True(t, Zones().Lookup("IN-KA").Retired)
	require.Equal(t, "IN", Zones().Lookup("IN-KA").Country)
	require.Empty(t, Zones().Lookup("CA").BoxBasis)
	require.Nil(t, Zones().Lookup("ZZ"))
	require.Nil(t, Zones().Lookup(""))
}

func TestZoneProblemSaysWhatWouldBeRight(t *testing.T) {
	require.NoError(t, Zones().Problem("DE"))
	require.EqualError(t, Zones().Problem("uk"), `zone "uk" is unknown: did you mean GB?`)
	require.EqualError(t, Zones().Problem("US-MIDA-PJN"), `zone "US-MIDA-PJN" is unknown: did you mean US-MIDA-PJM?`)
	require.EqualError(t, Zones().Problem("MX-BC"), `zone "MX-BC" is retired: use a current zone of the same country: MX`)
	require.EqualError(t, Zones().Problem("IQ-KUR"), `zone "IQ-KUR" is retired: use a current zone of the same country: IQ`)
	require.EqualError(t, Zones().Problem("NKR"), `zone "NKR" is retired and no current zone is known in its place`)
	require.EqualError(t, Zones().Problem("somewhere over the rainbow"),
		`zone "somewhere over the rainbow" is unknown: use a key of Electricity Maps such as DE or US-MIDA-PJM, or a country code`)
	require.ErrorContains(t, Zones().Problem("IN-KA"), "IN-SO")
}

func TestAroundListsCandidates(t *testing.T) {
	// Andorra la Vella, 42.5063 N 1.5218 E: inside the boxes of Andorra, France, Spain.
	var keys []string
	for _, z := range Zones().Around(nil, 42.5063, 1.5218) {
		keys = append(keys, z.Key)
	}
	require.NotEmpty(t, keys)
	require.Equal(t, "AD", keys[0], "the smallest box comes first")
	require.Contains(t, keys, "ES")
	require.Contains(t, keys, "FR")
	require.Empty(t, Zones().Around(nil, 0, -30), "the middle of the Atlantic")
	require.Len(t, Zones().Around(make([]*Zone, 1), 0, -30), 1, "what was there stays")
}
