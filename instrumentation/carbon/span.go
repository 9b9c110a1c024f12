package carbon

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/clock"
	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/span"
	"github.com/otelcarbon/otelcarbon/internal/emission"
)

// Use is what one span used itself, what its children used not included.
type Use = span.Use

// refKey is that of the measured span or task in progress.
type refKey struct{}

// around is what is in progress, and the span that was current when it began.
type around struct {
	ref  clock.Ref
	span span.ID
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
//
// Where package spanprocessor measures all spans, each would be measured twice.
func (m *Monitor) Span(ctx context.Context, operation ...attribute.KeyValue) (context.Context, func()) {
	current := trace.SpanFromContext(ctx)
	if m == nil || m.closed.Load() || !current.IsRecording() && len(operation) == 0 {
		return ctx, func() {}
	}
	began, node := time.Now(), new(clock.Node)
	ref := m.clock.Start(node, m.parentOf(ctx, current.SpanContext()), int64(began.Sub(m.began)))
	done := func() {
		ended := time.Now()
		e, _ := m.clock.End(ref, int64(ended.Sub(m.began)))
		u := m.use(e.Joules, began, ended)
		if t, ok := ctx.Value(taskKey{}).(*tally); ok {
			t.span(e.Joules, began, ended)
		}
		if current.IsRecording() {
			current.SetAttributes(u.Append(make([]attribute.KeyValue, 0, span.Attributes))...)
		}
		if len(operation) > 0 {
			m.instruments.operation(ctx, u, append(operation, m.cfg.attrs...))
		}
	}
	return context.WithValue(ctx, refKey{}, around{ref, span.IDOf(current.SpanContext())}), done
}

// parentOf returns what is in progress around: what was begun in ctx with this Monitor,
// unless a span began after it, which a span processor measures.
func (m *Monitor) parentOf(ctx context.Context, current trace.SpanContext) clock.Ref {
	id := span.IDOf(current)
	a, ok := ctx.Value(refKey{}).(around)
	if ok && a.span == id {
		return a.ref
	}
	if ref := m.table.Find(id); ref != (clock.Ref{}) {
		return ref
	}
	return a.ref
}

// use prices what a span used.
func (m *Monitor) use(joules float64, began, ended time.Time) (u Use) {
	how := m.method.Load()
	u.Joules, u.Method = joules, how.method
	p := m.grid.price(began, ended, joules, how.half)
	if p.slot == nil {
		return u
	}
	u.Priced, u.Grams, u.Intensity = true, p.Grams, p.intensity
	u.Zone, u.Source = p.slot.Origin.ZoneServed, p.slot.Origin.Provider
	u.Uncertainty = emission.Combine(how.half, p.slot.Spread.Half)
	if p.Grams > 0 {
		u.Uncertainty = p.Upper/p.Grams - 1
	}
	return u
}

// StartSpan is for package spanprocessor.
func (m *Monitor) StartSpan(ctx context.Context, id, parent span.ID) {
	if m == nil || m.closed.Load() {
		return
	}
	ref := m.table.Find(parent)
	if a, ok := ctx.Value(refKey{}).(around); ok && (a.span == parent || ref == (clock.Ref{})) {
		ref = a.ref
	}
	t, ok := ctx.Value(taskKey{}).(*tally)
	if !ok { // a nil *tally in an interface would be somebody
		m.table.Start(id, ref, m.now())
		return
	}
	m.table.StartFor(id, ref, t, m.now())
}

// EndSpan is for package spanprocessor.
func (m *Monitor) EndSpan(id span.ID) (Use, bool) {
	if m == nil {
		return Use{}, false
	}
	now := m.now()
	e, start, owner, ok := m.table.EndFor(id, now)
	if !ok || m.source == nil {
		return Use{}, false
	}
	began, ended := m.began.Add(time.Duration(start)), m.began.Add(time.Duration(now))
	if t, ok := owner.(*tally); ok {
		t.span(e.Joules, began, ended)
	}
	return m.use(e.Joules, began, ended), true
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

// how is how the newest energy is known.
type how struct {
	method, sensor string
	half           float64
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

func (i *instruments) operation(ctx context.Context, u Use, attrs []attribute.KeyValue) {
	if i.operationEnergy == nil {
		return
	}
	opt := metric.WithAttributeSet(attribute.NewSet(attrs...))
	i.operationEnergy.Add(ctx, u.Joules, opt)
	if u.Priced {
		i.operationEmissions.Add(ctx, u.Grams, opt)
	}
}
