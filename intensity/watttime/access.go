package watttime

import (
	"context"
	"slices"
	"strings"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// Access is what the plan of an account has.
type Access struct {
	Grants []Grant
}

// Grant is a route for a signal of a region.
type Grant struct {
	Signal intensity.Signal // 0: one that this package does not read
	Word   string           // the signal as WattTime spells it: "co2_moer"
	Region string
	Name   string   // of the region, for people
	Path   string   // "/v3/historical"
	Models []string // dates of the model, as in Origin.Model
}

// Has reports whether the plan has a route for a signal of a region.
func (a *Access) Has(s intensity.Signal, region, path string) bool {
	return slices.ContainsFunc(a.Grants, func(g Grant) bool {
		return g.Signal == s && g.Region == region && g.Path == path
	})
}

// Access asks once what the plan has, and remembers the answer; a failure is not
// remembered. It is worth calling at the start: afterwards, what the plan lacks is an
// error of KindPlan without a request. Nothing depends on it.
func (p *Provider) Access(ctx context.Context) (*Access, error) {
	if a := p.access.Load(); a != nil {
		return a, nil
	}
	answer, err := p.get(ctx, pathAccess, nil, "")
	if err != nil {
		return nil, err
	}
	a, err := decodeAccess(answer.Body)
	if err != nil {
		return nil, err
	}
	p.access.CompareAndSwap(nil, a)
	return p.access.Load(), nil
}

// allowed refuses what the plan is known not to have. The index is for everybody.
func (p *Provider) allowed(region, path string) error {
	a := p.access.Load()
	if a == nil || path == pathIndex || path == pathPastForecast || a.Has(p.signal.signal(), region, path) {
		return nil
	}
	return p.http.Error(intensity.KindPlan, region, "the account has no %s by %s there; it has %s", p.signal, path, a.list(p.signal))
}

func (p *Provider) knows(region string) bool {
	a := p.access.Load()
	return a != nil && slices.ContainsFunc(a.Grants, func(g Grant) bool { return g.Region == region })
}

// list names some regions, for errors.
func (a *Access) list(s signal) string {
	var regions []string
	for _, g := range a.Grants {
		if g.Word == string(s) && !slices.Contains(regions, g.Region) {
			regions = append(regions, g.Region)
		}
	}
	switch n := len(regions); {
	case n == 0:
		return "that signal nowhere"
	case n > 4:
		return strings.Join(regions[:4], ", ") + " and others"
	}
	return strings.Join(regions, ", ")
}

// Probe implements intensity.Prober: it asks what Access tells, for what is asked later.
func (p *Provider) Probe(ctx context.Context) error {
	_, err := p.Access(ctx)
	return err
}
