package clock

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What a span costs: a start and an end, as the only ones, beside 1000 others, and
// as the child of a node that waits meanwhile.
func BenchmarkStartEnd(b *testing.B) {
	for name, others := range map[string]int{"alone": 0, "beside 1000": 1000} {
		b.Run(name, func(b *testing.B) {
			c, base := New(0), time.Now()
			for range others {
				c.Start(new(Node), Ref{}, 0)
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				n, now := new(Node), int64(time.Since(base))
				for pb.Next() {
					now += 1000
					c.End(c.Start(n, Ref{}, now), now+500)
				}
			})
		})
	}
	b.Run("child", func(b *testing.B) {
		c := New(0)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			var parent, n Node
			now := int64(0)
			p := c.Start(&parent, Ref{}, now)
			for pb.Next() {
				now += 1000
				c.End(c.Start(&n, p, now), now+500)
			}
		})
	})
}

// The same work on the shared state behind other locks, to see what the mutex costs.
func BenchmarkLock(b *testing.B) {
	run := func(name string, lock, unlock func()) {
		b.Run(name, func(b *testing.B) {
			c := New(0)
			b.RunParallel(func(pb *testing.PB) {
				now := int64(0)
				for pb.Next() {
					now += 1000
					lock()
					c.advance(now)
					c.setLeaves(c.leaves + 1)
					unlock()
					lock()
					c.advance(now + 500)
					c.setLeaves(c.leaves - 1)
					unlock()
				}
			})
		})
	}
	var mu sync.Mutex
	run("mutex", mu.Lock, mu.Unlock)
	var spin atomic.Bool
	run("spin", func() {
		for i := 1; !spin.CompareAndSwap(false, true); i++ {
			if i%32 == 0 {
				runtime.Gosched()
			}
		}
	}, func() { spin.Store(false) })
	var rw sync.RWMutex
	run("rwmutex", rw.Lock, rw.Unlock)
}

func BenchmarkBook(b *testing.B) {
	c := New(0)
	b.ReportAllocs()
	for i := range b.N {
		c.Book(1, int64(i)*1000)
	}
}
