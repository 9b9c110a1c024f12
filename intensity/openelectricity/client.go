package openelectricity

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/place"
	"github.com/otelcarbon/otelcarbon/intensity/internal/rows"
	"github.com/otelcarbon/otelcarbon/intensity/internal/wire"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

const (
	id       = names.SourceOpenElectricity
	endpoint = "https://api.openelectricity.org.au"

	step    = time.Hour
	maxSpan = 31 * 24 * time.Hour // 32 days of hours in one request, less what rounding adds
	settle  = 7 * 24 * time.Hour  // assumed
	latency = time.Hour           // of the NEM, assumed: its newest 5 minutes are some 10 min old, rooftop solar 30
)

// Options of a Provider. Key is required.
type Options struct {
	// Key is one of platform.openelectricity.org.au.
	Key string
	// Endpoint is the URL under which the service lies, "" for its own. It has to be
	// https, unless its host is on loopback or Insecure is set.
	Endpoint string
	Insecure bool
	// HTTP is copied; nil means a client with bounds of its own.
	HTTP *http.Client
	// HalfWidths of the ranges; the zero value stands for intensity.DefaultHalfWidths.
	HalfWidths intensity.HalfWidths
}

// Provider is an intensity.Provider. It is safe for concurrent use.
type Provider struct {
	http   *wire.Client
	key    wire.Secret
	widths intensity.HalfWidths
}

var _ intensity.Provider = (*Provider)(nil)

// New checks the options; errors are of KindConfig. It makes no request.
func New(o Options) (*Provider, error) {
	if o.Key == "" {
		return nil, &intensity.Error{Kind: intensity.KindConfig, Provider: id, Detail: "the key is missing; there is one at platform.openelectricity.org.au"}
	}
	p := &Provider{key: wire.NewSecret(o.Key), widths: o.HalfWidths.OrDefault()}
	if err := p.widths.Check(); err != nil {
		return nil, err
	}
	client, err := wire.New(wire.Config{Provider: id, Base: cmp.Or(o.Endpoint, endpoint), Insecure: o.Insecure, HTTP: o.HTTP, Secrets: []string{o.Key}})
	if err != nil {
		return nil, err
	}
	p.http = client
	return p, nil
}

// Caps describes hours of Australian regions. How far back they reach depends on the
// plan: 367 days with the free one.
func (p *Provider) Caps() intensity.Caps {
	return intensity.Caps{
		ID:    id,
		Bases: []intensity.Basis{basis()},
		Step:  step, MaxSpan: maxSpan, Latency: latency, Settle: settle,
		Rate:        intensity.Rate{Burst: 2, Per: 3 * time.Minute}, // 2 in a second and 500 a day with the free plan
		Network:     true,
		Attribution: "Data sourced from Open Electricity (Superpower Institute), licensed under CC BY-NC 4.0. It incorporates data of AEMO and APVI.",
	}
}

// basis calls it CO2e because the factors of the units are the market operator's, which
// are; the service calls it both.
func basis() intensity.Basis {
	return intensity.Basis{Signal: intensity.Average, Boundary: intensity.Direct, Flow: intensity.Production, Gas: intensity.CO2e}
}

// network is a market with a clock of its own.
type network struct {
	code    string
	offset  string // as the service writes it
	clock   *time.Location
	latency time.Duration
}

func nem() network {
	return network{"NEM", "+10:00", time.FixedZone("AEST", 10*3600), latency}
}

// wem publishes once a day, in the afternoon, until the morning.
func wem() network {
	return network{"WEM", "+08:00", time.FixedZone("AWST", 8*3600), 36 * time.Hour}
}

// region returns the network of a region in the spelling of the service.
func region(zone string) (network, bool) {
	switch zone {
	case "NSW1", "QLD1", "SA1", "TAS1", "VIC1":
		return nem(), true
	case "WEM":
		return wem(), true
	}
	return network{}, false
}

const covers = "AU-NSW with AU-ACT, AU-QLD, AU-SA, AU-TAS, AU-VIC and AU-WA"

// Resolve returns the region of a place: "NSW1", "QLD1", "SA1", "TAS1", "VIC1" or "WEM". It
// makes no request.
func (p *Provider) Resolve(_ context.Context, loc intensity.Location) (string, error) {
	return place.Finder{Provider: id, Covers: covers, Own: own}.Find(loc)
}

func own(key string) (string, error) {
	refuse := func(detail string) (string, error) {
		return "", &intensity.Error{Kind: intensity.KindZone, Provider: id, Detail: detail}
	}
	switch key {
	case "AU-NSW", "AU-ACT": // the capital lies inside
		return "NSW1", nil
	case "AU-QLD", "AU-SA", "AU-TAS", "AU-VIC":
		return strings.TrimPrefix(key, "AU-") + "1", nil
	case "AU-WA":
		return "WEM", nil
	case "AU-NT":
		return refuse("the Northern Territory belongs to neither market; open_electricity covers " + covers)
	case "AU":
		return refuse("Australia is not one grid: say which of " + covers)
	}
	if _, ok := region(key); ok {
		return key, nil
	}
	return "", nil
}

// Fetch returns the hours of [from, to), at most 31 days. The hour that is running is a
// gap of KindNotYet.
func (p *Provider) Fetch(ctx context.Context, zone string, from, to time.Time) (intensity.Series, error) {
	net, ok := region(zone)
	if !ok {
		return intensity.Series{}, p.http.Error(intensity.KindZone, zone, "want NSW1, QLD1, SA1, TAS1, VIC1 or WEM")
	}
	ask := rows.Ask{Provider: id, Zone: zone, From: from, To: to, Late: net.latency}
	if err := ask.Check(maxSpan); err != nil {
		return intensity.Series{}, err
	}
	if !from.Before(time.Now()) {
		return intensity.Series{}, p.http.Error(intensity.KindNotYet, zone, "%s has not begun, and there are no forecasts", from.UTC().Format(time.RFC3339))
	}
	const layout = "2006-01-02T15:04:05" // of the network, without zone: anything else is refused
	path := "/v4/data/network/" + net.code
	a, err := p.http.Get(ctx, path, url.Values{
		"metrics":            {"energy", "emissions"},
		"interval":           {"1h"},
		"network_region":     {zone},
		"primary_grouping":   {"network_region"},
		"secondary_grouping": {"fueltech"}, // without it, what batteries take counts as energy
		"date_start":         {from.Truncate(step).In(net.clock).Format(layout)},
		"date_end":           {to.Add(step - 1).Truncate(step).In(net.clock).Format(layout)},
	}, http.Header{"Authorization": {"Bearer " + p.key.Show()}})
	if err != nil {
		return intensity.Series{}, err
	}
	if a.Status != http.StatusOK {
		return intensity.Series{}, p.refused(a, zone)
	}
	var object struct{}
	if err := p.http.Decode(a, zone, &object); err != nil { // a page of HTML, or no object
		return intensity.Series{}, err
	}
	now := time.Now().UTC()
	ask.Now = a.Now(now)
	return decode(a.Body, decoder{Ask: ask, network: net, widths: p.widths, origin: intensity.Origin{
		Provider: id, Endpoint: path, ZoneAsked: zone, ZoneServed: zone, FetchedAt: now,
	}})
}

// refused is the error of an answer whose status is not 200.
func (p *Provider) refused(a *wire.Answer, zone string) error {
	e := p.http.Refused(a, zone)
	switch {
	case a.Status == http.StatusRequestedRangeNotSatisfiable: // "No data available for network NEM in the specified time range"
		e.Kind = intensity.KindNoData
	case a.Status == http.StatusBadRequest && strings.Contains(string(a.Body), "too far in the past"):
		e.Kind = intensity.KindTooOld // of the plan, but later hours are in it
	}
	return e
}
