package ledger

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// views are the ways in which one thing is measured, of which one is counted:
// the best of the first tick in which any has a baseline. A better one that begins
// later takes over from its baseline on. When the counted one is silent for long,
// another takes over where that one ended, for each keeps what it saw since then.
// Only what it did not see either is a gap.
//
// One that returns after a silence brings the energy of a time in which another
// was counted. So it takes over at the end of a later interval that is no longer
// than anybody waits, and nothing from before that end is counted.
type views struct {
	all     []*view // by Rank, then by ID of the first part
	counted *view   // nil: none has a baseline
}

// view is one way: a part, or all dies of a package that one sensor shows. Dies
// stay together, because whether they mirror each other can only be told within
// one sensor, and because another sensor may show the package in one piece.
type view struct {
	group *views
	parts []*part
	begun bool // a part had a baseline
}

type viewKey struct {
	role sensor.Role
	of   string // Part.Same without the die
}

// placeView finds out whether something else measures what the new part does.
func (l *Ledger) placeView(p *part) {
	if p.Same == "" {
		return
	}
	of, isDie := wholeOf(p.Same)
	key := viewKey{p.Role, of}
	g := l.views[key]
	if g == nil {
		g = &views{}
		l.views[key] = g
		l.viewed = append(l.viewed, g)
	}
	if isDie {
		for _, v := range g.all {
			if v.takes(p) {
				v.parts = append(v.parts, p)
				p.view = v
				return
			}
		}
	}
	p.view = &view{group: g, parts: []*part{p}}
	at, _ := slices.BinarySearchFunc(g.all, p, func(v *view, p *part) int {
		return cmp.Or(cmp.Compare(v.parts[0].Rank, p.Rank), cmp.Compare(v.parts[0].ID, p.ID))
	})
	g.all = slices.Insert(g.all, at, p.view)
}

// takes reports whether p is a further die of the view.
func (v *view) takes(p *part) bool {
	first := v.parts[0]
	if _, isDie := wholeOf(first.Same); !isDie || first.Sensor != p.Sensor || first.Rank != p.Rank {
		return false
	}
	return !slices.ContainsFunc(v.parts, func(q *part) bool { return q.Same == p.Same })
}

// wholeOf returns what a name would be if the package had no dies: package-0/dram
// for package-0-die-1/dram, and whether it had one.
func wholeOf(same string) (string, bool) {
	above, rest, isDie := strings.Cut(same, "-die-")
	if !isDie {
		return same, false
	}
	if _, below, ok := strings.Cut(rest, "/"); ok {
		above += "/" + below
	}
	return above, true
}

// excuseGaps takes from the gaps of parts that stand by the time in which something else
// was counted: nothing is unknown of that.
func (l *Ledger) excuseGaps() {
	for _, p := range l.read {
		if p.dark == 0 || !p.standsBy() || p.view.group.counted == nil {
			continue
		}
		counted := p.view.group.counted
		switch known := counted.last().Sub(p.darkAt); {
		case counted.advanced(l.tick), known >= p.dark:
			p.gaps0, p.gapTime0 = p.gaps0+1, p.gapTime0+p.dark
		case known > 0:
			p.gapTime0 += known
		}
	}
}

// chooseViews decides which views count, before anything of this tick is entered.
func (l *Ledger) chooseViews() {
	for _, g := range l.viewed {
		g.choose(l.tick)
	}
}

func (g *views) choose(tick uint64) {
	for _, v := range g.all { // the best first
		if v == g.counted || !v.advanced(tick) {
			continue
		}
		began := !v.begun
		v.begun = true
		switch {
		case g.counted == nil:
			g.count(v, tick)
		case v.betterThan(g.counted) && (began || v.isFresh(tick)) && !v.firstRead(tick).Before(g.counted.bookedTo()):
			g.counted.end(v.firstRead(tick))
			g.count(v, tick)
		case g.counted.silentFor(v, tick) > g.counted.patience():
			g.replaceSilent(v, tick)
		}
	}
	g.keep(tick)
}

// replaceSilent lets v count from where the counted one ended: what that may still
// deliver, v has told.
func (g *views) replaceSilent(v *view, tick uint64) {
	old, last := g.counted, g.counted.last()
	silence := old.silentFor(v, tick)
	for _, p := range old.parts { // each die for itself: they may have fallen silent one after the other
		p.until = p.last
	}
	if v.holdsModelled() { // what it saw meanwhile holds what the model has told
		v.flagGap(silence, tick)
		g.count(v, tick)
		return
	}
	if begun := v.start(); begun.After(last) {
		v.flagGap(begun.Sub(last), tick)
	}
	g.counted = v
	for _, p := range v.parts {
		p.turns++
		last := old.lastOf(p)
		if p.advanced == tick {
			p.before = old.lastAdvanced() // its interval begins there
			if owed, _ := before(p.delta, p.until); owed > 0 {
				p.pending = energy.Delta{Energy: owed, From: last, To: last} // from when it was counted before
			}
		}
		p.from, p.until = last, time.Time{}
		if p.start.Before(last) {
			p.beginAt(last)
		}
	}
}

// keep adds what was read in this tick to what the standbys have seen since the
// counted view's newest reading, and gives it to those parts of the counted view
// that have something left of the time in which it stood by itself.
func (g *views) keep(tick uint64) {
	if g.counted == nil {
		return
	}
	for _, v := range g.all {
		for _, p := range v.parts {
			last := g.counted.lastOf(p)
			switch {
			case v != g.counted:
				p.pending = after(p.pending, last)
				if p.advanced == tick {
					p.pending = joined(p.pending, after(p.delta, last))
				}
			case p.advanced == tick && !p.pending.To.IsZero():
				p.delta, p.pending = joined(p.pending, after(p.delta, p.from)), energy.Delta{}
			}
		}
	}
}

// holdsModelled reports whether a part covers a type that only a model has told so
// far.
func (v *view) holdsModelled() bool {
	return slices.ContainsFunc(v.parts, func(p *part) bool {
		return slices.ContainsFunc(p.covers, (*hwType).isModelled)
	})
}

// bookedTo returns until when v was counted. What another brings late from before
// that would count twice.
func (v *view) bookedTo() time.Time {
	var to time.Time
	for _, p := range v.parts {
		if p.at.After(to) {
			to = p.at
		}
	}
	return to
}

func (v *view) betterThan(w *view) bool { return v.parts[0].Rank < w.parts[0].Rank }

// end lets nothing of v count that lies after t.
func (v *view) end(t time.Time) {
	for _, p := range v.parts {
		p.until = t
	}
}

// count lets v count from its readings of this tick on, and nothing from before
// them: another view has told that.
func (g *views) count(v *view, tick uint64) {
	g.counted = v
	from := v.firstRead(tick)
	for _, p := range v.parts {
		p.turns++
		p.from, p.until, p.pending = from, time.Time{}, energy.Delta{}
		if p.advanced == tick {
			p.from = p.moment
		}
		p.beginAt(p.from)
	}
}

// beginAt lets an account begin at t that was not counted so far.
func (p *part) beginAt(t time.Time) {
	if p.energy > 0 || p.start.IsZero() {
		return
	}
	p.start = t
	s := p.stats() // those of its readings; what was flagged when it took over is of its time
	p.gaps0, p.gapTime0 = p.gaps0+s.Gaps-p.gaps, p.gapTime0+s.GapTime-p.gapTime
	p.extend(t)
}

// firstRead returns the earliest moment of this tick's readings.
func (v *view) firstRead(tick uint64) time.Time {
	var first time.Time
	for _, p := range v.parts {
		if p.advanced == tick && (first.IsZero() || p.moment.Before(first)) {
			first = p.moment
		}
	}
	return first
}

func (v *view) advanced(tick uint64) bool {
	return slices.ContainsFunc(v.parts, func(p *part) bool { return p.advanced == tick })
}

// isFresh reports whether a part closed an interval that holds no backlog.
func (v *view) isFresh(tick uint64) bool {
	return slices.ContainsFunc(v.parts, func(p *part) bool {
		return p.advanced == tick && !p.disturbed(tick) && p.delta.To.Sub(p.delta.From) <= p.patience()
	})
}

// silentFor returns for how long nothing came from v, as seen from the readings
// of w in this tick.
func (v *view) silentFor(w *view, tick uint64) time.Duration {
	if v.advanced(tick) {
		return 0
	}
	var longest time.Duration
	last := v.last()
	for _, p := range w.parts {
		if p.advanced == tick {
			longest = max(longest, p.moment.Sub(last))
		}
	}
	return longest
}

func (v *view) last() time.Time {
	var last time.Time
	for _, p := range v.parts {
		if p.last.After(last) {
			last = p.last
		}
	}
	return last
}

// lastOf returns the newest reading of the die that p measures too; of all, if there is
// none.
func (v *view) lastOf(p *part) time.Time {
	for _, q := range v.parts {
		if q.Same == p.Same && !q.last.IsZero() {
			return q.last
		}
	}
	return v.last()
}

// start returns the first baseline.
func (v *view) start() time.Time {
	var first time.Time
	for _, p := range v.parts {
		if !p.start.IsZero() && (first.IsZero() || p.start.Before(first)) {
			first = p.start
		}
	}
	return first
}

// lastAdvanced returns the tick of the newest accepted reading.
func (v *view) lastAdvanced() uint64 {
	var last uint64
	for _, p := range v.parts {
		last = max(last, p.advanced)
	}
	return last
}

func (v *view) patience() time.Duration {
	var d time.Duration
	for _, p := range v.parts {
		d = max(d, p.patience())
	}
	return d
}

func (v *view) flagGap(d time.Duration, tick uint64) {
	for _, p := range v.parts {
		if p.advanced == tick {
			p.gaps++
			p.gapTime += d
			return
		}
	}
}

// standsBy reports whether another view of the same thing is counted.
func (p *part) standsBy() bool { return p.view != nil && p.view.group.counted != p.view }

// inView returns what of the part's interval lies where its view was counted.
func (p *part) inView() energy.Delta {
	d := p.delta
	if p.view == nil {
		return d
	}
	if p.standsBy() && p.until.IsZero() {
		d.Energy = 0
		return d
	}
	if d.From.Before(p.from) {
		told, _ := before(d, p.from)
		d.Energy, d.From = d.Energy-told, p.from
	}
	if p.standsBy() {
		d.Energy, d.To = before(d, p.until)
	}
	return d
}

// patience is how long nobody minds that the part is silent. One that pauses is not
// waited for.
func (p *part) patience() time.Duration {
	if p.paused {
		return 0
	}
	return max(patience, 3*p.Period)
}
