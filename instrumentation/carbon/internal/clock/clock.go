package clock

import (
	"math"
	"sync/atomic"
)

const (
	// fraction is how many bits below the nanosecond time shared by leaves has: with
	// 50 000 leaves, a change of their number leaves less than 0.05 ns undivided.
	fraction = 20
	// longest is what a tick of more than 1.2 h counts as, in ns; more does not fit
	// into 63 bits with their fraction.
	longest = 1 << 42
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
// Nodes of a Domain (a trace, say) belong to its lock, all others to the mutex. A child that
// takes its parent's place leaves the number of leaves alone, and so what all others have:
// in a domain it reads the shared time, and only the lock of the domain is taken. What it
// reads may be some ns off, when another domain is late to say that a leaf came or went, but
// what it gives to one node it takes from the other. Whatever changes the number of leaves
// takes the mutex as well, and what ends a tick all locks, the mutex as the last one.
type Clock struct {
	// All locks are held to write these, and any one to read them.
	reach    int64
	began    int64   // ns: of the open tick
	tick     *tick   // the open one
	known    bool    // there is an estimate
	estimate float64 // J per unit
	off      float64 // twice the root of miss
	domains  []*Domain

	_     [64]byte
	crowd atomic.Uint32
	// Of the last change of the number of leaves, for who does not hold the mutex: when it
	// was, in ns since began, beside the number; and perLeaf. The former is 0 where only the
	// mutex tells, and while the latter changes.
	leavesAt atomic.Uint64
	baseline atomic.Uint64
	_        [64]byte

	mu     Mutex
	now    int64
	leaves uint64

	// Of the open tick, in units of 2⁻²⁰ ns. Time is either some leaf's or idle:
	// elapsed = idle + undivided + time of nodes, exactly.
	elapsed   uint64
	perLeaf   uint64 // what a node that was a leaf all the time has
	undivided uint64 // less than leaves
	idle      uint64 // without a leaf

	// What of this was before the estimate ceased to hold.
	stopped     bool
	perLeafStop uint64
	sharedStop  uint64 // elapsed − idle − undivided at that time

	gone gone // nodes of no domain

	debt         float64 // J given in closed ticks and not yet booked
	attributed   float64 // J of nodes from closed ticks
	unattributed float64
	booked       float64

	recent average // of the last ticks
	busy   average // of those that had leaves most of the time

	judged bool    // some tick had an estimate
	miss   float64 // mean square of how far ticks were off it, relative; half the weight likewise
}

// gone is what nodes had of the open tick that ended in it.
type gone struct {
	given    float64 // J
	lived    uint64  // units
	credited uint64  // of which before the estimate ceased to hold
}

func (g *gone) add(o *gone) {
	g.given += o.given
	g.lived += o.lived
	g.credited += o.credited
}

// An average of power gives each tick half the weight of the next one.
type average struct{ joules, units float64 }

func (a *average) add(joules, units float64) {
	a.joules, a.units = a.joules/2+joules, a.units/2+units
}

// A tick is what nodes that started in it need to know once it is closed. Nothing
// but nodes refers to a closed tick.
type tick struct {
	before  float64 // J that a leaf of all ticks before has
	missed  uint64  // lost ticks before
	rate    float64 // J per unit of a node's time
	perLeaf uint64
	lost    bool
}

// after is before of the next tick.
func (t *tick) after() float64 { return t.before + t.rate*float64(t.perLeaf) }

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
	g := c.lockAll(now)
	defer c.unlockAll()
	c.booked += joules
	c.close(joules, g)

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
	g := c.lockAll(now)
	defer c.unlockAll()
	c.booked += joules
	c.close(joules, g)
	c.open(true)
}

// Reach has estimates hold for so many ns after a tick; 2 s if it is not called. It is to
// be called before the clock is used.
func (c *Clock) Reach(ns int64) { c.reach = min(ns, longest) }

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
	c.lockAll(now)
	defer c.unlockAll()
	c.stop()
}

// Lose closes a tick whose energy nobody will ever know: a counter was reset, or a
// power meter was silent. Nodes that were leaves in it have a gap.
func (c *Clock) Lose(now int64) {
	g := c.lockAll(now)
	defer c.unlockAll()
	c.close(0, g)
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
	g := c.lockAll(now)
	defer c.unlockAll()
	shared := c.elapsed - c.idle - c.undivided
	if c.stopped {
		shared = c.sharedStop
	}
	open := g.given + c.estimate*max(0, difference(shared, g.credited))
	return Totals{
		Nodes:        c.attributed + open,
		Unattributed: c.unattributed,
		Booked:       c.booked,
		Ahead:        c.debt + open,
		Leaves:       int(c.leaves), //nolint:gosec // a number of things in memory
	}
}

// difference is a − b of two times: what nodes have may be some ns ahead of the clock.
func difference(a, b uint64) float64 { return float64(int64(a - b)) } //nolint:gosec // both are below 2⁶³

// lockAll takes all locks, goes on to now or the latest time of a domain, and returns what
// is gone in all of them.
func (c *Clock) lockAll(now int64) (all gone) {
	for _, d := range c.domains {
		d.Lock()
		now = max(now, d.latest)
		all.add(&d.gone)
	}
	c.mu.Lock()
	all.add(&c.gone)
	c.advance(now)
	c.show()
	return all
}

func (c *Clock) unlockAll() {
	c.mu.Unlock()
	for _, d := range c.domains {
		d.Unlock()
	}
}

// close divides what is left of joules among the nodes still there and the time without a leaf.
func (c *Clock) close(joules float64, g gone) {
	c.divided()
	c.attributed += g.given
	left := joules - g.given - c.debt
	rest := difference(c.elapsed, g.lived)
	rate := 0.0
	switch idle := float64(c.idle); {
	case left <= 0:
	case rest <= idle: // nobody who is still there has anything
		c.unattributed += left
	default:
		// Leaves ahead of the clock have less than nothing of rest. They must not be most of
		// it: others would have that much more than there is.
		rate = left / max(rest, c.ahead())
		c.unattributed += rate*idle + max(0, left-rate*rest)
		c.attributed += rate * (rest - idle)
	}
	c.debt = max(0, -left)
	c.tick.rate = rate
	c.tick.perLeaf = c.perLeaf
}

// ahead is by what all leaves together are ahead of the clock at most.
func (c *Clock) ahead() float64 {
	most := uint64(0)
	for _, d := range c.domains {
		most = max(most, d.most-min(d.most, c.perLeaf))
	}
	return float64(c.leaves) * float64(most)
}

// open begins a tick where the last one ended.
func (c *Clock) open(lost bool) {
	last := c.tick
	last.lost = lost
	c.tick = &tick{before: last.after(), missed: last.missed}
	if lost {
		c.tick.missed++
	}
	c.began, c.elapsed, c.perLeaf, c.idle = c.now, 0, 0, 0
	c.stopped, c.perLeafStop, c.sharedStop = false, 0, 0
	c.gone = gone{}
	for _, d := range c.domains {
		d.gone, d.most = gone{}, 0
	}
	c.show()
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
	c.show()
}

// leafBits is for how many leaves there is room beside the time, which is then up to 4.5 min.
const leafBits = 26

// show says what moment needs.
func (c *Clock) show() {
	c.leavesAt.Store(0)
	at := uint64(c.now - c.began) //nolint:gosec // it is not negative
	if c.stopped || c.leaves >= 1<<leafBits || at >= 1<<(64-leafBits) {
		return
	}
	c.baseline.Store(c.perLeaf)
	c.leavesAt.Store(at<<leafBits | c.leaves)
}

// moment is perLeaf at a time, for who holds the lock of a domain. It reports false if
// there is no leaf, or only who holds the mutex can tell.
func (c *Clock) moment(now int64) (perLeaf uint64, ok bool) {
	shown := c.leavesAt.Load()
	perLeaf = c.baseline.Load()
	leaves := shown & (1<<leafBits - 1)
	if leaves == 0 || c.leavesAt.Load() != shown || now-c.began > c.reach {
		return 0, false
	}
	if more := now - c.began - int64(shown>>leafBits); more > 0 {
		units := uint64(more) << fraction
		if leaves > 1 {
			units = (units + leaves - 1) / leaves // at least what the clock has, with what is undivided
		}
		perLeaf += units
	}
	return perLeaf, true
}
