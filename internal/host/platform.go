package host

import (
	"regexp"
	"strings"
)

// platform is what a DMI table says about where the machine lives.
type platform struct {
	provider string // cloud.provider
	instance string // instance type
	system   string // hypervisor; "" for hardware
}

// platformOf knows the machines by the strings that cloud-init's ds-identify and
// systemd's detect-virt look for. Of the providers only Amazon writes the instance
// type into the table.
func platformOf(vendor, product, chassis, bios string) platform {
	switch {
	case vendor == "Amazon EC2": // Nitro, and the bare metal machines of all generations
		p := platform{provider: "aws", system: "kvm"}
		if instanceType.MatchString(product) {
			p.instance = product
			if _, size, _ := strings.Cut(product, "."); strings.HasPrefix(size, "metal") {
				p.system = ""
			}
		}
		return p
	case vendor == "Xen" && strings.HasSuffix(bios, ".amazon"): // product name is "HVM domU"
		return platform{provider: "aws", system: "xen"}
	case product == "Google Compute Engine":
		return platform{provider: "gcp", system: "kvm"}
	case chassis == "7783-7084-3265-9085-8269-3286-77": // Azure; Hyper-V elsewhere has another tag
		return platform{provider: "azure", system: "hyperv"}
	case chassis == "OracleCloud.com" && vendor == "QEMU":
		return platform{provider: "oracle_cloud", system: "kvm"}
	case chassis == "OracleCloud.com":
		return platform{provider: "oracle_cloud"}
	case product == "Alibaba Cloud ECS":
		return platform{provider: "alibaba_cloud", system: "kvm"}
	case vendor == "Tencent Cloud":
		return platform{provider: "tencent_cloud", system: "kvm"}
	case vendor == "DigitalOcean":
		return platform{provider: "digitalocean", system: "kvm"}
	case vendor == "Hetzner":
		return platform{provider: "hetzner", system: "kvm"}
	case vendor == "Scaleway":
		return platform{provider: "scaleway_cloud", system: "kvm"}
	}
	return platform{system: hypervisorOf(vendor, product)}
}

func hypervisorOf(vendor, product string) string {
	switch {
	case vendor == "QEMU", vendor == "OpenStack Foundation", product == "KVM", product == "OpenStack Nova",
		strings.HasPrefix(product, "Standard PC ("):
		return "kvm"
	case strings.HasPrefix(vendor, "VMware"):
		return "vmware"
	case vendor == "Microsoft Corporation" && product == "Virtual Machine":
		return "hyperv"
	case vendor == "Xen":
		return "xen"
	case product == "VirtualBox":
		return "virtualbox"
	case strings.HasPrefix(vendor, "Parallels"):
		return "parallels"
	case strings.HasPrefix(product, "Apple Virtualization"):
		return "apple"
	case product == "BHYVE":
		return "bhyve"
	}
	return ""
}

// instanceType is the form of every name in Amazon's list: "u-6tb1.112xlarge".
var instanceType = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}\.[a-z0-9-]{1,30}$`)

// isX86 says whether the flags of such a CPU can be trusted to show a hypervisor.
func isX86(vendor string) bool {
	switch vendor {
	case "GenuineIntel", "AuthenticAMD", "HygonGenuine", "CentaurHauls":
		return true
	}
	return false
}
