package carbonprocessor

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcarbon/otelcarbon/internal/budget"
	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor/internal/metadata"
)

// metricsProcessor prices the energy in the batches of one pipeline. One lock guards its
// state; it is held while a batch is walked, not while the next consumer works.
type metricsProcessor struct {
	engine  *engine
	release func()
	detach  func() // from the reports of status

	mu       sync.Mutex
	hash     hasher
	streams  *streams // nil while not running
	places   *places
	prices   *prices
	embodied *embodied // nil: not asked for
	rates    *rates    // nil: not asked for
	counted  int64     // streams that the engine knows of

	// The rest is the batch in progress, kept here so that it allocates nothing.
	wall     time.Time
	ahead    int64 // ns since 1970: what is later than that is of a clock that is wrong
	now      time.Duration
	batch    uint64
	outs     [2]*output // of the scope, by temporality
	made     []*output  // whose memory is used again
	used     int        // of them, in the batch or, if nothing comes later, the scope
	gauges   []*gauge
	sums     []series
	one      [1]part
	changed  []*stream // to be stored
	record   record
	owns     map[int]pmetric.MetricSlice // what this processor adds to a resource as a whole
	budgeted uint64                      // budgets that the batch has touched
	touched  []touched
	newest   int64 // time of the newest point that a budget counts
	dropped  [outcomes]int64
	resets   int64
	usage    usage

	// Of the resource in progress.
	index int
	id    identity
	host  identity // of the machine, by host.id or host.name; zero if it says neither
	place *place
	rate  *rate // nil: nobody counts its units
}

// touched are budgets and the first resource of the batch that they count.
type touched struct {
	budgets  uint64
	resource int
}

func newMetricsProcessor(e *engine, release func()) *metricsProcessor {
	return &metricsProcessor{engine: e, release: release, owns: map[int]pmetric.MetricSlice{}}
}

// latest is how far the clock of a sender may be ahead of ours.
const latest = 5 * time.Minute

func (p *metricsProcessor) start(ctx context.Context, host component.Host) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams != nil {
		return nil
	}
	e := p.engine
	places, detach, err := e.enter(ctx, host)
	if err != nil {
		return err
	}
	if e.config.SCI != nil {
		if p.rates, err = newRates(e.config.SCI, e.hash); err != nil {
			detach()
			return errors.Join(err, e.stop(ctx))
		}
	}
	if e.config.Embodied.HasValue() {
		p.embodied = newEmbodied(*e.config.Embodied.Get())
	}
	p.detach, p.hash = detach, e.hash
	p.streams = newStreams(e.config.MaxStreams, e.config.StaleAfter, e.began.UnixNano())
	p.streams.gone = e.budgets.free
	p.places, p.prices = places, newPrices(e.config)
	e.join(p)
	return nil
}

// shutdown may be called twice, and without start. Batches that still arrive pass
// unchanged.
func (p *metricsProcessor) shutdown(ctx context.Context) error {
	defer p.release()
	if !p.end() {
		return nil
	}
	return p.engine.stop(ctx) // without the lock: it waits for who may want it
}

// end forgets everything, and reports whether there was anything.
func (p *metricsProcessor) end() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams == nil {
		return false
	}
	p.engine.leave(p)
	p.detach()
	p.engine.tracked.Add(-p.counted)
	p.streams, p.places, p.prices, p.counted = nil, nil, nil, 0
	return true
}

// processMetrics adds emissions to a batch. What was in the batch stays as it is.
func (p *metricsProcessor) processMetrics(ctx context.Context, md pmetric.Metrics) (pmetric.Metrics, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams == nil { // not started, or shut down
		return md, nil
	}
	p.wall = time.Now()
	p.ahead = p.wall.Add(latest).UnixNano()
	p.now = p.wall.Sub(p.engine.began)
	p.streams.sweep(p.now)
	p.batch++
	p.gauges = p.gauges[:0]
	if p.prices.full() {
		p.prices = newPrices(p.engine.config)
		p.places.purge()
	}
	p.engine.budgets.turn(p.wall)

	rms := md.ResourceMetrics()
	for i := range rms.Len() {
		p.resource(i, rms.At(i)) //nolint:contextcheck // likewise
	}
	if p.embodied != nil {
		p.shareOut()
	}
	p.finish(rms)
	p.report(ctx)
	p.engine.keep(ctx, p)
	return md, nil
}

// finish appends what belongs to resources as a whole, and lets go of the batch.
func (p *metricsProcessor) finish(rms pmetric.ResourceMetricsSlice) {
	own := func(resource int) pmetric.MetricSlice { return p.own(rms, resource) }
	p.putGauges(own)
	for _, t := range p.touched {
		p.engine.budgets.put(t.budgets, pcommon.Timestamp(p.newest), own(t.resource)) //nolint:gosec // was checked on input
	}
	if p.budgeted != 0 {
		p.engine.budgets.tell()
	}
	if p.rates != nil {
		p.rates.put(own)
	}
	p.touched, p.budgeted, p.newest = p.touched[:0], 0, 0
	clear(p.owns)
	p.outs = [2]*output{}
	p.made = p.made[:min(len(p.made), maxOutputs)]
	for _, out := range p.made[:min(p.used, len(p.made))] {
		*out = output{}
	}
	p.used = 0
}

// maxOutputs bounds what is kept after a batch of many scopes.
const maxOutputs = 1024

// own returns the metrics under a scope of ours in a resource.
func (p *metricsProcessor) own(rms pmetric.ResourceMetricsSlice, resource int) pmetric.MetricSlice {
	if list, ok := p.owns[resource]; ok {
		return list
	}
	sm := rms.At(resource).ScopeMetrics().AppendEmpty()
	sm.Scope().SetName(metadata.ScopeName)
	sm.Scope().SetVersion(p.engine.build)
	p.owns[resource] = sm.Metrics()
	return sm.Metrics()
}

func (p *metricsProcessor) resource(index int, rm pmetric.ResourceMetrics) {
	known := false
	attrs := rm.Resource().Attributes()
	p.index, p.rate = index, nil
	sms := rm.ScopeMetrics()
	for i := range sms.Len() {
		sm := sms.At(i)
		list := sm.Metrics()
		n := list.Len() // what is appended on the way is not input
		var seen scope
		for j := range n {
			m := list.At(j)
			in := p.engine.inputs[m.Name()]
			if in == nil {
				continue
			}
			f, why := in.flowOf(m)
			if why != converted {
				p.dropped[why] += int64(pointsOf(m))
				p.engine.useless(m, in, why)
				continue
			}
			if f.points.Len() == 0 {
				continue
			}
			if !seen.looked {
				seen = p.survey(list, n)
				p.outs = [2]*output{}
				if p.embodied == nil { // or else something may be appended when the batch ends
					p.used = 0
				}
			}
			if seen.given[in.family.index] {
				p.dropped[alreadyPriced] += int64(f.points.Len())
				continue
			}
			if !known { // only resources with energy are worth a look
				known = true
				p.look(attrs)
			}
			out := p.output(f, &seen, sms, sm)
			if p.embodied != nil && in.family.index == ofHosts && p.embodied.machine == nil {
				p.embodied.machine = p.clock(p.machine().tagged(tagMachine), attrs)
				p.embodied.out = out
			}
			p.points(f, in, sm.Scope(), m.Name(), attrs, out)
		}
		if p.embodied != nil && seen.looked {
			p.ofMachine(sm.Scope())
		}
	}
	if p.rates != nil {
		p.countUnits(rm, known)
	}
}

// countUnits counts the functional units of a resource.
func (p *metricsProcessor) countUnits(rm pmetric.ResourceMetrics, known bool) {
	attrs := rm.Resource().Attributes()
	for _, sm := range rm.ScopeMetrics().All() {
		for _, m := range sm.Metrics().All() {
			if m.Name() != p.rates.per {
				continue
			}
			if !known {
				known = true
				p.id = p.hash.attributes(attrs)
				p.rate = p.rates.of(p.id, attrs)
			}
			if p.rate != nil {
				p.units(m, sm.Scope())
			}
		}
	}
}

// look finds out what matters of a resource.
func (p *metricsProcessor) look(attrs pcommon.Map) {
	p.id = p.hash.attributes(attrs)
	p.place = p.places.of(p.id, attrs)
	if p.embodied != nil || len(p.engine.budgets.list) > 0 {
		p.host = p.hash.machine(attrs)
	}
	if p.rates != nil {
		p.rate = p.rates.of(p.id, attrs)
	}
	if p.embodied != nil {
		p.embodied.machine, p.embodied.from, p.embodied.at = nil, 0, 0
	}
}

// machine identifies the machine of the resource in progress: each that does not say on
// which it is has one of its own.
func (p *metricsProcessor) machine() identity {
	if p.host == (identity{}) {
		return p.id
	}
	return p.host
}

// scope is what matters of the metrics of a scope as a whole. What the sender has given
// is not given a second time: two series under one name would corrupt each other.
type scope struct {
	looked      bool
	given       [families]bool // the sender has priced its energy
	cost, water bool           // are given, too
	cumulative  bool           // something will be
}

// survey looks at the first n metrics.
func (p *metricsProcessor) survey(list pmetric.MetricSlice, n int) scope {
	s := scope{looked: true}
	for i := range n {
		m := list.At(i)
		switch m.Name() {
		case names.MetricHostEmissions, names.MetricHostEmissionsLower, names.MetricHostEmissionsUpper, names.MetricHostEmissionsCorrection:
			s.given[ofHosts] = true
		case names.MetricEmissions, names.MetricEmissionsLower, names.MetricEmissionsUpper, names.MetricEmissionsCorrection:
			s.given[ofWorkloads] = true
		case names.MetricElectricityCost:
			s.cost = true
		case names.MetricWaterUsage:
			s.water = true
		default:
			if in := p.engine.inputs[m.Name()]; in != nil {
				f, why := in.flowOf(m)
				s.cumulative = s.cumulative || why == converted && p.temporality(f) == pmetric.AggregationTemporalityCumulative
			}
		}
	}
	return s
}

// temporality is that of what derives from a flow.
func (p *metricsProcessor) temporality(f flow) pmetric.AggregationTemporality {
	switch t := p.engine.temporality; {
	case t != pmetric.AggregationTemporalityUnspecified:
		return t
	case f.kind == kindDelta:
		return pmetric.AggregationTemporalityDelta
	}
	return pmetric.AggregationTemporalityCumulative
}

// output returns what collects the emissions of this scope. Where there are both
// temporalities, deltas move out: wherever they stand, their sum is right.
func (p *metricsProcessor) output(f flow, s *scope, all pmetric.ScopeMetricsSlice, sm pmetric.ScopeMetrics) *output {
	t := p.temporality(f)
	out := &p.outs[t-pmetric.AggregationTemporalityDelta]
	if *out != nil {
		return *out
	}
	if p.used == len(p.made) {
		p.made = append(p.made, new(output))
	}
	*out = p.made[p.used]
	p.used++
	**out = output{emits: p.engine.emits, scope: sm, temporality: t, apart: all}
	(*out).split = s.cumulative && t == pmetric.AggregationTemporalityDelta
	(*out).cost = (*out).cost && !s.cost
	(*out).water = (*out).water && !s.water
	return *out
}

func (p *metricsProcessor) points(f flow, in *input, scope pcommon.InstrumentationScope, metric string, resource pcommon.Map, out *output) {
	base := p.hash.base(p.id, scope, metric, f.kind)
	out.points = f.points.Len()
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
			why = p.point(dp, r, f.kind, one, base, resource, out)
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

func (p *metricsProcessor) point(dp pmetric.NumberDataPoint, r reading, kind kind, in *input, base identity, resource pcommon.Map, out *output) outcome {
	id := p.hash.point(base, dp.Attributes())
	s := p.streams.find(id, p.now)
	isNew := s == nil
	if isNew {
		s = &stream{half: p.powerHalf(dp.Attributes(), kind, in)}
	}
	step := s.step(r, kind, p.born(r), in.maxGap)
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
	if !s.met || p.engine.budgets.unclaimed(s) {
		p.meet(s, dp.Attributes(), in, resource)
	}
	if step.reset {
		p.resets++
	}
	booked := s.last
	s.accept(r)
	s.seen = p.now
	s.sums = sums
	if step.anew && s.debts != nil {
		s.debts.anew(step.from)
	}
	p.change(s)
	p.touch(parts, r.at)
	if p.engine.revises && len(parts) > 0 {
		s.owe(parts, p.place.handle.Grid())
	}
	isHost := in.family.index == ofHosts
	if p.embodied != nil && isHost && step.verdict == priced {
		p.embodied.drew(step.from, r.at)
		parts = p.embodied.ofDevice(s, parts, max(step.from, booked), r.at)
		p.prices.parts = parts // keeps what was allocated
	}
	p.book(s, parts, in.family, p.machine(), p.rate, p.index)
	if p.embodied == nil || isHost {
		p.emit(s, parts, dp.Attributes(), dp.Timestamp(), step.from, in, out, everything)
	} else {
		p.emit(s, parts, dp.Attributes(), dp.Timestamp(), step.from, in, out, ofRunning)
		p.ofWorkload(s, r, step, dp, in, out, resource)
	}
	if s.debts != nil {
		p.revise(s, dp, in, step.from, out)
	}
	return why
}

// born is the moment from which on a stream that is not known must be new, if it starts
// then: never, if its start is in the future, as when it was here before with a clock that
// is ahead.
func (p *metricsProcessor) born(r reading) int64 {
	if r.start > p.ahead {
		return math.MaxInt64
	}
	return p.streams.born
}

// meet finds out what depends on what a stream says of itself, once, and again if a
// pipeline that was first to count it does so no more.
func (p *metricsProcessor) meet(s *stream, attrs pcommon.Map, in *input, resource pcommon.Map) {
	s.met = true
	p.engine.budgets.claim(p, s, resource, attrs)
	if p.embodied != nil && in.family.index == ofHosts {
		s.asset = p.embodied.deviceOf(attrs)
	}
}

// change notes that a stream has to be stored.
func (p *metricsProcessor) change(s *stream) {
	if p.engine.journal != nil && s.batch != p.batch {
		s.batch = p.batch
		p.changed = append(p.changed, s)
	}
}

// book counts parts in the budgets of a stream and for the units of its resource.
func (p *metricsProcessor) book(s *stream, parts []part, f *family, machine identity, r *rate, resource int) {
	if s.budgets != 0 && len(parts) > 0 {
		of := budget.Workload
		if f.index == ofHosts {
			of = budget.Host
		}
		p.engine.budgets.book(s.budgets, machine, of, parts)
	}
	if more := s.budgets &^ p.budgeted; more != 0 {
		p.budgeted |= more
		if i := slices.IndexFunc(p.touched, func(t touched) bool { return t.resource == resource }); i >= 0 {
			p.touched[i].budgets |= more
		} else {
			p.touched = append(p.touched, touched{more, resource})
		}
	}
	if s.budgets != 0 {
		p.newest = max(p.newest, s.last)
	}
	if r != nil {
		for i := range parts {
			r.emitted(f, parts[i].sum.Grams)
		}
	}
}

// selection is which sums of a stream are emitted.
type selection uint8

const (
	everything selection = iota
	ofRunning            // not what is embodied, which comes later
	ofMaking             // only what is embodied
)

// emit adds parts to what a stream has emitted, and appends the points of a selection.
func (p *metricsProcessor) emit(s *stream, parts []part, attrs pcommon.Map, at pcommon.Timestamp, from int64, in *input, out *output, which selection) {
	if out.temporality == pmetric.AggregationTemporalityDelta {
		p.sums = total(p.sums[:0], parts)
		start := pcommon.Timestamp(from) //nolint:gosec // was checked on input
		for i := range p.sums {
			out.add(attrs, in, &p.sums[i], start, at)
		}
		return
	}
	s.sums = total(s.sums, parts)
	for i := range s.sums { // all of them, so that their sum never falls
		sum := &s.sums[i]
		if which == everything || sum.label.embodied == (which == ofMaking) {
			out.add(attrs, in, sum, pcommon.Timestamp(sum.start), at) //nolint:gosec // was checked on input
		}
	}
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
	p.change(s)
	if out.temporality == pmetric.AggregationTemporalityCumulative {
		for i := range s.sums {
			out.end(dp.Attributes(), in, &s.sums[i], pcommon.Timestamp(s.sums[i].start), at) //nolint:gosec // was checked on input
		}
		if s.debts != nil {
			for i := range s.debts.fixed {
				one := &s.debts.fixed[i]
				end := out.point(correction, dp.Attributes(), in, one.label, pcommon.Timestamp(one.start), at) //nolint:gosec // likewise
				end.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
			}
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
		p.usage.add(&parts[i])
		switch {
		case g.batch != p.batch:
			g.batch, g.resource, g.newest = p.batch, p.index, at
			p.gauges = append(p.gauges, g)
		case at < g.newest:
			continue
		}
		g.newest, g.gramsPerKWh, g.slot = at, t.slot.GramsPerKWh, t.slot
	}
}

// putGauges appends carbon.grid.intensity to the resources that were the first of their
// zone. The list is in the order of the resources.
func (p *metricsProcessor) putGauges(own func(resource int) pmetric.MetricSlice) {
	for i := 0; i < len(p.gauges); {
		resource := p.gauges[i].resource
		m := own(resource).AppendEmpty()
		m.SetName(names.MetricGridIntensity)
		m.SetDescription("Carbon intensity of the grid with which energy was priced")
		m.SetUnit(names.UnitGramsPerKWh)
		list := m.SetEmptyGauge().DataPoints()
		for ; i < len(p.gauges) && p.gauges[i].resource == resource; i++ {
			p.gauges[i].put(list)
		}
	}
}
