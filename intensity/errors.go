package intensity

import (
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// Kind tells why there is no value, as far as a caller acts on it. A Kind is an
// error itself: errors.Is(err, KindZone) holds for every *Error of that kind.
type Kind uint8

const (
	KindZone      Kind = iota + 1 // zone unknown to this provider
	KindNoData                    // zone known, but it has no value for that time
	KindNotYet                    // slot not finished or not published
	KindTooOld                    // before the provider's history
	KindAuth                      // credential rejected
	KindPlan                      // credential fine, plan excludes zone, route or horizon
	KindRate                      // throttled; RetryAfter may be set
	KindUpstream                  // server error, timeout, connection
	KindMalformed                 // not readable, wrong units, impossible value
	KindMismatch                  // another zone or basis was served than asked for
	KindSynthetic                 // sandbox data
	KindBasis                     // nobody offers the wanted Basis
	KindConfig                    // the caller has to change something
)

// Error says what the kind means.
func (k Kind) Error() string {
	switch k {
	case KindZone:
		return "unknown zone"
	case KindNoData:
		return "no data"
	case KindNotYet:
		return "not published yet"
	case KindTooOld:
		return "before the provider's history"
	case KindAuth:
		return "credential rejected"
	case KindPlan:
		return "not in the plan"
	case KindRate:
		return "throttled"
	case KindUpstream:
		return "provider unavailable"
	case KindMalformed:
		return "malformed answer"
	case KindMismatch:
		return "answer is for something else"
	case KindSynthetic:
		return "sandbox data"
	case KindBasis:
		return "wanted basis not offered"
	case KindConfig:
		return "configuration"
	}
	return "unknown kind of error"
}

// Error is the failure of one provider for one zone. Its text is safe to log.
type Error struct {
	Kind       Kind
	Provider   string        // value of carbon.grid.source; "" if none was asked
	Zone       string        // in the provider's spelling; may be ""
	Status     int           // of the HTTP answer; 0 if there was none
	RetryAfter time.Duration // of KindRate and KindUpstream; 0 if not stated
	Detail     string        // what exactly, and what would be right; Scrub is applied when it is shown
}

// Error returns provider, zone, kind and detail, without those that are empty.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Provider)
	if e.Zone != "" {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(Scrub(e.Zone))
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	b.WriteString(e.Kind.Error())
	if d := Scrub(e.Detail); d != "" {
		b.WriteString(": ")
		b.WriteString(d)
	}
	return b.String()
}

// Is makes errors.Is find the Kind.
func (e *Error) Is(target error) bool {
	k, ok := target.(Kind)
	return ok && k == e.Kind
}

// maxDetail bounds what a server's answer may put into our errors.
const maxDetail = 200

// Scrub makes text from outside fit for an error or a log: it removes the given
// secrets, whatever looks like a credential, the queries and user information of
// URLs, and control characters, and cuts the rest to 200 bytes.
func Scrub(s string, secrets ...string) string {
	s = strings.ToValidUTF8(s, "") // first: what is taken out may join the halves of a secret
	for _, secret := range secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "[removed]")
		}
	}
	// More is never shown, even if everything in between is removed.
	const enough = 5 * maxDetail
	if len(s) > enough {
		s = s[:enough]
	}
	if strings.ContainsAny(s, "?=:@ ") {
		for _, r := range scrubbing() {
			s = r.pattern.ReplaceAllString(s, r.with)
		}
	}
	s = strings.ToValidUTF8(s, "") // may have been cut above
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) }), " ")
	if len(s) <= maxDetail {
		return s
	}
	const more = "…"
	cut := maxDetail - len(more)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + more
}

type replacement struct {
	pattern *regexp.Regexp
	with    string
}

//nolint:gochecknoglobals // compiled on first use: most programs never see an error
var scrubbing = sync.OnceValue(func() []replacement {
	return []replacement{
		{regexp.MustCompile(`//[^/\s@]+@`), "//"},
		{regexp.MustCompile(`\?[^\s"'<>]*=[^\s"'<>]*`), "?[removed]"},
		{regexp.MustCompile(`(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}`), "$1 [removed]"},
		{
			regexp.MustCompile(`(?i)([\w-]*(?:token|api[_-]?key|auth[_-]?key|secret|passw(?:or)?d|authorization)["']?\s*[:=]\s*["']?)[^\s"'<>,;&}\[]+`),
			"${1}[removed]",
		},
	}
})
