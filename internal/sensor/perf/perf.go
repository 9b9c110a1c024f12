// Package perf reads the energy counters of CPUs (RAPL) through the power PMU of
// Linux, that is, by perf_event_open in counting mode. It needs one capability,
// CAP_PERFMON, and neither the mode of a file nor a driver of powercap.
//
// The parts that it returns are those of package rapl, by the same names and with
// the same Part.Same, so that the ledger counts one of the two:
//
//	perf:package-0, perf:package-0-die-1   type cpu, primary
//	perf:package-0/dram                    type memory, primary: it lies beside the package, not in it
//	perf:package-0/core, …/uncore          type cpu, breakdown of the package
//	perf:psys, perf:psys-1                 type other, envelope; shown once it has counted anything
//
// The PMU power_core, of which an event counts a single core of an AMD CPU, is
// left alone.
//
// The kernel counts from the moment at which the sensor opens an event. An event
// ends with the last CPU of its package. When it is opened anew, the part goes on
// from the count that it had: what was used meanwhile is unknown and not counted,
// and Read says so once. The kernel extends the 32 bits of the hardware itself,
// provided that somebody reads before half of them are used: 32 kJ on AMD, 131 kJ
// on Intel. So read every 15 s or more often.
//
// Check compares this sensor with package rapl.
package perf

import (
	"time"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// Config has the settings of the sensor. The zero value is the usual one.
type Config struct {
	// RescanInterval is how often Read looks for CPUs that came or went and tries
	// again what was refused; 0 and less mean 5 s. An event that stops counting is
	// looked after at once, though not more than once in a second.
	RescanInterval time.Duration
}

const (
	rescanInterval = 5 * time.Second
	rescanPace     = time.Second
)

// Open looks for the PMU under root, the folder that holds sys and proc of the
// machine: "/", or where the host is mounted in a container. The events are those
// of the kernel that runs this process, whatever the root.
//
// Its error wraps errors.ErrUnsupported and is a *sensor.Problem, which says
// whether the kernel, the machine or the container lacks the PMU. Events that
// exist and may not be opened are no error here: Read reports them, and reads
// them once the permission is there.
func Open(root string, c Config) (sensor.Sensor, error) {
	if root == "" {
		root = "/"
	}
	if c.RescanInterval <= 0 {
		c.RescanInterval = rescanInterval
	}
	return open(root, c)
}
