package nvml

import (
	"errors"
	"fmt"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// status is what a call of NVML returns: nvmlReturn_t of nvml.h.
type status uint32

const (
	success          status = 0
	uninitialized    status = 1
	invalidArgument  status = 2
	notSupported     status = 3
	noPermission     status = 4
	notFound         status = 6
	driverNotLoaded  status = 9
	libraryNotFound  status = 12
	functionNotFound status = 13
	gpuIsLost        status = 15
	resetRequired    status = 16
	operatingSystem  status = 17
	versionMismatch  status = 18
	noData           status = 21
	notReady         status = 27
	gpuNotFound      status = 28
	unknown          status = 999
)

// Error says what the status means, in words rather than in NVML's names.
func (s status) Error() string {
	switch s {
	case success:
		return "success"
	case uninitialized:
		return "the library is not initialized"
	case invalidArgument:
		return "the driver refuses the argument"
	case notSupported:
		return "the GPU does not support it"
	case noPermission:
		return "no permission"
	case notFound, noData:
		return "nothing found"
	case driverNotLoaded:
		return "the NVIDIA driver is not loaded"
	case libraryNotFound:
		return "libnvidia-ml.so.1 is not there"
	case functionNotFound:
		return "the driver is too old for this call"
	case gpuIsLost:
		return "the GPU is lost: it has fallen off the bus"
	case resetRequired:
		return "the GPU has to be reset"
	case operatingSystem:
		return "the operating system blocks the GPU's device file"
	case versionMismatch:
		return "library and driver are of different versions"
	case notReady:
		return "the driver is not ready"
	case gpuNotFound:
		return "no GPU found"
	case unknown:
		return "the driver reports an unknown error"
	}
	return fmt.Sprintf("NVML error %d", uint32(s))
}

// unsupported says that asking again is useless.
func (s status) unsupported() bool { return s == notSupported || s == functionNotFound }

// empty says that there is nothing, which is no failure.
func (s status) empty() bool { return s == notFound || s == noData }

// lost says that the library has to be initialized anew.
func (s status) lost() bool {
	switch s {
	case uninitialized, driverNotLoaded, gpuIsLost, versionMismatch, unknown:
		return true
	}
	return false
}

func (s status) class() sensor.Class {
	switch s {
	case noPermission, operatingSystem:
		return sensor.Permission
	case gpuIsLost, gpuNotFound:
		return sensor.Gone
	case notSupported, functionNotFound, libraryNotFound, driverNotLoaded:
		return sensor.Absent
	}
	return sensor.IO
}

func (s status) remedy() string {
	switch s {
	case noPermission, operatingSystem:
		return "give this process read and write access to /dev/nvidiactl and /dev/nvidia0…; in a container also the device cgroup " +
			"(--gpus all), which systemd's daemon-reload may take away again: restart the container then"
	case driverNotLoaded:
		return "modprobe nvidia, or see dmesg | grep -i nvrm for why it does not load"
	case libraryNotFound:
		return "install the driver's library (libnvidia-compute, nvidia-driver-cuda-libs); in a container use the NVIDIA runtime with " +
			"NVIDIA_DRIVER_CAPABILITIES=utility; without NVIDIA GPUs leave nvml out"
	case functionNotFound:
		return "update the driver"
	case versionMismatch:
		return "the driver was replaced: restart this process, and reboot or reload the kernel module if that does not help"
	case gpuIsLost, unknown, uninitialized:
		return "the library is initialized anew, at first after a second, later every five minutes; see dmesg | grep -i xid"
	case resetRequired:
		return "nvidia-smi --gpu-reset, or reboot"
	}
	return ""
}

// newProblem says that a call failed on path, a GPU or a call.
func newProblem(path string, s status) *sensor.Problem {
	return &sensor.Problem{Sensor: names.SensorNVML, Class: s.class(), Path: path, Remedy: s.remedy(), Err: s}
}

// absent says that the sensor is of no use on this machine.
func absent(s status) *sensor.Problem {
	p := newProblem("", s)
	p.Class, p.Err = sensor.Absent, fmt.Errorf("%w: %w", s, errors.ErrUnsupported)
	return p
}

// odd says that the driver answered nonsense.
func odd(path, what string) *sensor.Problem {
	return &sensor.Problem{Sensor: names.SensorNVML, Class: sensor.Malformed, Path: path, Err: errors.New(what)}
}
