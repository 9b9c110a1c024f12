package carbonprocessor

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor/internal/metadata"
)

// The numbers of TestStreams… again, seen from outside.
func TestASilentStreamBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.StaleAfter = time.Minute })
		send := func(p point) []labeled {
			return r.labeled(r.send(energy(t, in{}, func(dp pmetric.NumberDataPoint) { r.fill(dp, p) })))
		}
		requireLabeled(t, []labeled{{"static", emitted{5, 10, 0.1}}}, send(point{5, 10, 1000.0}))
		assert.EqualValues(t, 1, r.total("otelcol_processor_carbon_streams_tracked"))
		time.Sleep(time.Minute + 1)
		// It began after the processor, but what it counted until second 10 was priced.
		assert.Empty(t, send(point{5, 70, 6000.0}))
		requireLabeled(t, []labeled{{"static", emitted{70, 80, 0.1}}}, send(point{5, 80, 7000.0}))
		assert.Equal(t, map[string]int64{"stale": 1}, r.counter("otelcol_processor_carbon_streams_evicted", "reason"))

		time.Sleep(time.Hour)
		r.send(pmetric.NewMetrics())
		assert.Zero(t, r.total("otelcol_processor_carbon_streams_tracked"), "swept by any batch")
	})
}

// A point from the far future makes all others late. The stream has to come back
// by itself.
func TestAStreamSurvivesAPointFromTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		send := func(at, joules float64) []labeled {
			return r.labeled(r.send(energy(t, in{}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{5, at, joules}) })))
		}
		send(10, 1000)
		send(1e9, 2000)
		n := 0
		for k := range 100 {
			time.Sleep(10 * time.Second)
			n += len(send(20+10*float64(k), 3000+1000*float64(k)))
		}
		assert.Greater(t, n, 30)
	})
}

func TestTheLeastRecentlySeenStreamIsEvicted(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxStreams = 2 })
	send := func(id string, at, joules float64) []labeled {
		i := in{attrs: map[string]any{"hw.id": id}}
		return r.labeled(r.send(energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{-5, at, joules}) })))
	}
	send("a", 10, 0)
	send("b", 10, 0)
	requireLabeled(t, []labeled{{"static", emitted{10, 20, 0.1}}}, send("a", 20, 1000))
	send("c", 20, 0) // evicts b
	requireLabeled(t, []labeled{{"static", emitted{10, 30, 0.2}}}, send("a", 30, 2000))
	assert.Empty(t, send("b", 30, 1000), "a baseline again")
	assert.Equal(t, map[string]int64{"capacity": 2}, r.counter("otelcol_processor_carbon_streams_evicted", "reason"))
	assert.EqualValues(t, 2, r.total("otelcol_processor_carbon_streams_tracked"))
}

// A stream of a sender whose clock is an hour ahead comes back. Its start is after the
// eviction by that clock only: what was priced before does not count again.
func TestAStreamOfTheFutureIsNotCountedTwiceAfterItsEviction(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxStreams, c.Temporality = 1, "delta" })
	send := func(id string, start, at, joules float64) float64 {
		i := in{attrs: map[string]any{"hw.id": id}}
		return grams(r.send(energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{start, at, joules}) })), "carbon.host.emissions")
	}
	sum := send("a", 3600, 3610, 10_000) + send("a", 3600, 3620, 20_000)
	send("b", 1, 2, 1)
	sum += send("a", 3600, 3630, 30_000) + send("a", 3600, 3640, 40_000)
	assert.InDelta(t, 2, sum, 1e-12, "two baselines, and 10 kJ after each")
	assert.InDelta(t, 1, send("c", 240, 250, 10_000), 1e-12, "clocks may differ by minutes")
}

func TestAMillionStreamsInOneBatchStayBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("a second and half a gigabyte")
	}
	r := newRig(t, func(c *Config) { c.MaxStreams, c.Range = 1000, false })
	md := pmetric.NewMetrics()
	m := energy(t, in{}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{-5, 10, 1.0}) })
	m.ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
	dps := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints()
	const streams = 1_000_000
	dps.EnsureCapacity(streams)
	for i := 1; i < streams; i++ {
		dp := dps.AppendEmpty()
		r.fill(dp, point{-5, 10, 1.0})
		dp.Attributes().PutStr("hw.id", strconv.Itoa(i))
	}
	_, err := r.p.processMetrics(t.Context(), md)
	require.NoError(t, err)
	assert.Equal(t, 1000, r.p.streams.len())
	assert.EqualValues(t, streams-1000, r.counter("otelcol_processor_carbon_streams_evicted", "reason")["capacity"])
}

func TestBatchesMayArriveTogether(t *testing.T) {
	sink := new(consumertest.MetricsSink)
	p, err := NewFactory().CreateMetrics(t.Context(), processortest.NewNopSettings(metadata.Type), createDefaultConfig(), sink)
	require.NoError(t, err)
	require.NoError(t, p.Start(t.Context(), componenttest.NewNopHost()))
	assert.True(t, p.Capabilities().MutatesData)
	start := time.Now()
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for round := 1; round <= 50; round++ {
				md := fleet(5, 4, start)
				for _, rm := range md.ResourceMetrics().All() {
					rm.Resource().Attributes().PutInt("worker", int64(worker))
				}
				restore(md, start, round)
				assert.NoError(t, p.ConsumeMetrics(t.Context(), md))
			}
		})
	}
	wg.Wait()
	// All streams began with the processor, so that each counts as a whole.
	last := map[string]float64{}
	for _, md := range sink.AllMetrics() {
		for _, rm := range md.ResourceMetrics().All() {
			for _, dp := range rm.ScopeMetrics().At(0).Metrics().At(1).Sum().DataPoints().All() {
				id := fmt.Sprint(rm.Resource().Attributes().AsRaw(), dp.Attributes().AsRaw())
				last[id] = max(last[id], dp.DoubleValue())
			}
		}
	}
	assert.Len(t, last, 8*5*4)
	for _, grams := range last {
		assert.InEpsilon(t, 50_000/3.6e6*1.35*41.45, grams, 1e-9) // 50 kJ in aws eu-west-3
	}
	require.NoError(t, p.Shutdown(t.Context()))
	require.NoError(t, p.Shutdown(t.Context()), "twice is no mistake")
}

func TestBatchesPassUnchangedBeforeStartAndAfterShutdown(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	p := newProcessor(t, cfg, processortest.NewNopSettings(metadata.Type))
	pass := func() {
		md, err := p.processMetrics(t.Context(), fleet(1, 1, time.Now()))
		require.NoError(t, err)
		assert.Equal(t, 1, md.MetricCount())
	}
	pass()
	require.NoError(t, p.start(t.Context(), componenttest.NewNopHost()))
	require.NoError(t, p.start(t.Context(), componenttest.NewNopHost()))
	require.NoError(t, p.shutdown(t.Context()))
	require.NoError(t, p.shutdown(t.Context()))
	pass()
}

// The state machine, pricing and look-ups allocate nothing: what a batch without
// new energy streams costs is what pdata needs for the points that are emitted.
func TestSteadyStateAllocatesNothingButThePointsItEmits(t *testing.T) {
	start := time.Now()
	r := newRig(t, nil)
	const hosts, parts = 10, 10
	md := fleet(hosts, parts, start)
	round := 1
	run := func() {
		restore(md, start, round)
		round++
		_, _ = r.p.processMetrics(t.Context(), md)
	}
	run()
	got := testing.AllocsPerRun(20, run)

	// The same points without any thought.
	emitted := &series{label: &label{source: "static", boundary: "lifecycle"}}
	in := &input{family: hostFamily()}
	emit := func() {
		restore(md, start, round)
		round++
		for _, rm := range md.ResourceMetrics().All() {
			sm := rm.ScopeMetrics().At(0)
			m := sm.Metrics().At(0)
			o := output{emits: emits{bounds: true}, scope: sm, temporality: cumulative, points: parts}
			for _, dp := range m.Sum().DataPoints().All() {
				o.add(dp.Attributes(), in, emitted, 1, 2)
			}
		}
	}
	floor := testing.AllocsPerRun(20, emit)
	// The gauge in a scope of its own, and counting; nothing that grows with the batch.
	assert.LessOrEqual(t, got-floor, 20.0, "%v allocations for a batch, %v for emitting its points", got, floor)
}

// What emits no further points for a point allocates nothing for it either.
func TestAbilitiesAllocateNothingForAPoint(t *testing.T) {
	start := time.Now()
	const hosts, parts = 10, 100
	allocs := func(edit func(*Config)) float64 {
		r := newRig(t, edit)
		md := fleet(hosts, parts, start)
		round := 1
		run := func() {
			restore(md, start, round)
			round++
			_, _ = r.p.processMetrics(t.Context(), md)
		}
		run()
		return testing.AllocsPerRun(10, run)
	}
	plain := allocs(nil)
	for name, edit := range map[string]func(*Config){
		"budgets": func(c *Config) {
			c.Budgets = []BudgetConfig{{Name: "a", Grams: 1, Period: time.Hour}, {Name: "b", Grams: 1e9, Match: map[string]string{"hw.type": "c*"}}}
		},
		"units":       func(c *Config) { c.SCI = &SCIConfig{Per: "requests", By: []string{"host.id"}} },
		"corrections": func(c *Config) { c.Revise = true },
		"machines":    making(0, time.Hour), // that no table knows
	} {
		// A place or two of a cell for what each stream owes, and whatever a batch as a whole needs.
		assert.LessOrEqual(t, allocs(edit)-plain, 100.0+hosts*parts*0.2, "%s: for 1000 points", name)
	}
}
