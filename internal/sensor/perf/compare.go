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

// Window is how long the two are compared.
const Window = 30 * time.Second

// Check sees the readings of both sensors and says how far they are apart: of each
// thing once, over the first Window in which every tick had a reading of both,
// whenever that is. The zero value is ready. It is not for concurrent use.
type Check struct {
	tick  uint64
	pairs map[string]*pair // by Part.Same
	found []Difference
}

// pair is one thing that both sensors may show.
type pair struct {
	perf, rapl tally
	began      time.Time
	tick       uint64 // the last in which both were read
	done       bool
}

// tally is what one sensor has seen of it since the pair began.
type tally struct {
	tick    uint64 // of reading
	reading sensor.Reading
	counter *energy.Counter
	Increment
}

// Book takes the readings of one tick; those of other sensors are passed over. It
// reports whether there are more Differences than before.
func (c *Check) Book(rs []sensor.Reading) (news bool) {
	c.tick++
	before := len(c.found)
	for i := range rs {
		r := &rs[i]
		p := r.Part
		if r.Kind != sensor.Counter || p.Same == "" || p.Sensor != names.SensorPerf && p.Sensor != names.SensorRAPL {
			continue
		}
		both := c.pairs[p.Same]
		if both == nil {
			if c.pairs == nil {
				c.pairs = map[string]*pair{}
			}
			both = &pair{}
			c.pairs[p.Same] = both
		}
		if !both.done && both.take(r, c.tick) {
			c.found = append(c.found, both.conclude()...)
		}
	}
	return len(c.found) > before
}

// take takes one of a pair's readings, and reports whether the window is over.
func (p *pair) take(r *sensor.Reading, tick uint64) (over bool) {
	mine, other := &p.perf, &p.rapl
	if r.Part.Sensor == names.SensorRAPL {
		mine, other = other, mine
	}
	if mine.tick == tick {
		return false
	}
	mine.tick, mine.reading = tick, *r
	if other.tick != tick {
		return false
	}
	a, b := p.perf.advance(), p.rapl.advance()
	if goesOn := p.tick == tick-1 && a && b; !goesOn {
		p.perf.begin()
		p.rapl.begin()
		p.began = p.perf.reading.At
	}
	p.tick = tick
	return p.perf.reading.At.Sub(p.began) >= Window
}

// begin lets the tally begin with its newest reading.
func (t *tally) begin() {
	p := t.reading.Part
	t.counter = energy.NewCounter(energy.Limits{Max: t.reading.Max, MaxPower: p.MaxPower, Step: p.Step})
	t.Increment = Increment{Same: p.Same}
	t.advance()
}

// advance adds what the newest reading brings. It reports false where some of the
// energy since the last one is unknown.
func (t *tally) advance() bool {
	if t.counter == nil {
		return false
	}
	t.counter.SetMax(t.reading.Max)
	d, event := t.counter.Advance(t.reading.At, t.reading.Energy)
	if !d.To.IsZero() {
		t.Energy += d.Energy
		t.Over += d.To.Sub(d.From)
	}
	return !event.Has(energy.Reset | energy.Gap)
}

// conclude compares what was seen. Nothing, if one of the sensors saw no time.
func (p *pair) conclude() []Difference {
	found := Compare([]Increment{p.perf.Increment}, []Increment{p.rapl.Increment})
	if len(found) > 0 {
		*p = pair{done: true}
	}
	return found
}

// Differences returns what was found so far, ordered by Same.
func (c *Check) Differences() []Difference {
	found := slices.Clone(c.found)
	slices.SortFunc(found, func(a, b Difference) int { return strings.Compare(a.Same, b.Same) })
	return found
}
