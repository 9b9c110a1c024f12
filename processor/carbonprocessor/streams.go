package carbonprocessor

import (
	"time"

	"github.com/otelcarbon/otelcarbon/internal/emission"
)

// A reading is one point of a stream: times in ns since 1970, energy in J or power in
// W. A start of 0 means that the sender did not say.
type reading struct {
	start, at int64
	value     float64
}

// dated reports whether the start says since when the value was counted. Senders that do
// not know state the time of their first point, whatever the counter shows by then.
func (r reading) dated() bool { return r.start < r.at || r.value == 0 }

// A stream is what has to be remembered of a series of energy points.
type stream struct {
	start int64   // last start that was stated, 0 if none ever was
	last  int64   // time of the newest point that counted, 0 before the first
	value float64 // its value
	half  float64 // relative half-width of the power, from the method
	seen  time.Duration
	sums  []series // what has been emitted for it; empty if deltas are emitted
	ended bool     // the sender said so after the newest point

	met     bool   // the rest was found out
	share   uint32 // index in embodied.shares, if its share is of this batch
	refused uint32 // budgets.freed when another pipeline counted it in budgets; 0: none did
	budgets uint64 // that count it, as bits
	asset   *asset // whose making is booked beside it; nil: none
	debts   *debts // nil: all prices are final
	batch   uint64 // in which it is to be stored

	id           identity
	older, newer *stream // neighbors in the order of use
}

// A series is one cumulative output of a stream: the part of its emissions that
// was priced under one label.
type series struct {
	label *label
	start int64 // ns since 1970
	sum   emission.Range
	cost  float64 // in the currency of the configuration
	water float64 // L
}

// add books a part, which has to be of the same label.
func (s *series) add(p *part) {
	s.sum.Add(p.sum)
	s.cost += p.cost
	s.water += p.water
}

// verdict says what a point is to its stream.
type verdict uint8

const (
	priced     verdict = iota // the step's energy was drawn in its interval
	baseline                  // the first point: what came before is unknown
	rebased                   // the counter began anew at an unknown moment
	outOfOrder                // not newer than what was counted already
	duplicate                 // the newest point once more
)

// A step is what a point adds to its stream: joules, drawn evenly from one moment
// to the time of the point.
type step struct {
	verdict verdict
	reset   bool // the counter began anew
	gap     bool // what was drawn since the last point is not known
	anew    bool // after the stream had ended: what was emitted is another series
	from    int64
	joules  float64
}

// step judges a point. It changes nothing: accept does.
func (s *stream) step(r reading, k kind, born int64, longest time.Duration) step {
	switch k {
	case kindDelta:
		return s.delta(r)
	case kindPower:
		return s.gauge(r, longest)
	case kindCumulative:
	}
	return s.cumulative(r, born)
}

// cumulative judges a point of a cumulative sum. Of a stream that is new, the
// whole value counts if it began to accumulate at born or later, since nothing of
// it can have been counted before. It changes nothing: accept does.
func (s *stream) cumulative(r reading, born int64) step {
	if s.last == 0 {
		if r.start != 0 && r.start >= born && r.dated() {
			return step{from: r.start, joules: r.value}
		}
		return step{verdict: baseline}
	}
	if r.at <= s.last {
		return s.late(r)
	}
	// A start that is missing once in a while is no reset, nor is one that moves
	// backwards or is stated for the first time, unless it lies after the last point.
	moved := r.start > s.start && (s.start != 0 || r.start > s.last)
	switch {
	case r.value >= s.value && !moved:
		return step{from: s.last, joules: r.value - s.value}
	case r.start >= s.last && r.dated():
		return step{reset: !s.ended, anew: s.ended, from: r.start, joules: r.value}
	}
	return step{verdict: rebased, reset: true} // how much of it was counted before is unknown
}

// delta judges a point of a delta sum. It changes nothing: accept does.
func (s *stream) delta(r reading) step {
	switch {
	case s.last != 0 && r.at <= s.last:
		return s.late(r)
	case r.start != 0:
		return step{from: r.start, joules: r.value}
	case s.last != 0:
		return step{from: s.last, joules: r.value}
	}
	return step{from: r.at, joules: r.value}
}

// gauge judges a point of power: it was drawn as the trapezoid between this point and
// the last one has it, unless they are too far apart. It changes nothing: accept does.
func (s *stream) gauge(r reading, longest time.Duration) step {
	switch {
	case s.last == 0 || s.ended:
		return step{verdict: baseline}
	case r.at <= s.last:
		return s.late(r)
	case r.at-s.last > int64(longest):
		return step{verdict: baseline, gap: true}
	}
	return step{from: s.last, joules: (s.value/2 + r.value/2) * (float64(r.at-s.last) / 1e9)}
}

func (s *stream) late(r reading) step {
	if r.at == s.last && r.value == s.value {
		return step{verdict: duplicate}
	}
	return step{verdict: outOfOrder}
}

// accept makes r the newest point.
func (s *stream) accept(r reading) {
	if r.start != 0 {
		s.start = r.start
	}
	s.last, s.value, s.ended = r.at, r.value, false
}

// streams holds the newest streams, up to a limit. It is not safe for concurrent
// use. Moments of observation are durations since it was made.
type streams struct {
	byID  map[identity]*stream
	ring  stream  // in the order of use: ring.newer is the oldest, ring.older the newest
	guess *stream // what was used after the stream found last, the last time; may be nil
	limit int
	stale time.Duration
	made  int64 // ns since 1970
	// born is the moment from which on a stream that is not here cannot have been
	// here before: when this was made, or the newest point of anything evicted since.
	// Without the latter, a stream that comes back would be counted twice.
	born    int64
	evicted int64 // ns since 1970: the newest point of anything evicted; 0 if nothing was

	capacity, expired int64 // evictions since the last report

	gone func(*stream) // is told of what is forgotten
}

func newStreams(limit int, stale time.Duration, made int64) *streams {
	t := &streams{byID: make(map[identity]*stream), limit: limit, stale: stale, made: made, born: made}
	t.ring.older, t.ring.newer = &t.ring, &t.ring
	t.gone = func(*stream) {}
	return t
}

// find returns the stream, or nil if it is not known or was silent for too long.
// What it returns is the most recently used from now on. Senders repeat themselves:
// most streams are found where they stood in the batch before, without the map.
func (t *streams) find(id identity, now time.Duration) *stream {
	s := t.guess
	if s == nil || s.id != id {
		if s = t.byID[id]; s == nil {
			return nil
		}
	}
	if now-s.seen > t.stale { // refused points keep a stream in memory, but do not keep it valid
		t.remove(s, now)
		t.expired++
		return nil
	}
	if t.guess = s.newer; t.guess == &t.ring {
		t.guess = nil
		return s // the newest already
	}
	s.unlink()
	t.use(s)
	return s
}

// add makes room first if there is none.
func (t *streams) add(id identity, s *stream, now time.Duration) {
	s.id, s.seen = id, now
	for len(t.byID) >= t.limit {
		t.remove(t.ring.newer, now)
		t.capacity++
	}
	t.byID[id] = s
	t.use(s)
}

// sweep drops streams that were silent for too long, from the least recently used
// on. Every stream is dropped once, so that the cost per point stays constant.
func (t *streams) sweep(now time.Duration) {
	for len(t.byID) > 0 && now-t.ring.newer.seen > t.stale {
		t.remove(t.ring.newer, now)
		t.expired++
	}
}

// remove moves born behind the newest point of s, but never into the future: one
// sender whose clock is ahead must not delay everyone else's streams.
func (t *streams) remove(s *stream, now time.Duration) {
	if t.guess == s {
		t.guess = nil
	}
	delete(t.byID, s.id)
	s.unlink()
	t.gone(s)
	t.forget(s.last, now)
}

// forget takes notice that nothing is known any more of a stream with points up to last.
func (t *streams) forget(last int64, now time.Duration) {
	t.evicted = max(t.evicted, min(last, t.made+int64(now)))
	t.born = max(t.born, t.evicted+1)
}

// use makes s, which is not in the ring, the newest.
func (t *streams) use(s *stream) {
	s.older, s.newer = t.ring.older, &t.ring
	s.older.newer, t.ring.older = s, s
}

func (s *stream) unlink() { s.older.newer, s.newer.older = s.newer, s.older }

func (t *streams) len() int { return len(t.byID) }
