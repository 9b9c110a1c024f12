//go:build !linux

package battery

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

func open(string, Config) (sensor.Sensor, error) {
	_ = hostPart
	return nil, &sensor.Problem{
		Sensor: names.SensorBattery,
		Class:  sensor.NotBuilt,
		Remedy: "leave it out of the configuration",
		Err:    fmt.Errorf("%s has no power_supply class: %w", runtime.GOOS, errors.ErrUnsupported),
	}
}
