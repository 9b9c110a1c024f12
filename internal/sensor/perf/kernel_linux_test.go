package perf

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
)

// The kernel of this machine is asked for its software clock on CPU 0, which every
// kernel with perf events has: it counts the ns of the CPU.
const (
	softwarePMU = unix.PERF_TYPE_SOFTWARE
	clockEvent  = unix.PERF_COUNT_SW_CPU_CLOCK
)

func mayCount(t *testing.T) {
	t.Helper()
	k := &linux{}
	fd, err := k.open(softwarePMU, clockEvent, 0)
	if err != nil {
		t.Skipf("this process may not count for the whole machine here: perf_event_open: %v", err)
	}
	k.close(fd)
}

func TestKernelCountsAClock(t *testing.T) {
	mayCount(t)
	k, before := &linux{}, eventsOpen(t)
	outer := time.Now()
	fd, err := k.open(softwarePMU, clockEvent, 0)
	require.NoError(t, err)
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	require.NoError(t, err)
	assert.NotZero(t, flags&unix.FD_CLOEXEC, "children do not inherit it")
	assert.Equal(t, before+1, eventsOpen(t))

	inner := time.Now()
	first, err := k.read(fd)
	require.NoError(t, err)
	for time.Since(inner) < 20*time.Millisecond { // on some CPU
		_, err = k.read(fd)
		require.NoError(t, err)
	}
	last, err := k.read(fd)
	require.NoError(t, err)
	assert.Greater(t, last.value, first.value)
	assert.Greater(t, last.running, first.running)
	assert.Less(t, time.Duration(last.running), 2*time.Since(outer), "ns")

	assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = k.read(fd) }))
	k.close(fd)
	assert.Equal(t, before, eventsOpen(t))
	_, err = k.read(fd)
	require.ErrorIs(t, err, unix.EBADF)
}

func TestKernelRefuses(t *testing.T) {
	mayCount(t)
	k := &linux{}
	for _, c := range []struct {
		typ    uint32
		config uint64
		cpu    int
		want   error
	}{
		{softwarePMU, clockEvent, maxCPU, unix.EINVAL}, // no such CPU
		{999_999, 1, 0, unix.ENOENT},                   // no such PMU
	} {
		fd, err := k.open(c.typ, c.config, c.cpu)
		require.ErrorIs(t, err, c.want)
		assert.Negative(t, fd)
	}
}

func TestKernelEventThatEnds(t *testing.T) {
	empty, err := os.Open(os.DevNull) // gives end of file, as an event in error does
	require.NoError(t, err)
	defer func() { require.NoError(t, empty.Close()) }()
	k := &linux{}
	_, err = k.read(int(empty.Fd()))
	require.ErrorIs(t, err, errEnded)

	short := filepath.Join(t.TempDir(), "short")
	require.NoError(t, os.WriteFile(short, make([]byte, 8), 0o600))
	f, err := os.Open(short)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	_, err = k.read(int(f.Fd()))
	require.ErrorIs(t, err, errShort)
}

// The whole sensor over the real kernel: a tree whose PMU is that of software.
func TestSensorOverTheKernel(t *testing.T) {
	mayCount(t)
	root := tree(t, "software")
	sensortest.Run(t, func(t *testing.T) sensor.Sensor {
		t.Helper()
		s, err := Open(root, Config{})
		require.NoError(t, err)
		return s
	}, sensortest.Options{ZeroAlloc: true})

	begin := time.Now()
	s, err := Open(root, Config{})
	require.NoError(t, err)
	for time.Since(begin) < 20*time.Millisecond {
		_, problems := read(t, s)
		require.Empty(t, problems)
	}
	rs, _ := read(t, s)
	got := rs["perf:package-0"].Energy
	assert.NotZero(t, got)
	assert.Less(t, got.Power(time.Since(begin)).Watts(), 1.1, "1 nJ in each ns is 1 W") // at most: the event is younger
	require.NoError(t, s.Close())
	assert.Zero(t, eventsOpen(t), "left open")
}

const nobody = 65534

// asNobody runs the calling test again in a process of another user with these
// capabilities alone; check runs there, on a tree that it may read.
func asNobody(t *testing.T, caps []uintptr, check func(t *testing.T, root string)) {
	t.Helper()
	const variable = "PERF_TEST_ROOT"
	if root := os.Getenv(variable); root != "" {
		check(t, root)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to start a process of another user")
	}
	mayCount(t)
	root := tree(t, "software")
	for _, name := range []string{"kernel/perf_event_paranoid", "self/status"} { // those of the machine
		remove(t, root, "proc/"+strings.Replace(name, "kernel", "sys/kernel", 1))
	}
	require.NoError(t, os.Symlink("/proc/sys/kernel/perf_event_paranoid", filepath.Join(root, "proc/sys/kernel/perf_event_paranoid")))
	require.NoError(t, os.Symlink("/proc/self/status", filepath.Join(root, "proc/self/status")))
	require.NoError(t, os.Chmod(root, 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(root), 0o755))
	require.NoError(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, nobody, nobody))
	}))

	child := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$", "-test.v")
	child.Env = append(os.Environ(), variable+"="+root, "TMPDIR=/tmp")
	child.Dir = "/"
	child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, AmbientCaps: caps}
	out, err := child.CombinedOutput()
	if errors.Is(err, unix.EPERM) {
		t.Skipf("this process lacks a capability to hand on: %v", err)
	}
	require.NoError(t, err, "in the other process:\n%s", out)
	require.Contains(t, string(out), "--- PASS: "+t.Name(), "the other process ran nothing")
}

func TestPermissionC78ExactlyCAP_PERFMON(t *testing.T) {
	asNobody(t, []uintptr{capPerfmon}, func(t *testing.T, root string) {
		s, err := Open(root, Config{})
		require.NoError(t, err)
		rs, problems := read(t, s)
		assert.Empty(t, problems)
		assert.Contains(t, rs, "perf:package-0")
		require.NoError(t, s.Close())
	})
}

// With perf_event_paranoid above 0 the kernel refuses, and the text has the value
// that this machine has.
func refused(t *testing.T, root string) {
	t.Helper()
	b, err := os.ReadFile("/proc/sys/kernel/perf_event_paranoid")
	require.NoError(t, err)
	value := strings.TrimSpace(string(b))
	if value == "0" || strings.HasPrefix(value, "-") {
		t.Skipf("perf_event_paranoid is %s here: every user may count", value)
	}
	s, err := Open(root, Config{})
	require.NoError(t, err)
	rs, problems := read(t, s)
	assert.Empty(t, rs)
	require.Equal(t, []sensor.Class{sensor.Permission}, classes(problems))
	for _, words := range []string{"perf_event_paranoid is " + value + " and this process runs as uid 65534", "grant CAP_PERFMON"} {
		assert.Contains(t, problems[0].Error(), words)
	}
	require.NoError(t, s.Close())
}

func TestPermissionC78ExactlyCAP_DAC_READ_SEARCH(t *testing.T) {
	asNobody(t, []uintptr{unix.CAP_DAC_READ_SEARCH}, refused)
}

func TestPermissionC78None(t *testing.T) { asNobody(t, nil, refused) }
