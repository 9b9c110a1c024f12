package powerreceiver

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
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

	workloads workloads

	age      time.Duration // of a sample that is fresh enough
	shortest time.Duration // interval for which a power is told
	patience time.Duration // how long the host waits for a part

	exports uint64 // number of this one

	gapped bool // a part has time of unknown energy since the host was last told
	final  bool // nothing comes any more: the host waits for no part

	late    trouble         // a sample that was not there in time
	demoted bool            // told that the envelope was wrong
	short   map[string]bool // the same of envelopes that were never trusted, by hw.id; false: is trusted after all
}

// series is what has been emitted of one account, and where it begins.
type series struct {
	start time.Time
	base  unit.Microjoules // account's total at start
	at    time.Time        // newest reading emitted, monotonic clock
	wall  time.Time        // time stamp under which it was emitted
	total unit.Microjoules // account's total then
}

func newSeries(start time.Time) series { return series{start: start, at: start, wall: start} }

// stream is the series of a part or of the host.
type stream struct {
	series

	gapTime    time.Duration    // time whose energy is unknown, as last seen
	inHost     time.Time        // newest reading when the host was last told
	hostTotal  unit.Microjoules // account's total then
	powerAt    time.Time        // newest reading that a power was told for
	powerTotal unit.Microjoules // account's total then
	powerGap   time.Duration    // time whose energy is unknown, until then

	replaced bool   // something else measured it when it was last emitted
	turns    uint64 // how often it had begun to be counted then

	told   unit.Microwatts // the newest power
	toldIn uint64          // the export that told it
	since  uint64          // the export in which its time began, 0 for the account's start
	ended  uint64          // that in which it ended, told or not
}

// scrape takes a fresh sample and reports every part of which something new is
// known. A part that could not be read is missing, not zero.
func (s *scraper) scrape(ctx context.Context) (pmetric.Metrics, error) {
	if booked := s.sampler.sampleNow(ctx, freshWait, s.age); !booked && ctx.Err() == nil {
		if s.late.begin(time.Now()) {
			s.sampler.logger.Warn("power sensor does not answer; meanwhile its parts are missing", zap.String("sensor", s.sampler.isReading()))
		}
	} else if booked && s.late.end() {
		s.sampler.logger.Info("power sensors answer again")
	}

	s.exports++
	s.accounts = s.accounts[:0]
	s.sampler.mu.Lock()
	for a := range s.sampler.ledger.Accounts {
		s.accounts = append(s.accounts, a)
	}
	s.workloads.look(s.sampler)
	s.sampler.mu.Unlock()
	s.emitWorkloads() // first: what is recorded already would go to their resources

	var hostAccount *ledger.Account
	for i := range s.accounts {
		if a := &s.accounts[i]; a.Kind == ledger.HostAccount {
			hostAccount = a
			s.tellDemoted(a.Stats.Demoted)
		}
	}
	s.tellShort()
	complete := true
	for i := range s.accounts {
		a := &s.accounts[i]
		if a == hostAccount {
			continue
		}
		s.noteGap(a)
		awaited := !s.final && s.awaited(a, hostAccount)
		if s.holds(a, hostAccount, awaited) {
			a.At = hostAccount.At
		}
		s.emit(a)
		complete = complete && !awaited
	}
	// The host is the sum of its parts: without one of them it is not known.
	if hostAccount != nil && complete {
		s.emit(hostAccount)
		for i := range s.accounts {
			if a := &s.accounts[i]; a.Kind == ledger.PartAccount {
				st := s.streams[a.Part.ID]
				st.inHost, st.hostTotal = a.At, st.total
				s.gapped = false
			}
		}
	}
	// Failures are no error of the scrape: the sampler tells them once, and counts
	// each; an error would be logged again at every collection.
	md := s.mb.Emit(metadata.WithResource(s.resource))
	s.workloads.markStale(md)
	return md, nil
}

// noteGap remembers that the power of the host means nothing this time.
func (s *scraper) noteGap(a *ledger.Account) {
	if a.Kind != ledger.PartAccount {
		return
	}
	st := s.streams[a.Part.ID]
	if st == nil {
		return
	}
	if a.Stats.GapTime > st.gapTime {
		st.gapTime, s.gapped = a.Stats.GapTime, true
	}
	if a.Part.ID == ledger.RemainderID { // is it that of a part of the time, or of a longer one?
		turned := a.Stats.Turns != st.turns && (a.Live || a.Energy != st.hostTotal)
		s.gapped = s.gapped || turned || st.replaced && s.isNew(a)
	}
}

// holds reports whether the part's total is known until the host's newest reading: where
// something else measures it now, and where nobody waits any more for the envelope that
// tells the remainder. The sum needs it.
func (s *scraper) holds(a, host *ledger.Account, awaited bool) bool {
	if a.Kind != ledger.PartAccount || host == nil {
		return false
	}
	if a.Part.ID == ledger.RemainderID && !awaited && !s.isNew(a) {
		a.Live = false // no power is told of it
	}
	return !a.Live
}

// awaited reports whether a part of the host has given nothing new since the host
// was last told, and may still. One that is silent for long is not waited for: its
// energy arrives, if ever, in the sum.
func (s *scraper) awaited(a, host *ledger.Account) bool {
	if a.Kind != ledger.PartAccount || host == nil || !a.Live || s.isNew(a) {
		return false
	}
	return host.At.Sub(a.At) <= max(s.patience, 3*a.Part.Period)
}

// isNew reports whether the part has told something since the host was last told.
func (s *scraper) isNew(a *ledger.Account) bool {
	since := a.Start
	if st := s.streams[a.Part.ID]; st != nil {
		since = st.inHost
	}
	return a.Live && a.At.After(since)
}

// tellDemoted says once that the envelope is no more what the host draws.
func (s *scraper) tellDemoted(now bool) {
	if now && !s.demoted {
		s.sampler.logger.Warn("the envelope of the host shows less than the parts in it; from now on the host is the sum of its parts: "+
			"it may be the meter of another machine, or psys of a part of this one (rapl: {psys: ignore})", zap.Strings("envelopes", s.demotedIDs()))
	}
	s.demoted = now
}

func (s *scraper) demotedIDs() (ids []string) {
	for i := range s.accounts {
		if a := &s.accounts[i]; a.Kind == ledger.DetailAccount && a.Stats.Demoted {
			ids = append(ids, a.Part.ID)
		}
	}
	return ids
}

// tellShort says once of each envelope that it does not earn trust, and if it does after
// all.
func (s *scraper) tellShort() {
	for i := range s.accounts {
		a := &s.accounts[i]
		if a.Kind != ledger.DetailAccount || a.Part.Role != sensor.Envelope {
			continue
		}
		short, id := a.Stats.Short, a.Part.ID
		now, before := short != ledger.Shortfall{}, s.short[id]
		if now == before {
			continue
		}
		if s.short == nil {
			s.short = make(map[string]bool)
		}
		_, told := s.short[id]
		s.short[id] = now
		switch {
		case !now:
			s.sampler.logger.Info("an envelope of the host contains its parts after all", zap.String("envelope", id))
		case !told:
			s.sampler.logger.Warn("an envelope of the host is not used: it has not contained the parts in it for "+
				"five samples in a row since it is read; "+whatToDo(a.Part),
				zap.String("envelope", id), zap.Float64("envelope_watts", short.Shown.Watts()), zap.Float64("parts_watts", short.Parts.Watts()))
		}
	}
}

// whatToDo says what may be wrong with an envelope, and the remedy.
func whatToDo(p *sensor.Part) string {
	switch p.Sensor {
	case names.SensorBMC:
		return "it may be the meter of another machine or of another chassis: see sensors::bmc::redfish::endpoint and chassis, or leave bmc out"
	case names.SensorRAPL, names.SensorPerf:
		return "psys may be that of a part of the machine: set rapl: {psys: ignore}"
	}
	return "it may be the meter of another machine or of a part of this one: leave " + p.Sensor + " out of sensors, or correct its rule"
}

// emit records the points of one account, or nothing if it has not advanced.
func (s *scraper) emit(a *ledger.Account) {
	if a.Kind == ledger.UncountedAccount {
		return // something else stands for it
	}
	id := hostID
	if a.Kind != ledger.HostAccount {
		id = a.Part.ID
	}
	st := s.streams[id]
	if st == nil {
		st = &stream{series: newSeries(a.Start), powerAt: a.Start, inHost: a.Start, turns: a.Stats.Turns}
		s.streams[id] = st
	}
	if !a.At.After(st.at) {
		return
	}
	st.advance(a.At, a.Energy)
	power, known := st.power(a, s.shortest, s.exports)

	start, ts := pcommon.NewTimestampFromTime(st.start), pcommon.NewTimestampFromTime(st.wall)
	joules := (a.Energy - st.base).Joules()
	s.mb.Reset(metadata.WithStartTime(start))
	switch a.Kind {
	case ledger.HostAccount:
		s.mb.RecordHwHostEnergyDataPoint(ts, joules, id)
		if sum, ok := s.sumOfPowers(st); ok {
			power, known = sum, true
		}
		if known && !s.gapped {
			s.mb.RecordHwHostPowerDataPoint(ts, power.Watts(), id)
		}
	case ledger.PartAccount:
		p := a.Part
		s.mb.RecordHwEnergyDataPoint(ts, joules, id, p.Type, p.Name, string(p.Method), p.Sensor, parent(p.Parent)...)
		// What it brings when it is counted again may be of a longer time than since it was
		// last emitted.
		if known && a.Live && !st.replaced && st.turns == a.Stats.Turns {
			st.told, st.toldIn = power, s.exports
			s.mb.RecordHwPowerDataPoint(ts, power.Watts(), id, p.Type, p.Name, string(p.Method), p.Sensor, parent(p.Parent)...)
		}
		st.replaced, st.turns = !a.Live, a.Stats.Turns
	case ledger.DetailAccount:
		p := a.Part
		s.mb.RecordCarbonSensorEnergyDataPoint(ts, joules, id, p.Type, p.Name, string(p.Method), p.Sensor, parent(p.Parent)...)
	}
}

// maxSlew is how far the wall clock may be set back before a series is begun anew.
const maxSlew = time.Minute

// advance takes in the newest reading and finds its time stamp. Time stamps of a
// series must grow: where the wall clock was set back a little, they go on at half
// its speed until it has caught up; where it was set back far, a new series begins
// where the old one ended, so that their increments still add up.
func (s *series) advance(at time.Time, total unit.Microjoules) {
	wall, elapsed := at.Round(0), at.Sub(s.at) // Round strips the monotonic clock
	if slowest := s.wall.Round(0).Add(max(elapsed/2, 1)); wall.Before(slowest) {
		if slowest.Sub(wall) <= maxSlew {
			wall = slowest
		} else {
			s.start, s.base = wall.Add(-elapsed), s.total
		}
	}
	s.at, s.wall, s.total = at, wall, total
}

// power returns the mean power since it was last told, unless that was too short
// a while ago to mean anything: a counter that has not moved yet is not 0 W. Time
// whose energy is unknown does not count.
func (st *stream) power(a *ledger.Account, shortest time.Duration, export uint64) (unit.Microwatts, bool) {
	elapsed := a.At.Sub(st.powerAt)
	if elapsed < shortest {
		return 0, false
	}
	known := elapsed - (a.Stats.GapTime - st.powerGap)
	p := (a.Energy - st.powerTotal).Power(known)
	st.powerAt, st.powerTotal, st.powerGap = a.At, a.Energy, a.Stats.GapTime
	st.since, st.ended = st.ended, export
	return p, known >= shortest
}

// sumOfPowers returns what the powers of all parts told in this export add up to, if
// none is the mean of less than the time since the host's was last told, but for parts
// that began meanwhile. Each sensor has its own moments: where one lags, energy over
// the host's time would be something else.
func (s *scraper) sumOfPowers(host *stream) (sum unit.Microwatts, ok bool) {
	for i := range s.accounts {
		a := &s.accounts[i]
		if a.Kind != ledger.PartAccount {
			continue
		}
		st := s.streams[a.Part.ID]
		switch {
		case !a.Live && st.total == st.hostTotal: // has long been replaced
		case st.toldIn != s.exports, st.since > host.since:
			return 0, false
		default:
			sum += st.told
		}
	}
	return sum, true
}

func parent(id string) []metadata.MetricAttributeOption {
	if id == "" {
		return nil
	}
	return []metadata.MetricAttributeOption{metadata.WithHwParentMetricAttribute(id)}
}
