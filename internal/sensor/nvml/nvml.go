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
// NVML has no energy of single MIG instances. Instances and Processes, methods of
// the sensor beside those of sensor.Sensor, tell what attribution needs instead.
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
	// Processes asks for what Processes tells, some calls more for each GPU and Read.
	Processes bool
	// LayoutInterval is how often Read looks whether the MIG instances of a GPU have
	// changed; 0 and less mean 10 s.
	LayoutInterval time.Duration
}

const (
	defaultTimeout        = 500 * time.Millisecond
	defaultLayoutInterval = 10 * time.Second
)

// Attributor is what the sensor that Open returns implements beside
// sensor.Sensor. Both methods tell the state of the last Read that did not time
// out, and may be called by the goroutine that reads, between two Reads.
type Attributor interface {
	// Instances appends the MIG instances of all GPUs to dst, and for each GPU that
	// has slices in no instance one Instance with the ID Unallocated. The fields
	// Devices of the result are shared and not to be changed.
	Instances(dst []Instance) []Instance
	// Processes appends what the processes did between the last two such Reads.
	Processes(dst []ProcessUse) []ProcessUse
}

// Unallocated is the ID of the slices of a GPU that are in no instance, and of
// the instance of a process that runs in none.
const Unallocated = -1

// Instance is a GPU instance of MIG: a fixed share of a GPU.
type Instance struct {
	GPU     *sensor.Part
	ID      int      // in its GPU, used again for later instances; or Unallocated
	Slices  int      // of Total
	Total   int      // slices of the whole GPU
	Devices []string // UUIDs of the MIG devices in it ("MIG-…"), one for each compute instance
}

// ProcessKind is a set of ways to use a GPU.
type ProcessKind uint8

const (
	Compute  ProcessKind = 1 << iota // a CUDA context
	Graphics                         // OpenGL, Vulkan, X
	MPS                              // a client of the multi-process service
)

// ProcessUse is what one process did on one GPU.
type ProcessUse struct {
	GPU      *sensor.Part
	PID      uint32        // as the driver says it, which may be in another PID namespace than ours
	Instance int           // ID of the MIG instance, or Unallocated
	Busy     time.Duration // utilization of the compute units integrated over time; 0 under MIG, which has none
	Kind     ProcessKind   // 0: it has ended, or is only seen by its utilization
	Memory   uint64        // bytes it holds on the GPU; 0 if unknown
}

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
