package powerreceiver

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
	"github.com/otelcarbon/otelcarbon/internal/usage"
	"github.com/otelcarbon/otelcarbon/receiver/powerreceiver/internal/metadata"
)

// workloads is what the scraper emits of those who used the machine. Those that the
// configured attributes do not tell apart are told together, as one that was started
// anew under its old name is: a series has one identity, whoever is behind it.
type workloads struct {
	attributes metadata.ResourceAttributesConfig
	accounts   []ledger.WorkloadAccount // scratch
	entries    map[accountKey]*entry
	resources  map[*usage.Workload]*resource
	names      map[string]*resource // by what they hold
	host       *resource
	series     map[seriesKey]*workloadSeries
	order      []*workloadSeries // scratch
	export     uint64
	at         time.Time // newest moment emitted
	before     time.Time // that of the export before
	wall, told time.Time // newest time stamp emitted before, and up to now
	stale      []staleSeries
	emitted    int // resources in this export
}

type accountKey struct {
	of     *usage.Workload
	share  ledger.Share
	hwType string
	method sensor.Method
}

// entry is an account that was told in the last export.
type entry struct {
	energy unit.Microjoules
	seen   uint64 // export
	series *workloadSeries
}

// resource is one that series have.
type resource struct {
	pcommon.Resource

	name string
	seen uint64 // export in which it last had accounts
}

type seriesKey struct {
	resource *resource
	share    ledger.Share
	hwType   string
	method   sensor.Method
}

type workloadSeries struct {
	series
	seriesKey

	sum  unit.Microjoules // of its accounts
	seen uint64           // export in which it last had any
}

// staleSeries is one that ends in this export.
type staleSeries struct {
	seriesKey

	at int // place of its resource
}

func newWorkloads(attributes metadata.ResourceAttributesConfig, host pcommon.Resource) workloads {
	w := workloads{
		attributes: attributes,
		entries:    make(map[accountKey]*entry),
		resources:  make(map[*usage.Workload]*resource),
		names:      make(map[string]*resource),
		series:     make(map[seriesKey]*workloadSeries),
	}
	w.host = &resource{Resource: host, name: nameOf(host)}
	w.names[w.host.name] = w.host
	return w
}

// nameOf returns what a resource holds as text. Its attributes are in a steady order.
func nameOf(r pcommon.Resource) string {
	var b strings.Builder
	for k, v := range r.Attributes().All() {
		fmt.Fprintf(&b, "%s=%q ", k, v.AsString())
	}
	return b.String()
}

// look takes over the accounts. The sampler is locked.
func (w *workloads) look(s *sampler) {
	w.accounts = w.accounts[:0]
	if s.workload == nil {
		return
	}
	s.ledger.Settle()
	for a := range s.ledger.Workloads {
		w.accounts = append(w.accounts, a)
	}
}

// emitWorkloads records the accounts of the workloads, one resource for each; those of
// the machine itself go to the host's, which is emitted last.
func (s *scraper) emitWorkloads() {
	w := &s.workloads
	w.stale, w.emitted = w.stale[:0], 0
	if len(w.accounts) == 0 || !w.accounts[0].At.After(w.at) { // nothing was booked since
		return
	}
	w.export++
	w.before, w.at, w.wall = w.at, w.accounts[0].At, w.told
	for i := range w.accounts {
		w.enter(&w.accounts[i])
	}
	w.forget()
	w.order = w.order[:0]
	for _, st := range w.series {
		w.order = append(w.order, st)
	}
	slices.SortFunc(w.order, w.compare)
	for i := 0; i < len(w.order); {
		of := w.order[i].resource
		for ; i < len(w.order) && w.order[i].resource == of; i++ {
			s.emitSeries(w.order[i])
		}
		if of != w.host {
			s.mb.EmitForResource(metadata.WithResource(of.Resource))
			w.emitted++
			if of.seen != w.export {
				delete(w.names, of.name)
			}
		}
	}
	clear(w.order)
}

func latest(a, b time.Time) time.Time {
	if b.Round(0).After(a.Round(0)) {
		return b
	}
	return a
}

// enter adds what an account has got to its series.
func (w *workloads) enter(a *ledger.WorkloadAccount) {
	k := accountKey{a.Of, a.Share, a.Type, a.Method}
	e := w.entries[k]
	if e == nil {
		e = &entry{series: w.seriesOf(seriesKey{w.resourceOf(a.Of), a.Share, a.Type, a.Method}, a.Start)}
		w.entries[k] = e
	}
	st := e.series
	st.sum += a.Energy - e.energy
	e.energy = a.Energy
	e.seen, st.seen, st.resource.seen = w.export, w.export, w.export
}

// seriesOf returns the series of an account that is told for the first time. It had got
// nothing when the others were last told, so its series need not begin before that, and
// must not: one of the same name may have ended then.
func (w *workloads) seriesOf(k seriesKey, start time.Time) *workloadSeries {
	st := w.series[k]
	if st == nil {
		if start.Before(w.before) {
			start = w.before
		}
		st = &workloadSeries{series: newSeries(start), seriesKey: k}
		if wall := w.wall.Round(0); st.wall.Round(0).Before(wall) && wall.Sub(st.wall.Round(0)) <= maxSlew {
			st.start, st.wall = wall, wall // the clock was set back: time stamps go on from where they were
		}
		w.series[k] = st
	}
	return st
}

// forget drops the accounts that are told no more.
func (w *workloads) forget() {
	for k, e := range w.entries {
		if e.seen != w.export {
			delete(w.entries, k)
			delete(w.resources, k.of) // if others of it are told, it is found again by name
		}
	}
}

// compare orders series by their resources, the host's last.
func (w *workloads) compare(a, b *workloadSeries) int {
	if a.resource != b.resource {
		switch w.host {
		case a.resource:
			return 1
		case b.resource:
			return -1
		}
		return strings.Compare(a.resource.name, b.resource.name)
	}
	return cmp.Or(cmp.Compare(a.share, b.share), strings.Compare(a.hwType, b.hwType), strings.Compare(string(a.method), string(b.method)))
}

// emitSeries records one point. Of a series whose accounts are told no more that is one
// without a value, which says that it has ended, so that a backend does not draw it on.
func (s *scraper) emitSeries(st *workloadSeries) {
	w := &s.workloads
	st.advance(w.at, st.sum)
	w.told = latest(w.told, st.wall)
	if st.seen != w.export {
		w.stale = append(w.stale, staleSeries{st.seriesKey, w.emitted})
		delete(w.series, st.seriesKey)
	}
	s.mb.Reset(metadata.WithStartTime(pcommon.NewTimestampFromTime(st.start)))
	s.mb.RecordCarbonEnergyDataPoint(pcommon.NewTimestampFromTime(st.wall), (st.sum - st.base).Joules(),
		string(st.method), st.share.String(), st.hwType)
}

// markStale takes the values from the points of what has ended.
func (w *workloads) markStale(md pmetric.Metrics) {
	for i := range w.stale {
		end := &w.stale[i]
		if end.at >= md.ResourceMetrics().Len() {
			return // the metric is switched off
		}
		for _, sm := range md.ResourceMetrics().At(end.at).ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Name() == names.MetricEnergy {
					end.mark(m.Sum().DataPoints())
				}
			}
		}
	}
}

func (end *staleSeries) mark(points pmetric.NumberDataPointSlice) {
	for _, dp := range points.All() {
		is := func(key, value string) bool {
			v, _ := dp.Attributes().Get(key)
			return v.Str() == value
		}
		if is(names.AttrShare, end.share.String()) && is(names.AttrHWType, end.hwType) && is(names.AttrMethod, string(end.method)) {
			dp.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
			dp.SetDoubleValue(0)
		}
	}
}

// resourceOf returns the resource of a workload, nil being the host.
func (w *workloads) resourceOf(of *usage.Workload) *resource {
	if of == nil {
		return w.host
	}
	if r := w.resources[of]; r != nil {
		return r
	}
	named := w.describe(of)
	name := nameOf(named)
	r := w.names[name]
	if r == nil {
		r = &resource{Resource: named, name: name}
		w.names[name] = r
	}
	w.resources[of] = r
	return r
}

// describe names a workload: the host, what it is, and what it lies in.
func (w *workloads) describe(of *usage.Workload) pcommon.Resource {
	rb := metadata.NewResourceBuilder(w.attributes)
	if v, ok := w.host.Attributes().Get(names.ResourceHostID); ok {
		rb.SetHostID(v.Str())
	}
	if v, ok := w.host.Attributes().Get(names.ResourceHostName); ok {
		rb.SetHostName(v.Str())
	}
	set := func(f func(string), v string) {
		if v != "" {
			f(v)
		}
	}
	set(rb.SetContainerID, of.ContainerID)
	set(rb.SetContainerRuntime, of.Runtime)
	set(rb.SetK8sPodUID, of.PodUID)
	set(rb.SetSystemdUnitName, of.Unit)
	set(rb.SetVMName, of.Machine)
	set(rb.SetSlurmJobID, of.Job)
	set(rb.SetSlurmStepID, of.Step)
	if of.ContainerID == "" && of.PodUID == "" {
		set(rb.SetProcessLinuxCgroup, of.Path)
	}
	if of.Kind == usage.Process {
		rb.SetProcessPid(int64(of.PID))
		set(rb.SetProcessExecutableName, of.Executable)
		set(rb.SetProcessOwner, of.Owner)
		if !of.Created.IsZero() {
			rb.SetProcessCreationTime(of.Created.UTC().Format(time.RFC3339Nano))
		}
	}
	return rb.Emit()
}
