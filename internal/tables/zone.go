package tables

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/otelcarbon/otelcarbon/data"
)

// Box is a bounding box in degrees, WGS 84. It never crosses the date line.
type Box struct{ MinLon, MinLat, MaxLon, MaxLat float64 }

func (b Box) contains(lat, lon float64) bool {
	return b.MinLat <= lat && lat <= b.MaxLat && b.MinLon <= lon && lon <= b.MaxLon
}

func (b Box) area() float64 { return (b.MaxLon - b.MinLon) * (b.MaxLat - b.MinLat) }

// Zone is a grid zone in the spelling of Electricity Maps.
type Zone struct {
	Key         string // US-MIDA-PJM
	Name        string // "" if the table has none
	Country     string // ISO 3166-1 alpha-2; "" for two disputed areas
	CountryName string
	Retired     bool // the key is no longer in use, though documents still carry it

	Box      Box
	BoxBasis string  // geometry (extremes of the polygon), config (padded, some wrong), "" no box
	Lat, Lon float64 // center of the polygon
	Centered bool    // Lat and Lon are known
	Source   string  // id in sources.csv
}

// ZoneTable holds zones.csv.
type ZoneTable struct {
	rows []Zone
	keys map[string]*Zone
}

// Zones returns the embedded zones.csv.
func Zones() *ZoneTable { return zones() }

var zones = sync.OnceValue(func() *ZoneTable {
	t := &ZoneTable{keys: make(map[string]*Zone)}
	for r := range rows(data.Zones()) {
		t.rows = append(t.rows, Zone{
			Key:         r.text("zone_key"),
			Name:        r.text("name"),
			Country:     r.text("country_code"),
			CountryName: r.text("country_name"),
			Retired:     r.text("status") == "retired",
			Box: Box{
				MinLon: r.number("bbox_min_lon_deg"), MinLat: r.number("bbox_min_lat_deg"),
				MaxLon: r.number("bbox_max_lon_deg"), MaxLat: r.number("bbox_max_lat_deg"),
			},
			BoxBasis: r.text("bbox_basis"),
			Lat:      r.number("centroid_lat_deg"),
			Lon:      r.number("centroid_lon_deg"),
			Centered: r.text("centroid_lat_deg") != "",
			Source:   r.text("source"),
		})
	}
	for i := range t.rows {
		z := &t.rows[i]
		t.keys[z.Key] = z
		t.keys[lower(z.Key)] = z
	}
	return t
})

// Lookup returns a zone by its key, retired ones too, nil if there is none. Case
// is ignored.
func (t *ZoneTable) Lookup(key string) *Zone {
	if z := t.keys[key]; z != nil {
		return z
	}
	var buf [maxName]byte
	return t.keys[string(fold(&buf, key, ""))]
}

// Problem says what is wrong with a zone key and what would be right: that it is
// unknown, or that it is retired. The table does not know successors; the text
// names the current zones of the same country. It is nil for a current key.
func (t *ZoneTable) Problem(key string) error {
	z := t.Lookup(key)
	switch {
	case z == nil:
		if near := t.nearest(key); near != "" {
			return fmt.Errorf("zone %q is unknown: did you mean %s?", shorten(key), near)
		}
		return fmt.Errorf("zone %q is unknown: use a key of Electricity Maps such as DE or US-MIDA-PJM, or a country code", shorten(key))
	case !z.Retired:
		return nil
	}
	if c := t.current(z.Country); len(c) > 0 {
		return fmt.Errorf("zone %q is retired: use a current zone of the same country: %s", z.Key, strings.Join(c, ", "))
	}
	return fmt.Errorf("zone %q is retired and no current zone is known in its place", z.Key)
}

func (t *ZoneTable) nearest(key string) string {
	switch strings.ToUpper(key) { // codes that are in use for countries that ISO 3166 calls otherwise
	case "UK":
		return "GB"
	case "EL":
		return "GR"
	}
	return nearest(strings.ToUpper(key), func(yield func(string) bool) {
		for i := range t.rows {
			if !t.rows[i].Retired && !yield(t.rows[i].Key) {
				return
			}
		}
	})
}

func (t *ZoneTable) current(country string) []string {
	var keys []string
	for i := range t.rows {
		if z := &t.rows[i]; country != "" && z.Country == country && !z.Retired {
			keys = append(keys, z.Key)
		}
	}
	return keys
}

// Around appends to dst the current zones whose box contains a position, the
// smallest box first, and returns the extended slice. They are candidates, not an
// answer: boxes overlap across borders, and some zones have none. Where all of
// them belong to one country, the position is very likely in it.
func (t *ZoneTable) Around(dst []*Zone, lat, lon float64) []*Zone {
	n := len(dst)
	for i := range t.rows {
		if z := &t.rows[i]; !z.Retired && z.BoxBasis != "" && z.Box.contains(lat, lon) {
			dst = append(dst, z)
		}
	}
	slices.SortStableFunc(dst[n:], func(a, b *Zone) int {
		switch x, y := a.Box.area(), b.Box.area(); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	return dst
}
