package carbon

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/chain"
	"github.com/otelcarbon/otelcarbon/intensity/offline"
	"github.com/otelcarbon/otelcarbon/internal/emission"
)

// grid prices energy at the place of the machine.
type grid struct {
	handle *intensity.Handle // nil: nobody has a value
	source intensity.Source
	own    bool // the source is ours
	query  intensity.Query
	pue    float64
	steps  []string // by which the tables found the place
	widths emission.Widths
}

func newGrid(cfg *config) (*grid, error) {
	g := &grid{source: cfg.grid, pue: cfg.pue, widths: emission.DefaultWidths(), query: intensity.Query{Location: cfg.place}}
	g.query.Want.Signal = intensity.Average
	tables, err := offline.New(offline.Options{})
	if err != nil {
		return g, err
	}
	where := tables.Explain(cfg.place)
	g.steps = where.Steps
	var errs []error
	if err := where.Err(); err != nil { // an unknown place is told, and a wider one used
		errs = append(errs, fmt.Errorf("%s: %w", cfg.from, err))
	}
	if g.pue == 0 {
		g.pue = max(where.PUE, 1)
	}
	if g.source == nil {
		if g.source, err = chain.New(chain.Config{Offline: true}, tables); err != nil {
			return g, errors.Join(append(errs, err)...)
		}
		g.own = true
	}
	g.handle, err = g.source.Handle(g.query)
	return g, errors.Join(append(errs, err)...)
}

func (g *grid) close() error {
	if !g.own {
		return nil
	}
	return g.source.Close()
}

// describe tells which intensity holds now, and why.
func (g *grid) describe() string {
	if g == nil || g.handle == nil {
		return "grid: nobody knows its intensity"
	}
	s := g.handle.Peek(time.Now())
	if s == nil {
		return "grid: its intensity is not known now"
	}
	text := fmt.Sprintf("grid: %.4g g/kWh of %s by %s, PUE %.4g", s.GramsPerKWh, s.Origin.ZoneServed, s.Origin.Provider, g.pue)
	if g.own && len(g.steps) > 0 {
		text += " (" + strings.Join(g.steps, "; ") + ")"
	}
	return text
}

// A price is what an amount of energy emitted, and with which intensity.
type price struct {
	emission.Range

	joules    float64 // that met an intensity
	intensity float64 // g/kWh, mean by energy
	slot      *intensity.Slot
}

func (p *price) add(s *intensity.Slot, joules float64, r emission.Range) {
	p.Add(r)
	p.intensity += joules * s.GramsPerKWh // until it is divided
	p.joules += joules
	p.slot = s
}

// price returns what energy emitted that was drawn evenly from one moment to another. It
// allocates nothing where one slot holds both.
func (g *grid) price(from, to time.Time, joules, half float64) (p price) {
	if g == nil || g.handle == nil || !(joules >= 0) {
		return p
	}
	s := g.handle.Peek(to)
	if s != nil && !s.Start.After(from) {
		p.add(s, joules, g.emitted(s, joules, half))
		p.intensity = s.GramsPerKWh
		return p
	}
	g.handle.Each(from, to, joules, func(s *intensity.Slot, part float64) {
		if s != nil {
			p.add(s, part, g.emitted(s, part, half))
		}
	})
	if p.joules > 0 {
		p.intensity /= p.joules
	}
	return p
}

func (g *grid) emitted(s *intensity.Slot, joules, half float64) emission.Range {
	return emission.Around(emission.Grams(joules, g.pue, s.GramsPerKWh), emission.Combine(half, s.Spread.Half))
}
