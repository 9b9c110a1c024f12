package clock

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A book does what the package comment says in the plainest way: it looks at every
// node at every event and keeps the times of the open tick in a table.
type book struct {
	now, began          float64 // s
	nodes               []*bookNode
	known, stopped      bool
	estimate            float64 // W
	given, gone, idle   float64 // J, s, s
	debt, joules, spans float64
	busyJ, busyS        float64 // of ticks with a leaf for half of them
	unattributed        float64
}

type bookNode struct {
	domain       int // 0: none
	parent       *bookNode
	active, lost bool
	lived, late  float64 // s, in the open tick
	energy       float64
}

func (b *book) leaf(n *bookNode) bool {
	for _, k := range b.nodes {
		if k.active && k.parent == n {
			return false
		}
	}
	return n.active
}

func (b *book) advance(now float64) {
	for _, to := range []float64{min(now, b.began+2), now} {
		dt := to - b.now
		if dt <= 0 {
			b.stopped = b.stopped || now > b.began+2
			continue
		}
		var leaves []*bookNode
		for _, n := range b.nodes {
			if b.leaf(n) {
				leaves = append(leaves, n)
			}
		}
		if len(leaves) == 0 {
			b.idle += dt
		}
		for _, n := range leaves {
			n.lived += dt / float64(len(leaves))
			if b.stopped {
				n.late += dt / float64(len(leaves))
			}
		}
		b.now = to
		b.stopped = b.stopped || now > b.began+2
	}
}

func (b *book) read(n *bookNode) (joules, estimated float64, partial bool) {
	estimated = b.estimate * (n.lived - n.late)
	return n.energy + estimated, estimated, n.lost || n.late > 0 || n.lived > 0 && !b.known
}

func (b *book) end(n *bookNode) (joules, estimated float64, partial bool) {
	joules, estimated, partial = b.read(n)
	b.given += estimated
	b.gone += n.lived
	n.active = false
	return joules, estimated, partial
}

func (b *book) close(joules float64, lost bool) {
	length := b.now - b.began
	left := joules - b.given - b.debt
	rest := length - b.gone
	if rest < 1e-9 {
		rest = 0
	}
	for _, n := range b.nodes {
		if !n.active {
			continue
		}
		if left > 0 && rest > 0 {
			n.energy += left * n.lived / rest
		}
		n.lost = n.lost || lost && n.lived > 0
		n.lived, n.late = 0, 0
	}
	if left > 0 && rest > 0 {
		b.unattributed += left * b.idle / rest
	} else if left > 0 {
		b.unattributed += left
	}
	b.debt = max(0, -left)
	idle := b.idle
	if lost {
		b.known, b.estimate = false, 0
	} else {
		b.joules, b.spans = b.joules/2+joules, b.spans/2+length
		if length > 0 && idle <= length/2+5e-10 {
			b.busyJ, b.busyS = b.busyJ/2+joules, b.busyS/2+length
		}
		if b.spans > 0 {
			b.known, b.estimate = true, b.joules/b.spans
			if b.busyS > 0 {
				b.estimate = b.busyJ / b.busyS
			}
			b.estimate = max(0, b.estimate-b.debt/max(length, b.spans/2))
		}
	}
	b.began, b.given, b.gone, b.idle, b.stopped = b.now, 0, 0, 0, false
}

func TestClockDoesWhatItSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, b := New(0), &book{}
		domains := []*Domain{nil, {}, {}}
		for _, d := range domains[1:] {
			c.Add(d)
		}
		var refs []Ref
		var nodes []*Node
		ended := 0.0
		now := int64(0)
		agree := func(got, want float64) bool {
			d := got - want
			return max(d, -d) <= 1e-6*max(1, want)
		}
		same := func(i int, e Energy, ok bool, joules, estimated float64, partial bool) {
			if !ok || !agree(e.Joules, joules) || !agree(e.Estimated, estimated) || (e.Coverage == Partial) != partial {
				t.Fatalf("node %d: got %+v, %v, want %v J, %v estimated, partial %v", i, e, ok, joules, estimated, partial)
			}
		}
		for range rapid.IntRange(1, 80).Draw(t, "events") {
			// In whole µs: what is undivided, below 1 ns for each leaf, stays below the tolerance.
			now += 1000 * rapid.OneOf(rapid.Int64Range(0, 0), rapid.Int64Range(1, 300_000), rapid.Int64Range(1_900_000, 2_100_000)).Draw(t, "µs")
			b.advance(float64(now) / 1e9)
			at := now
			if rapid.IntRange(0, 9).Draw(t, "skew") == 0 {
				at -= rapid.Int64Range(0, 1e9).Draw(t, "back")
				c.Totals(now)
			}
			switch rapid.SampledFrom([]string{"start", "start", "start", "end", "end", "book", "book", "miss", "lose"}).Draw(t, "event") {
			case "start":
				parent := rapid.IntRange(-1, len(refs)-1).Draw(t, "parent")
				domain := rapid.IntRange(0, 2).Draw(t, "domain")
				bn, ref := &bookNode{active: true, domain: domain}, Ref{}
				if parent >= 0 {
					ref = refs[parent]
					p := b.nodes[parent]
					if p.active && (domain == 0 || p.domain == 0 || p.domain == domain) {
						bn.parent = p
					}
				}
				b.nodes = append(b.nodes, bn)
				nodes = append(nodes, new(Node))
				refs = append(refs, startIn(domains[domain], c, nodes[len(nodes)-1], ref, at))
			case "end":
				if len(refs) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(refs)-1).Draw(t, "node")
				e, ok := c.End(refs[i], at)
				if !b.nodes[i].active {
					if ok {
						t.Fatalf("node %d ended twice", i)
					}
					continue
				}
				j, est, partial := b.end(b.nodes[i])
				same(i, e, ok, j, est, partial)
				ended += e.Joules
			case "book":
				j := rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0, 100)).Draw(t, "joules")
				c.Book(j, at)
				b.close(j, false)
			case "miss":
				c.Miss(at)
				b.stopped = true
			case "lose":
				c.Lose(at)
				b.close(0, true)
			}
			if perLeaf, ok := c.moment(now); ok {
				c.mu.Lock()
				c.advance(now)
				if perLeaf < c.perLeaf || perLeaf > c.perLeaf+1 {
					t.Fatalf("a leaf has %d units, and moment says %d", c.perLeaf, perLeaf)
				}
				c.mu.Unlock()
			}
			sum := ended
			for i, n := range b.nodes {
				if n.active {
					e, ok := c.Read(refs[i], now)
					j, est, partial := b.read(n)
					same(i, e, ok, j, est, partial)
					sum += e.Joules
				}
			}
			if rapid.Bool().Draw(t, "no totals") { // all can see the time that they see
				continue
			}
			total := c.Totals(now)
			balanced(t, total, sum)
			if !agree(total.Unattributed, b.unattributed) {
				t.Fatalf("unattributed = %v, want %v", total.Unattributed, b.unattributed)
			}
		}
	})
}

func startIn(d *Domain, c *Clock, n *Node, parent Ref, now int64) Ref {
	if d == nil {
		return c.Start(n, parent, now)
	}
	d.Lock()
	defer d.Unlock()
	return d.Start(n, parent, now)
}

// At a constant power nothing is estimated wrongly: whatever the ticks, a node
// has the power times its own time.
func TestConstantPower(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const watts = 7.0
		c, d := New(0), &Domain{}
		c.Add(d)
		if !rapid.Bool().Draw(t, "in a domain") {
			d = nil
		}
		c.Book(watts/10, 100*ms)
		now, booked := 100*ms, 100*ms
		type task struct {
			node Node
			ref  Ref
			want float64
		}
		var live []*task // a path: only the last one is a leaf
		for range 100 {
			dt := rapid.Int64Range(0, 500*ms).Draw(t, "dt")
			now += dt
			if len(live) > 0 {
				live[len(live)-1].want += watts * float64(dt) / 1e9
			}
			switch rapid.IntRange(0, 2).Draw(t, "event") {
			case 0:
				k := &task{}
				if len(live) > 0 {
					k.ref = live[len(live)-1].ref
				}
				k.ref = startIn(d, c, &k.node, k.ref, now)
				live = append(live, k)
			case 1:
				if len(live) > 0 {
					k := live[len(live)-1]
					live = live[:len(live)-1]
					if e, _ := c.End(k.ref, now); !near(e.Joules, k.want) || e.Coverage == Partial {
						t.Fatalf("got %+v, want %v J", e, k.want)
					}
				}
			}
			if now-booked > 1500*ms || rapid.Bool().Draw(t, "tick") {
				c.Book(watts*float64(now-booked)/1e9, now)
				booked = now
			}
		}
	})
}

// Tens of thousands of nodes live at a time, some for ever, in trees of any shape.
func TestManyNodes(t *testing.T) {
	const slots = 40_000
	r := rand.New(rand.NewPCG(1, 2))
	c, domains := New(0), make([]*Domain, 5)
	for i := range domains[1:] {
		domains[i+1] = &Domain{}
		c.Add(domains[i+1])
	}
	nodes := make([]Node, slots)
	refs := make([]Ref, slots)
	now, ended := int64(0), 0.0
	for i := range 600_000 {
		now += r.Int64N(40_000)
		k := r.IntN(slots)
		if e, ok := c.End(refs[k], now); ok && k%100 != 0 {
			ended += e.Joules
			if e.Joules < 0 {
				t.Fatalf("%+v", e)
			}
		} else if !ok {
			parent := Ref{}
			if r.IntN(4) > 0 {
				parent = refs[r.IntN(slots/len(domains))*len(domains)+k%len(domains)]
			}
			refs[k] = startIn(domains[k%len(domains)], c, &nodes[k], parent, now)
		} else {
			ended += e.Joules
			refs[k] = startIn(domains[k%len(domains)], c, &nodes[k], Ref{}, now)
		}
		switch r.IntN(2000) {
		case 0, 1, 2, 3, 4, 5, 6, 7:
			c.Book(r.ExpFloat64()*5, now)
		case 8:
			c.Miss(now)
		case 9:
			c.Lose(now)
		}
		if i%50_000 == 49_999 {
			sum := ended
			for _, ref := range refs {
				e, _ := c.Read(ref, now)
				sum += e.Joules
			}
			total := c.Totals(now)
			balanced(t, total, sum)
			if i > 100_000 && (total.Leaves < 5000 || total.Nodes < total.Booked/2) {
				t.Errorf("%+v: the nodes should have most of it", total)
			}
		}
	}
}

func TestConcurrently(t *testing.T) {
	const workers, rounds = 8, 3000
	c := New(0)
	var clock struct {
		sync.Mutex
		now int64
	}
	tell := func() int64 {
		clock.Lock()
		defer clock.Unlock()
		clock.now += 1000
		return clock.now
	}
	var root Node
	shared := c.Start(&root, Ref{}, tell())
	sums := make([]float64, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			var a, b Node
			for i := range rounds {
				ra := c.Start(&a, shared, tell())
				rb := c.Start(&b, ra, tell())
				c.Read(ra, tell())
				if i%3 == 0 { // the parent first
					ra, rb = rb, ra
				}
				for _, r := range []Ref{rb, ra} {
					e, ok := c.End(r, tell())
					if !ok || e.Joules < 0 {
						t.Errorf("%+v, %v", e, ok)
					}
					sums[w] += e.Joules
				}
				if w == 0 && i%10 == 0 {
					c.Book(float64(i%7), tell())
				}
				c.Totals(tell())
			}
		})
	}
	wg.Wait()
	e, _ := c.End(shared, tell())
	sum := e.Joules
	for _, s := range sums {
		sum += s
	}
	balanced(t, c.Totals(tell()), sum)
}

// What goes on in domains at the same time, each with the time that it read a while ago,
// adds up exactly, whatever leaves come and go, ticks end and readings fail meanwhile.
func TestDomainsConcurrently(t *testing.T) {
	const workers, rounds = 8, 20_000
	c := New(0)
	domains := make([]*Domain, 3)
	for i := range domains {
		domains[i] = &Domain{}
		c.Add(domains[i])
	}
	began := time.Now()
	now := func() int64 { return int64(time.Since(began)) }
	var task Node
	around := c.Start(&task, Ref{}, now())
	sums := make([]float64, workers)
	var wg, ticker sync.WaitGroup
	stop := make(chan struct{})
	ticker.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Microsecond):
			}
			switch i % 20 {
			case 7:
				c.Miss(now() - 1000)
			case 13:
				c.Lose(now())
			default:
				c.Book(float64(i%3), now()-int64(i%5)*10_000) // read a while ago
			}
			if total := c.Totals(now()); total.Nodes < 0 || total.Ahead < 0 || math.Abs(total.Nodes+total.Unattributed-total.Booked-total.Ahead) > 1e-9*max(1, total.Booked) {
				t.Errorf("%+v", total)
			}
		}
	})
	for w := range workers {
		d := domains[w%len(domains)]
		wg.Go(func() {
			var nodes [6]Node
			var refs [6]Ref
			r := rand.New(rand.NewPCG(uint64(w), 7))
			end := func(ref Ref) {
				e, ok := c.End(ref, now())
				if ok && (e.Joules < 0 || e.Estimated < 0) {
					t.Errorf("%+v", e)
				}
				sums[w] += e.Joules
			}
			for range rounds {
				k := r.IntN(len(nodes))
				at := now()
				if r.IntN(50) == 0 {
					runtime.Gosched() // and so at is late
				}
				if nodes[k].life&1 == 1 { // nobody else writes it
					end(refs[k])
					continue
				}
				parent := refs[r.IntN(len(refs))]
				if r.IntN(4) == 0 {
					parent = around
				}
				in := d
				if k == 0 {
					in = nil
				}
				refs[k] = startIn(in, c, &nodes[k], parent, at)
			}
			for _, ref := range refs {
				end(ref)
			}
		})
	}
	wg.Wait()
	close(stop)
	ticker.Wait()
	e, _ := c.End(around, now())
	c.Book(1, now())
	sum := e.Joules
	for _, s := range sums {
		sum += s
	}
	balanced(t, c.Totals(now()), sum)
}
