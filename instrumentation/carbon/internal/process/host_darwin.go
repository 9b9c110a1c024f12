package process

import (
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/sensor/model"
)

func readHost(string) model.Host {
	h := model.Host{LogicalCPUs: runtime.NumCPU(), Sockets: 1}
	h.CPUVendor, _ = unix.Sysctl("machdep.cpu.vendor")
	h.CPUModel, _ = unix.Sysctl("machdep.cpu.brand_string")
	h.MemoryBytes, _ = unix.SysctlUint64("hw.memsize")
	if v, err := unix.SysctlUint32("kern.hv_vmm_present"); err == nil {
		h.Virtual = v != 0
	}
	return h
}
