package chain

import (
	"context"
	"errors"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
)

const (
	// maxSlots bounds the slots kept of a zone: 69 days of 5 minutes, some 7 MB.
	maxSlots = 20_000
	// maxHoles bounds the intervals that are known to be empty.
	maxHoles = 1024

	again         = 5 * time.Second  // until what failed is tried again for somebody
	emptyRecently = 15 * time.Minute // until a recent hole is asked for again
	emptyLong     = 24 * time.Hour   // and an old one
	maxChunks     = 64               // requests for one Range and zone
)

// zone is what is known from one provider for one zone of its. It is safe for
// concurrent use.
type zone struct {
	up     *upstream
	name   string
	turn   chan struct{} // held by who asks, so that the others find what it brings
	loaded chan struct{} // closed when what was stored is there, or will not come

	ahead chan struct{} // like turn, for forecasts

	mu     sync.Mutex
	slots  []*intensity.Slot   // sorted, without overlaps, of one basis
	holes  []hole              // asked for, and empty
	failed [future + 1]failure // by what was asked for
	stale  bool                // asking for the present failed last
	dirty  bool                // there is something to store

	foreseen   intensity.Series // the newest forecast
	foreseenAt time.Time
	horizon    time.Duration

	// Of the refresher.
	due      time.Time
	failures int       // in a row
	since    time.Time // first wanted
	stored   time.Time
	used     time.Time // by a place that is in use
}

// failure is an error that answers those who ask for the same, for a while.
type failure struct {
	err   error
	until time.Time
}

func newZone(u *upstream, name string) *zone {
	return &zone{
		up: u, name: name, used: time.Now(),
		turn: make(chan struct{}, 1), ahead: make(chan struct{}, 1), loaded: make(chan struct{}),
	}
}

// ready waits until what was stored of the zone is there.
func (z *zone) ready(ctx context.Context) error {
	select {
	case <-z.loaded:
		return nil
	default:
	}
	select {
	case <-z.loaded:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (z *zone) isReady() bool {
	select {
	case <-z.loaded:
		return true
	default:
		return false
	}
}

// hole is an interval without values.
type hole struct {
	start, end time.Time
	noted      time.Time
	until      time.Time // it is taken to be empty
	err        error
}

func (z *zone) step() time.Duration {
	if s := z.up.caps.Step; s > 0 {
		return s
	}
	return time.Hour
}

// within returns the slots that touch [from, to). They are not to be changed.
func (z *zone) within(from, to time.Time) []*intensity.Slot {
	z.mu.Lock()
	defer z.mu.Unlock()
	i := sort.Search(len(z.slots), func(i int) bool { return z.slots[i].End.After(from) })
	j := sort.Search(len(z.slots), func(j int) bool { return !z.slots[j].Start.Before(to) })
	if i >= j {
		return nil
	}
	return slices.Clone(z.slots[i:j])
}

// merge takes over what a request brought at a moment.
func (z *zone) merge(s intensity.Series, now time.Time) {
	z.mu.Lock()
	defer z.mu.Unlock()
	changed := false
	if len(s.Slots) > 0 && len(z.slots) > 0 && s.Slots[0].Basis != z.slots[0].Basis {
		z.slots, changed = nil, true // the provider speaks of something else now
	}
	for _, slot := range s.Slots {
		changed = z.put(slot) || changed
	}
	if over := len(z.slots) - maxSlots; over > 0 { // the oldest, but not what was asked for right now
		z.slots = slices.DeleteFunc(z.slots, func(o *intensity.Slot) bool {
			drop := over > 0 && o.End.Before(now.Add(-2*recently)) && (!o.Start.Before(s.To) || !o.End.After(s.From))
			if drop {
				over--
			}
			return drop
		})
	}
	for _, g := range s.Gaps {
		z.note(g, now)
	}
	z.dirty = z.dirty || changed
}

// put takes over one slot: the newest version wins, but for forecasts of what is known.
func (z *zone) put(s *intensity.Slot) bool {
	i := sort.Search(len(z.slots), func(i int) bool { return z.slots[i].End.After(s.Start) })
	j := i
	for j < len(z.slots) && z.slots[j].Start.Before(s.End) {
		j++
	}
	old := z.slots[i:j]
	if s.Quality == intensity.Predicted {
		for _, o := range old {
			if o.Quality < intensity.Predicted {
				return false
			}
		}
	}
	changed := true
	if len(old) == 1 && old[0].Start.Equal(s.Start) && old[0].End.Equal(s.End) && old[0].Quality < intensity.Predicted {
		changed = old[0].GramsPerKWh != s.GramsPerKWh || old[0].Quality != s.Quality
		if old[0].GramsPerKWh != s.GramsPerKWh || old[0].Flags&intensity.Revised != 0 {
			revised := *s
			revised.Flags |= intensity.Revised
			s = &revised
		}
	}
	z.slots = slices.Replace(z.slots, i, j, s)
	return changed
}

// note remembers that there is nothing. The mutex is held.
func (z *zone) note(g intensity.Gap, now time.Time) {
	if !g.Start.Before(g.End) {
		return
	}
	wait := z.emptyFor(g.End, now)
	z.holes = slices.DeleteFunc(z.holes, func(h hole) bool {
		return !h.until.After(now) || !h.start.Before(g.Start) && !h.end.After(g.End)
	})
	if len(z.holes) >= maxHoles {
		z.holes = slices.Delete(z.holes, 0, len(z.holes)/2)
	}
	z.holes = append(z.holes, hole{g.Start, g.End, now, now.Add(wait), g.Err})
}

// emptyFor is for how long nobody asks again for what has no value that was seen.
func (z *zone) emptyFor(end, now time.Time) time.Duration {
	if now.Sub(end) > max(z.up.caps.Settle, 24*time.Hour) {
		return emptyLong
	}
	return emptyRecently
}

// missing returns what of [from, to) is neither known nor known to be empty, nor out of
// the provider's reach, in whole steps, and why the rest is empty.
func (z *zone) missing(from, to, now time.Time) (wanted []intensity.Gap, because error) {
	step := z.step()
	if d := z.up.caps.Depth; d > 0 && from.Before(now.Add(-d)) {
		from = now.Add(-d)
		because = z.up.fail(intensity.KindTooOld, z.name, "it reaches back %v", d)
	}
	if last := now.Add(step); to.After(last) {
		to = last
	}
	from, to = floor(from, step), ceil(to, step)
	z.mu.Lock()
	defer z.mu.Unlock()
	at := from
	i := sort.Search(len(z.slots), func(i int) bool { return z.slots[i].End.After(from) })
	for ; at.Before(to); i++ {
		end := to
		if i < len(z.slots) && z.slots[i].Start.Before(to) {
			end = z.slots[i].Start
		}
		wanted, because = z.open(wanted, at, end, now, because)
		if i >= len(z.slots) {
			break
		}
		at = z.slots[i].End
		if z.outdated(z.slots[i], now) {
			wanted, because = z.open(wanted, z.slots[i].Start, z.slots[i].End, now, because)
		}
	}
	return joined(wanted, step), because
}

// outdated reports whether the provider may know better by now: what was predicted has
// happened, what was estimated or preliminary may have been settled. The former is asked
// like what is empty, the latter once a day, if somebody wants to know.
func (z *zone) outdated(s *intensity.Slot, now time.Time) bool {
	switch s.Quality {
	case intensity.Predicted:
		at := s.Origin.FetchedAt
		return !s.End.After(now) && (at.Before(s.End) || now.Sub(at) > z.emptyFor(s.End, now))
	case intensity.Estimated:
		return now.Sub(s.Origin.FetchedAt) > emptyLong
	case intensity.Preliminary:
		return now.Sub(s.End) > z.up.caps.Settle && now.Sub(s.Origin.FetchedAt) > emptyLong
	case intensity.Measured, intensity.Periodic, intensity.Assumed:
	}
	return false
}

// open appends [from, to) but for the holes in it. The mutex is held.
func (z *zone) open(dst []intensity.Gap, from, to, now time.Time, because error) ([]intensity.Gap, error) {
	for from.Before(to) {
		end, skip := to, time.Time{}
		for i := range z.holes {
			h := &z.holes[i]
			switch {
			case !h.until.After(now) || !h.end.After(from) || !h.start.Before(to):
			case !h.start.After(from):
				if h.end.After(skip) {
					skip = h.end
				}
				if because == nil {
					because = h.err
				}
			case h.start.Before(end):
				end = h.start
			}
		}
		if !skip.IsZero() {
			from = skip
			continue
		}
		dst = append(dst, intensity.Gap{Start: from, End: end})
		from = end
	}
	return dst, because
}

// joined merges what lies next to each other or less than a step apart.
func joined(gaps []intensity.Gap, step time.Duration) []intensity.Gap {
	out := gaps[:0]
	for _, g := range gaps {
		if n := len(out); n > 0 && g.Start.Sub(out[n-1].End) < step {
			out[n-1].End = g.End
			continue
		}
		out = append(out, g)
	}
	return out
}

// floor and ceil round to whole steps since the zero time, as slots of an hour or less
// do. Longer ones begin with a day.
func floor(t time.Time, step time.Duration) time.Time {
	return t.UTC().Truncate(min(step, 24*time.Hour))
}

func ceil(t time.Time, step time.Duration) time.Time {
	if f := floor(t, step); f.Before(t) {
		return f.Add(min(step, 24*time.Hour))
	}
	return t.UTC()
}

// ensure asks for what of [from, to) is missing. Many that want the same make one
// request; who misses nothing waits for nobody.
//
// Of a zone of which nothing is known since a moment, the last day is asked for, as the
// background does: there may be a value to carry forward. The zero time: no more than what
// is missing.
func (z *zone) ensure(ctx context.Context, from, to, since time.Time) (asked bool, err error) {
	if err := z.ready(ctx); err != nil {
		return false, err
	}
	now := time.Now()
	wanted, because := z.missing(from, to, now)
	if len(wanted) > 0 && !since.IsZero() && !z.seenSince(since) {
		since = earlier(now.Add(-recently), from)
		if span := z.up.caps.MaxSpan; span > 0 { // in one request
			since = later(since, ceil(to, z.step()).Add(-span))
		}
		wanted, because = z.missing(since, to, now)
	}
	chunks := z.chunks(wanted)
	errs := []error{because}
	if len(chunks) > maxChunks {
		chunks = chunks[:maxChunks]
		errs = append(errs, z.up.fail(intensity.KindNoData, z.name, "the range needs more than %d requests: ask for less at once", maxChunks))
	}
	for _, chunk := range chunks {
		did, err := z.askOnce(ctx, chunk)
		asked = asked || did
		if ctx.Err() != nil {
			return asked, ctx.Err()
		}
		if err != nil {
			errs = append(errs, err)
			break // the next would fail likewise
		}
	}
	return asked, errors.Join(errs...)
}

// askOnce asks for a part, unless somebody else has meanwhile.
func (z *zone) askOnce(ctx context.Context, chunk intensity.Gap) (asked bool, err error) {
	if err := z.failing(whatOf(chunk.Start), time.Now()); err != nil {
		return false, err
	}
	select {
	case z.turn <- struct{}{}:
		defer func() { <-z.turn }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	now := time.Now()
	wanted, _ := z.missing(chunk.Start, chunk.End, now)
	if len(wanted) == 0 {
		return true, nil
	}
	if err := z.failing(whatOf(chunk.Start), now); err != nil {
		return false, err
	}
	return true, z.ask(ctx, chunk, now)
}

// ask makes one request. What the provider has not is no failure, but a hole.
func (z *zone) ask(ctx context.Context, chunk intensity.Gap, now time.Time) error {
	_, err := z.up.fetch(ctx, z.name, chunk.Start, chunk.End, func(s intensity.Series, err error) {
		what := whatOf(chunk.Start)
		switch kind(err) {
		case intensity.KindNoData, intensity.KindNotYet, intensity.KindTooOld:
			z.empty(chunk, err, now)
			z.remember(what, nil)
			z.renewal(chunk, nil, now)
			return
		}
		z.remember(what, err)
		z.renewal(chunk, err, now)
		if err == nil {
			z.merge(s, now)
			z.uncovered(chunk, s, now)
		}
	})
	switch kind(err) {
	case intensity.KindNoData, intensity.KindNotYet, intensity.KindTooOld:
		return nil
	}
	return err
}

// renewal takes down whether asking for the present failed. That we did not ask is no failure.
func (z *zone) renewal(chunk intensity.Gap, err error, now time.Time) {
	if _, full := errors.AsType[usedUpError](err); full || chunk.End.Before(now) {
		return
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.stale = err != nil
}

// uncovered notes as empty what of a part an answer does not speak of.
func (z *zone) uncovered(chunk intensity.Gap, s intensity.Series, now time.Time) {
	z.mu.Lock()
	defer z.mu.Unlock()
	none := z.up.fail(intensity.KindNoData, z.name, "the answer does not speak of it")
	if s.From.After(chunk.Start) {
		z.note(intensity.Gap{Start: chunk.Start, End: s.From, Err: none}, now)
	}
	if s.To.Before(chunk.End) {
		z.note(intensity.Gap{Start: s.To, End: chunk.End, Err: none}, now)
	}
}

// whatOf is what a request that begins at a moment asks for.
func whatOf(from time.Time) what {
	if time.Since(from) <= recently+2*time.Hour {
		return present
	}
	return past
}

func (z *zone) remember(w what, err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.failed[w] = failure{err, time.Now().Add(again)}
}

func (z *zone) failing(w what, now time.Time) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	if f := z.failed[w]; now.Before(f.until) {
		return f.err
	}
	return nil
}

func (z *zone) empty(g intensity.Gap, err error, now time.Time) {
	z.mu.Lock()
	defer z.mu.Unlock()
	g.Err = err
	z.note(g, now)
}

// chunks cuts intervals into what one request may ask for, the newest first, and at most
// one more than maxChunks.
func (z *zone) chunks(wanted []intensity.Gap) (out []intensity.Gap) {
	span := z.up.caps.MaxSpan
	for _, g := range slices.Backward(wanted) {
		for span > 0 && g.End.Sub(g.Start) > span && len(out) <= maxChunks {
			cut := g.End.Add(-span)
			out = append(out, intensity.Gap{Start: cut, End: g.End})
			g.End = cut
		}
		if out = append(out, g); len(out) > maxChunks {
			break
		}
	}
	return out
}

// forecast returns a forecast that begins now and is not older than a slot, asking for
// one if need be. Where the provider's rate has none left for it, it waits if it may be
// asked for before ctx ends, and else says at once when.
func (z *zone) forecast(ctx context.Context, horizon time.Duration) (intensity.Series, error) {
	if err := z.ready(ctx); err != nil {
		return intensity.Series{}, err
	}
	until, ok := ctx.Deadline()
	if !ok {
		until = time.Now().Add(requestWithin)
	}
	for {
		s, err := z.foresee(ctx, horizon)
		no, full := errors.AsType[usedUpError](err)
		if !full || time.Now().Add(no.as.RetryAfter).After(until) {
			return s, err
		}
		timer := time.NewTimer(no.as.RetryAfter)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return intensity.Series{}, ctx.Err()
		}
	}
}

// foresee is forecast without waiting for the rate.
func (z *zone) foresee(ctx context.Context, horizon time.Duration) (intensity.Series, error) {
	if err := z.failing(future, time.Now()); err != nil {
		return intensity.Series{}, err
	}
	select {
	case z.ahead <- struct{}{}:
		defer func() { <-z.ahead }()
	case <-ctx.Done():
		return intensity.Series{}, ctx.Err()
	}
	now := time.Now()
	s, fresh := z.known(horizon, now)
	if !fresh {
		if err := z.failing(future, now); err != nil {
			return intensity.Series{}, err
		}
		var err error
		if s, err = z.up.forecast(ctx, z.name, horizon, func(s intensity.Series, err error) { z.foresaw(s, err, horizon, now) }); err != nil {
			return intensity.Series{}, err
		}
	}
	return from(s, now, now.Add(horizon), z.up.depth), nil
}

// known returns the newest forecast, and whether it is new enough.
func (z *zone) known(horizon time.Duration, now time.Time) (_ intensity.Series, fresh bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.foreseen, !z.foreseenAt.IsZero() && now.Sub(z.foreseenAt) < min(z.step(), time.Hour) &&
		z.horizon >= horizon && !z.foreseen.To.Before(now.Add(horizon))
}

// foresaw takes over what a request for a forecast brought, for whoever asks next.
func (z *zone) foresaw(s intensity.Series, err error, horizon time.Duration, now time.Time) {
	if _, full := errors.AsType[usedUpError](err); full {
		return
	}
	z.remember(future, err)
	if err != nil {
		return
	}
	z.mu.Lock()
	z.foreseen, z.foreseenAt, z.horizon = s, now, horizon
	other := len(s.Slots) > 0 && len(z.slots) > 0 && s.Slots[0].Basis != z.slots[0].Basis
	z.mu.Unlock()
	if !other { // nothing is put beside values of another basis, nor in their place
		z.merge(intensity.Series{From: s.From, To: s.To, Slots: s.Slots}, now)
	}
}

// from returns what of a series has not ended at a moment and begins before another, in
// whole slots.
func from(s intensity.Series, now, until time.Time, depth int) (out intensity.Series) {
	touch := func(start, end time.Time) bool {
		if !end.After(now) || !start.Before(until) {
			return false
		}
		if out.From.IsZero() || start.Before(out.From) {
			out.From = start
		}
		if end.After(out.To) {
			out.To = end
		}
		return true
	}
	for _, slot := range marked(s.Slots, depth) {
		if touch(slot.Start, slot.End) {
			out.Slots = append(out.Slots, slot)
		}
	}
	for _, g := range s.Gaps {
		if touch(g.Start, g.End) {
			out.Gaps = append(out.Gaps, g)
		}
	}
	return out
}
