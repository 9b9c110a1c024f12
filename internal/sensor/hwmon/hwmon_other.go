//go:build !linux

package hwmon

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

func open(string, Config) (sensor.Sensor, error) {
	return nil, &sensor.Problem{
		Sensor: names.SensorHwmon,
		Class:  sensor.NotBuilt,
		Err:    fmt.Errorf("%s has no hwmon interface: %w", runtime.GOOS, errors.ErrUnsupported),
	}
}
