package energy

import (
	"math"
	"math/bits"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/unit"
)

const (
	joule unit.Microjoules = 1_000_000

	// defaultMaxPower exceeds the power of every known package or module.
	defaultMaxPower = 1000 * unit.Watt
	// absurdPower is more than any single part draws; larger limits and readings
	// are errors of firmware (0xFFFFFFFF mW is 4.3 MW).
	absurdPower = 1_000_000 * unit.Watt

	// top is the last value of a 32-bit hardware counter.
	top = 1<<32 - 1
)

// Limits is what is known about a counter before it is read.
type Limits struct {
	Max      unit.Microjoules // largest value before it wraps; 0: unknown
	MaxPower unit.Microwatts  // largest plausible power; 0 or above 1 MW: 1 kW is taken
	Step     unit.Microjoules // increment of a coarse counter; 0: finer than 1 mJ
}

// Modulus returns the value at which the counter starts again from 0, or 0 if
// that is unknown. RAPL counts a 32-bit register in units of the hardware and
// shows the register's last value as Max, so the modulus is Max and one unit;
// any other Max is taken as the last value of a counter in µJ.
func (l Limits) Modulus() unit.Microjoules {
	switch {
	case l.Max == 0, l.Max == math.MaxUint64:
		return 0
	case is32bit(uint64(l.Max)):
		return l.Max + max(1, (l.Max+top/2)/top)
	}
	return l.Max + 1
}

// is32bit reports whether last is (2³²−1) units, rounded down to a µJ, for a
// unit of at most 1 J: a whole number of nJ as today's kernels keep it, or 2⁻ᵏ J
// as older ones did (drivers/powercap/intel_rapl).
func is32bit(last uint64) bool {
	if last > top*1_000_000 {
		return false
	}
	nanojoules := (last*1000 + top/2) / top
	if exact := nanojoules * top / 1000; last > 0 && (last == exact || last == exact+1) {
		return true
	}
	for k := range 32 {
		if last == top*1_000_000>>k {
			return true
		}
	}
	return false
}

// ShortestWrap returns the time in which the counter goes once around at
// MaxPower, or 0 if its modulus is unknown. Read at least twice in that time.
func (l Limits) ShortestWrap() time.Duration {
	hi, lo := bits.Mul64(uint64(l.Modulus()), uint64(time.Second))
	p := uint64(l.maxPower())
	if hi >= p {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, p)
	return time.Duration(min(q, math.MaxInt64))
}

// Bound returns the largest energy in µJ that is plausible for an interval of
// length d: MaxPower with a quarter to spare, 1 J and one Step.
func (l Limits) Bound(d time.Duration) unit.Microjoules {
	e := l.maxPower().Over(d)
	return plus(plus(e, e/4), plus(joule, l.Step))
}

func (l Limits) maxPower() unit.Microwatts {
	if l.MaxPower == 0 || l.MaxPower > absurdPower {
		return defaultMaxPower
	}
	return l.MaxPower
}
