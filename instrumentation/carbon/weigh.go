package carbon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

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
	// sample is how far samples are apart, in ns of CPU time.
	sample = 1e9 / cputime.PerSecond
	// batch is how many works are looked at under one lock.
	batch = 256
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
	shares cputime.Divider
	parts  []part

	mu      sync.Mutex // after Monitor.mu and before the locks of the table
	works   map[string]*work
	tasks   int
	held    int      // ended and waiting
	waiting []func() // for the cut
	running bool     // a profile is
	paused  int
	retry   time.Time
	pause   time.Duration
	over    bool  // nobody cuts any more
	began   int64 // of the window
	drew    Energy
	mix     Energy  // parts of the newest energy, of 1
	nobody  float64 // unattributed when the window began
	shifted float64 // by which more is unattributed than the clock says

	told teller // those who wait
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
	final   bool // its result is
	result  span.Result
	known   bool
	waiters []span.Waiter
}

// part is what a work has in a window.
type part struct {
	work  *work
	ended bool    // before the cut
	to    float64 // J that the clock gave it evenly until then
	span  int64   // ns of the window
}

func newWeigher(m *Monitor) *weigher {
	return &weigher{m: m, wake: make(chan struct{}, 1), works: map[string]*work{}, counts: map[string]int64{}, began: m.now()}
}

// start begins a span below its parent or what is in progress around it.
func (w *weigher) start(ctx context.Context, s span.Named, id, parent span.ID, in *around) {
	k := &work{label: id.String(), group: s.Name(), task: in.task}
	_, above := w.m.table.Find(parent)
	up, _ := above.(*work)
	if up == nil && in.task != nil {
		up = in.task.work
	}
	k.ctx, k.back = cputime.WithLabel(ctx, k.label), w.before(ctx, up)
	k.began = w.m.now()
	var first bool
	if k.ref, first = w.m.table.Start(id, parent, in.ref, k, k.began); !first {
		return
	}
	w.add(k)
}

// before returns a context with the labels that a goroutine has in ctx, under up.
func (w *weigher) before(ctx context.Context, up *work) context.Context {
	switch {
	case up == nil:
		return cputime.Labels(ctx)
	case !cputime.HasLabels(ctx):
		return up.ctx
	}
	return cputime.WithLabel(ctx, up.label)
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
func (w *weigher) end(k *work, e *span.Ended, r *span.Result, waiter span.Waiter) span.State {
	if e.First {
		cputime.Label(k.back)
	}
	w.mu.Lock()
	if e.First {
		w.close(k, e)
	}
	state := span.Later
	switch {
	case !k.final:
		k.waiters = append(k.waiters, waiter)
	case k.known:
		*r, state = k.result, span.Known
	default:
		state = span.Unknown
	}
	alone := e.First && k.final // no cut sees it
	w.mu.Unlock()
	if alone {
		w.m.mu.Lock()
		w.credit(k)
		w.m.mu.Unlock()
	}
	return state
}

// close notes the end of a span.
func (w *weigher) close(k *work, e *span.Ended) {
	k.ended, k.energy, k.end = true, e.Energy, e.Ended
	if w.over || w.held+w.told.backlog() >= most {
		w.finish(k)
		return
	}
	w.works[k.label] = k // a cut between its end and now has not found it alive
	if w.held++; w.held == crowd {
		w.call()
	}
}

// drop ends a span of which nobody will tell. It has no waiter.
func (w *weigher) drop(k *work, e span.Ended) {
	w.mu.Lock()
	w.close(k, &e)
	alone := k.final
	w.mu.Unlock()
	if alone {
		w.m.mu.Lock()
		defer w.m.mu.Unlock()
		w.leftover(k)
	}
}

// credit gives what a span had to its task, if it is in one. Monitor.mu is held.
func (w *weigher) credit(k *work) {
	if k.task != nil {
		k.task.add(k.kept.plus(k.given), w.m.wall(k.began), w.m.wall(k.end))
	}
}

// leftover takes what a span had that nobody was told of. Monitor.mu is held.
func (w *weigher) leftover(k *work) {
	w.credit(k)
	if k.task == nil {
		w.m.dropped += k.result.Joules
	}
}

// finish makes the result of what has ended. What the last cut did not see stays as it is.
func (w *weigher) finish(k *work) {
	k.kept = k.kept.plus(w.mix.times(max(k.energy.Joules-k.settled, 0)))
	e := k.energy
	e.Joules = k.kept.Total() + k.given.Total()
	byCPU := k.sampled > few*k.evenly
	if byCPU && e.Coverage == clock.Interpolated {
		e.Coverage, e.Off = clock.Settled, 0
	}
	k.final = true
	k.known = w.m.result(&k.result, e, k.began, k.end)
	k.result.Joules = e.Joules
	switch off := math.Sqrt(k.off2); {
	case byCPU:
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
	k := &work{label: t.name + "#" + strconv.Itoa(w.tasks), group: "task " + t.name, task: t, self: true, ref: t.ref, began: w.m.now()}
	w.mu.Unlock()
	k.back = w.before(ctx, up)
	ctx = cputime.AddLabel(ctx, k.label)
	k.ctx = cputime.Labels(ctx)
	t.work = k
	w.add(k)
	return ctx
}

// leave ends a task. What was not weighed yet was shared evenly.
func (w *weigher) leave(k *work) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k.final = true
	delete(w.works, k.label)
	cputime.Label(k.back)
}

// book notes what the process drew in the window. Monitor.mu is held.
func (w *weigher) book(used Energy) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drew = w.drew.plus(used)
	w.mix = w.m.ratio
}

// call has the window end now.
func (w *weigher) call() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// flush has the window end, and waits for what follows from it, while it goes on: a span
// processor that flushes while it is told of a span would wait for itself.
func (w *weigher) flush(ctx context.Context) error {
	done := make(chan struct{})
	w.mu.Lock()
	if !w.over && (w.running || w.held > 0) {
		w.waiting = append(w.waiting, func() { w.told.tell(func() { close(done) }) }) // after the spans
		w.call()
	} else {
		w.told.tell(func() { close(done) })
	}
	w.mu.Unlock()
	stuck := time.NewTicker(patience)
	defer stuck.Stop()
	for before := w.told.progress(); ; {
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("CPU time of spans: %w", ctx.Err())
		case <-stuck.C:
			now := w.told.progress()
			if now == before {
				return errors.New("CPU time of spans: some are still being passed on: the span processor takes its time")
			}
			before = now
		}
	}
}

// settle has what a task used weighed, as far as it was sampled, but not for ever.
func (w *weigher) settle() {
	done := make(chan struct{})
	w.mu.Lock()
	if w.over || !w.running {
		w.mu.Unlock()
		return
	}
	w.waiting = append(w.waiting, func() { close(done) })
	w.mu.Unlock()
	w.call()
	select { // what is not weighed by then was shared evenly
	case <-done:
	case <-time.After(2 * window):
	}
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
	w.open()
	for over := false; !over; {
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
	if err := w.begun(); err != nil {
		handle(fmt.Errorf("spans share evenly for now, not by CPU time: %w", err))
	}
}

// begun returns the first error of those that follow each other.
func (w *weigher) begun() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.paused > 0 || now.Before(w.retry) {
		return nil
	}
	if err := w.profile.Start(); err != nil {
		first := w.pause == 0
		w.pause = min(max(2*w.pause, firstPause), longestPause)
		w.retry = now.Add(w.pause)
		if first {
			return err
		}
		return nil
	}
	w.pause, w.running = 0, true
	return nil
}

// cut ends a window, begins the next one and has those told who wait.
func (w *weigher) cut(ctx context.Context, over bool) {
	if !over {
		_ = w.m.soon(ctx, w.m.near) // who reads at intervals is told of what fails
	}
	w.mu.Lock()
	running, waiting := w.running, w.waiting
	w.waiting, w.over = nil, over
	w.mu.Unlock()
	clear(w.counts)
	var failed error
	if running {
		if failed = w.profile.Stop(w.counts); failed != nil {
			clear(w.counts) // and all is shared evenly
		}
		w.mu.Lock()
		w.running = false
		w.mu.Unlock()
	}
	ended := w.divide()
	if !over {
		w.open()
	}
	for _, k := range ended {
		for _, waiter := range k.waiters {
			w.told.tell(func() { waiter.Told(k.result, k.known) })
		}
	}
	for _, done := range waiting {
		done()
	}
	if failed != nil {
		handle(failed)
	}
}

// divide divides the energy of the window and returns what ended in it. It looks at all
// works, but holds no lock that spans need for long.
func (w *weigher) divide() (ended []*work) {
	m := w.m
	now := m.now()
	window := w.list(now)
	given := 0.0 // evenly, in this window
	for i := range w.parts {
		p := &w.parts[i]
		if !p.ended {
			e, alive := m.clock.Read(p.work.ref, now)
			if p.to = p.work.settled; alive {
				p.to = max(e.Joules-e.Estimated, p.to)
			}
		}
		given += max(p.to-p.work.settled, 0)
	}
	met, named := 0.0, 0.0
	for _, n := range w.counts {
		met += float64(n)
	}
	for i := range w.items {
		named += w.items[i].Samples
	}
	nobody := m.clock.Totals(now).Unattributed
	w.mu.Lock()
	cpu, alone := w.drew, max(nobody-w.nobody, 0)
	w.began, w.nobody, w.drew = now, nobody, Energy{}
	w.mu.Unlock()
	share := 0.0 // of what was drawn, that goes by CPU time
	if all := cpu.Total(); all > 0 && met > 0 {
		share = (all - cpu.GPU) / all
	}
	each := 0.0 // J for each sample
	if share > 0 {
		cpu.GPU = 0
		cpu = cpu.times(1 / cpu.Total())
		each = share * (given + alone) / met
		// What met nobody is a group of its own, so that each has what is likely.
		w.items = append(w.items, cputime.Item{Group: "\x00", Samples: met - named, Time: float64(now-window) / sample})
		w.shares.Divide(w.items)
		last := len(w.items) - 1
		w.shift(each*w.items[last].Share - share*alone)
		w.items = w.items[:last]
	}
	type credit struct {
		to       *tally
		energy   Energy
		from, at int64
	}
	var credits []credit
	for first := 0; first < len(w.parts); first += batch {
		w.mu.Lock()
		for i := first; i < min(first+batch, len(w.parts)); i++ {
			p := &w.parts[i]
			k, delta := p.work, max(p.to-p.work.settled, 0)
			stays, gets := w.mix.times(delta), Energy{}
			if share > 0 {
				stays = Energy{GPU: delta * (1 - share)}
				gets = cpu.times(each * w.items[i].Share)
			}
			if k.final { // meanwhile: it kept all that it had
				w.shifted += gets.Total() - delta*share
				continue
			}
			k.settled = max(p.to, k.settled)
			k.kept, k.given = k.kept.plus(stays), k.given.plus(gets)
			if share > 0 {
				off := each * w.items[i].Off
				k.off2 += off * off
				k.sampled += p.span
			} else {
				k.evenly += p.span
			}
			if k.self {
				k.task.counted = k.settled
				credits = append(credits, credit{k.task, stays.plus(gets), window, now})
			}
			if p.ended {
				w.held--
				w.finish(k)
				ended = append(ended, k)
			}
		}
		w.mu.Unlock()
	}
	slices.SortFunc(ended, func(a, b *work) int { return cmp.Compare(a.end, b.end) }) // as they would have come
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range credits {
		c.to.add(c.energy, m.wall(c.from), m.wall(c.at))
	}
	for _, k := range ended {
		if len(k.waiters) == 0 {
			w.leftover(k)
		} else {
			w.credit(k)
		}
	}
	return ended
}

// list takes down what there is in the window, and returns when that began.
func (w *weigher) list(now int64) (began int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.items, w.parts = w.items[:0], w.parts[:0]
	for label, k := range w.works {
		end := now
		if k.ended {
			end = k.end
		}
		p := part{k, k.ended, k.energy.Joules, max(end-max(k.began, w.began), 0)}
		w.parts = append(w.parts, p)
		w.items = append(w.items, cputime.Item{Group: k.group, Samples: float64(w.counts[label]), Time: float64(p.span) / sample})
	}
	return w.began
}

func (w *weigher) shift(joules float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shifted += joules
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
	in, id := m.around(ctx), current(ctx)
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
// detach is called by it; after that it counts for none, and has no labels. Goroutines that
// are started under a span or task belong to it without; it is for those that are older, such as
// workers of a pool. Without WithCPUWeights it does nothing.
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
