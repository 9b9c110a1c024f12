//go:build nvml && cgo && linux

package nvml

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// hardwareTime is the variable that has the tests of this file run, for about that
// long each, on the first GPU of the machine: they need a driver, and say more with a
// load beside them.
const hardwareTime = "OTELCARBON_TEST_GPU"

func firstGPU(t *testing.T) (device, time.Duration) {
	t.Helper()
	text := os.Getenv(hardwareTime)
	if text == "" {
		t.Skip("needs an NVIDIA GPU: set " + hardwareTime + " to a duration such as 60s")
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err)
	lib, problem := load()
	require.Nil(t, problem)
	require.Equal(t, success, lib.Init())
	t.Cleanup(func() { lib.Shutdown() })
	gpu, s := lib.Device(0)
	require.Equal(t, success, s)
	name, _ := gpu.Name()
	arch, _ := gpu.Architecture()
	t.Logf("GPU 0: %s, architecture %d", name, arch)
	return gpu, d
}

// quantiles sorts v.
func quantiles[T int64 | time.Duration | float64](v []T) (least, median, p99, most T) {
	if len(v) == 0 {
		return
	}
	slices.Sort(v)
	return v[0], v[len(v)/2], v[len(v)*99/100], v[len(v)-1]
}

func TestHardwareLatencyOfEachCall(t *testing.T) {
	gpu, _ := firstGPU(t)
	since := stamp(time.Now())
	for _, c := range []struct {
		name string
		call func() status
	}{
		{"energy counter", func() status { _, s := gpu.Energy(); return s }},
		{"power", func() status { _, s := gpu.Power(); return s }},
		{"field 185 (mean)", func() status { return oneField(gpu, fieldPowerAverage, scopeGPU).status }},
		{"field 186 (instant)", func() status { return oneField(gpu, fieldPowerInstant, scopeGPU).status }},
		{"field 186, module", func() status { return oneField(gpu, fieldPowerInstant, scopeModule).status }},
		{"power samples, all", func() status { _, s := gpu.PowerSamples(nil, 0); return s }},
		{"power samples, newer", func() status {
			all, s := gpu.PowerSamples(nil, since)
			for _, x := range all {
				since = max(since, x.stamp)
			}
			return s
		}},
		{"MIG layout", func() status { _, _, s := gpu.Layout(); return s }},
		{"utilization", func() status { _, s := gpu.Use(); return s }},
		{"process utilization", func() status { _, s := gpu.Utilization(nil, since); return s }},
		{"compute processes", func() status { _, s := gpu.Processes(nil, compute); return s }},
		{"graphics processes", func() status { _, s := gpu.Processes(nil, graphics); return s }},
		{"MPS processes", func() status { _, s := gpu.Processes(nil, mps); return s }},
	} {
		var took []time.Duration
		answers := map[status]int{}
		for range 200 {
			began := time.Now()
			answers[c.call()]++
			took = append(took, time.Since(began))
			time.Sleep(2 * time.Millisecond)
		}
		least, median, p99, most := quantiles(took)
		t.Logf("%-22s least %8v, median %8v, 99 %% %8v, most %8v; answers %v", c.name, least, median, p99, most, answers)
	}
}

func oneField(gpu device, id, scope uint32) field {
	f := []field{{id: id, scope: scope}}
	if s := gpu.Fields(f); s != success {
		f[0].status = s
	}
	return f[0]
}

// The update step is what a reader has to know who reads often.
func TestHardwareStepOfTheCounter(t *testing.T) {
	gpu, d := firstGPU(t)
	d = min(d, 10*time.Second)
	var steps []time.Duration
	var joules []float64
	last, s := gpu.Energy()
	require.Equal(t, success, s)
	changed, reads := time.Time{}, 0
	for began := time.Now(); time.Since(began) < d; reads++ {
		mj, s := gpu.Energy()
		require.Equal(t, success, s)
		require.GreaterOrEqual(t, mj, last)
		if now := time.Now(); mj != last {
			if !changed.IsZero() {
				steps = append(steps, now.Sub(changed))
				joules = append(joules, float64(mj-last)/1000)
			}
			changed, last = now, mj
		}
		time.Sleep(200 * time.Microsecond)
	}
	least, median, p99, most := quantiles(steps)
	_, j, _, _ := quantiles(joules)
	t.Logf("%d reads in %v, %d steps: least %v, median %v, 99 %% %v, most %v; median %.2f J", reads, d, len(steps), least, median, p99, most, j)
}

// The counter beside the integrals of the powers that the driver offers, read every
// 20 ms, and of one of them in a second, as nvidia-smi prints it.
func TestHardwareCounterBesideIntegrals(t *testing.T) {
	gpu, d := firstGPU(t)
	type integrated struct {
		name  string
		every time.Duration
		read  func() (uint64, status)
		gauge *energy.Gauge
		next  time.Time
		total unit.Microjoules
		least uint64
		most  uint64
	}
	fieldOf := func(id uint32) func() (uint64, status) {
		return func() (uint64, status) { f := oneField(gpu, id, scopeGPU); return f.value, f.status }
	}
	usage := func() (uint64, status) { p, s := gpu.Power(); return uint64(p), s }
	all := []*integrated{
		{name: "field 186 (instant), 20 ms", every: 20 * time.Millisecond, read: fieldOf(fieldPowerInstant)},
		{name: "field 186 (instant), 1 s", every: time.Second, read: fieldOf(fieldPowerInstant)},
		{name: "field 185 (mean), 20 ms", every: 20 * time.Millisecond, read: fieldOf(fieldPowerAverage)},
		{name: "field 185 (mean), 1 s", every: time.Second, read: fieldOf(fieldPowerAverage)},
		{name: "nvmlDeviceGetPowerUsage, 1 s", every: time.Second, read: usage},
	}
	for _, g := range all {
		g.gauge, g.least = energy.NewGauge(3*time.Second), math.MaxUint64
	}
	buffer := integral{gauge: energy.NewGauge(3 * time.Second)}
	first, s := gpu.Energy()
	require.Equal(t, success, s)
	began := time.Now()
	from := stamp(began)
	var newest uint64
	samples := 0
	for nextBuffer := began; time.Since(began) < d; time.Sleep(5 * time.Millisecond) {
		now := time.Now()
		for _, g := range all {
			if now.Before(g.next) {
				continue
			}
			g.next = now.Add(g.every)
			mw, s := g.read()
			if s != success {
				continue
			}
			delta, _ := g.gauge.Advance(time.Now(), unit.Microwatts(mw*microPerMilli))
			g.total += delta.Energy
			g.least, g.most = min(g.least, mw), max(g.most, mw)
		}
		if !now.Before(nextBuffer) {
			nextBuffer = now.Add(time.Second)
			if xs, s := gpu.PowerSamples(nil, max(from, buffer.stamp)); s == success {
				buffer.add(xs, time.Now())
				samples += len(xs)
				newest = max(newest, buffer.stamp)
			}
		}
	}
	last, s := gpu.Energy()
	took := time.Since(began)
	require.Equal(t, success, s)
	counted := float64(last-first) / 1000
	t.Logf("counter: %.1f J in %v, %.1f W", counted, took, counted/took.Seconds())
	require.Positive(t, counted)
	for _, g := range all {
		t.Logf("%-30s %9.1f J, %+.2f %% beside the counter; %d to %d mW", g.name, g.total.Joules(), 100*(g.total.Joules()/counted-1), g.least, g.most)
	}
	if samples > 0 {
		covered := time.Duration(newest-from) * time.Microsecond //nolint:gosec // newest is later
		mean := buffer.total.Joules() / covered.Seconds()
		t.Logf("%-30s %9.1f J in %v, %.1f W, %+.2f %%; %d samples, one in %v", "power samples", buffer.total.Joules(), covered, mean,
			100*(mean/(counted/took.Seconds())-1), samples, covered/time.Duration(samples))
	}
}

// What the sensor says of the processes beside /proc.
func TestHardwareProcesses(t *testing.T) {
	_, d := firstGPU(t)
	s, err := Open(Config{Processes: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	busy := map[uint32]time.Duration{}
	kinds := map[uint32]string{}
	began := time.Now()
	for range int(min(d, 10*time.Second) / time.Second) {
		_, err := s.Read(t.Context(), nil)
		require.NoError(t, err)
		for _, p := range s.(sensor.Attributor).Processes(nil) {
			busy[p.PID] += p.Busy
			kinds[p.PID] = fmt.Sprintf("kind %d, instance %d, %d MiB", p.Kind, p.Instance, p.Memory>>20)
		}
		time.Sleep(time.Second)
	}
	for _, i := range s.(sensor.Attributor).Instances(nil) {
		t.Logf("MIG instance %+v", i)
	}
	for pid, b := range busy {
		comm, err := os.ReadFile("/proc/" + strconv.FormatUint(uint64(pid), 10) + "/comm")
		t.Logf("PID %d (%s, %v): busy %v of %v; %s", pid, strings.TrimSpace(string(comm)), err, b, time.Since(began).Round(time.Second), kinds[pid])
	}
}
