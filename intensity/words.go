package intensity

import (
	"fmt"
	"strconv"
	"strings"
)

// The words stand in the order of the constants, with "" for the zero value. They
// are the values of the attributes carbon.grid.signal, carbon.grid.boundary and
// carbon.grid.quality, and the words of configuration.
func signalWords() []string   { return []string{"", "average", "marginal"} }
func boundaryWords() []string { return []string{"", "direct", "lifecycle"} }
func flowWords() []string     { return []string{"", "production", "consumption"} }
func gasWords() []string      { return []string{"", "co2", "co2e"} }
func qualityWords() []string {
	return []string{"", "measured", "preliminary", "estimated", "predicted", "periodic", "assumed"}
}

func flagWords() []string {
	return []string{
		"stale", "extrapolated", "fell_back", "zone_widened", "basis_relaxed", "imputed", "revised",
		"filled_neighbor", "filled_day_before", "filled_fallback",
	}
}

// String returns the value of the attribute carbon.grid.signal, "" for the zero
// value.
func (s Signal) String() string { return word("signal", signalWords(), uint8(s)) }

// String returns the value of the attribute carbon.grid.boundary, "" for the zero
// value.
func (b Boundary) String() string { return word("boundary", boundaryWords(), uint8(b)) }

// String returns "production", "consumption", or "" for the zero value.
func (f Flow) String() string { return word("flow", flowWords(), uint8(f)) }

// String returns "co2", "co2e", or "" for the zero value.
func (g Gas) String() string { return word("gas", gasWords(), uint8(g)) }

// String returns the value of the attribute carbon.grid.quality, "" for the zero
// value.
func (q Quality) String() string { return word("quality", qualityWords(), uint8(q)) }

// String returns the names of the flags that are set, joined by "|".
func (f Flags) String() string {
	var set []string
	for i, w := range flagWords() {
		if f&(1<<i) != 0 {
			set = append(set, w)
			f &^= 1 << i
		}
	}
	if f != 0 {
		set = append(set, "0x"+strconv.FormatUint(uint64(f), 16))
	}
	return strings.Join(set, "|")
}

// Has reports whether all of the given flags are set.
func (f Flags) Has(flags Flags) bool { return f&flags == flags }

// String joins the stated fields with spaces: "average lifecycle production co2e".
func (b Basis) String() string {
	var parts []string
	for _, w := range []string{b.Signal.String(), b.Boundary.String(), b.Flow.String(), b.Gas.String()} {
		if w != "" {
			parts = append(parts, w)
		}
	}
	if len(parts) == 0 {
		return "any"
	}
	return strings.Join(parts, " ")
}

// Accepts reports whether values of basis have may answer a query for b, in which
// zero fields accept anything. A field that have leaves open answers only a query
// that leaves it open too.
func (b Basis) Accepts(have Basis) bool {
	return (b.Signal == 0 || b.Signal == have.Signal) &&
		(b.Boundary == 0 || b.Boundary == have.Boundary) &&
		(b.Flow == 0 || b.Flow == have.Flow) &&
		(b.Gas == 0 || b.Gas == have.Gas)
}

// ParseSignal reads "average" or "marginal"; "" is the zero value. Errors are of
// KindConfig.
func ParseSignal(s string) (Signal, error) {
	v, err := parse("signal", s, signalWords())
	return Signal(v), err
}

// ParseBoundary reads "any" (or ""), "lifecycle" or "direct"; "any" is the zero
// value. Errors are of KindConfig.
func ParseBoundary(s string) (Boundary, error) {
	if s == "any" {
		return 0, nil
	}
	v, err := parse("boundary", s, boundaryWords(), "any")
	return Boundary(v), err
}

// ParseFlow reads "production" or "consumption"; "" is the zero value. Errors are
// of KindConfig.
func ParseFlow(s string) (Flow, error) {
	v, err := parse("flow", s, flowWords())
	return Flow(v), err
}

// ParseGas reads "co2" or "co2e"; "" is the zero value. Errors are of KindConfig.
func ParseGas(s string) (Gas, error) {
	v, err := parse("gas", s, gasWords())
	return Gas(v), err
}

// ParseQuality reads one of the words that Quality.String returns. Errors are of
// KindConfig.
func ParseQuality(s string) (Quality, error) {
	v, err := parse("quality", s, qualityWords())
	return Quality(v), err
}

func word(what string, words []string, i uint8) string {
	if int(i) < len(words) {
		return words[i]
	}
	return what + "(" + strconv.Itoa(int(i)) + ")"
}

func parse(what, s string, words []string, more ...string) (uint8, error) {
	for i, w := range words {
		if w == s {
			return uint8(i), nil
		}
	}
	return 0, &Error{
		Kind:   KindConfig,
		Detail: fmt.Sprintf("%s %q is none of %s", what, s, strings.Join(append(more, words[1:]...), ", ")),
	}
}
