package ledger

import (
	"cmp"
	"math/bits"
	"slices"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// hwType is what the ledger knows of all parts of one hw.type.
//
// A modelled part counts until something measures a part of its type: the moment
// of the first baseline of a measurement. The measurement counts from that very
// moment on, so of the model's interval that spans it exactly the share before it
// is booked, and nothing after. Should the measurement fail later, the model
// stays out: the energy of the failed time comes with the next good reading, and
// must not have been booked from the model already.
//
// An envelope that decides the energy of the host keeps the model out as well, for as
// long as it does.
type hwType struct {
	measured time.Time // zero: nothing measures it
	tick     uint64    // in which that became known
	held     time.Time // since when an envelope holds it; zero: none does
	heldTick uint64
}

// measuredAt takes in that a measurement of the type began.
func (hw *hwType) measuredAt(t time.Time, tick uint64) {
	if hw.measured.IsZero() || hw.tick == tick && t.Before(hw.measured) {
		hw.measured, hw.tick = t, tick
	}
}

// isModelled reports whether a model, if there is one, counts.
func (hw *hwType) isModelled() bool { return hw.measured.IsZero() && hw.held.IsZero() }

// since returns from when on a model does not count any more.
func (hw *hwType) since() (time.Time, uint64) {
	if hw.measured.IsZero() || !hw.held.IsZero() && hw.held.Before(hw.measured) {
		return hw.held, hw.heldTick
	}
	return hw.measured, hw.tick
}

// mirrorKey tells dies that may mirror each other. Dies of an unknown socket
// (−1) are taken together: counting too little until they prove to differ is
// better than counting one counter twice.
type mirrorKey struct {
	sensor, hw string
	socket     int
}

// place finds out what a new part has to do with others.
func (l *Ledger) place(p *part) {
	p.hw = l.typeOf(p.Type)
	for _, t := range p.Covers {
		p.covers = append(p.covers, l.typeOf(t))
	}
	l.placeView(p)
	switch {
	case p.Role == sensor.Envelope:
		p.envelope = &envelope{part: p}
		at := len(l.envelopes)
		for at > 0 && p.envelope.betterThan(l.envelopes[at-1]) {
			at--
		}
		l.envelopes = slices.Insert(l.envelopes, at, p.envelope)
	case p.Role == sensor.Primary && p.MayMirror:
		key := mirrorKey{p.Sensor, p.Type, p.Socket}
		i := slices.IndexFunc(l.mirrors, func(m *mirrors) bool { return m.key == key })
		if i < 0 {
			i = len(l.mirrors)
			l.mirrors = append(l.mirrors, &mirrors{key: key})
		}
		p.mirrors = l.mirrors[i]
		p.mirrors.insert(p)
	}
}

// typeOf returns what is known of a type.
func (l *Ledger) typeOf(name string) *hwType {
	hw := l.types[name]
	if hw == nil {
		hw = &hwType{}
		l.types[name] = hw
		if l.decided() && l.measuresCPU() {
			hw.held, hw.heldTick = l.trusted.decides, l.tick
		}
	}
	return hw
}

// noteMeasured takes the baselines of this tick into account: from now on the
// type is measured, and of dies that may mirror each other one is chosen.
func (l *Ledger) noteMeasured() {
	for _, p := range l.read {
		if p.Role != sensor.Primary || !p.event.Has(energy.Baseline) {
			continue
		}
		if p.Method != sensor.Modelled {
			p.hw.measuredAt(p.moment, l.tick)
		}
		if m := p.mirrors; m != nil && (m.counted == nil || m.since == l.tick && m.less(p, m.counted)) {
			m.counted, m.since = p, l.tick
		}
	}
	for _, p := range l.read {
		if len(p.covers) > 0 && !p.covering && p.advanced == l.tick && p.Method != sensor.Modelled && p.live() {
			p.covering = true // for good, as for its own type
			for _, hw := range p.covers {
				hw.measuredAt(p.moment, l.tick)
			}
		}
	}
}

// live reports whether the part's energy is added to the host's.
func (p *part) live() bool {
	return p.Role == sensor.Primary && !p.start.IsZero() && !p.closed && !p.paused && !p.superseded() && !p.mirrored() && !p.standsBy()
}

func (p *part) superseded() bool {
	return p.Method == sensor.Modelled && p.hw != nil && !p.hw.isModelled()
}

// isHeld reports whether only an envelope keeps the part from being counted.
func (p *part) isHeld() bool {
	return p.Role == sensor.Primary && p.superseded() && p.hw.measured.IsZero() && !p.mirrored() && !p.standsBy()
}

func (p *part) mirrored() bool {
	return p.mirrors != nil && !p.mirrors.distinct && p.mirrors.counted != nil && p.mirrors.counted != p
}

// counts returns how much of what was read in this tick belongs into the part's
// account, and until when.
func (p *part) counts() (unit.Microjoules, time.Time) {
	switch {
	case p.delta.To.IsZero(), p.mirrored():
		return 0, p.moment
	case p.Role == sensor.Primary && p.superseded():
		until, tick := p.hw.since()
		if p.born >= tick { // the ms between two first reads are not worth a series
			return 0, p.moment
		}
		return before(p.delta, until)
	}
	d := p.inView()
	return d.Energy, d.To
}

// before returns the share of d that lies before t, rounded down, and its end.
func before(d energy.Delta, t time.Time) (unit.Microjoules, time.Time) {
	switch {
	case !d.To.After(t):
		return d.Energy, d.To
	case !d.From.Before(t):
		return 0, t
	}
	hi, lo := bits.Mul64(uint64(d.Energy), uint64(t.Sub(d.From))) //nolint:gosec // From < t < To
	q, _ := bits.Div64(hi, lo, uint64(d.To.Sub(d.From)))          //nolint:gosec // t − From < To − From, so it fits
	return unit.Microjoules(q), t
}

// after returns what of d lies after t: what before leaves.
func after(d energy.Delta, t time.Time) energy.Delta {
	if !d.To.After(t) {
		return energy.Delta{}
	}
	if d.From.Before(t) {
		e, _ := before(d, t)
		d.Energy, d.From = d.Energy-e, t
	}
	return d
}

// joined returns a and the later b in one; either may be none.
func joined(a, b energy.Delta) energy.Delta {
	switch {
	case a.To.IsZero():
		return b
	case b.To.IsZero():
		return a
	}
	return energy.Delta{Energy: plus(a.Energy, b.Energy), From: a.From, To: b.To}
}

func (m *mirrors) insert(p *part) {
	at, _ := slices.BinarySearchFunc(m.dies, p, compareDies)
	m.dies = slices.Insert(m.dies, at, p)
}

func (m *mirrors) less(a, b *part) bool { return compareDies(a, b) < 0 }

func compareDies(a, b *part) int { return cmp.Or(cmp.Compare(a.Die, b.Die), cmp.Compare(a.ID, b.ID)) }
