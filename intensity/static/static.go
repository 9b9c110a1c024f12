// Package static is an intensity provider that always answers with one constant:
// a contract's factor, a site with its own generation, a test. It comes first in
// a chain where it is meant to replace tables, last where it is meant to be the
// fallback.
//
// The constant is an assumption of its owner, and says so: its quality is
// "assumed" and its source "static". Its range is unknown unless the owner states
// one.
package static

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

// Options describes the constant.
type Options struct {
	GramsPerKWh float64 // between 0 and intensity.MaxGramsPerKWh
	Half        float64 // relative half-width of the range: 0.1 is ± 10 %; 0 for unknown
	Zone        string  // value of carbon.grid.zone; "" for the zone that is asked for, if any

	// Basis says what the constant is. Fields left zero are whatever a query wants,
	// and where it wants nothing in particular: average, lifecycle, consumption,
	// CO2e. A query that wants something else than a stated field gets no answer.
	Basis intensity.Basis
}

// Provider is an intensity.Table of one value. It is safe for concurrent use.
type Provider struct {
	options Options
}

var _ intensity.Table = (*Provider)(nil)

// New checks the options; errors are of KindConfig.
func New(o Options) (*Provider, error) {
	if !(o.GramsPerKWh >= 0 && o.GramsPerKWh <= intensity.MaxGramsPerKWh) {
		return nil, refuse("g_per_kwh is %v: want a number between 0 and %d", o.GramsPerKWh, intensity.MaxGramsPerKWh)
	}
	if !(o.Half >= 0) || math.IsInf(o.Half, 0) {
		return nil, refuse("half-width is %v: want a number of 0 or more, such as 0.1 for ± 10 %%", o.Half)
	}
	return &Provider{options: o}, nil
}

// Caps describes a table of any place and time.
func (p *Provider) Caps() intensity.Caps {
	return intensity.Caps{ID: names.SourceStatic, Bases: []intensity.Basis{p.options.Basis}}
}

// Resolve returns the zone of the options, or the one asked for. Every place is
// covered.
func (p *Provider) Resolve(_ context.Context, loc intensity.Location) (string, error) {
	return p.zone(loc), nil
}

// Fetch returns one slot from from to to.
func (p *Provider) Fetch(ctx context.Context, zone string, from, to time.Time) (intensity.Series, error) {
	if err := ctx.Err(); err != nil {
		return intensity.Series{}, err
	}
	slots, err := p.Slots(intensity.Query{Location: intensity.Location{Zone: zone}})
	if err != nil {
		return intensity.Series{}, err
	}
	g, err := intensity.NewGrid(slots, nil)
	if err != nil {
		return intensity.Series{}, err
	}
	return g.Series(from, to, intensity.KindNoData), nil
}

// Slots returns one slot over all time, or KindBasis.
func (p *Provider) Slots(q intensity.Query) ([]*intensity.Slot, error) {
	o, zone := p.options, p.zone(q.Location)
	basis := intensity.Basis{
		Signal:   cmp.Or(o.Basis.Signal, q.Want.Signal, intensity.Average),
		Boundary: cmp.Or(o.Basis.Boundary, q.Want.Boundary, intensity.Lifecycle),
		Flow:     cmp.Or(o.Basis.Flow, q.Want.Flow, intensity.Consumption),
		Gas:      cmp.Or(o.Basis.Gas, q.Want.Gas, intensity.CO2e),
	}
	if !q.Want.Accepts(basis) {
		return nil, &intensity.Error{
			Kind: intensity.KindBasis, Provider: names.SourceStatic, Zone: zone,
			Detail: fmt.Sprintf("the constant is %s, wanted is %s", basis, q.Want),
		}
	}
	s := &intensity.Slot{
		GramsPerKWh: o.GramsPerKWh, Basis: basis, Quality: intensity.Assumed,
		Origin: intensity.Origin{
			Provider: names.SourceStatic, ZoneAsked: zone, ZoneServed: zone,
			Method: "constant", Why: "a constant was configured",
		},
	}
	s.Start, s.End = intensity.Always()
	if o.Half > 0 {
		s.Spread = intensity.Spread{Half: o.Half, From: "assumed"}
	}
	return []*intensity.Slot{s}, nil
}

func (p *Provider) zone(loc intensity.Location) string { return cmp.Or(p.options.Zone, loc.Zone) }

func refuse(format string, args ...any) error {
	return &intensity.Error{Kind: intensity.KindConfig, Provider: names.SourceStatic, Detail: fmt.Sprintf(format, args...)}
}
