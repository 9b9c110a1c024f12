package rapl

import (
	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// A key is what a part is known by, however its zone is numbered.
type key struct {
	name  string
	above string // name of the zone that holds it, "" at the top
}

const (
	rangeSPRPsys = (1<<32 - 1) * 1_000_000 // µJ; psys of Sapphire Rapids counts whole joules in 32 bits (drivers/powercap/intel_rapl_msr.c, psys energy unit of SPR)
	rangeAMD     = 65_532_610_987          // µJ; package counter of AMD: ⌊(2³²−1) × 15.258 µJ⌋ (unit 2⁻¹⁶ J, truncated to nJ by the kernel)
)

// Ranks among the sensors that measure the same.
const (
	rank         = 1 // behind perf
	rankEnvelope = 4 // behind what measures at the input of the machine, and perf
)

const (
	minMaxPower = 1000 * unit.Watt   // no part of a machine is judged by less
	absurdPower = 10_000 * unit.Watt // a constraint above this is garbage: all ones are 32 kW in TPMI_POWER_INFO_MAX
	absurdRange = 1 << 63            // µJ; so is a range above this
)

// limits is what a zone says about its counter.
type limits struct {
	maxRange   unit.Microjoules // 0: unknown
	constraint unit.Microwatts  // the largest constraint_*_max_power_uw, 0: unknown
}

// sanePower returns µW from a constraint file, or 0 if nobody should believe it.
func sanePower(uw uint64) unit.Microwatts {
	if p := unit.Microwatts(uw); p <= absurdPower {
		return p
	}
	return 0
}

// saneRange returns µJ from max_energy_range_uj, or 0 if nobody should believe it.
func saneRange(uj uint64) unit.Microjoules {
	if uj > absurdRange {
		return 0
	}
	return unit.Microjoules(uj)
}

// describe says which part has that key. It is false for what cannot be counted
// because nobody knows what it contains: a zone at the top which is neither a
// package nor psys, and whatever lies below such a zone.
func describe(k key, l limits, mirrorsDies bool) (p sensor.Part, ok bool) {
	p = sensor.Part{
		ID:       names.SensorRAPL + ":" + k.name,
		Same:     k.name,
		Rank:     rank,
		Name:     k.name,
		Type:     names.HWTypeCPU,
		Sensor:   names.SensorRAPL,
		Method:   sensor.Measured,
		Role:     sensor.Primary,
		Socket:   -1,
		Die:      -1,
		MaxPower: max(2*l.constraint, minMaxPower),
	}
	if k.above == "" {
		if socket, die, isPackage := parsePackage(k.name); isPackage {
			p.Socket, p.Die = socket, die
			p.MayMirror = mirrorsDies && die >= 0
			return p, true
		}
		if socket, isPsys := parsePsys(k.name); isPsys {
			p.Type, p.Role, p.Socket, p.Rank = names.HWTypeOther, sensor.Envelope, socket, rankEnvelope
			if l.maxRange == rangeSPRPsys {
				p.Step = 1_000_000
			}
			return p, true
		}
		return p, false
	}

	socket, die, inPackage := parsePackage(k.above)
	if _, inPsys := parsePsys(k.above); !inPackage && !inPsys {
		return p, false
	}
	p.Same = k.above + "/" + k.name
	p.ID = names.SensorRAPL + ":" + p.Same
	if inPackage {
		p.Socket, p.Die = socket, die
		if k.name == "dram" {
			p.Type = names.HWTypeMemory
			return p, true
		}
	}
	p.Parent, p.Role = names.SensorRAPL+":"+k.above, sensor.Breakdown
	return p, true
}

// isSingleCore says whether a zone shows one core instead of all, as on AMD.
func isSingleCore(k key, mirrorsDies bool) bool {
	return mirrorsDies && k.name == "core" && k.above != ""
}
