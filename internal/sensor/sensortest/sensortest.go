// Package sensortest holds the suite that every sensor passes, and a Fake for
// tests of those who use sensors.
package sensortest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// Options says what a sensor promises beyond the contract of sensor.Sensor. The
// zero value promises nothing more.
type Options struct {
	// Advance, where set, is called between two reads and makes the counters
	// behind the sensor move.
	Advance func(t *testing.T)
	// ZeroAlloc asserts that Read allocates nothing in steady state.
	ZeroAlloc bool
	// MinReadings is how many readings the sensor gives at least; 0 means 1.
	MinReadings int
}

// Run runs the suite. Open gives a new sensor of the same machine at each call,
// and that machine has at least one part that can be read.
func Run(t *testing.T, open func(t *testing.T) sensor.Sensor, o Options) {
	t.Helper()
	if o.MinReadings == 0 {
		o.MinReadings = 1
	}
	for _, c := range []struct {
		name  string
		check func(*testing.T, func() sensor.Sensor, Options) error
	}{
		{"Read appends behind what dst holds", checkAppends},
		{"readings and parts are well-formed", checkReadings},
		{"parts and time stamps of later reads continue the earlier", checkContinuity},
		{"a second sensor names the same parts", checkSecondSensor},
		{"a canceled context reads nothing", checkCanceled},
		{"Close may be called twice and ends reading", checkClose},
		{"Read allocates nothing in steady state", checkAllocations},
	} {
		t.Run(c.name, func(t *testing.T) {
			fresh := func() sensor.Sensor {
				s := open(t)
				t.Cleanup(func() { _ = s.Close() })
				return s
			}
			if err := c.check(t, fresh, o); err != nil {
				t.Error(err)
			}
		})
	}
}

// read reads once and asks for the least number of readings.
func read(t *testing.T, s sensor.Sensor, o Options) ([]sensor.Reading, error) {
	t.Helper()
	rs, err := s.Read(t.Context(), nil)
	if len(rs) < o.MinReadings {
		return rs, errors.Join(fmt.Errorf("read gave %d readings, want at least %d", len(rs), o.MinReadings), err)
	}
	return rs, nil
}

func advance(t *testing.T, o Options) {
	t.Helper()
	if o.Advance != nil {
		o.Advance(t)
	}
}

func checkAppends(t *testing.T, open func() sensor.Sensor, o Options) error {
	t.Helper()
	s := open()
	first, err := read(t, s, o)
	if err != nil {
		return err
	}
	mark := sensor.Reading{Part: &sensor.Part{ID: "mark"}, Energy: 4711}
	for _, spare := range []int{0, len(first) - 1, len(first), 3 * len(first)} {
		dst := make([]sensor.Reading, 2, 2+spare)
		dst[0], dst[1] = mark, mark
		advance(t, o)
		got, err := s.Read(t.Context(), dst)
		if len(got) != 2+len(first) {
			return errors.Join(fmt.Errorf("dst held 2 and read added %d readings, then %d, with spare capacity %d", len(first), len(got)-2, spare), err)
		}
		if got[0] != mark || got[1] != mark {
			return fmt.Errorf("read changed what dst held: %+v", got[:2])
		}
	}
	return nil
}

func checkReadings(t *testing.T, open func() sensor.Sensor, o Options) error {
	t.Helper()
	s := open()
	before := time.Now()
	rs, err := read(t, s, o)
	if err != nil {
		return err
	}
	after := time.Now()
	ids := map[string]bool{}
	var errs []error
	for _, r := range rs {
		if r.Part == nil {
			return errors.New("a reading has no part")
		}
		if ids[r.Part.ID] {
			errs = append(errs, fmt.Errorf("two readings of %q in one read", r.Part.ID))
		}
		ids[r.Part.ID] = true
		if r.At.Before(before) || r.At.After(after) {
			errs = append(errs, fmt.Errorf("%s: read at %v, outside the call that lasted from %v to %v", r.Part.ID, r.At, before, after))
		}
		if !strings.Contains(r.At.String(), " m=") { // how package time shows a monotonic clock reading
			errs = append(errs, fmt.Errorf("%s: At has no monotonic clock reading", r.Part.ID))
		}
		errs = append(errs, checkReading(r), checkPart(r.Part))
	}
	return errors.Join(errs...)
}

func checkReading(r sensor.Reading) error {
	switch {
	case r.Kind == sensor.Counter && r.Power != 0:
		return fmt.Errorf("%s: a counter reading carries power", r.Part.ID)
	case r.Kind == sensor.Gauge && (r.Energy != 0 || r.Max != 0):
		return fmt.Errorf("%s: a gauge reading carries energy", r.Part.ID)
	case r.Kind > sensor.Gauge:
		return fmt.Errorf("%s: unknown kind %d", r.Part.ID, r.Kind)
	}
	return nil
}

func checkPart(p *sensor.Part) error {
	var errs []error
	refuse := func(bad bool, reason string) {
		if bad {
			errs = append(errs, fmt.Errorf("part %+v: %s", *p, reason))
		}
	}
	rest, found := strings.CutPrefix(p.ID, p.Sensor+":")
	refuse(p.Sensor == "", "no sensor")
	refuse(!found || rest == "", "the ID is not the sensor's name, a colon and a name")
	refuse(rest != "" && strings.Trim(rest, "0123456789") == "", "the ID is an index, which another boot may give to another part")
	refuse(p.ID == p.Parent, "the part is its own parent")
	refuse(p.Name == "", "no name")
	refuse(p.Role > sensor.Envelope, "unknown role")
	refuse(p.Role == sensor.Breakdown && p.Parent == "", "a breakdown of nothing")
	refuse(p.Socket < -1 || p.Die < -1, "socket or die below -1")
	switch p.Type {
	case "cpu", "memory", "gpu", "battery", "other":
	default:
		refuse(true, "unknown type")
	}
	switch p.Method {
	case sensor.Measured, sensor.Integrated, sensor.Modelled:
	default:
		refuse(true, "unknown method")
	}
	return errors.Join(errs...)
}

func checkContinuity(t *testing.T, open func() sensor.Sensor, o Options) error {
	t.Helper()
	s := open()
	rs, err := read(t, s, o)
	if err != nil {
		return err
	}
	last := map[string]sensor.Reading{}
	parts := map[string]sensor.Part{}
	for _, r := range rs {
		last[r.Part.ID], parts[r.Part.ID] = r, *r.Part
	}
	for range 5 {
		advance(t, o)
		start := time.Now()
		if rs, err = read(t, s, o); err != nil {
			return err
		}
		for _, r := range rs {
			was, known := last[r.Part.ID]
			switch {
			case !known:
				return fmt.Errorf("%s appeared on an unchanged machine", r.Part.ID)
			case was.Part != r.Part:
				return fmt.Errorf("%s: the pointer to the part changed between two reads", r.Part.ID)
			case !reflect.DeepEqual(parts[r.Part.ID], *r.Part):
				return fmt.Errorf("%s: the part changed from %+v to %+v", r.Part.ID, parts[r.Part.ID], *r.Part)
			case r.At.Before(was.At) || r.At.Before(start):
				return fmt.Errorf("%s: read at %v, which is before this read began", r.Part.ID, r.At)
			}
			last[r.Part.ID] = r
		}
	}
	return nil
}

func checkSecondSensor(t *testing.T, open func() sensor.Sensor, o Options) error {
	t.Helper()
	a, err := read(t, open(), o)
	if err != nil {
		return err
	}
	b, err := read(t, open(), o)
	if err != nil {
		return err
	}
	want := map[string]sensor.Part{}
	for _, r := range a {
		want[r.Part.ID] = *r.Part
	}
	for _, r := range b {
		if p, ok := want[r.Part.ID]; !ok || !reflect.DeepEqual(p, *r.Part) {
			return fmt.Errorf("the second sensor names %+v, which the first one knows as %+v", *r.Part, p)
		}
		delete(want, r.Part.ID)
	}
	if len(want) != 0 {
		return fmt.Errorf("the second sensor lacks %v", want)
	}
	return nil
}

func checkCanceled(t *testing.T, open func() sensor.Sensor, o Options) error {
	t.Helper()
	s := open()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rs, err := s.Read(ctx, nil)
	if !errors.Is(err, context.Canceled) || len(rs) != 0 {
		return errors.Join(fmt.Errorf("read with a canceled context gave %d readings, want none and the error context.Canceled", len(rs)), err)
	}
	_, err = read(t, s, o) // it goes on with the next context
	return err
}

func checkClose(t *testing.T, open func() sensor.Sensor, o Options) error {
	t.Helper()
	s := open()
	if _, err := read(t, s, o); err != nil {
		return err
	}
	for range 2 {
		if err := s.Close(); err != nil {
			return fmt.Errorf("close: %w", err)
		}
		mark := []sensor.Reading{{Energy: 4711}}
		if rs, err := s.Read(t.Context(), mark); err == nil || len(rs) != 1 {
			return errors.Join(fmt.Errorf("read after close added %d readings, want none and an error", len(rs)-1), err)
		}
	}
	return open().Close() // before any read
}

func checkAllocations(t *testing.T, open func() sensor.Sensor, o Options) error {
	t.Helper()
	if !o.ZeroAlloc {
		t.Skip("not promised")
	}
	s := open()
	rs, err := read(t, s, o)
	if err != nil {
		return err
	}
	ctx := t.Context()
	dst := make([]sensor.Reading, 0, 2*len(rs))
	if n := testing.AllocsPerRun(200, func() { dst, _ = s.Read(ctx, dst[:0]) }); n != 0 {
		return fmt.Errorf("read allocates %v times", n)
	}
	return nil
}
