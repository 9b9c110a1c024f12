package nvml

import (
	"encoding/binary"
	"math"
)

// library is what the sensor needs of NVML. Its devices become invalid with
// Shutdown. All methods are called by one goroutine, locked to its thread, and
// may block for any time.
type library interface {
	Init() status
	Shutdown() status
	Count() (int, status)
	Device(index int) (device, status)
}

// device is one GPU. Methods that append return what dst held when they fail.
type device interface {
	UUID() (string, status)
	Name() (string, status)
	PCI() (string, status) // as NVML spells it: 00000000:3B:00.0
	Architecture() (architecture, status)

	// Energy returns mJ since the driver was loaded.
	Energy() (uint64, status)
	// Power returns mW: now up to GA100, later the mean of a second.
	Power() (uint32, status)
	// Fields fills in value and status of each.
	Fields(fs []field) status
	// PowerSamples appends samples younger than since (µs).
	PowerSamples(dst []powerSample, since uint64) ([]powerSample, status)

	// Layout tells whether MIG is enabled, and a sum over the set of MIG
	// devices, which changes with it.
	Layout() (enabled bool, sum uint64, s status)
	// Instances appends the GPU instances and tells how many slices the GPU has.
	Instances(dst []migInstance) (all []migInstance, slices int, s status)

	// Use returns the percent of a recent while in which the compute units did something.
	Use() (uint32, status)
	// Utilization appends samples younger than since (µs).
	Utilization(dst []useSample, since uint64) ([]useSample, status)
	// Processes appends the processes of one kind.
	Processes(dst []process, kind ProcessKind) ([]process, status)
}

// architecture is that of a GPU, by the numbers of NVML.
type architecture uint32

const ampere architecture = 7 // nvml.h, NVML_DEVICE_ARCH_AMPERE

// field is one question of nvmlDeviceGetFieldValues and its answer.
type field struct {
	id, scope uint32
	value     uint64
	status    status
}

const (
	fieldPowerAverage  = 185 // nvml.h, NVML_FI_DEV_POWER_AVERAGE: mW, mean of 1 s; Ampere except GA100, and newer
	fieldPowerInstant  = 186 // nvml.h, NVML_FI_DEV_POWER_INSTANT: mW
	fieldPowerMaxLimit = 188 // nvml.h, NVML_FI_DEV_POWER_MAX_LIMIT: mW

	scopeGPU    = 0 // nvml.h, NVML_POWER_SCOPE_GPU
	scopeModule = 1 // nvml.h, NVML_POWER_SCOPE_MODULE
)

// powerSample is one of the driver's buffer.
type powerSample struct {
	stamp     uint64 // µs
	milliwatt uint64
}

// useSample is the utilization of a process until stamp.
type useSample struct {
	pid   uint32
	stamp uint64 // µs
	sm    uint32 // percent of the compute units
}

// process is one that holds the GPU.
type process struct {
	pid      uint32
	instance int // or unallocated
	memory   uint64
}

// migInstance is a GPU instance.
type migInstance struct {
	id, slices int
	devices    []string
}

// decode returns the value of a union by its type; false for what is no count.
func decode(kind uint32, raw [8]byte) (uint64, bool) {
	n := binary.NativeEndian
	switch kind { // nvml.h, nvmlValueType_t
	case 0: // double
		f := math.Float64frombits(n.Uint64(raw[:]))
		if !(f >= 0 && f < 1<<63) { // NaN too
			return 0, false
		}
		return uint64(f), true
	case 1: // unsigned int
		return uint64(n.Uint32(raw[:4])), true
	case 2, 3: // unsigned long, unsigned long long
		return n.Uint64(raw[:]), true
	case 4: // signed long long
		v := n.Uint64(raw[:])
		return v, v < 1<<63
	case 5: // signed int
		v := n.Uint32(raw[:4])
		return uint64(v), v < 1<<31
	case 6: // unsigned short
		return uint64(n.Uint16(raw[:2])), true
	}
	return 0, false
}
