package nvml

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"time"
)

// forget is how long a process that is no longer seen is remembered: samples of
// it may arrive late.
const forget = time.Minute

// fresh is for how long after its newest sample a process is taken to be running, in µs.
const fresh = uint64(3 * 1_000_000)

// together is how far, in µs, the newest samples of processes may lie apart that are
// asked for in one call.
const together = uint64(50_000)

// maxCalls bounds the calls for one GPU in a round: one takes 1 to 3 ms.
const maxCalls = 8

// longer is for how long, in µs, those are asked for of which nothing fresh is known, so
// that their samples are of a time that is long enough.
const longer = uint64(2 * 1_000_000)

// users are the processes of one GPU.
type users struct {
	all     []user // by PID and instance
	last    uint64 // µs: stamp of the newest sample
	asked   time.Time
	rounds  int
	round   time.Duration // since it was asked before
	calls   []uint64      // of this round, by the stamp after which each asks
	news    int           // the one for those of which nothing fresh is known; -1: none
	refused [4]status     // for good, of utilization and the three lists; success: not
	known   bool          // who holds the GPU, in this round
}

// user is a process in an instance of a GPU.
type user struct {
	pid      uint32
	instance int
	stamp    uint64        // µs: of its newest sample; 0: none yet
	call     int           // that asks for its next one; -1: users.news
	rate     float64       // utilization in its newest sample, 0 to 1
	busy     time.Duration // not yet delivered
	window   time.Duration // of samples in the present round
	kind     ProcessKind
	held     bool // in the round before, too
	memory   uint64
	seen     time.Time
}

func (u *users) find(pid uint32, instance int) *user {
	i, ok := slices.BinarySearchFunc(u.all, user{pid: pid, instance: instance}, func(a, b user) int {
		return cmp.Or(cmp.Compare(a.pid, b.pid), cmp.Compare(a.instance, b.instance))
	})
	if !ok {
		u.all = slices.Insert(u.all, i, user{pid: pid, instance: instance, call: -1})
	}
	return &u.all[i]
}

// plan begins a round and says for which calls it takes. The driver has one sample for
// each process, once a second, at a moment of that process's own. It is the mean since
// the stamp that the caller gives: if that is just before the sample, of next to
// nothing, often 0; if it is long before, of what was told already. So each process is
// asked for from its own newest sample on, together with those that lie next to it.
func (u *users) plan(now time.Time) {
	u.round = 0
	if !u.asked.IsZero() {
		u.round = now.Sub(u.asked)
	}
	u.asked = now
	if u.last > stamp(now)+clockSlack { // the clock was set back
		u.last = 0
		for i := range u.all {
			u.all[i].stamp = 0
		}
	}
	u.calls = u.calls[:0]
	for i := range u.all {
		p := &u.all[i]
		p.window, p.call = 0, -1
		if u.running(p) {
			u.calls = append(u.calls, p.stamp)
		}
	}
	slices.Sort(u.calls)
	n := 0
	for _, s := range u.calls {
		if n == 0 || s > u.calls[n-1]+together && n < maxCalls {
			u.calls[n] = s
			n++
		}
	}
	u.calls, u.news = u.calls[:n], -1
	if u.rounds++; n == 0 || u.rounds%3 == 0 || !u.known || u.someRest() { // not all users are in the lists
		u.calls, u.news = append(u.calls, u.last-min(u.last, longer)), n
	}
	for i := range u.all {
		if p := &u.all[i]; u.running(p) {
			p.call = sort.Search(n, func(i int) bool { return u.calls[i] > p.stamp }) - 1
		}
	}
}

// someRest reports whether a process holds the GPU and did nothing lately.
func (u *users) someRest() bool {
	for i := range u.all {
		if p := &u.all[i]; p.held && !u.running(p) {
			return true
		}
	}
	return false
}

// running reports whether a process did something lately.
func (u *users) running(p *user) bool { return p.stamp > 0 && p.stamp+fresh > u.last }

// add takes over the samples that a call brought. Each is the mean of the time since
// the one before it of the same process or since that for which the call asks. It does
// not count for more than the round, since processes that did nothing have no samples.
// Samples of the first round have no beginning.
func (u *users) add(samples []useSample, call int, now time.Time) {
	since, latest := u.calls[call], stamp(now)+clockSlack
	slices.SortFunc(samples, func(a, b useSample) int { return compare(a.stamp, b.stamp) })
	for _, s := range samples {
		if s.stamp <= since || s.stamp > latest {
			continue
		}
		p := u.find(s.pid, unallocated)
		if s.stamp <= p.stamp || p.call != call && (p.call >= 0 || call != u.news) {
			continue
		}
		from := since
		if p.window > 0 {
			from = p.stamp // a second one in this call
		}
		span := microseconds(s.stamp - from)
		used := float64(min(s.sm, 100)) / 100 * float64(span)
		if p.stamp > from && p.call >= 0 { // told already
			known := microseconds(p.stamp - from)
			used -= p.rate * float64(known)
			span -= known
		}
		rate := min(max(used/float64(span), 0), 1)
		d := min(span, u.round-p.window)
		p.window += d
		p.busy += time.Duration(math.Round(rate * float64(d)))
		p.stamp, p.rate, p.seen = s.stamp, rate, now
	}
}

// end ends a round.
func (u *users) end() {
	for i := range u.all {
		u.last = max(u.last, u.all[i].stamp)
	}
}

// microseconds is at most the 13 days that no window is long.
func microseconds(n uint64) time.Duration { return time.Duration(min(n, 1<<40)) * time.Microsecond }

// begin starts a round.
func (u *users) begin(delivered bool) {
	for i := range u.all {
		p := &u.all[i]
		p.held = p.kind != 0
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
		g.load = nil
		if g.handle != nil && g.part != nil && c.ready {
			c.readUse(g)
			c.readUtilization(g)
			u.known = false
			c.readLists(g)
		} else {
			u.known = false
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

// tellsHolders reports whether the lists that are there hold everybody. A GPU that does
// not do graphics, or no MPS, has no such processes; a library without the list may.
func (u *users) tellsHolders() bool {
	return u.refused[1] == success && !slices.Contains(u.refused[2:], functionNotFound)
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
	if u.refused[0] != success || g.mig.enabled {
		g.clear(aspectUtilization)
		return
	}
	c.doing.set(g.index, callUtilization)
	u.plan(time.Now())
	defer u.end()
	for call := range u.calls {
		samples, s := g.handle.Utilization(c.use[:0], u.calls[call])
		c.use = samples
		switch {
		case s.unsupported():
			u.refused[0] = s
		case s != success && !s.empty():
			g.report(aspectUtilization, c.seeAside(s))
			return
		default:
			u.add(samples, call, time.Now())
			continue
		}
		break
	}
	g.clear(aspectUtilization)
}

func (c *core) readLists(g *gpu) {
	u := &g.users
	c.doing.set(g.index, callProcesses)
	failed := success
	for i, kind := range [...]ProcessKind{compute, graphics, mps} {
		if u.refused[1+i] != success {
			continue
		}
		list, s := g.handle.Processes(c.list[:0], kind)
		c.list = list
		switch {
		case s.unsupported():
			u.refused[1+i] = s
		case s != success && !s.empty():
			failed = c.seeAside(s)
		default:
			u.hold(list, kind, time.Now())
		}
	}
	u.known = failed == success && u.tellsHolders()
	if failed != success {
		g.report(aspectProcesses, failed)
		return
	}
	g.clear(aspectProcesses)
}
