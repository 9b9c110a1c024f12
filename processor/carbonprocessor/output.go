package carbonprocessor

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcarbon/otelcarbon/internal/names"
)

// Indexes of families.
const (
	ofHosts = iota
	ofWorkloads
	families // how many there are
)

// family is what becomes of the energy of hosts, or of workloads.
type family struct {
	index   int
	metrics [quantities]metricOf
}

// quantity is what is emitted for a point of energy, each as a metric of its own.
type quantity uint8

const (
	amount quantity = iota
	lower
	upper
	correction
	cost
	water
	quantities // how many there are
)

type metricOf struct{ name, unit, description string }

func hostFamily() *family {
	return &family{
		index: ofHosts,
		metrics: metricsOf(names.MetricHostEmissions, names.MetricHostEmissionsLower, names.MetricHostEmissionsUpper,
			names.MetricHostEmissionsCorrection, "CO2-equivalent emitted for the energy of a part of the host"),
	}
}

func workloadFamily() *family {
	return &family{
		index: ofWorkloads,
		metrics: metricsOf(names.MetricEmissions, names.MetricEmissionsLower, names.MetricEmissionsUpper,
			names.MetricEmissionsCorrection, "CO2-equivalent emitted for the energy attributed to a workload"),
	}
}

func metricsOf(emissions, low, high, corrected, what string) [quantities]metricOf {
	return [quantities]metricOf{
		amount:     {emissions, names.UnitGram, what},
		lower:      {low, names.UnitGram, "Lower bound of " + emissions},
		upper:      {high, names.UnitGram, "Upper bound of " + emissions},
		correction: {corrected, names.UnitGram, "What has to be added to " + emissions + " because the intensity of its time was known better later"},
		cost:       {names.MetricElectricityCost, "", "What the electricity cost, with that for the overhead of the building"},
		water:      {names.MetricWaterUsage, names.UnitLiter, "Water used at the place of the machine for its energy"},
	}
}

// emits says what an output consists of.
type emits struct {
	bounds, cost, water bool
	currency            string // unit of the cost
}

// output is what derives from the inputs of one scope with one temporality. Nothing is
// appended before the first point.
type output struct {
	emits

	scope       pmetric.ScopeMetrics
	apart       pmetric.ScopeMetricsSlice // where it gets a scope of its own, if split
	split       bool
	temporality pmetric.AggregationTemporality
	points      int // how many are expected

	open  [families][quantities]bool
	lists [families][quantities]pmetric.NumberDataPointSlice
}

// add appends the points of a series with the attributes of the input point.
func (o *output) add(attrs pcommon.Map, in *input, s *series, start, at pcommon.Timestamp) {
	dp := o.point(amount, attrs, in, s.label, start, at)
	dp.SetDoubleValue(s.sum.Grams)
	if o.bounds {
		o.beside(in.family, lower, dp).SetDoubleValue(s.sum.Lower)
		o.beside(in.family, upper, dp).SetDoubleValue(s.sum.Upper)
	}
	if s.label.embodied {
		return
	}
	if o.cost {
		o.beside(in.family, cost, dp).SetDoubleValue(s.cost)
	}
	if o.water {
		o.beside(in.family, water, dp).SetDoubleValue(s.water)
	}
}

// end appends the markers by which a sender says that a series stopped.
func (o *output) end(attrs pcommon.Map, in *input, s *series, start, at pcommon.Timestamp) {
	dp := o.point(amount, attrs, in, s.label, start, at)
	dp.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
	for q, on := range [quantities]bool{lower: o.bounds, upper: o.bounds, cost: o.cost && !s.label.embodied, water: o.water && !s.label.embodied} {
		if on {
			o.beside(in.family, quantity(q), dp).SetFlags(dp.Flags())
		}
	}
}

func (o *output) point(q quantity, attrs pcommon.Map, in *input, l *label, start, at pcommon.Timestamp) pmetric.NumberDataPoint {
	dp := o.of(in.family, q).AppendEmpty()
	dp.SetStartTimestamp(start)
	dp.SetTimestamp(at)
	to := dp.Attributes()
	to.EnsureCapacity(attrs.Len() + len(in.add) + 5)
	attrs.CopyTo(to)
	for i := range in.add {
		to.PutStr(in.add[i].key, in.add[i].value)
	}
	if in.foreign != "" {
		to.PutStr(names.AttrInput, in.foreign)
	}
	l.describe(to)
	return dp
}

// of returns the points of a quantity, of which more may come. Both families have one
// metric of the cost and one of the water.
func (o *output) of(f *family, q quantity) pmetric.NumberDataPointSlice {
	i := f.index
	if q == cost || q == water {
		i = ofHosts
	}
	if !o.open[i][q] {
		o.open[i][q] = true
		o.lists[i][q] = o.metric(f, q)
	}
	return o.lists[i][q]
}

func (o *output) metric(f *family, q quantity) pmetric.NumberDataPointSlice {
	if o.split {
		o.leave()
	}
	is := &f.metrics[q]
	m := o.scope.Metrics().AppendEmpty()
	m.SetName(is.name)
	m.SetDescription(is.description)
	m.SetUnit(is.unit)
	if q == cost {
		m.SetUnit(o.currency)
	}
	sum := m.SetEmptySum()
	sum.SetAggregationTemporality(o.temporality)
	sum.SetIsMonotonic(q != correction)
	sum.DataPoints().EnsureCapacity(o.points)
	return sum.DataPoints()
}

// leave makes a scope beside the one of the inputs, in which the names are taken.
func (o *output) leave() {
	o.split = false
	own := o.apart.AppendEmpty()
	own.SetSchemaUrl(o.scope.SchemaUrl())
	o.scope.Scope().CopyTo(own.Scope())
	own.Scope().SetName(o.scope.Scope().Name() + deltaScope)
	o.scope = own
}

// deltaScope is added to the name of a scope whose inputs have both temporalities.
const deltaScope = "/delta"

// beside appends a point with the attributes and times of dp.
func (o *output) beside(f *family, q quantity, dp pmetric.NumberDataPoint) pmetric.NumberDataPoint {
	b := o.of(f, q).AppendEmpty()
	b.SetStartTimestamp(dp.StartTimestamp())
	b.SetTimestamp(dp.Timestamp())
	to := b.Attributes()
	to.EnsureCapacity(dp.Attributes().Len() + 1)
	dp.Attributes().CopyTo(to)
	if f.index == ofWorkloads && (q == cost || q == water) { // the metric is that of hosts, too, which contain it
		if _, told := to.Get(names.AttrInput); !told {
			to.PutStr(names.AttrInput, names.MetricEnergy)
		}
	}
	return b
}

// describe adds what the label says of emissions.
func (l *label) describe(to pcommon.Map) {
	if l.embodied {
		to.PutStr(names.AttrEmissionType, names.EmissionTypeEmbodied)
		return
	}
	to.PutStr(names.AttrEmissionType, names.EmissionTypeOperational)
	l.put(to)
}

// put adds what is known of the grid; an intensity that is valid everywhere has no zone.
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
