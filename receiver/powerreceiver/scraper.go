package powerreceiver

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/scraper/scrapererror"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/unit"
	"github.com/otelcarbon/otelcarbon/receiver/powerreceiver/internal/metadata"
)

// hostID is the hw.id of the host as a whole. It is unique on the host, as the
// conventions demand; which host it is, the resource says.
const hostID = "host"

// freshWait is how long a collection waits for a sample that is being taken.
const freshWait = time.Second

// scraper turns the ledger into metrics.
type scraper struct {
	sampler  *sampler
	mb       *metadata.MetricsBuilder
	resource pcommon.Resource

	accounts []ledger.Account // scratch
	streams  map[string]*stream
}

// stream is what has been emitted of one account, and where its series begins.
type stream struct {
	start time.Time        // of the series
	base  unit.Microjoules // account's total at start
	at    time.Time        // newest reading emitted, monotonic clock
	wall  time.Time        // time stamp under which it was emitted
	total unit.Microjoules // account's total then
}

// scrape takes a fresh sample and reports every part of which something new is
// known. A part that could not be read is missing, not zero.
func (s *scraper) scrape(ctx context.Context) (pmetric.Metrics, error) {
	s.sampler.sampleNow(ctx, freshWait)

	s.accounts = s.accounts[:0]
	s.sampler.mu.Lock()
	for a := range s.sampler.ledger.Accounts {
		s.accounts = append(s.accounts, a)
	}
	s.sampler.mu.Unlock()

	missing := 0
	var newest time.Time
	for i := range s.accounts {
		if s.accounts[i].Kind == ledger.HostAccount {
			newest = s.accounts[i].At
		}
	}
	for i := range s.accounts {
		if a := &s.accounts[i]; a.Kind == ledger.PartAccount && !a.Live {
			a.At = newest // a part that something else measures now: its total holds, and the sum needs it
		}
		if !s.emit(&s.accounts[i]) {
			missing++
		}
	}
	out := s.mb.Emit(metadata.WithResource(s.resource))
	// Only what is new: a sensor that stays unreadable was reported once, by the
	// sampler, and is to be seen in the internal telemetry.
	if failures := s.sampler.takeFailures(); len(failures) > 0 && len(s.accounts) > 0 {
		return out, scrapererror.NewPartialScrapeError(errors.Join(failures...), max(missing, 1))
	}
	return out, nil
}

// emit records the points of one account, or nothing if it has not advanced.
func (s *scraper) emit(a *ledger.Account) bool {
	if a.Kind == ledger.UncountedAccount {
		return true // something else stands for it
	}
	id := hostID
	if a.Kind != ledger.HostAccount {
		id = a.Part.ID
	}
	st := s.streams[id]
	if st == nil {
		st = &stream{start: a.Start, at: a.Start, wall: a.Start}
		s.streams[id] = st
	}
	if !a.At.After(st.at) {
		return false
	}
	st.stepBack(a.At)
	power := (a.Energy - st.total).Power(a.At.Sub(st.at))
	st.at, st.wall, st.total = a.At, a.At, a.Energy

	start, ts := pcommon.NewTimestampFromTime(st.start), pcommon.NewTimestampFromTime(st.wall)
	joules := (a.Energy - st.base).Joules()
	s.mb.Reset(metadata.WithStartTime(start))
	switch a.Kind {
	case ledger.HostAccount:
		s.mb.RecordHwHostEnergyDataPoint(ts, joules, id)
		s.mb.RecordHwHostPowerDataPoint(ts, power.Watts(), id)
	case ledger.PartAccount:
		p := a.Part
		s.mb.RecordHwEnergyDataPoint(ts, joules, id, p.Type, p.Name, string(p.Method), p.Sensor, parent(p.Parent)...)
		if a.Live {
			s.mb.RecordHwPowerDataPoint(ts, power.Watts(), id, p.Type, p.Name, string(p.Method), p.Sensor, parent(p.Parent)...)
		}
	case ledger.DetailAccount:
		p := a.Part
		s.mb.RecordCarbonSensorEnergyDataPoint(ts, joules, id, p.Type, p.Name, string(p.Method), p.Sensor, parent(p.Parent)...)
	}
	return true
}

// stepBack begins a new series when the wall clock was set back behind the last
// time stamp: the old one cannot be continued, because time stamps must grow.
// Nothing is lost: the new series begins where the old one ended.
func (st *stream) stepBack(at time.Time) {
	if at.Round(0).After(st.wall.Round(0)) { // Round strips the monotonic clock
		return
	}
	st.start = at.Round(0).Add(-at.Sub(st.at))
	st.base = st.total
}

func parent(id string) []metadata.MetricAttributeOption {
	if id == "" {
		return nil
	}
	return []metadata.MetricAttributeOption{metadata.WithHwParentMetricAttribute(id)}
}
