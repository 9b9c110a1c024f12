package rapl

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAddressIsTheNameOfAZoneFolder(t *testing.T) {
	for folder, want := range map[string]address{
		"intel-rapl:0":         {"intel-rapl", 0, -1},
		"intel-rapl:10:2":      {"intel-rapl", 10, 2},
		"intel-rapl-mmio:0:0":  {"intel-rapl-mmio", 0, 0},
		"intel-rapl-tpmi:3":    {"intel-rapl-tpmi", 3, -1},
		"intel-rapl:999999":    {"intel-rapl", 999_999, -1},
		"intel-rapl-x:0:12345": {"intel-rapl-x", 0, 12_345},
	} {
		got, ok := parseAddress(folder)
		assert.True(t, ok, folder)
		assert.Equal(t, want, got, folder)
	}
	for _, folder := range []string{
		"", "intel-rapl", "intel-rapl:", "intel-rapl:0:", "intel-rapl::0", "intel-rapl:0:0:0", "intel-rapl:x", "intel-rapl:-1",
		"intel-rapl:00", "intel-rapl:1000000", "intel-raplx:0", "dtpm:0", "arm-scmi:0:1", "power", "device", ":0",
	} {
		_, ok := parseAddress(folder)
		assert.False(t, ok, folder)
	}
}

func TestAddressesC22SortMSRFirstAndTenAfterNine(t *testing.T) {
	want := strings.Fields("intel-rapl:0 intel-rapl:0:0 intel-rapl:0:2 intel-rapl:0:10 intel-rapl:2 intel-rapl:9 intel-rapl:10 " +
		"intel-rapl-a:0 intel-rapl-mmio:0 intel-rapl-mmio:0:0")
	var got []address
	for _, folder := range slices.Sorted(slices.Values(want)) {
		a, ok := parseAddress(folder)
		require.True(t, ok)
		got = append(got, a)
	}
	slices.SortFunc(got, address.compare)
	for i, a := range got {
		text := a.control + ":" + strconv.Itoa(a.n)
		if a.m >= 0 {
			text += ":" + strconv.Itoa(a.m)
		}
		assert.Equal(t, want[i], text)
	}
}

func TestPackageNames(t *testing.T) {
	for name, want := range map[string][2]int{
		"package-0": {0, -1}, "package-11": {11, -1}, "package-0-die-1": {0, 1}, "package-3-die-12": {3, 12},
	} {
		socket, die, ok := parsePackage(name)
		assert.True(t, ok, name)
		assert.Equal(t, want, [2]int{socket, die}, name)
	}
	for _, name := range []string{
		"", "package", "package-", "package-x", "package--1", "package-01", "package-0-die", "package-0-die-", "package-0-die-x",
		"package-0-die-1-die-2", "package-1234567", "Package-0", "dram", "psys",
	} {
		_, _, ok := parsePackage(name)
		assert.False(t, ok, name)
	}
}

func TestCPUInfo(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       machine
		mirrors    bool
	}{
		{"Intel", "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu vme\n", machine{"GenuineIntel", false, true}, false},
		{"AMD in a virtual machine", "vendor_id\t: AuthenticAMD\nflags\t\t: fpu hypervisor lm\n", machine{"AuthenticAMD", true, true}, true},
		{"Hygon, CRLF", "vendor_id\t: HygonGenuine\r\nflags\t\t: fpu\r\n", machine{"HygonGenuine", false, true}, true},
		{"flag that only begins alike", "vendor_id : x\nflags : hypervisor2 nohypervisor\n", machine{"x", false, true}, false},
		{"cut off in the flags", "vendor_id : AuthenticAMD\nflags : fpu hyper", machine{"AuthenticAMD", false, true}, true},
		{"ARM", "processor\t: 0\nCPU implementer\t: 0x41\n", machine{"", false, true}, false},
		{"empty", "", machine{}, false},
	} {
		got := parseCPUInfo([]byte(c.text))
		assert.Equal(t, c.want, got, c.name)
		assert.Equal(t, c.mirrors, got.mirrorsDies(), c.name)
	}
}

func TestParseCountAllocatesNothing(t *testing.T) {
	text := []byte("18446744073709551615\n")
	assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = parseCount(text) }))
}

func FuzzParseCount(f *testing.F) {
	for _, s := range []string{"0\n", "262143328850\n", " 17\r\n\x00", "-1", "0x10", "18446744073709551616", "1_000", "", "\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, ok := parseCount(b)
		// What is read has to be what strconv makes of the same text without the
		// space that is allowed around it.
		text := strings.TrimLeft(strings.TrimRight(string(b), " \t\n\v\f\r\x00"), " \t\n\v\f\r")
		want, err := strconv.ParseUint(text, 10, 64)
		if wantOK := err == nil && len(text) <= 20 && !strings.ContainsAny(text, "+-"); ok != wantOK || (ok && n != want) {
			t.Errorf("parseCount(%q) = %d, %t, want %d, %t", b, n, ok, want, wantOK)
		}
	})
}

func FuzzC24ParseName(f *testing.F) {
	for _, s := range []string{"package-0\n", "package-1-die-2", "dram\r\n", "psys-1\x00", "", "\n", "päckage-0", "../x", "package-01"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		name, ok := parseName(b)
		if !ok {
			if name != "" {
				t.Errorf("parseName(%q) = %q beside false", b, name)
			}
			return
		}
		if name == "" || len(name) >= smallFile || strings.ContainsAny(name, "/: \n\x00") || !strings.Contains(string(b), name) {
			t.Errorf("parseName(%q) = %q", b, name)
		}
		if again, ok := parseName([]byte(name)); !ok || again != name {
			t.Errorf("parseName(%q) = %q, %t", name, again, ok)
		}
		if socket, die, ok := parsePackage(name); ok {
			back := "package-" + strconv.Itoa(socket)
			if die >= 0 {
				back += "-die-" + strconv.Itoa(die)
			}
			if back != name {
				t.Errorf("package %q is read as %q", name, back)
			}
		}
		_, _ = parsePsys(name)
		_, _ = parseAddress(string(b))
	})
}

func FuzzParseCPUInfo(f *testing.F) {
	f.Add([]byte("processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu hypervisor\n"))
	f.Add([]byte("vendor_id"))
	f.Add([]byte(":\n::\nflags:"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := parseCPUInfo(b)
		if m.virtual && !strings.Contains(string(b), "hypervisor") || m.known != (len(b) > 0) {
			t.Errorf("parseCPUInfo(%q) = %+v", b, m)
		}
	})
}

// What perf and the drivers of AMD call by the same names is counted once.
func TestPartsTellWhatTheyMeasure(t *testing.T) {
	for _, c := range []struct {
		key  key
		same string
		rank int
	}{
		{key{name: "package-0"}, "package-0", 1},
		{key{name: "package-0-die-1"}, "package-0-die-1", 1},
		{key{name: "dram", above: "package-0"}, "package-0/dram", 1},
		{key{name: "core", above: "package-0-die-1"}, "package-0-die-1/core", 1},
		{key{name: "psys"}, "psys", 4},
		{key{name: "psys-1"}, "psys-1", 4},
	} {
		t.Run(c.same, func(t *testing.T) {
			p, ok := describe(c.key, limits{}, true)
			require.True(t, ok)
			assert.Equal(t, c.same, p.Same)
			assert.Equal(t, "rapl:"+c.same, p.ID)
			assert.Equal(t, c.rank, p.Rank)
		})
	}
}
