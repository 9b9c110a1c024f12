package carbonprocessor

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// An agent and the gateway behind it may both run the processor.
func TestEnergyThatWasPricedAlreadyIsLeftAlone(t *testing.T) {
	agent, gateway := newRig(t, nil), newRig(t, nil)
	host := energy(t, in{temporality: delta}, func(dp pmetric.NumberDataPoint) { agent.fill(dp, point{0, 10, 1000.0}) })
	priced := agent.send(host)
	before := pmetric.NewMetrics()
	priced.CopyTo(before)
	after := gateway.send(priced) // checks that nothing is there twice
	assertUntouched(t, before, after)
	assert.Equal(t, before.MetricCount(), after.MetricCount())
	assert.Equal(t, map[string]int64{"already_priced": 1}, gateway.dropped())

	workload := energy(t, in{name: "carbon.energy", temporality: delta}, func(dp pmetric.NumberDataPoint) { agent.fill(dp, point{0, 10, 1000.0}) })
	metrics := workload.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	metrics.AppendEmpty().SetName("carbon.host.emissions")
	metrics.At(1).SetEmptyGauge().DataPoints().AppendEmpty().SetDoubleValue(1)
	assert.Len(t, found(gateway.send(workload), "carbon.emissions"), 1, "emissions of the host are not those of workloads")
}
