//go:build !linux

package nvidiasmi

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

func open(Config, selection, limits) (sensor.Sensor, error) {
	return nil, &sensor.Problem{
		Sensor: sensorName,
		Class:  sensor.NotBuilt,
		Remedy: "leave it out of the configuration",
		Err:    fmt.Errorf("this version reads nvidia-smi on Linux only, not on %s: %w", runtime.GOOS, errors.ErrUnsupported),
	}
}
