package clock

// A Node is the memory of a task. The zero value is ready to be started; after
// its end it can be started again. It belongs to the clock that first started it and
// must not be copied. Embed it in what belongs to the task: nothing here allocates.
type Node struct {
	clock    *Clock // that first started it
	life     uint64 // odd while started; a Ref to an earlier life is dead
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
	node *Node
	life uint64
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

// Start begins a life of n, as a child of parent if that is active and of this
// clock. If n is active, that life ends first, unseen.
func (c *Clock) Start(n *Node, parent Ref, now int64) Ref {
	if !c.mu.TryLock() {
		c.mu.Lock()
	}
	c.advance(now)
	if n.life&1 == 1 {
		c.end(n)
	}
	// Field by field, and pointers only where they change: each one that is written costs
	// more while the garbage collector runs.
	if n.clock != c {
		n.clock = c
	}
	if n.tick != c.tick {
		n.tick = c.tick
	}
	n.life++
	n.children = 0
	n.lived, n.late, n.joules, n.gap = 0, 0, 0, false
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
	c.enter(n)
	c.setLeaves(leaves + 1)
	r := Ref{n, n.life}
	c.mu.Unlock()
	return r
}

// End ends a life and returns its energy. It reports false for a life that has
// ended already or is not of this clock.
func (c *Clock) End(r Ref, now int64) (Energy, bool) {
	if !c.mu.TryLock() {
		c.mu.Lock()
	}
	if !c.alive(r) {
		c.mu.Unlock()
		return Energy{}, false
	}
	c.advance(now)
	e := c.end(r.node)
	c.mu.Unlock()
	return e, true
}

// Read returns what a life has so far. The next tick replaces what is estimated
// of it, perhaps by less. It reports false as End does.
func (c *Clock) Read(r Ref, now int64) (Energy, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.alive(r) {
		return Energy{}, false
	}
	c.advance(now)
	c.settle(r.node)
	n := *r.node
	if n.leaf {
		c.leave(&n)
	}
	return c.energy(&n), true
}

func (c *Clock) alive(r Ref) bool {
	return r.node != nil && r.node.clock == c && r.node.life == r.life
}

func (c *Clock) end(n *Node) Energy {
	c.settle(n)
	leaves := c.leaves
	if n.leaf {
		c.leave(n)
		leaves--
	}
	if p := n.parent; p != nil && p.life == n.within {
		if p.children--; p.children == 0 {
			c.settle(p)
			c.enter(p)
			leaves++
		}
	}
	c.setLeaves(leaves)
	e := c.energy(n)
	c.given += e.Estimated
	c.gone += n.lived
	c.goneCredited += n.lived - n.late
	n.life++
	if n.parent != nil {
		n.parent = nil // nothing that has ended is kept in memory by its child
	}
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
	t := n.tick
	if t == c.tick {
		return
	}
	lived := n.lived
	if n.leaf {
		lived += t.perLeaf - n.since
		n.joules += c.tick.sum - t.sum
		n.gap = n.gap || c.tick.losses != t.losses
	}
	n.joules += t.rate * float64(lived)
	n.gap = n.gap || t.lost && lived > 0
	n.tick = c.tick
	n.since, n.lived, n.late = 0, 0, 0
}

func (c *Clock) enter(n *Node) {
	n.leaf = true
	n.since = c.perLeaf
}

func (c *Clock) leave(n *Node) {
	n.leaf = false
	n.lived += c.perLeaf - n.since
	if c.stopped {
		n.late += c.perLeaf - max(n.since, c.perLeafStop)
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
}
