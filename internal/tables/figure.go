package tables

import (
	"math"
	"sync"
	"time"
)

// How an embodied figure was made. Package emission has a half-width for each.
const (
	EmbodiedFootprint = "footprint" // a product footprint, or an assessment, of that very device
	EmbodiedScreening = "screening" // constants per component of a device that nobody looked into
)

// EmbodiedFigure is what the making of a device emitted, ready to be spread over
// time with emission.Embodied.
type EmbodiedFigure struct {
	Kg       float64       // kg CO2e of what was asked for: of an instance type, its share of the server
	Lifetime time.Duration // over which to spread it, never 0
	Method   string        // EmbodiedFootprint or EmbodiedScreening
	// Generic says that the figure stands for any device of its kind, not for the
	// one that was asked about.
	Generic bool
	// Cards is the number of accelerators that Kg contains: do not add them again.
	Cards int

	Source         string // id in sources.csv
	LifetimeSource string // likewise; it is Source where that gives a lifetime itself
	Notes          string // of the row, on whatever figure of it
}

// GramsPerHour returns Kg spread over the lifetime.
func (f EmbodiedFigure) GramsPerHour() float64 { return f.Kg * 1000 / f.Lifetime.Hours() }

// hoursPerYear is that of the tables: 4 years are 35,040 h.
const hoursPerYear = 8760

func years(y float64) time.Duration { return time.Duration(y * hoursPerYear * float64(time.Hour)) }

// Embodied returns the share of an instance type in what the making of its server
// emitted, accelerators and drives of the server included. It is by vCPU: a type
// with 2 of the server's 96 has 1/48 of it. The arguments are those of Lookup, with
// its rules for upper and lower case and for repeated questions.
//
// It is not ok where the table has no such type, or no share of it: for 411 types of
// AWS upstream gives the server and not how many instances share it, and nothing is
// made up for them.
func (t *InstanceTable) Embodied(provider, instanceType string) (f EmbodiedFigure, ok bool) {
	i := t.Lookup(provider, instanceType)
	if i == nil || i.EmbodiedGramsPerHour == 0 || i.LifetimeYears == 0 {
		return EmbodiedFigure{}, false
	}
	life := years(i.LifetimeYears)
	return EmbodiedFigure{
		Kg:             i.EmbodiedGramsPerHour * life.Hours() / 1000,
		Lifetime:       life,
		Method:         EmbodiedScreening,
		Cards:          i.GPUCount,
		Source:         i.EmbodiedSource,
		LifetimeSource: i.EmbodiedSource,
		Notes:          i.Notes,
	}, true
}

// Embodied returns what the making of an accelerator emitted, by the name in the
// table or the one that its driver reports (NVML: "NVIDIA H100 80GB HBM3"). ASCII
// case is ignored; nothing else is, since an H100 PCIe is another card. Its sources
// give no lifetime, so it has that of a server.
//
// It is not ok where the table has no such card, or no figure for it: that is for
// the caller to say, or to fall back to EmbodiedTable.Card. It allocates nothing.
func (t *GPUTable) Embodied(name string) (f EmbodiedFigure, ok bool) {
	g := t.Lookup(name)
	if g == nil || !g.EmbodiedKg.OK {
		return EmbodiedFigure{}, false
	}
	life := serverLifetime()
	return EmbodiedFigure{
		Kg:             g.EmbodiedKg.V,
		Lifetime:       time.Duration(life.V * float64(time.Hour)),
		Method:         EmbodiedFootprint,
		Cards:          1,
		Source:         g.EmbodiedKg.Source,
		LifetimeSource: life.Source,
		Notes:          g.Notes,
	}, true
}

var serverLifetime = sync.OnceValue(func() Value { return Coefficient("server_lifetime") })

// Card returns the constant for an accelerator card of which nothing is known. It is
// generic. It allocates nothing.
func (t *EmbodiedTable) Card() EmbodiedFigure { return t.card.figure(t.card.V, 1) }

// baseMemoryGB is contained in the base of the server model: DRAM_THRESHOLD of
// ccfcoef/constants.py in cloud-carbon-coefficients, and the variant's name.
const baseMemoryGB = 16

// Server returns an estimate for a machine of which only the number of processors
// and the memory are known, by the model of Cloud Carbon Footprint: a rack server
// with one processor and 16 GB of memory, 100 kg more for each further processor and
// 1.388 kg for each further GB. Drives and accelerators are not in it. Less than one
// socket, and memory that is no number, are unknown, and count as what the base
// has. It is generic: a machine of any kind gets it. It allocates nothing.
func (t *EmbodiedTable) Server(sockets int, memoryGB float64) EmbodiedFigure {
	kg := t.server.V + t.socket.V*float64(max(0, sockets-1))
	if memoryGB > baseMemoryGB && !math.IsInf(memoryGB, 0) {
		kg += t.memory.V * (memoryGB - baseMemoryGB)
	}
	return t.server.figure(kg, 0)
}

func (e *EmbodiedFactor) figure(kg float64, cards int) EmbodiedFigure {
	return EmbodiedFigure{
		Kg: kg, Lifetime: years(e.LifetimeYears), Method: EmbodiedScreening, Generic: true, Cards: cards,
		Source: e.Source, LifetimeSource: e.Source, Notes: e.Notes,
	}
}
