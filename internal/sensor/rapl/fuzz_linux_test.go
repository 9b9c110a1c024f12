package rapl

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/testfs"
)

// FuzzTree (C24) opens whatever tree an archive makes. Nothing of it may end in a
// panic, a file left open, or a reading that contradicts the rules.
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
	f.Add([]byte("-- sys/class/powercap/intel-rapl:0/name/ --\n-- sys/class/powercap/intel-rapl:0/energy_uj/ --\n"))
	f.Add([]byte("-- sys/class/powercap/intel-rapl:0 -> . --\n-- sys/class/powercap/intel-rapl -> .. --\n"))
	f.Add([]byte("-- sys -> . --\n-- class/powercap/intel-rapl:0/name --\npackage-0\n-- class/powercap/intel-rapl:0/energy_uj --\n5\n"))
	f.Fuzz(func(t *testing.T, archive []byte) {
		root := t.TempDir()
		if testfs.UnpackInto(root, archive) != nil {
			return
		}
		checkTree(t, root)
	})
}

// FuzzZone (C24) puts any content into the files of one zone and its sub-zone.
func FuzzZone(f *testing.F) {
	add := func(name, counter, maxRange, constraint, sub, cpuinfo string) {
		f.Add([]byte(name), []byte(counter), []byte(maxRange), []byte(constraint), []byte(sub), []byte(cpuinfo))
	}
	add("package-0\n", "48213576291\n", "262143328850\n", "28000000\n", "dram\n", "vendor_id\t: GenuineIntel\nflags\t: fpu\n")
	add("package-0-die-1\n", "1\n", "65532610987\n", "", "core\n", "vendor_id\t: AuthenticAMD\nflags\t: fpu\n")
	add("psys", "13000000", "4294967295000000", "0", "package-0", "")
	add("", "-1", "0", "99999999999999999999", "\x00", "flags: hypervisor")
	f.Fuzz(func(t *testing.T, name, counter, maxRange, constraint, sub, cpuinfo []byte) {
		root := t.TempDir()
		for file, content := range map[string][]byte{
			msr + "intel-rapl:0/name":                      name,
			counter0:                                       counter,
			msr + "intel-rapl:0/max_energy_range_uj":       maxRange,
			msr + "intel-rapl:0/constraint_0_max_power_uw": constraint,
			msr + "intel-rapl:0/intel-rapl:0:0/name":       sub,
			dram0:                                          counter,
			"proc/cpuinfo":                                 cpuinfo,
		} {
			testfs.Write(t, root, file, string(content))
		}
		checkTree(t, root)
	})
}

func checkTree(t *testing.T, root string) {
	t.Helper()
	s, err := Open(root, often)
	if err != nil {
		var n int
		for range sensor.Problems(err) {
			n++
		}
		if n != 1 {
			t.Errorf("Open gave %d problems, want 1: %v", n, err)
		}
		return
	}
	for range 2 {
		rs, err := s.Read(t.Context(), nil)
		seen := map[string]bool{}
		for _, r := range rs {
			p := r.Part
			if seen[p.ID] || p.ID == "" || p.MaxPower < minMaxPower || p.MaxPower > 2*absurdPower || r.Max > absurdRange {
				t.Errorf("reading %+v of %+v", r, *p)
			}
			if seen[p.ID] = true; p.Role == sensor.Primary && p.Parent != "" {
				t.Errorf("primary part in another: %+v", *p)
			}
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
}
