package nvml

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// cluster is a machine of n GPUs in seven instances each, all of them used.
func cluster(n int) *fakeLibrary {
	var gpus []*fakeGPU
	for i := range n {
		g := cut(fmt.Sprintf("GPU-%04x", i), 1, 1, 1, 1, 1, 1, 1)
		g.lists = map[ProcessKind][]process{}
		for j := range 7 {
			g.lists[compute] = append(g.lists[compute], process{pid: uint32(100*i + j), instance: j + 1, memory: 1 << 30})
		}
		gpus = append(gpus, g)
	}
	return machine(gpus...)
}

// C57: what a Read costs beside the calls of NVML, with the way to the worker
// and back.
func BenchmarkRead(b *testing.B) {
	for _, n := range []int{1, 8, 32} {
		for _, c := range []struct {
			name   string
			config Config
		}{
			{"energy", Config{}},
			{"energy and processes", Config{Processes: true}},
			{"energy, processes, instances looked at each time", Config{Processes: true, LayoutInterval: time.Nanosecond}},
		} {
			b.Run(fmt.Sprintf("C57_%d GPUs of 7 instances, %s", n, c.name), func(b *testing.B) {
				r := mustOpen(b, cluster(n), c.config)
				dst := make([]sensor.Reading, 0, n)
				var uses []ProcessUse
				b.ReportAllocs()
				for b.Loop() {
					dst, _ = r.Read(b.Context(), dst[:0])
					uses = r.Processes(uses[:0])
				}
				require.Len(b, dst, n)
			})
		}
	}
}

func TestReadAllocatesNothing(t *testing.T) {
	for name, lib := range map[string]*fakeLibrary{
		"C57_32 GPUs of 7 instances":      cluster(32),
		"with failures that last":         machine(hopper("GPU-a1"), &fakeGPU{uuid: "GPU-b2", health: noPermission}),
		"with samples of power and usage": sampledMachine(),
	} {
		t.Run(name, func(t *testing.T) {
			r := mustOpen(t, lib, Config{Processes: true, LayoutInterval: time.Nanosecond})
			var dst []sensor.Reading
			var uses []ProcessUse
			var cuts []Instance
			n := testing.AllocsPerRun(200, func() {
				dst, _ = r.Read(t.Context(), dst[:0])
				uses, cuts = r.Processes(uses[:0]), r.Instances(cuts[:0])
			})
			require.Zero(t, n)
		})
	}
}

func sampledMachine() *fakeLibrary {
	g := pascal("GPU-c3")
	now := stamp(time.Now())
	g.buffer = []powerSample{{now, 100_000}}
	g.uses = []useSample{{7, now, 30}}
	return machine(g)
}
