package perf

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/testfs"
)

// One file that is not what a kernel writes hides no more than what it is about.
func TestHostileFiles(t *testing.T) {
	long := strings.Repeat("1", 1<<20)
	socket0 := []string{"perf:package-0", "perf:package-0/dram"}
	packages := []string{"perf:package-0", "perf:package-2"}
	cpu18 := "sys/devices/system/cpu/cpu18/topology/"
	for _, c := range []struct {
		name, file, content string
		want                []string
		words               string
	}{
		{"type that is no number", dir + "type", "nine\n", nil, "no type of a PMU"},
		{"type that is negative", dir + "type", "-1\n", nil, "no type of a PMU"},
		{"C16 type that is empty", dir + "type", "", nil, "no type of a PMU"},
		{"C16 type of 1 MB", dir + "type", long, nil, "longer than"},
		{"C16 cpumask of 1 MB", mask, long, nil, "longer than"},
		{"cpumask that is empty", mask, "\n", nil, "names no CPU"},
		{"cpumask in hexadecimal", mask, "00000000,00040001\n", nil, "no list of CPUs"},
		{"cpumask with a CPU that does not exist", mask, "0,77\n", socket0, "cpu77"},
		{"cpumask with two CPUs of a package", mask, "0-1,18\n", []string{"perf:package-0", "perf:package-0/dram", "perf:package-2", "perf:package-2/dram"}, "of the same die"},
		{"package that is unknown", cpu18 + "physical_package_id", "-1\n", socket0, "no number of a package"},
		{"die that is garbage", cpu18 + "die_id", "\x00\xff\n", socket0, "no number of a package"},
		{"C17 event with spaces", events + "energy-ram", "event = 0x03\n", packages, "no event of this PMU"},
		{"C17 event beyond 8 bits", events + "energy-ram", "event=0x103\n", packages, "no event of this PMU"},
		{"C16 event of 1 MB", events + "energy-ram", long, packages, "longer than"},
		{"unit of another kind", events + "energy-ram.unit", "Watts\n", packages, "not the unit Joules"},
		{"scale of 0", events + "energy-ram.scale", "0\n", packages, "no scale"},
		{"scale with an exponent without end", events + "energy-ram.scale", "1e-999999999\n", packages, "no scale"},
		{"scale that is negative", events + "energy-ram.scale", "-2.3e-10\n", packages, "no scale"},
		{"event that is new", events + "energy-npu", "event=0x06\n", []string{"perf:package-0", "perf:package-0/dram", "perf:package-2", "perf:package-2/dram"}, "no event that this version knows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := tree(t, "xeon-2s")
			set(t, root, c.file, c.content)
			s := mustOpen(t, root, never, newScript())
			rs, problems := read(t, s)
			assert.ElementsMatch(t, c.want, ids(rs))
			require.Len(t, problems, 1)
			assert.Contains(t, problems[0].Error(), c.words)
			assert.Less(t, len(problems[0].Error()), 1000)
			_, problems = read(t, s)
			assert.Equal(t, len(rs) == 0, len(problems) > 0, "said once, unless nothing is left")
		})
	}
	for _, gone := range []string{events + "energy-ram.scale", events + "energy-ram.unit"} {
		t.Run("without "+filepath.Base(gone), func(t *testing.T) {
			root := tree(t, "xeon-2s")
			remove(t, root, gone)
			rs, problems := read(t, mustOpen(t, root, never, newScript()))
			assert.Equal(t, packages, ids(rs))
			assert.Len(t, problems, 1)
		})
	}
}

func TestHostileThingsInPlaceOfFiles(t *testing.T) {
	for _, file := range []string{dir + "type", mask, dir + "events", events + "energy-ram", "sys/devices/system/cpu/cpu18/topology/die_id"} {
		for name, make := range map[string]func(path string) error{
			"FIFO":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
			"device": func(path string) error { return os.Symlink("/dev/zero", path) },
			"loop":   func(path string) error { return os.Symlink(filepath.Base(path), path) },
			"folder": func(path string) error { return os.Mkdir(path, 0o700) },
		} {
			t.Run(name+" as "+filepath.Base(file), func(t *testing.T) {
				root := tree(t, "xeon-2s")
				remove(t, root, file)
				require.NoError(t, make(filepath.Join(root, file)))
				s, err := openWith(root, often, newScript())
				if err != nil { // an empty folder of events
					_ = theProblem(t, err)
					return
				}
				_, problems := read(t, s)
				assert.NotEmpty(t, problems)
				require.NoError(t, s.Close())
			})
		}
	}
}

// FuzzTree opens whatever tree an archive makes. Nothing of it may end in a
// panic, an event left open, or a reading that contradicts the rules.
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
	f.Add([]byte("-- sys -> . --\n-- devices/power/type --\n9\n-- devices/power/cpumask --\n0\n"))
	f.Fuzz(func(t *testing.T, archive []byte) {
		root := t.TempDir()
		if testfs.UnpackInto(root, archive) != nil {
			return
		}
		k := newScript()
		s, err := openWith(root, often, k)
		if err != nil {
			_ = theProblem(t, err)
			return
		}
		for range 2 {
			rs, err := s.Read(t.Context(), nil)
			seen := map[string]bool{}
			for _, r := range rs {
				if p := r.Part; seen[p.ID] || p.ID == "" || p.Same == "" || p.Role == sensor.Primary && p.Parent != "" {
					t.Errorf("reading %+v of %+v", r, *p)
				}
				seen[r.Part.ID] = true
			}
			for p := range sensor.Problems(err) {
				if p.Path == "" || p.Class == "" || len(p.Error()) > 5000 {
					t.Errorf("problem %+v", p)
				}
			}
		}
		if err := s.Close(); err != nil || len(k.live) != 0 {
			t.Errorf("Close: %v, %d events left open", err, len(k.live))
		}
	})
}
