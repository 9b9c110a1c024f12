package carbonprocessor

import (
	"context"
	"math"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/internal/emission"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

// maxAhead is how far the end of a span may lie ahead of our clock. Clocks differ, but
// a span that says more has a wrong one, and which grid it meant is unknown.
const maxAhead = 24 * time.Hour

// spanBatch is a batch in progress.
type spanBatch struct {
	p      *tracesProcessor
	latest pcommon.Timestamp // of an end that is believed
	attrs  pcommon.Map       // of the resource
	place  *place            // of the resource; nil until something there has energy
	quote  quote

	spans, events [outcomes]int64
	unknown       int64           // places
	flags         intensity.Flags // of all slots
}

func newSpanBatch(p *tracesProcessor) *spanBatch {
	b := &spanBatch{p: p}
	b.quote.cut = b.quote.add // made once: a method value allocates
	return b
}

func (b *spanBatch) resource(rs ptrace.ResourceSpans) {
	b.attrs, b.place = rs.Resource().Attributes(), nil
	events := b.p.engine.config.SpanEvents
	for _, ss := range rs.ScopeSpans().All() {
		for _, s := range ss.Spans().All() {
			b.complete(s.Attributes(), s.StartTimestamp(), s.EndTimestamp(), &b.spans)
			if !events {
				continue
			}
			for _, e := range s.Events().All() {
				b.complete(e.Attributes(), e.Timestamp(), e.Timestamp(), &b.events)
			}
		}
	}
}

// complete adds emissions to attributes that have energy, and counts what became of it.
func (b *spanBatch) complete(attrs pcommon.Map, from, to pcommon.Timestamp, counts *[outcomes]int64) {
	if c, ok := claimOf(attrs); ok {
		counts[b.price(c, attrs, from, to)]++
	}
}

func (b *spanBatch) price(c claim, attrs pcommon.Map, from, to pcommon.Timestamp) outcome {
	if c.priced {
		return alreadyPriced
	}
	joules, why := joulesOf(c.energy)
	switch {
	case why != converted:
		return why
	case from == 0 || from > to || to > b.latest:
		return invalidTime
	}
	if b.place == nil {
		var unknown int64
		b.place, unknown = b.p.placeOf(b.attrs)
		b.unknown += unknown
	}
	q := &b.quote
	if !q.ask(b.place, int64(from), int64(to), b.p.engine.widths.Power(c.method, c.sensor)) { //nolint:gosec // not later than latest
		return noIntensity
	}
	grams := emission.Grams(joules, b.place.pue, q.gramsPerKWh)
	if !(emission.Around(grams, q.half).Upper <= math.MaxFloat64) {
		return overflow
	}

	b.flags |= q.flags
	b.p.engine.live.used(q.slot)
	attrs.EnsureCapacity(attrs.Len() + written - c.replaced)
	attrs.PutDouble(names.AttrEmissions, grams)
	attrs.PutDouble(names.AttrGridIntensity, q.gramsPerKWh)
	if q.zone != "" { // or else it is valid everywhere
		attrs.PutStr(names.AttrGridZone, q.zone)
	}
	attrs.PutStr(names.AttrGridSource, q.source)
	attrs.PutDouble(names.AttrUncertainty, q.half)
	if name := q.boundary.String(); name != "" && (c.boundary || q.boundary != intensity.Lifecycle) {
		attrs.PutStr(names.AttrGridBoundary, name)
	}
	return converted
}

// written is how many attributes a span gets, but for a boundary that is not lifecycle.
const written = 5

// claim is what attributes say of energy.
type claim struct {
	energy         pcommon.Value
	method, sensor string
	priced         bool // they have emissions
	boundary       bool // they have one of an intensity
	replaced       int  // of those that will be written
}

// claimOf reports whether there is energy among the attributes. Of keys that stand there
// twice the first counts, as for Map.Get.
func claimOf(attrs pcommon.Map) (c claim, ok bool) {
	for k, v := range attrs.All() {
		switch k {
		case names.AttrEnergy:
			if !ok {
				c.energy, ok = v, true
			}
		case names.AttrEmissions:
			c.priced = true
		case names.AttrMethod:
			if c.method == "" {
				c.method = v.Str()
			}
		case names.AttrSensor:
			if c.sensor == "" {
				c.sensor = v.Str()
			}
		case names.AttrGridBoundary:
			c.boundary = true
		case names.AttrGridIntensity, names.AttrGridZone, names.AttrGridSource, names.AttrUncertainty:
			c.replaced++
		}
	}
	return c, ok
}

func joulesOf(v pcommon.Value) (float64, outcome) {
	var joules float64
	switch v.Type() {
	case pcommon.ValueTypeDouble:
		joules = v.Double()
	case pcommon.ValueTypeInt:
		joules = float64(v.Int())
	case pcommon.ValueTypeEmpty:
		return 0, noValue
	default:
		return 0, wrongType
	}
	switch {
	case !finite(joules):
		return 0, notFinite
	case joules < 0:
		return 0, negative
	}
	return joules, converted
}

// quote is the intensity that one span meets.
type quote struct {
	gramsPerKWh  float64 // mean by energy
	half         float64 // relative half-width of the range
	zone, source string  // those of most of the energy
	boundary     intensity.Boundary

	// The rest is kept here so that asking allocates nothing.
	cut     func(*intensity.Slot, float64)
	power   float64          // half-width
	slots   int              // met
	slot    *intensity.Slot  // the last of them
	flags   intensity.Flags  // of all of them
	unknown bool             // a part met none, or one of another boundary
	widths  float64          // half-widths by emissions
	plain   float64          // half-widths by energy, for grids that emit nothing
	origins []originOfEnergy // few
}

type originOfEnergy struct {
	zone, source string
	share        float64
}

// ask looks up what energy meets that is drawn evenly from one moment to another. It
// reports whether everything is known.
func (q *quote) ask(at *place, from, to int64, power float64) bool {
	if at.handle == nil {
		return false
	}
	q.gramsPerKWh, q.power, q.slots, q.slot, q.flags, q.unknown = 0, power, 0, nil, 0, false
	q.widths, q.plain, q.origins = 0, 0, q.origins[:0]
	at.handle.Each(time.Unix(0, from), time.Unix(0, to), 1, q.cut)
	if q.unknown || q.slot == nil {
		return false
	}
	if q.slots == 1 { // as it is, without rounding
		q.gramsPerKWh, q.half = q.slot.GramsPerKWh, q.halfOf(q.slot)
		q.zone, q.source = q.slot.Origin.ZoneServed, q.slot.Origin.Provider
		return true
	}
	// The bounds of the parts add up to those of the whole, as elsewhere.
	if q.half = q.plain; q.gramsPerKWh > 0 {
		q.half = q.widths / q.gramsPerKWh
	}
	most := 0.0
	for i := range q.origins {
		if o := &q.origins[i]; o.share > most {
			most, q.zone, q.source = o.share, o.zone, o.source
		}
	}
	return true
}

// add takes the share of the energy that meets one slot.
func (q *quote) add(s *intensity.Slot, share float64) {
	if share == 0 {
		return
	}
	if s == nil || q.slot != nil && s.Basis.Boundary != q.boundary { // grams of different boundaries do not add up
		q.unknown = true
		return
	}
	q.slots++
	q.slot, q.boundary = s, s.Basis.Boundary
	q.flags |= s.Flags
	if q.slots == 1 && share == 1 { // there is nothing to weigh
		return
	}
	half := q.halfOf(s)
	q.gramsPerKWh += share * s.GramsPerKWh
	q.widths += share * s.GramsPerKWh * half
	q.plain += share * half
	for i := range q.origins {
		if o := &q.origins[i]; o.zone == s.Origin.ZoneServed && o.source == s.Origin.Provider {
			o.share += share
			return
		}
	}
	q.origins = append(q.origins, originOfEnergy{s.Origin.ZoneServed, s.Origin.Provider, share})
}

func (q *quote) halfOf(s *intensity.Slot) float64 {
	return emission.Combine(q.power, s.Spread.Half)
}

// report passes on what was counted, and nothing that is 0.
func (b *spanBatch) report(ctx context.Context) {
	c := b.p.engine.counters
	if b.spans[noIntensity]+b.events[noIntensity] > 0 { // nothing even stands in
		b.flags |= intensity.FellBack
	}
	c.tell(ctx, &b.spans, c.ProcessorCarbonSpansConverted, c.ProcessorCarbonSpansDropped)
	c.tell(ctx, &b.events, c.ProcessorCarbonSpanEventsConverted, c.ProcessorCarbonSpanEventsDropped)
	b.p.engine.live.settle(b.flags, nil)
	b.flags = 0
	if b.unknown > 0 {
		c.ProcessorCarbonPlacesUnknown.Add(ctx, b.unknown)
		b.unknown = 0
	}
}

// tell empties the counts.
func (c *counters) tell(ctx context.Context, counts *[outcomes]int64, priced, dropped metric.Int64Counter) {
	for i, n := range counts {
		switch {
		case n == 0:
		case outcome(i) == converted:
			priced.Add(ctx, n)
		default:
			dropped.Add(ctx, n, c.reasons[i])
		}
	}
	*counts = [outcomes]int64{}
}
