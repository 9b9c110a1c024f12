package carbonprocessor

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor/internal/metadata"
)

// fleet is a batch of cumulative energy from many hosts, each with its parts.
func fleet(hosts, parts int, start time.Time) pmetric.Metrics {
	md := pmetric.NewMetrics()
	for h := range hosts {
		rm := md.ResourceMetrics().AppendEmpty()
		rm.Resource().Attributes().PutStr("host.id", fmt.Sprintf("7a0e%028d", h))
		rm.Resource().Attributes().PutStr("host.name", fmt.Sprintf("node-%d", h))
		rm.Resource().Attributes().PutStr("cloud.provider", "aws")
		rm.Resource().Attributes().PutStr("cloud.region", "eu-west-3")
		sm := rm.ScopeMetrics().AppendEmpty()
		sm.Scope().SetName("github.com/otelcarbon/otelcarbon/receiver/powerreceiver")
		m := sm.Metrics().AppendEmpty()
		m.SetName("hw.energy")
		m.SetUnit("J")
		sum := m.SetEmptySum()
		sum.SetIsMonotonic(true)
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		for part := range parts {
			dp := sum.DataPoints().AppendEmpty()
			dp.SetStartTimestamp(pcommon.NewTimestampFromTime(start))
			dp.SetTimestamp(pcommon.NewTimestampFromTime(start))
			dp.SetDoubleValue(0)
			dp.Attributes().PutStr("hw.id", fmt.Sprintf("rapl:package-%d", part))
			dp.Attributes().PutStr("hw.type", "cpu")
			dp.Attributes().PutStr("hw.name", fmt.Sprintf("package-%d", part))
			dp.Attributes().PutStr("carbon.method", "measured")
			dp.Attributes().PutStr("carbon.sensor", "rapl")
		}
	}
	return md
}

// restore takes back what a processor did to a fleet and moves it on to a moment,
// without allocating: ten seconds at 100 W for each round.
func restore(md pmetric.Metrics, start time.Time, round int) {
	at := pcommon.NewTimestampFromTime(start.Add(time.Duration(round) * 10 * time.Second))
	for _, rm := range md.ResourceMetrics().All() {
		rm.ScopeMetrics().RemoveIf(func(sm pmetric.ScopeMetrics) bool { return sm.Scope().Name() == metadata.ScopeName })
		for _, sm := range rm.ScopeMetrics().All() {
			sm.Metrics().RemoveIf(func(m pmetric.Metric) bool { return m.Name() != "hw.energy" })
			for _, m := range sm.Metrics().All() {
				m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
				for _, dp := range m.Sum().DataPoints().All() {
					dp.SetStartTimestamp(pcommon.NewTimestampFromTime(start))
					dp.SetTimestamp(at)
					dp.SetDoubleValue(1000 * float64(round))
				}
			}
		}
	}
}

func BenchmarkMetrics(b *testing.B) {
	for _, c := range []struct {
		name         string
		hosts, parts int
		bounds       bool
	}{
		{"1 host, 4 parts", 1, 4, true},
		{"1000 hosts, 10 parts", 1000, 10, true},
		{"1000 hosts, 10 parts, no range", 1000, 10, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			cfg := createDefaultConfig().(*Config)
			cfg.Range = c.bounds
			p, err := NewFactory().CreateMetrics(b.Context(), processortest.NewNopSettings(metadata.Type), cfg, consumertest.NewNop())
			require.NoError(b, err)
			require.NoError(b, p.Start(b.Context(), componenttest.NewNopHost()))
			defer func() { require.NoError(b, p.Shutdown(b.Context())) }()
			start := time.Now()
			n := max(1, 10_000/(c.hosts*c.parts)) // batches for each round, so that a round is long enough to time
			batches := make([]pmetric.Metrics, n)
			for i := range batches {
				batches[i] = fleet(c.hosts, c.parts, start)
			}
			round := 0
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				b.StopTimer()
				for _, md := range batches {
					round++
					restore(md, start, round)
				}
				b.StartTimer()
				for _, md := range batches {
					if err := p.ConsumeMetrics(b.Context(), md); err != nil {
						b.Fatal(err)
					}
				}
			}
			points := float64(b.N * n * c.hosts * c.parts)
			b.ReportMetric(points/b.Elapsed().Seconds(), "points/s")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/points, "ns/point")
		})
	}
}

// BenchmarkPricing is what a point costs without the points that are emitted for
// it, which are the business of pdata.
func BenchmarkPricing(b *testing.B) {
	p := started(b, nil)
	start := time.Now()
	const parts = 10
	md := fleet(1, parts, start)
	rm := md.ResourceMetrics().At(0)
	sm := rm.ScopeMetrics().At(0)
	m := sm.Metrics().At(0)
	resource := p.hash.attributes(rm.Resource().Attributes())
	round := 0
	b.ReportAllocs()
	for b.Loop() {
		round++
		restore(md, start, round)
		p.place = p.places.of(resource, rm.Resource().Attributes())
		base := p.hash.base(resource, sm.Scope(), m.Name(), kindCumulative)
		for _, dp := range m.Sum().DataPoints().All() {
			id := p.hash.point(base, dp.Attributes())
			s := p.streams.find(id, 0)
			if s == nil {
				s = &stream{}
				p.streams.add(id, s, 0)
			}
			r, _ := read(dp, 1)
			step := s.cumulative(r, 0)
			parts, _ := p.price(step, r.at, s.half)
			s.accept(r)
			s.sums = total(s.sums, parts)
			p.touch(parts, r.at)
		}
	}
	points := float64(b.N * parts)
	b.ReportMetric(points/b.Elapsed().Seconds(), "points/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/points, "ns/point")
}

// BenchmarkAMillionStreams is what remembering them takes: bytes of the heap for each.
func BenchmarkAMillionStreams(b *testing.B) {
	const hosts, parts, batches = 100, 100, 100
	start := time.Now()
	for b.Loop() {
		p := started(b, func(c *Config) { c.MaxStreams, c.Range = 1_000_000, false })
		before := heap()
		for batch := range batches {
			md := fleet(hosts, parts, start)
			for i, rm := range md.ResourceMetrics().All() {
				rm.Resource().Attributes().PutStr("host.id", fmt.Sprintf("%032d", batch*hosts+i))
			}
			for round := range 2 {
				restore(md, start, round)
				if _, err := p.processMetrics(b.Context(), md); err != nil {
					b.Fatal(err)
				}
			}
		}
		require.Equal(b, hosts*parts*batches, p.streams.len())
		b.ReportMetric(float64(heap()-before)/(1<<20), "MiB")
		runtime.KeepAlive(p)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
