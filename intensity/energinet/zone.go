package energinet

import (
	"context"
	"strings"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/place"
)

const (
	west = "DK1"
	east = "DK2"
)

// parseArea reads what Fetch takes.
func parseArea(zone string) (string, error) {
	switch area := strings.ToUpper(strings.TrimSpace(zone)); area {
	case west, east:
		return area, nil
	}
	return "", refuse("zone %q is none of the price areas DK1 and DK2", zone)
}

// own reads a key, in upper case.
func own(key string) (string, error) {
	switch key {
	case west, "DK-DK1":
		return west, nil
	case east, "DK-DK2":
		return east, nil
	case "DK-81", "DK-82", "DK-83": // North, Central and Southern Denmark (with Funen)
		return west, nil
	case "DK-84", "DK-85": // the capital (with Bornholm, which is in the price area of the east) and Zealand
		return east, nil
	case "DK":
		return "", refuse("Denmark is two price areas: want DK-DK1, west of the Great Belt, or DK-DK2, east of it")
	}
	return "", nil
}

// Resolve returns DK1 or DK2: for a zone (DK-DK1 or DK1), a cloud region, a subdivision
// (DK-81 to DK-85) or a position. KindZone: the place is elsewhere, or all of Denmark,
// which is two zones.
func (p *Provider) Resolve(_ context.Context, loc intensity.Location) (string, error) {
	return place.Finder{
		Provider: id,
		Covers:   "the west (DK-DK1) and the east of Denmark (DK-DK2)",
		Own:      own,
	}.Find(loc)
}

func refuse(format string, args ...any) error { return place.Refuse(id, format, args...) }
