package nvidiasmi

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// errNoField is what an nvidia-smi says that is older than a field.
var errNoField = errors.New("a field that this nvidia-smi does not know")

// explain returns what a line means that is no row of the table. Absent problems
// wrap errors.ErrUnsupported.
func explain(path string, line []byte) *sensor.Problem {
	p := &sensor.Problem{Sensor: sensorName, Path: path, Err: fmt.Errorf("it says %q", clip(line))}
	says := func(s string) bool { return bytes.Contains(line, []byte(s)) }
	switch {
	case says("No devices were found"), says("No devices found"):
		p.Class, p.Remedy = sensor.Absent, "leave this sensor out, or in a container let it have the GPUs (--gpus all)"
	case says("couldn't communicate with the NVIDIA driver"):
		p.Class, p.Remedy = sensor.Absent, "load the driver (modprobe nvidia) before the sensor is opened"
	case says("couldn't find libnvidia-ml.so"):
		p.Class, p.Remedy = sensor.Absent, "install the driver's library, or in a container let the NVIDIA runtime mount it (NVIDIA_DRIVER_CAPABILITIES=utility)"
	case says("version mismatch"):
		p.Class, p.Remedy = sensor.IO, "the driver was upgraded under a running kernel module: reload the module or reboot"
	case says("Insufficient Permissions"):
		p.Class, p.Remedy = sensor.Permission, "let this process open /dev/nvidiactl and /dev/nvidia0 …"
	case says("is not a valid field to query"):
		p.Class, p.Err = sensor.Malformed, fmt.Errorf("%w: %q", errNoField, clip(line))
	case says("is lost"), says("fallen off the bus"), says("Unable to determine the device handle"):
		p.Class, p.Remedy = sensor.Gone, "see dmesg | grep -i xid; a GPU that is lost comes back with a reset or a reboot"
	case says("Failed to initialize NVML"):
		p.Class, p.Remedy = sensor.IO, "in a container that ran before: systemctl daemon-reload takes its GPUs away, start it again"
	default:
		p.Class, p.Remedy = sensor.Malformed, "run it by hand with --query-gpu=index,uuid,power.draw,name --format=csv,noheader,nounits"
	}
	if p.Class == sensor.Absent {
		p.Err = fmt.Errorf("%w: %w", p.Err, errors.ErrUnsupported)
	}
	return p
}

// noPower returns what it means that a GPU shows text in place of its power.
func noPower(uuid string, text []byte) *sensor.Problem {
	p := &sensor.Problem{Sensor: sensorName, Path: uuid, Class: sensor.IO, Err: fmt.Errorf("the power is %q", clip(text))}
	says := func(s string) bool { return bytes.Contains(text, []byte(s)) }
	switch {
	case says("N/A"), says("Not Supported"), bytes.HasPrefix(text, []byte("0")): // 0.00
		p.Class = sensor.Absent
		p.Err = fmt.Errorf("%w: %w", p.Err, errors.ErrUnsupported)
		p.Remedy = "this board, or a virtual GPU, has no power sensor: its energy is not in the figures"
	case says("Permission"):
		p.Class = sensor.Permission
	case says("lost"), says("reset"):
		p.Class, p.Remedy = sensor.Gone, "see dmesg | grep -i xid; the GPU needs a reset or the machine a reboot"
	}
	return p
}

// clip bounds what others wrote before it goes into a message.
func clip(b []byte) []byte { return b[:min(len(b), 160)] }
