package process

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// of returns the one amount of a type that is counted now, and the joules of the type.
func of(r Reading, hwType string) (now Amount, joules float64) {
	for a := range r.All {
		if a.Type == hwType {
			joules += a.Energy.Joules()
			if a.Now {
				now = *a
			}
		}
	}
	return now, joules
}

func joules(r Reading, hwType string, m sensor.Method) float64 {
	for a := range r.All {
		if a.Type == hwType && a.Method == m {
			return a.Energy.Joules()
		}
	}
	return -1
}

func counting(p *sensor.Part, at time.Time, joules float64) sensor.Reading {
	return sensor.Reading{Part: p, At: at, Energy: unit.FromJoules(joules)}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
