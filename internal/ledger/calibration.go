package ledger

import (
	"math"
	"math/bits"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// Calibration makes of the parts' energy what somebody measured at the wall: the
// host's energy becomes Gain × Σ parts + Offset × time. The parts stay as they
// are, the difference goes to the part "other". It rests while an envelope
// decides the energy of the host; of time that the envelope turns out not to tell, since
// it pauses or is silent, it is made up for.
type Calibration struct {
	Offset unit.Microwatts // of what no part shows: fans, disks, network
	Gain   float64         // from 1 to 100; 0 stands for 1, and so does anything else
}

const (
	nano    = 1_000_000_000 // 10⁻⁹ µJ, in which the calibration is computed, and 10⁻⁹ of Gain
	maxGain = 100
)

// calibration is what of a Calibration remains to be booked.
type calibration struct {
	offset uint64    // µW
	gain   uint64    // beyond 1, in 10⁻⁹
	until  time.Time // of the host, what is calibrated
	carry  uint64    // in 10⁻⁹ µJ, less than 1 µJ

	sum  unit.Microjoules // of the parts, since the envelope was settled …
	time time.Duration    // … and the time of it
}

func newCalibration(c Calibration) calibration {
	k := calibration{offset: uint64(c.Offset)}
	if c.Gain > 1 && c.Gain <= maxGain {
		k.gain = uint64(math.Round((c.Gain - 1) * nano))
	}
	return k
}

// calibrate books what the calibration adds to the sum that the parts got in this
// tick, unless an envelope decided what else there was, or still may.
func (l *Ledger) calibrate(sum unit.Microjoules) {
	c := &l.calibration
	if c.offset == 0 && c.gain == 0 || l.host.start.IsZero() {
		return
	}
	from, until := l.covered()
	if until.After(c.until) {
		if from.Before(c.until) {
			from = c.until
		}
		c.until = until
	} else {
		from = until
	}
	c.sum, c.time = plus(c.sum, sum), c.time+until.Sub(from)
	e := l.trusted
	switch {
	case !l.decided(), e.lost == l.tick:
	case e.settled == l.tick:
		c.sum, c.time = 0, 0
		return
	default:
		return
	}
	at := l.host.at
	if l.other == nil {
		l.other = &part{
			Part: &sensor.Part{
				ID: RemainderID, Name: "calibration", Type: "other", Sensor: "calibration", Method: sensor.Integrated,
				Role: sensor.Primary, Socket: -1, Die: -1,
			},
			account: account{start: at, at: at},
		}
		l.insert(l.other)
	}
	l.other.closed, l.other.paused = false, false
	l.other.extend(at)
	l.host.reach(l.other.account)
	extra := c.extra(c.sum, c.time)
	c.sum, c.time = 0, 0
	if l.add(l.other, extra) && e != nil && e.begun && e.settled != l.tick { // it may tell that time after all
		e.parts, e.guess = plus(e.parts, extra), plus(e.guess, extra)
	}
}

// covered returns the time of which live parts brought the energy in this tick,
// from the first begin to the last end; twice the zero time if none did.
func (l *Ledger) covered() (from, until time.Time) {
	for _, p := range l.read {
		if p.advanced != l.tick || !p.live() {
			continue
		}
		d := after(p.delta, p.from)
		if d.To.IsZero() {
			continue
		}
		if from.IsZero() || d.From.Before(from) {
			from = d.From
		}
		if p.delta.To.After(until) {
			until = p.delta.To
		}
	}
	return from, until
}

// extra returns gain × sum + offset × d in µJ and carries what is below.
func (c *calibration) extra(sum unit.Microjoules, d time.Duration) unit.Microjoules {
	hi, lo := bits.Mul64(uint64(sum), c.gain)
	h2, l2 := bits.Mul64(c.offset, uint64(max(d, 0)))
	lo, over := bits.Add64(lo, l2, 0)
	hi, _ = bits.Add64(hi, h2, over) // each below 2¹²⁷: gain < 2³⁷, d < 2⁶³
	lo, over = bits.Add64(lo, c.carry, 0)
	hi += over
	if hi >= nano {
		return math.MaxUint64 // is refused and counted as an overflow
	}
	q, rest := bits.Div64(hi, lo, nano)
	c.carry = rest
	return unit.Microjoules(q)
}
