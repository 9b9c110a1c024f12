//go:build nvml && cgo && linux

package nvml

import (
	"math"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

func load() (library, *sensor.Problem) { return newAdapter(nvml.New()), nil }

// adapter is the library by way of go-nvml, which loads libnvidia-ml.so.1 with
// the first Init. A driver replaced while Init fails stays unseen until the
// process restarts: go-nvml then does not close the old library.
type adapter struct {
	lib  nvml.Interface
	have symbols
}

// symbols tells which functions the installed library has. Calling one that it
// lacks ends the process.
type symbols struct {
	known map[string]bool
	look  func(string) error
}

func newAdapter(lib nvml.Interface) *adapter { return &adapter{lib: lib} }

func (s symbols) lack(name string) bool {
	has, ok := s.known[name]
	if !ok {
		has = s.look(name) == nil
		s.known[name] = has
	}
	return !has
}

func result(r nvml.Return) status { return status(r) } //nolint:gosec // the numbers of nvmlReturn_t

func (a *adapter) Init() status {
	a.have = symbols{known: map[string]bool{}, look: a.lib.Extensions().LookupSymbol}
	return result(a.lib.Init())
}

func (a *adapter) Shutdown() status { return result(a.lib.Shutdown()) }

func (a *adapter) Count() (int, status) {
	n, r := a.lib.DeviceGetCount()
	return n, result(r)
}

func (a *adapter) Device(index int) (device, status) {
	d, r := a.lib.DeviceGetHandleByIndex(index)
	if r != nvml.SUCCESS {
		return nil, result(r)
	}
	return &adapted{Device: d, have: a.have}, success
}

// adapted is a device of go-nvml.
type adapted struct {
	nvml.Device
	have   symbols
	fields []nvml.FieldValue
}

func (d *adapted) UUID() (string, status) {
	s, r := d.GetUUID()
	return s, result(r)
}

func (d *adapted) Name() (string, status) {
	s, r := d.GetName()
	return s, result(r)
}

func (d *adapted) PCI() (string, status) {
	info, r := d.GetPciInfo()
	if r != nvml.SUCCESS {
		return "", result(r)
	}
	var b []byte
	for _, c := range info.BusId {
		if c == 0 {
			break
		}
		b = append(b, byte(c)) //nolint:gosec // char of C
	}
	return string(b), success
}

func (d *adapted) Architecture() (architecture, status) {
	if d.have.lack("nvmlDeviceGetArchitecture") {
		return 0, functionNotFound
	}
	a, r := d.GetArchitecture()
	if a == nvml.DEVICE_ARCH_UNKNOWN {
		a = 0
	}
	return architecture(a), result(r)
}

func (d *adapted) Energy() (uint64, status) {
	if d.have.lack("nvmlDeviceGetTotalEnergyConsumption") {
		return 0, functionNotFound
	}
	mj, r := d.GetTotalEnergyConsumption()
	return mj, result(r)
}

func (d *adapted) Power() (uint32, status) {
	mw, r := d.GetPowerUsage()
	return mw, result(r)
}

func (d *adapted) Fields(fs []field) status {
	if d.have.lack("nvmlDeviceGetFieldValues") {
		return functionNotFound
	}
	d.fields = d.fields[:0]
	for _, f := range fs {
		d.fields = append(d.fields, nvml.FieldValue{FieldId: f.id, ScopeId: f.scope})
	}
	if r := d.GetFieldValues(d.fields); r != nvml.SUCCESS {
		return result(r)
	}
	for i, v := range d.fields {
		fs[i].status = status(v.NvmlReturn)
		if fs[i].status != success {
			continue
		}
		var ok bool
		if fs[i].value, ok = decode(v.ValueType, v.Value); !ok {
			fs[i].status = notSupported
		}
	}
	return success
}

func (d *adapted) PowerSamples(dst []powerSample, since uint64) ([]powerSample, status) {
	kind, samples, r := d.GetSamples(nvml.TOTAL_POWER_SAMPLES, since)
	if r != nvml.SUCCESS {
		return dst, result(r)
	}
	for _, s := range samples {
		if v, ok := decode(uint32(kind), s.SampleValue); ok { //nolint:gosec // an enum of C
			dst = append(dst, powerSample{stamp: s.TimeStamp, milliwatt: v})
		}
	}
	return dst, success
}

// Layout sums up the MIG devices, which every user may see: index, GPU instance
// and compute instance.
func (d *adapted) Layout() (enabled bool, sum uint64, s status) {
	if d.have.lack("nvmlDeviceGetMigMode") {
		return false, 0, functionNotFound
	}
	mode, _, r := d.GetMigMode()
	if r != nvml.SUCCESS || mode != nvml.DEVICE_MIG_ENABLE {
		return false, 0, result(r)
	}
	const prime = 1_099_511_628_211 // of FNV-1a
	sum = 14_695_981_039_346_656_037
	r = d.migDevices(func(index int, m nvml.Device, gi int) nvml.Return {
		ci, r := m.GetComputeInstanceId()
		for _, v := range [...]int{index, gi, ci} {
			sum = (sum ^ uint64(v)) * prime //nolint:gosec // only to be compared
		}
		return r
	})
	return true, sum, result(r)
}

// migDevices calls visit for each MIG device until one call fails.
func (d *adapted) migDevices(visit func(index int, m nvml.Device, gi int) nvml.Return) nvml.Return {
	n, r := d.GetMaxMigDeviceCount()
	if r != nvml.SUCCESS {
		return r
	}
	for i := range n {
		m, r := d.GetMigDeviceHandleByIndex(i)
		if r == nvml.ERROR_NOT_FOUND {
			continue
		}
		if r != nvml.SUCCESS {
			return r
		}
		gi, r := m.GetGpuInstanceId()
		if r == nvml.SUCCESS {
			r = visit(i, m, gi)
		}
		if r != nvml.SUCCESS {
			return r
		}
	}
	return nvml.SUCCESS
}

// Instances asks for the GPU instances, and takes those that MIG devices lie in
// where that is for privileged users.
func (d *adapted) Instances(dst []migInstance) (all []migInstance, slices int, s status) {
	all = dst
	broad := map[uint32]int{} // slices by the ID of a profile
	for profile := range nvml.GPU_INSTANCE_PROFILE_COUNT {
		info, r := d.GetGpuInstanceProfileInfo(profile)
		if r != nvml.SUCCESS {
			continue // not of this model, or not of this driver
		}
		slices = max(slices, int(info.SliceCount))
		if _, twice := broad[info.Id]; twice {
			continue
		}
		broad[info.Id] = int(info.SliceCount)
		gis, r := d.GetGpuInstances(&info)
		if r != nvml.SUCCESS {
			continue
		}
		for _, gi := range gis {
			i, r := gi.GetInfo()
			if r != nvml.SUCCESS {
				continue
			}
			all = append(all, migInstance{id: clampID(i.Id), slices: broad[i.ProfileId]})
		}
	}
	r := d.migDevices(func(_ int, m nvml.Device, gi int) nvml.Return {
		uuid, r := m.GetUUID()
		if r != nvml.SUCCESS {
			return r
		}
		for j := range all {
			if all[j].id == gi {
				all[j].devices = append(all[j].devices, uuid)
				return nvml.SUCCESS
			}
		}
		attributes, r := m.GetAttributes()
		all = append(all, migInstance{id: gi, slices: int(attributes.GpuInstanceSliceCount), devices: []string{uuid}})
		return r
	})
	if r != nvml.SUCCESS {
		return dst, 0, result(r)
	}
	return all, slices, success
}

func (d *adapted) Use() (uint32, status) {
	u, r := d.GetUtilizationRates()
	return u.Gpu, result(r)
}

func (d *adapted) Utilization(dst []useSample, since uint64) ([]useSample, status) {
	if d.have.lack("nvmlDeviceGetProcessUtilization") {
		return dst, functionNotFound
	}
	samples, r := d.GetProcessUtilization(since)
	if r != nvml.SUCCESS {
		return dst, result(r)
	}
	for _, s := range samples {
		dst = append(dst, useSample{pid: s.Pid, stamp: s.TimeStamp, sm: s.SmUtil})
	}
	return dst, success
}

func (d *adapted) Processes(dst []process, kind ProcessKind) ([]process, status) {
	var list []nvml.ProcessInfo
	var r nvml.Return
	switch kind {
	case compute:
		list, r = d.GetComputeRunningProcesses()
	case graphics:
		list, r = d.GetGraphicsRunningProcesses()
	default:
		if d.have.lack("nvmlDeviceGetMPSComputeRunningProcesses") {
			return dst, functionNotFound
		}
		list, r = d.GetMPSComputeRunningProcesses()
	}
	if r != nvml.SUCCESS {
		return dst, result(r)
	}
	for _, p := range list {
		memory := p.UsedGpuMemory
		if memory == math.MaxUint64 { // nvml.h, NVML_VALUE_NOT_AVAILABLE
			memory = 0
		}
		dst = append(dst, process{pid: p.Pid, instance: clampID(p.GpuInstanceId), memory: memory})
	}
	return dst, success
}

// clampID turns NVML's "none" (0xFFFFFFFF) and what cannot be an ID into ours.
func clampID(id uint32) int {
	if id > 1<<16 {
		return unallocated
	}
	return int(id)
}
