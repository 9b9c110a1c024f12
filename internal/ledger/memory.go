package ledger

import "github.com/otelcarbon/otelcarbon/internal/unit"

// divideMemory divides the energy of memory: what it draws to keep what it holds by
// the bytes held, which nobody holds is idle; what it draws to be used by CPU time,
// since nothing else tells who used it.
func (a *attribution) divideMemory(s *stake, in *socket, class int, idle, dynamic unit.Microjoules) {
	if !a.busy && len(s.late) == 0 {
		a.credit(unattributedSlot, class, dynamic)
	} else {
		a.weighCPU(s, in)
		a.credit(systemSlot, class, a.give(class, dynamic))
	}
	if idle == 0 {
		return
	}
	a.list()
	var held uint64
	for n := fixedSlots; n < len(a.slots); n++ {
		if s := &a.slots[n]; s.used && s.memory > 0 {
			a.add(n, s.memory)
			held += s.memory
		}
	}
	if held == 0 {
		a.giveIdle(class, idle)
		return
	}
	if a.memory > held {
		a.add(idleSlot, a.memory-held)
	}
	a.credit(idleSlot, class, a.give(class, idle))
}
