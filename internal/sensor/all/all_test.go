package all

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
	"github.com/otelcarbon/otelcarbon/internal/host"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/testfs"
)

func TestDependencies(t *testing.T) {
	const mod = "github.com/otelcarbon/otelcarbon"
	deptest.Never(t, "sensors know neither books nor faces",
		mod+"/internal/ledger", mod+"/intensity", mod+"/receiver", mod+"/processor", mod+"/cmd",
		"go.opentelemetry.io")
}

// Two CPUs of a generation that only their numbers tell: 2 × 0.7391 and 2 × 2.2822 W.
const machine = `A virtual machine without any sensor.
-- proc/cpuinfo --
processor	: 0
vendor_id	: AuthenticAMD
cpu family	: 25
model		: 17
model name	: AMD EPYC
stepping	: 1
core id		: 0
flags		: fpu hypervisor

processor	: 1
vendor_id	: AuthenticAMD
cpu family	: 25
model		: 17
model name	: AMD EPYC
stepping	: 1
core id		: 1
flags		: fpu hypervisor

-- proc/meminfo --
MemTotal: 8388608 kB
-- proc/stat --
cpu  1000 0 500 8000 100 0 50 350 0 0
`

func TestOpenModelOfTheMachineBelowTheRoot(t *testing.T) {
	root := testfs.Unpack(t, []byte(machine))
	facts, err := host.Read(t.Context(), root)
	require.NoError(t, err)
	o := Options{Root: root}
	o.Model.Host = ModelHost(facts)
	s, err := Open("model", o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })

	d, ok := s.(interface{ Describe() string })
	require.True(t, ok)
	assert.True(t, strings.HasPrefix(d.Describe(), "2 CPUs by EPYC 4th Gen servers (ccf-coefficients): 1.48 W idle, 4.56 W full"), d.Describe())
	rs, err := s.Read(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, rs, 1)
	assert.Equal(t, "model:cpu", rs[0].Part.ID)
}

func TestC72OpenWithoutAnyHardwareSaysWhy(t *testing.T) {
	for _, name := range Names {
		_, err := Open(name, Options{Root: testfs.Unpack(t, []byte(machine))})
		require.ErrorIs(t, err, errors.ErrUnsupported)
		var p *sensor.Problem
		require.ErrorAs(t, err, &p)
		assert.Equal(t, name, p.Sensor)
		assert.NotEmpty(t, p.Remedy)
	}
}

func TestOpenOfAnUnknownName(t *testing.T) {
	_, err := Open("psu", Options{})
	require.EqualError(t, err, `sensor "psu" is none of perf, rapl, nvml, nvidia_smi, hwmon, battery, model`)
	require.NotErrorIs(t, err, errors.ErrUnsupported)
}

func TestModelHostTakesEveryFact(t *testing.T) {
	f := host.Facts{
		CPUVendor: "a", CPUModel: "b", CPUFamily: 1, CPUModelID: 2, CPUStepping: 3,
		LogicalCPUs: 4, Sockets: 5, MemoryBytes: 6, Virtual: true, CloudProvider: "c", InstanceType: "d",
	}
	h := ModelHost(f)
	assert.Equal(t, []any{f.CPUVendor, f.CPUModel, f.CPUFamily, f.CPUModelID, f.CPUStepping, f.LogicalCPUs, f.Sockets, f.MemoryBytes, f.Virtual, f.CloudProvider, f.InstanceType},
		[]any{h.CPUVendor, h.CPUModel, h.CPUFamily, h.CPUModelID, h.CPUStepping, h.LogicalCPUs, h.Sockets, h.MemoryBytes, h.Virtual, h.CloudProvider, h.InstanceType})
}
