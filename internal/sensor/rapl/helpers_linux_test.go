package rapl

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/testfs"
)

// msr and mmio are the folders of the two interfaces in the trees.
const (
	powercap = "sys/devices/virtual/powercap/"
	msr      = powercap + "intel-rapl/"
	mmio     = powercap + "intel-rapl-mmio/"
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

// read returns the readings by ID, and the problems by path with "…/sys/" cut off.
func read(t testing.TB, s sensor.Sensor) (map[string]sensor.Reading, map[string]*sensor.Problem) {
	t.Helper()
	rs, err := s.Read(t.Context(), nil)
	byID := map[string]sensor.Reading{}
	for _, r := range rs {
		require.NotContains(t, byID, r.Part.ID)
		byID[r.Part.ID] = r
	}
	byPath := map[string]*sensor.Problem{}
	for p := range sensor.Problems(err) {
		_, path, _ := strings.Cut(p.Path, "/sys/")
		require.NotContains(t, byPath, path)
		require.Equal(t, "rapl", p.Sensor)
		byPath["sys/"+path] = p
	}
	require.Equal(t, err != nil, len(byPath) > 0, "every error is a problem: %v", err)
	return byID, byPath
}

func ids(rs map[string]sensor.Reading) []string { return slices.Sorted(maps.Keys(rs)) }

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

func rename(t testing.TB, root, from, to string) {
	t.Helper()
	require.NoError(t, os.Rename(filepath.Join(root, from), filepath.Join(root, to)))
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

const nobody = 65534

// asNobody runs the calling test in a process without any privilege: check in
// that process, and prepare in this one, on a new tree that check gets too. What
// prepare leaves to root alone is then really out of reach.
func asNobody(t *testing.T, machine string, prepare, check func(t *testing.T, root string)) {
	t.Helper()
	const variable = "RAPL_TEST_ROOT"
	if root := os.Getenv(variable); root != "" {
		check(t, root)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to start a process of another user")
	}
	root := tree(t, machine)
	require.NoError(t, os.Chmod(root, 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(root), 0o755))
	prepare(t, root)

	child := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), variable+"="+root, "TMPDIR=/tmp")
	child.Dir = "/"
	child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := child.CombinedOutput()
	require.NoError(t, err, "in the other process:\n%s", out)
	require.Contains(t, string(out), "--- PASS: "+t.Name(), "the other process ran nothing")
}

// own gives a tree to the user of asNobody, who may then change it.
func own(t *testing.T, root string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, nobody, nobody))
	}))
}
