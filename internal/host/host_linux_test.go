package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/testfs"
)

func TestRead(t *testing.T) {
	cases := map[string]Facts{
		"aws-m5.large": {
			HostID: "ec2f3c9a5b1d4e6f8091a2b3c4d5e6f7", HostName: "ip-10-0-1-17.ec2.internal",
			CPUVendor: "GenuineIntel", CPUModel: "Intel(R) Xeon(R) Platinum 8175M CPU @ 2.50GHz",
			CPUFamily: 6, CPUModelID: 85, CPUStepping: 4,
			LogicalCPUs: 2, Sockets: 1, MemoryBytes: 7910388 * 1024,
			Virtual: true, VirtualSystem: "kvm", CloudProvider: "aws", InstanceType: "m5.large",
		},
		"two-sockets": { // machine-id of an image, so the one of dbus; socket ids with a hole
			HostID: "0123456789abcdef0123456789abcdef", HostName: "rack4-17",
			CPUVendor: "AuthenticAMD", CPUModel: "AMD EPYC 7763 64-Core Processor",
			CPUFamily: 25, CPUModelID: 1, CPUStepping: 1,
			LogicalCPUs: 2, Sockets: 2, MemoryBytes: 263842176 * 1024,
		},
		"arm-two-sockets": { // no machine id: the host name, here that of the machine the test runs on
			CPUVendor: "ARM", CPUModel: "Neoverse-N1", CPUStepping: 1,
			LogicalCPUs: 2, Sockets: 2, MemoryBytes: 1 << 30,
			Virtual: true, VirtualSystem: "kvm",
		},
	}
	files, err := filepath.Glob("testdata/*.txtar")
	require.NoError(t, err)
	require.Len(t, files, len(cases))
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			t.Setenv("HOST_PROC", "/nowhere") // gopsutil's variables are not looked at
			want, ok := cases[name]
			require.True(t, ok, "no expectation for this machine")
			if want.HostName == "" {
				var err error
				want.HostName, err = os.Hostname()
				require.NoError(t, err)
				want.HostID = want.HostName
			}
			got, err := Read(t.Context(), testfs.UnpackFile(t, file))
			require.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}
}

func TestReadOfThisMachine(t *testing.T) {
	f, err := Read(t.Context(), "/")
	require.NoError(t, err)
	assert.NotEmpty(t, f.HostID)
	assert.NotEmpty(t, f.HostName)
	assert.Positive(t, f.LogicalCPUs)
	assert.Positive(t, f.MemoryBytes)
	same, err := Read(t.Context(), "")
	require.NoError(t, err)
	assert.Equal(t, f, same, "no root is the root")
}

// What is missing must not cost what is there.
func TestReadReturnsTheRestWhenAPartFails(t *testing.T) {
	whole := testfs.UnpackFile(t, "testdata/aws-m5.large.txtar")
	for _, c := range []struct {
		name, remove, write, text string
		wantErr                   string
		check                     func(t *testing.T, f Facts)
	}{
		{
			name: "no meminfo", remove: "proc/meminfo", wantErr: "memory of",
			check: func(t *testing.T, f Facts) {
				t.Helper()
				assert.Zero(t, f.MemoryBytes)
				assert.Equal(t, 2, f.LogicalCPUs)
			},
		},
		{
			name: "no cpuinfo: the CPUs are still counted in stat", remove: "proc/cpuinfo",
			check: func(t *testing.T, f Facts) {
				t.Helper()
				assert.Equal(t, 2, f.LogicalCPUs)
				assert.Empty(t, f.CPUModel)
				assert.Equal(t, "m5.large", f.InstanceType)
			},
		},
		{
			name: "binary machine id", write: "etc/machine-id", text: "\x00\xff\x7fELF",
			check: func(t *testing.T, f Facts) {
				t.Helper()
				assert.Equal(t, "ip-10-0-1-17.ec2.internal", f.HostID)
			},
		},
		{
			name: "machine id of zeros", write: "etc/machine-id", text: strings.Repeat("0", 32) + "\n",
			check: func(t *testing.T, f Facts) {
				t.Helper()
				assert.Equal(t, "ip-10-0-1-17.ec2.internal", f.HostID)
			},
		},
		{
			name: "a product that is no instance type", write: "sys/class/dmi/id/product_name", text: "../../etc/passwd\n",
			check: func(t *testing.T, f Facts) {
				t.Helper()
				assert.Equal(t, "aws", f.CloudProvider)
				assert.Empty(t, f.InstanceType)
			},
		},
		{
			// gopsutil indexes the first line of this file when cpuinfo has no core id.
			name: "empty core id", write: "proc/cpuinfo", text: "processor: 0\nmodel name: X\n",
			wantErr: "not what the kernel promises",
			check: func(t *testing.T, f Facts) {
				t.Helper()
				assert.Equal(t, 1, f.LogicalCPUs)
				assert.NotZero(t, f.MemoryBytes)
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			require.NoError(t, os.CopyFS(root, os.DirFS(whole)))
			testfs.Write(t, root, "sys/devices/system/cpu/cpu0/topology/core_id", "")
			if c.remove != "" {
				require.NoError(t, os.Remove(filepath.Join(root, c.remove)))
			}
			if c.write != "" {
				testfs.Write(t, root, c.write, c.text)
			}
			f, err := Read(t.Context(), root)
			if c.wantErr == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.wantErr)
			}
			c.check(t, f)
		})
	}
}

func TestReadOfAnEmptyRootSaysWhatIsMissing(t *testing.T) {
	root := t.TempDir()
	f, err := Read(t.Context(), root)
	require.ErrorContains(t, err, filepath.Join(root, "proc/cpuinfo"))
	require.ErrorContains(t, err, filepath.Join(root, "proc/meminfo"))
	assert.NotEmpty(t, f.HostName, "of the reader, since the root has none")
}

func FuzzReadNeverPanics(f *testing.F) {
	f.Add("processor: 0\nflags: hypervisor\n", "MemTotal: 1 kB\n", "cpu  1 2 3 4 5 6 7 8 9 10\n", "Amazon EC2")
	f.Add("processor\t: 0\ncpu\t: POWER9\n", "MemTotal:\n", "cpu 1\n", "\x00")
	f.Add("processor: x\ncache size: many\n", "MemTotal: -1 kB\nMemFree: 9\n", "cpu  NaN Inf -1 0x1p9 5 6 7\n", "")
	f.Fuzz(func(t *testing.T, cpuinfo, meminfo, stat, vendor string) {
		root := t.TempDir()
		for name, text := range map[string]string{
			"proc/cpuinfo": cpuinfo, "proc/meminfo": meminfo, "proc/stat": stat, "etc/machine-id": vendor,
			"etc/hostname": vendor, "sys/class/dmi/id/sys_vendor": vendor, "sys/class/dmi/id/product_name": stat,
		} {
			testfs.Write(t, root, name, text)
		}
		facts, _ := Read(t.Context(), root)
		if facts.LogicalCPUs < 0 || facts.Sockets < 0 || facts.HostID == "" {
			t.Errorf("Read = %+v", facts)
		}
		m := NewCPUMeter(root)
		for range 2 {
			busy, capacity, _ := m.Times(t.Context())
			if busy != 0 || capacity != 0 {
				t.Errorf("times of an unchanged file = %v of %v, want 0", busy, capacity)
			}
		}
	})
}
