package chain

import (
	"math"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// place identifies a query: its pointer is replaced by what it points to.
type place struct {
	query    intensity.Query
	hasPoint bool
	lat, lon uint64 // bits, so that a value that is not a number equals itself
}

// maxLocation bounds the bytes of a location that is remembered: its words come
// from resource attributes, which anyone may send.
const maxLocation = 1024

func placeOf(q intensity.Query) (p place, small bool) {
	l := &q.Location
	p.query = q
	if l.Point != nil {
		p.hasPoint, p.lat, p.lon = true, math.Float64bits(l.Point.Lat), math.Float64bits(l.Point.Lon)
		p.query.Location.Point = nil
	}
	size := len(l.Zone) + len(l.CloudProvider) + len(l.CloudRegion) + len(l.CloudZone) + len(l.Country) + len(l.Subdivision) + len(l.Default)
	return p, size <= maxLocation
}
