package model

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/tables"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// The figures that stand in no table, with their source.
const (
	// The best straight line through 106 RAPL samples of five machines that CodeCarbon
	// 3.3.0 ships (data/hardware/cpu_load_profiling), as a share of TDP; its mean
	// error there is 33 %, that of CodeCarbon's own cubic curve 47 %.
	tdpIdle  = 0.09
	tdpSlope = 0.66

	fallbackProvider = "aws" // the provider with the most servers in coefficients.csv, for machines of none
	threadsPerCore   = 2     // of server CPUs whose row gives cores only: Xeon (SMT), EPYC (AMD specifications)
)

// Limits of what can be meant. They also keep all sums far from overflow.
const (
	maxWatts       = 1e6     // a megawatt is a hall, not a machine
	maxWattsPerGiB = 100     // memory draws less than 1
	maxCPUs        = 1 << 16 // Linux supports 8192
	maxSockets     = 256
	maxMemoryBytes = 1 << 50 // 1 PiB
	bytesPerGiB    = 1 << 30
)

// check names the first thing in the configuration that cannot be.
func (c *Config) check() error {
	for _, v := range []struct {
		key   string
		value float64
		most  float64
		unit  string
	}{
		{"idle_watts", c.IdleWatts, maxWatts, "W"},
		{"max_watts", c.MaxWatts, maxWatts, "W"},
		{"memory_watts_per_gib", c.MemoryWattsPerGiB, maxWattsPerGiB, "W/GiB"},
		{"logical_cpus", float64(c.Host.LogicalCPUs), maxCPUs, "CPUs"},
		{"sockets", float64(c.Host.Sockets), maxSockets, "sockets"},
		{"memory_bytes", float64(c.Host.MemoryBytes), maxMemoryBytes, "bytes"},
	} {
		if !(v.value >= 0 && v.value <= v.most) { // NaN too
			return fmt.Errorf("%s: %g is not between 0 and %g %s", v.key, v.value, v.most, v.unit)
		}
	}
	return nil
}

func choose(c *Config) (curve, error) {
	cv, err := configured(c)
	if err == nil {
		err = cv.check()
	}
	if err == nil && c.Times == nil && !cv.flat() {
		err = errors.New("no source of CPU times, and power depends on use: set idle_watts and max_watts to the same value")
	}
	return cv, err
}

// configured puts the watts of the configuration in the place of those of the tables.
func configured(c *Config) (curve, error) {
	idle, full := c.IdleWatts, c.MaxWatts
	if idle > 0 && full > 0 {
		if idle > full {
			return curve{}, fmt.Errorf("idle_watts: %g W is more than max_watts, %g W", idle, full)
		}
		return curve{points: line(idle, full), withMemory: true, why: "configured"}, nil
	}
	cv, err := fromTables(&c.Host)
	if err != nil {
		return curve{}, &sensor.Problem{
			Sensor: name, Class: sensor.Absent, Remedy: "set idle_watts and max_watts",
			Err: fmt.Errorf("%w: %w", err, errors.ErrUnsupported),
		}
	}
	switch {
	case idle > cv.full().Watts():
		return curve{}, fmt.Errorf("idle_watts: %g W is more than %s at full use (%s): set max_watts too", idle, watts(cv.full()), cv.why)
	case idle > 0:
		return curve{points: line(idle, cv.full().Watts()), withMemory: true, why: "idle_watts configured, full from " + cv.why}, nil
	case full > 0 && full < cv.idle().Watts():
		return curve{}, fmt.Errorf("max_watts: %g W is less than %s at idle (%s): set idle_watts too", full, watts(cv.idle()), cv.why)
	case full > 0:
		return curve{points: line(cv.idle().Watts(), full), withMemory: true, why: "max_watts configured, idle from " + cv.why}, nil
	}
	return cv, nil
}

func fromTables(h *Host) (curve, error) {
	if cv, ok := fromInstance(h); ok {
		return cv, nil
	}
	cpu := tables.CPUs().Lookup(h.CPUModel)
	if cpu != nil && !h.Virtual && !isServer(cpu.Name) {
		return fromSockets(h, cpu), nil
	}
	if h.LogicalCPUs == 0 {
		return curve{}, errors.New("logical_cpus: the number of CPUs is unknown, so the tables have nothing to say")
	}
	if m := generation(h, cpu); m != nil {
		return perCPU(h, m.MinPerThread.Watts(), m.MaxPerThread.Watts(), m.Name+" servers", m.Source), nil
	}
	if cpu != nil {
		if !h.Virtual {
			return fromSockets(h, cpu), nil
		}
		if threads := max(cpu.Threads, threadsPerCore*cpu.Cores); threads > 0 {
			share := float64(h.LogicalCPUs) / float64(threads)
			return fromTDP(cpu, share, fmt.Sprintf("%d of %d threads", h.LogicalCPUs, threads)), nil
		}
	}
	return fromProvider(h)
}

// fromInstance leaves out types with GPUs: their figures contain the GPUs, of which
// the use of the CPU says nothing, and which a sensor of their own measures.
func fromInstance(h *Host) (curve, bool) {
	i := tables.Instances().Lookup(h.CloudProvider, h.InstanceType)
	if i == nil || i.PowerMethod == "" || i.At100 == 0 || i.GPUModel != "" || i.GPUCount > 0 {
		return curve{}, false
	}
	return curve{
		points:     []point{{0, i.Idle}, {0.1, i.At10}, {0.5, i.At50}, {1, i.At100}},
		withMemory: true,
		why:        fmt.Sprintf("instance type %s (%s)", i.Type, i.PowerSource),
	}, true
}

func fromSockets(h *Host, cpu *tables.CPU) curve {
	n := max(h.Sockets, 1)
	return fromTDP(cpu, float64(n), times(n, "socket"))
}

// fromTDP takes count packages, or the share of one that a virtual machine has.
func fromTDP(cpu *tables.CPU, count float64, what string) curve {
	tdp := cpu.TDP.Watts() * count
	return curve{
		points: line(tdpIdle*tdp, (tdpIdle+tdpSlope)*tdp),
		why:    fmt.Sprintf("TDP of %s (%s), %s, %s", cpu.Name, watts(cpu.TDP), what, cpu.Source),
	}
}

func perCPU(h *Host, idle, full float64, whose, source string) curve {
	n := float64(h.LogicalCPUs)
	return curve{
		points: line(idle*n, full*n), withMemory: true,
		why: fmt.Sprintf("%s by %s (%s)", times(h.LogicalCPUs, "CPU"), whose, source),
	}
}

func fromProvider(h *Host) (curve, error) {
	whose := h.CloudProvider
	idle, full := tables.Coefficient("cpu_min_w_per_vcpu_"+whose), tables.Coefficient("cpu_max_w_per_vcpu_"+whose)
	if !idle.OK || !full.OK {
		whose = fallbackProvider
		idle, full = tables.Coefficient("cpu_min_w_per_vcpu_"+whose), tables.Coefficient("cpu_max_w_per_vcpu_"+whose)
	}
	if !idle.OK || !full.OK {
		return curve{}, errors.New("the tables have no watts for an unknown CPU")
	}
	return perCPU(h, idle.V, full.V, "the mean server of "+whose+", for want of a known CPU", full.Source), nil
}

// memory is what the part model:memory draws.
type memory struct {
	power      unit.Microwatts // 0: unknown
	configured bool
	why        string
}

func chooseMemory(c *Config) (memory, error) {
	perGiB, source := c.MemoryWattsPerGiB, "configured"
	if perGiB == 0 {
		// kWh/GBh is 1000 W/GB; the GB of a memory module is a GiB.
		k := tables.Coefficient("memory")
		perGiB, source = k.V*1000, k.Source
	}
	gib := float64(c.Host.MemoryBytes) / bytesPerGiB
	m := memory{
		power:      unit.FromWatts(perGiB * gib),
		configured: c.MemoryWattsPerGiB > 0,
		why:        fmt.Sprintf("%s GiB × %s W/GiB, %s", number(gib), number(perGiB), source),
	}
	switch {
	case m.configured && gib == 0:
		return memory{}, errors.New("memory_watts_per_gib: the size of memory is unknown, so it cannot be used: set it to 0")
	case m.power > unit.FromWatts(maxWatts):
		return memory{}, fmt.Errorf("memory_watts_per_gib: %s makes %s, more than %g W", m.why, watts(m.power), float64(maxWatts))
	}
	return m, nil
}

// isServer tells the names of CPUs for servers, for which alone the watts per
// thread of whole servers mean something.
func isServer(name string) bool {
	name = strings.ToLower(name)
	for _, brand := range []string{"xeon", "epyc", "opteron", "graviton", "neoverse", "ampere", "altra"} {
		if strings.Contains(name, brand) {
			return true
		}
	}
	return false
}

func times(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

func watts(p unit.Microwatts) string { return number(p.Watts()) + " W" }

// number shows three digits, and all of those before the point.
func number(v float64) string {
	if math.Abs(v) >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
