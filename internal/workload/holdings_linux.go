package workload

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	heldEvery     = 10 * time.Second // memory of a group that runs
	idleEvery     = time.Minute      // memory of one that does not
	confinedEvery = time.Minute      // CPUs and requests
)

// due says whether something is to be read again, and when it was read in that case. The
// first time it is told as read at some moment of the interval before, so that a
// thousand groups found together are not read together for ever.
func (r *Reader) due(at *time.Time, every time.Duration) bool {
	switch {
	case at.IsZero():
		r.spread = (r.spread + 7919) % 10007 // primes
		*at = r.now.Add(-every * time.Duration(r.spread) / 10007)
		return true
	case r.now.Sub(*at) >= every:
		*at = r.now
		return true
	}
	return false
}

// holdings reads what a workload holds, if it is time to.
func (r *Reader) holdings(n *node, moved bool) {
	every := idleEvery
	if moved {
		every = heldEvery
	}
	memory, request := n.acc.memory, n.acc.request
	if r.due(&n.heldAt, every) {
		memory = r.memory(n, memory)
		r.processes.spoil(n.acc)
	}
	if r.confine(n) && (n.id.kind == Pod || n.id.kind == Container && n.id.podUID != "") {
		request = r.request(n)
	}
	r.book.hold(n.acc, memory, request)
}

// memory reads how much memory a workload holds; if that cannot be read it is what it was.
func (r *Reader) memory(n *node, was uint64) uint64 {
	if r.at.memory == "" {
		return was
	}
	b, err := r.files.read(&n.memory, func() string { return r.at.memory + n.path + "/" + r.at.held }, r.small[:])
	if err != nil {
		if !isGone(err) {
			r.fail(r.at.memory+n.path+"/"+r.at.held, err)
		}
		return was
	}
	if v, ok := parseCount(b); ok {
		return v
	}
	return was
}

// attribute reads a file of a cgroup, perhaps in another hierarchy of version 1. Not all
// groups have all files: that is no failure.
func (r *Reader) attribute(folder string, n *node, file string) ([]byte, bool) {
	if folder == "" {
		return nil, false
	}
	b, err := readAll(folder+n.path+"/"+file, r.large, len(r.large))
	if err != nil {
		if !isGone(err) {
			r.fail(folder+n.path+"/"+file, err)
		}
		return nil, false
	}
	return b, true
}

// request reads what Kubernetes reserves for a pod or container.
func (r *Reader) request(n *node) uint32 {
	b, ok := r.attribute(r.at.cpu, n, r.at.reserved)
	v, isCount := parseCount(b)
	switch {
	case !ok || !isCount:
		return 0
	case !r.at.v2:
		return milliOfShares(v)
	}
	return milliOfWeight(v, r.newerWeights(n))
}

// newerWeights looks at the weight of the outermost kubepods above a pod or container.
func (r *Reader) newerWeights(n *node) bool {
	var top *node
	for ; n != nil; n = n.parent {
		if n.id.below == kubepods {
			top = n
		}
	}
	if top == nil {
		return false
	}
	b, _ := r.attribute(r.at.cpu, top, r.at.reserved)
	weight, ok := parseCount(b)
	return ok && isNewer(weight, r.busy.online)
}

// confine reads to which CPUs a workload is confined, if it is time to; then it returns
// true.
func (r *Reader) confine(n *node) bool {
	if !r.due(&n.confinedAt, confinedEvery) {
		return false
	}
	n.acc.socket = -1
	if len(r.busy.sockets) < 2 {
		return true
	}
	b, ok := r.attribute(r.at.cpuset, n, r.at.confined)
	if !ok || len(b) == 0 {
		return true
	}
	n.acc.socket = r.socketOfList(b)
	return true
}

// socketOfList returns the package in which all CPUs of a list lie, else -1.
func (r *Reader) socketOfList(b []byte) int {
	socket := -2
	ok := parseList(b, func(cpu int) {
		s := -1 // offline, or of no known package: says nothing
		if cpu < len(r.busy.cpus) && r.busy.cpus[cpu].known {
			s = r.busy.cpus[cpu].socket
		}
		switch {
		case s < 0 || socket == s:
		case socket == -2:
			socket = s
		default:
			socket = -1
		}
	})
	if !ok {
		return -1
	}
	return max(socket, -1)
}

// socketOf reads the package of a CPU. A machine that does not tell has one.
func (r *Reader) socketOf(cpu int) int {
	b, err := readAll(r.below("sys/devices/system/cpu/cpu"+strconv.Itoa(cpu)+"/topology/physical_package_id"), r.small[:], len(r.small))
	if err != nil {
		return 0
	}
	n, ok := parseCount(b)
	if !ok || n >= maxCPUs { // Arm has -1
		return 0
	}
	return int(n)
}

// readBusy reads /proc/stat as far as the lines of CPUs go.
func (r *Reader) readBusy() {
	ok := false
	for {
		b, err := r.files.read(&r.statFile, func() string { return r.below("proc/stat") }, r.large)
		if err != nil {
			r.fail(r.below("proc/stat"), err)
			break
		}
		if len(b) < len(r.large) || endOfCPUs(b) || len(r.large) >= 1<<20 {
			ok = r.busy.advance(b, r.elapsed, r.socketOf)
			if !ok {
				r.fail(r.below("proc/stat"), errForm)
			}
			break
		}
		r.large = make([]byte, 2*len(r.large)) // the lines of 512 CPUs are 50 kB
	}
	r.used = Busy{Memory: r.total, CPUs: r.busy.online}
	if ok {
		r.used.Sockets = r.busy.sockets
	}
}

// readMachine reads what changes hardly ever.
func (r *Reader) readMachine() {
	if !r.due(&r.machineAt, confinedEvery) {
		return
	}
	if b, err := readAll(r.below("proc/meminfo"), r.large, len(r.large)); err != nil {
		r.fail(r.below("proc/meminfo"), err)
	} else if kb, ok := parseField(b, "MemTotal:"); ok {
		r.total = kb << 10
	}
	r.used.Memory = r.total
}

func (r *Reader) below(name string) string { return strings.TrimSuffix(r.rootPath, "/") + "/" + name }

// exists says whether there is a file of that name, for choosing a hierarchy.
func exists(path string) bool {
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil
}
