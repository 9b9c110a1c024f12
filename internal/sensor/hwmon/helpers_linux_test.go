package hwmon

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/testfs"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// often makes every Read look at the folders first; never leaves them alone.
var (
	often = Config{RescanInterval: time.Nanosecond}
	never = Config{RescanInterval: time.Hour}
)

func tree(t testing.TB, machine string) (root string) {
	t.Helper()
	return testfs.UnpackFile(t, filepath.Join("testdata", machine+".txtar"))
}

func mustOpen(t testing.TB, root string, c Config) *reader {
	t.Helper()
	s, err := Open(root, c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s.(*reader)
}

// read returns the readings by ID without "hwmon:", and the problems by path
// with "…/sys/" cut off.
func read(t testing.TB, s sensor.Sensor) (map[string]sensor.Reading, map[string]*sensor.Problem) {
	t.Helper()
	rs, err := s.Read(t.Context(), nil)
	byID := map[string]sensor.Reading{}
	for _, r := range rs {
		id := strings.TrimPrefix(r.Part.ID, "hwmon:")
		require.NotContains(t, byID, id)
		byID[id] = r
	}
	byPath := map[string]*sensor.Problem{}
	for p := range sensor.Problems(err) {
		_, path, _ := strings.Cut(p.Path, "/sys/")
		require.NotContains(t, byPath, path)
		require.Equal(t, "hwmon", p.Sensor)
		byPath["sys/"+path] = p
	}
	require.Equal(t, err != nil, len(byPath) > 0, "every error is a problem: %v", err)
	return byID, byPath
}

func ids(rs map[string]sensor.Reading) []string { return slices.Sorted(maps.Keys(rs)) }

// want is a part with its value, in µJ or µW.
type want struct {
	hwType string
	role   sensor.Role
	parent string // without "hwmon:"
	socket int
	covers string
	same   string
	rank   int
	whole  bool
	energy unit.Microjoules
	power  unit.Microwatts
}

// check compares all that was read.
func check(t *testing.T, rs map[string]sensor.Reading, wants map[string]want) {
	t.Helper()
	assert.Equal(t, slices.Sorted(maps.Keys(wants)), ids(rs))
	for id, w := range wants {
		r, ok := rs[id]
		if !ok {
			continue
		}
		p := r.Part
		got := want{
			hwType: p.Type, role: p.Role, parent: strings.TrimPrefix(p.Parent, "hwmon:"), socket: p.Socket,
			covers: strings.Join(p.Covers, " "), same: p.Same, rank: p.Rank, whole: p.Whole, energy: r.Energy, power: r.Power,
		}
		assert.Equal(t, w, got, id)
		assert.Equal(t, names.SensorHwmon, p.Sensor)
		assert.Equal(t, -1, p.Die)
		assert.NotEmpty(t, p.Name)
		if r.Kind == sensor.Counter {
			assert.Equal(t, sensor.Measured, p.Method, id)
		} else {
			assert.Equal(t, sensor.Integrated, p.Method, id)
		}
	}
}

// set writes into a file of the tree in place, as a kernel does: the inode stays.
func set(t testing.TB, root, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(content), 0o600))
}

func remove(t testing.TB, root string, names ...string) {
	t.Helper()
	for _, name := range names {
		require.NoError(t, os.RemoveAll(filepath.Join(root, name)))
	}
}

// renumber gives a chip another N, as a driver that is bound anew does.
func renumber(t testing.TB, root, device, from, to string) {
	t.Helper()
	folder := filepath.Join(root, device, "hwmon")
	require.NoError(t, os.Rename(filepath.Join(folder, from), filepath.Join(folder, to)))
	remove(t, root, "sys/class/hwmon/"+from)
	link(t, root, device, to)
}

// link enters a chip of a device into the class.
func link(t testing.TB, root, device, hwmon string) {
	t.Helper()
	target := filepath.Join("../..", strings.TrimPrefix(device, "sys"), "hwmon", hwmon)
	require.NoError(t, os.Symlink(target, filepath.Join(root, "sys/class/hwmon", hwmon)))
}

// openBelow counts the files below root that this process has open.
func openBelow(t testing.TB, root string) (n int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, fd := range fds {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(target, root) {
			n++
		}
	}
	return n
}

// asNobody runs the calling test in a process without any privilege: check in
// that process, on a tree that root owns.
func asNobody(t *testing.T, machine string, check func(t *testing.T, root string)) {
	t.Helper()
	const variable = "HWMON_TEST_ROOT"
	if root := os.Getenv(variable); root != "" {
		check(t, root)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to start a process of another user")
	}
	root := tree(t, machine)
	require.NoError(t, errors.Join(os.Chmod(root, 0o755), os.Chmod(filepath.Dir(root), 0o755)))
	child := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), variable+"="+root, "TMPDIR=/tmp")
	child.Dir = "/"
	child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := child.CombinedOutput()
	require.NoError(t, err, "in the other process:\n%s", out)
	require.Contains(t, string(out), "--- PASS: "+t.Name(), "the other process ran nothing")
}
