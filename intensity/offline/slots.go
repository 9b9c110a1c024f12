package offline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/tables"
)

// Slots returns one slot for each year that a table knows and one for the time
// before and after, so that they cover all of time. KindBasis: neither the place
// nor what lies around it has a value of the wanted basis.
func (p *Provider) Slots(q intensity.Query) ([]*intensity.Slot, error) {
	r := p.Explain(q.Location)
	if p.Caps().Offers(q.Want) {
		if slots := p.fromCloud(r, q.Want); slots != nil {
			return slots, nil
		}
		for i, zone := range r.Zones {
			if slots := p.fromGrid(r, zone, r.widened[i], q.Want); slots != nil {
				return slots, nil
			}
		}
		r.say("the world stands in")
		if slots := p.fromGrid(r, tables.World, true, q.Want); slots != nil {
			return slots, nil
		}
	}
	return nil, &intensity.Error{
		Kind: intensity.KindBasis, Provider: id, Zone: r.Asked,
		Detail: fmt.Sprintf("the tables have no value that is %s for it or for a place around it: leave the boundary open or add a provider", q.Want),
	}
}

func (p *Provider) fromCloud(r *Resolution, want intensity.Basis) []*intensity.Slot {
	if r.row == nil {
		return nil
	}
	v, boundary := &r.row.Lifecycle, intensity.Lifecycle
	if want.Boundary == intensity.Direct || want.Boundary == 0 && !v.OK {
		v, boundary = &r.row.Direct, intensity.Direct
	}
	basis := intensity.Basis{Signal: intensity.Average, Boundary: boundary, Flow: flowOf(v.Source), Gas: intensity.CO2e}
	if !v.OK || !want.Accepts(basis) {
		r.say("which has no value that is %s", want)
		return nil
	}
	s := intensity.Slot{
		GramsPerKWh: v.V, Basis: basis, Quality: intensity.Periodic,
		Spread: p.observed(r.row, v.V),
		Origin: r.origin(names.SourceCloudsCSV, r.row.Zone, v.Source),
	}
	if s.Origin.ZoneServed == "" {
		s.Origin.ZoneServed = r.row.Country
	}
	if s.Origin.ZoneServed == "" {
		s.Origin.ZoneServed = r.Cloud
	}
	area := v.Area
	if area == "" {
		area = s.Origin.ZoneServed
	}
	return yearly([]year{{number: v.Year, slot: s, area: area}})
}

func (p *Provider) fromGrid(r *Resolution, zone string, widened bool, want intensity.Basis) []*intensity.Slot {
	var years []year
	for _, g := range p.years(zone, want.Boundary.String()) {
		s := intensity.Slot{
			GramsPerKWh: g.G, Basis: basisOf(g), Quality: intensity.Periodic,
			Origin: r.origin(names.SourceGridsCSV, g.Zone, g.Source),
		}
		if g.Zone == tables.World {
			s.Origin.Provider = names.SourceWorldAverage
		}
		if widened {
			s.Flags = intensity.ZoneWidened
		}
		s.Spread = p.widths.Spread(intensity.Periodic, intensity.Circumstances{
			Length: aYear, Widened: widened, World: widened && g.Zone == tables.World,
		})
		if !want.Accepts(s.Basis) {
			break // all years have one basis
		}
		years = append(years, year{number: g.Year, slot: s, area: g.Zone})
	}
	if years == nil {
		r.say("%s has no value that is %s", zone, want)
		return nil
	}
	return yearly(years)
}

const aYear = 365 * 24 * time.Hour

// observed is the half-width of a yearly value, or the distance to the farthest
// other figure for the same region where that is more. The figures differ in
// method and some in boundary: it is a spread, not a confidence interval.
func (p *Provider) observed(c *tables.Cloud, grams float64) intensity.Spread {
	s := p.widths.Spread(intensity.Periodic, intensity.Circumstances{Length: aYear})
	if !c.HasRange || grams <= 0 {
		return s
	}
	if half := max(c.Max-grams, grams-c.Min) / grams; half > s.Half {
		return intensity.Spread{Half: half, From: "observed"}
	}
	return s
}

// years returns the rows of a zone, oldest first, all of the basis of the newest.
func (p *Provider) years(zone, boundary string) []*tables.Grid {
	newest := p.grids.Lookup(zone, boundary, 0)
	if newest == nil {
		return nil
	}
	rows := []*tables.Grid{newest}
	for last := newest; ; {
		g := p.grids.Lookup(zone, newest.Boundary, last.Year-1)
		if g == nil || g.Year >= last.Year {
			break
		}
		if last = g; basisOf(g) == basisOf(newest) {
			rows = append(rows, g)
		}
	}
	slices.Reverse(rows)
	return rows
}

// year is a value and the calendar year that it describes; 0 if nobody says.
type year struct {
	number int
	slot   intensity.Slot // without interval
	area   string         // what the value was published for
}

// yearly lays values, oldest first, over all of time.
func yearly(years []year) []*intensity.Slot {
	begin, end := intensity.Always()
	newYear := func(n int) time.Time { return time.Date(n, time.January, 1, 0, 0, 0, 0, time.UTC) }
	var slots []*intensity.Slot
	add := func(y year, from, to time.Time, flags intensity.Flags) {
		if !from.Before(to) {
			return
		}
		s := y.slot
		s.Start, s.End = from, to
		s.Flags |= flags
		s.Origin.Why += fmt.Sprintf("; value of %s", y.area)
		if y.number != 0 {
			s.Origin.Why += fmt.Sprintf(" for %d", y.number)
		}
		s.Origin.Why += " from " + s.Origin.Model
		slots = append(slots, &s)
	}
	for i, y := range years {
		if y.number == 0 {
			add(y, begin, end, 0)
			return slots
		}
		if i == 0 {
			add(y, begin, newYear(y.number), intensity.Extrapolated)
		}
		next := end
		if i+1 < len(years) {
			next = newYear(years[i+1].number)
		}
		add(y, newYear(y.number), newYear(y.number+1), 0)
		add(y, newYear(y.number+1), next, intensity.Extrapolated)
	}
	return slots
}

func (r *Resolution) origin(source, zone, model string) intensity.Origin {
	return intensity.Origin{
		Provider: source, ZoneAsked: r.Asked, ZoneServed: zone,
		Method: "annual mean", Model: model, Why: r.Why(),
	}
}

func basisOf(g *tables.Grid) intensity.Basis {
	b := intensity.Basis{Signal: intensity.Average, Flow: intensity.Production, Gas: intensity.CO2e}
	if g.Boundary == "lifecycle" {
		b.Boundary = intensity.Lifecycle
	} else {
		b.Boundary = intensity.Direct
	}
	if g.Basis == "consumption" {
		b.Flow = intensity.Consumption
	}
	return b
}

// flowOf tells whose electricity a figure of clouds.csv describes, where the
// publisher says so.
func flowOf(source string) intensity.Flow {
	switch {
	case strings.HasPrefix(source, "ember-"), strings.HasPrefix(source, "owid-"), strings.HasPrefix(source, "epa-egrid"):
		return intensity.Production
	case strings.HasPrefix(source, "eccc-"), strings.HasPrefix(source, "au-nga-"):
		return intensity.Consumption
	}
	return 0
}
