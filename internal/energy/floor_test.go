package energy_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

func watts(w float64) unit.Microwatts { return unit.FromWatts(w) }

// idle observes n idle seconds.
func idle(f *energy.Floor, n int, w float64) {
	for range n {
		f.Observe(watts(w), 0.01, s)
	}
}

// busy observes n seconds at 20 % to 95 % of a machine that draws base + 70 W · u,
// with a standard deviation of 3 W.
func busy(f *energy.Floor, n int, base float64, r *rand.Rand) {
	for range n {
		u := 0.2 + 0.75*r.Float64()
		f.Observe(watts(max(0, base+70*u+3*r.NormFloat64())), u, s)
	}
}

func requireFloor(t *testing.T, f *energy.Floor, origin energy.Origin, want, within float64) {
	t.Helper()
	got, from := f.Value()
	assert.Equal(t, origin, from)
	assert.InDelta(t, want, got.Watts(), within)
}

func TestFloor(t *testing.T) {
	t.Run("C69_cold start is zero and says that nothing is known", func(t *testing.T) {
		f := energy.NewFloor()
		requireFloor(t, f, energy.Unknown, 0, 0)
		idle(f, 9, 20)
		requireFloor(t, f, energy.Unknown, 0, 0)
		idle(f, 2, 20) // 11 s are more than 10 s, although the older ones weigh a little less
		requireFloor(t, f, energy.Learned, 20, 0.4)
	})
	t.Run("C69_idle machine with bursts has the floor below them", func(t *testing.T) {
		f := energy.NewFloor()
		for i := range 1000 { // one window in ten draws 40 W; 20 W is the 7.5th percentile
			idle(f, 1, 20+20*float64(i%10/9))
		}
		requireFloor(t, f, energy.Learned, 20, 0.4) // half a bin: 1.9 %
	})
	t.Run("C69_work above the floor does not raise it", func(t *testing.T) {
		f := energy.NewFloor()
		idle(f, 60, 20)
		busy(f, 3600, 30, rand.New(rand.NewPCG(1, 2)))
		requireFloor(t, f, energy.Learned, 20, 0.4)
	})
	t.Run("C69_one window that is too low is forgotten", func(t *testing.T) {
		f := energy.NewFloor()
		idle(f, 1000, 20)
		idle(f, 1, 2)
		requireFloor(t, f, energy.Learned, 2, 0.04)
		idle(f, 2*91, 20)                           // two epochs of more than 90 s
		requireFloor(t, f, energy.Learned, 20, 0.4) // 1 s among some 700 weighted seconds is far below the rank
	})
	t.Run("C69_never idle is extrapolated to within a tenth", func(t *testing.T) {
		for seed := range uint64(20) {
			f := energy.NewFloor()
			busy(f, 600, 30, rand.New(rand.NewPCG(seed, 0)))
			requireFloor(t, f, energy.Extrapolated, 30, 3)
		}
	})
	t.Run("C69_never idle without noise lies on the line", func(t *testing.T) {
		f := energy.NewFloor()
		for i := range 100 { // 22 %, 32 %, … 92 %: 30 + 70·u exactly
			u := 0.22 + 0.1*float64(i%8)
			f.Observe(watts(30+70*u), u, s)
		}
		requireFloor(t, f, energy.Extrapolated, 30, 1e-5)
	})
	t.Run("C69_never idle and always the same load tells nothing", func(t *testing.T) {
		f := energy.NewFloor()
		for i := range 1000 {
			f.Observe(watts(80), 0.7+0.001*float64(i%200), s)
		}
		requireFloor(t, f, energy.Unknown, 0, 0)
	})
	t.Run("C69_a line that falls below zero is zero", func(t *testing.T) {
		f := energy.NewFloor()
		for i := range 1000 { // 100·u² bends: tangents meet zero use below zero
			u := 0.2 + 0.75*float64(i%100)/100
			f.Observe(watts(100*u*u), u, s)
		}
		requireFloor(t, f, energy.Extrapolated, 0, 0)
	})
	t.Run("C69_a part that draws less under load has its lowest window", func(t *testing.T) {
		f := energy.NewFloor()
		for i := range 1000 { // at 95 % less 0.75 %: 50 - 20·0.9425 = 31.15 W
			u := 0.2 + 0.75*float64(i%100)/100
			f.Observe(watts(50-20*u), u, s)
		}
		requireFloor(t, f, energy.Extrapolated, 31.15, 1e-6)
	})
	t.Run("C69_frequency change downward is followed at once", func(t *testing.T) {
		f := energy.NewFloor()
		idle(f, 3600, 30)
		idle(f, 1, 20)
		requireFloor(t, f, energy.Learned, 20, 0)
		idle(f, 600, 20)
		requireFloor(t, f, energy.Learned, 20, 0.4)
	})
	t.Run("C69_frequency change upward is followed after 3.7 half-lives", func(t *testing.T) {
		f := energy.NewFloor()
		idle(f, 36_000, 20)
		idle(f, 36*60, 30) // 2^-3.6 = 8.2 % of the weight is old
		requireFloor(t, f, energy.Learned, 20, 0.4)
		idle(f, 3*60, 30) // 2^-3.9 = 6.7 %
		requireFloor(t, f, energy.Learned, 30, 0.6)
	})
	t.Run("C69_frequency change of a machine that is never idle", func(t *testing.T) {
		f, r := energy.NewFloor(), rand.New(rand.NewPCG(3, 4))
		busy(f, 1000, 50, r)
		busy(f, 600, 30, r) // the bins hold the last 15 windows each, the newest 10 minutes hold 40
		requireFloor(t, f, energy.Extrapolated, 30, 3)
	})
	t.Run("C69_short windows are pooled", func(t *testing.T) {
		f := energy.NewFloor()
		for i := range 300 { // 100 ms of 40 W, then 400 ms of 15 W: 20 W over half a second
			if i%2 == 0 {
				f.Observe(watts(40), 0.05, 100*time.Millisecond)
			} else {
				f.Observe(watts(15), 0, 400*time.Millisecond)
			}
		}
		requireFloor(t, f, energy.Learned, 20, 0.4)
	})
	t.Run("C69_a window that is just not idle is none of any length", func(t *testing.T) {
		// 0.05 · 1.4 is rounded to just below 0.07: divided by 1.4 again it is less than 0.05.
		for d := 40 * time.Millisecond; d <= 10*s; d += 40 * time.Millisecond {
			f := energy.NewFloor()
			for range 300 { // at least 12 s: idle ones would be enough to learn from
				f.Observe(watts(115), energy.IdleBelow, d)
			}
			requireFloor(t, f, energy.Unknown, 0, 0)
		}
	})
	t.Run("C69_garbage changes nothing", func(t *testing.T) {
		f := energy.NewFloor()
		idle(f, 100, 20)
		before, _ := f.Value()
		for _, u := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -0.1, 1.0001} {
			f.Observe(watts(1), u, s)
		}
		f.Observe(watts(1), 0, 0)
		f.Observe(watts(1), 0, -s)
		f.Observe(math.MaxUint64, 0, s)
		after, origin := f.Value()
		assert.Equal(t, energy.Learned, origin)
		assert.Equal(t, before, after)
	})
	t.Run("C69_configured wins for good", func(t *testing.T) {
		f := energy.NewFloor()
		idle(f, 100, 20)
		f.Configure(watts(12.5))
		idle(f, 100, 5)
		requireFloor(t, f, energy.Configured, 12.5, 0)
	})
}

func TestOriginsAreNamedAsTheyArePublished(t *testing.T) {
	for o, want := range map[energy.Origin]string{
		energy.Unknown: "unknown", energy.Learned: "learned", energy.Extrapolated: "extrapolated", energy.Configured: "configured", 99: "unknown",
	} {
		assert.Equal(t, want, o.String())
	}
}

// Whatever is observed, the floor is not above any whole window of the last 90 s,
// and unknown is 0.
func TestPropertyFloorIsNotAboveRecentWindows(t *testing.T) {
	type window struct {
		power unit.Microwatts
		at    time.Duration
	}
	rapid.Check(t, func(t *rapid.T) {
		f := energy.NewFloor()
		var seen []window
		var now time.Duration
		for range rapid.IntRange(1, 40).Draw(t, "phases") {
			low := rapid.Uint64Range(0, 300_000_000).Draw(t, "power")
			u := rapid.OneOf(rapid.Float64Range(0, 0.06), rapid.Float64Range(0, 1)).Draw(t, "busy")
			d := time.Duration(rapid.Int64Range(int64(s)/2, int64(60*s)).Draw(t, "length"))
			for i := range rapid.Uint64Range(1, 30).Draw(t, "windows") {
				p := unit.Microwatts(low + i*123_457)
				f.Observe(p, math.Mod(u+0.05*float64(i)*math.Round(u), 1), d)
				now += d
				seen = append(seen, window{p, now})
				got, origin := f.Value()
				if origin == energy.Unknown && got != 0 {
					t.Fatalf("unknown, but %d µW", got)
				}
				for k := len(seen) - 1; k >= 0 && now-seen[k].at < 90*s-time.Millisecond; k-- {
					if got > seen[k].power {
						t.Fatalf("%v %d µW is above the window of %d µW, %v ago", origin, got, seen[k].power, now-seen[k].at)
					}
				}
			}
		}
	})
}

func FuzzFloor(f *testing.F) {
	f.Add(uint64(20_000_000), 0.01, int64(s), uint64(30_000_000), 0.5, int64(s))
	f.Add(uint64(math.MaxUint64), math.NaN(), int64(math.MaxInt64), uint64(0), -1.0, int64(-1))
	f.Fuzz(func(t *testing.T, p1 uint64, u1 float64, d1 int64, p2 uint64, u2 float64, d2 int64) {
		floor := energy.NewFloor()
		for range 200 {
			floor.Observe(unit.Microwatts(p1), u1, time.Duration(d1))
			floor.Observe(unit.Microwatts(p2), u2, time.Duration(d2))
			u1 += 0.01
		}
		if got, origin := floor.Value(); got > max(unit.Microwatts(p1), unit.Microwatts(p2)) || origin == energy.Unknown && got != 0 {
			t.Fatalf("%v %d µW", origin, got)
		}
	})
}

func TestFloorAllocatesNothing(t *testing.T) {
	f, i := energy.NewFloor(), 0
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		i++
		f.Observe(watts(20+float64(i%80)), float64(i%100)/100, s)
		f.Value()
	}))
}

func BenchmarkFloorObserve(b *testing.B) {
	f, i := energy.NewFloor(), 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		f.Observe(unit.Microwatts(20_000_000+i%1_000_000), float64(i%100)/100, s)
	}
}

func BenchmarkFloorExtrapolate(b *testing.B) {
	f, i := energy.NewFloor(), 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		u := 0.2 + float64(i%70)/100
		f.Observe(watts(30+70*u), u, s)
		f.Value()
	}
}
