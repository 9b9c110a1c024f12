package perf

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
)

func TestSuite(t *testing.T) {
	for machine, parts := range map[string]int{
		"xeon-2s": 4, "client": 4, "xeon-spr": 5, "cascadelake-ap": 8, "epyc-1s": 1, "epyc-ccd": 4, "haswell-old": 4,
	} {
		t.Run(machine, func(t *testing.T) {
			root := tree(t, machine)
			var kernels []*script
			count := func(t *testing.T) {
				t.Helper()
				for _, k := range kernels {
					for _, e := range k.live {
						if e.config != psysEvent || e.cpu == 0 {
							e.sample.value += 3 * joule
						}
					}
				}
			}
			sensortest.Run(t, func(t *testing.T) sensor.Sensor {
				t.Helper()
				k := newScript()
				kernels = append(kernels, k)
				s := mustOpen(t, root, Config{}, k)
				count(t)
				return s
			}, sensortest.Options{Advance: count, ZeroAlloc: true, MinReadings: parts})
		})
	}
}

// psysOf is the part that the platform counter becomes.
func psysOf(id string, socket int) sensor.Part {
	return sensor.Part{
		ID: "perf:" + id, Name: id, Type: "other", Sensor: "perf", Method: sensor.Measured, Role: sensor.Envelope,
		Socket: socket, Die: -1, Same: id, Rank: 3, Step: 1_000_000,
	}
}

func TestParts(t *testing.T) {
	cpu := func(name string, socket, die int) sensor.Part {
		return sensor.Part{ID: "perf:" + name, Name: name, Type: "cpu", Sensor: "perf", Method: sensor.Measured, Socket: socket, Die: die, Same: name}
	}
	in := func(above, name, typ string, role sensor.Role, socket, die int) sensor.Part {
		p := sensor.Part{
			ID: "perf:" + above + "/" + name, Name: name, Type: typ, Sensor: "perf", Method: sensor.Measured, Role: role,
			Socket: socket, Die: die, Same: above + "/" + name,
		}
		if role == sensor.Breakdown {
			p.Parent = "perf:" + above
		}
		return p
	}
	mirror := func(p sensor.Part) sensor.Part { p.MayMirror = true; return p }
	for _, c := range []struct {
		name, machine string
		want          []sensor.Part
	}{
		{"C27 two sockets, package ids not contiguous", "xeon-2s", []sensor.Part{
			cpu("package-0", 0, -1), in("package-0", "dram", "memory", sensor.Primary, 0, -1),
			cpu("package-2", 2, -1), in("package-2", "dram", "memory", sensor.Primary, 2, -1),
		}},
		{"C30 client with psys", "client", []sensor.Part{
			cpu("package-0", 0, -1),
			in("package-0", "core", "cpu", sensor.Breakdown, 0, -1), in("package-0", "uncore", "cpu", sensor.Breakdown, 0, -1),
			psysOf("psys", -1),
		}},
		{"C28 Intel two dies, distinct", "cascadelake-ap", []sensor.Part{
			cpu("package-0-die-0", 0, 0), in("package-0-die-0", "dram", "memory", sensor.Primary, 0, 0),
			cpu("package-0-die-1", 0, 1), in("package-0-die-1", "dram", "memory", sensor.Primary, 0, 1),
			cpu("package-1-die-0", 1, 0), in("package-1-die-0", "dram", "memory", sensor.Primary, 1, 0),
			cpu("package-1-die-1", 1, 1), in("package-1-die-1", "dram", "memory", sensor.Primary, 1, 1),
		}},
		{"C31 AMD has the package alone, single cores are ignored", "epyc-1s", []sensor.Part{cpu("package-0", 0, -1)}},
		{"C29 AMD dies may mirror", "epyc-ccd", []sensor.Part{
			mirror(cpu("package-0-die-0", 0, 0)), mirror(cpu("package-0-die-1", 0, 1)),
			mirror(cpu("package-1-die-2", 1, 2)), mirror(cpu("package-1-die-3", 1, 3)),
		}},
		{"kernel without die_id", "haswell-old", []sensor.Part{
			cpu("package-0", 0, -1),
			in("package-0", "core", "cpu", sensor.Breakdown, 0, -1), in("package-0", "uncore", "cpu", sensor.Breakdown, 0, -1),
			in("package-0", "dram", "memory", sensor.Primary, 0, -1),
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newScript()
			s := mustOpen(t, tree(t, c.machine), never, k)
			for i, e := range k.live {
				e.sample.value = uint64(i) * joule
			}
			rs, err := s.Read(t.Context(), nil)
			require.NoError(t, err)
			got := make([]sensor.Part, len(rs))
			for i, r := range rs {
				got[i] = *r.Part
				assert.Zero(t, r.Max)
				assert.Equal(t, sensor.Counter, r.Kind)
			}
			assert.Empty(t, cmp.Diff(c.want, got))
		})
	}
}

// Without /proc/cpuinfo AMD is known by its PMU, which has the package alone.
func TestC29VendorUnknown(t *testing.T) {
	root := tree(t, "epyc-ccd")
	remove(t, root, "proc")
	rs, _ := read(t, mustOpen(t, root, never, newScript()))
	require.Len(t, rs, 4)
	for id, r := range rs {
		assert.True(t, r.Part.MayMirror, id)
	}
}

func TestAMDCoreEventIsASingleCore(t *testing.T) {
	root := tree(t, "epyc-1s")
	for _, suffix := range []string{"", ".unit", ".scale"} {
		set(t, root, events+"energy-cores"+suffix, map[string]string{"": "event=0x01", ".unit": "Joules", ".scale": "1e-9"}[suffix])
	}
	rs, problems := read(t, mustOpen(t, root, never, newScript()))
	assert.Equal(t, []string{"perf:package-0"}, ids(rs))
	assert.Empty(t, problems)
}

func TestEventsAreOpenedWhereCPUMaskSays(t *testing.T) {
	k := newScript()
	mustOpen(t, tree(t, "xeon-2s"), never, k)
	assert.Equal(t, []scripted{
		{typ: 9, config: pkgEvent, cpu: 0},
		{typ: 9, config: ramEvent, cpu: 0},
		{typ: 9, config: pkgEvent, cpu: 18},
		{typ: 9, config: ramEvent, cpu: 18},
	}, k.opened)
}

func TestC30PsysThatCountsNothingIsNotShown(t *testing.T) {
	k := newScript()
	s := mustOpen(t, tree(t, "xeon-spr"), never, k)
	for range 3 {
		rs, problems := read(t, s)
		assert.Empty(t, problems)
		assert.Equal(t, []string{"perf:package-0", "perf:package-0/dram", "perf:package-1", "perf:package-1/dram"}, ids(rs))
	}
	k.count(psysEvent, 0, 1*joule) // C11: in steps of 1 J
	for range 2 {                  // from then on also while it stands
		rs, _ := read(t, s)
		require.Len(t, rs, 5)
		assert.EqualValues(t, 1_000_000, rs["perf:psys"].Energy)
	}
	k.count(psysEvent, 32, 2*joule)
	rs, _ := read(t, s)
	assert.Equal(t, psysOf("psys-1", 1), *rs["perf:psys-1"].Part)
}

// Where psys is all there is, its silence is told, but not before it has had time for its
// first step; and not any more once it has moved.
func TestC30PsysAloneThatCountsNothingIsTold(t *testing.T) {
	root := tree(t, "xeon-spr")
	remove(t, root, events+"energy-pkg", events+"energy-ram")
	k := newScript()
	s := mustOpen(t, root, never, k)
	_, problems := read(t, s)
	assert.Empty(t, problems)
	s.opened = s.opened.Add(-silence)
	for range 2 {
		_, problems = read(t, s)
		require.Len(t, problems, 1)
		assert.Equal(t, sensor.Absent, problems[0].Class)
		require.ErrorContains(t, problems[0], "energy-psys: the only event of this PMU counts nothing")
	}
	k.count(psysEvent, 0, joule)
	rs, problems := read(t, s)
	assert.Len(t, rs, 1)
	assert.Empty(t, problems)
}

func TestPsysWithoutNumberIsThatOfTheBootPackage(t *testing.T) {
	root := tree(t, "xeon-spr")
	set(t, root, mask, "3,32\n") // CPU 0 is offline, or was when the mask was made
	set(t, root, "sys/devices/system/cpu/cpu3/topology/physical_package_id", "0\n")
	set(t, root, "sys/devices/system/cpu/cpu0/topology/physical_package_id", "1\n")
	k := newScript()
	s := mustOpen(t, root, never, k)
	k.count(psysEvent, 32, joule)
	rs, _ := read(t, s)
	assert.Contains(t, rs, "perf:psys", "of package 1, where CPU 0 is")
}

// 2⁻³² J: 48 213.576291 J are 48 213 576 291 µJ. Counted in units of 2⁻¹⁴ J, as Intel does.
func TestEnergyIsExact(t *testing.T) {
	k := newScript()
	s := mustOpen(t, tree(t, "xeon-2s"), never, k)
	_, _ = read(t, s)
	for range 16384 * 3 {
		k.count(pkgEvent, 0, 1<<18)
		_, _ = s.Read(t.Context(), nil)
	}
	rs, _ := read(t, s)
	assert.EqualValues(t, 3_000_000, rs["perf:package-0"].Energy)
	assert.Zero(t, rs["perf:package-2"].Energy)
}

// The kernel's count has 64 bits of 2⁻³² J: 4.29 GJ, which is 50 days at 1 kW.
func TestC1KernelCountWraps(t *testing.T) {
	k := newScript()
	s := mustOpen(t, tree(t, "epyc-1s"), never, k)
	for range 5 { // 5 × 2³⁰ J are 5.4 GJ
		k.count(pkgEvent, 0, 1<<62)
		_, _ = read(t, s)
	}
	rs, _ := read(t, s)
	assert.EqualValues(t, 5<<30*1_000_000, rs["perf:package-0"].Energy)
}

func TestC7GlitchIsPassedOn(t *testing.T) {
	k := newScript()
	s := mustOpen(t, tree(t, "epyc-1s"), never, k)
	var got []uint64
	for _, j := range []int64{1000, 700, -700, 30} {
		k.count(pkgEvent, 0, j*joule)
		rs, _ := read(t, s)
		got = append(got, uint64(rs["perf:package-0"].Energy)/1_000_000)
	}
	assert.Equal(t, []uint64{1000, 1700, 1000, 1030}, got, "what it means is decided elsewhere")
}
