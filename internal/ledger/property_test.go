package ledger_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// Whatever the sensors say, at every tick the parts add up to the host, exactly,
// and nothing falls (books.check).
func TestPropertyPartsAddUpToTheHost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := open(t, ledger.Config{
			MaxGap:      time.Duration(rapid.SampledFrom([]int64{0, int64(3 * s)}).Draw(t, "maxGap")),
			Psys:        rapid.SampledFrom([]ledger.Trust{ledger.TrustAuto, ledger.TrustAlways, ledger.TrustNever}).Draw(t, "psys"),
			Calibration: rapid.SampledFrom([]ledger.Calibration{{}, {Offset: 7 * unit.Watt, Gain: 1.037}}).Draw(t, "calibration"),
		})
		type known struct {
			part  *sensor.Part
			kind  sensor.Kind
			raw   uint64
			watts uint64
		}
		parts := make([]known, rapid.IntRange(1, 8).Draw(t, "parts"))
		for i := range parts {
			role := rapid.SampledFrom([]sensor.Role{sensor.Primary, sensor.Primary, sensor.Primary, sensor.Breakdown, sensor.Envelope}).Draw(t, "role")
			parts[i] = known{
				part: &sensor.Part{
					ID: fmt.Sprint("part-", i), Role: role,
					Type:      rapid.SampledFrom([]string{"cpu", "cpu", "memory"}).Draw(t, "type"),
					Method:    rapid.SampledFrom([]sensor.Method{sensor.Measured, sensor.Measured, sensor.Modelled}).Draw(t, "method"),
					Socket:    rapid.IntRange(-1, 1).Draw(t, "socket"),
					Die:       rapid.IntRange(-1, 2).Draw(t, "die"),
					MayMirror: rapid.Bool().Draw(t, "mayMirror"),
					Same:      rapid.SampledFrom([]string{"", "package-0", "package-0-die-0", "package-0-die-1"}).Draw(t, "same"),
					Rank:      rapid.IntRange(0, 2).Draw(t, "rank"),
					Sensor:    rapid.SampledFrom([]string{"perf", "rapl"}).Draw(t, "sensor"),
					Covers:    rapid.SampledFrom([][]string{nil, {"cpu", "memory", "board"}}).Draw(t, "covers"),
					Whole:     rapid.Bool().Draw(t, "whole"),
					Period:    time.Duration(rapid.SampledFrom([]int64{0, int64(20 * s)}).Draw(t, "period")),
				},
				kind:  rapid.SampledFrom([]sensor.Kind{sensor.Counter, sensor.Counter, sensor.Gauge}).Draw(t, "kind"),
				raw:   rapid.Uint64Range(0, intelMax).Draw(t, "origin"),
				watts: rapid.Uint64Range(0, 400).Draw(t, "watts"),
			}
		}
		now := epoch
		for range rapid.IntRange(1, 60).Draw(t, "ticks") {
			d := rapid.SampledFrom([]time.Duration{s, s, s, s, s, 0, -s, 40 * s, 300 * s}).Draw(t, "pass")
			now = now.Add(d)
			var rs []sensor.Reading
			for i := range parts {
				p := &parts[i]
				p.raw = (p.raw + p.watts*uint64(max(d, 0)/time.Microsecond)) % intelMax
				raw := p.raw
				switch rapid.IntRange(0, 19).Draw(t, "fault") {
				case 0, 1:
					continue
				case 2:
					raw = rapid.Uint64().Draw(t, "raw")
				case 3:
					p.raw = rapid.Uint64Range(0, intelMax).Draw(t, "reset")
				case 4:
					clone := *p.part // found again
					p.part = &clone
				case 5:
					b.Pause(p.part)
					continue
				}
				rs = append(rs, sensor.Reading{
					Part: p.part, At: now.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "skew")) * ms), Kind: p.kind,
					Energy: unit.Microjoules(raw), Power: unit.Microwatts(p.watts) * unit.Watt, Max: intelMax,
				})
			}
			b.book(rs...)
		}
	})
}

// On a machine whose CPU is shown by two mirrored dies and by a model, which fail
// at random and are read some ms apart, the CPU's energy is never counted twice;
// and once all have been read, all of it that any counted view saw is there.
func TestPropertyNothingIsCountedTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := open(t, ledger.Config{})
		views := []*sensor.Part{model("cpu"), die(0, 0, true), die(0, 1, true)}
		var truth float64 // J
		now := epoch
		var first time.Time // of all readings …
		var atFirst float64 // … and the truth then
		for range rapid.IntRange(1, 100).Draw(t, "ticks") {
			watts := float64(rapid.IntRange(0, 500).Draw(t, "watts")) // until the next tick
			var rs []sensor.Reading
			seen := truth
			moment := now
			for _, i := range rapid.Permutation([]int{0, 1, 2}).Draw(t, "order") {
				skew := rapid.IntRange(0, 5).Draw(t, "ms")
				moment = moment.Add(time.Duration(skew) * ms)
				seen += watts * float64(skew) / 1000
				if rapid.IntRange(0, 3).Draw(t, "fails") == 0 {
					continue
				}
				rs = append(rs, sensor.Reading{Part: views[i], At: moment, Energy: unit.FromJoules(seen)})
				if first.IsZero() {
					first, atFirst = moment, seen
				}
			}
			b.book(rs...)
			truth += watts
			now = now.Add(s)
			if first.IsZero() {
				continue
			}
			// A share of a model's interval is taken evenly, so it may hold energy that was
			// drawn after the baseline within it: at most one interval of 500 W a tick.
			slack := 0.0
			if b.has("model:cpu") && b.account("model:cpu").Energy > 0 {
				slack = 500 * 10
			}
			if got := b.account("host").Energy.Joules(); got > seen-atFirst+slack+1e-3 {
				t.Fatalf("host %g J, truth %g J since the first reading", got, seen-atFirst)
			}
		}
	})
}

// A host of 200 W, of which the package has 50 W and the GPU 40 W, and memory is modelled
// with 5 W. Up to three sensors show all of it, and each of them and of the parts is silent
// for a while now and then, or pauses. In the end all are back, whatever was owed is paid,
// and the host has not got more than it drew; without a calibration the remainder has all
// of the time that every sensor has told. But for one thing: what parts bring late of a time
// in which an envelope was silent as well may be taken from the remainder although that never
// held it. The host is short of so much then, and not above.
func TestPropertyEnvelopesComeAndGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		config := ledger.Config{
			MaxGap: 3 * s,
			Psys:   rapid.SampledFrom([]ledger.Trust{ledger.TrustAuto, ledger.TrustAlways}).Draw(t, "psys"),
			Calibration: rapid.SampledFrom([]ledger.Calibration{{}, {Offset: 10 * unit.Watt, Gain: 1.1}}).
				Draw(t, "calibration"),
		}
		g := gpu()
		g.Method = sensor.Measured
		all := []source{{part: pkg(0), watts: 50}, {part: g, watts: 40}}
		if rapid.Bool().Draw(t, "modelled") {
			all = append(all, source{part: model("memory"), watts: 5})
		}
		envelopes := []source{
			{part: whole("gauge", 0), watts: 200, gauge: true},
			{part: slow(whole("slow", 1), 5*s), watts: 200, gauge: true, missing: notEach(5, 2000)},
			{part: whole("counter", 2), watts: 200},
			{part: whole("battery", 3), watts: 200, gauge: true},
			{part: psysOf("rapl", 1), watts: 200},
			{part: psysOf("perf", 0), watts: 200},
		}
		for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(envelopes)-1), 1, 3, rapid.ID).Draw(t, "envelopes") {
			c := envelopes[i]
			c.first = rapid.SampledFrom([]int{0, 0, 0, 1, 20, 50, 70}).Draw(t, "first")
			all = append(all, c)
		}
		b := open(t, config)
		down := make([]int, len(all)) // for so many ticks
		tick, told := 0, 0
		late := 0    // J of parts that were silent together with an envelope
		was := false // all were read in the tick before, and the remainder was told
		step := func() {
			var rs []sensor.Reading
			up := true
			if alone := slices.ContainsFunc(down[2:], func(n int) bool { return n > 0 }); alone {
				for i, c := range all[:2] {
					if down[i] > 0 {
						late += int(c.watts)
					}
				}
			}
			for i, c := range all {
				up = up && down[i] == 0 && tick >= c.first
				if down[i] > 0 {
					if down[i]--; c.part.Sensor == "battery" {
						b.Pause(c.part)
					}
				} else if r, ok := c.read(tick); ok {
					rs = append(rs, r)
				}
			}
			b.book(rs...)
			is := up && b.has("other") && b.account("other").Live
			if is && was {
				told++
			}
			was = is
			if tick++; tick > 1 && b.account("host").Stats.Demoted {
				t.Fatalf("demoted in tick %d", tick)
			}
		}
		step()
		for range rapid.IntRange(1, 8).Draw(t, "faults") {
			for range rapid.SampledFrom([]int{1, 3, 8, 12, 35, 60}).Draw(t, "after") {
				step()
			}
			i := rapid.IntRange(0, len(all)-1).Draw(t, "of")
			down[i] = max(down[i], rapid.SampledFrom([]int{1, 2, 5, 20, 33, 45, 80}).Draw(t, "for"))
		}
		for range 400 {
			step()
		}
		if got, truth := b.account("host").Energy/j, unit.Microjoules(tick-1)*200; got > truth {
			t.Fatalf("host %d J, truth %d J", got, truth)
		}
		if other := b.account("other").Energy / j; config.Calibration.Gain == 0 && int(other) < 110*(told-10)-late { // the slow one and a probation
			t.Fatalf("other %d J, of %d s with 110 W", other, told)
		}
		from := b.account("host").Energy
		for range 50 {
			step()
		}
		if got := (b.account("host").Energy - from) / j; got != 50*200 {
			t.Fatalf("host got %d J in 50 s of 200 W", got)
		}
	})
}
