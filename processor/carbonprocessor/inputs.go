package carbonprocessor

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcarbon/otelcarbon/internal/names"
)

// InputConfig is one further metric of energy or power, or a preset of several.
type InputConfig struct {
	Preset     string            `mapstructure:"preset"`     // name of a preset; nothing but of stands beside it
	Metric     string            `mapstructure:"metric"`     // name of a metric
	Unit       string            `mapstructure:"unit"`       // of its values; left out: what the metric says
	Of         string            `mapstructure:"of"`         // "workload" or "host": whose energy it is
	Kind       string            `mapstructure:"kind"`       // "counter": takes what arrives as a gauge of energy as a cumulative sum
	MaxGap     time.Duration     `mapstructure:"max_gap"`    // longest time between two values of power that is integrated
	Match      map[string]string `mapstructure:"match"`      // attributes that points have to have; a * stands for anything, "" for none
	Attributes map[string]string `mapstructure:"attributes"` // added to what derives from it
	Method     string            `mapstructure:"method"`     // carbon.method of points that do not say
}

const (
	ofWorkload    = "workload"
	ofHost        = "host"
	kindOfCounter = "counter"
	defaultMaxGap = 5 * time.Minute
)

// An input is a metric that is priced, or those of its points that match.
type input struct {
	family  *family
	foreign string // its name, if it is none of ours; value of carbon.input
	unit    string // "": what the metric says
	measure measure
	counter bool // a gauge of energy is a cumulative sum
	maxGap  time.Duration
	match   []pattern
	add     []pair
	method  string
	next    *input // for points that do not match; differs in match, add and method only
}

type pair struct{ key, value string }

// of returns the first input that a point matches, or nil. What it counts for is one
// input, so that no point counts twice.
func (in *input) of(attrs pcommon.Map) *input {
	for ; in != nil; in = in.next {
		if fitsAll(in.match, attrs) {
			return in
		}
	}
	return nil
}

// pattern is an attribute and what stands in its value between the stars.
type pattern struct {
	key   string
	texts []string
}

// fits reports whether the value of the attribute is the text or, with stars, has the
// texts in their order. As in Prometheus, an attribute that is not there is empty;
// but a star needs an attribute.
func (m *pattern) fits(attrs pcommon.Map) bool {
	s := ""
	v, ok := attrs.Get(m.key)
	if ok {
		s = v.AsString()
	}
	last := len(m.texts) - 1
	if last == 0 {
		return s == m.texts[0]
	}
	if !ok || !strings.HasPrefix(s, m.texts[0]) {
		return false
	}
	s = s[len(m.texts[0]):]
	for _, text := range m.texts[1:last] {
		_, after, found := strings.Cut(s, text)
		if !found {
			return false
		}
		s = after
	}
	return strings.HasSuffix(s, m.texts[last])
}

func fitsAll(ms []pattern, attrs pcommon.Map) bool {
	for i := range ms {
		if !ms[i].fits(attrs) {
			return false
		}
	}
	return true
}

func patterns(match map[string]string) []pattern {
	out := make([]pattern, 0, len(match))
	for _, k := range slices.Sorted(maps.Keys(match)) {
		out = append(out, pattern{k, strings.Split(match[k], "*")})
	}
	return out
}

// flat replaces presets by what they stand for.
func flat(list []InputConfig) (out []InputConfig) {
	for _, c := range list {
		if c.Preset == "" {
			out = append(out, c)
			continue
		}
		for _, one := range presets()[c.Preset] {
			if c.Of == "" || one.Of == c.Of {
				out = append(out, one)
			}
		}
	}
	return out
}

// check names the key that is wrong.
func (c *InputConfig) check() error {
	if c.Preset != "" {
		return c.checkPreset()
	}
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	m, known := measureOf(c.Unit)
	switch {
	case c.Metric == "":
		refuse("metric is missing: the name of a metric of energy or power, or preset: one of %s", strings.Join(presetNames(), ", "))
	case isOurs(c.Metric):
		refuse("metric: %s is an output of this processor", c.Metric)
	case ofNative(c.Metric) != "":
		alone := c.Of == "" || c.Of == ofNative(c.Metric)
		if c.Match == nil || !alone || c.Unit != "" || c.Kind != "" || c.MaxGap != 0 || c.Attributes != nil || c.Method != "" {
			refuse("metric: %s is an input already: match is the only key beside it, to count some of its points", c.Metric)
		}
	case c.Metric == names.MetricHostEnergy && c.Of != ofHost:
		refuse("metric: %s is of: host", c.Metric)
	}
	if c.Unit != "" && !known {
		refuse("unit: %q is not known; use %s", c.Unit, knownUnits)
	}
	switch c.Of {
	case "", ofWorkload, ofHost:
	default:
		refuse("of: %q is not known; use workload or host", c.Of)
	}
	switch {
	case c.Kind != "" && c.Kind != kindOfCounter:
		refuse("kind: %q is not known; leave it out, or use counter", c.Kind)
	case c.Kind == kindOfCounter && known && m.power:
		refuse("kind: counter is a sum of energy, but the unit %s is one of power", c.Unit)
	case c.Kind == kindOfCounter && c.Unit == "":
		refuse("kind: counter needs a unit, such as J")
	}
	if c.MaxGap < 0 {
		refuse("max_gap: %v is not a duration above 0, such as 5m", c.MaxGap)
	}
	switch c.Method {
	case "", names.MethodMeasured, names.MethodIntegrated, names.MethodModelled:
	default:
		refuse("method: %q is not known; use measured, integrated or modelled", c.Method)
	}
	if _, empty := c.Match[""]; empty {
		refuse("match: an attribute without a name")
	}
	if _, empty := c.Attributes[""]; empty {
		refuse("attributes: an attribute without a name")
	}
	return errors.Join(errs...)
}

func (c *InputConfig) checkPreset() error {
	alone := InputConfig{Preset: c.Preset, Of: c.Of}
	switch {
	case presets()[c.Preset] == nil:
		return fmt.Errorf("preset: %q is not known; use one of %s", c.Preset, strings.Join(presetNames(), ", "))
	case c.Of != "" && c.Of != ofWorkload && c.Of != ofHost:
		return fmt.Errorf("of: %q is not known; use workload or host, or leave it out for both", c.Of)
	case c.Metric != "" || c.Unit != "" || c.Kind != "" || c.MaxGap != 0 || c.Match != nil || c.Attributes != nil || c.Method != "":
		return fmt.Errorf("preset: %s stands for its metrics as they are: of is the only key beside it", alone.Preset)
	case len(flat([]InputConfig{alone})) == 0:
		return fmt.Errorf("of: the preset %s has nothing of %ss", alone.Preset, alone.Of)
	}
	return nil
}

// isOurs reports whether this processor writes metrics of that name.
func isOurs(metric string) bool {
	return strings.HasPrefix(metric, names.MetricHostEmissions) || strings.HasPrefix(metric, names.MetricEmissions) ||
		metric == names.MetricGridIntensity || metric == names.MetricElectricityCost || metric == names.MetricWaterUsage ||
		metric == names.MetricBudgetLimit || metric == names.MetricBudgetUtilization || metric == names.MetricSCI
}

// ofNative says whose energy a metric is that is an input without being listed.
func ofNative(metric string) string {
	switch metric {
	case names.MetricHWEnergy:
		return ofHost
	case names.MetricEnergy:
		return ofWorkload
	}
	return ""
}

// checkInputs refuses what cannot be, and entries that no point reaches.
func (c *Config) checkInputs(refuse func(format string, args ...any)) {
	for i := range c.Inputs {
		if err := c.Inputs[i].check(); err != nil {
			refuse("inputs[%d]: %w", i, err)
		}
	}
	earlier := map[string][]InputConfig{}
	for _, in := range flat(c.Inputs) {
		for _, e := range earlier[in.Metric] {
			switch {
			case len(e.Match) == 0:
				refuse("inputs: %s stands there twice, and the first takes all its points: give it a match", in.Metric)
			case maps.Equal(e.Match, in.Match):
				refuse("inputs: %s stands there twice with the same match: remove one, or the preset that has it, too", in.Metric)
			case e.Unit != in.Unit || e.Of != in.Of || e.Kind != in.Kind || e.MaxGap != in.MaxGap:
				refuse("inputs: %s has another unit, of, kind or max_gap where it stands again: only match, attributes and method may differ", in.Metric)
			}
		}
		if in.Metric != "" {
			earlier[in.Metric] = append(earlier[in.Metric], in)
		}
	}
}

// inputsOf returns the inputs by the names of their metrics.
func inputsOf(cfg *Config) map[string]*input {
	host, workload := hostFamily(), workloadFamily()
	native := measure{factor: 1}
	natives := map[string]*input{
		names.MetricHWEnergy: {family: host, unit: names.UnitJoule, measure: native},
		names.MetricEnergy:   {family: workload, unit: names.UnitJoule, measure: native},
	}
	out := map[string]*input{}
	for _, c := range slices.Backward(flat(cfg.Inputs)) { // the last first, so that each has its next
		if n := natives[c.Metric]; n != nil {
			some := *n
			some.match, some.next = patterns(c.Match), out[c.Metric]
			out[c.Metric] = &some
			continue
		}
		in := &input{
			family: workload, foreign: c.Metric, unit: c.Unit, counter: c.Kind == kindOfCounter,
			maxGap: c.MaxGap, match: patterns(c.Match), method: c.Method, next: out[c.Metric],
		}
		if c.Of == ofHost {
			in.family = host
		}
		in.measure, _ = measureOf(c.Unit) // was checked
		if in.maxGap == 0 {
			in.maxGap = defaultMaxGap
		}
		for _, k := range slices.Sorted(maps.Keys(c.Attributes)) {
			in.add = append(in.add, pair{k, c.Attributes[k]})
		}
		out[c.Metric] = in
	}
	for name, n := range natives {
		if out[name] == nil {
			out[name] = n
		}
	}
	return out
}

// kind is how values become energy.
type kind uint8

const (
	kindCumulative kind = iota + 1
	kindDelta
	kindPower
)

// kindOf returns the kind of a sum; false if its temporality is not stated.
func kindOf(t pmetric.AggregationTemporality) (kind, bool) {
	switch t {
	case pmetric.AggregationTemporalityCumulative:
		return kindCumulative, true
	case pmetric.AggregationTemporalityDelta:
		return kindDelta, true
	case pmetric.AggregationTemporalityUnspecified:
	}
	return 0, false
}

// A flow is the points of a metric and how they become joules.
type flow struct {
	points pmetric.NumberDataPointSlice
	kind   kind
	factor float64 // to J, or to W
}

// flowOf reports what a metric gives, or why it cannot be used.
func (in *input) flowOf(m pmetric.Metric) (flow, outcome) {
	unit, why := in.measureOf(m.Unit())
	if why != converted {
		return flow{}, why
	}
	switch m.Type() {
	case pmetric.MetricTypeSum:
		sum := m.Sum()
		k, known := kindOf(sum.AggregationTemporality())
		f := flow{points: sum.DataPoints(), kind: k, factor: unit.factor}
		if !known {
			return f, wrongTemporality
		}
		switch {
		case unit.power:
			return f, wrongType // a sum of power is no energy
		case !sum.IsMonotonic():
			return f, notMonotonic
		}
		return f, converted
	case pmetric.MetricTypeGauge:
		f := flow{points: m.Gauge().DataPoints(), factor: unit.factor}
		switch {
		case unit.power:
			f.kind = kindPower
		case in.counter:
			f.kind = kindCumulative
		default:
			return f, wrongType
		}
		return f, converted
	case pmetric.MetricTypeEmpty, pmetric.MetricTypeHistogram, pmetric.MetricTypeExponentialHistogram, pmetric.MetricTypeSummary:
	}
	return flow{}, wrongType
}

// measureOf takes the unit of the configuration, unless the metric contradicts it.
func (in *input) measureOf(stated string) (measure, outcome) {
	switch {
	case in.unit != "" && (stated == in.unit || stated == ""):
		return in.measure, converted
	case in.foreign == "":
		return measure{}, wrongUnit
	}
	m, known := measureOf(stated)
	switch {
	case in.unit == "" && known:
		return m, converted
	case in.unit == "", known && m != in.measure:
		return measure{}, wrongUnit
	}
	return in.measure, converted // the metric's own word is none that we know
}

func pointsOf(m pmetric.Metric) int {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		return m.Sum().DataPoints().Len()
	case pmetric.MetricTypeGauge:
		return m.Gauge().DataPoints().Len()
	case pmetric.MetricTypeHistogram:
		return m.Histogram().DataPoints().Len()
	case pmetric.MetricTypeExponentialHistogram:
		return m.ExponentialHistogram().DataPoints().Len()
	case pmetric.MetricTypeSummary:
		return m.Summary().DataPoints().Len()
	case pmetric.MetricTypeEmpty:
	}
	return 0
}
