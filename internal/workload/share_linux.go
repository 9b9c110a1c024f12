package workload

import "slices"

// distribute gives what a cgroup did itself to its processes.
//
// The counter of the cgroup is exact; those of its processes are rounded down to 10 ms.
// carry is what the cgroup has counted and its processes have not shown. As long as
// rounding explains it, all of the time is of the known processes. What is beyond is of processes that ended, or of some that were not looked
// at; these are looked for before.
func (r *Reader) distribute(n *node, amount uint64) {
	if !r.config.Processes {
		return
	}
	p := &r.processes
	exact := n.parent != nil || r.at.tree != "" && !r.at.v2
	first := n.group == nil
	if first {
		n.group = &group{}
	}
	g := n.group
	if amount == 0 && exact && !first && !g.due {
		return
	}
	p.claims, p.leaving, p.older, p.sum = p.claims[:0], p.leaving[:0], p.older[:0], 0
	if amount > 0 && !g.moved {
		g.moved, g.movedAt = true, r.now
		if !g.queued {
			g.queued = true
			p.queue = append(p.queue, n)
		}
	}
	for _, q := range slices.Backward(g.active) { // the last takes the place of one that falls asleep or ends
		r.readProcess(q)
	}
	bound := func() int64 { return int64(oneRead)*int64(len(g.active)) + int64(tick) }
	unexplained := func() int64 { return g.carry + int64(amount) - int64(p.sum) } //nolint:gosec // times of one Read

	switch {
	case !exact:
		r.listProcesses(n)
		r.readSome(g)
	case first || g.due || unexplained() > bound():
		all := first || g.due
		r.listProcesses(n)
		if all || unexplained() > bound() && g.mayLook() {
			r.readDormant(g)
		}
	}
	if !exact {
		for _, q := range p.claims {
			q.cpu += q.delta
			q.delta = 0
			p.touch(q)
		}
		return
	}
	for _, q := range p.older { // overlooked so far
		p.claim(q, min(q.ticks*uint64(tick), uint64(max(0, unexplained()))))
	}
	for _, q := range p.leaving { // their last bit, by their rate
		last := min(q.pace(p)*r.elapsed.Seconds(), 1e18)
		if bit := min(uint64(last), uint64(max(0, unexplained()))); bit > 0 && q.delta == 0 {
			p.claim(q, bit)
		}
	}
	exited := min(uint64(max(0, unexplained()-bound())), amount)
	g.carry = min(max(unexplained()-int64(exited), -bound()), bound()) //nolint:gosec // bounded by amount
	exited += r.shareOut(g, amount-exited)
	r.book.add(n.acc, &n.acc.exited, exited)
}

// shareOut divides an amount among those that claim it, or, where nobody shows a tick,
// by what they used before. It returns what nobody can have used.
func (r *Reader) shareOut(g *group, amount uint64) (rest uint64) {
	p := &r.processes
	who := p.claims
	if len(who) == 0 && amount > 0 {
		if who = g.active; len(who) == 0 {
			who = g.usual
		}
	}
	if len(who) == 0 {
		return amount
	}
	r.split.begin(len(who))
	if len(p.claims) > 0 {
		r.weighClaims(amount)
	} else {
		for i, q := range who {
			r.split.weights[i] = uint64(q.pace(p))
		}
	}
	rest = r.split.split(amount)
	for i, q := range who {
		q.delta = 0
		q.owed = max(q.owed-int64(r.split.into[i]), -mostOwed) //nolint:gosec // times of one Read
		if cpu := uint64(r.split.into[i]); cpu > 0 {
			q.cpu += cpu
			p.touch(q)
		}
	}
	return rest
}

// mostOwed bounds what a process is ahead or behind of what it shows: more than rounding
// explains is of a counter that was read at another moment.
const mostOwed = 10 * int64(tick)

// weighClaims weighs those that claim an amount by what they have shown and were not given
// yet, and an equal part of what nobody has shown yet, or was given ahead. So what each
// is given is never farther from what it used than its rounding, whereas shares by what
// is shown in one Read alone give less and less to one the smaller it is beside another:
// the mean of b/(a+b) is below that of the means.
func (r *Reader) weighClaims(amount uint64) {
	claims := r.processes.claims
	left := int64(amount) //nolint:gosec // times of one Read
	for _, q := range claims {
		q.owed = min(q.owed+int64(q.delta), mostOwed+int64(q.delta)) //nolint:gosec // likewise
		left -= q.owed
	}
	each, some := left/int64(len(claims)), false
	for i, q := range claims {
		w := max(q.owed+each, 0)
		r.split.weights[i] = uint64(w)
		some = some || w > 0
	}
	if some {
		return
	}
	for i, q := range claims {
		r.split.weights[i] = q.delta
	}
}

// mayLook says whether the dormant processes of a group are to be read because its
// active ones do not explain what it used. Where that has found nobody before, many
// dormant ones are left alone for some Reads, twice as many each time: a shell that
// starts one program after the other must not cost a read of a thousand others each time.
func (g *group) mayLook() bool {
	const few, most = 64, 32
	if len(g.all)-len(g.active) <= few {
		return true
	}
	if g.resting > 0 {
		g.resting--
		return false
	}
	g.rest = min(max(1, 2*g.rest), most)
	g.resting = g.rest
	return true
}

// readDormant reads all processes that this Read has not.
func (r *Reader) readDormant(g *group) {
	active := len(g.active)
	for _, q := range slices.Backward(g.all) {
		if q.read != r.files.now {
			r.readProcess(q)
		}
	}
	if len(g.active) > active {
		g.rest, g.resting = 0, 0
	}
}

// readSome reads a part of the dormant processes where no counter tells that they ran:
// all of them in 16 Reads.
func (r *Reader) readSome(g *group) {
	for range len(g.all)/16 + 1 {
		if len(g.all) == 0 {
			return
		}
		g.next = (g.next + 1) % len(g.all)
		if q := g.all[g.next]; q.read != r.files.now {
			r.readProcess(q)
		}
	}
}
