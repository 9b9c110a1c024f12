package ledger

import (
	"slices"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
	"github.com/otelcarbon/otelcarbon/internal/usage"
)

// GPUUse is what one process did on one GPU since the last tick.
type GPUUse struct {
	Part *sensor.Part
	Of   *usage.Workload // nil: nobody knows whose process it is
	Busy time.Duration   // utilization over time

	// Under MIG nobody knows the utilization: Slices of Total are the instance's that
	// the process runs in, together with Sharers − 1 others.
	Slices, Total, Sharers int
}

// sliceTime stands for the use of one slice in one tick: only the proportion counts.
const sliceTime = uint64(time.Second)

// lastFor is how long it is assumed that a GPU is used as it was.
const lastFor = 3 * time.Second

// gpuStake is who used a GPU.
type gpuStake struct {
	now     []gpuWeight // since energy came last
	last    []gpuWeight // before that
	lastAt  time.Time
	pending unit.Microjoules // dynamic energy whose samples may still come

	held  []gpuWeight // who holds it in this tick
	total uint64      // of held, if all of the GPU were held; 0: holders have all of it
}

type gpuWeight struct {
	slot   int
	weight uint64
}

// gather takes in the processes of a GPU.
func (a *attribution) gather(s *stake, p *part, uses []GPUUse) {
	if s.gpu == nil {
		s.gpu = &gpuStake{}
	}
	g := s.gpu
	g.held, g.total = g.held[:0], 0
	for i := range uses {
		x := &uses[i]
		if x.Part != p.key && (x.Part == nil || x.Part.ID != p.ID && (p.Same == "" || x.Part.Same != p.Same)) {
			continue
		}
		n := unattributedSlot
		if x.Of != nil {
			n = a.slot(slotKey{x.Of, ShareWorkload})
		}
		busy, held := uint64(max(x.Busy, 0)), uint64(1)
		if x.Total > 0 {
			busy = uint64(max(x.Slices, 0)) * sliceTime / uint64(max(x.Sharers, 1))
			held, g.total = busy, uint64(x.Total)*sliceTime
		}
		g.now = addWeight(g.now, n, busy)
		g.held = addWeight(g.held, n, held)
	}
}

func addWeight(ws []gpuWeight, slot int, w uint64) []gpuWeight {
	if w == 0 {
		return ws
	}
	if i := slices.IndexFunc(ws, func(x gpuWeight) bool { return x.slot == slot }); i >= 0 {
		ws[i].weight += w
		return ws
	}
	return append(ws, gpuWeight{slot, w})
}

func has(ws []gpuWeight, slot int) bool {
	return slices.ContainsFunc(ws, func(x gpuWeight) bool { return x.slot == slot })
}

func (a *attribution) listGPU(ws []gpuWeight) {
	a.list()
	for _, w := range ws {
		a.add(w.slot, w.weight)
	}
}

// divideGPU divides the energy of a GPU by the utilization of its processes, not by
// that of the GPU: what it draws beyond idling is theirs. Samples come late, so energy
// without any waits for the next tick.
func (a *attribution) divideGPU(g *gpuStake, class int, idle, dynamic unit.Microjoules) {
	a.giveGPUIdle(g, class, idle)
	if len(g.now) == 0 {
		a.credit(unattributedSlot, class, g.pending)
		g.pending = dynamic
		return
	}
	a.listGPU(g.now)
	a.give(class, dynamic+g.pending)
	g.pending = 0
	g.now, g.last, g.lastAt = g.last[:0], g.now, a.at
}

// settleGPU divides what waits, now: by samples that came meanwhile, or else as it
// was shortly before.
func (a *attribution) settleGPU(g *gpuStake, class int) {
	switch {
	case len(g.now) > 0:
		a.listGPU(g.now)
	case len(g.last) > 0 && a.at.Sub(g.lastAt) <= lastFor:
		a.listGPU(g.last)
	default:
		a.list()
	}
	a.credit(unattributedSlot, class, a.give(class, g.pending))
	g.pending = 0
}

// giveGPUIdle divides what a GPU draws unused. One that is held is of no use to
// others, so that under any policy but IdleSeparate its holders share it; slices that
// nobody holds stay idle.
func (a *attribution) giveGPUIdle(g *gpuStake, class int, e unit.Microjoules) {
	if e == 0 {
		return
	}
	a.list()
	if a.policy != IdleSeparate {
		ws := g.held
		if a.policy == IdleByUsage && g.total == 0 && len(g.now) > 0 {
			ws = g.now
		}
		var sum uint64
		for _, w := range ws {
			a.add(w.slot, w.weight)
			sum += w.weight
		}
		if g.total > sum {
			a.add(idleSlot, g.total-sum)
		}
	}
	a.credit(idleSlot, class, a.give(class, e))
}

// forget moves the weights of a slot that is given back to another.
func (g *gpuStake) forget(slot, heir int) {
	for _, ws := range [...]*[]gpuWeight{&g.now, &g.last} {
		if i := slices.IndexFunc(*ws, func(x gpuWeight) bool { return x.slot == slot }); i >= 0 {
			w := (*ws)[i].weight
			*ws = addWeight(slices.Delete(*ws, i, i+1), heir, w)
		}
	}
	g.held = slices.DeleteFunc(g.held, func(x gpuWeight) bool { return x.slot == slot })
}
