package chain

import (
	"context"
	"errors"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
)

const (
	parallel    = 4 // requests of the background to one provider at the same time
	firstAgain  = time.Minute
	mostAgain   = 30 * time.Minute
	storeAgain  = time.Minute      // between two writes of what has not changed much
	storeFailed = 15 * time.Minute // and after one that failed
)

// begin starts the background with the first live place. The mutex is held.
func (s *source) begin() {
	if !s.started {
		s.started = true
		s.calls.run(background, s.refresh)
	}
	s.nudge()
}

func (s *source) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// livePlaces returns the places that are remembered.
func (s *source) livePlaces() (out []*livePlace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.places.Values() {
		if a.live != nil {
			out = append(out, a.live)
		}
	}
	return out
}

// renewedPlaces returns those that a Handle keeps.
func (s *source) renewedPlaces() []*livePlace {
	return slices.DeleteFunc(s.livePlaces(), func(p *livePlace) bool { return !p.wanted.Load() })
}

// zone returns the one of that name. What was stored of it is read in the background.
func (s *source) zone(u *upstream, name string) *zone {
	k := zoneKey{u, name}
	s.mu.Lock()
	defer s.mu.Unlock()
	z, ok := s.zones.Get(k)
	if ok {
		return z
	}
	z, ok = s.leaving[k]
	if !ok {
		z, ok = s.held(k)
	}
	if !ok {
		z = newZone(u, name)
		if s.store == nil || !s.calls.run(background, func() { s.load(z) }) {
			close(z.loaded)
		}
	}
	if !s.closed {
		s.zones.Add(k, z)
	}
	s.storeEvicted()
	return z
}

// held returns a zone that has been forgotten, but not by a place: of each there is one,
// or only one of them would get what is asked for. The mutex is held.
func (s *source) held(k zoneKey) (*zone, bool) {
	for _, a := range s.places.Values() {
		if a.live == nil {
			continue
		}
		for _, z := range a.live.known() {
			if z.up == k.upstream && z.name == k.name {
				return z, true
			}
		}
	}
	return nil, false
}

// load takes over what was stored of a zone.
func (s *source) load(z *zone) {
	func() {
		defer close(z.loaded)
		s.recall(z)
		z.restart()
	}()
	s.spread(z)
	s.nudge()
}

// storeEvicted stores the zones that are forgotten. Until they are, they can be had back.
// The mutex is held.
func (s *source) storeEvicted() {
	evicted := s.evicted
	s.evicted = nil
	if s.store == nil {
		return
	}
	for _, old := range evicted {
		k := zoneKey{old.up, old.name}
		s.leaving[k] = old
		s.calls.run(background, func() {
			defer func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				delete(s.leaving, k)
			}()
			if err := s.keep(context.WithoutCancel(s.ctx), old, true); err != nil {
				s.hooks.trouble(err)
			}
		})
	}
}

// restart has a zone whose stored values are fresh asked for when it would have been.
func (z *zone) restart() {
	z.mu.Lock()
	defer z.mu.Unlock()
	var newest time.Time
	for _, s := range z.slots {
		if s.Origin.FetchedAt.After(newest) {
			newest = s.Origin.FetchedAt
		}
	}
	if now := time.Now(); !newest.IsZero() && !newest.After(now) && now.Sub(newest) < z.step() {
		z.due = z.next(newest, nil)
	}
}

// jobs is what runs in the background, each at most once at the same time.
type jobs struct {
	crew    *crew
	running map[any]bool
	done    chan any
}

func (j *jobs) start(key any, f func()) {
	if j.running[key] {
		return
	}
	if j.crew.run(background, func() {
		defer func() { j.done <- key }()
		f()
	}) {
		j.running[key] = true
	}
}

func (j *jobs) ended(key any) { delete(j.running, key) }

// refresh asks for the present of all zones that places have, each when it is due, for the
// zones of places that have none, and for the past that somebody has wanted.
func (s *source) refresh() {
	j := &jobs{crew: s.calls, running: make(map[any]bool), done: make(chan any)}
	catching, resolving := make(chan struct{}, parallel), make(chan struct{}, parallel)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.ctx.Done():
			for len(j.running) > 0 {
				j.ended(<-j.done)
			}
			return
		case key := <-j.done:
			j.ended(key)
		case <-s.wake:
		case <-timer.C:
		}
		now := time.Now()
		next := now.Add(time.Minute) // a machine that slept has not noticed
		for _, p := range s.sweep(now) {
			j.start(p, func() { s.settle(p, resolving) })
		}
		for _, p := range s.livePlaces() {
			if due, at := p.isLate(now); due {
				j.start(lateOf{p}, func() { s.catchUp(p, catching) })
			} else if !at.IsZero() {
				next = earlier(next, at)
			}
			if !p.wanted.Load() {
				continue
			}
			if due, at := p.unresolved(now); due {
				j.start(p, func() { s.settle(p, resolving) })
			} else if !at.IsZero() {
				next = earlier(next, at)
			}
		}
		for _, z := range s.unstored(now) { // also what nobody has a Handle of
			j.start(storeOf{z}, func() { s.hooks.trouble(s.keep(context.WithoutCancel(s.ctx), z, false)) })
		}
		for _, z := range s.wanted(now) {
			if j.running[z] {
				continue
			}
			if due := z.dueAt(); due.After(now) {
				next = earlier(next, due)
				continue
			}
			j.start(z, func() { s.refreshZone(z) })
		}
		timer.Reset(max(time.Until(next), time.Millisecond))
	}
}

// settle finds the zones of a place, one after the other.
func (s *source) settle(p *livePlace, turns chan struct{}) {
	select {
	case turns <- struct{}{}:
		defer func() { <-turns }()
	case <-s.ctx.Done():
		return
	}
	for i, u := range p.upstreams {
		func() {
			ctx, cancel := context.WithTimeout(s.ctx, requestWithin)
			defer cancel()
			u.probe(ctx)
		}()
		func() {
			ctx, cancel := context.WithTimeout(s.ctx, requestWithin)
			defer cancel()
			_, _ = s.find(ctx, p, i) // who asks is told
		}()
		s.rebuild(p, time.Now()) // what was stored
		s.nudge()                // the zone is asked for while the next is being found
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// wanted returns the zones of all places that are renewed, in the order in which they are
// due, but for those of which it is not known yet what was stored.
func (s *source) wanted(now time.Time) (zones []*zone) {
	seen := make(map[*zone]bool)
	for _, p := range s.renewedPlaces() {
		for _, z := range p.known() {
			if !seen[z] && z.isReady() {
				seen[z] = true
				zones = append(zones, z)
			}
			if z.answers(now) {
				break // the others are asked when it does not
			}
		}
	}
	due := make(map[*zone]time.Time, len(zones))
	for _, z := range zones {
		due[z] = z.dueAt()
	}
	slices.SortStableFunc(zones, func(a, b *zone) int { return due[a].Compare(due[b]) })
	return zones
}

// refreshZone asks for the last day of a zone, and says when next.
func (s *source) refreshZone(z *zone) {
	if err := z.up.suspended(route{z.name, present}, time.Now()); err != nil {
		z.schedule(time.Now(), err)
		s.spread(z)
		return
	}
	select {
	case z.up.turns <- struct{}{}:
	case <-s.ctx.Done():
		return
	}
	release := sync.OnceFunc(func() { <-z.up.turns })
	defer release()
	ctx, leave, err := z.admit(s.ctx)
	if err != nil {
		return // the source is closed
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, 2*requestWithin)
	defer cancel()
	now := time.Now()
	err = z.renew(ctx, now)
	leave()
	release()
	if s.ctx.Err() != nil {
		return
	}
	z.schedule(now, err)
	s.spread(z)
	if err == nil && z.up.caps.Horizon > 0 && z.lookAhead(ctx, now) {
		s.spread(z)
	}
	if e := s.keep(context.WithoutCancel(ctx), z, false); e != nil {
		s.hooks.trouble(e)
	}
}

// admit waits for the rate and for the zone, and returns a context for one request at once:
// one that is made later than it was admitted comes too close to the next. leave may be
// called twice.
func (z *zone) admit(ctx context.Context) (_ context.Context, leave func(), err error) {
	for {
		admitted, err := z.up.admit(ctx)
		if err != nil {
			return ctx, nil, err
		}
		leave := sync.OnceFunc(func() { <-z.turn })
		select {
		case z.turn <- struct{}{}:
			return admitted, leave, nil
		default: // somebody asks for it right now
		}
		select {
		case z.turn <- struct{}{}:
			leave()
		case <-ctx.Done():
			return ctx, nil, ctx.Err()
		}
	}
}

// renew asks for the last day. The turn is held.
func (z *zone) renew(ctx context.Context, now time.Time) error {
	step := z.step()
	chunk := intensity.Gap{Start: floor(now.Add(-recently), step), End: ceil(now.Add(1), step)}
	if span := z.up.caps.MaxSpan; span > 0 && chunk.End.Sub(chunk.Start) > span {
		chunk.Start = chunk.End.Add(-span)
	}
	return z.ask(ctx, chunk, now)
}

// lookAhead asks for the next hours, so that a value is there when the hour turns.
func (z *zone) lookAhead(ctx context.Context, now time.Time) (asked bool) {
	until := now.Add(2 * max(z.step(), time.Hour))
	if known := z.within(now, until); len(known) > 0 && !known[len(known)-1].End.Before(until) {
		return false
	}
	select {
	case z.up.aheads <- struct{}{}:
		defer func() { <-z.up.aheads }()
	case <-ctx.Done():
		return false
	}
	_, _ = z.forecast(ctx, min(z.up.caps.Horizon, until.Sub(now))) // without one the last value is carried forward
	return true
}

// answers reports whether a zone has a value for about now, or may have one: it has not
// been asked yet.
func (z *zone) answers(now time.Time) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.stale {
		return false
	}
	if z.due.IsZero() { // it may be waiting for its turn
		if z.since.IsZero() {
			z.since = now
		}
		return now.Sub(z.since) < firstAgain
	}
	n := len(z.slots)
	return n > 0 && z.slots[n-1].End.After(now.Add(-z.up.caps.Latency-2*z.step()))
}

func (z *zone) dueAt() time.Time {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.due
}

func (z *zone) schedule(now time.Time, err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.stale = err != nil; z.stale {
		z.failures++
	} else {
		z.failures = 0
	}
	z.due = z.next(now, err)
}

// next says when a zone is asked for again: a little after its next slot has ended, each
// zone at a moment of its own; after a failure, sooner or later as it fails.
func (z *zone) next(now time.Time, err error) time.Time {
	step := z.step()
	h := fnv.New32a()
	_, _ = h.Write([]byte(z.up.caps.ID + "\x00" + z.name + "\x00" + z.up.seed)) // never fails
	jitter := time.Duration(float64(h.Sum32()) / (1 << 32) * float64(step) * 7 / 60)
	regular := ceil(now.Add(1), step).Add(step/12 + jitter)
	switch kind(err) {
	case 0:
		if err == nil {
			return regular
		}
	case intensity.KindZone, intensity.KindPlan:
		if until, ok := z.up.refuses(route{z.name, present}, now); ok { // it may be of yesterday
			return until
		}
		return now.Add(refusedFor)
	case intensity.KindAuth, intensity.KindConfig:
		return now.Add(authFirst)
	}
	wait := max(retryAfter(err), firstAgain<<min(max(z.failures-1, 0), 5))
	return now.Add(min(wait, mostAgain))
}

// renewed lets all places that share zones with p see what came.
func (s *source) renewed(p *livePlace) {
	for _, z := range p.known() {
		s.spread(z)
	}
}

// spread rebuilds the places that have a zone.
func (s *source) spread(z *zone) {
	now := time.Now()
	for _, p := range s.livePlaces() {
		if slices.Contains(p.known(), z) {
			s.rebuild(p, now)
		}
	}
}

// liveForecast asks the providers of a place, in order.
func (s *source) liveForecast(ctx context.Context, p *livePlace, horizon time.Duration) (intensity.Series, error) {
	var errs []error
	for i, u := range p.upstreams {
		if _, ok := u.provider.(intensity.Forecaster); !ok {
			continue
		}
		z, err := s.find(ctx, p, i)
		var series intensity.Series
		if err == nil {
			series, err = z.forecast(ctx, horizon)
		}
		if ctx.Err() != nil {
			return intensity.Series{}, ctx.Err()
		}
		if err == nil && len(series.Slots) > 0 && !p.query.Want.Accepts(series.Slots[0].Basis) {
			err = u.fail(intensity.KindBasis, z.name, "it forecasts %s, wanted is %s", series.Slots[0].Basis, p.query.Want)
		}
		if err == nil {
			return series, nil
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return intensity.Series{}, noData("no live provider forecasts for this place")
	}
	return intensity.Series{}, errors.Join(errs...)
}
