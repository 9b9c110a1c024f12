package powerreceiver

import (
	"slices"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/perf"
)

// crossCheck compares two sensors that read the same counters, for the first half
// minute in which both are read. It is used by who holds the sensors; differences
// may be asked for by others.
type crossCheck struct {
	check  perf.Check
	result atomic.Pointer[[]perf.Difference]
}

// book takes in what one sample gave, and says once where the two do not agree.
func (c *crossCheck) book(readings []sensor.Reading, logger *zap.Logger) {
	if !c.check.Book(readings) {
		return
	}
	known, found := c.differences(), c.check.Differences()
	c.result.Store(&found)
	for _, d := range found {
		if !d.Agree && !slices.Contains(known, d) {
			logger.Warn("perf and powercap do not agree; perf is counted",
				zap.String("part", d.Same), zap.Float64("perf_watts", d.Perf.Watts()), zap.Float64("powercap_watts", d.RAPL.Watts()))
		}
	}
}

func (c *crossCheck) differences() []perf.Difference {
	if d := c.result.Load(); d != nil {
		return *d
	}
	return nil
}
