package carbonprocessor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/internal/emission"
	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor/internal/journal"
)

const (
	storeWithin   = 5 * time.Second // for what a batch changed, before it is passed on
	compactWithin = 5 * time.Minute
	atOnce        = 1024 // streams copied while a pipeline waits
)

// openState takes back what is stored. A store that is damaged is no reason not to start;
// one that is not configured rightly, or may come back with what is in it, is.
func (e *engine) openState(ctx context.Context, host component.Host) (err error) {
	if e.budgets, err = newBudgets(e.config, time.Now(), e.log); err != nil {
		return fmt.Errorf("budgets: %w", err)
	}
	e.hash, e.born = newHasher(), e.began.UnixNano()
	if e.config.Revise && (e.config.Offline || !e.config.isLive()) {
		e.log.Warn("revise: there is no live provider, so no better intensity ever comes")
	}
	if e.config.Storage == nil {
		return nil
	}
	id := *e.config.Storage
	ext, ok := host.GetExtensions()[id]
	if !ok {
		return fmt.Errorf("storage: there is no extension %q: add it to extensions and to service::extensions", id)
	}
	keeper, ok := ext.(storage.Extension)
	if !ok {
		return fmt.Errorf("storage: the extension %q stores nothing; use one such as file_storage", id)
	}
	client, err := keeper.GetClient(ctx, component.KindProcessor, e.id, "")
	switch {
	case err != nil && isBusy(err):
		// What is in it is sound, and would come back with a later start: what is emitted
		// without it would be counted again.
		return fmt.Errorf("storage: %q is in use by another process, or not ours: %w", id, err)
	case err != nil:
		e.log.Error("storage cannot be opened: the state is kept in memory only", zap.Stringer("storage", id), zap.Error(err))
		return nil
	}
	e.clients = append(e.clients, client)
	j, state, err := journal.Open(ctx, client, time.Now())
	if err != nil {
		return fmt.Errorf("storage: the state in %q cannot be read, and what is emitted without it would be counted again: %w", id, err)
	}
	if state.Trouble != nil {
		e.log.Error("stored state is damaged: what could not be read was set aside, and its streams begin anew", zap.Stringer("storage", id), zap.Error(state.Trouble))
	}
	if err := e.budgets.restore(state.Extra); err != nil {
		e.log.Error("stored budgets are damaged: they begin anew", zap.Error(err))
	}
	e.journal, e.restored = j, slices.SortedFunc(maps.Values(state.Streams), func(a, b *journal.Stream) int { return cmp.Compare(a.Seen, b.Seen) })
	e.hash, e.born = hasher{seed: state.Seed}, state.Born
	if e.config.isLive() {
		e.openCache(ctx, keeper)
	}
	return nil
}

// isBusy reports whether a store may well be there, and come back. File storage waits a
// second for who has locked its file, and has no error of its own for it.
func isBusy(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "timeout")
}

// openCache has the values of live providers stored, apart from the journal, which owns
// its client.
func (e *engine) openCache(ctx context.Context, keeper storage.Extension) {
	client, err := keeper.GetClient(ctx, component.KindProcessor, e.id, "intensity")
	if err != nil {
		e.log.Error("storage cannot be opened for what providers say: it is kept in memory only", zap.Error(err))
		return
	}
	e.clients = append(e.clients, client)
	e.cache = client
}

// closeState waits for what is being stored.
func (e *engine) closeState(ctx context.Context) error {
	e.work.Wait()
	clients := e.clients
	e.clients, e.cache, e.journal, e.restored, e.pipelines, e.leaving, e.quit = nil, nil, nil, nil, nil, false, nil
	var errs []error
	for _, c := range clients {
		errs = append(errs, c.Close(ctx))
	}
	return errors.Join(errs...)
}

// join makes the streams of a pipeline part of what is stored, and gives it what was.
func (e *engine) join(p *metricsProcessor) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p.streams.born = e.born
	e.pipelines = append(e.pipelines, p)
	labels := map[*journal.Label]*label{} // thousands of streams share few
	for i, s := range e.restored {
		if i < len(e.restored)-e.config.MaxStreams { // the least recently seen, some of which were evicted before
			p.streams.forget(s.Last, 0)
			continue
		}
		one := &stream{start: s.Start, last: s.Last, value: s.Value, half: s.Half, ended: s.Ended}
		for i := range s.Sums {
			one.sums = append(one.sums, seriesOf(&s.Sums[i], labels))
		}
		if len(s.Corrections)+len(s.Owed) > 0 {
			one.debts = new(debts)
			for i := range s.Corrections {
				one.debts.fixed = append(one.debts.fixed, seriesOf(&s.Corrections[i], labels))
			}
			for _, o := range s.Owed {
				one.debts.owed = append(one.debts.owed, owed{from: o.From, to: o.To, joules: o.Joules, grams: o.Grams, boundary: intensity.Boundary(o.Boundary)})
			}
		}
		p.streams.add(identity{hi: s.ID.Hi, lo: s.ID.Lo}, one, 0)
	}
}

func (e *engine) leave(p *metricsProcessor) {
	e.budgets.leave(p)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leaving = true
}

func seriesOf(s *journal.Sum, labels map[*journal.Label]*label) series {
	l := labels[s.Label]
	if l == nil {
		l = &label{zone: s.Label.Zone, source: s.Label.Source, boundary: s.Label.Boundary, embodied: s.Label.Embodied}
		labels[s.Label] = l
	}
	return series{
		label: l,
		start: s.Start, sum: emission.Range{Grams: s.Grams, Lower: s.Lower, Upper: s.Upper}, cost: s.Cost, water: s.Water,
	}
}

// keep stores what a batch has changed, before it is passed on: what was passed on is
// never counted again, and what was not is lost at most.
func (e *engine) keep(ctx context.Context, p *metricsProcessor) {
	if e.journal == nil {
		return
	}
	meta := journal.Meta{Born: p.streams.born}
	if extra, changed := e.budgets.state(); changed {
		meta.Extra = extra
	}
	if p.batch == 1 { // all pipelines have started, and everybody has it
		e.mu.Lock()
		e.restored = nil
		e.mu.Unlock()
	}
	b := e.journal.Begin()
	for _, s := range p.changed {
		p.record.of(s, p.wall)
		b.Put(&p.record.stream)
	}
	clear(p.changed)
	p.changed = p.changed[:0]
	// Whoever sent the batch may not care any more, but it has been counted.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeWithin)
	defer cancel()
	err := b.Commit(ctx, meta)
	if err != nil && meta.Extra != nil {
		e.budgets.again()
	}
	e.stored(err)
	if e.journal.Due() && e.compacting.CompareAndSwap(false, true) {
		e.work.Go(e.compact)
	}
}

// stored tells of storing that fails, and that it works again, once.
func (e *engine) stored(err error) {
	switch failed := err != nil; {
	case failed == e.failing.Swap(failed):
	case failed:
		e.log.Error("state cannot be stored: a restart may lose what is emitted until it can be again", zap.Error(err))
	default:
		e.log.Info("state is stored again")
	}
}

// compact replaces the journal by a snapshot of all pipelines, which go on meanwhile.
func (e *engine) compact() {
	defer e.compacting.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), compactWithin)
	defer cancel()
	pipelines, ok := e.whole(cancel)
	if !ok {
		return
	}
	born := e.born
	each := func(yield func(*journal.Stream) bool) {
		for _, p := range pipelines {
			b, ok := p.snapshot(yield)
			born = max(born, b)
			if !ok {
				cancel() // a snapshot that is not whole must not replace anything
				return
			}
		}
	}
	meta := func() journal.Meta {
		extra := e.budgets.whole()
		return journal.Meta{Born: born, Extra: extra}
	}
	if err := e.journal.Compact(ctx, each, meta); err != nil && !errors.Is(err, context.Canceled) {
		e.log.Warn("stored state cannot be made smaller, and grows", zap.Error(err))
	}
}

// whole returns the pipelines, unless one has stopped already. When the last one stops, quit
// is called.
func (e *engine) whole(quit context.CancelFunc) ([]*metricsProcessor, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.quit = quit
	return slices.Clone(e.pipelines), !e.leaving
}

// snapshot yields all streams. What changes meanwhile is in the journal.
func (p *metricsProcessor) snapshot(yield func(*journal.Stream) bool) (born int64, ok bool) {
	p.mu.Lock()
	if p.streams == nil {
		p.mu.Unlock()
		return 0, false
	}
	born = p.streams.born
	all := make([]*stream, 0, p.streams.len())
	for s := p.streams.ring.newer; s != &p.streams.ring; s = s.newer {
		all = append(all, s)
	}
	p.mu.Unlock()
	records := make([]record, min(atOnce, len(all)))
	for len(all) > 0 {
		n := min(len(records), len(all))
		p.mu.Lock()
		for i := range n {
			records[i].of(all[i], p.wall)
		}
		p.mu.Unlock()
		for i := range n {
			if !yield(&records[i].stream) {
				return born, false
			}
		}
		all = all[n:]
	}
	return born, true
}

// record is a stream as it is stored. Its memory is used again.
type record struct {
	stream journal.Stream
	labels map[label]*journal.Label
}

func (r *record) of(s *stream, now time.Time) {
	out := &r.stream
	out.ID = journal.ID{Hi: s.id.hi, Lo: s.id.lo}
	out.Start, out.Last, out.Value, out.Half = s.start, s.last, s.value, s.half
	out.Seen, out.Ended = now.UnixNano(), s.ended
	out.Sums = r.sums(out.Sums[:0], s.sums)
	out.Corrections, out.Owed = out.Corrections[:0], out.Owed[:0]
	if s.debts == nil {
		return
	}
	out.Corrections = r.sums(out.Corrections, s.debts.fixed)
	for _, o := range s.debts.owed {
		out.Owed = append(out.Owed, journal.Owed{From: o.from, To: o.to, Joules: o.joules, Grams: o.grams, Boundary: uint8(o.boundary)})
	}
}

func (r *record) sums(dst []journal.Sum, list []series) []journal.Sum {
	for i := range list {
		s := &list[i]
		dst = append(dst, journal.Sum{
			Label: r.label(s.label), Start: s.start,
			Grams: s.sum.Grams, Lower: s.sum.Lower, Upper: s.sum.Upper, Cost: s.cost, Water: s.water,
		})
	}
	return dst
}

func (r *record) label(l *label) *journal.Label {
	if one := r.labels[*l]; one != nil {
		return one
	}
	if r.labels == nil || len(r.labels) > maxLabels {
		r.labels = map[label]*journal.Label{}
	}
	one := &journal.Label{Zone: l.zone, Source: l.source, Boundary: l.boundary, Embodied: l.embodied}
	r.labels[*l] = one
	return one
}
