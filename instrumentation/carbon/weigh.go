package carbon

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/clock"
	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/cputime"
	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/span"
)

const (
	// window is how long a profile is: long enough for its own cost to be small beside it,
	// and short enough for spans to wait for it.
	window = time.Second
	// crowd is how many ended spans cut a window short.
	crowd = 8192
	// most is how many wait at most; what ends beyond is shared evenly.
	most = 4 * crowd
	// Who else holds the profiler is left alone for a while: a profiler that runs all the
	// time begins anew now and then, and should not find us there.
	// few is how many times less of a span is not worth a word.
	few                      = 20
	firstPause, longestPause = 5 * time.Second, time.Minute
)

// weigher shares energy by CPU time. It corrects what the clock shared evenly: after each
// window, what spans and tasks and nobody were given in it, but for what GPUs drew, is put
// together and divided anew by the samples of that window. So the sum stays what it was.
type weigher struct {
	m       *Monitor
	profile cputime.Profiler
	wake    chan struct{}

	// Of the goroutine that cuts.
	counts map[string]int64
	items  []cputime.Item
	groups map[string]*cputime.Group
	these  []*work // of items
	deltas []float64
	spans  []int64 // ns

	mu      sync.Mutex // after Monitor.mu
	works   map[string]*work
	tasks   int
	held    int // ended and waiting
	waiting []chan struct{}
	running bool // a profile is
	paused  int
	retry   time.Time
	pause   time.Duration
	over    bool  // nobody cuts any more
	began   int64 // of the window
	drew    Energy
	mix     Energy  // parts of the newest energy, of 1
	nobody  float64 // unattributed when the window began
	shifted float64 // by which more is unattributed than the clock says
}

// work is a span or a task that burns CPU time. weigher.mu guards what changes.
type work struct {
	label, group string
	ref          clock.Ref
	ctx          context.Context //nolint:containedctx // of its labels
	back         context.Context //nolint:containedctx // of those that its goroutine had
	task         *tally          // that it is part of, or is
	self         bool            // it is task
	began        int64

	settled float64 // J that the clock gave it evenly until the last cut
	kept    Energy  // of those and what came since, what stays
	given   Energy  // by samples
	off2    float64 // square of what given may be off by, J²
	sampled int64   // ns of it in windows with samples
	evenly  int64   // and without

	ended   bool
	energy  clock.Energy // then
	end     int64
	told    bool // its result is final
	result  span.Result
	known   bool
	waiters []span.Waiter
}

func newWeigher(m *Monitor) *weigher {
	return &weigher{
		m: m, wake: make(chan struct{}, 1), works: map[string]*work{}, counts: map[string]int64{}, groups: map[string]*cputime.Group{},
		began: m.now(),
	}
}

// start begins a span below its parent or what is in progress around it.
func (w *weigher) start(ctx context.Context, s span.Named, id, parent span.ID, in around) {
	k := &work{label: id.String(), group: s.Name(), task: in.task}
	_, above := w.m.table.Find(parent)
	up, _ := above.(*work)
	if up == nil && in.task != nil {
		up = in.task.work
	}
	k.ctx = w.labels(ctx, k.label)
	k.back = w.before(ctx, up)
	k.began = w.m.now()
	var first bool
	if k.ref, first = w.m.table.Start(id, parent, in.ref, k, k.began); !first {
		return
	}
	w.add(k)
}

// labels returns a context with the labels of ctx and one more, and nothing else of it, for
// that may be much.
func (w *weigher) labels(ctx context.Context, label string) context.Context {
	if !cputime.HasLabels(ctx) {
		ctx = context.Background()
	}
	return cputime.WithLabel(ctx, label)
}

// before returns a context with the labels that a goroutine has in ctx, under up.
func (w *weigher) before(ctx context.Context, up *work) context.Context {
	switch {
	case up == nil && !cputime.HasLabels(ctx):
		return context.Background()
	case up == nil:
		return ctx
	case !cputime.HasLabels(ctx):
		return up.ctx
	}
	return w.labels(ctx, up.label)
}

func (w *weigher) add(k *work) {
	w.mu.Lock()
	over := w.over
	if !over {
		w.works[k.label] = k
	}
	w.mu.Unlock()
	if !over {
		cputime.Label(k.ctx)
	}
}

// end ends a span.
func (w *weigher) end(k *work, e span.Ended, r *span.Result, waiter span.Waiter) span.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.First {
		cputime.Label(k.back)
		k.ended, k.energy, k.end = true, e.Energy, e.Ended
		switch {
		case w.over || w.held >= most:
			w.finish(k)
		default:
			w.works[k.label] = k // a cut between its end and now has not found it alive
			if w.held++; w.held == crowd {
				w.call()
			}
		}
	}
	switch {
	case !k.told:
		k.waiters = append(k.waiters, waiter)
		return span.Later
	case !k.known:
		return span.Unknown
	}
	*r = k.result
	return span.Known
}

// finish makes the result of what has ended. What the last cut did not see stays as it is.
func (w *weigher) finish(k *work) {
	k.kept = k.kept.plus(w.mix.times(max(k.energy.Joules-k.settled, 0)))
	e := k.energy
	e.Joules = k.kept.Total() + k.given.Total()
	if k.sampled > k.evenly && e.Coverage == clock.Interpolated {
		e.Coverage, e.Off = clock.Settled, 0
	}
	k.told = true
	k.result, k.known = w.m.result(e, k.began, k.end)
	switch off := math.Sqrt(k.off2); {
	case k.sampled > few*k.evenly:
		k.result.Sampled, k.result.Off = span.ByCPU, off
	case few*k.sampled > k.evenly:
		k.result.Sampled, k.result.Off = span.Partly, math.Hypot(off, k.result.Off)
	}
	delete(w.works, k.label)
}

// begin begins a task. up is what goes on around it, if anything.
func (w *weigher) begin(ctx context.Context, t *tally, up *work) context.Context {
	w.mu.Lock()
	w.tasks++
	k := &work{label: t.name + "#" + strconv.Itoa(w.tasks), group: "task " + t.name, task: t, self: true, ref: t.ref, began: w.m.now(), back: w.before(ctx, up)}
	w.mu.Unlock()
	ctx = cputime.WithLabel(ctx, k.label)
	k.ctx = w.labels(ctx, k.label)
	t.work = k
	w.add(k)
	return ctx
}

// leave ends a task. What was not weighed yet was shared evenly.
func (w *weigher) leave(k *work) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k.told = true
	delete(w.works, k.label)
	cputime.Label(k.back)
}

// book notes what the process drew in the window. Monitor.mu is held.
func (w *weigher) book(used Energy) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drew = w.drew.plus(used)
	if sum := used.Total(); sum > 0 {
		w.mix = used.times(1 / sum)
	}
}

// call has the window end now.
func (w *weigher) call() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// flush has the window end, and waits for what follows from it.
func (w *weigher) flush(ctx context.Context) error {
	done := make(chan struct{})
	w.mu.Lock()
	if w.over || !w.running && w.held == 0 {
		w.mu.Unlock()
		return nil
	}
	w.waiting = append(w.waiting, done)
	w.mu.Unlock()
	w.call()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("CPU time of spans: %w", ctx.Err())
	}
}

// settle has what a task used weighed, as far as it was sampled, but not for ever.
func (w *weigher) settle() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*window)
	defer cancel()
	_ = w.flush(ctx) // what is not weighed by then was shared evenly
}

// more is by how much more is unattributed than the clock says, in J.
func (w *weigher) more() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shifted
}

func (w *weigher) run(ctx context.Context) {
	timer := time.NewTimer(window)
	defer timer.Stop()
	for over := false; !over; {
		w.open()
		timer.Reset(window)
		select {
		case <-ctx.Done():
			over = true
		case <-timer.C:
		case <-w.wake:
		}
		w.cut(ctx, over)
	}
}

// open begins a window.
func (w *weigher) open() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.paused > 0 || now.Before(w.retry) {
		return
	}
	if err := w.profile.Start(); err != nil {
		if w.pause == 0 {
			otel.Handle(fmt.Errorf("spans share evenly for now, not by CPU time: %w", err))
		}
		w.pause = min(max(2*w.pause, firstPause), longestPause)
		w.retry = now.Add(w.pause)
		return
	}
	w.pause, w.running = 0, true
}

// cut ends a window and tells those who wait.
func (w *weigher) cut(ctx context.Context, over bool) {
	if err := w.m.soon(ctx, w.m.source.Read); err != nil && ctx.Err() == nil {
		otel.Handle(err)
	}
	w.mu.Lock()
	running, waiting := w.running, w.waiting
	w.running, w.waiting = false, nil
	w.mu.Unlock()
	clear(w.counts)
	if running {
		if err := w.profile.Stop(w.counts); err != nil {
			clear(w.counts) // and all is shared evenly
			otel.Handle(err)
		}
	}
	for _, k := range w.divide(over) {
		for _, waiter := range k.waiters {
			callForeign(func() { waiter.Told(k.result, k.known) })
		}
	}
	for _, done := range waiting {
		close(done)
	}
}

// divide divides the energy of the window and returns what ended in it.
func (w *weigher) divide(over bool) (ended []*work) {
	m := w.m
	m.mu.Lock()
	defer m.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	now := m.now()
	from, to := m.wall(w.began), m.wall(now)
	w.items, w.these, w.deltas, w.spans = w.items[:0], w.these[:0], w.deltas[:0], w.spans[:0]
	met, named := 0.0, 0.0
	for _, n := range w.counts {
		met += float64(n)
	}
	given := 0.0 // evenly, in this window
	for label, k := range w.works {
		e, end := k.energy, k.end
		if !k.ended {
			var alive bool
			if e, alive = m.clock.Read(k.ref, now); !alive { // it made room in the table, or is about to be told
				delete(w.works, label)
				continue
			}
			e.Joules -= e.Estimated
			end = now
		}
		n := float64(w.counts[label])
		named += n
		delta := max(e.Joules-k.settled, 0)
		given += delta
		k.settled += delta
		w.these, w.deltas, w.spans = append(w.these, k), append(w.deltas, delta), append(w.spans, max(end-max(k.began, w.began), 0))
		w.items = append(w.items, cputime.Item{Group: k.group, Samples: n, Time: float64(w.spans[len(w.spans)-1]) / (1e9 / cputime.PerSecond)})
	}
	nobody := m.clock.Totals(now).Unattributed
	cpu := w.drew
	cpu.GPU = 0
	share := 0.0 // of what was drawn, that goes by CPU time
	if all := w.drew.Total(); all > 0 && met > 0 {
		share = cpu.Total() / all
	}
	pool := share * (given + max(nobody-w.nobody, 0))
	each := 0.0 // J for each sample
	if met > 0 {
		each = pool / met
	}
	if share > 0 {
		cputime.Divide(w.items, w.groups)
		cpu = cpu.times(1 / cpu.Total())
		w.shifted += each*(met-named) - share*max(nobody-w.nobody, 0)
	}
	gpus := Energy{GPU: 1}
	for i, k := range w.these {
		stays := w.mix.times(w.deltas[i])
		var gets Energy
		if share > 0 {
			stays = gpus.times(w.deltas[i] * (1 - share))
			gets = cpu.times(each * w.items[i].Share)
			k.off2 += each * each * w.items[i].Off * w.items[i].Off
			k.sampled += w.spans[i]
		} else {
			k.evenly += w.spans[i]
		}
		k.kept, k.given = k.kept.plus(stays), k.given.plus(gets)
		if k.self {
			k.task.counted = k.settled
			k.task.add(stays.plus(gets), from, to)
		}
		if !k.ended {
			continue
		}
		w.held--
		w.finish(k)
		if k.task != nil && !k.self {
			k.task.add(k.kept.plus(k.given), m.wall(k.began), m.wall(k.end))
		}
		ended = append(ended, k)
	}
	w.began, w.nobody, w.drew = now, nobody, Energy{}
	w.over = over
	slices.SortFunc(ended, func(a, b *work) int { return cmp.Compare(a.end, b.end) }) // as they would have come
	return ended
}

// PauseCPUWeights leaves the CPU profiler of the program to others, until resume is called:
//
//	http.HandleFunc("/debug/pprof/profile", func(w http.ResponseWriter, r *http.Request) {
//		defer m.PauseCPUWeights()()
//		pprof.Profile(w, r)
//	})
//
// Meanwhile energy is shared evenly. It waits until the profiler is free, some milliseconds.
// Without WithCPUWeights it does nothing.
func (m *Monitor) PauseCPUWeights() (resume func()) {
	if m == nil || m.weigh == nil {
		return func() {}
	}
	w := m.weigh
	w.mu.Lock()
	w.paused++
	w.mu.Unlock()
	w.settle()
	var once sync.Once
	return func() {
		once.Do(func() {
			w.mu.Lock()
			w.paused--
			w.retry = time.Time{}
			w.mu.Unlock()
			w.call()
		})
	}
}

// workOf returns the span or task in ctx.
func (m *Monitor) workOf(ctx context.Context) *work {
	in, id := m.around(ctx), span.IDOf(trace.SpanContextFromContext(ctx))
	if in.m == nil || in.span != id {
		_, owner := m.table.Find(id)
		if k, ok := owner.(*work); ok {
			return k
		}
	}
	if in.task == nil {
		return nil
	}
	return in.task.work
}

// Attach has the CPU time of this goroutine counted for the span or task in ctx, until
// detach is called by it. Goroutines that are started under a span or task belong to it
// without; it is for those that are older, such as workers of a pool. Without WithCPUWeights
// it does nothing.
func (m *Monitor) Attach(ctx context.Context) (detach func()) {
	if m == nil || m.weigh == nil {
		return func() {}
	}
	k := m.workOf(ctx)
	if k == nil {
		return func() {}
	}
	cputime.Label(k.ctx) //nolint:contextcheck // it has the labels of ctx, and of what is in it
	return func() { cputime.Label(context.Background()) }
}
