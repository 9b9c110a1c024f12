package ledger

import (
	"time"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

const (
	// readJitter is how far the moment of a reading may lie from its time stamp,
	// when the process was interrupted between the two.
	readJitter = 100 * time.Millisecond
	// lasting is the number of comparisons in a row that must show a difference:
	// a glitch that passed for energy is taken back within three readings.
	lasting = 5
	// proofs is the number of windows, one after the other, that must each show
	// a difference before two dies are believed to have counters of their own: a
	// wrong belief counts a package twice.
	proofs = 3
	// watchTime is the longest window; one that shows nothing in that time
	// refutes the proofs before it. A difference of 0.3 W shows in 10 minutes.
	watchTime = 10 * time.Minute
	// patience is how long a silent part is waited for before the others go on
	// without it.
	patience = 30 * time.Second
)

// mirrors are the dies of one socket that the kernel may show with the same
// counter, the package's. One of them is counted, the lowest die of the first
// tick that had any, until their increments prove to differ; values alone, or
// equal increments, prove nothing.
//
// Two views of one counter, read at moments that differ by δ at the begin and δ′
// at the end, differ by at most the energy of δ + δ′, however long the time
// between. A difference that grows beyond what MaxPower allows for that is proof.
type mirrors struct {
	key      mirrorKey
	dies     []*part // by Die
	counted  *part   // nil: none has a baseline
	since    uint64  // tick in which counted was chosen
	distinct bool
}

// watch compares one die with the counted one, over a window without events.
type watch struct {
	open      bool
	from      time.Time // of the die …
	reference time.Time // … and of the counted one
	die       unit.Microjoules
	counted   unit.Microjoules
	different int // comparisons in a row
	proofs    int // windows in a row
}

func (l *Ledger) compareMirrors() {
	for _, m := range l.mirrors {
		if m.distinct || m.counted == nil || len(m.dies) == 1 {
			continue
		}
		m.replaceSilent(l.tick)
		for _, p := range m.dies {
			if p != m.counted && p.watch.proves(p, m.counted, l.tick) {
				m.separate()
				break
			}
		}
	}
}

// separate counts every die from now on.
func (m *mirrors) separate() {
	m.distinct = true
	for _, p := range m.dies {
		p.startIfNew()
	}
}

// replaceSilent counts another die when the counted one has been silent for
// long: its CPUs went offline. What it may still deliver is not counted, the time
// until now is a gap.
func (m *mirrors) replaceSilent(tick uint64) {
	if m.counted.advanced == tick {
		return
	}
	for _, p := range m.dies {
		silence := p.last.Sub(m.counted.last)
		if p.advanced != tick || silence <= patience {
			continue
		}
		p.gaps++
		p.gapTime += silence
		p.startIfNew()
		m.counted, m.since = p, tick
		for _, p := range m.dies {
			p.watch = watch{}
		}
		return
	}
}

// startIfNew lets an account begin now that was not counted so far.
func (p *part) startIfNew() {
	if p.energy == 0 && !p.start.IsZero() && p.mirrors.counted != p {
		p.beginAt(p.last)
	}
}

// proves takes in what was read in this tick and reports whether die p is
// proven to have a counter of its own.
func (w *watch) proves(p, counted *part, tick uint64) bool {
	if p.disturbed(tick) || counted.disturbed(tick) {
		w.open, w.different = false, 0
		return false
	}
	p1, p2 := p.advanced == tick, counted.advanced == tick
	if !w.open {
		if p1 && p2 {
			w.restart(p, counted)
		}
		return false
	}
	if p1 {
		w.die = plus(w.die, p.step)
	}
	if p2 {
		w.counted = plus(w.counted, counted.step)
	}
	if !p1 || !p2 {
		return false
	}
	apart := w.from.Sub(w.reference).Abs() + p.last.Sub(counted.last).Abs() + readJitter
	if max(w.die, w.counted)-min(w.die, w.counted) > counted.limits.Bound(apart) {
		w.different++
	} else {
		w.different = 0
	}
	switch {
	case w.different >= lasting:
		w.proofs++
		w.restart(p, counted)
	case p.last.Sub(w.from) > watchTime:
		w.proofs = 0
		w.restart(p, counted)
	}
	return w.proofs >= proofs
}

func (w *watch) restart(p, counted *part) {
	*w = watch{open: true, from: p.last, reference: counted.last, proofs: w.proofs}
}

// disturbed reports whether the part's readings cannot be compared in this tick.
func (p *part) disturbed(tick uint64) bool {
	return p.tick == tick &&
		p.event.Has(energy.Baseline|energy.Corrected|energy.Held|energy.Dropped|energy.Reset|energy.Gap)
}
