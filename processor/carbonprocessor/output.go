package carbonprocessor

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcarbon/otelcarbon/internal/names"
)

const families = 2 // those of hosts and of workloads

// family is a metric of energy and what becomes of it.
type family struct {
	index                          int
	input, emissions, lower, upper string
	what                           string
}

func hostFamily() *family {
	return &family{
		input: names.MetricHWEnergy, emissions: names.MetricHostEmissions,
		lower: names.MetricHostEmissionsLower, upper: names.MetricHostEmissionsUpper,
		what: "CO2-equivalent emitted for the energy of a part of the host",
	}
}

func workloadFamily() *family {
	return &family{
		index: 1,
		input: names.MetricEnergy, emissions: names.MetricEmissions,
		lower: names.MetricEmissionsLower, upper: names.MetricEmissionsUpper,
		what: "CO2-equivalent emitted for the energy attributed to a workload",
	}
}

// output appends the metrics that derive from one metric of energy to the list
// that holds it. Nothing is appended before the first point.
type output struct {
	family      *family
	list        pmetric.MetricSlice
	temporality pmetric.AggregationTemporality
	bounds      bool
	points      int // how many are expected

	open                 bool
	amount, lower, upper pmetric.NumberDataPointSlice
}

// add appends a point of a series with the attributes of the input point.
func (o *output) add(attrs pcommon.Map, s *series, start, at pcommon.Timestamp) {
	dp := o.point(attrs, s, start, at)
	dp.SetDoubleValue(s.sum.Grams)
	if !o.bounds {
		return
	}
	bound(o.lower, dp).SetDoubleValue(s.sum.Lower)
	bound(o.upper, dp).SetDoubleValue(s.sum.Upper)
}

// end appends the marker by which a sender says that a series stopped.
func (o *output) end(attrs pcommon.Map, s *series, start, at pcommon.Timestamp) {
	dp := o.point(attrs, s, start, at)
	dp.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
	if !o.bounds {
		return
	}
	for _, list := range [...]pmetric.NumberDataPointSlice{o.lower, o.upper} {
		bound(list, dp).SetFlags(dp.Flags())
	}
}

func (o *output) point(attrs pcommon.Map, s *series, start, at pcommon.Timestamp) pmetric.NumberDataPoint {
	if !o.open {
		o.begin()
	}
	dp := o.amount.AppendEmpty()
	dp.SetStartTimestamp(start)
	dp.SetTimestamp(at)
	to := dp.Attributes()
	to.EnsureCapacity(attrs.Len() + 4)
	attrs.CopyTo(to)
	to.PutStr(names.AttrEmissionType, names.EmissionTypeOperational)
	s.label.put(to)
	return dp
}

func (o *output) begin() {
	o.open = true
	o.amount = o.metric(o.family.emissions, o.family.what)
	if o.bounds {
		o.lower = o.metric(o.family.lower, "Lower bound of "+o.family.emissions)
		o.upper = o.metric(o.family.upper, "Upper bound of "+o.family.emissions)
	}
}

func (o *output) metric(name, description string) pmetric.NumberDataPointSlice {
	m := o.list.AppendEmpty()
	m.SetName(name)
	m.SetDescription(description)
	m.SetUnit(names.UnitGram)
	sum := m.SetEmptySum()
	sum.SetAggregationTemporality(o.temporality)
	sum.SetIsMonotonic(true)
	sum.DataPoints().EnsureCapacity(o.points)
	return sum.DataPoints()
}

// bound appends a point with the attributes and times of dp.
func bound(list pmetric.NumberDataPointSlice, dp pmetric.NumberDataPoint) pmetric.NumberDataPoint {
	b := list.AppendEmpty()
	b.SetStartTimestamp(dp.StartTimestamp())
	b.SetTimestamp(dp.Timestamp())
	dp.Attributes().CopyTo(b.Attributes())
	return b
}

// put adds what is known; an intensity that is valid everywhere has no zone.
func (l *label) put(to pcommon.Map) {
	if l.zone != "" {
		to.PutStr(names.AttrGridZone, l.zone)
	}
	to.PutStr(names.AttrGridSource, l.source)
	if l.boundary != "" {
		to.PutStr(names.AttrGridBoundary, l.boundary)
	}
}

// putGauge appends the point of carbon.grid.intensity.
func (g *gauge) put(list pmetric.NumberDataPointSlice) {
	dp := list.AppendEmpty()
	dp.SetTimestamp(pcommon.Timestamp(g.newest)) //nolint:gosec // was checked on input
	dp.SetDoubleValue(g.gramsPerKWh)
	to := dp.Attributes()
	to.EnsureCapacity(5)
	g.label.put(to)
	if g.signal != "" {
		to.PutStr(names.AttrGridSignal, g.signal)
	}
	to.PutStr(names.AttrGridQuality, g.quality)
}
