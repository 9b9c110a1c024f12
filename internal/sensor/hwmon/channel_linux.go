package hwmon

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sysfs"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// A channel is a part with the files in which its value stands. It stays when
// they go, and goes on when they return.
type channel struct {
	part  sensor.Part
	kind  sensor.Kind
	max   unit.Microjoules
	shown bool // part was returned and does not change any more

	present bool // in the last scan
	off     bool // absent from the last scan since it is switched off
	retired bool // counted once, and since known to lie in another part
	name    string
	folder  string
	sources []source
	use     int // of sources, the one that gave the last value
	a, b    sysfs.File
	status  sysfs.File // of the device: suspended or not

	tick    uint64 // Read that has its reading
	retry   bool   // worth opening again
	problem *sensor.Problem
}

// adopt gives a channel what a new scan says of it.
func (r *reader) adopt(z *channel, o *outlet) {
	z.present, z.off, z.retry = true, false, true
	moved := z.folder != o.chip.folder || z.status.Path != o.chip.sleep || !slices.EqualFunc(z.sources, o.sources, func(x, y source) bool { return x.a == y.a && x.b == y.b })
	if moved || r.pool.Replaced(&z.a) || r.pool.Replaced(&z.b) || r.pool.Replaced(&z.status) {
		r.shut(z)
	}
	if moved {
		z.use = 0
	}
	z.name, z.folder, z.sources, z.status.Path = o.chip.name, o.chip.folder, o.sources, o.chip.sleep
	if !z.shown {
		z.part, z.kind, z.max = o.part, o.kind, o.max
		return
	}
	// The other way round it would be counted in addition to what it lies in.
	contained := z.part.Role == sensor.Primary && o.part.Role != sensor.Primary || z.kind != o.kind
	// A counter does not return: what it counted meanwhile would come with it.
	z.retired = contained || z.retired && z.kind == sensor.Counter
}

// leave is adopt for a channel that the scan has not found.
func (r *reader) leave(z *channel) {
	z.present = false
	r.shut(z)
}

// value is what one read of a channel gives.
type value struct {
	energy unit.Microjoules
	power  unit.Microwatts
}

// outcome is how a read ended.
type outcome uint8

const (
	good outcome = iota
	bad          // the problem of the channel says why
	off          // nothing to read, and nothing wrong with that
)

// read reads a channel, or says in its problem why not.
func (r *reader) read(z *channel) (v value, how outcome) {
	if !z.a.IsOpen() && z.problem != nil && !z.retry {
		return v, bad // until the next scan
	}
	z.retry = false
	if r.isAsleep(z) {
		z.problem = nil
		r.tidy(z)
		return v, off
	}
	path := ""
	var err error
	for range z.sources { // a driver may offer what it does not support
		if path, err = r.open(z); err == nil {
			if v, path, err = r.take(z); err == nil {
				z.problem = nil
				r.tidy(z)
				return v, good
			}
		}
		if sysfs.IsGone(err) {
			r.shut(z)
			break // the next scan decides
		}
		if isPassing(err) || len(z.sources) == 1 {
			break
		}
		r.shut(z)
		z.use = (z.use + 1) % len(z.sources)
	}
	if errors.Is(err, unix.ENODATA) && r.isOff(z) {
		z.problem = nil
		return v, off
	}
	r.tidy(z)
	if !sameProblem(z.problem, path, err) {
		if c := r.content; classify(err) == sensor.Malformed && len(c) > 0 {
			err = fmt.Errorf("%q: %w", c, err)
		}
		z.problem = newProblem(path, err)
		r.wanted = r.wanted || z.problem.Class == sensor.Gone
	}
	return v, bad
}

// isPassing says whether a failure is of this read, so that another file for the
// same value would not do better.
func isPassing(err error) bool {
	for _, e := range []error{errNoNumber, errNegative, errSentinel, errImplausible, errRange, unix.EAGAIN, unix.EINTR, unix.EIO, unix.ETIMEDOUT, unix.EBUSY} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// errGone is what a channel has that a scan does not find.
const errGone = unix.ENOENT

// open opens the files of the source in use, and makes sure that they still are
// those of the chip: folders are renumbered when drivers are bound anew.
func (r *reader) open(z *channel) (path string, err error) {
	if z.a.IsOpen() {
		return z.a.Path, nil
	}
	s := z.sources[z.use]
	z.a.Path, z.b.Path = s.a, s.b
	defer func() {
		if err != nil {
			r.shut(z)
		}
	}()
	if err = r.pool.Open(&z.a); err != nil {
		return s.a, err
	}
	if s.b != "" {
		if err = r.pool.Open(&z.b); err != nil {
			return s.b, err
		}
	}
	if z.name != chipINAOld { // iio has no such file beside its attributes
		b, err := sysfs.ReadFile(z.folder+"/name", r.buf[:])
		if err != nil || string(sysfs.Trim(b)) != z.name {
			return s.a, unix.ESTALE
		}
	}
	return s.a, nil
}

// take reads the open files.
func (r *reader) take(z *channel) (v value, path string, err error) {
	r.content = nil
	b, err := r.pool.Read(&z.a)
	if err != nil {
		return v, z.a.Path, err
	}
	if z.b.Path == "" {
		r.content = b
		if z.kind == sensor.Counter {
			v.energy, err = parseEnergy(b)
		} else {
			v.power, err = parsePower(b)
		}
		return v, z.a.Path, err
	}
	millivolts, err := parse(b)
	if err != nil {
		r.content = b
		return v, z.a.Path, err
	}
	if b, err = r.pool.Read(&z.b); err != nil {
		return v, z.b.Path, err
	}
	r.content = b
	milliamperes, err := parse(b)
	if err == nil {
		v.power, err = multiply(millivolts, milliamperes)
	}
	return v, z.b.Path, err
}

// isAsleep says whether the device is suspended: a read would wake it up
// (amdgpu_hwmon_show_power_avg, hwm_energy and others hold a runtime reference).
func (r *reader) isAsleep(z *channel) bool {
	if z.status.Path == "" {
		return false
	}
	for range 2 { // the second time if the open file is no longer that of the device
		if r.pool.Open(&z.status) != nil {
			return false
		}
		b, err := r.pool.Read(&z.status)
		if err == nil {
			state := string(sysfs.Trim(b))
			return state == "suspended" || state == "suspending"
		}
		r.pool.Shut(&z.status)
	}
	return false
}

// isOff says whether the channel was switched off since the scan.
func (r *reader) isOff(z *channel) bool {
	for _, s := range z.sources {
		for _, path := range s.enables {
			if b, err := sysfs.ReadFile(path, r.buf[:]); err == nil && string(sysfs.Trim(b)) == "0" {
				return true
			}
		}
	}
	return false
}

// tidy closes the files of a channel if there are too many open.
func (r *reader) tidy(z *channel) {
	if r.pool.Full() {
		r.shut(z)
	}
}

func (r *reader) shut(z *channel) {
	r.pool.Shut(&z.a)
	r.pool.Shut(&z.b)
	r.pool.Shut(&z.status)
}
