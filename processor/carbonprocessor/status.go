package carbonprocessor

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// class is how a request ended: 0 for success, an intensity.Kind, or one of those behind.
type class uint8

const (
	succeeded class = 0
	canceled        = class(intensity.KindConfig) + 1
	other           = canceled + 1
	classes         = other + 1 // how many there are
)

func classNames() [classes]string {
	return [classes]string{
		succeeded: "success", canceled: "canceled", other: "other",
		intensity.KindZone: "zone", intensity.KindNoData: "no_data", intensity.KindNotYet: "not_yet", intensity.KindTooOld: "too_old",
		intensity.KindAuth: "auth", intensity.KindPlan: "plan", intensity.KindRate: "rate", intensity.KindUpstream: "upstream",
		intensity.KindMalformed: "malformed", intensity.KindMismatch: "mismatch", intensity.KindSynthetic: "synthetic",
		intensity.KindBasis: "basis", intensity.KindConfig: "config",
	}
}

func classOf(err error) class {
	e, ok := errors.AsType[*intensity.Error](err)
	switch {
	case err == nil:
		return succeeded
	case ok && e.Kind != 0 && e.Kind <= intensity.KindConfig:
		return class(e.Kind)
	case errors.Is(err, context.DeadlineExceeded):
		return class(intensity.KindUpstream)
	case errors.Is(err, context.Canceled):
		return canceled
	}
	return other
}

// answers reports whether a provider that ends a request like that is as it should be: that
// it does not have a value is an answer, too.
func (c class) answers() bool {
	switch c {
	case succeeded, class(intensity.KindNoData), class(intensity.KindNotYet), class(intensity.KindTooOld), class(intensity.KindZone):
		return true
	}
	return false
}

const (
	maxFailing  = 1024             // zones of providers that are remembered to fail
	failingFor  = 25 * time.Hour   // the longest pause of the chain is a day
	calmAfter   = 10 * time.Minute // without anything that stands in, whoever fails: nobody needs it
	maxTroubles = 100              // texts that are remembered to be logged
)

// status tells the hosts of all pipelines whether live values are to be had where they
// are wanted, and the log when that changes. Requests end in the background, batches
// are settled in the pipelines.
type status struct {
	log *zap.Logger

	mu       sync.Mutex
	hosts    []*attached
	failing  map[route]failing
	fellBack time.Time // the newest batch in which something stood in
	bad      error     // what was reported last; nil: all is well
	troubles map[string]struct{}
}

// attached makes each host a pointer of its own, since equal hosts may come twice.
type attached struct{ host component.Host }

// route is what is asked for; the zone is in the spelling of the provider, and "" for what
// is asked before any.
type route struct{ provider, zone string }

type failing struct {
	since time.Time // the newest failure
	why   error
}

func newStatus(log *zap.Logger) *status {
	return &status{log: log, failing: make(map[route]failing), troubles: make(map[string]struct{})}
}

// attach has a host told of changes until the returned function is called.
func (s *status) attach(host component.Host) (detach func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &attached{host}
	s.hosts = append(s.hosts, a)
	if s.bad != nil {
		componentstatus.ReportStatus(host, componentstatus.NewRecoverableErrorEvent(s.bad))
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.hosts = slices.DeleteFunc(s.hosts, func(b *attached) bool { return b == a })
	}
}

// request takes in how a request ended.
func (s *status) request(provider, zone string, c class, err error, now time.Time) {
	if c == canceled { // by us
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := route{provider, zone}
	if c.answers() {
		delete(s.failing, r)
		delete(s.failing, route{provider: provider})
		return
	}
	if _, known := s.failing[r]; known || len(s.failing) < maxFailing {
		s.failing[r] = failing{now, err}
	}
}

// settle compares what a batch was priced with to what is known of the requests, and
// reports a change. What a provider failed to tell matters only where something stands
// in for it: a zone that has a live value does not count.
func (s *status) settle(fellBack bool, gauges []*gauge, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.failing) > 0 {
		s.forget(gauges, now)
	}
	if fellBack {
		s.fellBack = now
	}
	switch why := s.newest(); {
	case s.bad == nil && fellBack && why != nil:
		s.bad = errors.New("energy is priced with what stands in for live intensity, or not at all: " + why.Error())
		s.log.Warn("live intensity is not to be had: until it is, energy is priced with what stands in for it, which carbon.grid.source says, or not at all (no_intensity)", zap.String("why", why.Error()))
		s.report(componentstatus.NewRecoverableErrorEvent(s.bad))
	case s.bad != nil && (why == nil || now.Sub(s.fellBack) > calmAfter):
		s.bad = nil
		s.log.Info("live intensity is to be had again")
		s.report(componentstatus.NewEvent(componentstatus.StatusOK))
	}
}

func (s *status) forget(gauges []*gauge, now time.Time) {
	for _, g := range gauges {
		if o := &g.slot.Origin; !o.FetchedAt.IsZero() && !g.slot.Flags.Has(intensity.Stale) {
			delete(s.failing, route{o.Provider, o.ZoneAsked})
			delete(s.failing, route{provider: o.Provider})
		}
	}
	for r, f := range s.failing {
		if now.Sub(f.since) > failingFor {
			delete(s.failing, r)
		}
	}
}

// newest returns the newest failure, nil if nothing fails.
func (s *status) newest() (why error) {
	var since time.Time
	for _, f := range s.failing {
		if why == nil || f.since.After(since) {
			since, why = f.since, f.why
		}
	}
	return why
}

func (s *status) report(ev *componentstatus.Event) {
	for _, a := range s.hosts {
		componentstatus.ReportStatus(a.host, ev)
	}
}

// trouble logs every text once, and once that there are too many.
func (s *status) trouble(err error) {
	text := err.Error()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, done := s.troubles[text]; done || len(s.troubles) > maxTroubles {
		return
	}
	s.troubles[text] = struct{}{}
	if len(s.troubles) > maxTroubles {
		s.log.Warn("too many troubles with live intensity to name them all: from now on requests are only counted, as otelcol_processor_carbon_provider_requests")
		return
	}
	s.log.Warn("trouble with live intensity", zap.String("why", text))
}
