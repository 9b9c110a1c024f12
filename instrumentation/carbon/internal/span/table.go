package span

import (
	"sync/atomic"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/clock"
)

// DefaultLimit is how many spans a table usually holds.
const DefaultLimit = 1 << 16

// Few traces meet in one of these shards, also on a machine with many CPUs.
const (
	shardBits = 6
	shards    = 1 << shardBits
)

// A Table knows the nodes of the spans in progress. It is bounded: where spans are
// started and never ended, the oldest one makes room, and its node is ended. Until
// then it takes its share of the energy, as what runs does. Memory for a span is kept for
// the next one, unless it is much and there is none. Safe for concurrent use.
type Table struct {
	limit      int
	step       int // by how much the length of a shard may differ from what it said
	processors atomic.Int32
	evicted    atomic.Uint64
	dropped    func(owner any, e Ended)
	shards     [shards]shard
}

// A shard has the spans of its traces, so that a span finds its parent under the same lock.
// IDs are random or counted; either way a multiplication spreads them evenly.
//
// Spans refer to each other by number, not by address: the garbage collector, which runs
// often in a program that makes many spans, has less to follow, and nothing is to be told
// to it when a span starts and ends. A map of the language in place of the slots costs
// half as much again (BenchmarkTable).
type shard struct {
	clock.Domain

	slots  []slot          // a power of two, at least twice as many as spans; see place
	chunks []*[chunk]entry // of all entries; number 0 is no span
	len    int
	made   uint32 // entries, number 0 included
	unused uint32 // linked by next
	oldest uint32
	newest uint32
	said   atomic.Int64 // len, about
	_      [128]byte
}

// chunk is how many entries are made at once. They stay where they are: nodes refer to them.
const chunk = 4

// A slot says by itself which span it is nearly certainly not about, so that looking for
// one does not touch the memory of others.
type slot struct {
	span  uint64
	entry uint32 // 0: free
}

type entry struct {
	next, previous uint32 // in order of time
	number         uint32
	ended          bool // then end and energy are set
	starts, ends   int32
	id             ID
	node           clock.Node
	began, end     int64
	energy         clock.Energy
	owner          any
}

// NewTable returns a table for about limit spans whose nodes are of c.
func NewTable(c *clock.Clock, limit int) *Table {
	t := &Table{limit: max(1, limit), step: max(1, limit/shards/16)}
	for i := range t.shards {
		s := &t.shards[i]
		c.Add(&s.Domain)
		s.clear()
	}
	return t
}

// OnDrop has f told of spans that nobody ends any more, and what they had used: because they
// made room, or there is no span processor any more. It is to be called before the table is
// used.
func (t *Table) OnDrop(f func(owner any, e Ended)) { t.dropped = f }

// AddProcessor says that one more span processor will end each span.
func (t *Table) AddProcessor() { t.processors.Add(1) }

// RemoveProcessor says that there is one less. With the last one, all spans end.
func (t *Table) RemoveProcessor(now int64) {
	if t.processors.Add(-1) > 0 {
		return
	}
	for i := range t.shards {
		s := &t.shards[i]
		for left := true; left; {
			var e Ended
			s.Lock()
			if left = s.oldest != 0; left {
				e = t.dropOldest(s, now)
			}
			s.Unlock()
			t.tell(&e)
		}
	}
}

// Start starts the node of a span below its parent or, if that is not in the table, below
// around, which is in no table. If it was started before, by another span processor, nothing
// changes and it reports false. owner, a pointer or nil, stays with the span.
func (t *Table) Start(id, parent ID, around clock.Ref, owner any, now int64) (ref clock.Ref, first bool) {
	s := t.shard(id)
	if !s.TryLock() {
		s.Lock()
	}
	if s.len >= t.limit/shards {
		t.makeRoom(s, id, now)
	}
	ref, first = t.start(s, id, parent, around, owner, now)
	s.Unlock()
	return ref, first
}

// makeRoom has the oldest span go if there are too many. It lets go of the lock meanwhile.
func (t *Table) makeRoom(s *shard, id ID, now int64) {
	if e, _ := s.find(id); e != nil || !t.full(s) {
		return
	}
	e := t.dropOldest(s, now)
	s.Unlock()
	t.evicted.Add(1)
	t.tell(&e)
	s.Lock()
}

func (t *Table) start(s *shard, id, parent ID, around clock.Ref, owner any, now int64) (ref clock.Ref, first bool) {
	if t.processors.Load() <= 0 {
		return clock.Ref{}, false
	}
	if e, at := s.find(id); e != nil {
		if !e.ended {
			e.starts++
			return e.node.Ref(), false
		}
		t.drop(s, e, at) // nobody is told: who ended it was
	}
	if parent.span != 0 {
		if p, _ := s.find(parent); p != nil {
			around = p.node.Ref()
		}
	}
	e := s.add(id)
	e.began, e.starts, e.ends, e.ended = now, 1, 0, false
	if owner != nil {
		e.owner = owner
	}
	ref = s.Start(&e.node, around, now)
	t.say(s)
	return ref, true
}

// full reports whether a span of s has to make room.
func (t *Table) full(s *shard) bool {
	n := s.len
	for i := range t.shards {
		if other := &t.shards[i]; other != s {
			n += int(other.said.Load())
		}
	}
	return n >= t.limit && s.len > 0
}

// say tells the others how many spans there are in s, not each time.
func (t *Table) say(s *shard) {
	if d := s.len - int(s.said.Load()); d >= t.step || d <= -t.step {
		s.said.Store(int64(s.len))
	}
}

// Ended is a span that has ended.
type Ended struct {
	Energy clock.Energy
	Began  int64
	Ended  int64
	Owner  any
	First  bool // for the first span processor that says so
}

// End ends a span and says in e what was. All span processors that started it get the same
// answer. It reports false if the span is not in the table.
func (t *Table) End(id ID, now int64, e *Ended) bool {
	s := t.shard(id)
	if !s.TryLock() {
		s.Lock()
	}
	ok := t.end(s, id, now, e)
	s.Unlock()
	return ok
}

func (t *Table) end(s *shard, id ID, now int64, e *Ended) bool {
	n, at := s.find(id)
	if n == nil {
		return false
	}
	e.Began, e.Owner = n.began, n.owner
	if e.First = !n.ended; e.First {
		e.Energy, _ = s.End(n.node.Ref(), now)
		e.Ended = now
		n.ended, n.end, n.energy = true, now, e.Energy
	} else {
		e.Ended, e.Energy = n.end, n.energy
	}
	n.ends++
	if n.ends >= min(n.starts, t.processors.Load()) {
		t.drop(s, n, at)
	}
	return true
}

// Find returns the node and the owner of a span in progress, or none.
func (t *Table) Find(id ID) (clock.Ref, any) {
	if id.span == 0 {
		return clock.Ref{}, nil
	}
	s := t.shard(id)
	s.Lock()
	defer s.Unlock()
	if e, _ := s.find(id); e != nil {
		return e.node.Ref(), e.owner
	}
	return clock.Ref{}, nil
}

// Len returns how many spans are in progress.
func (t *Table) Len() int {
	n := 0
	for i := range t.shards {
		s := &t.shards[i]
		s.Lock()
		n += s.len
		s.Unlock()
	}
	return n
}

// Evicted returns how many spans had to make room for others.
func (t *Table) Evicted() uint64 { return t.evicted.Load() }

// shard returns the shard of a trace.
func (t *Table) shard(id ID) *shard {
	return &t.shards[(id.trace0^id.trace1)*spread>>(64-shardBits)]
}

// spread is 2⁶⁴ divided by the golden ratio (Knuth, The Art of Computer Programming, 6.4).
const spread = 0x9e3779b97f4a7c15

// dropOldest drops a span and says what was of it: First, if nobody has ended it.
func (t *Table) dropOldest(s *shard, now int64) (out Ended) {
	e, at := s.find(s.entry(s.oldest).id)
	if out.First = !e.ended; out.First {
		out.Energy, _ = s.End(e.node.Ref(), now)
		out.Began, out.Ended, out.Owner = e.began, now, e.owner
	}
	t.drop(s, e, at)
	return out
}

// tell tells of a span that was dropped. No lock is held.
func (t *Table) tell(e *Ended) {
	if e.First && t.dropped != nil {
		t.dropped(e.Owner, *e)
	}
}

// drop takes the span of a slot, which has ended, out of its shard.
func (t *Table) drop(s *shard, e *entry, at int) {
	if e.owner != nil {
		e.owner = nil
	}
	s.remove(e, at)
	t.say(s)
}

// place is where the search for a span begins. It stands there or in a later slot, with no
// free one between.
func (s *shard) place(span uint64) int {
	return int(span*spread>>32) & (len(s.slots) - 1)
}

// entry returns the one of a number, which is not 0.
func (s *shard) entry(number uint32) *entry { return &s.chunks[number/chunk][number%chunk] }

// find returns a span and the number of its slot.
func (s *shard) find(id ID) (*entry, int) {
	for i := s.place(id.span); ; i = (i + 1) & (len(s.slots) - 1) {
		at := &s.slots[i]
		if at.entry == 0 {
			return nil, i
		}
		if at.span == id.span {
			if e := s.entry(at.entry); e.id == id {
				return e, i
			}
		}
	}
}

func (s *shard) add(id ID) *entry {
	if 2*(s.len+1) > len(s.slots) {
		s.grow()
	}
	e := s.take()
	e.id = id
	s.insert(e)
	e.next, e.previous = 0, s.newest
	if s.newest != 0 {
		s.entry(s.newest).next = e.number
	} else {
		s.oldest = e.number
	}
	s.newest = e.number
	s.len++
	return e
}

// take returns an entry that no span has.
func (s *shard) take() *entry {
	if s.unused != 0 {
		e := s.entry(s.unused)
		s.unused = e.next
		return e
	}
	if int(s.made/chunk) == len(s.chunks) {
		s.chunks = append(s.chunks, new([chunk]entry))
	}
	e := s.entry(s.made)
	e.number = s.made
	s.made++
	return e
}

func (s *shard) insert(e *entry) {
	i := s.place(e.id.span)
	for s.slots[i].entry != 0 {
		i = (i + 1) & (len(s.slots) - 1)
	}
	s.slots[i] = slot{e.id.span, e.number}
}

func (s *shard) remove(e *entry, free int) {
	last := len(s.slots) - 1
	// What stands behind and could not be found past a free slot moves into it.
	for i := (free + 1) & last; s.slots[i].entry != 0; i = (i + 1) & last {
		home := s.place(s.slots[i].span)
		if (i-home)&last >= (i-free)&last {
			s.slots[free] = s.slots[i]
			free = i
		}
	}
	s.slots[free] = slot{}
	if e.previous != 0 {
		s.entry(e.previous).next = e.next
	} else {
		s.oldest = e.next
	}
	if e.next != 0 {
		s.entry(e.next).previous = e.previous
	} else {
		s.newest = e.previous
	}
	e.next, s.unused = s.unused, e.number
	if s.len--; s.len == 0 && s.made > kept {
		s.clear()
	}
}

// kept is for how many spans a shard keeps memory when it has none: 1 MB.
const kept = 4096

// clear forgets all entries. Nodes elsewhere may refer to them still.
func (s *shard) clear() {
	s.slots, s.chunks, s.made, s.unused = make([]slot, 16), nil, 1, 0
}

func (s *shard) grow() {
	s.slots = make([]slot, 2*len(s.slots))
	for n := s.oldest; n != 0; {
		e := s.entry(n)
		s.insert(e)
		n = e.next
	}
}
