package workload

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// one is a tree with one container; its processes started before the test did.
func one(t *testing.T) (f *tree, box string) {
	t.Helper()
	f = newTree(t, false)
	box = "/docker/" + hexA
	f.use("/docker", 0)
	f.use(box, 0)
	return f, box
}

// run adds to the counters of a container and of the group that it is in.
func (f *tree) run(box string, total time.Duration) {
	f.t.Helper()
	f.use(box, total)
	f.use("/docker", total)
	f.pass(time.Second)
}

// kinds sums up what is told of processes by PID, and of shares by name.
func kinds(us []Usage) map[string]time.Duration {
	all := map[string]time.Duration{}
	for _, u := range us {
		switch {
		case u.CPU == 0:
		case u.Share == Own && u.Of.Kind == Process:
			all[fmt.Sprint(u.Of.PID)] += u.CPU
		default:
			name := label(u)
			all[name[strings.LastIndexByte(name, '/')+1:]] += u.CPU
		}
	}
	return all
}

func TestProcessesShareWhatTheirContainerUsed(t *testing.T) {
	f, box := one(t)
	f.process(11, "a", 100, 5, 10)
	f.process(12, "b", 200, 6, 10)
	f.process(13, "c", 0, 6, 10)
	f.procs(box, 11, 12, 13)
	m := f.open(Config{Containers: true, Processes: true})
	require.Empty(t, m.read())
	require.NoError(t, m.err)

	// The container ran for 103 ms, of which its processes show 60 and 30. The other 13 may be of
	// either: 6.5 each.
	f.process(11, "a", 106, 5, 10)
	f.process(12, "b", 203, 6, 10)
	f.run(box, 103*ms)
	assert.Equal(t, map[string]time.Duration{"11": 66500 * time.Microsecond, "12": 36500 * time.Microsecond}, kinds(m.read()))

	// 4 ms show as no tick of anybody: by what they used before. That was 1 and 2 ms in a
	// second over 1000 s, and 60 and 30 ms just now, which in a mean of 30 s are 2 and 1.
	f.run(box, 107*ms)
	got := kinds(m.read())
	assert.Equal(t, 4*ms, got["11"]+got["12"])
	assert.InDelta(t, 1, float64(got["11"])/float64(got["12"]), 0.1)

	w := m.buf[0].Of
	assert.Equal(t, hexA, w.ContainerID)
	assert.Equal(t, box, w.Path)
	assert.Equal(t, Container, w.Parent.Kind)
	assert.Equal(t, time.Unix(1700000000, 0).Add(50*ms), processOf(m.buf, 11).Created)
	assert.NotNil(t, m.r.Find(11))
}

// Of two processes one runs for 30 ms and one for 10 in turn, in ticks that are rounded
// down, while a Read comes each 250 ms. After 100 s both have what they used, to 20 ms:
// shares by the ticks of one Read alone would be 6 % too little for the smaller one.
func TestASmallProcessBesideALargeOneIsNotCheated(t *testing.T) {
	f, box := one(t)
	f.process(11, "a", 0, 5, 10)
	f.process(12, "b", 0, 6, 10)
	f.procs(box, 11, 12)
	m := f.open(Config{Containers: true, Processes: true})
	m.read()
	got := map[string]time.Duration{}
	var a, b time.Duration
	for i := 1; i <= 400; i++ {
		now := time.Duration(i) * 250 * ms
		turns, rest := int(now/(160*ms)), now%(160*ms) // two others run in the same time
		a = time.Duration(30*turns)*ms + min(rest, 30*ms)
		b = time.Duration(10*turns)*ms + min(max(rest-80*ms, 0), 10*ms)
		f.process(11, "a", int(a/tick), 5, 10)
		f.process(12, "b", int(b/tick), 6, 10)
		f.use(box, a+b)
		f.use("/docker", a+b)
		f.pass(250 * ms)
		for name, d := range kinds(m.read()) {
			got[name] += d
		}
	}
	assert.Equal(t, a+b, got["11"]+got["12"])
	assert.InDelta(t, b.Seconds(), got["12"].Seconds(), 0.02, "%v, of which %v and %v were used", got, a, b)
}

func processOf(us []Usage, pid int) *Workload {
	for _, u := range us {
		if u.Of != nil && u.Of.PID == pid {
			return u.Of
		}
	}
	return nil
}

func TestC60ProcessShorterThanATick(t *testing.T) {
	f, box := one(t)
	f.process(11, "sleeper", 0, 5, 10)
	f.procs(box, 11)
	m := f.open(Config{Containers: true, Processes: true})
	m.read()
	// 500 ms of processes that nobody saw, nothing of it of the one that sleeps. T = 10 ms is
	// what rounding explains; nobody is known to have run, so that is exited too.
	f.run(box, 500*ms)
	assert.Equal(t, map[string]time.Duration{hexA + " exited": 500 * ms}, kinds(m.read()))

	// One that started in the interval counts from 0: 40 of 45 ms, the rest is rounding.
	f.process(20, "new", 4, 100_150, 10)
	f.procs(box, 11, 20)
	f.run(box, 545*ms)
	got := kinds(m.read())
	assert.Equal(t, 45*ms, sum(m.buf))
	assert.GreaterOrEqual(t, got["20"], 40*ms)

	// An older one that was overlooked: 7 s before, of which this interval explains 90 ms
	// at most.
	f.process(30, "old", 700, 50, 10)
	f.procs(box, 11, 20, 30)
	f.run(box, 635*ms)
	got = kinds(m.read())
	assert.Equal(t, 90*ms, sum(m.buf))
	assert.LessOrEqual(t, got["30"], 90*ms)
	assert.Greater(t, got["30"], 60*ms)
}

func TestC61PIDGivenAgainToTheSameComm(t *testing.T) {
	f, box := one(t)
	f.process(11, "sh", 100, 5, 10)
	f.procs(box, 11)
	m := f.open(Config{Containers: true, Processes: true})
	m.read()
	f.process(11, "sh", 110, 5, 10)
	f.run(box, 100*ms)
	require.Equal(t, map[string]time.Duration{"11": 100 * ms}, kinds(m.read()))
	first := processOf(m.buf, 11)

	// The first ended at 110 ticks; the second has 8 since it started at 1001.00 s.
	f.process(11, "sh", 8, 100_110, 10)
	f.run(box, 180*ms)
	us := m.read()
	assert.Equal(t, 80*ms, sum(us))
	var ended, born *Workload
	for _, u := range us {
		if u.Ended {
			ended = u.Of
		} else if u.Of.Kind == Process {
			born = u.Of
			assert.Equal(t, 80*ms, u.CPU)
		}
	}
	assert.Same(t, first, ended)
	require.NotNil(t, born)
	assert.NotEqual(t, first.ID, born.ID)
	assert.Equal(t, "sh", born.Executable)
}

func TestC66CommWithParentheses(t *testing.T) {
	f, box := one(t)
	f.process(11, ") ( S 1 (x)) ", 0, 5, 10)
	f.procs(box, 11)
	m := f.open(Config{Containers: true, Processes: true})
	m.read()
	f.process(11, ") ( S 1 (x)) ", 7, 5, 10)
	f.run(box, 70*ms)
	assert.Equal(t, map[string]time.Duration{"11": 70 * ms}, kinds(m.read()))
	assert.Equal(t, ") ( S 1 (x)) ", processOf(m.buf, 11).Executable)
}

// Nothing but stat is there for a process, and nothing else is wanted.
func TestC65C79NothingElseOfAProcessIsRead(t *testing.T) {
	f, box := one(t)
	f.process(11, "a", 0, 5, 10)
	f.procs(box, 11, 99) // one of them has nothing that can be read
	f.write("proc/99/exe", "")
	m := f.open(Config{Containers: true, Processes: true, Memory: true, Owner: true})
	m.read()
	f.process(11, "a", 9, 5, 10)
	f.run(box, 90*ms)
	assert.Equal(t, map[string]time.Duration{"11": 90 * ms}, kinds(m.read()))
	require.NoError(t, m.err)
	assert.NotEmpty(t, processOf(m.buf, 11).Owner)
}

func TestOneUnreadableProcessCostsNobodyElse(t *testing.T) {
	f, box := one(t)
	f.process(11, "a", 0, 5, 10)
	f.write("proc/12/stat", "garbage")
	f.procs(box, 11, 12)
	m := f.open(Config{Containers: true, Processes: true})
	m.read()
	require.ErrorContains(t, m.err, "proc/12/stat")
	f.process(11, "a", 5, 5, 10)
	f.run(box, 150*ms)
	// 11 shows 50 of 150 ms. Rounding of one active process explains 20 ms, and 10 more.
	assert.Equal(t, map[string]time.Duration{"11": 80 * ms, hexA + " exited": 70 * ms}, kinds(m.read()))
	require.NoError(t, m.err, "it is told once")
	assert.EqualValues(t, 2, m.r.Stats().Malformed)
}

func TestPID0SaysThatThePIDNamespaceIsNotShared(t *testing.T) {
	f, box := one(t)
	f.procs(box, 0)
	m := f.open(Config{Containers: true, Processes: true})
	m.read()
	require.ErrorContains(t, m.err, "hostPID: true")
	f.run(box, 50*ms)
	assert.Equal(t, map[string]time.Duration{hexA + " exited": 50 * ms}, kinds(m.read()))
}

func TestProcessThatChangesItsCgroup(t *testing.T) {
	f, box := one(t)
	other := "/docker/" + hexB
	f.use(other, 0)
	f.process(11, "a", 0, 5, 10)
	f.process(12, "b", 0, 5, 10)
	f.write("proc/11/cgroup", "0::"+other+"\n")
	f.procs(box, 11)
	f.procs(other, 12)
	m := f.open(Config{Containers: true, Processes: true})
	m.read()
	f.process(11, "a", 6, 5, 10)
	f.run(box, 60*ms)
	require.Equal(t, map[string]time.Duration{"11": 60 * ms}, kinds(m.read()))
	was := processOf(m.buf, 11)

	f.procs(box)
	f.procs(other, 11, 12)
	f.process(11, "a", 12, 5, 10)
	f.use(other, 60*ms)
	f.use("/docker", 120*ms)
	f.pass(time.Second)
	us := m.read()
	assert.Equal(t, 60*ms, sum(us))
	for _, u := range us {
		if u.Of == was {
			assert.True(t, u.Ended)
		} else {
			assert.Equal(t, 11, u.Of.PID)
			assert.Equal(t, hexB, u.Of.ContainerID)
		}
	}
	assert.Len(t, us, 2)
}

func TestC70TopNEntryAndExit(t *testing.T) {
	f, box := one(t)
	ticks := map[int]int{}
	var pids []int
	for pid := 11; pid <= 15; pid++ {
		f.process(pid, "p", 0, 5, 10)
		pids = append(pids, pid)
	}
	f.procs(box, pids...)
	m := f.open(Config{Containers: true, Processes: true, Top: 2})
	m.read()
	var total, told time.Duration
	step := func(use ...int) map[string]time.Duration {
		for i, n := range use {
			ticks[11+i] += n
			total += time.Duration(n) * tick
			f.process(11+i, "p", ticks[11+i], 5, 10)
		}
		f.run(box, total)
		time.Sleep(20 * ms) // rates are per second
		us := m.read()
		told += sum(us)
		for _, u := range us {
			assert.False(t, u.Ended, "who leaves the top has not ended")
		}
		return kinds(us)
	}
	got := step(30, 20, 10, 0, 0)
	assert.Equal(t, map[string]time.Duration{"11": 300 * ms, "12": 200 * ms, hexA + " other": 100 * ms}, got)
	// A newcomer that uses about the same does not displace anybody.
	got = step(30, 20, 22, 0, 0)
	assert.Contains(t, got, "12")
	assert.NotContains(t, got, "13")
	// One that uses much more does; what 12 did before stays where it is.
	for range 3 {
		got = step(30, 0, 0, 90, 0)
	}
	assert.Contains(t, got, "14")
	assert.NotContains(t, got, "12")
	// Who is asked for comes first.
	require.Equal(t, 15, m.r.Find(15).PID)
	got = step(30, 0, 0, 90, 5)
	assert.Equal(t, 50*ms, got["15"])
	assert.Equal(t, total, told)

	// A minute later 12, and whoever else left, is told no more, and comes back as another.
	m.r.processes.clock += 61
	f.run(box, total)
	ended := map[int]*Workload{}
	for _, u := range m.read() {
		if u.Ended {
			ended[u.Of.PID] = u.Of
		}
	}
	require.Contains(t, ended, 12)
	f.process(12, "p", ticks[12]+9000, 5, 10)
	f.run(box, total+90*time.Second)
	time.Sleep(20 * ms)
	us := m.read()
	again := processOf(us, 12)
	require.NotNil(t, again)
	assert.NotSame(t, ended[12], again)
	assert.Equal(t, ended[12].ID, again.ID)
}

// A process that has used 0.3 of a CPU for long goes before those that have just begun and use
// a whole one, as compilers do one after the other. Of 1 s in the 30 s of memory, such a one has
// a rank of 1 × (1 − e^(−1/30)) = 0.033.
func TestC70WhoRunsForLongGoesBeforeWhoHasJustBegun(t *testing.T) {
	f, box := one(t)
	const before = 100_000 * 3 / 10 // ticks: 300 s of CPU time in 1000 s
	f.process(11, "daemon", before, 5, 10)
	f.procs(box, 11)
	m := f.open(Config{Containers: true, Processes: true, Top: 1})
	m.read()
	total := time.Duration(0)
	for i := range 5 {
		started := int(f.uptime * 100)
		f.pass(time.Second)
		f.process(11, "daemon", before+30*(i+1), 5, 10)
		f.process(20+i, "cc1", 100, started, 10)
		pids := []int{11}
		for pid := 20; pid <= 20+i; pid++ {
			pids = append(pids, pid)
		}
		f.procs(box, pids...)
		total += 1300 * ms
		f.run(box, total)
		time.Sleep(10 * ms) // rates are per second
		assert.Equal(t, map[string]time.Duration{"11": 300 * ms, hexA + " other": time.Second}, kinds(m.read()))
	}
}

func TestMemoryOfProcessesIsAPartOfTheirContainers(t *testing.T) {
	f, box := one(t)
	const page = 4096
	f.write(f.folder(box)+"/memory.current", fmt.Sprint(100*page))
	f.write(f.folder(box)+"/cpu.weight", "100")
	f.process(11, "a", 0, 5, 60)
	f.process(12, "b", 0, 5, 20)
	f.procs(box, 11, 12)
	m := f.open(Config{Containers: true, Processes: true, Memory: true})
	first := m.told()
	assert.EqualValues(t, 100*page, first[box].Memory)
	f.process(11, "a", 6, 5, 60)
	f.process(12, "b", 3, 5, 20)
	f.run(box, 90*ms)
	held := map[int]uint64{}
	for _, u := range m.read() {
		held[u.Of.PID] = u.Memory
	}
	assert.Equal(t, map[int]uint64{11: 60 * page, 12: 20 * page, 0: 20 * page}, held)

	// Shared pages: 160 resident, 100 held. 60 and 100 of 160 are 37.5 and 62.5.
	f.process(11, "a", 7, 5, 60)
	f.process(12, "b", 4, 5, 100)
	m.r.root.children[0].children[0].heldAt = time.Unix(0, 0)
	f.run(box, 110*ms)
	for _, u := range m.read() {
		held[u.Of.PID] = u.Memory
	}
	assert.Equal(t, map[int]uint64{11: 375 * page / 10, 12: 625 * page / 10, 0: 0}, held)
}

func TestWithoutCgroupsThereAreProcesses(t *testing.T) {
	f := newTree(t, false)
	f.write("proc/1/mountinfo", "")
	require.NoError(t, removeAll(f, "sys"))
	f.process(11, "a", 100, 5, 10)
	m := f.open(Config{Containers: true, Processes: true})
	m.read()
	require.NoError(t, m.err)
	f.process(11, "a", 107, 5, 10)
	f.pass(time.Second)
	assert.Equal(t, map[string]time.Duration{"11": 70 * ms}, kinds(m.read()))
	assert.Equal(t, "/", m.buf[0].Of.Path)
	assert.Nil(t, m.buf[0].Of.Parent)
}

// The root of version 1 has an exact counter: what is not of its groups is of processes
// in the root itself. Version 2 has none, and only the ticks are told.
func TestProcessesInTheRootOfTheHierarchy(t *testing.T) {
	both(t, func(t *testing.T, v1 bool) {
		f := newTree(t, v1)
		f.use("/docker", 0)
		f.use("/docker/"+hexA, 0)
		f.process(11, "kswapd0", 0, 5, 0)
		f.procs("", 11)
		m := f.open(Config{Containers: true, Processes: true})
		m.read()
		f.process(11, "kswapd0", 4, 5, 0)
		f.use("/docker/"+hexA, 60*ms)
		f.use("/docker", 60*ms)
		if v1 {
			f.use("", 105*ms)
		}
		got := kinds(m.read())
		assert.Equal(t, 60*ms, got[hexA+" exited"])
		if v1 {
			assert.Equal(t, 45*ms, got["11"])
		} else {
			assert.Equal(t, 40*ms, got["11"])
		}

		groups := f.open(Config{Containers: true})
		groups.read()
		f.use("/docker/"+hexA, 70*ms)
		f.use("/docker", 70*ms)
		if v1 {
			f.use("", 125*ms)
		}
		assert.Equal(t, map[string]time.Duration{"/docker/" + hexA: 10 * ms}, groups.cpu(), "without processes the root is not told")
	})
}

func TestWithoutContainersEverythingIsTheMachines(t *testing.T) {
	f, box := one(t)
	m := f.open(Config{})
	m.read()
	f.run(box, 70*ms)
	assert.Equal(t, map[string]time.Duration{"machine other": 70 * ms}, m.cpu())
}

// The PIDs that a cgroup lists are those of this process's namespace. Where /proc is of
// another one, they are other processes, and none is told.
func TestC51ProcOfAnotherNamespace(t *testing.T) {
	f, box := one(t)
	f.process(11, "a", 0, 5, 10)
	f.procs(box, 11)
	require.NoError(t, os.Symlink("4711", filepath.Join(f.root, "proc/self")))
	m := f.open(Config{Containers: true, Processes: true})
	m.read()
	require.ErrorContains(t, m.err, "hostPID")
	f.process(11, "a", 10, 5, 10)
	f.run(box, 100*ms)
	assert.Equal(t, map[string]time.Duration{hexA: 100 * ms}, kinds(m.read()))
	require.NoError(t, m.err, "said once")
}

func TestProcessesThatAreHidden(t *testing.T) {
	f, box := one(t)
	f.process(11, "a", 0, 5, 10)
	f.procs(box, 11)
	require.NoError(t, os.Symlink(strconv.Itoa(os.Getpid()), filepath.Join(f.root, "proc/self")))
	require.NoError(t, os.RemoveAll(filepath.Join(f.root, "proc/1")))
	m := f.open(Config{Containers: true, Processes: true})
	m.read()
	require.ErrorContains(t, m.err, "CAP_SYS_PTRACE")
}
