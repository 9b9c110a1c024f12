package carbonprocessor

import (
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/internal/emission"
)

// A label is what keeps emissions apart that must not be added in silence: where
// the intensity is valid, who says so, and what is inside it.
type label struct {
	zone, source, boundary string
	embodied               bool // of the making of the machine; the rest is empty
}

// A gauge is one point of carbon.grid.intensity in the making. There is one for
// each label, signal and quality.
type gauge struct {
	label           *label
	signal, quality string

	batch       uint64 // the batch in which it was touched last
	resource    int    // index of the first resource of that batch that used it
	newest      int64  // time of the newest input point that used it, ns since 1970
	gramsPerKWh float64
	slot        *intensity.Slot // that of the newest
}

// A tariff is a slot of the grid's intensity as one place pays it.
type tariff struct {
	slot  *intensity.Slot
	label *label
	gauge *gauge
}

// A place is where resources stand. Many resources share one.
type place struct {
	handle *intensity.Handle // nil if nobody has a value of the wanted basis
	err    error             // why
	pue    float64
	// recent holds the newest two tariffs, because late points alternate with
	// present ones. Slots are immutable, so the pointer is the key.
	recent [2]tariff
}

// A part is energy priced with one tariff.
type part struct {
	tariff   tariff
	start    int64 // of its series, ns since 1970
	from, to int64 // when it was drawn
	joules   float64
	sum      emission.Range
	cost     float64
	water    float64
}

type gaugeKey struct {
	label           *label
	signal, quality string
}

// maxLabels bounds labels and gauges, of which there are as many as zones and
// sources, unless a static provider takes over whatever zones resources name.
const maxLabels = 10_000

// prices knows all labels and gauges, so that equal ones are the same pointer.
type prices struct {
	labels map[label]*label
	gauges map[gaugeKey]*gauge

	perKWh float64 // of a kWh; 0: none is set
	wue    float64 // L/kWh; 0: none is set

	// The rest is the call in progress, kept here so that pricing allocates nothing.
	cut      func(*intensity.Slot, float64)
	parts    []part
	unpriced float64 // J that met no slot
	place    *place
	half     float64
	from, to int64
	given    float64 // J of the parts so far
	joules   float64
}

func newPrices(cfg *Config) *prices {
	p := &prices{
		labels: make(map[label]*label), gauges: make(map[gaugeKey]*gauge),
		perKWh: cfg.ElectricityPrice.PerKWh, wue: cfg.WUE,
	}
	p.cut = p.add // made once: a method value allocates
	return p
}

// full reports whether it is time to start afresh, together with all places.
func (p *prices) full() bool { return len(p.labels) > maxLabels || len(p.gauges) > maxLabels }

// price cuts joules, drawn evenly from one moment to another behind the place's
// PUE, at the borders of the slots. The result is valid until the next call.
func (p *prices) price(at *place, from, to int64, joules, half float64) (parts []part, unpriced float64) {
	p.parts, p.unpriced, p.place, p.half = p.parts[:0], 0, at, half
	p.from, p.to, p.given, p.joules = from, to, 0, joules
	if at.handle == nil {
		return nil, joules
	}
	at.handle.Each(time.Unix(0, from), time.Unix(0, to), joules, p.cut)
	return p.parts, p.unpriced
}

func (p *prices) add(s *intensity.Slot, joules float64) {
	from := p.moment()
	p.given += joules
	if s == nil {
		p.unpriced += joules
		return
	}
	start := p.from
	if s.Start.After(time.Unix(0, start)) { // never for a slot without beginning, whose nanoseconds overflow
		start = s.Start.UnixNano()
	}
	grams := emission.Grams(joules, p.place.pue, s.GramsPerKWh)
	p.parts = append(p.parts, part{
		tariff: p.tariff(s),
		start:  start, from: from, to: p.moment(), joules: joules,
		sum:   emission.Around(grams, emission.Combine(p.half, s.Spread.Half)),
		cost:  emission.Cost(joules, p.place.pue, p.perKWh),
		water: emission.Water(joules, p.wue),
	})
}

// moment is where the parts so far end: the energy is even over the interval.
func (p *prices) moment() int64 {
	if p.given >= p.joules {
		return p.to
	}
	return p.from + int64(p.given/p.joules*float64(p.to-p.from))
}

func (p *prices) tariff(s *intensity.Slot) tariff {
	recent := &p.place.recent
	if recent[0].slot == s {
		return recent[0]
	}
	recent[0], recent[1] = recent[1], recent[0]
	if recent[0].slot != s {
		recent[0] = p.intern(s)
	}
	return recent[0]
}

func (p *prices) intern(s *intensity.Slot) tariff {
	key := label{zone: s.Origin.ZoneServed, source: s.Origin.Provider, boundary: s.Basis.Boundary.String()}
	l := p.labels[key]
	if l == nil {
		l = &key
		p.labels[key] = l
	}
	gk := gaugeKey{label: l, signal: s.Basis.Signal.String(), quality: s.Quality.String()}
	g := p.gauges[gk]
	if g == nil {
		g = &gauge{label: l, signal: gk.signal, quality: gk.quality}
		p.gauges[gk] = g
	}
	return tariff{slot: s, label: l, gauge: g}
}

// total adds the parts to the sums of their labels and returns the list, longer
// if a label is new.
func total(sums []series, parts []part) []series {
	for i := range parts {
		sums = plus(sums, &parts[i])
	}
	return sums
}

func plus(sums []series, p *part) []series {
	for i := range sums {
		if l := p.tariff.label; sums[i].label == l || *sums[i].label == *l {
			sums[i].add(p)
			return sums
		}
	}
	return append(sums, series{label: p.tariff.label, start: p.start, sum: p.sum, cost: p.cost, water: p.water})
}
