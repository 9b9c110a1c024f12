package powerreceiver

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/perf"
)

// checkTime is how long perf and powercap are compared after the start.
const checkTime = 30 * time.Second

// crossCheck compares two sensors that read the same counters, while both are
// there. It is used by who holds the sensors; differences may be asked for by others.
type crossCheck struct {
	check  perf.Check
	began  time.Time
	over   bool
	result atomic.Pointer[[]perf.Difference]
}

// book takes in what one sample gave, and says once where the two do not agree.
func (c *crossCheck) book(now time.Time, readings []sensor.Reading, logger *zap.Logger) {
	if c.over {
		return
	}
	if c.began.IsZero() {
		c.began = now
	}
	c.check.Book(readings)
	if now.Sub(c.began) < checkTime {
		return
	}
	c.over = true
	found := c.check.Differences()
	c.result.Store(&found)
	for _, d := range found {
		if !d.Agree {
			logger.Warn("perf and powercap do not agree; perf is counted",
				zap.String("part", d.Same), zap.Float64("perf_watts", d.Perf.Watts()), zap.Float64("powercap_watts", d.RAPL.Watts()))
		}
	}
	c.check = perf.Check{} // its memory is not needed any more
}

func (c *crossCheck) differences() []perf.Difference {
	if d := c.result.Load(); d != nil {
		return *d
	}
	return nil
}
