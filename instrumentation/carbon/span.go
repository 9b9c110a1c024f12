package carbon

import (
	"context"
	"net/http"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/clock"
	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/span"
	"github.com/otelcarbon/otelcarbon/internal/emission"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

// refKey is that of the measured span or task in progress.
type refKey struct{}

// around is what is in progress, and the span that was current when it began.
type around struct {
	m    *Monitor
	ref  clock.Ref
	span span.ID
	task *tally // the innermost one
}

// alone is for where nothing is in progress.
var alone around

// around returns what is in progress in ctx by this Monitor.
func (m *Monitor) around(ctx context.Context) *around {
	if !m.nested.Load() { // a context may be deep
		return &alone
	}
	if in, ok := ctx.Value(refKey{}).(*around); ok && in.m == m {
		return in
	}
	return &alone
}

// current returns the identity of the span in ctx.
func current(ctx context.Context) span.ID {
	sc := trace.SpanContextFromContext(ctx)
	return span.IDOf(&sc)
}

// Span measures the span in ctx, from now until the returned function is called, which
// sets the attributes of the span: call it before the span ends.
//
//	ctx, span := tracer.Start(ctx, "work")
//	defer span.End()
//	ctx, done := m.Span(ctx)
//	defer done()
//
// With attributes, what it used is also added to the counters carbon.operation.energy and
// carbon.operation.emissions, under them: few values, such as the route of a request. A
// context without a span that is recorded is measured for them alone, or not at all.
// Where nothing is known of a span, it gets no attributes, and is not counted.
//
// Where package spanprocessor measures all spans, each would be measured twice.
func (m *Monitor) Span(ctx context.Context, operation ...attribute.KeyValue) (context.Context, func()) {
	s := trace.SpanFromContext(ctx)
	if m == nil || m.closed.Load() || !s.IsRecording() && len(operation) == 0 {
		return ctx, func() {}
	}
	in, id := m.around(ctx), current(ctx)
	began, node := m.now(), new(clock.Node)
	m.glance(began)
	ref := m.clock.Start(node, m.parentOf(in, id), began)
	done := func() {
		ended := m.now()
		m.glance(ended) //nolint:contextcheck // it waits for nothing
		e, first := m.clock.End(ref, ended)
		if !first {
			return
		}
		var r span.Result
		if !m.result(&r, e, began, ended) {
			return
		}
		u := m.Price(&r)
		if in.task != nil {
			in.task.span(e.Joules, m.wall(began), m.wall(ended))
		}
		if s.IsRecording() {
			s.SetAttributes(u.Append(make([]attribute.KeyValue, 0, span.Attributes))...)
		}
		if len(operation) > 0 {
			m.instruments.operation(ctx, u, slices.Concat(operation, m.cfg.attrs))
		}
	}
	m.nested.Store(true)
	return context.WithValue(ctx, refKey{}, &around{m, ref, id, in.task}), done
}

// parentOf returns what is in progress around: what was begun in ctx with this Monitor,
// unless a span began after it, which a span processor measures.
func (m *Monitor) parentOf(in *around, current span.ID) clock.Ref {
	if in.m != nil && in.span == current {
		return in.ref
	}
	if ref, _ := m.table.Find(current); ref != (clock.Ref{}) {
		return ref
	}
	return in.ref
}

// result makes r, which is empty, what a life of a node amounts to; false if nothing is
// known of it.
func (m *Monitor) result(r *span.Result, e clock.Energy, began, ended int64) (known bool) {
	if m.source == nil || e.Coverage == clock.Partial && e.Joules == 0 {
		return false
	}
	r.Joules, r.Off, r.Began, r.Ended, r.How, r.Coverage = e.Joules, e.Off, began, ended, m.method.Load(), e.Coverage
	return true
}

// Price is for package spanprocessor.
func (m *Monitor) Price(r *span.Result) (u span.Use) {
	u.Joules, u.Method, u.Coverage, u.Sampled = r.Joules, r.How.Method, r.Coverage, r.Sampled
	half := r.How.Half
	if r.Off > 0 && r.Joules > 0 {
		half = emission.Combine(half, r.Off/r.Joules)
	}
	p := m.grid.price(m.wall(r.Began), m.wall(r.Ended), r.Joules, half)
	if p.slot == nil {
		return u
	}
	u.Priced, u.Grams, u.Intensity = true, p.Grams, p.intensity
	u.Zone, u.Source, u.PUE = p.slot.Origin.ZoneServed, p.slot.Origin.Provider, m.grid.pue
	u.Uncertainty = emission.Combine(half, p.slot.Spread.Half)
	if p.Grams > 0 {
		u.Uncertainty = p.Upper/p.Grams - 1
	}
	return u
}

// StartSpan is for package spanprocessor.
func (m *Monitor) StartSpan(ctx context.Context, s span.Named, id, parent span.ID) {
	if m == nil || m.closed.Load() {
		return
	}
	in := m.around(ctx)
	if in.m != nil && in.span == parent {
		parent = span.ID{} // what is in progress began after it
	}
	if m.weigh != nil {
		m.weigh.start(ctx, s, id, parent, in)
		return
	}
	var owner any // a nil *tally in it would be somebody
	if in.task != nil {
		owner = in.task
	}
	now := m.now()
	m.glance(now) //nolint:contextcheck // it waits for nothing
	m.table.Start(id, parent, in.ref, owner, now)
}

// EndSpan is for package spanprocessor.
func (m *Monitor) EndSpan(id span.ID, r *span.Result, w span.Waiter) span.State {
	if m == nil {
		return span.Unknown
	}
	now := m.now()
	m.glance(now)
	var e span.Ended
	if !m.table.End(id, now, &e) {
		return span.Unknown
	}
	switch o := e.Owner.(type) {
	case *work:
		return m.weigh.end(o, &e, r, w)
	case *tally:
		if e.First {
			o.span(e.Energy.Joules, m.wall(e.Began), m.wall(e.Ended))
		}
	}
	if !m.result(r, e.Energy, e.Began, e.Ended) {
		return span.Unknown
	}
	return span.Known
}

// drop takes what a span had used that nobody ends any more.
func (m *Monitor) drop(owner any, e span.Ended) {
	switch o := owner.(type) {
	case *work:
		m.weigh.drop(o, e)
	case *tally:
		o.span(e.Energy.Joules, m.wall(e.Began), m.wall(e.Ended))
	default:
		m.mu.Lock()
		defer m.mu.Unlock()
		m.dropped += e.Energy.Joules
	}
}

// Flush is for package spanprocessor.
func (m *Monitor) Flush(ctx context.Context) error {
	if m == nil || m.weigh == nil {
		return nil
	}
	return m.weigh.flush(ctx)
}

// AddProcessor is for package spanprocessor.
func (m *Monitor) AddProcessor() {
	if m != nil {
		m.table.AddProcessor()
	}
}

// RemoveProcessor is for package spanprocessor.
func (m *Monitor) RemoveProcessor() {
	if m != nil {
		m.table.RemoveProcessor(m.now())
	}
}

// Handler measures the span of each request that next handles. It belongs inside of what
// starts the span:
//
//	handler = otelhttp.NewHandler(m.Handler(handler), "server")
func (m *Monitor) Handler(next http.Handler) http.Handler {
	if m == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, done := m.Span(r.Context())
		defer done()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func (i *instruments) operation(ctx context.Context, u span.Use, attrs []attribute.KeyValue) {
	if i.operationEnergy == nil {
		return
	}
	attrs = append(attrs, attribute.String(names.AttrMethod, u.Method))
	i.operationEnergy.Add(ctx, u.Joules, metric.WithAttributeSet(attribute.NewSet(attrs...)))
	if !u.Priced {
		return
	}
	attrs = append(attrs, attribute.String(names.AttrGridSource, u.Source))
	if u.Zone != "" {
		attrs = append(attrs, attribute.String(names.AttrGridZone, u.Zone))
	}
	i.operationEmissions.Add(ctx, u.Grams, metric.WithAttributeSet(attribute.NewSet(attrs...)))
}
