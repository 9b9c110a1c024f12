package bmc

import (
	"context"
	"errors"
	"fmt"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// What went wrong, where the cause does not say it itself.
var (
	errMalformed = errors.New("not what the standard promises")
	errMissing   = errors.New("not offered")
	errDenied    = errors.New("refused")     // by the controller, which may count attempts
	errForbidden = errors.New("not allowed") // by the kernel of this host
	errGone      = errors.New("gone")
	errServer    = errors.New("the controller failed")
	errAmbiguous = errors.New("ambiguous")
)

// failure is an error of a source that knows what would help.
type failure struct {
	path   string
	remedy string
	cause  error
}

func (f *failure) Error() string { return f.cause.Error() }
func (f *failure) Unwrap() error { return f.cause }

// newProblem says what a failed question means. It is the last to see err.
func newProblem(where string, err error) *sensor.Problem {
	p := &sensor.Problem{Sensor: sensorName, Class: classify(err), Path: where, Err: err}
	if f := (*failure)(nil); errors.As(err, &f) {
		p.Remedy = f.remedy
		if f.path != "" {
			p.Path = f.path
		}
	}
	if p.Remedy == "" {
		switch {
		case p.Class == sensor.Absent:
			p.Remedy = "it is asked again in 5 minutes; leave the sensor out if this controller has no power meter"
		case errors.Is(err, context.DeadlineExceeded):
			p.Remedy = "the management controller is slow or cannot be reached from here"
		}
	}
	return p
}

// classify looks at the most telling of the errors that err joins.
func classify(err error) sensor.Class {
	switch {
	case errors.Is(err, errDenied), errors.Is(err, errForbidden):
		return sensor.Permission
	case errors.Is(err, errGone):
		return sensor.Gone
	case errors.Is(err, errServer), errors.Is(err, context.DeadlineExceeded):
		return sensor.IO
	case errors.Is(err, errMalformed):
		return sensor.Malformed
	case errors.Is(err, errMissing), errors.Is(err, errAmbiguous):
		return sensor.Absent
	}
	return sensor.IO
}

// same says whether p tells nothing new after q, so that a failure that lasts is
// one value.
func same(p, q *sensor.Problem) bool {
	return p != nil && q != nil && p.Class == q.Class && p.Path == q.Path && p.Remedy == q.Remedy && p.Err.Error() == q.Err.Error()
}

func notOffered(what string) error { return fmt.Errorf("%s: %w", what, errMissing) }

// also puts two errors on one line; the first may be nil.
func also(first, second error) error {
	if first == nil {
		return second
	}
	return fmt.Errorf("%w; %w", first, second)
}
