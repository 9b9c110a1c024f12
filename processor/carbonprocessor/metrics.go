package carbonprocessor

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor/internal/metadata"
)

// metricsProcessor prices the energy in the batches of one pipeline. One lock guards its
// state; it is held while a batch is walked, not while the next consumer works.
type metricsProcessor struct {
	engine  *engine
	release func()

	mu      sync.Mutex
	hash    hasher
	streams *streams // nil while not running
	places  *places
	prices  *prices
	counted int64 // streams that the engine knows of

	// The rest is the batch in progress, kept here so that it allocates nothing.
	now     time.Duration
	batch   uint64
	index   int // of the resource
	place   *place
	outs    [families][2]output // of the scope, by temporality
	gauges  []*gauge
	sums    []series
	dropped [outcomes]int64
	resets  int64
}

func newMetricsProcessor(e *engine, release func()) *metricsProcessor {
	return &metricsProcessor{engine: e, release: release}
}

func (p *metricsProcessor) start(ctx context.Context, host component.Host) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams != nil {
		return nil
	}
	e := p.engine
	if err := e.start(ctx, host); err != nil {
		return err
	}
	places, err := newPlaces(e.config, e.source, e.tables, e.log)
	if err != nil {
		return errors.Join(err, e.stop(ctx))
	}
	p.hash = e.hash
	p.streams = newStreams(e.config.MaxStreams, e.config.StaleAfter, e.began.UnixNano())
	p.places, p.prices = places, newPrices(e.config)
	return nil
}

// shutdown may be called twice, and without start. Batches that still arrive pass
// unchanged.
func (p *metricsProcessor) shutdown(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.release()
	if p.streams == nil {
		return nil
	}
	p.engine.tracked.Add(-p.counted)
	p.streams, p.places, p.prices, p.counted = nil, nil, nil, 0
	return p.engine.stop(ctx)
}

// processMetrics adds emissions to a batch. What was in the batch stays as it is.
func (p *metricsProcessor) processMetrics(ctx context.Context, md pmetric.Metrics) (pmetric.Metrics, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams == nil { // not started, or shut down
		return md, nil
	}
	p.now = time.Since(p.engine.began)
	p.streams.sweep(p.now)
	p.batch++
	p.gauges = p.gauges[:0]
	if p.prices.full() {
		p.prices = newPrices(p.engine.config)
		p.places.purge()
	}

	rms := md.ResourceMetrics()
	for i := range rms.Len() {
		p.resource(i, rms.At(i))
	}
	p.putGauges(rms)
	p.outs = [families][2]output{} // the batch is not ours any more
	p.report(ctx)
	return md, nil
}

func (p *metricsProcessor) resource(index int, rm pmetric.ResourceMetrics) {
	var (
		known bool
		id    identity
	)
	p.index = index
	sms := rm.ScopeMetrics()
	for i := range sms.Len() {
		sm := sms.At(i)
		list := sm.Metrics()
		n := list.Len() // what is appended on the way is not input
		looked, given := false, [families]bool{}
		for j := range n {
			m := list.At(j)
			in := p.engine.inputs[m.Name()]
			if in == nil {
				continue
			}
			f, why := in.flowOf(m)
			if why != converted {
				p.dropped[why] += int64(pointsOf(m))
				continue
			}
			if f.points.Len() == 0 {
				continue
			}
			if !looked {
				looked, given = true, p.given(list, n)
				p.outs = [families][2]output{}
			}
			if given[in.family.index] {
				p.dropped[alreadyPriced] += int64(f.points.Len())
				continue
			}
			if !known { // only resources with energy are worth a look
				known = true
				id = p.hash.attributes(rm.Resource().Attributes())
				p.place = p.places.of(id, rm.Resource().Attributes())
			}
			p.points(f, in, p.hash.base(id, sm.Scope(), m.Name(), f.kind), p.output(in.family, f, list))
		}
	}
}

// given says whose emissions are among the first n metrics: the sender has priced
// its energy, and a second series under the same name would corrupt the first.
func (p *metricsProcessor) given(list pmetric.MetricSlice, n int) (given [families]bool) {
	for i := range n {
		switch list.At(i).Name() {
		case names.MetricHostEmissions:
			given[ofHosts] = true
		case names.MetricEmissions:
			given[ofWorkloads] = true
		}
	}
	return given
}

// output returns what collects the emissions of a family in this scope.
func (p *metricsProcessor) output(f *family, from flow, list pmetric.MetricSlice) *output {
	t := p.engine.temporality
	if t == pmetric.AggregationTemporalityUnspecified {
		t = pmetric.AggregationTemporalityCumulative
		if from.kind == kindDelta {
			t = pmetric.AggregationTemporalityDelta
		}
	}
	out := &p.outs[f.index][t-pmetric.AggregationTemporalityDelta]
	if out.family == nil {
		*out = output{emits: p.engine.emits, family: f, list: list, temporality: t}
	}
	out.points = from.points.Len()
	return out
}

func (p *metricsProcessor) points(f flow, in *input, base identity, out *output) {
	for i := range f.points.Len() {
		dp := f.points.At(i)
		one := in.of(dp.Attributes())
		if one == nil {
			continue // nobody asked for it
		}
		if dp.Flags().NoRecordedValue() {
			p.endOf(dp, one, base, out)
			continue
		}
		r, why := read(dp, f.factor)
		if why == converted {
			why = p.point(dp, r, f.kind, one, base, out)
		}
		p.dropped[why]++
	}
}

// read takes what matters from a point, or says why the point is unusable.
func read(dp pmetric.NumberDataPoint, factor float64) (reading, outcome) {
	var v float64
	switch dp.ValueType() {
	case pmetric.NumberDataPointValueTypeDouble:
		v = dp.DoubleValue()
	case pmetric.NumberDataPointValueTypeInt:
		v = float64(dp.IntValue())
	case pmetric.NumberDataPointValueTypeEmpty:
		return reading{}, noValue
	default:
		return reading{}, noValue
	}
	v *= factor
	start, at := dp.StartTimestamp(), dp.Timestamp()
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return reading{}, notFinite
	case v < 0:
		return reading{}, negative
	case at == 0 || at > math.MaxInt64 || start > at:
		return reading{}, invalidTime
	}
	return reading{start: int64(start), at: int64(at), value: v}, converted //nolint:gosec // checked above
}

func (p *metricsProcessor) point(dp pmetric.NumberDataPoint, r reading, kind kind, in *input, base identity, out *output) outcome {
	id := p.hash.point(base, dp.Attributes())
	s := p.streams.find(id, p.now)
	isNew := s == nil
	if isNew {
		s = &stream{half: p.powerHalf(dp.Attributes(), kind, in)}
	}
	step := s.step(r, kind, p.streams.born, in.maxGap)
	sums := s.sums
	if step.anew {
		sums = sums[:0]
	}
	var parts []part
	why := converted
	switch step.verdict {
	case duplicate:
		return duplicated
	case outOfOrder:
		return late
	case priced:
		parts, why = p.price(step, r.at, s.half)
		if why == overflow || !fits(sums, parts) {
			return overflow
		}
	case baseline:
		why = first
		if step.gap {
			why = gapTooLong
		}
	case rebased:
		why = first
	}

	// Nothing fails from here on.
	if isNew {
		p.streams.add(id, s, p.now)
	}
	if step.reset {
		p.resets++
	}
	s.accept(r)
	s.seen = p.now
	p.touch(parts, r.at)
	if out.temporality == pmetric.AggregationTemporalityDelta {
		p.sums = total(p.sums[:0], parts)
		from := pcommon.Timestamp(step.from) //nolint:gosec // was checked on input
		for i := range p.sums {
			out.add(dp.Attributes(), in, &p.sums[i], from, dp.Timestamp())
		}
		return why
	}
	s.sums = total(sums, parts)
	for i := range s.sums { // all of them, so that their sum never falls
		sum := &s.sums[i]
		out.add(dp.Attributes(), in, sum, pcommon.Timestamp(sum.start), dp.Timestamp()) //nolint:gosec // was checked on input
	}
	return why
}

// endOf passes on the marker that a series stopped. The state stays: the series
// may go on, and what counted of it must not count again. If it begins anew instead,
// so do its emissions.
func (p *metricsProcessor) endOf(dp pmetric.NumberDataPoint, in *input, base identity, out *output) {
	at := dp.Timestamp()
	s := p.streams.find(p.hash.point(base, dp.Attributes()), p.now)
	if s == nil || at > math.MaxInt64 || int64(at) < s.last || dp.StartTimestamp() > at {
		return // nothing was derived from it, or the marker is from the past
	}
	s.seen, s.ended = p.now, true
	if out.temporality == pmetric.AggregationTemporalityCumulative {
		for i := range s.sums {
			out.end(dp.Attributes(), in, &s.sums[i], pcommon.Timestamp(s.sums[i].start), at) //nolint:gosec // was checked on input
		}
		return
	}
	parts, _ := p.prices.price(p.place, int64(at), int64(at), 0, s.half)
	p.sums = total(p.sums[:0], parts)
	for i := range p.sums {
		out.end(dp.Attributes(), in, &p.sums[i], dp.StartTimestamp(), at)
	}
}

// price also says whether everything could be priced, and as a finite number.
func (p *metricsProcessor) price(s step, at int64, half float64) ([]part, outcome) {
	parts, unpriced := p.prices.price(p.place, s.from, at, s.joules, half)
	if !fits(nil, parts) {
		return nil, overflow
	}
	if unpriced > 0 || len(parts) == 0 {
		return parts, noIntensity
	}
	return parts, converted
}

// fits reports whether the sums stay finite when the parts are added.
func fits(sums []series, parts []part) bool {
	most, cost, water := 0.0, 0.0, 0.0
	for i := range parts {
		most += parts[i].sum.Upper
		cost += parts[i].cost
		water += parts[i].water
	}
	for i := range sums {
		most += sums[i].sum.Upper
		cost += sums[i].cost
		water += sums[i].water
	}
	return most <= math.MaxFloat64 && cost <= math.MaxFloat64 && water <= math.MaxFloat64 // false for NaN
}

// powerHalf returns the half-width that the attributes of a point justify, or else the
// input.
func (p *metricsProcessor) powerHalf(attrs pcommon.Map, kind kind, in *input) float64 {
	method, sensor := in.method, ""
	if method == "" && kind == kindPower {
		method = names.MethodIntegrated
	}
	if v, ok := attrs.Get(names.AttrMethod); ok {
		method = v.Str()
	}
	if v, ok := attrs.Get(names.AttrSensor); ok {
		sensor = v.Str()
	}
	return p.engine.widths.Power(method, sensor)
}

// touch notes that the batch needs a point of carbon.grid.intensity for each of
// the tariffs, no older than the input.
func (p *metricsProcessor) touch(parts []part, at int64) {
	for i := range parts {
		t := &parts[i].tariff
		g := t.gauge
		switch {
		case g.batch != p.batch:
			g.batch, g.resource, g.newest = p.batch, p.index, at
			p.gauges = append(p.gauges, g)
		case at < g.newest:
			continue
		}
		g.newest, g.gramsPerKWh = at, t.slot.GramsPerKWh
	}
}

// putGauges appends carbon.grid.intensity under a scope of ours to the resources
// that were the first of their zone. The list is in the order of the resources.
func (p *metricsProcessor) putGauges(rms pmetric.ResourceMetricsSlice) {
	for i := 0; i < len(p.gauges); {
		resource := p.gauges[i].resource
		sm := rms.At(resource).ScopeMetrics().AppendEmpty()
		sm.Scope().SetName(metadata.ScopeName)
		sm.Scope().SetVersion(p.engine.build)
		m := sm.Metrics().AppendEmpty()
		m.SetName(names.MetricGridIntensity)
		m.SetDescription("Carbon intensity of the grid with which energy was priced")
		m.SetUnit(names.UnitGramsPerKWh)
		list := m.SetEmptyGauge().DataPoints()
		for ; i < len(p.gauges) && p.gauges[i].resource == resource; i++ {
			p.gauges[i].put(list)
		}
	}
}
