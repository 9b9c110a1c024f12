package powerreceiver

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
	"github.com/otelcarbon/otelcarbon/internal/unit"
	"github.com/otelcarbon/otelcarbon/receiver/powerreceiver/internal/metadatatest"
)

// Powercap shows 100 W. The right to use perf comes after ten minutes; it shows 90 W.
func TestC33_perf_is_compared_whenever_it_comes(t *testing.T) {
	byPerf, byRAPL := rapl("package-0", "cpu", sensor.Primary, 0), rapl("package-0", "cpu", sensor.Primary, 0)
	byPerf.ID, byPerf.Sensor, byPerf.Same, byRAPL.Same, byRAPL.Rank = "perf:package-0", "perf", "package-0", "package-0", 1
	s, logs := scripted(t, &sensortest.Fake{Next: func(i int, _ time.Time) (step sensortest.Step) {
		when, e := at(time.Duration(i)*time.Second), unit.Microjoules(i)*joule
		if i >= 600 {
			step.Readings = append(step.Readings, sensor.Reading{Part: byPerf, At: when, Energy: 90 * e})
		}
		step.Readings = append(step.Readings, counting(byRAPL, when, 100*e%262_143_328_911))
		return step
	}})
	for i := range 700 {
		s.sampler.sample(t.Context())
		assert.Equal(t, i >= 630, len(s.sampler.crossCheck.differences()) == 1, "at %d s", i)
	}
	d := s.sampler.crossCheck.differences()
	require.Len(t, d, 1)
	assert.InDelta(t, -0.1, d[0].Relative, 1e-9)
	said := logs.FilterMessage("perf and powercap do not agree; perf is counted").All()
	require.Len(t, said, 1)
	assert.Equal(t, "package-0", said[0].ContextMap()["part"])

	tt := componenttest.NewTelemetry()
	t.Cleanup(func() { require.NoError(t, tt.Shutdown(context.WithoutCancel(t.Context()))) })
	tel, err := newSelfTelemetry(tt.NewTelemetrySettings())
	require.NoError(t, err)
	defer tel.shutdown()
	require.NoError(t, tel.observe(s.sampler))
	metadatatest.AssertEqualReceiverPowerSensorDifference(t, tt, []metricdata.DataPoint[float64]{{
		Attributes: attribute.NewSet(attribute.String("hw.id", "perf:package-0")), Value: d[0].Relative,
	}}, metricdatatest.IgnoreTimestamp())
}
