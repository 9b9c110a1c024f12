package ledger

import (
	"slices"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
	"github.com/otelcarbon/otelcarbon/internal/usage"
)

// Share says on what account a workload's energy was booked.
type Share uint8

const (
	// ShareWorkload is what the workload itself used.
	ShareWorkload Share = iota
	// ShareExited was used below the workload, or anywhere on the machine, by what
	// ended before anybody saw it.
	ShareExited
	// ShareOther was used by processes beyond those that are told singly.
	ShareOther
	// ShareIdle is the idle power of the machine, where nobody is made to pay for it.
	ShareIdle
	// ShareSystem was used by the machine for itself: interrupts, threads of the
	// kernel, whatever runs in no workload.
	ShareSystem
	// ShareUnattributed is what no use is known for: fans and disks, a GPU whose
	// processes nobody sees.
	ShareUnattributed
)

// String returns the value of carbon.share.
func (s Share) String() string {
	switch s {
	case ShareExited:
		return "exited"
	case ShareOther:
		return "other"
	case ShareIdle:
		return "idle"
	case ShareSystem:
		return "system"
	case ShareUnattributed:
		return "unattributed"
	case ShareWorkload:
	}
	return "workload"
}

func shareOf(s usage.Share) Share {
	switch s {
	case usage.Exited:
		return ShareExited
	case usage.Other:
		return ShareOther
	case usage.Own:
	}
	return ShareWorkload
}

// Slots of the machine itself, which are always there.
const (
	idleSlot = iota
	systemSlot
	unattributedSlot
	fixedSlots
)

// slotKey tells accounts apart.
type slotKey struct {
	of    *usage.Workload
	share Share
}

// slot is one workload with one share.
type slot struct {
	slotKey
	used  bool
	start time.Time // of the interval in which it appeared
	gone  bool
	ended time.Time // if gone

	cpu     uint64 // ns in this tick
	socket  int
	memory  uint64
	request uint32
	outer   bool // others lie in it

	energy []unit.Microjoules // by class
}

// class is what a workload's energy is told by: a type of hardware, and how its
// energy is known.
type class struct {
	hwType string
	method sensor.Method
}

func (a *attribution) init() {
	a.index = map[slotKey]int{}
	for _, s := range [fixedSlots]Share{ShareIdle, ShareSystem, ShareUnattributed} {
		a.slot(slotKey{nil, s})
	}
}

// slot returns the number of a workload's slot, a new one if need be.
func (a *attribution) slot(k slotKey) int {
	if n, ok := a.index[k]; ok {
		return n
	}
	n := len(a.slots)
	if last := len(a.free) - 1; last >= 0 {
		n, a.free = a.free[last], a.free[:last]
	} else {
		a.slots = append(a.slots, slot{})
	}
	e := a.slots[n].energy
	clear(e)
	a.slots[n] = slot{slotKey: k, used: true, start: a.since, socket: -1, energy: e}
	a.index[k] = n
	return n
}

// classOf returns the number of a part's class.
func (a *attribution) classOf(p *part) int {
	c := class{p.Type, p.Method}
	if i := slices.Index(a.classes, c); i >= 0 {
		return i
	}
	a.classes = append(a.classes, c)
	return len(a.classes) - 1
}

// credit books e for a slot.
func (a *attribution) credit(n, class int, e unit.Microjoules) {
	if e == 0 {
		return
	}
	s := &a.slots[n]
	if s.start.IsZero() { // was there before anything was read
		s.start = a.since
	}
	if s.gone { // a late part: to be told as long as everything
		s.ended = a.now
	}
	for len(s.energy) <= class {
		s.energy = append(s.energy, 0)
	}
	s.energy[class] += e // at most the host's total, which is bounded
}

// end notes that a workload is gone, whatever its shares.
func (a *attribution) end(of *usage.Workload) {
	for share := ShareWorkload; share <= ShareOther; share++ {
		if n, ok := a.index[slotKey{of, share}]; ok {
			s := &a.slots[n]
			if !s.gone {
				s.gone, s.ended = true, a.now
				a.ended++
			}
			s.memory, s.request = 0, 0
		}
	}
}

// release frees the slots of workloads that ended long ago. What they did for parts
// whose energy has not come yet goes to what exited below those they lay in.
func (l *Ledger) release() {
	a := &l.attribution
	for n := fixedSlots; n < len(a.slots); n++ {
		s := &a.slots[n]
		if !s.used || !s.gone || a.now.Sub(s.ended) <= l.config.Retention {
			continue
		}
		heir := -1
		for _, p := range l.order {
			if !p.stake.waitsFor(n) {
				continue
			}
			if heir < 0 {
				heir = a.heir(s.of)
				s = &a.slots[n]
			}
			a.bequeath(&p.stake, n, heir)
		}
		delete(a.index, s.slotKey)
		s.used, s.slotKey = false, slotKey{}
		a.free = append(a.free, n)
		a.ended--
	}
}

// heir returns the slot for what ended below the innermost workload around of that
// lives, or below none.
func (a *attribution) heir(of *usage.Workload) int {
	var parent *usage.Workload
	if of != nil {
		parent = of.Parent
	}
	for ; parent != nil; parent = parent.Parent {
		if n, ok := a.index[slotKey{parent, ShareWorkload}]; ok && !a.slots[n].gone {
			break
		}
	}
	return a.slot(slotKey{parent, ShareExited})
}

func (s *stake) waitsFor(n int) bool {
	if n < len(s.late) && s.late[n] > 0 {
		return true
	}
	return s.gpu != nil && (has(s.gpu.now, n) || has(s.gpu.last, n) || has(s.gpu.held, n))
}

func (a *attribution) bequeath(s *stake, n, heir int) {
	if n < len(s.late) && s.late[n] > 0 {
		a.grow(s, heir)
		s.late[heir] += s.late[n]
		s.late[n] = 0
	}
	if s.gpu != nil {
		s.gpu.forget(n, heir)
	}
}

// WorkloadAccount is what was attributed to one workload on one account. It is a
// copy.
type WorkloadAccount struct {
	Of    *usage.Workload // nil: the machine
	Share Share
	// Type and Method are those of the parts that drew it: hw.type, carbon.method.
	Type   string
	Method sensor.Method
	// Energy is in µJ, counted from 0 at Start. It never falls, and is more than 0.
	Energy unit.Microjoules
	Start  time.Time
	At     time.Time // until when everything is counted
	Ended  bool      // the workload is gone: nothing is added any more
}

// Workloads calls yield for each account of the workloads and of the machine until
// it returns false, in no particular but a steady order. After Settle they add up to
// the parts' accounts, exactly. Accounts that have got nothing are not told, and
// those of workloads that ended no longer once Config.Retention has passed.
func (l *Ledger) Workloads(yield func(WorkloadAccount) bool) {
	a := &l.attribution
	for n := range a.slots {
		s := &a.slots[n]
		if !s.used {
			continue
		}
		for c, e := range s.energy {
			if e == 0 {
				continue
			}
			if !yield(WorkloadAccount{
				Of: s.of, Share: s.share, Type: a.classes[c].hwType, Method: a.classes[c].method,
				Energy: e, Start: s.start, At: a.at, Ended: s.gone,
			}) {
				return
			}
		}
	}
}
