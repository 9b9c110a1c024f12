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
	up   *upstream
	name string
	turn chan struct{} // held by who asks, so that the others find what it brings

	// Of who holds the turn.
	foreseen   intensity.Series
	foreseenAt time.Time
	horizon    time.Duration

	mu    sync.Mutex
	slots []*intensity.Slot // sorted, without overlaps, of one basis
	holes []hole            // asked for, and empty
	err   error             // of the last request; nil: it came
	again time.Time         // until when err answers those that ask
	dirty bool              // there is something to store

	// Of the refresher.
	due    time.Time
	failed int // in a row
}

func newZone(u *upstream, name string) *zone {
	return &zone{up: u, name: name, turn: make(chan struct{}, 1)}
}

// hole is an interval without values.
type hole struct {
	start, end time.Time
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
	if over := len(z.slots) - maxSlots; over > 0 {
		z.slots = slices.Delete(z.slots, 0, over)
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
	if len(old) == 1 && old[0].Start.Equal(s.Start) && old[0].End.Equal(s.End) && old[0].Quality < intensity.Predicted && old[0].GramsPerKWh != s.GramsPerKWh {
		revised := *s
		revised.Flags |= intensity.Revised
		s = &revised
	}
	z.slots = slices.Replace(z.slots, i, j, s)
	return true
}

// note remembers that there is nothing. The mutex is held.
func (z *zone) note(g intensity.Gap, now time.Time) {
	if !g.Start.Before(g.End) {
		return
	}
	wait := emptyRecently
	if settle := max(z.up.caps.Settle, 24*time.Hour); now.Sub(g.End) > settle {
		wait = emptyLong
	}
	z.holes = slices.DeleteFunc(z.holes, func(h hole) bool {
		return !h.until.After(now) || !h.start.Before(g.Start) && !h.end.After(g.End)
	})
	if len(z.holes) >= maxHoles {
		z.holes = slices.Delete(z.holes, 0, len(z.holes)/2)
	}
	z.holes = append(z.holes, hole{g.Start, g.End, now.Add(wait), g.Err})
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
// happened, what was estimated or preliminary may have been settled. The latter is asked
// once a day, if somebody wants to know.
func (z *zone) outdated(s *intensity.Slot, now time.Time) bool {
	switch s.Quality {
	case intensity.Predicted:
		return !s.End.After(now)
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
// request.
func (z *zone) ensure(ctx context.Context, from, to time.Time) (asked bool, err error) {
	select {
	case z.turn <- struct{}{}:
		defer func() { <-z.turn }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	now := time.Now()
	wanted, because := z.missing(from, to, now)
	if len(wanted) == 0 {
		return false, because
	}
	if err := z.failing(now); err != nil {
		return false, err
	}
	errs := []error{because}
	chunks := z.chunks(wanted)
	if len(chunks) > maxChunks {
		chunks = chunks[:maxChunks]
		errs = append(errs, z.up.fail(intensity.KindNoData, z.name, "the range needs more than %d requests: ask for less at once", maxChunks))
	}
	for _, chunk := range chunks {
		asked = true
		if err := z.ask(ctx, chunk, now); err != nil {
			errs = append(errs, err)
			break // the next would fail likewise
		}
	}
	if ctx.Err() != nil {
		return asked, ctx.Err()
	}
	return asked, errors.Join(errs...)
}

// ask makes one request. What the provider has not is no failure, but a hole.
func (z *zone) ask(ctx context.Context, chunk intensity.Gap, now time.Time) error {
	s, err := z.up.fetch(ctx, z.name, chunk.Start, chunk.End)
	switch kind(err) {
	case intensity.KindNoData, intensity.KindNotYet, intensity.KindTooOld:
		z.empty(chunk, err, now)
		return nil
	}
	if ctx.Err() == nil {
		z.mu.Lock()
		z.err, z.again = err, time.Now().Add(again)
		z.mu.Unlock()
	}
	if err != nil {
		return err
	}
	z.merge(s, now)
	return nil
}

func (z *zone) failing(now time.Time) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	if now.Before(z.again) {
		return z.err
	}
	return nil
}

func (z *zone) empty(g intensity.Gap, err error, now time.Time) {
	z.mu.Lock()
	defer z.mu.Unlock()
	g.Err = err
	z.note(g, now)
}

// chunks cuts intervals into what one request may ask for, the newest first.
func (z *zone) chunks(wanted []intensity.Gap) (out []intensity.Gap) {
	span := z.up.caps.MaxSpan
	for _, g := range wanted {
		for span > 0 && g.End.Sub(g.Start) > span {
			cut := g.Start.Add(span)
			out = append(out, intensity.Gap{Start: g.Start, End: cut})
			g.Start = cut
		}
		out = append(out, g)
	}
	slices.Reverse(out)
	return out
}

// forecast returns a forecast that is not older than a slot, asking for one if need be.
func (z *zone) forecast(ctx context.Context, horizon time.Duration) (intensity.Series, error) {
	select {
	case z.turn <- struct{}{}:
		defer func() { <-z.turn }()
	case <-ctx.Done():
		return intensity.Series{}, ctx.Err()
	}
	now := time.Now()
	if !z.foreseenAt.IsZero() && now.Sub(z.foreseenAt) < min(z.step(), time.Hour) && z.horizon >= horizon && now.Before(z.foreseen.To) {
		return z.foreseen, nil
	}
	s, err := z.up.forecast(ctx, z.name, horizon)
	if err != nil {
		return intensity.Series{}, err
	}
	z.foreseen, z.foreseenAt, z.horizon = s, now, horizon
	z.merge(intensity.Series{From: s.From, To: s.To, Slots: s.Slots}, now)
	return s, nil
}
