package hwmon

import (
	"strconv"
	"strings"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sysfs"
)

// domain is what a power meter of a Grace machine measures of a socket.
type domain string

// Module ⊃ Grace ⊃ CPU, SysIO (NVIDIA Grace Performance Tuning Guide, power
// telemetry): the module with its GPU and regulators, the socket with its memory
// and regulators, the rail of the cores, the rail of the rest of the SoC.
const (
	domainModule domain = "module"
	domainGrace  domain = "grace"
	domainCPU    domain = "cpu"
	domainSysIO  domain = "sysio"
)

// parseDomain reads power1_oem_info, such as "Grace Power Socket 0". Whatever
// other text of that form is a domain that nobody knows the place of.
func parseDomain(oem string) (d domain, socket int, ok bool) {
	word, number, ok := strings.Cut(strings.ToLower(oem), " power socket ")
	if !ok {
		return "", 0, false
	}
	socket, ok = sysfs.ParseIndex(number)
	return domain(word), socket, ok
}

// meters plans the ACPI power meters: of a Grace machine by their domains, else
// as the input of the machine.
func (p *plan) meters() {
	var whole []*chip
	rails := map[int]map[domain]*chip{}
	for _, c := range p.named(chipMeter) {
		if c.text["power1_is_battery"] == "1" {
			continue // the battery sensor's
		}
		d, socket, isRail := parseDomain(c.text["power1_oem_info"])
		switch {
		case !isRail:
			whole = append(whole, c)
		case d != domainModule && d != domainGrace && d != domainCPU && d != domainSysIO:
			p.complain(c.folder, "power1_oem_info says %q, of which this version does not know what it contains: it is not counted", c.text["power1_oem_info"])
		case rails[socket][d] != nil:
			p.complain(c.folder, "power1_oem_info says %q as that of %s does: this one is not counted", c.text["power1_oem_info"], rails[socket][d].folder)
		default:
			if rails[socket] == nil {
				rails[socket] = map[domain]*chip{}
			}
			rails[socket][d] = c
		}
	}
	for socket, byDomain := range rails {
		p.grace(socket, byDomain)
	}
	for _, c := range whole {
		// Of several meters none is the whole host by itself, unless it says so.
		p.add(c, sensor.Gauge, c.power("1"), sensor.Part{
			ID: c.id(), Name: c.name, Type: names.HWTypeOther, Role: sensor.Envelope, Socket: -1, Rank: rankMeter,
			Whole: c.measures == measuresSystem || c.measures == measuresUnknown && len(whole) == 1 && len(rails) == 0,
		})
	}
}

func (p *plan) grace(socket int, chips map[domain]*chip) {
	part := func(d domain, hwType string) sensor.Part {
		return sensor.Part{
			ID: partID(string(d) + "-" + strconv.Itoa(socket)), Name: chips[d].text["power1_oem_info"],
			Type: hwType, Socket: socket,
		}
	}
	parent := ""
	if c := chips[domainGrace]; c != nil {
		grace := part(domainGrace, names.HWTypeCPU)
		grace.Covers, grace.Same = []string{names.HWTypeMemory}, "grace-"+strconv.Itoa(socket)
		if p.add(c, sensor.Gauge, c.power("1"), grace) {
			parent = grace.ID
		}
	}
	for d, hwType := range map[domain]string{domainCPU: names.HWTypeCPU, domainSysIO: names.HWTypeOther} {
		if c := chips[d]; c != nil {
			rail := part(d, hwType)
			if parent != "" {
				rail.Role, rail.Parent = sensor.Breakdown, parent
			}
			p.add(c, sensor.Gauge, c.power("1"), rail)
		}
	}
	if c := chips[domainModule]; c != nil {
		module := part(domainModule, names.HWTypeOther)
		module.Role, module.Rank = sensor.Envelope, rankMeter
		p.add(c, sensor.Gauge, c.power("1"), module)
	}
}
