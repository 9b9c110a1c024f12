package workload

import (
	"errors"
	"math"
	"slices"
)

var errEmpty = errors.New("there is no number in it")

// count reads the counter of a cgroup and sets what it claims.
func (r *Reader) count(n *node) {
	n.claim = n.backlog
	if n.gone {
		return
	}
	ns, err := r.counter(n)
	switch {
	case isGone(err):
		n.gone = true
		return
	case err != nil:
		r.fail(r.pathOf(n, r.at.usage), err)
		return
	}
	n.read = r.files.now
	r.stats.CgroupsRead++
	switch {
	case n.fresh: // it began at 0, and not before its parent was last read
		n.claim = ns
		if r.baseline {
			n.claim = 0
		}
	case ns >= n.last:
		n.claim += ns - n.last
	default: // cpuacct.usage was written to: what is before that is unknown
	}
	n.last = ns
}

func (r *Reader) counter(n *node) (ns uint64, err error) {
	b, err := r.files.read(&n.usage, func() string { return r.pathOf(n, r.at.usage) }, r.small[:])
	if err != nil {
		return 0, err
	}
	parse := parseUsageV1
	if r.at.v2 {
		parse = parseUsage
	}
	ns, ok := parse(b)
	if !ok {
		return 0, errEmpty
	}
	return ns, nil
}

// walk reads the tree from the top. The increase of each group at the top is what is to
// be given to it and what it contains.
func (r *Reader) walk() {
	root := r.root
	if r.at.tree == "" {
		r.distribute(root, 0)
		return
	}
	var increase uint64
	if !r.at.v2 { // the root of version 2 counts otherwise than its groups: doc.go
		r.count(root)
		increase = root.claim
		root.fresh = false
	}
	r.attend(root)
	r.countChildren(root)

	// The groups at the top have what they counted, in full. What was counted beside them
	// runs in the root; counters read later than the root's are ahead, and repay that.
	for _, c := range root.children {
		if !c.gone && !c.fresh {
			c.paid, c.backlog = c.claim, 0
			r.beside -= int64(c.paid) //nolint:gosec // the time of one Read
		}
	}
	r.beside += int64(increase)
	rest := uint64(max(0, r.beside))
	if r.at.v2 {
		r.beside, rest = 0, r.capacity() // nothing else bounds a group that is new
	}
	left := r.payFresh(root, rest)
	if !r.at.v2 {
		left = r.payGone(root, left)
		if r.beside > 0 {
			r.beside = 0
		}
	} else {
		left = 0
	}
	r.finish(root, left)
}

// capacity is what all CPUs could have done since the last Read.
func (r *Reader) capacity() uint64 {
	cpus := max(1, r.busy.online)
	return uint64(r.elapsed)*5/4*uint64(cpus) + uint64(2*tick)*uint64(cpus) //nolint:gosec // neither is negative
}

// countChildren reads all children of a cgroup. If one proves to be gone, another may
// have taken its name.
func (r *Reader) countChildren(n *node) {
	gone := false
	for _, c := range n.children {
		was := c.gone
		r.count(c)
		gone = gone || c.gone && !was
	}
	if gone && n.listed != r.files.now {
		r.list(n)
		for _, c := range n.children {
			if c.read != r.files.now {
				r.count(c)
			}
		}
	}
}

// visit gives an amount to a cgroup: to its children what they counted, the rest to
// itself.
func (r *Reader) visit(n *node, amount uint64) {
	n.attention = false
	r.attend(n)
	if len(n.children) == 0 {
		r.credit(n, amount)
		return
	}
	r.countChildren(n)
	r.claims, r.claimants = r.claims[:0], r.claimants[:0]
	for _, c := range n.children {
		if !c.gone && !c.fresh {
			r.claims, r.claimants = append(r.claims, claim{amount: c.claim}), append(r.claimants, c)
		}
	}
	rest := r.split.grant(amount, r.claims)
	for i, c := range r.claimants {
		c.paid = r.claims[i].paid
		c.backlog = min(c.claim-c.paid, maxBacklog)
	}
	r.finish(n, r.payGone(n, r.payFresh(n, rest)))
}

// maxBacklog is more than reads are ever apart. A counter that was set back would
// otherwise leave claims that nothing repays.
const maxBacklog = 1e9 // ns

// payFresh pays groups that nobody knew from what known ones leave. What they claim
// beyond was before they came here.
func (r *Reader) payFresh(n *node, amount uint64) (rest uint64) {
	r.claims, r.claimants = r.claims[:0], r.claimants[:0]
	for _, c := range n.children {
		if c.fresh && !c.gone && c.read == r.files.now {
			r.claims, r.claimants = append(r.claims, claim{amount: c.claim}), append(r.claimants, c)
		}
	}
	rest = r.split.grant(amount, r.claims)
	for i, c := range r.claimants {
		c.paid, c.backlog, c.fresh = r.claims[i].paid, 0, false
	}
	return rest
}

// payGone gives what is left to groups that are gone, by what they used before; a share
// of it is the group's own if it uses to have something of its own.
func (r *Reader) payGone(n *node, amount uint64) (rest uint64) {
	r.claimants = r.claimants[:0]
	for _, c := range n.children {
		if c.gone {
			c.paid = 0
			r.claimants = append(r.claimants, c)
		}
	}
	if len(r.claimants) == 0 {
		return amount
	}
	r.split.begin(len(r.claimants) + 1)
	for i, c := range r.claimants {
		r.split.weights[i] = c.weight(r.files.now)
	}
	own := len(r.claimants)
	r.split.weights[own] = uint64(n.ownRate)
	if own == 1 && n.ownRate < 1 { // there is nobody else
		r.split.weights[0] = 1
	}
	rest = r.split.split(amount)
	for i, c := range r.claimants {
		c.paid = uint64(r.split.into[i])
	}
	return rest + uint64(r.split.into[own])
}

// weight is the rate at which it was used before, halved for each Read since.
func (n *node) weight(now uint32) uint64 {
	ago := now - n.moved
	if ago == 0 || n.moved == 0 {
		return 0
	}
	return uint64(n.rate) >> min(ago-1, 63)
}

// finish passes on what the children of a cgroup were paid.
func (r *Reader) finish(n *node, own uint64) {
	ended := false
	seconds := r.elapsed.Seconds()
	for _, c := range n.children {
		switch {
		case c.gone:
			r.end(c, c.paid)
			ended = true
			continue
		case c.paid > 0 && seconds > 0:
			if c.weight(r.files.now) == 0 {
				c.rate = 0
			}
			c.rate = c.rate/2 + float64(c.paid)/seconds/2
			c.moved = r.files.now
		}
		paid := c.paid
		c.paid = 0
		if r.config.Memory && c.work {
			r.holdings(c, paid > 0)
		} else if c.work {
			r.confine(c)
		}
		if paid > 0 || c.attention {
			r.visit(c, paid)
		}
	}
	if ended {
		n.children = slices.DeleteFunc(n.children, func(c *node) bool { return c.gone })
	}
	r.credit(n, own)
}

// end tells the last of a cgroup that is gone and of all below it.
func (r *Reader) end(n *node, amount uint64) {
	for _, c := range n.children {
		c.gone = true
	}
	if len(n.children) > 0 {
		amount = r.payGone(n, amount)
		for _, c := range n.children {
			r.end(c, c.paid)
		}
	}
	r.credit(n, amount)
	r.endProcesses(n)
	r.forget(n)
}

// credit tells what a cgroup did itself.
func (r *Reader) credit(n *node, amount uint64) {
	if seconds := r.elapsed.Seconds(); seconds > 0 && (amount > 0 || n.ownRate > 0) {
		n.ownRate = n.ownRate/2 + float64(amount)/seconds/2
	}
	if amount > 0 && n.parent != nil && !n.gone && !n.work && !n.id.within && r.config.Containers && r.files.now-n.checked > idleReads {
		r.lookForProcesses(n)
	}
	if r.config.Processes {
		r.distribute(n, amount)
		return
	}
	switch {
	case n.parent == nil: // kernel threads, and what else runs beside all groups
	case !r.config.Containers, n.itself():
		r.book.add(n.acc, &n.acc.own, amount)
	default:
		r.book.add(n.acc, &n.acc.exited, amount)
	}
}

// itself says whether what runs in a cgroup, and in none below it, is what its workload
// itself does. Otherwise it is of groups that ended before they were seen, or of more
// workloads than can be told.
func (n *node) itself() bool {
	if n.work {
		return !hollow(n.id.kind)
	}
	return n.id.within && n.id.kind == 0
}

// hollow says whether groups of that kind hold no processes themselves.
func hollow(k Kind) bool { return k == Pod || k == Job }

// nap lets a few groups be looked at although nothing moves, each once in a minute:
// groups end, and memory is given back, without any use of a CPU.
func (r *Reader) nap() {
	if len(r.ring) == 0 {
		return
	}
	todo := int(math.Ceil(float64(len(r.ring)) * min(1, r.elapsed.Seconds()/60)))
	for range todo {
		if len(r.ring) == 0 {
			return
		}
		r.hand = (r.hand + 1) % len(r.ring)
		n := r.ring[r.hand]
		if n.gone {
			last := len(r.ring) - 1
			r.ring[r.hand], r.ring[last] = r.ring[last], nil
			r.ring = r.ring[:last]
			continue
		}
		if len(n.children) == 0 {
			n = n.parent // it is seen whether it is gone when its parent is visited
		}
		for ; n != nil && !n.attention; n = n.parent {
			n.attention = true
		}
	}
}
