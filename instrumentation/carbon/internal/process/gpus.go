package process

import (
	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/usage"
)

// gpuUses is who uses the GPUs, by the sensors that know.
type gpuUses struct {
	family *family // nil: children do not count

	uses      []ledger.GPUUse
	loads     []sensor.Load
	processes []sensor.ProcessUse
}

// read tells of each process whether it is this one or a child that counts, which drivers
// know by pid.
func (g *gpuUses) read(inputs []*input, self *usage.Workload, pid int) []ledger.GPUUse {
	g.uses, g.loads = g.uses[:0], g.loads[:0]
	for _, in := range inputs {
		a, ok := in.sensor.(sensor.Attributor)
		if !ok || !in.gives {
			continue
		}
		g.loads = a.Loads(g.loads)
		g.processes = a.Processes(g.processes[:0])
		for i := range g.processes {
			p := &g.processes[i]
			u := ledger.GPUUse{Part: p.GPU, Busy: p.Busy}
			if int(p.PID) == pid || g.family.has(int(p.PID), pid) {
				u.Of = self
			}
			g.uses = append(g.uses, u)
		}
	}
	g.family.forget()
	return g.uses
}

// family tells which processes are children of this one, of any generation. Who once was
// one stays one: the driver tells of a process also when it is gone.
type family struct {
	parent func(pid int) (parent int, started uint64, ok bool)
	known  map[int]relative
}

type relative struct {
	started uint64 // as the kernel counts, so that a number that is used again is another process
	ours    bool
	asked   bool // since forget
}

// generations is how far up a family is followed.
const generations = 64

func (f *family) has(pid, self int) bool {
	if f == nil {
		return false
	}
	r, seen := f.known[pid]
	r.asked = true
	if above, started, ok := f.parent(pid); ok && (!seen || !r.ours || started != r.started) {
		r.started, r.ours = started, false
		for i := 0; ok && above > 0 && i < generations && !r.ours; i++ {
			r.ours = above == self
			above, _, ok = f.parent(above)
		}
	}
	f.known[pid] = r
	return r.ours
}

// forget forgets those of whom nobody asked since it was called before.
func (f *family) forget() {
	if f == nil {
		return
	}
	for pid, r := range f.known {
		if r.asked {
			r.asked = false
			f.known[pid] = r
		} else {
			delete(f.known, pid)
		}
	}
}
