package energy_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

func TestGauge(t *testing.T) {
	type read struct {
		at    time.Duration
		power unit.Microwatts
		want  unit.Microjoules
		event energy.Event
	}
	for _, c := range []struct {
		name  string
		reads []read
		stats energy.Stats
	}{
		{
			name: "C9 the first reading is no energy",
			reads: []read{
				{0, 100 * unit.Watt, 0, energy.Baseline},
			},
		},
		{
			name: "mean of both ends times the time between",
			reads: []read{
				{0, 100 * unit.Watt, 0, energy.Baseline},
				{2 * s, 200 * unit.Watt, 300 * j, energy.Accepted},
				{3 * s, 0, 100 * j, energy.Accepted},
				{4 * s, 0, 0, energy.Accepted}, // 0 W is a value
			},
		},
		{
			// 3 µW for 0.25 s are 0.75 µJ: 0.75, 1.5, 2.25, 3 in all.
			name: "what is below a µJ is carried",
			reads: []read{
				{0, 3, 0, energy.Baseline},
				{250 * ms, 3, 0, energy.Accepted},
				{500 * ms, 3, 1, energy.Accepted},
				{750 * ms, 3, 1, energy.Accepted},
				{1000 * ms, 3, 1, energy.Accepted},
			},
		},
		{
			// (1 + 2) µW ÷ 2 for 1 ns: 1.5 µW·ns; half units keep the half.
			name: "odd sums lose no half",
			reads: []read{
				{0, 1, 0, energy.Baseline},
				{1 * s, 2, 1, energy.Accepted}, // 1.5
				{2 * s, 1, 2, energy.Accepted}, // 3
			},
		},
		{
			name: "a gap of more than 3 s is not bridged, one of 3 s is",
			reads: []read{
				{0, 100 * unit.Watt, 0, energy.Baseline},
				{3 * s, 100 * unit.Watt, 300 * j, energy.Accepted},
				{6*s + 1, 100 * unit.Watt, 0, energy.Gap | energy.Baseline},
				{7*s + 1, 100 * unit.Watt, 100 * j, energy.Accepted},
			},
			stats: energy.Stats{Gaps: 1, GapTime: 3*s + 1},
		},
		{
			name: "C10 no time has passed, or less than none",
			reads: []read{
				{1 * s, 100 * unit.Watt, 0, energy.Baseline},
				{1 * s, 900 * unit.Watt, 0, energy.Untimely},
				{0, 900 * unit.Watt, 0, energy.Untimely},
				{2 * s, 100 * unit.Watt, 100 * j, energy.Accepted},
			},
			stats: energy.Stats{Untimely: 2},
		},
		{
			// 0xFFFFFFFF mW, what ACPI power meters say when they know nothing.
			name: "C34 an error value is no power",
			reads: []read{
				{0, 4_294_967_295_000, 0, energy.OverRange},
				{1 * s, 100 * unit.Watt, 0, energy.Baseline},
				{2 * s, 4_294_967_295_000, 0, energy.OverRange},
				{3 * s, math.MaxUint64, 0, energy.OverRange},
				{4 * s, 100 * unit.Watt, 300 * j, energy.Accepted},
			},
			stats: energy.Stats{OverRange: 3},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := energy.NewGauge(3 * s)
			for _, r := range c.reads {
				d, event := g.Advance(after(r.at), r.power)
				assert.Equal(t, r.want, d.Energy, "energy in µJ at %v", r.at)
				assert.Equal(t, r.event.String(), event.String(), "event at %v", r.at)
				assert.Equal(t, event == energy.Accepted, !d.To.IsZero(), "Delta closes an interval")
			}
			assert.Equal(t, c.stats, g.Stats())
		})
	}
}

// 100 W until 2 s, a pause, and 100 W from 4 s on: nothing for the time between, which
// is no gap. A reading from before the pause does not end it.
func TestGaugePauses(t *testing.T) {
	g := energy.NewGauge(30 * s)
	g.Pause() // nothing has begun
	var sum unit.Microjoules
	for _, c := range []struct {
		at    time.Duration
		event energy.Event
	}{{0, energy.Baseline}, {2 * s, energy.Accepted}, {2 * s, energy.Untimely}, {4 * s, energy.Baseline}, {5 * s, energy.Accepted}} {
		d, event := g.Advance(after(c.at), 100*unit.Watt)
		assert.Equal(t, c.event.String(), event.String(), "at %v", c.at)
		if sum += d.Energy; c.at == 2*s {
			g.Pause()
		}
	}
	assert.Equal(t, 300*j, sum)
	assert.Equal(t, energy.Stats{Untimely: 1}, g.Stats())
}

func TestGaugeWithoutGapTakesTheDefault(t *testing.T) {
	g := energy.NewGauge(0)
	g.Advance(epoch, unit.Watt)
	_, event := g.Advance(after(30*s), unit.Watt)
	assert.Equal(t, energy.Accepted, event)
	_, event = g.Advance(after(61*s), unit.Watt)
	assert.Equal(t, energy.Gap|energy.Baseline, event)
}

func TestGaugeSaturatesInsteadOfWrapping(t *testing.T) {
	g := energy.NewGauge(math.MaxInt64)
	g.Advance(epoch, 1_000_000*unit.Watt)
	d, _ := g.Advance(epoch.Add(290*365*24*time.Hour), 1_000_000*unit.Watt) // 9.1 EJ
	assert.Equal(t, unit.Microjoules(math.MaxUint64), d.Energy)
}
