package clock

// A Domain is a lock of its own for the nodes of some trees, so that trees of several
// domains do not wait for each other. Its methods are called with the lock held. Parents are
// of the same domain or of none: to a parent in another domain a node is no child.
type Domain struct {
	Mutex

	clock  *Clock
	latest int64  // the latest time
	most   uint64 // that perLeaf was taken to be in this tick
	gone   gone
}

// Add makes d a domain of c. It is to be called before c is used.
func (c *Clock) Add(d *Domain) {
	d.clock = c
	c.domains = append(c.domains, d)
}

// time is now or, if that is later, the latest time in d, if it is one.
func (d *Domain) time(now int64) int64 {
	if d == nil {
		return now
	}
	return max(now, d.latest)
}

// Start begins a life of n, which is not active, as a child of parent if that is active and
// of this clock, and in this domain or none.
func (d *Domain) Start(n *Node, parent Ref, now int64) Ref {
	c := d.clock
	d.latest = max(d.latest, now)
	if n.domain != d {
		n.domain = d
	}
	if p := parent.node; p != nil && p.domain == d && c.alive(parent) && p.leaf {
		if at, ok := c.moment(d.latest); ok {
			n.begin(c)
			n.parent, n.within = p, p.life
			p.children++
			c.settle(p)
			at = max(at, p.since)
			p.leave(at)
			n.enter(at)
			d.most = max(d.most, at)
			return Ref{node: n, life: n.life}
		}
	}
	if p := parent.domain(); p != nil && p != d {
		parent = Ref{}
	}
	if !c.mu.TryLock() {
		c.mu.Lock()
	}
	c.advance(d.latest)
	r := c.start(n, parent)
	c.mu.Unlock()
	return r
}

// End ends a life in this domain and returns its energy. It reports false for a life that
// has ended already.
func (d *Domain) End(r Ref, now int64) (Energy, bool) {
	c, n := d.clock, r.node
	if !c.alive(r) {
		return Energy{}, false
	}
	d.latest = max(d.latest, now)
	if e, ok := d.pass(n); ok {
		return e, true
	}
	if !c.mu.TryLock() {
		c.mu.Lock()
	}
	c.advance(d.latest)
	e := c.end(n, &d.gone)
	c.mu.Unlock()
	return e, true
}

// pass ends a node after which there are as many leaves as before: its parent becomes one,
// or it was none itself.
func (d *Domain) pass(n *Node) (e Energy, ok bool) {
	c, p := d.clock, n.parent
	switch {
	case p != nil && p.domain != d: // only the mutex tells whether it lives
		return e, false
	case p != nil && p.life != n.within:
		p = nil
	}
	last := p != nil && p.children == 1
	switch {
	case n.leaf && last:
		at, ok := c.moment(d.latest)
		if !ok {
			return e, false
		}
		c.settle(n)
		at = max(at, n.since)
		n.leave(at)
		c.settle(p)
		p.enter(at)
		d.most = max(d.most, at)
	case n.leaf || last:
		return e, false
	default:
		c.settle(n)
	}
	if p != nil {
		p.children--
	}
	if e = c.done(n, &d.gone); e.Joules < e.Estimated {
		c.mu.Lock()
		e = c.short(e)
		c.mu.Unlock()
	}
	return e, true
}
