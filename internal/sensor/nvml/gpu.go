package nvml

import (
	"time"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

const (
	minMaxPower     = 1000 * unit.Watt // a Blackwell GPU may draw it
	absurdMilliwatt = 1_000_000 * 1000 // 1 MW
	maxMillijoules  = 1<<63/1000 - 1   // as µJ half of what fits
	microPerMilli   = 1000             // µW per mW, µJ per mJ
	// The counter moves every 20 to 100 ms as others have measured, the buffer of samples may lag more.
	counterStep = 100 * time.Millisecond
	sampledStep = time.Second

	silence    = 30 * time.Second      // without a sample of power; energy.DefaultMaxGap
	clockSlack = uint64(5 * 1_000_000) // µs that a time stamp may lie in the future
)

// aspect is what can go wrong with a GPU by itself.
type aspect uint8

const (
	aspectEnergy aspect = iota
	aspectModule
	aspectLayout
	aspectUse
	aspectUtilization
	aspectProcesses
	aspects
)

var aspectNames = [aspects]string{"energy", "module power", "MIG instances", "utilization", "process utilization", "processes"}

// gpu is one GPU, kept for good once it was seen.
type gpu struct {
	key    string // its UUID, or its PCI address
	name   string
	arch   architecture
	index  int    // as NVML counts at present
	handle device // nil: not there now

	source source
	part   *sensor.Part // nil until the source is decided
	count  *integral    // of power samples

	module moduleState
	whole  *sensor.Part // the module

	mig    layout
	users  users
	unused bool  // the driver does not say how far it is used
	busy   Load  // as last asked
	load   *Load // busy, if this Read brought it

	problems [aspects]*sensor.Problem
	statuses [aspects]status
}

// newGPU asks a handle who it is. An empty key means that nothing tells it.
func newGPU(index int, h device) (*gpu, status) {
	g := &gpu{index: index, handle: h}
	uuid, s := h.UUID()
	switch {
	case s == success && saneUUID(uuid):
		g.key = uuid
	case s.lost():
		return g, s
	}
	if g.key == "" {
		if bus, s := h.PCI(); s == success {
			g.key, _ = pciAddress(bus)
		} else if !s.unsupported() {
			return g, s
		}
	}
	name, s := h.Name()
	if s.lost() {
		return g, s
	}
	g.name = saneName(name)
	if g.arch, s = h.Architecture(); s.lost() {
		return g, s
	}
	return g, success
}

// renew forgets what the driver said of itself before it was initialized anew.
func (g *gpu) renew() {
	g.problems = [aspects]*sensor.Problem{}
	if g.module == moduleNone {
		g.module = moduleUnknown
	}
	g.mig.unsupported, g.mig.known = false, false
	g.users.refused = [4]status{}
	g.unused = false
}

// report keeps what is wrong with an aspect; a failure that lasts is one value.
func (g *gpu) report(a aspect, s status) {
	if g.problems[a] == nil || g.statuses[a] != s {
		g.problems[a], g.statuses[a] = newProblem(g.key+": "+aspectNames[a], s), s
	}
}

// Statuses that NVML does not have, for what was odd about an answer.
const (
	tooMuch status = 1<<31 + iota
	tooQuiet
	fewSamples
	noMore
	nothingToRead
)

func (g *gpu) reportOdd(a aspect, s status, class sensor.Class, what, remedy string) {
	if g.problems[a] == nil || g.statuses[a] != s {
		p := odd(g.key+": "+aspectNames[a], what)
		p.Class, p.Remedy = class, remedy
		g.problems[a], g.statuses[a] = p, s
	}
}

func (g *gpu) clear(a aspect) { g.problems[a] = nil }

// describe makes the part, now that its method is known.
func (g *gpu) describe(m sensor.Method, limit unit.Microwatts) {
	g.part = &sensor.Part{
		ID:       names.SensorNVML + ":" + g.key,
		Name:     g.name,
		Type:     names.HWTypeGPU,
		Sensor:   names.SensorNVML,
		Method:   m,
		Role:     sensor.Primary,
		Socket:   -1,
		Die:      -1,
		Same:     "gpu/" + g.key,
		MaxPower: max(2*limit, minMaxPower),
	}
	switch g.source {
	case counter:
		g.part.Step, g.part.Refresh = g.part.MaxPower.Over(counterStep), counterStep
	case sampled:
		g.part.Step, g.part.Refresh = g.part.MaxPower.Over(sampledStep), sampledStep
	}
}

// describeModule makes the part of the module around a GPU. It contains the
// energy of its CPU and of this GPU; the host may have several.
func (g *gpu) describeModule() {
	g.whole = &sensor.Part{
		ID:       names.SensorNVML + ":" + g.key + "/module",
		Name:     g.name + " module",
		Type:     names.HWTypeOther,
		Sensor:   names.SensorNVML,
		Method:   sensor.Integrated,
		Role:     sensor.Envelope,
		Socket:   -1,
		Die:      -1,
		MaxPower: 4 * minMaxPower,
	}
}
