package workload

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A process is a known one. Its identity is PID and start time: the kernel gives PIDs
// again.
type process struct {
	pid   int
	start uint64 // ticks after boot
	node  *node

	work *Workload // made when it is first told
	comm [64]byte
	name int // length of comm
	file handle

	ticks uint64 // utime + stime when it was last read
	rss   uint64 // bytes
	rate  float64
	rated float64 // when, in seconds of processes.clock
	delta uint64  // ns that it claims in this Read
	cpu   uint64  // ns that it is given in this Read

	at, activeAt int    // places in group.all and, if active, group.active
	quiet        uint8  // reads without a tick
	read, listed uint32 // Read, listing
	asked        uint32 // Read after which somebody asked for it

	adrift  bool // it left node, and nobody knows yet where to
	active  bool
	top     bool // told singly
	told    bool // work was returned
	touched bool // has something to tell
	changed bool // held did
	ended   bool

	score  float64
	held   uint64   // memory that it is told to hold
	holder *account // of whose memory that is a part; nil if not told singly
	heldAt int      // place in holder.processes
}

// A group holds the processes of one cgroup.
type group struct {
	all    []*process
	active []*process // those that ran lately: read with each Read in which the counter moved
	usual  []*process // of the others, some that used most
	carry  int64      // ns that the cgroup counted and its processes did not show, so far

	moved, queued, due bool // since it was listed; to be listed again; now
	movedAt            time.Time
	blind              bool // its processes cannot be listed
	list               handle
	rest, resting      int // Reads for which dormant processes are left alone
	next               int // dormant process to be looked at next, where nothing tells when
}

const (
	activeReads = 5                // reads without a tick, after which a process is dormant
	memoryOf    = 30.0             // seconds in which a rate falls to 1/e
	relistEvery = time.Minute      // groups that moved
	someUsual   = 8                // processes
	oneRead     = 2 * uint64(tick) // utime and stime are rounded down each
)

// processes is what a Reader knows about processes.
type processes struct {
	byPID   map[int]*process
	touched []*process
	members []*process // told singly
	ranking []*process
	adrift  []*process
	queue   []*node
	stale   []*account // whose memory is to be shared out anew

	uptime, before uint64  // ticks after boot, at this Read and the last; 0: unknown
	clock          float64 // seconds since Open
	machineAt      time.Time
	listing        uint32
	file           handle
	list           []byte
	boot           time.Time
	page           uint64
	users          users

	// Of the group at hand.
	sum     uint64 // Σ delta
	claims  []*process
	leaving []*process
	older   []*process
	gone    []Usage // of workloads that a process is no longer
}

func (p *processes) init(r *Reader) {
	p.byPID = map[int]*process{}
	p.page = uint64(unix.Getpagesize())
	if b, err := readAll(r.below("proc/stat"), nil, 8<<20); err == nil {
		if s, ok := parseField(b, "btime"); ok && s < math.MaxInt32*2 {
			p.boot = time.Unix(int64(s), 0) //nolint:gosec // bounded
		}
	}
}

func (p *processes) begin(r *Reader) {
	if !r.config.Processes {
		return
	}
	p.clock += r.elapsed.Seconds()
	p.before, p.uptime = p.uptime, 0
	b, err := r.files.read(&p.file, func() string { return r.below("proc/uptime") }, r.small[:])
	if err != nil {
		r.fail(r.below("proc/uptime"), err)
	} else if ticks, ok := parseUptime(b); ok {
		p.uptime = ticks
	}
	// Groups that moved since they were listed are listed again now and then; a part of
	// them with each Read, since many begin to move together.
	taken := 0
	for _, n := range p.queue[:min(len(p.queue), len(p.queue)/8+1)] {
		if !n.gone && n.group.moved && r.now.Sub(n.group.movedAt) < relistEvery {
			break
		}
		taken++
		n.group.queued = false
		if n.gone || !n.group.moved {
			continue
		}
		n.group.due = true
		for ; n != nil && !n.attention; n = n.parent {
			n.attention = true
		}
	}
	if taken > 0 {
		p.queue = slices.Delete(p.queue, 0, taken)
	}
}

// readStat reads /proc/PID/stat. The name in the result is valid until the next read.
func (r *Reader) readStat(h *handle, pid int) (stat, error) {
	b, err := r.files.read(h, func() string { return r.below("proc/" + strconv.Itoa(pid) + "/stat") }, r.small[:])
	if err != nil {
		return stat{}, err
	}
	r.stats.ProcessesRead++
	s, ok := parseStat(b)
	if !ok || s.pid != pid {
		return stat{}, errForm
	}
	return s, nil
}

// readProcess reads a known process and notes what it claims. A process that ended is
// taken out of its group.
func (r *Reader) readProcess(q *process) {
	p := &r.processes
	q.read = r.files.now
	s, err := r.readStat(&q.file, q.pid)
	switch {
	case isGone(err):
		p.leave(q)
		r.files.shut(&q.file)
		return
	case err != nil:
		r.fail(r.below("proc/"+strconv.Itoa(q.pid)+"/stat"), err)
		return
	case s.start != q.start: // the PID was given again
		adrift := q.adrift
		p.leave(q)
		r.files.shut(&q.file)
		if !adrift {
			r.meet(q.node, q.pid)
		}
		return
	}
	var delta uint64
	if s.ticks > q.ticks { // the kernel lets no sum fall, and may round one part down
		delta = (s.ticks - q.ticks) * uint64(tick)
		q.ticks = s.ticks
	}
	q.note(s, p.page)
	q.observe(delta, p.clock)
	p.claim(q, delta)
	if s.dead {
		p.leave(q)
		r.files.shut(&q.file)
		return
	}
	if q.adrift {
		return
	}
	q.node.group.settle(q, delta > 0, p.clock)
}

func (q *process) note(s stat, page uint64) {
	q.rss = s.rss * min(page, math.MaxUint64/max(1, s.rss))
	q.name = copy(q.comm[:], s.comm)
}

// observe updates the rate of a process with what it used since it was last read.
func (q *process) observe(delta uint64, clock float64) {
	seconds := clock - q.rated
	if seconds <= 0 {
		return
	}
	keep := math.Exp(-seconds / memoryOf)
	q.rate = q.rate*keep + float64(delta)/seconds*(1-keep)
	q.rated = clock
}

func (q *process) rateAt(clock float64) float64 {
	if q.rated == clock {
		return q.rate
	}
	return q.rate * math.Exp((q.rated-clock)/memoryOf)
}

// claim notes that a process asks for time in this Read.
func (p *processes) claim(q *process, delta uint64) {
	if delta > 0 {
		q.delta = delta
		p.sum += delta
		p.claims = append(p.claims, q)
	}
}

// leave takes an ended process out of its group.
func (p *processes) leave(q *process) {
	if !q.adrift {
		q.node.group.remove(q)
	}
	if p.byPID[q.pid] == q {
		delete(p.byPID, q.pid)
	}
	q.ended = true
	p.leaving = append(p.leaving, q)
	p.touch(q)
}

func (p *processes) touch(q *process) {
	if !q.touched {
		q.touched = true
		p.touched = append(p.touched, q)
	}
}

// meet reads a process that was not known. One that started since the last Read counts
// from 0; of an older one, overlooked until now, only as much as nobody else explains.
func (r *Reader) meet(n *node, pid int) *process {
	p := &r.processes
	if len(p.byPID) >= maxProcesses {
		r.stats.Unlisted++
		return nil
	}
	q := &process{pid: pid, node: n, listed: p.listing, read: r.files.now}
	s, err := r.readStat(&q.file, pid)
	if err != nil || s.dead {
		r.files.shut(&q.file)
		if err != nil && !isGone(err) {
			r.fail(r.below("proc/"+strconv.Itoa(pid)+"/stat"), err)
		}
		return nil
	}
	q.start, q.ticks = s.start, s.ticks
	q.note(s, p.page)
	p.byPID[pid] = q
	n.group.add(q)
	q.rated = p.clock
	if p.uptime > s.start {
		q.rate = float64(s.ticks) * 1e9 / float64(p.uptime-s.start) // ticks per tick are CPUs
	}
	switch {
	case r.baseline || s.ticks == 0:
	case p.before > 0 && s.start >= p.before:
		p.claim(q, s.ticks*uint64(tick))
	default:
		p.older = append(p.older, q)
	}
	n.group.settle(q, !r.baseline && s.ticks > 0, p.clock)
	return q
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

// listProcesses compares cgroup.procs with the known processes, and reads new ones.
func (r *Reader) listProcesses(n *node) {
	p, g := &r.processes, n.group
	g.moved, g.due = false, false
	p.listing++
	if r.at.tree == "" {
		if !r.listAll(n) {
			return
		}
	} else {
		b, err := r.readProcs(n)
		if err != nil {
			// Groups of a threaded tree say EOPNOTSUPP: the one above lists their processes.
			g.blind = true
			if !isGone(err) && !errors.Is(err, unix.EOPNOTSUPP) {
				r.fail(r.pathOf(n, "cgroup.procs"), err)
			}
			return
		}
		g.blind = false
		for {
			pid, rest, ok := nextPID(b)
			if !ok {
				break
			}
			b = rest
			if pid == 0 {
				r.fail(r.pathOf(n, "cgroup.procs"), errHidden)
				continue
			}
			r.list1(n, pid)
		}
	}
	for i := len(g.all) - 1; i >= 0; i-- {
		if q := g.all[i]; q.listed != p.listing {
			r.detach(q)
		}
	}
}

// readProcs reads cgroup.procs. Only that of the root of version 2 is read often enough to
// be kept open; an open one of version 1 may show what was true a second ago
// (kernel/cgroup/cgroup-v1.c, CGROUP_PIDLIST_DESTROY_DELAY).
func (r *Reader) readProcs(n *node) (b []byte, err error) {
	const most = 8 << 20
	p := &r.processes
	if r.at.v2 && n.parent == nil {
		b, err = r.files.readLong(&n.group.list, func() string { return r.pathOf(n, "cgroup.procs") }, p.list, most)
	} else {
		b, err = readAll(r.pathOf(n, "cgroup.procs"), p.list, most)
	}
	p.list = b
	return b, err
}

// list1 takes one PID of a list.
func (r *Reader) list1(n *node, pid int) {
	p := &r.processes
	q := p.byPID[pid]
	switch {
	case q == nil:
		r.meet(n, pid)
		return
	case q.adrift:
		r.attach(q, n)
	case q.node != n:
		q.node.group.remove(q)
		r.attach(q, n)
	}
	q.listed = p.listing
}

// attach puts a process that came from another cgroup into one.
func (r *Reader) attach(q *process, n *node) {
	if q.node.acc != n.acc {
		r.part(q)
	}
	q.node, q.adrift = n, false
	n.group.add(q)
	n.group.settle(q, q.quiet == 0, r.processes.clock)
}

// part ends the workload that a process has been: it goes on as another one. What it did
// before stays where it was done.
func (r *Reader) part(q *process) {
	p := &r.processes
	if q.told {
		p.gone = append(p.gone, Usage{Of: q.work, CPU: time.Duration(q.cpu), Socket: q.node.acc.socket, Ended: true}) //nolint:gosec // the time of one Read
	} else {
		r.book.add(q.node.acc, &q.node.acc.other, q.cpu)
	}
	p.unhold(q)
	q.cpu, q.work, q.told, q.top, q.changed = 0, nil, false, false, false
}

// detach takes a process out of a group that no longer lists it. It ended, or it is in
// another group.
func (r *Reader) detach(q *process) {
	p := &r.processes
	if q.read != r.files.now {
		r.readProcess(q)
	}
	if q.ended {
		return
	}
	q.node.group.remove(q)
	q.adrift = true
	p.adrift = append(p.adrift, q)
}

// settleAdrift finds the groups of processes that left theirs. Those that it does not
// find have ended, as far as can be told; a list will show them as older ones.
func (r *Reader) settleAdrift() {
	p := &r.processes
	for i, q := range p.adrift {
		p.adrift[i] = nil
		if !q.adrift || q.ended {
			continue
		}
		s, err := r.readStat(&q.file, q.pid)
		if err == nil && s.start == q.start && !s.dead {
			if n := r.place(q.pid); n != nil && n.group != nil && !n.gone {
				r.attach(q, n)
				continue
			}
		}
		p.leave(q)
		r.files.shut(&q.file)
	}
	p.adrift, p.leaving = p.adrift[:0], p.leaving[:0]
}

// listAll lists /proc, for machines without cgroups.
func (r *Reader) listAll(n *node) bool {
	h := &n.group.list
	fd := int(h.fd - 1)
	if !h.isOpen() {
		var err error
		if fd, err = openFolder(r.below("proc")); err != nil {
			r.fail(r.below("proc"), err)
			return false
		}
		if !r.files.keep(h, fd) {
			defer func() { _ = unix.Close(fd) }()
		}
	}
	h.used = r.files.now
	if _, err := unix.Seek(fd, 0, unix.SEEK_SET); err != nil {
		r.fail(r.below("proc"), err)
		return false
	}
	for {
		size, err := unix.ReadDirent(fd, r.dirents)
		if err != nil {
			r.fail(r.below("proc"), err)
			return false
		}
		if size <= 0 {
			return true
		}
		for b := r.dirents[:size]; ; {
			d, rest, ok := nextDirent(b)
			if !ok {
				break
			}
			b = rest
			if pid, _, ok := nextPID(d.name); ok && pid > 0 && d.kind != unix.DT_LNK {
				r.list1(n, pid)
			}
		}
	}
}

// endProcesses ends or sets adrift the processes of a cgroup that is gone.
func (r *Reader) endProcesses(n *node) {
	if n.group == nil {
		return
	}
	for i := len(n.group.all) - 1; i >= 0; i-- {
		r.detach(n.group.all[i])
	}
	r.processes.dropClaims() // what was left of its counter is told already
}
