package ledger_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

func at(d time.Duration) time.Time { return epoch.Add(d) }

func TestAccountsOfAMachine(t *testing.T) {
	b := open(t, ledger.Config{})
	p := pkg(0)
	b.run(3, 13, source{part: p, watts: 50}, source{part: dram(0), watts: 5, first: 5, last: 8})

	a := b.account("rapl:package-0")
	assert.Same(t, p, a.Part)
	assert.Equal(t, at(3*s), a.Start, "C9 counts from the baseline")
	assert.Equal(t, at(13*s), a.At)
	assert.Equal(t, 500*j, a.Energy)

	a = b.account("rapl:package-0/dram")
	assert.Equal(t, at(5*s), a.Start)
	assert.Equal(t, at(8*s), a.At, "silent since")
	assert.True(t, a.Live)
	assert.Equal(t, 15*j, a.Energy)

	a = b.account("host")
	assert.Nil(t, a.Part)
	assert.Equal(t, at(3*s), a.Start)
	assert.Equal(t, at(13*s), a.At)
	assert.Equal(t, ledger.HostAccount, a.Kind)
}

func TestNothingBookedIsNoAccount(t *testing.T) {
	b := open(t, ledger.Config{})
	b.book()
	b.book(sensor.Reading{Part: pkg(0), At: epoch, Energy: 200 * j, Max: 100 * j}) // above max: not even a baseline
	for a := range b.Accounts {
		t.Errorf("account %+v", a)
	}
}

func TestAccountsCanBeLeftEarly(t *testing.T) {
	b := open(t, ledger.Config{})
	b.run(0, 1, source{part: pkg(0), watts: 50}, source{part: pkg(1), watts: 50})
	n := 0
	for range b.Accounts {
		if n++; n == 2 {
			break
		}
	}
	assert.Equal(t, 2, n)
}

func TestStatsOfAPart(t *testing.T) {
	b := open(t, ledger.Config{})
	p := &scripted{part: pkg(0), raw: intelMax - 300*j} // 61 µJ below the modulus
	b.book(p.read(0, 0)...)
	p.raw = 0
	b.book(p.read(1, 0)...) // wrap
	b.book(p.read(2, 300)...)
	p.raw = 200 * j
	b.book(p.read(3, 0)...) // 100 J back: correction
	p.raw = 150_000 * j
	b.book(p.read(4, 0)...)  // held
	b.book(p.read(5, 10)...) // … and confirmed: reset with a gap of 1 s
	b.book(p.read(5, 10)...) // of the same moment
	p.raw = intelMax
	b.book(p.read(6, 1)...) // above max
	p.raw = 150_010 * j
	b.book(p.read(900, 0)...) // 895 s without an accepted read, longer than a lap of 262 s
	assert.Equal(t, ledger.Stats{
		Wraps: 1, Resets: 1, Suspects: 1, Corrections: 1, Gaps: 2, GapTime: 896 * s, OverRange: 1, Untimely: 1,
	}, b.account("rapl:package-0").Stats)
}

func TestC19PartFoundAgainByARescanGoesOn(t *testing.T) {
	b := open(t, ledger.Config{})
	first := pkg(0)
	b.run(0, 5, source{part: first, watts: 50})
	for tick := 6; tick <= 100; tick++ { // a new pointer each time
		again := pkg(0)
		again.Name, again.Socket = "renumbered", 7
		b.run(tick, tick, source{part: again, watts: 50})
	}
	b.run(101, 110, source{part: first, watts: 50})
	a := b.account("rapl:package-0")
	assert.Equal(t, 5500*j, a.Energy)
	assert.Same(t, first, a.Part, "a series keeps its attributes")
	assert.Zero(t, b.Counters())
}

func TestReadingsThatDoNotCount(t *testing.T) {
	good := sensor.Reading{Part: pkg(0), At: at(s), Energy: 50 * j}
	with := func(change func(*sensor.Part)) sensor.Reading {
		r := good
		r.Part = pkg(0)
		change(r.Part)
		return r
	}
	for _, c := range []struct {
		name    string
		reading sensor.Reading
		want    ledger.Counters
	}{
		{"no part", sensor.Reading{At: at(s), Energy: j}, ledger.Counters{Refused: 1}},
		{"no moment", sensor.Reading{Part: pkg(0), Energy: j}, ledger.Counters{Refused: 1}},
		{"no kind", sensor.Reading{Part: pkg(0), At: at(s), Kind: 7}, ledger.Counters{Refused: 1}},
		{"no id", with(func(p *sensor.Part) { p.ID = "" }), ledger.Counters{Refused: 1}},
		{"endless id", with(func(p *sensor.Part) { p.ID = strings.Repeat("x", 1<<20) }), ledger.Counters{Refused: 1}},
		{"the id of the remainder", with(func(p *sensor.Part) { p.ID = "other" }), ledger.Counters{Refused: 1}},
		{"another role", with(func(p *sensor.Part) { p.Role = sensor.Breakdown }), ledger.Counters{Conflicts: 1}},
		{"another type", with(func(p *sensor.Part) { p.Type = "gpu" }), ledger.Counters{Conflicts: 1}},
		{"another method", with(func(p *sensor.Part) { p.Method = sensor.Modelled }), ledger.Counters{Conflicts: 1}},
		{"a gauge where a counter was", sensor.Reading{Part: pkg(0), At: at(s), Kind: sensor.Gauge, Power: unit.Watt}, ledger.Counters{Conflicts: 1}},
		{"twice in one tick, by another pointer", with(func(*sensor.Part) {}), ledger.Counters{Duplicates: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t, ledger.Config{})
			p := pkg(0)
			b.book(sensor.Reading{Part: p, At: epoch})
			b.book(sensor.Reading{Part: p, At: at(s), Energy: 50 * j}, c.reading)
			b.book(sensor.Reading{Part: p, At: at(2 * s), Energy: 100 * j})
			assert.Equal(t, c.want, b.Counters())
			assert.Equal(t, 100*j, b.account("host").Energy)
			assert.Equal(t, 100*j, b.account("rapl:package-0").Energy)
		})
	}
}

func TestNumberOfPartsIsBounded(t *testing.T) {
	b := open(t, ledger.Config{})
	var rs []sensor.Reading
	for i := range ledger.MaxParts + 1000 {
		p := pkg(0)
		p.ID = strings.Repeat("z", 1+i%50) + string(rune('A'+i/50%26)) + string(rune('a'+i/1300%26))
		rs = append(rs, sensor.Reading{Part: p, At: epoch})
	}
	for k := range 3 {
		for i := range rs {
			rs[i].At, rs[i].Energy = at(time.Duration(k)*s), unit.Microjoules(k)*j
		}
		b.book(rs...)
	}
	assert.Equal(t, uint64(3000), b.Counters().Refused)
	assert.Equal(t, 2*ledger.MaxParts*j, b.account("host").Energy)
}

func TestHostDoesNotOverflow(t *testing.T) {
	b := open(t, ledger.Config{MaxGap: math.MaxInt64})
	a, c := gpu(), gpu()
	c.ID = "hwmon:gpu-2"
	const year = 365 * 24 * time.Hour
	for i := range 3 { // 1 MW for a century: 3.2 PJ, more than fits
		b.book(
			sensor.Reading{Part: a, At: at(time.Duration(i) * 100 * year), Kind: sensor.Gauge, Power: 1_000_000 * unit.Watt},
			sensor.Reading{Part: c, At: at(time.Duration(i) * 100 * year), Kind: sensor.Gauge, Power: 1_000_000 * unit.Watt},
		)
	}
	assert.Equal(t, uint64(3), b.Counters().Overflows) // the first fills the books
	assert.Equal(t, unit.Microjoules(math.MaxUint64), b.account("host").Energy)
}

func TestGaugeGapIsTheConfigured(t *testing.T) {
	b := open(t, ledger.Config{MaxGap: 3 * s})
	b.run(0, 10, source{part: gpu(), watts: 30, gauge: true, missing: []int{3, 4, 7, 8, 9}})
	a := b.account("hwmon:gpu")
	// Over 3 s from 2 to 5 it is bridged, over 4 s from 6 to 10 not: 6 · 30 J.
	assert.Equal(t, 180*j, a.Energy)
	assert.Equal(t, uint64(1), a.Stats.Gaps)
	assert.Equal(t, 4*s, a.Stats.GapTime)
}

func TestKindsHaveNames(t *testing.T) {
	for k, want := range map[ledger.AccountKind]string{
		ledger.PartAccount: "part", ledger.HostAccount: "host", ledger.DetailAccount: "detail", ledger.UncountedAccount: "uncounted",
	} {
		assert.Equal(t, want, k.String())
	}
}

// fourZones is a machine as most are: package, core, DRAM, psys.
func fourZones(l *ledger.Ledger) func() {
	parts := []*sensor.Part{pkg(0), core(0), dram(0), psys()}
	watts := []uint64{50, 20, 5, 80}
	rs := make([]sensor.Reading, len(parts))
	now := epoch
	tick := func() {
		now = now.Add(s)
		for i, p := range parts {
			e := (rs[i].Energy + unit.Microjoules(watts[i])*j) % intelMax
			rs[i] = sensor.Reading{Part: p, At: now.Add(time.Duration(i) * time.Microsecond), Energy: e, Max: intelMax}
		}
		l.Book(rs)
	}
	for range 10 {
		tick()
	}
	return tick
}

func TestBookAllocatesNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		tick func(*ledger.Ledger) func()
	}{
		{"four zones with a trusted envelope", fourZones},
		{"mirrored dies, a model and a gauge", func(l *ledger.Ledger) func() {
			sources := []source{
				{part: die(0, 0, true), watts: 50},
				{part: die(0, 1, true), watts: 50},
				{part: model("cpu"), watts: 9},
				{part: model("memory"), watts: 9},
				{part: gpu(), watts: 30, gauge: true},
			}
			rs := make([]sensor.Reading, len(sources))
			n := 0
			return func() {
				for i, c := range sources {
					rs[i], _ = c.read(n)
				}
				n++
				l.Book(rs)
			}
		}},
		{"two sensors that take turns and two envelopes, calibrated", func(l *ledger.Ledger) func() {
			all := []source{
				{part: perf(pkg(0)), watts: 50},
				{part: rapl(pkg(0)), watts: 50},
				{part: rapl(die(1, 0, true)), watts: 50},
				{part: rapl(die(1, 1, true)), watts: 50},
				{part: covering(gpu(), "memory"), watts: 30, gauge: true},
				{part: psys(), watts: 300},
				{part: whole("bmc", 0), watts: 400},
			}
			rs := make([]sensor.Reading, len(all))
			n := 0
			return func() {
				got := rs[:0]
				for i, c := range all {
					if r, ok := c.read(n); ok && (i > 0 || n%100 < 60) && (i < 6 || n%200 < 150) {
						got = append(got, r)
					}
				}
				n++
				l.Book(got)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := ledger.New(ledger.Config{Calibration: ledger.Calibration{Offset: unit.Watt}})
			tick := c.tick(l)
			tick()
			assert.Zero(t, testing.AllocsPerRun(500, tick), "Book")
			var sum unit.Microjoules
			assert.Zero(t, testing.AllocsPerRun(100, func() {
				for a := range l.Accounts {
					sum += a.Energy
				}
			}), "Accounts")
			require.NotZero(t, sum)
		})
	}
}

func BenchmarkBookFourZones(b *testing.B) {
	tick := fourZones(ledger.New(ledger.Config{}))
	b.ReportAllocs()
	for b.Loop() {
		tick()
	}
}

func BenchmarkBook300Parts(b *testing.B) {
	l := ledger.New(ledger.Config{})
	rs := make([]sensor.Reading, 300)
	for i := range rs {
		p := gpu()
		p.ID = "gpu-" + string(rune('a'+i/20)) + string(rune('a'+i%20))
		rs[i].Part = p
	}
	now := epoch
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(s)
		for i := range rs {
			rs[i].At, rs[i].Energy = now, rs[i].Energy+100*j
		}
		l.Book(rs)
	}
}

func BenchmarkAccounts(b *testing.B) {
	l := ledger.New(ledger.Config{})
	fourZones(l)
	b.ReportAllocs()
	for b.Loop() {
		var sum unit.Microjoules
		for a := range l.Accounts {
			sum += a.Energy
		}
		if sum == 0 {
			b.Fatal("nothing booked")
		}
	}
}
