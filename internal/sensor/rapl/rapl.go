// Package rapl reads the energy counters of CPUs (RAPL) through the powercap
// files of Linux, which Intel, AMD and Hygon processors have.
//
// The parts that it returns are
//
//	rapl:package-0, rapl:package-0-die-1   type cpu, primary
//	rapl:package-0/dram                    type memory, primary: it lies beside the package, not in it
//	rapl:package-0/core, …/uncore          type cpu, breakdown of the package; so is every unknown sub-zone
//	rapl:psys, rapl:psys-1                 type other, envelope: the board, as far as its maker wired it
//
// A part is known by its name and the name of the zone above it, never by the
// number of the zone, which changes when CPUs go offline and return. Where one
// part has counters in two interfaces (MSR and MMIO on client machines) only one
// of them is read. The core counter of AMD and Hygon is left out: it shows a
// single core. Their counters for the dies of one package are marked MayMirror,
// since kernels have shown the counter of the whole package once for each die.
//
// One odd zone never hides the others: it becomes a *sensor.Problem, and the
// rest is returned. What wraps and resets mean is decided in package energy.
package rapl

import (
	"time"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// Config has the settings of the sensor. The zero value is the usual one.
type Config struct {
	// RescanInterval is how often Read looks for zones that came, went or became
	// readable; 0 and less mean 5 s. A counter that turns out to be gone is looked
	// for at once, though not more than once in a second.
	RescanInterval time.Duration
}

const (
	rescanInterval = 5 * time.Second
	rescanPace     = time.Second
)

// Limiter is what the sensor that Open returns implements beside sensor.Sensor.
type Limiter interface {
	// Wrap returns the shortest time in which one of the counters can wrap, if
	// its part draws MaxPower, or 0 if that is not known of any. Whoever reads less
	// often than twice in this time loses energy.
	Wrap() time.Duration
}

// Open looks for counters under root, the folder that holds sys and proc of the
// machine: "/", or where the host is mounted in a container.
//
// Its error wraps errors.ErrUnsupported and is a *sensor.Problem, which says
// whether the kernel, the machine or the container lacks them. Counters that
// exist and may not be read are no error here: Read reports them, and reads them
// once the permission is there.
func Open(root string, c Config) (sensor.Sensor, error) {
	if root == "" {
		root = "/"
	}
	if c.RescanInterval <= 0 {
		c.RescanInterval = rescanInterval
	}
	return open(root, c)
}
