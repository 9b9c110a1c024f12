package carbonprocessor

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"pgregory.net/rapid"
)

func attributes(t *testing.T, raw map[string]any) pcommon.Map {
	t.Helper()
	m := pcommon.NewMap()
	require.NoError(t, m.FromRaw(raw))
	return m
}

func TestDifferentAttributesAreDifferentStreams(t *testing.T) {
	h := newHasher()
	seen := map[identity]int{}
	for i, raw := range []map[string]any{
		{},
		{"a": ""},
		{"": "a"},
		{"a": "b"},
		{"b": "a"},
		{"ab": ""},
		{"a": "b", "c": "d"},
		{"a": "d", "c": "b"},
		{"a": "1"},
		{"a": int64(1)},
		{"a": 1.0},
		{"a": true},
		{"a": false},
		{"a": nil},
		{"a": []byte("1")},
		{"a": []byte("")},
		{"a": bytes.Repeat([]byte("1"), 64)}, // bytes are hashed in pieces of 64
		{"a": bytes.Repeat([]byte("1"), 65)},
		{"a": append(bytes.Repeat([]byte("1"), 64), '2')},
		{"a": append([]byte("2"), bytes.Repeat([]byte("1"), 64)...)},
		{"a": []any{}},
		{"a": []any{"1"}},
		{"a": []any{"1", "2"}},
		{"a": []any{"2", "1"}},
		{"a": []any{"1", []any{"2"}}},
		{"a": map[string]any{}},
		{"a": map[string]any{"1": "2"}},
		{"a": map[string]any{"2": "1"}},
	} {
		id := h.attributes(attributes(t, raw))
		if j, ok := seen[id]; ok {
			t.Errorf("%d and %d are the same stream", i, j)
		}
		seen[id] = i
	}
}

func TestTheOrderOfAttributesDoesNotMatter(t *testing.T) {
	h := newHasher()
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.MapOfN(rapid.String(), rapid.String(), 0, 12).Draw(t, "attributes")
		keys := make([]string, 0, len(raw))
		for k := range raw {
			keys = append(keys, k)
		}
		build := func(keys []string) pcommon.Map {
			m := pcommon.NewMap()
			for _, k := range keys {
				m.PutStr(k, raw[k])
			}
			return m
		}
		a, b := h.attributes(build(keys)), h.attributes(build(rapid.Permutation(keys).Draw(t, "order")))
		if a != b {
			t.Fatalf("%v and %v", a, b)
		}
	})
}

func TestWhatHoldsAPointIsPartOfItsIdentity(t *testing.T) {
	h := newHasher()
	base := func(edit func(pcommon.Map, pcommon.InstrumentationScope, pmetric.Metric)) identity {
		resource, scope, m := pcommon.NewMap(), pcommon.NewInstrumentationScope(), pmetric.NewMetric()
		m.SetEmptySum()
		edit(resource, scope, m)
		return h.base(h.attributes(resource), scope, m.Name(), kind(m.Sum().AggregationTemporality()))
	}
	seen := map[identity]int{}
	for i, edit := range []func(pcommon.Map, pcommon.InstrumentationScope, pmetric.Metric){
		func(pcommon.Map, pcommon.InstrumentationScope, pmetric.Metric) {},
		func(r pcommon.Map, _ pcommon.InstrumentationScope, _ pmetric.Metric) { r.PutStr("host.id", "a") },
		func(_ pcommon.Map, s pcommon.InstrumentationScope, _ pmetric.Metric) { s.SetName("a") },
		func(_ pcommon.Map, s pcommon.InstrumentationScope, _ pmetric.Metric) { s.SetVersion("a") },
		func(_ pcommon.Map, s pcommon.InstrumentationScope, _ pmetric.Metric) {
			s.Attributes().PutStr("host.id", "a")
		},
		func(_ pcommon.Map, _ pcommon.InstrumentationScope, m pmetric.Metric) { m.SetName("a") },
		func(_ pcommon.Map, _ pcommon.InstrumentationScope, m pmetric.Metric) {
			m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		},
	} {
		id := base(edit)
		if j, ok := seen[id]; ok {
			t.Errorf("%d and %d are the same", i, j)
		}
		seen[id] = i
	}
}

func TestIdentityAllocatesNothing(t *testing.T) {
	h := newHasher()
	m := attributes(t, map[string]any{"hw.id": "cpu0", "n": int64(1), "list": []any{"a", 1.5, []byte("x"), true, map[string]any{"k": "v"}}})
	scope, metric := pcommon.NewInstrumentationScope(), pmetric.NewMetric()
	metric.SetEmptySum()
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		h.point(h.base(identity{1, 2}, scope, metric.Name(), kindDelta), m)
	}))
}
