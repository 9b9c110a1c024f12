package hwmon

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/testfs"
)

var everything = Config{RescanInterval: time.Nanosecond, Cores: true, Chips: []Chip{
	{Name: "ina226", Channel: "in1", HWType: "cpu", Role: "primary"},
	{Name: "ina226", Device: "3-0045", Label: "pin", HWType: "other", Role: "envelope", Whole: true},
}}

// FuzzTree opens whatever tree an archive makes. Nothing of it may end in a
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
	f.Add([]byte("-- sys/class/hwmon/hwmon0/name/ --\n-- sys/class/hwmon/hwmon1 -> . --\n"))
	f.Add([]byte("-- sys -> . --\n-- class/hwmon/hwmon0/name --\npower_meter\n-- class/hwmon/hwmon0/power1_average --\n5\n"))
	f.Fuzz(func(t *testing.T, archive []byte) {
		root := t.TempDir()
		if testfs.UnpackInto(root, archive) != nil {
			return
		}
		checkTree(t, root)
	})
}

// FuzzChip puts any content into the files of one chip.
func FuzzChip(f *testing.F) {
	add := func(name, label, value, current, enable, oem, device string) {
		f.Add([]byte(name), []byte(label), []byte(value), []byte(current), []byte(enable), []byte(oem), []byte(device))
	}
	add("power_meter\n", "", "4294967295000\n", "", "1\n", "Grace Power Socket 0\n", "0x74a0\n")
	add("amdgpu\n", "vddnb\n", "9022000\n", "", "", "", "0x163f\n")
	add("ina3221\n", "VDD_IN\n", "4984\n", "1200\n", "1\n", "", "")
	add("amd_energy\n", "Esocket0\n", "500000000\n", "", "0\n", "", "")
	add("i915_gt3\n", "Ecore007", "-1", "99999999999999999999", "", "CPU Power Socket 99999999\n", "")
	add("apm_xgene\n", "CPU power\n", "", "", "", "", "")
	add("amd_hsmp_hwmon\n", "", "185000000\n", "", "", "", "")
	add("ina226\n", "pin\n", "1\n", "1\n", "", "", "")
	f.Fuzz(func(t *testing.T, name, label, value, current, enable, oem, device []byte) {
		root := t.TempDir()
		const folder, behind = "sys/class/hwmon/hwmon0/", "sys/class/hwmon/hwmon0/device/"
		for file, content := range map[string][]byte{
			folder + "name": name, folder + "in1_label": label, folder + "power1_label": label, folder + "energy1_label": label,
			folder + "in1_input": value, folder + "power1_average": value, folder + "energy1_input": value, folder + "energy2_input": value,
			folder + "curr1_input": current, folder + "power1_input": current, folder + "power1_enable": enable, folder + "in1_enable": enable,
			folder + "power1_oem_info": oem, behind + "device": device, behind + "firmware_node/uid": label, behind + "numa_node": current,
			behind + "power/runtime_status": enable,
		} {
			testfs.Write(t, root, file, string(content))
		}
		checkTree(t, root)
	})
}

func checkTree(t *testing.T, root string) {
	t.Helper()
	s, err := Open(root, everything)
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
		seen, counted := map[string]bool{}, map[string]bool{}
		for _, r := range rs {
			p := r.Part
			if seen[p.ID] || p.ID == "" || len(p.ID) > 256 || r.Power > implausible || r.Energy >= maxCount || p.Whole && p.Role != sensor.Envelope {
				t.Errorf("reading %+v of %+v", r, *p)
			}
			seen[p.ID] = true
			counted[p.ID] = p.Role == sensor.Primary
			if (p.Role == sensor.Breakdown) != (p.Parent != "") {
				t.Errorf("a part inside another is a breakdown, and no other is: %+v", *p)
			}
		}
		for _, r := range rs {
			if p := r.Part; p.Role == sensor.Breakdown && !counted[p.Parent] && seen[p.Parent] && !breakdownOf(rs, p.Parent) {
				t.Errorf("a breakdown of what is not counted: %+v", *p)
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

func breakdownOf(rs []sensor.Reading, id string) bool {
	for _, r := range rs {
		if r.Part.ID == id {
			return r.Part.Role == sensor.Breakdown
		}
	}
	return false
}

func BenchmarkRead(b *testing.B) {
	for _, machine := range []string{"amdgpu-cards", "grace-2s", "jetson-orin-nx", "amd-energy"} {
		b.Run(machine, func(b *testing.B) {
			s := mustOpen(b, tree(b, machine), never)
			dst, err := s.Read(b.Context(), nil)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = s.Read(b.Context(), dst[:0])
			}
		})
	}
}

func BenchmarkRescan(b *testing.B) {
	for _, machine := range []string{"amdgpu-cards", "grace-2s", "amd-energy"} {
		b.Run(machine, func(b *testing.B) {
			s := mustOpen(b, tree(b, machine), never)
			b.ReportAllocs()
			for b.Loop() {
				s.rescan(s.scanned)
			}
		})
	}
}
