package spanprocessor_test

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/clock"
	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/span"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

// A monitor prices energy at 500 g/kWh in FR, if priced. Its clock is that of the
// machine or, for numbers by hand, is moved by the test.
type monitor struct {
	clock  *clock.Clock
	table  *span.Table
	priced bool
	now    func() int64

	coverage clock.Coverage // of all
}

func newMonitor(limit int) *monitor {
	c, base := clock.New(0), time.Now()
	return &monitor{
		clock: c, table: span.NewTable(c, limit), priced: true,
		now: func() int64 { return int64(time.Since(base)) },
	}
}

// scripted returns a monitor at 100 ms that knows the process to draw 10 W, and
// what moves it on.
func scripted() (m *monitor, sleep func(ms int64)) {
	var now atomic.Int64
	m = newMonitor(span.DefaultLimit)
	m.now = now.Load
	now.Store(100e6)
	m.clock.Book(1, 100e6)
	return m, func(ms int64) { now.Add(ms * 1e6) }
}

func (m *monitor) StartSpan(_ context.Context, _ span.Named, id, parent span.ID) {
	m.table.Start(id, parent, clock.Ref{}, nil, m.now())
}

func (m *monitor) EndSpan(id span.ID, r *span.Result, _ span.Waiter) span.State {
	var e span.Ended
	if !m.table.End(id, m.now(), &e) || e.Energy.Coverage == clock.Partial && e.Energy.Joules == 0 {
		return span.Unknown
	}
	*r = span.Result{Joules: e.Energy.Joules, Coverage: m.coverage}
	return span.Known
}

func (m *monitor) Price(r *span.Result) span.Use {
	u := span.Use{Joules: r.Joules, Method: names.MethodMeasured, Coverage: r.Coverage, Sampled: r.Sampled}
	if m.priced {
		u.Priced, u.Grams, u.Intensity, u.Uncertainty = true, r.Joules/3.6e6*500, 500, 0.2
		u.Zone, u.Source = "FR", names.SourceStatic
	}
	return u
}

func (*monitor) Flush(context.Context) error { return nil }

func (m *monitor) AddProcessor()    { m.table.AddProcessor() }
func (m *monitor) RemoveProcessor() { m.table.RemoveProcessor(m.now()) }

// ended keeps the spans that have ended.
type ended struct {
	mu    sync.Mutex
	spans []sdktrace.ReadOnlySpan

	flushed, down int
}

func (*ended) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

func (e *ended) OnEnd(s sdktrace.ReadOnlySpan) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.spans = append(e.spans, s)
}

func (e *ended) ForceFlush(context.Context) error { e.flushed++; return nil }
func (e *ended) Shutdown(context.Context) error   { e.down++; return nil }

// nothing is the cheapest span processor.
type nothing struct{}

func (nothing) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (nothing) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (nothing) ForceFlush(context.Context) error                { return nil }
func (nothing) Shutdown(context.Context) error                  { return nil }
