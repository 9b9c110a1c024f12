//go:build nvml && cgo && linux

package nvml

import (
	"errors"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxa100"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxh100"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// complete gives the devices of a mock what go-nvml's leave out.
func complete(s *server.Server) *server.Server {
	for i, d := range s.Devices {
		d := d.(*server.Device)
		d.GetPciInfoFunc = func() (nvml.PciInfo, nvml.Return) {
			var p nvml.PciInfo
			for j, c := range []byte("00000000:" + string("0123456789"[i]) + "B:00.0") {
				p.BusId[j] = int8(c)
			}
			return p, nvml.SUCCESS
		}
		d.GetTotalEnergyConsumptionFunc = func() (uint64, nvml.Return) { return uint64(1000 * (i + 1)), nvml.SUCCESS }
		d.GetPowerUsageFunc = func() (uint32, nvml.Return) { return 300_000, nvml.SUCCESS }
		d.GetFieldValuesFunc = func(fs []nvml.FieldValue) nvml.Return {
			for j := range fs {
				f := &fs[j]
				f.ValueType = uint32(nvml.VALUE_TYPE_UNSIGNED_INT)
				switch {
				case f.FieldId == nvml.FI_DEV_POWER_INSTANT && f.ScopeId == uint32(nvml.POWER_SCOPE_GPU):
					f.Value = [8]byte{0x80, 0xb5, 0x01} // 112 000
				case f.FieldId == nvml.FI_DEV_POWER_MAX_LIMIT:
					f.Value = [8]byte{0x60, 0xae, 0x0a} // 700 000
				default:
					f.NvmlReturn = uint32(nvml.ERROR_NOT_SUPPORTED)
				}
			}
			return nvml.SUCCESS
		}
		d.GetSamplesFunc = func(nvml.SamplingType, uint64) (nvml.ValueType, []nvml.Sample, nvml.Return) {
			return 0, nil, nvml.ERROR_NOT_SUPPORTED
		}
		d.GetMaxMigDeviceCountFunc = func() (int, nvml.Return) { return 7, nvml.SUCCESS }
		d.GetMigDeviceHandleByIndexFunc = func(int) (nvml.Device, nvml.Return) { return nil, nvml.ERROR_NOT_FOUND }
		d.GetUtilizationRatesFunc = func() (nvml.Utilization, nvml.Return) {
			return nvml.Utilization{Gpu: 42, Memory: 7}, nvml.SUCCESS
		}
		d.GetProcessUtilizationFunc = func(uint64) ([]nvml.ProcessUtilizationSample, nvml.Return) {
			return []nvml.ProcessUtilizationSample{{Pid: 7, TimeStamp: stamp(time.Now()), SmUtil: 50}}, nvml.SUCCESS
		}
		d.GetComputeRunningProcessesFunc = func() ([]nvml.ProcessInfo, nvml.Return) {
			return []nvml.ProcessInfo{{Pid: 7, UsedGpuMemory: 1 << 30, GpuInstanceId: math.MaxUint32}}, nvml.SUCCESS
		}
		d.GetGraphicsRunningProcessesFunc = func() ([]nvml.ProcessInfo, nvml.Return) {
			return []nvml.ProcessInfo{{Pid: 8, UsedGpuMemory: math.MaxUint64, GpuInstanceId: math.MaxUint32}}, nvml.SUCCESS
		}
		d.GetMPSComputeRunningProcessesFunc = func() ([]nvml.ProcessInfo, nvml.Return) { return nil, nvml.SUCCESS }
	}
	return s
}

func device0(s *server.Server) *server.Device { return s.Devices[0].(*server.Device) }

func TestAdapterOnMocks(t *testing.T) {
	for name, s := range map[string]func() *server.Server{"DGX A100": dgxa100.New, "DGX H100": dgxh100.New} {
		t.Run(name, func(t *testing.T) {
			sensortest.Run(t, func(t *testing.T) sensor.Sensor {
				t.Helper()
				// Two sensors of one machine: the UUIDs of a mock are random.
				s := complete(s())
				for i, d := range s.Devices {
					d.(*server.Device).UUID = "GPU-4a3b-" + string("0123456789"[i])
				}
				return mustOpen(t, newAdapter(s), Config{Processes: true})
			}, sensortest.Options{MinReadings: 8})

			s := complete(s())
			r := mustOpen(t, newAdapter(s), Config{Processes: true})
			rs, ps := read(t, r)
			require.Empty(t, ps)
			require.Len(t, rs, 8)
			for i, d := range s.Devices {
				d := d.(*server.Device)
				got := rs["nvml:"+d.UUID]
				require.NotNil(t, got.Part, d.UUID)
				assert.Equal(t, d.Config.Name, got.Part.Name)
				assert.Equal(t, sensor.Measured, got.Part.Method)
				assert.Equal(t, 1400*unit.Watt, got.Part.MaxPower)
				assert.EqualValues(t, 1_000_000*(i+1), got.Energy) // (i+1) J
			}
			loads := r.Loads(nil)
			require.Len(t, loads, 8)
			for _, l := range loads {
				assert.Equal(t, Load{GPU: rs[l.GPU.ID].Part, Busy: 0.42, Held: true}, l)
			}
			uses := r.Processes(nil)
			require.Len(t, uses, 16)
			assert.Equal(t, ProcessUse{GPU: uses[0].GPU, PID: 7, Instance: unallocated, Kind: compute, Memory: 1 << 30, Busy: uses[0].Busy}, uses[0])
			assert.Equal(t, ProcessUse{GPU: uses[0].GPU, PID: 8, Instance: unallocated, Kind: graphics}, uses[1])
		})
	}
}

func TestAdapterIntegrates(t *testing.T) {
	t.Run("C45_without counter and samples", func(t *testing.T) {
		s := complete(dgxa100.New())
		device0(s).GetTotalEnergyConsumptionFunc = func() (uint64, nvml.Return) { return 0, nvml.ERROR_NOT_SUPPORTED }
		rs, ps := read(t, mustOpen(t, newAdapter(s), Config{}))
		require.Empty(t, ps)
		got := rs["nvml:"+device0(s).UUID]
		assert.Equal(t, sensor.Integrated, got.Part.Method)
		assert.Equal(t, 112*unit.Watt, got.Power)
	})
	t.Run("C45_from samples", func(t *testing.T) {
		s := complete(dgxa100.New())
		d := device0(s)
		d.GetTotalEnergyConsumptionFunc = func() (uint64, nvml.Return) { return 0, nvml.ERROR_NOT_SUPPORTED }
		now := stamp(time.Now())
		d.GetSamplesFunc = func(kind nvml.SamplingType, since uint64) (nvml.ValueType, []nvml.Sample, nvml.Return) {
			require.Equal(t, nvml.TOTAL_POWER_SAMPLES, kind)
			if since >= now {
				return 0, nil, nvml.ERROR_NOT_FOUND
			}
			w := [8]byte{0xa0, 0x86, 0x01} // 100 000
			return nvml.VALUE_TYPE_UNSIGNED_INT, []nvml.Sample{{TimeStamp: now - 2_000_000, SampleValue: w}, {TimeStamp: now, SampleValue: w}}, nvml.SUCCESS
		}
		rs, ps := read(t, mustOpen(t, newAdapter(s), Config{}))
		require.Empty(t, ps)
		assert.EqualValues(t, 200_000_000, rs["nvml:"+d.UUID].Energy) // 100 W for 2 s
	})
	t.Run("a library without the newer calls", func(t *testing.T) {
		s := complete(dgxa100.New())
		s.LookupSymbolFunc = func(string) error { return errors.New("no symbol") }
		rs, ps := read(t, mustOpen(t, newAdapter(s), Config{Processes: true}))
		require.Empty(t, ps)
		assert.Equal(t, 300*unit.Watt, rs["nvml:"+device0(s).UUID].Power, "what nvmlDeviceGetPowerUsage says")
	})
}

func TestAdapterMIG(t *testing.T) {
	s := complete(dgxa100.New())
	d := device0(s)
	_, r := d.SetMigMode(nvml.DEVICE_MIG_ENABLE)
	require.Equal(t, nvml.SUCCESS, r)
	d.GetProcessUtilizationFunc = func(uint64) ([]nvml.ProcessUtilizationSample, nvml.Return) { return nil, nvml.ERROR_NOT_SUPPORTED }
	for _, profile := range []int{nvml.GPU_INSTANCE_PROFILE_3_SLICE, nvml.GPU_INSTANCE_PROFILE_2_SLICE} {
		info, r := d.GetGpuInstanceProfileInfo(profile)
		require.Equal(t, nvml.SUCCESS, r)
		_, r = d.CreateGpuInstance(&info)
		require.Equal(t, nvml.SUCCESS, r)
	}
	// One compute instance, in the GPU instance 1.
	d.GetMigDeviceHandleByIndexFunc = func(i int) (nvml.Device, nvml.Return) {
		if i != 2 {
			return nil, nvml.ERROR_NOT_FOUND
		}
		return &mock.Device{
			GetUUIDFunc:              func() (string, nvml.Return) { return "MIG-55", nvml.SUCCESS },
			GetGpuInstanceIdFunc:     func() (int, nvml.Return) { return 1, nvml.SUCCESS },
			GetComputeInstanceIdFunc: func() (int, nvml.Return) { return 0, nvml.SUCCESS },
			GetAttributesFunc: func() (nvml.DeviceAttributes, nvml.Return) {
				return nvml.DeviceAttributes{GpuInstanceSliceCount: 2}, nvml.SUCCESS
			},
		}, nvml.SUCCESS
	}
	t.Run("C53_instances and what is left", func(t *testing.T) {
		r := mustOpen(t, newAdapter(s), Config{Devices: []string{"MIG-55"}})
		rs, _ := read(t, r)
		require.Len(t, rs, 1)
		part := rs["nvml:"+d.UUID].Part
		assert.Equal(t, []Instance{
			{GPU: part, ID: 0, Slices: 3, Total: 7},
			{GPU: part, ID: 1, Slices: 2, Total: 7, Devices: []string{"MIG-55"}},
			{GPU: part, ID: unallocated, Slices: 2, Total: 7},
		}, r.Instances(nil))
	})
	t.Run("C53_without privilege those with MIG devices", func(t *testing.T) {
		d.GetGpuInstancesFunc = func(*nvml.GpuInstanceProfileInfo) ([]nvml.GpuInstance, nvml.Return) {
			return nil, nvml.ERROR_NO_PERMISSION
		}
		r := mustOpen(t, newAdapter(s), Config{})
		rs, ps := read(t, r)
		require.Empty(t, ps)
		part := rs["nvml:"+d.UUID].Part
		assert.Equal(t, []Instance{
			{GPU: part, ID: 1, Slices: 2, Total: 7, Devices: []string{"MIG-55"}},
			{GPU: part, ID: unallocated, Slices: 5, Total: 7},
		}, r.Instances(nil))
	})
}

// On a machine with a driver this reads its GPUs; without one it says so.
func TestOpenTheLibrary(t *testing.T) {
	s, err := Open(Config{Processes: true})
	if err != nil {
		require.ErrorIs(t, err, errors.ErrUnsupported)
		var p *sensor.Problem
		require.ErrorAs(t, err, &p)
		assert.Equal(t, sensor.Absent, p.Class)
		if _, found := os.Stat("/dev/nvidiactl"); found == nil {
			t.Errorf("there is a GPU, and this is all of it: %v", err)
		}
		t.Skip("no NVIDIA GPU here: " + err.Error())
	}
	defer s.Close()
	rs, err := s.Read(t.Context(), nil)
	require.NoError(t, err)
	require.NotEmpty(t, rs)
	for _, r := range rs {
		t.Logf("%s %s %s: %d µJ, %d µW", r.Part.ID, r.Part.Name, r.Part.Method, r.Energy, r.Power)
		assert.True(t, strings.HasPrefix(r.Part.ID, "nvml:"))
	}
}
