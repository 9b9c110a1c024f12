package nvml

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// withUses is a machine of one GPU whose samples a test sets, read once.
func withUses(t *testing.T) (*fakeGPU, *reader) {
	t.Helper()
	g := hopper("GPU-a1")
	g.uses, g.lists = []useSample{}, map[ProcessKind][]process{}
	r := mustOpen(t, machine(g), Config{Processes: true})
	read(t, r)
	return g, r
}

// busy reads and returns what each process did.
func busy(t *testing.T, r *reader) map[uint32]time.Duration {
	t.Helper()
	_, ps := read(t, r)
	require.Empty(t, ps)
	got := map[uint32]time.Duration{}
	for _, p := range r.Processes(nil) {
		require.Equal(t, "nvml:GPU-a1", p.GPU.ID)
		got[p.PID] = p.Busy
	}
	return got
}

func TestUtilization(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name string
		run  func(t *testing.T, g *fakeGPU, r *reader)
	}{
		{"C50_nothing found is idle", func(t *testing.T, _ *fakeGPU, r *reader) {
			assert.Empty(t, busy(t, r))
		}},
		{"C50_percent over time, at most 100 of them", func(t *testing.T, g *fakeGPU, r *reader) {
			now := stamp(time.Now())
			g.uses = []useSample{{7, now, 1}, {8, now, 1}}
			time.Sleep(time.Second)
			busy(t, r)
			time.Sleep(time.Second)
			g.uses = []useSample{{7, now + 500_000, 50}, {7, now + 1_000_000, 20}, {8, now + 1_000_000, 250}}
			// 7: 50 % × 0.5 s + 20 % × 0.5 s; 8: 100 % × 1 s.
			assert.Equal(t, map[uint32]time.Duration{7: 350 * ms, 8: time.Second}, busy(t, r))
			assert.Empty(t, busy(t, r), "told once")
		}},
		{"C50_old stamps, duplicates and those of the future are dropped", func(t *testing.T, g *fakeGPU, r *reader) {
			now := stamp(time.Now())
			g.uses = []useSample{{7, now, 1}}
			time.Sleep(time.Second)
			busy(t, r)
			time.Sleep(time.Second)
			g.uses = []useSample{
				{7, now + 1_000_000, 40},
				{7, now + 1_000_000, 90},
				{7, now - 900_000, 4000},
				{9, 12, 4_000_000_000},
				{7, now + 60_000_000, 99},
			}
			assert.Equal(t, map[uint32]time.Duration{7: 400 * ms}, busy(t, r))
		}},
		{"C50_after a pause a sample counts for one round only", func(t *testing.T, g *fakeGPU, r *reader) {
			g.uses = []useSample{{7, stamp(time.Now()), 1}}
			time.Sleep(time.Second)
			busy(t, r)
			time.Sleep(time.Hour)
			busy(t, r)
			time.Sleep(time.Second)
			g.uses = []useSample{{7, stamp(time.Now()), 60}}
			assert.Equal(t, map[uint32]time.Duration{7: 600 * ms}, busy(t, r))
		}},
		{"C50_each process has its own beat", func(t *testing.T, g *fakeGPU, r *reader) {
			start := stamp(time.Now())
			var sum [2]time.Duration
			for i := range uint64(20) {
				// 8 is always 100 ms behind 7; both at 50 %.
				g.uses = append(g.uses, useSample{7, start + i*1_000_000, 50}, useSample{8, start + i*1_000_000 + 900_000, 50})
				got := busy(t, r)
				sum[0] += got[7]
				sum[1] += got[8]
				time.Sleep(time.Second)
			}
			assert.InDelta(t, float64(sum[0]), float64(sum[1]), float64(time.Second))
		}},
		{"C50_one that is a second and a half behind is not lost", func(t *testing.T, g *fakeGPU, r *reader) {
			start := stamp(time.Now())
			var sum [2]time.Duration
			for i := range uint64(20) {
				// 8 is 1.5 s behind 7; both at 50 %.
				g.uses = append(g.uses, useSample{7, start + i*1_000_000, 50})
				if i > 1 {
					g.uses = append(g.uses, useSample{8, start + i*1_000_000 - 1_500_000, 50})
				}
				got := busy(t, r)
				sum[0] += got[7]
				sum[1] += got[8]
				time.Sleep(time.Second)
			}
			// 19 and 18 rounds of 0.5 s; 8 is in no list, and found within 3 s.
			assert.Equal(t, 9500*ms, sum[0])
			assert.InDelta(t, 9, sum[1].Seconds(), 1.5)
		}},
		{"a call for each beat", func(t *testing.T, g *fakeGPU, r *reader) {
			now := stamp(time.Now())
			u := &r.core.gpus[0].users
			for i := range uint64(100) { // 100 processes in 20 ms each
				g.uses = append(g.uses, useSample{uint32(i), now + i*20_000, 50})
			}
			time.Sleep(2 * time.Second)
			busy(t, r)
			busy(t, r)
			assert.LessOrEqual(t, len(u.calls), maxCalls+1)
		}},
		{"C50_a process that has ended is told a last time", func(t *testing.T, g *fakeGPU, r *reader) {
			g.uses = []useSample{{7, stamp(time.Now()), 50}}
			time.Sleep(time.Second)
			busy(t, r)
			assert.Empty(t, busy(t, r))
			time.Sleep(2 * forget)
			busy(t, r)
			assert.Empty(t, r.core.gpus[0].users.all, "and forgotten")
		}},
		{"C51_a PID used again goes on with the round", func(t *testing.T, g *fakeGPU, r *reader) {
			g.uses = []useSample{{7, stamp(time.Now()), 100}}
			time.Sleep(time.Second)
			busy(t, r)
			time.Sleep(30 * time.Second)
			busy(t, r)
			time.Sleep(time.Second)
			g.uses = []useSample{{7, stamp(time.Now()), 100}}
			assert.Equal(t, map[uint32]time.Duration{7: time.Second}, busy(t, r))
		}},
		{"C51_PIDs are passed on as they are", func(t *testing.T, g *fakeGPU, r *reader) {
			g.lists[compute] = []process{{pid: 4_000_000_000, instance: unallocated}}
			assert.Contains(t, busy(t, r), uint32(4_000_000_000))
		}},
		{"a clock set back begins anew", func(t *testing.T, g *fakeGPU, r *reader) {
			g.uses = []useSample{{7, stamp(time.Now()), 100}}
			time.Sleep(time.Second)
			busy(t, r)
			u := &r.core.gpus[0].users
			u.last += 3_600_000_000 // as if the samples had been an hour later
			u.all[0].stamp = u.last
			time.Sleep(time.Second)
			busy(t, r)
			time.Sleep(time.Second)
			g.uses = []useSample{{7, stamp(time.Now()), 100}}
			assert.Equal(t, map[uint32]time.Duration{7: time.Second}, busy(t, r))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, r := withUses(t)
				c.run(t, g, r)
			})
		})
	}
}

func TestProcesses(t *testing.T) {
	t.Run("C52_lists that overlap are one process", func(t *testing.T) {
		g, r := withUses(t)
		g.lists = map[ProcessKind][]process{
			compute:  {{pid: 7, instance: unallocated, memory: 100}, {pid: 8, instance: unallocated, memory: 50}},
			graphics: {{pid: 7, instance: unallocated, memory: 120}},
			mps:      {{pid: 8, instance: unallocated, memory: 50}, {pid: 9, instance: unallocated}},
		}
		read(t, r)
		part := r.core.gpus[0].part
		assert.Equal(t, []ProcessUse{
			{GPU: part, PID: 7, Instance: unallocated, Kind: compute | graphics, Memory: 120},
			{GPU: part, PID: 8, Instance: unallocated, Kind: compute | mps, Memory: 50},
			{GPU: part, PID: 9, Instance: unallocated, Kind: mps},
		}, r.Processes(nil))
		g.lists = map[ProcessKind][]process{compute: {{pid: 8, instance: unallocated, memory: 40}}}
		read(t, r)
		assert.Equal(t, []ProcessUse{{GPU: part, PID: 8, Instance: unallocated, Kind: compute, Memory: 40}}, r.Processes(nil))
	})
	t.Run("C53_on a parent handle without privilege the energy still counts", func(t *testing.T) {
		g, r := withUses(t)
		g.privilege = noPermission
		rs, ps := read(t, r)
		assert.Len(t, rs, 1)
		assert.Equal(t, sensor.Permission, ps["GPU-a1: processes"].Class)
	})
	t.Run("unasked nothing is asked", func(t *testing.T) {
		g := hopper("GPU-a1")
		g.privilege = noPermission
		r := mustOpen(t, machine(g), Config{})
		_, ps := read(t, r)
		assert.Empty(t, ps)
		assert.Empty(t, r.Processes(nil))
	})
}

func TestLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, r := withUses(t)
		loads := func() []Load {
			_, ps := read(t, r)
			require.Empty(t, ps)
			return r.Loads(nil)
		}
		assert.Empty(t, loads(), "the driver does not say")

		percent := uint32(60)
		g.use = &percent
		g.lists[compute] = []process{{pid: 7, instance: unallocated}}
		assert.Empty(t, loads(), "and is not asked again")
		r.core.gpus[0].unused = false
		part := r.core.gpus[0].part
		assert.Equal(t, []Load{{GPU: part, Busy: 0.6, Held: true}}, loads())
		percent = 250
		delete(g.lists, compute)
		assert.Equal(t, []Load{{GPU: part, Busy: 1}}, loads(), "whose process nobody sees")
		r.core.gpus[0].mig.enabled = true
		assert.Empty(t, loads(), "cut into instances")
	})
}

// A GPU that somebody may hold is not told to be idle.
func TestNoLoadIsToldWhereNobodyKnowsWhoHoldsTheGPU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, r := withUses(t)
		percent := uint32(0)
		g.use = &percent
		r.core.gpus[0].unused = false
		read(t, r)
		require.Len(t, r.Loads(nil), 1)
		g.privilege = noPermission
		read(t, r)
		assert.Empty(t, r.Loads(nil), "the lists are refused")
		g.privilege = success
		read(t, r)
		assert.Len(t, r.Loads(nil), 1)
	})
}

func TestLoadsWhereAListIsRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		kind  ProcessKind
		s     status
		loads int
	}{
		{"the library has no list of those that compute", compute, functionNotFound, 0},
		{"the library has no list of those that draw", graphics, functionNotFound, 0},
		{"the library is older than the list of clients of MPS", mps, functionNotFound, 0},
		{"the GPU does not say who computes", compute, notSupported, 0},
		{"the GPU does no graphics", graphics, notSupported, 1},
		{"the GPU has no MPS", mps, notSupported, 1},
		{"no permission for one list", graphics, noPermission, 0},
		{"an error in one list", mps, invalidArgument, 0},
		{"nobody in a list", compute, notFound, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			percent := uint32(0)
			g := hopper("GPU-a1")
			g.use, g.lists, g.refused = &percent, map[ProcessKind][]process{}, map[ProcessKind]status{c.kind: c.s}
			r := mustOpen(t, machine(g), Config{Processes: true})
			for range 3 { // what is refused for good is asked once
				read(t, r)
				assert.Len(t, r.Loads(nil), c.loads)
			}
		})
	}
}

// Under MIG the driver refuses some calls. If it is switched on and off between two
// looks at the layout, they are made again after the next one.
func TestC53_what_is_refused_under_MIG_is_asked_again(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		percent := uint32(10)
		g := hopper("GPU-a1")
		g.migStatus, g.use, g.uses, g.lists = success, &percent, []useSample{}, map[ProcessKind][]process{}
		r := mustOpen(t, machine(g), Config{Processes: true})
		read(t, r)
		require.Len(t, r.Loads(nil), 1)
		g.use = nil
		read(t, r)
		require.Empty(t, r.Loads(nil))
		g.use = &percent
		time.Sleep(r.core.config.LayoutInterval)
		read(t, r)
		read(t, r)
		assert.Len(t, r.Loads(nil), 1)
	})
}

// Two processes, one busy for 60 % of each second and one for 20 %, each with a beat of
// its own, for a minute: 36 s and 12 s, whatever the beats, less up to 2 s each until
// both have been seen, and 1 % of a minute for whole percents.
func TestC50_each_process_is_asked_for_from_its_own_sample_on(t *testing.T) {
	share := func(percent uint32) func(uint64) uint32 { return func(uint64) uint32 { return percent } }
	for _, phase := range []uint64{0, 10_000, 100_000, 160_000, 500_000, 840_000, 930_000, 990_000} {
		t.Run(strconv.FormatUint(phase, 10), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, r := withUses(t)
				g.programs = []program{{7, 50_000, share(60)}, {8, (50_000 + phase) % 1_000_000, share(20)}}
				g.lists[compute] = []process{{pid: 7, instance: unallocated}, {pid: 8, instance: unallocated}}
				sum := map[uint32]time.Duration{}
				for range 60 {
					time.Sleep(time.Second)
					for pid, d := range busy(t, r) {
						sum[pid] += d
					}
				}
				assert.InDelta(t, 36, sum[7].Seconds(), 2*0.6+0.6)
				assert.InDelta(t, 12, sum[8].Seconds(), 2*0.2+0.6)
			})
		})
	}
}

// The second process rests for 30 s in the middle of a minute and a half, and holds the
// GPU all the time: it is found again, at the latest after 2 s.
func TestC50_aProcessThatRestedIsFoundAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, r := withUses(t)
		begin := stamp(time.Now())
		g.programs = []program{
			{7, 50_000, func(uint64) uint32 { return 60 }},
			{8, 60_000, func(at uint64) uint32 {
				if s := (at - begin) / 1_000_000; s > 30 && s < 60 {
					return 0
				}
				return 20
			}},
		}
		g.lists[compute] = []process{{pid: 7, instance: unallocated}, {pid: 8, instance: unallocated}}
		sum := time.Duration(0)
		for range 90 {
			time.Sleep(time.Second)
			sum += busy(t, r)[8]
		}
		assert.InDelta(t, 12, sum.Seconds(), 4*0.2+0.6)
	})
}
