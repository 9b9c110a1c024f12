package process

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelcarbon/otelcarbon/internal/sensor/model"
)

func TestParseStatC67(t *testing.T) {
	for text, want := range map[string]counts{
		// busy: user 1, nice 2, system 3, irq 6, softirq 7; idle 4 and iowait 5; guest is inside
		// user.
		"cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n": {19, 9, 8},
		"cpu  1 2 3 4 5 6 7\n":            {19, 9, 0}, // kernels before 2.6.11
		"cpu  1 2 3 4 5 6 7 8 9 10 11\nx": {19, 9, 8},
	} {
		c, ok := parseStat([]byte(text))
		assert.True(t, ok, text)
		assert.Equal(t, want, c, text)
	}
	for _, text := range []string{
		"", "\n", "cpu", "cpu  \n", "cpu0 1 2 3 4 5 6 7\n", "cpu  1 2 3 4 5 6\n", "cpu  1 2 3 4 5 6 7", "cpu  1 2 3 4 5 6 x\n",
		"cpu  1 2 3 4 5 6 -7\n", "cpu  1 2 3 4 5 6 7.5\n", "cpu  99999999999999999 2 3 4 5 6 7\n", "cpu  9999999999999999999999 2 3 4 5 6 7\n", "intr 1 2 3 4 5 6 7\n",
	} {
		_, ok := parseStat([]byte(text))
		assert.False(t, ok, "%q", text)
	}
}

func TestParseCPUInfo(t *testing.T) {
	for text, want := range map[string]model.Host{
		"processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 106\nmodel name\t: Intel(R) Xeon(R) Platinum 8358 CPU @ 2.60GHz\n" +
			"stepping\t: 6\nsiblings\t: 64\nflags\t\t: fpu hypervisor vme\n\nprocessor\t: 1\nvendor_id\t: other\n": {
			CPUVendor: "GenuineIntel", CPUModel: "Intel(R) Xeon(R) Platinum 8358 CPU @ 2.60GHz",
			CPUFamily: 6, CPUModelID: 106, CPUStepping: 6, Sockets: 2, Virtual: true,
		},
		"processor\t: 0\nBogoMIPS\t: 243.75\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd40\n": {CPUVendor: "ARM", CPUModel: "Neoverse-V1"},
		"CPU implementer\t: 0x41\nCPU part\t: 0xd03\n":                                                          {CPUVendor: "ARM"}, // Cortex-A53
		"CPU implementer\t: 0x48\nCPU part\t: 0xd0c\n":                                                          {},
		"cpu family\t: -6\nmodel\t: 99999999999\nstepping\t: x\nsiblings\t: 0\nvendor_id\t: \xff\n\x00\n":       {},
		"": {},
	} {
		h := model.Host{}
		parseCPUInfo([]byte(text), 128, &h)
		assert.Equal(t, want, h, text)
	}
}

func TestParseOnline(t *testing.T) {
	for text, want := range map[string]int{
		"0\n": 1, "0-7\n": 8, "0-3,8-11": 8, "0,2,4": 3, "0-8191": 8192,
		"": 0, "x": 0, "3-0": 0, "0-8192": 0, "0-3,2": 0, "0-3,": 0, "-": 0, "0-": 0, "0-99999999999999999999": 0,
	} {
		assert.Equal(t, want, parseOnline([]byte(text)), "%q", text)
	}
}

func TestParseMemory(t *testing.T) {
	for text, want := range map[string]uint64{
		"MemTotal:       16777216 kB\nMemFree: 1 kB\n": 1 << 34, "MemFree: 1 kB\nMemTotal: 1 kB": 1024,
		"": 0, "MemTotal: 1\n": 0, "MemTotal: -1 kB\n": 0, "MemTotal: 999999999999999999 kB\n": 0,
	} {
		assert.Equal(t, want, parseMemInfo([]byte(text)), "%q", text)
	}
	for text, want := range map[string]uint64{
		"314 27 12 1 0 30 0\n": (27 - 12) * 4096, "3 1 2 0": 0, "1 2": 0, "": 0, "1": 0, "1 x 1": 0, "1 -2 1": 0, "1 999999999999999999 0": 0,
	} {
		assert.Equal(t, want, parseHeld([]byte(text), 4096), "%q", text)
	}
}

// Nothing that a file may hold makes a parser fail, or a number that no machine has.
func FuzzC24_files(f *testing.F) {
	for _, seed := range []string{
		"cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n", "cpu  462862 33019 117758 419750 19593 0 1315 1253 0 0\n",
		"processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\nstepping\t: 1\nsiblings\t: 2\nflags\t\t: fpu hypervisor\n",
		"processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n", "MemTotal:       16384000 kB\n", "0-3,8-11\n", "314 27 12 1 0 30 0\n", "\x00", "-",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, ok := parseStat(b); ok && (c.busy > math.MaxInt64 || c.idle > math.MaxInt64) {
			t.Errorf("%q: %+v", b, c)
		}
		if n := parseOnline(b); n < 0 || n > maxCPUs {
			t.Errorf("%q: %d CPUs", b, n)
		}
		if n := parseMemInfo(b); n > math.MaxInt64 {
			t.Errorf("%q: %d bytes", b, n)
		}
		if n := parseHeld(b, 4096); n > math.MaxInt64 {
			t.Errorf("%q: %d bytes", b, n)
		}
		h := model.Host{}
		parseCPUInfo(b, 4, &h)
		if h.CPUFamily < 0 || h.CPUModelID < 0 || h.CPUStepping < 0 || h.Sockets < 0 || h.Sockets > 4 || len(h.CPUModel) > maxName {
			t.Errorf("%q: %+v", b, h)
		}
	})
}

func TestParseProcess(t *testing.T) {
	parent, started, ok := parseProcess([]byte("4243 (a) (b) S 42 4243 4243 0 -1 4194560 1 0 0 0 1 2 3 4 20 0 1 0 98765 1000 10 18446744073709551615\n"))
	assert.Equal(t, []any{42, uint64(98765), true}, []any{parent, started, ok})
	parent, started, ok = parseProcess([]byte("1 (init) S 0 1 1 0 -1 1 1 0 0 0 1 2 3 4 20 0 1 0 9 1"))
	assert.Equal(t, []any{0, uint64(9), true}, []any{parent, started, ok})
	for _, text := range []string{
		"", "1", ")", "1 (a)", "1 (a) S", "1 (a) S 42 1 1",
		"1 (a) S x 1 1 0 -1 1 1 0 0 0 1 2 3 4 20 0 1 0 9 1", "1 (a) S 4 1 1 0 -1 1 1 0 0 0 1 2 3 4 20 0 1 0 x 1", "1 (a) S -4 1 1 0 -1 1 1 0 0 0 1 2 3 4 20 0 1 0 9 1",
	} {
		_, _, ok := parseProcess([]byte(text))
		assert.False(t, ok, text)
	}
}
