package ukgrid

import (
	"context"
	"strconv"
	"strings"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/place"
)

const (
	nationalKey = "GB"
	lastRegion  = 18 // 1 to 14 are network areas, 15 England, 16 Scotland, 17 Wales, 18 Great Britain
)

// zone is Great Britain, a region, or the region of a postcode.
type zone struct {
	region   int    // 0: not by number
	postcode string // outward part: RG10
}

func (z zone) national() bool { return z == zone{} }

// String is the spelling that Resolve returns and Fetch takes.
func (z zone) String() string {
	switch {
	case z.national():
		return nationalKey
	case z.region != 0:
		return strconv.Itoa(z.region)
	}
	return z.postcode
}

// path is what stands before and behind the times.
func (z zone) path() (before, after string) {
	switch {
	case z.national():
		return "/intensity", ""
	case z.region != 0:
		return "/regional/intensity", "/regionid/" + strconv.Itoa(z.region)
	}
	return "/regional/intensity", "/postcode/" + z.postcode
}

// area returns the letters with which the first part of a British postcode begins, in
// the forms A9, A9A, A99, AA9, AA9A and AA99, else "".
func area(word string) string {
	letter := func(b byte) bool { return b >= 'A' && b <= 'Z' }
	digit := func(b byte) bool { return b >= '0' && b <= '9' }
	n := 0
	for n < len(word) && n < 2 && letter(word[n]) {
		n++
	}
	rest := word[n:]
	if n == 0 || rest == "" || len(rest) > 2 || !digit(rest[0]) || len(rest) == 2 && !digit(rest[1]) && !letter(rest[1]) {
		return ""
	}
	return word[:n]
}

// parseZone reads what Fetch takes.
func parseZone(name string) (zone, error) {
	word := strings.ToUpper(strings.TrimSpace(name))
	if word == nationalKey {
		return zone{}, nil
	}
	if n, err := strconv.Atoi(word); err == nil && n >= 1 && n <= lastRegion && word == strconv.Itoa(n) {
		return zone{region: n}, nil
	}
	switch area(word) {
	case "":
		return zone{}, refuse("zone %q is none of GB, the regions 1 to %d and the first parts of postcodes, like RG10", name, lastRegion)
	case "BT":
		return zone{}, refuse("postcode %s lies in Northern Ireland, which belongs to the Irish grid", word)
	case "GY", "IM", "JE":
		return zone{}, refuse("postcode %s does not lie in Great Britain", word)
	}
	return zone{postcode: word}, nil
}

func finder() place.Finder {
	return place.Finder{
		Provider: id,
		Covers:   "Great Britain (GB), its regions (GB-1 to GB-18, GB-ENG, GB-SCT, GB-WLS) and postcodes (GB-RG10)",
		Own:      own,
	}
}

// own reads a key, in upper case. Codes of ISO 3166-2 are three letters in Great Britain,
// postcodes have a digit, regions are digits: all of them can stand behind "GB-".
func own(key string) (string, error) {
	switch key {
	case nationalKey, "GB-GBN": // ISO 3166-2: Great Britain
		return nationalKey, nil
	case "UK":
		return "", refuse("zone UK is not covered as a whole, want GB: Northern Ireland belongs to the Irish grid")
	case "GB-ENG":
		return "15", nil
	case "GB-SCT":
		return "16", nil
	case "GB-WLS":
		return "17", nil
	case "GB-NIR", "GB-ABC", "GB-AND", "GB-ANN", "GB-BFS", "GB-CCG", "GB-DRS", "GB-FMO", "GB-LBC", "GB-MEA", "GB-MUL", "GB-NMD":
		return "", refuse("%s lies in Northern Ireland, which belongs to the Irish grid", key)
	}
	word, ok := strings.CutPrefix(key, nationalKey+"-")
	if !ok || !strings.ContainsAny(word, "0123456789") {
		return "", nil
	}
	z, err := parseZone(word)
	if err != nil {
		return "", err
	}
	return z.String(), nil
}

// Resolve returns GB, the number of a region ("13"), or the first part of a postcode
// ("RG10"). A zone, a country, a cloud region or a position in Great Britain is GB; the
// zones GB-1 to GB-18 and GB-RG10, and the subdivisions GB-ENG, GB-SCT and GB-WLS, are
// regions, of which there are forecasts only. KindZone: the place is elsewhere, such as
// in Northern Ireland.
func (p *Provider) Resolve(_ context.Context, loc intensity.Location) (string, error) {
	return finder().Find(loc)
}

func refuse(format string, args ...any) error { return place.Refuse(id, format, args...) }
