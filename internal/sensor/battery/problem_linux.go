package battery

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// What a file holds that no driver should write.
var (
	errNumber  = errors.New("not a number")
	errStatus  = errors.New("not a status that the kernel knows")
	errAbsurd  = errors.New("more than 1 kW, which no battery of a host gives")
	errNothing = errors.New("0 W, though the battery is discharging")
)

// newProblem says what a failed access to path means.
func newProblem(path string, cause error) *sensor.Problem {
	p := &sensor.Problem{Sensor: names.SensorBattery, Class: classify(cause), Path: path, Err: cause}
	switch {
	case p.Class == sensor.Permission:
		p.Remedy = "the kernel shows this file to every user: look for AppArmor or SELinux, " +
			"and in a container mount the host's /sys read-only elsewhere, such as /host/sys, and set root_path to /host"
	case p.Class == sensor.Gone:
		p.Remedy = "it is read again when it returns"
	case errors.Is(cause, errNothing):
		p.Remedy = "some firmware needs a few seconds after the charger is unplugged"
	}
	return p
}

func classify(err error) sensor.Class {
	var errno unix.Errno
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return sensor.Permission
	case isGone(err):
		return sensor.Gone
	case errors.As(err, &errno) && errno != unix.ELOOP && errno != unix.EISDIR:
		return sensor.IO
	}
	return sensor.Malformed
}

// absent says why a scan found no battery to read.
func absent(class string, s *scan) *sensor.Problem {
	p := &sensor.Problem{Sensor: names.SensorBattery, Class: sensor.Absent, Path: class}
	var why string
	switch {
	case s.dangling != "" && len(s.supplies) == 0:
		p.Class, p.Path = sensor.Masked, s.dangling
		why = "the link leads nowhere: the folder of the device is not mounted here"
		p.Remedy = "mount the host's whole /sys read-only, such as at /host/sys, and set root_path to /host"
	case s.silent != "":
		p.Path = s.silent
		why = "the battery shows neither power_now nor current_now and voltage_now"
		p.Remedy = "leave this sensor out: the driver tells no power"
	case s.missing:
		why = "there is no such folder"
		p.Remedy = "root_path has to be the folder in which sys of the host lies; virtual machines and many servers have no power_supply class"
	default:
		why = "this machine has no battery"
		p.Remedy = "leave this sensor out: it is for laptops"
	}
	p.Err = fmt.Errorf("%s: %w", why, errors.ErrUnsupported)
	return p
}
