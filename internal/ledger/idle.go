package ledger

import "github.com/otelcarbon/otelcarbon/internal/unit"

// IdlePolicy says who gets the energy that a machine draws while it does nothing.
// Whatever it is, what nobody gets stays on the account ShareIdle.
type IdlePolicy uint8

const (
	// IdleSeparate gives it to nobody.
	IdleSeparate IdlePolicy = iota
	// IdleByRequest gives it in proportion to the CPU that is reserved for a workload
	// by Kubernetes; what is not reserved stays idle.
	IdleByRequest
	// IdleEqually gives each workload that lives and has no other in it, and the machine,
	// the same.
	IdleEqually
	// IdleByUsage divides it as dynamic energy is.
	IdleByUsage
)

// giveIdle divides idle energy where usage does not decide.
func (a *attribution) giveIdle(class int, e unit.Microjoules) {
	if e == 0 {
		return
	}
	a.list()
	switch a.policy {
	case IdleByRequest:
		var sum uint64
		for n := fixedSlots; n < len(a.slots); n++ {
			if s := &a.slots[n]; s.takesPart() {
				a.add(n, uint64(s.request))
				sum += uint64(s.request)
			}
		}
		if a.request > sum {
			a.add(idleSlot, a.request-sum)
		}
	case IdleEqually:
		a.add(idleSlot, 1)
		a.markOuter()
		for n := fixedSlots; n < len(a.slots); n++ {
			if s := &a.slots[n]; s.takesPart() && s.share == ShareWorkload && !s.outer {
				a.add(n, 1)
			}
		}
	case IdleSeparate, IdleByUsage:
	}
	a.credit(idleSlot, class, a.give(class, e))
}

// markOuter notes which workloads have others in them, which bear the idle energy in their
// place: a pod with containers is no workload beside them.
func (a *attribution) markOuter() {
	for n := fixedSlots; n < len(a.slots); n++ {
		a.slots[n].outer = false
	}
	for n := fixedSlots; n < len(a.slots); n++ {
		s := &a.slots[n]
		if !s.takesPart() || s.share != ShareWorkload {
			continue
		}
		for up := s.of.Parent; up != nil; up = up.Parent {
			if m, ok := a.index[slotKey{up, ShareWorkload}]; ok {
				a.slots[m].outer = true
			}
		}
	}
}

// takesPart reports whether a workload is there to bear a part of what is idle.
func (s *slot) takesPart() bool { return s.used && !s.gone && s.of != nil }
