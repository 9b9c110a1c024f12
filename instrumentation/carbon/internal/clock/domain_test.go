package clock

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// apart is a clock with two domains after a tick of 10 W, which ended at 100 ms. In the first
// one a is a leaf from then on, and b takes its place at 150 ms, by then having had 50 ms to
// itself. After that the second domain says late that x began at 120 ms: at 150 ms a leaf had
// but 20 + 30/2 = 35 ms, so b is 15 ms ahead of the clock.
type apart struct {
	*testing.T

	c       *Clock
	d       [2]Domain
	nodes   [3]Node
	a, b, x Ref
}

func newApart(t *testing.T) *apart {
	t.Helper()
	s := &apart{T: t, c: New(0)}
	for i := range s.d {
		s.c.Add(&s.d[i])
	}
	var before Node
	r := s.c.Start(&before, Ref{}, 0)
	s.c.Book(1, 100*ms)
	s.c.End(r, 100*ms)
	s.a = startIn(&s.d[0], s.c, &s.nodes[0], Ref{}, 100*ms)
	s.b = startIn(&s.d[0], s.c, &s.nodes[1], s.a, 150*ms)
	s.x = startIn(&s.d[1], s.c, &s.nodes[2], Ref{}, 120*ms)
	return s
}

func (s *apart) end(r Ref, at int64, joules float64) {
	s.Helper()
	if e, ok := s.c.End(r, at*ms); !ok || !near(e.Joules, joules) {
		s.Errorf("%+v, %v, want %v J", e, ok, joules)
	}
}

func (s *apart) total(at int64, nodes, ahead float64) {
	s.Helper()
	if got := s.c.Totals(at * ms); !near(got.Nodes, nodes) || !near(got.Ahead, ahead) {
		s.Errorf("%+v, want %v J of nodes, %v ahead", got, nodes, ahead)
	} else {
		balanced(s.T, got, nodes)
	}
}

// b ends at once and a goes on where b was. At 160 ms a leaf has 40 ms, so a has its 50 ms
// from before and nothing since, and 10 ms more than there were: x, with 60 ms, has the half
// joule that is left of the tick.
func TestWhoIsAheadOfTheClockHasItOnce(t *testing.T) {
	s := newApart(t)
	s.end(s.b, 150, 0)
	s.b = startIn(&s.d[0], s.c, &s.nodes[1], s.a, 152*ms) // it is where a was
	s.end(s.b, 155, 0)
	s.end(s.a, 160, 0.5)
	s.c.Book(1, 200*ms)
	s.end(s.x, 200, 0.5)
	s.total(200, 2, 0)
}

// The tick ends at 155 ms with b still ahead, by 12.5 ms: 50 − 12.5 + 17.5 ms make up its
// 55 ms, at 10 W. b would have −0.125 J and has nothing; the next tick pays.
func TestNobodyHasLessThanNothing(t *testing.T) {
	s := newApart(t)
	s.c.Book(0.55, 155*ms)
	if e, _ := s.c.Read(s.b, 155*ms); e.Joules != 0 {
		t.Errorf("%+v", e)
	}
	s.end(s.b, 155, 0)
	s.total(155, 1+0.55+0.125, 0.125)
	s.end(s.a, 155, 0.5)
	s.end(s.x, 155, 0.175)
	s.c.Book(1, 255*ms)
	s.total(255, 1.675, 0)
	if got := s.c.Totals(255 * ms).Unattributed; !near(got, 0.875) {
		t.Errorf("unattributed %v J", got)
	}
}

// a has 50 ms and x 15: that is 15 more than there were, and what b has is less than nothing.
func TestWhatIsGoneIsAhead(t *testing.T) {
	s := newApart(t)
	s.end(s.a, 150, 0.5)
	s.end(s.x, 150, 0.15)
	s.total(150, 1.65, 0.65)
}

// Nearly all of the tick is gone with a, which b outlives, and what is there is but 100 ns: 15 ms
// of x without 15 ms of b. Of the 0.1 J that are left each ms has no more than as if both
// leaves were as far ahead as they can be, 0.1 J in 30 ms: x has 0.05 J, and what b has less
// than nothing is owed.
func TestWhoIsAheadMultipliesNothing(t *testing.T) {
	s := newApart(t)
	s.end(s.a, 150, 0.5)
	s.c.Book(0.6, 150*ms+100)
	if e, _ := s.c.Read(s.x, 150*ms+100); e.Joules < 0.0499 || e.Joules > 0.0501 {
		t.Errorf("%+v", e)
	}
	e, _ := s.c.End(s.b, 150*ms+100)
	x, _ := s.c.End(s.x, 150*ms+100)
	if e != (Energy{}) {
		t.Errorf("%+v", e)
	}
	got := s.c.Totals(150*ms + 100)
	balanced(t, got, 1+0.5+x.Joules)
	if got.Ahead > 0.0501 || got.Unattributed > 0.1 {
		t.Errorf("%+v", got)
	}
}

// 15 ms without a leaf and 100 ns more, then a, b and x as above. With a and x gone, b's 15 ms
// too much leave less than there was without a leaf: the joule is nobody's.
func TestNobodyIsLeftButWhoIsAhead(t *testing.T) {
	const l = 15*ms + 100
	c, d := New(0), [2]Domain{}
	c.Add(&d[0])
	c.Add(&d[1])
	var n [3]Node
	a := startIn(&d[0], c, &n[0], Ref{}, l)
	startIn(&d[0], c, &n[1], a, l+50*ms)
	x := startIn(&d[1], c, &n[2], Ref{}, l+20*ms)
	c.End(a, l+50*ms)
	c.End(x, l+50*ms)
	c.Book(1, l+50*ms)
	if got := c.Totals(l + 50*ms); got != (Totals{Unattributed: 1, Booked: 1, Leaves: 1}) {
		t.Errorf("%+v", got)
	}
}

// The estimate ceases to hold while b is ahead: nobody gets any of it for later.
func TestAheadWhenAReadingFails(t *testing.T) {
	s := newApart(t)
	s.c.Miss(155 * ms) // a leaf has 20 + 35/2 ms
	if got := s.c.Totals(160 * ms); got.Nodes < 1 || got.Ahead < 0 {
		t.Errorf("%+v", got)
	}
	s.end(s.b, 160, 0)   // and a is where b was
	s.end(s.a, 170, 0.5) // its 50 ms before
	s.end(s.x, 170, 0.175)
	if got := s.c.Totals(170 * ms); got.Nodes < 1 || got.Ahead < 0 {
		t.Errorf("%+v", got)
	}
	s.c.Book(1, 200*ms)
	if got := s.c.Totals(200 * ms); !near(got.Nodes, 1.675) || !near(got.Unattributed, 0.325) {
		t.Errorf("%+v", got)
	}
}

// After a reading that failed there is no estimate in a domain, either.
func TestAReadingFailsInADomain(t *testing.T) {
	c, d := New(0), &Domain{}
	c.Add(d)
	var a, b Node
	above := startIn(d, c, &a, Ref{}, 0)
	c.Book(1, 100*ms)
	c.Miss(110 * ms)
	if e, _ := c.End(startIn(d, c, &b, above, 120*ms), 140*ms); e != (Energy{Coverage: Partial}) {
		t.Errorf("%+v", e)
	}
}

// A time before the latest one of the domain is taken as that: by a child in no domain, and by
// what ends a tick. b begins at 50 ms, so a has 50 ms, and k has the other 50. b, which goes
// on for 50 ms at 10 W, leaves half a joule of the next tick to nobody. x is there for 90 of the
// 100 ms after it.
func TestTheTimeOfADomain(t *testing.T) {
	c, d := New(0), &Domain{}
	c.Add(d)
	var n [3]Node
	a := startIn(d, c, &n[0], Ref{}, 0)
	b := startIn(d, c, &n[1], a, 50*ms)
	k := c.Start(&n[2], b, 40*ms)
	c.Book(1, 100*ms)
	for r, want := range map[Ref]float64{a: 0.5, b: 0, k: 0.5} {
		if e, _ := c.Read(r, 100*ms); !near(e.Joules, want) {
			t.Errorf("%+v, want %v J", e, want)
		}
	}
	c.End(k, 100*ms)
	c.End(b, 150*ms)
	c.Book(1, 120*ms) // that is 150 ms
	if e, _ := c.End(a, 150*ms); e != (Energy{Joules: 0.5}) {
		t.Errorf("%+v", e)
	}
	x := startIn(d, c, &n[1], Ref{}, 160*ms)
	c.Book(1, 250*ms)
	if e, _ := c.End(x, 250*ms); !near(e.Joules, 0.9) {
		t.Errorf("%+v", e)
	}
	if got := c.Totals(250 * ms); !near(got.Nodes, 2.4) || !near(got.Unattributed, 0.6) {
		t.Errorf("%+v", got)
	}
}

func TestADomainOfAnotherClock(t *testing.T) {
	c, other, d := New(0), New(0), &Domain{}
	other.Add(d)
	var n, m Node
	r := startIn(d, other, &n, Ref{}, 0)
	if _, ok := c.End(r, 1); ok {
		t.Error("ended a node of another clock")
	}
	if _, ok := c.Read(r, 1); ok {
		t.Error("read a node of another clock")
	}
	c.Start(&m, r, 1)
	if got := other.Totals(1).Leaves + c.Totals(1).Leaves; got != 2 {
		t.Errorf("%d leaves", got)
	}
}

// Everybody starts, ends and reads nodes of everybody, in domains and in none.
func TestDomainsAreShared(t *testing.T) {
	const workers, rounds = 6, 10_000
	c := New(0)
	domains := []*Domain{{}, {}, {}, nil}
	for _, d := range domains[:3] {
		c.Add(d)
	}
	began := time.Now()
	now := func() int64 { return int64(time.Since(began)) }
	var cells [24]struct {
		sync.Mutex
		node Node
		ref  Ref
	}
	sums := make([]float64, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			end := func(ref Ref) bool {
				e, ok := c.End(ref, now())
				if e.Joules < 0 || e.Estimated < 0 || e.Estimated > e.Joules {
					t.Errorf("%+v", e)
				}
				sums[w] += e.Joules
				return ok
			}
			for range rounds {
				p := &cells[r.IntN(len(cells))]
				p.Lock()
				parent := p.ref
				p.Unlock()
				switch r.IntN(12) {
				case 0:
					c.Book(1e-4, now())
				case 1:
					c.Read(parent, now())
				case 2:
					c.Totals(now())
				default:
					k := r.IntN(len(cells))
					x := &cells[k]
					x.Lock()
					if !end(x.ref) {
						x.ref = startIn(domains[k%4], c, &x.node, parent, now())
					}
					x.Unlock()
				}
			}
		})
	}
	wg.Wait()
	sum := 0.0
	for i := range cells {
		e, _ := c.End(cells[i].ref, now())
		sum += e.Joules
	}
	for _, s := range sums {
		sum += s
	}
	c.Book(0, now())
	balanced(t, c.Totals(now()), sum)

	// What is started again while it is active takes the lock of its parent's domain, too.
	above := startIn(domains[0], c, new(Node), Ref{}, now())
	var again Node
	for range 4 {
		wg.Go(func() {
			for range rounds / 10 {
				c.End(startIn(domains[0], c, new(Node), above, now()), now())
			}
		})
	}
	for range rounds / 10 {
		c.Start(&again, above, now())
	}
	wg.Wait()
	if got := c.Totals(now()).Leaves; got != 1 {
		t.Errorf("%d leaves, want the one that was started again", got)
	}
}

// A parent in another domain is none: both are leaves.
func TestDomainsDoNotMeet(t *testing.T) {
	s := newApart(t)
	var n Node
	startIn(&s.d[1], s.c, &n, s.a, 160*ms)
	if got := s.c.Totals(160 * ms).Leaves; got != 3 {
		t.Errorf("%d leaves, want b, x and the new one", got)
	}
}

// A child of a node that is in a domain, and in none itself.
func TestChildrenOutsideOfADomain(t *testing.T) {
	s := newApart(t)
	var n, again Node
	child := s.c.Start(&n, s.b, 160*ms)
	if got := s.c.Totals(160 * ms).Leaves; got != 2 {
		t.Errorf("%d leaves, want x and the child", got)
	}
	other := s.c.Start(&n, s.x, 170*ms) // while it is active
	if _, ok := s.c.End(child, 170*ms); ok {
		t.Error("ended an earlier life")
	}
	grandchild := s.c.Start(&again, other, 180*ms)
	for _, r := range []Ref{s.x, other, grandchild, s.b, s.a} {
		if _, ok := s.c.End(r, 200*ms); !ok {
			t.Errorf("%+v was not there", r)
		}
	}
	if got := s.c.Totals(200 * ms); got.Leaves != 0 {
		t.Errorf("%+v", got)
	}
}

func TestNothingIsAllocatedInADomain(t *testing.T) {
	c, d := New(0), &Domain{}
	c.Add(d)
	var root, child Node
	now := int64(0)
	r := startIn(d, c, &root, Ref{}, 0)
	if n := testing.AllocsPerRun(1000, func() {
		now += 1000
		c.End(startIn(d, c, &child, r, now), now+500)
		c.Totals(now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
