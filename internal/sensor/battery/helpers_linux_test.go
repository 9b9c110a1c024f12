package battery

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/testfs"
)

const (
	class = "sys/class/power_supply/"
	ac    = class + "AC/"
	bat0  = class + "BAT0/"
	bat1  = class + "BAT1/"
	usbc  = class + "ucsi-source-psy-USBC000:001/"
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

// watts reads and returns the power, or −1 if there is no reading, and the
// problems by path with what lies above sys cut off.
func watts(t testing.TB, s sensor.Sensor) (float64, map[string]*sensor.Problem) {
	t.Helper()
	rs, err := s.Read(t.Context(), nil)
	require.LessOrEqual(t, len(rs), 1)
	byPath := map[string]*sensor.Problem{}
	for p := range sensor.Problems(err) {
		_, path, _ := strings.Cut(p.Path, "/sys/")
		require.NotContains(t, byPath, path)
		require.Equal(t, "battery", p.Sensor)
		byPath["sys/"+path] = p
	}
	require.Equal(t, err != nil, len(byPath) > 0, "every error is a problem: %v", err)
	if len(rs) == 0 {
		return -1, byPath
	}
	require.Empty(t, byPath, "a sum that lacks something is no sum")
	require.Equal(t, sensor.Gauge, rs[0].Kind)
	return rs[0].Power.Watts(), nil
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
