package rapl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// maxKept is how many counter files stay open between reads. A machine with
// more zones pays with an open for each of the rest.
const maxKept = 256

// reader implements sensor.Sensor and Limiter.
type reader struct {
	sys      string
	interval time.Duration // between scans
	pace     time.Duration // between scans that a failure asks for
	machine  machine
	mirrors  bool // dies may mirror their package, and core is a single one
	pread    preader

	zones   []*zone // by address as first seen
	byKey   map[key]*zone
	scanned time.Time
	wanted  bool   // a read says that a zone is gone or another
	tick    uint64 // number of the Read in progress
	kept    int    // open files
	closed  bool

	known   []*sensor.Problem // of the last scan
	fresh   []*sensor.Problem // those not yet returned
	scratch []*sensor.Problem
	joined  error // of joinedOf
	joinOf  []*sensor.Problem

	buf  [smallFile]byte
	stat unix.Stat_t
}

func open(root string, c Config) (sensor.Sensor, error) {
	r := &reader{
		sys:      filepath.Join(root, "sys"),
		interval: c.RescanInterval,
		pace:     min(c.RescanInterval, rescanPace),
		byKey:    map[key]*zone{},
		pread:    unix.Pread,
	}
	r.machine = readMachine(root)
	r.mirrors = r.machine.mirrorsDies()
	s := r.rescan(time.Now())
	if len(r.zones) == 0 && len(s.problems) == 0 {
		return nil, absent(r.sys, s, r.machine)
	}
	return r, nil
}

// readMachine reads the first processor of /proc/cpuinfo, which takes 2 kB or
// so. Without that file the vendor is unknown.
func readMachine(root string) machine {
	var buf [16 << 10]byte
	b, err := readHead(filepath.Join(root, "proc/cpuinfo"), buf[:])
	if err != nil {
		return machine{}
	}
	return parseCPUInfo(b)
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

var errClosed = fmt.Errorf("%s: the sensor is closed: %w", names.SensorRAPL, os.ErrClosed)

// pass reads the zones that this tick has no reading of yet.
func (r *reader) pass(ctx context.Context, dst []sensor.Reading) []sensor.Reading {
	for _, z := range r.zones {
		if z.tick == r.tick {
			continue
		}
		if ctx.Err() != nil {
			return dst
		}
		v, ok := r.read(z)
		if !ok {
			continue
		}
		z.tick, z.shown = r.tick, true
		dst = append(dst, sensor.Reading{Part: &z.part, At: time.Now(), Kind: sensor.Counter, Energy: v, Max: z.maxRange})
	}
	return dst
}

// failures joins what is wrong now. Failures that last give the same value again.
func (r *reader) failures(canceled error) error {
	all := r.scratch[:0]
	if len(r.zones) == 0 {
		all = append(all, r.known...)
	} else {
		all = append(all, r.fresh...)
	}
	r.fresh = r.fresh[:0]
	for _, z := range r.zones {
		if z.problem != nil {
			all = append(all, z.problem)
		}
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

// rescan brings the zones up to date with the folders.
func (r *reader) rescan(now time.Time) *scan {
	r.scanned, r.wanted = now, false
	s := scanZones(r.sys)
	r.guessVendor(s)

	sources := map[key][]zoneFolder{}
	for _, f := range s.zones {
		if isSingleCore(f.key, r.mirrors) {
			continue
		}
		has := sources[f.key]
		if i := slices.IndexFunc(has, func(o zoneFolder) bool { return o.control == f.control }); i >= 0 {
			s.malformed(f.path, fmt.Errorf("the name %s belongs to %s already: this zone is not counted", f.key.name, has[i].path))
			continue
		}
		sources[f.key] = append(has, f)
	}
	for _, f := range s.zones { // in the order of their addresses
		if len(sources[f.key]) > 0 && r.byKey[f.key] == nil {
			r.add(s, f)
		}
	}
	for _, z := range r.zones {
		r.refresh(z, sources[z.key], !s.partial)
	}
	r.remember(s.problems)
	return s
}

// guessVendor fills in for a cpuinfo that is not mounted: no other maker's
// package has this range.
func (r *reader) guessVendor(s *scan) {
	if r.machine.vendor != "" || r.mirrors {
		return
	}
	r.mirrors = slices.ContainsFunc(s.zones, func(f zoneFolder) bool {
		_, _, isPackage := parsePackage(f.key.name)
		return f.m < 0 && isPackage && len(r.zones) == 0 && readRange(f.path, r.buf[:]) == rangeAMD
	})
}

// add makes a zone of a folder whose name is new.
func (r *reader) add(s *scan, f zoneFolder) {
	if _, ok := describe(f.key, limits{}, r.mirrors); !ok {
		if f.key.above == "" { // below it nothing is reported again
			s.malformed(f.path, fmt.Errorf("%s is no zone that this version knows: it is not counted", f.key.name))
		}
		return
	}
	if len(r.zones) >= maxZones {
		s.malformed(f.path, fmt.Errorf("more than %d names of zones: this zone is not counted", maxZones))
		return
	}
	z := &zone{key: f.key, used: f, fd: -1}
	r.byKey[f.key] = z
	r.zones = append(r.zones, z)
}

// remember keeps the problems of a scan. One that the last scan had too is the
// same value, and fresh only if it still is.
func (r *reader) remember(problems []*sensor.Problem) {
	var fresh []*sensor.Problem
	for i, p := range problems {
		j := slices.IndexFunc(r.known, func(k *sensor.Problem) bool { return k.Path == p.Path && k.Class == p.Class })
		if j >= 0 {
			problems[i] = r.known[j]
		}
		if j < 0 || slices.Contains(r.fresh, problems[i]) {
			fresh = append(fresh, problems[i])
		}
	}
	r.known, r.fresh = problems, fresh
}

// Wrap implements Limiter.
func (r *reader) Wrap() time.Duration {
	var shortest time.Duration
	for _, z := range r.zones {
		if w := (energy.Limits{Max: z.maxRange, MaxPower: z.part.MaxPower}).ShortestWrap(); w > 0 {
			shortest = cmp.Or(min(shortest, w), w)
		}
	}
	return shortest
}

// Close implements sensor.Sensor.
func (r *reader) Close() error {
	r.closed = true
	for _, z := range r.zones {
		r.shut(z)
	}
	return nil
}
