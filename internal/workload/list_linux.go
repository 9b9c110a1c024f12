package workload

import (
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

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
			// Groups of a threaded tree say EOPNOTSUPP: one above lists their processes, and
			// what they used is exited.
			if !isGone(err) && !errors.Is(err, unix.EOPNOTSUPP) {
				r.fail(r.pathOf(n, "cgroup.procs"), err)
			}
			return
		}
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
	for _, q := range slices.Backward(g.all) { // the last takes the place of one that leaves
		if q.listed != p.listing {
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
	for _, q := range slices.Backward(n.group.all) {
		r.detach(q)
	}
	r.processes.dropClaims() // what was left of its counter is told already
}
