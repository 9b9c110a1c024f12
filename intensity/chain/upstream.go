package chain

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// How providers are treated that fail.
const (
	requestWithin = 30 * time.Second // with retries; the HTTP client has limits of its own
	retries       = 2
	firstRetry    = 500 * time.Millisecond

	breakAfter = 5 // failures in a row
	breakFirst = time.Minute
	breakMost  = 30 * time.Minute

	limitWait  = time.Minute      // of KindRate that does not say for how long
	authFirst  = 15 * time.Minute // of a credential that is refused
	authThen   = time.Hour
	configWait = time.Hour      // of a request that is wrong
	refusedFor = 24 * time.Hour // of a zone or a plan

	// maxHanging bounds the requests that a provider goes on with after their time is over.
	maxHanging = 8
)

// upstream is one provider with all the patience that it needs. It is safe for
// concurrent use.
type upstream struct {
	provider intensity.Provider
	caps     intensity.Caps
	depth    int // in the chain
	hooks    *Hooks
	pace     *pace // nil: without limit
	fetching flights[intensity.Series]
	finding  flights[string]
	probing  sync.Once
	turns    chan struct{}   // held by the requests of the background for values
	aheads   chan struct{}   // and for forecasts
	seed     string          // of this program, so that not all of a fleet ask at the same moment
	ended    <-chan struct{} // when the source is closed
	crew     *crew
	hanging  atomic.Int32 // requests that go on after their time is over

	mu       sync.Mutex
	worked   bool
	failures int           // in a row
	broken   time.Duration // for how long it was broken last
	brokeAt  time.Time     // when that was found
	refusals int           // of the credential, in a row
	until    time.Time     // is not asked before that
	because  error
	probed   bool // one request is under way after a break
	zones    map[route]refusal
	places   map[string]located
}

// located is what a provider said of a location.
type located struct {
	zone  string
	err   error
	until time.Time
}

// route is what is asked of a provider about a zone: a plan may hold one without another.
type route struct {
	zone string
	what what
}

type what uint8

const (
	all what = iota
	present
	past
	future
)

// refusal is a lasting answer about one zone.
type refusal struct {
	until time.Time
	err   error
}

func newUpstream(p intensity.Provider, caps intensity.Caps, depth int, hooks *Hooks, ended <-chan struct{}, c *crew) *upstream {
	return &upstream{
		provider: p, caps: caps, depth: depth, hooks: hooks, ended: ended, crew: c, pace: newPace(caps.Rate),
		seed:  strconv.FormatUint(rand.Uint64(), 36), //nolint:gosec // spreads requests
		turns: make(chan struct{}, parallel), aheads: make(chan struct{}, parallel),
		zones: make(map[route]refusal), places: make(map[string]located),
	}
}

// fetch is Provider.Fetch for callers that may be many.
// done is called once with what comes, also if nobody waits for it any more.
func (u *upstream) fetch(ctx context.Context, zone string, from, to time.Time, done func(intensity.Series, error)) (intensity.Series, error) {
	r := route{zone, whatOf(from)}
	key := fmt.Sprintf("%s %d %d", zone, from.UnixNano(), to.UnixNano())
	return u.once(ctx, key, r, func(ctx context.Context) (intensity.Series, error) {
		return u.provider.Fetch(ctx, zone, from, to)
	}, done)
}

// forecast is Forecaster.FetchForecast, likewise.
func (u *upstream) forecast(ctx context.Context, zone string, horizon time.Duration, done func(intensity.Series, error)) (intensity.Series, error) {
	f, ok := u.provider.(intensity.Forecaster)
	if !ok {
		return intensity.Series{}, u.fail(intensity.KindNoData, zone, "it does not forecast")
	}
	key := fmt.Sprintf("%s +%d", zone, horizon)
	return u.once(ctx, key, route{zone, future}, func(ctx context.Context) (intensity.Series, error) {
		return f.FetchForecast(ctx, zone, horizon)
	}, done)
}

// probe lets a provider find out once what its credential may do.
func (u *upstream) probe(ctx context.Context) {
	p, ok := u.provider.(intensity.Prober)
	if !ok {
		return
	}
	u.probing.Do(func() {
		u.pace.take(all, time.Now()) // counts, but does not wait
		began := time.Now()
		_, err := call(ctx, u, "", func(ctx context.Context) (struct{}, error) { return struct{}{}, p.Probe(ctx) })
		err = u.timedOut("", err)
		u.hooks.request(u.caps.ID, "", time.Since(began), err)
		if err != nil && ctx.Err() == nil {
			u.hooks.trouble(fmt.Errorf("what the credential of %s may do is not known: %w", u.caps.ID, err))
		}
	})
}

// resolve is Provider.Resolve. That of a provider which may make a request for it is a
// request like others: one for all who want the same, at the rate that is allowed, not
// while it is suspended, and remembered.
func (u *upstream) resolve(ctx context.Context, loc intensity.Location) (string, error) {
	key := locationKey(loc)
	if l, ok := u.found(key, time.Now()); ok {
		return l.zone, l.err
	}
	return u.finding.do(ctx, key, u.start, func() (string, error) {
		own, cancel := u.own(ctx)
		defer cancel()
		if !u.caps.Locates {
			return u.compute(own, loc)
		}
		return u.locate(own, key, loc)
	})
}

// compute is resolve without a request.
func (u *upstream) compute(ctx context.Context, loc intensity.Location) (string, error) {
	if err := u.suspended(route{}, time.Now()); err != nil {
		return "", err
	}
	began := time.Now()
	zone, err := u.zoneOf(ctx, loc)
	if u.isTrouble(err) {
		err = u.note(route{}, err, began, time.Now(), func(error) {})
	}
	return zone, err
}

// locate is resolve with a request.
func (u *upstream) locate(ctx context.Context, key string, loc intensity.Location) (string, error) {
	if l, ok := u.found(key, time.Now()); ok { // meanwhile
		return l.zone, l.err
	}
	if err := u.enter(route{}, time.Now()); err != nil {
		return "", err
	}
	if wait := u.pace.take(all, time.Now()); wait > 0 {
		u.leave()
		return "", u.usedUp("", wait)
	}
	began := time.Now()
	zone, err := u.zoneOf(ctx, loc)
	now := time.Now()
	told := func(error) { u.hooks.request(u.caps.ID, "", now.Sub(began), err) }
	if u.isTrouble(err) {
		return "", u.note(route{}, err, began, now, told)
	}
	_ = u.note(route{}, nil, began, now, told) // a refusal is an answer
	switch kind(err) {
	case intensity.KindZone, intensity.KindBasis, intensity.KindPlan:
	case 0:
		if err == nil {
			break
		}
		fallthrough
	default:
		return zone, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.places) >= maxRefusals {
		clear(u.places)
	}
	if len(key) <= 2*maxLocation {
		u.places[key] = located{zone, err, now.Add(refusedFor)}
	}
	return zone, err
}

func (u *upstream) zoneOf(ctx context.Context, loc intensity.Location) (string, error) {
	zone, err := call(ctx, u, "", func(ctx context.Context) (string, error) { return u.provider.Resolve(ctx, loc) })
	return zone, u.timedOut("", err)
}

// timedOut gives an error of a request whose time was over a kind, or tells that the
// source was closed meanwhile.
func (u *upstream) timedOut(zone string, err error) error {
	if errors.Is(err, context.Canceled) {
		select {
		case <-u.ended:
			return ErrClosed
		default:
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return u.fail(intensity.KindUpstream, zone, "no answer within %v", requestWithin)
	}
	return err
}

// isTrouble reports whether an error is about the provider, not about the place.
func (*upstream) isTrouble(err error) bool {
	switch kind(err) {
	case intensity.KindUpstream, intensity.KindMalformed, intensity.KindRate, intensity.KindAuth, intensity.KindConfig:
		return true
	}
	return false
}

func (u *upstream) found(key string, now time.Time) (located, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	l, ok := u.places[key]
	if ok && !now.Before(l.until) {
		delete(u.places, key)
		return located{}, false
	}
	return l, ok
}

func locationKey(l intensity.Location) string {
	key := fmt.Sprintf("%q", []string{l.Zone, l.CloudProvider, l.CloudRegion, l.CloudZone, l.Country, l.Subdivision, l.Default})
	if l.Point != nil {
		key += fmt.Sprint(*l.Point)
	}
	return key
}

// start runs a request of many.
func (u *upstream) start(f func()) bool { return u.crew.run(background, f) }

// own returns a context for a request that is made for many, of whom one has come with ctx.
func (u *upstream) own(ctx context.Context) (context.Context, context.CancelFunc) {
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestWithin)
	go func() {
		select {
		case <-u.ended:
			cancel()
		case <-own.Done():
		}
	}()
	return own, cancel
}

// call runs a provider's code in a goroutine of its own, so that whatever that does is a
// failure of one request: to panic, to end its goroutine, or not to return when its
// context ends.
func call[T any](ctx context.Context, u *upstream, zone string, f func(context.Context) (T, error)) (T, error) {
	type result struct {
		val T
		err error
	}
	var none T
	if u.hanging.Load() >= maxHanging {
		return none, u.fail(intensity.KindUpstream, zone, "%d requests before go on after their time is over", maxHanging)
	}
	const asked, returned, left = 0, 1, 2
	var state atomic.Int32
	done := make(chan result, 1)
	started := u.crew.run(u.caps.ID, func() {
		r := result{err: u.fail(intensity.KindMalformed, zone, "the provider ends its goroutine")}
		defer func() {
			if p := recover(); p != nil {
				r = result{err: u.fail(intensity.KindMalformed, zone, "the provider panics: %v", p)}
			}
			if !state.CompareAndSwap(asked, returned) {
				u.hanging.Add(-1)
			}
			done <- r
		}()
		v, err := f(ctx)
		r = result{v, err}
	})
	if !started {
		return none, ErrClosed
	}
	select {
	case r := <-done:
		return r.val, r.err
	case <-ctx.Done():
		u.hanging.Add(1)
		if !state.CompareAndSwap(asked, left) { // it has returned just now
			u.hanging.Add(-1)
			r := <-done
			return r.val, r.err
		}
		return none, ctx.Err()
	}
}

// once makes one request for all who want the same at the same time. It goes on when
// one of them has gone.
func (u *upstream) once(ctx context.Context, key string, r route, ask func(context.Context) (intensity.Series, error), then func(intensity.Series, error)) (intensity.Series, error) {
	return u.fetching.do(ctx, key, u.start, func() (intensity.Series, error) {
		own, cancel := u.own(ctx)
		defer cancel()
		s, err := u.patiently(own, r, ask)
		then(s, err)
		return s, err
	})
}

func (u *upstream) patiently(ctx context.Context, r route, ask func(context.Context) (intensity.Series, error)) (intensity.Series, error) {
	zone := r.zone
	pace := backoff.NewExponentialBackOff()
	pace.InitialInterval, pace.RandomizationFactor = firstRetry, 1
	var before error // of the try before
	s, err := backoff.Retry(ctx, func() (intensity.Series, error) {
		if err := u.enter(r, time.Now()); err != nil {
			if before != nil { // it broke meanwhile
				err = before
			}
			return intensity.Series{}, backoff.Permanent(err)
		}
		if token, _ := ctx.Value(admitted{}).(*sync.Once); !taken(token) {
			if wait := u.pace.take(r.what, time.Now()); wait > 0 {
				u.leave()
				if before != nil {
					return intensity.Series{}, backoff.Permanent(before)
				}
				return intensity.Series{}, backoff.Permanent(u.usedUp(zone, wait))
			}
		}
		began := time.Now()
		s, err := call(ctx, u, zone, ask)
		if err == nil {
			err = u.check(&s, zone, time.Now())
		}
		err = u.timedOut(zone, err)
		now := time.Now()
		told := func(own error) { u.hooks.request(u.caps.ID, zone, now.Sub(began), own) }
		err = u.note(r, err, began, now, told)
		before = err
		if err != nil && (!errors.Is(err, intensity.KindUpstream) || retryAfter(err) > 0 || ctx.Err() != nil) {
			err = backoff.Permanent(err)
		}
		return s, err
	}, backoff.WithBackOff(pace), backoff.WithMaxTries(retries+1), backoff.WithMaxElapsedTime(requestWithin))
	if permanent, ok := errors.AsType[*backoff.PermanentError](err); ok {
		err = permanent.Err
	}
	if errors.Is(err, context.DeadlineExceeded) && before != nil { // in the pause before the next try
		err = before
	}
	return s, u.timedOut(zone, err)
}

// admitted is the key of a context whose first request has been waited for.
type admitted struct{}

func taken(token *sync.Once) (first bool) {
	if token != nil {
		token.Do(func() { first = true })
	}
	return first
}

// admit waits for as long as the provider's rate demands, in the order of the calls, and
// returns a context for one request.
func (u *upstream) admit(ctx context.Context) (context.Context, error) {
	if u.pace == nil {
		return ctx, nil
	}
	if err := u.pace.wait(ctx); err != nil {
		return ctx, err
	}
	return context.WithValue(ctx, admitted{}, new(sync.Once)), nil
}

// check refuses what no provider may send. A provider is foreign code.
func (u *upstream) check(s *intensity.Series, zone string, now time.Time) error {
	if err := s.Check(); err != nil {
		return u.fail(intensity.KindMalformed, zone, "%v", err)
	}
	for i, slot := range s.Slots {
		if slot.Quality == 0 || slot.Quality > intensity.Assumed {
			return u.fail(intensity.KindMalformed, zone, "a slot has no quality")
		}
		if slot.Origin.FetchedAt.IsZero() || slot.Quality < intensity.Predicted && slot.Start.After(now) {
			own := *slot
			if own.Origin.FetchedAt.IsZero() {
				own.Origin.FetchedAt = now.UTC()
			}
			if own.Quality < intensity.Predicted && own.Start.After(now) { // whatever it says, nobody has seen it
				own.Quality = intensity.Predicted
			}
			s.Slots[i] = &own
		}
	}
	return nil
}

// enter admits a request, or says why not. After a break one alone is admitted.
func (u *upstream) enter(r route, now time.Time) error {
	if err := u.suspended(r, now); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.failures < breakAfter {
		return nil
	}
	if u.probed {
		return u.because
	}
	u.probed = true
	return nil
}

// leave takes back what enter admitted.
func (u *upstream) leave() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.probed = false
}

// suspended returns why the provider is not asked now; nil: it is.
func (u *upstream) suspended(r route, now time.Time) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Before(u.until) {
		return u.because
	}
	for _, r := range [...]route{r, {zone: r.zone}} {
		if no, ok := u.zones[r]; ok && r.zone != "" {
			if now.Before(no.until) {
				return no.err
			}
			delete(u.zones, r)
		}
	}
	return nil
}

// maxRefusals bounds what is remembered of zones.
const maxRefusals = 4096

// note takes in how a request ended, and returns its error, which may be of another
// kind: a credential that worked before is not lost but used up. The hooks come last:
// they are foreign code, which may not return.
func (u *upstream) note(r route, err error, began, now time.Time, told func(own error)) error {
	as, trouble := u.take(r, err, began, now)
	told(err)
	u.hooks.trouble(trouble)
	return as
}

func (u *upstream) take(r route, err error, began, now time.Time) (_, told error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.probed = false
	if err == nil {
		u.worked, u.failures, u.broken, u.refusals = true, 0, 0, 0
		return nil, nil
	}
	wait := func(d time.Duration) {
		if t := now.Add(d); t.After(u.until) {
			u.until, u.because = t, err
		}
	}
	switch kind(err) {
	case intensity.KindNoData, intensity.KindNotYet, intensity.KindTooOld, intensity.KindBasis, intensity.KindMismatch, intensity.KindSynthetic:
		u.failures, u.broken = 0, 0 // not what was wanted, but an answer
	case intensity.KindUpstream, intensity.KindMalformed:
		if began.Before(u.brokeAt) { // it was under way when the others failed
			break
		}
		u.failures++
		if after := retryAfter(err); after > 0 {
			wait(after)
		}
		if u.failures >= breakAfter {
			u.broken, u.brokeAt = min(max(2*u.broken, breakFirst), breakMost), now
			wait(u.broken)
			told = fmt.Errorf("%s is not asked for %v after %d failures: %w", u.caps.ID, u.broken, u.failures, err)
		}
	case intensity.KindRate:
		wait(max(retryAfter(err), limitWait))
	case intensity.KindAuth:
		if u.worked {
			err = u.fail(intensity.KindRate, r.zone, "it refuses a credential that it took before, as some do with one that is used too often: %v", err)
			wait(authFirst)
			break
		}
		u.refusals++
		d := authFirst
		if u.refusals > 1 {
			d = authThen
		}
		wait(d)
	case intensity.KindConfig:
		wait(configWait)
	case intensity.KindZone, intensity.KindPlan:
		u.failures, u.broken = 0, 0
		if len(u.zones) >= maxRefusals {
			clear(u.zones)
		}
		if kind(err) == intensity.KindZone {
			r.what = all
		}
		u.zones[r] = refusal{now.Add(refusedFor), err}
	}
	return err, told
}

func (u *upstream) fail(kind intensity.Kind, zone, format string, args ...any) *intensity.Error {
	return &intensity.Error{Kind: kind, Provider: u.caps.ID, Zone: zone, Detail: fmt.Sprintf(format, args...)}
}

// kind is that of an error, 0 if it has none.
func kind(err error) intensity.Kind {
	if e, ok := errors.AsType[*intensity.Error](err); ok {
		return e.Kind
	}
	if k, ok := errors.AsType[intensity.Kind](err); ok {
		return k
	}
	return 0
}

func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*intensity.Error](err); ok {
		return e.RetryAfter
	}
	return 0
}
