package battery

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
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
	"github.com/otelcarbon/otelcarbon/internal/testfs"
)

func TestConformance(t *testing.T) {
	for _, machine := range []string{"thinkpad", "macbook"} {
		t.Run(machine, func(t *testing.T) {
			sensortest.Run(t, func(t *testing.T) sensor.Sensor {
				return mustOpen(t, tree(t, machine), Config{})
			}, sensortest.Options{ZeroAlloc: true})
		})
	}
}

func TestPartIsAnEnvelopeOfTheWholeHost(t *testing.T) {
	rs, err := mustOpen(t, tree(t, "thinkpad"), Config{}).Read(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, rs, 1)
	assert.Equal(t, sensor.Part{
		ID: "battery:host", Name: "battery", Type: "battery", Sensor: "battery", Method: sensor.Integrated,
		Role: sensor.Envelope, Socket: -1, Die: -1, Whole: true, Rank: 2,
	}, *rs[0].Part)
}

func TestC42Batteries(t *testing.T) {
	for _, c := range []struct {
		name, machine string
		change        map[string]string
		want          float64 // −1: no reading
	}{
		{"one discharges, one waits, a mouse is ignored", "thinkpad", nil, 6.342},
		{"power from negative current and voltage", "macbook", nil, 5.263803}, // 12.213 V × 0.431 A
		{"both discharge", "thinkpad", map[string]string{bat0 + "status": "Discharging\n", bat0 + "power_now": "1500000\n"}, 7.842},
		{"negative power", "thinkpad", map[string]string{bat1 + "power_now": "-6342000\n"}, 6.342},
		{"what waits does not count, whatever it shows", "thinkpad", map[string]string{bat0 + "power_now": "9999\n"}, 6.342},
		{"AC is online", "thinkpad", map[string]string{ac + "online": "1\n"}, -1},
		{"USB-C is online", "thinkpad", map[string]string{usbc + "online": "1\n"}, -1},
		{"a programmable supply is online", "thinkpad", map[string]string{usbc + "online": "2\n"}, -1},
		{"charging", "thinkpad", map[string]string{ac + "online": "1\n", bat1 + "status": "Charging\n"}, -1},
		{"charging from what does not show itself", "thinkpad", map[string]string{bat0 + "status": "Charging\n"}, -1},
		{"full", "thinkpad", map[string]string{bat1 + "status": "Full\n"}, -1},
		{"not charging at a threshold", "thinkpad", map[string]string{bat1 + "status": "Not charging\n"}, -1},
		{"discharging for calibration though on AC", "thinkpad", map[string]string{ac + "online": "1\n", bat0 + "status": "Discharging\n"}, -1},
		{"no newline", "thinkpad", map[string]string{bat1 + "power_now": "6342000", bat1 + "status": "Discharging"}, 6.342},
	} {
		t.Run("C42 "+c.name, func(t *testing.T) {
			root := tree(t, c.machine)
			s := mustOpen(t, root, never)
			for name, content := range c.change {
				set(t, root, name, content)
			}
			got, problems := watts(t, s)
			assert.InDelta(t, c.want, got, 1e-9)
			assert.Empty(t, problems)
		})
	}
}

func TestC42PluggedInAndOutAgain(t *testing.T) {
	root := tree(t, "thinkpad")
	s := mustOpen(t, root, never)
	ctx, dst := t.Context(), make([]sensor.Reading, 0, 1)
	for range 3 {
		got, _ := watts(t, s)
		assert.InDelta(t, 6.342, got, 0)
		set(t, root, ac+"online", "1\n")
		set(t, root, bat1+"status", "Charging\n")
		set(t, root, bat1+"power_now", "45000000\n")
		got, problems := watts(t, s)
		assert.InDelta(t, -1, got, 0)
		assert.Empty(t, problems)
		assert.Zero(t, testing.AllocsPerRun(100, func() { dst, _ = s.Read(ctx, dst[:0]) }))
		set(t, root, ac+"online", "0\n")
		set(t, root, bat1+"status", "Discharging\n")
		set(t, root, bat1+"power_now", "6342000\n")
	}
}

func TestC42OnAChargerItPauses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change map[string]string
		want   bool
	}{
		{"discharging", nil, false},
		{"AC is online", map[string]string{ac + "online": "1\n"}, true},
		{"USB-C is online", map[string]string{usbc + "online": "1\n"}, true},
		{"charging from what does not show itself", map[string]string{bat0 + "status": "Charging\n"}, true},
		{"nothing is known for sure", map[string]string{bat1 + "status": "Unknown\n"}, false},
		{"the charger cannot be read", map[string]string{ac + "online": "no\n"}, false},
		{"the battery cannot be read, on a charger", map[string]string{ac + "online": "1\n", bat1 + "status": "Sleeping\n"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := tree(t, "thinkpad")
			s := mustOpen(t, root, never)
			first, err := s.Read(t.Context(), nil)
			require.NoError(t, err)
			for name, content := range c.change {
				set(t, root, name, content)
			}
			watts(t, s)
			var got []*sensor.Part
			for p := range s.Paused {
				got = append(got, p)
			}
			assert.Equal(t, c.want, len(got) == 1 && got[0] == first[0].Part, "%v", got)
			set(t, root, ac+"online", "0\n")
			set(t, root, usbc+"online", "0\n")
			set(t, root, bat0+"status", "Unknown\n")
			set(t, root, bat1+"status", "Discharging\n")
			watts(t, s)
			for p := range s.Paused {
				t.Errorf("%s pauses though it discharges", p.ID)
			}
		})
	}
}

func TestWhatCannotBeReadLeavesNoHalfSum(t *testing.T) {
	for _, c := range []struct {
		name, file, content string
		class               sensor.Class
	}{
		{"C16 status without meaning", bat0 + "status", "Sleeping\n", sensor.Malformed},
		{"C16 empty status", bat1 + "status", "", sensor.Malformed},
		{"C17 power in words", bat1 + "power_now", "six\n", sensor.Malformed},
		{"C17 power of 30 digits", bat1 + "power_now", strings.Repeat("1", 30), sensor.Malformed},
		{"C17 1 MB", bat1 + "power_now", strings.Repeat("1", 1<<20), sensor.Malformed},
		{"C34 the sentinel of a driver", bat1 + "power_now", "4294967295000\n", sensor.Malformed},
		{"C34 0 W while discharging", bat1 + "power_now", "0\n", sensor.Malformed},
		{"charger in words", ac + "online", "no\n", sensor.Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := tree(t, "thinkpad")
			s := mustOpen(t, root, never)
			set(t, root, c.file, c.content)
			got, problems := watts(t, s)
			assert.InDelta(t, -1, got, 0)
			require.Contains(t, problems, c.file)
			p := problems[c.file]
			assert.Equal(t, c.class, p.Class)
			assert.Less(t, len(p.Error()), 1000)

			ctx := t.Context()
			assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = s.Read(ctx, nil) }), "what lasts costs no memory")
			set(t, root, ac+"online", "1\n")
			if c.file != ac+"online" {
				got, problems = watts(t, s)
				assert.InDelta(t, -1, got, 0)
				assert.Empty(t, problems, "on a charger nothing of it matters")
			}
		})
	}
}

func TestC15ErrorsOfTheKernel(t *testing.T) {
	for _, c := range []struct {
		file  string
		errno unix.Errno
		times int
		want  float64
		class sensor.Class // "": no problem
	}{
		{"power", unix.EINTR, 2, 6.342, ""},
		{"power", unix.EAGAIN, 2, 6.342, ""},
		{"power", unix.EIO, 99, -1, sensor.IO},
		{"power", unix.EACCES, 99, -1, sensor.Permission},
		{"power", unix.ENODEV, 99, -1, sensor.Gone}, // the ACPI driver, if the firmware does not know; there is no current_now to fall back to
		{"status", unix.EIO, 99, -1, sensor.IO},
		{"online", unix.EIO, 99, -1, sensor.IO},
		{"online", unix.ENODATA, 99, 6.342, ""}, // a port without a partner
	} {
		t.Run("C15 "+c.file+" "+unix.ErrnoName(c.errno), func(t *testing.T) {
			root := tree(t, "thinkpad")
			s := mustOpen(t, root, never)
			var fd int
			for _, b := range s.scan.supplies {
				switch {
				case c.file == "online" && b.kind == charger:
					fd = b.online.fd
				case c.file == "status" && strings.HasSuffix(b.status.path, "BAT1/status"):
					fd = b.status.fd
				case c.file == "power" && strings.HasSuffix(b.power.path, "BAT1/power_now"):
					fd = b.power.fd
				}
			}
			failing := c.times
			s.pread = func(f int, p []byte, offset int64) (int, error) {
				if f == fd && failing > 0 {
					failing--
					return -1, c.errno
				}
				return unix.Pread(f, p, offset)
			}
			got, problems := watts(t, s)
			assert.InDelta(t, c.want, got, 0)
			if c.class == "" {
				assert.Empty(t, problems)
				return
			}
			require.Len(t, problems, 1)
			for _, p := range problems {
				assert.Equal(t, c.class, p.Class)
				require.ErrorIs(t, p, c.errno)
			}
			failing = 0
			got, problems = watts(t, s)
			assert.InDelta(t, 6.342, got, 0, "C20 as soon as it can be read again")
			assert.Empty(t, problems)
		})
	}
}

func TestUnknownPowerFallsBackToCurrentAndVoltage(t *testing.T) {
	root := tree(t, "macbook")
	testfs.Write(t, root, class+"macsmc-battery/power_now", "0\n")
	s := mustOpen(t, root, never)
	s.pread = func(fd int, p []byte, offset int64) (int, error) {
		if s.scan.supplies[1].power.fd == fd {
			return -1, unix.ENODATA
		}
		return unix.Pread(fd, p, offset)
	}
	got, _ := watts(t, s)
	assert.InDelta(t, 5.263803, got, 0)
}

func TestC15WhatWouldBlockIsNotRead(t *testing.T) {
	for _, name := range []string{"status", "power_now", "type"} {
		t.Run("C15 FIFO instead of "+name, func(t *testing.T) {
			root := tree(t, "macbook")
			remove(t, root, class+"macsmc-battery/"+name)
			require.NoError(t, unix.Mkfifo(filepath.Join(root, class, "macsmc-battery", name), 0o600))
			got, problems := watts(t, mustOpen(t, root, Config{}))
			assert.InDelta(t, -1, got, 0)
			require.Len(t, problems, 1)
			assert.Equal(t, sensor.Malformed, problems[class+"macsmc-battery/"+name].Class)
		})
	}
}

func TestC19BatteryIsTakenOutAndReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := tree(t, "thinkpad")
		s := mustOpen(t, root, Config{})
		set(t, root, bat0+"status", "Discharging\n")
		set(t, root, bat0+"power_now", "1500000\n")
		got, _ := watts(t, s)
		require.InDelta(t, 7.842, got, 0)

		time.Sleep(2 * time.Second)
		remove(t, root, "sys/devices/LNXSYSTM_00/PNP0C0A_01", class+"BAT1") // the external one; the host runs on the other
		set(t, root, bat0+"power_now", "6100000\n")
		got, problems := watts(t, s)
		assert.InDelta(t, 6.1, got, 0, "noticed at once")
		assert.Empty(t, problems)

		for name, content := range map[string]string{"type": "Battery\n", "status": "Discharging\n", "power_now": "2000000\n"} {
			testfs.Write(t, root, class+"BAT1/"+name, content)
		}
		time.Sleep(5 * time.Second)
		got, problems = watts(t, s)
		assert.InDelta(t, 8.1, got, 0)
		assert.Empty(t, problems)

		remove(t, root, "sys/devices/LNXSYSTM_00/PNP0C0A_00", class+"BAT0", class+"BAT1")
		time.Sleep(5 * time.Second)
		got, problems = watts(t, s)
		assert.InDelta(t, -1, got, 0)
		require.Len(t, problems, 1)
		assert.Equal(t, sensor.Gone, problems[strings.TrimSuffix(class, "/")].Class)
		require.NoError(t, s.Close())
		assert.Zero(t, openBelow(t, root), "files left open")
	})
}

func TestANewChargerIsSeen(t *testing.T) {
	root := tree(t, "thinkpad")
	s := mustOpen(t, root, often)
	testfs.Write(t, root, class+"wireless/online", "1\n")
	testfs.Write(t, root, class+"wireless/type", "Wireless\n")
	got, problems := watts(t, s)
	assert.InDelta(t, -1, got, 0)
	assert.Empty(t, problems)
}

func TestC72OpenSaysWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		name, archive string
		class         sensor.Class
		text          string
	}{
		{"no class", "-- proc/stat --\n", sensor.Absent, "no such folder"},
		{"empty class", "-- sys/class/power_supply/ --\n", sensor.Absent, "this machine has no battery"},
		{"only a charger", "-- sys/class/power_supply/AC/type --\nMains\n-- sys/class/power_supply/AC/online --\n1\n", sensor.Absent, "no battery"},
		{"a battery that tells nothing", "-- sys/class/power_supply/BAT0/type --\nBattery\n-- sys/class/power_supply/BAT0/capacity --\n80\n", sensor.Absent, "neither power_now"},
		{"C23 links into what is not mounted", "-- sys/class/power_supply/BAT0 -> ../../devices/BAT0 --\n", sensor.Masked, "leads nowhere"},
	} {
		t.Run("C72 "+c.name, func(t *testing.T) {
			root := testfs.Unpack(t, []byte(c.archive))
			_, err := Open(root, Config{})
			var p *sensor.Problem
			require.ErrorAs(t, err, &p)
			require.ErrorIs(t, err, errors.ErrUnsupported)
			assert.Equal(t, c.class, p.Class)
			assert.Contains(t, p.Error(), c.text)
			assert.NotEmpty(t, p.Remedy)
			assert.Zero(t, openBelow(t, root))
		})
	}
	_, err := Open(tree(t, "desktop"), Config{})
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

func TestC18LoopsAndLinksThatLeadNowhere(t *testing.T) {
	root := tree(t, "thinkpad")
	for name, target := range map[string]string{"BAT7": "nowhere", "BAT8": "BAT8", "BAT9": "../../../proc"} {
		require.NoError(t, os.Symlink(target, filepath.Join(root, class, name)))
	}
	testfs.Write(t, root, class+"readme", "a file\n")
	got, problems := watts(t, mustOpen(t, root, Config{}))
	assert.InDelta(t, 6.342, got, 0)
	assert.Empty(t, problems)
}

func TestAFolderFullOfSuppliesIsBounded(t *testing.T) {
	root := t.TempDir()
	for i := range 2 * maxEntries {
		dir := filepath.Join(root, class, "BAT"+strings.Repeat("x", i%100)+string(rune('a'+i/100)))
		require.NoError(t, os.MkdirAll(dir, 0o700))
		for name, content := range map[string]string{"type": "Battery", "status": "Discharging", "power_now": "1000000"} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
		}
	}
	s := mustOpen(t, root, Config{})
	assert.LessOrEqual(t, openBelow(t, root), 5*maxSupplies)
	got, _ := watts(t, s)
	assert.InDelta(t, maxSupplies, got, 0)
}

// FuzzTree opens whatever tree an archive makes.
func FuzzTree(f *testing.F) {
	machines, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(machines) == 0 {
		f.Fatalf("no machines in testdata: %v", err)
	}
	for _, m := range machines {
		archive, err := os.ReadFile(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive)
	}
	f.Add([]byte("-- sys/class/power_supply/BAT0 -> . --\n-- sys/class/power_supply/type --\nBattery\n"))
	f.Add([]byte("-- sys/class/power_supply/BAT0/status/ --\n-- sys/class/power_supply/BAT0/type --\nBattery\n"))
	f.Fuzz(func(t *testing.T, archive []byte) {
		root := t.TempDir()
		if testfs.UnpackInto(root, archive) != nil {
			return
		}
		s, err := Open(root, often)
		if err != nil {
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("Open: %v", err)
			}
			return
		}
		for range 2 {
			rs, err := s.Read(t.Context(), nil)
			if len(rs) > 1 || len(rs) == 1 && (err != nil || rs[0].Power == 0 || rs[0].Power > maxSupplies*absurdPower) {
				t.Errorf("readings %+v beside %v", rs, err)
			}
			for p := range sensor.Problems(err) {
				if p.Path == "" || p.Class == "" || len(p.Error()) > 5000 {
					t.Errorf("problem %+v", p)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if n := openBelow(t, root); n != 0 {
			t.Errorf("%d files left open", n)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	s, ctx, dst := mustOpen(b, tree(b, "thinkpad"), never), b.Context(), make([]sensor.Reading, 0, 1)
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = s.Read(ctx, dst[:0])
	}
	if len(dst) != 1 {
		b.Fatal("no reading")
	}
}
