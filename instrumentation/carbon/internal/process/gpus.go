package process

import (
	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/usage"
)

// gpuUses is who uses the GPUs, by the sensors that know.
type gpuUses struct {
	uses      []ledger.GPUUse
	loads     []sensor.Load
	processes []sensor.ProcessUse
}

// read tells of each process whether it is this one, which drivers know by pid.
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
			if int(p.PID) == pid {
				u.Of = self
			}
			g.uses = append(g.uses, u)
		}
	}
	return g.uses
}
