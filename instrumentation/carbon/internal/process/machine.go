package process

import (
	"bytes"
	"context"
	"errors"
	"time"
)

// tick is the unit of /proc/stat, USER_HZ, on every architecture that Go has.
const tick = 10 * time.Millisecond

// counts are the ticks of all CPUs together. Guest time is inside user time; waiting
// for a disk is idling, and the kernel moves time from one to the other afterwards;
// stolen time is somebody else's.
type counts struct{ busy, idle, stolen uint64 }

// parseStat reads the first line of /proc/stat, "cpu  1 2 3 4 5 6 7 8 9 10", of which
// old kernels have seven numbers.
func parseStat(b []byte) (c counts, ok bool) {
	b, ok = bytes.CutPrefix(b, []byte("cpu "))
	line, _, whole := bytes.Cut(b, []byte("\n"))
	if !ok || !whole {
		return c, false
	}
	n := 0
	for field := range bytes.FieldsSeq(line) {
		v, ok := parseNumber(field)
		if !ok || v > 1<<56 { // a thousand CPUs for 20 000 years; sums stay below 2⁶⁴
			return c, false
		}
		switch n {
		case 0, 1, 2, 5, 6: // user, nice, system, irq, softirq
			c.busy += v
		case 3, 4: // idle, iowait
			c.idle += v
		case 7:
			c.stolen = v
		}
		n++
	}
	return c, n >= 7
}

// parseNumber reads decimal digits.
func parseNumber(b []byte) (n uint64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, d := range b {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = 10*n + uint64(d-'0')
	}
	return n, true
}

// machine knows how busy all CPUs are.
type machine struct {
	// read tells the counts of all CPUs; nil: nobody does, and all are taken to be busy
	// all the time.
	read func() (counts, error)
	cpus int

	begun bool
	at    time.Time
	last  counts
	rate  float64 // busy CPUs in the last interval
	err   error   // of the last read

	busy, capacity time.Duration // sums
}

// advance looks at the machine and returns for how long its CPUs were busy since the
// last look that succeeded.
//
// The counts may jump: an offline CPU is counted differently, and a migrated virtual
// machine may see stolen time run back. An interval with a jump says nothing: the sums
// stand still, and the CPUs are taken to have been busy as before.
func (m *machine) advance(now time.Time) (busy time.Duration, err error) {
	var c counts
	if m.read != nil {
		if c, m.err = m.read(); m.err != nil {
			return 0, m.err
		}
	}
	dt, last, begun := now.Sub(m.at), m.last, m.begun
	m.at, m.last, m.begun = now, c, true
	switch {
	case !begun || dt <= 0:
		return 0, nil
	case m.read == nil:
		busy = dt * time.Duration(m.cpus)
		m.busy, m.capacity, m.rate = m.busy+busy, m.capacity+busy, float64(m.cpus)
		return busy, nil
	}
	total := c.busy - last.busy + c.idle - last.idle + c.stolen - last.stolen
	if c.busy < last.busy || c.idle < last.idle || c.stolen < last.stolen || total > m.atMost(dt) {
		return time.Duration(m.rate * float64(dt)), nil
	}
	busy = span(c.busy - last.busy)
	m.busy, m.capacity, m.rate = m.busy+busy, m.capacity+span(total), float64(busy)/float64(dt)
	return busy, nil
}

// atMost is how many ticks pass on all CPUs in dt; the margins are for the time between
// reading the counts and the clock, and for ticks that have not ended.
func (m *machine) atMost(dt time.Duration) uint64 {
	return uint64(max(m.cpus, 1)) * (uint64(max(dt, 0)/tick)*5/4 + 100)
}

// span of ticks, of which there are no more than atMost says.
func span(ticks uint64) time.Duration {
	return time.Duration(ticks) * tick //nolint:gosec // a day of 8192 CPUs is 7·10¹⁰ ticks
}

var errNoTimes = errors.New("the busy time of the machine was not read")

// times is what the model asks for: the sums up to the last look.
func (m *machine) times(context.Context) (busy, capacity time.Duration, err error) {
	if !m.begun && m.err == nil {
		return 0, 0, errNoTimes
	}
	return m.busy, m.capacity, m.err
}
