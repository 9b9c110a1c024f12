package powerreceiver

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// A day at one sample a second and a collection every ten, on a machine whose parts
// come, go and fail. What is kept after the first hour is what is kept after the day.
func TestC76_memory_is_flat_over_a_day_of_churn(t *testing.T) {
	parts := make([]*sensor.Part, 64)
	for i := range parts {
		parts[i] = rapl(fmt.Sprintf("package-%d", i), "cpu", sensor.Primary, i)
	}
	failed := make([]*sensor.Problem, 64)
	for i := range failed {
		failed[i] = &sensor.Problem{Sensor: "rapl", Class: sensor.IO, Path: fmt.Sprintf("/sys/%d/energy_uj", i), Err: fmt.Errorf("read %d", i)}
	}
	fake := &sensortest.Fake{Next: func(n int, _ time.Time) sensortest.Step {
		var step sensortest.Step
		for i, p := range parts {
			if (n/97+i)%5 == 0 { // offline for a minute and a half
				continue
			}
			step.Readings = append(step.Readings, counting(p, at(time.Duration(n)*time.Second), unit.Microjoules(n)*50*joule%262_143_328_850))
		}
		if n%13 == 0 {
			step.Err = failed[n%len(failed)]
		}
		return step
	}}
	s, _ := scripted(t, fake)
	s.age = time.Hour               // collections take no samples of their own
	s.sampler.logger = zap.NewNop() // the observer keeps what it sees
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var hour uint64
	for n := range 24 * 3600 {
		s.sampler.sample(t.Context())
		if n%10 == 0 {
			_, err := s.scrape(t.Context())
			require.NoError(t, err)
		}
		if n == 3600 {
			hour = live()
		}
	}
	assert.Less(t, live(), hour+4<<20, "bytes")
}

// Whatever a machine has, nobody's command line, environment or name is told.
func TestC79_attributes_are_those_of_the_contract_and_no_others(t *testing.T) {
	s, _ := scripted(t, sensortest.NewFake(twoSockets()...))
	known := map[string]bool{"hw.id": true, "hw.type": true, "hw.name": true, "hw.parent": true, "carbon.method": true, "carbon.sensor": true}
	scrape(t, s)
	md := scrape(t, s)
	for _, rm := range md.ResourceMetrics().All() {
		for key := range rm.Resource().Attributes().All() {
			assert.Contains(t, []string{"host.id", "host.name"}, key)
		}
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				var points pmetric.NumberDataPointSlice
				if m.Type() == pmetric.MetricTypeSum {
					points = m.Sum().DataPoints()
				} else {
					points = m.Gauge().DataPoints()
				}
				for _, dp := range points.All() {
					for key := range dp.Attributes().All() {
						assert.True(t, known[key], "%s of %s", key, m.Name())
					}
				}
			}
		}
	}
}
