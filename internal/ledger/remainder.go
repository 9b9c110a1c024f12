package ledger

import (
	"cmp"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// Trust says whether an envelope, a sensor around the machine such as psys,
// decides the energy of the host.
type Trust uint8

const (
	// TrustAuto trusts an envelope once it has contained the parts for five ticks;
	// one that is not Whole only if the measured CPU parts sit in one socket: with
	// several psys belongs to the first of them only, and some machines show less on
	// psys than on the package.
	TrustAuto Trust = iota
	// TrustAlways trusts an envelope from its baseline on, until it is demoted.
	TrustAlways
	// TrustNever publishes it as a detail and no more.
	TrustNever
)

const (
	probation = 5                // settled ticks in a row in which an envelope contains its parts
	steps     = 10               // of a coarse envelope, before its probation is judged
	maxDebt   = 30 * time.Second // of the power that the envelope had lately: more is no jitter
)

// envelope compares what a sensor around the parts shows with their sum, and
// books what is left as the part "other": fans, disks, network, losses.
//
// It is settled only in ticks in which it and every live part advanced, so that
// both sides cover the same time; until then both sides are summed up. A slow part
// need not have advanced in that very tick, but since the last settlement, and may lag
// behind by less than two of its periods: what the remainder holds of it too early, the
// next one lacks. A part that has been silent for 30 s is no longer waited for. A negative
// remainder is debt that later remainders pay first; so the host's total never falls, and
// is the envelope's as soon as the debt is paid.
//
// Of several envelopes one decides at a time: one that is the whole host before
// psys, then by Rank. A better one replaces it after a probation of its own, and
// takes its debt over. One that pauses, or is silent for longer than anybody waits,
// leaves the host to its parts, or to another envelope: what it held of them counts from
// the last settlement on, and the remainder rests.
type envelope struct {
	part *part

	begun     bool
	drawn     unit.Microjoules // by the envelope since it was settled …
	parts     unit.Microjoules // … by all live parts …
	due       unit.Microjoules // … thereof until its newest reading …
	guess     unit.Microjoules // … or guessed while it was silent, by models and the calibration …
	late      unit.Microjoules // … thereof by parts that missed the last settlement …
	lag       unit.Microjoules // … and by slow ones in intervals that span it: so much may have lagged
	back      unit.Microjoules // … and, of all of it, from before the last settlement, which the remainder holds
	settled   uint64
	earlier   uint64 // the settlement before that
	settledAt time.Time

	total  unit.Microjoules // drawn during probation, in settled ticks …
	needed unit.Microjoules // … and by the parts
	since  time.Time
	passed int // settled ticks of probation

	shown  unit.Microjoules // drawn since begun while not trusted, in settled ticks …
	shares unit.Microjoules // … and by the parts …
	judged int              // … and their number
	from   time.Time

	recent unit.Microjoules // drawn in the last settled ticks …
	span   time.Duration    // … of about maxDebt

	trusted, demoted bool
	silent           bool      // nobody waits for it: it decides nothing until it is back
	lost             uint64    // tick from which on it decides, without telling the time before
	decides          time.Time // since
	debt             unit.Microjoules
	// No sign of a wrong envelope is what of the debt comes from parts that came late,
	// and the largest lag since there is debt: by that much the remainder may have been
	// ahead once, but not once again with each settlement.
	excused, lagged unit.Microjoules
}

// settle compares every envelope with its parts, of which the live ones got sum
// in this tick.
func (l *Ledger) settle(sum unit.Microjoules) {
	deciding := l.trusted
	if deciding != nil { // first, so that another goes on where it ends
		l.attend(deciding, sum)
	}
	for _, e := range l.envelopes { // the best first
		if e != deciding {
			l.attend(e, sum)
		}
	}
}

func (l *Ledger) attend(e *envelope, sum unit.Microjoules) {
	switch {
	case e.demoted || l.trustIn(e) == TrustNever:
	case e.part.standsBy(), e != l.trusted && l.decided() && !e.betterThan(l.trusted):
		e.begun = false
	default:
		l.follow(e, sum)
	}
}

// trustIn returns what the configuration says of an envelope.
func (l *Ledger) trustIn(e *envelope) Trust {
	if e.part.Whole {
		return l.config.Whole
	}
	return l.config.Psys
}

// decided reports whether an envelope decides the energy of the host.
func (l *Ledger) decided() bool {
	return l.trusted != nil && !l.trusted.demoted && !l.trusted.silent
}

func (e *envelope) betterThan(f *envelope) bool { return compareEnvelopes(e, f) < 0 }

func compareEnvelopes(e, f *envelope) int {
	switch {
	case e.part.Whole == f.part.Whole:
		return cmp.Compare(e.part.Rank, f.part.Rank)
	case e.part.Whole:
		return -1
	}
	return 1
}

func (l *Ledger) follow(e *envelope, sum unit.Microjoules) {
	p := e.part
	if e == l.trusted {
		e.noteBack(l.read)
	}
	if p.advanced == l.tick && !e.begun || p.tick == l.tick && p.event.Has(energy.Baseline|energy.Reset) || e.wasAway(l.tick) {
		if e == l.trusted {
			l.lose(e)
		}
		e.open(l.tick) // nobody knows what it drew until now
		if l.trustIn(e) == TrustAlways && !e.trusted {
			l.trust(e)
		}
		return
	}
	if !e.begun {
		return
	}
	e.parts = plus(e.parts, sum)
	for _, q := range l.read {
		e.noteLate(q)
		if e.silent && q.Method == sensor.Modelled {
			e.guess = plus(e.guess, q.booked)
		}
	}
	if p.advanced != l.tick {
		return
	}
	e.drawn, e.due = plus(e.drawn, p.delta.Energy), e.parts
	if e == l.trusted && e.silent { // it has told that time after all
		l.takeBack(e)
	}
	if l.awaits(e) && p.at.Sub(e.settledAt) <= p.patience() || !e.trusted && e.drawn < steps*p.Step {
		return
	}
	if e.trusted {
		l.bookRemainder(e)
	} else if admitted := p.Whole || l.oneSocket(); e.passes(admitted) {
		l.trust(e)
	} else if admitted {
		e.shown, e.shares, e.judged = plus(e.shown, e.drawn), plus(e.shares, e.parts), e.judged+1
	}
	e.close(l.tick)
	if e == l.trusted && !e.demoted {
		for _, q := range l.order {
			q.withheld = 0
		}
	}
}

// Finish books what is known of the remainder, without waiting for parts that have not
// told their share of it. Call it after the last Book, when no other will follow.
func (l *Ledger) Finish() {
	e := l.trusted
	if !l.decided() || !e.begun {
		return
	}
	if owed := plus(e.due, e.debt); e.drawn > owed {
		l.add(l.other, e.drawn-owed)
	}
	if e.drawn > 0 {
		l.other.extend(e.part.at)
		l.host.reach(l.other.account)
	}
	e.close(l.tick)
}

// pauseEnvelope leaves the host to its parts until the envelope has a reading again.
func (l *Ledger) pauseEnvelope(e *envelope) {
	if e == l.trusted && l.decided() {
		l.leave(e)
	}
	e.begun = false
}

// noteSilence leaves the host to its parts when nobody waits any more for the envelope
// that decides.
func (l *Ledger) noteSilence() {
	e := l.trusted
	if !l.decided() || e.part.advanced == l.tick {
		return
	}
	silent := e.part.standsBy()
	for _, p := range l.read {
		silent = silent || p.advanced == l.tick && p.moment.Sub(e.part.last) > e.part.patience()
	}
	if silent {
		l.leave(e)
	}
}

// leave leaves the host to its parts, of all the time that is not settled.
func (l *Ledger) leave(e *envelope) {
	e.silent = true
	l.other.paused = true
	l.other.turns++
	l.letGo(e)
}

// lose takes in that the envelope, which decides, cannot tell the time until now: it was
// the parts'. What the remainder holds of that already is owed.
func (l *Ledger) lose(e *envelope) {
	e.debt, e.excused = plus(e.debt, e.back), plus(e.excused, e.back)
	l.letGo(e)
	l.takeBack(e)
	e.lost = l.tick
	l.other.extend(e.part.at) // nobody will tell it: it is not waited for
}

// takeBack lets the envelope decide again.
func (l *Ledger) takeBack(e *envelope) {
	e.silent = false
	l.other.paused = false
	l.other.turns++
	l.hold(e.part.at)
}

// hold keeps models out from t on, if the processor is measured: what is left beside it
// is measured by the envelope. Where the processor itself is modelled, it stays a part:
// the envelope bounds it, and the rest is not all there is.
func (l *Ledger) hold(t time.Time) {
	if !l.measuresCPU() {
		return
	}
	for _, hw := range l.types {
		if hw.held.IsZero() {
			hw.held, hw.heldTick = t, l.tick
		}
	}
}

// letGo lets models count again, from the last settlement on.
func (l *Ledger) letGo(e *envelope) {
	for _, hw := range l.types {
		hw.held = time.Time{}
	}
	for _, p := range l.order {
		withheld := p.withheld
		if p.withheld = 0; withheld == 0 {
			continue
		}
		if p.start.Before(e.settledAt) {
			p.beginAt(e.settledAt)
		}
		if l.add(p, withheld) {
			e.parts, e.guess = plus(e.parts, withheld), plus(e.guess, withheld)
			l.calibration.sum = plus(l.calibration.sum, withheld)
		}
		p.extend(p.last)
		l.host.reach(p.account)
	}
}

// wasAway reports whether the envelope is the whole host and brings the energy of
// a time in which it was silent for long: it was not there then (a controller that
// was restarted).
func (e *envelope) wasAway(tick uint64) bool {
	p := e.part
	return p.Whole && p.advanced == tick && p.delta.To.Sub(p.delta.From) > p.patience()
}

// measuresCPU reports whether a sensor gives the energy of the processor.
func (l *Ledger) measuresCPU() bool {
	hw := l.types["cpu"]
	return hw != nil && !hw.measured.IsZero()
}

// awaits reports whether a live part has not advanced in this tick, or, if it is slow,
// since the last settlement and lately, and is not silent for so long that nobody waits
// for it.
func (l *Ledger) awaits(e *envelope) bool {
	now := e.part.at
	for _, p := range l.order {
		advanced := p.advanced == l.tick || p.advanced > e.settled && now.Sub(p.at) < 2*p.Period
		if !advanced && p != l.other && p.live() && now.Sub(p.at) <= p.patience() {
			return true
		}
	}
	return false
}

// noteBack adds what parts bring in this tick of the time before the last settlement: while
// they were silent, the remainder got it.
func (e *envelope) noteBack(read []*part) {
	for _, q := range read {
		if q.booked == 0 || q.delta.To.IsZero() || !q.delta.From.Before(e.settledAt) {
			continue
		}
		held, _ := before(q.delta, e.settledAt)
		e.back = plus(e.back, min(held, q.booked))
	}
}

// noteLate finds out what of a part's energy of this tick may have been missing in the
// last settlement.
func (e *envelope) noteLate(q *part) {
	switch {
	case q.before >= e.settled: // began with it, or later
	case q.Period > 0 && q.before > e.earlier:
		e.lag = plus(e.lag, q.booked)
	default:
		e.late = plus(e.late, q.booked)
	}
}

// oneSocket reports whether all measured CPU parts sit in one socket, and there
// is one.
func (l *Ledger) oneSocket() bool {
	var first *part
	for _, p := range l.order {
		if p.Type != "cpu" || p.Role != sensor.Primary || p.Method == sensor.Modelled || p.start.IsZero() || p.standsBy() {
			continue
		}
		if first == nil {
			first = p
		}
		if p.Socket != first.Socket {
			return false
		}
	}
	return first != nil
}

// isShort reports whether the envelope had its time to earn trust, and did not.
func (e *envelope) isShort() bool {
	return e.begun && !e.trusted && e.judged >= 2*probation && e.settledAt.Sub(e.from) >= 2*maxDebt
}

func (e *envelope) open(tick uint64) {
	e.begun = true
	e.shown, e.shares, e.judged, e.from = 0, 0, 0, e.part.at
	e.close(tick)
	e.beginProbation()
}

func (e *envelope) close(tick uint64) {
	e.drawn, e.parts, e.due, e.guess, e.late, e.lag, e.back = 0, 0, 0, 0, 0, 0, 0
	e.earlier, e.settled, e.settledAt = e.settled, tick, e.part.at
}

func (e *envelope) beginProbation() {
	e.passed, e.total, e.needed, e.since = 0, 0, 0, e.part.at
	e.recent, e.span = 0, 0
}

// passes judges one settled tick of probation and reports whether it was the
// last. In a single tick the parts may bring what lagged; over all of them the envelope
// has to contain that as well.
func (e *envelope) passes(admitted bool) bool {
	if !admitted || plus(e.drawn, e.lag) < e.parts {
		e.beginProbation()
		return false
	}
	e.total, e.needed = plus(e.total, e.drawn), plus(e.needed, e.parts)
	if e.drawn > 0 {
		e.passed++
	}
	return e.passed >= probation && e.total >= e.needed
}

func (l *Ledger) trust(e *envelope) {
	if !l.decided() {
		e.lost = l.tick
	}
	if old := l.trusted; old != nil {
		old.trusted, old.begun = false, false
		if !old.demoted {
			e.debt, e.excused, e.lagged = old.debt, old.excused, old.lagged
			old.debt, old.excused, old.lagged = 0, 0, 0
		}
	}
	at := e.part.at
	e.trusted, e.silent, e.decides, l.trusted = true, false, at, e
	e.recent, e.span, e.judged = e.total, at.Sub(e.since), 0
	l.hold(at)
	if l.other != nil {
		l.other.closed, l.other.paused = false, false
		l.other.turns++
		return
	}
	l.other = &part{
		Part: &sensor.Part{
			ID: RemainderID, Name: "remainder", Type: "other", Sensor: e.part.Sensor, Method: e.part.Method,
			Role: sensor.Primary, Socket: -1, Die: -1, Period: e.part.Period,
		},
		account: account{start: at, at: at},
	}
	l.insert(l.other)
}

func (l *Ledger) bookRemainder(e *envelope) {
	if !e.part.Whole && l.config.Psys == TrustAuto && !l.oneSocket() {
		l.demote(e)
		return
	}
	if owed := plus(e.parts, e.debt); e.drawn >= owed {
		e.debt, e.lagged = 0, 0
		l.add(l.other, e.drawn-owed)
	} else { // what was guessed too high has told that time, and is not owed
		over := e.parts - min(e.parts, e.drawn)
		e.debt, e.lagged = owed-e.drawn-min(over, e.guess), max(e.lagged, e.lag)
	}
	l.other.extend(e.part.at)
	l.host.reach(l.other.account)

	e.excused = min(plus(e.excused, e.late), e.debt)
	unexcused := e.debt - min(e.debt, plus(e.excused, e.lagged))
	e.reckon()
	if e.part.at.Sub(e.since) >= maxDebt && unexcused > e.recent.Power(e.span).Over(maxDebt) {
		l.demote(e)
	}
}

// reckon takes what was drawn now into the recent power, in which the share of the older
// falls.
func (e *envelope) reckon() {
	e.recent, e.span = plus(e.recent, e.drawn), e.span+e.part.at.Sub(e.settledAt)
	if e.span > maxDebt {
		e.recent, e.span = e.recent.Power(e.span).Over(maxDebt), maxDebt
	}
}

// demote ends the trust for good; what was booked stays booked.
func (l *Ledger) demote(e *envelope) {
	e.demoted = true
	l.other.closed = true
	l.other.turns++
	l.letGo(e)
}
