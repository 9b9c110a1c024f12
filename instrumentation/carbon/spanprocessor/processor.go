package spanprocessor

import (
	"context"
	"errors"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/span"
)

// A Monitor measures the spans. A *carbon.Monitor is one.
type Monitor = span.Energy

// An Option changes how a span processor works.
type Option interface{ apply(*processor) }

type optionFunc func(*processor)

func (f optionFunc) apply(p *processor) { f(p) }

// WithAttributeCountLimit says how many attributes a span may have; less than 0 is
// any number. It is needed only with a tracer provider whose span limits differ from
// those of the environment (OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT, or else 128), which is the default.
func WithAttributeCountLimit(n int) Option {
	return optionFunc(func(p *processor) { p.limit = n })
}

// New returns a span processor that passes spans on to next with what m knows of
// them. If m is nil it returns next.
//
// Several span processors of one Monitor measure each span once.
func New(next sdktrace.SpanProcessor, m Monitor, opts ...Option) sdktrace.SpanProcessor {
	if m == nil {
		return next
	}
	p := &processor{next: next, monitor: m, limit: sdktrace.NewSpanLimits().AttributeCountLimit}
	for _, o := range opts {
		if o != nil {
			o.apply(p)
		}
	}
	m.AddProcessor()
	return p
}

type processor struct {
	next    sdktrace.SpanProcessor
	monitor Monitor
	limit   int
	stopped atomic.Bool
}

func (p *processor) OnStart(parent context.Context, s sdktrace.ReadWriteSpan) {
	if !p.stopped.Load() {
		own, above := s.SpanContext(), s.Parent()
		id := span.IDOf(&own)
		p.monitor.StartSpan(parent, s, id, id.Parent(&above))
	}
	p.next.OnStart(parent, s)
}

func (p *processor) OnEnd(s sdktrace.ReadOnlySpan) {
	if p.stopped.Load() {
		p.next.OnEnd(s)
		return
	}
	v := &view{ReadOnlySpan: s, p: p}
	sc := s.SpanContext()
	switch p.monitor.EndSpan(span.IDOf(&sc), &v.result, v) {
	case span.Known:
		p.next.OnEnd(v)
	case span.Unknown:
		p.next.OnEnd(s)
	case span.Later: // see view.Told
	}
}

// ForceFlush first has those spans passed on that wait for the CPU time of their goroutines.
func (p *processor) ForceFlush(ctx context.Context) error {
	return errors.Join(p.monitor.Flush(ctx), p.next.ForceFlush(ctx))
}

func (p *processor) Shutdown(ctx context.Context) error {
	if p.stopped.Swap(true) {
		return p.next.Shutdown(ctx)
	}
	err := p.monitor.Flush(ctx)
	p.monitor.RemoveProcessor()
	return errors.Join(err, p.next.Shutdown(ctx))
}
