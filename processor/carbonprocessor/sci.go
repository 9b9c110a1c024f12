package carbonprocessor

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcarbon/otelcarbon/internal/emission"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

// SCIConfig names the functional unit of a software carbon intensity.
type SCIConfig struct {
	Per string   `mapstructure:"per"` // metric that counts units: a sum, or a histogram, whose count is taken
	By  []string `mapstructure:"by"`  // resource attributes by which units and emissions belong together; left out: all
}

func (c *SCIConfig) check(inputs []InputConfig) error {
	listed := slices.ContainsFunc(flat(inputs), func(in InputConfig) bool { return in.Metric == c.Per })
	switch {
	case c.Per == "":
		return errors.New("sci::per is missing: the name of the metric that counts units, such as http.server.request.duration")
	case listed, ofNative(c.Per) != "", isOurs(c.Per):
		return fmt.Errorf("sci::per: %s is energy or emissions; use a metric that counts units, such as http.server.request.duration", c.Per)
	case slices.Contains(c.By, ""):
		return errors.New("sci::by: an attribute without a name; use names of resource attributes, such as host.id")
	}
	return nil
}

const maxRates = 16_384 // resources for which units are counted

// rates is the software carbon intensity of the resources that count units: emissions
// since the last point over units since then, so that nothing is left out and nothing
// counts twice.
type rates struct {
	per   string
	by    []string
	known *simplelru.LRU[identity, *rate]
	hash  hasher

	touched []*rate // of the batch
}

// A rate collects until there are both emissions and units.
type rate struct {
	grams  [families]float64 // since the last point
	units  float64
	isHost bool // no workload was ever seen
	seen   bool // in this batch
	// Where and when its units were counted last.
	resource int
	at       int64
}

func newRates(cfg *SCIConfig, h hasher) (*rates, error) {
	known, err := simplelru.NewLRU[identity, *rate](maxRates, nil)
	return &rates{per: cfg.Per, by: cfg.By, known: known, hash: h}, err
}

// of returns the rate of a resource, which id stands for as a whole.
func (r *rates) of(id identity, resource pcommon.Map) *rate {
	if len(r.by) > 0 {
		picked := identity{}
		for _, key := range r.by {
			if v, ok := resource.Get(key); ok {
				one := r.hash.pair(key, v)
				picked.hi += one.hi
				picked.lo += one.lo
			}
		}
		if picked == (identity{}) {
			return nil // it has none of them
		}
		id = picked
	}
	one, ok := r.known.Get(id)
	if !ok {
		one = &rate{isHost: true}
		r.known.Add(id, one)
	}
	if !one.seen {
		one.seen, one.at = true, 0
		r.touched = append(r.touched, one)
	}
	return one
}

func (r *rate) emitted(f *family, grams float64) {
	r.grams[f.index] += grams
	if f.index == ofWorkloads {
		r.isHost = false // what its host emitted contains what it emitted
	}
}

// put appends the rates of the batch that have both units and emissions. own returns
// the metrics of ours of a resource.
func (r *rates) put(own func(resource int) pmetric.MetricSlice) {
	for _, one := range r.touched {
		one.seen = false
		grams := one.grams[ofWorkloads]
		if one.isHost {
			grams = one.grams[ofHosts]
		}
		each, ok := emission.SCI(grams, 0, one.units)
		if !ok || one.at == 0 || !(grams > 0) {
			continue
		}
		m := own(one.resource).AppendEmpty()
		m.SetName(names.MetricSCI)
		m.SetDescription("CO2-equivalent for each " + r.per)
		m.SetUnit(names.UnitGram)
		dp := m.SetEmptyGauge().DataPoints().AppendEmpty()
		dp.SetTimestamp(pcommon.Timestamp(one.at)) //nolint:gosec // was checked on input
		dp.SetDoubleValue(each)
		dp.Attributes().PutStr(names.AttrSCIPer, r.per)
		one.grams, one.units = [families]float64{}, 0
	}
	r.touched = r.touched[:0]
}

// units counts what a metric of functional units adds.
func (p *metricsProcessor) units(m pmetric.Metric, scope pcommon.InstrumentationScope) {
	one := p.rate
	count := func(attrs pcommon.Map, k kind, r reading) {
		if r.at <= 0 || r.start < 0 || r.start > r.at || !(r.value >= 0) || !finite(r.value) {
			return
		}
		id := p.hash.point(p.hash.base(p.id, scope, m.Name(), k), attrs)
		s := p.streams.find(id, p.now)
		if s == nil {
			s = &stream{}
			p.streams.add(id, s, p.now)
		}
		step := s.step(r, k, p.born(r), 0)
		if step.verdict == duplicate || step.verdict == outOfOrder {
			return
		}
		s.accept(r)
		s.seen = p.now
		p.change(s)
		if step.verdict == priced {
			one.units += step.joules
			one.resource, one.at = p.index, max(one.at, r.at)
		}
	}
	switch m.Type() {
	case pmetric.MetricTypeSum:
		k, ok := kindOf(m.Sum().AggregationTemporality())
		if !ok || !m.Sum().IsMonotonic() {
			return
		}
		for _, dp := range m.Sum().DataPoints().All() {
			if r, why := read(dp, 1); why == converted && !dp.Flags().NoRecordedValue() {
				count(dp.Attributes(), k, r)
			}
		}
	case pmetric.MetricTypeHistogram:
		if k, ok := kindOf(m.Histogram().AggregationTemporality()); ok {
			for _, dp := range m.Histogram().DataPoints().All() {
				if !dp.Flags().NoRecordedValue() {
					count(dp.Attributes(), k, counted(dp.StartTimestamp(), dp.Timestamp(), dp.Count()))
				}
			}
		}
	case pmetric.MetricTypeExponentialHistogram:
		if k, ok := kindOf(m.ExponentialHistogram().AggregationTemporality()); ok {
			for _, dp := range m.ExponentialHistogram().DataPoints().All() {
				if !dp.Flags().NoRecordedValue() {
					count(dp.Attributes(), k, counted(dp.StartTimestamp(), dp.Timestamp(), dp.Count()))
				}
			}
		}
	case pmetric.MetricTypeEmpty, pmetric.MetricTypeGauge, pmetric.MetricTypeSummary:
	}
}

func counted(start, at pcommon.Timestamp, n uint64) reading {
	return reading{start: int64(start), at: int64(at), value: float64(n)} //nolint:gosec // what overflows is negative and refused
}
