package nvidiasmi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// interval is much longer than that of the scripts, so that a machine with other
// things to do makes no reading late.
const interval = 5 * time.Second

// fast are limits with which a script is started again at once.
var fast = limits{
	open: 10 * time.Second, startup: 20 * time.Second, silence: 20 * time.Second, close: 10 * time.Second,
	first: 10 * time.Millisecond, longest: 20 * time.Millisecond,
}

// fake writes a shell script that plays nvidia-smi and returns its path. $dir is
// its folder, in which $dir/starts gets a line for each start.
func fake(t testing.TB, body string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "nvidia-smi")
	script := "#!/bin/sh\ndir='" + dir + "'\necho $$ >>\"$dir/starts\"\n" + body + "\n"
	require.NoError(t, os.WriteFile(path, []byte(script), 0o700))
	return path
}

// loop prints table again and again, as --loop-ms does.
func loop(table string) string {
	return "while :; do cat <<'END'\n" + table + "\nEND\nsleep 0.05; done"
}

// gpus is the table of n GPUs; number i draws 100+i W.
func gpus(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d, GPU-%08x-93b1-7c55-d0a2-0f6c1b7e9a31, 1%02d.00, 99.00, NVIDIA H200\n", i, i, i)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func mustOpen(t testing.TB, path string, devices ...string) *reader {
	t.Helper()
	wanted, err := parseDevices(devices)
	require.NoError(t, err)
	s, err := open(Config{Path: path, Interval: interval}, wanted, fast)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s.(*reader)
}

// until calls f until it is true.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in 20 s: %s", what)
		}
	}
}

// untilProblem reads until a problem of that class says text.
func untilProblem(t testing.TB, s sensor.Sensor, class sensor.Class, text string) {
	t.Helper()
	var last error
	until(t, fmt.Sprintf("a problem %q with %q", class, text), func() bool {
		_, last = s.Read(t.Context(), nil)
		for p := range sensor.Problems(last) {
			if p.Class == class && strings.Contains(p.Error(), text) {
				return true
			}
		}
		return false
	})
	assert.Less(t, len(last.Error()), 3000)
}

func untilReadings(t testing.TB, s sensor.Sensor, n int) (rs []sensor.Reading) {
	t.Helper()
	until(t, fmt.Sprintf("%d readings at once", n), func() bool {
		rs, _ = s.Read(t.Context(), nil)
		return len(rs) == n
	})
	return rs
}

func numbers(t testing.TB, path, name string) (ns []int) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(filepath.Dir(path), name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	require.NoError(t, err)
	for f := range strings.FieldsSeq(string(b)) {
		n, err := strconv.Atoi(f)
		require.NoError(t, err)
		ns = append(ns, n)
	}
	return ns
}

// runs says whether a process does something still; a zombie does not.
func runs(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// renewed is the sensor with the moment of the read in its readings, and waits
// until there are as many as it has GPUs: the suite knows no readings that were
// made before.
type renewed struct {
	*reader
	n int
}

func (r renewed) Read(ctx context.Context, dst []sensor.Reading) ([]sensor.Reading, error) {
	for {
		before := len(dst)
		rs, err := r.reader.Read(ctx, dst)
		for i := range rs[before:] {
			rs[before+i].At = time.Now()
		}
		if err != nil || len(rs) == before+r.n {
			return rs, err
		}
		time.Sleep(time.Millisecond)
	}
}

func TestConformance(t *testing.T) {
	for _, n := range []int{1, 2, 8} {
		t.Run(fmt.Sprintf("%d GPUs", n), func(t *testing.T) {
			path := fake(t, loop(gpus(n)))
			sensortest.Run(t, func(t *testing.T) sensor.Sensor {
				return renewed{mustOpen(t, path), n}
			}, sensortest.Options{MinReadings: n})
		})
	}
}

func TestReadingsOfRealShape(t *testing.T) {
	s := mustOpen(t, fake(t, loop(gpus(8))))
	before := time.Now()
	_ = untilReadings(t, s, 8)
	for i, r := range untilReadings(t, s, 8) {
		assert.Equal(t, fmt.Sprintf("nvidia_smi:GPU-%08x-93b1-7c55-d0a2-0f6c1b7e9a31", i), r.Part.ID)
		assert.InDelta(t, 100+float64(i), r.Power.Watts(), 0)
		assert.True(t, r.At.After(before) && !r.At.After(time.Now()), "the moment of arrival")
	}
}

func TestProcessGetsFixedArgumentsAndEnvironment(t *testing.T) {
	t.Setenv("SECRET", "x")
	t.Setenv("LC_ALL", "de_DE.UTF-8")
	path := fake(t, `echo "$@" >"$dir/args"; env >"$dir/env"; pwd >"$dir/pwd"; `+loop(gpus(1)))
	s := mustOpen(t, path)
	untilReadings(t, s, 1)
	got := func(name string) string {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(path), name))
		require.NoError(t, err)
		return string(b)
	}
	assert.Equal(t, "--query-gpu=index,uuid,power.draw,power.draw.instant,name --format=csv,noheader,nounits --loop-ms=5000\n", got("args"))
	assert.Contains(t, got("env"), "LC_ALL=C\n")
	assert.NotContains(t, got("env"), "SECRET")
	assert.Equal(t, "/\n", got("pwd"))
	assert.Len(t, numbers(t, path, "starts"), 1, "one process for all lines")

	for interval, fields := range map[time.Duration]string{
		time.Second:            "power.draw,power.draw.instant", // the mean of a second where lines are a second apart
		500 * time.Millisecond: "power.draw.instant,power.draw",
	} {
		r := &runner{interval: interval, path: path}
		assert.Contains(t, r.command(nil).Args[1], fields, "C54")
	}
}

func TestAnOlderProgramIsAskedForOlderFields(t *testing.T) {
	path := fake(t, `case "$*" in *draw.instant*) echo 'Field "power.draw.instant" is not a valid field to query.'; echo; exit 2;; esac
`+loop("0, "+uuidA+", 9.01, Tesla K80"))
	s := mustOpen(t, path)
	rs, err := s.Read(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, rs, 1, "at once")
	assert.InDelta(t, 9.01, rs[0].Power.Watts(), 0)
	assert.Len(t, numbers(t, path, "starts"), 2)
}

func TestC44OpenSaysWhatIsMissing(t *testing.T) {
	said := func(text string, status int) string { return fmt.Sprintf("echo %q; exit %d", text, status) }
	for _, c := range []struct {
		name, body string // no body: no program
		text       string
	}{
		{"no program", "", "there is no"},
		{"no device", said("No devices were found", 6), "No devices were found"},
		{"no driver", said("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.", 9), "load the driver"},
		{"no library", said("NVIDIA-SMI couldn't find libnvidia-ml.so library in your system. Please make sure …", 12), "install the driver's library"},
		{"C45 no GPU that tells its power", loop("0, " + uuidA + ", [N/A], [N/A], NVIDIA GeForce GT 1030"), "no power sensor"},
	} {
		t.Run("C44 "+c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "nvidia-smi")
			if c.body != "" {
				path = fake(t, c.body)
			}
			_, err := open(Config{Path: path, Interval: interval}, nil, fast)
			var p *sensor.Problem
			require.ErrorAs(t, err, &p)
			require.ErrorIs(t, err, errors.ErrUnsupported)
			assert.Equal(t, sensor.Absent, p.Class)
			assert.NotEmpty(t, p.Remedy)
			assert.Contains(t, p.Error(), c.text)
		})
	}
}

func TestC44WhatMayPassIsReportedByRead(t *testing.T) {
	for _, c := range []struct {
		name, body string
		mode       os.FileMode
		class      sensor.Class
		text       string
	}{
		{"driver mismatch", "echo 'Failed to initialize NVML: Driver/library version mismatch'; echo 'NVML library version: 535.54'; exit 18", 0o700, sensor.IO, "reload the module or reboot"},
		{"container after daemon-reload", "echo 'Failed to initialize NVML: Unknown Error'; exit 255", 0o700, sensor.IO, "daemon-reload"},
		{"no permission", "echo 'Failed to initialize NVML: Insufficient Permissions' >&2; exit 4", 0o700, sensor.Permission, "/dev/nvidiactl"},
		{"nothing but a status", "exit 3", 0o700, sensor.IO, "it ended with status 3"},
		{"C49 GPU lost", "echo 'Unable to determine the device handle for GPU0000:01:00.0: GPU is lost.  Reboot the system to recover this GPU'; exit 15", 0o700, sensor.Gone, "GPU is lost"},
		{"not executable", "", 0o600, sensor.Permission, "chmod a+x"},
		{"writable by everyone", "", 0o777, sensor.Permission, "chmod o-w"},
		{"header", "echo 'index, uuid, power.draw [W]'; exit 0", 0o700, sensor.Malformed, "power.draw [W]"},
		{"header that stays", "echo 'index, uuid, power.draw [W]'; sleep 1000", 0o700, sensor.Malformed, "power.draw [W]"},
	} {
		t.Run("C44 "+c.name, func(t *testing.T) {
			path := fake(t, c.body)
			require.NoError(t, os.Chmod(path, c.mode))
			l := fast
			l.open = 50 * time.Millisecond
			s, err := open(Config{Path: path, Interval: interval}, nil, l)
			require.NoError(t, err)
			untilProblem(t, s, c.class, c.text)
			require.NoError(t, s.Close())
		})
	}
	s := mustOpen(t, fake(t, "exit 3"))
	ctx := t.Context()
	untilProblem(t, s, sensor.IO, "status 3")
	_, first := s.Read(ctx, nil)
	_, second := s.Read(ctx, nil)
	assert.Same(t, first, second, "what lasts is one value")
}

func TestOpenRefusesWhatMakesNoSense(t *testing.T) {
	for text, c := range map[string]Config{
		"interval 1ms is not between 100ms and 1m0s": {Interval: time.Millisecond},
		"interval 2m0s is not between":               {Interval: 2 * time.Minute},
		"interval -1s is not between":                {Interval: -time.Second},
		"not absolute":                               {Path: "nvidia-smi"},
		"neither an index":                           {Devices: []string{"all"}},
	} {
		_, err := Open(c)
		require.ErrorContains(t, err, text)
		require.NotErrorIs(t, err, errors.ErrUnsupported)
	}
	_, err := Open(Config{Path: "/nowhere/nvidia-smi"})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	s, err := Open(Config{Path: fake(t, loop(gpus(2))), Devices: []string{"1"}})
	require.NoError(t, err)
	assert.Len(t, untilReadings(t, s, 1), 1)
	require.NoError(t, s.Close())
}

// C46, C49: the first process loses its GPU and ends, the second one works.
func TestC49StartsAgainAfterADriverReload(t *testing.T) {
	path := fake(t, `if [ "$(wc -l <"$dir/starts")" -le 3 ]; then echo '`+gpus(1)+`'; sleep 0.1; echo 'GPU 00000000:01:00.0 is lost'; exit 15; fi
`+loop("0, GPU-00000000-93b1-7c55-d0a2-0f6c1b7e9a31, 222.00, 1.00, NVIDIA H200"))
	s := mustOpen(t, path)
	first := untilReadings(t, s, 1)[0]
	untilProblem(t, s, sensor.Gone, "is lost")
	var last sensor.Reading
	until(t, "readings of the fourth process", func() bool {
		rs, _ := s.Read(t.Context(), nil)
		if len(rs) == 1 {
			last = rs[0]
		}
		return last.Power.Watts() == 222
	})
	assert.Same(t, first.Part, last.Part)
	_, err := s.Read(t.Context(), nil)
	require.NoError(t, err)
	assert.Len(t, numbers(t, path, "starts"), 4)
}

// C56: the program stops in the middle. Read goes on at once, and what hangs is
// killed with the child that it waits for.
func TestC56AHangIsKilledAndNeverHoldsBackRead(t *testing.T) {
	path := fake(t, `echo '`+gpus(2)+`'; sleep 1000 & echo $! >>"$dir/sleeps"; wait`)
	l := fast
	l.silence = 300 * time.Millisecond
	s, err := open(Config{Path: path, Interval: interval}, nil, l)
	require.NoError(t, err)
	untilReadings(t, s, 2)
	untilProblem(t, s, sensor.IO, "no line for 300ms")
	until(t, "another process", func() bool { return len(numbers(t, path, "starts")) > 1 })
	first, child := numbers(t, path, "starts")[0], numbers(t, path, "sleeps")[0]
	until(t, "the first process is gone", func() bool { return !runs(first) && !runs(child) })
	require.NoError(t, s.Close())
}

func TestC56AHangBeforeTheFirstLine(t *testing.T) {
	l := fast
	l.open, l.startup = 20*time.Millisecond, 100*time.Millisecond
	s, err := open(Config{Path: fake(t, "exec sleep 1000"), Interval: interval}, nil, l)
	require.NoError(t, err, "the driver may be waking up")
	rs, err := s.Read(t.Context(), nil)
	assert.Empty(t, rs)
	require.NoError(t, err)
	untilProblem(t, s, sensor.IO, "no line for 100ms")
	require.NoError(t, s.Close())
}

func TestGarbageIsBounded(t *testing.T) {
	for name, c := range map[string]struct{ body, text string }{
		"lines without end":       {"while :; do echo garbage; done", "are no rows of the table"},
		"a line without end":      {"while :; do printf %4096s x; done", "writes more than 256 kB"},
		"rows without end":        {"while :; do echo '" + gpus(1) + "'; done", "writes more than 256 kB"},
		"bytes of every kind":     {"exec head -c 1000000 /dev/urandom", "are no rows of the table"},
		"an error in a long line": {"head -c 100000 /dev/zero | tr '\\0' x; echo; exit 1", "xxx"},
	} {
		t.Run(name, func(t *testing.T) {
			path := fake(t, c.body)
			s := mustOpen(t, path)
			untilProblem(t, s, sensor.Malformed, c.text)
			until(t, "another process", func() bool { return len(numbers(t, path, "starts")) > 1 })
		})
	}
}

func TestAnOddLineLeavesTheOthers(t *testing.T) {
	s := mustOpen(t, fake(t, loop("WARNING: infoROM is corrupted at gpu 0000:00:1E.0\n"+gpus(2))))
	untilReadings(t, s, 2)
	untilProblem(t, s, sensor.Malformed, "infoROM")
	untilReadings(t, s, 2)
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	path := fake(t, `sleep 1000 & echo $! >>"$dir/sleeps"; `+loop(gpus(1)))
	for range 3 {
		s := mustOpen(t, path)
		untilReadings(t, s, 1)
		require.NoError(t, s.Close())
		require.NoError(t, s.Close())
		_, err := s.Read(t.Context(), nil)
		require.ErrorIs(t, err, os.ErrClosed)
	}
	pids := numbers(t, path, "starts")
	require.Len(t, pids, 3)
	for _, pid := range pids {
		require.ErrorIs(t, unix.Kill(pid, 0), unix.ESRCH, "no zombie either")
	}
	for _, pid := range numbers(t, path, "sleeps") {
		until(t, "the children are gone", func() bool { return !runs(pid) })
	}
	goleak.VerifyNone(t)
}

func TestOpenThatShallNotWaitDoesNotWait(t *testing.T) {
	l := fast
	l.open = time.Hour
	s, err := open(Config{Path: fake(t, "exec sleep 1000"), Interval: time.Second, NoWait: true}, nil, l)
	require.NoError(t, err)
	_, err = s.Read(t.Context(), nil)
	require.NoError(t, err, "nobody knows yet")
	require.NoError(t, s.Close())

	s, err = open(Config{Path: fake(t, loop(gpus(2))), Interval: interval, NoWait: true}, nil, l)
	require.NoError(t, err)
	_ = untilReadings(t, s, 2)
	require.NoError(t, s.Close())

	_, err = open(Config{Path: "/nowhere/nvidia-smi", Interval: time.Second, NoWait: true}, nil, l)
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

func TestCloseWhileItWaitsForTheNextStart(t *testing.T) {
	l := fast
	l.first, l.longest = time.Hour, time.Hour
	s, err := open(Config{Path: fake(t, "exit 1"), Interval: time.Second}, nil, l)
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

func TestTheKernelKillsTheProcessOfACollectorThatIsKilled(t *testing.T) {
	const variable = "NVIDIASMI_TEST_PATH"
	if path := os.Getenv(variable); path != "" {
		_ = untilReadings(t, mustOpen(t, path), 1)
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		return
	}
	path := fake(t, "echo '"+gpus(1)+"'; exec sleep 1000") // writes nothing more, so no SIGPIPE ends it
	child := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), variable+"="+path)
	require.Error(t, child.Run())
	pids := numbers(t, path, "starts")
	require.Len(t, pids, 1)
	until(t, "it is killed", func() bool { return !runs(pids[0]) })
}

// FuzzOutput gives whatever a process could write to the runner.
func FuzzOutput(f *testing.F) {
	f.Add([]byte(gpus(8)+"\n"), 7, false)
	f.Add([]byte("No devices were found\n"), 1, true)
	f.Add([]byte("0, "+uuidA+", [N/A], [Unknown Error], NVIDIA L4\r\n\r\nFailed to initialize NVML: Driver/library version mismatch\n"), 4096, false)
	f.Fuzz(func(t *testing.T, out []byte, size int, old bool) {
		if size < 1 || size > 1<<20 {
			return
		}
		s := newStore(nil, time.Minute)
		r := &runner{path: "/nvidia-smi", interval: time.Minute, store: s, verdict: make(chan struct{}), old: old}
		now := time.Now()
		r.since = now
		for len(out) > 0 {
			n := min(size, len(out))
			if p := r.take(out[:n], now); p != nil && (p.Class == "" || p.Err == nil) {
				t.Errorf("problem %+v", p)
			}
			out = out[n:]
		}
		rs, err := s.read(t.Context(), nil)
		if len(rs) > r.rows || len(rs) > maxGPUs {
			t.Errorf("%d readings of %d rows", len(rs), r.rows)
		}
		for _, reading := range rs {
			if reading.Power == 0 || reading.Power > absurdPower {
				t.Errorf("reading %+v of %+v", reading, *reading.Part)
			}
		}
		for p := range sensor.Problems(err) {
			if len(p.Error()) > 2000 {
				t.Errorf("a problem of %d bytes", len(p.Error()))
			}
		}
	})
}
