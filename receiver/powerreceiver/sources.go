package powerreceiver

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"

	"github.com/otelcarbon/otelcarbon/internal/host"
	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/all"
	"github.com/otelcarbon/otelcarbon/internal/sensor/bmc"
	"github.com/otelcarbon/otelcarbon/internal/sensor/hwmon"
	"github.com/otelcarbon/otelcarbon/internal/sensor/model"
	"github.com/otelcarbon/otelcarbon/internal/sensor/nvidiasmi"
	"github.com/otelcarbon/otelcarbon/internal/sensor/nvml"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// minSMI is the shortest interval at which nvidia-smi is asked to print.
const minSMI = 100 * time.Millisecond

// sources translates the configuration into the sensors to try, in the order in
// which they are read: the model comes last, so that it knows what the others gave
// in the same sample.
func (c *Config) sources(facts host.Facts, measured func(hwType string) bool, redfish *http.Client) []*source {
	options := c.options(facts, measured)
	var out []*source
	var library *source // of NVIDIA
	out = append(out, c.controller(redfish)...)
	for _, name := range all.Names {
		use, named := c.Sensors.selected(name)
		if !use {
			continue
		}
		open := func() (sensor.Sensor, error) { return all.Open(name, options) }
		src := &source{name: name, named: named, required: c.Sensors.required(name), open: open}
		switch {
		case name == "nvml":
			library = src
		case name == "nvidia_smi" && !named && library != nil:
			src.spareOf = library
			late := options
			late.NvidiaSMI.NoWait = true // the driver may hang, and the samples must go on
			src.open = func() (sensor.Sensor, error) {
				if src.spareOf.sensor != nil {
					return all.Open(name, late)
				}
				return open()
			}
		}
		out = append(out, src)
	}
	return out
}

// controller is the management controller, if it was named: nobody asks one that
// was not pointed at.
func (c *Config) controller(redfish *http.Client) []*source {
	if _, named := c.Sensors.selected(names.SensorBMC); !named {
		return nil
	}
	return []*source{{
		name: names.SensorBMC, named: true, required: c.Sensors.BMC.Required,
		open: func() (sensor.Sensor, error) { return bmc.Open(c.RootPath, c.Sensors.BMC.translate(redfish)) },
	}}
}

// options translates the configuration once for all sensors.
func (c *Config) options(facts host.Facts, measured func(hwType string) bool) all.Options {
	m := c.Sensors.Model
	if m.InstanceType != "" {
		facts.InstanceType = m.InstanceType
	}
	if m.CloudProvider != "" {
		facts.CloudProvider = m.CloudProvider
	}
	return all.Options{
		Root:  c.RootPath,
		Hwmon: c.Sensors.Hwmon.translate(),
		NVML:  c.Sensors.NVML.translate(),
		NvidiaSMI: nvidiasmi.Config{
			Path: c.Sensors.NvidiaSMI.Path, Devices: split(c.Sensors.NvidiaSMI.Devices), Interval: max(c.SamplingInterval, minSMI),
		},
		Model: model.Config{
			Times:             host.NewCPUMeter(c.RootPath).Times,
			Host:              all.ModelHost(facts),
			IdleWatts:         m.IdleWatts,
			MaxWatts:          m.MaxWatts,
			MemoryWattsPerGiB: m.MemoryWattsPerGiB,
			Measured:          measured,
		},
	}
}

func (c *HwmonConfig) translate() hwmon.Config {
	out := hwmon.Config{Cores: c.Cores}
	for _, k := range c.Chips {
		out.Chips = append(out.Chips, hwmon.Chip(k))
	}
	return out
}

func (c *NVMLConfig) translate() nvml.Config {
	return nvml.Config{
		Devices: split(c.Devices), Timeout: c.Timeout,
		Processes: true, // who uses a GPU says whether it idles
	}
}

func (c *BMCConfig) translate(client *http.Client) bmc.Config {
	out := bmc.Config{Interval: c.Interval, IPMI: bmc.IPMI{Device: c.IPMI.Device}}
	if r := c.Redfish; r != nil {
		out.Redfish = bmc.Redfish{
			Endpoint: r.Endpoint, Username: r.Username, Password: bmc.NewSecret(string(r.Password)), Chassis: r.Chassis, Client: client,
		}
	}
	return out
}

// client makes the HTTP client for the management controller, if one is configured.
func (c *BMCConfig) client(ctx context.Context, h component.Host, set component.TelemetrySettings) (*http.Client, error) {
	if c.Redfish == nil {
		return nil, nil //nolint:nilnil // none is needed
	}
	client, err := c.Redfish.ToClient(ctx, h.GetExtensions(), set)
	if err != nil {
		return nil, fmt.Errorf("sensors::bmc::redfish: %w", err)
	}
	return client, nil
}

func (c CalibrationConfig) translate() ledger.Calibration {
	return ledger.Calibration{Offset: unit.FromWatts(c.OffsetWatts), Gain: c.Gain}
}

// split takes lists apart that came as one word, as environment variables do.
func split(words []string) []string {
	var out []string
	for _, w := range words {
		for part := range strings.SplitSeq(w, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}
