package powerreceiver

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
	"github.com/otelcarbon/otelcarbon/internal/unit"
	"github.com/otelcarbon/otelcarbon/internal/usage"
	"github.com/otelcarbon/otelcarbon/internal/workload"
)

// tick is what a scripted reader tells at once.
type tick struct {
	usages []usage.Usage
	busy   time.Duration // of socket 0
	err    error
}

// machineReader is a scripted workloadReader; after the script nothing is used.
type machineReader struct {
	ticks []tick
	next  int
	busy  usage.Busy
	pids  map[int]*usage.Workload
	stats workload.Stats

	closed int
}

func (r *machineReader) Read(ctx context.Context, dst []usage.Usage) ([]usage.Usage, error) {
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	var now tick
	if r.next < len(r.ticks) {
		now = r.ticks[r.next]
	}
	r.next++
	r.busy = usage.Busy{Sockets: []usage.SocketBusy{{CPU: now.busy}}, CPUs: 4, Memory: 8 << 30}
	return append(dst, now.usages...), now.err
}

func (r *machineReader) Busy() usage.Busy             { return r.busy }
func (r *machineReader) Find(pid int) *usage.Workload { return r.pids[pid] }
func (r *machineReader) Stats() workload.Stats        { return r.stats }
func (r *machineReader) Close() error                 { r.closed++; return nil }

func used(of *usage.Workload, cpu time.Duration) usage.Usage {
	return usage.Usage{Of: of, CPU: cpu, Socket: -1}
}

func ended(of *usage.Workload, cpu time.Duration) usage.Usage {
	u := used(of, cpu)
	u.Ended = true
	return u
}

// hundredWatts is a package of 100 W that is read every 10 s.
func hundredWatts(n int) sensor.Sensor {
	pkg := rapl("package-0", "cpu", sensor.Primary, 0)
	var steps []sensortest.Step
	for i := range n {
		steps = append(steps, sensortest.Step{Readings: []sensor.Reading{
			counting(pkg, at(time.Duration(10*i)*time.Second), unit.Microjoules(i)*1000*joule),
		}})
	}
	return sensortest.NewFake(steps...)
}

// point is one of carbon.energy.
type point struct {
	resource, share, hwType, method string
	stale                           bool
	pmetric.NumberDataPoint
}

// carbonEnergies returns the points of carbon.energy in their order. A resource goes by what
// tells it from the others on the host.
func carbonEnergies(md pmetric.Metrics) (out []point) {
	for _, rm := range md.ResourceMetrics().All() {
		name := ""
		for _, key := range []string{"container.id", "systemd.unit.name", "process.executable.name", "k8s.pod.uid"} {
			if v, ok := rm.Resource().Attributes().Get(key); ok {
				name = v.Str()
				break
			}
		}
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Name() != "carbon.energy" {
					continue
				}
				for _, dp := range m.Sum().DataPoints().All() {
					text := func(key string) string { v, _ := dp.Attributes().Get(key); return v.Str() }
					out = append(out, point{
						resource: name, share: text("carbon.share"), hwType: text("hw.type"), method: text("carbon.method"),
						stale: dp.Flags().NoRecordedValue(), NumberDataPoint: dp,
					})
				}
			}
		}
	}
	return out
}

// joules maps "resource/share/hw.type" to energy in J.
func joules(md pmetric.Metrics) map[string]float64 {
	out := map[string]float64{}
	for _, p := range carbonEnergies(md) {
		if !p.stale {
			out[p.resource+"/"+p.share+"/"+p.hwType] = p.DoubleValue()
		}
	}
	return out
}

// requireConserved compares the sum of carbon.energy with that of hw.energy, by hw.type
// and to the microjoule.
func requireConserved(t testing.TB, md pmetric.Metrics) {
	t.Helper()
	sums := map[string][2]int64{}
	for _, p := range carbonEnergies(md) {
		s := sums[p.hwType]
		s[0] += int64(math.Round(p.DoubleValue() * 1e6))
		sums[p.hwType] = s
	}
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Name() != "hw.energy" {
					continue
				}
				for _, dp := range m.Sum().DataPoints().All() {
					v, _ := dp.Attributes().Get("hw.type")
					s := sums[v.Str()]
					s[1] += int64(math.Round(dp.DoubleValue() * 1e6))
					sums[v.Str()] = s
				}
			}
		}
	}
	require.NotEmpty(t, sums)
	for hwType, s := range sums {
		require.Equal(t, s[1], s[0], "µJ of %s", hwType)
	}
}

// Of 4 s of CPU time in 10 s, a container used 3 s and a service 0.5 s; the rest nobody's.
// The package draws 1000 J in that time: 750 J, 125 J and 125 J.
func TestC58_energy_goes_to_who_used_the_time(t *testing.T) {
	web := &usage.Workload{ID: "/docker/a", Kind: usage.Container, ContainerID: "aaaa", Runtime: "docker", Path: "/docker/a"}
	ssh := &usage.Workload{ID: "/system.slice/ssh.service", Kind: usage.Service, Unit: "ssh.service", Path: "/system.slice/ssh.service"}
	s, _ := scripted(t, hundredWatts(4))
	s.sampler.workload = &machineReader{ticks: []tick{
		{usages: []usage.Usage{used(web, 0), used(ssh, 0)}},
		{usages: []usage.Usage{used(web, 3*time.Second), used(ssh, 500*time.Millisecond)}, busy: 4 * time.Second},
		{usages: []usage.Usage{used(web, 1*time.Second)}, busy: 2 * time.Second},
	}}
	require.Zero(t, scrape(t, s).DataPointCount())
	md := scrape(t, s)
	assert.Equal(t, map[string]float64{"aaaa/workload/cpu": 750, "ssh.service/workload/cpu": 125, "/system/cpu": 125}, joules(md))
	requireConserved(t, md)
	for _, p := range carbonEnergies(md) {
		assert.Equal(t, at(0), p.StartTimestamp().AsTime())
		assert.Equal(t, at(10*time.Second), p.Timestamp().AsTime())
		assert.Equal(t, "measured", p.method)
	}

	// Resources: what the cgroup says, the host, and of a container no path, which holds
	// nothing that its id does not.
	require.Equal(t, 3, md.ResourceMetrics().Len())
	assert.Equal(t, map[string]any{
		"host.id": "0123456789abcdef0123456789abcdef", "host.name": "fake", "container.id": "aaaa", "container.runtime": "docker",
	}, md.ResourceMetrics().At(0).Resource().Attributes().AsRaw())
	assert.Equal(t, map[string]any{
		"host.id": "0123456789abcdef0123456789abcdef", "host.name": "fake", "systemd.unit.name": "ssh.service",
		"process.linux.cgroup": "/system.slice/ssh.service",
	}, md.ResourceMetrics().At(1).Resource().Attributes().AsRaw())
	assert.Equal(t, s.resource.Attributes().AsRaw(), md.ResourceMetrics().At(2).Resource().Attributes().AsRaw(), "the host's")

	// Half of the second 1000 J is the container's, the other half the machine's.
	md = scrape(t, s)
	assert.Equal(t, map[string]float64{"aaaa/workload/cpu": 1250, "ssh.service/workload/cpu": 125, "/system/cpu": 625}, joules(md))
	requireConserved(t, md)
}

// Of the package's 100 W, 40 W are configured as its idle power: 400 J of 1000 J. The
// container used 3 s of 4 s: 450 J of the 600 J.
func TestIdleEnergyIsAShareOfItsOwn(t *testing.T) {
	web := &usage.Workload{ID: "/docker/a", Kind: usage.Container, ContainerID: "aaaa"}
	s, _ := scripted(t, hundredWatts(3))
	s.sampler.idle = newIdleFloors(map[string]float64{"cpu": 40}, nil)
	s.sampler.workload = &machineReader{ticks: []tick{
		{usages: []usage.Usage{used(web, 0)}},
		{usages: []usage.Usage{used(web, 3*time.Second)}, busy: 4 * time.Second},
	}}
	scrape(t, s)
	md := scrape(t, s)
	assert.Equal(t, map[string]float64{"aaaa/workload/cpu": 450, "/system/cpu": 150, "/idle/cpu": 400}, joules(md))
	requireConserved(t, md)
}

// A container ends after 10 s, having used all of the first 1000 J. With a retention of
// 15 s it is told at 20 s, still, and at 30 s its series ends: one point without a value. Of
// the same name, another begins at 30 s and starts at zero.
func TestASeriesThatEndsSaysSoOnce(t *testing.T) {
	first := &usage.Workload{ID: "/docker/a", Kind: usage.Container, ContainerID: "aaaa"}
	second := &usage.Workload{ID: "/docker/a", Kind: usage.Container, ContainerID: "aaaa"}
	s, _ := scripted(t, hundredWatts(7))
	s.sampler.ledger = ledger.New(ledger.Config{MaxGap: time.Minute, Retention: 15 * time.Second})
	s.sampler.workload = &machineReader{ticks: []tick{
		{usages: []usage.Usage{used(first, 0)}},
		{usages: []usage.Usage{ended(first, 4*time.Second)}, busy: 4 * time.Second},
		{},
		{},
		{usages: []usage.Usage{used(second, time.Second)}, busy: 2 * time.Second},
	}}
	scrape(t, s)
	assert.InDelta(t, 1000, joules(scrape(t, s))["aaaa/workload/cpu"], 1e-9)
	md := scrape(t, s)
	assert.InDelta(t, 1000, joules(md)["aaaa/workload/cpu"], 1e-9, "its total holds")
	requireConserved(t, md)

	md = scrape(t, s)
	var last []point
	for _, p := range carbonEnergies(md) {
		if p.resource == "aaaa" {
			last = append(last, p)
		}
	}
	require.Len(t, last, 1)
	assert.True(t, last[0].stale)
	assert.Zero(t, last[0].DoubleValue())
	assert.Equal(t, at(30*time.Second), last[0].Timestamp().AsTime())
	assert.Equal(t, noon, last[0].StartTimestamp().AsTime())

	md = scrape(t, s)
	got := joules(md)
	assert.InDelta(t, 500, got["aaaa/workload/cpu"], 1e-9, "the second counts from zero")
	for _, p := range carbonEnergies(md) {
		if p.resource == "aaaa" {
			assert.False(t, p.stale)
			assert.Equal(t, at(30*time.Second), p.StartTimestamp().AsTime())
		}
	}
	assert.Empty(t, filter(carbonEnergies(scrape(t, s)), func(p point) bool { return p.stale }))
}

func filter(ps []point, is func(point) bool) (out []point) {
	for _, p := range ps {
		if is(p) {
			out = append(out, p)
		}
	}
	return out
}

// A container is restarted: docker keeps its id, so that the series goes on. The old run
// used all of the first 1000 J, the new one half of the second, and goes on after the old
// one is forgotten.
func TestC63_a_container_that_is_started_again_goes_on(t *testing.T) {
	first := &usage.Workload{ID: "/docker/a", Kind: usage.Container, ContainerID: "aaaa"}
	second := &usage.Workload{ID: "/docker/a", Kind: usage.Container, ContainerID: "aaaa"}
	s, _ := scripted(t, hundredWatts(7))
	s.sampler.ledger = ledger.New(ledger.Config{MaxGap: time.Minute, Retention: 15 * time.Second})
	s.sampler.workload = &machineReader{ticks: []tick{
		{usages: []usage.Usage{used(first, 0)}},
		{usages: []usage.Usage{ended(first, 4*time.Second)}, busy: 4 * time.Second},
		{usages: []usage.Usage{used(second, time.Second)}, busy: 2 * time.Second},
		{usages: []usage.Usage{used(second, 0)}, busy: 2 * time.Second},
		{usages: []usage.Usage{used(second, time.Second)}, busy: time.Second},
	}}
	scrape(t, s)
	for i, want := range []float64{1000, 1500, 1500, 2500} {
		md := scrape(t, s)
		assert.InDelta(t, want, joules(md)["aaaa/workload/cpu"], 1e-9, "at %d0 s", i+1)
		requireConserved(t, md)
		for _, p := range carbonEnergies(md) {
			assert.False(t, p.stale)
			if p.resource == "aaaa" {
				assert.Equal(t, noon, p.StartTimestamp().AsTime())
			}
		}
	}
}

// The second run of a container is there from 20 s on but does nothing until after 30 s,
// when the series of the first ends. Its own must not begin before that.
func TestC63_a_container_that_rests_while_its_first_run_is_forgotten(t *testing.T) {
	first := &usage.Workload{ID: "/docker/a", Kind: usage.Container, ContainerID: "aaaa"}
	second := &usage.Workload{ID: "/docker/a", Kind: usage.Container, ContainerID: "aaaa"}
	s, _ := scripted(t, hundredWatts(7))
	s.sampler.ledger = ledger.New(ledger.Config{MaxGap: time.Minute, Retention: 15 * time.Second})
	s.sampler.workload = &machineReader{ticks: []tick{
		{usages: []usage.Usage{used(first, 0)}},
		{usages: []usage.Usage{ended(first, 4*time.Second)}, busy: 4 * time.Second},
		{usages: []usage.Usage{used(second, 0)}},
		{},
		{usages: []usage.Usage{used(second, time.Second)}, busy: 2 * time.Second},
	}}
	for range 3 {
		scrape(t, s)
	}
	of := func(md pmetric.Metrics) []point {
		return filter(carbonEnergies(md), func(p point) bool { return p.resource == "aaaa" })
	}
	last := of(scrape(t, s))
	require.Len(t, last, 1)
	assert.True(t, last[0].stale)
	assert.Equal(t, at(30*time.Second), last[0].Timestamp().AsTime())
	md := scrape(t, s)
	next := of(md)
	require.Len(t, next, 1)
	assert.InDelta(t, 500, next[0].DoubleValue(), 1e-9)
	assert.Equal(t, at(30*time.Second), next[0].StartTimestamp().AsTime())
}

// The clock was set back by 25 s, so that the end of a series was stamped ahead of it. The
// next one of its name begins there, and not before.
func TestC10_aSeriesBeginsAfterTheEndOfTheOneBefore(t *testing.T) {
	s, _ := scripted(t)
	w := &s.workloads
	w.before, w.wall = noon, noon.Add(25*time.Second)
	st := w.seriesOf(seriesKey{resource: w.host, hwType: "cpu"}, noon)
	st.advance(noon.Add(10*time.Second), joule)
	assert.Equal(t, w.wall, st.start)
	assert.True(t, st.wall.After(w.wall))
}

// Two processes of one program, whose PIDs and start times are switched off, are one
// series, and with nothing to name them by they are the host's.
func TestWhatTheAttributesDoNotTellApartIsToldTogether(t *testing.T) {
	a := &usage.Workload{ID: "//1-1", Kind: usage.Process, PID: 1, Executable: "work", Created: noon}
	b := &usage.Workload{ID: "//2-1", Kind: usage.Process, PID: 2, Executable: "work", Created: noon}
	for name, want := range map[string]map[string]float64{
		"named":   {"work/workload/cpu": 750, "/system/cpu": 250},
		"unnamed": {"/workload/cpu": 750, "/system/cpu": 250},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := scripted(t, hundredWatts(5))
			attributes := &s.workloads.attributes
			attributes.ProcessPid.Enabled, attributes.ProcessCreationTime.Enabled = false, false
			attributes.ProcessExecutableName.Enabled = name == "named"
			s.sampler.workload = &machineReader{ticks: []tick{
				{usages: []usage.Usage{used(a, 0), used(b, 0)}},
				{usages: []usage.Usage{ended(a, time.Second), used(b, 2*time.Second)}, busy: 4 * time.Second},
				{},
				{usages: []usage.Usage{ended(b, 0)}},
			}}
			scrape(t, s)
			md := scrape(t, s)
			assert.Equal(t, want, joules(md))
			requireConserved(t, md)
			md = scrape(t, s) // a is forgotten
			assert.InDelta(t, 750, max(joules(md)["work/workload/cpu"], joules(md)["/workload/cpu"]), 1e-9)
			requireConserved(t, md)
			scrape(t, s)
			stale := filter(carbonEnergies(scrape(t, s)), func(p point) bool { return p.stale })
			require.Len(t, stale, 1, "after both have ended")
			assert.Equal(t, "workload", stale[0].share)
		})
	}
}

// A GPU of 300 W is used by two processes, 6 s and 3 s of 10 s: 2000 J and 1000 J of
// 3000 J, whatever the GPU did in the remaining second. One of them runs in a container.
func TestAGPUIsDividedByWhatItsProcessesDid(t *testing.T) {
	gpu := &sensor.Part{ID: "nvml:GPU-0", Name: "H100", Type: "gpu", Sensor: "nvml", Method: sensor.Measured, Socket: -1, Die: -1}
	fake := &usedGPU{part: gpu, uses: []sensor.ProcessUse{
		{GPU: gpu, PID: 10, Instance: sensor.Unallocated, Busy: 6 * time.Second},
		{GPU: gpu, PID: 20, Instance: sensor.Unallocated, Busy: 3 * time.Second},
	}}
	train := &usage.Workload{ID: "/docker/t", Kind: usage.Container, ContainerID: "tttt"}
	infer := &usage.Workload{ID: "///20-1", Kind: usage.Process, PID: 20, Executable: "infer", Owner: "alice", Created: noon}
	s, _ := scripted(t, fake)
	s.sampler.workload = &machineReader{pids: map[int]*usage.Workload{10: train, 20: infer}}
	scrape(t, s)
	md := scrape(t, s)
	assert.Equal(t, map[string]float64{"tttt/workload/gpu": 2000, "infer/workload/gpu": 1000}, joules(md))
	requireConserved(t, md)
	for _, rm := range md.ResourceMetrics().All() {
		if _, ok := rm.Resource().Attributes().Get("process.pid"); ok {
			assert.Equal(t, map[string]any{
				"host.id": "0123456789abcdef0123456789abcdef", "host.name": "fake", "process.pid": int64(20),
				"process.executable.name": "infer", "process.creation.time": "2026-03-01T12:00:00Z",
			}, rm.Resource().Attributes().AsRaw(), "and no owner, unless asked for")
		}
	}
}

// usedGPU is a sensor of one GPU of 300 W, read every 10 s, that knows who uses it.
type usedGPU struct {
	part *sensor.Part
	uses []sensor.ProcessUse
	n    int
}

func (g *usedGPU) Read(_ context.Context, dst []sensor.Reading) ([]sensor.Reading, error) {
	when := at(time.Duration(10*g.n) * time.Second)
	dst = append(dst, counting(g.part, when, unit.Microjoules(g.n)*3000*joule))
	g.n++
	return dst, nil
}
func (g *usedGPU) Close() error                                      { return nil }
func (g *usedGPU) Instances(dst []sensor.Instance) []sensor.Instance { return dst }
func (g *usedGPU) Processes(dst []sensor.ProcessUse) []sensor.ProcessUse {
	return append(dst, g.uses...)
}
func (g *usedGPU) Loads(dst []sensor.Load) []sensor.Load { return dst }

// A thousand containers in an order that the reader changes each time: what is written
// is the same to the byte.
func TestC80_what_is_divided_is_told_in_a_steady_order(t *testing.T) {
	replay := func(reverse bool) []byte {
		s, _ := scripted(t, hundredWatts(4))
		var all []usage.Usage
		for i := range 1000 {
			id := "/docker/" + string(rune('a'+i%26)) + time.Duration(i).String()
			all = append(all, used(&usage.Workload{ID: id, Kind: usage.Container, ContainerID: id}, time.Duration(i+1)*time.Millisecond))
		}
		if reverse {
			for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
				all[i], all[j] = all[j], all[i]
			}
		}
		s.sampler.workload = &machineReader{ticks: []tick{{usages: all}, {usages: all, busy: 600 * time.Second}, {usages: all, busy: 600 * time.Second}}}
		var out []byte
		for range 4 {
			b, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(scrape(t, s))
			require.NoError(t, err)
			out = append(out, b...)
		}
		return out
	}
	want := replay(false)
	require.True(t, bytes.Equal(want, replay(false)))
	require.True(t, bytes.Equal(want, replay(true)))
}

func TestWhatCannotBeReadIsSaidOnceAndCounted(t *testing.T) {
	denied := &sensor.Problem{Sensor: "workload", Class: sensor.Permission, Path: "/proc/1/stat", Remedy: "grant it"}
	s, logs := scripted(t, hundredWatts(5))
	r := &machineReader{ticks: []tick{{err: denied}, {}, {err: denied}}, stats: workload.Stats{Permission: 7, Unlisted: 3}}
	s.sampler.workload = r
	for range 4 {
		scrape(t, s)
	}
	said := logs.FilterMessage("some workloads cannot be read; what they use is counted as exited or system").All()
	require.Len(t, said, 1)
	assert.Contains(t, said[0].ContextMap()["error"], "grant it")
	counted := map[string]uint64{}
	s.sampler.eachUnread(func(class string, n uint64) { counted[class] = n })
	assert.Equal(t, map[string]uint64{"permission": 7, "io": 0, "malformed": 0, "masked": 0, "limit": 3}, counted)
	require.NoError(t, s.sampler.closeSensors())
	assert.Equal(t, 1, r.closed)
}

func TestWorkloadsAreCountedByKind(t *testing.T) {
	a, b := &usage.Workload{ID: "a", Kind: usage.Container}, &usage.Workload{ID: "b", Kind: usage.Container}
	c := &usage.Workload{ID: "c", Kind: usage.Service}
	s, _ := scripted(t, hundredWatts(3))
	a.ContainerID, b.ContainerID, c.Unit = "a", "b", "c"
	s.sampler.workload = &machineReader{ticks: []tick{
		{},
		{usages: []usage.Usage{used(a, time.Second), used(b, time.Second), used(c, time.Second)}, busy: 4 * time.Second},
		{usages: []usage.Usage{ended(b, 0)}},
	}}
	count := func() map[string]int {
		got := map[string]int{}
		s.sampler.eachKind(func(kind string, n int) {
			if n > 0 {
				got[kind] = n
			}
		})
		return got
	}
	scrape(t, s)
	scrape(t, s)
	assert.Equal(t, map[string]int{"container": 2, "service": 1}, count())
	scrape(t, s)
	assert.Equal(t, map[string]int{"container": 1, "service": 1}, count())
}

// A sample that is cut off reads nothing of who used the machine; what was used until
// then divides the energy of that time when it is known: all of 1000 J and 1000 J.
func TestASampleThatIsCutOffGivesNothingToTheMachine(t *testing.T) {
	web := &usage.Workload{ID: "/docker/a", Kind: usage.Container, ContainerID: "aaaa"}
	s, _ := scripted(t, hundredWatts(5))
	s.sampler.workload = &machineReader{ticks: []tick{
		{usages: []usage.Usage{used(web, 0)}},
		{usages: []usage.Usage{used(web, time.Second)}, busy: time.Second},
		{usages: []usage.Usage{used(web, time.Second)}, busy: time.Second},
	}}
	scrape(t, s)
	scrape(t, s)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s.sampler.sample(ended)
	md := scrape(t, s)
	got := joules(md)
	assert.Zero(t, got["/system/cpu"])
	assert.Positive(t, got["aaaa/workload/cpu"])
	requireConserved(t, md)
}

// In steady state nothing is allocated for who used the machine, until it is exported.
func TestDividingAllocatesNothing(t *testing.T) {
	pkg := rapl("package-0", "cpu", sensor.Primary, 0)
	step := sensortest.Step{Readings: make([]sensor.Reading, 1)}
	s, _ := scripted(t, &sensortest.Fake{Next: func(n int, _ time.Time) sensortest.Step {
		step.Readings[0] = counting(pkg, at(time.Duration(n)*time.Second), unit.Microjoules(n)*100*joule)
		return step
	}})
	var all []usage.Usage
	for range 100 {
		all = append(all, used(&usage.Workload{Kind: usage.Container}, time.Millisecond))
	}
	s.sampler.workload = &repeating{usages: all, sockets: []usage.SocketBusy{{CPU: time.Second}}}
	for range 3 {
		s.sampler.sample(t.Context())
	}
	assert.Zero(t, testing.AllocsPerRun(100, func() { s.sampler.sample(t.Context()) }))
}

// repeating is a machine that does the same for ever.
type repeating struct {
	machineReader

	usages  []usage.Usage
	sockets []usage.SocketBusy
}

func (r *repeating) Read(_ context.Context, dst []usage.Usage) ([]usage.Usage, error) {
	return append(dst, r.usages...), nil
}
func (r *repeating) Busy() usage.Busy { return usage.Busy{Sockets: r.sockets, CPUs: 4} }

// BenchmarkScrapeOfWorkloads is a collection of a machine where 2,000 containers run.
func BenchmarkScrapeOfWorkloads(b *testing.B) {
	pkg := rapl("package-0", "cpu", sensor.Primary, 0)
	s, _ := scripted(b, &sensortest.Fake{Next: func(n int, _ time.Time) sensortest.Step {
		return sensortest.Step{Readings: []sensor.Reading{counting(pkg, at(time.Duration(n)*time.Second), unit.Microjoules(n)*100*joule)}}
	}})
	var all []usage.Usage
	for i := range 2000 {
		all = append(all, used(&usage.Workload{Kind: usage.Container, ContainerID: fmt.Sprintf("%064x", i)}, time.Millisecond))
	}
	s.sampler.workload = &repeating{usages: all, sockets: []usage.SocketBusy{{CPU: 3 * time.Second}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.scrape(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
