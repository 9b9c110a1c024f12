//go:build !(nvml && cgo && linux)

package nvml

import (
	"errors"
	"fmt"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

func load() (library, *sensor.Problem) {
	return nil, &sensor.Problem{
		Sensor: names.SensorNVML,
		Class:  sensor.NotBuilt,
		Remedy: "on Linux build with -tags nvml and CGO_ENABLED=1: make build-nvml",
		Err:    fmt.Errorf("built without NVML: %w", errors.ErrUnsupported),
	}
}
