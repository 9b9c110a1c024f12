package nvml

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// fakeLibrary is NVML by a script: what a test sets between two Reads, or what
// follows from the time.
type fakeLibrary struct {
	gpus   []*fakeGPU
	init   status // of Init
	hidden int    // GPUs at the end that are not there
	block  func() // called by Energy of every GPU, and by Init where blockInit is set
	inits  []time.Time
	shut   int

	blockInit bool
}

func (f *fakeLibrary) Init() status {
	if f.blockInit {
		f.block()
	}
	f.inits = append(f.inits, time.Now())
	return f.init
}

func (f *fakeLibrary) Shutdown() status {
	f.shut++
	return success
}

func (f *fakeLibrary) Count() (int, status) { return len(f.gpus) - f.hidden, success }

func (f *fakeLibrary) Device(index int) (device, status) {
	g := f.gpus[index]
	if g.handle != success {
		return nil, g.handle
	}
	return g, success
}

// fakeGPU answers notSupported to what its script does not have.
type fakeGPU struct {
	uuid, name, bus string
	arch            architecture
	lib             *fakeLibrary
	handle          status // of Device
	health          status // of Energy, Power and Fields

	energy func() uint64 // mJ
	power  func() uint32 // mW
	fields map[[2]uint32]uint64
	buffer []powerSample // the driver's; nil: it has none

	mig       bool
	layouts   int // calls
	listed    int // calls of Instances
	instances []migInstance
	slices    int
	migStatus status

	use       *uint32     // percent; nil: not supported
	uses      []useSample // nil: not supported
	programs  []program   // more of them
	lists     map[ProcessKind][]process
	privilege status // of Processes
	refused   map[ProcessKind]status
}

func (g *fakeGPU) UUID() (string, status) {
	if g.uuid == "" {
		return "", notSupported
	}
	return g.uuid, success
}

func (g *fakeGPU) Name() (string, status)               { return g.name, success }
func (g *fakeGPU) PCI() (string, status)                { return g.bus, success }
func (g *fakeGPU) Architecture() (architecture, status) { return g.arch, success }

func (g *fakeGPU) Energy() (uint64, status) {
	if g.lib != nil && g.lib.block != nil {
		g.lib.block()
	}
	switch {
	case g.health != success:
		return 0, g.health
	case g.energy == nil:
		return 0, notSupported
	}
	return g.energy(), success
}

func (g *fakeGPU) Power() (uint32, status) {
	switch {
	case g.health != success:
		return 0, g.health
	case g.power == nil:
		return 0, notSupported
	}
	return g.power(), success
}

func (g *fakeGPU) Fields(fs []field) status {
	if g.health != success {
		return g.health
	}
	for i := range fs {
		v, ok := g.fields[[2]uint32{fs[i].id, fs[i].scope}]
		fs[i].value, fs[i].status = v, success
		if !ok {
			fs[i].status = notSupported
		}
	}
	return success
}

func (g *fakeGPU) PowerSamples(dst []powerSample, since uint64) ([]powerSample, status) {
	if g.health != success {
		return dst, g.health
	}
	if g.buffer == nil {
		return dst, notSupported
	}
	had := len(dst)
	for _, s := range g.buffer {
		if s.stamp > since {
			dst = append(dst, s)
		}
	}
	if len(dst) == had {
		return dst, notFound
	}
	return dst, success
}

func (g *fakeGPU) Layout() (enabled bool, sum uint64, s status) {
	g.layouts++
	if g.migStatus != success {
		return false, 0, g.migStatus
	}
	for _, i := range g.instances {
		for _, d := range i.devices {
			for _, b := range []byte(d) {
				sum = sum*31 + uint64(b)
			}
		}
	}
	return g.mig, sum, success
}

func (g *fakeGPU) Instances(dst []migInstance) ([]migInstance, int, status) {
	g.listed++
	return append(dst, slices.Clone(g.instances)...), g.slices, success
}

func (g *fakeGPU) Utilization(dst []useSample, since uint64) ([]useSample, status) {
	if g.uses == nil || g.mig {
		return dst, notSupported
	}
	had := len(dst)
	for i := range g.programs {
		if s := g.programs[i].sample(since); s.sm > 0 {
			dst = append(dst, s)
		}
	}
	for _, s := range g.uses {
		if s.stamp > since || s.sm > 1000 { // a stale buffer comes whatever one asks for
			dst = append(dst, s)
		}
	}
	if len(dst) == had {
		return dst, notFound
	}
	return dst, success
}

// program is a process that uses a GPU. The driver keeps how far it did for each sixth of
// a second. It tells one value, stamped once a second at a moment of the process's own:
// the mean of those from the stamp on that is asked for, in whole percent, and nothing if
// that is 0. So it was seen with an H100, driver 580.159.04.
type program struct {
	pid   uint32
	phase uint64                 // µs in the second
	use   func(at uint64) uint32 // percent in the sixth of a second up to a stamp
}

func (p *program) sample(since uint64) useSample {
	const second, tick = 1_000_000, 1_000_000 / 6
	now := stamp(time.Now())
	s := useSample{pid: p.pid, stamp: now/second*second + p.phase}
	if s.stamp > now {
		s.stamp -= second
	}
	oldest := max(since, s.stamp-20*second)
	n, sum := uint32(0), uint32(0)
	for at := s.stamp; at > oldest; at -= tick {
		n, sum = n+1, sum+p.use(at)
	}
	if s.stamp > since && n > 1 { // of a single one the driver says nothing
		s.sm = sum / n
	}
	return s
}

func (g *fakeGPU) Processes(dst []process, kind ProcessKind) ([]process, status) {
	if g.privilege != success {
		return dst, g.privilege
	}
	if s := g.refused[kind]; s != success {
		return dst, s
	}
	if g.lists == nil {
		return dst, notSupported
	}
	return append(dst, g.lists[kind]...), success
}

// drawing returns a counter of mJ that grows with time at a power in W, from a
// count in mJ.
func drawing(watts, from uint64) func() uint64 {
	start := time.Now()
	return func() uint64 { return from + watts*uint64(time.Since(start).Milliseconds()) }
}

// hopper is a GPU with everything.
func hopper(uuid string) *fakeGPU {
	return &fakeGPU{
		uuid: uuid, name: "NVIDIA H100 80GB HBM3", bus: "00000000:3B:00.0", arch: 9,
		energy: drawing(300, 5_000_000), power: func() uint32 { return 300_000 },
		fields:    map[[2]uint32]uint64{{fieldPowerAverage, scopeGPU}: 300_000, {fieldPowerInstant, scopeGPU}: 301_000, {fieldPowerMaxLimit, scopeGPU}: 700_000},
		migStatus: notSupported,
	}
}

// pascal has no energy counter.
func pascal(uuid string) *fakeGPU {
	return &fakeGPU{
		uuid: uuid, name: "Tesla P100-PCIE-16GB", bus: "00000000:AF:00.0", arch: 4,
		power:     func() uint32 { return 150_000 },
		fields:    map[[2]uint32]uint64{{fieldPowerInstant, scopeGPU}: 151_000},
		migStatus: notSupported,
	}
}

func machine(gpus ...*fakeGPU) *fakeLibrary {
	f := &fakeLibrary{gpus: gpus}
	for _, g := range gpus {
		g.lib = f
	}
	return f
}

func mustOpen(t testing.TB, lib library, c Config) *reader {
	t.Helper()
	s, err := open(lib, c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s.(*reader)
}

// read returns the readings by ID and the problems by path.
func read(t testing.TB, s sensor.Sensor) (map[string]sensor.Reading, map[string]*sensor.Problem) {
	t.Helper()
	rs, err := s.Read(t.Context(), nil)
	byID := map[string]sensor.Reading{}
	for _, r := range rs {
		require.NotContains(t, byID, r.Part.ID)
		byID[r.Part.ID] = r
	}
	byPath := map[string]*sensor.Problem{}
	for p := range sensor.Problems(err) {
		require.NotContains(t, byPath, p.Path)
		require.Equal(t, "nvml", p.Sensor)
		byPath[p.Path] = p
	}
	require.Equal(t, err != nil, len(byPath) > 0, "every error is a problem: %v", err)
	return byID, byPath
}

func (g *fakeGPU) Use() (uint32, status) {
	if g.use == nil {
		return 0, notSupported
	}
	return *g.use, g.health
}
