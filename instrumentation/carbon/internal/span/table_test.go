package span

import (
	"slices"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/clock"
)

const ms = int64(1e6)

func start(t *Table, id ID, parent clock.Ref, now int64) { t.Start(id, ID{}, parent, nil, now) }

func end(t *Table, id ID, now int64) (clock.Energy, int64, bool) {
	var e Ended
	ok := t.End(id, now, &e)
	return e.Energy, e.Began, ok
}

func find(t *Table, id ID) clock.Ref {
	ref, _ := t.Find(id)
	return ref
}

func newTable(limit, processors int) (*Table, *clock.Clock) {
	c := clock.New(0)
	t := NewTable(c, limit)
	for range processors {
		t.AddProcessor()
	}
	return t, c
}

func TestTable(t *testing.T) {
	table, c := newTable(DefaultLimit, 1)
	a, b, twin := ID{1, 2, 3}, ID{1, 2, 4}, ID{9, 9, 3}
	start(table, a, clock.Ref{}, 0)
	start(table, b, find(table, a), 0)
	if got := c.Totals(0).Leaves; got != 1 {
		t.Errorf("%d leaves, want b alone", got)
	}
	if find(table, twin) != (clock.Ref{}) || find(table, ID{}) != (clock.Ref{}) {
		t.Error("found a span that never started")
	}
	c.Book(1, 100*ms)
	e, began, ok := end(table, b, 100*ms)
	if e.Joules != 1 || began != 0 || !ok {
		t.Errorf("b: %+v, %d, %v", e, began, ok)
	}
	if _, _, ok := end(table, b, 100*ms); ok {
		t.Error("b ended twice")
	}

	// The same span ID in another trace is another span.
	start(table, twin, find(table, b), 200*ms)
	if got := c.Totals(200 * ms).Leaves; got != 2 {
		t.Errorf("%d leaves, want a and its twin", got)
	}
	c.Book(1, 200*ms)
	if e, began, ok := end(table, twin, 200*ms); e.Joules != 0 || began != 200*ms || !ok {
		t.Errorf("twin: %+v, %d, %v", e, began, ok)
	}
	if e, _, ok := end(table, a, 200*ms); e.Joules != 1 || !ok {
		t.Errorf("a: %+v, %v", e, ok)
	}
	if table.Len() != 0 || table.Evicted() != 0 {
		t.Errorf("%d spans left, %d evicted", table.Len(), table.Evicted())
	}
}

func TestSeveralProcessorsGetTheSame(t *testing.T) {
	table, c := newTable(DefaultLimit, 2)
	id := ID{1, 2, 3}
	start(table, id, clock.Ref{}, 0)
	start(table, id, clock.Ref{}, 0)
	c.Book(1, 100*ms)
	for range 2 {
		if e, _, ok := end(table, id, 100*ms); e.Joules != 1 || !ok {
			t.Errorf("%+v, %v", e, ok)
		}
		if n := c.Totals(100 * ms).Leaves; n != 0 {
			t.Errorf("%d leaves after the end", n)
		}
	}
	if table.Len() != 0 {
		t.Errorf("%d spans left", table.Len())
	}

	// One goes while a span is in progress: the other one ends it for both.
	start(table, id, clock.Ref{}, 200*ms)
	start(table, id, clock.Ref{}, 200*ms)
	table.RemoveProcessor(200 * ms)
	if _, _, ok := end(table, id, 200*ms); !ok || table.Len() != 0 {
		t.Errorf("%v, %d spans left", ok, table.Len())
	}

	// The last one goes: nobody ends what is in progress, and nothing starts any more.
	start(table, id, clock.Ref{}, 300*ms)
	table.RemoveProcessor(300 * ms)
	start(table, ID{4, 5, 6}, clock.Ref{}, 300*ms)
	if n := c.Totals(300 * ms).Leaves; n != 0 || table.Len() != 0 || table.Evicted() != 0 {
		t.Errorf("%d leaves, %d spans, %d evicted", n, table.Len(), table.Evicted())
	}
}

// One trace may have as many as the table holds; the oldest of it makes room.
func TestOldestMakesRoom(t *testing.T) {
	const limit, spans = 160, 10_000
	table, c := newTable(limit, 1)
	id := func(i int) ID { return ID{1, 1, uint64(i + 1)} }
	for i := range spans {
		start(table, id(i), clock.Ref{}, int64(i))
	}
	if n, gone := table.Len(), table.Evicted(); n != limit || gone != spans-limit {
		t.Errorf("%d spans in progress, %d evicted, want %d and %d", n, gone, limit, spans-limit)
	}
	if n := c.Totals(spans).Leaves; n != limit {
		t.Errorf("%d leaves", n)
	}
	for i := range spans {
		if _, _, ok := end(table, id(i), spans); ok != (i >= spans-limit) {
			t.Errorf("%d: in progress %v", i, ok)
		}
	}

	// Ends in any order leave the others in order.
	table, _ = newTable(3, 1)
	for i := range 3 {
		start(table, id(i), clock.Ref{}, 0)
	}
	end(table, id(1), 0)
	start(table, id(3), clock.Ref{}, 0)
	start(table, id(4), clock.Ref{}, 0)
	var left []bool
	for i := range 5 {
		_, _, ok := end(table, id(i), 0)
		left = append(left, ok)
	}
	if !slices.Equal(left, []bool{false, false, true, true, true}) {
		t.Errorf("in progress: %v", left)
	}
}

// With spans of many traces that never end, a shard that has less than its share takes
// more although the others have the rest: there are less than twice as many as the limit.
func TestManyTracesStayBounded(t *testing.T) {
	const limit, spans = 1600, 100_000
	table, _ := newTable(limit, 1)
	for i := range uint64(spans) {
		start(table, ID{1, i / 100, i + 1}, clock.Ref{}, int64(i))
	}
	if n := table.Len(); n < limit || n >= 2*limit || table.Evicted() != uint64(spans-n) {
		t.Errorf("%d spans in progress, %d evicted", n, table.Evicted())
	}
	// What ends makes room for others, of any trace.
	table.RemoveProcessor(spans)
	table.AddProcessor()
	gone := table.Evicted()
	for i := range uint64(limit) {
		start(table, ID{2, 7, i + 1}, clock.Ref{}, spans)
	}
	if n := table.Len(); n != limit || table.Evicted() != gone {
		t.Errorf("%d spans in progress, %d more evicted", n, table.Evicted()-gone)
	}
}

func TestTableConcurrently(t *testing.T) {
	table, c := newTable(64, 2) // so that some are evicted
	var wg sync.WaitGroup
	for w := range uint64(8) {
		wg.Go(func() {
			root := ID{w, 0, w<<32 | 1<<20}
			for i := range uint64(3000) {
				id := ID{w, 0, w<<32 | i + 1}
				if i%100 == 0 {
					start(table, root, clock.Ref{}, int64(i))
				}
				start(table, id, find(table, root), int64(i))
				start(table, id, find(table, root), int64(i))
				if i%7 != 0 {
					end(table, id, int64(i))
					end(table, id, int64(i))
				}
				if i%50 == 0 {
					c.Book(1, int64(i))
					table.Len()
				}
			}
		})
	}
	wg.Wait()
	table.RemoveProcessor(3000)
	table.RemoveProcessor(3000)
	if n := c.Totals(3000).Leaves; n != 0 || table.Len() != 0 {
		t.Errorf("%d leaves, %d spans", n, table.Len())
	}
}

func TestTableKeepsItsMemory(t *testing.T) {
	table, _ := newTable(DefaultLimit, 1)
	i := uint64(0)
	burst := func() {
		for k := range uint64(100) {
			start(table, ID{1, 1, i + k + 1}, clock.Ref{}, 0)
		}
		for k := range uint64(100) {
			end(table, ID{1, 1, i + k + 1}, 0)
		}
		i += 100
	}
	for range 100 {
		burst() // some shards see more at a time than others
	}
	if n := testing.AllocsPerRun(100, burst); n > 0.1 {
		t.Errorf("%v allocations for 100 spans", n)
	}
}

// A crowd that has gone leaves nothing behind, and those who come then are found.
func TestTableForgetsACrowd(t *testing.T) {
	table, c := newTable(DefaultLimit, 1)
	for range 2 {
		for i := range uint64(kept + 10) {
			start(table, ID{1, 1, i + 1}, clock.Ref{}, 0)
		}
		if s := table.shard(ID{1, 1, 0}); s.made != kept+11 {
			t.Errorf("%d entries", s.made)
		}
		for i := range uint64(kept + 10) {
			if _, _, ok := end(table, ID{1, 1, i + 1}, 0); !ok {
				t.Fatalf("%d is not there", i)
			}
		}
		if s := table.shard(ID{1, 1, 0}); s.chunks != nil || s.made != 1 || s.len != 0 {
			t.Errorf("%d chunks, %d entries, %d spans", len(s.chunks), s.made, s.len)
		}
	}
	if n := c.Totals(0).Leaves; n != 0 {
		t.Errorf("%d leaves", n)
	}
}

func TestIDOf(t *testing.T) {
	of := func(sc trace.SpanContext) ID { return IDOf(&sc) }
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	if of(trace.SpanContext{}) != (ID{}) {
		t.Error("no span has an identity")
	}
	for name, other := range map[string]trace.SpanContext{
		"trace": sc.WithTraceID(trace.TraceID{15: 1}), "span": sc.WithSpanID(trace.SpanID{7: 2}),
	} {
		if of(sc) == of(other) {
			t.Errorf("another %s, the same identity", name)
		}
	}
	if of(sc) != of(sc.WithRemote(true).WithTraceFlags(trace.FlagsSampled)) {
		t.Error("the identity depends on more than trace and span")
	}
	parent := sc.WithSpanID(trace.SpanID{2: 7})
	if none := (trace.SpanContext{}); IDOf(&sc).Parent(&parent) != IDOf(&parent) || IDOf(&sc).Parent(&none) != (ID{}) {
		t.Error("the parent has another identity")
	}
}

func TestAttributesOfUse(t *testing.T) {
	u := Use{Joules: 2, Method: "measured", Grams: 3, Intensity: 4, Zone: "FR", Source: "static", Uncertainty: 0.5}
	keys := func(u Use) (out []attribute.Key) {
		for _, a := range u.Append(nil) {
			out = append(out, a.Key)
		}
		return out
	}
	if got := keys(u); !slices.Equal(got, []attribute.Key{"carbon.energy", "carbon.method"}) {
		t.Errorf("without a price: %v", got)
	}
	u.PUE, u.Priced, u.Coverage, u.Sampled = 1.3, true, clock.Partial, ByCPU
	if got := keys(u); len(got) != Attributes || got[2] != "carbon.emissions" {
		t.Errorf("with a price: %v", got)
	}
	u.PUE, u.Method, u.Zone, u.Source, u.Coverage, u.Sampled = 1, "", "", "", clock.Settled, Evenly
	if got := keys(u); !slices.Equal(got, []attribute.Key{"carbon.energy", "carbon.emissions", "carbon.grid.intensity", "carbon.uncertainty"}) {
		t.Errorf("what is not known: %v", got)
	}
}
