package powerreceiver

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/all"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
	"github.com/otelcarbon/otelcarbon/internal/testfs"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// trees joins the trees of sensors' own tests to one machine.
func trees(t *testing.T, names ...string) (root string) {
	t.Helper()
	var archive bytes.Buffer
	for _, name := range names {
		raw, err := os.ReadFile(filepath.Join("../../internal/sensor", strings.Replace(name, "/", "/testdata/", 1)+".txtar"))
		require.NoError(t, err)
		_, files, found := bytes.Cut(raw, []byte("\n-- "))
		require.True(t, found)
		archive.WriteString("-- ")
		archive.Write(files)
	}
	return testfs.Unpack(t, archive.Bytes())
}

// turn advances every energy counter below root by 1 J.
func turn(t *testing.T, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if !d.Type().IsRegular() || name != "energy_uj" && (!strings.HasPrefix(name, "energy") || !strings.HasSuffix(name, "_input")) {
			return nil
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		v, err := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 64)
		if err != nil {
			return nil //nolint:nilerr // what is no number stays as it is
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		testfs.Write(t, root, rel, strconv.FormatUint(v+1_000_000, 10)+"\n")
		return nil
	})
	require.NoError(t, err)
}

// Which parts of a machine are added up, and which are shown as details only. The
// model stands in for what nothing measures.
func TestPartition(t *testing.T) {
	for _, tc := range []struct {
		name    string
		trees   []string
		counted []string
		details []string
	}{
		{
			"C25 C30 C32 one-socket Intel client with MMIO and psys",
			[]string{"rapl/client"},
			[]string{"rapl:package-0", "rapl:package-0/dram"},
			[]string{"rapl:package-0/core", "rapl:package-0/uncore", "rapl:psys"},
		},
		{
			"C27 two-socket Xeon with DRAM",
			[]string{"rapl/xeon-2s"},
			[]string{"rapl:package-0", "rapl:package-0/dram", "rapl:package-1", "rapl:package-1/dram"},
			nil,
		},
		{
			"C28 Xeon with two dies",
			[]string{"rapl/cascadelake-ap"},
			[]string{
				"rapl:package-0-die-0", "rapl:package-0-die-0/dram", "rapl:package-0-die-1", "rapl:package-0-die-1/dram",
			},
			nil,
		},
		{"C31 EPYC with one socket", []string{"rapl/epyc-1s"}, []string{"model:memory", "rapl:package-0"}, nil},
		{
			"C31 EPYC with two sockets, by amd_energy",
			[]string{"hwmon/amd-energy"},
			[]string{"hwmon:amd_energy/socket-0", "hwmon:amd_energy/socket-1", "model:memory"},
			nil,
		},
		{"C29 older EPYC with mirrored dies", []string{"rapl/epyc-dies"}, []string{"model:memory", "rapl:package-0-die-0"}, nil},
		{
			"C38 Grace",
			[]string{"hwmon/grace-2s"},
			[]string{"hwmon:grace-0", "hwmon:grace-1"},
			[]string{"hwmon:cpu-0", "hwmon:cpu-1", "hwmon:module-0", "hwmon:module-1", "hwmon:sysio-0", "hwmon:sysio-1"},
		},
		{
			"C37 Jetson Orin",
			[]string{"hwmon/jetson-orin-nx"},
			[]string{"hwmon:ina3221/1-0040/VDD_IN"},
			[]string{"hwmon:ina3221/1-0040/VDD_CPU_GPU_CV", "hwmon:ina3221/1-0040/VDD_SOC"},
		},
		{
			"C39 Altra with two sockets",
			[]string{"hwmon/altra-2s"},
			[]string{
				"hwmon:apm_xgene/APMC0D29:00/cpu", "hwmon:apm_xgene/APMC0D29:00/io",
				"hwmon:apm_xgene/APMC0D29:01/cpu", "hwmon:apm_xgene/APMC0D29:01/io", "model:memory",
			},
			nil,
		},
		{
			"C36 C42 APU laptop on battery",
			[]string{"hwmon/apu", "battery/thinkpad"},
			[]string{"hwmon:amdgpu/0000:c1:00.0", "model:memory"},
			[]string{"battery:host"}, // trusted only after a while
		},
		{"C72 a virtual machine with nothing", []string{"rapl/vm"}, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := trees(t, tc.trees...)
			smp := newSampler(time.Second, ledger.New(ledger.Config{MaxGap: time.Minute}), zap.NewNop(), noTelemetry{})
			defer func() { require.NoError(t, smp.closeSensors()) }()
			o := all.Options{Root: root}
			o.Model.Measured = smp.isMeasured
			o.Model.Host.MemoryBytes = 64 << 30
			o.Model.Host.LogicalCPUs = 8
			o.Model.IdleWatts, o.Model.MaxWatts = 10, 10
			for _, name := range []string{"perf", "rapl", "hwmon", "battery", "model"} {
				if name == "model" && tc.counted == nil {
					continue // nothing at all, then
				}
				smp.sources = append(smp.sources, &source{name: name, open: func() (sensor.Sensor, error) { return all.Open(name, o) }})
				require.NoError(t, smp.openSource(smp.sources[len(smp.sources)-1]))
			}
			for range 3 {
				smp.sample(t.Context())
				time.Sleep(2 * time.Millisecond) // gauges need time to pass
				turn(t, root)
			}
			var counted, details []string
			var sum, host unit.Microjoules
			for a := range smp.ledger.Accounts {
				switch a.Kind {
				case ledger.HostAccount:
					host = a.Energy
				case ledger.DetailAccount:
					details = append(details, a.Part.ID)
				case ledger.UncountedAccount:
				case ledger.PartAccount:
					sum += a.Energy
					if a.Live {
						counted = append(counted, a.Part.ID)
					}
				}
			}
			slices.Sort(counted)
			slices.Sort(details)
			assert.Equal(t, tc.counted, counted)
			assert.Equal(t, tc.details, details)
			assert.Equal(t, host, sum, "the host is the sum of what is counted")
		})
	}
}

// A DGX-shaped machine: two sockets and eight GPUs, which the library and the
// program both show. Each is counted once, by the library.
func TestPartitionOfADGX(t *testing.T) {
	root := trees(t, "rapl/xeon-2s")
	gpus := func(name string, rank int, kind sensor.Kind, method sensor.Method) sensor.Sensor {
		var parts [8]*sensor.Part
		for i := range parts {
			uuid := "GPU-" + strconv.Itoa(i)
			parts[i] = &sensor.Part{
				ID: name + ":" + uuid, Name: "H100", Type: "gpu", Sensor: name, Method: method,
				Same: "gpu/" + uuid, Rank: rank, Socket: -1, Die: -1,
			}
		}
		return &sensortest.Fake{Next: func(n int, now time.Time) sensortest.Step {
			var step sensortest.Step
			for _, p := range parts {
				step.Readings = append(step.Readings, sensor.Reading{
					Part: p, At: now, Kind: kind, Energy: unit.Microjoules(n) * 500_000, Power: 300 * unit.Watt,
				})
			}
			return step
		}}
	}
	smp := newSampler(time.Second, ledger.New(ledger.Config{MaxGap: time.Minute}), zap.NewNop(), noTelemetry{})
	defer func() { require.NoError(t, smp.closeSensors()) }()
	cpu, err := all.Open("rapl", all.Options{Root: root})
	require.NoError(t, err)
	smp.sources = []*source{
		{name: "rapl", sensor: cpu},
		{name: "nvml", sensor: gpus("nvml", 0, sensor.Counter, sensor.Measured)},
		{name: "nvidia_smi", sensor: gpus("nvidia_smi", 1, sensor.Gauge, sensor.Integrated)},
	}
	for range 4 {
		smp.sample(t.Context())
		time.Sleep(2 * time.Millisecond)
		turn(t, root)
	}
	var sum, host unit.Microjoules
	var counted []string
	for a := range smp.ledger.Accounts {
		switch a.Kind {
		case ledger.HostAccount:
			host = a.Energy
		case ledger.PartAccount:
			sum += a.Energy
			counted = append(counted, a.Part.ID)
			if a.Part.Type == "gpu" {
				assert.Equal(t, unit.Microjoules(3*500_000), a.Energy, a.Part.ID) // three steps of 0.5 J
			}
		case ledger.DetailAccount, ledger.UncountedAccount:
		}
	}
	assert.Equal(t, host, sum)
	assert.Equal(t, []string{
		"nvml:GPU-0", "nvml:GPU-1", "nvml:GPU-2", "nvml:GPU-3", "nvml:GPU-4", "nvml:GPU-5", "nvml:GPU-6", "nvml:GPU-7",
		"rapl:package-0", "rapl:package-0/dram", "rapl:package-1", "rapl:package-1/dram",
	}, counted)
}
