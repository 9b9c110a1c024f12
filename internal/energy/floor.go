package energy

import (
	"math"
	"slices"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// Origin says where the idle power of a part comes from.
type Origin uint8

const (
	// Unknown idle power is 0: everything is dynamic.
	Unknown Origin = iota
	// Learned idle power was seen while the machine was idle.
	Learned
	// Extrapolated idle power is where the line through busy times meets no use.
	Extrapolated
	// Modelled idle power is that of the model that tells the energy.
	Modelled
	// Configured idle power was given by the user.
	Configured
)

// String returns "unknown", "learned", "extrapolated", "modelled" or "configured".
func (o Origin) String() string {
	switch o {
	case Learned:
		return "learned"
	case Extrapolated:
		return "extrapolated"
	case Modelled:
		return "modelled"
	case Configured:
		return "configured"
	}
	return "unknown"
}

// IdleBelow is the busy ratio below which a window counts as idle.
const IdleBelow = 0.05

const (
	idleRank   = 0.075  // the 5th to 10th percentile is asked for: above outliers, below bursts
	enoughIdle = 10.0   // s
	halfLife   = 600.0  // s of idle time; a floor that rose is followed after 3.7 of them: 2^-3.7 = idleRank
	recently   = 90.0   // s; in that time the rank follows a floor that fell: 1 - 2^(-90/600) > idleRank
	longAgo    = 1800.0 // s

	shortest   = 0.5  // s; shorter windows are pooled
	mostWeight = 60.0 // s; a longer window weighs no more

	leastPower = 10_000.0 // µW; the lowest bin ends here
	binsPerE   = 27       // bins in a factor of e: 3.8 % each
	powerBins  = 500      // up to 10 mW · e^(500/27) = 1.1 MW

	useBins   = 20
	useDepth  = 15  // windows kept in each
	useEnough = 5   // windows of a bin that make a point of the line
	linePoint = 4   // points that make a line …
	lineSpan  = 0.3 // … if their use differs by as much
)

// Floor learns the power that a part draws while the machine does nothing, from
// windows of its power and of the machine's busy ratio. A machine that is idle now
// and then tells it; for one that never is, a robust line through the busy times
// is extended to no use.
//
// What it has learned is never above the lowest window of the last 90 s, so that it
// falls at once; what it extrapolates, never above that of the last half hour.
// Times are those that were observed.
//
// It is deterministic, of fixed size (10 KiB), and allocates nothing. It is not
// safe for concurrent use.
type Floor struct {
	configured bool
	fixed      unit.Microwatts

	// The pool of short windows.
	energy, busy, length float64 // µJ; s; s
	least                float64 // busy ratio

	clock       float64 // s observed
	recent, all lowest

	// Idle time by power. Instead of all weights shrinking, that of new windows grows.
	idle   [powerBins]float64
	total  float64
	growth float64

	use   [useBins]useBin
	line  float64 // µW at no use; NaN where there is none
	stale bool    // line is older than use
}

// lowest is the least power of an epoch and of the one before.
type lowest struct {
	epoch, began float64 // s
	now, before  float64 // µW
}

func newLowest(epoch float64) lowest {
	return lowest{epoch: epoch, now: math.Inf(1), before: math.Inf(1)}
}

func (l *lowest) add(p, at float64) {
	if at-l.began > l.epoch {
		l.began, l.before, l.now = at, l.now, math.Inf(1)
	}
	l.now = min(l.now, p)
}

// clip rounds p into the range from 0 to the lowest; something was added.
func (l *lowest) clip(p float64) unit.Microwatts {
	return unit.Microwatts(math.Round(min(max(p, 0), l.now, l.before)))
}

// useBin holds the newest windows of similar busy ratio.
type useBin struct {
	ratio, power [useDepth]float64
	n            int // seen
	at           float64
}

// NewFloor returns a floor that knows nothing yet.
func NewFloor() *Floor {
	return &Floor{growth: 1, recent: newLowest(recently), all: newLowest(longAgo), line: math.NaN()}
}

// Configure sets the floor to p for good; nothing is learned any more.
func (f *Floor) Configure(p unit.Microwatts) { f.configured, f.fixed = true, p }

// Observe takes a window of the length d in which the part drew power in the mean
// and the CPUs were busy for the given share of their time. Windows without
// length, powers above 1 MW and ratios outside of 0 to 1 are ignored.
func (f *Floor) Observe(power unit.Microwatts, busy float64, d time.Duration) {
	if f.configured || d <= 0 || power > absurdPower || !(busy >= 0 && busy <= 1) { // NaN too
		return
	}
	seconds := d.Seconds()
	if f.length == 0 {
		f.least = busy
	}
	f.least = min(f.least, busy)
	f.energy += float64(power) * seconds
	f.busy += busy * seconds
	f.length += seconds
	if f.length < shortest {
		return
	}
	p, weight := math.Round(f.energy/f.length), min(f.length, mostWeight)
	u := max(f.busy/f.length, f.least) // rounding must not make idle what is just not
	f.energy, f.busy, f.length = 0, 0, 0

	f.clock += weight
	f.recent.add(p, f.clock)
	f.all.add(p, f.clock)
	if u < IdleBelow {
		f.addIdle(p, weight)
	} else {
		f.use[min(int(u*useBins), useBins-1)].add(u, p, f.clock)
		f.stale = true
	}
}

func (f *Floor) addIdle(p, weight float64) {
	f.growth *= math.Exp2(weight / halfLife)
	if f.growth > 1<<40 {
		f.total = 0
		for i := range f.idle {
			f.idle[i] /= f.growth
			f.total += f.idle[i]
		}
		f.growth = 1
	}
	f.idle[powerBin(p)] += weight * f.growth
	f.total += weight * f.growth
}

func powerBin(p float64) int {
	if p <= leastPower {
		return 0
	}
	return min(1+int(math.Log(p/leastPower)*binsPerE), powerBins-1)
}

// Value returns the idle power in µW and how it is known; 0 while it is unknown.
func (f *Floor) Value() (unit.Microwatts, Origin) {
	if f.configured {
		return f.fixed, Configured
	}
	if f.total >= enoughIdle*f.growth {
		return f.recent.clip(f.percentile()), Learned
	}
	if f.stale {
		f.line, f.stale = f.fit(), false
	}
	if math.IsNaN(f.line) {
		return 0, Unknown
	}
	return f.all.clip(f.line), Extrapolated
}

func (f *Floor) percentile() float64 {
	rest := f.total * idleRank
	for i, w := range &f.idle {
		if rest -= w; rest < 0 {
			if i == 0 {
				return leastPower
			}
			return leastPower * math.Exp((float64(i)-0.5)/binsPerE)
		}
	}
	return math.Inf(1) // not reached but by rounding; clipped
}

func (b *useBin) add(ratio, power, at float64) {
	i := b.n % useDepth
	b.ratio[i], b.power[i], b.at = ratio, power, at
	if b.n++; b.n == 2*useDepth {
		b.n = useDepth
	}
}

// fit returns the height at no use of the Theil–Sen line through the medians of
// the bins, or NaN where they do not make a line.
func (f *Floor) fit() float64 {
	var ratio, power [useBins]float64
	n := 0
	for i := range f.use {
		b := &f.use[i]
		if b.n < useEnough || f.clock-b.at > 2*longAgo {
			continue
		}
		kept := min(b.n, useDepth)
		r, p := b.ratio, b.power
		ratio[n], power[n] = median(r[:kept]), median(p[:kept])
		n++
	}
	if n < linePoint || ratio[n-1]-ratio[0] < lineSpan { //nolint:gosec // n is at least linePoint
		return math.NaN()
	}
	var slopes [useBins * (useBins - 1) / 2]float64
	m := 0
	for i := range n {
		for j := range i {
			// Medians of two bins differ: no ratio lies in both.
			slopes[m] = (power[i] - power[j]) / (ratio[i] - ratio[j])
			m++
		}
	}
	slope := median(slopes[:m])
	for i := range n {
		power[i] -= slope * ratio[i]
	}
	return median(power[:n])
}

// median sorts v, which must not be empty.
func median(v []float64) float64 {
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
