package clock

// A Node is the memory of a task. The zero value is ready to be started; after
// its end it can be started again. It belongs to the clock that first started it and
// must not be copied. Embed it in what belongs to the task: nothing here allocates.
type Node struct {
	clock    *Clock  // that first started it
	domain   *Domain // nil: none
	above    *Domain // of its parent, if it is in none itself
	life     uint64  // odd while started; a Ref to an earlier life is dead
	parent   *Node
	within   uint64 // its life that this one is part of
	children int    // active ones

	tick   *tick // the one that the fields below are about, perhaps closed
	leaf   bool
	since  uint64 // perLeaf when the node became a leaf, if it is one
	lived  uint64 // time as a leaf until then
	late   uint64 // of which after the estimate had ceased to hold
	joules float64
	gap    bool // some of the time in closed ticks was lost
}

// A Ref is one life of a node. The zero Ref is no node.
type Ref struct {
	node  *Node
	life  uint64
	above *Domain // of the parent of a node that is in none
}

// domain is that of the node: it does not change.
func (r Ref) domain() *Domain {
	if r.node == nil {
		return nil
	}
	return r.node.domain
}

// Ref returns the present life of a node that is in a domain, whose lock is held, or no node
// if it has ended.
func (n *Node) Ref() Ref {
	if n.life&1 == 0 {
		return Ref{}
	}
	return Ref{node: n, life: n.life}
}

// Coverage says where the energy of a node comes from.
type Coverage uint8

const (
	Settled      Coverage = iota // all from ticks that were booked before its end
	Interpolated                 // the rest at the power of the last ticks
	Partial                      // for some of its time nothing is known: Joules is too low
)

// Energy is what a node owns, its children's not included.
type Energy struct {
	Joules    float64
	Estimated float64 // what of Joules is not from closed ticks
	// Off is what Estimated may be off by, as a half-width: twice the root mean square by
	// which the last ticks were off.
	Off      float64
	Coverage Coverage
}

// Start begins a life of n, which is in no domain, as a child of parent if that is active and
// of this clock. If n is active, that life ends first, unseen.
func (c *Clock) Start(n *Node, parent Ref, now int64) Ref {
	up := parent.domain()
	for {
		c.lock(up)
		if n.life&1 == 0 {
			break
		}
		r := Ref{n, n.life, n.above}
		c.unlock(up)
		c.End(r, now)
	}
	c.advance(up.time(now))
	n.above = up
	r := c.start(n, parent)
	r.above = up
	c.unlock(up)
	return r
}

// End ends a life and returns its energy. It reports false for a life that has
// ended already or is not of this clock.
func (c *Clock) End(r Ref, now int64) (e Energy, ok bool) {
	if d := r.domain(); d != nil {
		d.Lock()
		if d.clock == c {
			e, ok = d.End(r, now)
		}
		d.Unlock()
		return e, ok
	}
	c.lock(r.above)
	if ok = c.alive(r); ok {
		c.advance(r.above.time(now))
		e = c.end(r.node, &c.gone)
	}
	c.unlock(r.above)
	return e, ok
}

// Read returns what a life has so far. The next tick replaces what is estimated
// of it, perhaps by less. It reports false as End does.
func (c *Clock) Read(r Ref, now int64) (e Energy, ok bool) {
	d := r.domain()
	c.lock(d)
	if ok = c.alive(r); ok {
		c.advance(d.time(now))
		c.settle(r.node)
		n := *r.node
		if n.leaf {
			n.leave(max(n.since, c.perLeaf))
			c.late(&n)
		}
		if e = c.energy(&n); e.Joules < e.Estimated {
			e = e.short()
		}
	}
	c.unlock(d)
	return e, ok
}

// lock locks a domain, if it is one, and the mutex.
func (c *Clock) lock(d *Domain) {
	if d != nil {
		d.Lock()
	}
	c.mu.Lock()
}

func (c *Clock) unlock(d *Domain) {
	c.mu.Unlock()
	if d != nil {
		d.Unlock()
	}
}

func (c *Clock) alive(r Ref) bool {
	return r.node != nil && r.node.clock == c && r.node.life == r.life
}

// start starts a node that is not active. The mutex is held, and the locks of the domains of n
// and its parent.
func (c *Clock) start(n *Node, parent Ref) Ref {
	n.begin(c)
	leaves := c.leaves
	if c.alive(parent) {
		p := parent.node
		n.parent, n.within = p, p.life
		if p.children++; p.leaf {
			c.settle(p)
			c.leave(p)
			leaves--
		}
	}
	n.enter(c.perLeaf)
	c.setLeaves(leaves + 1)
	return Ref{node: n, life: n.life}
}

// begin makes all of a node new but its parent. It writes field by field, and pointers only
// where they change: each one that is written costs more while the garbage collector runs.
func (n *Node) begin(c *Clock) {
	if n.clock != c {
		n.clock = c
	}
	if n.tick != c.tick {
		n.tick = c.tick
	}
	n.life++
	n.children = 0
	n.lived, n.late, n.joules, n.gap = 0, 0, 0, false
}

// end ends a node that is active. Locks are held as for start.
func (c *Clock) end(n *Node, g *gone) Energy {
	c.settle(n)
	leaves := c.leaves
	if n.leaf {
		c.leave(n)
		leaves--
	}
	if p := n.parent; p != nil && p.life == n.within {
		if p.children--; p.children == 0 {
			c.settle(p)
			p.enter(c.perLeaf)
			leaves++
		}
	}
	c.setLeaves(leaves)
	e := c.done(n, g)
	if e.Joules < e.Estimated {
		e = c.short(e)
	}
	return e
}

// done is the end of a node that is no leaf any more.
func (c *Clock) done(n *Node, g *gone) Energy {
	e := c.energy(n)
	g.given += e.Estimated
	g.lived += n.lived
	g.credited += n.lived - n.late
	n.life++
	if n.parent != nil {
		n.parent = nil // nothing that has ended is kept in memory by its child
	}
	return e
}

// short is what a node has that was ahead of the clock when a tick ended. If that is less
// than nothing, the next ticks pay.
func (c *Clock) short(e Energy) Energy {
	c.attributed -= min(0, e.Joules)
	c.debt -= min(0, e.Joules)
	return e.short()
}

// short is e, of which what was not estimated is less than nothing.
func (e Energy) short() Energy {
	e.Joules = max(0, e.Joules)
	if e.Estimated > 0 {
		e.Off *= e.Joules / e.Estimated
	}
	e.Estimated = e.Joules
	return e
}

// energy is what a settled node has that is no leaf.
func (c *Clock) energy(n *Node) Energy {
	e := Energy{Joules: n.joules}
	if n.lived > 0 {
		e.Coverage = Interpolated
		e.Estimated = c.estimate * float64(n.lived-n.late)
		e.Joules += e.Estimated
		e.Off = c.off * e.Estimated
	}
	if n.gap || n.late > 0 || n.lived > 0 && !c.known {
		e.Coverage = Partial
	}
	return e
}

// settle books the ticks that were closed since the node was last looked at.
func (c *Clock) settle(n *Node) {
	if n.tick != c.tick {
		c.book(n)
	}
}

func (c *Clock) book(n *Node) {
	t := n.tick
	lived := float64(n.lived)
	if n.leaf {
		lived += difference(t.perLeaf, n.since)
		n.joules += c.tick.before - t.after()
		missed := c.tick.missed - t.missed
		n.gap = n.gap || missed > 1 || missed == 1 && !t.lost
	}
	n.joules += t.rate * lived
	n.gap = n.gap || t.lost && lived > 0
	n.tick = c.tick
	n.since, n.lived, n.late = 0, 0, 0
}

func (n *Node) enter(at uint64) { n.leaf, n.since = true, at }

func (n *Node) leave(at uint64) {
	n.leaf = false
	n.lived += at - n.since
}

// leave has a node be no leaf any more. If it is ahead of the clock, so is the sum.
func (c *Clock) leave(n *Node) {
	c.elapsed += n.since - min(n.since, c.perLeaf)
	c.late(n)
	n.leave(max(n.since, c.perLeaf))
}

// late notes what a leaf has of the time in which the estimate does not hold.
func (c *Clock) late(n *Node) {
	if c.stopped {
		n.late += c.perLeaf - min(c.perLeaf, max(n.since, c.perLeafStop))
	}
}

func (c *Clock) setLeaves(n uint64) {
	if n != c.leaves {
		c.divided()
		if few := uint32(min(n, 2)); few != c.crowd.Load() {
			c.crowd.Store(few)
		}
		c.leaves = n
	}
	c.show()
}
