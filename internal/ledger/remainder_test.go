package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// scripted is a counter that grows by what is said for each tick; no step is a
// failed read, its energy comes with the next.
type scripted struct {
	part *sensor.Part
	raw  unit.Microjoules
}

const missing = -1

func (c *scripted) read(tick, step int) []sensor.Reading {
	if step == missing {
		return nil
	}
	c.raw += unit.Microjoules(step) * j
	return []sensor.Reading{{Part: c.part, At: epoch.Add(time.Duration(tick) * s), Energy: c.raw, Max: intelMax}}
}

// trusted returns books in which psys has been trusted in tick 5: the package
// draws 50 W, psys shows 80 W, nothing is left over so far.
func trusted(t *testing.T) (*books, *scripted, *scripted) {
	t.Helper()
	b := open(t, ledger.Config{})
	p, h := &scripted{part: pkg(0)}, &scripted{part: psys()}
	for tick := range 6 {
		b.book(append(p.read(tick, 50), h.read(tick, 80)...)...)
	}
	assert.Zero(t, b.account("other").Energy)
	assert.Equal(t, epoch.Add(5*s), b.account("other").Start)
	return b, p, h
}

func TestRemainder(t *testing.T) {
	type tick struct {
		pkg, psys int
		other     unit.Microjoules // total in J after it
	}
	for _, c := range []struct {
		name  string
		ticks []tick // from tick 6 on
	}{
		{"what psys shows beyond its parts", []tick{{50, 80, 30}, {60, 80, 50}, {50, 50, 50}}},
		// −5 is debt; the next 30 pay it.
		{"a negative remainder is debt that the next one pays", []tick{{50, 45, 0}, {50, 80, 25}, {50, 80, 55}}},
		{"debt adds up", []tick{{50, 40, 0}, {50, 45, 0}, {50, 55, 0}, {50, 80, 20}}},
		// 160 − 100 over both ticks, though the package comes with 100 J in the second.
		{"C20 the package fails: settled when it is back", []tick{{missing, 80, 0}, {100, 80, 60}, {50, 80, 90}}},
		{"C20 psys fails: settled when it is back", []tick{{50, missing, 0}, {50, missing, 0}, {50, 240, 90}}},
		{"C20 both fail in turn", []tick{{50, missing, 0}, {missing, 160, 0}, {100, 80, 90}}},
		{"C12 nothing moves", []tick{{0, 0, 0}, {0, 0, 0}, {50, 80, 30}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, p, h := trusted(t)
			packages := 5 * 50 * j
			for i, k := range c.ticks {
				b.book(append(p.read(6+i, k.pkg), h.read(6+i, k.psys)...)...)
				if k.pkg != missing {
					packages += unit.Microjoules(k.pkg) * j
				}
				assert.Equal(t, k.other*j, b.account("other").Energy, "other in tick %d", 6+i)
				assert.Equal(t, packages+k.other*j, b.account("host").Energy, "host in tick %d", 6+i)
			}
		})
	}
}

func TestRemainderIsDescribedByItsEnvelope(t *testing.T) {
	b, _, _ := trusted(t)
	a := b.account("other")
	assert.Equal(t, ledger.PartAccount, a.Kind)
	assert.Equal(t, &sensor.Part{
		ID: "other", Name: "remainder", Type: "other", Sensor: "rapl", Method: sensor.Measured, Socket: -1, Die: -1,
	}, a.Part)
	assert.True(t, a.Live)
}

func TestProbationStartsAgainWhenPsysFallsBelow(t *testing.T) {
	b := open(t, ledger.Config{})
	p, h := &scripted{part: pkg(0)}, &scripted{part: psys()}
	for tick := range 10 {
		show := 80
		if tick == 4 { // only three ticks contained before
			show = 49
		}
		b.book(append(p.read(tick, 50), h.read(tick, show)...)...)
		assert.Equal(t, tick == 9, b.has("other"), "tick %d", tick) // 5 … 9
	}
}

// Ticks in which nothing moves prove nothing.
func TestProbationWantsEnergy(t *testing.T) {
	b := open(t, ledger.Config{})
	p, h := &scripted{part: pkg(0)}, &scripted{part: psys()}
	for tick := range 50 {
		b.book(append(p.read(tick, 0), h.read(tick, 0)...)...)
	}
	assert.False(t, b.has("other"))
}

// After the trust the package rises to 200 W and psys shows 80 W as before: it
// does not contain the package. Since tick 0 psys has a mean of 80 W, so the
// limit is 2400 J, and 120 J of debt are made each tick: from tick 6 on 20 make
// 2400, the 21st in tick 26 exceeds it; but nothing is judged before 30 s.
func TestC30EnvelopeThatDoesNotContainItsPartsIsDemoted(t *testing.T) {
	b, p, h := trusted(t)
	b.book(append(p.read(6, 50), h.read(6, 80)...)...)
	for tick := 7; tick <= 60; tick++ {
		b.book(append(p.read(tick, 200), h.read(tick, 80)...)...)
		assert.Equal(t, tick < 30, b.account("other").Live, "tick %d", tick)
	}
	for tick := 61; tick <= 100; tick++ { // never again
		b.book(append(p.read(tick, 50), h.read(tick, 80)...)...)
	}
	assert.Equal(t, 30*j, b.account("other").Energy, "stays where it was")
	for _, id := range []string{"other", "rapl:psys", "host"} {
		assert.True(t, b.account(id).Stats.Demoted, id)
	}
	assert.False(t, b.account("rapl:package-0").Stats.Demoted)
	assert.Equal(t, ledger.DetailAccount, b.account("rapl:psys").Kind)
	assert.Equal(t, 100*80*j, b.account("rapl:psys").Energy)
	// 300 + 54·200 + 40·50 J of the package and 30 J.
	assert.Equal(t, (300+10_800+2000+30)*j, b.account("host").Energy)
}

// In the host's total debt is only a delay: as soon as it is paid, the host is
// what psys showed since it was trusted and the parts before.
func TestRemainderFollowsTheEnvelope(t *testing.T) {
	b, p, h := trusted(t)
	shown := 5 * 50 * j
	for tick := 6; tick < 500; tick++ {
		jitter := []int{-40, 35, 0, 5, -3, 3}[tick%6] // of psys; adds up to 0
		b.book(append(p.read(tick, 50+tick%7), h.read(tick, 80+jitter)...)...)
		shown += unit.Microjoules(80+jitter) * j
		assert.GreaterOrEqual(t, b.account("host").Energy, shown, "tick %d", tick)
		assert.LessOrEqual(t, b.account("host").Energy, shown+40*j, "tick %d", tick)
	}
	assert.Equal(t, shown, b.account("host").Energy)
}

// A part that is gone holds the remainder up for 30 s, then its energy is in
// the remainder. When it comes back with the energy of all that time, that is
// debt, however large, and no reason to demote.
func TestC19PartThatVanishesAndReturns(t *testing.T) {
	b := open(t, ledger.Config{})
	sources := []source{
		{part: pkg(0), watts: 50},
		{part: psys(), watts: 150},
		{part: dram(0), watts: 60, missing: ticks(11, 109)},
	}
	b.run(0, 10, sources...)
	assert.Equal(t, 200*j, b.account("other").Energy) // 5 ticks of 150 − 110
	b.run(11, 40, sources...)
	assert.Equal(t, 200*j, b.account("other").Energy, "waits")
	b.run(41, 41, sources...)
	assert.Equal(t, (200+31*100)*j, b.account("other").Energy, "31 ticks of 150 − 50")
	b.run(42, 109, sources...)
	assert.Equal(t, (200+99*100)*j, b.account("other").Energy)

	// 100 s of 60 W come in tick 110: 150 − 50 − 6000 = −5900 J. The limit would be
	// 4500 J. 40 J a tick pay it in 148 ticks: 5920 − 5900.
	b.run(110, 257, sources...)
	assert.Equal(t, (200+99*100)*j, b.account("other").Energy)
	assert.True(t, b.account("other").Live)
	b.run(258, 258, sources...)
	assert.Equal(t, (200+99*100+20)*j, b.account("other").Energy)
	assert.Equal(t, (258*150-5*40)*j, b.account("host").Energy, "psys, less what was left over before it was trusted")
}

// Nobody knows what psys drew around its reset: no remainder is made up for
// that time.
func TestC8ResetOfTheEnvelope(t *testing.T) {
	b, p, h := trusted(t)
	b.book(append(p.read(6, 50), h.read(6, 80)...)...) // 30
	h.raw = 0
	b.book(append(p.read(7, 50), h.read(7, 40)...)...) // held
	b.book(append(p.read(8, 50), h.read(8, 80)...)...) // reset
	assert.Equal(t, 30*j, b.account("other").Energy)
	b.book(append(p.read(9, 50), h.read(9, 80)...)...)
	assert.Equal(t, 60*j, b.account("other").Energy)
	assert.Equal(t, uint64(1), b.account("rapl:psys").Stats.Resets)
}

func TestC27SecondSocketEndsTheTrust(t *testing.T) {
	b := open(t, ledger.Config{})
	sources := []source{{part: pkg(0), watts: 50}, {part: psys(), watts: 80}, {part: pkg(1), watts: 50, first: 20}}
	b.run(0, 30, sources...)
	assert.False(t, b.account("other").Live)
	assert.True(t, b.account("rapl:psys").Stats.Demoted)
	assert.Equal(t, 14*30*j, b.account("other").Energy) // ticks 6 … 19
	assert.Equal(t, (30*50+10*50+14*30)*j, b.account("host").Energy)
}

// 5.5 W show as 5, 6, 5, … J of a psys that counts in J, the package draws 5.2 W:
// single ticks are below it, ten steps together are not.
func TestC11PsysInStepsOf1J(t *testing.T) {
	b := open(t, ledger.Config{})
	coarse := psys()
	coarse.Step = j
	sources := []source{
		{part: pkg(0), energy: func(d time.Duration) unit.Microjoules { return unit.Microjoules(5_200_000 * (d / s)) }},
		{part: coarse, energy: func(d time.Duration) unit.Microjoules { return unit.Microjoules(5_500_000*(d/s)) / j * j }},
	}
	b.run(0, 200, sources...)
	// Judged when 10 J or more are there, each second tick: 11 J against 10.4 J.
	// Trusted in tick 10 at 55 J; then psys is followed, 1100 J in tick 200.
	assert.Equal(t, epoch.Add(10*s), b.account("other").Start)
	assert.Equal(t, (52+1100-55)*j, b.account("host").Energy)
}

func TestOnlyOneEnvelopeIsTrusted(t *testing.T) {
	b := open(t, ledger.Config{})
	bmc := psys()
	bmc.ID, bmc.Sensor = "bmc:input", "bmc"
	b.run(0, 10, source{part: pkg(0), watts: 50}, source{part: psys(), watts: 80}, source{part: bmc, watts: 100})
	assert.Equal(t, "rapl", b.account("other").Part.Sensor)
	assert.Equal(t, (500+5*30)*j, b.account("host").Energy)
	assert.Equal(t, 1000*j, b.account("bmc:input").Energy)
}

// A laptop without a DRAM counter: 50 W package, 80 W psys, 10 W modelled memory.
// psys measures the memory too, so the remainder is 30 W, all of it measured.
func TestNothingIsModelledInsideATrustedEnvelope(t *testing.T) {
	b := open(t, ledger.Config{})
	p, h, m := &scripted{part: pkg(0)}, &scripted{part: psys()}, &scripted{part: model("memory")}
	for tick := range 10 {
		b.book(append(append(p.read(tick, 50), h.read(tick, 80)...), m.read(tick, 10)...)...)
		if tick < 5 {
			assert.Equal(t, unit.Microjoules(10*tick)*j, b.account("model:memory").Energy, "tick %d", tick)
		}
	}
	// Trusted in tick 5; four ticks since.
	assert.Equal(t, 50*j, b.account("model:memory").Energy)
	assert.False(t, b.account("model:memory").Live)
	assert.Equal(t, 4*30*j, b.account("other").Energy)
	assert.Equal(t, (9*50+50+4*30)*j, b.account("host").Energy)
}

// slowly reads a part only every n seconds, beginning with the given tick.
func slowly(c source, n, first int) source {
	c.part = slow(c.part, time.Duration(n)*s)
	for tick := range 1000 {
		if tick%n != first {
			c.missing = append(c.missing, tick)
		}
	}
	return c
}

// A controller tells every 5 s, and so does a GPU, 2 s later: neither waits for the
// other. Trusted in tick 25; from then on 140 − 50 − 40 W are left, every 5 s.
func TestSlowPartsOutOfPhaseAreSettledEachTime(t *testing.T) {
	b := open(t, ledger.Config{})
	sources := []source{
		{part: pkg(0), watts: 50},
		slowly(source{part: whole("bmc", 0), watts: 140, gauge: true}, 5, 0),
		slowly(source{part: gpu(), watts: 40, gauge: true}, 5, 2),
	}
	b.run(0, 24, sources...)
	assert.False(t, b.has("other"))
	for tick := 25; tick <= 200; tick++ {
		b.run(tick, tick, sources...)
		other := unit.Microjoules((tick-25)/5) * 250 * j
		assert.Equal(t, other, b.account("other").Energy, "tick %d", tick)
		if tick%5 == 0 { // the GPU is told from 2 s on, until 3 s ago
			assert.Equal(t, unit.Microjoules(tick*50+(tick-5)*40)*j+other, b.account("host").Energy, "tick %d", tick)
		}
	}
}

// A controller with a new value each 40 s. The GPU's of 107 s … 127 s are missing: at
// 120 s it lags by 18 s, which is more than two of its periods, and is waited for.
// 5600 − 2000 − 1400 J are left at 40 s, 2000 J each 40 s then.
func TestASlowPartThatIsOverdueIsWaitedFor(t *testing.T) {
	sources := []source{
		{part: pkg(0), watts: 50},
		slowly(source{part: whole("bmc", 0), watts: 140, gauge: true}, 40, 0),
		slowly(source{part: gpu(), watts: 40, missing: ticks(103, 127)}, 5, 2),
	}
	for tick, other := range map[int]unit.Microjoules{40: 2200, 80: 4200, 120: 4200, 159: 4200, 160: 8200} {
		b := open(t, ledger.Config{Whole: ledger.TrustAlways})
		b.run(0, tick, sources...)
		assert.Equal(t, other*j, b.account("other").Energy, "tick %d", tick)
	}
}

// surge is 0 W but for a while.
func surge(watts uint64, from, to time.Duration) func(time.Duration) unit.Microjoules {
	return func(d time.Duration) unit.Microjoules {
		return (unit.Microwatts(watts) * unit.Watt).Over(max(0, min(d, to)-from))
	}
}

// A package of 10 W; a GPU of 500 W from 200 s to 210 s, which is read at 202 s, 207 s
// and 212 s; a controller that shows both and 2 W, every 5 s. In tick 205 it shows 3 s of
// the GPU that are told later: 10 + 1500 J are left. They are 1490 J of debt in tick 215,
// when the GPU has told them, beyond 30 s of the controller's mean of 35 W; but they are
// what lagged, and no reason to demote it. 10 J each 5 s pay them until tick 960.
func TestWhatASlowPartTellsLaterIsNoSignOfAWrongEnvelope(t *testing.T) {
	b := open(t, ledger.Config{})
	load := surge(500, 200*s, 210*s)
	sources := []source{
		{part: pkg(0), watts: 10},
		slowly(source{part: whole("bmc", 0), energy: func(d time.Duration) unit.Microjoules { return (12 * unit.Watt).Over(d) + load(d) }}, 5, 0),
		slowly(source{part: gpu(), energy: load}, 5, 2),
	}
	b.run(0, 200, sources...)
	assert.Equal(t, 35*10*j, b.account("other").Energy) // trusted in tick 25
	b.run(201, 205, sources...)
	assert.Equal(t, (35*10+1510)*j, b.account("other").Energy)
	b.run(206, 960, sources...)
	assert.True(t, b.account("other").Live)
	assert.Equal(t, (35*10+1510+10)*j, b.account("other").Energy, "10 in tick 210; all debt is paid")
	b.run(961, 965, sources...)
	assert.Equal(t, ((965-25)*2)*j, b.account("other").Energy, "2 W since it is trusted")
}

// A controller that shows 60 W whatever the GPU beside the package of 50 W draws, 100 W
// from 100 s on. The GPU is read at 102 s, 107 s, …: −150 J in tick 105, then −450 J every
// 5 s, 2400 in tick 130. Of that the 500 J of one interval may have lagged, once and not
// each time; what is beyond that and 30 s of 60 W, 1800 J, has no excuse.
func TestASlowPartExcusesNoWrongEnvelope(t *testing.T) {
	b := open(t, ledger.Config{})
	sources := []source{
		{part: pkg(0), watts: 50},
		slowly(source{part: whole("bmc", 0), watts: 60}, 5, 0),
		slowly(source{part: gpu(), energy: surge(100, 100*s, 1000*s)}, 5, 2),
	}
	b.run(0, 129, sources...)
	assert.True(t, b.account("other").Live)
	b.run(130, 130, sources...)
	assert.False(t, b.account("other").Live)
	assert.Equal(t, 15*50*j, b.account("other").Energy)
}

// A GPU of 0 W and 300 W in turn, for 10 s each, beside a package of 10 W, and a
// controller that shows both and 20 W. In tick 25 it shows 150 J, and the parts bring
// 950, of which 900 are the GPU's of 17 s … 22 s: they lagged. Since the begin it has
// shown 3750 J, and the parts have brought 3250. Of any five settlements one is like that.
func TestProbationForgivesWhatLags(t *testing.T) {
	b := open(t, ledger.Config{})
	load := func(d time.Duration) unit.Microjoules {
		cycles := d / (20 * s)
		return unit.Microjoules(cycles)*3000*j + surge(300, 10*s, 20*s)(d%(20*s))
	}
	sources := []source{
		{part: pkg(0), watts: 10},
		slowly(source{part: whole("bmc", 0), energy: func(d time.Duration) unit.Microjoules { return (30 * unit.Watt).Over(d) + load(d) }}, 5, 0),
		slowly(source{part: gpu(), energy: load}, 5, 2),
	}
	b.run(0, 400, sources...)
	assert.Equal(t, at(25*s), b.account("other").Start)
}

// A controller that shows 60 W, where the package draws 50 W and the GPU 20 W: what of
// the GPU may have lagged, 100 J each time, covers the 50 J that are missing in each
// settlement, but not their sum.
func TestProbationForgivesALagOnce(t *testing.T) {
	b := open(t, ledger.Config{})
	b.run(0, 400,
		source{part: pkg(0), watts: 50},
		slowly(source{part: whole("bmc", 0), watts: 60}, 5, 0),
		slowly(source{part: gpu(), watts: 20}, 5, 2),
	)
	assert.False(t, b.has("other"))
}

// 100 W of psys in which the package has 50 W and the DRAM 10 W. Trusted in tick 5, it is
// told once more in tick 6, the package also in tick 7, the DRAM not any more: of the 100 J
// of psys the package has 50, and the rest is not the remainder's alone, but the host's.
func TestTheLastRemainderIsSettledAsFarAsKnown(t *testing.T) {
	b := open(t, ledger.Config{})
	b.Finish()
	sources := []source{
		{part: pkg(0), watts: 50}, {part: dram(0), watts: 10, last: 5}, {part: psys(), watts: 100, last: 6},
	}
	b.run(0, 7, sources...)
	assert.Zero(t, b.account("other").Energy, "waits for the DRAM")
	for range 2 {
		b.Finish()
		b.check()
		assert.Equal(t, 50*j, b.account("other").Energy)
		assert.Equal(t, at(6*s), b.account("other").At)
		assert.Equal(t, (7*50+5*10+50)*j, b.account("host").Energy)
	}
}
