package energy

import (
	"math"
	"math/bits"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// DefaultMaxGap is the longest interval that a Gauge bridges when it was not
// told one: three collections of 10 s.
const DefaultMaxGap = 30 * time.Second

// halfPerMicrojoule is 1 µJ in halves of a µW·ns: twice the mean of two powers
// times nanoseconds needs no division before the last.
const halfPerMicrojoule = 2_000_000_000

// Gauge integrates power readings by trapezoids. What is left below 1 µJ is
// carried to the next interval, so the sum does not drift.
type Gauge struct {
	maxGap time.Duration
	begun  bool
	paused bool
	power  unit.Microwatts
	at     time.Time
	carry  uint64 // in halves of a µW·ns, less than 1 µJ
	stats  Stats
}

// NewGauge returns a gauge that does not bridge intervals longer than maxGap; 0
// or less stands for DefaultMaxGap. Three sampling intervals are a good choice.
func NewGauge(maxGap time.Duration) *Gauge {
	if maxGap <= 0 {
		maxGap = DefaultMaxGap
	}
	return &Gauge{maxGap: maxGap}
}

// Advance takes the power p in µW at the moment at. Powers above 1 MW are error
// values and ignored.
func (g *Gauge) Advance(at time.Time, p unit.Microwatts) (Delta, Event) {
	switch {
	case g.begun && !at.After(g.at):
		g.stats.Untimely++
		return Delta{}, Untimely
	case p > absurdPower:
		g.stats.OverRange++
		return Delta{}, OverRange
	case !g.begun || g.paused:
		g.begun, g.paused, g.power, g.at = true, false, p, at
		return Delta{}, Baseline
	}
	elapsed := at.Sub(g.at)
	if elapsed > g.maxGap {
		g.stats.gap(elapsed)
		g.power, g.at = p, at
		return Delta{}, Gap | Baseline
	}
	e, carry := trapezoid(g.power+p, elapsed, g.carry)
	d := Delta{Energy: e, From: g.at, To: at}
	g.power, g.at, g.carry = p, at, carry
	return d, Accepted
}

// Pause says that there is no power to tell until the next one: what lies between is
// not bridged, and no gap.
func (g *Gauge) Pause() { g.paused = true }

// Stats returns what happened so far.
func (g *Gauge) Stats() Stats { return g.stats }

// trapezoid returns sum/2 × d + carry in µJ and what is left of it.
func trapezoid(sum unit.Microwatts, d time.Duration, carry uint64) (unit.Microjoules, uint64) {
	hi, lo := bits.Mul64(uint64(sum), uint64(d)) //nolint:gosec // d is not negative
	lo, over := bits.Add64(lo, carry, 0)
	hi += over
	if hi >= halfPerMicrojoule { // half a year at 1 MW
		return math.MaxUint64, 0
	}
	q, rest := bits.Div64(hi, lo, halfPerMicrojoule)
	return unit.Microjoules(q), rest
}
