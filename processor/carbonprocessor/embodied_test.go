package carbonprocessor

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// byType returns the values of a metric with a type of emission, by an attribute.
func byType(out pmetric.Metrics, name, kind, key string) map[string]float64 {
	got := map[string]float64{}
	for _, dp := range found(out, name) {
		if str(dp, "carbon.emission_type") == kind {
			got[str(dp, key)] += dp.DoubleValue()
		}
	}
	return got
}

func making(kg float64, lifetime time.Duration) func(*Config) {
	return func(c *Config) { c.Embodied = configoptional.Some(EmbodiedConfig{KgCO2e: kg, Lifetime: lifetime}) }
}

// 36 kg over 10 h are 1 g each second.
func TestAMachineGetsOlder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, making(36, 10*time.Hour))
		send := func(host, part string, start, at float64) pmetric.Metrics {
			i := in{resource: map[string]any{"host.id": host}, attrs: map[string]any{"hw.id": part}}
			return r.send(energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{start, at, 1000.0}) }))
		}
		out := send("a", "cpu", 5, 10)
		assert.Equal(t, map[string]float64{"": 5}, byType(out, "carbon.host.emissions", "embodied", "hw.id"), "of the machine, not of a part")
		for _, dp := range found(out, "carbon.host.emissions") {
			if str(dp, "carbon.emission_type") == "embodied" {
				assert.Equal(t, map[string]any{"carbon.emission_type": "embodied"}, dp.Attributes().AsRaw())
				assert.InDelta(t, 5, r.seconds(dp.StartTimestamp()), 0)
				assert.InDelta(t, 10, r.seconds(dp.Timestamp()), 0)
			}
		}
		// ± 60 %: nobody vouches for the figure.
		assert.InDelta(t, 2, byType(out, "carbon.host.emissions_lower", "embodied", "")[""], 1e-9)
		assert.InDelta(t, 8, byType(out, "carbon.host.emissions_upper", "embodied", "")[""], 1e-9)
		// Two parts of one machine get it older once; another machine is another matter.
		out = send("a", "cpu", 5, 20)
		assert.Equal(t, map[string]float64{"": 15}, byType(out, "carbon.host.emissions", "embodied", ""))
		out = send("a", "gpu", 5, 20)
		assert.Equal(t, map[string]float64{"": 15}, byType(out, "carbon.host.emissions", "embodied", ""))
		out = send("b", "cpu", 15, 20)
		assert.Equal(t, map[string]float64{"": 5}, byType(out, "carbon.host.emissions", "embodied", ""))
		// Nobody gets older in the future.
		out = send("b", "cpu", 15, 1e9)
		assert.InDelta(t, 300-15, byType(out, "carbon.host.emissions", "embodied", "")[""], 1e-9, "5 min ahead of the clock at most")
	})
}

// A machine of 1 g each second, for 10 s: its workloads share it as they share its energy.
func TestWorkloadsShareTheirMachine(t *testing.T) {
	r := newRig(t, making(36, 10*time.Hour))
	batch := func(at float64, joules map[string]float64) pmetric.Metrics {
		md := pmetric.NewMetrics()
		for _, name := range []string{"a", "b", "idle"} {
			i := in{name: "carbon.energy", resource: map[string]any{"host.id": "h", "container.id": name}, attrs: map[string]any{"who": name}}
			energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{5, at, joules[name]}) }).ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
		}
		return r.send(md)
	}
	out := batch(15, map[string]float64{"a": 600, "b": 300, "idle": 100})
	assert.Equal(t, map[string]float64{"a": 6, "b": 3, "idle": 1}, byType(out, "carbon.emissions", "embodied", "who"))
	// 10 s more: a drew 500 J, b nothing, idle 500 J.
	out = batch(25, map[string]float64{"a": 1100, "b": 300, "idle": 600})
	assert.Equal(t, map[string]float64{"a": 11, "b": 3, "idle": 6}, byType(out, "carbon.emissions", "embodied", "who"))
	assert.Len(t, byType(out, "carbon.emissions", "operational", "who"), 3)

	// Of which machine it is has to be known.
	i := in{name: "carbon.energy", resource: map[string]any{"service.name": "s"}}
	out = r.send(energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{5, 15, 1.0}) }))
	assert.Empty(t, byType(out, "carbon.emissions", "embodied", ""))
}

// A machine of 1 g each second whose parts come under two scopes and two resources: what they
// show adds up to it, and none of it ever falls.
func TestScopesAndResourcesOfOneMachine(t *testing.T) {
	r := newRig(t, making(36, 10*time.Hour))
	one := func(resource, scope string, at float64) pmetric.Metrics {
		i := in{resource: map[string]any{"host.id": "h", "part": resource}}
		md := energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{5, at, 100 * at}) })
		md.ResourceMetrics().At(0).ScopeMetrics().At(0).Scope().SetName(scope)
		return md
	}
	last := map[string]float64{}
	for at := 10.0; at <= 40; at += 10 {
		md := one("a", "rapl", at)
		one("a", "nvml", at).ResourceMetrics().At(0).ScopeMetrics().MoveAndAppendTo(md.ResourceMetrics().At(0).ScopeMetrics())
		one("b", "rapl", at+2).ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
		out := r.send(md)
		sum := 0.0
		for _, rm := range out.ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				single := pmetric.NewMetrics()
				sm.CopyTo(single.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty())
				part, _ := rm.Resource().Attributes().Get("part")
				key := part.Str() + sm.Scope().Name()
				for _, v := range byType(single, "carbon.host.emissions", "embodied", "") {
					assert.GreaterOrEqual(t, v, last[key])
					last[key] = v
					sum += v
				}
			}
		}
		assert.InDelta(t, at+2-5, sum, 1e-9)
	}
}

// A stream that is new comes before one that is known, and both have one metric.
func TestAWorkloadThatIsNewComesFirst(t *testing.T) {
	r := newRig(t, making(36, 10*time.Hour))
	one := func(who string, start, at float64) pmetric.Metrics {
		i := in{name: "carbon.energy", resource: map[string]any{"host.id": "h"}, attrs: map[string]any{"who": who}}
		return energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{start, at, 100 * at}) })
	}
	r.send(one("known", 5, 10))
	md := one("new", -100, 20) // its first value is a baseline
	points := func(md pmetric.Metrics) pmetric.NumberDataPointSlice {
		return md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints()
	}
	points(one("known", 5, 20)).MoveAndAppendTo(points(md))
	got := byType(r.send(md), "carbon.emissions", "embodied", "who")
	assert.Equal(t, map[string]float64{"known": 15, "new": 0}, got)
}

// The machine was booked up to 50 s. What a workload drew up to 40 s has its share of the
// time up to 60 s that the batch brings, and says so.
func TestAWorkloadThatIsLate(t *testing.T) {
	for _, forced := range []string{"delta", "cumulative"} {
		r := newRig(t, func(c *Config) { making(36, 10*time.Hour)(c); c.Temporality = forced })
		one := func(who string, at, joules float64) pmetric.Metrics {
			i := in{name: "carbon.energy", resource: map[string]any{"host.id": "h", "who": who}, attrs: map[string]any{"who": who}}
			return energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{5, at, joules}) })
		}
		r.send(one("a", 50, 10))
		md := one("b", 40, 10)
		one("a", 60, 20).ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
		out := r.send(md)
		for _, dp := range found(out, "carbon.emissions") {
			if str(dp, "carbon.emission_type") == "embodied" && str(dp, "who") == "b" {
				assert.InDelta(t, 50, r.seconds(dp.StartTimestamp()), 0)
				assert.InDelta(t, 60, r.seconds(dp.Timestamp()), 0)
				assert.InDelta(t, 5, dp.DoubleValue(), 1e-9)
			}
		}
	}
}

// Two points of a workload in one batch have one share, as one point.
func TestAWorkloadTwiceInOneBatch(t *testing.T) {
	r := newRig(t, func(c *Config) { making(36, 10*time.Hour)(c); c.Range = false })
	md := energy(t, in{name: "carbon.energy", resource: map[string]any{"host.id": "h"}}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{5, 10, 100.0}) })
	dps := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints()
	r.fill(dps.AppendEmpty(), point{5, 20, 200.0})
	out, err := r.p.processMetrics(t.Context(), md)
	require.NoError(t, err)
	var got []float64
	for _, dp := range found(out, "carbon.emissions") {
		if str(dp, "carbon.emission_type") == "embodied" {
			got = append(got, dp.DoubleValue())
		}
	}
	require.Len(t, got, 1)
	assert.InDelta(t, 15, got[0], 1e-9)
}

// The clock of a machine is evicted, and a part brings the time since its last point, of
// which 10 s were booked.
func TestAMachineIsNotBookedTwiceAfterAnEviction(t *testing.T) {
	r := newRig(t, func(c *Config) { making(36, 10*time.Hour)(c); c.Temporality, c.MaxStreams = "delta", 4 })
	sum := 0.0
	send := func(host, part string, start, at float64) {
		i := in{resource: map[string]any{"host.id": host}, attrs: map[string]any{"hw.id": part}, temporality: delta}
		out := r.send(energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{start, at, 1.0}) }))
		if host == "h" {
			sum += byType(out, "carbon.host.emissions", "embodied", "")[""]
		}
	}
	send("h", "slow", -60, -50)
	send("h", "fast", -50, -40)
	send("x", "1", -60, -40)
	send("x", "2", -60, -40)
	send("x", "3", -60, -40) // the machine h is not known any more
	send("h", "slow", -50, -30)
	assert.InDelta(t, 30, sum, 1e-9)
}

// A card is as old as time goes by, also where intervals overlap.
func TestADeviceIsNotBookedTwiceWhereDeltasOverlap(t *testing.T) {
	r := newRig(t, making(0, 35_040*time.Hour))
	sum := 0.0
	for _, start := range []float64{0, 1800} {
		i := in{temporality: delta, attrs: map[string]any{"hw.id": "GPU-1", "hw.type": "gpu", "hw.model": "NVIDIA H100 80GB HBM3"}}
		out := r.send(energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{start, start/3 + 3600, 1.0}) }))
		sum += byType(out, "carbon.host.emissions", "embodied", "hw.id")["GPU-1"]
	}
	assert.InEpsilon(t, 164_000/35_040.0*4200/3600, sum, 1e-9)
}

// instances.csv: aws a1.2xlarge has 14.5863 g/h over 4 years. gpus.csv: an H100 SXM is
// 164 kg. The lifetime is that of the configuration, so that 35,040 h change nothing.
func TestMachinesOfTheTables(t *testing.T) {
	r := newRig(t, making(0, 35_040*time.Hour))
	send := func(resource, attrs map[string]any) map[string]float64 {
		i := in{resource: resource, attrs: attrs, temporality: delta}
		out := r.send(energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{-3600, 0, 1.0}) }))
		return byType(out, "carbon.host.emissions", "embodied", "hw.id")
	}
	got := send(map[string]any{"cloud.provider": "aws", "host.type": "a1.2xlarge"}, map[string]any{"hw.id": "cpu0"})
	require.Contains(t, got, "")
	assert.InEpsilon(t, 14.5863, got[""], 1e-5)
	gpu := map[string]any{"hw.id": "GPU-1", "hw.type": "gpu", "hw.model": "NVIDIA H100 80GB HBM3"}
	got = send(map[string]any{"host.id": "dgx"}, gpu)
	require.Len(t, got, 1)
	assert.InEpsilon(t, 164_000/35_040.0, got["GPU-1"], 1e-9)
	assert.Empty(t, send(map[string]any{"host.id": "x"}, map[string]any{"hw.type": "gpu", "hw.model": "Voodoo 2"}), "nothing is made up")
	assert.Empty(t, send(map[string]any{"cloud.provider": "aws", "host.type": "z9.tiny"}, nil))
	// The cards of an instance are in its figure.
	got = send(map[string]any{"cloud.provider": "aws", "host.type": "p4d.24xlarge"}, gpu)
	assert.NotContains(t, got, "GPU-1")
}

func TestNothingIsEmbodiedUnlessAskedFor(t *testing.T) {
	r := newRig(t, nil)
	i := in{resource: map[string]any{"cloud.provider": "aws", "host.type": "a1.2xlarge"}, temporality: delta}
	out := r.send(energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, 10, 1.0}) }))
	assert.Len(t, found(out, "carbon.host.emissions"), 1)
}

// The first resource of a machine does not say what it is, the second one does.
func TestAMachineIsLookedUpUntilItIsKnown(t *testing.T) {
	r := newRig(t, making(0, 35_040*time.Hour))
	send := func(resource map[string]any, start, at float64) map[string]float64 {
		resource["host.id"] = "i-1"
		i := in{resource: resource, temporality: delta}
		return byType(r.send(energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{start, at, 1.0}) })), "carbon.host.emissions", "embodied", "")
	}
	assert.Empty(t, send(map[string]any{}, -7200, -3600))
	got := send(map[string]any{"cloud.provider": "aws", "host.type": "a1.2xlarge"}, -3600, 0)
	assert.InEpsilon(t, 14.5863, got[""], 1e-5)
	assert.NotEmpty(t, send(map[string]any{}, 0, 60), "it stays known")
}
