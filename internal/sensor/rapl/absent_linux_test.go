package rapl

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/testfs"
)

func TestOpenSaysWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		name, machine string
		change        func(t *testing.T, root string)
		class         sensor.Class
		path          string
		words         []string
	}{
		{
			"C72 kernel without powercap", "nothing", nil, sensor.Absent, "sys/class/powercap",
			[]string{"no powercap class", "CONFIG_POWERCAP", "modprobe intel_rapl_msr"},
		},
		{
			"C72 virtual machine", "vm", nil, sensor.VirtualMac, "sys/class/powercap",
			[]string{"virtual machine", "measure on the host"},
		},
		{
			"C72 virtual machine without powercap", "vm", func(t *testing.T, root string) { remove(t, root, "sys/class") },
			sensor.VirtualMac, "sys/class/powercap",
			[]string{"virtual machine"},
		},
		{"C72 virtual machine with a driver that found nothing", "vm", func(t *testing.T, root string) {
			testfs.Write(t, root, msr+"enabled", "1\n")
		}, sensor.VirtualMac, "sys/class/powercap", []string{"virtual machine"}},
		{"C72 not an x86 CPU", "arm", nil, sensor.Absent, "sys/class/powercap", []string{"no RAPL"}},
		{
			"C72 driver not loaded", "vm", func(t *testing.T, root string) { remove(t, root, "proc") },
			sensor.Absent, "sys/class/powercap",
			[]string{"no RAPL driver is loaded", "modprobe intel_rapl_msr"},
		},
		{"C72 driver found nothing", "nothing", func(t *testing.T, root string) {
			testfs.Write(t, root, msr+"enabled", "1\n")
		}, sensor.Absent, strings.TrimSuffix(msr, "/"), []string{"found no counter", "dmesg"}},
		{
			"C72 wrong root_path", "nothing", func(t *testing.T, root string) { remove(t, root, "sys") },
			sensor.Absent, "sys/",
			[]string{"root_path"},
		},
		{
			"C21 only other control types", "foreign-only", nil, sensor.Absent, "sys/class/powercap",
			[]string{"arm-scmi, dtpm", "modprobe"},
		},
		{"C21 zones have power only", "epyc-1s", func(t *testing.T, root string) {
			remove(t, root, counter0, dram0)
		}, sensor.Absent, msr + "intel-rapl:0", []string{"no energy_uj"}},
		{
			"C23 masked, class links dangle", "masked", nil, sensor.Masked, "sys/class/powercap/intel-rapl",
			[]string{"the container runtime hides", "/host/sys", "root_path"},
		},
		{"C23 masked in a virtual machine that is a container", "masked", func(t *testing.T, root string) {
			testfs.Write(t, root, "proc/cpuinfo", "vendor_id : GenuineIntel\nflags : hypervisor\n")
		}, sensor.Masked, "sys/class/powercap/", nil},
		{
			"C23 masked, the folder is empty", "masked", func(t *testing.T, root string) { remove(t, root, "sys/class") },
			sensor.Masked, strings.TrimSuffix(powercap, "/"),
			[]string{"the folder is empty", "root_path"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := tree(t, c.machine)
			if c.change != nil {
				c.change(t, root)
			}
			s, err := Open(root, Config{})
			require.Error(t, err)
			assert.Nil(t, s)
			require.ErrorIs(t, err, errors.ErrUnsupported)
			var p *sensor.Problem
			require.ErrorAs(t, err, &p)
			assert.Equal(t, c.class, p.Class)
			assert.Contains(t, p.Path+"/", "/"+c.path)
			for _, w := range c.words {
				assert.Contains(t, err.Error(), w)
			}
			assert.Zero(t, openBelow(t, root), "files left open")
		})
	}
}

func TestOpenOnTheMachineOfThisTest(t *testing.T) {
	for _, root := range []string{"", "/"} {
		s, err := Open(root, Config{})
		if err != nil {
			require.ErrorIs(t, err, errors.ErrUnsupported)
			continue
		}
		_, _ = s.Read(t.Context(), nil)
		require.NoError(t, s.Close())
	}
}

func TestOpenTakesARootThroughLinksAndRelative(t *testing.T) {
	root, other := tree(t, "xeon-2s"), t.TempDir()
	require.NoError(t, os.Symlink(filepath.Join(root, "sys"), filepath.Join(other, "sys")))
	require.NoError(t, os.Symlink(root, filepath.Join(other, "host")))
	t.Chdir(other)
	for _, r := range []string{other, other + "/", filepath.Join(other, "host"), "host", "."} {
		rs, problems := read(t, mustOpen(t, r, Config{}))
		assert.Len(t, rs, 4, r)
		assert.Empty(t, problems, r)
	}
}

func TestReadC81ReadOnlyTreeUnderAnotherRoot(t *testing.T) {
	root := tree(t, "xeon-2s")
	before := fingerprint(t, root)
	t.Run("C81 modes", func(t *testing.T) {
		s := mustOpen(t, root, often)
		for range 3 {
			rs, problems := read(t, s)
			assert.Len(t, rs, 4)
			assert.Empty(t, problems)
		}
	})
	assert.Equal(t, before, fingerprint(t, root), "nothing was written")
	t.Run("C81 bind mount", func(t *testing.T) {
		host := t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(host, "sys"), 0o750))
		target := filepath.Join(host, "sys")
		if err := unix.Mount(filepath.Join(root, "sys"), target, "", unix.MS_BIND, ""); err != nil {
			t.Skipf("no mount here: %v", err)
		}
		defer func() { require.NoError(t, unix.Unmount(target, unix.MNT_DETACH)) }()
		require.NoError(t, unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
		require.Error(t, os.WriteFile(filepath.Join(host, counter0), nil, 0o600))
		rs, problems := read(t, mustOpen(t, host, Config{}))
		assert.Len(t, rs, 4)
		assert.Empty(t, problems)
	})
}

func fingerprint(t *testing.T, root string) string {
	t.Helper()
	h := sha256.New()
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		_, _ = fmt.Fprintln(h, path, info.Mode(), info.ModTime(), info.Size())
		return err
	}))
	return hex.EncodeToString(h.Sum(nil))
}

func TestReadStopsWhenTheContextEnds(t *testing.T) {
	root := tree(t, "xeon-2s")
	s := mustOpen(t, root, never)
	ctx, cancel := context.WithCancel(t.Context())
	reads := 0
	s.pread = func(fd int, p []byte, offset int64) (int, error) {
		if reads++; reads == 2 {
			cancel()
		}
		return unix.Pread(fd, p, offset)
	}
	rs, err := s.Read(ctx, nil)
	assert.Len(t, rs, 2, "what was read before stays")
	require.ErrorIs(t, err, context.Canceled)
	rs, err = s.Read(t.Context(), nil)
	assert.Len(t, rs, 4)
	require.NoError(t, err)
}

func TestWrapIsThatOfTheFastestCounter(t *testing.T) {
	for machine, want := range map[string]time.Duration{
		"client":      262 * time.Second, // 262 143 J at 1 kW
		"xeon-2s":     65 * time.Second,  // DRAM: 65 713 J at 1 kW
		"epyc-1s":     65 * time.Second,  // 65 532 J at 1 kW
		"packages-12": 65 * time.Second,
		"xeon-spr":    65 * time.Second,
	} {
		assert.Equal(t, want, mustOpen(t, tree(t, machine), Config{}).Wrap().Truncate(time.Second), machine)
	}
	root := tree(t, "epyc-1s")
	remove(t, root, msr+"intel-rapl:0/max_energy_range_uj")
	assert.Zero(t, mustOpen(t, root, Config{}).Wrap(), "unknown")
}

func TestReadAllocatesNothing(t *testing.T) {
	s, ctx := mustOpen(t, tree(t, "xeon-2s"), never), t.Context()
	dst := make([]sensor.Reading, 0, 4)
	assert.Zero(t, testing.AllocsPerRun(500, func() { dst, _ = s.Read(ctx, dst[:0]) }))
	assert.Len(t, dst, 4)
}

func BenchmarkReadFourZones(b *testing.B) {
	s, ctx := mustOpen(b, tree(b, "xeon-2s"), Config{}), b.Context()
	dst := make([]sensor.Reading, 0, 4)
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = s.Read(ctx, dst[:0])
	}
	if len(dst) != 4 {
		b.Fatalf("%d readings, want 4", len(dst))
	}
}

func BenchmarkScanFourZones(b *testing.B) {
	s := mustOpen(b, tree(b, "xeon-2s"), Config{})
	b.ReportAllocs()
	for b.Loop() {
		s.rescan(time.Now())
	}
}
