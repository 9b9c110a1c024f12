package hwmon

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/testfs"
)

func TestHotplugC41NumbersAfterAReboot(t *testing.T) {
	root := tree(t, "amdgpu-cards")
	before, _ := read(t, mustOpen(t, root, Config{}))
	renumber(t, root, card0, "hwmon3", "hwmon9")
	renumber(t, root, card1, "hwmon4", "hwmon3")
	after, problems := read(t, mustOpen(t, root, Config{}))
	assert.Empty(t, problems)
	assert.Equal(t, ids(before), ids(after))
	for id, r := range before {
		assert.Equal(t, r.Power, after[id].Power, id)
		assert.Equal(t, *r.Part, *after[id].Part, id)
	}
}

func TestHotplugC41DriverIsBoundAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := tree(t, "amdgpu-cards")
		s := mustOpen(t, root, Config{})
		before, _ := read(t, s)

		time.Sleep(2 * time.Second)
		remove(t, root, card0+"/hwmon", "sys/class/hwmon/hwmon3")
		for range 3 {
			rs, problems := read(t, s)
			assert.Equal(t, []string{gpu1}, ids(rs))
			require.Len(t, problems, 1)
			assert.Equal(t, sensor.Gone, problems[power0].Class)
			time.Sleep(10 * time.Second)
		}

		testfs.Write(t, root, card0+"/hwmon/hwmon11/name", "amdgpu\n")
		testfs.Write(t, root, card0+"/hwmon/hwmon11/power1_average", "44000000\n")
		require.NoError(t, os.Symlink("../..", filepath.Join(root, card0, "hwmon/hwmon11/device")))
		link(t, root, card0, "hwmon11")
		rs, problems := read(t, s)
		assert.Empty(t, problems)
		assert.EqualValues(t, 44_000_000, rs[gpu0].Power)
		assert.Same(t, before[gpu0].Part, rs[gpu0].Part)
		require.NoError(t, s.Close())
		assert.Zero(t, openBelow(t, root), "files left open")
	})
}

// Two chips of one device swap their numbers between two scans: the open files
// are gone, and what stands in their place must not be taken for them.
func TestHotplugC41CardAndTileSwapTheirNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := tree(t, "i915-tiles")
		s := mustOpen(t, root, Config{RescanInterval: time.Hour})
		_, _ = read(t, s)
		const device = "sys/devices/pci0000:00/0000:00:01.0/0000:03:00.0"
		card, tile := device+"/hwmon/hwmon3/", device+"/hwmon/hwmon4/"
		for folder, content := range map[string][2]string{card: {"i915_gt0\n", "400000001\n"}, tile: {"i915\n", "900000001\n"}} {
			testfs.Write(t, root, folder+"name", content[0])
			testfs.Write(t, root, folder+"energy1_input", content[1])
		}
		rs, _ := read(t, s) // before the next scan may be
		assert.NotContains(t, rs, mod2)
		assert.NotContains(t, rs, mod2+"/gt0")
		assert.Contains(t, rs, mod2+"/gt1")
		time.Sleep(rescanPace)
		s.wanted = true
		rs, problems := read(t, s)
		assert.Empty(t, problems)
		assert.EqualValues(t, 900_000_001, rs[mod2].Energy)
		assert.EqualValues(t, 400_000_001, rs[mod2+"/gt0"].Energy)
	})
}

// A card's chip that appears after its tiles were counted: they are inside it.
func TestHotplugACounterThatTurnsOutToBeContained(t *testing.T) {
	root := tree(t, "i915-tiles")
	s := mustOpen(t, root, often)
	rs, _ := read(t, s)
	require.Contains(t, rs, mod3+"/gt0")
	const counter = "sys/devices/pci0000:00/0000:00:01.1/0000:08:00.0/hwmon/hwmon6/energy1_input"
	testfs.Write(t, root, counter, "70\n")
	rs, problems := read(t, s)
	assert.Empty(t, problems)
	assert.EqualValues(t, 70, rs[mod3].Energy)
	assert.NotContains(t, rs, mod3+"/gt0")
	remove(t, root, counter)
	rs, _ = read(t, s)
	assert.NotContains(t, rs, mod3+"/gt0", "it has counted on, what the card had counted")
}

func TestHotplugASuspendedGPUIsLeftAlone(t *testing.T) {
	root := tree(t, "amdgpu-cards")
	s := mustOpen(t, root, never)
	_, _ = read(t, s)
	for _, state := range []string{"suspending\n", "suspended\n"} {
		set(t, root, card0+"/power/runtime_status", state)
		set(t, root, power0, "not to be read\n")
		rs, problems := read(t, s)
		assert.Equal(t, []string{gpu1}, ids(rs))
		assert.Empty(t, problems)
	}
	testfs.Write(t, root, card0+"/power/runtime_status", "active\n") // another file
	set(t, root, power0, "42000000\n")
	rs, problems := read(t, s)
	assert.Empty(t, problems)
	assert.EqualValues(t, 42_000_000, rs[gpu0].Power)
}

func TestHotplugC20OneChipThatFailsKeepsTheRest(t *testing.T) {
	root := tree(t, "grace-2s")
	s := mustOpen(t, root, often)
	const file = acpi + "ACPI000D:01/power1_average" // Grace 1
	for range 2 {
		set(t, root, file, "4294967295000\n")
		rs, problems := read(t, s)
		assert.Len(t, rs, 7)
		assert.Len(t, problems, 1)
		assert.Equal(t, sensor.Breakdown, rs["cpu-1"].Part.Role, "it stays inside what cannot be read now")
		set(t, root, file, "200000000\n")
		rs, problems = read(t, s)
		assert.Len(t, rs, 8)
		assert.Empty(t, problems)
	}
}

func TestHotplugScansAreRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := tree(t, "amdgpu-cards")
		s := mustOpen(t, root, Config{})
		began := s.scanned
		scannedAfter := func() time.Duration {
			_, _ = read(t, s)
			return s.scanned.Sub(began)
		}
		time.Sleep(4999 * time.Millisecond)
		assert.Zero(t, scannedAfter())
		time.Sleep(time.Millisecond)
		assert.Equal(t, 5*time.Second, scannedAfter(), "every 5 s")
		time.Sleep(500 * time.Millisecond)
		remove(t, root, power0)
		assert.Equal(t, 5*time.Second, scannedAfter(), "gone, but the last scan is half a second old")
		time.Sleep(500 * time.Millisecond)
		assert.Equal(t, 6*time.Second, scannedAfter(), "a second old")
	})
}

func TestHotplugManyChannelsKeepFewFilesOpen(t *testing.T) {
	root := t.TempDir()
	const sockets = maxKept/2 + 20
	for i := range sockets {
		folder := fmt.Sprintf("sys/class/hwmon/hwmon%d/", i)
		testfs.Write(t, root, folder+"name", "ina3221\n")
		for _, n := range []string{"1", "2"} {
			testfs.Write(t, root, folder+"in"+n+"_label", fmt.Sprintf("VDD_IN%d_%s\n", i, n))
			testfs.Write(t, root, folder+"in"+n+"_input", "1000\n")
			testfs.Write(t, root, folder+"curr"+n+"_input", fmt.Sprintln(i))
		}
	}
	set(t, root, "sys/class/hwmon/hwmon0/in1_label", "VDD_IN\n")
	s := mustOpen(t, root, often)
	for range 3 {
		rs, problems := read(t, s)
		require.Empty(t, problems)
		require.Len(t, rs, 2*sockets)
		assert.EqualValues(t, 1000*(sockets-1), rs[fmt.Sprintf("ina3221/VDD_IN%d_2", sockets-1)].Power)
		assert.LessOrEqual(t, openBelow(t, root), maxKept)
	}
}

func TestHotplugNamesWithoutEndCostBoundedMemory(t *testing.T) {
	root := tree(t, "jetson-orin-nx")
	s := mustOpen(t, root, often)
	for i := range maxChannels {
		set(t, root, rails+"in2_label", fmt.Sprintf("VDD_%d\n", i))
		s.rescan(s.scanned)
	}
	assert.Len(t, s.channels, maxChannels)
}
