//go:build !linux && !darwin && !windows

package process

import (
	"runtime"

	"github.com/otelcarbon/otelcarbon/internal/sensor/model"
)

func readHost(string) model.Host { return model.Host{LogicalCPUs: runtime.NumCPU()} }
