package e2e

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// busyTime is user, nice, system, irq and softirq of all CPUs: fields 1, 2, 3, 6 and 7 of the
// first line of /proc/stat.
func busyTime(t testing.TB) (busy time.Duration) {
	t.Helper()
	raw, err := os.ReadFile("/proc/stat")
	require.NoError(t, err)
	line, _, _ := strings.Cut(string(raw), "\n")
	fields := strings.Fields(line)
	for _, i := range []int{1, 2, 3, 6, 7} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		require.NoError(t, err)
		busy += time.Duration(n) * time.Second / userHz
	}
	return busy
}

// reference is what cgroups should get, in J, of a package whose power beyond idle is known:
// by their own counters and the busy time of the machine, read five times a second. The
// kernel tells the latter twice: /proc/stat mostly counts who runs at the moment of a tick, and so
// misses what runs between ticks, such as the goroutine that advances the tree; the counters of
// cgroups are exact. What is right lies between.
type reference struct {
	least, most map[string]float64
	stop        chan struct{}
	wg          sync.WaitGroup
}

func refer(t testing.TB, g *groups, watts float64, folders ...string) *reference {
	t.Helper()
	r := &reference{least: map[string]float64{}, most: map[string]float64{}, stop: make(chan struct{})}
	at, busy, all, cpu := time.Now(), busyTime(t), g.all(), map[string]time.Duration{}
	for _, f := range folders {
		cpu[f] = g.cpu(f)
	}
	look := func() {
		d := time.Since(at)
		at = at.Add(d)
		nowBusy, nowAll := busyTime(t), g.all()
		for _, f := range folders {
			c := g.cpu(f)
			joules := watts * d.Seconds() * (c - cpu[f]).Seconds()
			r.most[f] += joules / max(nowBusy-busy, c-cpu[f]).Seconds()
			r.least[f] += joules / max(nowBusy-busy, nowAll-all, c-cpu[f]).Seconds()
			cpu[f] = c
		}
		busy, all = nowBusy, nowAll
	}
	r.wg.Go(func() {
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				look()
			case <-r.stop:
				look()
				return
			}
		}
	})
	return r
}

func (r *reference) end() {
	close(r.stop)
	r.wg.Wait()
}

// Four workers take turns: they burn 30, 10, 30 and 10 ms of their own CPU time, however long
// that takes, so that two containers of one process each stand 3:1, and so do the two
// processes of a third.
func TestC58_three_to_one_is_divided_three_to_one(t *testing.T) {
	g := makeGroups(t)
	tr := thisMachine(t)
	a, idA := g.container()
	b, idB := g.container()
	both, idBoth := g.container()
	workers := []*worker{employ(t, a), employ(t, b), employ(t, both), employ(t, both)}
	c := divide(t, dividing(tr, "1s", "250ms", power{name: "processes", workloads: allProcesses}, power{name: "containers", workloads: containersOnly}))
	before := map[string]time.Duration{a: g.cpu(a), b: g.cpu(b), both: g.cpu(both)}
	tr.run()
	truth := refer(t, g, 150.25-40, a, b, both)
	// On a machine that others use as well it takes longer to use as much.
	for began := time.Now(); time.Since(began) < 8*time.Second || g.cpu(both)-before[both] < 4*time.Second && time.Since(began) < 30*time.Second; {
		for i, w := range workers {
			w.do([]string{"burn 30", "burn 10"}[i%2])
		}
	}
	tr.freeze()
	truth.end()
	c.stop()

	used := map[string]time.Duration{}
	for f := range before {
		used[f] = g.cpu(f) - before[f]
	}
	require.InEpsilon(t, 3, used[a].Seconds()/used[b].Seconds(), 0.02, "the workers themselves: %v", used)
	require.InEpsilon(t, 1, used[both].Seconds()/(used[a]+used[b]).Seconds(), 0.02, "the workers themselves: %v", used)
	for _, receiver := range []string{"processes", "containers"} {
		books := c.audit(receiver, nil)
		got := func(id, pid string) float64 {
			return books.sum(func(l *line) bool {
				return l.res("container.id") == id && l.str("hw.type") == "cpu" && (pid == "" || l.res("process.pid") == pid)
			})
		}
		jA, jB, jBoth := got(idA, ""), got(idB, ""), got(idBoth, "")
		assert.InEpsilon(t, 3, jA/jB, 0.03, receiver)
		for _, x := range []struct {
			folder string
			joules float64
		}{{a, jA}, {b, jB}, {both, jBoth}} {
			least, most := truth.least[x.folder], truth.most[x.folder]
			t.Logf("%s: %.1f J, between %.1f and %.1f J by the counters", receiver, x.joules, least, most)
			assert.GreaterOrEqual(t, x.joules, 0.97*least, receiver)
			assert.LessOrEqual(t, x.joules, 1.03*most, receiver)
		}
		if receiver == "processes" {
			three, one := got(idBoth, fmt.Sprint(workers[2].pid())), got(idBoth, fmt.Sprint(workers[3].pid()))
			t.Logf("%.1f and %.1f J within one container", three, one)
			// /proc/PID/stat tells user and system time in steps of 10 ms each, of which the
			// beginning and the end are rounded down. One of the processes has used a quarter of what
			// both have: it may be off by 2 steps, the other by 2 of three times as many.
			rounding := (2 + 2./3) * time.Second.Seconds() / userHz / (used[both] / 4).Seconds()
			assert.InEpsilon(t, 3, three/one, 0.03+rounding)
			assert.InEpsilon(t, jBoth, three+one, 0.03)
		}
	}
}

// A worker in no group but the root burns 30 ms whenever one in a container burns 10. The
// machine has at least three times the energy of the container then; an attribution that divides
// everything among the workloads it sees would give all of it to the container.
func TestEnergyOfNoWorkloadIsTheSystems(t *testing.T) {
	g := makeGroups(t)
	tr := thisMachine(t)
	box, id := g.container()
	seen, unseen := employ(t, box), employ(t, g.top)
	c := divide(t, dividing(tr, "500ms", "250ms", power{name: "containers", workloads: containersOnly}))
	tr.run()
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		seen.do("burn 10")
		unseen.do("burn 30")
	}
	tr.freeze()
	c.stop()
	b := c.audit("containers", nil)
	workload := b.sum(func(l *line) bool { return l.res("container.id") == id })
	system := b.sum(share("system"))
	t.Logf("%.1f J of the container, %.1f J of the system", workload, system)
	require.Positive(t, workload)
	require.GreaterOrEqual(t, system, 0.97*3*workload)
}

// In one container a shell-like process runs short programs, as another sleeps. The programs'
// energy is exited, not that of the processes that are still there.
func TestC60_energy_of_short_lived_processes_is_exited(t *testing.T) {
	g := makeGroups(t)
	tr := thisMachine(t)
	box, id := g.container()
	forker, sleeper := employ(t, box), employ(t, box)
	c := divide(t, dividing(tr, "500ms", "250ms", power{name: "processes", workloads: allProcesses}))
	all, own := g.cpu(box), cpuTime(t, forker.pid())
	tr.run()
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		forker.do("fork 20")
	}
	tr.freeze()
	all, own = g.cpu(box)-all, cpuTime(t, forker.pid())-own
	c.stop()
	b := c.audit("processes", nil)
	of := func(is func(*line) bool) float64 {
		return b.sum(func(l *line) bool { return l.res("container.id") == id && l.str("hw.type") == "cpu" && is(l) })
	}
	by := func(w *worker) func(*line) bool {
		return func(l *line) bool { return l.res("process.pid") == fmt.Sprint(w.pid()) }
	}
	total, exited, survivor, rest := of(func(*line) bool { return true }), of(share("exited")), of(by(forker)), of(by(sleeper))
	t.Logf("%.1f J: %.1f J exited, %.1f J of who ran them, %.1f J of who slept; %v of %v", total, exited, survivor, rest, own, all)
	require.Greater(t, all-own, all/5, "the programs have used something")
	require.LessOrEqual(t, survivor/total, own.Seconds()/all.Seconds()+0.05)
	require.LessOrEqual(t, rest, 0.01*total)
	require.Positive(t, exited)
}

// Ten processes burn CPU time, three of them all the time, the rest a fifth of it: first the first three, for so short
// a time that the next three soon have used more. Samples are taken for collections only here,
// one for each.
func TestC70_top_three_and_the_others(t *testing.T) {
	const top = 3
	tr := thisMachine(t)
	var workers []*worker
	for range 10 {
		workers = append(workers, employ(t, ""))
	}
	c := divide(t, dividing(tr, "500ms", "20s", power{name: "top", workloads: fmt.Sprintf("processes: {enabled: true, top: %d}", top)}))
	tr.run()
	var phase atomic.Int64
	var wg sync.WaitGroup
	for i, w := range workers {
		wg.Go(func() {
			for phase.Load() < 2 {
				w.do("burn 4")
				if int64(i/top) != phase.Load() {
					time.Sleep(20 * time.Millisecond)
				}
			}
		})
	}
	time.Sleep(time.Second)
	phase.Add(1)
	time.Sleep(6 * time.Second)
	phase.Add(1)
	wg.Wait()
	tr.freeze()
	c.stop()

	var grew []map[string]bool // processes, by export
	told := map[string]bool{}
	b := c.audit("top", func(b *books) {
		now := map[string]bool{}
		for _, l := range b.energy {
			if pid := l.res("process.pid"); pid != "" && l.increase > 0 {
				process := l.res("process.executable.name") + " " + pid + " " + l.res("process.creation.time")
				now[process], told[process] = true, true
			}
		}
		grew = append(grew, now)
	})
	// One that has ended is told together with the one that took its place.
	for i, now := range grew {
		lives := 0
		for process := range now {
			for _, later := range grew[i+1:] {
				if later[process] {
					lives++
					break
				}
			}
		}
		require.LessOrEqual(t, lives, top, "processes told singly in export %d", i)
	}
	other := b.sum(share("other"))
	t.Logf("told singly in the course of %d exports: %v; %.1f J of others", len(grew), slices.Sorted(maps.Keys(told)), other)
	require.Positive(t, other)
	if len(told) <= top {
		t.Skip("what else runs on this machine is busier than what the test starts, so that nobody came and went; the sums hold")
	}
}
