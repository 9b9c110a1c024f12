package carbonprocessor

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcarbon/otelcarbon/internal/emission"
	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/tables"
)

// EmbodiedConfig is what the making of a machine emitted.
type EmbodiedConfig struct {
	KgCO2e   float64       `mapstructure:"kg_co2e"`  // of each machine; 0: from the tables, by host.type and hw.model
	Lifetime time.Duration `mapstructure:"lifetime"` // over which it is spread
}

// An asset is something whose making is spread over its lifetime. The zero value is one of
// which nothing is known.
type asset struct {
	kg       float64
	lifetime time.Duration
	half     float64 // relative half-width
}

// embodied is what making the machines of a batch emitted, as far as they got older.
type embodied struct {
	config EmbodiedConfig
	widths emission.Widths
	label  *label
	none   pcommon.Map

	// Of the resource in progress.
	machine  *stream // its clock; nil if the scope in progress has no energy of a host
	out      *output // of the energy of the host in that scope
	from, at int64   // when it was drawn

	shares []share           // of the batch, one for each workload
	drawn  map[identity]body // what the workloads of each machine drew in the batch
}

// A share is a workload and its energy, by which it gets its part of the machine.
type share struct {
	machine  identity
	joules   float64
	stream   *stream
	dp       pmetric.NumberDataPoint
	in       *input
	out      *output
	resource int
	rate     *rate
}

// A body is a machine as its workloads see it.
type body struct {
	clock  *stream
	from   int64 // of the interval that is shared out
	at     int64
	joules float64
}

// Tags of the clocks of machines, for the energy of the host and for that of workloads, and
// of what a scope shows of the former.
const (
	tagMachine uint64 = 0x6d616368 + iota
	tagBody
	tagShown
)

func (id identity) tagged(tag uint64) identity { return identity{hi: id.hi + tag, lo: id.lo ^ tag} }

func newEmbodied(cfg EmbodiedConfig) *embodied {
	return &embodied{config: cfg, widths: emission.EmbodiedWidths(), label: &label{embodied: true}, none: pcommon.NewMap(), drawn: map[identity]body{}}
}

// assetOf returns what is known of the machine of a resource.
func (e *embodied) assetOf(resource pcommon.Map) asset {
	if e.config.KgCO2e > 0 {
		return asset{kg: e.config.KgCO2e, lifetime: e.config.Lifetime, half: e.widths.Power("", "")}
	}
	provider, ok := resource.Get(names.ResourceCloudProvider)
	kind, known := resource.Get(names.ResourceHostType)
	if !ok || !known {
		return asset{}
	}
	return e.asset(tables.Instances().Embodied(provider.Str(), kind.Str()))
}

// deviceOf returns what is known of the device of a point, nil if nothing.
func (e *embodied) deviceOf(point pcommon.Map) *asset {
	if _, nested := point.Get(names.AttrHWParent); nested {
		return nil
	}
	kind, ok := point.Get(names.AttrHWType)
	model, known := point.Get(names.AttrHWModel)
	if !ok || !known || kind.Str() != names.HWTypeGPU {
		return nil
	}
	a := e.asset(tables.GPUs().Embodied(model.Str()))
	if a.kg == 0 {
		return nil
	}
	return &a
}

func (e *embodied) asset(f tables.EmbodiedFigure, known bool) asset {
	if !known {
		return asset{}
	}
	return asset{kg: f.Kg, lifetime: e.config.Lifetime, half: e.widths.Power(f.Method, "")}
}

// ofDevice adds what the device of a point of energy got older by, unless it is in the
// figure of the machine.
func (e *embodied) ofDevice(s *stream, parts []part, from, at int64) []part {
	if s.asset == nil || e.machine.asset.kg > 0 {
		return parts
	}
	if one, ok := e.part(s.asset, from, at, 1); ok {
		parts = append(parts, one)
	}
	return parts
}

// part is what an asset got older by in an interval.
func (e *embodied) part(a *asset, from, to int64, portion float64) (part, bool) {
	sum, ok := emission.Embodied(a.kg, a.lifetime, time.Duration(to-from), portion, a.half)
	return part{tariff: tariff{label: e.label}, start: from, from: from, to: to, sum: sum}, ok
}

// clock returns the stream that knows up to when the asset of a resource was booked.
func (p *metricsProcessor) clock(id identity, resource pcommon.Map) *stream {
	s := p.streams.find(id, p.now)
	if s == nil {
		s = &stream{}
		p.streams.add(id, s, p.now)
	}
	if a := p.embodied.assetOf(resource); s.asset == nil || s.asset.kg == 0 && a.kg > 0 { // others may not say what it is
		known := a // what lives on, for a lookup to allocate nothing
		s.asset = &known
	}
	if !s.met || p.engine.budgets.unclaimed(s) {
		s.met = true
		p.engine.budgets.claim(p, s, resource, p.embodied.none)
	}
	s.seen = p.now
	return s
}

// turn moves a clock on to a moment and returns the interval that has passed: since from
// if it is new.
func (p *metricsProcessor) turn(s *stream, from, at int64) (int64, int64) {
	at = min(at, p.ahead)
	if s.last == 0 { // or it is known no more: up to when it was booked, the newest evicted clock knew
		s.last = max(min(from, at), p.streams.evicted)
	}
	from = s.last
	s.last = max(s.last, at)
	if p.streams.byID[s.id] != s { // evicted since by others of the batch
		p.streams.forget(s.last, p.now)
	}
	p.change(s)
	return from, s.last
}

// drew notes when energy of the host of the resource in progress was drawn.
func (e *embodied) drew(from, at int64) {
	if e.at == 0 || from < e.from {
		e.from = from
	}
	e.at = max(e.at, at)
}

// ofMachine books what the machine of the resource in progress got older by, if it has
// energy of a host. Several scopes and resources may be of one machine: each shows what
// was booked when its turn came, so that all of them add up to the machine.
func (p *metricsProcessor) ofMachine(scope pcommon.InstrumentationScope) {
	e := p.embodied
	s := e.machine
	e.machine = nil // each scope has its own output
	if s == nil || e.at == 0 || s.asset.kg == 0 {
		return
	}
	from, to := p.turn(s, e.from, e.at)
	var parts []part
	if one, ok := e.part(s.asset, from, to, 1); ok && from < to {
		p.one[0] = one
		parts = p.one[:]
	}
	in := p.engine.inputs[names.MetricHWEnergy]
	p.book(s, parts, in.family, p.machine(), p.rate, p.index)
	shown := s
	if e.out.temporality == pmetric.AggregationTemporalityCumulative {
		shown = p.shown(scope, to)
	}
	p.emit(shown, parts, e.none, pcommon.Timestamp(to), from, in, e.out, everything) //nolint:gosec // was checked on input
}

// shown returns the stream of what a scope of the resource in progress shows of its machine.
func (p *metricsProcessor) shown(scope pcommon.InstrumentationScope, at int64) *stream {
	id := p.hash.base(p.id, scope, names.MetricHostEmissions, 0).tagged(tagShown)
	s := p.streams.find(id, p.now)
	if s == nil {
		s = &stream{}
		p.streams.add(id, s, p.now)
	}
	s.seen, s.last = p.now, at
	p.change(s)
	return s
}

// ofWorkload notes what a workload of the resource in progress drew.
func (p *metricsProcessor) ofWorkload(s *stream, r reading, st step, dp pmetric.NumberDataPoint, in *input, out *output, resource pcommon.Map) {
	e := p.embodied
	if p.host == (identity{}) {
		return // of which machine is not known
	}
	b, ok := e.drawn[p.host]
	if !ok {
		b.clock = p.clock(p.host.tagged(tagBody), resource)
	}
	if st.verdict == priced {
		if b.at == 0 || st.from < b.from {
			b.from = st.from
		}
		b.at, b.joules = max(b.at, r.at), b.joules+st.joules
	}
	e.drawn[p.host] = b
	joules := st.joules
	if i := int(s.share); i < len(e.shares) && e.shares[i].stream == s {
		joules += e.shares[i].joules // of points before this one
	} else {
		s.share = uint32(len(e.shares)) //nolint:gosec // of the points of a batch
		e.shares = append(e.shares, share{})
	}
	e.shares[s.share] = share{
		machine: p.host, joules: joules, stream: s, dp: dp, in: in, out: out, resource: p.index, rate: p.rate,
	}
}

// shareOut divides what the machines got older by among their workloads, by energy. Energy
// that is idle, or nobody's, has its share too, so that the shares are the machine.
func (p *metricsProcessor) shareOut() {
	e := p.embodied
	for id, b := range e.drawn {
		if b.clock.asset.kg > 0 && b.at > 0 {
			b.from, b.at = p.turn(b.clock, b.from, b.at)
			e.drawn[id] = b
		}
	}
	for i := range e.shares {
		sh := &e.shares[i]
		b := e.drawn[sh.machine]
		if b.clock.asset.kg == 0 {
			continue
		}
		var parts []part
		if b.joules > 0 && b.at > b.from {
			if one, ok := e.part(b.clock.asset, b.from, b.at, min(sh.joules/b.joules, 1)); ok {
				p.one[0] = one
				parts = p.one[:]
			}
		}
		p.book(sh.stream, parts, sh.in.family, sh.machine, sh.rate, sh.resource)
		at := pcommon.Timestamp(b.at) //nolint:gosec // was checked on input
		if sh.out.temporality == pmetric.AggregationTemporalityCumulative {
			at = max(at, sh.dp.Timestamp())
		}
		p.emit(sh.stream, parts, sh.dp.Attributes(), at, b.from, sh.in, sh.out, ofMaking)
	}
	clear(e.shares)
	e.shares = e.shares[:0]
	if cap(e.shares) > maxShares {
		e.shares = nil
	}
	clear(e.drawn)
}

// maxShares bounds what is kept after a batch of many workloads.
const maxShares = 1 << 16
