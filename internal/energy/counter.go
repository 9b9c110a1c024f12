package energy

import (
	"time"

	"github.com/otelcarbon/otelcarbon/internal/unit"
)

const (
	// memory is the number of accepted reads among which a glitch may come to
	// light; a fall that exceeds them together is no correction.
	memory = 3
	// persistence is the number of reads above Max after which Max is wrong.
	persistence = 3
)

// Counter tells the energy that each read of a hardware counter adds. Its state
// advances only on reads that it accepts: after a failed read, simply call
// Advance with the next good one, which brings the energy of both intervals.
//
// All steps are taken modulo the counter's modulus. A test for "wrapped" beside
// a test for "fell" counts 65 kJ too much whenever a glitch near the top of the
// counter itself wraps.
//
// What it reports never falls, and exceeds the truth by at most a glitch that
// was small enough to pass for energy and is not yet paid back, and, when a
// counter is reset within one Bound of its top, by that Bound.
type Counter struct {
	limits  Limits
	modulus unit.Microjoules // 0: unknown
	lap     time.Duration    // at MaxPower
	over    int              // reads above Max in a row

	begun bool
	value unit.Microjoules // the last accepted read …
	at    time.Time        // … and its moment

	holding bool
	held    unit.Microjoules // a read that fitted nothing …
	heldAt  time.Time        // … and its moment

	recent [memory]unit.Microjoules // steps of the last accepted reads
	next   int                      // the oldest of them

	debt  unit.Microjoules // reported too much, to be paid by later steps
	stats Stats
}

// NewCounter returns a counter without baseline.
func NewCounter(l Limits) *Counter {
	return &Counter{limits: l, modulus: l.Modulus(), lap: l.ShortestWrap()}
}

// SetMax takes over the largest value of the counter in µJ when it becomes
// known or changes. Calls with 0 (not readable this time) or with the same value
// change nothing, so it may be called before every Advance.
func (c *Counter) SetMax(largest unit.Microjoules) {
	if largest == 0 || largest == c.limits.Max {
		return
	}
	c.limits.Max = largest
	c.modulus = c.limits.Modulus()
	c.lap = c.limits.ShortestWrap()
	c.over = 0
	if c.held > largest {
		c.holding = false
	}
}

// Advance takes the value raw in µJ that was read at the moment at.
func (c *Counter) Advance(at time.Time, raw unit.Microjoules) (Delta, Event) {
	if c.begun && (!at.After(c.at) || c.holding && !at.After(c.heldAt)) {
		c.stats.Untimely++
		return Delta{}, Untimely
	}
	event, usable := c.inRange(raw)
	if !usable {
		return Delta{}, event
	}
	if !c.begun {
		c.restart(at, raw)
		return Delta{}, event | Baseline
	}

	elapsed := at.Sub(c.at)
	if c.modulus != 0 && (elapsed > c.lap || c.value > c.limits.Max) {
		// It may have wrapped more than once, or Max has become smaller.
		c.stats.gap(elapsed)
		c.restart(at, raw)
		return Delta{}, event | Gap | Baseline
	}

	bound := c.limits.Bound(elapsed)
	if step, ok := c.forward(c.value, raw); ok && step <= bound {
		return c.accept(at, raw, step, event)
	}
	if !c.holding {
		if fall, ok := c.backward(c.value, raw); ok && fall <= c.lately() {
			return c.correct(at, raw, fall, event)
		}
	} else if step, ok := c.forward(c.held, raw); ok && step <= bound {
		return c.reset(at, raw, step, event)
	}
	c.stats.Suspects++
	c.holding, c.held, c.heldAt = true, raw, at
	return Delta{}, event | Held
}

// Debt returns the energy in µJ that was reported too much and is still to be
// paid by later steps.
func (c *Counter) Debt() unit.Microjoules { return c.debt }

// Stats returns what happened so far.
func (c *Counter) Stats() Stats { return c.stats }

// inRange says whether a value may be used. One above Max may not, unless such
// values persist: then Max is wrong and the modulus unknown.
func (c *Counter) inRange(raw unit.Microjoules) (Event, bool) {
	if c.modulus == 0 || raw <= c.limits.Max {
		c.over = 0
		return 0, true
	}
	c.stats.OverRange++
	if c.over++; c.over < persistence {
		return OverRange, false
	}
	c.modulus, c.over = 0, 0
	return OverRange | ModulusUnknown, true
}

// forward returns the modular step between two values; none exists to a lower
// value of a counter whose modulus is unknown.
func (c *Counter) forward(from, to unit.Microjoules) (unit.Microjoules, bool) {
	if to >= from {
		return to - from, true
	}
	return c.modulus - (from - to), c.modulus != 0
}

// backward returns the fall that would lead from one value to the other.
func (c *Counter) backward(from, to unit.Microjoules) (unit.Microjoules, bool) {
	if to <= from {
		return from - to, true
	}
	return c.modulus - (to - from), c.modulus != 0
}

func (c *Counter) accept(at time.Time, raw, step unit.Microjoules, event Event) (Delta, Event) {
	event |= Accepted
	if raw < c.value {
		event |= Wrapped
		c.stats.Wraps++
	}
	if c.holding {
		event |= Dropped
	}
	d := Delta{Energy: c.pay(step), From: c.at, To: at}
	c.recent[c.next] = step
	c.next = (c.next + 1) % memory
	c.settle(at, raw)
	return d, event
}

func (c *Counter) correct(at time.Time, raw, fall unit.Microjoules, event Event) (Delta, Event) {
	c.stats.Corrections++
	d := Delta{From: c.at, To: at}
	c.debt = plus(c.debt, fall)
	c.restart(at, raw)
	return d, event | Corrected
}

func (c *Counter) reset(at time.Time, raw, step unit.Microjoules, event Event) (Delta, Event) {
	c.stats.Resets++
	c.stats.gap(c.heldAt.Sub(c.at))
	d := Delta{Energy: c.pay(step), From: c.heldAt, To: at}
	// A fall below the new beginning takes nothing back that was counted before it.
	c.restart(at, raw)
	c.recent[0] = step
	c.next = 1
	return d, event | Reset | Gap
}

func (c *Counter) settle(at time.Time, raw unit.Microjoules) {
	c.begun, c.value, c.at, c.holding = true, raw, at, false
}

// restart takes a value as the new origin; the debt remains.
func (c *Counter) restart(at time.Time, raw unit.Microjoules) {
	c.settle(at, raw)
	c.recent = [memory]unit.Microjoules{}
}

func (c *Counter) pay(step unit.Microjoules) unit.Microjoules {
	paid := min(step, c.debt)
	c.debt -= paid
	return step - paid
}

// lately returns the energy accepted in the last reads.
func (c *Counter) lately() unit.Microjoules {
	return plus(c.recent[0], plus(c.recent[1], c.recent[2]))
}
