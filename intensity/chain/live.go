package chain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
)

const (
	defaultMaxStale = 6 * time.Hour
	// atHand is how far back a Handle knows live values. What is older is in the cache.
	atHand = 7 * 24 * time.Hour
	// recently is what a request for the present asks for: providers correct the last day.
	recently = 24 * time.Hour
)

// livePlace is a place that live providers are asked about.
type livePlace struct {
	query     intensity.Query
	upstreams []*upstream       // those before the first table that knows the place
	coarse    []*intensity.Slot // of tables; may be empty
	handle    *intensity.Handle

	handed atomic.Bool  // somebody has the Handle
	wanted atomic.Bool  // and reads it: it is renewed in the background
	idle   atomic.Bool  // nobody has asked for long: the Handle has no live values
	kept   atomic.Bool  // the source remembers it
	used   atomic.Int64 // when it was asked for last, ns since 1970

	rebuilding sync.Mutex
	shown      []*intensity.Slot // the live values that the Handle has

	mu     sync.Mutex      // never held while somebody is asked
	found  []finding       // by upstream
	late   []intensity.Gap // wanted of the past
	lateAt time.Time       // not before
}

// finding is what an upstream says of where the place lies.
type finding struct {
	turn  chan struct{} // held by who asks
	zone  *zone         // nil: nobody has asked yet, or it is not covered
	err   error         // why not
	final bool          // that is so because of the place, the basis or the plan
	again time.Time     // it is asked again then
}

// settled reports whether nobody need be asked now.
func (f *finding) settled(now time.Time) bool { return f.zone != nil || now.Before(f.again) }

func (p *livePlace) use(now time.Time) {
	p.used.Store(now.UnixNano())
	p.idle.Store(false)
}

// unresolved reports whether it is time to find a zone of the place, or when it is.
func (p *livePlace) unresolved(now time.Time) (due bool, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.found {
		f := &p.found[i]
		switch {
		case f.zone != nil:
		case !now.Before(f.again):
			return true, now
		case at.IsZero() || f.again.Before(at):
			at = f.again
		}
	}
	return false, at
}

func (p *livePlace) maxStale() time.Duration {
	if p.query.MaxStale > 0 {
		return p.query.MaxStale
	}
	return defaultMaxStale
}

// known returns the zones that the place has, in the order of the chain.
func (p *livePlace) known() (zones []*zone) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.found {
		if z := p.found[i].zone; z != nil {
			zones = append(zones, z)
		}
	}
	return zones
}

// find returns the zone that the place has for one of its upstreams, and asks for it if
// need be. What fails for want of an answer is tried again.
func (s *source) find(ctx context.Context, p *livePlace, i int) (*zone, error) {
	at := func() finding {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.found[i]
	}
	f := at()
	if f.settled(time.Now()) {
		return f.zone, f.err
	}
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if f = at(); f.settled(time.Now()) { // meanwhile
		return f.zone, f.err
	}
	u, wait := p.upstreams[i], time.Minute
	f.zone, f.err, f.final = nil, nil, false
	if u.caps.Offers(p.query.Want) {
		var name string
		name, f.err = u.resolve(ctx, p.query.Location)
		if f.err == nil {
			f.zone = s.zone(u, name) //nolint:contextcheck // the store is read for all who come
		} else if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	} else {
		f.err = u.fail(intensity.KindBasis, "", "wanted is %s", p.query.Want)
	}
	if full, ok := errors.AsType[usedUpError](f.err); ok {
		wait = min(wait, full.as.RetryAfter)
	}
	switch kind(f.err) {
	case intensity.KindZone, intensity.KindBasis, intensity.KindPlan: // places and plans change, if rarely
		f.final, wait = true, refusedFor
	}
	now := time.Now()
	f.again = now.Add(wait)
	if l, ok := u.found(locationKey(p.query.Location), now); ok { // it may be of yesterday
		f.again = l.until
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.found[i] = f
	return f.zone, f.err
}

// compose returns what the providers have for [from, to): the first one's slots, and the
// others' of the same basis where it has none.
func (p *livePlace) compose(from, to time.Time) (out []*intensity.Slot) {
	for _, z := range p.known() {
		var fit []*intensity.Slot
		for _, s := range z.within(from, to) {
			if p.accepts(s) && (len(out) == 0 || s.Basis == out[0].Basis) {
				fit = append(fit, s)
			}
		}
		fit = marked(fit, z.up.depth)
		if len(out) == 0 {
			out = fit
		} else if len(fit) > 0 {
			out = merged(out, fit)
		}
	}
	return out
}

func (p *livePlace) accepts(s *intensity.Slot) bool {
	return p.query.Want.Accepts(s.Basis) && (p.query.Worst == 0 || s.Quality <= p.query.Worst)
}

// merged fills what first leaves open. Of first, what has been predicted gives way to
// what has been seen.
func merged(first, more []*intensity.Slot) []*intensity.Slot {
	seen, foreseen := bySight(first)
	seenToo, foreseenToo := bySight(more)
	return under(under(under(seen, seenToo), foreseen), foreseenToo)
}

func bySight(slots []*intensity.Slot) (seen, foreseen []*intensity.Slot) {
	for _, s := range slots {
		if s.Quality < intensity.Predicted {
			seen = append(seen, s)
		} else {
			foreseen = append(foreseen, s)
		}
	}
	return seen, foreseen
}

// under lays slots into the gaps of others.
func under(slots, more []*intensity.Slot) []*intensity.Slot {
	if len(slots) == 0 {
		return more
	}
	return filled(slots, more)
}

// carried returns slots in which the newest value that was seen, not foreseen, is carried
// forward, until it is too old: slots as long as it, but of the provider's step at least.
// They lie under whatever else is known.
func (p *livePlace) carried(basis *intensity.Basis, widths *intensity.HalfWidths, until time.Time) (out []*intensity.Slot) {
	if p.query.Worst != 0 && p.query.Worst < intensity.Estimated {
		return nil
	}
	var of *zone // whose newest value is the newest of all
	var last *intensity.Slot
	flags := intensity.Extrapolated
	for _, z := range p.known() {
		newest, stale := z.newestSeen()
		if newest == nil || !p.accepts(newest) || basis != nil && newest.Basis != *basis || last != nil && !newest.End.After(last.End) {
			continue
		}
		of, last, flags = z, newest, intensity.Extrapolated
		if stale {
			flags |= intensity.Stale
		}
	}
	if last == nil {
		return nil
	}
	last = marked([]*intensity.Slot{last}, of.up.depth)[0]
	length := max(last.End.Sub(last.Start), of.step())
	step := length + (p.maxStale() / maxCarried).Truncate(length)
	stale := last.End.Add(p.maxStale().Truncate(time.Minute)) // on a step that grids can have
	end := earlier(stale, until)
	for at := last.End; at.Before(end); at = at.Add(step) {
		s := *last
		s.Start, s.End = at, earlier(at.Add(step), stale)
		s.Flags |= flags
		s.Quality = max(s.Quality, intensity.Estimated)
		if w := widths.Spread(s.Quality, intensity.Circumstances{Length: step, Carried: s.End.Sub(last.End)}); w.Half > s.Spread.Half {
			s.Spread = w
		}
		out = append(out, &s)
	}
	return out
}

// maxCarried bounds the slots in which one value is carried forward.
const maxCarried = 1000

// newestSeen returns the newest slot that is neither foreseen nor periodic, and whether it
// could not be renewed.
func (z *zone) newestSeen() (*intensity.Slot, bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, s := range slices.Backward(z.slots) {
		if s.Quality < intensity.Predicted {
			return s, z.stale
		}
	}
	return nil, false
}

// seenSince reports whether there is a value that has been seen and reaches beyond a moment.
func (z *zone) seenSince(t time.Time) bool {
	newest, _ := z.newestSeen()
	return newest != nil && newest.End.After(t)
}

// withCarried lays what is carried forward under the slots of a place.
func (s *source) withCarried(p *livePlace, live []*intensity.Slot, until time.Time) []*intensity.Slot {
	var basis *intensity.Basis
	if len(live) > 0 {
		basis = &live[0].Basis
	}
	carried := p.carried(basis, &s.widths, until)
	if len(carried) == 0 {
		return live
	}
	return under(live, carried)
}

// rebuild gives the handle of a place what is known now.
func (s *source) rebuild(p *livePlace, now time.Time) {
	from, to, changed, err := s.show(p, now)
	s.hooks.trouble(err)
	if changed && s.hooks.Changed != nil {
		s.hooks.Changed(p.handle, from, to)
	}
}

// show is rebuild without its hooks, and says what has changed. It may do its work and
// return an error.
func (s *source) show(p *livePlace, now time.Time) (from, to time.Time, changed bool, err error) {
	p.rebuilding.Lock()
	defer p.rebuilding.Unlock()
	if p.idle.Load() {
		return from, to, false, nil
	}
	live := s.withCarried(p, p.compose(now.Add(-atHand), now.Add(atHand)), now.Add(atHand))
	g, no := intensity.NewGrid(p.coarse, live)
	if no != nil {
		err, live = fmt.Errorf("live values cannot be laid on a grid: %w", no), nil
		if g, no = intensity.NewGrid(p.coarse, nil); no != nil {
			return from, to, false, no
		}
	}
	p.handle.Set(g)
	if s.hooks.Changed != nil {
		from, to, changed = difference(p.shown, live, now.Add(-atHand), now)
	}
	p.shown = live
	return from, to, changed, err
}

// difference returns the shortest interval that holds all in which old and others differ,
// of slots that end after since and have begun by now.
func difference(old, others []*intensity.Slot, since, now time.Time) (from, to time.Time, some bool) {
	type face struct {
		start, end time.Time
		grams      float64
		quality    intensity.Quality
		basis      intensity.Basis
		provider   string
		carried    bool
	}
	faces := make(map[face]bool, len(old))
	each := func(slots []*intensity.Slot, visit func(face)) {
		for _, s := range slots {
			if s.End.After(since) && !s.Start.After(now) {
				visit(face{s.Start, s.End, s.GramsPerKWh, s.Quality, s.Basis, s.Origin.Provider, s.Flags&intensity.Extrapolated != 0})
			}
		}
	}
	each(old, func(f face) { faces[f] = true })
	each(others, func(f face) {
		if faces[f] {
			delete(faces, f)
		} else {
			faces[f] = true
		}
	})
	for f := range faces {
		if !some || f.start.Before(from) {
			from = f.start
		}
		if f.end.After(to) {
			to = f.end
		}
		some = true
	}
	return from, to, some
}

// series returns what is known of [from, to), cached or of tables, of one basis.
func (s *source) series(p *livePlace, from, to time.Time, because error) intensity.Series {
	whole, coarse, missing := s.layers(p, from, to, because)
	if len(coarse) > 0 {
		whole = under(whole, coarse)
	}
	g, err := intensity.NewGrid(whole, nil)
	if err != nil {
		return intensity.Series{From: from.UTC(), To: to.UTC(), Gaps: []intensity.Gap{{Start: from.UTC(), End: to.UTC(), Err: err}}}
	}
	return g.Series(from, to, missing)
}

// layers returns what is known around [from, to), of one basis: live values and, to lie
// under them, those of tables; and why neither may have any.
func (s *source) layers(p *livePlace, from, to time.Time, because error) (live, coarse []*intensity.Slot, missing error) {
	live, coarse, missing = s.withCarried(p, p.compose(from, to), to), p.coarse, because
	live = slices.DeleteFunc(live, func(o *intensity.Slot) bool { // what is carried forward may end before
		return !o.End.After(from) || !o.Start.Before(to)
	})
	if missing == nil {
		missing = p.why(from, to)
	}
	if missing == nil {
		missing = noData("no provider of the chain has values for this time")
	}
	if len(live) > 0 && len(coarse) > 0 && coarse[0].Basis != live[0].Basis {
		missing = errors.Join(missing, &intensity.Error{
			Kind: intensity.KindBasis, Provider: coarse[0].Origin.Provider,
			Detail: fmt.Sprintf("it has %s, and the values around are %s", coarse[0].Basis, live[0].Basis),
		})
		coarse = nil
	}
	return live, coarse, missing
}

// why returns what the providers said of the holes in [from, to), each once.
func (p *livePlace) why(from, to time.Time) error {
	var errs []error
	for _, z := range p.known() {
		z.mu.Lock()
		for i := range z.holes {
			h := &z.holes[i]
			if h.start.Before(to) && h.end.After(from) && h.err != nil && !slices.Contains(errs, h.err) {
				errs = append(errs, h.err)
			}
		}
		z.mu.Unlock()
	}
	return errors.Join(errs...)
}

// cover asks the providers for [from, to), in order, until nothing is missing; since: see ensure.
func (s *source) cover(ctx context.Context, p *livePlace, from, to, since time.Time) (asked bool, err error) {
	if p.complete(from, to) && !p.outdated(from, to) { // who is in the cache waits for nobody
		return false, nil
	}
	var errs []error
	for i := range p.upstreams {
		z, err := s.find(ctx, p, i)
		if err == nil {
			var did bool
			did, err = z.ensure(ctx, from, to, since)
			asked = asked || did
		}
		if ctx.Err() != nil {
			return asked, ctx.Err()
		}
		if err != nil {
			errs = append(errs, err)
		}
		if p.complete(from, to) {
			return asked, nil
		}
	}
	return asked, errors.Join(errs...)
}

// outdated reports whether the first provider would be asked for anything.
func (p *livePlace) outdated(from, to time.Time) bool {
	for _, z := range p.known() {
		wanted, _ := z.missing(from, to, time.Now())
		return len(wanted) > 0
	}
	return true
}

// complete reports whether live values for all of [from, to) that has happened are
// known.
func (p *livePlace) complete(from, to time.Time) bool {
	if now := time.Now(); to.After(now) {
		to = now
	}
	if !from.Before(to) {
		return len(p.compose(from, from.Add(1))) > 0
	}
	g, err := intensity.NewGrid(p.compose(from, to), nil)
	return err == nil && len(g.Series(from, to, nil).Gaps) == 0
}
