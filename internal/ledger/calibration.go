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
// decides the energy of the host.
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
}

func newCalibration(c Calibration) calibration {
	k := calibration{offset: uint64(c.Offset)}
	if c.Gain > 1 && c.Gain <= maxGain {
		k.gain = uint64(math.Round((c.Gain - 1) * nano))
	}
	return k
}

// calibrate books what the calibration adds to the sum that the parts got in this
// tick, unless an envelope decided what else there was.
func (l *Ledger) calibrate(sum unit.Microjoules, decided bool) {
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
	if decided {
		return
	}
	at := l.host.at
	if l.other == nil {
		l.other = &part{
			Part: &sensor.Part{
				ID: otherID, Name: "calibration", Type: "other", Sensor: "calibration", Method: sensor.Integrated,
				Role: sensor.Primary, Socket: -1, Die: -1,
			},
			account: account{start: at, at: at},
		}
		l.insert(l.other)
	}
	l.other.closed, l.other.paused = false, false
	l.other.extend(at)
	l.host.reach(l.other.account)
	l.add(l.other, c.extra(sum, until.Sub(from)))
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
