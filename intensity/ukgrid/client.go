package ukgrid

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/rows"
	"github.com/otelcarbon/otelcarbon/intensity/internal/wire"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

const (
	id       = names.SourceUKNationalGrid
	endpoint = "https://api.carbonintensity.org.uk"

	step    = 30 * time.Minute
	horizon = 48 * time.Hour
	maxSpan = 14 * 24 * time.Hour // of one request, by the service's documentation
	latency = 90 * time.Minute    // three slots that had ended had no actual, 2023-03-16 06:31Z
	settle  = 48 * time.Hour      // assumed; actuals were revised by 0.4–2.4 % within 17 h, 2023-03-15
)

// Options of a Provider. The zero value is usable.
type Options struct {
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
	http   *wire.Client
	widths intensity.HalfWidths
}

var (
	_ intensity.Provider   = (*Provider)(nil)
	_ intensity.Forecaster = (*Provider)(nil)
)

// New checks the options; errors are of KindConfig. It makes no request.
func New(o Options) (*Provider, error) {
	p := &Provider{widths: o.HalfWidths.OrDefault()}
	if err := p.widths.Check(); err != nil {
		return nil, err
	}
	client, err := wire.New(wire.Config{Provider: id, Base: cmp.Or(o.Endpoint, endpoint), Insecure: o.Insecure, HTTP: o.HTTP})
	if err != nil {
		return nil, err
	}
	p.http = client
	return p, nil
}

// Caps describes half hours of Great Britain and its regions. The service states no
// limit of its rate.
func (p *Provider) Caps() intensity.Caps {
	return intensity.Caps{
		ID:    id,
		Bases: []intensity.Basis{basis()},
		Step:  step, Horizon: horizon, MaxSpan: maxSpan, Latency: latency, Settle: settle,
		Network:     true,
		Attribution: "Carbon Intensity API, National Energy System Operator (carbonintensity.org.uk), CC BY 4.0",
	}
}

func basis() intensity.Basis {
	return intensity.Basis{Signal: intensity.Average, Boundary: intensity.Direct, Flow: intensity.Consumption, Gas: intensity.CO2}
}

// Fetch returns the half hours of [from, to), at most 14 days: actual values where
// there are any, else the forecast as it last was. Regions have forecasts only.
func (p *Provider) Fetch(ctx context.Context, name string, from, to time.Time) (intensity.Series, error) {
	path := pathTime(from) + "/" + pathTime(to.Add(time.Minute-1)) // whole minutes around what was asked
	return p.get(ctx, name, path, from, to)
}

// FetchForecast returns the half hours from the one that holds now on, 48 h at most.
func (p *Provider) FetchForecast(ctx context.Context, name string, ahead time.Duration) (intensity.Series, error) {
	switch {
	case ahead <= 0:
		return intensity.Series{}, p.http.Error(intensity.KindConfig, name, "a horizon of %s: want one of more than 0", ahead)
	case ahead > horizon:
		return intensity.Series{}, p.http.Error(intensity.KindPlan, name, "a horizon of %s: forecasts reach %s ahead", ahead, horizon)
	}
	now := time.Now()
	from := now.Truncate(step)
	to := now.Add(ahead + step - 1).Truncate(step)
	if last := from.Add(horizon); to.After(last) {
		to = last
	}
	// At a border the service begins with the slot that ends there, and the last one
	// would be missing.
	return p.get(ctx, name, pathTime(from.Add(time.Minute))+"/fw48h", from, to)
}

func (p *Provider) get(ctx context.Context, name, when string, from, to time.Time) (intensity.Series, error) {
	z, err := parseZone(name)
	if err != nil {
		return intensity.Series{}, err
	}
	ask := rows.Ask{Provider: id, Zone: z.String(), From: from, To: to, Late: latency}
	if err := ask.Check(maxSpan); err != nil {
		return intensity.Series{}, err
	}
	before, after := z.path()
	a, err := p.http.GetJSON(ctx, before+"/"+when+after, nil, z.String())
	if err != nil {
		return intensity.Series{}, err
	}
	now := time.Now().UTC()
	ask.Now = a.Now(now)
	return decode(a.Body, decoder{Ask: ask, zone: z, widths: p.widths, origin: intensity.Origin{
		Provider: id, Endpoint: before, ZoneAsked: z.String(), FetchedAt: now,
	}})
}

// pathTime is the only form of a time that the service takes.
func pathTime(t time.Time) string { return t.UTC().Format(timeLayout) }
