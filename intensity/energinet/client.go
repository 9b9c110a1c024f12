package energinet

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/rows"
	"github.com/otelcarbon/otelcarbon/intensity/internal/wire"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

const (
	id       = names.SourceEnerginet
	endpoint = "https://api.energidataservice.dk"

	measured  = "CO2Emis"
	predicted = "CO2EmisProg"

	step    = 5 * time.Minute
	horizon = 36 * time.Hour // the day after the auction ends 33 to 36 h after the forecast for it appears
	maxSpan = 31 * 24 * time.Hour
	latency = 15 * time.Minute
	settle  = 7 * 24 * time.Hour // assumed: Energinet corrects, and does not say for how long
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

// Caps describes five-minute values of the two Danish price areas. One request a minute
// is what the service bears for each data set; beyond 40 in 10 s it refuses all for 5
// minutes.
func (p *Provider) Caps() intensity.Caps {
	return intensity.Caps{
		ID:    id,
		Bases: []intensity.Basis{basis()},
		Step:  step, Horizon: horizon, MaxSpan: maxSpan, Latency: latency, Settle: settle,
		Rate:        intensity.Rate{Burst: 2, Per: time.Minute},
		Network:     true,
		Attribution: "Energinet, Energi Data Service (energidataservice.dk), CC BY 4.0",
	}
}

func basis() intensity.Basis {
	return intensity.Basis{Signal: intensity.Average, Boundary: intensity.Direct, Flow: intensity.Consumption, Gas: intensity.CO2}
}

// Fetch returns the values of [from, to), at most 31 days.
func (p *Provider) Fetch(ctx context.Context, zone string, from, to time.Time) (intensity.Series, error) {
	return p.get(ctx, measured, zone, from, to)
}

// FetchForecast returns the forecast from the five minutes that hold now on. It ends
// with the day for which there is one already: what is missing of the horizon is a gap.
func (p *Provider) FetchForecast(ctx context.Context, zone string, ahead time.Duration) (intensity.Series, error) {
	switch {
	case ahead <= 0:
		return intensity.Series{}, p.http.Error(intensity.KindConfig, zone, "a horizon of %s: want one of more than 0", ahead)
	case ahead > horizon:
		return intensity.Series{}, p.http.Error(intensity.KindPlan, zone, "a horizon of %s: forecasts reach %s ahead at most", ahead, horizon)
	}
	now := time.Now()
	return p.get(ctx, predicted, zone, now.Truncate(step), now.Add(ahead+step-1).Truncate(step))
}

func (p *Provider) get(ctx context.Context, dataset, zone string, from, to time.Time) (intensity.Series, error) {
	area, err := parseArea(zone)
	if err != nil {
		return intensity.Series{}, err
	}
	ask := rows.Ask{Provider: id, Zone: area, From: from, To: to, Late: latency}
	if err := ask.Check(maxSpan); err != nil {
		return intensity.Series{}, err
	}
	path := "/dataset/" + dataset
	a, err := p.http.GetJSON(ctx, path, query(area, from, to), area)
	if err != nil {
		return intensity.Series{}, err
	}
	now := time.Now().UTC()
	ask.Now = a.Now(now)
	return decode(a.Body, decoder{
		Ask: ask, area: area, forecast: dataset == predicted, widths: p.widths,
		origin: intensity.Origin{
			Provider: id, Endpoint: path, ZoneAsked: area, ZoneServed: "DK-" + area, Method: dataset, FetchedAt: now,
		},
	})
}

// query asks for whole slots around [from, to). Without a timezone the times would be
// Danish, without a limit only 100 records would come, and without an order the newest
// would come first.
func query(area string, from, to time.Time) url.Values {
	const layout = "2006-01-02T15:04"
	return url.Values{
		"start":    {from.UTC().Truncate(step).Format(layout)},
		"end":      {to.UTC().Add(step - 1).Truncate(step).Format(layout)},
		"timezone": {"UTC"},
		"columns":  {"Minutes5UTC,PriceArea,CO2Emission"},
		"filter":   {`{"PriceArea":["` + area + `"]}`},
		"sort":     {"Minutes5UTC"},
		"limit":    {"0"},
	}
}
