package clock

import (
	"math"
	"sync/atomic"
)

const (
	// fraction is how many bits below the nanosecond time shared by leaves has: with
	// 50 000 leaves, a change of their number leaves less than 0.05 ns undivided.
	fraction = 20
	// longest is what a tick of more than 2.4 h counts as, in ns; more does not fit
	// into 63 bits with their fraction.
	longest = 1 << 43
	// reach is how long after a tick its estimate is used, in ns.
	reach = 2e9
	// farthest is what an estimate counts as at most that was too low, relative: the first
	// work of a program that was idle is no measure of what comes.
	farthest = 4
)

// A Clock divides energy among nodes. It is safe for concurrent use. All times
// are nanoseconds of one monotonic clock; a time before the latest one is taken as
// the latest one.
//
// One mutex guards all of it. A child that takes its parent's place leaves the
// number of leaves alone, and would need only to read the shared time. But that
// time must never be ahead of what a slower caller with an earlier now makes of it, or
// a node would end before it began; and whoever wants to rule that out has to write.
type Clock struct {
	mu Mutex

	reach  int64
	now    int64
	leaves uint64
	tick   *tick // the open one

	// Of the open tick, in units of 2⁻²⁰ ns. Time is either some leaf's or idle:
	// elapsed = idle + undivided + time of nodes, exactly.
	began     int64 // ns
	elapsed   uint64
	perLeaf   uint64 // what a node that was a leaf all the time has
	undivided uint64 // less than leaves
	idle      uint64 // without a leaf
	gone      uint64 // of nodes that have ended

	// What of this was before the estimate ceased to hold.
	stopped      bool
	perLeafStop  uint64
	sharedStop   uint64 // elapsed − idle − undivided at that time
	goneCredited uint64

	known    bool    // there is an estimate
	estimate float64 // J per unit
	given    float64 // J to nodes that ended in the open tick

	debt         float64 // J given in closed ticks and not yet booked
	attributed   float64 // J of nodes from closed ticks
	unattributed float64
	booked       float64

	recent average // of the last ticks
	busy   average // of those that had leaves most of the time
	crowd  atomic.Uint32

	judged bool    // some tick had an estimate
	miss   float64 // mean square of how far ticks were off it, relative; half the weight likewise
	off    float64 // twice its root
}

// An average of power gives each tick half the weight of the next one.
type average struct{ joules, units float64 }

func (a *average) add(joules, units float64) {
	a.joules, a.units = a.joules/2+joules, a.units/2+units
}

// A tick is what nodes that started in it need to know once it is closed. Nothing
// but nodes refers to a closed tick.
type tick struct {
	rate    float64 // J per unit of a node's time
	perLeaf uint64
	sum     float64 // J that a leaf of all ticks up to and including this one has
	lost    bool
	losses  uint64 // lost ticks up to and including this one
}

// New returns a clock whose first tick begins now.
func New(now int64) *Clock {
	return &Clock{now: now, began: now, tick: &tick{}, reach: reach}
}

// Book closes a tick: the process drew that many joules since the last Book or
// Lose. One call tells everything that was drawn; no time is left to a second one at
// the same moment, so its energy is unattributed. A negative number or NaN is a
// reading that failed, as told to Miss.
func (c *Clock) Book(joules float64, now int64) {
	if !(joules >= 0) || math.IsInf(joules, 1) {
		c.Miss(now)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(now)
	c.booked += joules
	c.close(joules)

	busy := c.elapsed > 0 && c.idle <= c.elapsed/2+1<<fraction // 1 ns is what could not be divided
	c.judge(joules)
	if busy {
		c.busy.add(joules, float64(c.elapsed))
	}
	c.recent.add(joules, float64(c.elapsed))
	if c.recent.units > 0 {
		c.known = true
		expected := max(float64(c.elapsed), c.recent.units/2) // length of the next tick
		c.estimate = max(0, c.power()-c.debt/expected)
	}
	c.open(false)
}

// BookPart is Book where that is not all that was drawn: nodes that were leaves have a gap.
func (c *Clock) BookPart(joules float64, now int64) {
	if !(joules >= 0) || math.IsInf(joules, 1) {
		joules = 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(now)
	c.booked += joules
	c.close(joules)
	c.open(true)
}

// Reach has estimates hold for so many ns after a tick; 2 s if it is not called. It is to
// be called before the clock is used.
func (c *Clock) Reach(ns int64) { c.reach = ns }

// power is what leaves are taken to draw together, in J per unit: what was drawn when there
// were any. A program that waits for work tells little of what its work draws.
func (c *Clock) power() float64 {
	if c.busy.units > 0 {
		return c.busy.joules / c.busy.units
	}
	return c.recent.joules / c.recent.units
}

// Crowd is how many leaves there are: 0, 1, or 2 for more.
func (c *Clock) Crowd() int { return int(c.crowd.Load()) }

// judge learns from a tick how good the estimates are. Where a program waits and works in
// turn, it takes them to be bad.
func (c *Clock) judge(joules float64) {
	if c.elapsed == 0 {
		return
	}
	said := c.power() * float64(c.elapsed)
	switch d := min(joules/said-1, farthest); {
	case !(said > 0): // there was no estimate, or one of nothing
		c.miss, c.judged = 1, false
	case !c.judged:
		c.miss, c.judged = d*d, true
	default:
		c.miss = (c.miss + d*d) / 2
	}
	c.off = 2 * math.Sqrt(c.miss)
}

// Miss says that a reading was due and failed. The tick stays open: the energy
// may still come, with the next Book.
func (c *Clock) Miss(now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(now)
	c.stop()
}

// Lose closes a tick whose energy nobody will ever know: a counter was reset, or a
// power meter was silent. Nodes that were leaves in it have a gap.
func (c *Clock) Lose(now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(now)
	c.close(0)
	c.known, c.estimate = false, 0
	c.open(true)
}

// Totals are joules since New. Nodes + Unattributed = Booked + Ahead.
type Totals struct {
	Nodes        float64 // of all nodes, ended or not
	Unattributed float64 // drawn while there was no leaf, or left when all had ended
	Booked       float64
	Ahead        float64 // what nodes have before it was booked
	Leaves       int     // not joules: how many nodes share what is drawn now
}

// Totals returns the sums up to now.
func (c *Clock) Totals(now int64) Totals {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(now)
	shared := c.elapsed - c.idle - c.undivided
	if c.stopped {
		shared = c.sharedStop
	}
	open := c.given + c.estimate*float64(shared-c.goneCredited)
	return Totals{
		Nodes:        c.attributed + open,
		Unattributed: c.unattributed,
		Booked:       c.booked,
		Ahead:        c.debt + open,
		Leaves:       int(c.leaves), //nolint:gosec // a number of things in memory
	}
}

// close divides what is left of joules among the nodes still there and the time without a leaf.
func (c *Clock) close(joules float64) {
	c.divided()
	c.attributed += c.given
	left := joules - c.given - c.debt
	rest := c.elapsed - c.gone
	rate := 0.0
	switch {
	case left <= 0:
	case rest == 0:
		c.unattributed += left
	default:
		rate = left / float64(rest)
		c.unattributed += rate * float64(c.idle)
		c.attributed += rate * float64(rest-c.idle)
	}
	c.debt = max(0, -left)
	c.tick.rate = rate
	c.tick.perLeaf = c.perLeaf
	c.tick.sum += rate * float64(c.perLeaf)
}

// open begins a tick where the last one ended.
func (c *Clock) open(lost bool) {
	last := c.tick
	last.lost = lost
	if lost {
		last.losses++
	}
	c.tick = &tick{sum: last.sum, losses: last.losses}
	c.began, c.elapsed, c.perLeaf, c.idle, c.gone = c.now, 0, 0, 0, 0
	c.stopped, c.perLeafStop, c.sharedStop, c.goneCredited = false, 0, 0, 0
	c.given = 0
}

func (c *Clock) advance(now int64) {
	if now <= c.now {
		return
	}
	if end := c.began + c.reach; !c.stopped && now > end {
		c.step(end)
		c.stop()
	}
	c.step(now)
}

func (c *Clock) step(now int64) {
	from, to := min(c.now-c.began, longest), min(now-c.began, longest)
	c.now = max(c.now, now)
	if to <= from {
		return
	}
	units := uint64(to-from) << fraction //nolint:gosec // positive
	c.elapsed += units
	switch c.leaves {
	case 0:
		c.idle += units
	case 1:
		c.perLeaf += units
	default:
		units += c.undivided
		c.perLeaf += units / c.leaves
		c.undivided = units % c.leaves
	}
}

// divided gives up on dividing what is less than one unit for each leaf.
func (c *Clock) divided() {
	c.idle += c.undivided
	c.undivided = 0
}

func (c *Clock) stop() {
	if c.stopped {
		return
	}
	c.stopped = true
	c.perLeafStop = c.perLeaf
	c.sharedStop = c.elapsed - c.idle - c.undivided
}
