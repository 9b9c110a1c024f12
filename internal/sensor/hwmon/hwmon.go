// Package hwmon reads the power and energy channels of Linux's hwmon chips, as
// far as it is known what they measure and what lies inside what. Chips of other
// classes are left alone, however much their files look like power: a sum over
// everything that hwmon shows counts most of a machine twice. Config.Chips adds
// chips that somebody knows the place of.
//
//	amdgpu          a discrete GPU; of an APU the whole SoC with its CPU cores
//	i915, xe        a discrete GPU; its package and its tiles are inside the card
//	power_meter     ACPI: the input of the machine, or on Grace a module, a socket, its rails
//	ina3221         Jetson: the module's input VDD_IN with the rails inside it, else the rails
//	apm_xgene       Ampere: CPU power and IO power
//	amd_energy      older EPYC: the counter of each socket, and of each core if asked for
//	amd_hsmp_hwmon  newer EPYC: the power of each socket
//
// A part is known by its chip's name and the device behind it (a PCI address, an
// I²C address, an ACPI name) or by its socket, never by the N of hwmonN, which
// changes with the order in which drivers load. What the parts are named, and
// what they overlap with, stands in the functions of plan.go.
//
// Two things need care. On Grace the part that counts is "Grace Power Socket N",
// the CPU with its memory; "Module Power Socket N" holds one GPU and its share
// of the board beside it, but neither the other modules nor fans, disks and
// network cards, so it is an envelope and never the whole host. And a GPU that
// is suspended is not read, since reading would wake it: a counter catches up
// later, a gauge has a gap, for the next reading says nothing of the time asleep.
//
// Reading sysfs cannot be interrupted. Most chips answer within microseconds, an
// INA3221 needs a few milliseconds of I²C for each rail, and an ACPI power meter
// that asks a management controller can take tens of milliseconds, up to seconds
// if that controller is busy. Whoever reads this sensor should give it a goroutine
// of its own. Gauges are integrated by the caller from one value at each read;
// those averaged over less than the sampling interval (Grace: 50 ms) are samples.
// Older kernels repeat the last value of an ACPI power meter whose firmware fails,
// which cannot be told from a steady load.
package hwmon

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// Config has the settings of the sensor. The zero value is the usual one.
type Config struct {
	// RescanInterval is how often Read looks for chips that came, went, were
	// renumbered or became readable; 0 and less mean 5 s. A file that turns out to
	// be gone is looked for at once, though not more than once in a second.
	RescanInterval time.Duration

	// Cores reads the counter of each core that amd_energy has, as breakdowns.
	// It is off because each such read interrupts its core, also an idle one.
	Cores bool

	// Chips are channels that this package does not know. A chip that one of them
	// matches is read by these rules only, also if this package knows its class.
	Chips []Chip
}

// Chip is a channel of a chip and its place in the machine.
type Chip struct {
	// Name is the content of the chip's file name: "ina226".
	Name string
	// Device is the last element of the path of the chip's device, "3-0044"; where
	// it is empty the rule is for every chip of that name.
	Device string
	// Channel is "power1" (µW), "energy1" (µJ, a counter) or "in1" (in1_input mV
	// times curr1_input mA). Label stands in its place where the channel is known by
	// the content of its label file.
	Channel, Label string

	// HWType is the part's hw.type: "cpu", "memory", "gpu" or "other".
	HWType string
	// Role is "primary" (disjoint from every other primary part: it is added to the
	// energy of the host), "breakdown" (inside Parent) or "envelope" (contains
	// primary parts and more).
	Role string
	// Parent is the hw.id of the part that a breakdown lies in.
	Parent string
	// Covers are the types that a primary part holds beside its own, so that they
	// are not modelled.
	Covers []string
	// Whole says that an envelope is the input of the whole host.
	Whole bool
	// Same names what a primary part measures where another sensor may measure it
	// too: "package-0", "package-0/dram", "gpu/0000:03:00.0". Then the other one is
	// preferred.
	Same string
}

const (
	rescanInterval = 5 * time.Second
	rescanPace     = time.Second

	rolePrimary   = "primary"
	roleBreakdown = "breakdown"
	roleEnvelope  = "envelope"

	rankConfigured = 5 // of Part.Rank: behind every sensor that knows what it measures
)

// Validate says what is wrong with c, each key with what would be right.
func (c Config) Validate() error {
	var errs []error
	for i, chip := range c.Chips {
		for _, err := range chip.check() {
			errs = append(errs, fmt.Errorf("chips[%d].%w", i, err))
		}
		same := func(o Chip) bool {
			return o.Name == chip.Name && o.Device == chip.Device && o.Channel == chip.Channel && o.Label == chip.Label
		}
		if j := slices.IndexFunc(c.Chips[:i], same); j >= 0 {
			errs = append(errs, fmt.Errorf("chips[%d]: the same channel as chips[%d]; leave one out", i, j))
		}
	}
	return errors.Join(errs...)
}

func (c Chip) check() (errs []error) {
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	types := []string{names.HWTypeCPU, names.HWTypeMemory, names.HWTypeGPU, names.HWTypeOther}
	wrong(!isName(c.Name), "name: %q is no name of a chip; it is what /sys/class/hwmon/hwmon*/name says", c.Name)
	wrong(c.Device != "" && !isName(c.Device), "device: %q is no name of a device; it is the last element of what /sys/class/hwmon/hwmon*/device leads to", c.Device)
	wrong((c.Channel == "") == (c.Label == ""), "channel: give either channel or label")
	if c.Channel != "" {
		_, _, ok := parseChannel(c.Channel)
		wrong(!ok, "channel: %q is none of powerN, energyN and inN", c.Channel)
	}
	wrong(c.Label != "" && !isName(c.Label), "label: %q is no label; it is one line of ASCII, such as powerN_label says", c.Label)
	wrong(!slices.Contains(types, c.HWType), "hw_type: %q is none of %s", c.HWType, strings.Join(types, ", "))
	switch c.Role {
	case rolePrimary, roleEnvelope:
		wrong(c.Parent != "", "parent: only a breakdown lies inside another part; leave it out or make role breakdown")
	case roleBreakdown:
		wrong(!strings.Contains(c.Parent, ":") || !isName(c.Parent), "parent: %q is no hw.id; a breakdown names the part that it lies in, such as hwmon:ina226/3-0044/power1", c.Parent)
	default:
		wrong(true, "role: %q is none of primary, breakdown, envelope", c.Role)
	}
	wrong(len(c.Covers) > 0 && c.Role != rolePrimary, "covers: only for the role primary")
	for _, t := range c.Covers {
		wrong(!slices.Contains(types, t) || t == c.HWType, "covers: %q is none of the other types: %s", t, strings.Join(types, ", "))
	}
	wrong(c.Whole && c.Role != roleEnvelope, "whole: only for the role envelope")
	wrong(c.Same != "" && (c.Role != rolePrimary || !isName(c.Same)), "same: only for the role primary, and of the form package-0 or gpu/0000:03:00.0")
	return errs
}

// Open looks for chips under root, the folder that holds sys and proc of the
// machine: "/", or where the host is mounted in a container.
//
// Its error is that of Config.Validate, or a *sensor.Problem that wraps
// errors.ErrUnsupported and says whether the kernel, the machine or the container
// lacks chips that are known. Chips that exist and may not be read are no error
// here: Read reports them, and reads them once the permission is there.
func Open(root string, c Config) (sensor.Sensor, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", names.SensorHwmon, err)
	}
	if root == "" {
		root = "/"
	}
	if c.RescanInterval <= 0 {
		c.RescanInterval = rescanInterval
	}
	return open(root, c)
}
