package perf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// reader implements sensor.Sensor.
type reader struct {
	root     string
	interval time.Duration // between scans
	pace     time.Duration // between scans that a failure asks for
	kernel   kernel
	machine  machine
	mirrors  bool // dies may mirror their package

	dir      string // of the PMU
	byDie    bool   // some package has had a counter for each die
	lead     int    // the package whose psys has no number
	counters []*counter
	scanned  time.Time
	wanted   bool   // a read says that a CPU may be gone
	tick     uint64 // number of the Read in progress
	closed   bool

	opened  time.Time         // when an event was opened first
	silent  *sensor.Problem   // where psys is all there is, and nobody wired it
	denied  *sensor.Problem   // one for all events, since one permission is for all
	known   []*sensor.Problem // of the last scan
	fresh   []*sensor.Problem // those not yet returned
	scratch []*sensor.Problem
	joined  error // of joinedOf
	joinOf  []*sensor.Problem
}

func open(root string, c Config) (sensor.Sensor, error) { return openWith(root, c, &linux{}) }

func openWith(root string, c Config, k kernel) (sensor.Sensor, error) {
	r := &reader{
		root:     root,
		interval: c.RescanInterval,
		pace:     min(c.RescanInterval, rescanPace),
		kernel:   k,
		lead:     -1,
	}
	if b, err := readHead(filepath.Join(root, "proc/cpuinfo"), cpuinfoSize); err == nil {
		r.machine = parseCPUInfo(b)
	}
	r.mirrors = r.machine.mirrorsDies()
	s := r.rescan(time.Now())
	if len(r.counters) == 0 && len(s.problems) == 0 {
		return nil, r.absent(s, nil)
	}
	unsupported := error(nil)
	for _, c := range r.counters {
		if err := r.open(c); err != nil {
			r.fail(c, err)
			c.retry = false
			unsupported = err
		}
	}
	if len(r.counters) > 0 && !slices.ContainsFunc(r.counters, func(c *counter) bool {
		return c.fd >= 0 || c.problem.Class != sensor.Absent && c.problem.Class != sensor.VirtualMac
	}) {
		return nil, errors.Join(r.absent(s, unsupported), r.Close())
	}
	// The kernel shows psys of some server models without looking at it, in virtual
	// machines too, where it counts nothing.
	if r.machine.virtual && r.onlyPsys() {
		return nil, errors.Join(r.absent(s, unsupported), r.Close())
	}
	return r, nil
}

// onlyPsys reports whether there are counters, and none of anything but psys.
func (r *reader) onlyPsys() bool {
	return len(r.counters) > 0 && !slices.ContainsFunc(r.counters, func(c *counter) bool { return c.key.domain != psys })
}

// Read implements sensor.Sensor.
func (r *reader) Read(ctx context.Context, dst []sensor.Reading) ([]sensor.Reading, error) {
	if r.closed {
		return dst, errClosed
	}
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	if now := time.Now(); now.Sub(r.scanned) >= r.interval {
		r.rescan(now)
	}
	r.tick++
	dst = r.pass(ctx, dst)
	if r.wanted {
		if now := time.Now(); now.Sub(r.scanned) >= r.pace {
			r.rescan(now)
			dst = r.pass(ctx, dst)
		}
	}
	return dst, r.failures(ctx.Err())
}

var errClosed = fmt.Errorf("%s: the sensor is closed: %w", names.SensorPerf, os.ErrClosed)

// pass reads the counters that this tick has no reading of yet.
func (r *reader) pass(ctx context.Context, dst []sensor.Reading) []sensor.Reading {
	for _, c := range r.counters {
		if c.tick == r.tick {
			continue
		}
		if ctx.Err() != nil {
			return dst
		}
		at, ok := r.read(c)
		if !ok {
			continue
		}
		c.tick = r.tick
		// Psys exists on machines where nobody wired it, and counts nothing there.
		if c.key.domain == psys && c.total == (amount{}) && !c.shown {
			continue
		}
		c.shown = true
		dst = append(dst, sensor.Reading{Part: &c.part, At: at, Kind: sensor.Counter, Energy: c.total.whole})
	}
	return dst
}

// failures joins what is wrong now. Failures that last give the same value again.
func (r *reader) failures(canceled error) error {
	all := r.scratch[:0]
	if len(r.counters) == 0 {
		all = append(all, r.known...)
	} else {
		all = append(all, r.fresh...)
	}
	r.fresh = r.fresh[:0]
	for _, c := range r.counters {
		if c.problem != nil && !slices.Contains(all, c.problem) {
			all = append(all, c.problem)
		}
	}
	if len(all) == 0 && r.countsNothing() {
		all = append(all, r.silent)
	}
	r.scratch = all
	if !slices.Equal(all, r.joinOf) {
		r.joinOf = append(r.joinOf[:0], all...)
		errs := make([]error, len(all))
		for i, p := range all {
			errs[i] = p
		}
		r.joined = errors.Join(errs...)
	}
	if canceled != nil {
		return errors.Join(r.joined, canceled)
	}
	return r.joined
}

// silence is how long psys may show nothing on a machine where it is all there is.
const silence = 10 * time.Second

// countsNothing reports whether what was opened has long shown nothing.
func (r *reader) countsNothing() bool {
	if !r.onlyPsys() || slices.ContainsFunc(r.counters, func(c *counter) bool { return c.shown }) || r.opened.IsZero() || time.Since(r.opened) < silence {
		return false
	}
	if r.silent == nil {
		r.silent = &sensor.Problem{
			Sensor: names.SensorPerf, Class: sensor.Absent, Path: r.dir + "/events/" + string(psys),
			Err:    errors.New("the only event of this PMU counts nothing on this machine"),
			Remedy: "none on this board, or in this virtual machine: use another sensor",
		}
	}
	return true
}

// rescan brings the counters up to date with the folder of the PMU.
func (r *reader) rescan(now time.Time) *scan {
	r.scanned, r.wanted, r.denied = now, false, nil
	s := scanPMU(filepath.Join(r.root, "sys"))
	if s.dir == "" && r.dir != "" && len(s.problems) == 0 {
		s.problem(r.dir, os.ErrNotExist)
	}
	if s.dir != "" {
		r.dir = s.dir
	}
	if len(s.places) > 0 && len(s.events) > 0 {
		r.update(s)
	}
	for _, c := range r.counters {
		if !c.found && c.fd < 0 {
			r.fail(c, errOffline)
		}
	}
	r.remember(s.problems)
	return s
}

// update makes counters of what a scan found.
func (r *reader) update(s *scan) {
	if r.lead < 0 {
		if r.lead = s.boot; r.lead < 0 {
			r.lead = s.places[0].socket
		}
		// Where cpuinfo is not mounted: no other maker's PMU has the package alone.
		r.mirrors = r.mirrors || r.machine.vendor == "" && len(s.events) == 1 && s.events[0].domain == pkg
	}
	for _, c := range r.counters {
		c.found = false
	}
	if s.byDie() && !r.byDie {
		r.byDie = true
		r.retire() // or one die would have two parts
	}
	for i, p := range s.places {
		first := !slices.ContainsFunc(s.places[:i], func(q place) bool { return q.socket == p.socket })
		for _, e := range s.events {
			k := key{e.domain, p.socket, -1}
			switch {
			case e.domain == psys && !first:
				continue // it is the whole machine's, whoever asks
			case e.domain == cores && r.mirrors:
				continue // a single core
			case e.domain != psys && r.byDie:
				k.die = p.die
			}
			if c := r.counter(k); c != nil {
				r.refresh(c, e, p.cpu, s.typ)
			}
		}
	}
}

// maxCounters bounds what topology files that change without end can cost.
const maxCounters = 5 * maxPlaces

// counter returns the counter of a key, and makes one if it is new. It is nil
// where there are too many.
func (r *reader) counter(k key) *counter {
	if i := slices.IndexFunc(r.counters, func(c *counter) bool { return c.key == k }); i >= 0 {
		return r.counters[i]
	}
	if len(r.counters) >= maxCounters {
		return nil
	}
	c := &counter{key: k, part: describe(k, r.lead, r.mirrors), fd: -1}
	r.counters = append(r.counters, c)
	return c
}

// retire gives up the counters of whole packages.
func (r *reader) retire() {
	r.counters = slices.DeleteFunc(r.counters, func(c *counter) bool {
		if c.key.domain == psys {
			return false
		}
		r.shut(c)
		return true
	})
}

// remember keeps the problems of a scan. One that the last scan had too is the
// same value, and not fresh.
func (r *reader) remember(problems []*sensor.Problem) {
	for i, p := range problems {
		j := slices.IndexFunc(r.known, func(k *sensor.Problem) bool { return k.Path == p.Path && k.Class == p.Class })
		if j >= 0 {
			problems[i] = r.known[j]
		} else {
			r.fresh = append(r.fresh, p)
		}
	}
	r.known = problems
}

// Close implements sensor.Sensor.
func (r *reader) Close() error {
	r.closed = true
	for _, c := range r.counters {
		r.shut(c)
	}
	return nil
}
