package battery

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// reader implements sensor.Sensor and sensor.Pauser.
type reader struct {
	class    string
	interval time.Duration // between scans
	pace     time.Duration // between scans that a failure asks for
	pread    preader
	part     sensor.Part

	scan    *scan
	scanned time.Time
	wanted  bool // a supply is gone
	charged bool // a charger feeds the host, as the last Read saw it
	closed  bool

	known   []*sensor.Problem // of the last Read
	now     []*sensor.Problem // of this one
	joined  error             // of known
	buf     [smallFile]byte
	statBuf unix.Stat_t
}

func open(root string, c Config) (sensor.Sensor, error) {
	r := &reader{
		class:    filepath.Join(root, "sys/class/power_supply"),
		interval: c.RescanInterval,
		pace:     min(c.RescanInterval, rescanPace),
		pread:    unix.Pread,
		part:     hostPart(),
		scan:     &scan{},
	}
	r.rescan(time.Now())
	if !r.scan.useful() {
		_ = r.Close()
		return nil, absent(r.class, r.scan)
	}
	return r, nil
}

// useful says whether there is, or may be, a battery that tells its power.
func (s *scan) useful() bool {
	if len(s.failed) > 0 {
		return true
	}
	return slices.ContainsFunc(s.supplies, func(b *supply) bool {
		return b.kind == cell && (!isAbsent(b.power.err) || !isAbsent(b.current.err) && !isAbsent(b.voltage.err))
	})
}

// rescan forgets all supplies and looks for them anew, so that a name which
// another supply has taken over never mixes the two.
func (r *reader) rescan(now time.Time) {
	r.shut()
	r.scanned, r.wanted = now, false
	r.scan = scanSupplies(r.class)
}

var errClosed = fmt.Errorf("%s: the sensor is closed: %w", names.SensorBattery, os.ErrClosed)

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
	p, ok := r.sum()
	if r.wanted {
		if now := time.Now(); now.Sub(r.scanned) >= r.pace {
			r.rescan(now)
			p, ok = r.sum()
		}
	}
	if ok {
		dst = append(dst, sensor.Reading{Part: &r.part, At: time.Now(), Kind: sensor.Gauge, Power: p})
	}
	return dst, r.problems()
}

// Paused implements sensor.Pauser: on a charger the batteries do not tell what the
// host draws.
func (r *reader) Paused(yield func(p *sensor.Part) bool) {
	if r.charged {
		yield(&r.part)
	}
}

// sum returns the power of all batteries if they feed the host alone.
func (r *reader) sum() (total unit.Microwatts, ok bool) {
	r.now, r.charged = r.now[:0], false
	s := r.scan
	for _, f := range s.failed {
		r.note(f.path, f.err)
	}
	if s.cells == 0 && len(s.failed) == 0 {
		r.note(r.class, unix.ENODEV) // there was one when the sensor was opened
	}
	if r.onCharger() {
		r.now, r.charged = r.now[:0], true // nothing that failed matters now
		return 0, false
	}
	var giving *supply
	for _, b := range s.supplies {
		if b.kind != cell {
			continue
		}
		content, err := r.read(&b.status)
		if err != nil {
			r.note(b.status.path, err)
			continue
		}
		switch state, known := parseStatus(content); {
		case !known:
			r.note(b.status.path, errStatus)
		case state == charging: // from a charger that does not show itself
			r.now, r.charged = r.now[:0], true
			return 0, false
		case state == discharging:
			giving = b
			total += r.power(b)
		}
	}
	if giving != nil && total == 0 && len(r.now) == 0 {
		r.note(giving.shownIn(), errNothing)
	}
	return total, giving != nil && len(r.now) == 0
}

// onCharger says whether something else than a battery feeds the host.
func (r *reader) onCharger() (yes bool) {
	for _, c := range r.scan.supplies {
		if c.kind != charger {
			continue
		}
		content, err := r.read(&c.online)
		switch online, known := parseOnline(content); {
		case isUnknown(err): // unplugged with its connector
		case err != nil:
			r.note(c.online.path, err)
		case !known:
			r.note(c.online.path, errNumber)
		case online:
			return true
		}
	}
	return false
}

// power returns what a battery gives, or notes why that is unknown.
func (r *reader) power(b *supply) unit.Microwatts {
	uw, err := r.number(&b.power)
	if err == nil {
		p, ok := sane(uw)
		if !ok {
			r.note(b.power.path, errAbsurd)
		}
		return p
	}
	if !isUnknown(err) || isAbsent(b.voltage.err) || isAbsent(b.current.err) {
		r.note(b.power.path, err)
		return 0
	}
	uv, err := r.number(&b.voltage)
	if err != nil {
		r.note(b.voltage.path, err)
		return 0
	}
	ua, err := r.number(&b.current)
	if err != nil {
		r.note(b.current.path, err)
		return 0
	}
	p, ok := product(uv, ua)
	if !ok {
		r.note(b.current.path, errAbsurd)
	}
	return p
}

// shownIn returns the file that tells the power, for a message.
func (s *supply) shownIn() string {
	if isAbsent(s.power.err) {
		return s.current.path
	}
	return s.power.path
}

func (r *reader) number(f *file) (uint64, error) {
	content, err := r.read(f)
	if err != nil {
		return 0, err
	}
	n, ok := parseMagnitude(content)
	if !ok {
		return 0, errNumber
	}
	return n, nil
}

func (r *reader) read(f *file) ([]byte, error) {
	content, err := f.read(r.pread, &r.statBuf, r.buf[:])
	if f.fd >= 0 && err != nil && isGone(err) {
		r.wanted = true
	}
	return content, err
}

// note remembers a problem of this Read. One that the last Read had too is the
// same value, so that a failure that lasts costs no memory.
func (r *reader) note(path string, err error) {
	i := slices.IndexFunc(r.known, func(p *sensor.Problem) bool { return p.Path == path && errors.Is(p.Err, err) })
	if i >= 0 {
		r.now = append(r.now, r.known[i])
		return
	}
	r.now = append(r.now, newProblem(path, err))
}

func (r *reader) problems() error {
	if !slices.Equal(r.known, r.now) {
		r.known = append(r.known[:0], r.now...)
		errs := make([]error, len(r.known))
		for i, p := range r.known {
			errs[i] = p
		}
		r.joined = errors.Join(errs...)
	}
	return r.joined
}

func (r *reader) shut() {
	for _, s := range r.scan.supplies {
		s.close()
	}
}

// Close implements sensor.Sensor.
func (r *reader) Close() error {
	r.closed = true
	r.shut()
	return nil
}
