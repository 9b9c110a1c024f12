//go:build !linux

package rapl

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

func open(string, Config) (sensor.Sensor, error) {
	return nil, &sensor.Problem{
		Sensor: names.SensorRAPL,
		Class:  sensor.NotBuilt,
		Err:    fmt.Errorf("%s has no powercap interface: %w", runtime.GOOS, errors.ErrUnsupported),
	}
}
