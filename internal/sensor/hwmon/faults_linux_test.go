package hwmon

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
	"github.com/otelcarbon/otelcarbon/internal/testfs"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

const (
	acpi    = "sys/devices/LNXSYSTM:00/LNXSYBUS:00/"
	average = acpi + "ACPI000D:00/power1_average"

	card0  = "sys/devices/pci0000:00/0000:00:03.1/0000:03:00.0"
	card1  = "sys/devices/pci0000:00/0000:00:03.2/0000:0a:00.0"
	power0 = card0 + "/hwmon/hwmon3/power1_average"
	power1 = card1 + "/hwmon/hwmon4/power1_input"

	jetson = "sys/devices/platform/bus@0/c240000.i2c/i2c-1/1-0040"
	rails  = jetson + "/hwmon/hwmon2/"
)

func TestConformance(t *testing.T) {
	machines, err := filepath.Glob("testdata/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, machines)
	for _, m := range machines {
		machine := strings.TrimSuffix(filepath.Base(m), ".txtar")
		if machine == "unknown" {
			continue
		}
		t.Run(machine, func(t *testing.T) {
			root := tree(t, machine)
			sensortest.Run(t, func(t *testing.T) sensor.Sensor {
				t.Helper()
				s, err := Open(root, Config{Cores: true})
				require.NoError(t, err)
				return s
			}, sensortest.Options{ZeroAlloc: true})
			assert.Zero(t, openBelow(t, root), "files left open")
		})
	}
}

func TestFaultsC34PowersOfAMeter(t *testing.T) {
	for _, c := range []struct {
		title, content string
		want           unit.Microwatts
		reason         string // "": it is a value
	}{
		{"213 W", "213000000\n", 213_000_000, ""},
		{"zero is a value", "0\n", 0, ""},
		{"1 MW is the most", "1000000000000\n", 1_000_000_000_000, ""},
		{"NUL behind", "17\n\x00\x00", 17, ""},
		{"0xFFFFFFFF mW", "4294967295000\n", 0, "0xFFFFFFFF"},
		{"0xFFFFFFFF µW", "4294967295\n", 0, "0xFFFFFFFF"},
		{"1 MW and 1 µW", "1000000000001\n", 0, "more than 1 MW"},
		{"largest number", fmt.Sprintln(uint64(math.MaxUint64)), 0, "more than 1 MW"},
		{"negative", "-213000000\n", 0, "below zero"},
		{"empty", "", 0, "not a decimal number"},
		{"words", "unknown\n", 0, "not a decimal number"},
		{"fraction", "213.5\n", 0, "not a decimal number"},
		{"hexadecimal", "0xFFFFFFFF\n", 0, "not a decimal number"},
		{"30 digits", strings.Repeat("1", 30), 0, "not a decimal number"},
		{"1 MB", strings.Repeat("1", 1<<20), 0, "longer than any value"},
		{"two lines", "1\n2\n", 0, "not a decimal number"},
	} {
		t.Run("C34 "+c.title, func(t *testing.T) {
			root := tree(t, "power-meter")
			set(t, root, average, c.content)
			s := mustOpen(t, root, never)
			for range 2 {
				rs, problems := read(t, s)
				if c.reason == "" {
					assert.Empty(t, problems)
					assert.Equal(t, c.want, rs["power_meter/ACPI000D:00"].Power)
					continue
				}
				assert.Empty(t, rs, "missing is missing, not 0")
				require.Len(t, problems, 1)
				p := problems[average]
				require.ErrorContains(t, p, c.reason)
				assert.Equal(t, sensor.Malformed, p.Class)
				assert.Less(t, len(p.Error()), 1000)
				_, again := read(t, s)
				assert.Same(t, p, again[average], "one value as long as it lasts")
			}
			set(t, root, average, "214000000\n") // the same open file
			rs, problems := read(t, s)
			assert.Empty(t, problems)
			assert.EqualValues(t, 214_000_000, rs["power_meter/ACPI000D:00"].Power)
		})
	}
}

func TestFaultsC37FactorsOfARail(t *testing.T) {
	for _, c := range []struct {
		title, millivolts, milliamperes string
		want                            unit.Microwatts
		file                            string // of the problem, "": none
	}{
		{"no current", "4984\n", "0\n", 0, ""},
		{"current the other way", "4984\n", "-8\n", 0, "curr1_input"},
		{"negative voltage", "-8\n", "1200\n", 0, "in1_input"},
		{"1 MW", "1000000\n", "1000000\n", 1_000_000_000_000, ""},
		{"more", "1000001\n", "1000000\n", 0, "curr1_input"},
		{"2⁶⁴ and more", "18446744073709551615\n", "2\n", 0, "curr1_input"},
		{"garbage", "4984\n", "n/a\n", 0, "curr1_input"},
	} {
		t.Run("C37 "+c.title, func(t *testing.T) {
			root := tree(t, "jetson-orin-nx")
			set(t, root, rails+"in1_input", c.millivolts)
			set(t, root, rails+"curr1_input", c.milliamperes)
			rs, problems := read(t, mustOpen(t, root, Config{}))
			assert.EqualValues(t, 1_592_320, rs[nx+"VDD_CPU_GPU_CV"].Power, "the others go on")
			if c.file == "" {
				assert.Empty(t, problems)
				require.Contains(t, rs, nx+"VDD_IN")
				assert.Equal(t, c.want, rs[nx+"VDD_IN"].Power)
				return
			}
			assert.NotContains(t, rs, nx+"VDD_IN")
			require.Len(t, problems, 1)
			require.Contains(t, problems, rails+c.file)
			assert.Equal(t, sensor.Malformed, problems[rails+c.file].Class)
		})
	}
}

func TestFaultsCountersNobodyShouldBelieve(t *testing.T) {
	const counter = "sys/devices/pci0000:00/0000:00:01.1/0000:07:00.0/hwmon/hwmon4/energy2_input"
	for content, want := range map[string]unit.Microjoules{
		"9223372036854775807\n": 1<<63 - 1, "0\n": 0,
		"9223372036854775808\n": 0, "-1\n": 0, "18446744073709551615\n": 0,
	} {
		root := tree(t, "xe")
		set(t, root, counter, content)
		rs, problems := read(t, mustOpen(t, root, Config{}))
		r, ok := rs[arc+"/package"]
		assert.Equal(t, ok, len(problems) == 0, content)
		assert.Equal(t, want, r.Energy, content)
		assert.Equal(t, content == "0\n" || want > 0, ok, content)
	}
}

// refuse makes reads of one file of a tree fail like a driver.
func refuse(t *testing.T, s *reader, root, name string, calls int, err error) {
	t.Helper()
	s.pool.Pread = func(fd int, p []byte, offset int64) (int, error) {
		target, linkErr := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		if linkErr == nil && target == filepath.Join(root, name) && calls != 0 {
			calls--
			return -1, err
		}
		return unix.Pread(fd, p, offset)
	}
}

func TestFaultsC15ErrorsOfTheDriver(t *testing.T) {
	for _, c := range []struct {
		err   error
		calls int // −1: for good
		class sensor.Class
	}{
		{unix.EAGAIN, 2, ""}, // tried three times
		{unix.EINTR, 2, ""},
		{unix.EAGAIN, -1, sensor.IO},
		{unix.EIO, -1, sensor.IO},
		{unix.ETIMEDOUT, -1, sensor.IO},
		{unix.ENODATA, -1, sensor.IO},
		{unix.EINVAL, -1, sensor.IO},
		{unix.EPERM, -1, sensor.Permission},
		{unix.ENODEV, -1, sensor.Gone},
	} {
		t.Run(fmt.Sprintf("C15 %v %d times", c.err, c.calls), func(t *testing.T) {
			root := tree(t, "amdgpu-cards")
			s := mustOpen(t, root, never)
			_, _ = read(t, s)
			refuse(t, s, root, power1, c.calls, c.err)
			rs, problems := read(t, s)
			assert.EqualValues(t, 41_000_000, rs[gpu0].Power, "the other one goes on")
			if c.class == "" {
				assert.Empty(t, problems)
				assert.EqualValues(t, 12_000_000, rs[gpu1].Power)
				return
			}
			assert.NotContains(t, rs, gpu1)
			require.Len(t, problems, 1)
			assert.Equal(t, c.class, problems[power1].Class)
			require.ErrorIs(t, problems[power1], c.err)

			s.pool.Pread = unix.Pread
			if c.class == sensor.Gone {
				s.rescan(s.scanned) // it is not tried again before
			}
			rs, problems = read(t, s)
			assert.Empty(t, problems)
			assert.EqualValues(t, 12_000_000, rs[gpu1].Power)
		})
	}
}

// What a driver lists and does not support, on every read of it.
func TestFaultsAverageThatIsNotSupported(t *testing.T) {
	root := tree(t, "amdgpu-cards")
	testfs.Write(t, root, card0+"/hwmon/hwmon3/power1_input", "43000000\n")
	s := mustOpen(t, root, often)
	refuse(t, s, root, power0, -1, unix.EOPNOTSUPP)
	for range 3 {
		rs, problems := read(t, s)
		assert.Empty(t, problems)
		assert.EqualValues(t, 43_000_000, rs[gpu0].Power)
	}
	set(t, root, card0+"/hwmon/hwmon3/power1_input", "-1\n")
	rs, problems := read(t, s)
	assert.NotContains(t, rs, gpu0)
	assert.Len(t, problems, 1)
}

func TestFaultsC40ChannelsThatAreSwitchedOff(t *testing.T) {
	for _, file := range []string{"in2_enable", "curr2_enable"} {
		t.Run("C40 "+file, func(t *testing.T) {
			root := tree(t, "jetson-orin-nx")
			s := mustOpen(t, root, never)
			rs, _ := read(t, s)
			assert.Len(t, rs, 3)
			set(t, root, rails+file, "0\n")
			refuse(t, s, root, rails+"in2_input", -1, unix.ENODATA) // at once
			for range 2 {
				rs, problems := read(t, s)
				assert.Equal(t, []string{nx + "VDD_IN", nx + "VDD_SOC"}, ids(rs))
				assert.Empty(t, problems, "switching off is no failure")
				s.rescan(s.scanned) // and after it was noticed
			}
			set(t, root, rails+file, "1\n")
			s.pool.Pread = unix.Pread
			s.rescan(s.scanned)
			rs, problems := read(t, s)
			assert.Len(t, rs, 3)
			assert.Empty(t, problems)
		})
	}
	t.Run("C40 power1_enable and energy1_enable", func(t *testing.T) {
		root := tree(t, "amdgpu-cards")
		testfs.Write(t, root, card0+"/hwmon/hwmon3/power1_enable", "0\n")
		rs, problems := read(t, mustOpen(t, root, Config{}))
		assert.Equal(t, []string{gpu1}, ids(rs))
		assert.Empty(t, problems)
		root = tree(t, "xe")
		testfs.Write(t, root, "sys/devices/pci0000:00/0000:00:01.1/0000:07:00.0/hwmon/hwmon4/energy2_enable", "0\n")
		rs, problems = read(t, mustOpen(t, root, Config{}))
		assert.Len(t, rs, 2)
		assert.Empty(t, problems)
	})
}

func TestFaultsC13OnlyRootMayRead(t *testing.T) {
	asNobody(t, "amd-energy", func(t *testing.T, root string) {
		s := mustOpen(t, root, often)
		rs, problems := read(t, s)
		assert.Empty(t, rs)
		require.Len(t, problems, 2)
		for _, p := range problems {
			assert.Equal(t, sensor.Permission, p.Class)
			for _, word := range []string{"mode is 0440", "owner uid 0,", "runs as uid 65534", "CAP_DAC_READ_SEARCH", `SUBSYSTEM=="hwmon"`} {
				assert.Contains(t, p.Error(), word)
			}
		}
		_, again := read(t, s)
		assert.Equal(t, problems, again)
		for path := range problems {
			assert.Same(t, problems[path], again[path], "one value as long as it lasts")
		}
	})
}

func TestFaultsC15FIFOInsteadOfAFile(t *testing.T) {
	for _, name := range []string{power1, card1 + "/hwmon/hwmon4/name", card1 + "/hwmon/hwmon4/power1_label", card1 + "/power/runtime_status"} {
		t.Run("C15 "+name, func(t *testing.T) {
			root := tree(t, "amdgpu-cards")
			remove(t, root, name)
			require.NoError(t, unix.Mkfifo(filepath.Join(root, name), 0o600))
			rs, problems := read(t, mustOpen(t, root, Config{})) // returns
			assert.Contains(t, rs, gpu0)
			for path, p := range problems {
				assert.Equal(t, name, path)
				assert.Equal(t, sensor.Malformed, p.Class)
			}
		})
	}
}

func TestFaultsC18LinksThatLeadNowhere(t *testing.T) {
	root, other := tree(t, "amdgpu-cards"), tree(t, "power-meter")
	enter := func(target, name string) {
		require.NoError(t, os.Symlink(target, filepath.Join(root, "sys/class/hwmon", name)))
	}
	enter("../../devices/nowhere", "hwmon20")
	enter("hwmon21", "hwmon21")
	enter("hwmon23", "hwmon22")
	enter("hwmon22", "hwmon23")
	enter("../../devices/pci0000:00/0000:00:03.1/0000:03:00.0/hwmon/hwmon3", "hwmon24") // a second name
	enter("hwmon3/name", "hwmon25")                                                     // a file
	enter(filepath.Join(other, "sys/devices/LNXSYSTM:00/LNXSYBUS:00/ACPI000D:00/hwmon/hwmon3"), "hwmon26")
	enter("hwmon3", "hwmonitor")
	rs, problems := read(t, mustOpen(t, root, Config{}))
	assert.Equal(t, []string{gpu0, gpu1}, ids(rs))
	require.Len(t, problems, 2)
	require.ErrorContains(t, problems["sys/class/hwmon/hwmon26"], "leads out of")
	assert.Equal(t, sensor.Malformed, problems["sys/class/hwmon/hwmon26"].Class)
	require.ErrorContains(t, problems[card0+"/hwmon/hwmon3"], "this one is not counted")
}

func TestFaultsAChannelsFailureCostsNoMemory(t *testing.T) {
	root := tree(t, "power-meter")
	s := mustOpen(t, root, never)
	set(t, root, average, "4294967295000\n")
	var dst []sensor.Reading
	ctx := t.Context()
	assert.Zero(t, testing.AllocsPerRun(100, func() { dst, _ = s.Read(ctx, dst[:0]) }))
	assert.Empty(t, dst)
}
