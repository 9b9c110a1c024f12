// Package all is the list of the sensors that this version has.
package all

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/otelcarbon/otelcarbon/internal/host"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/model"
	"github.com/otelcarbon/otelcarbon/internal/sensor/rapl"
)

// Names are the sensors that Open opens, in the order in which they should be
// read: the model comes last, because it depends on what the others measure. It is
// not to be changed.
var Names = []string{"rapl", "model"} //nolint:gochecknoglobals // a constant

// NotBuilt are the sensors that configuration knows and this version has no reader
// for. It is not to be changed.
var NotBuilt = []string{"perf", "hwmon", "nvml", "nvidia_smi", "battery", "bmc"} //nolint:gochecknoglobals // a constant

// Options are the configuration of all sensors. Each takes what is its own.
type Options struct {
	Root string // folder below which sys and proc lie; "" is "/"
	RAPL rapl.Config
	// Model: where Times is nil, they are those of the machine below Root. Host is
	// ModelHost of what host.Read says.
	Model model.Config
}

// Open opens a sensor of Names. A name of NotBuilt gives a *sensor.Problem that
// wraps errors.ErrUnsupported, as does a sensor for which the machine has no
// hardware; any other name and an impossible configuration give a plain error.
func Open(name string, o Options) (sensor.Sensor, error) {
	switch name {
	case "rapl":
		return rapl.Open(o.Root, o.RAPL)
	case "model":
		return openModel(o)
	}
	if slices.Contains(NotBuilt, name) {
		return nil, notBuilt(name)
	}
	return nil, fmt.Errorf("sensor %q is none of %s", name, strings.Join(slices.Concat(Names, NotBuilt), ", "))
}

func openModel(o Options) (sensor.Sensor, error) {
	if o.Model.Times == nil {
		o.Model.Times = host.NewCPUMeter(o.Root).Times
	}
	return model.Open(o.Model)
}

// ModelHost returns what the model wants to know of a machine.
func ModelHost(f host.Facts) model.Host {
	return model.Host{
		CPUVendor: f.CPUVendor, CPUModel: f.CPUModel,
		CPUFamily: f.CPUFamily, CPUModelID: f.CPUModelID, CPUStepping: f.CPUStepping,
		LogicalCPUs: f.LogicalCPUs, Sockets: f.Sockets, MemoryBytes: f.MemoryBytes,
		Virtual: f.Virtual, CloudProvider: f.CloudProvider, InstanceType: f.InstanceType,
	}
}

func notBuilt(name string) error {
	what, remedy := "it", "leave it out of the configuration"
	switch name {
	case "perf":
		what, remedy = "perf events", "use rapl, which reads the same counters"
	case "hwmon":
		what = "hwmon chips"
	case "nvml", "nvidia_smi":
		what, remedy = "GPUs", "leave it out: the energy of GPUs is not in the figures"
	case "battery":
		what = "batteries"
	case "bmc":
		what = "management controllers (IPMI, Redfish)"
	}
	return &sensor.Problem{
		Sensor: name, Class: sensor.NotBuilt, Remedy: remedy,
		Err: fmt.Errorf("this version has no reader for %s: %w", what, errors.ErrUnsupported),
	}
}
