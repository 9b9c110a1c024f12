package process

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// 2 s: the package draws 100 W, 60 W of them idle, so 200 J = 120 J idle + 80 J. The
// CPUs are busy for 4 CPU-s, the process has 1 of them: 80 J ÷ 4 = 20 J, or 200 J ÷ 4
// where idle energy goes by usage.
//
// The DRAM draws 10 W, 4 W of them idle: 20 J = 8 J + 12 J. 12 J ÷ 4 = 3 J by CPU time;
// the process holds 1 GiB of 16: 8 J ÷ 16 = 0.5 J, whatever the policy.
func TestTheProcessTakesItsShareOfWhatIsMeasured(t *testing.T) {
	for _, tc := range []struct {
		name        string
		idle        ledger.IdlePolicy
		cpu, memory float64
	}{
		{"idle energy is nobody's", ledger.IdleSeparate, 20, 3.5},
		{"idle energy by usage", ledger.IdleByUsage, 50, 3.5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			synctest.Test(t, func(t *testing.T) {
				p := &program{own: time.Hour, held: 1 << 30} // what it used before Open is not told
				s := w.open(p, Config{Idle: tc.idle, IdleWatts: map[string]float64{"cpu": 60, "memory": 4}})
				for range 2 {
					w.run(time.Second, 100, 10, 2)
					p.own += 500 * time.Millisecond
					_, err := s.Read(t.Context())
					require.NoError(t, err)
				}
				r := settle(t, s)
				cpu, joules := of(r, "cpu")
				assert.InDelta(t, tc.cpu, joules, 1e-5)
				assert.Equal(t, Amount{Type: "cpu", Method: sensor.Measured, Sensor: "rapl", Energy: cpu.Energy, Now: true, Idle: energy.Configured}, cpu)
				_, joules = of(r, "memory")
				assert.InDelta(t, tc.memory, joules, 1e-5)
				assert.InDelta(t, tc.cpu+tc.memory, r.Energy().Joules(), 1e-5)
				assert.Equal(t, time.Second, r.CPUTime)
				assert.Zero(t, r.Gaps)
				assert.Zero(t, r.Waits)
			})
		})
	}
}

// A floor that nobody gave is learned, as in the receiver: 60 W while the machine idles.
// After that 1 s of 100 W with one CPU busy, all of it the process's: 40 J, within what
// the resolution of the floor is (3.8 % of 60 W).
func TestC69_idle_power_is_learned(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		p := &program{}
		s := w.open(p, Config{})
		for range 60 {
			w.run(time.Second, 60, 4, 0.1)
			_, err := s.Read(t.Context())
			require.NoError(t, err)
		}
		_, before := of(settle(t, s), "cpu")
		assert.Zero(t, before)
		w.run(time.Second, 100, 4, 1)
		p.own += time.Second
		cpu, joules := of(settle(t, s), "cpu")
		assert.Equal(t, energy.Learned, cpu.Idle)
		assert.InDelta(t, 40, joules, 2.5)
	})
}

// Ranks of one node take what is theirs and no more: 8 CPUs are busy, 7 of them with 7
// ranks, at 200 W of which 60 are idle. Each has 140 J ÷ 8 in a second.
func TestRanksOfANodeDoNotBookItTwice(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		var ranks []*program
		var sources []*Source
		for range 7 {
			p := &program{}
			ranks = append(ranks, p)
			sources = append(sources, w.open(p, Config{IdleWatts: map[string]float64{"cpu": 60}}))
		}
		for range 10 {
			w.run(time.Second, 200, 0, 8)
			for _, p := range ranks {
				p.own += time.Second
			}
			for _, s := range sources {
				_, err := s.Read(t.Context())
				require.NoError(t, err)
			}
		}
		for _, s := range sources {
			_, joules := of(settle(t, s), "cpu")
			assert.InDelta(t, 10*140.0/8, joules, 1e-4)
		}
	})
}

// Whatever processes do, what all of them take is no more than what was drawn, and what
// one is told never falls.
func TestSharesAddUpToNoMoreThanTheMachine(t *testing.T) {
	w := newWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		usage := rapid.Bool().Draw(rt, "by usage")
		synctest.Test(t, func(t *testing.T) {
			c := Config{IdleWatts: map[string]float64{"cpu": 30}}
			if usage {
				c.Idle = ledger.IdleByUsage
			}
			programs := make([]program, 3)
			var sources []*Source
			for i := range programs {
				s, err := w.tryOpen(&programs[i], c)
				require.NoError(t, err)
				sources = append(sources, s)
			}
			var told [3]float64
			drawn := 0.0
			for range rapid.IntRange(1, 12).Draw(rt, "windows") {
				d := time.Duration(rapid.IntRange(10, 200).Draw(rt, "ticks")) * tick
				watts := float64(rapid.IntRange(0, 250).Draw(rt, "watts"))
				var used float64
				for i := range programs {
					use := float64(rapid.IntRange(0, 2).Draw(rt, "CPUs"))
					programs[i].own += time.Duration(use * float64(d))
					used += use
				}
				w.run(d, watts, 0, used+float64(rapid.IntRange(0, 2).Draw(rt, "others")))
				drawn += watts * d.Seconds()
				for i, s := range sources {
					r := settle(t, s)
					_, joules := of(r, "cpu")
					require.GreaterOrEqual(t, joules, told[i])
					told[i] = joules
				}
			}
			require.LessOrEqual(t, told[0]+told[1]+told[2], drawn+1e-3)
			for _, s := range sources {
				require.NoError(t, s.Close())
			}
		})
	})
}

// Between two looks Read goes on at what a CPU-second cost before: 40 W for one CPU. When
// then others have been busy, too, so that the second costs half, nothing is taken back
// and nothing told until that is made up for.
func TestReadGoesOnBetweenLooks(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		p := &program{}
		s := w.open(p, Config{IdleWatts: map[string]float64{"cpu": 60}})
		step := func(watts, busy float64) float64 {
			w.run(100*time.Millisecond, watts, 0, busy)
			p.own += 100 * time.Millisecond
			r, err := s.Read(t.Context())
			require.NoError(t, err)
			_, joules := of(r, "cpu")
			return joules
		}
		want := 0.0
		for range 30 { // 100 ms of 40 W each
			want += 4
			assert.InDelta(t, want, step(100, 1), 1e-4)
		}
		// Looks were at 0.1, 0.3, 0.7, 1.5 and 2.5 s; the next is at 3.5 s. For 0.5 s before it
		// the CPUs are busy twice as much for the same power.
		for range 4 {
			want += 4
			assert.InDelta(t, want, step(100, 2), 1e-4)
		}
		// The window from 2.5 to 3.5 s: 40 J for 1 CPU-s of 1.5: 26.7 J. With what was told
		// before, 100 J, it makes 126.7 J; 136 J were told.
		assert.InDelta(t, 136, step(100, 2), 1e-4)
		for range 3 { // 26.7 J a CPU-second: 126.7 + 0.3 · 26.7 = 134.7 J
			assert.InDelta(t, 136, step(100, 2), 1e-4)
		}
		assert.InDelta(t, 100+26.6667*1.4, step(100, 2), 1e-3)
	})
}

// What is looked at is asked no more than once in a second, however often Read is called.
func TestTheMachineIsLookedAtOnceInASecond(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		s := w.open(&program{}, Config{})
		read := s.machine.read
		looks := 0
		s.machine.read = func() (counts, error) { looks++; return read() }
		for range 1000 {
			time.Sleep(10 * time.Millisecond)
			_, err := s.Read(t.Context())
			require.NoError(t, err)
		}
		// At 0.1, 0.3, 0.7 and 1.5 s, then at 2.5 … 9.5 s.
		assert.Equal(t, 4+8, looks)
	})
}
