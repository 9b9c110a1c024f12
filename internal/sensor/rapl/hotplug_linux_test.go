package rapl

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

func TestHotplugC19ZonesVanishAndReturnRenumbered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := tree(t, "xeon-2s")
		s := mustOpen(t, root, Config{})
		before, _ := read(t, s)
		require.Len(t, before, 4)

		time.Sleep(2 * time.Second)
		remove(t, root, msr+"intel-rapl:1") // the last CPU of socket 1 goes
		for range 3 {
			rs, problems := read(t, s)
			assert.Equal(t, []string{"rapl:package-0", "rapl:package-0/dram"}, ids(rs))
			require.Len(t, problems, 2)
			assert.Equal(t, sensor.Gone, problems[counter1].Class)
			assert.Equal(t, sensor.Gone, problems[dram1].Class)
			time.Sleep(10 * time.Second)
		}

		for name, content := range map[string]string{ // and returns under another number
			"name": "package-1\n", "energy_uj": "77\n", "max_energy_range_uj": "262143328850\n",
			"intel-rapl:5:0/name": "dram\n", "intel-rapl:5:0/energy_uj": "78\n",
		} {
			testfs.Write(t, root, msr+"intel-rapl:5/"+name, content)
		}
		rs, problems := read(t, s)
		assert.Empty(t, problems)
		for id, energy := range map[string]int{"rapl:package-1": 77, "rapl:package-1/dram": 78} {
			assert.EqualValues(t, energy, rs[id].Energy)
			assert.Same(t, before[id].Part, rs[id].Part, id)
		}
		require.NoError(t, s.Close())
		assert.Zero(t, openBelow(t, root), "files left open")
	})
}

func TestHotplugC19TwoPackagesSwapTheirNumbers(t *testing.T) {
	root := tree(t, "xeon-2s")
	s := mustOpen(t, root, often)
	before, _ := read(t, s)

	rename(t, root, msr+"intel-rapl:0", "aside") // with their open files
	rename(t, root, msr+"intel-rapl:1", msr+"intel-rapl:0")
	rename(t, root, "aside", msr+"intel-rapl:1")
	rename(t, root, msr+"intel-rapl:0/intel-rapl:1:0", msr+"intel-rapl:0/intel-rapl:0:0")
	rename(t, root, msr+"intel-rapl:1/intel-rapl:0:0", msr+"intel-rapl:1/intel-rapl:1:0")

	rs, problems := read(t, s)
	assert.Empty(t, problems)
	require.Len(t, rs, 4)
	for id := range before {
		assert.Equal(t, before[id].Energy, rs[id].Energy, id)
		assert.Same(t, before[id].Part, rs[id].Part, id)
	}
}

// Between two scans a folder becomes another package's: the open file is gone,
// and what stands in its place must not be taken for it.
func TestHotplugC19FolderIsReusedForAnotherPackage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := tree(t, "xeon-2s")
		s := mustOpen(t, root, Config{RescanInterval: time.Hour})
		_, _ = read(t, s)
		time.Sleep(rescanPace)

		remove(t, root, msr+"intel-rapl:0")
		rename(t, root, msr+"intel-rapl:1", msr+"intel-rapl:0")
		rename(t, root, msr+"intel-rapl:0/intel-rapl:1:0", msr+"intel-rapl:0/intel-rapl:0:0")
		testfs.Write(t, root, counter0, "3000000099\n")

		rs, problems := read(t, s)
		assert.Equal(t, []string{"rapl:package-1", "rapl:package-1/dram"}, ids(rs))
		assert.EqualValues(t, 3_000_000_099, rs["rapl:package-1"].Energy)
		assert.Len(t, problems, 2)
		for _, p := range problems {
			assert.Equal(t, sensor.Gone, p.Class)
		}
	})
}

func TestHotplugCounterReplacedByRename(t *testing.T) {
	root := tree(t, "xeon-2s")
	s := mustOpen(t, root, never)
	for i := range 5 {
		testfs.Write(t, root, counter0, fmt.Sprintf("%d\n", 5000+i))
		set(t, root, counter1, fmt.Sprintf("%d\n", 6000+i)) // in place
		rs, problems := read(t, s)
		assert.Empty(t, problems)
		assert.EqualValues(t, 5000+i, rs["rapl:package-0"].Energy)
		assert.EqualValues(t, 6000+i, rs["rapl:package-1"].Energy)
	}
	assert.Equal(t, 4, openBelow(t, root), "one file for each zone")
}

func TestHotplugCounterReplacedWhileTheOldFileLivesOn(t *testing.T) {
	root := tree(t, "xeon-2s")
	s := mustOpen(t, root, often)
	_, _ = read(t, s)
	require.NoError(t, os.Link(filepath.Join(root, counter0), filepath.Join(root, "backup")))
	testfs.Write(t, root, counter0, "5000\n")
	rs, problems := read(t, s)
	assert.Empty(t, problems)
	assert.EqualValues(t, 5000, rs["rapl:package-0"].Energy)
}

func TestHotplugAFolderThatCannotBeListedForAWhile(t *testing.T) {
	asNobody(t, "xeon-2s", func(t *testing.T, root string) { own(t, root) }, func(t *testing.T, root string) {
		s := mustOpen(t, root, often)
		before, _ := read(t, s)
		require.Len(t, before, 4)
		require.NoError(t, os.Chmod(filepath.Join(root, msr), 0))
		for range 2 {
			rs, _ := read(t, s)
			assert.Len(t, rs, 4, "open files go on")
		}
		require.NoError(t, os.Chmod(filepath.Join(root, msr), 0o700))
		rs, problems := read(t, s)
		assert.Len(t, rs, 4)
		assert.Empty(t, problems)
	})
}

func TestHotplugNamesWithoutEndCostBoundedMemory(t *testing.T) {
	root := tree(t, "epyc-1s")
	remove(t, root, msr+"intel-rapl:0/intel-rapl:0:0")
	s := mustOpen(t, root, often)
	for i := range maxZones + 50 {
		set(t, root, msr+"intel-rapl:0/name", fmt.Sprintf("package-%d\n", i))
		s.rescan(time.Now())
	}
	assert.Len(t, s.zones, maxZones)
	rs, problems := read(t, s)
	assert.Empty(t, rs)
	assert.Contains(t, problems, msr+"intel-rapl:0")
}

func TestHotplugNewZonesAppear(t *testing.T) {
	root := tree(t, "epyc-1s")
	s := mustOpen(t, root, often)
	_, _ = read(t, s)
	testfs.Write(t, root, msr+"intel-rapl:1/name", "package-1\n")
	testfs.Write(t, root, counter1, "5\n")
	rs, problems := read(t, s)
	assert.Empty(t, problems)
	assert.EqualValues(t, 5, rs["rapl:package-1"].Energy)
	assert.Equal(t, 1, rs["rapl:package-1"].Part.Socket)
}

func TestScansAreRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := tree(t, "xeon-2s")
		s := mustOpen(t, root, Config{})
		began := s.scanned
		scannedAfter := func() time.Duration {
			_, _ = read(t, s)
			return s.scanned.Sub(began)
		}
		assert.Zero(t, scannedAfter())
		time.Sleep(4999 * time.Millisecond)
		assert.Zero(t, scannedAfter())
		time.Sleep(time.Millisecond)
		assert.Equal(t, 5*time.Second, scannedAfter(), "every 5 s")

		time.Sleep(500 * time.Millisecond)
		remove(t, root, counter1)
		assert.Equal(t, 5*time.Second, scannedAfter(), "gone, but the last scan is half a second old")
		time.Sleep(500 * time.Millisecond)
		assert.Equal(t, 6*time.Second, scannedAfter(), "a second old")
		for range 4 {
			time.Sleep(time.Second)
			assert.Equal(t, 6*time.Second, scannedAfter(), "what stays gone asks for nothing")
		}
		time.Sleep(time.Second)
		assert.Equal(t, 11*time.Second, scannedAfter(), "every 5 s again")
	})
}

func TestManyZonesKeepFewFilesOpen(t *testing.T) {
	root := t.TempDir()
	const zones = maxKept + 40
	for i := range zones {
		zone := fmt.Sprintf("%sintel-rapl:%d/", msr, i)
		testfs.Write(t, root, zone+"name", fmt.Sprintf("package-%d\n", i))
		testfs.Write(t, root, zone+"energy_uj", fmt.Sprintf("%d\n", i))
	}
	s := mustOpen(t, root, often)
	for range 3 {
		rs, problems := read(t, s)
		require.Empty(t, problems)
		require.Len(t, rs, zones)
		assert.EqualValues(t, zones-1, rs[fmt.Sprintf("rapl:package-%d", zones-1)].Energy)
		assert.LessOrEqual(t, openBelow(t, root), maxKept)
	}
}

func TestMoreZonesThanAnyMachineHasAreIgnored(t *testing.T) {
	root := t.TempDir()
	for i := range maxZones + 5 {
		zone := fmt.Sprintf("%sintel-rapl:%d/", msr, i)
		testfs.Write(t, root, zone+"name", fmt.Sprintf("package-%d\n", i))
		testfs.Write(t, root, zone+"energy_uj", "1\n")
	}
	s := mustOpen(t, root, never)
	rs, problems := read(t, s)
	assert.Len(t, rs, maxZones)
	require.Len(t, problems, 1)
	for _, p := range problems {
		assert.Contains(t, p.Error(), "more than 1024 zones")
	}
}
