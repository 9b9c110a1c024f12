package host

import (
	"math"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func cpus(n int) func(bool) int { return func(bool) int { return n } }

// Each case starts from a machine that has run for a day: 2 CPUs, 10 000 s busy,
// 160 000 s idle, 2800 s stolen; one second passes.
func TestAccount(t *testing.T) {
	before := counts{busy: 10_000, idle: 160_000, stolen: 2800}
	for _, c := range []struct {
		name           string
		after          counts
		cpus           func(bool) int
		busy, capacity time.Duration
	}{
		{"half busy", counts{10_001, 160_001, 2800}, cpus(2), time.Second, 2 * time.Second},
		{"fully idle", counts{10_000, 160_002, 2800}, cpus(2), 0, 2 * time.Second},
		{"C67 stolen time is capacity that was not used", counts{10_000.5, 160_000.5, 2801}, cpus(2), 500 * time.Millisecond, 2 * time.Second},
		{"nothing has changed yet", before, cpus(2), 0, 0},
		{"C67 one of two CPUs has gone offline and its idle time shrank", counts{10_000.5, 90_000, 2800}, cpus(1), 0, 0},
		{"C67 a CPU has come back and its idle time leapt", counts{10_000.5, 190_000, 2800}, cpus(2), 0, 0},
		{"C67 stolen time ran back after a migration", counts{10_000.5, 160_001.5, 12}, cpus(2), 0, 0},
		{"the counters began anew", counts{0.5, 1.5, 0}, cpus(2), 0, 0},
		{"two more CPUs came online and are counted again", counts{10_004, 160_003.5, 2800}, func(again bool) int {
			if again {
				return 4
			}
			return 2
		}, 4 * time.Second, 7500 * time.Millisecond},
		{"nobody knows how many CPUs there are", counts{10_008, 160_008, 2800}, cpus(0), 8 * time.Second, 16 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			var a account
			t0 := time.Unix(1_700_000_000, 0)
			a.advance(t0, before, c.cpus)
			require.Zero(t, a.capacity, "the first reading is the baseline")
			a.advance(t0.Add(time.Second), c.after, c.cpus)
			assert.Equal(t, c.busy, a.busy)
			assert.Equal(t, c.capacity, a.capacity)

			// Whatever happened, the second after it counts: 0.25 s busy of 2 s.
			next := counts{c.after.busy + 0.25, c.after.idle + 1.75, c.after.stolen}
			a.advance(t0.Add(2*time.Second), next, c.cpus)
			assert.Equal(t, c.busy+250*time.Millisecond, a.busy)
			assert.Equal(t, c.capacity+2*time.Second, a.capacity)
		})
	}
}

func TestCountsOf(t *testing.T) {
	got, err := countsOf(cpu.TimesStat{
		User: 1, Nice: 2, System: 4, Irq: 8, Softirq: 16, // busy: 31
		Idle: 32, Iowait: 64, // idle: 96
		Steal: 128,
		Guest: 0.5, GuestNice: 0.25, // inside user and nice
	})
	require.NoError(t, err)
	assert.Equal(t, counts{busy: 31, idle: 96, stolen: 128}, got, "C67 guest is inside user, iowait is idle")

	for _, bad := range []float64{math.NaN(), math.Inf(1), -1, 1e13, 1.8446744073709552e19 / 100} {
		_, err := countsOf(cpu.TimesStat{Steal: bad})
		require.Error(t, err, "%g s", bad)
	}
}

// The sums never fall, busy never exceeds capacity, and on a machine that behaves
// they are the differences of the counts.
func TestAccountProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a account
		at := time.Unix(0, 0)
		c := counts{rapid.Float64Range(0, 1e9).Draw(t, "b"), rapid.Float64Range(0, 1e9).Draw(t, "i"), 0}
		a.advance(at, c, cpus(8))
		for range rapid.IntRange(1, 50).Draw(t, "ticks") {
			was := a
			at = at.Add(time.Duration(rapid.IntRange(0, 60_000).Draw(t, "ms")) * time.Millisecond)
			c.busy = max(0, c.busy+rapid.Float64Range(-1, 60).Draw(t, "db"))
			c.idle = max(0, c.idle+rapid.Float64Range(-1e3, 1e3).Draw(t, "di"))
			c.stolen = max(0, c.stolen+rapid.Float64Range(-1, 5).Draw(t, "ds"))
			a.advance(at, c, cpus(8))
			db, dc := a.busy-was.busy, a.capacity-was.capacity
			if db < 0 || dc < db {
				t.Fatalf("busy rose by %v, capacity by %v", db, dc)
			}
			if limit := atMost(at.Sub(was.at), 8); dc.Seconds() > limit+1e-6 {
				t.Fatalf("capacity rose by %v, 8 CPUs cannot do more than %g s", dc, limit)
			}
		}
	})
}
