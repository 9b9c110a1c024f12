package carbonprocessor

import (
	"context"
	"math"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor/internal/metadata"
)

// processMetrics adds emissions to a batch. What was in the batch stays as it is.
func (p *metricsProcessor) processMetrics(ctx context.Context, md pmetric.Metrics) (pmetric.Metrics, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams == nil { // not started, or shut down
		return md, nil
	}
	p.now = time.Since(p.started)
	p.streams.sweep(p.now)
	p.batch++
	p.gauges = p.gauges[:0]
	if p.prices.full() {
		p.prices = newPrices()
		p.places.purge()
	}

	rms := md.ResourceMetrics()
	for i := range rms.Len() {
		p.resource(i, rms.At(i))
	}
	p.putGauges(rms)
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
			f := p.family(m.Name())
			if f == nil || !p.convertible(m) {
				continue
			}
			if !looked {
				looked, given = true, p.given(list, n)
			}
			if given[f.index] {
				p.dropped[alreadyPriced] += int64(m.Sum().DataPoints().Len())
				continue
			}
			if !known { // only resources with energy are worth a look
				known = true
				id = p.hash.attributes(rm.Resource().Attributes())
				p.place = p.places.of(id, rm.Resource().Attributes())
			}
			p.metric(m, p.hash.base(id, sm.Scope(), m), output{
				family: f, list: list, bounds: p.bounds,
				temporality: m.Sum().AggregationTemporality(), points: m.Sum().DataPoints().Len(),
			})
		}
	}
}

func (p *metricsProcessor) family(name string) *family {
	switch name {
	case p.host.input:
		return p.host
	case p.workload.input:
		return p.workload
	}
	return nil
}

// given says whose emissions are among the first n metrics: the sender has priced
// its energy, and a second series under the same name would corrupt the first.
func (p *metricsProcessor) given(list pmetric.MetricSlice, n int) (given [families]bool) {
	for i := range n {
		switch list.At(i).Name() {
		case p.host.emissions:
			given[p.host.index] = true
		case p.workload.emissions:
			given[p.workload.index] = true
		}
	}
	return given
}

// convertible reports whether the metric is a monotonic sum in joules, and counts
// its points as dropped if not.
func (p *metricsProcessor) convertible(m pmetric.Metric) bool {
	if m.Type() != pmetric.MetricTypeSum {
		p.dropped[wrongType] += int64(points(m))
		return false
	}
	sum := m.Sum()
	n := int64(sum.DataPoints().Len())
	switch t := sum.AggregationTemporality(); {
	case m.Unit() != names.UnitJoule && m.Unit() != "":
		p.dropped[wrongUnit] += n
	case t != pmetric.AggregationTemporalityCumulative && t != pmetric.AggregationTemporalityDelta:
		p.dropped[wrongTemporality] += n
	case !sum.IsMonotonic():
		p.dropped[notMonotonic] += n
	default:
		return n > 0
	}
	return false
}

func points(m pmetric.Metric) int {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		return m.Gauge().DataPoints().Len()
	case pmetric.MetricTypeHistogram:
		return m.Histogram().DataPoints().Len()
	case pmetric.MetricTypeExponentialHistogram:
		return m.ExponentialHistogram().DataPoints().Len()
	case pmetric.MetricTypeSummary:
		return m.Summary().DataPoints().Len()
	}
	return 0
}

func (p *metricsProcessor) metric(m pmetric.Metric, base identity, out output) {
	dps := m.Sum().DataPoints()
	cumulative := out.temporality == pmetric.AggregationTemporalityCumulative
	for i := range dps.Len() {
		dp := dps.At(i)
		if dp.Flags().NoRecordedValue() {
			p.endOf(dp, base, cumulative, &out)
			continue
		}
		r, why := read(dp)
		if why != converted {
			p.dropped[why]++
			continue
		}
		if cumulative {
			why = p.cumulative(dp, r, base, &out)
		} else {
			why = p.delta(dp, r, base, &out)
		}
		p.dropped[why]++
	}
}

// read takes what matters from a point, or says why the point is unusable.
func read(dp pmetric.NumberDataPoint) (reading, outcome) {
	var v float64
	switch dp.ValueType() {
	case pmetric.NumberDataPointValueTypeDouble:
		v = dp.DoubleValue()
	case pmetric.NumberDataPointValueTypeInt:
		v = float64(dp.IntValue())
	default:
		return reading{}, noValue
	}
	start, at := dp.StartTimestamp(), dp.Timestamp()
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return reading{}, notFinite
	case v < 0:
		return reading{}, negative
	case at == 0 || at > math.MaxInt64 || start > at:
		return reading{}, invalidTime
	}
	return reading{start: int64(start), at: int64(at), joules: v}, converted //nolint:gosec // checked above
}

func (p *metricsProcessor) cumulative(dp pmetric.NumberDataPoint, r reading, base identity, out *output) outcome {
	id := p.hash.point(base, dp.Attributes())
	s := p.streams.find(id, p.now)
	isNew := s == nil
	if isNew {
		s = &stream{half: p.powerHalf(dp.Attributes())}
	}
	step := s.cumulative(r, p.streams.born)
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
	s.sums = total(sums, parts)
	p.touch(parts, r.at)
	for i := range s.sums { // all of them, so that their sum never falls
		sum := &s.sums[i]
		out.add(dp.Attributes(), sum, pcommon.Timestamp(sum.start), dp.Timestamp()) //nolint:gosec // was checked on input
	}
	return why
}

func (p *metricsProcessor) delta(dp pmetric.NumberDataPoint, r reading, base identity, out *output) outcome {
	id := p.hash.point(base, dp.Attributes())
	s := p.streams.find(id, p.now)
	isNew := s == nil
	if isNew {
		s = &stream{half: p.powerHalf(dp.Attributes())}
	}
	step := s.delta(r)
	switch step.verdict {
	case duplicate:
		return duplicated
	case outOfOrder:
		return late
	}
	parts, why := p.price(step, r.at, s.half)
	if why == overflow {
		return overflow
	}

	// Nothing fails from here on.
	if isNew {
		p.streams.add(id, s, p.now)
	}
	s.accept(r)
	s.seen = p.now
	p.sums = total(p.sums[:0], parts)
	p.touch(parts, r.at)
	for i := range p.sums {
		out.add(dp.Attributes(), &p.sums[i], dp.StartTimestamp(), dp.Timestamp())
	}
	return why
}

// endOf passes on the marker that a series stopped. The state stays: the series
// may go on, and what counted of it must not count again. If it begins anew instead,
// so do its emissions.
func (p *metricsProcessor) endOf(dp pmetric.NumberDataPoint, base identity, cumulative bool, out *output) {
	at := dp.Timestamp()
	s := p.streams.find(p.hash.point(base, dp.Attributes()), p.now)
	if s == nil || at > math.MaxInt64 || int64(at) < s.last || dp.StartTimestamp() > at {
		return // nothing was derived from it, or the marker is from the past
	}
	s.seen, s.ended = p.now, true
	if cumulative {
		for i := range s.sums {
			out.end(dp.Attributes(), &s.sums[i], pcommon.Timestamp(s.sums[i].start), at) //nolint:gosec // was checked on input
		}
		return
	}
	parts, _ := p.prices.price(p.place, int64(at), int64(at), 0, s.half)
	p.sums = total(p.sums[:0], parts)
	for i := range p.sums {
		out.end(dp.Attributes(), &p.sums[i], dp.StartTimestamp(), at)
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
	most := 0.0
	for i := range parts {
		most += parts[i].sum.Upper
	}
	for i := range sums {
		most += sums[i].sum.Upper
	}
	return most <= math.MaxFloat64 // false for NaN
}

// powerHalf returns the half-width that the attributes of a point justify.
func (p *metricsProcessor) powerHalf(attrs pcommon.Map) float64 {
	var method, sensor string
	if v, ok := attrs.Get(names.AttrMethod); ok {
		method = v.Str()
	}
	if v, ok := attrs.Get(names.AttrSensor); ok {
		sensor = v.Str()
	}
	return p.widths.Power(method, sensor)
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
		sm.Scope().SetVersion(p.version)
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
