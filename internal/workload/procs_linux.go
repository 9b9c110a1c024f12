package workload

import (
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

	ticks uint64  // utime + stime when it was last read
	rss   uint64  // bytes
	rate  float64 // CPU time in ns per second, lately; before it began it used nothing
	rated float64 // when, in seconds of processes.clock
	delta uint64  // ns that it claims in this Read
	cpu   uint64  // ns that it is given in this Read
	owed  int64   // ns that it has shown and was not given; less than 0: was given ahead

	at, activeAt int    // places in group.all and, if active, group.active
	quiet        uint8  // reads without a tick
	read, listed uint32 // Read, listing
	asked        uint32 // Read after which somebody asked for it

	adrift  bool // it left node, and nobody knows yet where to
	active  bool
	top     bool    // told singly
	leftAt  float64 // when it left the top, in seconds of processes.clock
	told    bool    // work was returned
	touched bool    // has something to tell
	changed bool    // held did
	ended   bool

	score  float64
	held   uint64   // memory that it is told to hold
	holder *account // of whose memory that is a part; nil if not told singly
	heldAt int      // place in holder.processes
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
	left    []*process // the top, not long ago
	leaving []*process
	older   []*process
	gone    []Usage // of workloads that a process is no longer
}

func (p *processes) init(r *Reader) {
	p.byPID = map[int]*process{}
	p.page = uint64(unix.Getpagesize()) //nolint:gosec // positive
	if b, err := readAll(r.below("proc/stat"), nil, 8<<20); err == nil {
		if s, ok := parseField(b, "btime"); ok && s < math.MaxInt32*2 {
			p.boot = time.Unix(int64(s), 0)
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

// grown is how much of what a rate remembers a process has lived through: next to nothing of
// one that has run for a tenth of a second, which so is behind one that has run for minutes.
func (q *process) grown(p *processes) float64 {
	if p.uptime <= q.start {
		return 1
	}
	return 1 - math.Exp(-float64(p.uptime-q.start)*tick.Seconds()/memoryOf)
}

// pace is the rate of a process while it lived.
func (q *process) pace(p *processes) float64 { return q.rateAt(p.clock) / q.grown(p) }

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
		q.rate = float64(s.ticks) * 1e9 / float64(p.uptime-s.start) * q.grown(p) // ticks per tick are CPUs
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
