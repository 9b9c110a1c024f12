package offline

import (
	"slices"
	"strings"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/internal/tables"
)

// Explain tells how a location is read, without looking at values of a particular
// boundary. It is pure and safe for concurrent use, but no hot path: it builds
// text. Take a Handle for that.
func (p *Provider) Explain(loc intensity.Location) *Resolution {
	r := &Resolution{Known: true}
	row := p.clouds.Find(loc.CloudProvider, loc.CloudRegion, loc.CloudZone)
	if row != nil {
		r.PUE, r.WUE = row.PUE.V, row.WUE.V
	}
	switch {
	case p.zone(r, loc.Zone):
	case p.cloud(r, loc, row):
	case p.country(r, loc.Country, loc.Subdivision):
	case p.point(r, loc.Point):
	case p.standIn(r, loc.Default):
	case r.Asked == "":
		r.say("no place was given")
	}
	return r
}

// Each of the following reports whether its field leads to a place with a value.

func (p *Provider) zone(r *Resolution, zone string) bool {
	if zone = strings.TrimSpace(zone); zone == "" {
		return false
	}
	r.ask(shorten(zone))
	if g := p.grids.Lookup(zone, "", 0); g != nil {
		r.say("zone %s", g.Zone)
		return p.withParents(r, g)
	}
	if z := p.zones.Lookup(zone); z != nil {
		if z.Retired {
			r.problem("%v", p.zones.Problem(zone))
		} else {
			r.say("zone %s has no yearly value of its own", z.Key)
		}
		return p.widen(r, z.Country)
	}
	r.unknown("%v", p.zones.Problem(zone))
	prefix, _, _ := strings.Cut(zone, "-")
	return p.widen(r, prefix)
}

func (p *Provider) cloud(r *Resolution, loc intensity.Location, row *tables.Cloud) bool {
	if loc.CloudProvider == "" && loc.CloudRegion == "" && loc.CloudZone == "" {
		return false
	}
	region := loc.CloudRegion
	if region == "" {
		region = loc.CloudZone
	}
	name := shorten(loc.CloudProvider) + "/" + shorten(region)
	r.ask(name)
	if row == nil {
		p.noRegion(r, loc, name, region)
		return false
	}
	name = row.Provider + "/" + row.Region
	r.say("cloud region %s", name)
	r.Cloud, r.row = name, row
	if g := p.grids.Lookup(row.Subdivision, "", 0); g != nil {
		r.add(g.Zone, false)
	}
	if g := p.grids.Lookup(row.Country, "", 0); g != nil {
		r.add(g.Zone, row.Zone != g.Zone)
	}
	if len(r.Zones) == 0 && !row.Lifecycle.OK && !row.Direct.OK {
		r.say("it has neither a value nor a country with one")
		r.Cloud, r.row = "", nil
		return false
	}
	return true
}

func (p *Provider) noRegion(r *Resolution, loc intensity.Location, name, region string) {
	switch near := p.clouds.Nearest(loc.CloudProvider, region); {
	case loc.CloudProvider == "":
		r.unknown("cloud region %q comes without its provider: set cloud.provider", shorten(region))
	case region == "":
		r.unknown("cloud provider %q comes without a region: set cloud.region", shorten(loc.CloudProvider))
	case near != "":
		r.unknown("cloud region %q is not in the table: did you mean %s?", name, near)
	default:
		r.unknown("cloud region %q is not in the table", name)
	}
}

func (p *Provider) country(r *Resolution, country, subdivision string) bool {
	country, subdivision = strings.TrimSpace(country), strings.TrimSpace(subdivision)
	if subdivision != "" {
		prefix, _, _ := strings.Cut(subdivision, "-")
		switch {
		case country != "" && !strings.EqualFold(prefix, country):
			r.say("subdivision %s is not in %s and was left out", shorten(subdivision), shorten(country))
			subdivision = ""
		case country == "":
			country = prefix
		}
	}
	if subdivision != "" {
		r.ask(shorten(subdivision))
		if g := p.grids.Lookup(subdivision, "", 0); g != nil && g.Country != "" {
			r.say("subdivision %s", g.Zone)
			return p.withParents(r, g)
		}
		r.say("subdivision %s has no yearly value of its own", shorten(subdivision))
		if p.widen(r, country) {
			return true
		}
	}
	if country == "" {
		return false
	}
	r.ask(shorten(country))
	if g := p.grids.Lookup(country, "", 0); g != nil && g.Zone == g.Country {
		r.say("country %s", g.Zone)
		r.add(g.Zone, false)
		return true
	}
	if z := p.zones.Lookup(country); z != nil && z.Key == z.Country {
		r.say("country %s has no yearly value", z.Key)
		return false
	}
	r.unknown("country %q is unknown: use the two letters of ISO 3166-1, such as %s", shorten(country), likely(country))
	return false
}

// standIn reads the default, which is a zone like any other.
func (p *Provider) standIn(r *Resolution, zone string) bool {
	if strings.TrimSpace(zone) == "" {
		return false
	}
	r.say("the default")
	return p.zone(r, zone)
}

// withParents adds a zone that has values and the wider ones around it.
func (p *Provider) withParents(r *Resolution, g *tables.Grid) bool {
	r.add(g.Zone, false)
	for _, parent := range []string{g.Subdivision, g.Country} {
		if w := p.grids.Lookup(parent, "", 0); w != nil {
			r.add(w.Zone, true)
		}
	}
	return true
}

// widen adds a country in place of something narrower.
func (p *Provider) widen(r *Resolution, country string) bool {
	g := p.grids.Lookup(country, "", 0)
	if g == nil || g.Zone != g.Country { // not a country: WORLD-X is not in the world's grid
		return false
	}
	r.say("its country %s", g.Zone)
	r.add(g.Zone, true)
	return true
}

func (r *Resolution) ask(what string) {
	if r.Asked == "" {
		r.Asked = what
	}
}

func (r *Resolution) add(zone string, widened bool) {
	if !slices.Contains(r.Zones, zone) {
		r.Zones, r.widened = append(r.Zones, zone), append(r.widened, widened)
	}
}

// likely is the code that people mean by one of theirs.
func likely(country string) string {
	switch strings.ToUpper(country) {
	case "UK", "GBR":
		return "GB"
	case "EL":
		return "GR"
	case "USA":
		return "US"
	}
	return "DE or US"
}

// shorten keeps words from outside fit for a text.
func shorten(s string) string {
	const most = 60
	s = intensity.Scrub(s)
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
