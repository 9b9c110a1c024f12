package chain

import (
	"context"
	"slices"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// maxLate bounds the intervals of a place that wait to be asked for.
const maxLate = 64

// lateOf is the key of catchUp among the jobs.
type lateOf struct{ place *livePlace }

// Known implements intensity.Recaller.
func (s *source) Known(q intensity.Query, from, to time.Time) (series intensity.Series, open bool, err error) {
	a, err := s.answer(q)
	if err != nil {
		return intensity.Series{}, false, err
	}
	if a.live == nil {
		if a.err != nil {
			return intensity.Series{}, false, a.err
		}
		return a.handle.Grid().Series(from, to, noData("no provider of the chain has values for this time")), false, nil
	}
	p, now := a.live, time.Now()
	if from.Before(to) && p.kept.Load() {
		var wanted bool
		if open, wanted = p.open(from, to, now); wanted {
			p.want(intensity.Gap{Start: from, End: to})
			s.nudge()
		}
	}
	series = s.series(p, from, to, nil)
	if len(series.Slots) == 0 && len(series.Gaps) > 0 {
		return intensity.Series{}, open, series.Err()
	}
	if n := len(series.Slots); n > 0 {
		s.hooks.answer(series.Slots[n-1], now, true)
	}
	return series, open, nil
}

// open reports whether better values of [from, to) may come, and whether a provider would
// be asked for them now.
func (p *livePlace) open(from, to, now time.Time) (open, wanted bool) {
	p.mu.Lock()
	found := slices.Clone(p.found)
	p.mu.Unlock()
	for i := range found {
		f := &found[i]
		z := f.zone
		switch {
		case z == nil:
			due := !now.Before(f.again)
			open, wanted = open || due || !f.final, wanted || due
			continue
		case !z.isReady():
			return true, wanted
		}
		if _, no := z.up.refuses(route{z.name, whatOf(from)}, now); no {
			continue
		}
		covered, settled := z.settled(from, to, now)
		if !settled {
			open = true
			gaps, _ := z.missing(from, to, now)
			wanted = wanted || len(gaps) > 0
		}
		if covered {
			break // the others are not asked
		}
	}
	return open, wanted
}

// refuses reports whether what is asked of a zone is not in the plan, and until when that
// is taken to be so.
func (u *upstream) refuses(r route, now time.Time) (until time.Time, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, r := range [...]route{r, {zone: r.zone}} {
		if no, ok := u.zones[r]; ok && now.Before(no.until) {
			return no.until, true
		}
	}
	return time.Time{}, false
}

// settled reports whether there are slots for all of [from, to), and whether no better
// answer is to be expected for any of it: it has been measured, or the provider was asked
// when it should have known.
func (z *zone) settled(from, to, now time.Time) (covered, settled bool) {
	settle := max(z.up.caps.Settle, emptyLong)
	if d := z.up.caps.Depth; d > 0 && from.Before(now.Add(-d)) {
		if from = now.Add(-d); !from.Before(to) {
			return false, true // out of reach
		}
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	covered, settled = true, true
	gap := func(start, end time.Time) {
		if !start.Before(end) {
			return
		}
		covered = false
		for settled && start.Before(end) { // holes are in no order
			next := start
			for i := range z.holes {
				if h := &z.holes[i]; !h.start.After(start) && h.end.After(next) && h.noted.Sub(h.end) > settle {
					next = h.end
				}
			}
			if next.Equal(start) {
				settled = false
			}
			start = next
		}
	}
	at := from
	for _, s := range z.slots {
		if !s.End.After(from) {
			continue
		}
		if !s.Start.Before(to) {
			break
		}
		gap(at, s.Start)
		at = s.End
		switch s.Quality {
		case intensity.Predicted, intensity.Estimated, intensity.Preliminary:
			settled = settled && !s.Origin.FetchedAt.Before(s.End.Add(settle))
		case intensity.Measured, intensity.Periodic, intensity.Assumed:
		}
	}
	gap(at, to)
	return covered, settled
}

// want has an interval asked for in the background.
func (p *livePlace) want(g intensity.Gap) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.late { // one that touches it takes it in
		if l := &p.late[i]; !l.End.Before(g.Start) && !g.End.Before(l.Start) {
			if g.Start.Before(l.Start) {
				l.Start = g.Start
			}
			if g.End.After(l.End) {
				l.End = g.End
			}
			return
		}
	}
	if len(p.late) < maxLate { // else it is wanted again
		p.late = append(p.late, g)
	}
}

// isLate reports whether it is time to ask for what is wanted of the past, or when it is.
func (p *livePlace) isLate(now time.Time) (due bool, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(p.late) == 0:
		return false, time.Time{}
	case now.Before(p.lateAt):
		return false, p.lateAt
	}
	return true, now
}

// catchUp asks for what is wanted of the past, the newest first.
func (s *source) catchUp(p *livePlace, catching chan struct{}) {
	select {
	case catching <- struct{}{}:
		defer func() { <-catching }()
	case <-s.ctx.Done():
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, 2*requestWithin)
	defer cancel()
	p.mu.Lock()
	late := p.late
	p.late = nil
	p.mu.Unlock()
	slices.SortFunc(late, func(a, b intensity.Gap) int { return b.Start.Compare(a.Start) })
	for i, g := range late {
		_, err := s.cover(ctx, p, g.Start, g.End, time.Time{})
		if ctx.Err() == nil && kind(err) != intensity.KindRate {
			continue
		}
		for _, g := range late[i:] {
			p.want(g)
		}
		p.mu.Lock()
		p.lateAt = time.Now().Add(min(max(retryAfter(err), again), mostAgain))
		p.mu.Unlock()
		break
	}
	s.renewed(p)
	for _, z := range p.known() {
		if err := s.keep(context.WithoutCancel(ctx), z, false); err != nil {
			s.hooks.trouble(err)
		}
	}
}
