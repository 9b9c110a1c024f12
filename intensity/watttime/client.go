package watttime

import (
	"cmp"
	"context"
	"maps"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/rows"
	"github.com/otelcarbon/otelcarbon/intensity/internal/wire"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

const (
	id       = names.SourceWattTime
	endpoint = "https://api.watttime.org"

	pathHistorical   = "/v3/historical"
	pathForecast     = "/v3/forecast"
	pathPastForecast = "/v3/forecast/historical"
	pathIndex        = "/v3/signal-index"
	pathRegion       = "/v3/region-from-loc"
	pathAccess       = "/v3/my-access"

	horizon     = 72 * time.Hour
	maxSpan     = 30 * 24 * time.Hour // documented are 32 days; the provider's own client asks for 30
	maxIssued   = 6 * time.Hour       // of forecasts as they were made: 288 points every 5 min, some 1.5 MB
	latency     = 15 * time.Minute    // assumed; the provider promises no time for historical values
	latencyAOER = 24 * time.Hour      // assumed, likewise
	settle      = 7 * 24 * time.Hour  // assumed
)

// Options of a Provider. Username and Password are required.
type Options struct {
	Username string
	Password string
	// Signal is Marginal, which 0 stands for too, or Average.
	Signal intensity.Signal
	// Regions says which region of WattTime a zone is, or a country or a subdivision,
	// where positions are not known: {"US-CAL-CISO": "CAISO_NORTH"}.
	Regions map[string]string
	// Endpoint is the URL under which the service lies, "" for its own. It has to be
	// https, unless its host is on loopback or Insecure is set.
	Endpoint string
	Insecure bool
	// HTTP is copied; nil means a client with bounds of its own.
	HTTP *http.Client
	// HalfWidths of the ranges; the zero value stands for intensity.DefaultHalfWidths.
	HalfWidths intensity.HalfWidths
}

// Provider is an intensity.Provider and an intensity.Forecaster. It is safe for
// concurrent use.
type Provider struct {
	http    *wire.Client // knows the credentials, but no token
	session *session
	signal  signal
	regions map[string]string
	widths  intensity.HalfWidths
	access  atomic.Pointer[Access]
	worked  atomic.Bool // a token has been accepted
}

var (
	_ intensity.Provider   = (*Provider)(nil)
	_ intensity.Forecaster = (*Provider)(nil)
)

// New checks the options; errors are of KindConfig. It makes no request.
func New(o Options) (*Provider, error) {
	refuse := func(detail string) error {
		return &intensity.Error{Kind: intensity.KindConfig, Provider: id, Detail: detail}
	}
	switch {
	case o.Username == "" || o.Password == "":
		return nil, refuse("name or password is missing; both are those of an account at watttime.org")
	case strings.Contains(o.Username, ":"):
		return nil, refuse("the name holds a colon, which no name can that is sent with a password")
	case o.Signal > intensity.Marginal:
		return nil, refuse("the signal is " + o.Signal.String() + ": want marginal or average")
	}
	p := &Provider{signal: signalOf(o.Signal), widths: o.HalfWidths.OrDefault(), regions: make(map[string]string, len(o.Regions))}
	for zone, region := range maps.All(o.Regions) {
		if !isRegion(region) {
			return nil, refuse("the region of zone " + zone + " is not one of WattTime: want letters, digits and underscores, such as CAISO_NORTH")
		}
		p.regions[strings.ToUpper(zone)] = region
	}
	if err := p.widths.Check(); err != nil {
		return nil, err
	}
	basic := basicAuth(o.Username, o.Password)
	client, err := wire.New(wire.Config{
		Provider: id, Base: cmp.Or(o.Endpoint, endpoint), Insecure: o.Insecure, HTTP: o.HTTP,
		Secrets: []string{o.Password, o.Username, basic},
	})
	if err != nil {
		return nil, err
	}
	p.http = client
	p.session = newSession(client, basic)
	return p, nil
}

// Caps describes the signal of the options.
func (p *Provider) Caps() intensity.Caps {
	c := intensity.Caps{
		ID:    id,
		Bases: []intensity.Basis{p.signal.basis()},
		Step:  p.signal.step(), MaxSpan: maxSpan, Latency: p.signal.latency(), Settle: settle,
		Rate:        intensity.Rate{Burst: 50, Per: 100 * time.Millisecond}, // 3000 in 5 min [docs.watttime.org]
		Network:     true,
		Locates:     true,
		Attribution: "WattTime (watttime.org)",
	}
	if p.signal == moer {
		c.Horizon = horizon
	}
	return c
}

// Fetch returns the values of [from, to) that were published after the fact, at most 30
// days. The time since the last of them is a gap of KindNotYet: the present is in
// FetchForecast.
func (p *Provider) Fetch(ctx context.Context, region string, from, to time.Time) (intensity.Series, error) {
	ask := rows.Ask{Provider: id, Zone: region, From: from, To: to, Late: p.signal.latency()}
	if err := ask.Check(maxSpan); err != nil {
		return intensity.Series{}, err
	}
	if !from.Before(time.Now()) {
		return intensity.Series{}, p.http.Error(intensity.KindNotYet, region, "%s has not begun; the future is in forecasts", stamp(from))
	}
	a, d, err := p.data(ctx, pathHistorical, ask, url.Values{
		"start": {stamp(from.Truncate(p.signal.step()))},
		"end":   {stamp(to.Add(-1).Truncate(p.signal.step()))}, // the end is part of the answer
		// Without it, filled-in points look like the others.
		"include_imputed_marker": {"true"},
	})
	if err != nil {
		return intensity.Series{}, err
	}
	return decodeHistorical(a.Body, d)
}

// FetchForecast returns the newest forecast from the slot that holds now on, 72 h at
// most. Its first slot is the best that is known of the present. There is none of the
// average signal: that is an error of KindPlan.
func (p *Provider) FetchForecast(ctx context.Context, region string, ahead time.Duration) (intensity.Series, error) {
	switch {
	case p.signal != moer:
		return intensity.Series{}, p.http.Error(intensity.KindPlan, region, "%s has no forecast, only history", p.signal)
	case ahead <= 0:
		return intensity.Series{}, p.http.Error(intensity.KindConfig, region, "a horizon of %s: want one of more than 0", ahead)
	case ahead > horizon:
		return intensity.Series{}, p.http.Error(intensity.KindPlan, region, "a horizon of %s: forecasts reach %s ahead", ahead, horizon)
	}
	now := time.Now()
	step := p.signal.step()
	ask := rows.Ask{Provider: id, Zone: region, From: now.Truncate(step), To: now.Add(ahead + step - 1).Truncate(step)}
	a, d, err := p.data(ctx, pathForecast, ask, url.Values{"horizon_hours": {hours(ahead)}})
	if err != nil {
		return intensity.Series{}, err
	}
	return decodeForecast(a.Body, d)
}

// FetchIssued returns the forecasts that were made in [from, to), at most 6 h, as they
// were made: each from its issue on, ahead far. They tell how good forecasts are, and
// are no record of what came. All errors are as those of Fetch.
func (p *Provider) FetchIssued(ctx context.Context, region string, from, to time.Time, ahead time.Duration) ([]intensity.Series, error) {
	ask := rows.Ask{Provider: id, Zone: region, From: from, To: to}
	if err := ask.Check(maxIssued); err != nil {
		return nil, err
	}
	switch {
	case p.signal != moer:
		return nil, p.http.Error(intensity.KindPlan, region, "%s has no forecast, only history", p.signal)
	case ahead <= 0 || ahead > horizon:
		return nil, p.http.Error(intensity.KindConfig, region, "a horizon of %s: want one of more than 0 and at most %s", ahead, horizon)
	}
	a, d, err := p.data(ctx, pathPastForecast, ask, url.Values{
		"start":         {stamp(from)},
		"end":           {stamp(to.Add(-1).Truncate(p.signal.step()))},
		"horizon_hours": {hours(ahead)},
	})
	if err != nil {
		return nil, err
	}
	return decodeIssued(a.Body, d, ahead)
}

// Index is how clean a grid is now, compared with what is forecast for the next 24 hours.
type Index struct {
	At         time.Time
	Percentile float64 // 0 is the cleanest, 100 the dirtiest; not an intensity, and of no use for grams
	Region     string
}

// Index returns the index of a region. Accounts without a plan get it for all regions.
func (p *Provider) Index(ctx context.Context, region string) (Index, error) {
	if p.signal != moer {
		return Index{}, p.http.Error(intensity.KindPlan, region, "%s has no index", p.signal)
	}
	a, d, err := p.data(ctx, pathIndex, rows.Ask{Provider: id, Zone: region}, url.Values{})
	if err != nil {
		return Index{}, err
	}
	return decodeIndex(a.Body, d)
}

// data makes a request for the signal of a region, and has its answer ready for decoding.
func (p *Provider) data(ctx context.Context, path string, ask rows.Ask, query url.Values) (*wire.Answer, decoder, error) {
	if !isRegion(ask.Zone) {
		return nil, decoder{}, p.http.Error(intensity.KindZone, ask.Zone, "not a region of WattTime: want letters, digits and underscores, such as CAISO_NORTH")
	}
	if err := p.allowed(ask.Zone, path); err != nil {
		return nil, decoder{}, err
	}
	query.Set("region", ask.Zone)
	query.Set("signal_type", string(p.signal))
	a, err := p.get(ctx, path, query, ask.Zone)
	if err != nil {
		return nil, decoder{}, err
	}
	now := time.Now().UTC()
	ask.Now = a.Now(now)
	return a, decoder{Ask: ask, signal: p.signal, widths: p.widths, origin: intensity.Origin{
		Provider: id, Endpoint: path, ZoneAsked: ask.Zone, Method: string(p.signal), FetchedAt: now,
	}}, nil
}

// get makes one request with a token, and has an answer of status 200 or an error. If the
// server refuses a token that it gave out some time ago, the request is made again with
// a new one.
func (p *Provider) get(ctx context.Context, path string, query url.Values, zone string) (*wire.Answer, error) {
	t, err := p.session.token(ctx, nil)
	if err != nil {
		return nil, err
	}
	fresh := !t.used.Swap(true)
	a, client, err := p.ask(ctx, t, path, query)
	if err == nil && refusesToken(a) && !fresh {
		if t, err = p.session.token(ctx, t); err != nil {
			return nil, err
		}
		t.used.Store(true)
		a, client, err = p.ask(ctx, t, path, query)
	}
	switch {
	case err != nil:
		return nil, err
	case a.Status != http.StatusOK:
		return nil, p.refused(client, a, zone)
	}
	p.worked.Store(true)
	return a, checkPage(client, a, zone)
}

func (p *Provider) ask(ctx context.Context, t *token, path string, query url.Values) (*wire.Answer, *wire.Client, error) {
	client := p.http.With(t.text.Show())
	a, err := client.Get(ctx, path, query, http.Header{"Authorization": {"Bearer " + t.text.Show()}})
	return a, client, err
}

// refusesToken tells a token that does not count from a plan that does not reach: the one
// is answered by a page of the server in front, the other by the API.
func refusesToken(a *wire.Answer) bool {
	return a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden && a.IsHTML()
}

// refused is the error of an answer whose status is not 200.
func (p *Provider) refused(client *wire.Client, a *wire.Answer, zone string) error {
	e := client.Refused(a, zone)
	switch {
	case refusesToken(a) && p.worked.Load():
		// The account is good, and so was the login just now. What is left is a limit.
		e.Kind, e.RetryAfter = intensity.KindRate, a.RetryAfter
		e.Detail = "a new token is refused after others were accepted, taken for a limit: " + e.Detail
	case a.Status == http.StatusForbidden && isPlan(string(a.Body)):
		e.Kind = intensity.KindPlan
	}
	return e
}

// isPlan knows the words with which a plan that does not reach is answered.
func isPlan(body string) bool {
	return strings.Contains(body, "Invalid scope") || strings.Contains(body, "sufficient access")
}

// checkPage finds the page of a proxy or a login that comes with status 200.
func checkPage(client *wire.Client, a *wire.Answer, zone string) error {
	var object struct{}
	return client.Decode(a, zone, &object)
}

// stamp is a time as the service wants it: with a zone, which url.Values escapes.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05-07:00") }

func hours(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Hours()))) }
