package span

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/clock"
)

// What the table costs for one span beside 1000 others, its node included, and
// the slots alone beside a map that does the same.
func BenchmarkTable(b *testing.B) {
	ids := make([]ID, 1000)
	for i := range ids {
		ids[i].span = rand.Uint64()
	}
	b.Run("with nodes", func(b *testing.B) {
		t := NewTable(clock.New(0), DefaultLimit)
		t.AddProcessor()
		for _, id := range ids {
			start(t, id, clock.Ref{}, 0)
		}
		var e Ended
		b.ReportAllocs()
		for i := range b.N {
			id := ID{span: uint64(i)}
			t.Start(id, ids[0], clock.Ref{}, nil, int64(i))
			t.End(id, int64(i), &e)
		}
	})
	b.Run("slots", func(b *testing.B) {
		t := NewTable(clock.New(0), DefaultLimit)
		for _, id := range ids {
			t.shard(id).add(id)
		}
		b.ReportAllocs()
		for i := range b.N {
			id := ID{span: uint64(i)}
			s := t.shard(id)
			s.Lock()
			s.add(id)
			s.Unlock()
			s.Lock()
			s.remove(s.find(id))
			s.Unlock()
		}
	})
	b.Run("map", func(b *testing.B) {
		type shard struct {
			mu    sync.Mutex
			spans map[uint64]*entry
		}
		var all [shards]shard
		for i := range all {
			all[i].spans = map[uint64]*entry{}
		}
		of := func(id ID) *shard { return &all[id.span*spread>>(64-shardBits)] }
		for _, id := range ids {
			of(id).spans[id.span] = &entry{id: id}
		}
		e := new(entry)
		b.ReportAllocs()
		for i := range b.N {
			id := ID{span: uint64(i)}
			s, key := of(id), uint64(i)
			s.mu.Lock()
			e.id = id
			s.spans[key] = e
			s.mu.Unlock()
			s.mu.Lock()
			if s.spans[key].id == id {
				delete(s.spans, key)
			}
			s.mu.Unlock()
		}
	})
}
