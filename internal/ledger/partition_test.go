package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// want is what an account shows in the end; energy in J.
type want struct {
	kind   ledger.AccountKind
	joules uint64
	live   bool
}

func part(joules uint64) want   { return want{ledger.PartAccount, joules, true} }
func ended(joules uint64) want  { return want{ledger.PartAccount, joules, false} }
func detail(joules uint64) want { return want{ledger.DetailAccount, joules, true} }
func host(joules uint64) want   { return want{ledger.HostAccount, joules, true} }

var uncounted = want{ledger.UncountedAccount, 0, false}

func TestPartition(t *testing.T) {
	for _, c := range []struct {
		name    string
		config  ledger.Config
		ticks   int // after the baseline; 0: 10
		sources []source
		want    map[string]want
	}{
		{
			name:    "C25 the same package twice in one tick counts once",
			sources: []source{{part: pkg(0), watts: 50}, {part: pkg(0), watts: 50, skew: ms}},
			want:    map[string]want{"rapl:package-0": part(500), "host": host(500)},
		},
		{
			name:    "C26 only one view of the package",
			sources: []source{{part: pkg(0), watts: 50}},
			want:    map[string]want{"rapl:package-0": part(500), "host": host(500)},
		},
		{
			name:    "C27 two sockets whose ids are not contiguous",
			sources: []source{{part: pkg(0), watts: 50}, {part: pkg(3), watts: 60}, {part: dram(0), watts: 5}, {part: dram(3), watts: 7}},
			want: map[string]want{
				"rapl:package-0": part(500), "rapl:package-3": part(600),
				"rapl:package-0/dram": part(50), "rapl:package-3/dram": part(70), "host": host(1220),
			},
		},
		{
			name:    "C27 psys of two sockets is that of the first: a detail",
			ticks:   50,
			sources: []source{{part: pkg(0), watts: 50}, {part: pkg(1), watts: 60}, {part: psys(), watts: 200}},
			want: map[string]want{
				"rapl:package-0": part(2500), "rapl:package-1": part(3000),
				"rapl:psys": detail(10_000), "host": host(5500),
			},
		},
		{
			name:    "C28 two Intel dies are distinct",
			sources: []source{{part: die(0, 0, false), watts: 40}, {part: die(0, 1, false), watts: 40}},
			want:    map[string]want{"rapl:package-0-die-0": part(400), "rapl:package-0-die-1": part(400), "host": host(800)},
		},
		{
			name:  "C29 AMD dies that show the same: the lowest counts, in each socket",
			ticks: 2000,
			sources: []source{
				{part: die(0, 1, true), watts: 100},
				{part: die(0, 0, true), watts: 100},
				{part: die(1, 0, true), watts: 70},
				{part: die(1, 1, true), watts: 70},
			},
			want: map[string]want{
				"rapl:package-0-die-0": part(200_000), "rapl:package-0-die-1": uncounted,
				"rapl:package-1-die-0": part(140_000), "rapl:package-1-die-1": uncounted, "host": host(340_000),
			},
		},
		{
			// 100 W in even and 300 W in odd seconds; read 5 ms after each other.
			name:  "C29 AMD dies that show the same a few ms later",
			ticks: 2000,
			sources: []source{
				{part: die(0, 0, true), energy: seesaw}, {part: die(0, 1, true), energy: seesaw, skew: 5 * ms},
			},
			want: map[string]want{"rapl:package-0-die-0": part(400_000), "rapl:package-0-die-1": uncounted, "host": host(400_000)},
		},
		{
			// Both glitch as a 7840HS does, each in its own ticks. Tick 4999 pays what
			// is left of the last debt.
			name:  "C29 AMD mirrors that glitch by 700 J stay mirrors",
			ticks: 4999,
			sources: []source{
				{part: die(0, 0, true), watts: 100, glitch: upEvery(10, 0)}, {part: die(0, 1, true), watts: 100, glitch: upEvery(10, 5)},
			},
			want: map[string]want{"rapl:package-0-die-0": part(499_900), "rapl:package-0-die-1": uncounted, "host": host(499_900)},
		},
		{
			// One read in 60 s comes 400 ms late for its time stamp: 120 J of 300 W.
			name:  "C29 AMD mirrors whose reads are interrupted stay mirrors",
			ticks: 5000,
			sources: []source{
				{part: die(0, 0, true), watts: 300},
				{part: die(0, 1, true), energy: func(t time.Duration) unit.Microjoules {
					if t%(60*s) == 0 {
						t += 400 * ms
					}
					return (300 * unit.Watt).Over(t)
				}},
			},
			want: map[string]want{"rapl:package-0-die-0": part(1_500_000), "rapl:package-0-die-1": uncounted, "host": host(1_500_000)},
		},
		{
			// They differ by 40 J a tick, and two reads 100 ms apart of 1 kW by 126 J. Window
			// from tick 1: beyond 126 J in the 4th to 8th tick of it. Three windows
			// of 8 end in tick 25; then 5 ticks of 60 J.
			name:    "C29 AMD dies that turn out distinct count from then on",
			ticks:   30,
			sources: []source{{part: die(0, 0, true), watts: 100}, {part: die(0, 1, true), watts: 60}},
			want:    map[string]want{"rapl:package-0-die-0": part(3000), "rapl:package-0-die-1": part(300), "host": host(3300)},
		},
		{
			// 1 J a tick: windows of 131 ticks, 1 + 3·131 = 394, then 6 ticks of 99 J.
			name:    "C29 AMD dies that differ by a hundredth",
			ticks:   400,
			sources: []source{{part: die(0, 0, true), watts: 100}, {part: die(0, 1, true), watts: 99}},
			want:    map[string]want{"rapl:package-0-die-0": part(40_000), "rapl:package-0-die-1": part(594), "host": host(40_594)},
		},
		{
			// Die 0 goes offline after tick 100. At 131 it has been silent for 31 s; from there on die 1.
			name:    "C29 the counted mirror goes offline",
			ticks:   200,
			sources: []source{{part: die(0, 0, true), watts: 100, last: 100}, {part: die(0, 1, true), watts: 100}},
			want:    map[string]want{"rapl:package-0-die-0": ended(10_000), "rapl:package-0-die-1": part(6900), "host": host(16_900)},
		},
		{
			// The energy that it brings when it is back, from tick 100 on, is counted already.
			name:    "C29 the counted mirror goes offline and returns",
			ticks:   200,
			sources: []source{{part: die(0, 0, true), watts: 100, missing: ticks(101, 150)}, {part: die(0, 1, true), watts: 100}},
			want:    map[string]want{"rapl:package-0-die-0": ended(10_000), "rapl:package-0-die-1": part(6900), "host": host(16_900)},
		},
		{
			name:    "C30 psys missing",
			sources: []source{{part: pkg(0), watts: 50}, {part: dram(0), watts: 5}},
			want:    map[string]want{"rapl:package-0": part(500), "rapl:package-0/dram": part(50), "host": host(550)},
		},
		{
			// Five settled ticks of probation, five of 80 − 50 − 5 J.
			name:    "C30 psys above package and DRAM leaves a remainder",
			sources: []source{{part: pkg(0), watts: 50}, {part: dram(0), watts: 5}, {part: psys(), watts: 80}},
			want: map[string]want{
				"rapl:package-0": part(500), "rapl:package-0/dram": part(50), "other": part(125),
				"rapl:psys": detail(800), "host": host(675),
			},
		},
		{
			name:    "C30 psys above package, never trusted",
			config:  ledger.Config{Psys: ledger.TrustNever},
			sources: []source{{part: pkg(0), watts: 50}, {part: psys(), watts: 80}},
			want:    map[string]want{"rapl:package-0": part(500), "rapl:psys": detail(800), "host": host(500)},
		},
		{
			name:    "C30 psys of two sockets, trusted from the start on the user's word",
			config:  ledger.Config{Psys: ledger.TrustAlways},
			sources: []source{{part: pkg(0), watts: 50}, {part: pkg(1), watts: 50}, {part: psys(), watts: 120}},
			want: map[string]want{
				"rapl:package-0": part(500), "rapl:package-1": part(500), "other": part(200),
				"rapl:psys": detail(1200), "host": host(1200),
			},
		},
		{
			name:    "C30 psys below package",
			ticks:   100,
			sources: []source{{part: pkg(0), watts: 50}, {part: psys(), watts: 40}},
			want:    map[string]want{"rapl:package-0": part(5000), "rapl:psys": detail(4000), "host": host(5000)},
		},
		{
			name:    "C30 psys and nothing inside it that is measured",
			ticks:   100,
			sources: []source{{part: psys(), watts: 40}, {part: model("cpu"), watts: 10}},
			want:    map[string]want{"model:cpu": part(1000), "rapl:psys": detail(4000), "host": host(1000)},
		},
		{
			name:    "C31 AMD without DRAM, core is a detail",
			sources: []source{{part: pkg(0), watts: 50}, {part: core(0), watts: 3}},
			want:    map[string]want{"rapl:package-0": part(500), "rapl:package-0/core": detail(30), "host": host(500)},
		},
		{
			name:    "C32 client DRAM lies outside the package",
			sources: []source{{part: pkg(0), watts: 15}, {part: dram(0), watts: 2}, {part: core(0), watts: 9}},
			want: map[string]want{
				"rapl:package-0": part(150), "rapl:package-0/dram": part(20), "rapl:package-0/core": detail(90), "host": host(170),
			},
		},
		{
			name:    "a model of what is measured from the start never counts",
			sources: []source{{part: model("cpu"), watts: 20}, {part: pkg(0), watts: 50}, {part: model("memory"), watts: 4}},
			want:    map[string]want{"model:cpu": uncounted, "rapl:package-0": part(500), "model:memory": part(40), "host": host(540)},
		},
		{
			name:    "a model read some ms before the measurement in the first tick never counts",
			sources: []source{{part: model("cpu"), watts: 20}, {part: pkg(0), watts: 50, skew: 5 * ms}},
			want:    map[string]want{"model:cpu": uncounted, "rapl:package-0": part(500), "host": host(500)},
		},
		{
			name:    "a model counts until the baseline of a measurement",
			sources: []source{{part: model("cpu"), watts: 20}, {part: pkg(0), watts: 50, first: 5}},
			want:    map[string]want{"model:cpu": ended(100), "rapl:package-0": part(250), "host": host(350)},
		},
		{
			// The model's interval (4.1 s, 5.1 s] spans the baseline at 5 s: 0.9 of 20 J. With the
			// four ticks before: 98 J.
			name:    "of a model's interval that spans the baseline the share before it counts",
			sources: []source{{part: pkg(0), watts: 50, first: 5}, {part: model("cpu"), watts: 20, skew: 100 * ms}},
			want:    map[string]want{"model:cpu": ended(98), "rapl:package-0": part(250), "host": host(348)},
		},
		{
			// The interval (3 s, 7 s] arrives two ticks after the baseline: 2 of 4 s.
			name:    "the model's interval that spans the baseline comes late",
			sources: []source{{part: pkg(0), watts: 50, first: 5}, {part: model("cpu"), watts: 20, missing: []int{4, 5, 6}}},
			want:    map[string]want{"model:cpu": ended(100), "rapl:package-0": part(250), "host": host(350)},
		},
		{
			name:    "a model stays out when the measurement ends",
			sources: []source{{part: model("cpu"), watts: 20}, {part: pkg(0), watts: 50, last: 5}},
			want:    map[string]want{"model:cpu": uncounted, "rapl:package-0": part(250), "host": host(250)},
		},
		{
			name:    "a breakdown measures no part: the model of its type stays",
			sources: []source{{part: model("cpu"), watts: 20}, {part: core(0), watts: 5}},
			want:    map[string]want{"model:cpu": part(200), "rapl:package-0/core": detail(50), "host": host(200)},
		},
		{
			name:    "a power gauge supersedes a model",
			sources: []source{{part: model("gpu"), watts: 20}, {part: gpu(), watts: 30, gauge: true, first: 3}},
			want:    map[string]want{"model:gpu": ended(60), "hwmon:gpu": part(210), "host": host(270)},
		},
		{
			name:    "C20 one part fails for a while and brings its energy later",
			sources: []source{{part: pkg(0), watts: 50, missing: []int{3, 4, 5}}, {part: pkg(1), watts: 60}},
			want:    map[string]want{"rapl:package-0": part(500), "rapl:package-1": part(600), "host": host(1100)},
		},
		{
			name:    "C14 a part that can be read later counts from then on",
			sources: []source{{part: pkg(0), watts: 50}, {part: dram(0), watts: 5, first: 4}},
			want:    map[string]want{"rapl:package-0": part(500), "rapl:package-0/dram": part(30), "host": host(530)},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t, c.config)
			n := c.ticks
			if n == 0 {
				n = 10
			}
			b.run(0, n, c.sources...)
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

// seesaw draws 100 W in even and 300 W in odd seconds.
func seesaw(t time.Duration) unit.Microjoules {
	whole := t / (2 * s)
	e := unit.Microjoules(whole) * 400 * j
	rest := t % (2 * s)
	return e + (100 * unit.Watt).Over(min(rest, s)) + (300 * unit.Watt).Over(max(0, rest-s))
}

func upEvery(n, at int) func(int) unit.Microjoules {
	return func(tick int) unit.Microjoules {
		if tick > 0 && tick%n == at {
			return 697 * j
		}
		return 0
	}
}

func ticks(from, to int) []int {
	var all []int
	for i := from; i <= to; i++ {
		all = append(all, i)
	}
	return all
}

func TestMirrorsAreFlagged(t *testing.T) {
	b := open(t, ledger.Config{})
	sources := []source{{part: die(0, 0, true), watts: 100}, {part: die(0, 1, true), watts: 60}, {part: die(0, 2, true), watts: 100}}
	b.run(0, 10, sources...)
	for id, mirrored := range map[string]bool{"rapl:package-0-die-0": false, "rapl:package-0-die-1": true, "rapl:package-0-die-2": true} {
		assert.Equal(t, mirrored, b.account(id).Stats.Mirrored, id)
	}
	b.run(11, 30, sources...) // proven in tick 25
	for id, distinct := range map[string]bool{"rapl:package-0-die-0": false, "rapl:package-0-die-1": true, "rapl:package-0-die-2": true} {
		a := b.account(id)
		assert.False(t, a.Stats.Mirrored, id)
		assert.Equal(t, distinct, a.Stats.Distinct, id)
		assert.True(t, a.Live, id)
		if distinct {
			assert.Equal(t, epoch.Add(25*s), a.Start, "%s counts from then on", id)
		}
	}
}

func TestReplacedMirrorIsAGap(t *testing.T) {
	b := open(t, ledger.Config{})
	b.run(0, 200, source{part: die(0, 0, true), watts: 100, last: 100}, source{part: die(0, 1, true), watts: 100})
	a := b.account("rapl:package-0-die-1")
	assert.Equal(t, uint64(1), a.Stats.Gaps)
	assert.Equal(t, 31*s, a.Stats.GapTime)
	assert.Equal(t, epoch.Add(131*s), a.Start)
	assert.True(t, b.account("rapl:package-0-die-0").Stats.Mirrored)
}

// Dies of an unknown socket are taken for mirrors of each other.
func TestMirrorsOfUnknownSocket(t *testing.T) {
	b := open(t, ledger.Config{})
	a, c := die(0, 0, true), die(1, 0, true)
	a.Socket, c.Socket = -1, -1
	b.run(0, 10, source{part: a, watts: 100}, source{part: c, watts: 100})
	assert.Equal(t, 1000*j, b.account("host").Energy)
}

func TestUnknownRoleIsNeverAdded(t *testing.T) {
	b := open(t, ledger.Config{})
	p := pkg(0)
	p.Role = sensor.Role(9)
	b.run(0, 10, source{part: p, watts: 50})
	assert.Equal(t, ledger.DetailAccount, b.account(p.ID).Kind)
	assert.Equal(t, 500*j, b.account(p.ID).Energy)
	for a := range b.Accounts {
		assert.NotEqual(t, ledger.HostAccount, a.Kind)
	}
}
