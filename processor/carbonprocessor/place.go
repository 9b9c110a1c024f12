package carbonprocessor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.uber.org/zap"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/offline"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

// Limits of what resources can make us remember.
const (
	maxResources = 16_384 // resources whose place is at hand: about 2 MB
	maxPlaces    = 4_096  // places, of which the tables know some 1500
	maxWarnings  = 1_000  // places that were warned about
	maxWord      = 256    // bytes of a word that can name a place
)

// places finds the place of a resource. What it remembers is bounded, whatever
// resources say of themselves. It is not safe for concurrent use.
type places struct {
	source intensity.Source
	tables *offline.Provider
	more   []intensity.Provider // who may know zones that no table knows
	query  intensity.Query      // without the location
	pue    float64              // 0: that of the cloud region
	log    *zap.Logger

	zone     string             // of all resources; "" if each has its own
	fallback intensity.Location // of those that say nothing; may be empty

	resources *simplelru.LRU[identity, *place]
	known     *simplelru.LRU[placeKey, *place]
	warned    map[string]struct{}
	unknown   int64 // places, since the last report
}

// placeKey is a location that can be compared.
type placeKey struct {
	location intensity.Location // without the point
	point    intensity.LatLon
	located  bool
}

// newPlaces refuses a configured location that neither the tables nor one of the
// providers know.
func newPlaces(cfg *Config, src intensity.Source, tables *offline.Provider, log *zap.Logger, more ...intensity.Provider) (*places, error) {
	want, err := cfg.want()
	if err != nil {
		return nil, err
	}
	p := &places{
		source: src, tables: tables, more: more, pue: cfg.PUE, log: log, zone: cfg.Location.Zone,
		query: intensity.Query{
			Want:     want,
			MaxStale: cfg.MaxStale,
		},
		warned: make(map[string]struct{}),
	}
	if p.resources, err = simplelru.NewLRU[identity, *place](maxResources, nil); err != nil {
		return nil, err
	}
	if p.known, err = simplelru.NewLRU[placeKey, *place](maxPlaces, nil); err != nil {
		return nil, err
	}
	if p.zone != "" {
		l := intensity.Location{Zone: p.zone}
		if err := p.check("location::zone", l); err != nil {
			return nil, err
		}
		at := p.at(l)
		if at.err != nil { // it would be the same for every resource
			return nil, fmt.Errorf("location::zone: %q: %w", p.zone, at.err)
		}
		if slot := at.handle.Peek(time.Now()); slot != nil && slot.Flags.Has(intensity.ZoneWidened) && !p.spelled(l) {
			log.Warn("location::zone: no table has a value for the zone itself",
				zap.String("zone", p.zone), zap.String("instead", slot.Origin.ZoneServed), zap.String("why", slot.Origin.Why))
		}
	}
	if name := cfg.Location.Default; name != "" {
		p.fallback = intensity.Location{Zone: name}
		if provider, region, ok := strings.Cut(name, ":"); ok {
			p.fallback = intensity.Location{CloudProvider: provider, CloudRegion: region}
		}
		if err := p.check("location::default", p.fallback); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *places) check(key string, l intensity.Location) error {
	if r := p.tables.Explain(l); r.Err() != nil && !p.spelled(l) {
		return fmt.Errorf("%s: %w", key, r.Err())
	}
	return nil
}

// spelled reports whether the zone of a location is one in the spelling of a live
// provider. None of them needs the network for that, nor may it use it.
func (p *places) spelled(l intensity.Location) bool {
	if l.Zone == "" {
		return false
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for _, live := range p.more {
		if _, err := live.Resolve(ended, intensity.Location{Zone: l.Zone}); err == nil {
			return true
		}
	}
	return false
}

// of returns the place of a resource, which id stands for.
func (p *places) of(id identity, resource pcommon.Map) *place {
	if at, ok := p.resources.Get(id); ok {
		return at
	}
	l := describe(resource)
	if p.zone != "" {
		l.Zone = p.zone
	}
	at := p.at(l)
	p.resources.Add(id, at)
	return at
}

// at returns the place at a location. Equal locations share one, and with it what
// it knows about slots.
func (p *places) at(l intensity.Location) *place {
	key := placeKey{location: l}
	if l.Point != nil {
		key.point, key.located, key.location.Point = *l.Point, true, nil
	}
	at, ok := p.known.Get(key)
	if !ok {
		at = p.resolve(l)
		p.known.Add(key, at)
	}
	return at
}

func (p *places) resolve(l intensity.Location) *place {
	r := p.tables.Explain(l)
	pue := p.pueOf(l, r)
	spelled := !r.Known && p.spelled(l)
	if !spelled {
		if err := r.Err(); err != nil {
			p.warn(err)
		}
		if !r.Known {
			p.unknown++
		}
	}
	switch {
	case !leadsNowhere(r):
	case spelled:
		l.Default = p.fallback.Zone // for the tables
	default:
		l = p.fallback
		if pue == 0 {
			pue = p.tables.Explain(l).PUE
		}
	}
	if p.pue != 0 {
		pue = p.pue
	}
	at := &place{pue: max(pue, 1)}
	q := p.query
	q.Location = l
	if at.handle, at.err = p.source.Handle(q); at.err != nil {
		p.warn(at.err)
	}
	return at
}

// purge forgets all places.
func (p *places) purge() {
	p.resources.Purge()
	p.known.Purge()
}

// pueOf returns the PUE of the cloud region that the location names, whatever
// decides about the grid; 0 if there is none, or if a zone in another country says
// that the machine is elsewhere.
func (p *places) pueOf(l intensity.Location, r *offline.Resolution) float64 {
	if r.PUE == 0 || l.Zone == "" || r.Cloud != "" {
		return r.PUE
	}
	cloud := p.tables.Explain(intensity.Location{CloudProvider: l.CloudProvider, CloudRegion: l.CloudRegion, CloudZone: l.CloudZone})
	if widest(r) != widest(cloud) {
		return 0
	}
	return r.PUE
}

// widest is the country, for all places that have one.
func widest(r *offline.Resolution) string {
	if len(r.Zones) == 0 {
		return ""
	}
	return r.Zones[len(r.Zones)-1]
}

func leadsNowhere(r *offline.Resolution) bool { return r.Cloud == "" && len(r.Zones) == 0 }

// describe takes from a resource what it says about where it is.
func describe(resource pcommon.Map) intensity.Location {
	var (
		l              intensity.Location
		at             intensity.LatLon
		hasLat, hasLon bool
	)
	for k, v := range resource.All() {
		switch k {
		case names.AttrGridZone:
			l.Zone = word(v)
		case names.ResourceCloudProvider:
			l.CloudProvider = word(v)
		case names.ResourceCloudRegion:
			l.CloudRegion = word(v)
		case names.ResourceCloudZone:
			l.CloudZone = word(v)
		case names.ResourceCountry:
			l.Country = word(v)
		case names.ResourceSubdivision:
			l.Subdivision = word(v)
		case names.ResourceLatitude:
			at.Lat, hasLat = degrees(v)
		case names.ResourceLongitude:
			at.Lon, hasLon = degrees(v)
		}
	}
	if l.CloudRegion == "" && l.CloudZone == "" { // a provider alone is no place
		l.CloudProvider = ""
	}
	if l.CloudProvider == "" {
		l.CloudRegion, l.CloudZone = "", ""
	}
	if hasLat && hasLon {
		l.Point = &at
	}
	return l
}

// word returns a string that can name a place. What is longer than any name is cut
// and then names nothing.
func word(v pcommon.Value) string {
	s := v.Str()
	if len(s) > maxWord {
		s = strings.Clone(s[:maxWord])
	}
	return s
}

func degrees(v pcommon.Value) (float64, bool) {
	switch v.Type() {
	case pcommon.ValueTypeDouble:
		return v.Double(), finite(v.Double())
	case pcommon.ValueTypeInt:
		return float64(v.Int()), true
	}
	return 0, false
}

// warn logs every problem once, and once that there are too many to name.
func (p *places) warn(err error) {
	key := err.Error()
	if _, done := p.warned[key]; done || len(p.warned) > maxWarnings {
		return
	}
	p.warned[key] = struct{}{}
	if len(p.warned) > maxWarnings {
		p.log.Warn("too many unknown places to name them all: from now on they are only counted, as otelcol_processor_carbon_places_unknown")
		return
	}
	p.log.Warn("place not usable as it is: set carbon.grid.zone on the resource or location::default of the processor, or add a row to clouds_file", zap.Error(err))
}
