package e2e

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// retained is how long dividing(tr, "500ms", …) tells what has ended, and some more, so that
// its end is told, too.
const retained = 3 * time.Second

// keepBusy has something run beside what a test looks at until stop is called: groups that end
// while nothing runs are noticed within a minute only.
func keepBusy(t testing.TB, folder string) (stop func()) {
	t.Helper()
	w := employ(t, folder)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			case <-time.After(5 * time.Millisecond):
				w.do("burn 2")
			}
		}
	}()
	return func() { close(quit); <-done; w.dismiss() }
}

// What audit demands of each series is the point here: an end where there is one, a new start
// afterwards, and neither where a container is back before its end was told.
func TestC63_container_that_is_made_again_under_its_name(t *testing.T) {
	g := makeGroups(t)
	tr := thisMachine(t)
	other, _ := g.container()
	box, id := g.container()
	c := divide(t, dividing(tr, "500ms", "100ms", power{name: "processes", workloads: allProcesses}, power{name: "containers", workloads: containersOnly}))
	tr.run()
	stop := keepBusy(t, other)
	live := func() {
		w := employ(t, box)
		w.do("burn 150")
		w.dismiss()
	}
	for range 3 { // it goes on
		live()
		g.remove(box)
		g.again(box)
	}
	live()
	g.remove(box)
	time.Sleep(retained) // it ends
	g.again(box)
	live() // a second life
	g.remove(box)
	g.again(box)
	time.Sleep(retained) // is idle for so long that its first life ends meanwhile
	live()
	g.remove(box)
	time.Sleep(retained)
	tr.freeze()
	stop()
	c.stop()

	b := c.audit("containers", nil)
	starts := map[time.Time]bool{}
	for _, l := range b.energy {
		if l.res("container.id") == id && l.str("hw.type") == "cpu" {
			require.Equal(t, "workload", l.str("carbon.share"))
			require.False(t, l.closed.IsZero(), "its end was told")
			starts[l.start] = true
		}
	}
	require.Len(t, starts, 3, "lives")
	c.audit("processes", nil)
}

// startAs starts a worker under a PID that has been used. Others may be faster.
func startAs(t testing.TB, pid int, folder string) *worker {
	t.Helper()
	for range 100 {
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(pid-1)), 0); err != nil {
			t.Skipf("this machine does not allow to choose a PID: %v", err)
		}
		w := employ(t, folder)
		if w.pid() == pid {
			return w
		}
		w.dismiss()
	}
	t.Skipf("PID %d does not become free", pid)
	return nil
}

// With the attributes that are the default, two processes of one PID are two resources, which
// process.creation.time tells apart. Without it they are one, which goes on.
func TestC61_pid_that_is_given_again(t *testing.T) {
	g := makeGroups(t)
	tr := thisMachine(t)
	box, id := g.container()
	first := employ(t, box)
	pid := first.pid()
	timeless := "resource_attributes: {process.creation.time: {enabled: false}}"
	c := divide(t, dividing(tr, "500ms", "100ms", power{name: "processes", workloads: allProcesses}, power{name: "timeless", workloads: allProcesses, more: timeless}))
	tr.run()
	stop := keepBusy(t, box)
	first.do("burn 200")
	first.dismiss()
	second := startAs(t, pid, box)
	second.do("burn 200")
	time.Sleep(retained)
	second.do("burn 100")
	tr.freeze()
	stop()
	c.stop()

	lives := func(receiver string) (n int) {
		for _, l := range c.audit(receiver, nil).energy {
			if l.res("container.id") == id && l.res("process.pid") == strconv.Itoa(pid) && l.str("hw.type") == "cpu" {
				n++
			}
		}
		return n
	}
	require.Equal(t, 2, lives("processes"))
	require.Equal(t, 1, lives("timeless"))
}

// After as much churn again as it has seen before, the collector holds no more memory and no more
// files. What it remembers of ended workloads for a while is forgotten at either time.
func TestC76_churn_leaves_nothing_behind(t *testing.T) {
	g := makeGroups(t)
	tr := thisMachine(t)
	t.Setenv("GOGC", "25") // so that what is garbage hides little
	config := dividing(tr, "500ms", "100ms", power{name: "processes", workloads: allProcesses})
	config = strings.Replace(config, "{pue: 1,", "{pue: 1, stale_after: 1s,", 1)
	c, endpoint := divideWatched(t, config)
	tr.run()
	level := func() (programs, cgroups int, heap uint64, files int) {
		programs, cgroups = churn(t, g, 4, 5*time.Second)
		time.Sleep(retained)
		least := math.Inf(1)
		for range 20 { // some of them right after a collection
			if v, ok := telemetry(get(t, endpoint), "otelcol_process_runtime_heap_alloc_bytes", ""); ok {
				least = min(least, v)
			}
			time.Sleep(50 * time.Millisecond)
		}
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.cmd.Process.Pid))
		require.NoError(t, err)
		return programs, cgroups, uint64(least), len(open)
	}
	programs, cgroups, heap, files := level()
	t.Logf("%d programs, %d cgroups: %.1f MiB of heap, %d files", programs, cgroups, float64(heap)/(1<<20), files)
	programs, cgroups, after, filesAfter := level()
	t.Logf("%d programs, %d cgroups: %.1f MiB of heap, %d files", programs, cgroups, float64(after)/(1<<20), filesAfter)
	require.LessOrEqual(t, after, heap+heap/4+4<<20)
	require.LessOrEqual(t, filesAfter, files+32, "others on this machine have processes, too")
	tr.freeze()
	c.stop()
	c.audit("processes", nil)
}
