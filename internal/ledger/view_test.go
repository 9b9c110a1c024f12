package ledger_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
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
			// rapl takes over in tick 41, 31 s after the last of perf, with what it saw since: 90·50.
			name:    "C19 the counted one falls silent",
			ticks:   100,
			sources: []source{{part: rapl(pkg(0)), watts: 50}, {part: perf(pkg(0)), watts: 50, last: 10}},
			want:    map[string]want{"perf:package-0": ended(500), "rapl:package-0": part(4500), "host": host(5000)},
		},
		{
			// rapl's interval (9.5 s, 10.5 s] spans the last of perf at 10 s: 25 of its 50 J. The last
			// is read at 100.5 s.
			name:    "C19 of the interval that spans the last reading the share after it counts",
			ticks:   100,
			sources: []source{{part: rapl(pkg(0)), watts: 50, skew: 500 * ms}, {part: perf(pkg(0)), watts: 60, last: 10}},
			want:    map[string]want{"perf:package-0": ended(600), "rapl:package-0": part(4525), "host": host(5125)},
		},
		{
			// rapl is silent from 5 to 60. Of its interval (4 s, 61 s] 51 s lie after the last of perf.
			name:    "C19 the other is silent meanwhile and brings the energy later",
			ticks:   100,
			sources: []source{{part: rapl(pkg(0)), watts: 50, missing: ticks(5, 60)}, {part: perf(pkg(0)), watts: 50, last: 10}},
			want:    map[string]want{"perf:package-0": ended(500), "rapl:package-0": part(4500), "host": host(5000)},
		},
		{
			// rapl takes over in tick 41 and counts until 61; perf until 80; rapl takes over again in
			// tick 111. It is silent from 45 on: (44 s, 111 s] holds 17 s until 61, and 31 s after 80.
			name:  "C19 the other owes something from when it was counted before",
			ticks: 120,
			sources: []source{
				{part: rapl(pkg(0)), watts: 50, missing: ticks(45, 110)},
				{part: perf(pkg(0)), watts: 50, last: 80, missing: ticks(11, 59)},
			},
			want: map[string]want{"perf:package-0": ended(500 + 19*50), "rapl:package-0": part(51*50 + 40*50), "host": host(6000)},
		},
		{
			// rapl from 10 to 30; hsmp, which has a worse rank, from 30 on.
			name:    "C19 one after the other falls silent",
			ticks:   100,
			sources: []source{{part: hsmp(pkg(0)), watts: 50, gauge: true}, {part: rapl(pkg(0)), watts: 50, last: 60}, {part: perf(pkg(0)), watts: 50, last: 10}},
			want: map[string]want{
				"perf:package-0": ended(500), "rapl:package-0": ended(2500), "hsmp:package-0": part(2000), "host": host(5000),
			},
		},
		{
			// rapl counts from 10 on. In tick 41 only die 1 is read; what die 0 saw since is
			// counted in tick 42.
			name:  "C19 C28 a die that is not read in the tick in which its sensor takes over",
			ticks: 100,
			sources: []source{
				{part: rapl(die(0, 0, false)), watts: 50, missing: ticks(41, 41)},
				{part: rapl(die(0, 1, false)), watts: 60},
				{part: perf(die(0, 0, false)), watts: 50, last: 10},
				{part: perf(die(0, 1, false)), watts: 60, last: 10},
			},
			want: map[string]want{
				"perf:package-0-die-0": ended(500), "perf:package-0-die-1": ended(600),
				"rapl:package-0-die-0": part(4500), "rapl:package-0-die-1": part(5400), "host": host(11_000),
			},
		},
		{
			name:  "C19 C29 of dies that mirror each other one is counted from where the other sensor ended",
			ticks: 100,
			sources: []source{
				{part: rapl(die(0, 0, true)), watts: 50},
				{part: rapl(die(0, 1, true)), watts: 50},
				{part: perf(die(0, 0, true)), watts: 50, last: 10},
				{part: perf(die(0, 1, true)), watts: 50, last: 10},
			},
			want: map[string]want{
				"perf:package-0-die-0": ended(500), "perf:package-0-die-1": uncounted,
				"rapl:package-0-die-0": part(4500), "rapl:package-0-die-1": uncounted, "host": host(5000),
			},
		},
		{
			// Silent for 30 s only: the energy comes with the next reading.
			name:    "C20 the counted one is silent for a while",
			ticks:   100,
			sources: []source{{part: rapl(pkg(0)), watts: 50}, {part: perf(pkg(0)), watts: 50, missing: ticks(11, 40)}},
			want:    map[string]want{"perf:package-0": part(5000), "rapl:package-0": uncounted, "host": host(5000)},
		},
		{
			// rapl from 10 to 61. perf brings 50 s of energy in tick 60, which does not
			// count; its interval (60 s, 61 s] shows that it is back, and it counts from 61 on: 500 + 39·50.
			name:    "C20 the counted one falls silent and returns",
			ticks:   100,
			sources: []source{{part: rapl(pkg(0)), watts: 50}, {part: perf(pkg(0)), watts: 50, missing: ticks(11, 59)}},
			want:    map[string]want{"perf:package-0": part(2450), "rapl:package-0": ended(2550), "host": host(5000)},
		},
		{
			// perf answers each 40 s only: after the first time it is never the counted one again.
			name:    "C20 the better one answers too rarely",
			ticks:   200,
			sources: []source{{part: rapl(pkg(0)), watts: 50}, {part: perf(pkg(0)), watts: 50, missing: notEach(40, 200)}},
			want:    map[string]want{"perf:package-0": uncounted, "rapl:package-0": part(10_000), "host": host(10_000)},
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
				"rapl:package-0-die-0": ended(51 * 50), "rapl:package-0-die-1": ended(51 * 60), "host": host(100 * 110),
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

func TestReplacedViewIsNoGapIfTheOtherWasRead(t *testing.T) {
	b := open(t, ledger.Config{})
	b.run(0, 100, source{part: perf(pkg(0)), watts: 50, last: 10}, source{part: rapl(pkg(0)), watts: 50})
	a := b.account("rapl:package-0")
	assert.Zero(t, a.Stats.Gaps)
	assert.Equal(t, at(10*s), a.Start)
	assert.False(t, a.Stats.Standby)
	a = b.account("perf:package-0")
	assert.True(t, a.Stats.Standby)
	assert.Equal(t, at(10*s), a.At)
}

// rapl has its baseline at 20 s only: 10 s since the last of perf are unknown, and
// 80·50 J are counted.
func TestReplacedViewIsAGap(t *testing.T) {
	b := open(t, ledger.Config{})
	b.run(0, 100, source{part: perf(pkg(0)), watts: 50, last: 10}, source{part: rapl(pkg(0)), watts: 50, first: 20})
	a := b.account("rapl:package-0")
	assert.Equal(t, uint64(1), a.Stats.Gaps)
	assert.Equal(t, 10*s, a.Stats.GapTime)
	assert.Equal(t, at(20*s), a.Start)
	assert.Equal(t, 4000*j, a.Energy)
	assert.False(t, a.Stats.Standby)
	a = b.account("perf:package-0")
	assert.True(t, a.Stats.Standby)
	assert.Equal(t, at(10*s), a.At)
}

// hsmp holds the memory too, which the model has told until hsmp is counted, in tick
// 41: before that it counts nothing, for the memory would count twice.
func TestReplacedViewIsAGapWhereAModelToldAShareOfIt(t *testing.T) {
	b := open(t, ledger.Config{})
	b.run(0, 50, source{part: perf(pkg(0)), watts: 50, last: 10}, source{part: covering(hsmp(pkg(0)), "memory"), watts: 60}, source{part: model("memory"), watts: 5})
	a := b.account("hsmp:package-0")
	assert.Equal(t, 31*s, a.Stats.GapTime)
	assert.Equal(t, at(41*s), a.Start)
	assert.Equal(t, 9*60*j, a.Energy)
}

// What a calibration adds is for all the time that the other brings: 100·10 J.
func TestACalibrationCoversWhatAReplacedViewMissed(t *testing.T) {
	b := open(t, ledger.Config{Calibration: ledger.Calibration{Offset: 10 * unit.Watt}})
	b.run(0, 100, source{part: perf(pkg(0)), watts: 50, last: 10}, source{part: rapl(pkg(0)), watts: 50})
	assert.Equal(t, 1000*j, b.account("other").Energy)
}

// A package of a power that changes is shown by three sensors that fail for any
// time, together or alone, and are read at moments of their own: what is counted
// is never more than what was drawn. Only the share of an interval that spans a
// baseline, or the moment from which another counts, is a guess.
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
		read := make([][]int, len(parts)) // ticks
		counted := 0                      // after the first tick, if all begin in it
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
				read[i] = append(read[i], tick)
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
			if now := countedOf(b, parts); now != counted {
				guess += 300 * guessed(read, counted, now, tick)
				counted = now
			}
			if first >= 0 && b.account("host").Energy.Joules() > truth-first+guess+1e-3 {
				t.Fatalf("tick %d: host %g J, truth %g J", tick, b.account("host").Energy.Joules(), truth-first)
			}
		}
	})
}

// countedOf returns which of the views is counted, or the first if none is.
func countedOf(b *books, views [][]*sensor.Part) int {
	for i, v := range views {
		for a := range b.Accounts {
			if a.Part == v[0] && !a.Stats.Standby {
				return i
			}
		}
	}
	return 0
}

// guessed returns for how long at most an interval lasts of which a share is taken
// when a view replaces an old one in a tick: the new one's around the last reading of
// the old, or, where the old was silent for a while only, its own around this tick.
func guessed(read [][]int, old, now, tick int) float64 {
	const readAt = 0.01 // in a tick, at the latest
	if len(read[old]) == 0 {
		return 0
	}
	last := read[old][len(read[old])-1]
	longest := 0
	for i := 1; i < len(read[now]); i++ {
		if from, to := read[now][i-1], read[now][i]; from <= last && last <= to {
			longest = max(longest, to-from)
		}
	}
	if now < old && last < tick {
		longest = 72
	}
	if longest > 1 {
		return float64(longest)
	}
	return readAt
}

// A package of a power that changes: perf fails for any time, rapl is read in every
// tick. Whichever is counted, as often as it changes: all that was drawn is in the
// host, and no more. Only where in a tick one takes over is a guess: the two are read
// up to 4 ms apart.
func TestPropertyNothingIsLostWhileTheOtherViewIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := open(t, ledger.Config{})
		views := [][]*sensor.Part{{perf(pkg(0))}, {rapl(pkg(0))}}
		skews := rapid.Permutation([]time.Duration{0, 4 * ms}).Draw(t, "skews")
		var truth, first, guess float64 // J
		silent, counted := 0, 0         // ticks to come of perf; what is counted
		for tick := range rapid.IntRange(1, 300).Draw(t, "ticks") {
			watts := float64(rapid.SampledFrom([]int{0, 10, 300}).Draw(t, "watts"))
			var rs []sensor.Reading
			for i, view := range views {
				if i == 0 {
					if silent > 0 {
						silent--
						continue
					}
					silent = rapid.SampledFrom([]int{0, 0, 0, 0, 2, 29, 31, 70}).Draw(t, "silence")
				}
				rs = append(rs, sensor.Reading{
					Part: view[0], At: at(time.Duration(tick)*s + skews[i]), Energy: unit.FromJoules(truth + watts*skews[i].Seconds()),
				})
			}
			b.book(rs...)
			if tick == 0 {
				first = rs[0].Energy.Joules()
			}
			if now := countedOf(b, views); now != counted {
				counted = now
				guess += 300 * 0.008
			}
			if counted == 1 || len(rs) == 2 { // else it comes with the next reading
				drawn := truth + watts*skews[counted].Seconds() - first
				if got := b.account("host").Energy.Joules(); math.Abs(got-drawn) > guess+1e-3 {
					t.Fatalf("tick %d: host %g J, truth %g J", tick, got, drawn)
				}
			}
			truth += watts
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

// A package of 10 W, and of 300 W from 200 s on, when perf falls silent; psys shows 1 W
// more and is read 1 ms later. In tick 230 it no longer waits for perf, and the 30·301 J
// that the others do not explain are the remainder's. rapl takes over in tick 231, with
// 31·300 J: that they come late is no reason to demote psys, of which 30 s are less.
func TestWhatAViewBringsWhenItTakesOverIsLate(t *testing.T) {
	b := open(t, ledger.Config{})
	burst := func(watts, above uint64) func(time.Duration) unit.Microjoules {
		return func(d time.Duration) unit.Microjoules {
			return (unit.Microwatts(watts) * unit.Watt).Over(d) + (unit.Microwatts(above) * unit.Watt).Over(max(0, d-200*s))
		}
	}
	sources := []source{
		{part: rapl(pkg(0)), energy: burst(10, 290)},
		{part: perf(pkg(0)), energy: burst(10, 290), last: 200},
		{part: psys(), energy: func(d time.Duration) unit.Microjoules { return burst(11, 290)(d - ms) }, skew: ms},
	}
	b.run(0, 230, sources...)
	assert.Equal(t, (195+30*301)*j, b.account("other").Energy) // trusted in tick 5
	b.run(231, 240, sources...)
	assert.True(t, b.account("other").Live)
	assert.Equal(t, (195+30*301)*j, b.account("other").Energy)
	assert.Equal(t, (2000+40*300)*j, b.account("perf:package-0").Energy+b.account("rapl:package-0").Energy)
}

// perf is silent in 11 … 60 and 201 … 260, and a gauge of the same is read in 41 … 70 and
// 231 … 270 only: it takes over in 41 and in 231, 31 s after the last of perf, and gives way
// in 62 and 262, when perf has an interval without a backlog. In 71 … 200 perf is counted: of
// that time nothing is unknown. 21 and 31 s of 50 W are the gauge's.
func TestTheGapOfASpareIsTheTimeInWhichNothingWasCounted(t *testing.T) {
	b := open(t, ledger.Config{MaxGap: 3 * s})
	spare := source{part: hsmp(pkg(0)), watts: 50, gauge: true}
	spare.missing = slices.Concat(ticks(0, 40), ticks(71, 230), ticks(271, 300))
	b.run(0, 300, source{part: perf(pkg(0)), watts: 50, missing: slices.Concat(ticks(11, 60), ticks(201, 260))}, spare)
	a := b.account("hsmp:package-0")
	assert.Equal(t, 52*50*j, a.Energy)
	assert.Equal(t, uint64(2), a.Stats.Gaps)
	assert.Equal(t, 62*s, a.Stats.GapTime)
	assert.Equal(t, (300-62)*50*j, b.account("host").Energy)
}
