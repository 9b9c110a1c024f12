package carbonprocessor

import (
	"flag"
	"path/filepath"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/pmetrictest"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata/golden")

// Every folder holds batches, sent in the order of their names, and what becomes of
// the last one.
func TestGolden(t *testing.T) {
	folders, err := filepath.Glob(filepath.Join("testdata", "golden", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, folders)
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			inputs, err := filepath.Glob(filepath.Join(folder, "input_*.yaml"))
			require.NoError(t, err)
			require.NotEmpty(t, inputs)
			r := newRig(t, func(c *Config) { c.Providers = nil })
			var got pmetric.Metrics
			for _, path := range inputs {
				md, err := golden.ReadMetrics(path)
				require.NoError(t, err)
				require.NoError(t, pmetrictest.ValidateMetrics(md))
				got = r.send(md)
			}
			path := filepath.Join(folder, "expected.yaml")
			if *update {
				require.NoError(t, golden.WriteMetricsToFile(path, got, golden.SkipMetricTimestampNormalization()))
			}
			want, err := golden.ReadMetrics(path)
			require.NoError(t, err)
			require.NoError(t, pmetrictest.CompareMetrics(want, got,
				pmetrictest.IgnoreResourceMetricsOrder(), pmetrictest.IgnoreScopeMetricsOrder(),
				pmetrictest.IgnoreMetricsOrder(), pmetrictest.IgnoreMetricDataPointsOrder()))
		})
	}
}
