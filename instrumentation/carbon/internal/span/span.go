// Package span is what the monitor of a process and the span processor agree on:
// how a span is told to begin and end, what is known of it then, and the table of those
// that are in progress.
package span

import (
	"context"
	"encoding/binary"
	"encoding/hex"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/clock"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

// Energy measures spans. Span processors call it, several of them perhaps for the
// same spans, at any time and from any goroutine, when spans start and end. StartSpan and
// EndSpan must not block, nor allocate if the CPU time of goroutines is not asked for.
type Energy interface {
	// StartSpan begins the span s that was started in ctx; parent is zero for a root,
	// and may be of another process.
	StartSpan(ctx context.Context, s Named, span, parent ID)
	// EndSpan ends it now, whatever time the application gave it. If what it used is
	// Known, it is in r. If it is to come Later, w is told, once and on any goroutine,
	// perhaps before EndSpan returns.
	EndSpan(span ID, r *Result, w Waiter) State
	// Price turns a Result into numbers. Exporters wait for it, not the application.
	Price(r *Result) Use
	// Flush has those told who wait, before it returns or ctx ends.
	Flush(ctx context.Context) error
	// AddProcessor and RemoveProcessor say how many span processors will end each span.
	// After the last one was removed no span will end any more.
	AddProcessor()
	RemoveProcessor()
}

// Named is a span that says its name.
type Named interface{ Name() string }

// State is what is known of a span that ends.
type State uint8

// The states of a span that ends.
const (
	Unknown State = iota // nothing, now or later
	Known
	Later
)

// A Waiter is told what a span used.
type Waiter interface{ Told(r Result, known bool) }

// Result is what one span used, what its children used not included.
type Result struct {
	Joules float64
	Off    float64 // J that Joules may be wrong by, because some of it is an estimate
	// Began and Ended are ns of the clock of the one who measures.
	Began, Ended int64
	How          *How
	Coverage     clock.Coverage
	Sampled      Sampled
}

// Sampled is how much of something goes by samples of CPU time.
type Sampled uint8

// None of it, some of it, nearly all of it.
const (
	Evenly Sampled = iota
	Partly
	ByCPU
)

// How is how the energy of a process is known.
type How struct {
	Method, Sensor string
	Half           float64 // relative half-width
}

// ID identifies a span. It consists of words, which are passed in registers.
type ID struct{ trace0, trace1, span uint64 }

// String returns the trace and the span ID as in W3C Trace Context: "…-…".
func (id ID) String() string {
	var b [24]byte
	binary.NativeEndian.PutUint64(b[:8], id.trace0)
	binary.NativeEndian.PutUint64(b[8:16], id.trace1)
	binary.NativeEndian.PutUint64(b[16:], id.span)
	var text [49]byte
	hex.Encode(text[:32], b[:16])
	text[32] = '-'
	hex.Encode(text[33:], b[16:])
	return string(text[:])
}

// IDOf returns the identity of the span in sc, which is copied less often by its address.
func IDOf(sc *trace.SpanContext) ID {
	t, s := sc.TraceID(), sc.SpanID()
	return ID{
		binary.NativeEndian.Uint64(t[:8]), binary.NativeEndian.Uint64(t[8:]),
		binary.NativeEndian.Uint64(s[:]),
	}
}

// Parent returns the identity of the span in sc, the parent's of the span id, which is in
// the same trace; zero if sc is of no span.
func (id ID) Parent(sc *trace.SpanContext) ID {
	s := sc.SpanID()
	if id.span = binary.NativeEndian.Uint64(s[:]); id.span == 0 {
		return ID{}
	}
	return id
}

// Use is what one span used itself, what its children used not included.
type Use struct {
	Joules       float64
	Method       string // a Method value of package names
	Priced       bool   // somebody knew the intensity: the rest is set
	Grams        float64
	Intensity    float64 // g/kWh
	Zone, Source string
	PUE          float64
	Uncertainty  float64 // relative half-width of the range
	Coverage     clock.Coverage
	Sampled      Sampled
}

// Attributes is how many attributes a Use has at most.
const Attributes = 10

// Append appends the attributes for u, the most important ones first.
func (u *Use) Append(to []attribute.KeyValue) []attribute.KeyValue {
	to = append(to, attribute.Float64(names.AttrEnergy, u.Joules))
	if u.Method != "" {
		to = append(to, attribute.String(names.AttrMethod, u.Method))
	}
	if u.Priced {
		to = append(to,
			attribute.Float64(names.AttrEmissions, u.Grams),
			attribute.Float64(names.AttrGridIntensity, u.Intensity),
		)
		if u.Zone != "" {
			to = append(to, attribute.String(names.AttrGridZone, u.Zone))
		}
		if u.Source != "" {
			to = append(to, attribute.String(names.AttrGridSource, u.Source))
		}
		if u.PUE > 1 {
			to = append(to, attribute.Float64(names.AttrPUE, u.PUE))
		}
		if u.Joules > 0 { // a range is relative to it
			to = append(to, attribute.Float64(names.AttrUncertainty, u.Uncertainty))
		}
	}
	switch u.Coverage {
	case clock.Settled:
	case clock.Interpolated:
		to = append(to, attribute.String(names.AttrCoverage, names.CoverageInterpolated))
	case clock.Partial:
		to = append(to, attribute.String(names.AttrCoverage, names.CoveragePartial))
	}
	switch u.Sampled {
	case Evenly:
	case Partly:
		to = append(to, attribute.String(names.AttrAttribution, names.SharedMixed))
	case ByCPU:
		to = append(to, attribute.String(names.AttrAttribution, names.SharedByCPU))
	}
	return to
}
