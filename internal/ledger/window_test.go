package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
	"github.com/otelcarbon/otelcarbon/internal/usage"
)

// What is divided by which use: the windows of energy that begins, pauses, and is told by
// another sensor.

// perf counts 50 W for 100 s in which only A runs, and falls silent; powercap takes over, with
// all that it saw since then. From 100 s on only B runs: of the 40 s after that A gets nothing,
// and idle 40 s of its power.
func TestEnergyOfAnotherSensorIsOfTheTimeSinceTheFirstFellSilent(t *testing.T) {
	for _, watts := range []uint64{0, 20} {
		b := open(t, ledger.Config{})
		first, second := source{part: perf(pkg(0)), watts: 50, last: 100}, source{part: rapl(pkg(0)), watts: 50}
		var before map[line]unit.Microjoules
		for k := 0; k <= 140; k++ {
			b.run(k, k, second, first)
			who := wA
			if k > 100 {
				who = wB
			}
			b.Attribute(ledger.Use{Busy: busy(s), Floor: floor(watts), Usages: []usage.Usage{used(who, s)}})
			if k == 100 {
				before = b.shares()
			}
		}
		got := b.shares()
		assert.Zero(t, got[line{"/a", own, "cpu"}]-before[line{"/a", own, "cpu"}])
		assert.Equal(t, unit.Microjoules(40*watts)*j, got[line{"", idle, "cpu"}]-before[line{"", idle, "cpu"}])
		assert.Equal(t, unit.Microjoules(40*(50-watts))*j, got[line{"/b", own, "cpu"}])
	}
}

// A part begins at 5 s, when A has just ended: its first 10 J are B's.
func TestEnergyIsNotOfWhoRanBeforeItsBaseline(t *testing.T) {
	b := open(t, ledger.Config{})
	old, late := source{part: pkg(0), watts: 50}, source{part: model("memory"), watts: 10, first: 5}
	for k := range 7 {
		b.run(k, k, old, late)
		who := wA
		if k > 5 {
			who = wB
		}
		b.Attribute(ledger.Use{Busy: busy(s), Usages: []usage.Usage{used(who, s)}})
	}
	got := b.shares()
	assert.Zero(t, got[line{"/a", own, "memory"}])
	assert.Equal(t, 10*j, got[line{"/b", own, "memory"}])
}

// A gauge of 50 W is silent from 100 to 600 s, longer than is bridged: what it drew then is
// unknown. A runs until 600 s, B from then on: the first 50 J after it are B's, less 20 J of
// idle.
func TestEnergyAfterAGapIsNotOfWhoRanInTheGap(t *testing.T) {
	b := open(t, ledger.Config{MaxGap: 3 * s})
	g := &sensor.Part{ID: "g", Name: "g", Type: "cpu", Socket: -1, Method: sensor.Integrated, Sensor: "hwmon"}
	for k := 0; k <= 601; k++ {
		if k <= 100 || k >= 600 {
			b.book(sensor.Reading{Part: g, At: at(time.Duration(k) * s), Kind: sensor.Gauge, Power: 50 * unit.Watt})
		} else {
			b.book()
		}
		who := wA
		if k > 600 {
			who = wB
		}
		b.Attribute(ledger.Use{Busy: busy(s), Floor: floor(20), Usages: []usage.Usage{used(who, s)}})
	}
	got := b.shares()
	assert.Equal(t, 30*j, got[line{"/b", own, "cpu"}])
	assert.Equal(t, 100*30*j, got[line{"/a", own, "cpu"}])
	assert.Equal(t, 101*20*j, got[line{"", idle, "cpu"}])
}

// nvml loses the energy of a GPU after 10 s, and goes on to list its processes; nvidia_smi
// shows the same GPU. A uses it all the time.
func TestAGPUThatAnotherSensorCountsIsDividedByWhoIsKnown(t *testing.T) {
	b := open(t, ledger.Config{})
	card := func(id string, rank int) *sensor.Part {
		return &sensor.Part{ID: id, Name: id, Type: "gpu", Socket: -1, Same: "gpu/u", Rank: rank, Method: sensor.Measured, Sensor: "nvml", MaxPower: 700 * unit.Watt}
	}
	first, second := card("nvml:u", 0), card("nvidia_smi:u", 1)
	read := func(p *sensor.Part, k int) sensor.Reading {
		return sensor.Reading{Part: p, At: at(time.Duration(k) * s), Energy: unit.Microjoules(100*k) * j}
	}
	for k := range 101 {
		rs := []sensor.Reading{read(second, k)}
		if k <= 10 {
			rs = append(rs, read(first, k))
		}
		b.book(rs...)
		b.Attribute(ledger.Use{Busy: busy(s), GPUs: []ledger.GPUUse{{Part: first, Of: wA, Busy: s}}})
	}
	assert.Equal(t, map[line]unit.Microjoules{{"/a", own, "gpu"}: 10_000 * j}, b.shares())
}

// Of 64 CPUs the busy time of one tick is unknown, in which A used 2 s. In the next it is 2 s,
// of which A used 0.5 s: a quarter of 100 J.
func TestUnknownBusyTimeIsNoDebt(t *testing.T) {
	b := open(t, ledger.Config{})
	p := source{part: pkg(0), watts: 100}
	b.run(0, 0, p)
	b.Attribute(ledger.Use{Busy: busy(0)})
	b.run(1, 1, p)
	b.Attribute(ledger.Use{Busy: usage.Busy{CPUs: 64}, Usages: []usage.Usage{used(wA, 2*s)}})
	b.run(2, 2, p)
	u := busy(2 * s)
	u.CPUs = 64
	b.Attribute(ledger.Use{Busy: u, Usages: []usage.Usage{used(wA, 500*ms)}})
	assert.Equal(t, 25*j, b.shares()[line{"/a", own, "cpu"}])
	assert.Equal(t, 75*j, b.shares()[line{"", system, "cpu"}])
}

// A thousand containers come and go before any sensor gives anything, and as many after the
// last one has fallen silent: all are forgotten, and bear nothing of what is idle.
func TestWorkloadsEndAlsoWhileNoSensorGivesAnything(t *testing.T) {
	b := open(t, ledger.Config{Idle: ledger.IdleEqually, Retention: 3 * s})
	now := at(0)
	churn := func() {
		for range 1000 {
			w := &usage.Workload{ID: "/short", Kind: usage.Container}
			last := used(w, s)
			last.Ended = true
			for _, u := range []usage.Usage{used(w, s/2), last} {
				now = now.Add(s)
				b.book()
				b.Attribute(ledger.Use{Now: now, Busy: busy(s), Usages: []usage.Usage{u}})
			}
		}
	}
	churn()
	p := source{part: pkg(0), watts: 50}
	for k := range 10 {
		now = now.Add(s)
		b.run(k, k, p)
		b.Attribute(ledger.Use{Now: now, Busy: busy(s), Floor: floor(30), Usages: []usage.Usage{used(wA, s)}})
	}
	for of := range b.shares() {
		assert.NotEqual(t, "/short", of.of)
	}
	churn()
	n := 0
	for range b.Workloads {
		n++
	}
	assert.Less(t, n, 12)
}
