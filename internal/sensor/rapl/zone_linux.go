package rapl

import (
	"cmp"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// A zone is a part with the folders in which its counter stands, one for each
// interface that shows it. It stays when they go, and goes on when they return.
type zone struct {
	key      key
	part     sensor.Part
	shown    bool // part was returned and does not change any more
	maxRange unit.Microjoules
	sources  []zoneFolder // of the last scan, the preferred first
	used     zoneFolder   // the one opened last, or found first

	fd    int // -1: not open
	sysfs bool
	dev   uint64
	ino   uint64

	tick    uint64 // Read that has its reading
	retry   bool   // worth opening again
	problem *sensor.Problem
}

// refresh gives a zone the folders of a new scan. Complete says that what the
// scan did not find is not there.
func (r *reader) refresh(z *zone, sources []zoneFolder, complete bool) {
	if len(sources) > 0 || complete {
		z.sources = sources
	}
	if z.fd >= 0 && (!slices.Contains(z.sources, z.used) || r.replaced(z)) {
		r.shut(z)
	}
	z.retry = true
	if len(z.sources) == 0 {
		return
	}
	at := z.sources[0]
	if i := slices.Index(z.sources, z.used); i >= 0 {
		at = z.sources[i]
	}
	if !z.shown {
		l := readLimits(at.path, r.buf[:])
		z.maxRange = l.maxRange
		z.part, _ = describe(z.key, l, r.mirrors)
	} else if z.maxRange == 0 {
		z.maxRange = readRange(at.path, r.buf[:])
	}
}

// replaced says whether another file stands now where the open one was found.
func (r *reader) replaced(z *zone) bool {
	if z.sysfs {
		return false
	}
	err := unix.Stat(z.used.energy(), &r.stat)
	return err == nil && (uint64(r.stat.Dev) != z.dev || r.stat.Ino != z.ino) //nolint:unconvert // Dev is shorter on some architectures
}

// read reads the counter of a zone, or says in its problem why not.
func (r *reader) read(z *zone) (v unit.Microjoules, ok bool) {
	if z.fd < 0 && z.problem != nil && !z.retry {
		return 0, false // until the next scan
	}
	z.retry = false
	var failed zoneFolder
	var err error
	for range 2 { // the second time if the open file is no longer that of the zone
		if z.fd < 0 {
			if failed, err = r.open(z); err != nil {
				break
			}
		}
		if v, err = r.readOpen(z); err == nil {
			z.problem = nil
			if r.kept > maxKept {
				r.shut(z)
			}
			return v, true
		}
		failed = z.used
		if !isGone(err) {
			break
		}
		r.shut(z)
	}
	if path := failed.energy(); !sameProblem(z.problem, path, err) {
		z.problem = newProblem(path, err)
		r.wanted = r.wanted || z.problem.Class == sensor.Gone
	}
	return 0, false
}

// readOpen reads the open file.
func (r *reader) readOpen(z *zone) (unit.Microjoules, error) {
	if !z.sysfs {
		if err := unix.Fstat(z.fd, &r.stat); err != nil {
			return 0, err
		}
		if r.stat.Nlink == 0 { // removed, or replaced by rename
			return 0, unix.ESTALE
		}
	}
	n, err := readAt(r.pread, z.fd, r.buf[:], 0)
	if err != nil {
		return 0, err
	}
	if n == len(r.buf) {
		return 0, errTooLong
	}
	v, ok := parseCount(r.buf[:n])
	if !ok {
		return 0, fmt.Errorf("%q is no count of µJ", r.buf[:n])
	}
	return unit.Microjoules(v), nil
}

// open opens the counter of a zone. If it cannot, it says which folder that is
// about. A zone that has given readings stays with its interface as long as that
// shows the zone: the counters of two interfaces need not agree.
func (r *reader) open(z *zone) (failed zoneFolder, err error) {
	candidates := z.sources
	if z.shown {
		if i := slices.IndexFunc(candidates, func(f zoneFolder) bool { return f.control == z.used.control }); i >= 0 {
			candidates = candidates[i : i+1]
		}
	}
	failed, err = z.used, unix.ENOENT
	for i, f := range candidates {
		fd, st, openErr := openFile(f.energy())
		if openErr == nil && !f.verify(r.buf[:]) {
			_ = unix.Close(fd)
			openErr = unix.ESTALE
		}
		if openErr == nil {
			r.kept++
			z.fd, z.sysfs, z.dev, z.ino = fd, isSysfs(fd), uint64(st.Dev), st.Ino //nolint:unconvert // Dev is shorter on some architectures
			if z.used != f {
				z.used, z.maxRange = f, cmp.Or(readRange(f.path, r.buf[:]), z.maxRange)
			}
			return f, nil
		}
		if i == 0 {
			failed, err = f, openErr
		}
		if isGone(openErr) {
			break // the next scan decides
		}
	}
	return failed, err
}

// shut closes the file of a zone, if it is open.
func (r *reader) shut(z *zone) {
	if z.fd >= 0 {
		_ = unix.Close(z.fd)
		z.fd = -1
		r.kept--
	}
}
