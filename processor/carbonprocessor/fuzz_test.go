package carbonprocessor

import (
	"context"
	"encoding/binary"
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor/processortest"
	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor/internal/metadata"
)

func started(t testing.TB, edit func(*Config)) *metricsProcessor {
	t.Helper()
	cfg := createDefaultConfig().(*Config)
	if edit != nil {
		edit(cfg)
	}
	p := newProcessor(t, cfg, processortest.NewNopSettings(metadata.Type))
	require.NoError(t, p.start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { require.NoError(t, p.shutdown(context.WithoutCancel(t.Context()))) })
	return p
}

// FuzzStreams feeds a stream with points made of 24 bytes each: start, time,
// value. Whatever they are, time moves forwards, steps are never negative, and
// nothing is priced twice.
func FuzzStreams(f *testing.F) {
	points := func(ns ...uint64) []byte {
		var b []byte
		for _, n := range ns {
			b = binary.LittleEndian.AppendUint64(b, n)
		}
		return b
	}
	v := math.Float64bits
	f.Add(points(100, 200, v(7), 100, 300, v(9), 100, 400, v(11)), false)
	f.Add(points(50, 200, v(7), 50, 300, v(3), 350, 400, v(2), 350, 400, v(2)), false)
	f.Add(points(0, 200, v(7), 0, 300, v(3), 0, 100, v(1e300)), false)
	f.Add(points(100, 200, v(7), 200, 300, v(9), 150, 250, v(1)), true)
	f.Add(points(0, math.MaxInt64, v(math.MaxFloat64), 1, 2, v(0)), true)
	f.Fuzz(func(t *testing.T, data []byte, deltas bool) {
		const born = 100
		s := &stream{}
		var covered int64 // up to here, energy of a cumulative stream was priced
		for ; len(data) >= 24; data = data[24:] {
			dp := pmetric.NewNumberDataPoint()
			dp.SetStartTimestamp(pcommon.Timestamp(binary.LittleEndian.Uint64(data)))
			dp.SetTimestamp(pcommon.Timestamp(binary.LittleEndian.Uint64(data[8:])))
			dp.SetDoubleValue(math.Float64frombits(binary.LittleEndian.Uint64(data[16:])))
			r, why := read(dp, 1)
			if why != converted {
				continue
			}
			before := *s
			var got step
			if deltas {
				got = s.delta(r)
			} else {
				got = s.cumulative(r, born)
			}
			if got.verdict == duplicate || got.verdict == outOfOrder {
				if r.at > before.last {
					t.Fatalf("%+v is newer than %+v and was refused", r, before)
				}
				continue
			}
			if r.at <= before.last {
				t.Fatalf("%+v is not newer than %+v and was accepted", r, before)
			}
			if got.verdict == priced {
				if !(got.joules >= 0) || got.joules > r.value || got.from > r.at {
					t.Fatalf("step %+v from %+v to %+v", got, before, r)
				}
				if !deltas && got.from < covered {
					t.Fatalf("step %+v begins before %d, which was priced", got, covered)
				}
				covered = r.at
			}
			s.accept(r)
		}
	})
}

// FuzzMetrics feeds whatever decodes as OTLP. Nothing panics, what came in goes
// out, and cumulative outputs never fall while their start stays.
func FuzzMetrics(f *testing.F) {
	add := func(md pmetric.Metrics) {
		raw, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
		require.NoError(f, err)
		f.Add(raw)
	}
	add(fleet(2, 3, time.Unix(1_750_000_000, 0)))
	moved := fleet(1, 2, time.Now().Add(time.Hour))
	restore(moved, time.Now().Add(time.Hour), 3)
	add(moved)
	inputs, err := filepath.Glob(filepath.Join("testdata", "golden", "*", "input_*.yaml"))
	require.NoError(f, err)
	require.NotEmpty(f, inputs)
	for _, path := range inputs {
		md, err := golden.ReadMetrics(path)
		require.NoError(f, err)
		add(md)
	}
	all := fleet(2, 2, time.Now())
	for i, name := range []string{"carbon.energy", "joules", "watts", "requests"} {
		one := fleet(1, 2, time.Now())
		m := one.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
		m.SetName(name)
		if i%2 == 0 {
			m.Sum().SetAggregationTemporality(delta)
		}
		one.ResourceMetrics().MoveAndAppendTo(all.ResourceMetrics())
	}
	add(all)
	f.Fuzz(func(t *testing.T, raw []byte) {
		fuzzMetrics(t, raw, started(t, func(c *Config) { c.MaxStreams = 8 }))
		l := newShelf().live(t, 1, func(c *Config) {
			c.MaxStreams, c.Revise, c.WUE, c.ElectricityPrice.PerKWh = 12, true, 1, 1
			c.Budgets = []BudgetConfig{{Name: "a", Grams: 1, Period: time.Hour}, {Name: "b", Grams: 1e9, Match: map[string]string{"hw.type": "c*"}}}
			c.Embodied = configoptional.Some(EmbodiedConfig{KgCO2e: 1000, Lifetime: time.Hour})
			c.SCI = &SCIConfig{Per: "requests", By: []string{"host.id"}}
			c.Inputs = []InputConfig{{Metric: "joules", Unit: "mJ", Kind: "counter"}, {Metric: "watts", Unit: "W", Of: "host", Match: map[string]string{"hw.id": "*"}}}
		})
		defer l.stop()
		fuzzMetrics(t, raw, l.pipelines[0])
	})
}

func fuzzMetrics(t *testing.T, raw []byte, p *metricsProcessor) {
	t.Helper()
	seen := map[string][2]float64{} // start and value by identity
	for range 2 {
		md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(raw)
		if err != nil {
			return
		}
		for shift := range 3 {
			batch := pmetric.NewMetrics()
			md.CopyTo(batch)
			move(batch, time.Duration(shift)*time.Minute, float64(shift))
			points := batch.DataPointCount()
			out, err := p.processMetrics(t.Context(), batch)
			if err != nil {
				t.Fatal(err)
			}
			if out.DataPointCount() < points {
				t.Fatalf("%d points came in, %d went out", points, out.DataPointCount())
			}
			monotone(t, out, seen)
		}
	}
}

// move shifts all sums of energy in time and value.
func move(md pmetric.Metrics, by time.Duration, joules float64) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Type() != pmetric.MetricTypeSum {
					continue
				}
				for _, dp := range m.Sum().DataPoints().All() {
					dp.SetTimestamp(dp.Timestamp() + pcommon.Timestamp(by))
					if dp.ValueType() == pmetric.NumberDataPointValueTypeDouble {
						dp.SetDoubleValue(dp.DoubleValue() + joules)
					}
				}
			}
		}
	}
}

func monotone(t *testing.T, md pmetric.Metrics, seen map[string][2]float64) {
	t.Helper()
	h := hasher{seed: 1}
	for _, rm := range md.ResourceMetrics().All() {
		resource := h.attributes(rm.Resource().Attributes())
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				switch m.Name() {
				case "carbon.host.emissions", "carbon.host.emissions_lower", "carbon.host.emissions_upper",
					"carbon.emissions", "carbon.emissions_lower", "carbon.emissions_upper", "carbon.water_usage":
				default:
					continue
				}
				if m.Type() != pmetric.MetricTypeSum || m.Unit() != "g" && m.Unit() != "L" || m.Sum().AggregationTemporality() != cumulative {
					continue
				}
				base := h.base(resource, sm.Scope(), m.Name(), kindCumulative)
				for _, dp := range m.Sum().DataPoints().All() {
					if dp.Flags().NoRecordedValue() {
						continue
					}
					v := dp.DoubleValue()
					if !(v >= 0) || math.IsInf(v, 0) {
						t.Fatalf("%s is %v", m.Name(), v)
					}
					if dp.StartTimestamp() > dp.Timestamp() {
						t.Fatalf("%s starts at %v and ends at %v", m.Name(), dp.StartTimestamp(), dp.Timestamp())
					}
					id := h.point(base, dp.Attributes())
					key := string(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, id.hi), id.lo))
					last, ok := seen[key]
					if ok && last[0] == float64(dp.StartTimestamp()) && v < last[1] {
						t.Fatalf("%s fell from %v to %v", m.Name(), last[1], v)
					}
					seen[key] = [2]float64{float64(dp.StartTimestamp()), v}
				}
			}
		}
	}
}

// Whatever arrives, in whatever order: the outputs of a stream add up to the price
// of the energy that was accepted, and that is what a simple account of it says.
func TestOutputsAddUpToThePriceOfTheEnergy(t *testing.T) {
	for _, temporality := range []pmetric.AggregationTemporality{cumulative, delta} {
		t.Run(temporality.String(), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) { addUp(t, rt, temporality) })
		})
	}
}

func addUp(t *testing.T, rt *rapid.T, temporality pmetric.AggregationTemporality) {
	t.Helper()
	type account struct{ last, value, joules float64 }
	accounts := map[string]*account{"a": {}, "b": {}, "c": {}}
	got := map[string]float64{}
	r := newRig(t, nil)
	old := rapid.Bool().Draw(rt, "older than the processor")
	for range rapid.IntRange(1, 40).Draw(rt, "points") {
		id := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "stream")
		at := float64(rapid.IntRange(1, 100).Draw(rt, "time"))
		v := rapid.Float64Range(0, 1e6).Draw(rt, "joules")
		start := 0.0
		if old {
			start = -5
		}
		a := accounts[id]
		if at > a.last { // what is not newer never counts
			switch {
			case temporality == delta, a.last == 0 && !old:
				a.joules += v
			case a.last != 0 && v >= a.value:
				a.joules += v - a.value
			}
			a.last, a.value = at, v
		}
		i := in{temporality: temporality, attrs: map[string]any{"hw.id": id}}
		out := r.send(energy(t, i, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{start, at, v}) }))
		for _, dp := range found(out, "carbon.host.emissions") {
			switch {
			case temporality == delta:
				got[id] += dp.DoubleValue()
			case dp.DoubleValue() < got[id]:
				rt.Fatalf("%s fell from %v to %v", id, got[id], dp.DoubleValue())
			default:
				got[id] = dp.DoubleValue()
			}
		}
	}
	for id, a := range accounts {
		if want := a.joules * 1e-4; math.Abs(got[id]-want) > 1e-9*(1+want) {
			rt.Fatalf("%s: %v g, want %v", id, got[id], want)
		}
	}
}
