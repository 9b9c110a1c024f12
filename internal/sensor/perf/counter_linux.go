package perf

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// A counter is a part with its event. It stays when its CPUs go, and goes on
// when they return.
type counter struct {
	key   key
	part  sensor.Part
	shown bool // part was returned and does not change any more

	event event
	cpu   int
	typ   uint32
	found bool // by the last scan

	fd      int // -1: not open
	last    sample
	at      time.Time // of last
	total   amount    // over all events that were opened
	tick    uint64    // Read that has its reading
	retry   bool      // worth opening again
	problem *sensor.Problem
}

// stall is how long an event may show no progress before it counts as ended; two
// reads in quick succession can lie within a step of the kernel's clock.
const stall = 100 * time.Millisecond

// errStopped is what an event gives whose CPU went: the kernel keeps answering
// with the last values.
var errStopped = errors.New("the event stopped counting")

// errIdle is what an event gives that was never put on its CPU.
var errIdle = errors.New("the kernel does not run the event")

// read reads a counter, or says in its problem why not.
func (r *reader) read(c *counter) (at time.Time, ok bool) {
	if c.fd < 0 && (!c.found || c.problem != nil && !c.retry) {
		return at, false // until the next scan
	}
	c.retry = false
	var err, ended error
	for range 2 { // the second time with a new event
		if c.fd < 0 {
			if err = r.open(c); err != nil {
				break
			}
		}
		if at, err = r.readOpen(c); err == nil {
			if c.problem = nil; ended != nil {
				r.fresh = append(r.fresh, r.lost(c, ended))
			}
			return at, true
		}
		if !hasEnded(err) {
			break
		}
		r.shut(c)
		r.wanted = true
		if ended = err; !c.found {
			err = errOffline
			break
		}
	}
	r.fail(c, err)
	return at, false
}

// open opens the event. It counts from 0, so the part goes on from its total.
func (r *reader) open(c *counter) error {
	fd, err := r.kernel.open(c.typ, c.event.config, c.cpu)
	if err != nil {
		return err
	}
	c.fd, c.last, c.at = fd, sample{}, time.Now()
	if r.opened.IsZero() {
		r.opened = c.at
	}
	return nil
}

func (r *reader) readOpen(c *counter) (at time.Time, err error) {
	s, err := r.kernel.read(c.fd)
	at = time.Now()
	switch {
	case err != nil:
		return at, err
	case s.running == 0:
		return at, errIdle
	case s == c.last && at.Sub(c.at) >= stall:
		return at, errStopped
	}
	if s != c.last {
		c.total.step(int64(s.value-c.last.value), c.event.scale) //nolint:gosec // the count wraps at 2⁶⁴, and may step back
		c.last, c.at = s, at
	}
	return at, nil
}

// shut closes the event of a counter, if it is open. Its total remains.
func (r *reader) shut(c *counter) {
	if c.fd >= 0 {
		r.kernel.close(c.fd)
		c.fd = -1
	}
}

// refresh gives a counter what a new scan found.
func (r *reader) refresh(c *counter, e event, cpu int, typ uint32) {
	c.found, c.retry = true, true
	if c.fd >= 0 && (c.typ != typ || c.event != e) {
		r.shut(c)
	}
	c.event, c.typ = e, typ
	// An open event needs no other CPU: the kernel moves it within its package.
	c.cpu = cpu
}

// hasEnded says whether an event will give nothing any more.
func hasEnded(err error) bool {
	for _, e := range []error{errStopped, errEnded, unix.ENODEV, unix.EBADF} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
