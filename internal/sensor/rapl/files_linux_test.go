package rapl

import (
	"fmt"
	"math"
	"net"
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
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
	"github.com/otelcarbon/otelcarbon/internal/testfs"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

const (
	counter0 = msr + "intel-rapl:0/energy_uj"
	dram0    = msr + "intel-rapl:0/intel-rapl:0:0/energy_uj"
	counter1 = msr + "intel-rapl:1/energy_uj"
	dram1    = msr + "intel-rapl:1/intel-rapl:1:0/energy_uj"
)

func TestConformance(t *testing.T) {
	for _, machine := range []string{"client", "xeon-2s", "xeon-spr", "cascadelake-ap", "epyc-1s", "epyc-dies", "packages-12", "foreign-beside"} {
		t.Run(machine, func(t *testing.T) {
			root, energy := tree(t, machine), 100
			sensortest.Run(t, func(t *testing.T) sensor.Sensor {
				t.Helper()
				s, err := Open(root, Config{})
				require.NoError(t, err)
				return s
			}, sensortest.Options{ZeroAlloc: true, Advance: func(t *testing.T) {
				t.Helper()
				energy++
				testfs.Write(t, root, counter0, fmt.Sprintln(energy)) // replaced, not rewritten
			}})
			assert.Zero(t, openBelow(t, root), "files left open")
		})
	}
}

func TestFilesC13OnlyRootMayReadTheCounters(t *testing.T) {
	asNobody(t, "client", func(*testing.T, string) {}, func(t *testing.T, root string) {
		s := mustOpen(t, root, often)
		rs, problems := read(t, s)
		assert.Empty(t, rs)
		require.Len(t, problems, 5, "one for each part: MMIO is the same part")
		for name, p := range problems {
			assert.True(t, strings.HasSuffix(name, "/energy_uj") && strings.HasPrefix(name, msr), name)
			assert.Equal(t, sensor.Permission, p.Class)
			require.ErrorIs(t, p, unix.EACCES)
			for _, word := range []string{
				"mode is 0400", "owner uid 0,", "runs as uid 65534", "CAP_DAC_READ_SEARCH", "AmbientCapabilities=",
				`SUBSYSTEM=="powercap", KERNEL=="intel-rapl*:*"`, "chmod a+r " + p.Path,
			} {
				assert.Contains(t, p.Error(), word)
			}
		}
		_, again := read(t, s)
		assert.Equal(t, problems, again)
		for name := range problems {
			assert.Same(t, problems[name], again[name], "one value as long as it lasts")
		}
		limiter, ok := any(s).(Limiter)
		require.True(t, ok)
		assert.Equal(t, 262*time.Second, limiter.Wrap().Truncate(time.Second), "the ranges may be read")
	})
}

func TestFilesC13OneZoneOnlyIsRefused(t *testing.T) {
	asNobody(t, "xeon-2s", func(t *testing.T, root string) {
		for _, name := range []string{counter0, counter1, dram1} {
			require.NoError(t, os.Chmod(filepath.Join(root, name), 0o444))
		}
	}, func(t *testing.T, root string) {
		rs, problems := read(t, mustOpen(t, root, Config{}))
		assert.Equal(t, []string{"rapl:package-0", "rapl:package-1", "rapl:package-1/dram"}, ids(rs))
		require.Len(t, problems, 1)
		assert.Equal(t, sensor.Permission, problems[dram0].Class)
	})
}

func TestFilesC13MMIOIsReadWhereOnlyMSRIsRefused(t *testing.T) {
	asNobody(t, "client", func(t *testing.T, root string) {
		for _, name := range []string{mmio + "intel-rapl-mmio:0/energy_uj", mmio + "intel-rapl-mmio:0/intel-rapl-mmio:0:0/energy_uj"} {
			require.NoError(t, os.Chmod(filepath.Join(root, name), 0o444))
		}
	}, func(t *testing.T, root string) {
		rs, problems := read(t, mustOpen(t, root, Config{}))
		assert.EqualValues(t, 48_213_570_000, rs["rapl:package-0"].Energy)
		assert.EqualValues(t, 3_313_570_000, rs["rapl:package-0/dram"].Energy)
		assert.Len(t, problems, 3, "core, uncore and psys have no other view")
	})
}

func TestFilesC13FolderThatMayNotBeListed(t *testing.T) {
	asNobody(t, "client", func(t *testing.T, root string) {
		require.NoError(t, os.Chmod(filepath.Join(root, powercap), 0))
	}, func(t *testing.T, root string) {
		s := mustOpen(t, root, often)
		for range 2 { // as long as there is nothing else to say
			rs, problems := read(t, s)
			assert.Empty(t, rs)
			require.Contains(t, problems, strings.TrimSuffix(powercap, "/"))
			for _, p := range problems {
				assert.Equal(t, sensor.Permission, p.Class, "%v", p)
			}
		}
	})
}

func TestFilesC14PermissionGrantedLater(t *testing.T) {
	prepare := func(t *testing.T, root string) {
		own(t, root)
		for _, name := range []string{counter0, dram0, counter1, dram1} {
			require.NoError(t, os.Chmod(filepath.Join(root, name), 0))
		}
	}
	asNobody(t, "xeon-2s", prepare, func(t *testing.T, root string) {
		grant := func(name string) { require.NoError(t, os.Chmod(filepath.Join(root, name), 0o400)) }
		synctest.Test(t, func(t *testing.T) {
			s := mustOpen(t, root, Config{})
			rs, problems := read(t, s)
			require.Empty(t, rs)
			require.Len(t, problems, 4)

			grant(counter1)
			time.Sleep(4 * time.Second)
			rs, _ = read(t, s)
			assert.Empty(t, rs, "looked at every 5 s only")

			time.Sleep(time.Second)
			rs, problems = read(t, s)
			assert.Equal(t, []string{"rapl:package-1"}, ids(rs))
			assert.Len(t, problems, 3)

			for _, name := range []string{counter0, dram0, dram1} {
				grant(name)
			}
			time.Sleep(5 * time.Second)
			rs, problems = read(t, s)
			assert.Len(t, rs, 4)
			assert.Empty(t, problems)

			dst, ctx := make([]sensor.Reading, 0, 4), t.Context()
			assert.Zero(t, testing.AllocsPerRun(100, func() { dst, _ = s.Read(ctx, dst[:0]) }))
		})
	})
}

func TestFilesRefusalThatLastsCostsNoMemory(t *testing.T) {
	asNobody(t, "xeon-2s", func(*testing.T, string) {}, func(t *testing.T, root string) {
		s, ctx := mustOpen(t, root, Config{}), t.Context()
		_, err := s.Read(ctx, nil)
		require.Error(t, err)
		assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = s.Read(ctx, nil) }))
	})
}

func TestFilesC15ErrorsOfTheKernel(t *testing.T) {
	for _, c := range []struct {
		errno  unix.Errno
		times  int // that the call fails with it
		reads  bool
		class  sensor.Class
		reopen bool
	}{
		{unix.EINTR, 2, true, "", false},
		{unix.EAGAIN, 2, true, "", false},
		{unix.EINTR, math.MaxInt, false, sensor.IO, false},
		{unix.EAGAIN, math.MaxInt, false, sensor.IO, false},
		{unix.EIO, math.MaxInt, false, sensor.IO, false},
		{unix.ENODATA, math.MaxInt, false, sensor.IO, false},
		{unix.EACCES, math.MaxInt, false, sensor.Permission, false},
		{unix.ENODEV, 1, true, "", true}, // removed and back at once: the file is another one
		{unix.ESTALE, 1, true, "", true},
		{unix.ENODEV, math.MaxInt, false, sensor.Gone, true},
	} {
		t.Run(fmt.Sprintf("C15 %s %d times", unix.ErrnoName(c.errno), min(c.times, 99)), func(t *testing.T) {
			root := tree(t, "xeon-2s")
			s := mustOpen(t, root, never)
			before, problems := read(t, s)
			require.Empty(t, problems)
			z := s.byKey[key{name: "package-1"}]
			failing, opened := c.times, z.fd
			s.pread = func(fd int, p []byte, offset int64) (int, error) {
				if fd == z.fd && failing > 0 {
					failing--
					return -1, c.errno
				}
				return unix.Pread(fd, p, offset)
			}

			rs, problems := read(t, s)
			assert.Equal(t, before["rapl:package-0"].Energy, rs["rapl:package-0"].Energy, "C20 the others go on")
			if c.reads {
				assert.Empty(t, problems)
				assert.Len(t, rs, 4)
			} else {
				assert.Len(t, rs, 3)
				require.Len(t, problems, 1)
				assert.Equal(t, c.class, problems[counter1].Class)
				require.ErrorIs(t, problems[counter1], c.errno)
			}
			if !c.reopen {
				assert.Equal(t, opened, z.fd, "the file stays open")
			}

			failing = 0 // C20: what the counter did meanwhile arrives with the next good read
			set(t, root, counter1, "3000900003\n")
			s.rescan(time.Now())
			rs, problems = read(t, s)
			assert.Empty(t, problems)
			assert.EqualValues(t, 3_000_900_003, rs["rapl:package-1"].Energy)
			assert.Same(t, before["rapl:package-1"].Part, rs["rapl:package-1"].Part)
		})
	}
}

func TestFilesC15RealEIO(t *testing.T) {
	root := tree(t, "xeon-2s")
	remove(t, root, counter1)
	require.NoError(t, os.Symlink("/proc/self/mem", filepath.Join(root, counter1))) // nothing is mapped at 0
	rs, problems := read(t, mustOpen(t, root, Config{}))
	assert.Len(t, rs, 3)
	require.Len(t, problems, 1)
	assert.Equal(t, sensor.IO, problems[counter1].Class)
	require.ErrorIs(t, problems[counter1], unix.EIO)
}

func TestFilesC15WhatWouldBlockIsNotRead(t *testing.T) {
	for _, name := range []string{"energy_uj", "name", "max_energy_range_uj", "constraint_0_max_power_uw"} {
		t.Run("C15 FIFO instead of "+name, func(t *testing.T) {
			root := tree(t, "xeon-2s")
			file := msr + "intel-rapl:1/" + name
			remove(t, root, file)
			require.NoError(t, unix.Mkfifo(filepath.Join(root, file), 0o600))
			rs, problems := read(t, mustOpen(t, root, Config{})) // returns
			if name == "max_energy_range_uj" || name == "constraint_0_max_power_uw" {
				assert.Len(t, rs, 4)
				assert.Empty(t, problems)
				return
			}
			assert.Contains(t, rs, "rapl:package-0")
			assert.NotContains(t, rs, "rapl:package-1")
			require.Contains(t, problems, file)
			assert.Equal(t, sensor.Malformed, problems[file].Class)
		})
	}
	t.Run("C15 FIFO instead of the folder and of cpuinfo", func(t *testing.T) {
		root := tree(t, "nothing")
		remove(t, root, "proc/cpuinfo")
		require.NoError(t, unix.Mkfifo(filepath.Join(root, "proc/cpuinfo"), 0o600))
		require.NoError(t, unix.Mkfifo(filepath.Join(root, "sys/devices/virtual/powercap"), 0o600))
		_, problems := read(t, mustOpen(t, root, Config{}))
		assert.Len(t, problems, 1)
	})
}

func TestFilesC16Names(t *testing.T) {
	for _, c := range []struct {
		title, name, id string
	}{
		{"without newline", "package-1", "rapl:package-1"},
		{"CRLF", "package-1\r\n", "rapl:package-1"},
		{"NUL behind", "package-1\x00\x00", "rapl:package-1"},
		{"space around", " \tpackage-1 \n", "rapl:package-1"},
		{"empty", "", ""},
		{"only a newline", "\n", ""},
		{"NUL in the middle", "package\x00-1\n", ""},
		{"two lines", "package-1\npackage-2\n", ""},
		{"slash", "../package-1\n", ""},
		{"not ASCII", "päckage-1\n", ""},
		{"1 MB", strings.Repeat("package-1", 1<<17), ""},
		{"number of another spelling", "package-01\n", ""},
		{"number too long", "package-12345678901234567890\n", ""},
		{"negative number", "package--1\n", ""},
		{"die without number", "package-1-die-\n", ""},
		{"unknown", "turbine\n", ""},
		{"core, which belongs into a package", "core\n", ""},
	} {
		t.Run("C16 "+c.title, func(t *testing.T) {
			root := tree(t, "xeon-2s")
			set(t, root, msr+"intel-rapl:1/name", c.name)
			rs, problems := read(t, mustOpen(t, root, Config{}))
			if c.id != "" {
				assert.Contains(t, rs, c.id)
				assert.Len(t, rs, 4)
				assert.Empty(t, problems)
				return
			}
			assert.Equal(t, []string{"rapl:package-0", "rapl:package-0/dram"}, ids(rs))
			assert.NotEmpty(t, problems)
			for _, p := range problems {
				assert.Equal(t, sensor.Malformed, p.Class, "%v", p)
				assert.Less(t, len(p.Error()), 1000)
			}
		})
	}
	t.Run("C16 missing", func(t *testing.T) {
		root := tree(t, "xeon-2s")
		remove(t, root, msr+"intel-rapl:1/name")
		rs, problems := read(t, mustOpen(t, root, Config{}))
		assert.Len(t, rs, 2)
		assert.Contains(t, problems, msr+"intel-rapl:1/name")
	})
}

func TestFilesC17Numbers(t *testing.T) {
	for _, c := range []struct {
		title, content string
		want           unit.Microjoules
		ok             bool
	}{
		{"zero", "0\n", 0, true},
		{"without newline", "17", 17, true},
		{"spaces and CRLF", " \t17\r\n", 17, true},
		{"NUL behind", "17\n\x00\x00", 17, true},
		{"largest", "18446744073709551615\n", math.MaxUint64, true},
		{"leading zeros", "00017\n", 17, true},
		{"one too large", "18446744073709551616\n", 0, false},
		{"30 digits", strings.Repeat("1", 30) + "\n", 0, false},
		{"minus", "-17\n", 0, false},
		{"plus", "+17\n", 0, false},
		{"hexadecimal", "0x17\n", 0, false},
		{"fraction", "17.5\n", 0, false},
		{"two numbers", "17 18\n", 0, false},
		{"empty", "", 0, false},
		{"blank", " \n", 0, false},
		{"NUL in the middle", "1\x007\n", 0, false},
		{"binary", "\x7fELF\x02\x01\x01\x00", 0, false},
		{"underscore", "1_7\n", 0, false},
		{"other digits", "١٧\n", 0, false},
		{"1 MB of digits", strings.Repeat("7", 1<<20), 0, false},
		{"17 and 1 MB of space", "17" + strings.Repeat(" ", 1<<20), 0, false},
	} {
		t.Run("C17 "+c.title, func(t *testing.T) {
			root := tree(t, "xeon-2s")
			set(t, root, counter1, c.content)
			s := mustOpen(t, root, Config{})
			rs, problems := read(t, s)
			assert.Contains(t, rs, "rapl:package-0")
			r, ok := rs["rapl:package-1"]
			assert.Equal(t, c.ok, ok)
			assert.Equal(t, c.want, r.Energy)
			if c.ok {
				assert.Empty(t, problems)
				return
			}
			require.Len(t, problems, 1)
			assert.Equal(t, sensor.Malformed, problems[counter1].Class)
			assert.Less(t, len(problems[counter1].Error()), 1000)

			set(t, root, counter1, "4000000000\n") // the same open file
			rs, problems = read(t, s)
			assert.Empty(t, problems)
			assert.EqualValues(t, 4_000_000_000, rs["rapl:package-1"].Energy)
		})
	}
}

func TestFilesC4RangeThatIsUnknown(t *testing.T) {
	const file = msr + "intel-rapl:1/max_energy_range_uj"
	for _, content := range []string{"0\n", "", "none\n", "-5\n", "9223372036854775809\n", strings.Repeat("9", 100)} {
		t.Run(fmt.Sprintf("C4 %.20q", content), func(t *testing.T) {
			root := tree(t, "xeon-2s")
			set(t, root, file, content)
			s := mustOpen(t, root, often)
			rs, problems := read(t, s)
			assert.Empty(t, problems)
			assert.Zero(t, rs["rapl:package-1"].Max)
			assert.EqualValues(t, 3_000_000_003, rs["rapl:package-1"].Energy)

			set(t, root, file, "262143328850\n")
			rs, _ = read(t, s)
			assert.Equal(t, rangeIntel, rs["rapl:package-1"].Max, "as soon as it can be read")
			set(t, root, file, content)
			rs, _ = read(t, s)
			assert.Equal(t, rangeIntel, rs["rapl:package-1"].Max, "what is known stays")
		})
	}
	t.Run("C4 missing", func(t *testing.T) {
		root := tree(t, "xeon-2s")
		remove(t, root, file)
		rs, problems := read(t, mustOpen(t, root, Config{}))
		assert.Empty(t, problems)
		assert.Zero(t, rs["rapl:package-1"].Max)
	})
}

func TestFilesConstraintsNobodyShouldBelieve(t *testing.T) {
	for _, c := range []struct {
		title   string
		content [2]string
		watts   float64
	}{
		{"two, the larger counts", [2]string{"600000000\n", "900000000\n"}, 1800},
		{"10 kW is the most", [2]string{"10000000000\n", "0\n"}, 20_000},
		{"more is garbage", [2]string{"10000000001\n", "700000000\n"}, 1400},
		{"no number", [2]string{"-1\n", "infinite\n"}, 1000},
		{"largest number", [2]string{"18446744073709551615\n", ""}, 1000},
	} {
		t.Run(c.title, func(t *testing.T) {
			root := tree(t, "xeon-2s")
			for i, content := range c.content {
				set(t, root, fmt.Sprintf("%sintel-rapl:1/constraint_%d_max_power_uw", msr, i), content)
			}
			rs, _ := read(t, mustOpen(t, root, Config{}))
			assert.InDelta(t, c.watts, rs["rapl:package-1"].Part.MaxPower.Watts(), 0)
		})
	}
}

func TestFilesC18LinksThatLeadNowhere(t *testing.T) {
	root := tree(t, "xeon-2s")
	link := func(target, name string) {
		require.NoError(t, os.Symlink(target, filepath.Join(root, name)))
	}
	link("../../devices/virtual/powercap/intel-rapl/intel-rapl:7", "sys/class/powercap/intel-rapl:7") // dangles
	link("intel-rapl:8", "sys/class/powercap/intel-rapl:8")                                           // loops
	link("intel-rapl:10", "sys/class/powercap/intel-rapl:9")                                          // loop of two
	link("intel-rapl:9", "sys/class/powercap/intel-rapl:10")
	link("../../devices/virtual/powercap/intel-rapl/intel-rapl:0", "sys/class/powercap/intel-rapl:11") // a second name
	link("../../../intel-rapl", msr+"intel-rapl:0/intel-rapl:0:5")                                     // back up
	link("../..", msr+"intel-rapl:1/intel-rapl")
	link("../intel-rapl:0/name", msr+"intel-rapl:12") // to a file
	testfs.Write(t, root, msr+"intel-rapl:0/power/energy_uj", "1\n")
	testfs.Write(t, root, msr+"intel-rapl:0/power/name", "package-9\n")

	rs, problems := read(t, mustOpen(t, root, Config{}))
	assert.Equal(t, []string{"rapl:package-0", "rapl:package-0/dram", "rapl:package-1", "rapl:package-1/dram"}, ids(rs))
	assert.Empty(t, problems)
}

func TestFilesC18LinkOutOfTheTreeLeadsToAnotherMachine(t *testing.T) {
	other, root := tree(t, "xeon-2s"), tree(t, "epyc-1s")
	require.NoError(t, os.Symlink(filepath.Join(other, msr, "intel-rapl:1"), filepath.Join(root, "sys/class/powercap/intel-rapl:1")))
	rs, problems := read(t, mustOpen(t, root, Config{}))
	assert.Equal(t, []string{"rapl:package-0"}, ids(rs))
	require.Contains(t, problems, "sys/class/powercap/intel-rapl:1")
	assert.Equal(t, sensor.Malformed, problems["sys/class/powercap/intel-rapl:1"].Class)
}

// The folders of a real sysfs cannot be made to go here, but its files show what
// the reader relies on: the attribute is computed anew at each read from offset 0.
func TestOpenSysfsFileIsReadAnew(t *testing.T) {
	const file = "/sys/class/net/lo/statistics/rx_bytes"
	fd, _, err := openFile(file)
	if err != nil {
		t.Skipf("no such file here: %v", err)
	}
	defer func() { require.NoError(t, unix.Close(fd)) }()
	if !isSysfs(fd) {
		t.Skip("/sys is no sysfs here")
	}
	value := func() uint64 {
		var buf [smallFile]byte
		n, err := readAt(unix.Pread, fd, buf[:], 0)
		require.NoError(t, err)
		v, ok := parseCount(buf[:n])
		require.True(t, ok, "%q", buf[:n])
		return v
	}
	before := value()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Skipf("no loopback: %v", err)
	}
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = conn.WriteTo([]byte("some bytes"), conn.LocalAddr())
	require.NoError(t, err)
	assert.Greater(t, value(), before)

	root := tree(t, "client")
	fd2, _, err := openFile(filepath.Join(root, counter0))
	require.NoError(t, err)
	assert.False(t, isSysfs(fd2))
	require.NoError(t, unix.Close(fd2))
}
