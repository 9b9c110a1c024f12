package span

import (
	"sync"
	"sync/atomic"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/clock"
)

// DefaultLimit is how many spans a table usually holds.
const DefaultLimit = 1 << 16

// More shards would only move the queue to the mutex of the clock, and cost cache.
const (
	shardBits = 4
	shards    = 1 << shardBits
)

// A Table knows the nodes of the spans in progress. It is bounded: where spans are
// started and never ended, the oldest one makes room, and its node is ended. Until
// then it takes its share of the energy, as what runs does. Memory for a span is kept for
// the next one. Safe for concurrent use.
type Table struct {
	clock      *clock.Clock
	limit      int // of a shard
	processors atomic.Int32
	evicted    atomic.Uint64
	shards     [shards]shard
}

// A shard has its share of the limit. IDs are random or counted; either way a
// multiplication spreads them evenly.
//
// A map of the language in place of the buckets costs 40 ns more for each span (BenchmarkTable).
type shard struct {
	mu      sync.Mutex
	buckets []*entry // a power of two
	len     int
	list    entry  // next: the oldest one, previous: the newest one
	unused  *entry // linked by next
	_       [64]byte
}

type entry struct {
	bucket         *entry // the next one in the same bucket
	next, previous *entry
	id             ID
	node           clock.Node
	ref            clock.Ref
	began          int64
	starts, ends   int32
	ended          bool // then energy is set
	energy         clock.Energy
	owner          any // told once
}

// NewTable returns a table for about limit spans whose nodes are of c.
func NewTable(c *clock.Clock, limit int) *Table {
	t := &Table{clock: c, limit: max(1, limit/shards)}
	for i := range t.shards {
		s := &t.shards[i]
		s.buckets = make([]*entry, 8)
		s.list.next, s.list.previous = &s.list, &s.list
	}
	return t
}

// AddProcessor says that one more span processor will end each span.
func (t *Table) AddProcessor() { t.processors.Add(1) }

// RemoveProcessor says that there is one less. With the last one, all spans end.
func (t *Table) RemoveProcessor(now int64) {
	if t.processors.Add(-1) > 0 {
		return
	}
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for s.list.next != &s.list {
			t.drop(s, s.list.next, now)
		}
		s.mu.Unlock()
	}
}

// Start starts the node of a span below parent. If it was started before, by
// another span processor, nothing changes.
func (t *Table) Start(id ID, parent clock.Ref, now int64) { t.StartFor(id, parent, nil, now) }

// StartFor is Start of a span in something that wants to know what it used: EndFor returns
// it. owner is a pointer, so that nothing is allocated.
func (t *Table) StartFor(id ID, parent clock.Ref, owner any, now int64) {
	s, hash := t.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.processors.Load() <= 0 {
		return
	}
	if e := s.find(id, hash); e != nil {
		if !e.ended {
			e.starts++
			return
		}
		t.drop(s, e, now)
	}
	if s.len >= t.limit {
		t.drop(s, s.list.next, now)
		t.evicted.Add(1)
	}
	e := s.add(id, hash)
	e.began, e.starts, e.ends, e.ended, e.owner = now, 1, 0, false, owner
	e.ref = t.clock.Start(&e.node, parent, now)
}

// End ends a span and returns what it used and when it began. All span processors
// that started it get the same answer. It reports false if the span is not in the table.
func (t *Table) End(id ID, now int64) (e clock.Energy, began int64, ok bool) {
	e, began, _, ok = t.EndFor(id, now)
	return e, began, ok
}

// EndFor is End that also returns the owner, to the first span processor that calls it.
func (t *Table) EndFor(id ID, now int64) (e clock.Energy, began int64, owner any, ok bool) {
	s, hash := t.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.find(id, hash)
	if n == nil {
		return clock.Energy{}, 0, nil, false
	}
	owner, n.owner = n.owner, nil
	began = n.began
	if !n.ended {
		n.energy, _ = t.clock.End(n.ref, now)
		n.ended = true
	}
	e = n.energy
	n.ends++
	if n.ends >= min(n.starts, t.processors.Load()) {
		t.drop(s, n, now)
	}
	return e, began, owner, true
}

// Find returns the node of a span in progress, or none.
func (t *Table) Find(id ID) clock.Ref {
	if id.span == 0 {
		return clock.Ref{}
	}
	s, hash := t.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.find(id, hash); e != nil {
		return e.ref
	}
	return clock.Ref{}
}

// Len returns how many spans are in progress.
func (t *Table) Len() int {
	n := 0
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		n += s.len
		s.mu.Unlock()
	}
	return n
}

// Evicted returns how many spans had to make room for others.
func (t *Table) Evicted() uint64 { return t.evicted.Load() }

// shard returns the shard of a span, and a number to find its bucket.
func (t *Table) shard(id ID) (s *shard, hash uint64) {
	hash = hashOf(id)
	return &t.shards[hash>>(64-shardBits)], hash
}

func hashOf(id ID) uint64 { return id.span * 0x9e3779b97f4a7c15 }

// drop takes a span out of its shard.
func (t *Table) drop(s *shard, e *entry, now int64) {
	if !e.ended {
		t.clock.End(e.ref, now)
	}
	e.owner = nil
	s.remove(e)
}

// bucket uses the bits below those that chose the shard.
func (s *shard) bucket(hash uint64) **entry {
	return &s.buckets[int(hash<<shardBits>>32)&(len(s.buckets)-1)]
}

func (s *shard) find(id ID, hash uint64) *entry {
	e := *s.bucket(hash)
	for e != nil && e.id != id {
		e = e.bucket
	}
	return e
}

func (s *shard) add(id ID, hash uint64) *entry {
	if s.len == len(s.buckets) {
		s.grow()
	}
	e := s.unused
	if e == nil {
		e = new(entry)
	} else {
		s.unused = e.next
	}
	e.id = id
	b := s.bucket(hash)
	e.bucket, *b = *b, e
	e.next, e.previous = &s.list, s.list.previous
	e.previous.next, e.next.previous = e, e
	s.len++
	return e
}

func (s *shard) remove(e *entry) {
	b := s.bucket(hashOf(e.id))
	for *b != e {
		b = &(*b).bucket
	}
	*b = e.bucket
	e.previous.next, e.next.previous = e.next, e.previous
	e.bucket, e.previous = nil, nil
	e.next, s.unused = s.unused, e
	s.len--
}

func (s *shard) grow() {
	s.buckets = make([]*entry, 2*len(s.buckets))
	for e := s.list.next; e != &s.list; e = e.next {
		b := s.bucket(hashOf(e.id))
		e.bucket, *b = *b, e
	}
}
