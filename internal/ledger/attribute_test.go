package ledger_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
	"github.com/otelcarbon/otelcarbon/internal/usage"
)

// Workloads of the tests.
var (
	wA = &usage.Workload{ID: "/a", Kind: usage.Container}
	wB = &usage.Workload{ID: "/b", Kind: usage.Container}
	wP = &usage.Workload{ID: "/pod", Kind: usage.Pod}
	wC = &usage.Workload{ID: "/pod/c", Kind: usage.Container, Parent: wP}
)

func used(w *usage.Workload, cpu time.Duration) usage.Usage {
	return usage.Usage{Of: w, CPU: cpu, Socket: -1}
}

// busy is a machine of 4 CPUs and 16 GiB whose sockets were busy for so long.
func busy(sockets ...time.Duration) usage.Busy {
	b := usage.Busy{Memory: 16 << 30, CPUs: 4}
	for i, d := range sockets {
		b.Sockets = append(b.Sockets, usage.SocketBusy{Socket: i, CPU: d})
	}
	return b
}

func floor(watts uint64) func(*sensor.Part) unit.Microwatts {
	return func(*sensor.Part) unit.Microwatts { return unit.Microwatts(watts) * unit.Watt }
}

// line is one account of a workload.
type line struct {
	of    string // ID, "" for the machine
	share ledger.Share
	hw    string
}

// shares returns what the workloads' accounts hold, in µJ, after it has checked that they
// add up to the parts, for each type, and have not fallen.
func (b *books) shares() map[line]unit.Microjoules {
	b.t.Helper()
	b.Settle()
	got := map[line]unit.Microjoules{}
	byType := map[string]unit.Microjoules{}
	for w := range b.Workloads {
		k := line{"", w.Share, w.Type}
		if w.Of != nil {
			k.of = w.Of.ID
		}
		got[k] += w.Energy
		byType[w.Type] += w.Energy
		if w.Energy == 0 || w.Start.IsZero() || w.At.Before(w.Start) {
			b.t.Fatalf("%+v", w)
		}
	}
	for a := range b.Accounts {
		if a.Kind == ledger.PartAccount {
			byType[a.Part.Type] -= a.Energy
		}
	}
	for hw, rest := range byType {
		if rest != 0 {
			b.t.Fatalf("%s: workloads are %d µJ away from the parts", hw, int64(rest))
		}
	}
	return got
}

const (
	own, idle, system = ledger.ShareWorkload, ledger.ShareIdle, ledger.ShareSystem
	exited, unknown   = ledger.ShareExited, ledger.ShareUnattributed
)

// ENERGY.md A.9: 2 s, 100 J, 30 W idle, 3.0 s busy, A 1.2 s, B 0.6 s: idle 60 J; of the
// other 40 J A gets 1.2/3 = 16 J, B 8 J, and what nobody did 1.2/3 = 16 J.
func TestAttributionWorkedCheck(t *testing.T) {
	b := open(t, ledger.Config{})
	src := source{part: pkg(0), watts: 50}
	b.run(0, 0, src)
	b.Attribute(ledger.Use{Busy: busy(0), Floor: floor(30), Usages: []usage.Usage{used(wA, 5*s), used(wB, 5*s)}}) // before: no matter
	b.run(2, 2, src)
	b.Attribute(ledger.Use{Busy: busy(3 * s), Floor: floor(30), Usages: []usage.Usage{used(wA, 1200*ms), used(wB, 600*ms)}})
	assert.Equal(t, map[line]unit.Microjoules{
		{"", idle, "cpu"}: 60 * j, {"/a", own, "cpu"}: 16 * j, {"/b", own, "cpu"}: 8 * j, {"", system, "cpu"}: 16 * j,
	}, b.shares())
}

// In each case one package draws 100 J in the second tick, of 2 s.
func TestAttributionOfACPU(t *testing.T) {
	held := func(u usage.Usage, request uint32) usage.Usage {
		u.Request = request
		return u
	}
	for _, c := range []struct {
		name   string
		policy ledger.IdlePolicy
		busy   usage.Busy
		floor  uint64
		use    []usage.Usage
		want   map[line]unit.Microjoules
	}{
		{
			"C59 no idle power is known", ledger.IdleSeparate, busy(2 * s), 0,
			[]usage.Usage{used(wA, s), used(wB, s)},
			map[line]unit.Microjoules{{"/a", own, "cpu"}: 50 * j, {"/b", own, "cpu"}: 50 * j},
		},
		{
			"C59 all of it is idle", ledger.IdleSeparate, busy(2 * s), 60,
			[]usage.Usage{used(wA, s), used(wB, s)},
			map[line]unit.Microjoules{{"", idle, "cpu"}: 100 * j},
		},
		{
			// 60 J of idle energy are 20 J each for /a, the container in the pod, and the machine.
			"a pod bears nothing beside its containers", ledger.IdleEqually, busy(2 * s), 30,
			[]usage.Usage{used(wP, 0), used(wC, s), used(wA, s)},
			map[line]unit.Microjoules{{"/a", own, "cpu"}: 40 * j, {"/pod/c", own, "cpu"}: 40 * j, {"", idle, "cpu"}: 20 * j},
		},
		{
			"C59 nobody did anything", ledger.IdleSeparate, busy(0), 30, nil,
			map[line]unit.Microjoules{{"", idle, "cpu"}: 60 * j, {"", system, "cpu"}: 40 * j},
		},
		{
			"nobody is made to pay for work that nobody sees", ledger.IdleSeparate, busy(4 * s), 0,
			[]usage.Usage{used(wA, s)},
			map[line]unit.Microjoules{{"/a", own, "cpu"}: 25 * j, {"", system, "cpu"}: 75 * j},
		},
		{
			"workloads that are ahead of the machine's busy time", ledger.IdleSeparate, busy(s), 0,
			[]usage.Usage{used(wA, 3*s), used(wB, s)},
			map[line]unit.Microjoules{{"/a", own, "cpu"}: 75 * j, {"/b", own, "cpu"}: 25 * j},
		},
		{
			"busy time that cannot be read", ledger.IdleSeparate,
			usage.Busy{},
			30,
			[]usage.Usage{used(wA, s)},
			map[line]unit.Microjoules{{"", idle, "cpu"}: 60 * j, {"", unknown, "cpu"}: 40 * j},
		},
		{
			"exited work", ledger.IdleSeparate, busy(2 * s), 0,
			[]usage.Usage{used(wC, s), {Of: wP, Share: usage.Exited, CPU: 500 * ms, Socket: -1}, {Share: usage.Exited, CPU: 500 * ms, Socket: -1}},
			map[line]unit.Microjoules{{"/pod/c", own, "cpu"}: 50 * j, {"/pod", exited, "cpu"}: 25 * j, {"", exited, "cpu"}: 25 * j},
		},
		{
			"a workload that ended in this tick", ledger.IdleSeparate, busy(2 * s), 0,
			[]usage.Usage{used(wA, s), {Of: wB, CPU: s, Socket: -1, Ended: true}},
			map[line]unit.Microjoules{{"/a", own, "cpu"}: 50 * j, {"/b", own, "cpu"}: 50 * j},
		},
		{
			"idle by usage, the machine's own included", ledger.IdleByUsage, busy(4 * s), 30,
			[]usage.Usage{used(wA, s), used(wB, 2*s)},
			map[line]unit.Microjoules{{"/a", own, "cpu"}: 25 * j, {"/b", own, "cpu"}: 50 * j, {"", system, "cpu"}: 25 * j},
		},
		{
			"idle by usage of nobody", ledger.IdleByUsage, busy(0), 30, nil,
			map[line]unit.Microjoules{{"", idle, "cpu"}: 60 * j, {"", system, "cpu"}: 40 * j},
		},
		{ // 60 J ÷ 3, and the other 40 J to A
			"idle equally, the machine included", ledger.IdleEqually, busy(s), 30,
			[]usage.Usage{used(wA, s), used(wB, 0)},
			map[line]unit.Microjoules{{"/a", own, "cpu"}: 60 * j, {"/b", own, "cpu"}: 20 * j, {"", idle, "cpu"}: 20 * j},
		},
		{ // of 4000 thousandths A has 1000 and B 500: 60 J × 1/4 and 1/8
			"idle by request, what is not reserved stays idle", ledger.IdleByRequest, busy(s), 30,
			[]usage.Usage{held(used(wA, s), 1000), held(used(wB, 0), 500)},
			map[line]unit.Microjoules{{"/a", own, "cpu"}: 55 * j, {"/b", own, "cpu"}: 7_500_000, {"", idle, "cpu"}: 37_500_000},
		},
		{ // 8000 of 4000: all of it
			"idle by request, more reserved than there is", ledger.IdleByRequest, busy(s), 30,
			[]usage.Usage{held(used(wA, 0), 6000), held(used(wB, s), 2000)},
			map[line]unit.Microjoules{{"/a", own, "cpu"}: 45 * j, {"/b", own, "cpu"}: 55 * j},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t, ledger.Config{Idle: c.policy})
			src := source{part: pkg(0), watts: 50}
			b.run(0, 0, src)
			b.Attribute(ledger.Use{Busy: busy(0), Floor: floor(c.floor)})
			b.run(2, 2, src)
			b.Attribute(ledger.Use{Busy: c.busy, Floor: floor(c.floor), Usages: c.use})
			assert.Equal(t, c.want, b.shares())
		})
	}
}

// The parts draw 100 W (package-0) and 50 W (package-1) for 1 s. A may run on socket 0
// only. B's second is on the time that A leaves: 1 s of socket 0, 3 s of socket 1, so
// that 0.25 s and 0.75 s are B's.
// Package-0: A 1 s, B 0.25 s, nobody 2 − 1.25 = 0.75 s of 2 s: 50, 12.5, 37.5 J.
// Package-1: B 0.75 s of 3 s: 12.5 J, nobody 37.5 J.
func TestC68AWorkloadConfinedToOneSocket(t *testing.T) {
	b := open(t, ledger.Config{})
	srcs := []source{{part: pkg(0), watts: 100}, {part: pkg(1), watts: 50}}
	b.run(0, 0, srcs...)
	b.Attribute(ledger.Use{Busy: busy(0, 0)})
	b.run(1, 1, srcs...)
	b.Attribute(ledger.Use{Busy: busy(2*s, 3*s), Usages: []usage.Usage{{Of: wA, CPU: s, Socket: 0}, used(wB, s)}})
	assert.Equal(t, map[line]unit.Microjoules{
		{"/a", own, "cpu"}: 50 * j, {"/b", own, "cpu"}: 25 * j, {"", system, "cpu"}: 75 * j,
	}, b.shares())
}

// 10 W of DRAM for 2 s of which 6 W idle: 12 J by bytes, of 16 GiB A holds 4 and B 8; 8 J by
// time, of which A did a quarter.
func TestAttributionOfMemory(t *testing.T) {
	b := open(t, ledger.Config{})
	src := source{part: dram(0), watts: 10}
	hold := func(w *usage.Workload, cpu time.Duration, gib uint64) usage.Usage {
		u := used(w, cpu)
		u.Memory = gib << 30
		return u
	}
	b.run(0, 0, src)
	b.Attribute(ledger.Use{Busy: busy(0), Floor: floor(6), Usages: []usage.Usage{hold(wA, 0, 4), hold(wB, 0, 8)}})
	b.run(2, 2, src)
	b.Attribute(ledger.Use{Busy: busy(4 * s), Floor: floor(6), Usages: []usage.Usage{hold(wA, s, 4)}})
	assert.Equal(t, map[line]unit.Microjoules{
		{"/a", own, "memory"}: 3*j + 2*j, {"/b", own, "memory"}: 6 * j, {"", idle, "memory"}: 3 * j, {"", system, "memory"}: 6 * j,
	}, b.shares())
}

// Fans, disks and losses are nobody's.
func TestWhatNobodyKnowsTheUseOfIsUnattributed(t *testing.T) {
	b := open(t, ledger.Config{})
	io := &sensor.Part{ID: "hwmon:io", Name: "IO power", Type: "other", Sensor: "hwmon", Method: sensor.Integrated, Socket: -1, Die: -1}
	board := &sensor.Part{ID: "hwmon:in", Name: "VDD_IN", Type: "other", Sensor: "hwmon", Method: sensor.Measured, Covers: []string{"cpu", "memory"}, Socket: -1, Die: -1}
	b.run(0, 0, source{part: io, watts: 4, gauge: true}, source{part: board, watts: 20})
	b.Attribute(ledger.Use{Busy: busy(0)})
	b.run(1, 1, source{part: io, watts: 4, gauge: true}, source{part: board, watts: 20})
	b.Attribute(ledger.Use{Busy: busy(s), Usages: []usage.Usage{used(wA, s)}})
	assert.Equal(t, map[line]unit.Microjoules{{"", unknown, "other"}: 4 * j, {"/a", own, "other"}: 20 * j}, b.shares(), "a rail of the whole board is its processor's")
}

// The counter of the package cannot be read at 2 s, when A runs. What it drew then comes at
// 3 s, when B runs: 150 J for 1 s of A and 1 s of B.
func TestEnergyThatComesLateIsDividedByTheTimeThatItIsOf(t *testing.T) {
	b := open(t, ledger.Config{})
	src := source{part: pkg(0), watts: 75, missing: []int{2}}
	other := source{part: pkg(1), watts: 10} // it is read
	for tick, use := range [][]usage.Usage{nil, nil, {used(wA, s)}, {used(wB, s)}} {
		b.run(tick, tick, src, other)
		b.Attribute(ledger.Use{Busy: busy(time.Duration(len(use)) * s), Usages: use})
		b.shares()
	}
	got := b.shares()
	assert.Equal(t, 75*j+10*j, got[line{"/a", own, "cpu"}])
	assert.Equal(t, 75*j+10*j, got[line{"/b", own, "cpu"}])
	assert.Equal(t, 85*j, got[line{"", system, "cpu"}], "of the first second")
}

// C11: a counter in steps of 5 J at 1 W and a floor of 0.5 W: 0, 0, 0, 0, 5 J. The idle energy
// is that of all five seconds.
func TestC11IdlePowerOfACounterInSteps(t *testing.T) {
	b := open(t, ledger.Config{})
	p := pkg(0)
	src := source{part: p, energy: func(d time.Duration) unit.Microjoules { return unit.Microjoules(d/(5*s)) * 5 * j }}
	half := func(*sensor.Part) unit.Microwatts { return unit.Watt / 2 }
	for tick := range 6 {
		b.run(tick, tick, src)
		b.Attribute(ledger.Use{Busy: busy(s), Usages: []usage.Usage{used(wA, s)}, Floor: half})
	}
	assert.Equal(t, map[line]unit.Microjoules{{"", idle, "cpu"}: 2_500_000, {"/a", own, "cpu"}: 2_500_000}, b.shares())
}

// The kernel tells busy time in steps of 10 ms, later than the workloads': 0, 20, 0, 20 ms …
// for 10 ms of A in each tick. Nothing of it is the machine's own.
func TestBusyTimeInStepsIsNoWorkOfTheMachine(t *testing.T) {
	b := open(t, ledger.Config{})
	src := source{part: pkg(0), watts: 50}
	for tick := range 101 {
		b.run(tick, tick, src)
		b.Attribute(ledger.Use{Busy: busy(time.Duration(tick%2) * 20 * ms), Usages: []usage.Usage{used(wA, 10*ms)}})
	}
	got := b.shares()
	// Tick 1 is ahead of nothing (busy 20 ms, of which 10 ms are nobody's): 25 J.
	assert.Equal(t, 25*j, got[line{"", system, "cpu"}])
	assert.Equal(t, 4975*j, got[line{"/a", own, "cpu"}])
}

func TestAttributionOfAGPU(t *testing.T) {
	p := gpu()
	on := func(w *usage.Workload, d time.Duration) ledger.GPUUse { return ledger.GPUUse{Part: p, Of: w, Busy: d} }
	in := func(w *usage.Workload, slices, sharers int) ledger.GPUUse {
		return ledger.GPUUse{Part: p, Of: w, Slices: slices, Total: 7, Sharers: sharers}
	}
	for _, c := range []struct {
		name   string
		policy ledger.IdlePolicy
		floor  uint64
		ticks  [][]ledger.GPUUse // 70 W in each second
		want   map[line]unit.Microjoules
	}{
		{ // 50 J dynamic by 0.6 : 0.2
			"by utilization over time", ledger.IdleSeparate, 20,
			[][]ledger.GPUUse{{on(wA, 600*ms), on(wB, 200*ms)}},
			map[line]unit.Microjoules{{"", idle, "gpu"}: 20 * j, {"/a", own, "gpu"}: 37_500_000, {"/b", own, "gpu"}: 12_500_000},
		},
		{
			"a process that nobody knows", ledger.IdleSeparate, 20,
			[][]ledger.GPUUse{{on(wA, 400*ms), on(nil, 400*ms)}},
			map[line]unit.Microjoules{{"", idle, "gpu"}: 20 * j, {"/a", own, "gpu"}: 25 * j, {"", unknown, "gpu"}: 25 * j},
		},
		{
			"no process is known", ledger.IdleSeparate, 20,
			[][]ledger.GPUUse{{}, {}},
			map[line]unit.Microjoules{{"", idle, "gpu"}: 40 * j, {"", unknown, "gpu"}: 100 * j},
		},
		{
			"samples that come a tick late", ledger.IdleSeparate, 0,
			[][]ledger.GPUUse{{}, {on(wA, s)}},
			map[line]unit.Microjoules{{"/a", own, "gpu"}: 140 * j},
		},
		{
			"samples that come two ticks late", ledger.IdleSeparate, 0,
			[][]ledger.GPUUse{{}, {}, {on(wA, s)}},
			map[line]unit.Microjoules{{"", unknown, "gpu"}: 70 * j, {"/a", own, "gpu"}: 140 * j},
		},
		{ // asked before they come: as in the second before
			"samples that have not come yet", ledger.IdleSeparate, 0,
			[][]ledger.GPUUse{{on(wA, s)}, {}},
			map[line]unit.Microjoules{{"/a", own, "gpu"}: 140 * j},
		},
		{ // 3 of 7 slices for A and B together, 1 for C, 3 unallocated: dynamic 42 J by 1.5 : 1.5 : 1
			"MIG, dynamic by occupied slices", ledger.IdleSeparate, 28,
			[][]ledger.GPUUse{{in(wA, 3, 2), in(wB, 3, 2), in(wC, 1, 1)}},
			map[line]unit.Microjoules{{"", idle, "gpu"}: 28 * j, {"/a", own, "gpu"}: 15_750_000, {"/b", own, "gpu"}: 15_750_000, {"/pod/c", own, "gpu"}: 10_500_000},
		},
		{ // 28 J idle: 4 J for each slice, 3 of them nobody's
			"MIG, unallocated slices stay idle", ledger.IdleEqually, 28,
			[][]ledger.GPUUse{{in(wA, 3, 1), in(wC, 1, 1)}},
			map[line]unit.Microjoules{{"", idle, "gpu"}: 12 * j, {"/a", own, "gpu"}: 12*j + 31_500_000, {"/pod/c", own, "gpu"}: 4*j + 10_500_000},
		},
		{
			"idle of those who hold it", ledger.IdleByRequest, 20,
			[][]ledger.GPUUse{{on(wA, s), on(wB, 0)}},
			map[line]unit.Microjoules{{"/a", own, "gpu"}: 60 * j, {"/b", own, "gpu"}: 10 * j},
		},
		{
			"idle by usage", ledger.IdleByUsage, 20,
			[][]ledger.GPUUse{{on(wA, 600*ms), on(wB, 200*ms)}},
			map[line]unit.Microjoules{{"/a", own, "gpu"}: 52_500_000, {"/b", own, "gpu"}: 17_500_000},
		},
		{
			"idle that nobody holds", ledger.IdleByUsage, 70,
			[][]ledger.GPUUse{{}},
			map[line]unit.Microjoules{{"", idle, "gpu"}: 70 * j},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t, ledger.Config{Idle: c.policy})
			src := source{part: p, watts: 70, gauge: true}
			b.run(0, 0, src)
			b.Attribute(ledger.Use{Busy: busy(0), Floor: floor(c.floor)})
			for i, uses := range c.ticks {
				b.run(i+1, i+1, src)
				b.Attribute(ledger.Use{Busy: busy(0), Floor: floor(c.floor), GPUs: uses})
			}
			assert.Equal(t, c.want, b.shares())
		})
	}
}

// B ends at 2 s and is told for 30 s more. Its successor of the same name begins at 0.
func TestC63AnEndedWorkloadIsToldForAWhileAndNothingIsInherited(t *testing.T) {
	b := open(t, ledger.Config{Retention: 30 * s})
	src := source{part: pkg(0), watts: 10}
	again := &usage.Workload{ID: wB.ID, Kind: wB.Kind}
	for tick := range 61 {
		b.run(tick, tick, src)
		var use []usage.Usage
		switch {
		case tick == 1:
			use = []usage.Usage{used(wB, s)}
		case tick == 2:
			use = []usage.Usage{{Of: wB, CPU: s / 2, Socket: -1, Ended: true}}
		case tick >= 50:
			use = []usage.Usage{used(again, s)}
		}
		b.Attribute(ledger.Use{Busy: busy(s), Usages: use})
		var energy unit.Microjoules
		ended := false
		for w := range b.Workloads {
			if w.Of != nil {
				energy, ended = w.Energy, w.Ended
				assert.Equal(t, tick >= 50, w.Of == again)
				if tick >= 50 {
					assert.Equal(t, at(49*s), w.Start)
				}
			}
		}
		switch {
		case tick == 0:
		case tick == 1:
			assert.Equal(t, 10*j, energy)
		case tick <= 32:
			assert.Equal(t, 15*j, energy)
			assert.True(t, ended)
		case tick < 50:
			assert.Zero(t, energy, "at %d s", tick)
		default:
			assert.Equal(t, unit.Microjoules(tick-49)*10*j, energy)
			assert.False(t, ended)
		}
	}
}

// C59: 2⁶² µJ in one tick, which no weight may overflow.
func TestC59EnergyNearTheTop(t *testing.T) {
	b := open(t, ledger.Config{})
	p := &sensor.Part{ID: "x", Type: "cpu", Method: sensor.Measured, Socket: -1, Die: -1, MaxPower: math.MaxUint64 / 4}
	b.book(sensor.Reading{Part: p, At: at(0)})
	b.Attribute(ledger.Use{Busy: busy(0)})
	b.book(sensor.Reading{Part: p, At: at(s), Energy: 1 << 40})
	b.Attribute(ledger.Use{Busy: busy(math.MaxInt64 / 4), Usages: []usage.Usage{used(wA, math.MaxInt64/4), used(wB, 1)}})
	b.shares()
}

// Whatever is used by whom, whoever is born and dies, whichever part fails, the accounts of
// the workloads add up to those of the parts, type by type, at every tick (C58).
func TestC58PropertyWorkloadsAddUpToTheParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := open(t, ledger.Config{
			Idle:        ledger.IdlePolicy(rapid.IntRange(0, 3).Draw(t, "policy")),
			Retention:   time.Duration(rapid.IntRange(0, 5).Draw(t, "retention")) * s,
			Calibration: rapid.SampledFrom([]ledger.Calibration{{}, {Offset: 7 * unit.Watt, Gain: 1.037}}).Draw(t, "calibration"),
		})
		card := gpu()
		srcs := []source{
			{part: pkg(0), watts: rapid.Uint64Range(0, 300).Draw(t, "pkg0")},
			{part: pkg(1), watts: rapid.Uint64Range(0, 300).Draw(t, "pkg1")},
			{part: dram(0), watts: rapid.Uint64Range(0, 30).Draw(t, "dram")},
			{part: card, watts: rapid.Uint64Range(0, 700).Draw(t, "gpu"), gauge: true},
			{part: model("memory"), watts: 9, gauge: true, first: 3},
		}
		var live []*usage.Workload
		born := 0
		type account struct {
			of     *usage.Workload
			share  ledger.Share
			hw     string
			method sensor.Method
		}
		last := map[account]unit.Microjoules{} // also of what is no longer told
		for tick := range rapid.IntRange(1, 40).Draw(t, "ticks") {
			present := []source{}
			for _, x := range srcs {
				if rapid.IntRange(0, 9).Draw(t, "fails") > 0 {
					present = append(present, x)
				}
			}
			b.run(tick, tick, present...)
			u := ledger.Use{Floor: floor(rapid.Uint64Range(0, 120).Draw(t, "floor"))}
			for range rapid.IntRange(0, 3).Draw(t, "births") {
				w := &usage.Workload{ID: fmt.Sprint(born), Kind: usage.Container}
				if len(live) > 0 && rapid.Bool().Draw(t, "nested") {
					w.Parent = live[0]
				}
				live, born = append(live, w), born+1
			}
			var sum time.Duration
			alive := live[:0:0]
			for _, w := range live {
				x := used(w, time.Duration(rapid.IntRange(-1, 2000).Draw(t, "cpu"))*ms)
				x.Socket = rapid.IntRange(-1, 2).Draw(t, "socket")
				x.Memory = rapid.Uint64Range(0, 20<<30).Draw(t, "memory")
				x.Request = rapid.Uint32Range(0, 4000).Draw(t, "request")
				x.Share = rapid.SampledFrom([]usage.Share{usage.Own, usage.Own, usage.Exited, usage.Other}).Draw(t, "share")
				x.Ended = rapid.IntRange(0, 5).Draw(t, "ends") == 0
				sum += max(x.CPU, 0)
				u.Usages = append(u.Usages, x)
				if !x.Ended {
					alive = append(alive, w)
				}
				if rapid.Bool().Draw(t, "on gpu") && !x.Ended {
					u.GPUs = append(u.GPUs, ledger.GPUUse{
						Part: card, Of: w, Busy: time.Duration(rapid.IntRange(0, 1000).Draw(t, "gpu")) * ms,
						Slices: rapid.IntRange(0, 3).Draw(t, "slices"), Total: rapid.SampledFrom([]int{0, 0, 7}).Draw(t, "total"), Sharers: rapid.IntRange(0, 2).Draw(t, "sharers"),
					})
				}
			}
			live = alive
			switch rapid.IntRange(0, 4).Draw(t, "busy") {
			case 0:
			case 1:
				u.Busy = busy(sum)
			default:
				u.Busy = busy(sum/2, sum)
			}
			b.Attribute(u)
			if rapid.Bool().Draw(t, "look") {
				b.Settle()
			}
			for w := range b.Workloads {
				k := account{w.Of, w.Share, w.Type, w.Method}
				if w.Energy < last[k] {
					t.Fatalf("%v fell from %d to %d µJ", k, last[k], w.Energy)
				}
				last[k] = w.Energy
			}
		}
		b.Settle()
		for w := range b.Workloads {
			last[account{w.Of, w.Share, w.Type, w.Method}] = w.Energy
		}
		byType := map[string]unit.Microjoules{}
		for k, e := range last {
			byType[k.hw] += e
		}
		for a := range b.Accounts {
			if a.Kind == ledger.PartAccount {
				byType[a.Part.Type] -= a.Energy
			}
		}
		for hw, rest := range byType {
			if rest != 0 {
				t.Fatalf("%s: workloads are %d µJ away from the parts", hw, int64(rest))
			}
		}
	})
}

// many is a ledger of two sockets with DRAM and n workloads, of which some run.
func many(n, run int) (*ledger.Ledger, func()) {
	l := ledger.New(ledger.Config{})
	parts := []*sensor.Part{pkg(0), pkg(1), dram(0), dram(1)}
	rs := make([]sensor.Reading, len(parts))
	u := ledger.Use{Floor: floor(20), Busy: busy(s, s)}
	for i := range n {
		w := &usage.Workload{ID: fmt.Sprint(i)}
		u.Usages = append(u.Usages, usage.Usage{Of: w, Socket: -1, Memory: 64 << 20})
	}
	tick := 0
	return l, func() {
		for i, p := range parts {
			rs[i] = sensor.Reading{Part: p, At: at(time.Duration(tick) * s), Energy: unit.Microjoules(tick) * 50 * j, Max: intelMax}
		}
		l.Book(rs)
		l.Attribute(u)
		if tick == 0 {
			u.Usages = u.Usages[:run]
			for i := range u.Usages {
				u.Usages[i].CPU = 100 * ms
			}
		}
		tick++
	}
}

func TestAttributeAllocatesNothing(t *testing.T) {
	_, tick := many(2000, 20)
	for range 5 {
		tick()
	}
	assert.Zero(t, testing.AllocsPerRun(100, tick))
}

func BenchmarkAttribute(b *testing.B) {
	for _, c := range []struct{ n, run int }{{200, 20}, {2000, 20}, {2000, 2000}, {10_000, 20}} {
		b.Run(fmt.Sprintf("%d workloads of which %d run", c.n, c.run), func(b *testing.B) {
			_, tick := many(c.n, c.run)
			for range 3 {
				tick()
			}
			b.ReportAllocs()
			for b.Loop() {
				tick()
			}
		})
	}
}

func TestSharesHaveTheNamesOfTheContract(t *testing.T) {
	for share, want := range map[ledger.Share]string{
		own: "workload", exited: "exited", ledger.ShareOther: "other", idle: "idle", system: "system", unknown: "unattributed",
	} {
		require.Equal(t, want, share.String())
	}
}
