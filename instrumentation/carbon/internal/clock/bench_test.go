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

// The same in a domain for each goroutine: as leaves, which all share, and as the child of a
// node, which only the domain knows of. A tick ends each 2 s of the clock.
func BenchmarkDomain(b *testing.B) {
	for _, name := range []string{"leaf", "child"} {
		b.Run(name, func(b *testing.B) {
			c := New(0)
			domains := make([]struct {
				Domain
				_ [128]byte
			}, 64)
			for i := range domains {
				c.Add(&domains[i].Domain)
			}
			var next, latest atomic.Int64
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				d := &domains[next.Add(1)%64].Domain
				var parent, n Node
				var p Ref
				if name == "child" {
					p = startIn(d, c, &parent, Ref{}, 0)
				}
				now := latest.Load()
				for i := 0; pb.Next(); i++ {
					now += 1000
					if i%1_000_000 == 0 {
						c.Book(1, now)
					}
					d.Lock()
					r := d.Start(&n, p, now)
					d.Unlock()
					d.Lock()
					d.End(r, now+500)
					d.Unlock()
				}
				latest.Store(now)
			})
		})
	}
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
