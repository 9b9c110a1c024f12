package carbon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// An Option changes what Start does. Options win over the environment.
type Option interface{ apply(c *config) }

type option func(*config)

func (o option) apply(c *config) { o(c) }

type config struct {
	meters   metric.MeterProvider
	source   EnergySource
	grid     intensity.Source
	place    intensity.Location
	from     string // where place is from; "": from nowhere
	attrs    []attribute.KeyValue
	interval time.Duration
	pue      float64
	idle     Idle
	children bool
	root     string // of the machine; "": "/"
	weights  bool   // spans and tasks share by CPU time
	budgets  []Budget
	disabled bool
	hostType string // of the cloud, from the resource
	gpus     func() (sensor.Sensor, error)
	errs     []error
}

// WithMeterProvider has metrics go to p instead of the global meter provider.
func WithMeterProvider(p metric.MeterProvider) Option {
	return option(func(c *config) {
		if p != nil {
			c.meters = p
		}
	})
}

// WithIntensity has the carbon intensity of the grid come from s, such as a chain with
// live providers (package intensity/chain). The caller closes it after Shutdown.
// Without, it comes from the embedded tables.
func WithIntensity(s intensity.Source) Option {
	return option(func(c *config) {
		if s != nil {
			c.grid = s
		}
	})
}

// WithZone says where the machine is: a grid zone ("US-MIDA-PJM"), a country ("FR"), a
// subdivision ("US-VA") or a cloud region ("aws:eu-west-3"). The embedded tables know yearly
// values of countries, of some subdivisions and of cloud regions; a zone without one has that of its
// country, which Describe tells.
func WithZone(zone string) Option {
	return option(func(c *config) { c.place, c.from = locationOf(zone), "WithZone" })
}

// WithLocation says the same in fields.
func WithLocation(l intensity.Location) Option {
	return option(func(c *config) { c.place, c.from = l, "WithLocation" })
}

// WithEnergySource has the energy of the process come from s. Shutdown closes it.
func WithEnergySource(s EnergySource) Option {
	return option(func(c *config) {
		if s != nil {
			c.source = s
		}
	})
}

// WithGPUs has the share of the process in the energy of GPUs counted:
//
//	carbon.Start(carbon.WithGPUs(gpu.Open)) // package instrumentation/carbon/gpu
//
// It is a package of its own because only programs that want it should link the library
// of NVIDIA.
func WithGPUs(open func() (sensor.Sensor, error)) Option {
	return option(func(c *config) { c.gpus = open })
}

// WithRootPath says below which folder proc and sys of the machine lie: in a container,
// where those of the host are mounted, such as /host. GPUs need it there, whose driver knows
// processes by the numbers that they have on the host. "" is "/", as without it.
func WithRootPath(path string) Option {
	return option(func(c *config) { c.setRoot("WithRootPath", path) })
}

func (c *config) setRoot(from, path string) {
	if path == "" {
		c.root = ""
		return
	}
	if i, err := os.Stat(filepath.Join(path, "proc")); err != nil || !i.IsDir() { //nolint:gosec // it is the user's own machine
		c.refuse("%s: %q has no folder proc: want where that of the host is mounted, such as /host", from, path)
		return
	}
	c.root = path
}

// WithAttributes adds attributes to every point of the metrics. They are few and the
// same for as long as the program runs; what differs from span to span belongs to
// Monitor.Span.
func WithAttributes(attrs ...attribute.KeyValue) Option {
	return option(func(c *config) { c.attrs = append(c.attrs, attrs...) })
}

// WithInterval says how often energy is read, from 10 ms to 1 min; 100 ms if left out. Where
// there is no source of the program's own, it is read each 10 s at least.
func WithInterval(d time.Duration) Option {
	return option(func(c *config) { c.interval = d })
}

// WithPUE says how much more the building of the machine draws than the machine, from 1
// on. Left out, it is that of the cloud region, else 1.
func WithPUE(ratio float64) Option { return option(func(c *config) { c.pue = ratio }) }

// Idle says whose energy it is that the machine draws while it does nothing.
type Idle uint8

const (
	// IdleSeparate: nobody's. It is what the Collector does, too.
	IdleSeparate Idle = iota
	// IdleByUsage: of those who use the machine, as the rest. On a machine that runs
	// for this program alone, its energy is that of the machine.
	IdleByUsage
)

// WithIdle says whose the idle energy is.
func WithIdle(i Idle) Option { return option(func(c *config) { c.idle = i }) }

// WithChildren has the energy of child processes counted, too: by their CPU time, when they
// have ended and were waited for (os/exec does it), at what a CPU-second of all other
// processes cost in the mean since Start. Windows does not tell their time. With WithGPUs,
// what they and their children use of GPUs counts, too, while they run, by their share.
// Children that measure themselves would be counted twice.
func WithChildren() Option { return option(func(c *config) { c.children = true }) }

// WithCPUWeights has spans and tasks share energy by the CPU time that they burn, instead
// of evenly: a span that waits gets next to nothing beside one that works. The CPU profiler
// of the runtime samples it, 100 times in a CPU-second, and each span and task labels its
// goroutine and those that it starts.
//
// Package spanprocessor passes spans on about a second later then; Task.End takes some
// milliseconds. Spans of Monitor.Span, which are to be known at once, share evenly as
// before, and so do Monitor.Measure, which has no context, and what GPUs draw. A program has
// one CPU profiler: while another holds it, all is shared evenly, and PauseCPUWeights leaves
// it to others. What to know of labels is in instrumentation/README.md. One Monitor of a
// process can do it.
func WithCPUWeights() Option { return option(func(c *config) { c.weights = true }) }

const (
	defaultInterval  = 100 * time.Millisecond
	shortestInterval = 10 * time.Millisecond
	longestInterval  = time.Minute
	longestOwn       = 10 * time.Second // counters wrap: process.Longest
)

// Environment variables, for what no option says.
const (
	envZone     = "OTELCARBON_ZONE"        // as WithZone
	envPUE      = "OTELCARBON_PUE"         // as WithPUE
	envInterval = "OTELCARBON_INTERVAL"    // as WithInterval: 100ms, 1s
	envIdle     = "OTELCARBON_IDLE"        // separate or usage
	envChildren = "OTELCARBON_CHILDREN"    // true: as WithChildren
	envRoot     = "OTELCARBON_ROOT_PATH"   // as WithRootPath
	envWeights  = "OTELCARBON_CPU_WEIGHTS" // true: as WithCPUWeights
	envDisabled = "OTELCARBON_DISABLED"    // true: nothing is measured
	envResource = "OTEL_RESOURCE_ATTRIBUTES"
)

func newConfig(opts []Option) (*config, error) {
	c := &config{interval: defaultInterval}
	c.environment()
	for _, o := range opts {
		if o != nil {
			o.apply(c)
		}
	}
	if c.meters == nil {
		c.meters = otel.GetMeterProvider()
	}
	if c.interval < shortestInterval || c.interval > longestInterval {
		c.refuse("interval of %v: want %v to %v", c.interval, shortestInterval, longestInterval)
		c.interval = defaultInterval
	}
	if c.pue != 0 && !possiblePUE(c.pue) {
		c.refuse("PUE of %v: want 1 to %v", c.pue, mostPUE)
		c.pue = 0
	}
	if c.idle > IdleByUsage {
		c.refuse("idle policy %d: want IdleSeparate or IdleByUsage", c.idle)
		c.idle = IdleSeparate
	}
	return c, errors.Join(c.errs...)
}

// mostPUE is what no building reaches: the worst in Uptime Institute's surveys are at 3.
const mostPUE = 10

func possiblePUE(v float64) bool { return v >= 1 && v <= mostPUE }

func (c *config) refuse(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

// environment reads the variables. What cannot be is an error, and as if it were not set.
func (c *config) environment() {
	if c.place, c.hostType = resourceLocation(os.Getenv(envResource)); c.place != (intensity.Location{}) {
		c.from = envResource
	}
	if v := os.Getenv(envZone); v != "" {
		c.place, c.from = locationOf(v), envZone
	}
	if v := os.Getenv(envPUE); v != "" {
		pue, err := strconv.ParseFloat(v, 64)
		if err != nil || !possiblePUE(pue) {
			c.refuse("%s: %q is no ratio from 1 to %v, such as 1.2", envPUE, v, mostPUE)
			pue = 0
		}
		c.pue = pue
	}
	if v := os.Getenv(envInterval); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d < shortestInterval || d > longestInterval {
			c.refuse("%s: %q is no duration from %v to %v, such as 100ms", envInterval, v, shortestInterval, longestInterval)
			d = defaultInterval
		}
		c.interval = d
	}
	if v := os.Getenv(envRoot); v != "" {
		c.setRoot(envRoot, v)
	}
	switch v := os.Getenv(envIdle); v {
	case "", "separate":
	case "usage":
		c.idle = IdleByUsage
	default:
		c.refuse("%s: %q is not known; use separate or usage", envIdle, v)
	}
	for name, to := range map[string]*bool{envChildren: &c.children, envWeights: &c.weights, envDisabled: &c.disabled} {
		if v := os.Getenv(name); v != "" {
			yes, err := strconv.ParseBool(v)
			if err != nil {
				c.refuse("%s: %q is not known; use true or false", name, v)
			}
			*to = yes
		}
	}
}

func locationOf(zone string) intensity.Location {
	if provider, region, ok := strings.Cut(zone, ":"); ok {
		return intensity.Location{CloudProvider: provider, CloudRegion: region}
	}
	return intensity.Location{Zone: zone}
}

// resourceLocation takes the place from resource attributes as the SDKs read them:
// key=value, separated by commas.
func resourceLocation(attrs string) (l intensity.Location, hostType string) {
	for pair := range strings.SplitSeq(attrs, ",") {
		key, value, _ := strings.Cut(pair, "=")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case names.AttrGridZone:
			l.Zone = value
		case names.ResourceCloudProvider:
			l.CloudProvider = value
		case names.ResourceCloudRegion:
			l.CloudRegion = value
		case names.ResourceCloudZone:
			l.CloudZone = value
		case names.ResourceCountry:
			l.Country = value
		case names.ResourceSubdivision:
			l.Subdivision = value
		case names.ResourceHostType:
			hostType = value
		}
	}
	return l, hostType
}
