package clock

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

const ms = int64(1e6)

func near(got, want float64) bool {
	return math.Abs(got-want) <= 1e-9*max(1, math.Abs(want))
}

// A scene is a clock with named nodes and times in ms.
type scene struct {
	t     *testing.T
	c     *Clock
	nodes map[string]*Node
	refs  map[string]Ref
	ended map[string]Energy
}

func newScene(t *testing.T) *scene {
	return &scene{t: t, c: New(0), nodes: map[string]*Node{}, refs: map[string]Ref{}, ended: map[string]Energy{}}
}

func (s *scene) start(at int64, name, parent string) {
	s.nodes[name] = new(Node)
	s.refs[name] = s.c.Start(s.nodes[name], s.refs[parent], at*ms)
	s.conserved(at)
}

func (s *scene) end(at int64, name string, joules, estimated float64, want Coverage) {
	s.t.Helper()
	e, ok := s.c.End(s.refs[name], at*ms)
	if !ok || !near(e.Joules, joules) || !near(e.Estimated, estimated) || e.Coverage != want {
		s.t.Errorf("%s at %d ms: got %+v, %v, want %v J of which %v estimated, %v", name, at, e, ok, joules, estimated, want)
	}
	s.ended[name] = e
	s.conserved(at)
}

func (s *scene) book(at int64, joules float64) {
	s.t.Helper()
	s.c.Book(joules, at*ms)
	s.conserved(at)
}

func (s *scene) lose(at int64) {
	s.t.Helper()
	s.c.Lose(at * ms)
	s.conserved(at)
}

func (s *scene) unattributed(at int64, want float64) {
	s.t.Helper()
	if got := s.c.Totals(at * ms).Unattributed; !near(got, want) {
		s.t.Errorf("unattributed at %d ms = %v J, want %v", at, got, want)
	}
}

func (s *scene) conserved(at int64) {
	s.t.Helper()
	sum := 0.0
	for name, r := range s.refs {
		e, ok := s.c.Read(r, at*ms)
		if !ok {
			e = s.ended[name]
		}
		if e.Joules < 0 || e.Estimated < 0 || e.Estimated > e.Joules*(1+1e-12) {
			s.t.Errorf("%s at %d ms: %+v", name, at, e)
		}
		sum += e.Joules
	}
	balanced(s.t, s.c.Totals(at*ms), sum)
}

func balanced(t rapid.TB, total Totals, nodes float64) {
	t.Helper()
	if !near(nodes, total.Nodes) {
		t.Errorf("the nodes have %v J, and Totals says %+v", nodes, total)
	}
	if !near(total.Nodes+total.Unattributed, total.Booked+total.Ahead) {
		t.Errorf("not balanced: %+v", total)
	}
	if total.Nodes < 0 || total.Unattributed < 0 || total.Ahead < 0 {
		t.Errorf("negative: %+v", total)
	}
}

// In all of these a tick is 100 ms unless its times say otherwise.
func TestClock(t *testing.T) {
	t.Run("a node that lives through whole ticks has what was drawn", func(t *testing.T) {
		s := newScene(t)
		s.start(0, "a", "")
		s.book(100, 1)
		s.book(200, 3)
		s.end(200, "a", 4, 0, Settled)
	})
	t.Run("two leaves share", func(t *testing.T) {
		// 10 W. a alone 0–50, with b 50–100: 0.5 + 0.25 J; b 0.25 J in this tick.
		// In the next one, at 10 W, both for 40 ms: 0.2 J each, estimated.
		s := newScene(t)
		s.start(0, "a", "")
		s.start(50, "b", "")
		s.book(100, 1)
		s.end(140, "a", 0.95, 0.2, Interpolated)
		s.end(140, "b", 0.45, 0.2, Interpolated)
		s.book(200, 1) // 60 ms without a leaf
		s.unattributed(200, 0.6)
	})
	t.Run("a child takes its parent's place", func(t *testing.T) {
		// a 100–120 and 180–200, b 120–180 with its child c 140–160, at 10 W.
		s := newScene(t)
		s.start(0, "before", "")
		s.book(100, 1)
		s.end(100, "before", 1, 0, Settled)
		s.start(100, "a", "")
		s.start(120, "b", "a")
		s.start(140, "c", "b")
		s.end(160, "c", 0.2, 0.2, Interpolated)
		s.end(180, "b", 0.4, 0.4, Interpolated)
		s.end(200, "a", 0.4, 0.4, Interpolated)
		s.book(200, 1)
		s.unattributed(200, 0)
	})
	t.Run("children at the same time share, and the parent waits", func(t *testing.T) {
		// 30 W: a 10 ms = 0.3 J, then three children share 90 ms: 0.9 J each.
		s := newScene(t)
		s.start(0, "a", "")
		for _, b := range []string{"b", "c", "d"} {
			s.start(10, b, "a")
		}
		s.book(100, 3)
		for _, b := range []string{"b", "c", "d"} {
			s.end(100, b, 0.9, 0, Settled)
		}
		s.end(100, "a", 0.3, 0, Settled)
	})
	t.Run("a child outlives its parent", func(t *testing.T) {
		// b stays a leaf. The root, whose only child has ended, becomes one again at 50: it shares 50–100.
		s := newScene(t)
		s.start(0, "root", "")
		s.start(0, "a", "root")
		s.start(0, "b", "a")
		s.end(50, "a", 0, 0, Settled)
		s.book(100, 1)
		s.end(100, "b", 0.75, 0, Settled)
		s.end(100, "root", 0.25, 0, Settled)
	})
	t.Run("a tick pays with what is left for what was given", func(t *testing.T) {
		// 10 W known. b ends after 50 of its 50 ms beside a: 25 ms' worth, 0.25 J. In truth
		// 20 W: a has 2 − 0.25 J. In the next tick 10 W come back.
		s := newScene(t)
		s.start(0, "a", "")
		s.book(100, 1)
		s.start(100, "b", "a")
		s.end(150, "b", 0.5, 0.5, Interpolated)
		s.book(200, 2)
		s.end(200, "a", 2.5, 0, Settled)
		s.unattributed(200, 0)
	})
	t.Run("too much given is paid back by a slower clock", func(t *testing.T) {
		// 10 W known, b gets 1 J, in truth it was 0.4 J: 0.6 J owed. The last ticks say
		// (1/2+0.4)/(50+100 ms) = 6 W, less 0.6 J in 100 ms: no power at all.
		s := newScene(t)
		s.start(0, "a", "")
		s.book(100, 1)
		s.end(100, "a", 1, 0, Settled)
		s.start(100, "b", "")
		s.end(200, "b", 1, 1, Interpolated)
		s.book(200, 0.4)
		if got := s.c.Totals(200 * ms); !near(got.Ahead, 0.6) || !near(got.Nodes, 2) {
			t.Errorf("%+v", got)
		}
		s.start(200, "c", "")
		s.end(250, "c", 0, 0, Interpolated)
		s.start(250, "d", "")
		s.book(300, 1) // 0.6 to pay; 0.4 left for d
		s.end(300, "d", 0.4, 0, Settled)
		if got := s.c.Totals(300 * ms); !near(got.Ahead, 0) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("who waits tells nothing of who works", func(t *testing.T) {
		// 20 W while a works, then a second at 1 W without a leaf. b, between two ticks, is
		// taken to draw 20 W again: 1 J in 50 ms.
		s := newScene(t)
		s.start(0, "a", "")
		s.book(100, 2)
		s.end(100, "a", 2, 0, Settled)
		s.book(1100, 1)
		s.start(1100, "b", "")
		s.end(1150, "b", 1, 1, Interpolated)
		s.book(1200, 1.05)
		s.unattributed(1200, 1.05)
	})
	t.Run("nobody is left to take what was not given", func(t *testing.T) {
		s := newScene(t)
		s.start(0, "a", "")
		s.book(100, 1)
		s.end(100, "a", 1, 0, Settled)
		s.start(100, "b", "")
		s.end(200, "b", 1, 1, Interpolated)
		s.book(200, 5)
		s.unattributed(200, 4)
	})
	t.Run("first tick without an estimate", func(t *testing.T) {
		// a has ended and cannot be told. Its 50 ms weigh nothing: b has all.
		s := newScene(t)
		s.start(0, "a", "")
		s.end(50, "a", 0, 0, Partial)
		s.start(50, "b", "")
		s.book(100, 1)
		s.end(100, "b", 1, 0, Settled)
	})
	t.Run("power drops to 0", func(t *testing.T) {
		// 10 W, then nothing: (1/2)/(50+100 ms) = 3.33 W, (1/4)/(175 ms) = 1.43 W, …
		s := newScene(t)
		s.start(0, "a", "")
		s.book(100, 1)
		s.book(200, 0)
		s.start(200, "b", "")
		s.book(300, 0)
		s.end(300, "b", 0, 0, Settled)
		s.end(400, "a", 1+0.1*0.25/0.175, 0.1*0.25/0.175, Interpolated)
		s.book(500, 0)
		if got := s.c.Totals(500 * ms); !near(got.Ahead, 0.1*0.25/0.175) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("no leaf for a long time", func(t *testing.T) {
		s := newScene(t)
		for i := range int64(1000) {
			s.book(100*(i+1), 2)
		}
		s.unattributed(100_000, 2000)
		s.start(100_000, "a", "")
		s.end(100_050, "a", 1, 1, Interpolated)
	})
	t.Run("ten seconds without a tick", func(t *testing.T) {
		// 10 W for the 2 s that an estimate is good for; b began after that. When the tick
		// comes, a has gone with 20 J, b with nothing, c was there for 2 s of the 2 s left.
		s := newScene(t)
		s.start(0, "a", "")
		s.book(100, 1)
		s.end(4100, "a", 1+20, 20, Partial)
		s.start(4100, "b", "")
		s.end(8100, "b", 0, 0, Partial)
		s.start(8100, "c", "")
		s.book(10_100, 100)
		s.end(10_100, "c", 80, 0, Settled)
	})
	t.Run("a reading fails and the counter goes on", func(t *testing.T) {
		// The reading at 200 fails. a ends at 250 with 100 ms at 10 W. The counter says 4 J
		// for 100–300: 3 J left for b's 50 ms and its half of 150, no time without a leaf.
		s := newScene(t)
		s.start(0, "a", "")
		s.book(100, 1)
		s.c.Miss(200 * ms)
		s.conserved(200)
		s.end(250, "a", 2, 1, Partial)
		s.start(250, "b", "")
		s.book(300, 4)
		s.end(300, "b", 3, 0, Settled)
	})
	t.Run("a reading is lost", func(t *testing.T) {
		// Nothing is known of 100–200, and at 250 there is no estimate.
		s := newScene(t)
		s.start(0, "a", "")
		s.book(100, 1)
		s.start(150, "b", "a")
		s.end(160, "b", 0.1, 0.1, Interpolated)
		s.lose(200)
		s.start(200, "c", "a")
		s.end(250, "c", 0, 0, Partial)
		s.start(250, "d", "a")
		s.book(300, 1)
		s.end(300, "d", 0.9, 0, Settled) // 0.1 J for b
		s.end(300, "a", 1, 0, Partial)
		s.start(300, "e", "")
		s.end(350, "e", 0.5, 0.5, Interpolated)
	})
	t.Run("a later tick is lost", func(t *testing.T) {
		for lost := range 3 { // nobody looks at a meanwhile
			c, a := New(0), Node{}
			r := c.Start(&a, Ref{}, 0)
			for i := range 3 {
				if at := int64(i+1) * 100 * ms; i == lost {
					c.Lose(at)
				} else {
					c.Book(1, at)
				}
			}
			if e, _ := c.End(r, 300*ms); e != (Energy{Joules: 2, Coverage: Partial}) {
				t.Errorf("%d is lost: %+v", lost, e)
			}
		}
	})
	t.Run("numbers that are no energy are failed readings", func(t *testing.T) {
		for _, bad := range []float64{-1, math.NaN(), math.Inf(1), math.Inf(-1)} {
			s := newScene(t)
			s.start(0, "a", "")
			s.book(100, 1)
			s.book(200, bad)
			s.book(300, 1)
			s.end(300, "a", 2, 0, Settled)
		}
	})
	t.Run("the clock does not go back", func(t *testing.T) {
		s := newScene(t)
		s.start(0, "a", "")
		s.book(100, 1)
		s.start(50, "b", "a")
		s.book(40, 7)
		s.unattributed(0, 7)
		s.book(200, 1)
		s.end(0, "b", 1, 0, Settled)
		s.end(200, "a", 1, 0, Settled)
	})
	t.Run("years without a tick", func(t *testing.T) {
		const year = 365 * 24 * 3600 * 1000
		s := newScene(t)
		s.start(0, "a", "")
		s.start(0, "b", "")
		s.book(100, 1)
		s.book(year, 100)
		s.start(2*year, "c", "a")
		s.book(3*year, 100)
		s.end(3*year, "c", 0, 0, Settled) // beyond the 1.2 h that a tick can hold
		s.end(3*year, "b", 100.5, 0, Settled)
		s.end(3*year, "a", 100.5, 0, Settled)
	})
}

func TestLives(t *testing.T) {
	c, other := New(0), New(0)
	var a, b, x Node
	ra := c.Start(&a, Ref{}, 0)
	rx := other.Start(&x, Ref{}, 0)

	if _, ok := c.End(rx, 1); ok {
		t.Error("ended a node of another clock")
	}
	if _, ok := c.End(Ref{}, 1); ok {
		t.Error("ended no node")
	}
	if _, ok := c.End(ra, 1); !ok {
		t.Error("did not end a")
	}
	if _, ok := c.End(ra, 2); ok {
		t.Error("ended a twice")
	}
	if _, ok := c.Read(ra, 2); ok {
		t.Error("read a after its end")
	}

	// a lives again: what refers to its first life has nothing to do with it.
	again := c.Start(&a, Ref{}, 3)
	for name, parent := range map[string]Ref{"an ended life": ra, "another clock's node": rx} {
		r := c.Start(&b, parent, 3)
		if n := c.Totals(3).Leaves; n != 2 {
			t.Errorf("%d leaves beside a child of %s, want 2", n, name)
		}
		c.End(r, 3)
	}
	child := c.Start(&b, again, 4)
	if n := c.Totals(4).Leaves; n != 1 {
		t.Errorf("%d leaves, want the child alone", n)
	}
	third := c.Start(&a, Ref{}, 5) // while active
	if n := c.Totals(5).Leaves; n != 2 {
		t.Errorf("%d leaves, want the child and a's third life", n)
	}
	c.End(child, 6)
	c.End(third, 6)
	if got := c.Totals(6); got != (Totals{}) {
		t.Errorf("%+v", got)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	c := New(0)
	var root, child Node
	now := int64(0)
	r := c.Start(&root, Ref{}, 0)
	if n := testing.AllocsPerRun(1000, func() {
		now += 1000
		k := c.Start(&child, r, now)
		now += 1000
		c.Read(k, now)
		c.End(k, now)
		c.Totals(now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
