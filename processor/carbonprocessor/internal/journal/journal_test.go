package journal

import (
	order "cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"pgregory.net/rapid"
)

var day = time.Unix(1_750_000_000, 0)

// labels are those of all streams, as the processor shares them.
var labels = []*Label{
	{Zone: "FR", Source: "rte", Boundary: "lifecycle"},
	{Zone: "FR", Source: "offline", Boundary: "direct"},
	{Embodied: true},
}

// a version of a stream, which is its value too.
func version(id uint64, v int) *Stream {
	s := &Stream{
		ID: ID{Hi: id, Lo: ^id}, Start: 1, Last: int64(100 + v), Value: float64(v), Half: .1, Seen: int64(200 + v),
		Sums: []Sum{{Label: labels[0], Start: 1, Grams: float64(2 * v), Lower: float64(v), Upper: float64(3 * v)}},
	}
	if v%2 == 1 {
		s.Ended = true
		s.Sums = append(s.Sums, Sum{Label: labels[1], Start: 2, Grams: 7, Cost: 8, Water: 9})
		s.Corrections = []Sum{{Label: labels[2], Start: 3, Grams: -4}}
		s.Owed = []Owed{{From: 5, To: 6, Joules: 7, Grams: 8}}
	}
	return s
}

func opened(t testing.TB, c storage.Client) (*Journal, *State) {
	t.Helper()
	j, st, err := Open(t.Context(), c, day)
	require.NoError(t, err)
	return j, st
}

func commit(t testing.TB, j *Journal, m Meta, streams ...*Stream) {
	t.Helper()
	b := j.Begin()
	for _, s := range streams {
		b.Put(s)
	}
	require.NoError(t, b.Commit(t.Context(), m))
}

func compact(t testing.TB, j *Journal, m Meta, streams ...*Stream) {
	t.Helper()
	require.NoError(t, j.Compact(t.Context(), slices.Values(streams), func() Meta { return m }))
}

// equal compares what was loaded with the streams in want.
func equal(t testing.TB, got map[ID]*Stream, want ...*Stream) {
	t.Helper()
	all := map[ID]*Stream{}
	for _, s := range want {
		all[s.ID] = s
	}
	if diff := cmp.Diff(all, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("streams (-want +got):\n%s", diff)
	}
}

func TestStateSurvives(t *testing.T) {
	c := newStore()
	j, first := opened(t, c)
	require.NoError(t, first.Trouble)
	require.Empty(t, first.Streams)
	require.Equal(t, day.UnixNano(), first.Born)
	require.NotZero(t, first.Seed)

	born := day.UnixNano() + 5
	commit(t, j, Meta{Born: born, Extra: []byte("budgets")}, version(1, 1), version(2, 1))
	commit(t, j, Meta{Born: born}, version(2, 2), version(3, 1))
	_, st := opened(t, c)
	require.NoError(t, st.Trouble)
	require.Equal(t, first.Seed, st.Seed)
	require.Equal(t, Meta{Born: born, Extra: []byte("budgets")}, st.Meta)
	equal(t, st.Streams, version(1, 1), version(2, 2), version(3, 1))
	if a, b := st.Streams[ID{1, ^uint64(1)}], st.Streams[ID{3, ^uint64(3)}]; a.Sums[0].Label != b.Sums[0].Label {
		t.Error("equal labels are not shared")
	}

	compact(t, j, Meta{Born: born + 1, Extra: []byte("more")}, version(1, 1), version(2, 3))
	compact(t, j, Meta{Extra: []byte("more")}, version(1, 1), version(2, 3))
	commit(t, j, Meta{}, version(1, 2))
	_, st = opened(t, c)
	require.NoError(t, st.Trouble)
	require.Equal(t, Meta{Born: born + 1, Extra: []byte("more")}, st.Meta)
	equal(t, st.Streams, version(1, 2), version(2, 3))
	require.Len(t, c.values, 3, "head, chunk and record; the rest is deleted: %v", slices.Sorted(maps.Keys(c.values)))
}

func TestNothingNewIsNotWritten(t *testing.T) {
	c := newStore()
	j, st := opened(t, c)
	n := len(c.values)
	commit(t, j, Meta{Born: st.Born})
	require.Len(t, c.values, n)
	commit(t, j, Meta{Born: st.Born + 1})
	require.Len(t, c.values, n+1)
}

func anyStream(t *rapid.T) *Stream {
	f := rapid.Float64()
	sums := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Sum {
		return Sum{
			Label: rapid.SampledFrom(labels).Draw(t, "label"), Start: rapid.Int64().Draw(t, "start"),
			Grams: f.Draw(t, "g"), Lower: f.Draw(t, "l"), Upper: f.Draw(t, "u"), Cost: f.Draw(t, "c"), Water: f.Draw(t, "w"),
		}
	}), 0, 4)
	owed := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Owed {
		return Owed{From: rapid.Int64().Draw(t, "from"), To: rapid.Int64().Draw(t, "to"), Joules: f.Draw(t, "j"), Grams: f.Draw(t, "g")}
	}), 0, 4)
	return &Stream{
		ID:    ID{rapid.Uint64().Draw(t, "hi"), rapid.Uint64Range(0, 3).Draw(t, "lo")},
		Start: rapid.Int64().Draw(t, "start"), Last: rapid.Int64().Draw(t, "last"),
		Value: f.Draw(t, "value"), Half: f.Draw(t, "half"), Seen: rapid.Int64().Draw(t, "seen"), Ended: rapid.Bool().Draw(t, "ended"),
		Sums: sums.Draw(t, "sums"), Corrections: sums.Draw(t, "corrections"), Owed: owed.Draw(t, "owed"),
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newStore()
		j, _ := opened(t, c)
		want := map[ID]*Stream{}
		for range rapid.IntRange(1, 4).Draw(rt, "commits") {
			list := rapid.SliceOfN(rapid.Custom(anyStream), 0, 5).Draw(rt, "streams")
			commit(t, j, Meta{}, list...)
			for _, s := range list {
				if old := want[s.ID]; old == nil || s.Last >= old.Last {
					want[s.ID] = s
				}
			}
			if rapid.Bool().Draw(rt, "compact") {
				compact(t, j, Meta{}, slices.Collect(maps.Values(want))...)
			}
		}
		_, st := opened(t, c)
		if diff := cmp.Diff(want, st.Streams, cmpopts.EquateEmpty()); diff != "" || st.Trouble != nil {
			rt.Fatalf("%v\n(-want +got):\n%s", st.Trouble, diff)
		}
	})
}

// script is what the simulations execute: commits, and snapshots of several chunks
// with a commit in the middle. It keeps in acked what was acknowledged, and in
// flight what was not but may be there.
type script struct {
	acked, flight map[ID]*Stream
	born          int64
}

func (s *script) commit(j *Journal, streams ...*Stream) error {
	s.flight = maps.Clone(s.acked)
	b := j.Begin()
	for _, st := range streams {
		b.Put(st)
		s.flight[st.ID] = st
	}
	err := b.Commit(context.Background(), Meta{Born: s.born})
	if err == nil {
		s.acked = s.flight
	}
	return err
}

// fat pads a stream, so that two make a chunk.
func fat(s *Stream) *Stream {
	s.Sums = []Sum{{Label: &Label{Zone: strings.Repeat("x", chunkBytes/2)}}}
	return s
}

func (s *script) run(c storage.Client) error {
	s.acked, s.flight = map[ID]*Stream{}, nil
	j, st, err := Open(context.Background(), c, day)
	if err != nil {
		return err
	}
	s.born = st.Born
	for round := range 3 {
		for i := range 3 {
			v := 10*round + 2*i
			if err := s.commit(j, version(uint64(i), v), version(uint64(i+1), v), fat(version(9, v))); err != nil {
				return err
			}
		}
		var inner error
		err := j.Compact(context.Background(), func(yield func(*Stream) bool) {
			for i, id := range slices.SortedFunc(maps.Keys(s.acked), func(a, b ID) int { return int(a.Hi) - int(b.Hi) }) {
				if i == 2 { // someone commits meanwhile, also what was in the snapshot already
					if inner = s.commit(j, version(0, 10*round+8), fat(version(20+uint64(round), 0))); inner != nil {
						return
					}
				}
				if !yield(s.acked[id]) {
					return
				}
			}
		}, func() Meta { return Meta{Born: s.born} })
		if inner != nil {
			return inner
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// The process dies before, or right after, each operation that changes something.
func TestCrash(t *testing.T) {
	for _, late := range []bool{false, true} {
		finished := false
		for k := 0; !finished; k++ {
			require.Less(t, k, 2000)
			c := newStore()
			c.before = dies(k, late)
			var s script
			err := s.run(c)
			finished = err == nil
			after := c.copy()
			_, st := opened(t, after)
			if st.Trouble != nil {
				t.Fatalf("killed at operation %d: %v", k, st.Trouble)
			}
			same := func(want map[ID]*Stream) bool { return cmp.Equal(want, st.Streams, cmpopts.EquateEmpty()) }
			if !same(s.acked) && !same(s.flight) {
				t.Fatalf("killed at operation %d (late %v): what is left is neither what was acknowledged nor that and one commit more\n%s",
					k, late, cmp.Diff(s.acked, st.Streams, cmpopts.EquateEmpty()))
			}
			for m, again := 0, false; !again; m++ { // and dies once more while it starts
				twice := c.copy()
				twice.before = dies(m, late)
				_, _, err := Open(t.Context(), twice, day)
				again = err == nil
				after := twice.copy()
				_, other := opened(t, after)
				if !cmp.Equal(st.Streams, other.Streams, cmpopts.EquateEmpty()) || other.Trouble != nil {
					t.Fatalf("killed again at operation %d of the start: %v", m, other.Trouble)
				}
				require.Len(t, after.values, needed(t, after), "killed again at operation %d of the start", m)
			}
			// Nothing is left behind that the state does not need.
			require.Len(t, after.values, needed(t, after), "killed at operation %d (late %v)", k, late)
		}
	}
}

// dies executes n operations that change something, and one more if late, of which
// nobody hears.
func dies(n int, late bool) func(*storage.Operation) (bool, error) {
	done := 0
	return func(op *storage.Operation) (bool, error) {
		if op.Type == storage.Get && done <= n {
			return false, nil
		}
		if done++; done > n {
			return late && done == n+1, errDead
		}
		return false, nil
	}
}

// needed is how many values a sound store has.
func needed(t *testing.T, c *store) int {
	t.Helper()
	h, _, err := decodeHead(c.values[headKey])
	require.NoError(t, err)
	j := &Journal{head: h}
	n := 1 + int(h.chunks)
	for seq := h.first; c.values[j.recordKey(seq)] != nil; seq++ {
		n++
	}
	return n
}

// Commits and snapshots fail, sometimes after they were written, and the process goes
// on. Whatever Open returns is as new as what was handed on; what it does not return
// is older than Born. If the caller hands on what was not committed, this holds as
// soon as another write has succeeded.
func TestFailures(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newStore()
		j, st := opened(t, c)
		memory := map[ID]int{} // versions
		handed := map[ID]int{}
		born := st.Born
		clock, careless := day, rapid.Bool().Draw(rt, "careless")
		failed, behind, worry := false, false, false
		stream := func(id ID) *Stream { return version(id.Hi, memory[id]) }
		c.before = func(op *storage.Operation) (bool, error) {
			if worry && op.Type != storage.Get && rapid.IntRange(0, 3).Draw(rt, "luck") == 0 {
				return rapid.Bool().Draw(rt, "late"), errFull
			}
			return false, nil
		}
		put := func() {
			b := j.Begin()
			var changed []ID
			for _, n := range rapid.SliceOfNDistinct(rapid.Uint64Range(0, 5), 1, 3, rapid.ID[uint64]).Draw(rt, "ids") {
				id := ID{n, ^n}
				memory[id]++
				changed = append(changed, id)
				b.Put(stream(id))
			}
			worry = true
			err := b.Commit(t.Context(), Meta{Born: born})
			worry = false
			failed, behind = failed || err != nil, err != nil
			if err == nil || careless {
				for _, id := range changed {
					handed[id] = memory[id]
				}
			}
		}
		snapshot := func() {
			worry = true
			failedBefore, behindBefore := failed, behind
			failed, behind = false, false
			err := j.Compact(t.Context(), func(yield func(*Stream) bool) {
				for i, id := range slices.SortedFunc(maps.Keys(memory), func(a, b ID) int { return int(a.Hi) - int(b.Hi) }) {
					if i == 1 && rapid.Bool().Draw(rt, "commit meanwhile") {
						put()
						worry = true
					}
					if !yield(stream(id)) {
						return
					}
				}
			}, func() Meta { return Meta{Born: born} })
			if err != nil {
				failed, behind = failed || failedBefore, behind || behindBefore
			}
			worry = false
		}
		restart := func() {
			c = c.copy()
			clock = clock.Add(time.Hour)
			var err error
			if j, st, err = Open(t.Context(), c, clock); err != nil {
				rt.Fatal(err)
			}
			if st.Trouble != nil && !failed {
				rt.Fatal(st.Trouble)
			}
			for id, v := range handed {
				switch got := st.Streams[id]; {
				case careless && behind:
				case got == nil && (!failed || st.Born != clock.UnixNano()):
					rt.Fatalf("stream %d is lost, Born %d", id.Hi, st.Born)
				case got != nil && got.Value < float64(v):
					rt.Fatalf("stream %d is at %v, after %d was handed on", id.Hi, got.Value, v)
				}
			}
			clear(memory)
			clear(handed)
			born, behind = st.Born, false
			for id, s := range st.Streams {
				memory[id], handed[id] = int(s.Value), int(s.Value)
			}
			failed = false
		}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			switch rapid.IntRange(0, 5).Draw(rt, "step") {
			case 0:
				snapshot()
			case 1:
				before := c.before
				restart()
				c.before = before
			default:
				put()
			}
		}
		restart()
	})
}

func TestDamage(t *testing.T) {
	flip := func(v []byte) []byte { v[len(v)/2] ^= 1; return v }
	tests := map[string]struct {
		key  func(*Journal) string
		harm func([]byte) []byte
		want []*Stream
		born bool // raised
	}{
		"a record in the middle makes older states unusable": {
			key: func(j *Journal) string { return j.recordKey(4) }, harm: flip,
			want: []*Stream{version(3, 4), version(5, 4)}, born: true,
		},
		"so does one that is cut": {
			key: func(j *Journal) string { return j.recordKey(4) }, harm: func(v []byte) []byte { return v[:len(v)-3] },
			want: []*Stream{version(3, 4), version(5, 4)}, born: true,
		},
		"so does one that is missing": {
			key: func(j *Journal) string { return j.recordKey(4) }, harm: func([]byte) []byte { return nil },
			want: []*Stream{version(3, 4), version(5, 4)}, born: true,
		},
		"the last record may contain anything": {
			key: func(j *Journal) string { return j.recordKey(5) }, harm: flip, born: true,
		},
		"the first record": {
			key: func(j *Journal) string { return j.recordKey(3) }, harm: flip,
			want: []*Stream{version(2, 3), version(3, 4), version(5, 4)}, born: true,
		},
		"a chunk loses what is in no record": {
			key: func(j *Journal) string { return j.chunkKey(j.head.generation, 0) }, harm: flip,
			want: []*Stream{version(1, 3), version(2, 3), version(3, 4), version(5, 4)}, born: true,
		},
		"a chunk that is missing": {
			key: func(j *Journal) string { return j.chunkKey(j.head.generation, 0) }, harm: func([]byte) []byte { return nil },
			want: []*Stream{version(1, 3), version(2, 3), version(3, 4), version(5, 4)}, born: true,
		},
		"a head loses everything":              {key: func(*Journal) string { return headKey }, harm: flip, born: true},
		"a head of a later format":             {key: func(*Journal) string { return headKey }, harm: func(v []byte) []byte { v[3]++; return v }, born: true},
		"a head that is empty":                 {key: func(*Journal) string { return headKey }, harm: func([]byte) []byte { return []byte{} }, born: true},
		"a record under another's key is none": {key: func(j *Journal) string { return j.recordKey(5) }, harm: nil, born: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := newStore()
			j, before := opened(t, c)
			commit(t, j, Meta{}, version(1, 1), version(4, 1))
			commit(t, j, Meta{}, version(2, 2), version(3, 2))
			compact(t, j, Meta{}, version(1, 1), version(2, 2), version(3, 2), version(4, 1))
			commit(t, j, Meta{}, version(1, 3)) // record 3
			commit(t, j, Meta{}, version(2, 3), version(3, 3))
			commit(t, j, Meta{}, version(3, 4), version(5, 4))
			key := test.key(j)
			if test.harm == nil {
				c.values[key] = slices.Clone(c.values[j.recordKey(4)])
			} else if v := test.harm(slices.Clone(c.values[key])); v != nil {
				c.values[key] = v
			} else {
				delete(c.values, key)
			}
			broken := c.values[key]
			_, st, err := Open(t.Context(), walkable{c}, day.Add(time.Hour))
			require.NoError(t, err)
			require.ErrorContains(t, st.Trouble, key)
			equal(t, st.Streams, test.want...)
			if got := st.Born == day.Add(time.Hour).UnixNano(); got != test.born {
				t.Errorf("Born = %d", st.Born)
			}
			if key == headKey {
				require.NotEqual(t, before.Seed, st.Seed)
			} else {
				require.Equal(t, before.Seed, st.Seed)
			}
			if broken != nil {
				require.Equal(t, broken, c.values[fmt.Sprintf("corrupt/%d/%s", day.Add(time.Hour).Unix(), key)])
			}

			_, again := opened(t, c)
			require.NoError(t, again.Trouble, "it was not repaired")
			require.Equal(t, st.Meta, again.Meta)
			equal(t, again.Streams, test.want...)
			for key := range c.values {
				if strings.HasPrefix(key, aside) {
					delete(c.values, key)
				}
			}
			require.Len(t, c.values, needed(t, c))
		})
	}
}

// What was written under a head that was lost is not taken for records of the next.
func TestLostHead(t *testing.T) {
	for _, walks := range []bool{false, true} {
		c := newStore()
		j, _ := opened(t, c)
		for v := range 5 {
			commit(t, j, Meta{}, version(1, v))
		}
		delete(c.values, headKey)
		var client storage.Client = c
		if walks {
			client = walkable{c}
		}
		j, st := opened(t, client)
		require.Equal(t, walks, st.Trouble != nil)
		require.Empty(t, st.Streams)
		commit(t, j, Meta{}, version(2, 2))
		_, st = opened(t, c)
		require.NoError(t, st.Trouble)
		equal(t, st.Streams, version(2, 2))
	}
}

func TestMoreRecordsThanAreReadAtOnce(t *testing.T) {
	for _, n := range []int{window - 1, window, window + 1, 3*window + 5} {
		c := newStore()
		j, _ := opened(t, c)
		for v := range n {
			commit(t, j, Meta{}, version(uint64(v), v))
		}
		_, st := opened(t, c)
		require.NoError(t, st.Trouble)
		require.Len(t, st.Streams, n)
	}
}

func TestDue(t *testing.T) {
	c := newStore()
	j, _ := opened(t, c)
	written := 0
	for v := 0; !j.Due(); v++ {
		s := version(1, v)
		commit(t, j, Meta{}, s)
		written += len(c.values[j.recordKey(j.next-1)])
		require.LessOrEqual(t, written, leastWAL+1000)
	}
	require.Greater(t, written, leastWAL)
	reopened, _ := opened(t, c)
	require.True(t, reopened.Due(), "after a restart")
	compact(t, j, Meta{}, version(1, 1))
	require.False(t, j.Due())

	c.before = func(op *storage.Operation) (bool, error) { return false, errFull }
	b := j.Begin()
	b.Put(version(1, 2))
	err := b.Commit(t.Context(), Meta{})
	require.ErrorIs(t, err, errFull)
	require.ErrorContains(t, err, "commit of 1 streams")
	require.False(t, j.Due(), "not while commits fail")
	c.before = nil
	commit(t, j, Meta{}, version(2, 1))
	require.True(t, j.Due(), "what failed is in no record")
	c.before = func(op *storage.Operation) (bool, error) { return false, errFull }
	require.ErrorIs(t, j.Compact(t.Context(), slices.Values([]*Stream{version(1, 2)}), func() Meta { return Meta{} }), errFull)
	require.False(t, j.Due(), "not again at once")
	c.before = nil
	compact(t, j, Meta{}, version(1, 2), version(2, 1))
	require.False(t, j.Due())
	_, st := opened(t, c)
	require.NoError(t, st.Trouble)
	equal(t, st.Streams, version(1, 2), version(2, 1))
}

func TestDeadline(t *testing.T) {
	c := newStore()
	j, _ := opened(t, c)
	blocked, resume := make(chan struct{}), make(chan struct{})
	c.before = func(*storage.Operation) (bool, error) {
		close(blocked)
		<-resume
		return false, nil
	}
	var wg sync.WaitGroup
	wg.Go(func() { commit(t, j, Meta{}, version(1, 1)) })
	<-blocked
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	b := j.Begin()
	b.Put(version(2, 2))
	require.ErrorIs(t, b.Commit(ctx, Meta{}), context.DeadlineExceeded)
	require.ErrorIs(t, j.Compact(ctx, slices.Values([]*Stream{}), func() Meta { return Meta{} }), context.DeadlineExceeded)
	c.before = nil
	close(resume)
	wg.Wait()
	_, _, err := Open(ctx, c, day)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// Each committer has streams of its own; someone compacts all the time.
func TestRace(t *testing.T) {
	const workers, rounds, each = 4, 60, 20
	c := newStore()
	j, _ := opened(t, c)
	var mu sync.Mutex
	memory := map[ID]*Stream{}
	all := func() iter.Seq[*Stream] {
		mu.Lock()
		defer mu.Unlock()
		return slices.Values(slices.Collect(maps.Values(memory)))
	}
	done := make(chan struct{})
	var committers, compacters sync.WaitGroup
	for w := range workers {
		committers.Go(func() {
			for v := range rounds {
				b := j.Begin()
				for i := range each {
					s := version(uint64(w*each+i), v)
					mu.Lock()
					memory[s.ID] = s
					mu.Unlock()
					b.Put(s)
				}
				if err := b.Commit(t.Context(), Meta{Born: int64(v)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 2 {
		compacters.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				// The list is taken when it is asked for, as it would be under the caller's lock.
				lazily := func(yield func(*Stream) bool) {
					for s := range all() {
						if !yield(s) {
							return
						}
					}
				}
				if err := j.Compact(t.Context(), lazily, func() Meta { return Meta{} }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 50 { // acknowledged is what memory said before
		_, st := opened(t, c.copy())
		require.NoError(t, st.Trouble)
	}
	committers.Wait()
	close(done)
	compacters.Wait()
	_, st := opened(t, c)
	require.NoError(t, st.Trouble)
	equal(t, st.Streams, slices.Collect(maps.Values(memory))...)
}

func TestCommitAllocatesNothingForAStream(t *testing.T) {
	j, _ := opened(t, newStore())
	allocs := func(n int) float64 {
		s := version(1, 1)
		return testing.AllocsPerRun(20, func() {
			b := j.Begin()
			for range n {
				b.Put(s)
			}
			j.client = discard{}
			if err := b.Commit(t.Context(), Meta{}); err != nil {
				t.Fatal(err)
			}
		})
	}
	allocs(5000)
	if one, many := allocs(1), allocs(5000); one > 8 || many > one+8 { // the runtime has some of its own while others run
		t.Errorf("%v allocations for a stream, %v for 5000", one, many)
	}
}

// FuzzOpen puts a body with a right checksum, or whatever it is, in the place of a
// head, a chunk or a record. Nothing panics, and what Open makes of it is sound.
func FuzzOpen(f *testing.F) {
	h := head{epoch: 1, seed: 2, generation: 3, chunks: 1, bytes: 100, first: 4, born: 5}
	keys := &Journal{head: h}
	e := newEncoder()
	e.reset()
	e.put(version(1, 1))
	e.put(version(2, 2))
	e.end(0, 6, []byte("extra"))
	record := slices.Clone(e.buf)
	e.reset()
	e.end(1, 6, nil)
	f.Add(uint8(0), true, h.encode([]byte("extra"))[len(magic):])
	f.Add(uint8(1), true, record[len(magic):])
	f.Add(uint8(2), true, record[len(magic):])
	f.Add(uint8(2), true, record[len(magic):len(record)-30])
	f.Add(uint8(2), true, slices.Clone(e.buf[len(magic):]))
	f.Add(uint8(2), false, []byte(magic))
	f.Fuzz(func(t *testing.T, place uint8, sealed bool, body []byte) {
		c := newStore()
		put := func(key string, v []byte) { e := encoder{buf: v}; e.seal(key); c.values[key] = e.buf }
		c.values[headKey] = h.encode(nil)
		put(keys.chunkKey(3, 0), slices.Clone(record))
		put(keys.recordKey(4), slices.Clone(record))
		key := []string{headKey, keys.chunkKey(3, 0), keys.recordKey(4)}[place%3]
		c.values[key] = body
		if sealed {
			put(key, append([]byte(magic), body...))
		}
		_, st := opened(t, walkable{c})
		for _, s := range st.Streams {
			for _, sum := range append(s.Sums, s.Corrections...) {
				if sum.Label == nil {
					t.Fatalf("%+v has a sum without a label", s)
				}
			}
		}
		compactAll := func(st *State) []byte {
			e := newEncoder()
			e.reset()
			for _, id := range slices.SortedFunc(maps.Keys(st.Streams), func(a, b ID) int {
				return order.Or(order.Compare(a.Hi, b.Hi), order.Compare(a.Lo, b.Lo))
			}) {
				e.put(st.Streams[id])
			}
			return e.buf
		}
		_, again := opened(t, c)
		require.NoError(t, again.Trouble)
		require.Equal(t, compactAll(st), compactAll(again))
	})
}

func BenchmarkCommit(b *testing.B) {
	const n = 10_000
	j, _ := opened(b, newStore())
	j.client = discard{}
	s := version(1, 2)
	b.ReportAllocs()
	for b.Loop() {
		batch := j.Begin()
		for i := range uint64(n) {
			s.ID.Lo = i
			batch.Put(s)
		}
		if err := batch.Commit(b.Context(), Meta{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/n, "ns/stream")
	b.ReportMetric(float64(len((<-j.free).buf))/n, "B/stream")
}

func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := newStore()
			j, _ := opened(b, c)
			s := version(1, 2)
			err := j.Compact(b.Context(), func(yield func(*Stream) bool) {
				for i := range uint64(n) {
					s.ID = ID{i, i}
					if !yield(s) {
						return
					}
				}
			}, func() Meta { return Meta{} })
			require.NoError(b, err)
			b.ReportAllocs()
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var st *State
			for b.Loop() {
				_, st = opened(b, c)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			require.Len(b, st.Streams, n)
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB")
			b.ReportMetric(float64(j.head.bytes)/1e6, "stored-MB")
		})
	}
}

// discard is a client that has everything and keeps nothing.
type discard struct{ storage.Client }

func (discard) Set(context.Context, string, []byte) error { return nil }

// Two pipelines see one stream at different paces: what the faster one handed on counts.
func TestTheNewestStateOfAStreamWinsWhateverTheOrder(t *testing.T) {
	store := newStore()
	j, _, err := Open(t.Context(), store, time.Unix(1, 0))
	require.NoError(t, err)
	for _, last := range []int64{20, 10} {
		b := j.Begin()
		b.Put(&Stream{ID: ID{Hi: 1}, Last: last, Value: float64(last)})
		require.NoError(t, b.Commit(t.Context(), Meta{}))
	}
	_, state, err := Open(t.Context(), store, time.Unix(2, 0))
	require.NoError(t, err)
	require.InDelta(t, 20, state.Streams[ID{Hi: 1}].Value, 0)
}
