package carbonprocessor

import (
	"bytes"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/ptracetest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// At 360 g/kWh 10 kJ are 1 g.
func TestASpanIsPricedWithTheIntensityOfItsTime(t *testing.T) {
	for _, tc := range []struct {
		name             string
		from, to         float64
		energy           any
		pue              float64
		grams, intensity float64
		source           string
	}{
		{"within a slot", 5, 15, 10_000.0, 0, 1, 360, "live"},
		{"joules as an integer", 5, 15, int64(10_000), 0, 1, 360, "live"},
		{"a PUE is in the grams, not in the intensity", 5, 15, 10_000.0, 2, 2, 360, "live"},
		{"no energy is no emission", 5, 15, 0.0, 0, 0, 360, "live"},
		// 5000 J at 360 are 0.5 g, 5000 J at 720 are 1 g.
		{"across a border", 10, 30, 10_000.0, 0, 1.5, 540, "live"},
		// 2500 J at 360 are 0.25 g, 7500 J at 720 are 1.5 g.
		{"across a border, most of it behind", 15, 35, 10_000.0, 0, 1.75, 630, "live"},
		{"across a border, with a PUE", 15, 35, 10_000.0, 1.2, 2.1, 630, "live"},
		{"no energy across a border", 15, 35, 0.0, 0, 0, 630, "live"},
		// 5 s live at 720, 20 s of the tables at 360, 5 s live at 360: (1/6)·720 + (5/6)·360 = 420.
		{"across sources", 35, 65, 36_000.0, 0, 4.2, 420, "tables"},
		// 18 s and 3 s live against 20 s of the tables, the longest part.
		{"a source that priced most in two parts", 22, 63, 41_000.0, 0, (18*720 + 23*360) / 3600.0, (18*720 + 23*360) / 41.0, "live"},
		{"without a length: the moment of its end", 20, 20, 10_000.0, 0, 2, 720, "live"},
		{"just before a border", 10, 20, 10_000.0, 0, 1, 360, "live"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				r := newTracesRig(t, func(c *Config) { c.PUE = tc.pue },
					slot(began, 0, 20, 360, "live", intensity.Measured),
					slot(began, 20, 40, 720, "live", intensity.Measured),
					slot(began, 40, 60, 360, "tables", intensity.Periodic),
					slot(began, 60, 80, 360, "live", intensity.Measured),
				)
				got := r.price(nil, r.span(tc.from, tc.to, map[string]any{"carbon.energy": tc.energy, "http.route": "/"}))
				assert.InDelta(t, tc.grams, got["carbon.emissions"], 1e-12)
				assert.InDelta(t, tc.intensity, got["carbon.grid.intensity"], 1e-9)
				assert.InDelta(t, 0.6, got["carbon.uncertainty"], 1e-12, "of power without a method, the slots being exact")
				want := map[string]any{
					"carbon.energy": tc.energy, "http.route": "/", "carbon.grid.zone": "FR", "carbon.grid.source": tc.source,
					"carbon.emissions": got["carbon.emissions"], "carbon.grid.intensity": got["carbon.grid.intensity"], "carbon.uncertainty": got["carbon.uncertainty"],
				}
				assert.Equal(t, want, got)
				assert.EqualValues(t, 1, r.total("otelcol_processor_carbon_spans_converted"))
				assert.Empty(t, r.spansDropped())
			})
		})
	}
}

func TestTheUncertaintyOfASpanIsThatOfItsPowerAndItsGrid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		a, b := slot(began, 0, 20, 360, "live", intensity.Measured), slot(began, 20, 40, 720, "live", intensity.Measured)
		none := slot(began, 40, 60, 0, "live", intensity.Measured)
		dark := slot(began, 60, 80, 0, "live", intensity.Measured)
		a.Spread.Half, dark.Spread.Half = 0.24, 0.24
		r := newTracesRig(t, nil, a, b, none, dark)
		for _, tc := range []struct {
			name     string
			from, to float64
			method   any
			want     float64
		}{
			{"measured", 0, 10, "measured", 0.25}, // 0.07² + 0.24² = 0.25²
			{"integrated", 20, 30, "integrated", 0.35},
			{"modelled", 20, 30, "modelled", 0.60},
			{"a method that nobody knows", 20, 30, "guessed", 0.60},
			{"a method that is no word", 20, 30, int64(1), 0.60},
			{"none", 20, 30, nil, 0.60},
			// The range of 5 kJ at 360 (0.5 g ± 0.125) and 5 kJ at 720 (1 g ± 0.07): 1.5 g ± 0.195.
			{"of the summed range", 10, 30, "measured", 0.13},
			// Nothing is emitted in either: half 0.07, half 0.25.
			{"of grids without emissions", 50, 70, "measured", 0.16},
		} {
			attrs := map[string]any{"carbon.energy": 10_000.0}
			if tc.method != nil {
				attrs["carbon.method"] = tc.method
			}
			got := r.price(nil, r.span(tc.from, tc.to, attrs))
			assert.InDelta(t, tc.want, got["carbon.uncertainty"], 1e-12, tc.name)
		}
	})
}

// A kWh in 2025 gives PUE × intensity grams; the figures are those of
// TestPlaceOfAResource.
func TestTheResourceSaysWhereASpanIs(t *testing.T) {
	const fr, de, world = 41.45, 329.65, 473.01
	paris := map[string]any{"cloud.provider": "aws", "cloud.region": "eu-west-3"} // PUE 1.35
	for _, tc := range []struct {
		name             string
		edit             func(*Config)
		resource         map[string]any
		intensity, grams float64
		zone, source     string
		boundary         any
	}{
		{"the configuration first", func(c *Config) { c.Location.Zone = "FR" }, map[string]any{"carbon.grid.zone": "DE"}, fr, fr, "FR", "grids_csv", nil},
		{"then the zone of the resource", nil, map[string]any{"carbon.grid.zone": "DE", "cloud.provider": "aws", "cloud.region": "eu-west-3"}, de, de, "DE", "grids_csv", nil},
		{"then the cloud region, with its PUE", nil, paris, fr, 1.35 * fr, "FR", "clouds_csv", nil},
		{"then the country", nil, map[string]any{"geo.country.iso_code": "DE"}, de, de, "DE", "grids_csv", nil},
		{"then the position", nil, map[string]any{"geo.location.lat": 46.6, "geo.location.lon": 2.4}, fr, fr, "FR", "grids_csv", nil},
		{"then the default", func(c *Config) { c.Location.Default = "FR" }, nil, fr, fr, "FR", "grids_csv", nil},
		{"then the world", nil, nil, world, world, "WORLD", "world_average", nil},
		{"a figure of another boundary says so", nil, map[string]any{"cloud.provider": "aws", "cloud.region": "ca-central-1"}, 1.7, 1.19 * 1.7, "CA-QC", "clouds_csv", "direct"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newTracesRig(t, func(c *Config) {
				c.Providers = nil
				if tc.edit != nil {
					tc.edit(c)
				}
			})
			// What the span itself says of a grid does not decide.
			s := r.span(0, 1, map[string]any{"carbon.energy": 3.6e6, "carbon.grid.zone": "PL"})
			s.SetStartTimestamp(pcommon.NewTimestampFromTime(time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)))
			s.SetEndTimestamp(pcommon.NewTimestampFromTime(time.Date(2025, 6, 1, 12, 0, 1, 0, time.UTC)))
			got := r.price(tc.resource, s)
			assert.InDelta(t, tc.intensity, got["carbon.grid.intensity"], 1e-9)
			assert.InDelta(t, tc.grams, got["carbon.emissions"], 1e-9)
			assert.Equal(t, tc.zone, got["carbon.grid.zone"])
			assert.Equal(t, tc.source, got["carbon.grid.source"])
			assert.Equal(t, tc.boundary, got["carbon.grid.boundary"])
		})
	}
}

func TestAPlaceThatNobodyKnowsIsNamedAndCountedOnce(t *testing.T) {
	r := newTracesRig(t, func(c *Config) { c.Providers = nil })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				s := r.span(-2, -1, map[string]any{"carbon.energy": 1.0})
				r.price(map[string]any{"cloud.provider": "aws", "cloud.region": "mars-north-1"}, s)
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 1, r.total("otelcol_processor_carbon_places_unknown"))
	require.Equal(t, 1, r.logs.Len())
	assert.Contains(t, r.logs.All()[0].ContextMap()["error"], "mars-north-1")
	assert.EqualValues(t, 160, r.total("otelcol_processor_carbon_spans_converted"))
}

func TestASpanWithoutAValueOfTheWantedBoundaryHasNoPrice(t *testing.T) {
	r := newTracesRig(t, func(c *Config) { c.Providers, c.Boundary = nil, "direct" })
	attrs := map[string]any{"carbon.energy": 1000.0}
	assert.Equal(t, attrs, r.price(map[string]any{"geo.country.iso_code": "FR"}, r.span(0, 1, attrs)))
	assert.Equal(t, map[string]int64{"no_intensity": 1}, r.spansDropped())
	assert.Equal(t, 1, r.logs.Len(), "a person can do something about it")
}

// They describe emissions, of which there were none.
func TestAttributesThatWouldContradictTheEmissionsAreReplaced(t *testing.T) {
	r := newTracesRig(t, nil)
	got := r.price(map[string]any{"carbon.grid.zone": "FR"}, r.span(0, 1, map[string]any{
		"carbon.energy": 10_000.0, "carbon.method": "measured", "carbon.sensor": "rapl", "carbon.grid.quality": "x", "enduser.id": "me",
		"carbon.grid.intensity": "high", "carbon.grid.zone": "DE", "carbon.grid.source": "guess", "carbon.uncertainty": 0.9, "carbon.grid.boundary": "direct",
	}))
	assert.Equal(t, map[string]any{
		"carbon.energy": 10_000.0, "carbon.method": "measured", "carbon.sensor": "rapl", "carbon.grid.quality": "x", "enduser.id": "me",
		"carbon.emissions": 1.0, "carbon.grid.intensity": 360.0, "carbon.grid.zone": "FR", "carbon.grid.source": "static",
		"carbon.uncertainty": 0.07, "carbon.grid.boundary": "lifecycle",
	}, got)

	anywhere := r.price(nil, r.span(0, 1, map[string]any{"carbon.energy": 10_000.0, "carbon.grid.zone": "DE"}))
	assert.Equal(t, "DE", anywhere["carbon.grid.zone"], "an intensity that is valid everywhere does not contradict it")
	assert.NotContains(t, r.price(nil, r.span(0, 1, map[string]any{"carbon.energy": 10_000.0})), "carbon.grid.zone")
}

func TestSpansThatCannotBePricedPassUntouched(t *testing.T) {
	big := strings.Repeat("x", 64<<10)
	for _, tc := range []struct {
		name   string
		edit   func(r *tracesRig, s ptrace.Span)
		reason string // "": nothing to do
	}{
		{"no energy", func(*tracesRig, ptrace.Span) {}, ""},
		{"no energy, but emissions", func(_ *tracesRig, s ptrace.Span) { s.Attributes().PutDouble("carbon.emissions", 1) }, ""},
		{"emissions already", func(_ *tracesRig, s ptrace.Span) {
			s.Attributes().PutDouble("carbon.energy", 1)
			s.Attributes().PutDouble("carbon.emissions", 0.5)
		}, "already_priced"},
		{"emissions already, in front, and strange", func(_ *tracesRig, s ptrace.Span) {
			s.Attributes().PutStr("carbon.emissions", "")
			s.Attributes().PutDouble("carbon.energy", math.NaN())
		}, "already_priced"},
		{"not a number", func(_ *tracesRig, s ptrace.Span) { s.Attributes().PutDouble("carbon.energy", math.NaN()) }, "not_finite"},
		{"infinite", func(_ *tracesRig, s ptrace.Span) { s.Attributes().PutDouble("carbon.energy", math.Inf(1)) }, "not_finite"},
		{"less than infinite", func(_ *tracesRig, s ptrace.Span) { s.Attributes().PutDouble("carbon.energy", math.Inf(-1)) }, "not_finite"},
		{"negative", func(_ *tracesRig, s ptrace.Span) { s.Attributes().PutDouble("carbon.energy", -1) }, "negative"},
		{"a negative integer", func(_ *tracesRig, s ptrace.Span) { s.Attributes().PutInt("carbon.energy", math.MinInt64) }, "negative"},
		{"a word", func(_ *tracesRig, s ptrace.Span) { s.Attributes().PutStr("carbon.energy", "10") }, "wrong_type"},
		{"many words", func(_ *tracesRig, s ptrace.Span) { s.Attributes().PutStr("carbon.energy", big) }, "wrong_type"},
		{"a list", func(_ *tracesRig, s ptrace.Span) {
			s.Attributes().PutEmptySlice("carbon.energy").AppendEmpty().SetDouble(1)
		}, "wrong_type"},
		{"a map", func(_ *tracesRig, s ptrace.Span) { s.Attributes().PutEmptyMap("carbon.energy") }, "wrong_type"},
		{"nothing", func(_ *tracesRig, s ptrace.Span) { s.Attributes().PutEmpty("carbon.energy") }, "no_value"},
		{"more than fits", func(_ *tracesRig, s ptrace.Span) { s.Attributes().PutDouble("carbon.energy", math.MaxFloat64) }, "overflow"},
		{"no start", func(_ *tracesRig, s ptrace.Span) {
			s.Attributes().PutDouble("carbon.energy", 1)
			s.SetStartTimestamp(0)
		}, "invalid_time"},
		{"no end", func(_ *tracesRig, s ptrace.Span) {
			s.Attributes().PutDouble("carbon.energy", 1)
			s.SetEndTimestamp(0)
		}, "invalid_time"},
		{"an end before its start", func(_ *tracesRig, s ptrace.Span) {
			s.Attributes().PutDouble("carbon.energy", 1)
			s.SetEndTimestamp(s.StartTimestamp() - 1)
		}, "invalid_time"},
		{"the year 2100", func(_ *tracesRig, s ptrace.Span) {
			s.Attributes().PutDouble("carbon.energy", 1)
			s.SetEndTimestamp(pcommon.NewTimestampFromTime(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)))
		}, "invalid_time"},
		{"the end of time", func(_ *tracesRig, s ptrace.Span) {
			s.Attributes().PutDouble("carbon.energy", 1)
			s.SetStartTimestamp(math.MaxUint64)
			s.SetEndTimestamp(math.MaxUint64)
		}, "invalid_time"},
		{"two days ahead", func(r *tracesRig, s ptrace.Span) {
			s.Attributes().PutDouble("carbon.energy", 1)
			s.SetEndTimestamp(r.at(48 * 3600))
		}, "invalid_time"},
		{"no intensity", func(r *tracesRig, s ptrace.Span) {
			s.Attributes().PutDouble("carbon.energy", 1)
			s.SetStartTimestamp(r.at(30))
			s.SetEndTimestamp(r.at(35))
		}, "no_intensity"},
		{"no intensity for a part", func(r *tracesRig, s ptrace.Span) {
			s.Attributes().PutDouble("carbon.energy", 1)
			s.SetStartTimestamp(r.at(10))
			s.SetEndTimestamp(r.at(30))
		}, "no_intensity"},
		{"before there was a grid", func(_ *tracesRig, s ptrace.Span) {
			s.Attributes().PutDouble("carbon.energy", 1)
			s.SetStartTimestamp(1)
		}, "no_intensity"},
		{"parts that do not add up", func(r *tracesRig, s ptrace.Span) {
			s.Attributes().PutDouble("carbon.energy", 1)
			s.SetStartTimestamp(r.at(50))
			s.SetEndTimestamp(r.at(70))
		}, "no_intensity"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				direct := slot(began, 60, 80, 720, "tables", intensity.Periodic)
				direct.Basis.Boundary = intensity.Direct
				huge := func(c *Config) { c.PUE = 1e10 }
				r := newTracesRig(t, huge, slot(began, 0, 20, 360, "live", intensity.Measured), slot(began, 40, 60, 360, "live", intensity.Measured), direct)
				s := r.span(5, 10, map[string]any{"http.route": "/", "carbon.grid.zone": "DE", "big": big})
				tc.edit(r, s)
				td := traces(t, map[string]any{"host.id": "a"}, s)
				before := marshaled(t, td)
				out, err := r.p.processTraces(t.Context(), td)
				require.NoError(t, err)
				assert.Equal(t, before, marshaled(t, out))
				want := map[string]int64{}
				if tc.reason != "" {
					want[tc.reason] = 1
				}
				assert.Equal(t, want, r.spansDropped())
				assert.Zero(t, r.total("otelcol_processor_carbon_spans_converted"))
			})
		})
	}
}

func TestLongValuesBesideTheEnergyDoNotMatter(t *testing.T) {
	big := strings.Repeat("x", 64<<10)
	r := newTracesRig(t, nil)
	got := r.price(map[string]any{"geo.country.iso_code": big}, r.span(0, 1, map[string]any{
		"carbon.energy": 10_000.0, "carbon.method": big, "carbon.sensor": big, "http.route": big,
	}))
	assert.InDelta(t, 1.0, got["carbon.emissions"], 1e-12)
	assert.InDelta(t, 0.6, got["carbon.uncertainty"], 1e-12)
}

// pdata writes no key twice, but reads it.
func TestOfKeysThatStandThereTwiceTheFirstCounts(t *testing.T) {
	r := newTracesRig(t, nil)
	s := r.span(0, 1, map[string]any{"carbon.energy": 10_000.0})
	s.Attributes().PutDouble("carbon.second", 20_000)
	raw := strings.Replace(string(marshaled(t, traces(t, nil, s))), "carbon.second", "carbon.energy", 1)
	td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces([]byte(raw))
	require.NoError(t, err)
	require.Equal(t, 2, firstSpan(td).Attributes().Len())
	out, err := r.p.processTraces(t.Context(), td)
	require.NoError(t, err)
	v, _ := firstSpan(out).Attributes().Get("carbon.emissions")
	assert.InDelta(t, 1.0, v.Double(), 1e-12)
}

func TestEventsArePricedWhenAskedFor(t *testing.T) {
	batch := func(r *tracesRig) ptrace.Traces {
		s := r.span(0, 40, map[string]any{"carbon.energy": 10_000.0})
		for _, e := range []struct {
			at    float64
			attrs map[string]any
		}{
			{10, map[string]any{"carbon.energy": 10_000.0, "exception.type": "x"}},
			{30, map[string]any{"carbon.energy": int64(10_000)}},
			{30, map[string]any{"carbon.energy": 10_000.0, "carbon.emissions": 7.0}},
			{30, map[string]any{"carbon.energy": "much"}},
			{30, map[string]any{"message": "hello"}},
		} {
			ev := s.Events().AppendEmpty()
			ev.SetTimestamp(r.at(e.at))
			require.NoError(t, ev.Attributes().FromRaw(e.attrs))
		}
		s.Events().AppendEmpty().Attributes().PutDouble("carbon.energy", 1) // without a time
		return traces(t, nil, s)
	}
	run := func(t *testing.T, on bool) (*tracesRig, ptrace.SpanEventSlice) {
		t.Helper()
		began := time.Now()
		r := newTracesRig(t, func(c *Config) { c.SpanEvents = on },
			slot(began, 0, 20, 360, "live", intensity.Measured), slot(began, 20, 40, 720, "live", intensity.Measured))
		out, err := r.p.processTraces(t.Context(), batch(r))
		require.NoError(t, err)
		v, _ := firstSpan(out).Attributes().Get("carbon.emissions")
		assert.InDelta(t, 1.5, v.Double(), 1e-12, "the energy of the span is its own")
		return r, firstSpan(out).Events()
	}
	synctest.Test(t, func(t *testing.T) {
		r, events := run(t, true)
		grams := make([]any, events.Len())
		for i, e := range events.All() {
			grams[i] = e.Attributes().AsRaw()["carbon.emissions"]
		}
		assert.Equal(t, []any{1.0, 2.0, 7.0, nil, nil, nil}, grams)
		assert.Equal(t, map[string]any{
			"carbon.energy": 10_000.0, "exception.type": "x", "carbon.emissions": 1.0, "carbon.grid.intensity": 360.0,
			"carbon.grid.zone": "FR", "carbon.grid.source": "live", "carbon.uncertainty": 0.6,
		}, events.At(0).Attributes().AsRaw())
		assert.EqualValues(t, 2, r.total("otelcol_processor_carbon_span_events_converted"))
		assert.Equal(t, map[string]int64{"already_priced": 1, "wrong_type": 1, "invalid_time": 1}, r.counter("otelcol_processor_carbon_span_events_dropped", "reason"))
		assert.EqualValues(t, 1, r.total("otelcol_processor_carbon_spans_converted"))
		assert.Empty(t, r.spansDropped())
	})
	synctest.Test(t, func(t *testing.T) {
		r, events := run(t, false)
		want := firstSpan(batch(r)).Events()
		for i, e := range events.All() {
			assert.Equal(t, want.At(i).Attributes().AsRaw(), e.Attributes().AsRaw())
		}
		assert.Zero(t, r.total("otelcol_processor_carbon_span_events_converted"))
	})
}

func TestGoldenTraces(t *testing.T) {
	folders, err := filepath.Glob(filepath.Join("testdata", "traces", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, folders)
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			r := newTracesRig(t, func(c *Config) { c.Providers, c.SpanEvents = nil, true })
			td, err := golden.ReadTraces(filepath.Join(folder, "input.yaml"))
			require.NoError(t, err)
			got, err := r.p.processTraces(t.Context(), td)
			require.NoError(t, err)
			path := filepath.Join(folder, "expected.yaml")
			if *update {
				require.NoError(t, golden.WriteTracesToFile(path, got))
			}
			want, err := golden.ReadTraces(path)
			require.NoError(t, err)
			require.NoError(t, ptracetest.CompareTraces(want, got))
		})
	}
}

// Whatever is in a batch, all of it comes out in its order, and what has a price is what
// a simple account of it says.
func TestSpansComeOutInTheirOrder(t *testing.T) {
	r := newTracesRig(t, func(c *Config) { c.Providers = nil })
	prices := map[string]float64{"FR": 41.45, "DE": 329.65}
	noon := time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)
	rapid.Check(t, func(rt *rapid.T) {
		td := ptrace.NewTraces()
		type told struct {
			name  string
			grams any
		}
		var want []told
		for range rapid.IntRange(0, 4).Draw(rt, "resources") {
			rs := td.ResourceSpans().AppendEmpty()
			country := rapid.SampledFrom([]string{"FR", "DE"}).Draw(rt, "country")
			rs.Resource().Attributes().PutStr("geo.country.iso_code", country)
			for range rapid.IntRange(0, 3).Draw(rt, "scopes") {
				ss := rs.ScopeSpans().AppendEmpty()
				for range rapid.IntRange(0, 8).Draw(rt, "spans") {
					s := ss.Spans().AppendEmpty()
					s.SetName(strconv.Itoa(len(want)))
					s.SetStartTimestamp(pcommon.NewTimestampFromTime(noon))
					s.SetEndTimestamp(pcommon.NewTimestampFromTime(noon.Add(time.Duration(rapid.IntRange(0, 1000).Draw(rt, "ms")) * time.Millisecond)))
					w := told{name: s.Name()}
					energy := rapid.Float64().Draw(rt, "energy")
					has := rapid.Bool().Draw(rt, "has energy")
					if has {
						s.Attributes().PutDouble("carbon.energy", energy)
					}
					if rapid.Bool().Draw(rt, "has emissions") {
						s.Attributes().PutDouble("carbon.emissions", 7)
						w.grams = 7.0
					} else if has && energy >= 0 {
						w.grams = energy / 3.6e6 * prices[country]
					}
					want = append(want, w)
				}
			}
		}
		before := ptrace.NewTraces()
		td.CopyTo(before)
		out, err := r.p.processTraces(t.Context(), td)
		require.NoError(rt, err)
		var got []told
		for _, rs := range out.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, s := range ss.Spans().All() {
					got = append(got, told{s.Name(), s.Attributes().AsRaw()["carbon.emissions"]})
				}
			}
		}
		require.Len(rt, got, len(want))
		for i := range want {
			if w, ok := want[i].grams.(float64); ok {
				require.InEpsilon(rt, 1+w, 1+got[i].grams.(float64), 1e-9)
				got[i].grams = want[i].grams
			}
			require.Equal(rt, want[i], got[i])
		}
		require.Equal(rt, marshaled(t, before), marshaled(t, unpriced(before, out)), "nothing else is changed")
	})
}

// unpriced takes back what the processor added to out, which began as before.
func unpriced(before, out ptrace.Traces) ptrace.Traces {
	td := ptrace.NewTraces()
	out.CopyTo(td)
	for i, rs := range td.ResourceSpans().All() {
		for j, ss := range rs.ScopeSpans().All() {
			for k, s := range ss.Spans().All() {
				was := before.ResourceSpans().At(i).ScopeSpans().At(j).Spans().At(k)
				strip(was.Attributes(), s.Attributes())
				for l, e := range s.Events().All() {
					strip(was.Events().At(l).Attributes(), e.Attributes())
				}
			}
		}
	}
	return td
}

// strip leaves what was there, with the values that it had. What is added stands behind it.
func strip(was, is pcommon.Map) {
	own := []string{"carbon.emissions", "carbon.grid.intensity", "carbon.grid.zone", "carbon.grid.source", "carbon.uncertainty", "carbon.grid.boundary"}
	if _, priced := was.Get("carbon.emissions"); priced {
		return
	}
	is.RemoveIf(func(k string, _ pcommon.Value) bool {
		_, had := was.Get(k)
		return slices.Contains(own, k) && !had
	})
	for _, k := range own {
		if old, had := was.Get(k); had {
			if v, ok := is.Get(k); ok {
				old.CopyTo(v)
			}
		}
	}
}

// FuzzTraces feeds whatever decodes as OTLP. Nothing panics, everything comes out as it
// was, with a price where there is one that is possible.
func FuzzTraces(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join("testdata", "traces", "*", "input.yaml"))
	require.NoError(f, err)
	require.NotEmpty(f, paths)
	for _, path := range paths {
		td, err := golden.ReadTraces(path)
		require.NoError(f, err)
		f.Add(marshaled(f, td))
	}
	f.Add(marshaled(f, requests(3)))
	r := newTracesRig(f, func(c *Config) { c.Providers, c.SpanEvents = nil, true }) // nothing of a span is remembered
	f.Fuzz(func(t *testing.T, raw []byte) {
		td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(raw)
		if err != nil {
			return
		}
		countedSpans := r.total("otelcol_processor_carbon_spans_converted")
		countedEvents := r.total("otelcol_processor_carbon_span_events_converted")
		before := ptrace.NewTraces()
		td.CopyTo(before)
		out, err := r.p.processTraces(t.Context(), td)
		if err != nil {
			t.Fatal(err)
		}
		if was, is := marshaled(t, before), marshaled(t, unpriced(before, out)); !bytes.Equal(was, is) {
			t.Fatalf("%x became %x", was, is)
		}
		var spans, events int64
		for i, rs := range out.ResourceSpans().All() {
			for j, ss := range rs.ScopeSpans().All() {
				for k, s := range ss.Spans().All() {
					was := before.ResourceSpans().At(i).ScopeSpans().At(j).Spans().At(k)
					spans += checkPriced(t, was.Attributes(), s.Attributes())
					for l, e := range s.Events().All() {
						events += checkPriced(t, was.Events().At(l).Attributes(), e.Attributes())
					}
				}
			}
		}
		if n := r.total("otelcol_processor_carbon_spans_converted") - countedSpans; n != spans {
			t.Fatalf("%d spans counted, %d priced", n, spans)
		}
		if n := r.total("otelcol_processor_carbon_span_events_converted") - countedEvents; n != events {
			t.Fatalf("%d events counted, %d priced", n, events)
		}
	})
}

// checkPriced returns 1 if attributes got emissions, which have to be possible.
func checkPriced(t *testing.T, was, is pcommon.Map) int64 {
	t.Helper()
	v, priced := is.Get("carbon.emissions")
	if _, before := was.Get("carbon.emissions"); before || !priced {
		if was.Len() != is.Len() {
			t.Fatalf("%v became %v", was.AsRaw(), is.AsRaw())
		}
		return 0
	}
	e, _ := was.Get("carbon.energy")
	joules := e.Double()
	if e.Type() == pcommon.ValueTypeInt {
		joules = float64(e.Int())
	}
	g, _ := is.Get("carbon.grid.intensity")
	u, _ := is.Get("carbon.uncertainty")
	grams, atOne := v.Double(), joules/3.6e6*g.Double() // the PUE is between 1 and 10
	if !(grams >= atOne*(1-1e-9) && grams <= atOne*10) || !finite(grams) || !(u.Double() >= 0) {
		t.Fatalf("%v became %v", was.AsRaw(), is.AsRaw())
	}
	return 1
}
