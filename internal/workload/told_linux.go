package workload

import (
	"math/bits"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// finish decides who is told singly, and what they hold.
func (p *processes) finish(r *Reader) {
	if !r.config.Processes {
		return
	}
	r.settleAdrift()
	p.choose(r.config.Top, r.files.now)
	if r.config.Memory && r.due(&p.machineAt, heldEvery) {
		p.spoil(r.machine)
	}
	for i, a := range p.stale {
		a.stale = false
		p.stale[i] = nil
		if r.config.Memory {
			p.shareMemory(&r.book, a)
		}
	}
	p.stale = p.stale[:0]
}

// spoil says that what the processes of a workload hold is to be computed anew.
func (p *processes) spoil(a *account) {
	if !a.stale && len(a.processes) > 0 {
		a.stale = true
		p.stale = append(p.stale, a)
	}
}

// hold and unhold note that a process is told singly, and so what it holds.
func (p *processes) hold(q *process) {
	a := q.node.acc
	q.holder, q.heldAt = a, len(a.processes)
	a.processes = append(a.processes, q)
	p.spoil(a)
}

func (p *processes) unhold(q *process) {
	a := q.holder
	if a == nil {
		return
	}
	last := len(a.processes) - 1
	a.processes[q.heldAt], a.processes[last].heldAt = a.processes[last], q.heldAt
	a.processes[last] = nil
	a.processes = a.processes[:last]
	if q.held > 0 {
		a.held -= q.held
		q.held, q.changed = 0, true
		p.touch(q)
	}
	q.holder = nil
	if !a.stale { // also if it was the last
		a.stale = true
		p.stale = append(p.stale, a)
	}
}

// shareMemory tells what the processes of a workload hold: their resident memory, but
// not more together than the workload. Pages that they share are counted for each of
// them, and once for the workload.
func (p *processes) shareMemory(b *book, a *account) {
	var sum uint64
	for _, q := range a.processes {
		sum = saturating(sum, q.rss)
	}
	most := sum
	if a.memory > 0 {
		most = min(sum, a.free())
	}
	var held uint64
	for _, q := range a.processes {
		share := q.rss
		if most < sum {
			hi, lo := bits.Mul64(q.rss, most)
			share, _ = bits.Div64(hi, lo, sum) // rss ≤ sum, so hi < sum; most < sum
		}
		if share != q.held {
			q.held, q.changed = share, true
			p.touch(q)
		}
		held += share
	}
	if held != a.held {
		a.held = held
		if a.work != nil && a.memory > 0 {
			a.changed = true
			b.touch(a)
		}
	}
}

// tell appends what processes have to tell, and passes on to their workload what those
// did that are not told singly.
func (p *processes) tell(r *Reader, dst []Usage) []Usage {
	for i, q := range p.touched {
		p.touched[i] = nil
		if !q.top {
			r.book.add(q.node.acc, &q.node.acc.other, q.cpu)
			q.cpu = 0
		}
		switch {
		case q.ended && (q.told || q.cpu > 0), !q.ended && (q.cpu > 0 || q.changed && (q.told || q.top)):
			dst = append(dst, Usage{
				Of: q.workload(r), CPU: time.Duration(q.cpu), Socket: q.node.acc.socket, //nolint:gosec // the time of one Read
				Memory: q.held, Ended: q.ended,
			})
			q.told = true
		}
		q.cpu, q.touched, q.changed = 0, false, false
	}
	p.touched = p.touched[:0]
	p.letGo()
	dst = append(dst, p.gone...)
	clear(p.gone)
	p.gone = p.gone[:0]
	return dst
}

// workload returns what a process is told as.
func (q *process) workload(r *Reader) *Workload {
	if q.work != nil {
		return q.work
	}
	n, p := q.node, &r.processes
	w := &Workload{Kind: Process, Parent: n.acc.work, Path: printable(n.path), PID: q.pid, Executable: printable(string(q.comm[:q.name]))}
	if up := n.acc.work; up != nil {
		w.ContainerID, w.Runtime, w.PodUID, w.Unit, w.Machine, w.Job, w.Step = up.ContainerID, up.Runtime, up.PodUID, up.Unit, up.Machine, up.Job, up.Step
	}
	if w.Path == "" {
		w.Path = "/"
	}
	w.ID = n.path + "//" + strconv.Itoa(q.pid) + "-" + strconv.FormatUint(q.start, 10) // no cgroup has that path
	if !p.boot.IsZero() {
		w.Created = p.boot.Add(time.Duration(min(q.start, 1<<38)) * tick)
	}
	if r.config.Owner {
		w.Owner = r.owner(q)
	}
	q.work = w
	return w
}

// printable replaces what a process may have put into its own name and no label holds.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return '?'
		}
		return c
	}, strings.ToValidUTF8(s, "?"))
}

// owner is the user whom the files of a process in /proc belong to: its effective one.
func (r *Reader) owner(q *process) string {
	var st unix.Stat_t
	if unix.Lstat(r.below("proc/"+strconv.Itoa(q.pid)+"/stat"), &st) != nil {
		return ""
	}
	u := &r.processes.users
	name, ok := u.names[st.Uid]
	if !ok && r.due(&u.readAt, confinedEvery) {
		u.names = parsePasswd(r.text("etc/passwd"))
		name, ok = u.names[st.Uid]
	}
	if !ok {
		return strconv.FormatUint(uint64(st.Uid), 10)
	}
	return name
}

// find looks a process up for Find.
func (p *processes) find(r *Reader, pid int) *process {
	q := p.byPID[pid]
	if q == nil {
		n := r.place(pid)
		if n == nil || n.group == nil {
			return nil
		}
		p.claims, p.older = p.claims[:0], p.older[:0]
		if q = r.meet(n, pid); q == nil {
			return nil
		}
		if q.delta > 0 { // it is for the next Read to tell
			q.ticks = 0
			p.dropClaims()
		}
	}
	q.asked = r.files.now
	if !q.adrift { // to be read with the next Read, whether it ran lately or not
		q.node.group.settle(q, true, p.clock)
	}
	p.touch(q)
	return q
}

// dropClaims forgets what processes ask for.
func (p *processes) dropClaims() {
	for _, q := range p.claims {
		q.delta = 0
	}
	p.claims, p.leaving, p.sum = p.claims[:0], p.leaving[:0], 0
}
