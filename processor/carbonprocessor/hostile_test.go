package carbonprocessor

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// What senders get wrong is passed on as it is, counted by its reason, and priced never.
func TestWhatSendersGetWrong(t *testing.T) {
	year := func(y int) pcommon.Timestamp {
		return pcommon.NewTimestampFromTime(time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC))
	}
	for _, tc := range []struct {
		name    string
		spoil   func(m pmetric.Metric, dp pmetric.NumberDataPoint)
		reason  string // "" if it is priced all the same
		emitted float64
	}{
		{"not a number", func(_ pmetric.Metric, dp pmetric.NumberDataPoint) { dp.SetDoubleValue(math.NaN()) }, "not_finite", 0},
		{"infinite", func(_ pmetric.Metric, dp pmetric.NumberDataPoint) { dp.SetDoubleValue(math.Inf(1)) }, "not_finite", 0},
		{"infinitely negative", func(_ pmetric.Metric, dp pmetric.NumberDataPoint) { dp.SetDoubleValue(math.Inf(-1)) }, "not_finite", 0},
		{"negative", func(_ pmetric.Metric, dp pmetric.NumberDataPoint) { dp.SetDoubleValue(-1) }, "negative", 0},
		// Grams may be finite where the upper bound is not.
		{"too much", func(_ pmetric.Metric, dp pmetric.NumberDataPoint) { dp.SetDoubleValue(math.MaxFloat64) }, "", math.MaxFloat64 / 1e4},
		{"too much for the price", func(_ pmetric.Metric, dp pmetric.NumberDataPoint) {
			dp.SetDoubleValue(math.MaxFloat64)
			dp.Attributes().PutStr("carbon.method", "modelled")
		}, "", math.MaxFloat64 / 1e4},
		{"no unit", func(m pmetric.Metric, _ pmetric.NumberDataPoint) { m.SetUnit("") }, "", 0.1},
		{"another unit", func(m pmetric.Metric, _ pmetric.NumberDataPoint) { m.SetUnit("kW.h") }, "wrong_unit", 0},
		{"a histogram", func(m pmetric.Metric, _ pmetric.NumberDataPoint) {
			m.SetEmptyHistogram().DataPoints().AppendEmpty().SetTimestamp(1)
		}, "wrong_type", 0},
		{"an exponential histogram", func(m pmetric.Metric, _ pmetric.NumberDataPoint) {
			m.SetEmptyExponentialHistogram().DataPoints().AppendEmpty().SetTimestamp(1)
		}, "wrong_type", 0},
		{"a summary", func(m pmetric.Metric, _ pmetric.NumberDataPoint) {
			m.SetEmptySummary().DataPoints().AppendEmpty().SetTimestamp(1)
		}, "wrong_type", 0},
		{"a gauge", func(m pmetric.Metric, dp pmetric.NumberDataPoint) {
			at := dp.Timestamp()
			m.SetEmptyGauge().DataPoints().AppendEmpty().SetTimestamp(at)
		}, "wrong_type", 0},
		{"a sum that may fall", func(m pmetric.Metric, _ pmetric.NumberDataPoint) { m.Sum().SetIsMonotonic(false) }, "not_monotonic", 0},
		{"no temporality", func(m pmetric.Metric, _ pmetric.NumberDataPoint) {
			m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityUnspecified)
		}, "wrong_temporality", 0},
		{"a time of 0", func(_ pmetric.Metric, dp pmetric.NumberDataPoint) { dp.SetTimestamp(0) }, "invalid_time", 0},
		{"a start after the end", func(_ pmetric.Metric, dp pmetric.NumberDataPoint) { dp.SetStartTimestamp(dp.Timestamp() + 1) }, "invalid_time", 0},
		{"a time that no clock has", func(_ pmetric.Metric, dp pmetric.NumberDataPoint) { dp.SetTimestamp(math.MaxUint64) }, "invalid_time", 0},
		{"1970", func(_ pmetric.Metric, dp pmetric.NumberDataPoint) { dp.SetStartTimestamp(0); dp.SetTimestamp(1) }, "", 0.1},
		{"2100", func(_ pmetric.Metric, dp pmetric.NumberDataPoint) {
			dp.SetStartTimestamp(year(2099))
			dp.SetTimestamp(year(2100))
		}, "", 0.1},
		{"from 1970 to 2100", func(_ pmetric.Metric, dp pmetric.NumberDataPoint) {
			dp.SetStartTimestamp(1)
			dp.SetTimestamp(year(2100))
		}, "", 0.1},
		{"an attribute of 64 KiB", func(_ pmetric.Metric, dp pmetric.NumberDataPoint) {
			dp.Attributes().PutStr("hw.id", strings.Repeat("x", 64<<10))
			dp.Attributes().PutStr("carbon.method", strings.Repeat("measured", 8<<10))
		}, "", 0.1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, nil)
			md := energy(t, in{temporality: delta}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, 10, 1000.0}) })
			m := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
			tc.spoil(m, m.Sum().DataPoints().At(0))
			want := pmetric.NewMetric()
			m.CopyTo(want)
			out, err := r.p.processMetrics(t.Context(), md)
			require.NoError(t, err)
			got := out.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
			assert.Equal(t, marshal(t, want), marshal(t, got), "it is passed on as it is")
			dropped := map[string]int64{}
			if tc.reason != "" {
				dropped[tc.reason] = 1
				assert.Empty(t, found(out, "carbon.host.emissions"))
			} else {
				require.Len(t, found(out, "carbon.host.emissions"), 1)
				assert.InEpsilon(t, tc.emitted, found(out, "carbon.host.emissions")[0].DoubleValue(), 1e-12)
			}
			assert.Equal(t, dropped, r.dropped())

			again := r.send(energy(t, in{attrs: map[string]any{"hw.id": "another"}, temporality: delta}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{10, 20, 1000.0}) }))
			assert.InEpsilon(t, 0.1, grams(again, "carbon.host.emissions"), 1e-12, "others do not suffer")
		})
	}
}

func marshal(t *testing.T, m pmetric.Metric) string {
	t.Helper()
	md := pmetric.NewMetrics()
	m.CopyTo(md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty())
	raw, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
	require.NoError(t, err)
	return string(raw)
}
