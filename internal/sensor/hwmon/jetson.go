package hwmon

import (
	"slices"
	"strconv"
	"strings"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// A rail is what is known of a supply of a Jetson module.
type rail struct {
	hwType string
	covers []string
	inside string // rail that feeds this one
}

// railOf knows the rails that do not contain each other on modules without a
// measured input (Jetson Linux Developer Guide, power consumption): AGX Orin, AGX
// Xavier, and those which share names with them. VIN_SYS_5V0 feeds the memory.
func railOf(label string) (r rail, ok bool) {
	switch label {
	case "VDD_CPU_CV", "CPU", "VDD_SYS_CPU", "POM_5V_CPU":
		return rail{hwType: names.HWTypeCPU}, true
	case "VDD_CPU_GPU_CV":
		return rail{hwType: names.HWTypeCPU, covers: []string{names.HWTypeGPU}}, true
	case "VDD_GPU_SOC", "GPU", "VDD_SYS_GPU", "POM_5V_GPU":
		return rail{hwType: names.HWTypeGPU}, true
	case "VDDRQ", "VDD_SYS_DDR":
		return rail{hwType: names.HWTypeMemory}, true
	case "VDDQ_VDD2_1V8AO":
		return rail{hwType: names.HWTypeMemory, inside: "VIN_SYS_5V0"}, true
	case "VIN_SYS_5V0":
		return rail{hwType: names.HWTypeOther, covers: []string{names.HWTypeMemory}}, true
	case "SOC", "CV", "SYS5V", "VDD_SOC", "VDD_SYS_SOC", "VDD_4V0_WIFI":
		return rail{hwType: names.HWTypeOther}, true
	}
	return rail{hwType: names.HWTypeOther}, false
}

// isInput says whether a rail is the input of the module, which contains all others.
func isInput(label string) bool { return label == "VDD_IN" || label == "POM_5V_IN" }

// supply is a rail with where it is read.
type supply struct {
	chip    *chip
	label   string
	sources []source
}

func (s supply) id() string { return s.chip.id(strings.ReplaceAll(s.label, " ", "_")) }

// jetson plans INA3221 chips. Channels 1 to 3 measure rails; in4 to in6 are the
// voltages over their shunts, in7 and curr4 sums over the chip: neither is read.
// A channel without a label measures what only the maker of the board knows.
func (p *plan) jetson() {
	var rails []supply
	ids := map[string]string{} // by label
	for _, c := range slices.Concat(p.named(chipINA), p.named(chipINAOld)) {
		for _, s := range c.supplies() {
			rails = append(rails, s)
			ids[s.label] = s.id()
		}
	}
	input := ""
	for _, s := range rails {
		if !isInput(s.label) {
			continue
		}
		added := p.add(s.chip, sensor.Gauge, s.sources, sensor.Part{
			ID: s.id(), Name: s.label, Type: names.HWTypeOther, Socket: -1,
			Covers: []string{names.HWTypeCPU, names.HWTypeMemory, names.HWTypeGPU},
		})
		if added && input == "" {
			input = s.id()
		}
	}
	for _, s := range rails {
		if isInput(s.label) {
			continue
		}
		r, isKnown := railOf(s.label)
		part := sensor.Part{ID: s.id(), Name: s.label, Type: r.hwType, Socket: -1}
		switch {
		case input != "":
			part.Role, part.Parent = sensor.Breakdown, input
		case !isKnown:
			p.complain(s.chip.folder, "the rail %s is none that this version knows, and may lie inside another: it is not counted", s.label)
			p.problems[len(p.problems)-1].remedy = "add it to chips in the configuration if you know its place"
			continue
		case r.inside != "" && ids[r.inside] != "":
			part.Role, part.Parent = sensor.Breakdown, ids[r.inside]
		default:
			part.Covers = r.covers
		}
		p.add(s.chip, sensor.Gauge, s.sources, part)
	}
}

// supplies returns the rails of a chip that have a name and can be read.
func (c *chip) supplies() (ss []supply) {
	for n := range 4 { // hwmon counts them from 1, iio from 0
		number := strconv.Itoa(n)
		var s supply
		switch {
		case n > 0 && c.has["in"+number+"_input"]:
			s = supply{chip: c, label: c.text["in"+number+"_label"], sources: c.product(number)}
		case n < 3 && c.has["in_voltage"+number+"_input"] && c.has["in_current"+number+"_input"]:
			s = supply{chip: c, label: c.text["rail_name_"+number], sources: []source{{
				a: c.folder + "/in_voltage" + number + "_input", b: c.folder + "/in_current" + number + "_input",
			}}}
		}
		if len(s.sources) > 0 && s.label != "" && s.label != "NC" && isName(s.label) { // NC: not connected
			ss = append(ss, s)
		}
	}
	return ss
}
