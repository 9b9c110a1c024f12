package bmc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/bougou/go-ipmi/pkg/open"
	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

const (
	defaultDevice = "/dev/ipmi0"
	ipmiTimeout   = 3 * time.Second // an answer takes 10 to 100 ms
)

// openIPMI finds the device. One that exists is opened when it is first asked.
func openIPMI(root, device string) (source, error) {
	configured := device != ""
	if !configured {
		device = defaultDevice
	}
	number, err := deviceNumber(device)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(device); errors.Is(err, os.ErrNotExist) {
		return nil, noDevice(root, device)
	}
	d := &ipmiDevice{path: device, number: number}
	return &inside{device: device, asker: d, done: d.close}, nil
}

// deviceNumber reads the number in one of the names that the driver's device has.
// The library opens it by number.
func deviceNumber(device string) (int32, error) {
	for _, prefix := range []string{"/dev/ipmi/", "/dev/ipmidev/", "/dev/ipmi"} {
		if rest, ok := strings.CutPrefix(device, prefix); ok {
			if n, err := strconv.ParseUint(rest, 10, 8); err == nil && strconv.FormatUint(n, 10) == rest {
				return int32(n), nil
			}
		}
	}
	return 0, fmt.Errorf("bmc: ipmi device %q is not of the form /dev/ipmi0", device)
}

func noDevice(root, device string) *sensor.Problem {
	p := &sensor.Problem{Sensor: sensorName, Class: sensor.Absent, Path: device}
	why := "there is no IPMI device and no Redfish endpoint is configured"
	p.Remedy = "on a server load the driver (modprobe ipmi_si; modprobe ipmi_devintf), or configure redfish"
	known := filepath.Join(root, "sys/class/ipmi", filepath.Base(device))
	if _, err := os.Lstat(known); err == nil {
		p.Class = sensor.Masked
		why = "the host has this device (" + known + "), and it is not in this container"
		p.Remedy = "hand it in: --device " + device + ", or configure redfish"
	}
	p.Err = fmt.Errorf("%s: %w", why, errors.ErrUnsupported)
	return p
}

// ipmiDevice is the asker behind the kernel's driver. It opens the device anew
// after every failure, which also drops answers that come too late.
type ipmiDevice struct {
	path   string
	number int32
	link   *open.DeviceBackend // nil: not open
}

func (d *ipmiDevice) ask(ctx context.Context) ([]byte, error) {
	if d.link == nil {
		if err := d.connect(ctx); err != nil {
			return nil, err
		}
	}
	timeout := ipmiTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = max(min(timeout, time.Until(deadline)), time.Millisecond)
	}
	b, err := d.link.Send(ctx, &open.Request{NetFn: dcmiNetFn, Cmd: dcmiPowerReading, Data: dcmiRequest()}, timeout)
	if err != nil {
		d.close(ctx)
		return nil, fmt.Errorf("DCMI power reading: %w", err)
	}
	return b, nil
}

// connect tries the file itself first: the library's error does not keep the cause.
func (d *ipmiDevice) connect(ctx context.Context) error {
	f, err := os.OpenFile(d.path, os.O_RDWR, 0)
	if err != nil {
		return openFailure(d.path, err)
	}
	_ = f.Close() // nothing was written
	link := &open.DeviceBackend{}
	if err := link.Connect(ctx, d.number); err != nil {
		return fmt.Errorf("open the IPMI device: %w", err)
	}
	d.link = link
	return nil
}

func (d *ipmiDevice) close(ctx context.Context) {
	if d.link != nil {
		_ = d.link.Close(ctx) // it is closed whatever it says
		d.link = nil
	}
}

func openFailure(path string, err error) error {
	f := &failure{path: path, cause: err}
	if pe := (*os.PathError)(nil); errors.As(err, &pe) {
		f.cause = pe.Err // the path stands in Path
	}
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		f.cause = fmt.Errorf("%w: %w", errForbidden, f.cause)
		f.remedy = permissionRemedy(path)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		f.cause = fmt.Errorf("%w: %w", errGone, f.cause)
		f.remedy = "the driver was unloaded or lost the controller; see dmesg | grep -i ipmi"
	}
	return f
}

func permissionRemedy(path string) string {
	var b strings.Builder
	var st unix.Stat_t
	if unix.Stat(path, &st) == nil {
		fmt.Fprintf(&b, "the mode is %04o, the owner uid %d, this process runs as uid %d; ", st.Mode&0o7777, st.Uid, unix.Geteuid())
	}
	if unix.Geteuid() == 0 {
		b.WriteString("uid 0 is refused by the device rules of the container or by a security module: hand the device in (--device " + path + ")")
		return b.String()
	}
	b.WriteString("let a group use it by the udev rule " +
		`SUBSYSTEM=="ipmi", KERNEL=="ipmi*", GROUP="GROUP", MODE="0660"` +
		", udevadm trigger --subsystem-match=ipmi --action=add, and run this in that group " +
		"(systemd: SupplementaryGroups=GROUP); whoever may use the device may also reset the host")
	return b.String()
}
