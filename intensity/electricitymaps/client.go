package electricitymaps

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/place"
	"github.com/otelcarbon/otelcarbon/intensity/internal/rows"
	"github.com/otelcarbon/otelcarbon/intensity/internal/wire"
	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/tables"
)

const (
	id       = names.SourceElectricityMaps
	endpoint = "https://api.electricitymaps.com"

	step = time.Hour
	// reach is how far the history begins before the running hour, which is its last
	// of 24 rows.
	reach = 23 * time.Hour
	// maxSpan is what past-range takes, 10 days, less the hour by which whole hours
	// around a time may be longer than it.
	maxSpan = 10*24*time.Hour - step
	settle  = 72 * time.Hour // assumed: hours are corrected for days, and on occasion for years
	// An hour has an estimate at once, and a measured value 1 to 2 h after its end in
	// East Denmark, about a day after it in the Midwest of the US.
	measured     = 2 * time.Hour
	measuredLate = 24 * time.Hour
)

// The routes, which are also the words in which a key's access is told.
const (
	latest    = "carbon-intensity/latest"
	history   = "carbon-intensity/history"
	pastRange = "carbon-intensity/past-range"
	forecast  = "carbon-intensity/forecast"
)

// horizons are those that can be asked for, in hours.
func horizons() []int { return []int{6, 24, 48, 72} }

const horizon = 72 * time.Hour

// Config of a Provider. Only Key is required. No verb of package fmt shows the Key.
type Config struct {
	Key string // token of an account at Electricity Maps

	// Endpoint is the URL under which the API lies, without its version; "" is that of
	// Electricity Maps. It has to be https, unless its host is on loopback or Insecure
	// is set.
	Endpoint string
	Insecure bool
	Version  string // "v3" or "v4"; "" is v4

	EmissionFactorType string // "lifecycle" or "direct"; "" is lifecycle
	// DisableEstimations leaves hours without a value until they have been measured,
	// which takes hours, or a day, and never happens in zones without live data.
	DisableEstimations bool

	// Rate is what the plan allows. The zero value stands for 50 requests per hour:
	// Electricity Maps publishes no number, and clients have been given this one.
	Rate intensity.Rate
	// HTTP is copied; nil means a client with bounds of its own.
	HTTP *http.Client
	// HalfWidths of the ranges; the zero value stands for intensity.DefaultHalfWidths.
	HalfWidths intensity.HalfWidths
}

// Format hides the Key.
func (c Config) Format(s fmt.State, _ rune) {
	type plain Config
	c.Key = wire.Secret{}.String()
	fmt.Fprintf(s, "%+v", plain(c))
}

// Provider is an intensity.Provider and an intensity.Forecaster. It is safe for
// concurrent use.
type Provider struct {
	http    *wire.Client
	key     wire.Secret
	version string
	basis   intensity.Basis
	strict  bool // estimations are disabled
	rate    intensity.Rate
	widths  intensity.HalfWidths

	worked atomic.Bool // the key has been taken before
	access plan
}

var (
	_ intensity.Provider   = (*Provider)(nil)
	_ intensity.Forecaster = (*Provider)(nil)
)

// New checks the configuration; errors are of KindConfig. It makes no request.
func New(c Config) (*Provider, error) {
	refuse := func(format string, args ...any) error {
		return &intensity.Error{Kind: intensity.KindConfig, Provider: id, Detail: intensity.Scrub(fmt.Sprintf(format, args...), c.Key)}
	}
	p := &Provider{
		key: wire.NewSecret(c.Key), version: c.Version, strict: c.DisableEstimations, rate: c.Rate, widths: c.HalfWidths.OrDefault(),
		basis:  intensity.Basis{Signal: intensity.Average, Boundary: intensity.Lifecycle, Flow: intensity.Consumption, Gas: intensity.CO2e},
		access: newPlan(),
	}
	if c.Key == "" {
		return nil, refuse("there is no key: want the token of an account at electricitymaps.com")
	}
	switch c.Version {
	case "":
		p.version = "v4"
	case "v3", "v4":
	default:
		return nil, refuse("version %q: want v3 or v4", c.Version)
	}
	switch c.EmissionFactorType {
	case "", intensity.Lifecycle.String():
	case intensity.Direct.String():
		p.basis.Boundary = intensity.Direct
	default:
		return nil, refuse("emission factor type %q: want lifecycle or direct", c.EmissionFactorType)
	}
	if p.rate == (intensity.Rate{}) {
		p.rate = intensity.Rate{Burst: 10, Per: 72 * time.Second}
	}
	if p.rate.Burst < 0 || p.rate.Per < 0 {
		return nil, refuse("a rate of %d at once and one each %s: neither can be less than 0", p.rate.Burst, p.rate.Per)
	}
	if err := p.widths.Check(); err != nil {
		return nil, err
	}
	if c.Endpoint == "" {
		c.Endpoint = endpoint
	}
	if base := strings.TrimSuffix(c.Endpoint, "/"); strings.HasSuffix(base, "/v3") || strings.HasSuffix(base, "/v4") {
		return nil, refuse("the endpoint ends in a version: leave it out there, and set Version")
	}
	client, err := wire.New(wire.Config{Provider: id, Base: c.Endpoint, Insecure: c.Insecure, HTTP: c.HTTP, Secrets: []string{c.Key}})
	if err != nil {
		return nil, err
	}
	p.http = client
	return p, nil
}

// Caps describes hours of the emission factor type that is configured.
func (p *Provider) Caps() intensity.Caps {
	c := intensity.Caps{
		ID:    id,
		Bases: []intensity.Basis{p.basis},
		Step:  step, Horizon: horizon, MaxSpan: maxSpan, Settle: settle, Rate: p.rate,
		Network:     true,
		Attribution: "Electricity Maps (electricitymaps.com)",
	}
	if p.basis.Boundary != intensity.Lifecycle {
		c.Horizon = 0
	}
	if p.strict {
		c.Latency = measured
	}
	return c
}

// Fetch returns the hours of [from, to), at most Caps().MaxSpan, with one request: for the
// history if they lie in the last 24 h, else for past-range. KindTooOld: that would take
// past-range, and the key is known not to have it, see Access; where the history has a part
// of the time, the rest is a gap of that kind. KindNotYet: it is all in the future.
func (p *Provider) Fetch(ctx context.Context, zone string, from, to time.Time) (intensity.Series, error) {
	zone, err := p.asked(zone)
	if err != nil {
		return intensity.Series{}, err
	}
	ask := p.ask(zone, from, to)
	if err := ask.Check(maxSpan); err != nil {
		return intensity.Series{}, err
	}
	now := time.Now()
	running := now.UTC().Truncate(step)
	oldest := running.Add(-reach)
	if !from.Before(running.Add(step)) {
		return intensity.Series{}, p.http.Error(intensity.KindNotYet, zone, "%s has not begun: ask for a forecast", stamp(from))
	}
	old := p.http.Error(intensity.KindTooOld, zone, "the history begins at %s", stamp(oldest))
	route, query := history, url.Values{}
	// The hour before the history is the one that holds the moment 24 h ago: who asks for
	// the last 24 h in whole hours asks for it too, and wants the other 24.
	if from.Before(oldest.Add(-step)) || !to.After(oldest) {
		switch {
		case p.access.may(zone, pastRange, now):
			route = pastRange
			end := to.Add(step - 1).UTC().Truncate(step)
			if last := running.Add(step); end.After(last) {
				end = last
			}
			query.Set("start", stamp(from.UTC().Truncate(step)))
			query.Set("end", stamp(end))
			if p.version != "v3" {
				query.Set("temporalGranularity", "hourly")
			}
		case !to.After(oldest):
			old.Detail += ", and the key does not have " + pastRange
			return intensity.Series{}, old
		}
	}
	a, err := p.get(ctx, route, zone, query)
	if err != nil {
		return intensity.Series{}, err
	}
	s, err := decode(a.Body, p.decoder(ask, a, route))
	if err == nil && route == history {
		outOfReach(&s, oldest, old)
	}
	return s, err
}

// outOfReach gives the part of a gap that lies before the history its reason.
func outOfReach(s *intensity.Series, oldest time.Time, err error) {
	if len(s.Gaps) == 0 || !s.Gaps[0].Start.Equal(s.From) || !s.From.Before(oldest) {
		return
	}
	first := s.Gaps[0]
	if first.End.After(oldest) {
		s.Gaps = append([]intensity.Gap{first}, s.Gaps...)
		s.Gaps[1].Start, s.Gaps[0].End = oldest, oldest
	}
	s.Gaps[0].Err = err
}

// FetchForecast returns the hours from the one that holds now to the one that holds the
// end of the horizon, at most 72 h: KindPlan beyond that. The provider does not say when a
// forecast was made, so Origin.IssuedAt is when it was fetched. It forecasts lifecycle
// emissions only: KindBasis where others are configured.
func (p *Provider) FetchForecast(ctx context.Context, zone string, ahead time.Duration) (intensity.Series, error) {
	zone, err := p.asked(zone)
	if err != nil {
		return intensity.Series{}, err
	}
	switch {
	case p.basis.Boundary != intensity.Lifecycle:
		return intensity.Series{}, p.http.Error(intensity.KindBasis, zone, "forecasts are lifecycle, wanted is %s", p.basis.Boundary)
	case ahead <= 0:
		return intensity.Series{}, p.http.Error(intensity.KindConfig, zone, "a horizon of %s: want one of more than 0", ahead)
	case ahead > horizon:
		return intensity.Series{}, p.http.Error(intensity.KindPlan, zone, "a horizon of %s: forecasts reach %s ahead", ahead, horizon)
	}
	query := url.Values{}
	for _, h := range horizons() {
		if query.Set("horizonHours", strconv.Itoa(h)); time.Duration(h)*time.Hour >= ahead {
			break
		}
	}
	a, err := p.get(ctx, forecast, zone, query)
	if err != nil {
		return intensity.Series{}, err
	}
	ask := p.ask(zone, time.Time{}, time.Time{})
	d := p.decoder(ask, a, forecast)
	d.From = d.Now.Truncate(step) // by the server's clock, as are its hours
	d.To = d.Now.Add(ahead + step - 1).Truncate(step)
	return decode(a.Body, d)
}

// Latest returns the newest value, which is usually an estimate and sometimes one of an
// hour that has not begun. Fetch of the last hours costs as much and returns more.
func (p *Provider) Latest(ctx context.Context, zone string) (*intensity.Slot, error) {
	zone, err := p.asked(zone)
	if err != nil {
		return nil, err
	}
	a, err := p.get(ctx, latest, zone, url.Values{})
	if err != nil {
		return nil, err
	}
	return decodeLatest(a.Body, p.decoder(p.ask(zone, time.Time{}, time.Time{}), a, latest))
}

// asked returns a zone as it is sent.
func (p *Provider) asked(zone string) (string, error) {
	zone = strings.TrimSpace(zone)
	if zone == "" {
		return "", p.http.Error(intensity.KindZone, "", "no zone: want a key of Electricity Maps such as DE or US-MIDA-PJM")
	}
	if z := tables.Zones().Lookup(zone); z != nil {
		zone = z.Key
	}
	return zone, nil
}

func (p *Provider) ask(zone string, from, to time.Time) rows.Ask {
	ask := rows.Ask{Provider: id, Zone: zone, From: from, To: to}
	if p.strict {
		ask.Late = measuredLate
	}
	return ask
}

func (p *Provider) decoder(ask rows.Ask, a *wire.Answer, route string) decoder {
	now := time.Now().UTC()
	ask.Now = a.Now(now)
	return decoder{Ask: ask, basis: p.basis, whole: place.Whole(ask.Zone), widths: &p.widths, origin: intensity.Origin{
		Provider: id, Endpoint: p.version + "/" + route, ZoneAsked: ask.Zone, FetchedAt: now,
	}}
}

// get makes one request. The plan is asked first where it is known.
func (p *Provider) get(ctx context.Context, route, zone string, query url.Values) (*wire.Answer, error) {
	if !p.access.may(zone, route, time.Now()) {
		return nil, p.http.Error(intensity.KindPlan, zone, "the key does not have %s for this zone", route)
	}
	query.Set("zone", zone)
	query.Set("disableCallerLookup", "true") // else the caller's address is a place
	if route != forecast {                   // which has neither
		query.Set("emissionFactorType", p.basis.Boundary.String())
		if p.strict {
			query.Set("disableEstimations", "true")
		}
	}
	a, err := p.http.Get(ctx, "/"+p.version+"/"+route, query, p.header())
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return nil, p.refused(a, route, zone)
	}
	if a.IsHTML() {
		return nil, p.http.Error(intensity.KindMalformed, zone, "status 200 with a page of HTML instead of JSON")
	}
	p.worked.Store(true)
	return a, nil
}

func (p *Provider) header() http.Header { return http.Header{"Auth-Token": {p.key.Show()}} }

// refused is the error of an answer that is not 200. The status alone tells little: 401
// is what a key gets that is wrong, that lacks a route, or that is used too often.
func (p *Provider) refused(a *wire.Answer, route, zone string) error {
	e := p.http.Refused(a, zone)
	switch kind := meaning(a, route); {
	case kind == intensity.KindPlan:
		p.access.refuse(zone, route, time.Now())
		e.Kind = kind
	case kind != 0:
		e.Kind = kind
	case e.Kind == intensity.KindAuth && p.worked.Load():
		limited := p.http.Error(intensity.KindRate, zone, "a key that was taken before is refused, because it is used too often, or has been withdrawn: %s", e.Detail)
		limited.Status, limited.RetryAfter = a.Status, a.RetryAfter
		return limited
	}
	return e
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
