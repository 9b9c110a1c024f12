package workload

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

const statLine = "42 (a b) c) S 1 42 42 0 -1 4194560 100 200 0 0 150 50 7 8 20 0 1 0 12345 1000000 256 18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 3 0 0 0 0 0\n"

func TestC66ParseStat(t *testing.T) {
	line := func(comm, state, threads, rss string) string {
		return "7 (" + comm + ") " + state + " 1 1 1 0 -1 0 0 0 0 0 12 30 0 0 20 0 " + threads + " 0 99 1000 " + rss + " 1 2\n"
	}
	for name, c := range map[string]struct {
		in   string
		want string // "" for none
	}{
		"spaces and parentheses":            {statLine, "42 [a b) c] 200 12345 256 false"},
		"comm that looks like fields":       {line(") ( R 1 1", "S", "1", "5"), "7 [) ( R 1 1] 42 99 5 false"},
		"comm with a newline":               {line("a\nb", "S", "1", "5"), "7 [a\nb] 42 99 5 false"},
		"empty comm":                        {line("", "S", "1", "5"), "7 [] 42 99 5 false"},
		"zombie":                            {line("x", "Z", "1", "0"), "7 [x] 42 99 0 true"},
		"leader ended, others go on":        {line("x", "Z", "3", "0"), "7 [x] 42 99 0 false"},
		"negative rss":                      {line("x", "S", "1", "-5"), "7 [x] 42 99 0 false"},
		"old kernel that ends after rss":    {strings.TrimSuffix(line("x", "S", "1", "5"), " 1 2\n"), "7 [x] 42 99 5 false"},
		"nothing":                           {"", ""},
		"no comm":                           {"7", ""},
		"no end of comm":                    {"7 (x S 1", ""},
		"the end before the start":          {"7 ) (", ""},
		"cut off":                           {line("x", "S", "1", "5")[:30], ""},
		"two spaces":                        {strings.Replace(line("x", "S", "1", "5"), " 0 99", "  0 99", 1), ""},
		"negative time":                     {strings.Replace(line("x", "S", "1", "5"), " 12 ", " -12 ", 1), ""},
		"time beyond what a Duration holds": {strings.Replace(line("x", "S", "1", "5"), " 12 ", " 922337203685477581 ", 1), ""},
		"pid of 20 digits":                  {strings.Replace(line("x", "S", "1", "5"), "7 ", "99999999999999999999 ", 1), ""},
	} {
		s, ok := parseStat([]byte(c.in))
		got := ""
		if ok {
			got = fmt.Sprintf("%d [%s] %d %d %d %t", s.pid, s.comm, s.ticks, s.start, s.rss, s.dead)
		}
		assert.Equal(t, c.want, got, name)
	}
}

func TestParseUsage(t *testing.T) {
	for in, want := range map[string]uint64{
		"usage_usec 12\nuser_usec 3\n": 12_000, "user_usec 3\nusage_usec 12\n": 12_000, "usage_usec 0\n": 0,
	} {
		got, ok := parseUsage([]byte(in))
		assert.True(t, ok, in)
		assert.Equal(t, want, got, in)
	}
	for _, in := range []string{
		"", "usage_usec 12", "usage_usec\n", "usage_usec -1\n", "usage_usec 1 2\n", "usage_usec 0x1\n", "nr_periods 1\n",
		"usage_usec 18446744073709551616\n", "usage_usec 9223372036854776\n",
	} {
		_, ok := parseUsage([]byte(in))
		assert.False(t, ok, in)
	}
	ns, ok := parseUsageV1([]byte("9223372036854775807\n"))
	assert.True(t, ok)
	assert.EqualValues(t, math.MaxInt64, ns)
	for _, in := range []string{"", "\n", "-1\n", "9223372036854775808\n", "1 2\n", "1e3\n"} {
		_, ok := parseUsageV1([]byte(in))
		assert.False(t, ok, in)
	}
}

func TestNextPID(t *testing.T) {
	for in, want := range map[string][]int{
		"1\n22\n333\n": {1, 22, 333}, "": nil, "\n\n5\n": {5}, "0\n": {0}, "5": {5}, "1\nx\n2\n": {1}, "1 2\n": nil, "-1\n": nil, "99999999999\n": nil,
	} {
		var got []int
		for b := []byte(in); ; {
			pid, rest, ok := nextPID(b)
			if !ok {
				break
			}
			got, b = append(got, pid), rest
		}
		assert.Equal(t, want, got, in)
	}
}

func TestParseList(t *testing.T) {
	for in, want := range map[string][]int{
		"0-3,8\n": {0, 1, 2, 3, 8}, "5": {5}, "": nil, "\n": nil, "0-0": {0},
	} {
		var got []int
		assert.True(t, parseList([]byte(in), func(n int) { got = append(got, n) }), in)
		assert.Equal(t, want, got, in)
	}
	for _, in := range []string{"x", "3-1", "1,", ",1", "1-", "-1", "0-99999999", "1 2", "0-65535,0-65535"} {
		assert.False(t, parseList([]byte(in), func(int) {}), in)
	}
}

func TestParseUptimePlaceAndField(t *testing.T) {
	ticks, ok := parseUptime([]byte("3646.22 6362.14\n"))
	assert.True(t, ok)
	assert.EqualValues(t, 364622, ticks)
	for _, in := range []string{"", "1", "1.", "1.x", "1.234 2", "-1.00 2", "99999999999.00 1"} {
		_, ok := parseUptime([]byte(in))
		assert.False(t, ok, in)
	}

	const cgroup = "11:cpuset:/s\n2:cpu,cpuacct:/docker/x\n1:name=systemd:/y\n0::/u (deleted)\n"
	path, _ := parsePlace([]byte(cgroup), "cpuacct")
	assert.Equal(t, "/docker/x", path)
	path, _ = parsePlace([]byte(cgroup), "")
	assert.Equal(t, "/u", path)
	for _, in := range []string{"", "0::", "0:", "garbage", "0::relative\n", "0::/" + strings.Repeat("x", maxPath)} {
		_, ok := parsePlace([]byte(in), "")
		assert.False(t, ok, in)
	}

	kb, ok := parseField([]byte("Foo: 1 kB\nMemTotal:       16318 kB\n"), "MemTotal:")
	assert.True(t, ok)
	assert.EqualValues(t, 16318, kb)
}

func TestParseMounts(t *testing.T) {
	got := parseMountinfo([]byte("32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 master:2 - cgroup cgroup rw,cpu,cpuacct\n" +
		"38 31 0:38 / /sys/fs/cgroup/with\\040space rw - cgroup2 cgroup2 rw,nsdelegate\n" +
		"39 31 0:39 / /a/../b rw - cgroup2 cgroup2 rw\n39 31 0:39 / relative rw - cgroup2 cgroup2 rw\n" +
		"garbage\n40 1 8:1 / / rw - ext4 /dev/sda rw\n41 1 0:1 / /x\n"))
	want := []mount{
		{point: "/sys/fs/cgroup/cpu,cpuacct", controllers: []string{"rw", "cpu", "cpuacct"}},
		{point: "/sys/fs/cgroup/with space", v2: true},
	}
	assert.Equal(t, want, got)
	assert.Equal(t, want, parseMounts([]byte("cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\nx\ncgroup2 /sys/fs/cgroup/with\\040space cgroup2 rw 0 0\n")))
}

func TestC64Arrange(t *testing.T) {
	v2 := mount{point: "/u", v2: true}
	acct := mount{point: "/a", controllers: []string{"rw", "cpu", "cpuacct"}}
	memory := mount{point: "/m", controllers: []string{"memory"}}
	everything := func(string) bool { return true }
	controls := func(s string) func(mount) string { return func(mount) string { return s } }
	assert.Equal(t, "/u", arrange([]mount{v2}, everything, controls("cpu memory\n")).tree)
	assert.Equal(t, "/u", arrange([]mount{v2}, everything, controls("")).tree, "its root has cpu.stat without controllers too")
	hybrid := arrange([]mount{v2, acct, memory}, everything, controls("\n"))
	assert.Equal(t, "/a", hybrid.tree)
	assert.Equal(t, "/m", hybrid.memory)
	assert.Equal(t, "/a", hybrid.cpu)
	assert.Empty(t, hybrid.cpuset)
	assert.Equal(t, "/u", arrange([]mount{acct, v2}, everything, controls("cpuset cpu io\n")).tree)
	assert.Equal(t, layout{}, arrange([]mount{acct}, func(string) bool { return false }, controls("")))
	assert.Equal(t, layout{}, arrange([]mount{memory}, everything, controls("")))
	assert.NotEmpty(t, customary())
}

func TestParsePasswd(t *testing.T) {
	names := parsePasswd([]byte("root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:/x\n#\n:x:5:5::\nx:x:-1:1::\ny:x:99999999999:1::\nz:x:7:7::\n"))
	assert.Equal(t, map[uint32]string{0: "root", 7: "z"}, names)
}

func entry(ino uint64, kind byte, name string) []byte {
	n := (19 + len(name) + 1 + 7) &^ 7
	b := make([]byte, n)
	binary.NativeEndian.PutUint64(b, ino)
	binary.NativeEndian.PutUint16(b[16:], uint16(n))
	b[18] = kind
	copy(b[19:], name)
	return b
}

func TestNextDirent(t *testing.T) {
	b := append(entry(7, 4, "docker"), entry(8, 8, "x")...)
	d, b, ok := nextDirent(b)
	assert.True(t, ok)
	assert.Equal(t, "7 4 docker", fmt.Sprintf("%d %d %s", d.ino, d.kind, d.name))
	d, b, ok = nextDirent(b)
	assert.True(t, ok)
	assert.Equal(t, "x", string(d.name))
	_, _, ok = nextDirent(b)
	assert.False(t, ok)
	bad := entry(1, 4, "x")
	binary.NativeEndian.PutUint16(bad[16:], 5)
	_, _, ok = nextDirent(bad)
	assert.False(t, ok)
	binary.NativeEndian.PutUint16(bad[16:], 500)
	_, _, ok = nextDirent(bad)
	assert.False(t, ok)
}

func FuzzC24ParseStat(f *testing.F) {
	f.Add([]byte(statLine))
	f.Add([]byte("7 ) ("))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, ok := parseStat(b); ok && (s.pid < 0 || s.ticks > math.MaxInt64/uint64(tick) || s.start > math.MaxInt64/uint64(tick) || !bytes.Contains(b, s.comm)) {
			t.Errorf("%q: %+v", b, s)
		}
	})
}

func FuzzParsers(f *testing.F) {
	for _, s := range []string{"usage_usec 1\n", "123\n", "1\n2\n", "0-3,5\n", "3646.22 6362.14\n", "2:cpu,cpuacct:/x\n0::/../y\n", "MemTotal: 1 kB\n", "root:x:0:0::/:\n"} {
		f.Add([]byte(s))
	}
	f.Add(entry(1, 4, "name"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if ns, ok := parseUsage(b); ok && ns > math.MaxInt64 {
			t.Errorf("%q: usage %d", b, ns)
		}
		if ns, ok := parseUsageV1(b); ok && ns > math.MaxInt64 {
			t.Errorf("%q: usage %d", b, ns)
		}
		count := 0
		parseList(b, func(cpu int) {
			if count++; cpu < 0 || count > 1<<16 {
				t.Fatalf("%q: CPU %d", b, cpu)
			}
		})
		for rest := b; ; {
			pid, r, ok := nextPID(rest)
			if !ok {
				break
			}
			if pid < 0 || len(r) >= len(rest) {
				t.Fatalf("%q: pid %d", b, pid)
			}
			rest = r
		}
		for rest := b; ; {
			d, r, ok := nextDirent(rest)
			if !ok {
				break
			}
			if len(d.name) > len(b) || len(r) >= len(rest) {
				t.Fatalf("%q: no progress", b)
			}
			rest = r
		}
		if p, ok := parsePlace(b, ""); ok && p[0] != '/' {
			t.Errorf("%q: path %q", b, p)
		}
		parseUptime(b)
		parseField(b, "MemTotal:")
		parsePasswd(b)
	})
}

func FuzzMounts(f *testing.F) {
	f.Add([]byte("32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"))
	f.Add([]byte("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range append(parseMountinfo(b), parseMounts(b)...) {
			if m.point == "" || m.point[0] != '/' || strings.Contains(m.point, "/../") {
				t.Errorf("%q: mount at %q", b, m.point)
			}
		}
	})
}
