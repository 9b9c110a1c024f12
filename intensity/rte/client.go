package rte

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/rows"
	"github.com/otelcarbon/otelcarbon/intensity/internal/wire"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

const (
	id       = names.SourceRTEEco2mix
	endpoint = "https://odre.opendatasoft.com"
	path     = "/api/explore/v2.1/catalog/datasets/eco2mix-national-tr/records"
	dataset  = "eco2mix-national-tr"

	step    = 15 * time.Minute
	maxSpan = 24 * time.Hour      // of the 100 rows that one request may ask for, 96
	depth   = 31 * 24 * time.Hour // assumed; the data set holds what is not consolidated yet, a month or more
	latency = 30 * time.Minute
	late    = 2 * time.Hour       // some quarters of an hour come together
	settle  = 35 * 24 * time.Hour // consolidated in the course of the next month
)

// Options of a Provider. The zero value is usable.
type Options struct {
	// Endpoint is the URL of a platform that has the data set, "" for ODRÉ. It has to be
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
	widths intensity.HalfWidths
}

var _ intensity.Provider = (*Provider)(nil)

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

// Caps describes quarters of an hour of France. The platform has a daily quota for those
// who send no key, which it does not publish.
func (p *Provider) Caps() intensity.Caps {
	return intensity.Caps{
		ID:    id,
		Bases: []intensity.Basis{basis()},
		Step:  step, Depth: depth, MaxSpan: maxSpan, Latency: latency, Settle: settle,
		Network:     true,
		Attribution: "RTE, éCO2mix, through ODRÉ (odre.opendatasoft.com), Licence Ouverte",
	}
}

func basis() intensity.Basis {
	return intensity.Basis{Signal: intensity.Average, Boundary: intensity.Direct, Flow: intensity.Production, Gas: intensity.CO2}
}

// Fetch returns the values of [from, to), at most 24 hours. KindTooOld: there are none,
// and the time is before what the data set of unconsolidated values holds.
func (p *Provider) Fetch(ctx context.Context, zone string, from, to time.Time) (intensity.Series, error) {
	if err := parseZone(zone); err != nil {
		return intensity.Series{}, err
	}
	ask := rows.Ask{Provider: id, Zone: france, From: from, To: to, Late: late}
	if err := ask.Check(maxSpan); err != nil {
		return intensity.Series{}, err
	}
	a, err := p.http.GetJSON(ctx, path, query(from, to), france)
	if err != nil {
		return intensity.Series{}, err
	}
	now := time.Now().UTC()
	ask.Now = a.Now(now)
	s, err := decode(a.Body, decoder{Ask: ask, widths: p.widths, origin: intensity.Origin{
		Provider: id, Endpoint: path, ZoneAsked: france, ZoneServed: france, Method: "taux_co2", Model: dataset, FetchedAt: now,
	}})
	if errors.Is(err, intensity.KindNoData) && to.Before(ask.Now.Add(-depth)) {
		err = ask.Error(intensity.KindTooOld, "%s has no value until %s: ask for the last %d days", dataset, to.UTC().Format(time.DateOnly), int(depth.Hours()/24))
	}
	return s, err
}

// query asks for whole slots around [from, to). It asks by the moment and not by the
// local date, of which there is nothing yet just after midnight.
func query(from, to time.Time) url.Values {
	const layout = "2006-01-02T15:04:05Z"
	return url.Values{
		"select": {"taux_co2,date_heure"},
		"where": {"taux_co2 is not null and date_heure >= date'" + from.UTC().Truncate(step).Format(layout) +
			"' and date_heure < date'" + to.UTC().Add(time.Second-1).Format(layout) + "'"},
		"order_by": {"date_heure"},
		"limit":    {"100"},
		"timezone": {"UTC"},
	}
}
