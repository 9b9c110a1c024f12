package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
)

// 40 W of use, all of it the process's. While the counter is gone nothing is told, least of
// all by the model; when it is back it tells what it counted.
func TestC20_a_counter_that_fails_is_waited_for(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		p := &program{}
		s := w.open(p, Config{IdleWatts: map[string]float64{"cpu": 60}})
		second := func() (Reading, error) {
			w.run(time.Second, 100, 0, 1)
			p.own += time.Second
			return s.Read(t.Context())
		}
		for range 5 {
			_, err := second()
			require.NoError(t, err)
		}
		w.remove(zone + "energy_uj")
		for i := range 10 {
			r, err := second()
			var p *sensor.Problem
			require.ErrorAs(t, err, &p)
			assert.Equal(t, "rapl", p.Sensor)
			cpu, joules := of(r, "cpu")
			assert.InDelta(t, 5*40, joules, 1e-4, "not guessed, and not 0")
			assert.Equal(t, sensor.Measured, cpu.Method)
			assert.Equal(t, time.Duration(i+1)*time.Second, r.Waits)
		}
		assert.Contains(t, s.Describe(), "energy_uj")
		require.NoError(t, os.WriteFile(filepath.Join(w.root, zone, "energy_uj"), nil, 0o600))
		w.show()
		for range int(rescan/time.Second) + 1 {
			_, _ = second()
		}
		r := settle(t, s)
		assert.Zero(t, r.Waits)
		assert.Zero(t, joules(r, "cpu", sensor.Modelled))
		assert.InDelta(t, (15+11)*40, joules(r, "cpu", sensor.Measured), 1e-4)
	})
}

// What a driver's reload lost is a gap, and no energy is made up for it.
func TestC8_a_counter_that_begins_anew(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		p := &program{}
		s := w.open(p, Config{IdleWatts: map[string]float64{"cpu": 60}})
		second := func() {
			w.run(time.Second, 100, 0, 1)
			p.own += time.Second
			_, err := s.Read(t.Context())
			require.NoError(t, err)
		}
		for range 3 {
			second()
		}
		w.pkg = 0
		for range 3 {
			second()
		}
		r := settle(t, s)
		_, joules := of(r, "cpu")
		assert.Positive(t, r.Gaps)
		assert.LessOrEqual(t, joules, 6*40+1e-4)
		assert.GreaterOrEqual(t, joules, 4*40-1e-4)
	})
}

// 3 s of the model: 20 W idle and 100 W with all of 8 CPUs busy, so 10 J a CPU-second.
// Then the counter can be read: 40 J a second.
func TestC14_a_counter_that_can_be_read_later_takes_over(t *testing.T) {
	w := newWorld(t)
	w.write(zone+"energy_uj", "secret\n")
	w.write(dram+"energy_uj", "secret\n")
	synctest.Test(t, func(t *testing.T) {
		p := &program{}
		s := w.open(p, Config{IdleWatts: map[string]float64{"rapl:package-0": 60}, ModelIdleWatts: 20, ModelMaxWatts: 100})
		second := func() Reading {
			time.Sleep(time.Second)
			w.busy, w.idle = w.busy+100, w.idle+700
			p.own += time.Second
			w.write("proc/stat", "cpu  "+itoa(w.busy)+" 0 0 "+itoa(w.idle)+" 0 0 0\n")
			r, err := s.Read(t.Context())
			require.NoError(t, err, "what never counted is not missed")
			return r
		}
		for range 3 {
			second()
		}
		r := settle(t, s)
		cpu, _ := of(r, "cpu")
		assert.Equal(t, sensor.Modelled, cpu.Method)
		assert.InDelta(t, 30, joules(r, "cpu", sensor.Modelled), 1e-3)
		assert.Contains(t, s.Describe(), "rapl")

		time.Sleep(rescan)
		w.show()
		w.run(time.Second, 100, 0, 1) // the baseline of the counter, and the model's last reading
		p.own += time.Second
		_, err := s.Read(t.Context())
		require.NoError(t, err)
		byModel := joules(settle(t, s), "cpu", sensor.Modelled)
		for range 3 {
			w.run(time.Second, 100, 0, 1)
			p.own += time.Second
			_, err := s.Read(t.Context())
			require.NoError(t, err)
		}
		r = settle(t, s)
		cpu, _ = of(r, "cpu")
		assert.Equal(t, sensor.Measured, cpu.Method)
		assert.InDelta(t, byModel, joules(r, "cpu", sensor.Modelled), 0)
		assert.InDelta(t, 3*40, joules(r, "cpu", sensor.Measured), 1e-3)
	})
}

func itoa(n uint64) string {
	var b []byte
	for ; n > 0; n /= 10 {
		b = append([]byte{byte('0' + n%10)}, b...)
	}
	return string(b)
}

// Nobody tells how busy the machine is: a CPU-second costs what it does at full use,
// (100 − 20) W ÷ 8, or 100 W ÷ 8 where idle energy goes by usage, whoever else runs.
func TestWithoutTheMachinesBusyTimeTheModelIsTaken(t *testing.T) {
	for name, stat := range map[string]string{
		"no file":   "",
		"gVisor":    "cpu  0 0 0 0 0 0 0 0 0 0\n",
		"malformed": "cpu  1 2 3\n",
		"cut off":   "cpu  1 2 3 4 5 6 7 8",
		"negative":  "cpu  -1 2 3 4 5 6 7 8\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if w.write("proc/stat", stat); stat == "" {
				w.remove("proc/stat")
			}
			synctest.Test(t, func(t *testing.T) {
				p := &program{}
				separate := w.open(p, Config{ModelIdleWatts: 20, ModelMaxWatts: 100})
				byUsage := w.open(p, Config{ModelIdleWatts: 20, ModelMaxWatts: 100, Idle: ledger.IdleByUsage})
				for range 100 {
					time.Sleep(100 * time.Millisecond)
					p.own += 50 * time.Millisecond
					for _, s := range []*Source{separate, byUsage} {
						_, err := s.Read(t.Context())
						require.NoError(t, err)
					}
				}
				cpu, joules := of(settle(t, separate), "cpu")
				assert.InDelta(t, 5*10, joules, 1e-3)
				assert.Equal(t, "model", cpu.Sensor)
				_, joules = of(settle(t, byUsage), "cpu")
				assert.InDelta(t, 5*12.5, joules, 1e-3)
				assert.Contains(t, separate.Describe(), "nobody tells how busy the machine is")
			})
		})
	}
}

func TestNothingBelowTheRoot(t *testing.T) {
	w := newWorld(t)
	w.remove("proc")
	w.remove("sys")
	synctest.Test(t, func(t *testing.T) {
		p := &program{held: 1 << 30}
		s := w.open(p, Config{})
		time.Sleep(time.Second)
		p.own += time.Second
		r := settle(t, s)
		assert.Positive(t, r.Energy(), "the mean server")
	})
}

// The counts of stolen time run back for one second: the CPUs are taken to have been as
// busy as before.
func TestC67_counts_that_jump(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		p := &program{}
		s := w.open(p, Config{IdleWatts: map[string]float64{"cpu": 60}})
		for i := range 6 {
			if i == 3 {
				w.busy, w.idle = w.busy-50, w.idle-50
			}
			w.run(time.Second, 100, 0, 2)
			p.own += time.Second
			if i == 3 {
				w.busy -= 700
				w.show()
			}
			_, err := s.Read(t.Context())
			require.NoError(t, err)
		}
		_, joules := of(settle(t, s), "cpu")
		assert.InDelta(t, 6*20, joules, 1e-3)
	})
}

// 10 s of 40 W and two busy CPUs, one the process's: 20 J a CPU-second. One child ends
// after 4 CPU-seconds, which the kernel tells at once.
func TestChildrenCountWhenTheyHaveEnded(t *testing.T) {
	for _, children := range []bool{false, true} {
		w := newWorld(t)
		synctest.Test(t, func(t *testing.T) {
			p := &program{ended: time.Hour} // before Open
			s := w.open(p, Config{IdleWatts: map[string]float64{"cpu": 60}, Children: children})
			last := 0.0
			for i := range 10 {
				w.run(time.Second, 100, 0, 2)
				if p.own += time.Second; i == 7 {
					p.ended += 4 * time.Second
				}
				r, err := s.Read(t.Context())
				require.NoError(t, err)
				_, joules := of(r, "cpu")
				require.GreaterOrEqual(t, joules, last)
				last = joules
			}
			r := settle(t, s)
			_, joules := of(r, "cpu")
			want, cpuTime := 10*20.0, 10*time.Second
			if children {
				want, cpuTime = want+4*20, cpuTime+4*time.Second
			}
			assert.InDelta(t, want, joules, 1e-3)
			assert.Equal(t, cpuTime, r.CPUTime)

			// More than all others together were busy for: what they used, and no more.
			p.ended += time.Hour
			w.run(time.Second, 100, 0, 2)
			p.own += time.Second
			_, joules = of(settle(t, s), "cpu")
			if want += 20; children {
				want = 2 * 11 * 20
			}
			assert.InDelta(t, want, joules, 1e-3)
		})
	}
}

// A GPU of 300 W, of which this process has three quarters of what is used, and another one.
func TestAGPUIsReadAsAnExtraSensor(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		card := &card{part: sensor.Part{ID: "nvml:GPU-1", Type: "gpu", Sensor: "nvml", Method: sensor.Measured, Socket: -1, Die: -1}, pid: uint32(ownPID(w.root))}
		p := &program{}
		refused := errors.New("no second driver")
		s := w.open(p, Config{
			IdleWatts: map[string]float64{"gpu": 60},
			Extra: []func() (sensor.Sensor, error){
				func() (sensor.Sensor, error) { time.Sleep(3 * time.Second); return card, nil }, // a driver takes its time
				func() (sensor.Sensor, error) { return nil, refused },
			},
		})
		for range 20 {
			w.run(time.Second, 100, 0, 1)
			_, err := s.Read(t.Context())
			require.NoError(t, err)
		}
		synctest.Wait()
		r := settle(t, s)
		gpu, joules := of(r, "gpu")
		assert.Equal(t, "nvml", gpu.Sensor)
		// 240 J × ¾ a second, from the card's second reading on.
		assert.InDelta(t, 180, joules/float64(card.reads-2), 1)
		assert.Contains(t, s.Describe(), refused.Error())
	})
}

// A GPU of 300 W, 60 of them idle. The child of a child, which has ended by the middle, had
// three quarters of what is used and a stranger the rest: 240 J × ¾ = 180 J a second, by
// use and not by the CPU time of children, of which there is much.
func TestChildrenCountOnGPUsByTheirUse(t *testing.T) {
	for name, tc := range map[string]struct {
		children bool
		stat     string // of the one with three quarters
		watts    float64
	}{
		"not asked for": {false, "(a) b) R 4242", 0},
		"ours":          {true, "(a) b) R 4242", 180},
		"a stranger's":  {true, "(a) b) R 77", 0},
		"unreadable":    {true, "(a) R", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			put := func(pid int, stat string) {
				require.NoError(t, os.MkdirAll(filepath.Join(w.root, "proc", strconv.Itoa(pid)), 0o700))
				text := fmt.Sprintf("%d %s%s 555 18446744073709551615 0 0\n", pid, stat, strings.Repeat(" 1", 17))
				require.NoError(t, os.WriteFile(filepath.Join(w.root, "proc", strconv.Itoa(pid), "stat"), []byte(text), 0o600))
			}
			put(4243, tc.stat)
			put(4242, fmt.Sprintf("(sh) S %d", ownPID(w.root)))
			put(77, "(other) S 1")
			put(ownPID(w.root), "(self) S 1")
			put(1, "(init) S 0")
			synctest.Test(t, func(t *testing.T) {
				card := &card{part: sensor.Part{ID: "nvml:GPU-1", Type: "gpu", Sensor: "nvml", Method: sensor.Measured, Socket: -1, Die: -1}, pid: 4243}
				p := &program{}
				s := w.open(p, Config{
					IdleWatts: map[string]float64{"gpu": 60}, Children: tc.children,
					Extra: []func() (sensor.Sensor, error){func() (sensor.Sensor, error) { return card, nil }},
				})
				for i := range 20 {
					w.run(time.Second, 100, 0, 2)
					if p.ended += time.Second; i == 10 {
						w.remove("proc/4243")
						w.remove("proc/4242")
					}
					_, err := s.Read(t.Context())
					require.NoError(t, err)
				}
				_, joules := of(settle(t, s), "gpu")
				assert.InDelta(t, tc.watts, joules/float64(card.reads-2), 1)
				if tc.children { // the driver tells of it no more
					card.pid = 9000
					_, _ = s.Settle(t.Context())
					_, _ = s.Settle(t.Context())
					assert.NotContains(t, s.gpus.family.known, 4243)
				}
			})
		})
	}
}

// A number that another process has got by now is not that of a child.
func TestANumberUsedAgainIsAnotherProcess(t *testing.T) {
	type process struct {
		parent  int
		started uint64
	}
	all := map[int]process{7: {5, 100}, 5: {1, 50}, 8: {9, 1}, 9: {8, 1}}
	f := &family{known: map[int]relative{}, parent: func(pid int) (int, uint64, bool) {
		p, ok := all[pid]
		return p.parent, p.started, ok
	}}
	assert.True(t, f.has(7, 5))
	assert.False(t, f.has(8, 5), "a circle ends")
	all[7] = process{1, 100}
	assert.True(t, f.has(7, 5), "an orphan stays one of ours")
	all[7] = process{1, 200}
	assert.False(t, f.has(7, 5))
	all[7] = process{5, 250}
	assert.True(t, f.has(7, 5))
	all[7] = process{0, 260} // from outside of the namespace
	assert.False(t, f.has(7, 5))
	all[7] = process{5, 300}
	delete(all, 5)
	assert.True(t, f.has(7, 5))
	assert.False(t, (*family)(nil).has(7, 5))
}

// card is a GPU that draws 300 W.
type card struct {
	sensortest.Fake

	part  sensor.Part
	pid   uint32
	reads int
	begin time.Time
}

func (c *card) Read(_ context.Context, dst []sensor.Reading) ([]sensor.Reading, error) {
	now := time.Now()
	if c.reads++; c.begin.IsZero() {
		c.begin = now
	}
	return append(dst, counting(&c.part, now, 300*now.Sub(c.begin).Seconds())), nil
}

func (c *card) Instances(dst []sensor.Instance) []sensor.Instance { return dst }

func (c *card) Processes(dst []sensor.ProcessUse) []sensor.ProcessUse {
	return append(dst, sensor.ProcessUse{GPU: &c.part, PID: c.pid, Busy: 3 * time.Second, Kind: sensor.Compute},
		sensor.ProcessUse{GPU: &c.part, PID: c.pid + 1, Busy: time.Second, Kind: sensor.Compute})
}

func (c *card) Loads(dst []sensor.Load) []sensor.Load {
	return append(dst, sensor.Load{GPU: &c.part, Busy: 1, Held: true})
}

func TestASourceIsSafeForConcurrentUse(t *testing.T) {
	w := newWorld(t)
	s := w.open(&program{}, Config{Extra: []func() (sensor.Sensor, error){
		func() (sensor.Sensor, error) { return sensortest.NewFake(), nil },
	}})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 50 {
				switch i {
				case 0:
					_, _ = s.Settle(t.Context())
				case 1:
					_ = s.Describe()
				default:
					_, _ = s.Read(t.Context())
				}
			}
			_ = s.Close()
		})
	}
	wg.Wait()
	_, err := s.Read(t.Context())
	require.ErrorIs(t, err, fs.ErrClosed)
}

func TestWhatIsWrongInTheConfigIsNamed(t *testing.T) {
	w := newWorld(t)
	for key, c := range map[string]Config{
		"idle policy":          {Idle: ledger.IdleEqually},
		"idle_watts::cpu":      {IdleWatts: map[string]float64{"cpu": -1}},
		"max_watts":            {ModelIdleWatts: 20, ModelMaxWatts: -1},
		"memory_watts_per_gib": {ModelMemoryWattsPerGiB: 1e6},
	} {
		s, err := w.tryOpen(&program{}, c)
		assert.Nil(t, s)
		require.ErrorContains(t, err, key)
		require.NotErrorIs(t, err, errors.ErrUnsupported)
	}
	noCall := errors.New("no such call")
	_, err := w.tryOpen(&program{err: noCall}, Config{})
	require.ErrorIs(t, err, noCall)
}

func TestReadEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	p := &program{}
	s := w.open(p, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Read(ctx)
	require.ErrorIs(t, err, context.Canceled)
	p.err = errors.New("gone")
	_, err = s.Read(t.Context())
	require.ErrorIs(t, err, p.err)
}

func TestReadAllocatesNothing(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		s := w.open(&program{}, Config{})
		ctx := t.Context()
		for range 5 {
			time.Sleep(time.Second)
			_, _ = s.Read(ctx)
		}
		assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = s.Read(ctx) }))
		assert.Zero(t, testing.AllocsPerRun(50, func() { // within rescan, which walks through folders
			time.Sleep(20 * time.Millisecond)
			_, _ = s.Settle(ctx)
		}))
	})
}
