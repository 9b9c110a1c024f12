// Package nvml reads NVIDIA GPUs through NVML, the library of their driver.
//
// The parts that it returns are
//
//	nvml:GPU-4a3b…          type gpu, primary: board and memory of one GPU
//	nvml:GPU-4a3b…/module   type other, envelope: CPU, GPU and memory of a Grace Hopper module
//
// A GPU is known by its UUID, and where it has none by its PCI address, never by
// its index. NVML looks for GPUs when it is initialized, so that one which is
// added later is not seen before the next time.
//
// Energy is that of the driver's counter, which Volta and newer have: it counts mJ
// since the driver was loaded, moves every 20 to 100 ms and never wraps, so a fall
// is a reset. Other GPUs are integrated: from the driver's buffer of power samples
// where it has one, else from one reading of power at each Read, the mean of the
// last second where the architecture offers it. Which of them a GPU uses is decided
// when it is first read.
//
// NVML has no energy of single MIG instances. The sensor is a sensor.Attributor, which
// tells what attribution needs instead.
//
// Every call of NVML is made by one goroutine that the sensor owns. A call that
// does not return holds back neither Read nor Close.
//
// The library is loaded at run time, by cgo: this package has a reader only on
// Linux, built with cgo and the tag nvml. Otherwise Open says so.
package nvml

import (
	"time"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// Config has the settings of the sensor. The zero value is the usual one.
type Config struct {
	// Devices selects GPUs: by index ("0"), by UUID or the beginning of one
	// ("GPU-4a3b"), or by that of a MIG instance ("MIG-…"), which selects the GPU it
	// lies in. Empty selects all.
	Devices []string
	// Timeout is how long Read waits for the driver; 0 and less mean 500 ms.
	Timeout time.Duration
	// Processes asks for what Processes and Loads tell, some calls more for each GPU and
	// Read.
	Processes bool
	// LayoutInterval is how often Read looks whether the MIG instances of a GPU have
	// changed; 0 and less mean 10 s.
	LayoutInterval time.Duration
}

const (
	defaultTimeout        = 500 * time.Millisecond
	defaultLayoutInterval = 10 * time.Second
)

// The sensor that Open returns is a sensor.Attributor. These are the words of that.
type (
	Instance    = sensor.Instance
	ProcessKind = sensor.ProcessKind
	ProcessUse  = sensor.ProcessUse
	Load        = sensor.Load
)

const (
	unallocated = sensor.Unallocated
	compute     = sensor.Compute
	graphics    = sensor.Graphics
	mps         = sensor.MPS
)

// Open looks for GPUs. An impossible Config gives a plain error. Any other error
// is a *sensor.Problem that wraps errors.ErrUnsupported: there is no library, no
// driver, no GPU, or this program was built without NVML. A driver that is there
// and does not answer is no error here: Read reports it, and reads the GPUs once
// it does.
//
// Loading the driver's state may take seconds; Open waits up to 5 s for it.
func Open(c Config) (sensor.Sensor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	lib, problem := load()
	if problem != nil {
		return nil, problem
	}
	return open(lib, c)
}

// open is Open on a given library. The error result is not typed, so that none
// is nil.
func open(lib library, c Config) (sensor.Sensor, error) {
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.LayoutInterval <= 0 {
		c.LayoutInterval = defaultLayoutInterval
	}
	r, problem := start(lib, c)
	if problem != nil {
		return nil, problem
	}
	return r, nil
}
