package carbonprocessor

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// tracesProcessor completes the spans of one pipeline. Nothing is remembered of a span,
// so batches are priced side by side.
type tracesProcessor struct {
	engine  *engine
	release func()
	detach  func()    // from the reports of status
	batches sync.Pool // of *spanBatch

	running sync.RWMutex // read-locked while a batch is priced, so that a shutdown waits for it
	hash    hasher

	mu     sync.Mutex // held for the look-up of a resource
	places *places    // nil while not running; no use is made of what a place remembers
}

func newTracesProcessor(e *engine, release func()) *tracesProcessor {
	p := &tracesProcessor{engine: e, release: release}
	p.batches.New = func() any { return newSpanBatch(p) }
	return p
}

func (p *tracesProcessor) start(ctx context.Context, host component.Host) error {
	p.running.Lock()
	defer p.running.Unlock()
	if p.places != nil {
		return nil
	}
	places, detach, err := p.engine.enter(ctx, host)
	if err != nil {
		return err
	}
	p.places, p.detach, p.hash = places, detach, p.engine.hash
	return nil
}

// shutdown may be called twice, and without start. Batches that still arrive pass
// unchanged.
func (p *tracesProcessor) shutdown(ctx context.Context) error {
	p.running.Lock()
	defer p.running.Unlock()
	defer p.release()
	if p.places == nil {
		return nil
	}
	p.detach()
	p.places = nil
	return p.engine.stop(ctx)
}

// processTraces adds emissions to the spans that carry energy and none.
func (p *tracesProcessor) processTraces(ctx context.Context, td ptrace.Traces) (ptrace.Traces, error) {
	p.running.RLock()
	defer p.running.RUnlock()
	if p.places == nil { // not started, or shut down
		return td, nil
	}
	b := p.batches.Get().(*spanBatch)
	defer p.batches.Put(b)
	b.latest = pcommon.NewTimestampFromTime(time.Now().Add(maxAhead))
	for _, rs := range td.ResourceSpans().All() { //nolint:contextcheck // zones are spelled out with one that has ended
		b.resource(rs)
	}
	b.attrs, b.place = pcommon.Map{}, nil // the batch is not ours any more
	b.report(ctx)
	return td, nil
}

// placeOf returns where a resource is, and how many places no table knows that were
// met since it was called last.
func (p *tracesProcessor) placeOf(resource pcommon.Map) (at *place, unknown int64) {
	id := p.hash.attributes(resource)
	p.mu.Lock()
	defer p.mu.Unlock()
	at = p.places.of(id, resource)
	unknown, p.places.unknown = p.places.unknown, 0
	return at, unknown
}
