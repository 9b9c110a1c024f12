package e2e

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// userHz is the unit of the times in /proc/PID/stat: sysconf(_SC_CLK_TCK), which
// is 100 on every Linux that Go runs on.
const userHz = 100

// BenchmarkIdleCollector (C77) reports what the distribution costs on a four-zone
// machine that is sampled once a second and collected every ten, over a minute:
// per cent of one core, and MiB of resident memory. Run it with -benchtime=1x.
func BenchmarkIdleCollector(b *testing.B) {
	const window = time.Minute
	tr := twoSockets(b)
	config := strings.Replace(onTree(tr, "10s"), "sampling_interval: 500ms", "sampling_interval: 1s", 1)
	c := start(b, config)
	time.Sleep(3 * time.Second) // starting is not idling
	var cpu, wall time.Duration
	for b.Loop() {
		before, began := cpuTime(b, c.cmd.Process.Pid), time.Now()
		time.Sleep(window)
		cpu += cpuTime(b, c.cmd.Process.Pid) - before
		wall += time.Since(began)
	}
	b.ReportMetric(100*cpu.Seconds()/wall.Seconds(), "%core")
	b.ReportMetric(float64(resident(b, c.cmd.Process.Pid))/(1<<20), "MiB-RSS")
	c.stop()
}

func cpuTime(tb testing.TB, pid int) time.Duration {
	tb.Helper()
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		tb.Fatal(err)
	}
	fields := bytes.Fields(raw[bytes.LastIndexByte(raw, ')')+1:]) // comm may hold anything
	var ticks int
	for _, f := range fields[11:13] { // utime, stime
		n, err := strconv.Atoi(string(f))
		if err != nil {
			tb.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / userHz
}

func resident(tb testing.TB, pid int) int64 {
	tb.Helper()
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				tb.Fatal(err)
			}
			return kib << 10
		}
	}
	tb.Fatal("no VmRSS in /proc/PID/status")
	return 0
}
