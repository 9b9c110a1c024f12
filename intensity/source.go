package intensity

import (
	"context"
	"time"
)

// Provider is one upstream or one table. It does no caching, no fallback and no
// retries. All methods are safe for concurrent use, and their errors are of a
// Kind or those of the context.
type Provider interface {
	// Caps never changes.
	Caps() Caps
	// Resolve returns the zone of a place in the provider's own spelling, for
	// Fetch. KindZone: the provider does not cover the place.
	Resolve(ctx context.Context, loc Location) (zone string, err error)
	// Fetch returns a Series over [from, to). It makes at most one request.
	Fetch(ctx context.Context, zone string, from, to time.Time) (Series, error)
}

// Table is a Provider that answers from memory, once for all times. Those whose
// Caps say Network false are one.
type Table interface {
	Provider
	// Slots returns what the table has for q, sorted and of one Basis that q
	// accepts. Together the slots should reach over all time (see Always), so that
	// a Handle on them always has an answer. KindBasis: the table has the place, or
	// a wider one, but not in the wanted Basis.
	Slots(q Query) ([]*Slot, error)
}

// Forecaster is a Provider that knows the future.
type Forecaster interface {
	// FetchForecast returns a Series that begins with the slot that holds now.
	// KindPlan: the horizon is not in the plan.
	FetchForecast(ctx context.Context, zone string, horizon time.Duration) (Series, error)
}

// Prober is a Provider that can find out what its credential may do, so that it need not
// be refused to know it. A Source calls Probe once, in the background, before anything
// else; that it fails has no consequences.
type Prober interface {
	Probe(ctx context.Context) error
}

// Caps describes a provider.
type Caps struct {
	ID          string        // value of carbon.grid.source, unless its slots say something finer
	Bases       []Basis       // what can be had; a zero field in one means any
	Step        time.Duration // length of a slot; 0 if the slots differ or have no end
	Depth       time.Duration // how far back Fetch reaches; 0 without limit
	Horizon     time.Duration // of forecasts; 0 for none
	MaxSpan     time.Duration // largest range of one Fetch; 0 without limit
	Latency     time.Duration // usual delay until the first value of a slot
	Settle      time.Duration // age after which a measured slot is not revised any more
	Rate        Rate          // what the provider allows; the zero value for no limit
	Network     bool          // false for tables
	Locates     bool          // Resolve may make a request, which counts towards Rate
	Attribution string        // text to show where the data are shown
}

// Offers reports whether the provider has values that want accepts.
func (c Caps) Offers(want Basis) bool {
	for _, b := range c.Bases {
		open := want // what the provider leaves open, it can serve as wanted
		if b.Signal == 0 {
			open.Signal = 0
		}
		if b.Boundary == 0 {
			open.Boundary = 0
		}
		if b.Flow == 0 {
			open.Flow = 0
		}
		if b.Gas == 0 {
			open.Gas = 0
		}
		if open.Accepts(b) {
			return true
		}
	}
	return false
}

// Rate is a token bucket: Burst requests at once, then one each Per.
type Rate struct {
	Burst int
	Per   time.Duration
}

// Source is what the rest of a program sees; chain.New makes one. All methods are
// safe for concurrent use, and their errors are of a Kind or those of the context.
type Source interface {
	// At returns the slot that holds t. It may go to the network.
	At(ctx context.Context, q Query, t time.Time) (*Slot, error)
	// Range covers [from, to) with slots and gaps and returns no error unless
	// nothing at all is known. It may go to the network.
	Range(ctx context.Context, q Query, from, to time.Time) (Series, error)
	// Forecast begins with the slot that holds now. It may go to the network.
	Forecast(ctx context.Context, q Query, horizon time.Duration) (Series, error)
	// Handle resolves the place once and keeps its slots at hand. It does not wait
	// for data. Equal queries share one Handle.
	Handle(q Query) (*Handle, error)
	// Close ends what runs in the background and waits for it, but not for ever: where a
	// provider goes on with a request after its context has ended, the error names the
	// provider. Handles keep answering with what they hold. It may be called twice.
	Close() error
}

// Recaller is a Source that answers for the past without waiting, for pipelines whose
// data come late. That of chain.New is one.
type Recaller interface {
	// Known returns at once what is known of [from, to), as Range would, of the network
	// or not. What is missing, and what the provider may know better by now, is asked for
	// in the background, as seldom as Range would ask; it is there for a later call, and in
	// the Handle of the query.
	//
	// open reports whether better may still come for any part of it: false once all of it
	// has been measured, or the provider was asked again after its values settle
	// (Caps.Settle, at least a day) or does not reach back so far. Errors are those of
	// Range; open counts even then.
	Known(q Query, from, to time.Time) (s Series, open bool, err error)
}
