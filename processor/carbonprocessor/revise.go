package carbonprocessor

import (
	"math"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcarbon/otelcarbon/intensity"
)

const (
	// reviseWithin is how long after it was drawn the price of energy is revised. Live
	// providers are asked for the last day again and again, but not for more.
	reviseWithin = 24 * time.Hour
	// reviseCell is the shortest slot of any provider: within a cell the intensity is one
	// value, so that energy in the same cell can be owed together.
	reviseCell = 5 * time.Minute
)

// maxOwed bounds what a stream may owe: two parts for each cell that is revised, since the
// times of senders may be anything.
const maxOwed = 2 * int(reviseWithin/reviseCell)

// owed is energy whose price is not final.
type owed struct {
	from, to int64 // ns since 1970
	joules   float64
	grams    float64 // emitted for it so far, corrections included
	boundary intensity.Boundary
}

// debts are what a stream has emitted provisionally, and what was corrected since.
type debts struct {
	owed  []owed // by time
	grid  *intensity.Grid
	fixed []series // sums may be negative; only grams count
	since int64    // when the series began anew, ns since 1970; 0 if they never did
}

// anew begins the corrections anew together with the emissions that they are added to.
func (d *debts) anew(at int64) { d.fixed, d.since = nil, at }

// provisional reports whether a better value for the time of a slot may come: it is not
// of the first provider, a guess, or will be revised by the provider itself.
func provisional(s *intensity.Slot) bool {
	return s.Quality > intensity.Measured || s.Flags&(intensity.FellBack|intensity.Extrapolated|intensity.Stale) != 0
}

// owe remembers what of the parts may be corrected later.
func (s *stream) owe(parts []part, grid *intensity.Grid) {
	for i := range parts {
		p := &parts[i]
		if p.tariff.slot == nil || !(p.joules > 0) || !provisional(p.tariff.slot) {
			continue
		}
		if s.debts == nil {
			s.debts = &debts{grid: grid}
		}
		d, all := s.debts, owed{from: p.from, to: p.to, joules: p.joules, grams: p.sum.Grams, boundary: p.tariff.slot.Basis.Boundary}
		if border := cellOf(all.to-1) * int64(reviseCell); cellOf(all.from)+1 == cellOf(all.to-1) {
			d.add(all.until(border)) // so that there is one for each cell
			all.from = border
		}
		d.add(all)
	}
}

func cellOf(at int64) int64 { return at / int64(reviseCell) }

// until takes off what was drawn before a moment.
func (o *owed) until(t int64) owed {
	share := float64(t-o.from) / float64(o.to-o.from)
	before := owed{from: o.from, to: t, joules: o.joules * share, grams: o.grams * share, boundary: o.boundary}
	o.from, o.joules, o.grams = t, o.joules-before.joules, o.grams-before.grams
	return before
}

func (d *debts) add(o owed) {
	if n := len(d.owed); n > 0 {
		last := &d.owed[n-1]
		if cell := cellOf(last.from); cellOf(last.to-1) == cell && cellOf(o.from) == cell && cellOf(o.to-1) == cell && last.boundary == o.boundary {
			last.from, last.to = min(last.from, o.from), max(last.to, o.to)
			last.joules += o.joules
			last.grams += o.grams
			return
		}
	}
	if len(d.owed) >= maxOwed {
		d.owed = d.owed[:copy(d.owed, d.owed[1:])]
	}
	d.owed = append(d.owed, o)
}

// revise prices again what is owed if the intensity has changed, and appends what that
// changes.
func (p *metricsProcessor) revise(s *stream, dp pmetric.NumberDataPoint, in *input, from int64, out *output) {
	d := s.debts
	if d == nil || p.place.handle == nil {
		return
	}
	p.sums = p.sums[:0]
	if grid := p.place.handle.Grid(); grid != d.grid {
		d.grid = grid
		p.settle(s)
	}
	until := p.wall.Add(-reviseWithin).UnixNano()
	n := 0
	for n < len(d.owed) && d.owed[n].to < until {
		n++
	}
	d.owed = d.owed[:copy(d.owed, d.owed[n:])]

	list := d.fixed
	if out.temporality == pmetric.AggregationTemporalityDelta {
		list = p.sums
	}
	for i := range list {
		one := &list[i]
		start := pcommon.Timestamp(one.start) //nolint:gosec // was checked on input
		if out.temporality == pmetric.AggregationTemporalityDelta {
			start = pcommon.Timestamp(from) //nolint:gosec // likewise
		}
		out.point(correction, dp.Attributes(), in, one.label, start, dp.Timestamp()).SetDoubleValue(one.sum.Grams)
	}
}

// settle books the differences in debts.fixed and in sums, and forgets what is final.
func (p *metricsProcessor) settle(s *stream) {
	d := s.debts
	kept := d.owed[:0]
	for _, o := range d.owed {
		parts, unpriced := p.prices.price(p.place, o.from, o.to, o.joules, s.half)
		if unpriced > 0 || len(parts) == 0 {
			kept = append(kept, o) // what was a price is better than none
			continue
		}
		grams, final, most, worse := 0.0, true, 0, false
		for i := range parts {
			grams += parts[i].sum.Grams
			final = final && !provisional(parts[i].tariff.slot)
			slot := parts[i].tariff.slot
			worse = worse || slot.Quality >= intensity.Periodic || slot.Basis.Boundary != o.boundary
			if parts[i].joules > parts[most].joules {
				most = i
			}
		}
		if worse { // a table stands in, as after a restart, or it is of another boundary: no better than what there was
			kept = append(kept, o)
			continue
		}
		if diff := grams - o.grams; math.Abs(diff) > 1e-12*math.Abs(grams) {
			fix := part{tariff: parts[most].tariff, start: max(o.from, d.since)}
			fix.sum.Grams = diff
			d.fixed = plus(d.fixed, &fix)
			p.sums = plus(p.sums, &fix)
			o.grams = grams
		}
		if !final {
			kept = append(kept, o)
		}
	}
	d.owed = kept
}
