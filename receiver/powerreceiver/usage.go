package powerreceiver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
	"github.com/otelcarbon/otelcarbon/internal/usage"
	"github.com/otelcarbon/otelcarbon/internal/workload"
)

// workloadReader tells who used the machine: workload.Reader.
type workloadReader interface {
	Read(ctx context.Context, dst []usage.Usage) ([]usage.Usage, error)
	Busy() usage.Busy
	// Find returns whose process it is by now, nil if nobody knows.
	Find(pid int) *usage.Workload
	Stats() workload.Stats
	Close() error
}

// openWorkloads begins to look at who uses the machine. That nobody can tell costs the
// division, not the measurement.
func (s *sampler) openWorkloads(c *Config) {
	if !c.divides() {
		return
	}
	r, err := workload.Open(c.RootPath, workload.Config{
		Containers: c.Workloads.Containers.Enabled,
		Processes:  c.Workloads.Processes.Enabled,
		Top:        c.Workloads.Processes.Top,
		Owner:      c.ResourceAttributes.ProcessOwner.Enabled,
		Memory:     true,
	})
	if err != nil {
		log := s.logger.Warn
		if errors.Is(err, errors.ErrUnsupported) {
			log = s.logger.Info
		}
		log("energy is not divided among workloads", zap.Error(err))
		return
	}
	s.workload = r
}

// readWorkloads returns what was used since it last did. It does not where ctx has
// ended: what was used until then is told by the next call, and divides the energy that
// was booked meanwhile.
func (s *sampler) readWorkloads(ctx context.Context) (u ledger.Use, ok bool) {
	if s.workload == nil {
		return u, false
	}
	var err error
	s.usages, err = s.workload.Read(ctx, s.usages[:0])
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return u, false
	}
	s.tellUnread(err)
	return ledger.Use{
		Now:    s.now(),
		Usages: s.usages,
		Busy:   s.workload.Busy(),
		GPUs:   s.gpus.read(s.sources, s.workload),
		Floor:  s.idlePower,
	}, true
}

// tellUnread says what of the workloads cannot be read: each class of failures when it
// begins, and again only after a while, however often it comes and goes.
func (s *sampler) tellUnread(err error) {
	if err == nil {
		return
	}
	now := time.Now()
	for p := range sensor.Problems(err) {
		if at, told := s.unread[p.Class]; told && now.Sub(at) < quiet {
			continue
		}
		if s.unread == nil {
			s.unread = make(map[sensor.Class]time.Time)
		}
		s.unread[p.Class] = now
		s.logger.Warn("some workloads cannot be read; what they use is counted as exited or system", zap.Error(p))
	}
}

// eachKind calls f with the number of workloads of each kind that have energy and live.
func (s *sampler) eachKind(f func(kind string, n int)) {
	if s.workload == nil {
		return
	}
	var counts [usage.Group + 1]int
	seen := make(map[*usage.Workload]bool)
	s.mu.Lock()
	for a := range s.ledger.Workloads {
		if a.Of != nil && !a.Ended && !seen[a.Of] {
			seen[a.Of] = true
			counts[a.Of.Kind]++
		}
	}
	s.mu.Unlock()
	for k := usage.Process; k <= usage.Group; k++ {
		f(k.String(), counts[k])
	}
}

// eachUnread calls f with the number of reads of cgroups and processes that failed, by
// class, and of those that were left out because there are too many.
func (s *sampler) eachUnread(f func(class string, n uint64)) {
	if s.workload == nil {
		return
	}
	s.mu.Lock()
	st := s.reads
	s.mu.Unlock()
	f(string(sensor.Permission), st.Permission)
	f(string(sensor.IO), st.IO)
	f(string(sensor.Malformed), st.Malformed)
	f(string(sensor.Masked), st.Hidden)
	f("limit", st.Unlisted)
}

// floor is the idle power of a part, 0 where it is not known. The sampler is locked.
func (s *sampler) floor(p *sensor.Part) unit.Microwatts {
	power, _ := s.idle.Value(p)
	return power
}

// closeWorkloads ends it.
func (s *sampler) closeWorkloads() error {
	if s.workload == nil {
		return nil
	}
	if err := s.workload.Close(); err != nil {
		return fmt.Errorf("workloads: %w", err)
	}
	return nil
}

// gpuUses is who uses the GPUs, by the sensors that know.
type gpuUses struct {
	uses      []ledger.GPUUse
	processes []sensor.ProcessUse
	instances []sensor.Instance
}

func (g *gpuUses) read(sources []*source, who workloadReader) []ledger.GPUUse {
	g.uses = g.uses[:0]
	for _, src := range sources {
		if a, ok := src.sensor.(sensor.Attributor); ok && src.gave > 0 {
			g.add(a, who)
		}
	}
	return g.uses
}

// add translates what one sensor knows of processes into what the ledger divides by.
func (g *gpuUses) add(a sensor.Attributor, who workloadReader) {
	g.processes = a.Processes(g.processes[:0])
	if len(g.processes) == 0 {
		return
	}
	g.instances = a.Instances(g.instances[:0])
	for i := range g.processes {
		p := &g.processes[i]
		u := ledger.GPUUse{Part: p.GPU, Of: who.Find(int(p.PID)), Busy: p.Busy}
		if in := g.instance(p); in != nil {
			u.Slices, u.Total, u.Sharers = in.Slices, in.Total, g.sharers(p)
		}
		g.uses = append(g.uses, u)
	}
}

// instance returns the instance of MIG that a process runs in, nil where there is none.
func (g *gpuUses) instance(p *sensor.ProcessUse) *sensor.Instance {
	if p.Instance == sensor.Unallocated {
		return nil
	}
	for i := range g.instances {
		if in := &g.instances[i]; in.GPU == p.GPU && in.ID == p.Instance {
			return in
		}
	}
	return nil
}

// sharers counts the processes in the instance of one of them.
func (g *gpuUses) sharers(p *sensor.ProcessUse) (n int) {
	for i := range g.processes {
		if q := &g.processes[i]; q.GPU == p.GPU && q.Instance == p.Instance {
			n++
		}
	}
	return n
}
