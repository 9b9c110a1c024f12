package nvml

import (
	"cmp"
	"slices"
	"time"
)

// forget is how long a process that is no longer seen is remembered: samples of
// it may arrive late.
const forget = time.Minute

// users are the processes of one GPU.
type users struct {
	all         []user // by PID and instance
	last        uint64 // µs: stamp of the newest sample
	asked       time.Time
	unsupported [4]bool // of utilization and the three lists
	known       bool    // who holds the GPU, in this round
}

// user is a process in an instance of a GPU.
type user struct {
	pid      uint32
	instance int
	stamp    uint64        // µs: of its newest sample; 0: none yet
	busy     time.Duration // not yet delivered
	window   time.Duration // of samples in the present round
	kind     ProcessKind
	memory   uint64
	seen     time.Time
}

func (u *users) find(pid uint32, instance int) *user {
	i, ok := slices.BinarySearchFunc(u.all, user{pid: pid, instance: instance}, func(a, b user) int {
		return cmp.Or(cmp.Compare(a.pid, b.pid), cmp.Compare(a.instance, b.instance))
	})
	if !ok {
		u.all = slices.Insert(u.all, i, user{pid: pid, instance: instance})
	}
	return &u.all[i]
}

// add integrates samples over time. Each counts for the time since the one before
// it of the same process, but not for more than the round, since processes that
// did nothing have no samples. Samples of the first round have no beginning.
func (u *users) add(samples []useSample, now time.Time) {
	round := time.Duration(0)
	if !u.asked.IsZero() {
		round = now.Sub(u.asked)
	}
	u.asked = now
	latest := stamp(now) + clockSlack
	if u.last > latest { // the clock was set back
		u.last = 0
		for i := range u.all {
			u.all[i].stamp = 0
		}
	}
	for i := range u.all {
		u.all[i].window = 0
	}
	slices.SortFunc(samples, func(a, b useSample) int { return compare(a.stamp, b.stamp) })
	last := u.last
	for _, s := range samples {
		if s.stamp <= last || s.stamp > latest {
			continue
		}
		p := u.find(s.pid, unallocated)
		if s.stamp <= p.stamp {
			continue
		}
		d := round
		if from := cmp.Or(p.stamp, last); from > 0 {
			d = min(d, time.Duration(min(s.stamp-from, 1<<40))*time.Microsecond)
		}
		d = min(d, round-p.window)
		p.window += d
		p.busy += d * time.Duration(min(s.sm, 100)) / 100
		p.stamp, p.seen = s.stamp, now
		u.last = max(u.last, s.stamp)
	}
}

// begin starts a round.
func (u *users) begin(delivered bool) {
	for i := range u.all {
		p := &u.all[i]
		p.kind, p.memory = 0, 0
		if delivered {
			p.busy = 0
		}
	}
}

// hold notes that a process holds the GPU in one way. A process may be in several
// lists, which then tell the same memory.
func (u *users) hold(list []process, kind ProcessKind, now time.Time) {
	for _, l := range list {
		p := u.find(l.pid, l.instance)
		p.kind |= kind
		p.memory = max(p.memory, l.memory)
		p.seen = now
	}
}

func (u *users) prune(now time.Time) {
	u.all = slices.DeleteFunc(u.all, func(p user) bool {
		return p.kind == 0 && p.busy == 0 && now.Sub(p.seen) > forget
	})
}

// readProcesses asks who uses the GPUs.
func (c *core) readProcesses(now time.Time, delivered bool) {
	c.uses, c.loads = c.uses[:0], c.loads[:0]
	for _, g := range c.gpus {
		u := &g.users
		u.begin(delivered)
		g.load, u.known = nil, false
		if g.handle != nil && g.part != nil && c.ready {
			c.readUse(g)
			c.readUtilization(g)
			c.readLists(g)
		}
		u.prune(now)
		if load := g.load; load != nil && u.known { // one that may be held is not idle
			load.Held = u.held()
			c.loads = append(c.loads, *load)
		}
		for i := range u.all {
			if p := &u.all[i]; p.kind != 0 || p.busy != 0 {
				c.uses = append(c.uses, ProcessUse{GPU: g.part, PID: p.pid, Instance: p.instance, Busy: p.busy, Kind: p.kind, Memory: p.memory})
			}
		}
	}
}

// held reports whether a process holds the GPU.
func (u *users) held() bool {
	return slices.ContainsFunc(u.all, func(p user) bool { return p.kind != 0 })
}

// readUse asks how far a GPU is used. Those under MIG do not say.
func (c *core) readUse(g *gpu) {
	if g.unused || g.mig.enabled {
		g.clear(aspectUse)
		return
	}
	c.doing.set(g.index, callUse)
	percent, s := g.handle.Use()
	switch {
	case s.unsupported():
		g.unused = true
	case s != success:
		g.report(aspectUse, c.seeAside(s))
		return
	default:
		g.busy = Load{GPU: g.part, Busy: float64(min(percent, 100)) / 100}
		g.load = &g.busy
	}
	g.clear(aspectUse)
}

func (c *core) readUtilization(g *gpu) {
	u := &g.users
	if u.unsupported[0] || g.mig.enabled {
		g.clear(aspectUtilization)
		return
	}
	c.doing.set(g.index, callUtilization)
	samples, s := g.handle.Utilization(c.use[:0], u.last)
	c.use = samples
	switch {
	case s.unsupported():
		u.unsupported[0] = true
	case s != success && !s.empty():
		g.report(aspectUtilization, c.seeAside(s))
		return
	default:
		u.add(samples, time.Now())
	}
	g.clear(aspectUtilization)
}

func (c *core) readLists(g *gpu) {
	u := &g.users
	c.doing.set(g.index, callProcesses)
	failed := success
	for i, kind := range [...]ProcessKind{compute, graphics, mps} {
		if u.unsupported[1+i] {
			continue
		}
		list, s := g.handle.Processes(c.list[:0], kind)
		c.list = list
		switch {
		case s.unsupported():
			u.unsupported[1+i] = true
		case s != success && !s.empty():
			failed = c.seeAside(s)
		default:
			u.hold(list, kind, time.Now())
		}
	}
	u.known = failed == success && !u.unsupported[1]
	if failed != success {
		g.report(aspectProcesses, failed)
		return
	}
	g.clear(aspectProcesses)
}
