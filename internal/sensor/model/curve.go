package model

import (
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// A curve is power over utilization: straight lines between its points.
type curve struct {
	points []point
	// withMemory: the figures are of a whole server, whose memory is inside.
	withMemory bool
	why        string // where the figures come from, for people
}

type point struct {
	use   float64 // share of the CPU capacity that is busy, 0 to 1
	power unit.Microwatts
}

func line(idle, full float64) []point {
	return []point{{0, unit.FromWatts(idle)}, {1, unit.FromWatts(full)}}
}

func (c *curve) idle() unit.Microwatts { return c.points[0].power }
func (c *curve) full() unit.Microwatts { return c.points[len(c.points)-1].power }

// flat says that power does not depend on use.
func (c *curve) flat() bool {
	for _, p := range c.points {
		if p.power != c.idle() {
			return false
		}
	}
	return true
}

// check refuses what at could not work with. A figure may fall where use rises
// (published ones do), so power need not be sorted.
func (c *curve) check() error {
	if len(c.points) < 2 || c.points[0].use != 0 || c.points[len(c.points)-1].use != 1 {
		return errors.New("a curve reaches from idle to full use")
	}
	for i, p := range c.points {
		if i > 0 && p.use <= c.points[i-1].use {
			return fmt.Errorf("point %d of the curve does not lie above the one before", i)
		}
		if p.power > unit.FromWatts(maxWatts) {
			return fmt.Errorf("%g W at %g %% use is more than %g W", p.power.Watts(), p.use*100, float64(maxWatts))
		}
	}
	return nil
}

// at returns the power at the given use, which is clipped to 0…1.
func (c *curve) at(use float64) unit.Microwatts {
	if !(use > 0) { // NaN too
		return c.idle()
	}
	for i := 1; i < len(c.points); i++ {
		a, b := c.points[i-1], c.points[i]
		if use <= b.use {
			t := (use - a.use) / (b.use - a.use)
			return unit.Microwatts((1-t)*float64(a.power) + t*float64(b.power) + 0.5)
		}
	}
	return c.full()
}

// An integrator sums power over time. The part of a µJ that an interval leaves
// over is carried into the next one, so that a sum does not depend on how often
// it was read.
type integrator struct {
	energy unit.Microjoules
	rest   uint64 // µW·ns, less than a µJ
}

// add takes up to maxWatts over up to maxGap, which cannot overflow. A d below 0
// adds nothing.
func (s *integrator) add(p unit.Microwatts, d time.Duration) {
	hi, lo := bits.Mul64(uint64(p), uint64(max(d, 0)))
	lo, carry := bits.Add64(lo, s.rest, 0)
	q, r := bits.Div64(hi+carry, lo, uint64(time.Second))
	s.energy, s.rest = s.energy+unit.Microjoules(q), r
}
