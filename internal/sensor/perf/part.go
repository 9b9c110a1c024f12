package perf

import (
	"fmt"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// A domain is what an event of the PMU counts.
type domain string

const (
	pkg   domain = "energy-pkg"
	cores domain = "energy-cores"
	ram   domain = "energy-ram"
	gpu   domain = "energy-gpu"
	psys  domain = "energy-psys"
)

// domains returns the events of the PMU, the package first.
func domains() []domain { return []domain{pkg, cores, gpu, ram, psys} }

// A key is what a part is known by, whichever CPU its event is opened on.
type key struct {
	domain domain
	socket int
	die    int // -1: the whole package
}

const (
	rankPackage  = 0 // of the sources that see a package
	rankEnvelope = 3 // behind BMC, power meter and battery
)

// describe says which part has that key. The lead package is the one whose psys
// has no number. Names and Part.Same are those of powercap.
func describe(k key, lead int, mirrors bool) sensor.Part {
	above := fmt.Sprintf("package-%d", k.socket)
	if k.die >= 0 {
		above += fmt.Sprintf("-die-%d", k.die)
	}
	p := sensor.Part{
		Name:   above,
		Type:   names.HWTypeCPU,
		Sensor: names.SensorPerf,
		Method: sensor.Measured,
		Role:   sensor.Primary,
		Socket: k.socket,
		Die:    k.die,
		Same:   above,
		Rank:   rankPackage,
	}
	within := func(name string) {
		p.Name, p.Same = name, above+"/"+name
	}
	switch k.domain {
	case pkg:
		p.MayMirror = mirrors && k.die >= 0
	case cores:
		within("core")
		p.Role, p.Parent = sensor.Breakdown, names.SensorPerf+":"+above
	case gpu:
		within("uncore") // as powercap calls the plane of the integrated graphics
		p.Role, p.Parent = sensor.Breakdown, names.SensorPerf+":"+above
	case ram:
		within("dram")
		p.Type = names.HWTypeMemory
	case psys:
		p.Name = "psys"
		if k.socket != lead {
			p.Name = fmt.Sprintf("psys-%d", k.socket)
		} else {
			p.Socket = -1
		}
		p.Same, p.Type, p.Role, p.Rank, p.Die = p.Name, names.HWTypeOther, sensor.Envelope, rankEnvelope, -1
		p.Step = 1_000_000 // of Sapphire and Emerald Rapids; the PMU does not tell which it is (RAPL_UNIT_QUIRK_INTEL_SPR, arch/x86/events/rapl.c)
	}
	p.ID = names.SensorPerf + ":" + p.Same
	return p
}
