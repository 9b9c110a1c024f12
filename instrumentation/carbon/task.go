package carbon

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/clock"
	"github.com/otelcarbon/otelcarbon/internal/emission"
)

// Report is what the process, or a task, has used.
type Report struct {
	Name     string // of the task; "" for the process
	Start    time.Time
	Duration time.Duration
	Energy   Energy // J
	// EnergyLower and EnergyUpper are the bounds between which the total is believed to
	// lie, in J, by how it is known.
	EnergyLower, EnergyUpper float64
	// Emissions in g of CO2-equivalent, and the bounds between which they are believed
	// to lie. They are 0 where nobody knows the grid; Priced says of how much of the
	// energy the intensity was known, in J.
	Emissions, Lower, Upper float64
	Priced                  float64
	Intensity               float64 // g/kWh, mean by energy
	PUE                     float64 // what the building draws for each J, which is in Emissions and not in Energy
	Zone, Source            string  // of the newest intensity
	Method, Sensor          string  // of most of the newest energy
	// Unattributed is the energy of the process that no span and no task got, in J: drawn
	// while there was none or, with WithCPUWeights, by what belongs to none. It is 0 in
	// the report of a task.
	Unattributed float64
	// Gap is how long energy was not read. What a counter counted meanwhile is in Energy
	// once it is read again.
	Gap time.Duration
}

// String is one line for people.
func (r Report) String() string {
	name := cmp.Or(r.Name, "process")
	out := fmt.Sprintf("%s: %s in %s (%s)", name, joules(r.Energy.Total()), r.Duration.Round(time.Millisecond), cmp.Or(r.Method, "unknown"))
	if r.Source != "" {
		out += fmt.Sprintf(", %s CO2e (%s to %s) at %.4g g/kWh", grams(r.Emissions), grams(r.Lower), grams(r.Upper), r.Intensity)
		if r.PUE > 1 {
			out += fmt.Sprintf(" × PUE %.4g", r.PUE)
		}
		out += ", " + r.Source
		if r.Zone != "" {
			out += " " + r.Zone
		}
	}
	if r.Gap > 0 {
		out += fmt.Sprintf("; not read for %s", r.Gap.Round(time.Millisecond))
	}
	return out
}

func joules(j float64) string {
	switch {
	case j >= 3.6e6:
		return fmt.Sprintf("%.4g kWh", j/3.6e6)
	case j >= 1e4:
		return fmt.Sprintf("%.4g kJ", j/1e3)
	}
	return fmt.Sprintf("%.4g J", j)
}

func grams(g float64) string {
	switch {
	case g >= 1e6:
		return fmt.Sprintf("%.4g t", g/1e6)
	case g >= 1e3:
		return fmt.Sprintf("%.4g kg", g/1e3)
	case g > 0 && g < 1:
		return fmt.Sprintf("%.4g mg", g*1e3)
	}
	return fmt.Sprintf("%.4g g", g)
}

// Print writes a report to the standard error, for Measure.
func Print(r Report) { _, _ = fmt.Fprintln(io.Writer(os.Stderr), r) } // where nobody reads, nothing is lost

// A Task is a part of the program that is measured under a name.
type Task struct{ t *tally }

// Task begins a task. What runs under the returned context, tasks and spans, is part of
// it: its report contains what they use, what spans use from their end on. Tasks may
// overlap; they share the energy while they do. End it.
func (m *Monitor) Task(ctx context.Context, name string) (context.Context, *Task) {
	return m.task(ctx, name, true)
}

// task begins a task. It shares by CPU time only if its goroutine may be labeled.
func (m *Monitor) task(ctx context.Context, name string, label bool) (context.Context, *Task) {
	if m == nil || m.closed.Load() {
		return ctx, &Task{}
	}
	t := m.tally(name)
	in, id := m.around(ctx), current(ctx)
	t.parent = in.task
	above := m.parentOf(in, id)
	m.glance(m.now())
	m.mu.Lock()
	t.gapped = m.unknown(time.Now())
	t.ref = m.clock.Start(&t.node, above, m.now())
	m.running[t] = struct{}{}
	m.mu.Unlock()
	if m.weigh != nil && label {
		ctx = m.weigh.begin(ctx, t, m.workOf(ctx))
	}
	m.nested.Store(true)
	return context.WithValue(ctx, refKey{}, &around{m, t.ref, id, t}), &Task{t}
}

// Measure begins a task without a context, which is in no other, and returns what ends it:
//
//	defer m.Measure("training", carbon.Print)()
//
// The functions get its report. It shares energy evenly, also with WithCPUWeights: without a
// context nobody knows which goroutines are its.
func (m *Monitor) Measure(name string, done ...func(Report)) (stop func() Report) {
	_, t := m.task(context.Background(), name, false)
	return func() Report {
		r := t.End()
		for _, f := range done {
			f(r)
		}
		return r
	}
}

// End ends the task and returns its last report. Called again, it returns the same.
func (t *Task) End() Report {
	if t == nil || t.t == nil {
		return Report{}
	}
	return t.t.end()
}

// Report returns what the task has used so far, tasks in it included; after its end, what
// End returned.
func (t *Task) Report() Report {
	if t == nil || t.t == nil {
		return Report{}
	}
	t.t.m.mu.Lock()
	defer t.t.m.mu.Unlock()
	if t.t.ended {
		return t.t.last
	}
	return t.t.report(time.Now())
}

// Report returns what the process has used since Start.
func (m *Monitor) Report() Report {
	if m == nil || m.whole == nil {
		return Report{}
	}
	m.glance(m.now())
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.whole.report(m.end())
	r.Unattributed = m.clock.Totals(m.now()).Unattributed + m.dropped
	if m.weigh != nil {
		r.Unattributed += m.weigh.more()
	}
	return r
}

// unknown is for how long energy was not known, up to now. A source that takes long to
// answer is waited for: until then, that time is not known either.
func (m *Monitor) unknown(now time.Time) time.Duration {
	since := m.missing
	if since.IsZero() && !m.last.IsZero() && now.Sub(m.last) > patience+2*m.cfg.interval {
		since = m.last
	}
	if since.IsZero() || m.over {
		return m.gap
	}
	return m.gap + max(now.Sub(since), 0)
}

// end is until when the process is measured.
func (m *Monitor) end() time.Time {
	if m.closed.Load() && !m.last.IsZero() {
		return m.last
	}
	return time.Now()
}

// tally adds up what the process or a task used. Monitor.mu guards it.
type tally struct {
	m       *Monitor
	name    string
	parent  *tally
	node    clock.Node
	ref     clock.Ref // zero: of the process
	started time.Time
	gapped  time.Duration // Monitor.gap at the start

	counted float64 // J of the node that are in what follows
	energy  Energy
	half    float64 // J, of energy
	emitted emission.Range
	priced  float64
	weight  float64 // Σ J × g/kWh
	zone    string
	source  string
	method  string
	sensor  string

	work  *work // nil: it shares evenly
	steps steps
	once  sync.Once
	ended bool // last is set
	last  Report
}

func (m *Monitor) tally(name string) *tally {
	return &tally{m: m, name: name, started: time.Now()}
}

// add books energy of an interval, in the parts in which the process used it, for the
// task and those around it.
func (t *tally) add(used Energy, from, to time.Time) {
	sum := used.Total()
	how := t.m.method.Load()
	p := t.m.grid.price(from, to, sum, how.Half)
	for ; t != nil; t = t.parent {
		t.energy = t.energy.plus(used)
		t.half += sum * how.Half // it is the same way each time: it does not average out
		t.emitted.Add(p.Range)
		t.priced += p.joules
		t.weight += p.joules * p.intensity
		t.method, t.sensor = how.Method, how.Sensor
		if p.slot != nil {
			t.zone, t.source = p.slot.Origin.ZoneServed, p.slot.Origin.Provider
		}
	}
}

func (t *tally) report(now time.Time) Report {
	r := Report{
		Name: t.name, Start: t.started, Duration: now.Sub(t.started), Energy: t.energy,
		Emissions: t.emitted.Grams, Lower: t.emitted.Lower, Upper: t.emitted.Upper, Priced: t.priced,
		Zone: t.zone, Source: t.source, Method: t.method, Sensor: t.sensor, Gap: t.m.unknown(now) - t.gapped,
	}
	total := t.energy.Total()
	r.EnergyLower, r.EnergyUpper = max(total-t.half, 0), total+t.half
	if t.m.grid != nil {
		r.PUE = t.m.grid.pue
	}
	if t.priced > 0 {
		r.Intensity = t.weight / t.priced
	}
	return r
}

// tick books what running tasks got since the last reading.
func (m *Monitor) tick(from, to time.Time) {
	for t := range m.running {
		if t.work != nil {
			continue // see weigher
		}
		if e, ok := m.clock.Read(t.ref, int64(to.Sub(m.began))); ok {
			t.count(e.Joules-e.Estimated, from, to)
		}
	}
}

// count books what the node has more than was counted.
func (t *tally) count(joules float64, from, to time.Time) {
	if more := joules - t.counted; more > 0 {
		t.counted = joules
		t.add(t.m.ratio.times(more), from, to)
	}
}

// span books what a span in the task has used, when it ends.
func (t *tally) span(joules float64, from, to time.Time) {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	if joules > 0 {
		t.add(t.m.ratio.times(joules), from, to)
	}
}

func (t *tally) end() Report {
	t.once.Do(func() {
		m := t.m
		ended := time.Now()
		if m.wantsReading(t) {
			ctx, cancel := context.WithTimeout(context.Background(), short)
			_ = m.soon(ctx, m.near) // who samples is told of what fails
			cancel()
		}
		m.glance(m.now())
		if t.work != nil {
			m.weigh.settle()
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		now := time.Now()
		from := now.Add(-min(now.Sub(m.last), now.Sub(t.started))) // however the wall clock was set
		e, _ := m.clock.End(t.ref, int64(now.Sub(m.began)))
		delete(m.running, t)
		t.count(e.Joules, from, now)
		if t.work != nil {
			m.weigh.leave(t.work)
		}
		t.last, t.ended = t.report(ended), true
	})
	return t.last
}

// short is how long the end of a task waits for a source that takes its time.
const short = 100 * time.Millisecond

// wantsReading reports whether to ask the source at the end of a task: if most of its energy
// may be an estimate otherwise, or a child of it may have ended, whose energy comes at once.
func (m *Monitor) wantsReading(t *tally) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.source != nil && !m.closed.Load() && (m.cfg.children || m.own == nil && m.last.Sub(t.started) < time.Second)
}
