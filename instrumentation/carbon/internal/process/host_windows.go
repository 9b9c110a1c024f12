package process

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"github.com/otelcarbon/otelcarbon/internal/sensor/model"
)

func readHost(string) model.Host {
	h := model.Host{LogicalCPUs: runtime.NumCPU(), MemoryBytes: installed()}
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, `HARDWARE\DESCRIPTION\System\CentralProcessor\0`, registry.QUERY_VALUE)
	if err != nil {
		return h
	}
	defer func() { _ = k.Close() }()
	h.CPUVendor, _, _ = k.GetStringValue("VendorIdentifier")
	h.CPUModel, _, _ = k.GetStringValue("ProcessorNameString")
	return h
}

// installed returns the bytes of memory, 0 if the call fails (GlobalMemoryStatusEx).
func installed() uint64 {
	type memoryStatus struct {
		length, load uint32
		total        uint64
		_            [6]uint64
	}
	s := memoryStatus{}
	s.length = uint32(unsafe.Sizeof(s))
	call := windows.NewLazySystemDLL("kernel32.dll").NewProc("GlobalMemoryStatusEx")
	if call.Find() != nil {
		return 0
	}
	if ok, _, _ := call.Call(uintptr(unsafe.Pointer(&s))); ok == 0 {
		return 0
	}
	return s.total
}
