package carbon

import (
	"context"
	"math"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/span"
)

// supply is a source whose power a test sets.
type supply struct {
	at       time.Time
	cpu, gpu float64 // J
	watts    float64
	gpuWatts float64
}

func (s *supply) Read(context.Context) (Reading, error) {
	now := time.Now()
	s.cpu += s.watts * now.Sub(s.at).Seconds()
	s.gpu += s.gpuWatts * now.Sub(s.at).Seconds()
	s.at = now
	return Reading{Amounts: []Amount{
		{Type: "cpu", Method: "measured", Joules: s.cpu}, {Type: "gpu", Method: "measured", Joules: s.gpu},
	}}, nil
}

func (*supply) Close() error { return nil }

type spanName string

func (n spanName) Name() string { return string(n) }

// told keeps what a span is told.
type told struct {
	span.Result

	known bool
	times int
}

func (t *told) Told(r span.Result, known bool) {
	t.Result, t.known = r, known
	t.times++
}

// bench is a Monitor whose windows the test cuts, with samples of its own.
type bench struct {
	t    *testing.T
	m    *Monitor
	all  map[uint64]*told
	open map[uint64]bool
}

func newBench(t *testing.T, s *supply) *bench {
	t.Helper()
	m, err := Start(WithEnergySource(s), WithInterval(time.Minute), WithZone("FR"))
	require.NoError(t, err)
	m.AddProcessor()
	m.weigh = newWeigher(m)
	return &bench{t, m, map[uint64]*told{}, map[uint64]bool{}}
}

func (b *bench) id(n uint64) span.ID {
	sc := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{6: byte(n >> 8), 7: byte(n)},
	})
	return span.IDOf(&sc)
}

func (b *bench) start(n, parent uint64, name string) {
	var p span.ID
	if parent > 0 {
		p = b.id(parent)
	}
	b.m.StartSpan(b.t.Context(), spanName(name), b.id(n), p)
	b.open[n], b.all[n] = true, &told{}
}

func (b *bench) end(n uint64) {
	t := b.all[n]
	switch b.m.EndSpan(b.id(n), &t.Result, t) {
	case span.Known:
		t.Told(t.Result, true)
	case span.Unknown:
		t.Told(t.Result, false)
	case span.Later:
	}
	delete(b.open, n)
}

func (b *bench) tick() { require.NoError(b.t, b.m.sample(b.t.Context(), b.m.source.Read)) }

// cut ends a window of which these are the samples; "" is of no span.
func (b *bench) cut(samples map[uint64]int64, nobody int64, over bool) {
	b.tick()
	w := b.m.weigh
	clear(w.counts)
	for n, count := range samples {
		w.counts[b.id(n).String()] = count
	}
	if nobody > 0 {
		w.counts[""] = nobody
	}
	w.over = over
	for _, k := range w.divide() {
		for _, waiter := range k.waiters {
			waiter.Told(k.result, k.known)
		}
	}
}

// balance checks that what spans and nobody have is what was drawn, and returns the spans'.
func (b *bench) balance() (sum float64) {
	for n, t := range b.all {
		if b.open[n] {
			continue
		}
		require.Equal(b.t, 1, t.times, n)
		require.GreaterOrEqual(b.t, t.Joules, 0.0)
		sum += t.Joules
	}
	totals := b.m.clock.Totals(b.m.now())
	all := totals.Booked + totals.Ahead
	require.InDelta(b.t, all, sum+totals.Unattributed+b.m.weigh.more(), 1e-9*(1+all))
	return sum
}

// 100 W of the CPU and 20 W of a GPU for one second, shared by two spans: 60 J each, evenly.
// 90 samples of the one, none of the other, 10 of none. By CPU time 100 J, 1 J a sample:
// with T/C of the name = 200/90, 100·91/(100 + 2.22) = 89.02 and 100·1/(102.22) = 0.978 are
// 90 samples as they are. Of the GPU 10 J each.
func TestDivideAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &supply{at: time.Now(), watts: 100, gpuWatts: 20})
		b.start(1, 0, "a")
		b.start(2, 0, "a")
		time.Sleep(time.Second)
		b.cut(map[uint64]int64{1: 90}, 10, false)
		b.end(1)
		b.end(2)
		b.cut(nil, 0, true)
		assert.InDelta(t, 89.02+10, b.all[1].Joules, 0.01)
		assert.InDelta(t, 0.978+10, b.all[2].Joules, 0.01)
		assert.InDelta(t, 110, b.balance(), 1e-9)
		r := b.m.Report()
		assert.InDelta(t, 10, r.Unattributed, 1e-9, "1 J a sample")
		assert.Equal(t, span.ByCPU, b.all[1].Sampled)
		// ± 2·√91·(100/102.22) samples.
		assert.InDelta(t, 18.66, b.all[1].Off, 0.05)
		require.NoError(t, b.m.Shutdown(t.Context()))
	})
}

// No profile: what was shared evenly stays, and does not claim to go by CPU time.
func TestAWindowWithoutSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &supply{at: time.Now(), watts: 100})
		b.start(1, 0, "a")
		b.start(2, 1, "b")
		time.Sleep(time.Second)
		b.cut(nil, 0, false)
		b.end(2)
		time.Sleep(time.Second)
		b.end(1)
		b.cut(nil, 0, true)
		assert.InDelta(t, 100, b.all[1].Joules, 1e-9)
		assert.InDelta(t, 100, b.all[2].Joules, 1e-9)
		assert.Equal(t, span.Evenly, b.all[1].Sampled)
		assert.Zero(t, b.m.Report().Unattributed)
		require.NoError(t, b.m.Shutdown(t.Context()))
	})
}

// Whatever starts, ends, draws and is sampled when: all of it is somebody's, once.
func TestWeighersConserve(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &supply{at: time.Now()}
			b := newBench(t, s)
			next := uint64(1)
			pick := func() uint64 {
				for n := range b.open { // any
					return n
				}
				return 0
			}
			for range rapid.IntRange(1, 60).Draw(r, "steps") {
				time.Sleep(time.Duration(rapid.IntRange(0, 400).Draw(r, "ms")) * time.Millisecond)
				switch rapid.IntRange(0, 6).Draw(r, "what") {
				case 0, 1, 2:
					b.start(next, pick(), strconv.Itoa(int(next%3)))
					next++
				case 3:
					if n := pick(); n > 0 {
						b.end(n)
					}
				case 4:
					b.tick()
				case 5:
					s.watts = rapid.Float64Range(0, 300).Draw(r, "W")
					s.gpuWatts = rapid.Float64Range(0, 300).Draw(r, "W of GPUs")
				case 6:
					samples := map[uint64]int64{}
					for n := range b.all {
						if rapid.Bool().Draw(r, "met") {
							samples[n] = int64(rapid.IntRange(0, 100).Draw(r, "samples"))
						}
					}
					b.cut(samples, int64(rapid.IntRange(0, 50).Draw(r, "of nobody")), false)
				}
			}
			for n := range b.open {
				b.end(n)
			}
			b.cut(map[uint64]int64{1: 10}, 3, true)
			sum := b.balance()
			require.False(t, math.IsNaN(sum))
			require.Empty(t, b.m.weigh.works)
			require.Zero(t, b.m.weigh.held)
			require.NoError(t, b.m.Shutdown(t.Context()))
		})
	})
}

// A span ID need be unique only in its trace.
func TestEqualSpanIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &supply{at: time.Now(), watts: 100})
		id := func(trace0 byte) span.ID {
			sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{15: trace0}, SpanID: trace.SpanID{7: 1}})
			return span.IDOf(&sc)
		}
		var two [2]told
		for i := range two {
			b.m.StartSpan(t.Context(), spanName("a"), id(byte(i+1)), span.ID{})
		}
		time.Sleep(time.Second)
		b.tick()
		for i := range two {
			b.m.EndSpan(id(byte(i+1)), &two[i].Result, &two[i])
		}
		b.cut(nil, 0, true)
		for _, w := range two {
			assert.Equal(t, 1, w.times)
			assert.InDelta(t, 50, w.Joules, 1e-9)
		}
		assert.Zero(t, b.m.weigh.held)
		require.NoError(t, b.m.Shutdown(t.Context()))
	})
}

// What no cut sees, because there is none any more or too many wait, and what made room in the
// table, is in its task all the same; what is in none is nobody's.
func TestSpansThatNoCutSees(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(b *bench)
		ends  bool
	}{
		"the last cut is over": {func(b *bench) { b.cut(nil, 0, true) }, true},
		"too many wait":        {func(b *bench) { b.m.weigh.held = most }, true},
		"it made room":         {func(b *bench) { b.m.RemoveProcessor() }, false},
	} {
		for _, inTask := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBench(t, &supply{at: time.Now(), watts: 100})
					ctx, task := t.Context(), (*Task)(nil)
					if inTask {
						ctx, task = b.m.Task(ctx, "task")
					}
					b.m.StartSpan(ctx, spanName("a"), b.id(1), span.ID{})
					time.Sleep(time.Second)
					b.tick()
					c.spoil(b)
					w := told{}
					state := b.m.EndSpan(b.id(1), &w.Result, &w)
					if b.m.weigh.held >= most {
						b.m.weigh.held = 0
					}
					if !c.ends {
						assert.Equal(t, span.Unknown, state)
						b.cut(nil, 0, true)
						if !inTask {
							assert.InDelta(t, 100, b.m.Report().Unattributed, 1e-9)
						}
					} else {
						assert.InDelta(t, 100, w.Joules, 1e-9)
						assert.Zero(t, b.m.Report().Unattributed)
					}
					if inTask {
						assert.InDelta(t, 100, task.End().Energy.Total(), 1e-9)
					}
					require.NoError(t, b.m.Shutdown(t.Context()))
				})
			})
		}
	}
}

// Emissions of a forecast are those of its energy, also where the last steps were not weighed
// yet: 1 kJ of 10 steps, of which 5 are done, at 59.92 g/kWh.
func TestForecastBetweenCuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &supply{at: time.Now(), watts: 100})
		_, task := b.m.Task(t.Context(), "task")
		for range 5 {
			time.Sleep(time.Second)
			b.tick()
			task.Step()
		}
		f, err := task.Forecast(t.Context(), 10)
		require.NoError(t, err)
		assert.InDelta(t, 1000, f.Energy, 1e-6)
		assert.InEpsilon(t, f.Energy/3.6e6*f.Intensity, f.Emissions, 1e-6)
		b.cut(map[uint64]int64{1: 0}, 100, false) // nobody had all of it
		task.Step()
		f, err = task.Forecast(t.Context(), 10)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, f.Energy, 0.0)
		assert.GreaterOrEqual(t, f.EnergyLower, 0.0)
		task.End()
		require.NoError(t, b.m.Shutdown(t.Context()))
	})
}
