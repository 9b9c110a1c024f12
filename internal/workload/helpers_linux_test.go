package workload

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/testfs"
)

// A tree is a fake machine whose files are rewritten in place between Reads: they are
// kept open. It has version 2 of cgroups unless v1.
type tree struct {
	t      testing.TB
	root   string
	v1     bool
	clock  int64
	uptime float64
}

const (
	statOf1 = "cpu  100 0 0 1000 0 0 0 0 0 0\ncpu0 100 0 0 1000 0 0 0 0 0 0\nintr 1 2 3\nbtime 1700000000\n"
	hexA    = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	hexB    = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	hexC    = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
	uidA    = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
)

func newTree(t testing.TB, v1 bool) *tree {
	t.Helper()
	f := &tree{t: t, root: t.TempDir(), v1: v1, uptime: 1000}
	point, line := "/sys/fs/cgroup", "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
	if v1 {
		line = "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n" +
			"34 31 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
			"35 31 0:32 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
	}
	f.write("proc/1/mountinfo", line)
	f.write(f.folder("")+"/cgroup.procs", "")
	f.write("proc/stat", statOf1)
	f.write("proc/meminfo", "MemTotal:  1000 kB\n")
	f.pass(0)
	if v1 {
		f.write("sys/fs/cgroup/cpu,cpuacct/cpu.shares", "1024\n")
		f.write("sys/fs/cgroup/memory/memory.usage_in_bytes", "1\n")
		f.write("sys/fs/cgroup/cpuset/cpuset.cpus", "0\n")
		f.use("", 0)
	} else {
		f.write(point+"/cgroup.controllers", "cpuset cpu io memory pids\n")
	}
	return f
}

func (f *tree) write(name, content string) {
	f.t.Helper()
	path := filepath.Join(f.root, name)
	require.NoError(f.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(f.t, os.WriteFile(path, []byte(content), 0o644))
}

// pass lets time pass in the machine.
func (f *tree) pass(d time.Duration) {
	f.t.Helper()
	f.uptime += d.Seconds()
	f.write("proc/uptime", fmt.Sprintf("%.2f 1.00\n", f.uptime))
}

// folder is the cgroup of that path.
func (f *tree) folder(path string) string {
	if f.v1 {
		return "sys/fs/cgroup/cpu,cpuacct" + path
	}
	return "sys/fs/cgroup" + path
}

// use sets the counter of a cgroup, and makes it if there is none.
func (f *tree) use(path string, d time.Duration) {
	f.t.Helper()
	folder := filepath.Join(f.root, f.folder(path))
	if _, err := os.Stat(folder); err != nil {
		require.NoError(f.t, os.MkdirAll(folder, 0o755))
		f.write(f.folder(path)+"/cgroup.procs", "")
		f.stamp(filepath.Dir(folder))
	}
	if f.v1 {
		f.write(f.folder(path)+"/cpuacct.usage", fmt.Sprintln(d.Nanoseconds()))
		return
	}
	f.write(f.folder(path)+"/cpu.stat", fmt.Sprintf("usage_usec %d\nuser_usec 0\nsystem_usec 0\n", d.Microseconds()))
}

// stamp makes sure that a change of a folder shows in its time, which has the resolution
// of a clock tick.
func (f *tree) stamp(folder string) {
	f.t.Helper()
	f.clock++
	at := time.Unix(1_000_000+f.clock, 0)
	require.NoError(f.t, os.Chtimes(folder, at, at))
}

func (f *tree) remove(path string) {
	f.t.Helper()
	folder := filepath.Join(f.root, f.folder(path))
	require.NoError(f.t, os.RemoveAll(folder))
	f.stamp(filepath.Dir(folder))
}

func (f *tree) procs(path string, pids ...int) {
	f.t.Helper()
	f.write(f.folder(path)+"/cgroup.procs", strings.Trim(strings.ReplaceAll(fmt.Sprintln(pids), " ", "\n"), "[]\n")+"\n")
}

// process sets what /proc/PID/stat shows.
func (f *tree) process(pid int, comm string, ticks, start, rss int) {
	f.t.Helper()
	f.write(fmt.Sprintf("proc/%d/stat", pid), fmt.Sprintf("%d (%s) S 1 1 1 0 -1 4194304 1 2 3 4 %d %d 0 0 20 0 1 0 %d 1000 %d 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n",
		pid, comm, ticks-ticks/3, ticks/3, start, rss))
}

func (f *tree) open(c Config) *machine {
	f.t.Helper()
	r, err := Open(f.root, c)
	require.NoError(f.t, err)
	f.t.Cleanup(func() { require.NoError(f.t, r.Close()) })
	return &machine{t: f.t, r: r}
}

func unpack(t testing.TB, name string) *tree {
	t.Helper()
	return &tree{t: t, root: testfs.UnpackFile(t, filepath.Join("testdata", name))}
}

// A machine is a Reader under test.
type machine struct {
	t   testing.TB
	r   *Reader
	buf []Usage
	err error
}

// read reads, checks what is always so, and returns the usages as text: "name share" →
// CPU time.
func (m *machine) read() []Usage {
	m.t.Helper()
	m.buf, m.err = m.r.Read(context.Background(), nil)
	type key struct {
		of    *Workload
		share Share
	}
	seen := map[key]bool{}
	for _, u := range m.buf {
		k := key{u.Of, u.Share}
		require.Falsef(m.t, seen[k], "told twice: %s", label(u))
		seen[k] = true
		require.GreaterOrEqual(m.t, u.CPU, time.Duration(0))
	}
	return m.buf
}

func label(u Usage) string {
	name := "machine"
	if u.Of != nil {
		name = u.Of.ID
	}
	return name + [...]string{"", " exited", " other"}[u.Share]
}

// told reads and returns what is told, by label.
func (m *machine) told() map[string]Usage {
	m.t.Helper()
	all := map[string]Usage{}
	for _, u := range m.read() {
		all[label(u)] = u
	}
	return all
}

// cpu reads and returns the CPU times that are not 0.
func (m *machine) cpu() map[string]time.Duration {
	m.t.Helper()
	all := map[string]time.Duration{}
	for _, u := range m.read() {
		if u.CPU > 0 {
			all[label(u)] = u.CPU
		}
	}
	return all
}

func sum(us []Usage) (d time.Duration) {
	for _, u := range us {
		d += u.CPU
	}
	return d
}

func removeAll(f *tree, name string) error { return os.RemoveAll(filepath.Join(f.root, name)) }
