package clock

import "testing"

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
