package watttime

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/internal/tables"
)

// Resolve returns the region of a place. It makes a request where a position has to be
// asked for: keep the answer, for a month at most, since regions change. The fields of
// loc are tried in their order, and the first that leads to a region decides:
//
//   - Zone, if Options.Regions has it or it is spelled like a region of WattTime;
//   - the cloud region, whose position is that of its city;
//   - Subdivision and Country, if Options.Regions has them;
//   - Point;
//   - Default, read as Zone is, if all others are empty.
//
// KindZone: none of them leads to a region.
func (p *Provider) Resolve(ctx context.Context, loc intensity.Location) (string, error) {
	if r := p.region(loc.Zone); r != "" {
		return r, nil
	}
	row := tables.Clouds().Find(loc.CloudProvider, loc.CloudRegion, loc.CloudZone)
	if row != nil {
		if r := p.regions[strings.ToUpper(row.Zone)]; r != "" {
			return r, nil
		}
		if row.Located {
			return p.locate(ctx, intensity.LatLon{Lat: row.Lat, Lon: row.Lon})
		}
	}
	for _, key := range []string{loc.Subdivision, loc.Country} {
		if r := p.regions[strings.ToUpper(strings.TrimSpace(key))]; r != "" {
			return r, nil
		}
	}
	if loc.Point != nil {
		return p.locate(ctx, *loc.Point)
	}
	bare := loc
	bare.Default = ""
	if bare == (intensity.Location{}) {
		if r := p.region(loc.Default); r != "" {
			return r, nil
		}
	}
	return "", p.http.Error(intensity.KindZone, "", "%s leads to no region of WattTime: give a position, or say which region it is", describe(loc))
}

// region reads a zone.
func (p *Provider) region(zone string) string {
	zone = strings.TrimSpace(zone)
	if r := p.regions[strings.ToUpper(zone)]; r != "" {
		return r
	}
	// Electricity Maps has two letters, or a dash; WattTime has two letters too, but not
	// always for the same country. Access tells whether they are a region.
	if isRegion(zone) && (len(zone) > 2 || p.knows(zone)) {
		return zone
	}
	return ""
}

// isRegion keeps out what is certainly no region.
func isRegion(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return len(s) >= 2 && len(s) <= 64
}

// locate asks for the region of a position.
func (p *Provider) locate(ctx context.Context, at intensity.LatLon) (string, error) {
	if !(at.Lat >= -90 && at.Lat <= 90 && at.Lon >= -180 && at.Lon <= 180) {
		return "", p.http.Error(intensity.KindZone, "", "%v,%v is no position in degrees", at.Lat, at.Lon)
	}
	lat, lon := strconv.FormatFloat(at.Lat, 'f', -1, 64), strconv.FormatFloat(at.Lon, 'f', -1, 64)
	a, err := p.get(ctx, pathRegion, url.Values{"latitude": {lat}, "longitude": {lon}, "signal_type": {string(p.signal)}}, "")
	if err != nil {
		if e, ok := err.(*intensity.Error); ok && e.Status == http.StatusNotFound { //nolint:errorlint // ours, not wrapped
			e.Kind = intensity.KindZone
			e.Detail = lat + "," + lon + ": " + e.Detail
		}
		return "", err
	}
	return decodeRegion(a.Body, p.signal)
}

func describe(loc intensity.Location) string {
	switch {
	case loc.Zone != "":
		return fmt.Sprintf("zone %q", loc.Zone)
	case loc.CloudProvider+loc.CloudRegion+loc.CloudZone != "":
		return fmt.Sprintf("cloud region %q", loc.CloudProvider+"/"+loc.CloudRegion+loc.CloudZone)
	case loc.Subdivision+loc.Country != "":
		return fmt.Sprintf("country %q", loc.Country+" "+loc.Subdivision)
	case loc.Default != "":
		return fmt.Sprintf("default %q", loc.Default)
	}
	return "an empty place"
}
