package perf

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseMask(t *testing.T) {
	for text, want := range map[string][]int{
		"0\n":          {0},
		"0,18\n":       {0, 18},
		"0-3,8\n":      {0, 1, 2, 3, 8},
		"5-5":          {5},
		"\n":           nil,
		"0,65535\x00 ": {0, 65535},
	} {
		got, ok := parseMask([]byte(text))
		assert.True(t, ok, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{
		"a", "-1", "0,", ",0", "0,,1", "3-1", "0-", "-", "1,0", "0,0", "0-3,3", "01", "0 1", "+1", "65536", "0-65535", "0-1024",
		"9999999", "0x1", "0-3:1/2", "0\n1", "0;1", "ff,00000001", strings.Repeat("0,", 3000),
	} {
		_, ok := parseMask([]byte(text))
		assert.False(t, ok, text)
	}
}

func TestParseEvent(t *testing.T) {
	for text, want := range map[string]uint64{
		"event=0x02\n": 2, "event=0x5": 5, "event=7": 7, "event=0xff": 255, "event=0x00\x00": 0,
	} {
		got, ok := parseEvent([]byte(text))
		assert.True(t, ok, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{
		"", "event=", "event", "0x02", "event=0x100", "event=-1", "event=+1", "event=0x02,umask=0x1", "event=0x", "event=0x_1", "config=0x02",
		"event=0x02 event=0x03", "event=99999999999999999999", "event==2",
	} {
		_, ok := parseEvent([]byte(text))
		assert.False(t, ok, text)
	}
}

func TestParseScale(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       ratio
	}{
		{"2⁻³² J as the kernel writes it", "2.3283064365386962890625e-10\n", power()},
		{"2⁻¹⁶ J", "1.52587890625e-05", ratio{15625, 1024}}, // 10⁶ ÷ 65536, by 64
		{"1 J", "1", ratio{1_000_000, 1}},
		{"1 µJ", "1e-6", ratio{1, 1}},
		{"1 nJ", "0.000000001", ratio{1, 1000}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := parseScale([]byte(c.text))
			require.True(t, ok)
			assert.Equal(t, c.want, got)
		})
	}
	t.Run("2⁻³² J cut to the digits of a float64", func(t *testing.T) {
		got, ok := parseScale([]byte("2.3283064365386963e-10"))
		require.True(t, ok)
		var a amount
		a.step(1_000_000<<32, got) // 1 MJ, correct to 10⁻¹²: 1 µJ
		assert.InDelta(t, 1e12, float64(a.whole), 1)
	})
	for _, text := range []string{
		"", "0", "-1", "-2.3e-10", "1e-13", "2", "1e999999999", "1e-999999999", "NaN", "Inf", "0x1p-32", "1/4294967296", "2,3e-10", "e", "1e", "..", "1 1",
		strings.Repeat("0", 70), "0." + strings.Repeat("0", 61),
	} {
		_, ok := parseScale([]byte(text))
		assert.False(t, ok, text)
	}
}

func TestParseStatus(t *testing.T) {
	const (
		none    = "0000000000000000"
		read    = "0000000000000004" // CAP_DAC_READ_SEARCH is 2
		perfmon = "0000004000000000" // 38
		admin   = "0000000000200000" // 21
	)
	for caps, want := range map[string]bool{none: false, read: false, perfmon: true, admin: true, "000001ffffffffff": true, "x": false, "": false} {
		p := parseStatus([]byte("Name:\tx\nCapPrm:\t000001ffffffffff\nCapEff:\t" + caps + "\nSeccomp:\t2\nSeccomp_filters:\t1\n"))
		assert.Equal(t, process{perfmon: want, seccomp: true}, p, caps)
	}
	assert.Zero(t, parseStatus([]byte("Seccomp:\t0\nCapEff")))
}

func TestParseCPUInfo(t *testing.T) {
	assert.Equal(t, machine{vendor: "HygonGenuine", virtual: true, known: true},
		parseCPUInfo([]byte("vendor_id\t: HygonGenuine\nflags\t\t: fpu hypervisor\n\nvendor_id\t: Other\n")))
	assert.Equal(t, machine{known: true}, parseCPUInfo([]byte("processor : 0\n")))
	assert.Zero(t, parseCPUInfo(nil))
}

func FuzzParseMask(f *testing.F) {
	for _, s := range []string{"0\n", "0,18\n", "0-3,8", "", "0-65535", "1,0"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		cpus, ok := parseMask(b)
		if !ok {
			return
		}
		for i, cpu := range cpus {
			if cpu < 0 || cpu >= maxCPU || i > 0 && cpu <= cpus[i-1] || i >= maxPlaces {
				t.Fatalf("%q gives %v", b, cpus)
			}
		}
	})
}

func FuzzParseEvent(f *testing.F) {
	for _, s := range []string{"event=0x02\n", "event=5", "event=0b1", "event=0o7", "event=0x100"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if config, ok := parseEvent(b); ok && config > maxConfig {
			t.Fatalf("%q gives %#x", b, config)
		}
	})
}

func FuzzParseScale(f *testing.F) {
	for _, s := range []string{"2.3283064365386962890625e-10\n", "1e-9", "1", "2.3283064365386963e-10", "1e-999999999", "0.99999999999999999999999999999999999"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, ok := parseScale(b)
		if !ok {
			return
		}
		if r.num == 0 || r.den == 0 || r.den > 1<<63 || float64(r.num)/float64(r.den) > 1_000_001 {
			t.Fatalf("%q gives %+v", b, r)
		}
		var a amount
		a.step(1<<40, r)
		a.step(-1<<40, r)
		if a != (amount{}) {
			t.Fatalf("%q: up and down leaves %+v", b, a)
		}
	})
}
