package offline

import (
	"slices"
	"strconv"
	"strings"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// point answers only if the boxes leave no doubt about the country. A box is no
// border: the nearest center, or the smallest box, would often be the neighbor's.
func (p *Provider) point(r *Resolution, at *intensity.LatLon) bool {
	if at == nil {
		return false
	}
	name := degrees(at.Lat) + "," + degrees(at.Lon)
	r.ask(name)
	if !(at.Lat >= -90 && at.Lat <= 90 && at.Lon >= -180 && at.Lon <= 180) {
		r.unknown("position %s is not on earth: latitude runs from -90 to 90, longitude from -180 to 180 degrees", name)
		return false
	}
	var zones, countries []string
	for _, z := range p.zones.Around(nil, at.Lat, at.Lon) {
		if z.Box.MaxLon-z.Box.MinLon > 180 {
			continue // crosses the date line: the box runs around the earth the wrong way
		}
		zones = append(zones, z.Key)
		if !slices.Contains(countries, z.Country) {
			countries = append(countries, z.Country)
		}
	}
	slices.Sort(zones)
	switch {
	case len(zones) == 0:
		r.unknown("position %s lies in the box of no zone", name)
		return false
	case len(countries) > 1:
		r.unknown("position %s lies in the boxes of %s: set a zone or a country", name, some(zones))
		return false
	}
	r.say("position %s lies in the box of %s and of no other country", name, some(zones))
	if g := p.grids.Lookup(zones[0], "", 0); len(zones) == 1 && g != nil {
		r.add(g.Zone, true) // a box is wider than its zone
	}
	if g := p.grids.Lookup(countries[0], "", 0); g != nil {
		r.add(g.Zone, true)
	}
	return len(r.Zones) > 0
}

func degrees(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func some(zones []string) string {
	const most = 8
	if len(zones) > most {
		return strings.Join(zones[:most], ", ") + " and " + strconv.Itoa(len(zones)-most) + " more"
	}
	return strings.Join(zones, ", ")
}
