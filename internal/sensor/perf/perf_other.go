//go:build !linux

package perf

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

func open(string, Config) (sensor.Sensor, error) {
	return nil, &sensor.Problem{
		Sensor: names.SensorPerf,
		Class:  sensor.NotBuilt,
		Err:    fmt.Errorf("%s has no perf events: %w", runtime.GOOS, errors.ErrUnsupported),
	}
}
