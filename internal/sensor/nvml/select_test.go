package nvml

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSelection(t *testing.T) {
	for _, c := range []struct {
		name    string
		devices []string
		want    []string // IDs
		problem string   // path of one
		says    string
	}{
		{"nothing selects all", nil, []string{"nvml:GPU-4a3b", "nvml:GPU-4a99", "nvml:GPU-77"}, "", ""},
		{"by index", []string{"2", "0"}, []string{"nvml:GPU-4a3b", "nvml:GPU-77"}, "", ""},
		{"by UUID", []string{"GPU-4a99"}, []string{"nvml:GPU-4a99"}, "", ""},
		{"by the beginning of a UUID", []string{"GPU-7"}, []string{"nvml:GPU-77"}, "", ""},
		{"twice is once", []string{"GPU-7", "2"}, []string{"nvml:GPU-77"}, "", ""},
		{"by the beginning of several", []string{"GPU-4a", "2"}, []string{"nvml:GPU-77"}, "devices: GPU-4a", "GPU-4a3b, GPU-4a99"},
		{"an index that is not there", []string{"3", "0"}, []string{"nvml:GPU-4a3b"}, "devices: 3", "selects no GPU"},
		{"by the UUID of a MIG instance", []string{"MIG-77-0-3"}, []string{"nvml:GPU-77"}, "devices: MIG-77-0-3", "all of GPU-77 is counted"},
		{"by the old name of a MIG instance", []string{"MIG-GPU-77/1/0"}, []string{"nvml:GPU-77"}, "devices: MIG-GPU-77/1/0", "all of GPU-77 is counted"},
		{"a MIG instance that is not there", []string{"MIG-88"}, nil, "devices: MIG-88", "selects no GPU"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lib := machine(hopper("GPU-4a3b"), hopper("GPU-4a99"), cut("GPU-77", 3, 2))
			s, err := open(lib, Config{Devices: c.devices})
			require.NoError(t, err)
			r := s.(*reader)
			t.Cleanup(func() { require.NoError(t, r.Close()) })
			rs, ps := read(t, r)
			assert.Equal(t, c.want, slices.Sorted(maps.Keys(rs)))
			if c.problem == "" {
				assert.Empty(t, ps)
				return
			}
			require.Contains(t, ps, c.problem)
			require.ErrorContains(t, ps[c.problem], c.says)
			_, ps = read(t, r)
			assert.Equal(t, strings.Contains(c.says, "is counted"), len(ps) == 0, "what is only a note is told once")
		})
	}
	t.Run("an index means the same GPU for good", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			lib := machine(hopper("GPU-a1"), hopper("GPU-b2"))
			r := mustOpen(t, lib, Config{Devices: []string{"1"}})
			rs, _ := read(t, r)
			require.Contains(t, rs, "nvml:GPU-b2")
			lib.gpus[1].health = gpuIsLost
			read(t, r)
			lib.gpus[1].health = success
			lib.gpus = []*fakeGPU{lib.gpus[1], lib.gpus[0]}
			time.Sleep(time.Second)
			rs, ps := read(t, r)
			assert.Empty(t, ps)
			assert.Equal(t, []string{"nvml:GPU-b2"}, slices.Sorted(maps.Keys(rs)))
		})
	})
}

func TestConfig(t *testing.T) {
	for s, ok := range map[string]bool{
		"0": true, "12": true, "-1": false, "": false, "all": false, "65536": false, "99999999999999999999": false, "1 ": false,
		"GPU-": false, "GPU-4a3b1c": true, "GPU-xyz": false, "gpu-4a": false,
		"MIG-": false, "MIG-4a3b-1c": true, "MIG-GPU-4a3b/1/0": true, "MIG-4a\n": false,
	} {
		err := Config{Devices: []string{s}}.Validate()
		assert.Equal(t, ok, err == nil, "%q: %v", s, err)
		if !ok {
			require.ErrorContains(t, err, "devices[0]")
			_, err = Open(Config{Devices: []string{s}})
			require.ErrorContains(t, err, "devices[0]")
		}
	}
}

func TestPCIAddress(t *testing.T) {
	for in, want := range map[string]string{
		"00000000:3B:00.0": "0000:3b:00.0",
		"0000:3b:00.0":     "0000:3b:00.0",
		"00010000:AF:1F.7": "10000:af:1f.7", // Intel VMD and Azure have domains above ffff
		"":                 "", "3b:00.0": "", "0000:3b:00": "", "000000000:3b:00.0": "", "0000:3g:00.0": "", "00.0:3b:00:0": "",
	} {
		got, ok := pciAddress(in)
		assert.Equal(t, want, got, "%q", in)
		assert.Equal(t, want != "", ok, "%q", in)
	}
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		kind uint32
		raw  [8]byte
		want uint64
		ok   bool
	}{
		{0, [8]byte{0, 0, 0, 0, 0, 0, 0xf8, 0x3f}, 1, true},  // 1.5
		{0, [8]byte{0, 0, 0, 0, 0, 0, 0xf8, 0x7f}, 0, false}, // NaN
		{0, [8]byte{0, 0, 0, 0, 0, 0, 0xf8, 0xbf}, 0, false}, // −1.5
		{1, [8]byte{1, 2, 0, 0, 9, 9, 9, 9}, 513, true},      // the rest of a union is anything
		{2, [8]byte{1, 0, 0, 0, 1}, 1<<32 + 1, true},
		{3, [8]byte{1, 0, 0, 0, 1}, 1<<32 + 1, true},
		{4, [8]byte{255, 255, 255, 255, 255, 255, 255, 255}, 1<<64 - 1, false},
		{5, [8]byte{255, 255, 255, 255}, 1<<32 - 1, false},
		{6, [8]byte{1, 2, 9}, 513, true},
		{7, [8]byte{1}, 0, false},
	} {
		got, ok := decode(c.kind, c.raw)
		assert.Equal(t, c.ok, ok, "%+v", c)
		if ok {
			assert.Equal(t, c.want, got, "%+v", c)
		}
	}
}
