package electricitymaps

import (
	"context"
	"slices"
	"strings"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/place"
	"github.com/otelcarbon/otelcarbon/internal/tables"
)

// Resolve returns the zone of a place, from tables alone: of a zone's key, a cloud region, a
// subdivision that is a zone or lies in a country of one, a country, or a position that
// lies in the box of one zone only. KindZone: the place is in none, or in more than one,
// of which nobody says which; the text names what would be right.
//
// A country that is several zones has, with the exception of Chile, a key for all of them,
// and that is what a country gets, with values flagged ZoneWidened. A subdivision of it is
// refused, because tables know more of it than the mean of the country does.
func (p *Provider) Resolve(_ context.Context, loc intensity.Location) (string, error) {
	if zone, err := p.subdivision(&loc); zone != "" || err != nil {
		return zone, err
	}
	loc.Subdivision = "" // codes of subdivisions look like keys of zones
	return place.Finder{
		Provider: id,
		Covers:   "zones with keys such as DE, DK-DK2 or US-MIDA-PJM, see app.electricitymaps.com",
		Own:      p.own,
	}.Find(loc)
}

// own reads a key. The tables may be older than the list that Access has read.
func (p *Provider) own(key string) (string, error) {
	if z := tables.Zones().Lookup(key); z != nil && !z.Retired {
		return z.Key, nil
	}
	if a := p.access.get(); a != nil {
		if _, ok := a.routes[key]; ok {
			return key, nil
		}
	}
	if key == "CL" {
		return "", place.Refuse(id, "Chile is four zones: want CL-SEN, the grid of most of it, CL-SEA, CL-SEM or CL-CHP")
	}
	return "", nil
}

// subdivision returns the zone of a subdivision where that is what the location says
// first; "" if it is not, or if its country is to be looked at.
func (p *Provider) subdivision(loc *intensity.Location) (string, error) {
	word := strings.ToUpper(strings.TrimSpace(loc.Subdivision))
	country, _, ok := strings.Cut(word, "-")
	switch said := strings.TrimSpace(loc.Country); {
	case !ok, strings.TrimSpace(loc.Zone) != "", said != "" && !strings.EqualFold(said, country):
		return "", nil
	}
	if c := tables.Clouds().Find(loc.CloudProvider, loc.CloudRegion, loc.CloudZone); c != nil && c.Zone+c.Country != "" {
		return "", nil
	}
	if g := tables.Grids().Lookup(word, "", 0); g != nil && g.Zone == word && g.EMZone != "" {
		return g.EMZone, nil
	}
	// Two provinces, Novara and Sondrio, have the codes of zones: North and South.
	if z := tables.Zones().Lookup(word); z != nil && !z.Retired && country != "IT" {
		return z.Key, nil
	}
	if place.Whole(country) || country == "CL" {
		return "", place.Refuse(id, "subdivision %s is no zone, and its country is several: set the zone, whose key looks like US-MIDA-PJM", word)
	}
	if slices.Contains(islands(), word) {
		return "", place.Refuse(id, "subdivision %s is not in the zone %s, which is the mainland only: set the zone", word, country)
	}
	return p.own(country)
}

// islands are subdivisions (ISO 3166-2) that the zone of their country does not reach,
// where the country has other zones.
func islands() []string {
	return []string{
		"ES-CN", "ES-GC", "ES-TF", "ES-IB", "ES-PM", // ES-CE and ES-ML are zones
		"FR-20R", "FR-2A", "FR-2B",
		"GB-ABC", "GB-AND", "GB-ANN", "GB-BFS", "GB-CCG", "GB-DRS", "GB-FMO", "GB-LBC", "GB-MEA", "GB-MUL", "GB-NMD", // of GB-NIR
		"NZ-CIT",
		"PT-20", "PT-30",
		"UA-40", "UA-43",
	}
}
