package nvml

import (
	"slices"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// source is where the energy of a GPU comes from.
type source uint8

const (
	undecided source = iota
	counter          // mJ since the driver was loaded
	sampled          // the driver's buffer of power samples, integrated here
	average          // field: mean power of the last second
	instant          // field: power now
	usage            // nvmlDeviceGetPowerUsage
)

// moduleState says whether a GPU is part of a module that has power of its own.
type moduleState uint8

const (
	moduleUnknown moduleState = iota
	moduleNone
	moduleAverage
	moduleInstant
)

// integral is the energy of power samples since the first of them. Its zero
// value has none.
type integral struct {
	gauge  *energy.Gauge
	total  unit.Microjoules
	stamp  uint64    // µs, of the newest sample
	arrive time.Time // of the newest sample
}

// read appends the readings of one GPU.
func (c *core) read(g *gpu) {
	c.doing.set(g.index, callEnergy)
	if g.source == undecided {
		c.decide(g)
	}
	switch g.source {
	case undecided:
	case counter:
		c.readCounter(g)
	case sampled:
		c.readSamples(g)
	default:
		c.readPower(g)
	}
	if g.module != moduleNone {
		c.readModule(g)
	}
}

// decide takes the best source that answers: the counter, then samples, whose
// period is shorter than ours, then one value for each Read: the mean of a second
// before a moment's power, of which a load that comes and goes shows a part only.
func (c *core) decide(g *gpu) {
	_, s := g.handle.Energy()
	switch {
	case s == success:
		g.settle(counter, sensor.Measured)
		return
	case !s.unsupported():
		g.report(aspectEnergy, c.see(s))
		return
	}
	c.doing.set(g.index, callPower)
	samples, s := g.handle.PowerSamples(c.samples[:0], 0)
	c.samples = samples
	switch {
	case s == success && len(samples) > 0:
		g.count = &integral{gauge: energy.NewGauge(silence)}
		g.settle(sampled, sensor.Integrated)
		return
	case s != success && !s.unsupported() && !s.empty():
		g.report(aspectEnergy, c.see(s))
		return
	}
	from := []source{average, instant, usage}
	if g.arch < ampere {
		from = from[1:]
	}
	for _, from := range from {
		_, s := c.power(g, from)
		if s == success {
			g.settle(from, sensor.Integrated)
			return
		}
		if c.see(s).lost() || s == noPermission {
			g.report(aspectEnergy, s)
			return
		}
	}
	g.reportOdd(aspectEnergy, nothingToRead, sensor.Absent, "the driver offers neither energy nor power of this GPU", "")
}

func (g *gpu) settle(from source, m sensor.Method) {
	g.source = from
	limit := []field{{id: fieldPowerMaxLimit}}
	var most unit.Microwatts
	if g.handle.Fields(limit) == success && limit[0].status == success && limit[0].value < absurdMilliwatt {
		most = unit.Microwatts(limit[0].value * microPerMilli)
	}
	g.describe(m, most)
}

func (c *core) readCounter(g *gpu) {
	mj, s := g.handle.Energy()
	at := time.Now()
	switch {
	case s.unsupported():
		g.reportOdd(aspectEnergy, noMore, sensor.Gone, "the driver no longer offers the energy counter", "restart this process: it will integrate power instead")
	case s != success:
		g.report(aspectEnergy, c.see(s))
	case mj > maxMillijoules:
		g.reportOdd(aspectEnergy, tooMuch, sensor.Malformed, "the energy counter is beyond all reason", "")
	default:
		g.clear(aspectEnergy)
		c.readings = append(c.readings, sensor.Reading{Part: g.part, At: at, Kind: sensor.Counter, Energy: unit.Microjoules(mj * microPerMilli)})
	}
}

// readSamples integrates the samples since the last Read. No sample within the
// update step of the driver is legal and gives the same count again.
func (c *core) readSamples(g *gpu) {
	c.doing.set(g.index, callPower)
	n := g.count
	samples, s := g.handle.PowerSamples(c.samples[:0], n.stamp)
	c.samples = samples
	at := time.Now()
	if s != success && !s.empty() {
		g.report(aspectEnergy, c.see(s))
		return
	}
	fresh, whole := n.add(samples, at)
	if fresh {
		n.arrive = at
	}
	switch {
	case n.stamp == 0 || at.Sub(n.arrive) > silence:
		g.reportOdd(aspectEnergy, tooQuiet, sensor.IO, "the driver has no new samples of power", "")
		return
	case !whole:
		g.reportOdd(aspectEnergy, fewSamples, sensor.IO, "samples of power are missing: the energy of that time is not counted", "read more often")
	default:
		g.clear(aspectEnergy)
	}
	c.readings = append(c.readings, sensor.Reading{Part: g.part, At: at, Kind: sensor.Counter, Energy: n.total})
}

// add integrates samples in any order. It says whether one was new, and whether
// they follow the earlier ones without a hole.
func (n *integral) add(samples []powerSample, now time.Time) (fresh, whole bool) {
	slices.SortFunc(samples, func(a, b powerSample) int { return compare(a.stamp, b.stamp) })
	latest := stamp(now) + clockSlack
	if n.stamp > latest { // the clock was set back
		n.stamp, n.gauge = 0, energy.NewGauge(silence)
	}
	whole = true
	for _, s := range samples {
		if s.stamp <= n.stamp || s.stamp > latest || s.milliwatt > absurdMilliwatt {
			continue
		}
		d, event := n.gauge.Advance(time.UnixMicro(int64(s.stamp)), unit.Microwatts(s.milliwatt*microPerMilli)) //nolint:gosec // not later than now
		n.stamp, fresh = s.stamp, true
		n.total += d.Energy
		whole = whole && !event.Has(energy.Gap)
	}
	return fresh, whole
}

// stamp returns t as NVML counts: µs since 1970.
func stamp(t time.Time) uint64 { return uint64(max(0, t.UnixMicro())) }

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (c *core) readPower(g *gpu) {
	c.doing.set(g.index, callPower)
	mw, s := c.power(g, g.source)
	at := time.Now()
	switch {
	case s != success:
		g.report(aspectEnergy, c.see(s))
	case mw > absurdMilliwatt:
		g.reportOdd(aspectEnergy, tooMuch, sensor.Malformed, "the power is beyond all reason", "")
	default:
		g.clear(aspectEnergy)
		c.readings = append(c.readings, sensor.Reading{Part: g.part, At: at, Kind: sensor.Gauge, Power: unit.Microwatts(mw * microPerMilli)})
	}
}

// power returns mW.
func (c *core) power(g *gpu, from source) (uint64, status) {
	switch from {
	case average:
		return c.field(g, fieldPowerAverage, scopeGPU)
	case instant:
		return c.field(g, fieldPowerInstant, scopeGPU)
	}
	mw, s := g.handle.Power()
	return uint64(mw), s
}

func (c *core) field(g *gpu, id, scope uint32) (uint64, status) {
	f := c.fields[:1]
	f[0] = field{id: id, scope: scope}
	if s := g.handle.Fields(f); s != success {
		return 0, s
	}
	return f[0].value, f[0].status
}

// readModule reads the power of the whole module where there is one, as on Grace
// Hopper.
func (c *core) readModule(g *gpu) {
	c.doing.set(g.index, callModule)
	if g.module == moduleUnknown && !c.decideModule(g) {
		return
	}
	id := uint32(fieldPowerAverage)
	if g.module == moduleInstant {
		id = fieldPowerInstant
	}
	mw, s := c.field(g, id, scopeModule)
	at := time.Now()
	switch {
	case s != success:
		g.report(aspectModule, c.seeAside(s))
	case mw > absurdMilliwatt:
		g.reportOdd(aspectModule, tooMuch, sensor.Malformed, "the power is beyond all reason", "")
	default:
		g.clear(aspectModule)
		c.readings = append(c.readings, sensor.Reading{Part: g.whole, At: at, Kind: sensor.Gauge, Power: unit.Microwatts(mw * microPerMilli)})
	}
}

// decideModule says whether there is a module to read. A GPU on a card answers
// that it does not support it, as do older drivers, in one way or another.
func (c *core) decideModule(g *gpu) bool {
	for i, id := range [...]uint32{fieldPowerAverage, fieldPowerInstant} {
		mw, s := c.field(g, id, scopeModule)
		if s == success && mw > 0 {
			g.module = moduleAverage + moduleState(i)
			if g.whole == nil {
				g.describeModule()
			}
			return true
		}
		if c.seeAside(s).lost() && s != unknown {
			return false
		}
	}
	g.module = moduleNone
	return false
}
