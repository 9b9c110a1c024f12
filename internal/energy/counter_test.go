package energy_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

const (
	ms = time.Millisecond
	s  = time.Second
	j  = unit.Microjoules(1_000_000)

	amdMax  = 65_532_610_987 // 15 258 nJ × (2³²−1)
	amdM    = 65_532_611_002 // and one unit of 15 µJ
	psysMax = 4294967295 * 1_000_000
)

var epoch = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return epoch.Add(d) }

type read struct {
	at    time.Duration
	raw   unit.Microjoules
	want  unit.Microjoules // energy of the Delta
	event energy.Event
}

// Unless a case says otherwise: AMD package, 1 kW. Bound(1 s) = 1251 J,
// Bound(2 s) = 2501 J, once around at 1 kW in 65.53 s.
var amd = energy.Limits{Max: amdMax}

func TestCounter(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits energy.Limits
		reads  []read
		debt   unit.Microjoules
		stats  energy.Stats
	}{
		{
			name: "C1 wrap between two reads", limits: amd,
			reads: []read{
				{0, 65_532_000_000, 0, energy.Baseline},
				// To the modulus 611 002, then 400 000 000 more.
				{1 * s, 400_000_000, 400_611_002, energy.Accepted | energy.Wrapped},
			},
			stats: energy.Stats{Wraps: 1},
		},
		{
			name: "C1 wrap from max to exactly 0", limits: amd,
			reads: []read{
				{0, amdMax, 0, energy.Baseline},
				{1 * s, 0, 15, energy.Accepted | energy.Wrapped}, // one unit
			},
			stats: energy.Stats{Wraps: 1},
		},
		{
			name: "C1 wrap from max minus 1 to 1", limits: amd,
			reads: []read{
				{0, amdMax - 1, 0, energy.Baseline},
				{1 * s, 1, 17, energy.Accepted | energy.Wrapped},
			},
			stats: energy.Stats{Wraps: 1},
		},
		{
			name: "C1 up to max is no wrap", limits: amd,
			reads: []read{
				{0, amdMax - 1000, 0, energy.Baseline},
				{1 * s, amdMax, 1000, energy.Accepted},
			},
		},
		{
			name: "C3 two wraps in a long gap are flagged, not invented", limits: amd,
			reads: []read{
				{0, 1000 * j, 0, energy.Baseline},
				{140 * s, 2000 * j, 0, energy.Gap | energy.Baseline},
				{141 * s, 2300 * j, 300 * j, energy.Accepted},
			},
			stats: energy.Stats{Gaps: 1, GapTime: 140 * s},
		},
		{
			name: "C3 one lap of 65.532611002 s is still known, a µs more is not", limits: amd,
			reads: []read{
				{0, 0, 0, energy.Baseline},
				{65_532_611 * time.Microsecond, 60_000 * j, 60_000 * j, energy.Accepted},
				{2*65_532_611*time.Microsecond + time.Microsecond, 64_000 * j, 0, energy.Gap | energy.Baseline},
			},
			stats: energy.Stats{Gaps: 1, GapTime: 65_532_612 * time.Microsecond},
		},
		{
			name: "C4 without max a rise counts and a wrap costs its own interval",
			reads: []read{
				{0, 65_000 * j, 0, energy.Baseline},
				{1 * s, 65_300 * j, 300 * j, energy.Accepted},
				{2 * s, 70 * j, 0, energy.Held}, // 65.2 kJ back: neither step nor correction
				{3 * s, 370 * j, 300 * j, energy.Reset | energy.Gap},
				{4 * s, 670 * j, 300 * j, energy.Accepted},
			},
			stats: energy.Stats{Resets: 1, Suspects: 1, Gaps: 1, GapTime: 1 * s},
		},
		{
			name: "C4 without max a long pause brings its energy", // nothing says that it wrapped
			reads: []read{
				{0, 0, 0, energy.Baseline},
				{3600 * s, 180_000 * j, 180_000 * j, energy.Accepted},
			},
		},
		{
			name: "C4 max above 2⁶³", limits: energy.Limits{Max: 1<<63 + 9}, // M = 2⁶³ + 10
			reads: []read{
				{0, 1<<63 + 9, 0, energy.Baseline},
				{1 * s, 4, 5, energy.Accepted | energy.Wrapped},
				{2 * s, 1 << 63, 0, energy.Held},
				{3 * s, 4 + 10*j, 10 * j, energy.Accepted | energy.Dropped},
			},
			stats: energy.Stats{Wraps: 1, Suspects: 1},
		},
		{
			name: "C4 max of all ones is no modulus", limits: energy.Limits{Max: math.MaxUint64},
			reads: []read{
				{0, math.MaxUint64 - 10, 0, energy.Baseline},
				{1 * s, math.MaxUint64, 10, energy.Accepted},
				{2 * s, 5, 0, energy.Held},
			},
			stats: energy.Stats{Suspects: 1},
		},
		{
			name: "C5 one value above max is ignored and its energy comes with the next", limits: amd,
			reads: []read{
				{0, 1000 * j, 0, energy.Baseline},
				{1 * s, amdMax + 1, 0, energy.OverRange},
				{2 * s, 1600 * j, 600 * j, energy.Accepted},
				{3 * s, amdMax + 1, 0, energy.OverRange},
				{4 * s, amdMax + 1, 0, energy.OverRange},
				{5 * s, 2500 * j, 900 * j, energy.Accepted},
			},
			stats: energy.Stats{OverRange: 3},
		},
		{
			name: "C5 values above max that persist show that max is wrong", limits: energy.Limits{Max: 999 * j},
			reads: []read{ // at 1 kW M = 999.000001 J lasts less than 1 s: 0.2 s ticks
				{0, 900 * j, 0, energy.Baseline},
				{200 * ms, 1000 * j, 0, energy.OverRange},
				{400 * ms, 1100 * j, 0, energy.OverRange},
				{600 * ms, 1200 * j, 300 * j, energy.Accepted | energy.OverRange | energy.ModulusUnknown},
				{800 * ms, 1300 * j, 100 * j, energy.Accepted},
				{10 * s, 2000 * j, 700 * j, energy.Accepted}, // no lap any more
			},
			stats: energy.Stats{OverRange: 3},
		},
		{
			name: "C5 values above max from the first read on", limits: amd,
			reads: []read{
				{0, amdM, 0, energy.OverRange},
				{1 * s, amdM + 100*j, 0, energy.OverRange},
				{2 * s, amdM + 200*j, 0, energy.OverRange | energy.ModulusUnknown | energy.Baseline},
				{3 * s, amdM + 300*j, 100 * j, energy.Accepted},
			},
			stats: energy.Stats{OverRange: 3},
		},
		{
			// 100 W. The read of 2 s is 150 J too high: 250 counted, truth 200 of 350.
			// At 3 s the counter is at 1300, 50 below: 50 of debt. Then 100 − 50.
			name: "C6 small step back repays a glitch seen late", limits: amd,
			reads: []read{
				{0, 1000 * j, 0, energy.Baseline},
				{1 * s, 1100 * j, 100 * j, energy.Accepted},
				{2 * s, 1350 * j, 250 * j, energy.Accepted},
				{3 * s, 1300 * j, 0, energy.Corrected},
				{4 * s, 1400 * j, 50 * j, energy.Accepted}, // 400 in all: the truth again
				{5 * s, 1500 * j, 100 * j, energy.Accepted},
			},
			stats: energy.Stats{Corrections: 1},
		},
		{
			name: "C6 debt larger than a step is paid by several", limits: amd,
			reads: []read{
				{0, 1000 * j, 0, energy.Baseline},
				{1 * s, 1510 * j, 510 * j, energy.Accepted}, // 10 W + 500 J
				{2 * s, 1020 * j, 0, energy.Corrected},      // debt 490
				{3 * s, 1220 * j, 0, energy.Accepted},       // 200 W: debt 290
				{4 * s, 1420 * j, 0, energy.Accepted},       // debt 90
				{5 * s, 1620 * j, 110 * j, energy.Accepted},
			},
			stats: energy.Stats{Corrections: 1},
		},
		{
			name: "C6 a fall beyond what was lately counted is no correction", limits: amd,
			reads: []read{
				{0, 1000 * j, 0, energy.Baseline},
				{1 * s, 1100 * j, 100 * j, energy.Accepted},
				{2 * s, 999 * j, 0, energy.Held}, // 101 J
				{3 * s, 1300 * j, 200 * j, energy.Accepted | energy.Dropped},
			},
			stats: energy.Stats{Suspects: 1},
		},
		{
			name: "C6 only the last three reads can be taken back, and only once", limits: amd,
			reads: []read{
				{0, 1000 * j, 0, energy.Baseline},
				{1 * s, 1500 * j, 500 * j, energy.Accepted},
				{2 * s, 1510 * j, 10 * j, energy.Accepted},
				{3 * s, 1520 * j, 10 * j, energy.Accepted},
				{4 * s, 1530 * j, 10 * j, energy.Accepted},             // the 500 J are forgotten
				{5 * s, 1500 * j, 0, energy.Corrected},                 // 30 J
				{6 * s, 1499 * j, 0, energy.Held},                      // window is empty now
				{7 * s, 1530 * j, 0, energy.Accepted | energy.Dropped}, // pays the 30
			},
			stats: energy.Stats{Corrections: 1, Suspects: 1},
		},
		{
			// 10 W; +697 J at 5 and 10 s, as a 7840HS shows it.
			name: "C7 up 700 J and back every 5 s", limits: amd,
			reads: []read{
				{4 * s, 1040 * j, 0, energy.Baseline},
				{5 * s, 1747 * j, 707 * j, energy.Accepted},
				{6 * s, 1060 * j, 0, energy.Corrected},      // 687 back
				{7 * s, 1070 * j, 0, energy.Accepted},       // debt 677
				{8 * s, 1080 * j, 0, energy.Accepted},       // 667
				{9 * s, 1090 * j, 0, energy.Accepted},       // 657
				{10 * s, 1797 * j, 50 * j, energy.Accepted}, // 707 − 657: still one glitch too much
				{11 * s, 1110 * j, 0, energy.Corrected},
			},
			debt:  687 * j,
			stats: energy.Stats{Corrections: 2},
		},
		{
			name:   "C7 a realistic limit holds the same glitch back",
			limits: energy.Limits{Max: amdMax, MaxPower: 108 * unit.Watt}, // 2 × 54 W: 136 J in 1 s
			reads: []read{
				{4 * s, 1040 * j, 0, energy.Baseline},
				{5 * s, 1747 * j, 0, energy.Held},
				{6 * s, 1060 * j, 20 * j, energy.Accepted | energy.Dropped},
				{7 * s, 1070 * j, 10 * j, energy.Accepted},
			},
			stats: energy.Stats{Suspects: 1},
		},
		{
			// The truth goes from 600 J below the top by 300, 290 and 300 J: 890 J. The read of
			// 1 s is 500 J too high, beyond the top. The fall of 210 J that follows crosses the
			// top downwards; read as a rise it would be 65.3 kJ.
			name: "C7 a glitch that itself wraps falls back over the top", limits: amd,
			reads: []read{
				{0, amdM - 600*j, 0, energy.Baseline},
				{1 * s, 200 * j, 800 * j, energy.Accepted | energy.Wrapped}, // 300 J and 500 J too much
				{2 * s, amdM - 10*j, 0, energy.Corrected},                   // 210 J back over the top
				{3 * s, 290 * j, 90 * j, energy.Accepted | energy.Wrapped},  // 300 − 210; 890 of 890
			},
			stats: energy.Stats{Wraps: 2, Corrections: 1},
		},
		{
			name: "C8 reset to near 0", limits: amd,
			reads: []read{
				{0, 30_000 * j, 0, energy.Baseline},
				{1 * s, 30_300 * j, 300 * j, energy.Accepted},
				{2 * s, 120 * j, 0, energy.Held},
				{3 * s, 420 * j, 300 * j, energy.Reset | energy.Gap}, // what lies before 120 J is unknown
				{4 * s, 720 * j, 300 * j, energy.Accepted},
			},
			stats: energy.Stats{Resets: 1, Suspects: 1, Gaps: 1, GapTime: 1 * s},
		},
		{
			name: "C8 two resets, one after the other", limits: amd,
			reads: []read{
				{0, 30_000 * j, 0, energy.Baseline},
				{1 * s, 50 * j, 0, energy.Held},
				{2 * s, 350 * j, 300 * j, energy.Reset | energy.Gap},
				{3 * s, 650 * j, 300 * j, energy.Accepted},
				{4 * s, 950 * j, 300 * j, energy.Accepted},
				{5 * s, 1250 * j, 300 * j, energy.Accepted},
				{6 * s, 100 * j, 0, energy.Held}, // 1150 J back, 900 counted lately
				{7 * s, 400 * j, 300 * j, energy.Reset | energy.Gap},
			},
			stats: energy.Stats{Resets: 2, Suspects: 2, Gaps: 2, GapTime: 2 * s},
		},
		{
			// A fall of no more than was counted since the first reset cannot be told from
			// a late-seen glitch: under-reports, by at most three reads.
			name: "C8 second reset within three ticks reads as a correction", limits: amd,
			reads: []read{
				{0, 30_000 * j, 0, energy.Baseline},
				{1 * s, 50 * j, 0, energy.Held},
				{2 * s, 350 * j, 300 * j, energy.Reset | energy.Gap},
				{3 * s, 650 * j, 300 * j, energy.Accepted},
				{4 * s, 100 * j, 0, energy.Corrected}, // 550 of 600
				{5 * s, 400 * j, 0, energy.Accepted},  // debt 250
				{6 * s, 700 * j, 50 * j, energy.Accepted},
			},
			stats: energy.Stats{Resets: 1, Suspects: 1, Corrections: 1, Gaps: 1, GapTime: 1 * s},
		},
		{
			name: "C8 energy counted before a reset is not taken back after it", limits: amd,
			reads: []read{
				{0, 30_000 * j, 0, energy.Baseline},
				{1 * s, 31_000 * j, 1000 * j, energy.Accepted},
				{2 * s, 400 * j, 0, energy.Held},
				{3 * s, 410 * j, 10 * j, energy.Reset | energy.Gap},
				{4 * s, 390 * j, 0, energy.Held}, // 20 J back, 10 since the reset
				{5 * s, 400 * j, 10 * j, energy.Reset | energy.Gap},
			},
			stats: energy.Stats{Resets: 2, Suspects: 2, Gaps: 2, GapTime: 2 * s},
		},
		{
			name: "C8 debt outlives a reset", limits: amd,
			reads: []read{
				{0, 30_000 * j, 0, energy.Baseline},
				{1 * s, 30_700 * j, 700 * j, energy.Accepted},
				{2 * s, 30_100 * j, 0, energy.Corrected}, // debt 600
				{3 * s, 10 * j, 0, energy.Held},
				{4 * s, 410 * j, 0, energy.Reset | energy.Gap}, // debt 200
				{5 * s, 810 * j, 200 * j, energy.Accepted},
			},
			stats: energy.Stats{Resets: 1, Suspects: 1, Corrections: 1, Gaps: 1, GapTime: 1 * s},
		},
		{
			name: "C8 hold, other hold, then the old track again", limits: amd,
			reads: []read{
				{0, 30_000 * j, 0, energy.Baseline},
				{1 * s, 0, 0, energy.Held},
				{2 * s, 50_000 * j, 0, energy.Held},
				{3 * s, 30_300 * j, 300 * j, energy.Accepted | energy.Dropped},
			},
			stats: energy.Stats{Suspects: 2},
		},
		{
			name: "C8 while a read is held a fall is no correction", limits: amd,
			reads: []read{
				{0, 30_000 * j, 0, energy.Baseline},
				{1 * s, 30_100 * j, 100 * j, energy.Accepted},
				{2 * s, 0, 0, energy.Held},
				{3 * s, 30_050 * j, 0, energy.Held},
				{4 * s, 30_400 * j, 300 * j, energy.Accepted | energy.Dropped},
			},
			stats: energy.Stats{Suspects: 2},
		},
		{
			name: "C8 too long without an accepted read is a gap, whatever is held", limits: amd,
			reads: []read{
				{0, 30_000 * j, 0, energy.Baseline},
				{60 * s, amdMax, 35_532_610_987, energy.Accepted},
				{62 * s, 20_000 * j, 0, energy.Held}, // 20 kJ in 2 s
				{126 * s, 20_100 * j, 0, energy.Gap | energy.Baseline},
				{127 * s, 20_200 * j, 100 * j, energy.Accepted},
			},
			stats: energy.Stats{Suspects: 1, Gaps: 1, GapTime: 66 * s},
		},
		{
			name: "C9 first read is the baseline, whatever was counted since boot", limits: amd,
			reads: []read{
				{0, 61_234_567_890, 0, energy.Baseline},
			},
		},
		{
			name: "C10 two reads of one moment", limits: amd,
			reads: []read{
				{0, 1000 * j, 0, energy.Baseline},
				{0, 1000 * j, 0, energy.Untimely},
				{1 * s, 1100 * j, 100 * j, energy.Accepted},
				{1 * s, 1101 * j, 0, energy.Untimely},
				{2 * s, 1200 * j, 100 * j, energy.Accepted},
			},
			stats: energy.Stats{Untimely: 2},
		},
		{
			name: "C10 the clock stepped back and the energy comes when it has caught up", limits: amd,
			reads: []read{
				{10 * s, 1000 * j, 0, energy.Baseline},
				{5 * s, 1100 * j, 0, energy.Untimely},
				{6 * s, 1200 * j, 0, energy.Untimely},
				{11 * s, 1300 * j, 300 * j, energy.Accepted},
			},
			stats: energy.Stats{Untimely: 2},
		},
		{
			name: "C10 a read older than the held one", limits: amd,
			reads: []read{
				{0, 30_000 * j, 0, energy.Baseline},
				{2 * s, 100 * j, 0, energy.Held},
				{1 * s, 400 * j, 0, energy.Untimely}, // would confirm a reset backwards in time
				{3 * s, 400 * j, 300 * j, energy.Reset | energy.Gap},
			},
			stats: energy.Stats{Resets: 1, Suspects: 1, Untimely: 1, Gaps: 1, GapTime: 2 * s},
		},
		{
			name: "C10 paused process: within a lap nothing is lost, beyond it is a gap", limits: amd,
			reads: []read{
				{0, 1000 * j, 0, energy.Baseline},
				{60 * s, 19_000 * j, 18_000 * j, energy.Accepted},
				{600 * s, 20_000 * j, 0, energy.Gap | energy.Baseline},
			},
			stats: energy.Stats{Gaps: 1, GapTime: 540 * s},
		},
		{
			// 1 W limit: 1.25 J in 1 s and 1 J would refuse the second step of 3 J.
			name:   "C11 psys in steps of 1 J",
			limits: energy.Limits{Max: psysMax, MaxPower: unit.Watt, Step: j},
			reads: []read{
				{0, 17 * j, 0, energy.Baseline},
				{1 * s, 17 * j, 0, energy.Accepted},
				{2 * s, 20 * j, 3 * j, energy.Accepted},
				{3 * s, 24 * j, 0, energy.Held}, // 4 J > 3.25 J
				{4 * s, 24 * j, 4 * j, energy.Accepted | energy.Dropped},
			},
			stats: energy.Stats{Suspects: 1},
		},
		{
			name: "C11 psys wraps after 2³² steps", limits: energy.Limits{Max: psysMax, Step: j},
			reads: []read{
				{0, psysMax - 99*j, 0, energy.Baseline},
				{1 * s, 100 * j, 200 * j, energy.Accepted | energy.Wrapped},
			},
			stats: energy.Stats{Wraps: 1},
		},
		{
			// Reads within one update of the hardware are equal; the time is not lost.
			name: "C12 unchanged for many ticks", limits: amd,
			reads: []read{
				{0, 5 * j, 0, energy.Baseline},
				{1 * s, 5 * j, 0, energy.Accepted},
				{2 * s, 5 * j, 0, energy.Accepted},
				{3 * s, 5 * j, 0, energy.Accepted},
				{4 * s, 5 * j, 0, energy.Accepted},
				{5 * s, 305 * j, 300 * j, energy.Accepted},
			},
		},
		{
			name: "two equal glitches look like a reset and cost energy, never invent it", limits: amd,
			reads: []read{
				{0, 30_000 * j, 0, energy.Baseline},
				{1 * s, 35_300 * j, 0, energy.Held},                     // +5 kJ
				{2 * s, 35_600 * j, 300 * j, energy.Reset | energy.Gap}, // +5 kJ
				{3 * s, 30_900 * j, 0, energy.Held},                     // 4.7 kJ back
				{4 * s, 31_200 * j, 300 * j, energy.Reset | energy.Gap},
			},
			stats: energy.Stats{Resets: 2, Suspects: 2, Gaps: 2, GapTime: 2 * s},
		},
		{
			name: "the first read was a glitch", limits: amd,
			reads: []read{
				{0, 1700 * j, 0, energy.Baseline},
				{1 * s, 1100 * j, 0, energy.Held}, // nothing counted yet that could be taken back
				{2 * s, 1200 * j, 100 * j, energy.Reset | energy.Gap},
				{3 * s, 1300 * j, 100 * j, energy.Accepted},
			},
			stats: energy.Stats{Resets: 1, Suspects: 1, Gaps: 1, GapTime: 1 * s},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			counter := energy.NewCounter(c.limits)
			last := time.Time{}
			for _, r := range c.reads {
				d, event := counter.Advance(after(r.at), r.raw)
				assert.Equal(t, r.want, d.Energy, "energy in µJ at %v (%v)", r.at, event)
				assert.Equal(t, r.event.String(), event.String(), "event at %v", r.at)
				closed := event.Has(energy.Accepted | energy.Corrected | energy.Reset)
				assert.Equal(t, closed, !d.To.IsZero(), "Delta closes an interval at %v", r.at)
				if closed {
					assert.Equal(t, after(r.at), d.To, "end of the interval")
					assert.True(t, d.From.Before(d.To) && !d.From.Before(last), "interval (%v, %v] after %v", d.From, d.To, last)
					last = d.To
				}
			}
			assert.Equal(t, c.debt, counter.Debt(), "debt in µJ")
			assert.Equal(t, c.stats, counter.Stats())
		})
	}
}

func TestMaxThatArrivesLaterOrChanges(t *testing.T) {
	t.Run("C4 max arrives before the first wrap", func(t *testing.T) {
		c := energy.NewCounter(energy.Limits{})
		c.Advance(after(0), 65_000*j)
		c.SetMax(0) // still not readable
		c.SetMax(amdMax)
		// M = 65 532.611002 J: 532.611002 J to the top and 100 J.
		d, event := c.Advance(after(s), 100*j)
		assert.Equal(t, unit.Microjoules(632_611_002), d.Energy)
		assert.Equal(t, energy.Accepted|energy.Wrapped, event)
		c.SetMax(0) // not readable this time: what was known stays known
		c.Advance(after(2*s), amdMax-100*j)
		d, _ = c.Advance(after(3*s), 200*j)
		assert.Equal(t, 100*j, d.Energy)
	})
	t.Run("max disbelieved stays so while the file says the same", func(t *testing.T) {
		c := energy.NewCounter(energy.Limits{Max: 100 * j})
		c.Advance(after(0), 90*j)
		total := unit.Microjoules(0)
		for i := range 10 {
			c.SetMax(100 * j)
			d, _ := c.Advance(after(time.Duration(i+1)*50*ms), 110*j+unit.Microjoules(i)*10*j)
			total += d.Energy
		}
		assert.Equal(t, 110*j, total) // 90 → 200 J, nothing lost
	})
	t.Run("a smaller max than the last value is a gap if the counter follows", func(t *testing.T) {
		c := energy.NewCounter(amd)
		c.Advance(after(0), 60_000*j)
		c.SetMax(50_000 * j)
		d, event := c.Advance(after(s), 10*j)
		assert.Zero(t, d)
		assert.Equal(t, energy.Gap|energy.Baseline, event)
		d, _ = c.Advance(after(2*s), 20*j)
		assert.Equal(t, 10*j, d.Energy)
	})
	t.Run("a smaller max that the counter contradicts loses nothing", func(t *testing.T) {
		c := energy.NewCounter(amd)
		c.Advance(after(0), 60_000*j)
		c.SetMax(1)
		total := unit.Microjoules(0)
		for i := range 4 {
			d, _ := c.Advance(after(time.Duration(i+1)*s), 60_100*j+unit.Microjoules(i)*100*j)
			total += d.Energy
		}
		assert.Equal(t, 400*j, total)
	})
	t.Run("a held value beyond the new max is forgotten", func(t *testing.T) {
		c := energy.NewCounter(amd)
		c.Advance(after(0), 1000*j)
		_, event := c.Advance(after(s), 60_000*j)
		assert.Equal(t, energy.Held, event)
		c.SetMax(50_000 * j)
		_, event = c.Advance(after(2*s), 30_000*j)
		assert.Equal(t, energy.Held, event)
	})
}

// A wall clock that jumps does not matter while the times carry the monotonic
// reading, which time.Time prefers.
func TestC10WallClockJump(t *testing.T) {
	c := energy.NewCounter(amd)
	now := time.Now()
	c.Advance(now, 1000*j)
	d, event := c.Advance(now.Add(s).In(time.FixedZone("elsewhere", 3600)), 1100*j)
	assert.Equal(t, 100*j, d.Energy)
	assert.Equal(t, energy.Accepted, event)
}

func TestEventsHaveNames(t *testing.T) {
	assert.Equal(t, "none", energy.Event(0).String())
	assert.Equal(t, "reset|gap", (energy.Reset | energy.Gap).String())
	assert.Equal(t, "untimely", energy.Untimely.String())
	assert.True(t, (energy.Accepted | energy.Wrapped).Has(energy.Wrapped))
	assert.False(t, energy.Accepted.Has(energy.Wrapped|energy.Held))
}
