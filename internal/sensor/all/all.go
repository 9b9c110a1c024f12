// Package all is the list of the sensors that read the machine itself. The one
// that asks its management controller over a network, bmc, is not among them: who
// wants it opens it by name.
package all

import (
	"fmt"
	"strings"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/host"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/battery"
	"github.com/otelcarbon/otelcarbon/internal/sensor/guard"
	"github.com/otelcarbon/otelcarbon/internal/sensor/hwmon"
	"github.com/otelcarbon/otelcarbon/internal/sensor/model"
	"github.com/otelcarbon/otelcarbon/internal/sensor/nvidiasmi"
	"github.com/otelcarbon/otelcarbon/internal/sensor/nvml"
	"github.com/otelcarbon/otelcarbon/internal/sensor/perf"
	"github.com/otelcarbon/otelcarbon/internal/sensor/rapl"
)

// Names are the sensors that Open opens, in the order in which they should be
// read: the model comes last, because it depends on what the others measure. It is
// not to be changed.
var Names = []string{"perf", "rapl", "nvml", "nvidia_smi", "hwmon", "battery", "model"} //nolint:gochecknoglobals // a constant

// hwmonTimeout is how long a sample waits for chips, some of which ask a firmware.
const hwmonTimeout = 250 * time.Millisecond

// Options are the configuration of all sensors. Each takes what is its own.
type Options struct {
	Root      string // folder below which sys and proc lie; "" is "/"
	Perf      perf.Config
	RAPL      rapl.Config
	NVML      nvml.Config
	NvidiaSMI nvidiasmi.Config
	Hwmon     hwmon.Config
	Battery   battery.Config
	// Model: where Times is nil or Host empty, they are those of the machine below
	// Root.
	Model model.Config
}

// Open opens a sensor of Names. It returns a *sensor.Problem that wraps
// errors.ErrUnsupported where the machine has no such hardware or the build no
// reader for it; any other name and an impossible configuration give a plain error.
func Open(name string, o Options) (sensor.Sensor, error) {
	switch name {
	case "perf":
		return perf.Open(o.Root, o.Perf)
	case "rapl":
		return rapl.Open(o.Root, o.RAPL)
	case "nvml":
		return nvml.Open(o.NVML)
	case "nvidia_smi":
		return nvidiasmi.Open(o.NvidiaSMI)
	case "hwmon":
		s, err := hwmon.Open(o.Root, o.Hwmon)
		if err != nil {
			return nil, err
		}
		return guard.New(name, s, hwmonTimeout), nil
	case "battery":
		return battery.Open(o.Root, o.Battery)
	case "model":
		return openModel(o)
	}
	return nil, fmt.Errorf("sensor %q is none of %s", name, strings.Join(Names, ", "))
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
