package tables

import (
	"slices"
	"sync"

	"github.com/otelcarbon/otelcarbon/data"
)

// World is the zone of the world average in grids.csv.
const World = "WORLD"

// Grid is the mean intensity of one zone in one year, by one source.
type Grid struct {
	Zone        string  // WORLD, EU, ISO 3166-1 (DE), ISO 3166-2 (US-VA), US-eGRID-SRVC
	Type        string  // country, subdivision, egrid-subregion, region, world
	Name        string  // in English
	Country     string  // ISO 3166-1 alpha-2, "" for the world and the EU
	Subdivision string  // ISO 3166-2
	EMZone      string  // the zone key of Electricity Maps that means the same area, ""
	Year        int     // the year that G describes
	G           float64 // g CO2e/kWh
	Boundary    string  // lifecycle or direct
	Basis       string  // generation or consumption
	Gas         string  // co2e
	Source      string  // id in sources.csv
	Preferred   bool    // the one row of its zone and year to be used by default
	Latest      bool    // the newest preferred row of its zone
}

// Extrapolated says whether the row answers for a year that it does not describe:
// the table has no row for that year, and an older one (or, before the first year
// of the table, a younger one) stands in. Intensities move by a few per cent in a
// year, by half in a decade. Year 0 asks for the newest row and is never
// extrapolated.
func (g *Grid) Extrapolated(year int) bool { return year != 0 && year != g.Year }

// GridTable holds grids.csv.
type GridTable struct {
	rows  []Grid
	zones map[string]*gridZone
}

// gridZone has at most one row for each year in either list, oldest first.
type gridZone struct{ lifecycle, direct []*Grid }

// Grids returns the embedded grids.csv.
func Grids() *GridTable { return grids() }

var grids = sync.OnceValue(func() *GridTable { return parseGrids(data.Grids()) })

func parseGrids(text string) *GridTable {
	t := &GridTable{zones: make(map[string]*gridZone)}
	for r := range rows(text) {
		t.rows = append(t.rows, Grid{
			Zone:        r.text("zone"),
			Type:        r.text("zone_type"),
			Name:        r.text("name"),
			Country:     r.text("country_code"),
			Subdivision: r.text("subdivision_code"),
			EMZone:      r.text("electricity_maps_zone"),
			Year:        r.integer("year"),
			G:           r.number("g_per_kwh"),
			Boundary:    r.text("boundary"),
			Basis:       r.text("basis"),
			Gas:         r.text("gas"),
			Source:      r.text("source"),
			Preferred:   r.text("preferred") == "1",
			Latest:      r.text("latest") == "1",
		})
	}
	for i := range t.rows {
		g := &t.rows[i]
		z := t.zones[g.Zone]
		if z == nil {
			z = &gridZone{}
			t.zones[g.Zone] = z
		}
		z.add(g)
	}
	for i := range t.rows {
		g := &t.rows[i]
		for _, alias := range []string{g.EMZone, lower(g.Zone), lower(g.EMZone)} {
			if alias != "" && t.zones[alias] == nil {
				t.zones[alias] = t.zones[g.Zone]
			}
		}
	}
	return t
}

// add keeps g unless the list has a better row for its year: the preferred one
// first, then consumption before generation, because that is what a user of the
// grid draws.
func (z *gridZone) add(g *Grid) {
	list := &z.direct
	if g.Boundary == "lifecycle" {
		list = &z.lifecycle
	}
	i, found := slices.BinarySearchFunc(*list, g.Year, func(a *Grid, year int) int { return a.Year - year })
	switch {
	case !found:
		*list = slices.Insert(*list, i, g)
	case (*list)[i].Preferred:
	case g.Preferred || g.Basis == "consumption" && (*list)[i].Basis != "consumption":
		(*list)[i] = g
	}
}

// Lookup returns the intensity of a zone, nil if the table has none. The zone is
// one of grids.csv, an ISO 3166-1 or 3166-2 code, or a key of Electricity Maps
// that means the same area; case is ignored. Keys of Electricity Maps that name a
// part of a country's grid (US-MIDA-PJM) are not in this table: Zones gives the
// country that the caller may widen to.
//
// Boundary "lifecycle" or "direct" asks for that boundary, "" or "any" for the
// lifecycle row where the zone has any, else for the direct one. Year 0 asks for
// the newest row; another year for the newest row that is not younger, or, before
// the first, for the oldest: Grid.Extrapolated tells when that is another year.
// Of several sources for the same year the preferred one answers.
func (t *GridTable) Lookup(zone, boundary string, year int) *Grid {
	z := t.zones[zone]
	if z == nil {
		var buf [maxName]byte
		if z = t.zones[string(fold(&buf, zone, ""))]; z == nil {
			return nil
		}
	}
	var list []*Grid
	switch boundary {
	case "", "any":
		if list = z.lifecycle; len(list) == 0 {
			list = z.direct
		}
	case "lifecycle":
		list = z.lifecycle
	case "direct":
		list = z.direct
	}
	if len(list) == 0 {
		return nil
	}
	for i := len(list) - 1; i > 0; i-- {
		if year == 0 || list[i].Year <= year {
			return list[i]
		}
	}
	return list[0]
}

// Len returns the number of rows.
func (t *GridTable) Len() int { return len(t.rows) }
