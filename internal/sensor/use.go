package sensor

import "time"

// An Attributor is a Sensor that knows who uses its parts. Its methods tell the state
// of the last Read that did not time out; whoever reads calls them, between two Reads.
type Attributor interface {
	// Instances appends the MIG instances of all GPUs to dst, and for each GPU that
	// has slices in no instance one Instance with the ID Unallocated. The fields
	// Devices of the result are shared and not to be changed.
	Instances(dst []Instance) []Instance
	// Processes appends what the processes did between the last two such Reads.
	Processes(dst []ProcessUse) []ProcessUse
	// Loads appends how far each GPU is used. One of which that is not known, such as
	// one that is cut into instances, is left out.
	Loads(dst []Load) []Load
}

// Unallocated is the ID of the slices of a GPU that are in no instance, and of
// the instance of a process that runs in none.
const Unallocated = -1

// Instance is a GPU instance of MIG: a fixed share of a GPU.
type Instance struct {
	GPU     *Part
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
	GPU      *Part
	PID      uint32        // as the driver says it, which may be in another PID namespace than ours
	Instance int           // ID of the MIG instance, or Unallocated
	Busy     time.Duration // utilization of the compute units integrated over time; 0 under MIG, which has none
	Kind     ProcessKind   // 0: it has ended, or is only seen by its utilization
	Memory   uint64        // bytes it holds on the GPU; 0 if unknown
}

// Load is how far a GPU is used, whoever uses it.
type Load struct {
	GPU  *Part
	Busy float64 // share of time in which its compute units did something, 0 to 1, lately
	Held bool    // a process holds it that is seen
}
