package carbon

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/internal/emission"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

// books are the cumulative sums of the process: energy by what drew it and how that is
// known, emissions in addition by where the intensity is from.
type books struct {
	grid     *grid
	energy   map[kind]*energySum
	emission map[emissionKey]*emissionSum
}

type kind struct{ part, method, sensor string }

type emissionKey struct {
	kind

	zone, source, boundary string
}

type energySum struct {
	joules float64
	set    metric.ObserveOption
}

type emissionSum struct {
	emission.Range

	set metric.ObserveOption
}

func (b *books) init(g *grid) {
	b.grid = g
	b.energy, b.emission = map[kind]*energySum{}, map[emissionKey]*emissionSum{}
}

// book adds what was drawn in an interval, and returns what that emitted.
func (b *books) book(list []drawn, from, to time.Time) (all emission.Range) {
	for i := range list {
		d := &list[i]
		e := b.energy[d.kind]
		if e == nil {
			e = &energySum{}
			b.energy[d.kind] = e
		}
		e.joules += d.joules
		if b.grid.handle == nil {
			continue
		}
		half := b.grid.widths.Power(d.method, d.sensor)
		b.grid.handle.Each(from, to, d.joules, func(s *intensity.Slot, joules float64) {
			if s == nil {
				return
			}
			r := b.grid.emitted(s, joules, half)
			all.Add(r)
			b.emitted(d.kind, s).Add(r)
		})
	}
	return all
}

func (b *books) emitted(k kind, s *intensity.Slot) *emissionSum {
	key := emissionKey{k, s.Origin.ZoneServed, s.Origin.Provider, s.Basis.Boundary.String()}
	e := b.emission[key]
	if e == nil {
		e = &emissionSum{}
		b.emission[key] = e
	}
	return e
}

func (k kind) attributes(more []attribute.KeyValue) []attribute.KeyValue {
	out := append([]attribute.KeyValue{}, more...)
	out = append(out, attribute.String(names.AttrHWType, k.part), attribute.String(names.AttrMethod, k.method),
		attribute.String(names.AttrShare, names.ShareWorkload))
	if k.sensor != "" {
		out = append(out, attribute.String(names.AttrSensor, k.sensor))
	}
	return out
}

func (k emissionKey) attributes(more []attribute.KeyValue) []attribute.KeyValue {
	out := append(k.kind.attributes(more), attribute.String(names.AttrEmissionType, names.EmissionTypeOperational),
		attribute.String(names.AttrGridSource, k.source))
	if k.zone != "" {
		out = append(out, attribute.String(names.AttrGridZone, k.zone))
	}
	if k.boundary != "" {
		out = append(out, attribute.String(names.AttrGridBoundary, k.boundary))
	}
	return out
}
