package perf

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/testfs"
)

func refusing(err error) *script {
	k := newScript()
	k.refuse = func(uint64, int) error { return err }
	return k
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	link := "sys/bus/event_source/devices/power"
	for _, c := range []struct {
		name, machine string
		change        func(t *testing.T, root string)
		refuse        error
		class         sensor.Class
		path          string
		words         []string
	}{
		{"C72 virtual machine", "vm", nil, nil, sensor.VirtualMac, link, []string{"virtual machine", "measure on the host"}},
		{"C72 not an x86 CPU", "arm", nil, nil, sensor.Absent, link, []string{"no power PMU", "Intel, AMD"}},
		{
			"C72 driver not loaded", "client", func(t *testing.T, root string) { remove(t, root, link, dir) }, nil,
			sensor.Absent, link,
			[]string{"modprobe rapl", "CONFIG_PERF_EVENTS_INTEL_RAPL"},
		},
		{
			"C72 kernel without perf events", "client", func(t *testing.T, root string) { remove(t, root, "sys/bus", dir) }, nil,
			sensor.Absent, "sys/bus/event_source/devices",
			[]string{"CONFIG_PERF_EVENTS"},
		},
		{
			"C72 wrong root_path", "client", func(t *testing.T, root string) { remove(t, root, "sys") }, nil,
			sensor.Absent, "sys",
			[]string{"root_path"},
		},
		{
			"C72 a PMU without events", "epyc-1s", func(t *testing.T, root string) { remove(t, root, events+"energy-pkg") }, nil,
			sensor.Absent, "sys/devices/power",
			[]string{"no energy events"},
		},
		{"C23 masked, the link dangles", "client", func(t *testing.T, root string) { remove(t, root, dir) }, nil, sensor.Masked, link, []string{"hides", "root_path"}},
		{"C72 the kernel knows no such event", "client", nil, unix.ENOENT, sensor.Absent, link, []string{"does not know", "no such file"}},
		{"C72 no device", "client", nil, unix.ENODEV, sensor.Absent, link, []string{"no such device"}},
		{"C72 not supported", "client", nil, unix.EOPNOTSUPP, sensor.Absent, link, []string{"not supported"}},
		{"C72 a PMU that a virtual machine cannot use", "client", func(t *testing.T, root string) {
			set(t, root, "proc/cpuinfo", "vendor_id : GenuineIntel\nflags : hypervisor\n")
		}, unix.EOPNOTSUPP, sensor.VirtualMac, link, []string{"virtual machine"}},
		{"C72 a virtual Sapphire Rapids, whose kernel shows psys unseen", "xeon-spr", func(t *testing.T, root string) {
			set(t, root, "proc/cpuinfo", "vendor_id : GenuineIntel\nflags : hypervisor\n")
			remove(t, root, events+"energy-pkg", events+"energy-ram")
		}, nil, sensor.VirtualMac, link, []string{"virtual machine"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := tree(t, c.machine)
			if c.change != nil {
				c.change(t, root)
			}
			k := newScript()
			if c.refuse != nil {
				k = refusing(c.refuse)
			}
			s, err := openWith(root, often, k)
			require.Error(t, err)
			assert.Nil(t, s)
			p := theProblem(t, err)
			assert.Equal(t, c.class, p.Class)
			assert.Equal(t, filepath.Join(root, c.path), p.Path)
			for _, w := range c.words {
				assert.Contains(t, err.Error(), w)
			}
		})
	}
}

func TestOpenFindsThePMU(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, root string){
		"without the folder of links": func(t *testing.T, root string) { remove(t, root, "sys/bus") },
		"without /sys/devices/power": func(t *testing.T, root string) { // a copy that followed the links
			remove(t, root, "sys/bus/event_source/devices/power")
			require.NoError(t, os.Rename(filepath.Join(root, dir), filepath.Join(root, "sys/bus/event_source/devices/power")))
		},
		"with a folder of runtime power management in its place": func(t *testing.T, root string) {
			remove(t, root, "sys/bus/event_source/devices/power")
			set(t, root, "sys/bus/event_source/devices/power/control", "auto\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := tree(t, "xeon-2s")
			change(t, root)
			rs, problems := read(t, mustOpen(t, root, often, newScript()))
			assert.Len(t, rs, 4)
			assert.Empty(t, problems)
		})
	}
	t.Run("C81 below another root, reached through a link and relative", func(t *testing.T) {
		root, other := tree(t, "xeon-2s"), t.TempDir()
		require.NoError(t, os.Symlink(root, filepath.Join(other, "host")))
		t.Chdir(other)
		for _, r := range []string{"host", filepath.Join(other, "host") + "/"} {
			rs, _ := read(t, mustOpen(t, r, often, newScript()))
			assert.Len(t, rs, 4)
		}
	})
	t.Run("not through a link that leaves the tree", func(t *testing.T) {
		root, other := tree(t, "xeon-2s"), tree(t, "xeon-2s")
		remove(t, root, "sys/bus/event_source/devices/power", dir)
		require.NoError(t, os.Symlink(filepath.Join(other, dir), filepath.Join(root, "sys/bus/event_source/devices/power")))
		rs, problems := read(t, mustOpen(t, root, often, newScript()))
		assert.Empty(t, rs)
		require.Equal(t, []sensor.Class{sensor.Malformed}, classes(problems))
		assert.Contains(t, problems[0].Error(), "leads out of")
	})
}

func TestPermissionC78SaysWhatWouldHelp(t *testing.T) {
	const perfmon, none, readSearch = "0000004000000000", "0000000000000000", "0000000000000004"
	for _, c := range []struct {
		name, caps, seccomp, paranoid string
		err                           error
		words, not                    []string
	}{
		{
			"C78 none", none, "0", "2", unix.EACCES,
			[]string{"perf_event_open: permission denied", "/proc/sys/kernel/perf_event_paranoid is 2", "CAP_PERFMON", "AmbientCapabilities=CAP_PERFMON", "--cap-add=PERFMON", "seccomp", "0 or less"},
			[]string{"namespace", "SELinux"},
		},
		{"C78 exactly CAP_DAC_READ_SEARCH", readSearch, "0", "4", unix.EACCES, []string{"perf_event_paranoid is 4", "grant CAP_PERFMON"}, []string{"namespace"}},
		{
			"C78 none, in a container", none, "2", "2", unix.EPERM,
			[]string{"the seccomp filter of this process refuses perf_event_open", "--cap-add=PERFMON"},
			nil,
		},
		{
			"C78 exactly CAP_PERFMON, and a seccomp filter that does not know it", perfmon, "2", "2", unix.EPERM,
			[]string{"with CAP_PERFMON", "seccomp filter, which has to allow perf_event_open"},
			[]string{"grant CAP_PERFMON"},
		},
		{
			"C78 CAP_PERFMON in a user namespace", perfmon, "0", "2", unix.EACCES,
			[]string{"the host's user namespace", "rootless"},
			[]string{"grant CAP_PERFMON", "seccomp filter"},
		},
		{"C78 nothing of it can be read", "", "", "", unix.EACCES, []string{"perf_event_paranoid cannot be read", "grant CAP_PERFMON"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := tree(t, "xeon-2s")
			set(t, root, "proc/sys/kernel/perf_event_paranoid", c.paranoid+"\n")
			set(t, root, "proc/self/status", "CapEff:\t"+c.caps+"\nSeccomp:\t"+c.seccomp+"\n")
			if c.paranoid == "" {
				remove(t, root, "proc")
			}
			s := mustOpen(t, root, often, refusing(c.err))
			for range 3 {
				rs, problems := read(t, s)
				assert.Empty(t, rs)
				require.Equal(t, []sensor.Class{sensor.Permission}, classes(problems), "one for all events")
				assert.Equal(t, filepath.Join(root, "sys/devices/power"), problems[0].Path)
				require.ErrorIs(t, problems[0], c.err)
				for _, w := range c.words {
					assert.Contains(t, problems[0].Error(), w)
				}
				for _, w := range c.not {
					assert.NotContains(t, problems[0].Error(), w)
				}
			}
		})
	}
}

func TestC14PermissionIsGrantedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := refusing(unix.EACCES)
		calls := 0
		k.refuse = func(uint64, int) error { calls++; return unix.EACCES }
		root := tree(t, "xeon-2s")
		s := mustOpen(t, root, Config{}, k)
		assert.Equal(t, 4, calls)
		_, first := read(t, s)
		time.Sleep(4999 * time.Millisecond)
		_, again := read(t, s)
		assert.Same(t, first[0], again[0])
		assert.Equal(t, 4, calls, "not before the next scan")

		time.Sleep(time.Millisecond)
		_, again = read(t, s)
		assert.Same(t, first[0], again[0], "a scan that changes nothing is the same problem")
		assert.Equal(t, 8, calls)

		testfs.Write(t, root, "proc/sys/kernel/perf_event_paranoid", "1\n")
		time.Sleep(5 * time.Second)
		_, again = read(t, s)
		require.Len(t, again, 1)
		assert.Contains(t, again[0].Remedy, "paranoid is 1")

		k.refuse = nil
		time.Sleep(5 * time.Second)
		rs, problems := read(t, s)
		assert.Len(t, rs, 4)
		assert.Empty(t, problems)
	})
}

func TestReadWhileRefusedAllocatesNothing(t *testing.T) {
	s := mustOpen(t, tree(t, "xeon-2s"), never, refusing(unix.EACCES))
	_, _ = read(t, s)
	ctx := t.Context()
	assert.Zero(t, testing.AllocsPerRun(200, func() { _, _ = s.Read(ctx, nil) }))
}

func TestOneEventThatFailsKeepsTheRest(t *testing.T) {
	for _, c := range []struct {
		err   error
		class sensor.Class
		words string
	}{
		{unix.EACCES, sensor.Permission, "CAP_PERFMON"},
		{unix.ENOENT, sensor.Absent, "perf:package-2/dram"},
		{unix.EINVAL, sensor.IO, "perf:package-2/dram: invalid argument"},
		{unix.EMFILE, sensor.IO, "LimitNOFILE"},
		{unix.ENOSYS, sensor.Masked, "seccomp"},
	} {
		t.Run(c.err.Error(), func(t *testing.T) {
			k := newScript()
			k.refuse = func(config uint64, cpu int) error {
				if config == ramEvent && cpu == 18 {
					return c.err
				}
				return nil
			}
			s := mustOpen(t, tree(t, "xeon-2s"), often, k)
			for range 2 {
				rs, problems := read(t, s)
				assert.Equal(t, []string{"perf:package-0", "perf:package-0/dram", "perf:package-2"}, ids(rs))
				require.Equal(t, []sensor.Class{c.class}, classes(problems))
				assert.Contains(t, problems[0].Error(), c.words)
			}
			k.refuse = nil
			rs, problems := read(t, s)
			assert.Len(t, rs, 4)
			assert.Empty(t, problems)
		})
	}
}

func TestAllEventsFailOtherwiseThanByAbsence(t *testing.T) {
	for _, err := range []error{unix.EINVAL, unix.EMFILE, unix.ENOSYS, unix.EPERM} {
		s := mustOpen(t, tree(t, "client"), never, refusing(err))
		_, problems := read(t, s)
		assert.NotEmpty(t, problems, err)
	}
}

func TestOpenOnTheMachineOfThisTest(t *testing.T) {
	for _, root := range []string{"", "/"} {
		s, err := Open(root, Config{})
		if err != nil {
			require.ErrorIs(t, err, errors.ErrUnsupported)
			assert.True(t, strings.HasPrefix(err.Error(), "perf: "), err)
			continue
		}
		_, _ = s.Read(t.Context(), nil)
		require.NoError(t, s.Close())
	}
}
