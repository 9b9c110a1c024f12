package tables

import (
	"iter"
	"strings"
	"sync"

	"github.com/otelcarbon/otelcarbon"
)

// Cloud is one cloud region. Intensities are in g CO2e/kWh, location-based unless
// the field says otherwise.
type Cloud struct {
	Provider string // cloud.provider, in the spelling of the semantic conventions
	Region   string // cloud.region, lower case
	Name     string // as the provider displays it
	Location string // city or area
	Status   string // operational, restricted, announced, retired; "" in a table that does not say
	Line     int    // line in the file

	Country     string // ISO 3166-1 alpha-2, "" for a network zone over several countries
	Subdivision string // ISO 3166-2
	Zone        string // zone key in the spelling of Electricity Maps
	ZoneBasis   string // how Zone was found: polygon, provider, epa-zip, country
	EGRID       string // US EPA eGRID subregion: SRVC
	Lat, Lon    float64
	Located     bool // Lat and Lon are known; they are those of the metro, not of the building

	Lifecycle Value // construction and fuel chain included; mean of the year over Area
	Direct    Value // stack emissions only
	Published Value // the provider's own figure for the grid of the region, direct

	// Chosen is the figure that stands closest to the region, whatever its
	// boundary: ChosenBoundary is lifecycle or direct. Prefer the two above, which
	// can be compared between regions.
	Chosen         Value
	ChosenBoundary string
	// Min and Max span the figures above where HasRange is true: the spread of
	// methods, not a confidence interval.
	Min, Max float64
	HasRange bool

	CarbonFree      Value  // fraction of carbon-free energy, 0 to 1
	CarbonFreeBasis string // hourly or annual matching
	Market          Value  // the provider's claim after certificates; never a substitute for the others

	PUE      Value  // facility energy ÷ IT energy, at least 1
	PUEScope string // region, campus or geography
	WUE      Value  // L of water per kWh of IT energy
	WUEScope string

	Notes string
}

// CloudTable holds the rows of clouds.csv or of a user's table in place of it.
type CloudTable struct {
	rows []Cloud
	// providers and their aliases, then regions and their aliases, all in lower
	// case. Two small maps are faster than one with a key of two strings.
	providers map[string]*cloudProvider
}

type cloudProvider struct {
	name    string
	regions map[string]*Cloud
}

// Clouds returns the embedded clouds.csv.
func Clouds() *CloudTable { return clouds() }

var clouds = sync.OnceValue(func() *CloudTable {
	rows, _ := parseClouds("clouds.csv", otelcarbon.CloudsCSV()) // Check reports what is wrong with it
	return newCloudTable(rows)
})

func newCloudTable(rows []Cloud) *CloudTable {
	t := &CloudTable{rows: rows, providers: make(map[string]*cloudProvider)}
	for i := range rows {
		c := &rows[i]
		p := t.providers[c.Provider]
		if p == nil {
			p = &cloudProvider{name: c.Provider, regions: make(map[string]*Cloud)}
			t.providers[c.Provider] = p
		}
		p.regions[c.Region] = c
	}
	for alias, name := range providerAliases {
		if p := t.providers[name]; p != nil && t.providers[alias] == nil {
			t.providers[alias] = p
		}
	}
	for _, a := range regionAliases {
		p := t.providers[a.provider]
		if p == nil || p.regions[a.alias] != nil {
			continue
		}
		if c := p.regions[a.region]; c != nil {
			p.regions[a.alias] = c
		}
	}
	return t
}

// Lookup returns the row of a region, nil if the table has none. The arguments are
// the resource attributes cloud.provider and cloud.region; case is ignored, and so
// are the spaces of Azure's display names ("East US 2"). Older and common names
// of providers are known (gce, alibaba, oci), as are the location codes that OVH's
// OpenStack (GRA11) and Oracle's metadata service (iad) report.
func (t *CloudTable) Lookup(provider, region string) *Cloud {
	if p := t.providers[provider]; p != nil {
		if c := p.regions[region]; c != nil {
			return c
		}
	}
	var a, b [maxName]byte
	p := t.providers[string(fold(&a, provider, " -_"))]
	if p == nil {
		if p = t.providers[string(fold(&a, provider, ""))]; p == nil {
			return nil
		}
	}
	r := fold(&b, region, " ")
	if c := p.regions[string(r)]; c != nil {
		return c
	}
	if p.name == "ovh" {
		return p.regions[string(withoutDigits(r))]
	}
	return nil
}

// Find returns the row for the three resource attributes cloud.provider,
// cloud.region and cloud.availability_zone, any of which may be "". The
// availability zone is asked first, because it is the finer of the two (Hetzner's
// region eu-central spans Germany and Finland); one that leads nowhere ("1" on
// Azure) is no obstacle.
func (t *CloudTable) Find(provider, region, availabilityZone string) *Cloud {
	if c := t.LookupZone(provider, availabilityZone); c != nil {
		return c
	}
	return t.Lookup(provider, region)
}

// All yields the rows in the order of the file.
func (t *CloudTable) All() iter.Seq[*Cloud] {
	return func(yield func(*Cloud) bool) {
		for i := range t.rows {
			if !yield(&t.rows[i]) {
				return
			}
		}
	}
}

// Len returns the number of rows.
func (t *CloudTable) Len() int { return len(t.rows) }

// Nearest names what the caller may have meant where Lookup found nothing: a
// region of that provider, or, if the provider is unknown too, a provider. It is
// "" if nothing is near. For error messages only.
func (t *CloudTable) Nearest(provider, region string) string {
	p := t.providers[provider]
	if p == nil {
		p = t.providers[lower(provider)]
	}
	if p == nil {
		return nearest(lower(provider), func(yield func(string) bool) {
			last := ""
			for c := range t.All() {
				if c.Provider != last && !yield(c.Provider) {
					return
				}
				last = c.Provider
			}
		})
	}
	return nearest(strings.ReplaceAll(lower(region), " ", ""), func(yield func(string) bool) {
		for c := range t.All() {
			if c.Provider == p.name && !yield(c.Region) {
				return
			}
		}
	})
}
