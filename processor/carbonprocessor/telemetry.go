package carbonprocessor

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor/internal/metadata"
)

// outcome is what became of a point of energy, or of a span. Those that name a reason
// why it was not priced are the values of the attribute reason.
type outcome uint8

const (
	converted outcome = iota
	first             // nothing to price yet
	alreadyPriced
	duplicated
	gapTooLong
	invalidTime
	late
	negative
	noIntensity
	noValue
	notFinite
	notMonotonic
	overflow
	wrongTemporality
	wrongType
	wrongUnit
	outcomes // how many there are
)

func reasons() [outcomes]string {
	return [outcomes]string{
		alreadyPriced: "already_priced",
		duplicated:    "duplicate", gapTooLong: "gap", invalidTime: "invalid_time", late: "out_of_order", negative: "negative",
		noIntensity: "no_intensity", noValue: "no_value", notFinite: "not_finite", notMonotonic: "not_monotonic",
		overflow: "overflow", wrongTemporality: "wrong_temporality", wrongType: "wrong_type", wrongUnit: "wrong_unit",
	}
}

// counters holds what is reported, with all attribute sets made in advance.
type counters struct {
	*metadata.TelemetryBuilder
	reasons         [outcomes]metric.AddOption
	stale, capacity metric.AddOption
}

func newCounters(t *metadata.TelemetryBuilder) *counters {
	option := func(reason string) metric.AddOption {
		return metric.WithAttributeSet(attribute.NewSet(attribute.String("reason", reason)))
	}
	c := &counters{TelemetryBuilder: t, stale: option("stale"), capacity: option("capacity")}
	for i, r := range reasons() {
		if r != "" {
			c.reasons[i] = option(r)
		}
	}
	return c
}

// report passes on what was counted during a batch, and nothing that is 0.
func (p *metricsProcessor) report(ctx context.Context) {
	c := p.engine.counters
	for i, n := range p.dropped {
		switch {
		case n == 0 || outcome(i) == first:
		case outcome(i) == converted:
			c.ProcessorCarbonPointsConverted.Add(ctx, n)
		default:
			c.ProcessorCarbonPointsDropped.Add(ctx, n, c.reasons[i])
		}
	}
	if p.dropped[noIntensity] > 0 { // nothing even stands in
		p.usage.flags |= intensity.FellBack
	}
	p.dropped = [outcomes]int64{}
	if p.resets > 0 {
		c.ProcessorCarbonResets.Add(ctx, p.resets)
		p.resets = 0
	}
	if n := p.streams.expired; n > 0 {
		c.ProcessorCarbonStreamsEvicted.Add(ctx, n, c.stale)
		p.streams.expired = 0
	}
	if n := p.streams.capacity; n > 0 {
		c.ProcessorCarbonStreamsEvicted.Add(ctx, n, c.capacity)
		p.streams.capacity = 0
	}
	if p.places.unknown > 0 {
		c.ProcessorCarbonPlacesUnknown.Add(ctx, p.places.unknown)
		p.places.unknown = 0
	}
	p.engine.live.report(ctx, &p.usage, p.gauges)
	p.usage = usage{}
	p.count()
}

// count tells the engine how many streams this pipeline tracks.
func (p *metricsProcessor) count() {
	n := int64(p.streams.len())
	p.engine.tracked.Add(n - p.counted)
	p.counted = n
}
