package host

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/shirou/gopsutil/v3/cpu"
)

const onLinuxOrDarwin = true

func machineID(_ context.Context, root string) string {
	for _, path := range []string{"etc/machine-id", "var/lib/dbus/machine-id"} {
		if id := line(below(root, path)); validID(id) {
			return strings.ToLower(id)
		}
	}
	return ""
}

// sockets counts the packages that cpuinfo names. On Arm, where it names none,
// the topology in sysfs does.
func sockets(root string, infos []cpu.InfoStat) int {
	ids := map[string]bool{}
	for _, i := range infos {
		if i.PhysicalID != "" {
			ids[i.PhysicalID] = true
		}
	}
	if len(ids) > 0 {
		return len(ids)
	}
	files, err := filepath.Glob(below(root, "sys/devices/system/cpu/cpu[0-9]*/topology/physical_package_id"))
	if err != nil {
		return 0 // root contains characters that a pattern cannot hold
	}
	for _, name := range files {
		if id := line(name); id != "" && id != "-1" {
			ids[id] = true
		}
	}
	return len(ids)
}

// readPlatform looks at what firmware and hypervisor say about themselves.
func (f *Facts) readPlatform(root string) {
	dmi := func(name string) string { return line(below(root, "sys/class/dmi/id/"+name)) }
	p := platformOf(dmi("sys_vendor"), dmi("product_name"), dmi("chassis_asset_tag"), dmi("bios_version"))
	f.CloudProvider, f.InstanceType = p.provider, p.instance
	f.VirtualSystem = p.system
	// A cloud's bare metal carries the same vendor as its virtual machines; an x86
	// CPU tells them apart. A plain hypervisor may hide the flag, but not itself.
	if p.system != "" && (p.provider == "" || !isX86(f.CPUVendor)) {
		f.Virtual = true
	}
	if line(below(root, "sys/hypervisor/type")) == "xen" {
		f.Virtual, f.VirtualSystem = true, "xen"
	}
	if !f.Virtual {
		f.VirtualSystem = ""
	}
}
