package perf

import (
	"slices"
	"strings"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// An Increment is the energy that one sensor saw of one thing.
type Increment struct {
	Same   string // Part.Same
	Energy unit.Microjoules
	Over   time.Duration
}

// A Difference is how far two sensors are apart that read the same counter.
type Difference struct {
	Same       string
	Perf, RAPL unit.Microwatts // mean power
	// Relative is (Perf − RAPL) ÷ the larger of the two: from −1, where perf saw
	// nothing, to +1, where powercap saw nothing; 0 if neither did.
	Relative float64
	// Agree: within Tolerance, or within what two reads at different moments of
	// counters that step can differ by.
	Agree bool
}

const (
	// Tolerance is the largest relative difference between two sensors that agree.
	// Powercap is up to 52 ppm low, since the kernel keeps the unit of AMD, 2⁻¹⁶ J,
	// as 15.258 µJ; the rest is for the two being read at different moments.
	Tolerance = 0.01

	// slack is a difference that says nothing: a step of 1 J at either end.
	slack unit.Microjoules = 2_000_000
)

// Compare compares what both sensors saw, ordered by Same. What only one of them
// has, and what was seen for no time, is left out. It is pure.
func Compare(perf, rapl []Increment) []Difference {
	var ds []Difference
	for _, a := range perf {
		i := slices.IndexFunc(rapl, func(b Increment) bool { return a.Same != "" && b.Same == a.Same })
		if i < 0 || a.Over <= 0 || rapl[i].Over <= 0 {
			continue
		}
		b := rapl[i]
		d := Difference{Same: a.Same, Perf: a.Energy.Power(a.Over), RAPL: b.Energy.Power(b.Over)}
		high, low := max(d.Perf, d.RAPL), min(d.Perf, d.RAPL)
		if high > 0 {
			d.Relative = (float64(d.Perf) - float64(d.RAPL)) / float64(high)
		}
		d.Agree = max(d.Relative, -d.Relative) <= Tolerance || (high-low).Over(max(a.Over, b.Over)) <= slack
		ds = append(ds, d)
	}
	slices.SortFunc(ds, func(a, b Difference) int { return strings.Compare(a.Same, b.Same) })
	return ds
}

// Check sees the readings of both sensors for a while, as at the start of the
// receiver, and then says how far they are apart. The zero value is ready. It is
// not for concurrent use.
type Check struct {
	seen map[*sensor.Part]*tally
}

type tally struct {
	counter *energy.Counter
	Increment
}

// Book takes the readings of one tick; those of other sensors are passed over.
func (c *Check) Book(rs []sensor.Reading) {
	for _, r := range rs {
		p := r.Part
		if r.Kind != sensor.Counter || p.Same == "" || p.Sensor != names.SensorPerf && p.Sensor != names.SensorRAPL {
			continue
		}
		t := c.seen[p]
		if t == nil {
			if c.seen == nil {
				c.seen = map[*sensor.Part]*tally{}
			}
			t = &tally{
				counter:   energy.NewCounter(energy.Limits{Max: r.Max, MaxPower: p.MaxPower, Step: p.Step}),
				Increment: Increment{Same: p.Same},
			}
			c.seen[p] = t
		}
		t.counter.SetMax(r.Max)
		if d, _ := t.counter.Advance(r.At, r.Energy); !d.To.IsZero() {
			t.Energy += d.Energy
			t.Over += d.To.Sub(d.From)
		}
	}
}

// Differences returns what Compare says of all readings so far.
func (c *Check) Differences() []Difference {
	var perf, rapl []Increment
	for p, t := range c.seen {
		if p.Sensor == names.SensorPerf {
			perf = append(perf, t.Increment)
		} else {
			rapl = append(rapl, t.Increment)
		}
	}
	return Compare(perf, rapl)
}
