package workload

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// containers is a machine of n containers in as many pods, of which all ran between two
// Reads.
func containers(t testing.TB, n int) (f *tree, move func(i int)) {
	t.Helper()
	f = newTree(t, false)
	f.use("/kubepods.slice", 0)
	paths := make([]string, n)
	for i := range paths {
		pod := fmt.Sprintf("/kubepods.slice/kubepods-pod%08x_2fa1_11d2_883f_0016d3cca427.slice", i)
		paths[i] = pod + fmt.Sprintf("/cri-containerd-%s%04x.scope", hexA[:60], i)
		f.use(pod, 0)
		f.use(paths[i], 0)
	}
	return f, func(i int) {
		d := time.Duration(i) * ms
		f.use("/kubepods.slice", time.Duration(n)*d)
		for _, p := range paths {
			f.use(filepath.Dir(p), d)
			f.use(p, d)
		}
	}
}

// dormant is a container with n processes of which the first active run.
func dormant(t testing.TB, n, active int) (f *tree, move func(i int)) {
	t.Helper()
	f = newTree(t, false)
	box := "/docker/" + hexA
	f.use("/docker", 0)
	f.use(box, 0)
	pids := make([]int, n)
	for i := range pids {
		pids[i] = 100 + i
		f.process(pids[i], "p", 0, 5, 1)
	}
	f.procs(box, pids...)
	return f, func(i int) {
		for _, pid := range pids[:active] {
			f.process(pid, "p", i, 5, 1)
		}
		f.use(box, time.Duration(active*i)*tick)
		f.use("/docker", time.Duration(active*i)*tick)
	}
}

// allocations counts those of one Read, with what the test itself writes left out.
func allocations(t *testing.T, f *tree, c Config, move func(i int)) uint64 {
	t.Helper()
	r, err := Open(f.root, c)
	require.NoError(t, err)
	defer r.Close()
	ctx := t.Context()
	buf := make([]Usage, 0, 4096)
	step := 0
	read := func() {
		buf, err = r.Read(ctx, buf[:0])
		require.NoError(t, err)
	}
	for ; step < 12; step++ { // buffers grow, workloads are made, who does not run falls asleep
		move(step)
		read()
	}
	var worst uint64
	for range 5 {
		for _, n := range r.ring { // what is read once in 10 s or in a minute opens files, and a busy machine may take as long
			n.heldAt, n.confinedAt = r.now, r.now
		}
		move(step)
		step++
		worst = max(worst, mallocs(read))
	}
	return worst
}

// mallocs counts the allocations of one call. testing.AllocsPerRun calls more than once,
// and what is to be measured is a Read after which something moved.
func mallocs(f func()) uint64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

func TestC75AReadAllocatesNothing(t *testing.T) {
	t.Run("200 containers", func(t *testing.T) {
		f, move := containers(t, 200)
		require.Zero(t, allocations(t, f, Config{Containers: true, Memory: true}, move))
	})
	t.Run("2000 processes of which 20 run", func(t *testing.T) {
		f, move := dormant(t, 2000, 20)
		require.Zero(t, allocations(t, f, Config{Containers: true, Processes: true, Top: 10}, move))
	})
	t.Run("10000 dormant processes", func(t *testing.T) {
		f, move := dormant(t, 10_000, 1)
		require.Zero(t, allocations(t, f, Config{Containers: true, Processes: true, Top: 100}, move))
	})
	t.Run("real groups that move", func(t *testing.T) {
		both(t, func(t *testing.T, v1 bool) {
			m, folder, _ := onHost(t, !v1, Config{Containers: true, Processes: true, Top: 5})
			p := start(t, cgroup(t, filepath.Join(folder, hexA)))
			var buf []Usage
			for range 12 {
				p.do("spin 12")
				buf, _ = m.r.Read(t.Context(), buf[:0])
			}
			buf = make([]Usage, 0, 4096)
			var n uint64
			for range 200 { // a busy machine is not quiet for long
				p.do("spin 12")
				if n = mallocs(func() { _, _ = m.r.Read(t.Context(), buf) }); n == 0 {
					return // other processes of this machine come and go meanwhile
				}
			}
			t.Errorf("%d allocations", n)
		})
	})
}

// moves keeps Reads steady: each of them sees that everything moved.
func moves(b *testing.B, f *tree, c Config, move func(i int)) {
	b.Helper()
	r, err := Open(f.root, c)
	require.NoError(b, err)
	defer r.Close()
	ctx := b.Context()
	var buf []Usage
	for i := range 12 {
		move(i)
		buf, err = r.Read(ctx, buf[:0])
		require.NoError(b, err)
	}
	b.ReportAllocs()
	step := 12
	for b.Loop() {
		b.StopTimer()
		move(step)
		step++
		b.StartTimer()
		buf, _ = r.Read(ctx, buf[:0])
	}
	s := r.Stats()
	b.ReportMetric(float64(s.CgroupsRead), "cgroups/op")
	b.ReportMetric(float64(s.ProcessesRead), "processes/op")
}

func BenchmarkReadContainersOfAFakeTree(b *testing.B) {
	f, move := containers(b, 200)
	moves(b, f, Config{Containers: true}, move)
}

func BenchmarkReadProcessesOfAFakeTree(b *testing.B) {
	for _, c := range []struct{ n, active int }{{20, 20}, {2000, 20}, {10_000, 20}} {
		b.Run(fmt.Sprintf("%d of which %d run", c.n, c.active), func(b *testing.B) {
			f, move := dormant(b, c.n, c.active)
			moves(b, f, Config{Containers: true, Processes: true, Top: 100}, move)
		})
	}
}

func BenchmarkReadIdle(b *testing.B) {
	f, move := containers(b, 200)
	moves(b, f, Config{Containers: true}, func(i int) {
		if i < 2 {
			move(i)
		}
	})
}

// BenchmarkReadReal reads 200 groups of which 20 hold a process that ran, and for
// comparison what reading their files alone costs.
func BenchmarkReadReal(b *testing.B) {
	for _, v2 := range []bool{true, false} {
		name := map[bool]string{true: "v2", false: "v1"}[v2]
		const groups, children = 200, 20
		m, folder, _ := onHost(b, v2, Config{Containers: true, Processes: true, Top: 100})
		var procs []*proc
		var boxes []string
		for i := range groups {
			box := cgroup(b, filepath.Join(folder, fmt.Sprintf("%s%04x", hexA[:60], i)))
			boxes = append(boxes, box)
			if i < children {
				procs = append(procs, start(b, box))
			}
		}
		run := func() {
			for _, p := range procs {
				p.do("spin 1")
			}
		}
		for _, c := range []Config{{Containers: true}, {Containers: true, Processes: true, Top: 100}} {
			b.Run(fmt.Sprintf("%s/processes=%t", name, c.Processes), func(b *testing.B) {
				r, err := Open("/", c)
				require.NoError(b, err)
				defer r.Close()
				r.at = m.r.at
				var buf []Usage
				for range 8 {
					run()
					buf, _ = r.Read(b.Context(), buf[:0])
				}
				b.ReportAllocs()
				for b.Loop() {
					b.StopTimer()
					run()
					b.StartTimer()
					buf, _ = r.Read(b.Context(), buf[:0])
				}
				s := r.Stats()
				b.ReportMetric(float64(s.CgroupsRead), "cgroups/op")
				b.ReportMetric(float64(s.ProcessesRead), "processes/op")
			})
		}
		b.Run(name+"/floor of one counter kept open", func(b *testing.B) {
			fd, err := openFile(filepath.Join(boxes[0], m.r.at.usage))
			require.NoError(b, err)
			defer func() { _ = unix.Close(fd) }()
			var buf [512]byte
			for b.Loop() {
				_, _ = pread(fd, buf[:], 0)
			}
		})
		for _, p := range procs {
			p.stop()
		}
	}
}

// The floor: what one process costs, however clever the reader is.
func BenchmarkFloorOfOneProcess(b *testing.B) {
	path := fmt.Sprintf("/proc/%d/stat", os.Getpid())
	var buf [512]byte
	b.Run("open, read, close", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			fd, _ := openFile(path)
			_, _ = pread(fd, buf[:], 0)
			_ = unix.Close(fd)
		}
	})
	b.Run("kept open", func(b *testing.B) {
		b.ReportAllocs()
		fd, err := openFile(path)
		require.NoError(b, err)
		defer func() { _ = unix.Close(fd) }()
		for b.Loop() {
			_, _ = pread(fd, buf[:], 0)
		}
	})
}

func BenchmarkClassify(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		classify("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1b4e28ba_2fa1_11d2_883f_0016d3cca427.slice/cri-containerd-" + hexA + ".scope")
	}
}

// BenchmarkReadManyRealProcesses has 2,000 processes in one group, of which 20 run.
func BenchmarkReadManyRealProcesses(b *testing.B) {
	const many, active = 2000, 20
	m, folder, _ := onHost(b, false, Config{Containers: true, Processes: true, Top: 100})
	box := cgroup(b, filepath.Join(folder, hexB))
	sleepers := make([]*exec.Cmd, many-active)
	for i := range sleepers {
		sleepers[i] = exec.Command("sleep", "1000")
		if err := sleepers[i].Start(); err != nil {
			b.Skipf("no process can be started: %v", err)
		}
		c := sleepers[i]
		b.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
		require.NoError(b, os.WriteFile(box+"/cgroup.procs", []byte(strconv.Itoa(c.Process.Pid)), 0))
	}
	procs := make([]*proc, active)
	for i := range procs {
		procs[i] = start(b, box)
	}
	run := func() {
		for _, p := range procs {
			p.do("spin 2")
		}
	}
	var buf []Usage
	for range 12 {
		run()
		buf, _ = m.r.Read(b.Context(), buf[:0])
	}
	b.ReportAllocs()
	processes := 0
	for b.Loop() {
		b.StopTimer()
		run()
		b.StartTimer()
		buf, _ = m.r.Read(b.Context(), buf[:0])
		processes += m.r.Stats().ProcessesRead
	}
	b.ReportMetric(float64(processes)/float64(b.N), "processes/op")
	for _, p := range procs {
		p.stop()
	}
}
