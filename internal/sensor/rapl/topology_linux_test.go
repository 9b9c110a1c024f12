package rapl

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/testfs"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

const (
	rangeIntel unit.Microjoules = 262_143_328_850
	rangeDRAM  unit.Microjoules = 65_712_999_613
)

// want is a reading without what all of them have in common.
type want struct {
	ID, Parent, Type string
	Role             sensor.Role
	Socket, Die      int
	Mirror           bool
	MaxWatts         float64
	Step             unit.Microjoules
	Energy, Max      unit.Microjoules
}

func TestTopology(t *testing.T) {
	const (
		primary   = sensor.Primary
		breakdown = sensor.Breakdown
		envelope  = sensor.Envelope
	)
	msrClient := []want{ // constraint 28 W, twice that is below 1 kW
		{"rapl:package-0", "", "cpu", primary, 0, -1, false, 1000, 0, 48_213_576_291, rangeIntel},
		{"rapl:package-0/core", "rapl:package-0", "cpu", breakdown, 0, -1, false, 1000, 0, 20_113_576_291, rangeIntel},
		{"rapl:package-0/uncore", "rapl:package-0", "cpu", breakdown, 0, -1, false, 1000, 0, 1_913_576_291, rangeIntel},
		{"rapl:package-0/dram", "", "memory", primary, 0, -1, false, 1000, 0, 3_313_576_291, rangeIntel},
		{"rapl:psys", "", "other", envelope, -1, -1, false, 1000, 0, 91_213_576_291, rangeIntel},
	}
	mmioClient := []want{
		{"rapl:package-0", "", "cpu", primary, 0, -1, false, 1000, 0, 48_213_570_000, rangeIntel},
		{"rapl:package-0/dram", "", "memory", primary, 0, -1, false, 1000, 0, 3_313_570_000, rangeIntel},
	}
	xeon := []want{ // constraint 324 W and 66 W, twice that is below 1 kW
		{"rapl:package-0", "", "cpu", primary, 0, -1, false, 1000, 0, 1_000_000_001, rangeIntel},
		{"rapl:package-0/dram", "", "memory", primary, 0, -1, false, 1000, 0, 2_000_000_002, rangeDRAM},
		{"rapl:package-1", "", "cpu", primary, 1, -1, false, 1000, 0, 3_000_000_003, rangeIntel},
		{"rapl:package-1/dram", "", "memory", primary, 1, -1, false, 1000, 0, 4_000_000_004, rangeDRAM},
	}
	mirrored := []want{
		{"rapl:package-0-die-0", "", "cpu", primary, 0, 0, true, 1000, 0, 70_001_000, rangeAMD},
		{"rapl:package-0-die-1", "", "cpu", primary, 0, 1, true, 1000, 0, 70_002_000, rangeAMD},
		{"rapl:package-0-die-2", "", "cpu", primary, 0, 2, true, 1000, 0, 70_003_000, rangeAMD},
	}
	amd := []want{{"rapl:package-0", "", "cpu", primary, 0, -1, false, 1000, 0, 65_532_610_000, rangeAMD}}

	for _, c := range []struct {
		name    string
		machine string
		change  func(t *testing.T, root string)
		want    []want
	}{
		{"C25 of MSR and MMIO package and dram only MSR is read", "client", nil, msrClient},
		{"C26 only MMIO is there", "client", func(t *testing.T, root string) { remove(t, root, msr) }, mmioClient},
		{"C26 MMIO where the MSR counters cannot be opened", "client", func(t *testing.T, root string) {
			remove(t, root, msr+"intel-rapl:1", msr+"intel-rapl:0/intel-rapl:0:0", msr+"intel-rapl:0/intel-rapl:0:1")
			for _, name := range []string{msr + "intel-rapl:0/energy_uj", msr + "intel-rapl:0/intel-rapl:0:2/energy_uj"} {
				remove(t, root, name)
				require.NoError(t, os.Mkdir(filepath.Join(root, name), 0o700))
			}
		}, mmioClient},
		{"C26 MMIO where the MSR zones have no counters", "client", func(t *testing.T, root string) {
			remove(t, root, msr+"intel-rapl:1", msr+"intel-rapl:0/intel-rapl:0:0", msr+"intel-rapl:0/intel-rapl:0:1",
				msr+"intel-rapl:0/energy_uj", msr+"intel-rapl:0/intel-rapl:0:2/energy_uj")
		}, mmioClient},
		{"C27 two sockets", "xeon-2s", nil, xeon},
		{"C27 package ids 0 and 2; limits of 700 W count twice; psys steps by 1 J", "xeon-spr", nil, []want{
			{"rapl:package-0", "", "cpu", primary, 0, -1, false, 1400, 0, 11, rangeIntel},
			{"rapl:package-0/dram", "", "memory", primary, 0, -1, false, 1000, 0, 12, rangeDRAM},
			{"rapl:psys", "", "other", envelope, -1, -1, false, 5600, 1_000_000, 13_000_000, rangeSPRPsys},
			{"rapl:package-2", "", "cpu", primary, 2, -1, false, 1400, 0, 14, rangeIntel},
			{"rapl:package-2/dram", "", "memory", primary, 2, -1, false, 1000, 0, 15, rangeDRAM},
			{"rapl:psys-2", "", "other", envelope, 2, -1, false, 1000, 1_000_000, 16_000_000, rangeSPRPsys},
		}},
		{"C28 two dies of Intel are distinct", "cascadelake-ap", nil, []want{
			{"rapl:package-0-die-0", "", "cpu", primary, 0, 0, false, 1000, 0, 500_000, rangeIntel},
			{"rapl:package-0-die-0/dram", "", "memory", primary, 0, 0, false, 1000, 0, 600_000, rangeDRAM},
			{"rapl:package-0-die-1", "", "cpu", primary, 0, 1, false, 1000, 0, 700_000, rangeIntel},
			{"rapl:package-0-die-1/dram", "", "memory", primary, 0, 1, false, 1000, 0, 800_000, rangeDRAM},
		}},
		{"C29 dies of AMD may mirror", "epyc-dies", nil, mirrored},
		{"C29 dies of Hygon may mirror", "epyc-dies", func(t *testing.T, root string) {
			testfs.Write(t, root, "proc/cpuinfo", "processor\t: 0\nvendor_id\t: HygonGenuine\nflags\t\t: fpu\n")
		}, mirrored},
		{"C29 AMD is known by its range where proc is not mounted", "epyc-dies", func(t *testing.T, root string) {
			remove(t, root, "proc")
		}, mirrored},
		{"C30 psys is missing", "client", func(t *testing.T, root string) { remove(t, root, msr+"intel-rapl:1") }, msrClient[:4]},
		{"C31 AMD without dram, core zone ignored", "epyc-1s", nil, amd},
		{"C32 dram of a client lies outside its package", "client", func(t *testing.T, root string) {
			remove(t, root, mmio, msr+"intel-rapl:1", msr+"intel-rapl:0/intel-rapl:0:0", msr+"intel-rapl:0/intel-rapl:0:1")
		}, []want{msrClient[0], msrClient[3]}},
		{"C21 dtpm, arm-scmi and a zone without a counter do no harm", "foreign-beside", nil, []want{
			{"rapl:package-0", "", "cpu", primary, 0, -1, false, 1000, 0, 5000, rangeIntel},
			{"rapl:package-0/core", "rapl:package-0", "cpu", breakdown, 0, -1, false, 1000, 0, 6000, rangeIntel},
		}},
		{"zone of an unknown name in a package is a breakdown", "epyc-1s", func(t *testing.T, root string) {
			testfs.Write(t, root, msr+"intel-rapl:0/intel-rapl:0:0/name", "npu\n")
		}, []want{amd[0], {"rapl:package-0/npu", "rapl:package-0", "cpu", breakdown, 0, -1, false, 1000, 0, 111, rangeAMD}}},
		{"the class alone, links resolved to flat folders", "xeon-2s", flatten, xeon},
		{"the class alone, links resolved to nested folders", "xeon-2s", func(t *testing.T, root string) {
			remove(t, root, "sys/class/powercap")
			require.NoError(t, os.MkdirAll(filepath.Join(root, "sys/class"), 0o750))
			rename(t, root, powercap, "sys/class/powercap")
		}, xeon},
		{"the folder of devices alone", "xeon-2s", func(t *testing.T, root string) { remove(t, root, "sys/class") }, xeon},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := tree(t, c.machine)
			if c.change != nil {
				c.change(t, root)
			}
			s := mustOpen(t, root, Config{})
			rs, err := s.Read(t.Context(), nil)
			require.NoError(t, err)
			var got []want
			for _, r := range rs {
				p := r.Part
				got = append(got, want{
					p.ID, p.Parent, p.Type, p.Role, p.Socket, p.Die,
					p.MayMirror, p.MaxPower.Watts(), p.Step, r.Energy, r.Max,
				})
				assert.Equal(t, sensor.Measured, p.Method)
				assert.Equal(t, "rapl", p.Sensor)
				assert.Equal(t, sensor.Counter, r.Kind)
				assert.True(t, strings.HasSuffix(p.ID, p.Name), "%s is called %s", p.ID, p.Name)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("readings (-want +got):\n%s", d)
			}
		})
	}
}

// flatten makes of a tree what a copy of the class folder with links followed
// has: every zone beside the others.
func flatten(t *testing.T, root string) {
	t.Helper()
	links, err := filepath.Glob(filepath.Join(root, "sys/class/powercap/*:*"))
	require.NoError(t, err)
	require.NotEmpty(t, links)
	for _, link := range slices.Backward(links) { // sub-zones are moved out of their zones first
		target, err := filepath.EvalSymlinks(link)
		require.NoError(t, err)
		require.NoError(t, os.Remove(link))
		require.NoError(t, os.Rename(target, link))
	}
	remove(t, root, "sys/devices")
}

func TestTopologyC22PackagesAreSortedByNumber(t *testing.T) {
	rs, err := mustOpen(t, tree(t, "packages-12"), Config{}).Read(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, rs, 24)
	for i := range 12 {
		pkg, dram := rs[2*i], rs[2*i+1]
		assert.Equal(t, i, pkg.Part.Socket)
		assert.EqualValues(t, (i+1)*1000, pkg.Energy, pkg.Part.ID)
		assert.EqualValues(t, (i+1)*1000+1, dram.Energy, dram.Part.ID)
	}
}

func TestTopologyC30ASecondZoneOfTheSameNameIsNotCounted(t *testing.T) {
	root := tree(t, "client")
	testfs.Write(t, root, msr+"intel-rapl:2/name", "psys\n")
	testfs.Write(t, root, msr+"intel-rapl:2/energy_uj", "5\n")
	testfs.Write(t, root, msr+"intel-rapl:10/name", "package-0\n")
	testfs.Write(t, root, msr+"intel-rapl:10/energy_uj", "6\n")
	testfs.Write(t, root, msr+"intel-rapl:11/name", "turbine\n")
	testfs.Write(t, root, msr+"intel-rapl:11/energy_uj", "7\n")
	testfs.Write(t, root, msr+"intel-rapl:11/intel-rapl:11:0/name", "core\n")
	testfs.Write(t, root, msr+"intel-rapl:11/intel-rapl:11:0/energy_uj", "8\n")
	s := mustOpen(t, root, often)

	rs, problems := read(t, s)
	assert.Len(t, rs, 5)
	assert.EqualValues(t, 91_213_576_291, rs["rapl:psys"].Energy, "that of zone 1")
	assert.EqualValues(t, 48_213_576_291, rs["rapl:package-0"].Energy, "that of zone 0")
	require.Len(t, problems, 3)
	for _, zone := range []string{"intel-rapl:2", "intel-rapl:10", "intel-rapl:11"} {
		assert.Equal(t, sensor.Malformed, problems[msr+zone].Class)
	}

	rs, problems = read(t, s)
	assert.Len(t, rs, 5)
	assert.Empty(t, problems, "said once")
}

func TestTopologyStaysWithTheInterfaceItBeganWith(t *testing.T) {
	root := tree(t, "client")
	const counter = msr + "intel-rapl:0/energy_uj"
	rename(t, root, counter, "aside")
	require.NoError(t, unix.Mkfifo(filepath.Join(root, counter), 0o600))
	s := mustOpen(t, root, often)
	rs, _ := read(t, s)
	require.EqualValues(t, 48_213_570_000, rs["rapl:package-0"].Energy, "MMIO, since the MSR file is none")
	part := rs["rapl:package-0"].Part

	remove(t, root, counter)
	rename(t, root, "aside", counter)
	rs, problems := read(t, s)
	assert.Empty(t, problems)
	assert.EqualValues(t, 48_213_570_000, rs["rapl:package-0"].Energy, "still MMIO, now that MSR can be read")

	testfs.Write(t, root, mmio+"intel-rapl-mmio:0/energy_uj", "48213570777\n")
	rs, _ = read(t, s)
	assert.EqualValues(t, 48_213_570_777, rs["rapl:package-0"].Energy, "still MMIO, after its file was opened again")

	remove(t, root, mmio+"intel-rapl-mmio:0")
	rs, problems = read(t, s)
	assert.Empty(t, problems)
	assert.EqualValues(t, 48_213_576_291, rs["rapl:package-0"].Energy, "MSR, now that MMIO is gone")
	assert.Same(t, part, rs["rapl:package-0"].Part)
}

// That the folder of a zone is another's now does not mean that the other
// interface is the better one: the next scan finds where the zone went.
func TestTopologyWaitsForTheNextScanWhereAZoneMoves(t *testing.T) {
	root := tree(t, "client")
	s := mustOpen(t, root, never)
	set(t, root, msr+"intel-rapl:0/name", "package-7\n") // after the scan, before the first read
	rs, problems := read(t, s)
	assert.NotContains(t, rs, "rapl:package-0")
	require.Contains(t, problems, counter0)
	assert.Equal(t, sensor.Gone, problems[counter0].Class)

	set(t, root, msr+"intel-rapl:0/name", "package-0\n")
	s.scanned = s.scanned.Add(-2 * rescanPace)
	rs, problems = read(t, s)
	assert.Empty(t, problems)
	assert.EqualValues(t, 48_213_576_291, rs["rapl:package-0"].Energy)
}
