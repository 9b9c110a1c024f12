//go:build !linux

package bmc

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

func openIPMI(string, string) (source, error) {
	return nil, &sensor.Problem{
		Sensor: sensorName,
		Class:  sensor.NotBuilt,
		Remedy: "configure redfish, which works here too",
		Err:    fmt.Errorf("there is no reader for IPMI on %s: %w", runtime.GOOS, errors.ErrUnsupported),
	}
}
