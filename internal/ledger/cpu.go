package ledger

import (
	"slices"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
	"github.com/otelcarbon/otelcarbon/internal/usage"
)

// maxCPUDebt is how far the workloads may be ahead of the busy time of one CPU, which
// the kernel tells in steps of 10 ms and some ms earlier.
const maxCPUDebt = uint64(20 * time.Millisecond)

// socket is the CPU time of one physical package, or of all of them.
type socket struct {
	id       int
	busy     uint64 // ns in this tick
	seen     bool
	confined uint64 // ns: of workloads that may not leave it
	free     uint64 // ns: for the others
	rest     uint64 // ns: busy, and of no workload
	debt     uint64 // ns: by which workloads were ahead of busy
}

// weighSockets finds out how much of the busy time is nobody's. Workloads are told to
// the µs, busy time to 10 ms, so what the workloads are ahead in one tick is owed in
// the next ones.
func (a *attribution) weighSockets(b usage.Busy) {
	a.memory, a.request, a.busy = b.Memory, uint64(max(b.CPUs, 0))*1000, len(b.Sockets) > 0
	var all, busy uint64
	for _, n := range a.active {
		all += a.slots[n].cpu
	}
	for i := range a.sockets {
		a.sockets[i] = socket{id: a.sockets[i].id, debt: a.sockets[i].debt}
	}
	for _, s := range b.Sockets {
		i := slices.IndexFunc(a.sockets, func(x socket) bool { return x.id == s.Socket })
		if i < 0 {
			i = len(a.sockets)
			a.sockets = append(a.sockets, socket{id: s.Socket})
		}
		a.sockets[i].busy, a.sockets[i].seen = uint64(max(s.CPU, 0)), true
		busy += a.sockets[i].busy
	}
	limit := maxCPUDebt * uint64(max(b.CPUs, 1))
	a.whole.busy = busy
	if !a.busy { // nobody knows how far ahead the workloads are
		return
	}
	a.whole.settle(all, limit)
	if len(b.Sockets) > 1 {
		a.spread(all, limit)
	}
}

// spread places the time of workloads that run anywhere: each socket gets of it in
// the proportion in which it has time that no confined workload used, so that the
// times of every workload and of every socket add up as well as they can.
func (a *attribution) spread(all, limit uint64) {
	var confined, free uint64
	for i := range a.sockets {
		s := &a.sockets[i]
		for _, n := range a.active {
			if a.slots[n].socket == s.id {
				s.confined += a.slots[n].cpu
			}
		}
		confined += s.confined
		if s.busy > s.confined {
			s.free = s.busy - s.confined
		}
		free += s.free
	}
	if free == 0 { // they are not busy, and yet somebody ran: evenly
		for i := range a.sockets {
			if a.sockets[i].seen {
				a.sockets[i].free = 1
				free++
			}
		}
	}
	a.whole.free = free
	for i := range a.sockets {
		s := &a.sockets[i]
		s.settle(s.confined+portion(all-confined, s.free, free), limit)
	}
}

// settle takes in how much of the busy time workloads used.
func (s *socket) settle(used, limit uint64) {
	if used += s.debt; s.busy >= used {
		s.rest, s.debt = s.busy-used, 0
	} else {
		s.rest, s.debt = 0, min(used-s.busy, limit)
	}
}

// socketOf returns the socket whose CPUs a part is or serves.
func (a *attribution) socketOf(p *sensor.Part) *socket {
	seen := 0
	var found *socket
	for i := range a.sockets {
		s := &a.sockets[i]
		if !s.seen {
			continue
		}
		seen++
		if s.id == p.Socket {
			found = s
		}
	}
	if found == nil || seen < 2 {
		return &a.whole
	}
	return found
}

// time returns how much of a slot's time in this tick was in a socket, in ns.
func (a *attribution) time(n int, in *socket) uint64 {
	s := &a.slots[n]
	switch {
	case in == &a.whole, s.socket == in.id:
		return s.cpu
	case a.confines(s.socket):
		return 0
	}
	return portion(s.cpu, in.free, a.whole.free)
}

// confines reports whether a number is that of a socket.
func (a *attribution) confines(id int) bool {
	return slices.ContainsFunc(a.sockets, func(s socket) bool { return s.seen && s.id == id })
}

// postpone keeps the weights of this tick for energy that comes later.
func (a *attribution) postpone(s *stake, in *socket) {
	if !a.busy {
		return
	}
	for _, n := range a.active {
		a.grow(s, n)
		s.late[n] += a.time(n, in)
	}
	if in.rest > 0 {
		a.grow(s, systemSlot)
		s.late[systemSlot] += in.rest
	}
}

func (a *attribution) grow(s *stake, n int) {
	if n >= len(s.late) {
		s.late = slices.Grow(s.late, len(a.slots)-len(s.late))
		for len(s.late) < len(a.slots) {
			s.late = append(s.late, 0)
		}
	}
}

// weighCPU lists who used a socket since the part was last divided, the machine itself
// among them.
func (a *attribution) weighCPU(s *stake, in *socket) {
	a.list()
	if len(s.late) == 0 {
		for _, n := range a.active {
			a.add(n, a.time(n, in))
		}
		a.add(systemSlot, in.rest)
		return
	}
	a.postpone(s, in)
	for n, w := range s.late {
		a.add(n, w)
	}
}

// divideCPU divides the energy of a processor: dynamic energy by CPU time, of which
// what no workload used is the machine's own.
func (a *attribution) divideCPU(s *stake, in *socket, class int, idle, dynamic unit.Microjoules) {
	if !a.busy && len(s.late) == 0 {
		a.credit(unattributedSlot, class, dynamic)
		a.giveIdle(class, idle)
		return
	}
	a.weighCPU(s, in)
	if a.policy == IdleByUsage {
		if rest := a.give(class, dynamic+idle); rest > 0 { // nobody did anything
			a.credit(systemSlot, class, dynamic)
			a.credit(idleSlot, class, idle)
		}
		return
	}
	a.credit(systemSlot, class, a.give(class, dynamic))
	a.giveIdle(class, idle)
}
