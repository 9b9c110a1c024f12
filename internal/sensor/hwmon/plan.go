package hwmon

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sysfs"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// Ranks among sensors of the same thing: perf is 0 and rapl 1 for a package, a
// management controller is 0 for the host.
const (
	rankMeter  = 1
	rankEnergy = 2
	rankHSMP   = 3
	rankAPU    = 4
)

// maxEnergy is where the counters of amd_energy start again: the driver multiplies
// its 64-bit count by 10⁶ before it divides by 2¹⁶, the unit of every EPYC
// (amd_add_delta, drivers/hwmon/amd_energy.c). At 280 W that is after 11 days.
const maxEnergy unit.Microjoules = 1<<48 - 1

// An outlet is a channel with the part that it measures.
type outlet struct {
	part    sensor.Part
	kind    sensor.Kind
	max     unit.Microjoules // of a counter, 0 if unknown
	sources []source         // the preferred first
	chip    *chip
}

// A complaint is something about a folder that a person should know.
type complaint struct {
	path, reason, remedy string
	absent               bool // something configured is not there
}

// topology maps what chips are numbered by to physical packages.
type topology struct {
	packageOf map[int]int // by CPU
	firstCPU  map[int]int // by NUMA node
}

func (t topology) packageOfNode(node int) (int, bool) {
	cpu, ok := t.firstCPU[node]
	if !ok {
		return 0, false
	}
	p, ok := t.packageOf[cpu]
	return p, ok
}

// plan decides which channels of the chips are read, and as what. It depends on
// nothing but its arguments: the order of the chips does not matter.
type plan struct {
	config   Config
	topology topology
	chips    []*chip
	outlets  []outlet
	problems []complaint
}

func makePlan(chips []chip, t topology, c Config) *plan {
	chips = slices.Clone(chips)
	slices.SortFunc(chips, compareChips)
	p := &plan{config: c, topology: t}
	for i := range chips {
		p.chips = append(p.chips, &chips[i])
	}
	p.configured()
	p.amdgpu()
	p.xe()
	p.i915()
	p.meters()
	p.jetson()
	p.xgene()
	p.energy()
	p.hsmp()
	p.distinct()
	slices.SortFunc(p.outlets, func(a, b outlet) int { return strings.Compare(a.part.ID, b.part.ID) })
	return p
}

// named returns the chips of a name that no rule of the configuration took.
func (p *plan) named(name string) (cs []*chip) {
	for _, c := range p.chips {
		if c.name == name {
			cs = append(cs, c)
		}
	}
	return cs
}

// add notes a channel, if it can be read at all. It says whether it can.
func (p *plan) add(c *chip, kind sensor.Kind, sources []source, part sensor.Part) bool {
	if len(sources) == 0 {
		return false
	}
	part.Sensor, part.Method, part.Die = names.SensorHwmon, sensor.Integrated, -1
	if kind == sensor.Counter {
		part.Method = sensor.Measured
	}
	p.outlets = append(p.outlets, outlet{part: part, kind: kind, sources: sources, chip: c})
	return true
}

func (p *plan) complain(path, format string, args ...any) {
	p.problems = append(p.problems, complaint{path: path, reason: fmt.Sprintf(format, args...)})
}

// distinct leaves one channel for each ID.
func (p *plan) distinct() {
	seen := map[string]string{}
	p.outlets = slices.DeleteFunc(p.outlets, func(o outlet) bool {
		other, isSecond := seen[o.part.ID]
		if isSecond {
			p.complain(o.chip.folder, "%s is the name of a channel of %s already: this one is not counted", o.part.ID, other)
			return true
		}
		seen[o.part.ID] = o.chip.folder
		return false
	})
}

// configured applies the rules of the configuration and takes the chips away
// that one of them is about.
func (p *plan) configured() {
	taken := map[*chip]bool{}
	for i, rule := range p.config.Chips {
		found, hasChip := false, false
		for _, c := range p.chips {
			if c.name == rule.Name && (rule.Device == "" || rule.Device == c.device) {
				hasChip, taken[c] = true, true
				found = p.apply(rule, c) || found
			}
		}
		if found {
			continue
		}
		lacking := complaint{absent: true, path: "class/hwmon", reason: fmt.Sprintf("chips[%d]: there is no chip %s", i, strings.TrimSpace(rule.Name+" "+rule.Device))}
		if hasChip {
			lacking.reason = fmt.Sprintf("chips[%d]: chip %s has no channel %s that is switched on", i, strings.TrimSpace(rule.Name+" "+rule.Device), rule.Channel+rule.Label)
		}
		lacking.remedy = "compare it with grep . /sys/class/hwmon/hwmon*/{name,*_label}, or take it out of the configuration"
		p.problems = append(p.problems, lacking)
	}
	p.chips = slices.DeleteFunc(p.chips, func(c *chip) bool { return taken[c] })
}

func (p *plan) apply(rule Chip, c *chip) (found bool) {
	channels := []string{rule.Channel}
	if rule.Label != "" {
		channels = nil
		for _, kind := range []string{"energy", "power", "in"} {
			for _, channel := range c.withLabels(kind) {
				if c.text[channel+"_label"] == rule.Label {
					channels = append(channels, channel)
				}
			}
		}
		channels = channels[:min(1, len(channels))] // a counter before a gauge of the same label
	}
	for _, channel := range channels {
		kind, number, _ := parseChannel(channel)
		sources, reading := c.power(number), sensor.Gauge
		switch kind {
		case "energy":
			sources, reading = c.energy(number), sensor.Counter
		case "in":
			sources = c.product(number)
		}
		part := sensor.Part{
			ID: c.id(rule.Channel + rule.Label), Name: c.name + " " + rule.Channel + rule.Label, Type: rule.HWType,
			Socket: -1, Covers: slices.Clone(rule.Covers), Same: rule.Same,
		}
		switch rule.Role {
		case roleBreakdown:
			part.Role, part.Parent = sensor.Breakdown, rule.Parent
		case roleEnvelope:
			part.Role, part.Whole, part.Rank = sensor.Envelope, rule.Whole, rankConfigured
		}
		if rule.Same != "" {
			part.Rank = rankConfigured
		}
		found = p.add(c, reading, sources, part) || found
	}
	return found
}

// amdgpu: the sensor of a discrete card is the card's own; that of an APU is the
// whole SoC "including the CPU" (Documentation/gpu/amdgpu/thermal.rst), so it is
// one more view of the CPU package, the last choice. power1 only: power2 of Van
// Gogh is the same power over a shorter time.
func (p *plan) amdgpu() {
	cards := p.named(chipAMDGPU)
	apus := 0
	for _, c := range cards {
		if c.isAPU() {
			apus++
		}
	}
	for _, c := range cards {
		part := sensor.Part{ID: c.id(), Name: c.name, Type: names.HWTypeGPU, Socket: -1, Same: gpu(c.device)}
		if c.isAPU() {
			part.Type, part.Rank, part.Socket = names.HWTypeCPU, rankAPU, 0
			part.Covers = []string{names.HWTypeGPU}
			if c.pci == pciMI300A {
				part.Covers = append(part.Covers, names.HWTypeMemory) // the HBM is in the package
			}
			if apus > 1 {
				socket, ok := p.topology.packageOfNode(c.node)
				if !ok {
					p.complain(c.folder, "which of the %d CPU packages this APU is cannot be told: it is not counted", apus)
					continue
				}
				part.Socket = socket
			}
			part.Same = cpuPackage(part.Socket)
		}
		p.add(c, sensor.Gauge, c.power("1"), part)
	}
}

const pciMI300A = "0x74a0" // pci.ids: Instinct MI300A, an APU without the northbridge voltage

// isAPU goes by in1, the northbridge voltage that only APUs have
// (hwmon_attributes_visible, drivers/gpu/drm/amd/pm/amdgpu_pm.c).
func (c *chip) isAPU() bool { return c.text["in1_label"] == "vddnb" || c.pci == pciMI300A }

// xe: energy1 is the card, energy2 the package on it. Some cards show only one of
// them (sysfs-driver-intel-xe-hwmon).
func (p *plan) xe() {
	for _, c := range p.named(chipXe) {
		part := sensor.Part{ID: c.id(), Name: "card", Type: names.HWTypeGPU, Socket: -1, Same: gpu(c.device)}
		hasCard := p.add(c, sensor.Counter, c.energy("1"), part)
		part.ID, part.Name = c.id("package"), "package"
		if hasCard {
			part.Role, part.Parent, part.Same = sensor.Breakdown, c.id(), ""
		}
		p.add(c, sensor.Counter, c.energy("2"), part)
	}
}

// i915: one chip for the card and, where the GPU has several tiles, one for each.
// Integrated GPUs have none of these counters.
func (p *plan) i915() {
	cards := map[string]string{} // by device
	for _, c := range p.named(chipI915) {
		part := sensor.Part{ID: c.id(), Name: c.name, Type: names.HWTypeGPU, Socket: -1, Same: gpu(c.device)}
		if p.add(c, sensor.Counter, c.energy("1"), part) {
			cards[c.device] = part.ID
		}
	}
	for _, c := range p.chips {
		n, isTile := parseTile(c.name)
		if !isTile {
			continue
		}
		tile := "gt" + strconv.Itoa(n)
		part := sensor.Part{ID: partID(chipI915, c.device, tile), Name: c.name, Type: names.HWTypeGPU, Socket: -1}
		if card, ok := cards[c.device]; ok {
			part.Role, part.Parent = sensor.Breakdown, card
		} else if same := gpu(c.device); same != "" {
			part.Same = same + "/" + tile
		}
		p.add(c, sensor.Counter, c.energy("1"), part)
	}
}

// xgene: the cores' rail and that of the rest of the SoC, which do not overlap.
func (p *plan) xgene() {
	for _, c := range p.named(chipXGene) {
		for _, channel := range c.withLabels("power") {
			part := sensor.Part{Name: c.text[channel+"_label"], Socket: -1}
			switch part.Name {
			case "CPU power":
				part.ID, part.Type = c.id("cpu"), names.HWTypeCPU
			case "IO power":
				part.ID, part.Type = c.id("io"), names.HWTypeOther
			default:
				continue
			}
			p.add(c, sensor.Gauge, c.power(strings.TrimPrefix(channel, "power")), part)
		}
	}
}

// energy: the driver numbers its "sockets" by NUMA node and its cores by CPU
// (amd_energy_read). With several nodes for each socket (NPS2, NPS4) it shows the
// counter of a package once for each of them: the first is read.
func (p *plan) energy() {
	for _, c := range p.named(chipEnergy) {
		sockets := map[int]string{} // ID by package
		for _, channel := range c.withLabels("energy") {
			label := c.text[channel+"_label"]
			node, isSocket := cutIndex(label, "Esocket")
			if !isSocket {
				continue
			}
			socket, ok := p.topology.packageOfNode(node)
			if !ok {
				socket = node
			}
			if sockets[socket] != "" {
				continue
			}
			part := sensor.Part{
				ID: partID(c.name, "socket-"+strconv.Itoa(socket)), Name: label, Type: names.HWTypeCPU,
				Socket: socket, Same: cpuPackage(socket), Rank: rankEnergy,
			}
			if p.add(c, sensor.Counter, c.energy(strings.TrimPrefix(channel, "energy")), part) {
				sockets[socket] = part.ID
				p.outlets[len(p.outlets)-1].max = maxEnergy
			}
		}
		if p.config.Cores {
			p.cores(c, sockets)
		}
	}
}

func (p *plan) cores(c *chip, sockets map[int]string) {
	for _, channel := range c.withLabels("energy") {
		label := c.text[channel+"_label"]
		cpu, isCore := cutIndex(label, "Ecore")
		if !isCore {
			continue
		}
		socket, ok := p.topology.packageOf[cpu]
		if !ok && len(sockets) == 1 {
			for only := range sockets {
				socket = only
			}
		}
		if sockets[socket] == "" {
			continue // a breakdown of what is not read
		}
		part := sensor.Part{
			ID: sockets[socket] + "/core-" + strconv.Itoa(cpu), Parent: sockets[socket], Name: label,
			Type: names.HWTypeCPU, Role: sensor.Breakdown, Socket: socket,
		}
		if p.add(c, sensor.Counter, c.energy(strings.TrimPrefix(channel, "energy")), part) {
			p.outlets[len(p.outlets)-1].max = maxEnergy
		}
	}
}

// hsmp: one chip for each socket. With ACPI each has a device, whose unique ID is
// "ID" and the socket (drivers/platform/x86/amd/hsmp/acpi.c); without, all have
// one, and the kernel registered them in the order of the sockets.
func (p *plan) hsmp() {
	next := map[string]int{}
	for _, c := range p.named(chipHSMP) {
		socket := next[c.device]
		next[c.device]++
		if n, ok := cutIndex(c.uid, "ID"); ok {
			socket = n
		} else if _, instance, isACPI := strings.Cut(c.device, ":"); isACPI {
			if n, err := strconv.ParseUint(instance, 16, 8); err == nil {
				socket = int(n)
			}
		}
		p.add(c, sensor.Gauge, c.power("1"), sensor.Part{
			ID: partID(c.name, "socket-"+strconv.Itoa(socket)), Name: "socket-" + strconv.Itoa(socket), Type: names.HWTypeCPU,
			Socket: socket, Same: cpuPackage(socket), Rank: rankHSMP,
		})
	}
}

// cutIndex reads the number behind a prefix, with leading zeros as in Ecore007.
func cutIndex(s, prefix string) (n int, ok bool) {
	digits, ok := strings.CutPrefix(s, prefix)
	if !ok || digits == "" {
		return 0, false
	}
	if digits = strings.TrimLeft(digits, "0"); digits == "" {
		return 0, true
	}
	return sysfs.ParseIndex(digits)
}

func cpuPackage(socket int) string { return "package-" + strconv.Itoa(socket) }

// gpu returns Part.Same of a GPU at a PCI address, "" if the device is none.
func gpu(device string) string {
	if strings.Count(device, ":") != 2 || !strings.Contains(device, ".") { // domain:bus:device.function
		return ""
	}
	return "gpu/" + device
}

func partID(elements ...string) string {
	return names.SensorHwmon + ":" + strings.Join(elements, "/")
}
