package workload

import (
	"cmp"
	"math"
	"slices"
)

// stickiness is by how much another process has to use more than one that is told singly
// to take its place: without it, two that use about the same would change places with
// each Read.
const stickiness = 1.5

// choose decides who is told singly: all that ran, or the top that used most lately. Who
// was asked for comes first.
func (p *processes) choose(top int, now uint32) {
	if top <= 0 {
		for _, q := range p.touched {
			if q.cpu > 0 || q.asked != 0 && !q.ended {
				p.join(q)
			}
			if q.ended {
				p.unhold(q)
			}
		}
		return
	}
	p.members = slices.DeleteFunc(p.members, func(q *process) bool {
		if q.ended {
			p.unhold(q) // it stays told singly for its last Usage
		}
		return q.ended || q.holder == nil // or it is another workload now
	})
	p.ranking = p.ranking[:0]
	least := math.Inf(1)
	for _, q := range p.members {
		q.score = q.rank(p.clock, now) * stickiness
		least = min(least, q.score)
	}
	for _, q := range p.touched {
		if q.ended || q.holder != nil || q.cpu == 0 && q.asked == 0 {
			continue
		}
		if q.score = q.rank(p.clock, now); len(p.members) < top || q.score > least {
			p.ranking = append(p.ranking, q)
		}
	}
	if len(p.ranking) == 0 {
		return
	}
	p.ranking = append(p.ranking, p.members...)
	slices.SortFunc(p.ranking, func(a, b *process) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.pid, b.pid))
	})
	for i, q := range p.ranking {
		switch {
		case i < top:
			p.join(q)
		case q.top:
			q.top = false
			p.unhold(q)
			q.leftAt = p.clock
			p.left = append(p.left, q)
		}
	}
	p.members = append(p.members[:0], p.ranking[:min(top, len(p.ranking))]...)
	clear(p.ranking)
}

// topAgain is for how many seconds who left the top is the same workload if it comes back.
const topAgain = 60

// letGo ends the workloads of those that left the top long ago, so that they are not told
// for as long as they live: what they do is Other's. One that comes back is another
// workload.
func (p *processes) letGo() {
	kept := p.left[:0]
	for _, q := range p.left {
		switch {
		case q.top || q.ended || !q.told: // came back, or is told as ended
		case p.clock-q.leftAt <= topAgain:
			kept = append(kept, q)
		default:
			p.gone = append(p.gone, Usage{Of: q.work, Socket: q.node.acc.socket, Ended: true})
			q.work, q.told = nil, false
		}
	}
	clear(p.left[len(kept):])
	p.left = kept
}

// rank is how much a process used lately. Who was asked for is before all others.
func (q *process) rank(clock float64, now uint32) float64 {
	rate := q.rateAt(clock)
	if q.asked != 0 && now-q.asked <= activeReads {
		return 1e15 + rate
	}
	return rate
}

func (p *processes) join(q *process) {
	q.top = true
	if q.holder == nil && !q.ended {
		p.hold(q)
	}
}
