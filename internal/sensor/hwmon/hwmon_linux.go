package hwmon

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
	"github.com/otelcarbon/otelcarbon/internal/sysfs"
)

const (
	// maxKept is how many files stay open between reads. A machine with more
	// channels pays with an open for each of the rest.
	maxKept = 256
	// maxChannels bounds what renamed chips can cost.
	maxChannels = 2048
)

// reader implements sensor.Sensor.
type reader struct {
	sys    string
	config Config
	pace   time.Duration // between scans that a failure asks for
	pool   *sysfs.Pool

	channels []*channel // in the order in which they were found
	byID     map[string]*channel
	scanned  time.Time
	wanted   bool   // a read says that a channel is gone
	tick     uint64 // number of the Read in progress
	closed   bool

	known   []*sensor.Problem // of the last scan
	fresh   []*sensor.Problem // those not yet returned
	scratch []*sensor.Problem
	joined  error // of joinOf
	joinOf  []*sensor.Problem

	buf     [sysfs.Small]byte
	content []byte // last read, of the file with the value
}

func open(root string, c Config) (sensor.Sensor, error) {
	r := &reader{
		sys:    filepath.Join(root, "sys"),
		config: c,
		pace:   min(c.RescanInterval, rescanPace),
		pool:   sysfs.NewPool(maxKept),
		byID:   map[string]*channel{},
	}
	s := r.rescan(time.Now())
	if len(r.channels) == 0 && !slices.ContainsFunc(s.problems, func(p *sensor.Problem) bool { return p.Class != sensor.Absent }) {
		p := absent(s)
		for _, lacking := range s.problems { // the configured ones
			p.Err = fmt.Errorf("%w; %w", p.Err, lacking.Err)
		}
		return nil, p
	}
	return r, nil
}

// Read implements sensor.Sensor.
func (r *reader) Read(ctx context.Context, dst []sensor.Reading) ([]sensor.Reading, error) {
	if r.closed {
		return dst, errClosed
	}
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	if now := time.Now(); now.Sub(r.scanned) >= r.config.RescanInterval {
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

var errClosed = fmt.Errorf("%s: the sensor is closed: %w", names.SensorHwmon, os.ErrClosed)

// pass reads the channels that this tick has no reading of yet.
func (r *reader) pass(ctx context.Context, dst []sensor.Reading) []sensor.Reading {
	for _, z := range r.channels {
		if z.tick == r.tick || z.retired || !z.present {
			continue
		}
		if ctx.Err() != nil {
			return dst
		}
		v, how := r.read(z)
		if how != good {
			continue
		}
		z.tick, z.shown = r.tick, true
		dst = append(dst, sensor.Reading{Part: &z.part, At: time.Now(), Kind: z.kind, Energy: v.energy, Max: z.max, Power: v.power})
	}
	return dst
}

// failures joins what is wrong now. Failures that last give the same value again.
func (r *reader) failures(canceled error) error {
	all := r.scratch[:0]
	if len(r.channels) == 0 {
		all = append(all, r.known...)
	} else {
		all = append(all, r.fresh...)
	}
	r.fresh = r.fresh[:0]
	for _, z := range r.channels {
		if z.problem != nil && !z.retired {
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

// rescan brings the channels up to date with the folders.
func (r *reader) rescan(now time.Time) *scan {
	r.scanned, r.wanted = now, false
	s := scanChips(r.sys, r.config)
	p := makePlan(s.chips, s.topology, r.config)
	s.complain(p.problems)

	found := map[*channel]bool{}
	for i := range p.outlets {
		o := &p.outlets[i]
		z := r.byID[o.part.ID]
		if z == nil {
			if len(r.channels) >= maxChannels {
				s.malformed(o.chip.folder, "more than %d names of channels: %s is not counted", maxChannels, o.part.ID)
				continue
			}
			z = &channel{}
			r.byID[o.part.ID] = z
			r.channels = append(r.channels, z)
		}
		found[z] = true
		r.adopt(z, o)
	}
	for _, z := range r.channels {
		if !found[z] && !s.partial {
			r.missing(z, s)
		}
	}
	r.remember(s.problems)
	return s
}

// missing marks a channel that a complete scan has not found: gone with its
// device, or switched off.
func (r *reader) missing(z *channel, s *scan) {
	switchedOff := slices.ContainsFunc(s.chips, func(c chip) bool { return c.folder == z.folder }) && z.present
	path := z.folder
	if len(z.sources) > 0 {
		path = z.sources[0].a
	}
	r.leave(z)
	switch {
	case switchedOff, z.problem == nil && z.off:
		z.off, z.problem = true, nil
	case !sameProblem(z.problem, path, errGone):
		z.problem = newProblem(path, errGone)
	}
}

// remember keeps the problems of a scan. One that the last scan had too is the
// same value, and fresh only if it still is.
func (r *reader) remember(problems []*sensor.Problem) {
	var fresh []*sensor.Problem
	for i, p := range problems {
		j := slices.IndexFunc(r.known, func(k *sensor.Problem) bool {
			return k.Path == p.Path && k.Class == p.Class && k.Err.Error() == p.Err.Error()
		})
		if j >= 0 {
			problems[i] = r.known[j]
		}
		if j < 0 || slices.Contains(r.fresh, problems[i]) {
			fresh = append(fresh, problems[i])
		}
	}
	r.known, r.fresh = problems, fresh
}

// Close implements sensor.Sensor.
func (r *reader) Close() error {
	r.closed = true
	for _, z := range r.channels {
		r.shut(z)
	}
	return nil
}
