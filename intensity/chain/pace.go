package chain

import (
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// pace is the rate that a provider allows, shared between values, which the places of a
// Handle need each hour, and forecasts, which are asked for at will: those have half of
// it, and leave half of the burst. It is safe for concurrent use; nil allows everything.
type pace struct {
	rate intensity.Rate

	mu        sync.Mutex // so that a forecast is admitted by both or by none
	all       *rate.Limiter
	forecasts *rate.Limiter
}

func newPace(r intensity.Rate) *pace {
	if r.Per <= 0 {
		return nil
	}
	r.Burst = max(r.Burst, 1)
	return &pace{
		rate:      r,
		all:       rate.NewLimiter(rate.Every(r.Per), r.Burst),
		forecasts: rate.NewLimiter(rate.Every(2*r.Per), max(r.Burst/2, 1)),
	}
}

// take admits one request now, or says how long to wait until it may be.
func (p *pace) take(w what, now time.Time) (wait time.Duration) {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if w != future {
		if p.all.AllowN(now, 1) {
			return 0
		}
		return max(p.lacks(p.all, 1, p.rate.Per, now), time.Millisecond)
	}
	wait = max(p.lacks(p.all, 1+float64(p.rate.Burst/2), p.rate.Per, now), p.lacks(p.forecasts, 1, 2*p.rate.Per, now))
	if wait == 0 && p.forecasts.AllowN(now, 1) && p.all.AllowN(now, 1) {
		return 0
	}
	return max(wait, time.Millisecond)
}

// lacks returns how long it takes until there are so many tokens.
func (*pace) lacks(l *rate.Limiter, tokens float64, per time.Duration, now time.Time) time.Duration {
	return time.Duration(math.Ceil(max(tokens-l.TokensAt(now), 0) * float64(per)))
}

// wait admits one request for a value when it is its turn, in the order of the calls.
func (p *pace) wait(ctx context.Context) error {
	if p == nil {
		return nil
	}
	return p.all.Wait(ctx)
}

// usedUpError is KindRate without anybody having been asked.
type usedUpError struct{ as *intensity.Error }

func (e usedUpError) Error() string { return e.as.Error() }
func (e usedUpError) Unwrap() error { return e.as }

func (u *upstream) usedUp(zone string, wait time.Duration) error {
	e := u.fail(intensity.KindRate, zone, "the rate that it allows, %d at once and one each %v, is used up; again in %v",
		u.pace.rate.Burst, u.pace.rate.Per, wait.Round(time.Millisecond))
	e.RetryAfter = wait
	return usedUpError{as: e}
}
