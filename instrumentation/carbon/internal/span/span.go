// Package span is what the monitor of a process and the span processor agree on:
// how a span is told to begin and end, what is known of it then, and the table of those
// that are in progress.
package span

import (
	"context"
	"encoding/binary"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelcarbon/otelcarbon/internal/names"
)

// Energy measures spans. Span processors call it, several of them perhaps for the
// same spans, at any time and from any goroutine, when spans start and end. It must
// not block or allocate.
type Energy interface {
	// StartSpan begins a span that was started in ctx; parent is zero for a root,
	// and may be of another process.
	StartSpan(ctx context.Context, span, parent ID)
	// EndSpan ends it. It reports false if it does not know the span, or nothing of
	// what it used.
	EndSpan(span ID) (Use, bool)
	// AddProcessor and RemoveProcessor say how many span processors will end each span.
	// After the last one was removed no span will end any more.
	AddProcessor()
	RemoveProcessor()
}

// ID identifies a span. It consists of words, which are passed in registers.
type ID struct{ trace0, trace1, span uint64 }

// IDOf returns the identity of the span in sc.
func IDOf(sc trace.SpanContext) ID {
	t, s := sc.TraceID(), sc.SpanID()
	return ID{
		binary.NativeEndian.Uint64(t[:8]), binary.NativeEndian.Uint64(t[8:]),
		binary.NativeEndian.Uint64(s[:]),
	}
}

// Use is what one span used itself, what its children used not included.
type Use struct {
	Joules       float64
	Method       string // a Method value of package names
	Priced       bool   // somebody knew the intensity: the rest is set
	Grams        float64
	Intensity    float64 // g/kWh
	Zone, Source string
	Uncertainty  float64 // relative half-width of the range
}

// Attributes is how many attributes a Use has at most.
const Attributes = 7

// Append appends the attributes for u, the most important ones first.
func (u *Use) Append(to []attribute.KeyValue) []attribute.KeyValue {
	to = append(to, attribute.Float64(names.AttrEnergy, u.Joules))
	if u.Method != "" {
		to = append(to, attribute.String(names.AttrMethod, u.Method))
	}
	if !u.Priced {
		return to
	}
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
	return append(to, attribute.Float64(names.AttrUncertainty, u.Uncertainty))
}
