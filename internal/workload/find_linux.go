package workload

import (
	"strconv"
	"strings"
)

// Find returns whose process that is: the process itself if processes are told singly,
// else the innermost workload that it lies in, and nil if that is unknown. A process
// that is asked for is among the first to be told singly for the Reads that follow, as
// long as it is asked for.
//
// PIDs are those of the PID namespace that this process and the proc below the root
// belong to. A PID of an inner namespace is another process: translate it first, by NSpid
// of /proc/PID/status.
func (r *Reader) Find(pid int) *Workload {
	if r.closed || pid <= 0 || r.now.IsZero() || r.foreign {
		return nil
	}
	if r.config.Processes {
		if p := r.processes.find(r, pid); p != nil {
			w := p.workload(r)
			p.told = true // so that its end is told, also if nothing else ever is
			return w
		}
		return nil
	}
	if n := r.place(pid); n != nil {
		if n.acc.work != nil {
			n.acc.told = true // likewise
		}
		return n.acc.work
	}
	return nil
}

// place finds the cgroup of a process, or the innermost known one above it.
func (r *Reader) place(pid int) *node {
	if r.at.tree == "" {
		return r.root
	}
	b, err := readAll(r.below("proc/"+strconv.Itoa(pid)+"/cgroup"), r.large, len(r.large))
	if err != nil {
		if !isGone(err) {
			r.fail(r.below("proc/"+strconv.Itoa(pid)+"/cgroup"), err)
		}
		return nil
	}
	controller := "cpuacct"
	if r.at.v2 {
		controller = ""
	}
	path, ok := parsePlace(b, controller)
	if !ok {
		return nil
	}
	outside := strings.HasPrefix(path, "/../")
	if !outside {
		return r.descend(path)
	}
	// Seen from a cgroup namespace, paths lead from its root. How far up that is nobody
	// tells, so the group is the one whose path ends like this, if there is only one.
	for strings.HasPrefix(path, "/../") {
		path = path[len("/.."):]
	}
	var found *node
	for _, n := range r.ring {
		if !n.gone && strings.HasSuffix(n.path, path) {
			if found != nil {
				return nil
			}
			found = n
		}
	}
	return found
}

// descend follows a path as far as its groups are known.
func (r *Reader) descend(path string) *node {
	n := r.root
	for name := range strings.SplitSeq(path, "/") {
		if name == "" {
			continue
		}
		var next *node
		for _, c := range n.children {
			if c.name == name && !c.gone {
				next = c
				break
			}
		}
		if next == nil {
			return n
		}
		n = next
	}
	return n
}
