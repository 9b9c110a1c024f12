//go:build unix

package spanprocessor_test

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon"
	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/spanprocessor"
)

// What a span costs more with energy on it: the SDK alone and with a Monitor take turns of
// a few milliseconds, so that a machine that is slower for a while is so for both. The
// difference is that of the medians, the garbage collector is on.
func BenchmarkOverhead(b *testing.B) {
	for _, goroutines := range []int{1, 2, 4, 16, 64} {
		for _, live := range []int{1, 10, 100, 1000, 20_000} {
			if goroutines > 1 && live > 1 && live != 1000 {
				continue
			}
			b.Run(fmt.Sprintf("goroutines=%d/spans=%d", goroutines, live), func(b *testing.B) {
				difference(b, goroutines, live, sdktrace.AlwaysSample())
			})
		}
	}
}

// The same of spans that are not sampled, which no span processor is told of.
func BenchmarkUnsampled(b *testing.B) { difference(b, 1, 1, sdktrace.NeverSample()) }

func difference(b *testing.B, goroutines, live int, sampler sdktrace.Sampler) {
	b.Helper()
	m, err := carbon.Start(carbon.WithZone("FR"))
	if err != nil {
		b.Log(err)
	}
	defer func() { _ = m.Shutdown(b.Context()) }()
	bare := sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler), sdktrace.WithSpanProcessor(nothing{})).Tracer("bench")
	ours := sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler), sdktrace.WithSpanProcessor(spanprocessor.New(nothing{}, m))).Tracer("bench")
	const batch = 5000
	turn := func(tracer trace.Tracer) time.Duration {
		began := time.Now()
		var all sync.WaitGroup
		for range goroutines {
			all.Go(func() {
				ctx, root := tracer.Start(b.Context(), "root")
				defer root.End()
				for range batch / goroutines {
					_, s := tracer.Start(ctx, "work")
					s.End()
				}
			})
		}
		all.Wait()
		return time.Since(began)
	}
	crowd := func(tracer trace.Tracer) {
		for i := 1; i < live; i += 10 {
			ctx, _ := tracer.Start(b.Context(), "root")
			for range min(9, live-i) {
				tracer.Start(ctx, "other")
			}
		}
	}
	crowd(bare)
	crowd(ours)
	var alone, with []float64 // ns
	for b.Loop() {
		var x, y time.Duration
		if rand.IntN(2) == 0 { // else the garbage collector might come in the turns of one of them
			x, y = turn(bare), turn(ours)
		} else {
			y, x = turn(ours), turn(bare)
		}
		alone, with = append(alone, float64(x)/batch), append(with, float64(y)/batch)
	}
	b.ReportMetric(median(alone), "bare-ns/span")
	b.ReportMetric(median(with)-median(alone), "more-ns/span")
	b.ReportMetric(0, "ns/op")
}

func median[T cmp.Ordered](list []T) T {
	slices.Sort(list)
	return list[len(list)/2]
}

// What it costs to sample CPU time: of a program that works on all CPUs, in a span on
// each, which CPU time the same work takes more; and of spans, how long one takes more.
func BenchmarkCPUWeights(b *testing.B) {
	start := func(opts ...carbon.Option) (*carbon.Monitor, trace.Tracer) {
		m, err := carbon.Start(append(opts, carbon.WithEnergySource(hundredWatts{time.Now()}))...)
		if err != nil {
			b.Fatal(err)
		}
		return m, sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spanprocessor.New(nothing{}, m))).Tracer("bench")
	}
	b.Run("work", func(b *testing.B) {
		turn := func(opts ...carbon.Option) float64 {
			m, tracer := start(opts...)
			defer func() { _ = m.Shutdown(b.Context()) }()
			began := cpuTime()
			var all sync.WaitGroup
			for range runtime.GOMAXPROCS(0) {
				all.Go(func() {
					_, s := tracer.Start(b.Context(), "work")
					defer s.End()
					var block [4096]byte
					for i := range 100_000 {
						block[0] = byte(i)
						sum := sha256.Sum256(block[:])
						block[1] = sum[0]
					}
				})
			}
			all.Wait()
			return float64(cpuTime()-began) / 1e9
		}
		var more []float64
		for b.Loop() {
			x, y := turn(), turn(carbon.WithCPUWeights())
			more = append(more, (y/x-1)*100)
		}
		b.ReportMetric(median(more), "more-%")
		b.ReportMetric(0, "ns/op")
	})
	b.Run("span", func(b *testing.B) {
		m, tracer := start(carbon.WithCPUWeights())
		defer func() { _ = m.Shutdown(b.Context()) }()
		b.ReportAllocs()
		for b.Loop() {
			_, s := tracer.Start(b.Context(), "work")
			s.End()
		}
	})
}

func cpuTime() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}
