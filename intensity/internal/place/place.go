// Package place finds the zone of a location for providers that cover some zones of
// the world. It reads the embedded tables and nothing else, and it never guesses: a
// value of the wrong zone looks like one of the right zone.
package place

import (
	"fmt"
	"strings"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/internal/tables"
)

// Finder is what a provider covers.
type Finder struct {
	Provider string // value of carbon.grid.source, for errors
	Covers   string // what would be right, for errors: "France without Corsica (FR)"
	// Own returns the provider's own zone for a key in upper case: of a zone in the
	// spelling of Electricity Maps, of a country, or of a subdivision (ISO 3166-2). It
	// is "" without an error if the provider says nothing about the key; an error of
	// KindZone says that the provider does not have it, or not as one zone, and why.
	Own func(key string) (zone string, err error)
}

// Find returns the provider's own zone of a location. The fields count in the order in
// which they stand in intensity.Location, and the first that names a place decides.
// Errors are of KindZone.
func (f Finder) Find(loc intensity.Location) (string, error) {
	var lost error // what names no place, for the case that nothing else does
	for _, step := range []func(*intensity.Location) (string, verdict, error){f.zone, f.cloud, f.subdivision, f.country, f.point, f.standIn} {
		zone, v, err := step(&loc)
		if v == decided {
			return zone, err
		}
		if lost == nil {
			lost = err
		}
	}
	if lost != nil {
		return "", lost
	}
	return "", f.refuse("no place was given; %s", f.right())
}

type verdict bool

const (
	decided verdict = true  // by a zone or an error
	goOn    verdict = false // the next field may lead somewhere
)

func (f Finder) zone(loc *intensity.Location) (string, verdict, error) { return f.key(loc.Zone) }

// standIn reads the default, which is a zone like any other.
func (f Finder) standIn(loc *intensity.Location) (string, verdict, error) { return f.key(loc.Default) }

func (f Finder) key(word string) (string, verdict, error) {
	word = strings.TrimSpace(word)
	if word == "" {
		return "", goOn, nil
	}
	if zone, err := f.Own(strings.ToUpper(word)); zone != "" || err != nil {
		return zone, decided, err
	}
	if err := tables.Zones().Problem(word); err != nil {
		return "", decided, f.refuse("%v", err)
	}
	return "", decided, f.outside("zone", word)
}

func (f Finder) cloud(loc *intensity.Location) (string, verdict, error) {
	if loc.CloudProvider == "" && loc.CloudRegion == "" && loc.CloudZone == "" {
		return "", goOn, nil
	}
	name := loc.CloudProvider + "/" + loc.CloudRegion
	row := tables.Clouds().Find(loc.CloudProvider, loc.CloudRegion, loc.CloudZone)
	if row == nil {
		if near := tables.Clouds().Nearest(loc.CloudProvider, loc.CloudRegion); near != "" {
			return "", goOn, f.refuse("cloud region %q is not in the table: did you mean %s?", name, near)
		}
		return "", goOn, f.refuse("cloud region %q is not in the table", name)
	}
	for _, key := range []string{row.Zone, row.Country} {
		if key == "" {
			continue
		}
		if zone, err := f.Own(key); zone != "" || err != nil {
			return zone, decided, err
		}
		return "", decided, f.refuse("cloud region %s/%s lies in %s; %s", row.Provider, row.Region, key, f.right())
	}
	return "", goOn, nil
}

func (f Finder) subdivision(loc *intensity.Location) (string, verdict, error) {
	word := strings.ToUpper(strings.TrimSpace(loc.Subdivision))
	country, _, ok := strings.Cut(word, "-")
	if !ok || loc.Country != "" && !strings.EqualFold(strings.TrimSpace(loc.Country), country) {
		return "", goOn, nil // no subdivision, or not one of that country
	}
	if zone, err := f.Own(word); zone != "" || err != nil {
		return zone, decided, err
	}
	if z := tables.Zones().Lookup(word); z != nil && !z.Retired {
		return "", decided, f.outside("subdivision", word) // a grid of its own, like GB-NIR
	}
	if loc.Country != "" {
		return "", goOn, nil // is next
	}
	return f.country(&intensity.Location{Country: country})
}

func (f Finder) country(loc *intensity.Location) (string, verdict, error) {
	word := strings.ToUpper(strings.TrimSpace(loc.Country))
	if word == "" {
		return "", goOn, nil
	}
	if zone, err := f.Own(word); zone != "" || err != nil {
		return zone, decided, err
	}
	return "", decided, f.outside("country", word)
}

// point answers only if the boxes leave no doubt: they are no borders, and overlap.
func (f Finder) point(loc *intensity.Location) (string, verdict, error) {
	if loc.Point == nil {
		return "", goOn, nil
	}
	name := fmt.Sprintf("%g,%g", loc.Point.Lat, loc.Point.Lon)
	var keys []string
	for _, z := range tables.Zones().Around(nil, loc.Point.Lat, loc.Point.Lon) {
		if z.Box.MaxLon-z.Box.MinLon > 180 {
			continue // crosses the date line: the box runs around the earth the wrong way
		}
		keys = append(keys, z.Key)
	}
	keys = withoutWholes(keys)
	switch len(keys) {
	case 0:
		return "", goOn, f.refuse("position %s lies in the box of no zone; %s", name, f.right())
	case 1:
		if zone, err := f.Own(keys[0]); zone != "" || err != nil {
			return zone, decided, err
		}
		return "", decided, f.refuse("position %s lies in %s; %s", name, keys[0], f.right())
	}
	return "", decided, f.refuse("position %s lies in the boxes of %s: say which zone it is", name, strings.Join(keys[:min(len(keys), 8)], ", "))
}

// withoutWholes drops countries that are the sum of their zones where one of the zones
// is there too. Elsewhere the key of a country is a zone beside others: GB and GB-NIR.
func withoutWholes(keys []string) []string {
	var out []string
	for _, k := range keys {
		part := false
		for _, other := range keys {
			part = part || strings.HasPrefix(other, k+"-")
		}
		if !part || !Whole(k) {
			out = append(out, k)
		}
	}
	return out
}

// Whole reports whether the key of a country, in upper case, is the sum of zones that
// have keys of their own.
func Whole(country string) bool {
	const wholes = " AU BR CA DK FO IN IT JP MY NO PH RU SE US "
	return len(country) == 2 && strings.Contains(wholes, " "+country+" ")
}

func (f Finder) outside(what, word string) error {
	return f.refuse("%s %q is not covered; %s", what, word, f.right())
}

func (f Finder) right() string { return f.Provider + " covers " + f.Covers }

func (f Finder) refuse(format string, args ...any) error { return Refuse(f.Provider, format, args...) }

// Refuse returns an error of KindZone.
func Refuse(provider, format string, args ...any) error {
	return &intensity.Error{Kind: intensity.KindZone, Provider: provider, Detail: fmt.Sprintf(format, args...)}
}
