package rte

import (
	"context"
	"strings"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/place"
)

const france = "FR"

func parseZone(zone string) error {
	if strings.EqualFold(strings.TrimSpace(zone), france) {
		return nil
	}
	return refuse("zone %q is not FR, the only one", zone)
}

// own reads a key, in upper case.
func own(key string) (string, error) {
	switch key {
	case france:
		return france, nil
	case "FR-COR", "FR-20R", "FR-2A", "FR-2B":
		return "", refuse("%s is Corsica, which is not in the national figure", key)
	case "FR-971", "FR-972", "FR-973", "FR-974", "FR-976", "FR-977", "FR-978", "FR-BL", "FR-CP", "FR-GF", "FR-GP", "FR-MF",
		"FR-MQ", "FR-NC", "FR-PF", "FR-PM", "FR-RE", "FR-TF", "FR-WF", "FR-YT":
		return "", refuse("%s lies overseas, and is not in the national figure", key)
	}
	return "", nil
}

// Resolve returns FR for a zone, a country, a subdivision, a cloud region or a position
// in France. KindZone: the place is elsewhere, in Corsica, or overseas.
func (p *Provider) Resolve(_ context.Context, loc intensity.Location) (string, error) {
	return place.Finder{Provider: id, Covers: "France (FR) without Corsica and what lies overseas", Own: own}.Find(loc)
}

func refuse(format string, args ...any) error { return place.Refuse(id, format, args...) }
