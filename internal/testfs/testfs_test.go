package testfs

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const machine = `A machine with one zone.
-- sys/devices/intel-rapl:0/name --
package-0
-- sys/devices/intel-rapl:0/energy_uj [0400] --
12345
-- sys/devices/intel-rapl:0/power/ --
-- sys/locked/ [0500] --
-- sys/locked/inside --
x
-- sys/class/powercap/intel-rapl:0 -> ../../devices/intel-rapl:0 --
-- sys/class/powercap/loop -> loop --
-- proc/empty --
`

func TestUnpackMakesFilesFoldersLinksAndModes(t *testing.T) {
	root := Unpack(t, []byte(machine))

	got, err := os.ReadFile(filepath.Join(root, "sys/class/powercap/intel-rapl:0/name"))
	require.NoError(t, err)
	assert.Equal(t, "package-0\n", string(got), "read through the link")

	for name, want := range map[string]fs.FileMode{
		"sys/devices/intel-rapl:0/name":      0o644,
		"sys/devices/intel-rapl:0/energy_uj": 0o400,
		"sys/devices/intel-rapl:0/power":     fs.ModeDir | 0o755,
		"sys/locked":                         fs.ModeDir | 0o500,
		"sys/class/powercap/loop":            fs.ModeSymlink | 0o777,
		"proc/empty":                         0o644,
	} {
		info, err := os.Lstat(filepath.Join(root, name))
		if assert.NoError(t, err) {
			assert.Equal(t, want, info.Mode(), name)
		}
	}
}

func TestUnpackRefusesWhatLeavesTheRoot(t *testing.T) {
	for name, archive := range map[string]string{
		"no files at all":               "only a comment\n",
		"parent folder":                 "-- ../x --\n",
		"parent folder in the middle":   "-- a/../../x --\n",
		"absolute name":                 "-- /etc/x --\n",
		"the root itself":               "-- . --\n",
		"through a link that leaves":    "-- out -> /tmp --\n-- out/x --\ny\n",
		"through a link to above":       "-- out -> .. --\n-- out/x --\ny\n",
		"link placed outside":           "-- ../l -> x --\n",
		"link with content":             "-- l -> x --\ncontent\n",
		"folder with content":           "-- d/ --\ncontent\n",
		"mode that is not octal":        "-- f [0800] --\n",
		"mode with more than nine bits": "-- f [4755] --\n",
	} {
		t.Run(name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "root")
			require.NoError(t, os.Mkdir(root, 0o755))
			require.Error(t, UnpackInto(root, []byte(archive)))
			beside, err := os.ReadDir(filepath.Dir(root))
			require.NoError(t, err)
			assert.Len(t, beside, 1, "nothing was written beside the root")
		})
	}
}

func TestWriteReplacesAndKeepsTheMode(t *testing.T) {
	root := Unpack(t, []byte(machine))
	const name = "sys/devices/intel-rapl:0/energy_uj"
	before, err := os.Stat(filepath.Join(root, name))
	require.NoError(t, err)

	Write(t, root, name, "67890\n")
	Write(t, root, "sys/devices/intel-rapl:1/name", "psys\n")

	after, err := os.Stat(filepath.Join(root, name))
	require.NoError(t, err)
	assert.False(t, os.SameFile(before, after), "replaced by rename, not overwritten")
	assert.Equal(t, before.Mode(), after.Mode())
	got, err := os.ReadFile(filepath.Join(root, "sys/devices/intel-rapl:1/name"))
	require.NoError(t, err)
	assert.Equal(t, "psys\n", string(got))
	require.Error(t, write(root, "../beside", "x"))
}

func FuzzUnpackStaysInside(f *testing.F) {
	f.Add([]byte(machine))
	f.Add([]byte("-- a -> .. --\n-- a/b/c [0777] --\nx\n"))
	f.Add([]byte("-- a/ [0000] --\n-- a/b --\n"))
	f.Fuzz(func(t *testing.T, archive []byte) {
		root := filepath.Join(t.TempDir(), "root")
		require.NoError(t, os.Mkdir(root, 0o755))
		_ = UnpackInto(root, archive)
		beside, err := os.ReadDir(filepath.Dir(root))
		require.NoError(t, err)
		require.Len(t, beside, 1, "archive %q wrote beside the root", strings.TrimSpace(string(archive)))
	})
}
