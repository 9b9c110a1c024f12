package host

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPlatformOf(t *testing.T) {
	for _, c := range []struct {
		name, vendor, product, chassis, bios string
		want                                 platform
	}{
		{"Nitro names the type", "Amazon EC2", "c7g.2xlarge", "Amazon EC2", "1.0", platform{"aws", "c7g.2xlarge", "kvm"}},
		{"the high memory machines have a dash", "Amazon EC2", "u-6tb1.112xlarge", "", "", platform{"aws", "u-6tb1.112xlarge", "kvm"}},
		{"bare metal at Amazon", "Amazon EC2", "m5.metal", "", "", platform{"aws", "m5.metal", ""}},
		{"bare metal in two sizes", "Amazon EC2", "m7i.metal-24xl", "", "", platform{"aws", "m7i.metal-24xl", ""}},
		{"Xen at Amazon", "Xen", "HVM domU", "", "4.11.amazon", platform{"aws", "", "xen"}},
		{"Xen elsewhere", "Xen", "HVM domU", "", "4.17.3", platform{"", "", "xen"}},
		{"Google", "Google", "Google Compute Engine", "", "Google", platform{"gcp", "", "kvm"}},
		{"Azure", "Microsoft Corporation", "Virtual Machine", "7783-7084-3265-9085-8269-3286-77", "", platform{"azure", "", "hyperv"}},
		{"Hyper-V in an office", "Microsoft Corporation", "Virtual Machine", "1111-2222", "", platform{"", "", "hyperv"}},
		{"a Surface is no virtual machine", "Microsoft Corporation", "Surface Pro 7", "", "", platform{}},
		{"Oracle, virtual", "QEMU", "Standard PC (i440FX + PIIX, 1996)", "OracleCloud.com", "", platform{"oracle_cloud", "", "kvm"}},
		{"Oracle, bare metal", "Oracle Corporation", "ORACLE SERVER E4-2c", "OracleCloud.com", "", platform{"oracle_cloud", "", ""}},
		{"Alibaba", "Alibaba Cloud", "Alibaba Cloud ECS", "", "", platform{"alibaba_cloud", "", "kvm"}},
		{"Hetzner", "Hetzner", "vServer", "", "", platform{"hetzner", "", "kvm"}},
		{"QEMU", "QEMU", "Standard PC (Q35 + ICH9, 2009)", "", "", platform{"", "", "kvm"}},
		{"VMware", "VMware, Inc.", "VMware7,1", "", "", platform{"", "", "vmware"}},
		{"VirtualBox", "innotek GmbH", "VirtualBox", "", "", platform{"", "", "virtualbox"}},
		{"hardware", "LENOVO", "21CBCTO1WW", "", "", platform{}},
		{"nothing", "", "", "", "", platform{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, platformOf(c.vendor, c.product, c.chassis, c.bios))
		})
	}
}

func TestFirstLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                "",
		"name":            "name",
		"name\r\nsecond":  "name",
		"\n\n# note\n x ": "x",
		"a\x00b":          "",
		"\xff\xfe":        "",
		"tab\tinside":     "",
	} {
		assert.Equal(t, want, firstLine([]byte(text)), "%q", text)
	}
}

func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{
		"ec2f3c9a5b1d4e6f8091a2b3c4d5e6f7":     true,
		"EC2F3C9A-5B1D-4E6F-8091-A2B3C4D5E6F7": true,
		"uninitialized":                        false,
		"00000000000000000000000000000000":     false,
		"ec2f3c9a5b1d4e6f8091a2b3c4d5e6fg":     false,
		"":                                     false,
	} {
		assert.Equal(t, want, validID(id), "%q", id)
	}
}
