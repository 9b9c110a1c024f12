// Package gpu reads the NVIDIA GPUs that an application uses. It stands apart, because
// whoever imports it gets the bindings of NVIDIA's library into go.mod; nothing else of
// the instrumentation needs them.
//
// There is a reader only on Linux, in programs built with cgo and the tag nvml. Others
// compile, and are told by Open what is missing.
//
// Of a GPU the process gets the share that it has in the utilization, as the driver
// tells it of each process, with carbon.WithChildren also that of its children; not what
// the GPU draws unused, unless idle energy goes by usage. The driver knows processes by the
// number that they have on the host: in a container, mount the host's proc and sys and name
// their folder with carbon.WithRootPath. A GPU that is cut into instances (MIG) tells no
// utilization, so its energy is nobody's here; the receiver divides it.
package gpu

import (
	"time"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/nvml"
)

// timeout is how long a look at the machine waits for the driver. What comes later is
// told by the next one.
const timeout = 100 * time.Millisecond

// Open looks for GPUs. Hand it to the instrumentation, which calls it in the background:
// to load the driver's state may take seconds. An error that wraps errors.ErrUnsupported
// says that there is no GPU, no driver, or no reader in this build.
func Open() (sensor.Sensor, error) {
	return nvml.Open(nvml.Config{Timeout: timeout, Processes: true})
}
