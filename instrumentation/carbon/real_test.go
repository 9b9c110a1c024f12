package carbon_test

import (
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon"
	"github.com/otelcarbon/otelcarbon/internal/testfs"
)

// In a container, the machine is that which is mounted: this one has RAPL.
func TestTheRootPathIsThatOfTheMachine(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems have no proc and sys")
	}
	c, err := carbon.Start(carbon.WithZone("FR"), carbon.WithRootPath(testfs.UnpackFile(t, "internal/process/testdata/server.txtar")))
	require.NoError(t, err)
	assert.Contains(t, c.Describe(), "measured by rapl")
	require.NoError(t, c.Shutdown(t.Context()))
}

// This process, on this machine: a CPU that works draws something, and less than 1 kW.
func TestThisProcess(t *testing.T) {
	c, err := carbon.Start(carbon.WithZone("FR"))
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Shutdown(t.Context())) }()
	require.NotEmpty(t, c.Describe())
	began, x := time.Now(), 1.0
	stop := c.Measure("work")
	for time.Since(began) < 1500*time.Millisecond {
		for range 1000 {
			x = math.Sqrt(x + 1)
		}
	}
	r := stop()
	require.Positive(t, x)
	t.Log(r)
	assert.Greater(t, r.Energy.Total(), 0.1)
	assert.Less(t, r.Energy.Total(), 1000*r.Duration.Seconds())
	assert.InEpsilon(t, r.Energy.Total()/3.6e6*r.Intensity, r.Emissions, 1e-6)
	assert.Equal(t, "grids_csv", r.Source)
	assert.Equal(t, "FR", r.Zone)
	assert.Less(t, r.Lower, r.Emissions)
	assert.Greater(t, r.Upper, r.Emissions)
}
