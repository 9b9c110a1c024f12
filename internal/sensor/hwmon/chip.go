package hwmon

import (
	"cmp"
	"slices"
	"strings"

	"github.com/otelcarbon/otelcarbon/internal/sysfs"
)

// Names of the chip classes that are known.
const (
	chipAMDGPU = "amdgpu"
	chipI915   = "i915"
	chipXe     = "xe"
	chipMeter  = "power_meter"
	chipINA    = "ina3221"
	chipINAOld = "ina3221x" // NVIDIA's own driver, hwmon or iio
	chipXGene  = "apm_xgene"
	chipEnergy = "amd_energy"
	chipHSMP   = "amd_hsmp_hwmon"
)

// isKnown says whether chips of that name are on the list, tiles included.
func isKnown(name string) bool {
	switch name {
	case chipAMDGPU, chipI915, chipXe, chipMeter, chipINA, chipINAOld, chipXGene, chipEnergy, chipHSMP:
		return true
	}
	_, isTile := parseTile(name)
	return isTile
}

// parseTile reads i915_gtN, the chip of one tile of a GPU.
func parseTile(name string) (n int, ok bool) {
	number, ok := strings.CutPrefix(name, chipI915+"_gt")
	if !ok {
		return 0, false
	}
	return sysfs.ParseIndex(number)
}

// measures is what an ACPI power meter says that it measures.
type measures uint8

const (
	measuresUnknown measures = iota
	measuresSystem           // the system bus, that is everything
	measuresOther            // single devices
)

// A chip is a folder with channels as a scan found it.
type chip struct {
	name     string
	device   string // last element of the device's path, "" if it has none
	order    int    // the N of hwmonN, to tell chips of one device apart
	folder   string // in which the attributes are
	sleep    string // file that says whether the device is suspended, or ""
	pci      string // PCI device ID, "0x74a0"
	node     int    // NUMA node, -1 if unknown
	uid      string // of the ACPI device
	measures measures
	has      map[string]bool   // attributes of channels
	text     map[string]string // content of those that say what a channel is
}

func compareChips(a, b chip) int {
	return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.device, b.device), cmp.Compare(a.order, b.order))
}

// id returns the hw.id of a channel of the chip, or of the chip.
func (c *chip) id(channel ...string) string {
	parts := []string{c.name}
	if c.device != "" {
		parts = append(parts, c.device)
	}
	return partID(append(parts, channel...)...)
}

// A source is how a channel is read: from one file, or as mV times mA from two.
type source struct {
	a, b    string   // paths; b may be ""
	enables []string // files that say 0 when the channel is switched off
}

// power returns the files for the power of channel n, the averaged one first:
// averages lose nothing between two reads.
func (c *chip) power(n string) []source {
	return c.sources("power"+n, "_average", "_input")
}

func (c *chip) energy(n string) []source { return c.sources("energy"+n, "_input") }

func (c *chip) sources(channel string, attributes ...string) (ss []source) {
	enables, on := c.enabled(channel)
	if !on {
		return nil
	}
	for _, a := range attributes {
		if c.has[channel+a] {
			ss = append(ss, source{a: c.folder + "/" + channel + a, enables: enables})
		}
	}
	return ss
}

// product returns the files for voltage times current of channel n.
func (c *chip) product(n string) []source {
	volts, amperes := "in"+n, "curr"+n
	enables, on := c.enabled(volts, amperes)
	if !on || !c.has[volts+"_input"] || !c.has[amperes+"_input"] {
		return nil
	}
	return []source{{a: c.folder + "/" + volts + "_input", b: c.folder + "/" + amperes + "_input", enables: enables}}
}

// enabled says whether the channels are on, and which files may later say no.
func (c *chip) enabled(channels ...string) (files []string, on bool) {
	for _, channel := range channels {
		attribute := channel + "_enable"
		if !c.has[attribute] {
			continue
		}
		if c.text[attribute] == "0" {
			return nil, false
		}
		files = append(files, c.folder+"/"+attribute)
	}
	return files, true
}

// withLabels returns the channels with labels, in the order of their numbers:
// energy1, energy2, energy10.
func (c *chip) withLabels(kind string) (channels []string) {
	for attribute := range c.text {
		channel, isLabel := strings.CutSuffix(attribute, "_label")
		if k, _, ok := parseChannel(channel); isLabel && ok && k == kind {
			channels = append(channels, channel)
		}
	}
	slices.SortFunc(channels, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) })
	return channels
}

// parseChannel reads powerN, energyN and inN.
func parseChannel(s string) (kind, number string, ok bool) {
	for _, kind = range []string{"power", "energy", "in"} {
		if number, ok = strings.CutPrefix(s, kind); ok {
			_, ok = sysfs.ParseIndex(number)
			return kind, number, ok
		}
	}
	return "", "", false
}

// isName says whether a text may become part of an ID: one line of ASCII of a
// sensible length.
func isName(s string) bool {
	text, ok := sysfs.ParseText([]byte(s))
	return ok && text == s && len(s) < maxName
}

const maxName = 64 // three of them make an ID, which the ledger takes up to 256 bytes of
