package carbonprocessor

import (
	"testing"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The processor began at 100; times are ns for brevity.
func TestCumulativeState(t *testing.T) {
	const born = 100
	old := stream{start: 50, last: 1000, value: 500} // what most cases meet
	ended := stream{start: 50, last: 1000, value: 500, ended: true}
	for _, tc := range []struct {
		name string
		s    stream
		r    reading
		want step
	}{
		{"the first point of a stream younger than the processor counts from its start", stream{}, reading{100, 200, 7}, step{from: 100, joules: 7}},
		{"the first point of an older stream is a baseline", stream{}, reading{99, 200, 7}, step{verdict: baseline}},
		{"the first point without a start is a baseline", stream{}, reading{0, 200, 7}, step{verdict: baseline}},
		{"growth counts from the last point", old, reading{50, 1100, 530}, step{from: 1000, joules: 30}},
		{"an idle counter adds nothing", old, reading{50, 1100, 500}, step{from: 1000}},
		{"a start that is missing once is no reset", old, reading{0, 1100, 530}, step{from: 1000, joules: 30}},
		{"a start that moves backwards is no reset", old, reading{20, 1100, 530}, step{from: 1000, joules: 30}},
		{"a start stated for the first time is no reset", stream{last: 1000, value: 500}, reading{1000, 1100, 530}, step{from: 1000, joules: 30}},
		{"a start stated for the first time after the last point is a reset", stream{last: 1000, value: 500}, reading{1050, 1100, 530}, step{reset: true, from: 1050, joules: 530}},
		{"a value that fell with a start after the last point counts as a whole", old, reading{1050, 1100, 20}, step{reset: true, from: 1050, joules: 20}},
		{"a start equal to the last point is after it", old, reading{1000, 1100, 20}, step{reset: true, from: 1000, joules: 20}},
		{"a value that grew with a new start counts as a whole", old, reading{1050, 1100, 600}, step{reset: true, from: 1050, joules: 600}},
		{"a value that fell with the old start is a new baseline", old, reading{50, 1100, 20}, step{verdict: rebased, reset: true}},
		{"a value that fell without a start is a new baseline", old, reading{0, 1100, 20}, step{verdict: rebased, reset: true}},
		{"a new start before the last point is a new baseline", old, reading{900, 1100, 600}, step{verdict: rebased, reset: true}},
		{"what ended and goes on counts from the last point", ended, reading{50, 1100, 530}, step{from: 1000, joules: 30}},
		{"what ended and begins anew is no reset", ended, reading{1050, 1100, 600}, step{anew: true, from: 1050, joules: 600}},
		{"what began anew before it ended is a new baseline", ended, reading{900, 1100, 600}, step{verdict: rebased, reset: true}},
		{"the same point again is a duplicate", old, reading{50, 1000, 500}, step{verdict: duplicate}},
		{"another value at the same time is out of order", old, reading{50, 1000, 501}, step{verdict: outOfOrder}},
		{"an older point is out of order", old, reading{50, 999, 400}, step{verdict: outOfOrder}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := tc.s
			require.Equal(t, tc.want, s.cumulative(tc.r, born))
			require.Equal(t, tc.s, s, "judging changes nothing")
		})
	}
}

func TestDeltaState(t *testing.T) {
	old := stream{start: 900, last: 1000, value: 500}
	for _, tc := range []struct {
		name string
		s    stream
		r    reading
		want step
	}{
		{"a first delta counts", stream{}, reading{900, 1000, 500}, step{from: 900, joules: 500}},
		{"a first delta without a start counts at its time", stream{}, reading{0, 1000, 500}, step{from: 1000, joules: 500}},
		{"a delta without a start counts from the last one", old, reading{0, 1100, 5}, step{from: 1000, joules: 5}},
		{"the next delta counts", old, reading{1000, 1100, 5}, step{from: 1000, joules: 5}},
		{"a gap between deltas stays one", old, reading{1050, 1100, 5}, step{from: 1050, joules: 5}},
		{"the same delta again is a duplicate", old, reading{900, 1000, 500}, step{verdict: duplicate}},
		{"a delta that ends where one was counted is out of order", old, reading{900, 1000, 6}, step{verdict: outOfOrder}},
		{"an older delta is out of order", old, reading{800, 900, 6}, step{verdict: outOfOrder}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := tc.s
			require.Equal(t, tc.want, s.delta(tc.r))
		})
	}
}

func TestAcceptKeepsTheLastStatedStart(t *testing.T) {
	s := stream{start: 50, last: 1000, value: 500}
	s.accept(reading{0, 1100, 530})
	require.Equal(t, stream{start: 50, last: 1100, value: 530}, s)
	s.accept(reading{1050, 1200, 1})
	require.Equal(t, stream{start: 1050, last: 1200, value: 1}, s)
	s.ended = true
	s.accept(reading{1300, 1400, 2})
	require.Equal(t, stream{start: 1300, last: 1400, value: 2}, s)
}

func TestStreamsAreBounded(t *testing.T) {
	all := newStreams(2, time.Minute, 100)
	id := func(n uint64) identity { return identity{lo: n} }
	all.add(id(1), &stream{last: 105}, 10)
	all.add(id(2), &stream{last: 106}, 10)
	require.NotNil(t, all.find(id(1), 11))
	all.add(id(3), &stream{last: 107}, 12)
	require.Equal(t, 2, all.len())
	require.Nil(t, all.find(id(2), 12), "the least recently used one goes")
	require.NotNil(t, all.find(id(1), 12))
	require.EqualValues(t, 1, all.capacity)
	require.EqualValues(t, 107, all.born, "what began before the evicted one's last point may have been counted")
}

func TestSilentStreamsAreForgotten(t *testing.T) {
	all := newStreams(10, time.Minute, 0)
	id := func(n uint64) identity { return identity{lo: n} }
	all.add(id(1), &stream{last: 1}, 0)
	all.add(id(2), &stream{last: 2}, 30*time.Second)
	all.sweep(time.Minute)
	require.Equal(t, 2, all.len(), "exactly a minute is not too long")
	all.sweep(time.Minute + 1)
	require.Equal(t, 1, all.len())
	require.Nil(t, all.find(id(2), 90*time.Second+1), "found out on access, too")
	require.Zero(t, all.len())
	require.EqualValues(t, 2, all.expired)
}

// A sender whose clock is a day ahead must not make everyone else's new streams
// wait for a baseline.
func TestAPointFromTheFutureDoesNotMoveBornThere(t *testing.T) {
	all := newStreams(10, time.Minute, 0)
	all.add(identity{lo: 1}, &stream{last: int64(24 * time.Hour)}, 0)
	all.sweep(2 * time.Minute)
	require.Equal(t, int64(2*time.Minute)+1, all.born)
}

// Whatever the order of arrival, guessed right or not, streams are what a list of
// recent use and a map would hold.
func TestStreamsAreAListOfRecentUse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit, stale = 5, 20
		var evicted, expired int64
		all := newStreams(limit, stale, 0)
		model, err := simplelru.NewLRU[identity, *stream](limit, nil)
		require.NoError(t, err)
		now := time.Duration(0)
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now += time.Duration(rapid.IntRange(0, 8).Draw(t, "pause"))
			all.sweep(now)
			for _, s, ok := model.GetOldest(); ok && now-s.seen > stale; _, s, ok = model.GetOldest() {
				model.RemoveOldest()
				expired++
			}
			id := identity{lo: rapid.Uint64Range(1, 8).Draw(t, "id")}
			want, _ := model.Get(id)
			if want != nil && now-want.seen > stale {
				model.Remove(id)
				want = nil
				expired++
			}
			got := all.find(id, now)
			require.Same(t, want, got)
			switch {
			case got == nil:
				s := &stream{}
				all.add(id, s, now)
				if model.Add(id, s) {
					evicted++
				}
			case rapid.Bool().Draw(t, "accepted"):
				got.seen = now
			}
			require.Equal(t, model.Len(), all.len())
			require.Equal(t, [2]int64{evicted, expired}, [2]int64{all.capacity, all.expired})
			at := all.ring.newer
			for _, s := range model.Values() { // from the oldest on
				require.Same(t, s, at)
				at = at.newer
			}
			require.Same(t, &all.ring, at)
		}
	})
}
