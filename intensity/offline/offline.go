// Package offline is the intensity provider that needs no network: yearly values
// from embedded tables, for 326 cloud regions, 212 countries, 77 subdivisions and
// the world.
//
// A place is looked for in the order of the fields of intensity.Location: zone,
// cloud region, subdivision and country, position, default. The first that leads
// anywhere decides; then the value is, in this order, that of
//
//   - the cloud region, source clouds_csv, if the place is one;
//   - the subdivision or country, source grids_csv;
//   - the world, source world_average.
//
// A query for lifecycle or for direct values passes over the others, and reaches
// the wider place instead: Quebec has a direct value only, so its lifecycle value
// is that of Canada. A query that leaves the boundary open gets the lifecycle
// value of the narrowest place that has a value, else its direct one. Lifecycle
// values exist for the whole world, so that such a query always has an answer;
// there is no direct value for the world, so that a direct query may fail with
// KindBasis, as a marginal one always does.
//
// Unknown zones and regions are no errors here, because energy has to be priced:
// they widen to the country in their name, then to the world, with the flag
// ZoneWidened and a reason in Origin.Why. A program that reads a zone from its
// configuration calls [Provider.Explain] first and refuses it, or warns.
//
// Values are means of a calendar year in UTC. Another year than those in the
// table gets the newest older one, or the oldest, with the flag Extrapolated.
// Origin.ZoneServed names the zone that a value is for: the row's zone in
// grids.csv, WORLD, and for a cloud region its grid zone in the spelling of
// Electricity Maps, or its country.
package offline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/internal/tables"
)

// Options of a Provider. The zero value is usable.
type Options struct {
	// Clouds is a table that takes the place of the embedded one, with the columns
	// of clouds.csv of which only cloud.provider, cloud.region and an intensity are
	// required. It is read once, by New. CloudsName is what errors call it.
	Clouds     io.Reader
	CloudsName string

	// HalfWidths of the ranges; the zero value stands for DefaultHalfWidths.
	HalfWidths intensity.HalfWidths
}

// Provider is an intensity.Table. It is safe for concurrent use.
type Provider struct {
	clouds *tables.CloudTable
	grids  *tables.GridTable
	zones  *tables.ZoneTable
	widths intensity.HalfWidths
}

var _ intensity.Table = (*Provider)(nil)

const id = "offline" // in errors; the slots name the table that answered

// New reads the tables. It fails on mistakes in a table of the user's own, with
// file, line, column and reason of up to 20 of them, and on impossible half-widths
// (KindConfig).
func New(o Options) (*Provider, error) {
	p := &Provider{clouds: tables.Clouds(), grids: tables.Grids(), zones: tables.Zones(), widths: o.HalfWidths.OrDefault()}
	if err := p.widths.Check(); err != nil {
		return nil, err
	}
	if o.Clouds != nil {
		name := o.CloudsName
		if name == "" {
			name = "clouds table"
		}
		t, err := tables.ReadClouds(name, o.Clouds)
		if err != nil {
			return nil, err
		}
		p.clouds = t
	}
	return p, nil
}

// Caps describes tables of average CO2e, lifecycle and direct, whose flow differs
// from row to row.
func (p *Provider) Caps() intensity.Caps {
	return intensity.Caps{
		ID: id,
		Bases: []intensity.Basis{
			{Signal: intensity.Average, Boundary: intensity.Lifecycle, Gas: intensity.CO2e},
			{Signal: intensity.Average, Boundary: intensity.Direct, Gas: intensity.CO2e},
		},
		Attribution: "Ember; Our World in Data (CC BY 4.0); US EPA eGRID; Environment and Climate Change Canada; " +
			"Commonwealth of Australia (CC BY 4.0); Google. See NOTICE for the full text.",
	}
}

// Resolve returns what Fetch takes: "aws/us-east-1" for a cloud region, else a
// zone of grids.csv, WORLD if the location says nothing. KindZone: the location
// says something that no table knows; the text names what may be meant.
func (p *Provider) Resolve(_ context.Context, loc intensity.Location) (string, error) {
	r := p.Explain(loc)
	if !r.Known {
		return "", r.Err()
	}
	switch {
	case r.Cloud != "":
		return r.Cloud, nil
	case len(r.Zones) > 0:
		return r.Zones[0], nil
	}
	return tables.World, nil
}

// Fetch returns what Slots has for [from, to), of whatever boundary the zone has.
// The zone is one that Resolve returns, or any other that Explain knows.
func (p *Provider) Fetch(ctx context.Context, zone string, from, to time.Time) (intensity.Series, error) {
	if err := ctx.Err(); err != nil {
		return intensity.Series{}, err
	}
	loc := intensity.Location{Zone: zone}
	if provider, region, ok := strings.Cut(zone, "/"); ok {
		loc = intensity.Location{CloudProvider: provider, CloudRegion: region}
	}
	if r := p.Explain(loc); !r.Known {
		return intensity.Series{}, r.Err()
	}
	slots, err := p.Slots(intensity.Query{Location: loc})
	if err != nil {
		return intensity.Series{}, err
	}
	g, err := intensity.NewGrid(slots, nil)
	if err != nil {
		return intensity.Series{}, err
	}
	return g.Series(from, to, intensity.KindNoData), nil
}

// Resolution is how a location is read. It is the same for every boundary; which
// of the places has a value of the wanted one, Slots finds out.
type Resolution struct {
	Asked string   // what the location asks for first: "FRR", "aws/us-east-1", "US-VA", "48.85,2.35"; "" if nothing
	Cloud string   // row of the table of cloud regions that applies: "aws/us-east-1"; "" if none
	Zones []string // zones of grids.csv that apply after it, narrowest first; after them comes the world

	// Known says that no table had to be passed over because of a word that is not
	// in it. A place that is known and has no value of its own is known; so is a
	// retired zone; an empty location is.
	Known bool
	// Problems are what a person should know, each of KindZone: words that no table
	// knows, with what may be meant, and retired zones.
	Problems []error
	// Steps tells in words how the place was found. It becomes Origin.Why.
	Steps []string

	// PUE (a ratio, 1 or more) and WUE (L/kWh) of the cloud region that the location
	// names, whichever field of it decides the intensity; 0 if unknown.
	PUE, WUE float64

	row     *tables.Cloud
	widened []bool // for each of Zones: wider than what was asked for
}

// Err joins the Problems; it is nil if there are none. It is for a program to
// refuse, or to warn of, a place that a person wrote down.
func (r *Resolution) Err() error {
	if len(r.Problems) == 1 {
		return r.Problems[0]
	}
	return errors.Join(r.Problems...)
}

// Why joins the Steps.
func (r *Resolution) Why() string { return strings.Join(r.Steps, "; ") }

func (r *Resolution) say(format string, args ...any) {
	r.Steps = append(r.Steps, fmt.Sprintf(format, args...))
}

// unknown records a word that no table knows.
func (r *Resolution) unknown(format string, args ...any) {
	r.Known = false
	r.problem(format, args...)
}

func (r *Resolution) problem(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.Steps = append(r.Steps, text)
	r.Problems = append(r.Problems, &intensity.Error{Kind: intensity.KindZone, Provider: id, Detail: text})
}
