package powerreceiver

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// An hour of a machine of 64 parts, one sample a second and a collection every ten: what
// it costs beside the reads is less than 1 % of one CPU, 10 ms a second. The CPU time is
// that of this process, so that it does not matter who else uses the machine.
func TestC77_an_hour_costs_less_than_one_per_cent_of_a_cpu(t *testing.T) {
	parts := make([]*sensor.Part, 64)
	for i := range parts {
		parts[i] = rapl(fmt.Sprintf("package-%d", i), "cpu", sensor.Primary, i)
	}
	s, _ := scripted(t, &sensortest.Fake{Next: func(n int, _ time.Time) (step sensortest.Step) {
		for _, p := range parts {
			step.Readings = append(step.Readings, counting(p, at(time.Duration(n)*time.Second), unit.Microjoules(n)*50*joule%262_143_328_850))
		}
		return step
	}})
	s.age = time.Hour // collections take no samples of their own
	const hour = 3600
	before := spent(t)
	for n := range hour {
		s.sampler.sample(t.Context())
		if n%10 == 0 {
			scrape(t, s)
		}
	}
	assert.Less(t, spent(t)-before, hour*10*time.Millisecond)
}

func spent(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
