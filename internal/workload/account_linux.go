package workload

import "time"

// An account gathers what one Read found out about a workload.
type account struct {
	work  *Workload // nil: the machine
	above *account  // of the workload that this one lies in; nil for the machine

	own, exited, other uint64 // ns

	// Holdings as the kernel counts them, with those of nested workloads.
	memory, nestedMemory   uint64
	request, nestedRequest uint32
	socket                 int

	processes []*process // told singly
	held      uint64     // memory that they are told to hold

	touched, changed, told, ended bool
	stale                         bool // held is to be computed anew
}

// A book lists the accounts that have something to tell.
type book struct{ touched []*account }

// add is a touch with CPU time.
func (b *book) add(a *account, to *uint64, ns uint64) {
	if ns > 0 {
		*to += ns
		b.touch(a)
	}
}

func (b *book) touch(a *account) {
	if !a.touched {
		a.touched = true
		b.touched = append(b.touched, a)
	}
}

// hold notes what a workload holds. Holdings of nested workloads are theirs and not also
// those of the outer ones, so these change too.
func (b *book) hold(a *account, memory uint64, request uint32) {
	if memory == a.memory && request == a.request {
		return
	}
	if up := a.above; up != nil {
		up.nestedMemory = up.nestedMemory - a.memory + memory
		up.nestedRequest = up.nestedRequest - a.request + request
		if up.memory > 0 || up.request > 0 {
			up.changed = true
			b.touch(up)
		}
	}
	a.memory, a.request = memory, request
	a.changed = true
	b.touch(a)
}

// free is what a workload holds beside nested ones. These are read at other moments, so
// they may seem to hold more than all.
func (a *account) free() uint64 {
	return a.memory - min(a.memory, a.nestedMemory)
}

// usages tells an account, and makes it ready for the next Read.
func (a *account) usages(dst []Usage) []Usage {
	if a.work == nil { // nothing is the machine's own
		a.other += a.own
		a.own = 0
	}
	if a.exited > 0 {
		dst = append(dst, Usage{Of: a.work, Share: Exited, CPU: time.Duration(a.exited), Socket: a.socket}) //nolint:gosec // the time of one Read
	}
	if a.other > 0 {
		dst = append(dst, Usage{Of: a.work, Share: Other, CPU: time.Duration(a.other), Socket: a.socket}) //nolint:gosec // the time of one Read
	}
	if a.exited > 0 || a.other > 0 {
		a.told = true
	}
	if a.work != nil && (a.own > 0 || a.changed || a.ended && a.told) {
		u := Usage{Of: a.work, Share: Own, CPU: time.Duration(a.own), Socket: a.socket, Ended: a.ended} //nolint:gosec // the time of one Read
		if !a.ended {
			free := a.free()
			u.Memory = free - min(free, a.held)
			u.Request = a.request - min(a.request, a.nestedRequest)
		}
		dst = append(dst, u)
		a.told = true
	}
	a.own, a.exited, a.other = 0, 0, 0
	a.touched, a.changed = false, false
	return dst
}
