package nvml

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

const (
	minBackoff = time.Second
	maxBackoff = 5 * time.Minute
	// rescanInterval is how often GPUs that could not be identified are tried again.
	rescanInterval = 30 * time.Second
	// maxGPUs bounds what a driver gone mad can make us keep.
	maxGPUs = 1024
)

// core is the state of the worker: NVML as it is, and what the last collect
// gathered.
type core struct {
	lib    library
	config Config
	doing  trace

	ready   bool      // initialized
	broken  bool      // and to be initialized anew
	retry   time.Time // not before
	backoff time.Duration
	since   time.Time // of the last initialization
	absent  *sensor.Problem

	gpus       []*gpu // as first seen
	byKey      map[string]*gpu
	bound      map[string]string // selector → key
	enumerated time.Time
	incomplete bool // something could not be identified

	initProblem *sensor.Problem
	problems    []*sensor.Problem // of the last enumeration
	notes       []*sensor.Problem // not yet delivered

	// What was gathered.
	readings  []sensor.Reading
	instances []Instance // immutable
	uses      []ProcessUse
	loads     []Load
	err       error

	scratch, joined []*sensor.Problem
	fields          [2]field
	samples         []powerSample
	use             []useSample
	list            []process
}

func newCore(lib library, c Config) *core {
	return &core{lib: lib, config: c, byKey: map[string]*gpu{}, bound: map[string]string{}, backoff: minBackoff}
}

// collect reads all GPUs. Notes and what processes did are gathered until they
// were delivered.
func (c *core) collect(delivered bool) {
	now := time.Now()
	if delivered {
		c.notes = c.notes[:0]
	}
	switch {
	case (!c.ready || c.broken) && !now.Before(c.retry):
		c.initialize(now)
	case c.ready && c.incomplete && now.Sub(c.enumerated) >= rescanInterval:
		c.enumerate(now)
	}
	c.readings = c.readings[:0]
	if c.ready {
		was := c.broken
		for _, g := range c.gpus {
			if g.handle != nil {
				c.read(g)
			}
		}
		c.readLayouts(now)
		if !c.broken && !was && now.Sub(c.since) >= c.backoff {
			c.backoff = minBackoff
		}
	}
	if c.config.Processes {
		c.readProcesses(now, delivered)
	}
	c.join()
}

// initialize initializes the library, again if it was before.
func (c *core) initialize(now time.Time) {
	c.shutdown()
	c.doing.set(noGPU, callInit)
	s := c.lib.Init()
	c.since, c.absent = now, nil
	if s != success {
		if s == libraryNotFound || s == driverNotLoaded {
			c.absent = absent(s)
		}
		c.initProblem = newProblem(callNames[callInit], s)
		c.postpone(now)
		return
	}
	c.ready, c.broken, c.initProblem = true, false, nil
	c.enumerate(now)
}

// shutdown gives the library back; no handle is valid behind it.
func (c *core) shutdown() {
	if !c.ready {
		return
	}
	c.ready = false
	for _, g := range c.gpus {
		g.handle = nil
	}
	c.doing.set(noGPU, callShutdown)
	_ = c.lib.Shutdown() // Init says what is wrong
}

// see takes note of a status that the library must be initialized anew for.
func (c *core) see(s status) status {
	if s.lost() && !c.broken {
		c.broken = true
		c.postpone(time.Now())
	}
	return s
}

// seeAside is see for calls that energy does not depend on: some drivers answer
// them with an unknown error although all is well.
func (c *core) seeAside(s status) status {
	if s != unknown {
		_ = c.see(s)
	}
	return s
}

func (c *core) postpone(now time.Time) {
	c.retry = now.Add(c.backoff)
	c.backoff = min(2*c.backoff, maxBackoff)
}

// enumerate finds the selected GPUs. Known ones keep their parts and what was
// integrated.
func (c *core) enumerate(now time.Time) {
	c.enumerated, c.incomplete = now, false
	c.problems = c.problems[:0]
	c.doing.set(noGPU, callCount)
	n, s := c.lib.Count()
	if c.see(s) != success {
		c.fail(newProblem(callNames[callCount], s))
		return
	}
	if n <= 0 {
		c.absent = absent(gpuNotFound)
		c.fail(newProblem("", gpuNotFound))
	}
	found := c.identify(min(n, maxGPUs))
	all := make([]candidate, len(found))
	for i, g := range found {
		all[i] = candidate{index: g.index, key: g.key, mig: func() []string { return c.migUUIDs(g) }}
	}
	chosen, problems, notes := choose(c.config.Devices, c.bound, all)
	c.notes = append(c.notes, notes...)
	for _, p := range problems {
		c.fail(p)
	}
	for _, g := range c.gpus {
		g.handle = nil
	}
	for i, g := range found {
		if chosen[i] {
			c.adopt(g)
		}
	}
	for _, g := range c.gpus {
		if g.handle == nil {
			c.fail(newProblem(g.key, c.see(gpuIsLost)))
		}
	}
}

func (c *core) fail(p *sensor.Problem) {
	c.incomplete = true
	c.problems = append(c.problems, p)
}

// identify asks each index for its GPU.
func (c *core) identify(n int) (found []*gpu) {
	keys := map[string]bool{}
	for i := range n {
		path := fmt.Sprintf("GPU %d", i)
		c.doing.set(i, callDevice)
		h, s := c.lib.Device(i)
		if c.see(s) != success {
			c.fail(newProblem(path, s))
			continue
		}
		c.doing.set(i, callIdentity)
		g, s := newGPU(i, h)
		switch {
		case c.see(s) != success:
			c.fail(newProblem(path, s))
		case g.key == "":
			c.fail(odd(path, "it has neither a UUID nor a PCI address, so it would change its name with its index: it is not counted"))
		case keys[g.key]:
			c.fail(odd(path, "its UUID "+g.key+" is that of another one too: it is not counted"))
		default:
			keys[g.key] = true
			found = append(found, g)
		}
	}
	return found
}

// adopt takes a GPU over, or its handle if it is known.
func (c *core) adopt(g *gpu) {
	known := c.byKey[g.key]
	if known == nil {
		c.byKey[g.key] = g
		c.gpus = append(c.gpus, g)
		return
	}
	known.index, known.handle, known.arch = g.index, g.handle, g.arch
	known.renew()
}

// join joins what is wrong now. Failures that last give the same value again.
func (c *core) join() {
	all := c.scratch[:0]
	if c.initProblem != nil {
		all = append(all, c.initProblem)
	}
	all = append(all, c.notes...)
	if c.initProblem == nil {
		all = append(all, c.problems...)
	}
	for _, g := range c.gpus {
		for _, p := range g.problems {
			if p != nil && g.handle != nil {
				all = append(all, p)
			}
		}
	}
	c.scratch = all
	if slices.Equal(all, c.joined) {
		return
	}
	c.joined = append(c.joined[:0], all...)
	errs := make([]error, len(all))
	for i, p := range all {
		errs[i] = p
	}
	c.err = errors.Join(errs...)
}
