package powerreceiver

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/scraper/scraperhelper"

	"github.com/otelcarbon/otelcarbon/internal/idle"
	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/receiver/powerreceiver/internal/metadata"
)

// minSampling is the shortest sampling interval: RAPL counters are refreshed
// about every millisecond, so that shorter intervals mostly read repeated values.
const minSampling = 10 * time.Millisecond

// Config is the configuration of the receiver.
type Config struct {
	scraperhelper.ControllerConfig `mapstructure:",squash"`
	metadata.MetricsBuilderConfig  `mapstructure:",squash"`

	// SamplingInterval is the time between two reads of the sensors. It is
	// independent of collection_interval, because hardware counters wrap: Start
	// refuses it when it is longer than half the shortest wrap of a sensor.
	SamplingInterval time.Duration `mapstructure:"sampling_interval"`

	// RootPath is the folder under which the host's sys, proc and etc lie: "/", or
	// where the host's root is mounted in a container.
	RootPath string `mapstructure:"root_path"`

	// Sensors selects what is read. Left out, every sensor that works is used.
	Sensors SensorsConfig `mapstructure:"sensors"`

	// Calibration corrects for what a wall meter sees and the sensors do not.
	Calibration CalibrationConfig `mapstructure:"calibration"`

	// IdleWatts is the power of parts in a machine that does nothing, in W, by hw.id
	// or for each part of an hw.type. Left out, it is learned.
	IdleWatts map[string]float64 `mapstructure:"idle_watts"`

	// Workloads selects how energy is divided among containers and processes.
	Workloads WorkloadsConfig `mapstructure:"workloads"`

	// prevent unkeyed literals
	_ struct{}
}

// SensorsConfig holds one section for each sensor. Only the sensors that are
// named are used; if none is, all are.
type SensorsConfig struct {
	RAPL      RAPLConfig      `mapstructure:"rapl"`
	Perf      SensorConfig    `mapstructure:"perf"`
	Hwmon     HwmonConfig     `mapstructure:"hwmon"`
	NVML      NVMLConfig      `mapstructure:"nvml"`
	NvidiaSMI NvidiaSMIConfig `mapstructure:"nvidia_smi"`
	Battery   SensorConfig    `mapstructure:"battery"`
	BMC       BMCConfig       `mapstructure:"bmc"`
	Model     ModelConfig     `mapstructure:"model"`

	named []string // the keys that the user gave
}

// SensorConfig is what every sensor has.
type SensorConfig struct {
	// Required makes it an error of Start when the sensor cannot be read.
	Required bool `mapstructure:"required"`
}

// RAPLConfig configures the powercap reader.
type RAPLConfig struct {
	SensorConfig `mapstructure:",squash"`
	// Psys says what the platform counter of Intel clients is used for: "auto"
	// trusts it as the envelope of a single-socket machine once it has proven to
	// contain its parts, "envelope" always, "ignore" never.
	Psys string `mapstructure:"psys"`
}

// HwmonConfig configures the reader of hwmon chips.
type HwmonConfig struct {
	SensorConfig `mapstructure:",squash"`
	// Cores reads the counter of each core that amd_energy has, which interrupts it.
	Cores bool `mapstructure:"cores"`
	// Chips are channels of chips that the reader does not know by itself.
	Chips []HwmonChip `mapstructure:"chips"`
}

// HwmonChip is a channel of a chip and its place in the machine.
type HwmonChip struct {
	Name    string   `mapstructure:"name"`    // content of the chip's file name: "ina226"
	Device  string   `mapstructure:"device"`  // last element of the device's path; empty: every chip of that name
	Channel string   `mapstructure:"channel"` // "power1", "energy1" or "in1" …
	Label   string   `mapstructure:"label"`   // … or the content of its label file
	HWType  string   `mapstructure:"hw_type"` // cpu, memory, gpu, other
	Role    string   `mapstructure:"role"`    // primary, breakdown, envelope
	Parent  string   `mapstructure:"parent"`  // hw.id of the part that a breakdown lies in
	Covers  []string `mapstructure:"covers"`  // types that a primary part holds beside its own
	Whole   bool     `mapstructure:"whole"`   // an envelope is the input of the whole host
	Same    string   `mapstructure:"same"`    // what another sensor may measure too: "package-0"
}

// NVMLConfig configures the reader of NVIDIA's library.
type NVMLConfig struct {
	SensorConfig `mapstructure:",squash"`
	// Devices selects GPUs by index, GPU-… or MIG-…; an entry may hold several,
	// separated by commas, so that ${env:CUDA_VISIBLE_DEVICES} can be one.
	Devices []string `mapstructure:"devices"`
	// Timeout is how long a sample waits for the driver.
	Timeout time.Duration `mapstructure:"timeout"`
}

// NvidiaSMIConfig configures the reader of the program nvidia-smi.
type NvidiaSMIConfig struct {
	SensorConfig `mapstructure:",squash"`
	Path         string   `mapstructure:"path"` // absolute; empty: the usual places
	Devices      []string `mapstructure:"devices"`
}

// BMCConfig configures the reader of management controllers.
type BMCConfig struct {
	SensorConfig `mapstructure:",squash"`
	Interval     time.Duration  `mapstructure:"interval"` // between two questions
	Redfish      *RedfishConfig `mapstructure:"redfish"`
	IPMI         IPMIConfig     `mapstructure:"ipmi"`
}

// RedfishConfig says where a Redfish service is. The keys of an HTTP client, such
// as endpoint and tls, stand beside.
type RedfishConfig struct {
	confighttp.ClientConfig `mapstructure:",squash"`

	Username string              `mapstructure:"username"`
	Password configopaque.String `mapstructure:"password"`
	Chassis  string              `mapstructure:"chassis"` // Id of a chassis or system, where there are several
}

// IPMIConfig names the local interface to the controller.
type IPMIConfig struct {
	Device string `mapstructure:"device"`
}

// ModelConfig configures the model that stands in for parts without a sensor.
// Zeros are taken from the tables.
type ModelConfig struct {
	SensorConfig      `mapstructure:",squash"`
	IdleWatts         float64 `mapstructure:"idle_watts"`
	MaxWatts          float64 `mapstructure:"max_watts"`
	MemoryWattsPerGiB float64 `mapstructure:"memory_watts_per_gib"`
	// InstanceType and CloudProvider name the machine where it cannot be found
	// out from the firmware: "m5.large", "aws".
	InstanceType  string `mapstructure:"instance_type"`
	CloudProvider string `mapstructure:"cloud_provider"`
}

// CalibrationConfig corrects the sum of the parts to a wall meter.
type CalibrationConfig struct {
	OffsetWatts float64 `mapstructure:"offset_watts"`
	Gain        float64 `mapstructure:"gain"`
}

// WorkloadsConfig says among whom energy is divided.
type WorkloadsConfig struct {
	Containers ContainersConfig `mapstructure:"containers"`
	Processes  ProcessesConfig  `mapstructure:"processes"`
	IdlePolicy string           `mapstructure:"idle_policy"`
	Retention  time.Duration    `mapstructure:"retention"`
}

// idlePolicies are the values of idle_policy.
var idlePolicies = map[string]ledger.IdlePolicy{
	"separate": ledger.IdleSeparate, "request": ledger.IdleByRequest, "equal": ledger.IdleEqually, "usage": ledger.IdleByUsage,
}

func (w *WorkloadsConfig) validate() (errs []error) {
	if _, ok := idlePolicies[w.IdlePolicy]; !ok {
		errs = append(errs, fmt.Errorf("workloads::idle_policy: %q is none of separate, request, equal, usage", w.IdlePolicy))
	}
	if w.Processes.Top < 0 {
		errs = append(errs, fmt.Errorf("workloads::processes::top: %d is not a number of processes; 0 tells all of them singly", w.Processes.Top))
	}
	if w.Retention < 0 {
		errs = append(errs, fmt.Errorf("workloads::retention: %v is less than 0", w.Retention))
	}
	return errs
}

// divides reports whether energy is divided among anybody.
func (c *Config) divides() bool {
	return c.Metrics.CarbonEnergy.Enabled && (c.Workloads.Containers.Enabled || c.Workloads.Processes.Enabled)
}

// ContainersConfig switches the energy of containers.
type ContainersConfig struct {
	Enabled bool `mapstructure:"enabled"`
}

// ProcessesConfig switches the energy of processes.
type ProcessesConfig struct {
	Enabled bool `mapstructure:"enabled"`
	Top     int  `mapstructure:"top"`
}

func createDefaultConfig() component.Config {
	c := scraperhelper.NewDefaultControllerConfig()
	c.CollectionInterval = 10 * time.Second
	return &Config{
		ControllerConfig:     c,
		MetricsBuilderConfig: metadata.NewDefaultMetricsBuilderConfig(),
		SamplingInterval:     time.Second,
		RootPath:             "/",
		Sensors:              SensorsConfig{RAPL: RAPLConfig{Psys: "auto"}, NVML: NVMLConfig{Timeout: 500 * time.Millisecond}, BMC: BMCConfig{Interval: 5 * time.Second}},
		Calibration:          CalibrationConfig{Gain: 1},
		Workloads: WorkloadsConfig{
			Containers: ContainersConfig{Enabled: true},
			Processes:  ProcessesConfig{Top: 100},
			IdlePolicy: "separate",
			Retention:  30 * time.Second,
		},
	}
}

// Unmarshal remembers which sensors were named, because `rapl: {}` selects rapl
// although it changes none of its values.
func (s *SensorsConfig) Unmarshal(conf *confmap.Conf) error {
	if err := conf.Unmarshal(s); err != nil {
		return err
	}
	s.named = s.named[:0]
	for name := range conf.ToStringMap() {
		s.named = append(s.named, name)
	}
	slices.Sort(s.named)
	return nil
}

// selected tells whether the sensor is to be tried, and whether the user named it.
func (s *SensorsConfig) selected(name string) (use, named bool) {
	named = slices.Contains(s.named, name)
	return named || len(s.named) == 0, named
}

func (s *SensorsConfig) required(name string) bool {
	for _, c := range []struct {
		name string
		SensorConfig
	}{
		{"rapl", s.RAPL.SensorConfig},
		{"perf", s.Perf},
		{"hwmon", s.Hwmon.SensorConfig},
		{"nvml", s.NVML.SensorConfig},
		{"nvidia_smi", s.NvidiaSMI.SensorConfig},
		{"battery", s.Battery},
		{"bmc", s.BMC.SensorConfig},
		{"model", s.Model.SensorConfig},
	} {
		if c.name == name {
			return c.Required
		}
	}
	return false
}

// Validate reports every value that cannot be right, by its key.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if c.SamplingInterval < minSampling {
		bad("sampling_interval: %v is too short; the counters are refreshed about every millisecond: use at least %v", c.SamplingInterval, minSampling)
	}
	if !filepath.IsAbs(c.RootPath) && !strings.HasPrefix(c.RootPath, "/") {
		bad(`root_path: %q is not absolute; use "/" or the folder where the host's root is mounted, such as "/hostfs"`, c.RootPath)
	}
	switch c.Sensors.RAPL.Psys {
	case "auto", "envelope", "ignore":
	default:
		bad("sensors::rapl::psys: %q is none of auto, envelope, ignore", c.Sensors.RAPL.Psys)
	}
	m := c.Sensors.Model
	for _, w := range []struct {
		key   string
		value float64
		most  float64
	}{
		{"idle_watts", m.IdleWatts, 100_000}, {"max_watts", m.MaxWatts, 100_000}, {"memory_watts_per_gib", m.MemoryWattsPerGiB, 100},
	} {
		if math.IsNaN(w.value) || w.value < 0 || w.value > w.most {
			bad("sensors::model::%s: %v is not between 0 and %g W (0 takes the value from the tables)", w.key, w.value, w.most)
		}
	}
	if m.MaxWatts > 0 && m.IdleWatts > m.MaxWatts {
		bad("sensors::model::idle_watts: %g W is more than max_watts, %g W", m.IdleWatts, m.MaxWatts)
	}
	if m.IdleWatts > 0 && m.MaxWatts == 0 {
		bad("sensors::model::max_watts: missing; idle_watts is %g W, and a straight line needs both", m.IdleWatts)
	}
	if o := c.Calibration.OffsetWatts; !(o >= 0 && o <= 100_000) {
		bad("calibration::offset_watts: %v is not between 0 and 100000 W: it is what the sensors do not see", o)
	}
	if g := c.Calibration.Gain; !(g >= 1 && g <= 10) {
		bad("calibration::gain: %v is not between 1 and 10: a power supply loses, and gives nothing back", g)
	}
	errs = append(errs, idle.Validate(c.IdleWatts)...)
	if err := c.Sensors.Hwmon.translate().Validate(); err != nil {
		bad("sensors::hwmon: %w", err)
	}
	if err := c.Sensors.NVML.translate().Validate(); err != nil {
		bad("sensors::nvml: %w", err)
	}
	if r := c.Sensors.BMC.Redfish; r != nil {
		u, err := url.Parse(r.Endpoint)
		switch {
		case r.Endpoint == "":
			bad("sensors::bmc::redfish::endpoint: missing; set it to https:// and the address of the management controller")
		case err != nil || u.Host == "" || u.User != nil:
			bad("sensors::bmc::redfish::endpoint: not of the form https://bmc.example.net; credentials belong into username and password")
		case c.Sensors.BMC.IPMI.Device != "":
			bad("sensors::bmc: redfish::endpoint and ipmi::device are both set; leave one out")
		}
	}
	if i := c.Sensors.BMC.Interval; i < time.Second {
		bad("sensors::bmc::interval: %v is too short; ask a management controller once in a second at most", i)
	}
	errs = append(errs, c.Workloads.validate()...)
	return errors.Join(errs...)
}
