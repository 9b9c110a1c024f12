package workload

import "time"

// A group holds the processes of one cgroup.
type group struct {
	all    []*process
	active []*process // those that ran lately: read with each Read in which the counter moved
	usual  []*process // of the others, some that used most
	carry  int64      // ns that the cgroup counted and its processes did not show, so far

	moved, queued, due bool // since it was listed; to be listed again; now
	movedAt            time.Time
	list               handle
	rest, resting      int // Reads for which dormant processes are left alone
	next               int // dormant process to be looked at next, where nothing tells when
}

// add and remove keep a process in a group; order means nothing.
func (g *group) add(q *process) {
	q.at = len(g.all)
	g.all = append(g.all, q)
}

func (g *group) remove(q *process) {
	last := len(g.all) - 1
	g.all[q.at], g.all[last].at = g.all[last], q.at
	g.all[last] = nil
	g.all = g.all[:last]
	g.rouse(q, false)
	for i, u := range g.usual {
		if u == q {
			last := len(g.usual) - 1
			g.usual[i], g.usual[last] = g.usual[last], nil
			g.usual = g.usual[:last]
			break
		}
	}
}

func (g *group) rouse(q *process, active bool) {
	switch {
	case active == q.active:
		return
	case active:
		q.activeAt = len(g.active)
		g.active = append(g.active, q)
	default:
		last := len(g.active) - 1
		g.active[q.activeAt], g.active[last].activeAt = g.active[last], q.activeAt
		g.active[last] = nil
		g.active = g.active[:last]
	}
	q.active = active
}

// settle notes whether a process ran. One that has not for some reads is dormant.
func (g *group) settle(q *process, ran bool, clock float64) {
	switch {
	case ran:
		q.quiet = 0
		g.rouse(q, true)
	case q.active && q.quiet < activeReads:
		q.quiet++
	default:
		g.rouse(q, false)
		g.remember(q, clock)
	}
}

// remember keeps the dormant processes that used most, for what is too little to show
// as a tick of any.
func (g *group) remember(q *process, clock float64) {
	rate := q.rateAt(clock)
	if rate < 1 {
		return
	}
	least := -1
	for i, u := range g.usual {
		if u == q {
			return
		}
		if least < 0 || u.rateAt(clock) < g.usual[least].rateAt(clock) {
			least = i
		}
	}
	switch {
	case len(g.usual) < someUsual:
		g.usual = append(g.usual, q)
	case g.usual[least].rateAt(clock) < rate:
		g.usual[least] = q
	}
}
