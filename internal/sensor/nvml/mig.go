package nvml

import (
	"slices"
	"time"
)

// layout is how MIG has cut a GPU.
type layout struct {
	unsupported bool
	known       bool // the rest holds
	enabled     bool
	sum         uint64 // of the set of MIG devices
	checked     time.Time

	slices    int
	instances []migInstance // not changed in place: Instance shares its Devices
}

// readLayouts looks whether the instances have changed, and tells them anew if
// so. Enumerating those of one GPU may take 100 ms, so it is done on a change
// only, and what does not fit into a part of the timeout waits for the next Read.
func (c *core) readLayouts(now time.Time) {
	changed, begun := false, time.Now()
	for _, g := range c.gpus {
		m := &g.mig
		if g.handle == nil || g.part == nil || m.unsupported || m.known && now.Sub(m.checked) < c.config.LayoutInterval {
			continue
		}
		if time.Since(begun) > c.config.Timeout/4 {
			break
		}
		c.doing.set(g.index, callLayout)
		enabled, sum, s := g.handle.Layout()
		switch {
		case s.unsupported():
			changed = changed || m.enabled
			*m = layout{unsupported: true}
			g.clear(aspectLayout)
			continue
		case s != success:
			g.report(aspectLayout, c.seeAside(s))
			m.known, m.checked = true, now
			continue
		}
		// Under MIG some calls are refused, and it may have been switched on and off
		// between two looks.
		g.unused, g.users.refused = false, [4]status{}
		if m.checked.IsZero() || !m.known || enabled != m.enabled || sum != m.sum {
			changed = c.readInstances(g, enabled, sum) || changed
		}
		m.known, m.checked = true, now
	}
	if changed {
		c.tellInstances()
	}
}

// readInstances takes over the instances of a GPU. It says whether it could.
func (c *core) readInstances(g *gpu, enabled bool, sum uint64) bool {
	m := &g.mig
	if !enabled {
		was := m.enabled
		*m = layout{sum: sum}
		g.clear(aspectLayout)
		return was
	}
	all, total, s := g.handle.Instances(nil)
	if s != success {
		g.report(aspectLayout, c.seeAside(s))
		m.sum = ^sum // so that it is tried again
		return false
	}
	slices.SortFunc(all, func(a, b migInstance) int { return a.id - b.id })
	m.enabled, m.sum, m.slices, m.instances = true, sum, total, all
	g.clear(aspectLayout)
	return true
}

// tellInstances makes the list for all GPUs.
func (c *core) tellInstances() {
	var told []Instance
	for _, g := range c.gpus {
		if g.part == nil || !g.mig.enabled {
			continue
		}
		free := g.mig.slices
		for _, i := range g.mig.instances {
			told = append(told, Instance{GPU: g.part, ID: i.id, Slices: i.slices, Total: g.mig.slices, Devices: i.devices})
			free -= i.slices
		}
		if free > 0 {
			told = append(told, Instance{GPU: g.part, ID: unallocated, Slices: free, Total: g.mig.slices})
		}
	}
	c.instances = told
}

// migUUIDs returns the UUIDs of the MIG devices of a GPU, for choosing it.
func (c *core) migUUIDs(g *gpu) (uuids []string) {
	c.doing.set(g.index, callLayout)
	if enabled, _, s := g.handle.Layout(); c.seeAside(s) != success || !enabled {
		return nil
	}
	all, _, s := g.handle.Instances(nil)
	_ = c.seeAside(s)
	for _, i := range all {
		uuids = append(uuids, i.devices...)
	}
	return uuids
}
