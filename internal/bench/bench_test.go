//go:build unix

package bench

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/cumulativetodeltaprocessor"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor"
)

const ownScope = "github.com/otelcarbon/otelcarbon/processor/carbonprocessor"

// fleet is a batch of cumulative energy from many hosts, each with its parts.
func fleet(hosts, parts int) pmetric.Metrics {
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
		for part := range parts {
			attrs := sum.DataPoints().AppendEmpty().Attributes()
			attrs.PutStr("hw.id", fmt.Sprintf("rapl:package-%d", part))
			attrs.PutStr("hw.type", "cpu")
			attrs.PutStr("hw.name", fmt.Sprintf("package-%d", part))
			attrs.PutStr("carbon.method", "measured")
			attrs.PutStr("carbon.sensor", "rapl")
		}
	}
	return md
}

// restore takes back what a processor did to a fleet and moves it on to a round,
// ten seconds at 100 W each, without allocating.
func restore(md pmetric.Metrics, start time.Time, round int) {
	at := pcommon.NewTimestampFromTime(start.Add(time.Duration(round) * 10 * time.Second))
	for _, rm := range md.ResourceMetrics().All() {
		rm.ScopeMetrics().RemoveIf(func(sm pmetric.ScopeMetrics) bool { return sm.Scope().Name() == ownScope })
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
	withoutRange := func(cfg component.Config) { cfg.(*carbonprocessor.Config).Range = false }
	for _, c := range []struct {
		name    string
		factory processor.Factory
		edit    func(component.Config)
	}{
		{"carbon", carbonprocessor.NewFactory(), func(component.Config) {}},
		{"carbon without range", carbonprocessor.NewFactory(), withoutRange},
		{"cumulative_to_delta", cumulativetodeltaprocessor.NewFactory(), func(component.Config) {}},
	} {
		for _, size := range []struct{ hosts, parts int }{{1, 4}, {1000, 10}} {
			b.Run(fmt.Sprintf("%s/%d hosts of %d", c.name, size.hosts, size.parts), func(b *testing.B) {
				cfg := c.factory.CreateDefaultConfig()
				c.edit(cfg)
				p, err := c.factory.CreateMetrics(b.Context(), processortest.NewNopSettings(c.factory.Type()), cfg, consumertest.NewNop())
				if err != nil {
					b.Fatal(err)
				}
				if err := p.Start(b.Context(), componenttest.NewNopHost()); err != nil {
					b.Fatal(err)
				}
				defer func() { _ = p.Shutdown(context.Background()) }()
				measure(b, p.ConsumeMetrics, fleet, size.hosts, size.parts)
			})
		}
	}
}

// BenchmarkCopies is the least that emitting points costs, whoever computes them:
// pdata copies points with the attributes of the outputs as often as the processor
// emits them, with its range and without.
func BenchmarkCopies(b *testing.B) {
	for _, copies := range []int{3, 1} {
		b.Run(fmt.Sprintf("%d of each for 1000 hosts of 10", copies), func(b *testing.B) {
			measure(b, func(_ context.Context, md pmetric.Metrics) error {
				for _, rm := range md.ResourceMetrics().All() {
					list := rm.ScopeMetrics().At(0).Metrics()
					for range copies {
						list.At(0).Sum().DataPoints().CopyTo(list.AppendEmpty().SetEmptySum().DataPoints())
					}
				}
				return nil
			}, labeledFleet, 1000, 10)
		})
	}
}

// labeledFleet is a fleet with the attributes that the processor adds.
func labeledFleet(hosts, parts int) pmetric.Metrics {
	md := fleet(hosts, parts)
	for _, rm := range md.ResourceMetrics().All() {
		for _, dp := range rm.ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints().All() {
			dp.Attributes().PutStr("carbon.emission_type", "operational")
			dp.Attributes().PutStr("carbon.grid.zone", "FR")
			dp.Attributes().PutStr("carbon.grid.source", "clouds_csv")
			dp.Attributes().PutStr("carbon.grid.boundary", "lifecycle")
		}
	}
	return md
}

func measure(b *testing.B, consume func(context.Context, pmetric.Metrics) error, batch func(hosts, parts int) pmetric.Metrics, hosts, parts int) {
	b.Helper()
	start := time.Now()
	batches := make([]pmetric.Metrics, max(1, 10_000/(hosts*parts))) // enough for a round to be worth timing
	for i := range batches {
		batches[i] = batch(hosts, parts)
	}
	round, used := 0, time.Duration(0)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		for _, md := range batches {
			round++
			restore(md, start, round)
		}
		before := processTime(b)
		b.StartTimer()
		for _, md := range batches {
			if err := consume(b.Context(), md); err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		used += processTime(b) - before
		b.StartTimer()
	}
	points := float64(b.N * len(batches) * hosts * parts)
	b.ReportMetric(points/b.Elapsed().Seconds(), "points/s")
	b.ReportMetric(points/used.Seconds(), "points/cpu-s")
}

// processTime is the time on a core, garbage collection included, which a busy
// machine does not distort as it does the time on the wall.
func processTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
