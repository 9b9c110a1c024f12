package ledger_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// whole is an envelope of the whole host.
func whole(name string, rank int) *sensor.Part {
	return &sensor.Part{
		ID: name + ":input", Name: "input", Type: "other", Sensor: name, Method: sensor.Measured,
		Role: sensor.Envelope, Socket: -1, Die: -1, Whole: true, Rank: rank,
	}
}

func slow(p *sensor.Part, period time.Duration) *sensor.Part {
	p.Period = period
	return p
}

func covering(p *sensor.Part, types ...string) *sensor.Part {
	p.Covers = types
	return p
}

func psysOf(name string, rank int) *sensor.Part { return view(name, rank, psys()) }

func TestEnvelopes(t *testing.T) {
	for _, c := range []struct {
		name    string
		config  ledger.Config
		ticks   int
		sources []source
		sensor  string // of the remainder
		want    map[string]want
	}{
		{
			// Five ticks of probation, five of 200 − 110 J.
			name:    "C43 a BMC of two sockets",
			ticks:   10,
			sources: []source{{part: pkg(0), watts: 50}, {part: pkg(1), watts: 60}, {part: psys(), watts: 150}, {part: whole("bmc", 0), watts: 200}},
			sensor:  "bmc",
			want: map[string]want{
				"rapl:package-0": part(500), "rapl:package-1": part(600), "other": part(450),
				"rapl:psys": detail(1500), "bmc:input": detail(2000), "host": host(1550),
			},
		},
		{
			name:    "C43 a BMC decides before psys, and the better of two",
			ticks:   10,
			sources: []source{{part: psys(), watts: 80}, {part: whole("battery", 2), watts: 90}, {part: whole("bmc", 0), watts: 100}, {part: pkg(0), watts: 50}},
			sensor:  "bmc",
			want: map[string]want{
				"rapl:package-0": part(500), "other": part(250), "rapl:psys": detail(800),
				"battery:input": detail(900), "bmc:input": detail(1000), "host": host(750),
			},
		},
		{
			// psys decides in ticks 6 … 25: 20·30. The BMC's probation is 21 … 25; then 5·50.
			name:    "C43 a BMC that answers later replaces psys after its probation",
			ticks:   30,
			sources: []source{{part: pkg(0), watts: 50}, {part: psys(), watts: 80}, {part: whole("bmc", 0), watts: 100, first: 20}},
			sensor:  "rapl",
			want: map[string]want{
				"rapl:package-0": part(1500), "other": part(850), "rapl:psys": detail(2400), "bmc:input": detail(1000), "host": host(2350),
			},
		},
		{
			// 6 … 10 and 62 … 70: 14·30. Nothing for the time between.
			name:    "C42 a battery that is charged for a while",
			ticks:   70,
			sources: []source{{part: pkg(0), watts: 50}, {part: whole("battery", 2), watts: 80, gauge: true, missing: ticks(11, 60)}},
			sensor:  "battery",
			want:    map[string]want{"rapl:package-0": part(3500), "other": part(420), "battery:input": detail(10*80 + 9*80), "host": host(3920)},
		},
		{
			name:    "C43 a BMC with a counter that is down for a while",
			ticks:   70,
			sources: []source{{part: pkg(0), watts: 50}, {part: whole("bmc", 0), watts: 80, missing: ticks(11, 60)}},
			sensor:  "bmc",
			want:    map[string]want{"rapl:package-0": part(3500), "other": part(420), "bmc:input": detail(70 * 80), "host": host(3920)},
		},
		{
			// Settled in 5, 10, … s; trusted at 25 s. 25 s of 50 W up to 50 s.
			name:    "C43 a BMC with a new value each 5 s",
			ticks:   52,
			sources: []source{{part: pkg(0), watts: 50}, {part: slow(whole("bmc", 0), 5*s), watts: 100, gauge: true, missing: notEach(5, 52)}},
			sensor:  "bmc",
			want:    map[string]want{"rapl:package-0": part(2600), "other": part(1250), "bmc:input": detail(5000), "host": host(3850)},
		},
		{
			// 40 s are bridged because they are no more than three periods. Trusted at 200 s.
			name:    "C43 a BMC with a new value each 40 s",
			ticks:   400,
			sources: []source{{part: pkg(0), watts: 50}, {part: slow(whole("bmc", 0), 40*s), watts: 100, gauge: true, missing: notEach(40, 400)}},
			sensor:  "bmc",
			want:    map[string]want{"rapl:package-0": part(20_000), "other": part(10_000), "bmc:input": detail(40_000), "host": host(30_000)},
		},
		{
			name:    "C43 the user's word on psys does not concern a BMC",
			config:  ledger.Config{Psys: ledger.TrustNever},
			ticks:   10,
			sources: []source{{part: pkg(0), watts: 50}, {part: psys(), watts: 80}, {part: whole("bmc", 0), watts: 100}},
			sensor:  "bmc",
			want:    map[string]want{"rapl:package-0": part(500), "other": part(250), "rapl:psys": detail(800), "bmc:input": detail(1000), "host": host(750)},
		},
		{
			name:    "C43 a BMC that is never trusted leaves it to psys",
			config:  ledger.Config{Whole: ledger.TrustNever},
			ticks:   10,
			sources: []source{{part: pkg(0), watts: 50}, {part: psys(), watts: 80}, {part: whole("bmc", 0), watts: 100}},
			sensor:  "rapl",
			want:    map[string]want{"rapl:package-0": part(500), "other": part(150), "rapl:psys": detail(800), "bmc:input": detail(1000), "host": host(650)},
		},
		{
			name:    "C30 psys of perf and of powercap is one",
			ticks:   10,
			sources: []source{{part: pkg(0), watts: 50}, {part: psysOf("rapl", 4), watts: 80}, {part: psysOf("perf", 3), watts: 80}},
			sensor:  "perf",
			want:    map[string]want{"rapl:package-0": part(500), "other": part(150), "rapl:psys": uncounted, "perf:psys": detail(800), "host": host(650)},
		},
		{
			// 5·30; powercap's psys is published from 10 on, its probation is 42 … 46; 14·30.
			name:    "C30 psys of perf falls silent",
			ticks:   60,
			sources: []source{{part: pkg(0), watts: 50}, {part: psysOf("rapl", 4), watts: 80}, {part: psysOf("perf", 3), watts: 80, last: 10}},
			sensor:  "perf",
			want: map[string]want{
				"rapl:package-0": part(3000), "other": part(570), "rapl:psys": detail(50 * 80),
				"perf:psys": {ledger.DetailAccount, 800, false}, "host": host(3570),
			},
		},
		{
			name:    "C37 a board's input contains CPU and memory: nothing is modelled beside it",
			ticks:   10,
			sources: []source{{part: model("cpu"), watts: 10}, {part: model("memory"), watts: 5}, {part: covering(gpu(), "cpu", "memory"), watts: 30, gauge: true, first: 3}},
			want:    map[string]want{"model:cpu": ended(30), "model:memory": ended(15), "hwmon:gpu": part(210), "host": host(255)},
		},
		{
			name:  "C38 what is not counted covers nothing",
			ticks: 10,
			sources: []source{
				{part: perf(pkg(0)), watts: 50}, {part: covering(hsmp(pkg(0)), "memory"), watts: 60}, {part: model("memory"), watts: 5},
			},
			want: map[string]want{"perf:package-0": part(500), "hsmp:package-0": uncounted, "model:memory": part(50), "host": host(550)},
		},
		{
			// Counted from 41 on; the model until then.
			name:  "C38 what is counted later covers from then on",
			ticks: 50,
			sources: []source{
				{part: perf(pkg(0)), watts: 50, last: 10}, {part: covering(hsmp(pkg(0)), "memory"), watts: 60}, {part: model("memory"), watts: 5},
			},
			want: map[string]want{"perf:package-0": ended(500), "hsmp:package-0": part(540), "model:memory": ended(205), "host": host(1245)},
		},
		{
			// 0.1·500 and 10·10 J.
			name:    "a calibration adds to the host, not to its parts",
			config:  ledger.Config{Calibration: ledger.Calibration{Offset: 10 * unit.Watt, Gain: 1.1}},
			ticks:   10,
			sources: []source{{part: pkg(0), watts: 50}},
			sensor:  "calibration",
			want:    map[string]want{"rapl:package-0": part(500), "other": part(150), "host": host(650)},
		},
		{
			// 5·10, then 5·30 of psys.
			name:    "a calibration rests while an envelope decides",
			config:  ledger.Config{Calibration: ledger.Calibration{Offset: 10 * unit.Watt}},
			ticks:   10,
			sources: []source{{part: pkg(0), watts: 50}, {part: psys(), watts: 80}},
			sensor:  "calibration",
			want:    map[string]want{"rapl:package-0": part(500), "other": part(200), "rapl:psys": detail(800), "host": host(700)},
		},
		{
			// 2 s and 58 s; of 2 s … 42 s nothing is known.
			name:    "a calibration makes up nothing for a gap",
			config:  ledger.Config{Calibration: ledger.Calibration{Offset: 10 * unit.Watt}},
			ticks:   100,
			sources: []source{{part: gpu(), watts: 30, gauge: true, missing: ticks(3, 41)}},
			sensor:  "calibration",
			want:    map[string]want{"hwmon:gpu": part(1800), "other": part(600), "host": host(2400)},
		},
		{
			name:    "a calibration covers a part's late energy once",
			config:  ledger.Config{Calibration: ledger.Calibration{Offset: 10 * unit.Watt}},
			ticks:   100,
			sources: []source{{part: pkg(0), watts: 30, missing: ticks(3, 51)}, {part: dram(0), watts: 5, missing: ticks(40, 60)}},
			sensor:  "calibration",
			want:    map[string]want{"rapl:package-0": part(3000), "rapl:package-0/dram": part(500), "other": part(1000), "host": host(4500)},
		},
		{
			name:    "a gain below 1 takes nothing away",
			config:  ledger.Config{Calibration: ledger.Calibration{Gain: 0.5}},
			ticks:   10,
			sources: []source{{part: pkg(0), watts: 50}},
			want:    map[string]want{"rapl:package-0": part(500), "host": host(500)},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t, c.config)
			b.run(0, c.ticks, c.sources...)
			got := map[string]want{}
			for a := range b.Accounts {
				id := "host"
				if a.Part != nil {
					id = a.Part.ID
				}
				got[id] = want{a.Kind, uint64(a.Energy / j), a.Live}
				assert.Zero(t, a.Energy%j, "%s has %d µJ", id, a.Energy)
			}
			assert.Equal(t, c.want, got)
			if c.sensor != "" {
				assert.Equal(t, c.sensor, b.account("other").Part.Sensor)
			}
		})
	}
}

// A package of 50 W and a battery of 80 W, which is on a charger from tick 11 on.
// Trusted in tick 5, it leaves 30 W in 6 … 10 and from its second reading after the
// charger on; nothing is made up for the time on the charger, long or short.
func TestC42ABatteryOnAChargerIsNotWaitedFor(t *testing.T) {
	for _, c := range []struct {
		name     string
		config   ledger.Config
		beside   []source
		back, to int // first reading after the charger; last tick
		again    int // the remainder goes on by then: with the battery, or by something else
		other    unit.Microjoules
		battery  unit.Microjoules
	}{
		{name: "for long", back: 61, to: 70, again: 61, other: 5*30 + 9*30, battery: (10 + 9) * 80},
		{name: "for less time than a silent part is waited for", back: 16, to: 70, again: 16, other: 5*30 + 54*30, battery: (10 + 54) * 80},
		{
			// 10 W in 1 … 5 and in 11 … 61.
			name: "a calibration does not rest meanwhile", config: ledger.Config{Calibration: ledger.Calibration{Offset: 10 * unit.Watt}},
			back: 61, to: 70, again: 11, other: 5*10 + 5*30 + 51*10 + 9*30, battery: (10 + 9) * 80,
		},
		{
			// psys of 70 W earns its trust in 12 … 16, decides in 17 … 66, while the battery
			// earns it anew in 62 … 66, and leaves 20 W; then 4·30.
			name: "psys decides meanwhile", beside: []source{{part: psys(), watts: 70}},
			back: 61, to: 70, again: 16, other: 5*30 + 50*20 + 4*30, battery: (10 + 9) * 80,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t, c.config)
			battery := whole("battery", 2)
			sources := slices.Concat(c.beside, []source{
				{part: pkg(0), watts: 50}, {part: battery, watts: 80, gauge: true, missing: ticks(11, c.back-1)},
			})
			b.run(0, 10, sources...)
			assert.True(t, b.account("other").Live)
			for tick := 11; tick < c.back; tick++ {
				b.Pause(battery)
				b.run(tick, tick, sources...)
				assert.Equal(t, tick >= c.again, b.account("other").Live, "tick %d", tick)
				assert.False(t, b.account("host").Stats.Demoted)
			}
			b.run(c.back, c.back, sources...)
			assert.True(t, b.account("other").Live)
			assert.Equal(t, at(time.Duration(c.back)*s), b.account("other").At, "nobody waits for it")
			b.run(c.back+1, c.to, sources...)
			assert.Equal(t, c.other*j, b.account("other").Energy)
			assert.Equal(t, c.battery*j, b.account("battery:input").Energy)
			assert.Equal(t, unit.Microjoules(c.to)*50*j+c.other*j, b.account("host").Energy)
			assert.Zero(t, b.account("battery:input").Stats.Gaps)
		})
	}
}

// Whoever stands by for a part that pauses takes over at once, from its last reading
// on, and a pause of a part that is not known means nothing.
func TestAViewThatPausesIsReplacedAtOnce(t *testing.T) {
	b := open(t, ledger.Config{})
	good := perf(pkg(0))
	b.Pause(good)
	sources := []source{{part: good, watts: 50, last: 10}, {part: rapl(pkg(0)), watts: 50}}
	b.run(0, 10, sources...)
	b.Pause(good)
	b.run(11, 11, sources...)
	assert.Equal(t, 50*j, b.account("rapl:package-0").Energy)
	assert.Equal(t, 550*j, b.account("host").Energy)
}

// Half a µJ is carried until it is a whole one.
func TestCalibrationIsExact(t *testing.T) {
	b := open(t, ledger.Config{Calibration: ledger.Calibration{Gain: 1.5}})
	p := pkg(0)
	for i, want := range []unit.Microjoules{0, 0, 1, 1, 2} {
		b.book(sensor.Reading{Part: p, At: at(time.Duration(i) * s), Energy: unit.Microjoules(i)})
		assert.Equal(t, want, b.account("other").Energy, "tick %d", i)
	}
	a := b.account("other")
	assert.Equal(t, &sensor.Part{
		ID: "other", Name: "calibration", Type: "other", Sensor: "calibration", Method: sensor.Integrated, Socket: -1, Die: -1,
	}, a.Part)
}

// When a better envelope replaces one that is owed for a part's late energy, the
// debt goes with it, for the energy is in the remainder already.
func TestDebtGoesToTheNextEnvelope(t *testing.T) {
	b, p, h := trusted(t)
	b.book(append(p.read(6, 50), h.read(6, 80)...)...) // 30
	m := &scripted{part: whole("bmc", 0)}
	for tick := 7; tick <= 12; tick++ { // probation 8 … 12
		b.book(append(append(p.read(tick, 50), h.read(tick, 40)...), m.read(tick, 100)...)...)
	}
	assert.Equal(t, 30*j, b.account("other").Energy) // and 6·10 owed
	b.book(append(p.read(13, 50), m.read(13, 100)...)...)
	assert.Equal(t, 30*j, b.account("other").Energy) // 50 of them are paid
	b.book(append(p.read(14, 50), m.read(14, 100)...)...)
	assert.Equal(t, 70*j, b.account("other").Energy)
}

// A server whose only sensor is its controller: 100 W, of which the model takes 40 W
// for the processor. The controller bounds it, and the rest is the remainder.
func TestAModelledProcessorStaysAPartOfATrustedEnvelope(t *testing.T) {
	b := open(t, ledger.Config{})
	whole := &sensor.Part{
		ID: "bmc:host", Name: "input", Type: "other", Sensor: "bmc", Method: sensor.Measured,
		Role: sensor.Envelope, Whole: true, Socket: -1, Die: -1,
	}
	m, h := &scripted{part: model("cpu")}, &scripted{part: whole}
	for tick := range 10 {
		b.book(append(h.read(tick, 100), m.read(tick, 40)...)...)
	}
	assert.True(t, b.account("model:cpu").Live)
	assert.Equal(t, 9*40*j, b.account("model:cpu").Energy)
	assert.Equal(t, 4*60*j, b.account("other").Energy) // trusted in tick 5
	assert.Equal(t, (9*40+4*60)*j, b.account("host").Energy)
}

// A package of 50 W, memory that is modelled with 5 W, and an envelope that is trusted
// in tick 5 and tells nothing in 11 … 60. Until tick 41 it may still answer. Then the host
// is as without it, from its last settlement on. Before it, the memory has 5·5 J and a
// calibration of 10 W 5·10 J; after it the memory is inside it again.
func TestC43AnEnvelopeThatFallsSilentLeavesTheHostToItsParts(t *testing.T) {
	calibrated := ledger.Config{Calibration: ledger.Calibration{Offset: 10 * unit.Watt}}
	type total struct{ other, memory unit.Microjoules }
	for _, c := range []struct {
		name         string
		config       ledger.Config
		envelope     source
		live         bool // the remainder, meanwhile
		until, after map[int]total
	}{
		{
			// 100 − 50 W in 6 … 10 and from tick 62 on: nobody knows what a gauge was in between.
			name: "a controller", envelope: source{part: whole("bmc", 0), watts: 100, gauge: true},
			until: map[int]total{10: {250, 25}, 40: {250, 25}, 41: {250, 25 + 31*5}, 60: {250, 25 + 50*5}},
			after: map[int]total{61: {250, 25 + 51*5}, 62: {300, 280}, 70: {700, 280}},
		},
		{
			name: "a controller and a calibration", config: calibrated, envelope: source{part: whole("bmc", 0), watts: 100, gauge: true}, live: true,
			until: map[int]total{10: {50 + 250, 25}, 40: {300, 25}, 41: {300 + 310, 180}, 60: {300 + 500, 275}},
			after: map[int]total{61: {300 + 510, 280}, 62: {860, 280}, 70: {1260, 280}},
		},
		{
			// It counts: 51·80 J in tick 61, of which the parts have 51·50 and 51·5 J, and the
			// calibration 50·10: 775 are left. The host has 5·65 J and then 80 W.
			name: "psys and a calibration", config: calibrated, envelope: source{part: psys(), watts: 80}, live: true,
			until: map[int]total{10: {50 + 150, 25}, 40: {200, 25}, 41: {200 + 310, 180}, 60: {200 + 500, 275}},
			after: map[int]total{61: {700 + 775, 280}, 62: {1505, 280}, 70: {1745, 280}},
		},
		{
			// Of the 4080 J in tick 61 the parts have 2805, and 50·40 are more than the rest. They have
			// told that time: nothing is owed for it.
			name: "psys and a calibration that is too high", config: ledger.Config{Calibration: ledger.Calibration{Offset: 40 * unit.Watt}},
			envelope: source{part: psys(), watts: 80}, live: true,
			until: map[int]total{10: {200 + 150, 25}, 40: {350, 25}, 41: {350 + 31*40, 180}, 60: {350 + 50*40, 275}},
			after: map[int]total{61: {2350, 280}, 62: {2380, 280}, 70: {2620, 280}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t, c.config)
			c.envelope.missing = ticks(11, 60)
			sources := []source{{part: pkg(0), watts: 50}, {part: model("memory"), watts: 5}, c.envelope}
			check := func(tick int, want total) {
				t.Helper()
				assert.Equal(t, want.other*j, b.account("other").Energy, "other in tick %d", tick)
				assert.Equal(t, want.memory*j, b.account("model:memory").Energy, "memory in tick %d", tick)
				assert.Equal(t, unit.Microjoules(tick)*50*j+(want.other+want.memory)*j, b.account("host").Energy, "host in tick %d", tick)
			}
			b.run(0, 5, sources...)
			turns := b.account("other").Stats.Turns // 1 if the calibration told it before
			for tick := 6; tick <= 70; tick++ {
				b.run(tick, tick, sources...)
				for _, at := range []map[int]total{c.until, c.after} {
					if want, ok := at[tick]; ok {
						check(tick, want)
					}
				}
				away := tick >= 41 && tick <= 60
				assert.Equal(t, away, b.account("model:memory").Live, "memory in tick %d", tick)
				assert.Equal(t, !away || c.live, b.account("other").Live, "other in tick %d", tick)
			}
			assert.Equal(t, turns+2, b.account("other").Stats.Turns)
			assert.False(t, b.account("host").Stats.Demoted)
		})
	}
}

// Silent for 20 s, less than anybody waits, a controller does not tell what the host drew
// meanwhile, and never will: that time, 11 … 31, is the parts', the memory's and the
// calibration's when it is back.
func TestC43AnEnvelopeThatMissedATimeLeavesItToTheParts(t *testing.T) {
	b := open(t, ledger.Config{MaxGap: 3 * s, Calibration: ledger.Calibration{Offset: 10 * unit.Watt}})
	sources := []source{
		{part: pkg(0), watts: 50},
		{part: model("memory"), watts: 5},
		{part: whole("bmc", 0), watts: 100, gauge: true, missing: ticks(11, 30)},
	}
	b.run(0, 30, sources...)
	assert.Equal(t, 25*j, b.account("model:memory").Energy)
	assert.Equal(t, (50+250)*j, b.account("other").Energy)
	b.run(31, 31, sources...)
	assert.Equal(t, (25+21*5)*j, b.account("model:memory").Energy)
	assert.Equal(t, (50+250+21*10)*j, b.account("other").Energy)
	assert.Equal(t, uint64(2), b.account("other").Stats.Turns, "with that of tick 5, when it was trusted")
	b.run(32, 40, sources...)
	assert.Equal(t, (25+21*5)*j, b.account("model:memory").Energy)
	assert.Equal(t, (50+250+21*10+9*50)*j, b.account("other").Energy)
}

// Memory that is modelled counts again when the envelope that held it is demoted. The
// package rises to 200 W in tick 6: 120 J are owed each tick, more than 30 s of 80 W
// since tick 26, and nothing is judged before tick 30.
func TestC30WhatADemotedEnvelopeHeldCountsAgain(t *testing.T) {
	b := open(t, ledger.Config{})
	p, h, m := &scripted{part: pkg(0)}, &scripted{part: psys()}, &scripted{part: model("memory")}
	for tick := range 41 {
		watts := 50
		if tick > 5 {
			watts = 200
		}
		b.book(append(append(p.read(tick, watts), h.read(tick, 80)...), m.read(tick, 10)...)...)
		assert.Equal(t, tick < 5 || tick >= 30, b.account("model:memory").Live, "tick %d", tick)
	}
	assert.Equal(t, (5+11)*10*j, b.account("model:memory").Energy, "1 … 5, and 30 … 40")
}

// An envelope of 500 W, which falls to 80 W after 100 s while the package of 400 W in it
// goes on. What it drew lately falls by a 31st with each second: after n of them it is
// 2400 + 12 600·(30/31)ⁿ J in 30 s. 320·n J are owed: 7680 of 8136 after 24 s, 8000 of 7950
// after 25 s. In 30 s of its mean since the start there would still be 12 480.
func TestC30AnEnvelopeIsDemotedByThePowerThatItHasNow(t *testing.T) {
	b := open(t, ledger.Config{})
	p, h := &scripted{part: pkg(0)}, &scripted{part: psys()}
	for tick := range 140 {
		watts := 500
		if tick > 100 {
			watts = 80
		}
		b.book(append(p.read(tick, 400), h.read(tick, watts)...)...)
		assert.Equal(t, tick >= 125, b.account("rapl:psys").Stats.Demoted, "tick %d", tick)
	}
}
