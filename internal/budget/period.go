package budget

import "time"

// MaxKeys is how many machines a period tells apart.
const MaxKeys = 65_536

// account is what was booked for one machine.
type account struct{ host, workloads mass }

// counts is what the machine counts with: see the package comment.
func (a account) counts() mass {
	if a.host.compare(a.workloads) > 0 {
		return a.host
	}
	return a.workloads
}

func (a account) plus(b account) account {
	return account{a.host.plus(b.host), a.workloads.plus(b.workloads)}
}

// period is the account of one period.
type period struct {
	start, end time.Time // end is excluded; zero for the whole run
	machines   map[Key]account
	lump       account // of machines beyond MaxKeys
	lumped     bool
	used       mass   // what all of them count with
	told       uint32 // bit i: threshold i was told
}

// reset empties p and keeps the memory of its map.
func (p *period) reset(start, end time.Time) {
	clear(p.machines)
	if p.machines == nil {
		p.machines = make(map[Key]account)
	}
	*p = period{start: start, end: end, machines: p.machines}
}

func (p *period) book(k Key, of Scope, m mass) {
	if of == Host {
		p.add(k, account{host: m})
	} else {
		p.add(k, account{workloads: m})
	}
}

func (p *period) add(k Key, more account) {
	if more == (account{}) {
		return
	}
	before, known := p.machines[k]
	if !known && len(p.machines) >= MaxKeys {
		p.addLump(more)
		return
	}
	after := before.plus(more)
	p.machines[k] = after
	p.used = p.used.plus(after.counts().minus(before.counts()))
}

func (p *period) addLump(more account) {
	after := p.lump.plus(more)
	p.used = p.used.plus(after.counts().minus(p.lump.counts()))
	p.lump, p.lumped = after, true
}
