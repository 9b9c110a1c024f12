package energy_test

import (
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// Whatever is read, what is reported stays within what MaxPower allows for the
// time that passed, intervals do not overlap, and the events add up.
func TestPropertyCounterSurvivesGarbage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := energy.Limits{
			Max:      unit.Microjoules(rapid.OneOf(rapid.Just(uint64(amdMax)), rapid.Just(uint64(0)), rapid.Uint64()).Draw(t, "max")),
			MaxPower: unit.Microwatts(rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64()).Draw(t, "power")),
			Step:     unit.Microjoules(rapid.SampledFrom([]uint64{0, 1_000_000}).Draw(t, "step")),
		}
		c := energy.NewCounter(limits)
		value := rapid.OneOf(rapid.Uint64Range(0, amdM+10), rapid.SampledFrom([]uint64{0, 1, amdMax, 1 << 63, math.MaxUint64}), rapid.Uint64())
		now, last := epoch, time.Time{}
		var suspects uint64
		for range rapid.IntRange(1, 60).Draw(t, "reads") {
			now = now.Add(time.Duration(rapid.OneOf(
				rapid.Int64Range(-int64(2*s), int64(5*s)), rapid.Int64Range(0, int64(200*s)), rapid.Just(int64(100*365*24*time.Hour)),
			).Draw(t, "pass")))
			if rapid.IntRange(0, 9).Draw(t, "newMax") == 0 {
				c.SetMax(unit.Microjoules(value.Draw(t, "max")))
			}
			d, event := c.Advance(now, unit.Microjoules(value.Draw(t, "value")))
			if event.Has(energy.Held) {
				suspects++
			}
			if closed := event.Has(energy.Accepted | energy.Corrected | energy.Reset); closed == d.To.IsZero() {
				t.Fatalf("%v with Delta %+v", event, d)
			}
			if d.To.IsZero() {
				if d.Energy != 0 {
					t.Fatalf("%v: %d µJ for no interval", event, d.Energy)
				}
				continue
			}
			if d.From.Before(last) || !d.From.Before(d.To) || !d.To.Equal(now) {
				t.Fatalf("%v: interval (%v, %v] after %v at %v", event, d.From, d.To, last, now)
			}
			if event.Has(energy.Accepted) && d.Energy > limits.Bound(d.To.Sub(d.From)) {
				t.Fatalf("%v: %d µJ in %v", event, d.Energy, d.To.Sub(d.From))
			}
			last = d.To
		}
		if got := c.Stats().Suspects; got != suspects {
			t.Fatalf("Suspects = %d, want %d", got, suspects)
		}
	})
}

// machine is a true counter with a load, to be read with faults.
type machine struct {
	m, offset int64 // modulus; counter shows (truth + offset) mod m
	truth     int64
	now       time.Duration
}

func (m *machine) run(d time.Duration, watts int64) {
	m.now += d
	m.truth += watts * d.Microseconds()
}

func (m *machine) value() int64 { return mod(m.truth+m.offset, m.m) }

func (m *machine) show(v int64) { m.offset = v - m.truth }

func mod(a, m int64) int64 { return ((a % m) + m) % m }

func shown(v int64) unit.Microjoules { return unit.Microjoules(min(v, amdMax)) } // nothing between max and modulus

// Without faults every accepted read is exact, however often the counter wraps
// and however unevenly it is read, as long as that is more than once a lap.
func TestPropertyCleanStretchesAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := machine{m: amdM, offset: rapid.Int64Range(0, amdMax).Draw(t, "origin")}
		c := energy.NewCounter(amd)
		c.Advance(after(0), shown(m.value()))
		total := int64(0)
		for range rapid.IntRange(1, 200).Draw(t, "reads") {
			m.run(time.Duration(rapid.Int64Range(1, 65_000_000).Draw(t, "µs"))*time.Microsecond, rapid.Int64Range(0, 1000).Draw(t, "watts"))
			if rapid.IntRange(0, 4).Draw(t, "fails") == 0 && m.now%2 == 0 {
				continue // a read that failed: rule 0
			}
			v := m.value()
			d, event := c.Advance(after(m.now), shown(v))
			if event.Has(energy.Gap) { // two failed reads in a row may last longer than a lap
				m.truth, m.offset = total, v-total
				continue
			}
			total += int64(d.Energy)
			if diff := m.truth - total; diff < 0 || diff > 15 { // 15 µJ: the modulus is above max
				t.Fatalf("%v: reported %d, truth %d", event, total, m.truth)
			}
		}
		if s := c.Stats(); s.Resets+s.Suspects+s.Corrections != 0 {
			t.Fatalf("clean, but %+v", s)
		}
	})
}

// Faults that lie apart: the total is monotone, exceeds the truth by at most the
// largest glitch (and one bound for a reset just below the top), and glitches
// are made good entirely.
func TestPropertyIsolatedFaults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := machine{m: amdM, offset: rapid.Int64Range(0, amdMax).Draw(t, "origin")}
		c := energy.NewCounter(amd)
		c.Advance(after(0), shown(m.value()))
		var total, glitch, slack, lost int64
		onlyGlitches := true
		read := func(v int64) energy.Event {
			d, event := c.Advance(after(m.now), shown(v))
			total += int64(d.Energy)
			// shown hides up to 15 µJ.
			if over := total - m.truth; over > glitch+slack+15 {
				t.Fatalf("%v: reported %d µJ too much; glitches of %d, slack %d", event, over, glitch, slack)
			}
			return event
		}
		watts := rapid.Int64Range(1, 240) // 5 ticks stay below the bound of one
		calm := func(n int) {
			for range n {
				m.run(s, watts.Draw(t, "watts"))
				read(m.value())
			}
		}
		calm(4)
		for range rapid.IntRange(1, 12).Draw(t, "faults") {
			switch rapid.SampledFrom([]string{"glitch", "zero", "missing", "reset", "pause"}).Draw(t, "fault") {
			case "glitch":
				m.run(s, watts.Draw(t, "watts"))
				g := rapid.Int64Range(-30_000, 30_000).Draw(t, "joules") * int64(j)
				glitch = max(glitch, min(g, 1251*int64(j))) // a larger one is held
				read(mod(m.value()+g, m.m))
			case "zero":
				m.run(s, watts.Draw(t, "watts"))
				// A step forward to those that are just below the top.
				if ahead := m.m - m.value(); ahead < 1251*int64(j) {
					glitch = max(glitch, ahead)
				}
				read(0)
			case "missing":
				m.run(time.Duration(rapid.IntRange(1, 20).Draw(t, "ticks"))*s, watts.Draw(t, "watts"))
			case "reset":
				onlyGlitches = false
				if m.m-m.value() < 3*1251*int64(j) {
					slack += 3 * 1251 * int64(j) // reads as a wrap
				}
				w := watts.Draw(t, "watts")
				m.run(s, w)
				m.show(rapid.Int64Range(0, w*int64(j)).Draw(t, "since"))
				read(m.value())
			case "pause":
				onlyGlitches = false
				m.run(66*s, watts.Draw(t, "watts"))
				if event := read(m.value()); !event.Has(energy.Gap) {
					t.Fatalf("%v after 66 s, want a gap", event)
				}
			}
			calm(8)
		}
		lost = m.truth - total
		if lost < -glitch-slack-15 {
			t.Fatalf("reported %d µJ too much", -lost)
		}
		if !onlyGlitches {
			return
		}
		for c.Debt() > 0 { // pay
			calm(1)
		}
		calm(1)
		if lost = m.truth - total; lost < 0 || lost > 15 {
			t.Fatalf("after glitches only: reported %d, truth %d, %+v", total, m.truth, c.Stats())
		}
	})
}

// The integral of a gauge is the exact sum rounded down once, not once a read.
func TestPropertyGaugeDoesNotDrift(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := energy.NewGauge(s)
		var total unit.Microjoules
		exact := new(big.Int) // in halves of a µW·ns
		now := epoch
		previous := rapid.Uint64Range(0, 1e12).Draw(t, "µW")
		g.Advance(now, unit.Microwatts(previous))
		for range rapid.IntRange(1, 100).Draw(t, "reads") {
			d := rapid.Int64Range(1, int64(s)).Draw(t, "ns")
			p := rapid.Uint64Range(0, 1e12).Draw(t, "µW")
			now = now.Add(time.Duration(d))
			delta, event := g.Advance(now, unit.Microwatts(p))
			if event != energy.Accepted {
				t.Fatal(event)
			}
			total += delta.Energy
			exact.Add(exact, new(big.Int).Mul(new(big.Int).SetUint64(previous+p), big.NewInt(d)))
			previous = p
		}
		if want := exact.Div(exact, big.NewInt(2e9)).Uint64(); uint64(total) != want {
			t.Fatalf("total = %d µJ, want %d", total, want)
		}
	})
}
