package ledger_test

import (
	"cmp"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// view returns p as another sensor shows it, the lower the rank the better.
func view(name string, rank int, p *sensor.Part) *sensor.Part {
	q := *p
	q.Same = p.ID[len("rapl:"):]
	q.ID, q.Sensor, q.Rank = name+":"+q.Same, name, rank
	return &q
}

func perf(p *sensor.Part) *sensor.Part { return view("perf", 0, p) }
func rapl(p *sensor.Part) *sensor.Part { return view("rapl", 1, p) }
func hsmp(p *sensor.Part) *sensor.Part { return view("hsmp", 3, p) }

func TestViews(t *testing.T) {
	for _, c := range []struct {
		name    string
		ticks   int // after the baseline; 0: 10
		sources []source
		want    map[string]want
	}{
		{
			name:    "C33 perf and powercap both show the package: perf counts, though they disagree",
			sources: []source{{part: rapl(pkg(0)), watts: 51}, {part: perf(pkg(0)), watts: 50, skew: 3 * ms}},
			want:    map[string]want{"perf:package-0": part(500), "rapl:package-0": uncounted, "host": host(500)},
		},
		{
			name:    "C33 each package and its DRAM for itself",
			sources: []source{{part: rapl(pkg(0)), watts: 50}, {part: perf(pkg(1)), watts: 60}, {part: rapl(dram(0)), watts: 5}, {part: perf(dram(0)), watts: 5}},
			want: map[string]want{
				"rapl:package-0": part(500), "perf:package-1": part(600), "rapl:package-0/dram": uncounted,
				"perf:package-0/dram": part(50), "host": host(1150),
			},
		},
		{
			name:    "C33 of details one is published",
			sources: []source{{part: rapl(core(0)), watts: 20}, {part: perf(core(0)), watts: 20}},
			want:    map[string]want{"perf:package-0/core": detail(200), "rapl:package-0/core": uncounted},
		},
		{
			// perf from 4 s on; of rapl what was before.
			name:    "C14 a better one that can be read later takes over",
			sources: []source{{part: rapl(pkg(0)), watts: 50}, {part: perf(pkg(0)), watts: 60, first: 4}},
			want:    map[string]want{"rapl:package-0": ended(200), "perf:package-0": part(360), "host": host(560)},
		},
		{
			// rapl's interval (3.5 s, 4.5 s] spans the baseline at 4 s: 25 of 50 J, and 150 before.
			name:    "C14 of the interval that spans it the share before counts",
			sources: []source{{part: rapl(pkg(0)), watts: 50, skew: 500 * ms}, {part: perf(pkg(0)), watts: 60, first: 4}},
			want:    map[string]want{"rapl:package-0": ended(175), "perf:package-0": part(360), "host": host(535)},
		},
		{
			name:    "C14 a worse one that can be read later does not",
			sources: []source{{part: rapl(pkg(0)), watts: 50, first: 4}, {part: perf(pkg(0)), watts: 60}},
			want:    map[string]want{"rapl:package-0": uncounted, "perf:package-0": part(600), "host": host(600)},
		},
		{
			// rapl takes over in tick 41, 31 s after the last of perf.
			name:    "C19 the counted one falls silent",
			ticks:   100,
			sources: []source{{part: rapl(pkg(0)), watts: 50}, {part: perf(pkg(0)), watts: 50, last: 10}},
			want:    map[string]want{"perf:package-0": ended(500), "rapl:package-0": part(2950), "host": host(3450)},
		},
		{
			// Silent for 30 s only: the energy comes with the next reading.
			name:    "C20 the counted one is silent for a while",
			ticks:   100,
			sources: []source{{part: rapl(pkg(0)), watts: 50}, {part: perf(pkg(0)), watts: 50, missing: ticks(11, 40)}},
			want:    map[string]want{"perf:package-0": part(5000), "rapl:package-0": uncounted, "host": host(5000)},
		},
		{
			// rapl from 41 to 61. perf brings 50 s of energy in tick 60, which does not
			// count; its interval (60 s, 61 s] shows that it is back, and it counts from 61 on: 500 + 39·50.
			name:    "C20 the counted one falls silent and returns",
			ticks:   100,
			sources: []source{{part: rapl(pkg(0)), watts: 50}, {part: perf(pkg(0)), watts: 50, missing: ticks(11, 59)}},
			want:    map[string]want{"perf:package-0": part(2450), "rapl:package-0": ended(1000), "host": host(3450)},
		},
		{
			// perf answers each 40 s only: after the first time it is never the counted one again.
			name:    "C20 the better one answers too rarely",
			ticks:   200,
			sources: []source{{part: rapl(pkg(0)), watts: 50}, {part: perf(pkg(0)), watts: 50, missing: notEach(40, 200)}},
			want:    map[string]want{"perf:package-0": uncounted, "rapl:package-0": part(8450), "host": host(8450)},
		},
		{
			name:  "C29 dies that mirror each other, in two sensors: one of four",
			ticks: 100,
			sources: []source{
				{part: rapl(die(0, 0, true)), watts: 50},
				{part: rapl(die(0, 1, true)), watts: 50},
				{part: perf(die(0, 0, true)), watts: 50},
				{part: perf(die(0, 1, true)), watts: 50},
			},
			want: map[string]want{
				"perf:package-0-die-0": part(5000), "perf:package-0-die-1": uncounted,
				"rapl:package-0-die-0": uncounted, "rapl:package-0-die-1": uncounted, "host": host(5000),
			},
		},
		{
			name:  "C29 dies that mirror each other, of which perf shows another than powercap",
			ticks: 100,
			sources: []source{
				{part: rapl(die(0, 0, true)), watts: 50}, {part: rapl(die(0, 1, true)), watts: 50}, {part: perf(die(0, 1, true)), watts: 50},
			},
			want: map[string]want{
				"perf:package-0-die-1": part(5000), "rapl:package-0-die-0": uncounted, "rapl:package-0-die-1": uncounted, "host": host(5000),
			},
		},
		{
			name:  "C28 two distinct dies in two sensors: both of perf",
			ticks: 100,
			sources: []source{
				{part: rapl(die(0, 0, false)), watts: 50},
				{part: rapl(die(0, 1, false)), watts: 60},
				{part: perf(die(0, 0, false)), watts: 50},
				{part: perf(die(0, 1, false)), watts: 60, skew: ms},
			},
			want: map[string]want{
				"perf:package-0-die-0": part(5000), "perf:package-0-die-1": part(6000),
				"rapl:package-0-die-0": uncounted, "rapl:package-0-die-1": uncounted, "host": host(11_000),
			},
		},
		{
			// perf's dies count from 61 on, both, as in the case of one package.
			name:  "C28 perf loses two distinct dies for a while",
			ticks: 100,
			sources: []source{
				{part: rapl(die(0, 0, false)), watts: 50},
				{part: rapl(die(0, 1, false)), watts: 60},
				{part: perf(die(0, 0, false)), watts: 50, missing: ticks(11, 59)},
				{part: perf(die(0, 1, false)), watts: 60, missing: ticks(11, 59)},
			},
			want: map[string]want{
				"perf:package-0-die-0": part(500 + 39*50), "perf:package-0-die-1": part(600 + 39*60),
				"rapl:package-0-die-0": ended(1000), "rapl:package-0-die-1": ended(1200), "host": host(49*110 + 20*110),
			},
		},
		{
			name:  "C29 a sensor that shows the package in one piece",
			ticks: 100,
			sources: []source{
				{part: hsmp(pkg(0)), watts: 110, gauge: true},
				{part: rapl(die(0, 0, false)), watts: 50},
				{part: rapl(die(0, 1, false)), watts: 60},
			},
			want: map[string]want{
				"rapl:package-0-die-0": part(5000), "rapl:package-0-die-1": part(6000), "hsmp:package-0": uncounted, "host": host(11_000),
			},
		},
		{
			// The same sensor shows a GPU twice.
			name: "one name twice in one sensor",
			sources: []source{
				{part: view("hwmon", 0, pkg(0)), watts: 50}, {part: func() *sensor.Part { p := view("hwmon", 0, pkg(0)); p.ID += "b"; return p }(), watts: 60},
			},
			want: map[string]want{"hwmon:package-0": part(500), "hwmon:package-0b": uncounted, "host": host(500)},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t, ledger.Config{})
			b.run(0, cmp.Or(c.ticks, 10), c.sources...)
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
		})
	}
}

// notEach returns the ticks up to last that are no multiple of n.
func notEach(n, last int) []int {
	var all []int
	for i := range last + 1 {
		if i%n != 0 {
			all = append(all, i)
		}
	}
	return all
}

func TestReplacedViewIsAGap(t *testing.T) {
	b := open(t, ledger.Config{})
	b.run(0, 100, source{part: perf(pkg(0)), watts: 50, last: 10}, source{part: rapl(pkg(0)), watts: 50})
	a := b.account("rapl:package-0")
	assert.Equal(t, uint64(1), a.Stats.Gaps)
	assert.Equal(t, 31*s, a.Stats.GapTime)
	assert.Equal(t, at(41*s), a.Start)
	assert.False(t, a.Stats.Standby)
	a = b.account("perf:package-0")
	assert.True(t, a.Stats.Standby)
	assert.Equal(t, at(10*s), a.At)
}

// A package of a power that changes is shown by three sensors that fail for any
// time, together or alone, and are read at moments of their own: what is counted
// is never more than what was drawn. Only the share of an interval that spans a
// baseline is a guess.
func TestPropertyViewsAreNeverCountedTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := open(t, ledger.Config{})
		together := rapid.Bool().Draw(t, "together") // all begin in the first tick: nothing is guessed
		dies := rapid.Bool().Draw(t, "dies")         // mirrored, in two of the sensors
		parts := [][]*sensor.Part{{perf(pkg(0))}, {rapl(pkg(0))}, {hsmp(pkg(0))}}
		if dies {
			parts[0] = []*sensor.Part{perf(die(0, 0, true)), perf(die(0, 1, true))}
			parts[1] = []*sensor.Part{rapl(die(0, 0, true)), rapl(die(0, 1, true))}
		}
		silent := make([]int, len(parts)) // ticks to come
		for i := range silent {
			if !together {
				silent[i] = rapid.SampledFrom([]int{0, 0, 3, 50}).Draw(t, fmt.Sprint("first silence ", i))
			}
		}
		var truth float64 // J
		first, guess := -1.0, 0.0
		begun := make([]bool, len(parts))
		for tick := range rapid.IntRange(1, 300).Draw(t, "ticks") {
			watts := float64(rapid.SampledFrom([]int{0, 10, 300}).Draw(t, "watts"))
			var rs []sensor.Reading
			for i, view := range parts {
				if silent[i] > 0 {
					silent[i]--
					continue
				}
				silent[i] = rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 29, 31, 70}).Draw(t, "silence")
				if !begun[i] && !together && first >= 0 {
					guess += 300 * 72
				}
				begun[i] = true
				for k, p := range view {
					skew := float64(i*2+k) / 1000
					if first < 0 {
						first = truth + watts*skew
					}
					rs = append(rs, sensor.Reading{
						Part: p, At: at(time.Duration(tick)*s + time.Duration(i*2+k)*ms),
						Energy: unit.FromJoules(truth + watts*skew),
					})
				}
			}
			b.book(rs...)
			truth += watts
			if first >= 0 && b.account("host").Energy.Joules() > truth-first+guess+1e-3 {
				t.Fatalf("tick %d: host %g J, truth %g J", tick, b.account("host").Energy.Joules(), truth-first)
			}
		}
	})
}

// 100 W for 10 s. The better view's baseline of 2.5 s is delivered in tick 6, when the
// spare has booked six seconds already: it takes over from a later reading, and the
// host has 1000 J.
func TestABetterViewThatComesLateTakesNothingTwice(t *testing.T) {
	b := open(t, ledger.Config{})
	view := func(id string, rank int) *sensor.Part {
		return &sensor.Part{ID: id + ":x", Name: "x", Type: "gpu", Sensor: id, Method: sensor.Measured, Same: "gpu/x", Rank: rank, Socket: -1, Die: -1}
	}
	good, spare := view("nvml", 0), view("nvidia_smi", 1)
	at := func(p *sensor.Part, seconds float64) sensor.Reading {
		return sensor.Reading{Part: p, At: epoch.Add(time.Duration(seconds * 1e9)), Energy: unit.FromJoules(1000 + 100*seconds)}
	}
	for tick := range 11 {
		rs := []sensor.Reading{at(spare, float64(tick))}
		switch {
		case tick == 6:
			rs = append(rs, at(good, 2.5))
		case tick > 6:
			rs = append(rs, at(good, float64(tick)))
		}
		b.book(rs...)
	}
	assert.Equal(t, 1000*j, b.account("host").Energy)
}
