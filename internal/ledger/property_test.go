package ledger_test

import (
	"fmt"
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
