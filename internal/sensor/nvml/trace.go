package nvml

import (
	"strconv"
	"sync/atomic"
)

// call names what the worker asks NVML for.
type call uint8

const (
	callNone call = iota
	callInit
	callShutdown
	callCount
	callDevice
	callIdentity
	callEnergy
	callPower
	callModule
	callLayout
	callUse
	callUtilization
	callProcesses
	calls
)

var callNames = [calls]string{
	"", "nvmlInit", "nvmlShutdown", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex", "name and UUID",
	"energy counter", "power", "module power", "MIG instances", "utilization", "process utilization", "processes",
}

// trace is the call that the worker is in. The reader looks at it when the
// worker does not answer.
type trace struct{ v atomic.Uint64 }

const noGPU = -1

func (t *trace) set(index int, c call) { t.v.Store(uint64(index+1)<<8 | uint64(c)) } //nolint:gosec // index is at least -1

func (t *trace) String() string {
	v := t.v.Load()
	name := callNames[v&0xff]
	if index := v >> 8; index > 0 {
		return "GPU " + strconv.FormatUint(index-1, 10) + ": " + name
	}
	return name
}
