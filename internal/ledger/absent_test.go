package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// package-0 draws 30 W, package-1 50 W, the rest 20 W: an envelope shows 100 W. package-1
// cannot be read from 101 to 149 s, so that after 30 s the remainder holds what it draws. From
// 140 s on the envelope is away, for 20 s as a battery on its charger, for 40 s as a silent
// controller; meanwhile package-1 returns with all that it drew, 39 s × 50 W of which the
// remainder has. That is owed when the envelope is back: at 300 s the host has at most
// what was drawn in the time in which anybody knew it.
func TestWhatAPartBringsWhileTheEnvelopeIsAwayIsNotCountedTwice(t *testing.T) {
	for name, away := range map[string]int{"on the charger": 160, "silent": 180} {
		t.Run(name, func(t *testing.T) {
			b := open(t, ledger.Config{})
			envelope := whole("bmc", 1)
			for tick := range 301 {
				when := at(time.Duration(tick) * s)
				rs := []sensor.Reading{counted(pkg(0), tick, 30, when)}
				if tick <= 100 || tick >= 150 {
					rs = append(rs, counted(pkg(1), tick, 50, when))
				}
				switch {
				case tick < 140 || tick > away:
					rs = append(rs, sensor.Reading{Part: envelope, At: when, Kind: sensor.Gauge, Power: 100 * unit.Watt})
				case name == "on the charger":
					b.Pause(envelope)
				}
				b.book(rs...)
			}
			// 20 W from the fifth second on, but for the time in which the envelope was away.
			known := 134 + 300 - away - 1
			assert.LessOrEqual(t, b.account("other").Energy, unit.Microjoules(20*known)*j)
			assert.LessOrEqual(t, b.account("host").Energy, 30_000*j)
		})
	}
}

func counted(p *sensor.Part, tick, watts int, when time.Time) sensor.Reading {
	return sensor.Reading{Part: p, At: when, Energy: unit.Microjoules(tick*watts) * j, Max: intelMax}
}
