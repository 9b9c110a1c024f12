// Package host says what the machine is and how busy its CPUs are. It is the
// only package that imports gopsutil, so that the library can be exchanged in one
// place and reaches no program that does not ask for it.
//
// On Linux everything is read below a root, which is "/" or the folder where the
// root of the host is mounted into a container; the variables HOST_PROC, HOST_SYS
// and the like, which gopsutil knows, are not looked at. On other systems the
// root is ignored.
package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/shirou/gopsutil/v3/common"
	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/mem"
)

// Facts describe a machine. A zero field means unknown.
type Facts struct {
	// HostID is the machine id, which survives restarts: /etc/machine-id or
	// /var/lib/dbus/machine-id on Linux, the platform's UUID elsewhere. Where there
	// is none it is HostName. The boot id is never used: it would start new series
	// at every boot.
	HostID   string
	HostName string

	CPUVendor string // as the CPU reports it: "GenuineIntel", "AuthenticAMD", "ARM"
	CPUModel  string // as the operating system shows it: "AMD EPYC 7763 64-Core Processor"
	// CPUFamily, CPUModelID and CPUStepping are the numbers of CPUID as /proc/cpuinfo
	// shows them. They tell the generation of an x86 CPU whose name a hypervisor hides.
	CPUFamily, CPUModelID, CPUStepping int

	LogicalCPUs int    // hardware threads, of a virtual machine its vCPUs
	Sockets     int    // as the system shows them; a hypervisor may show one for each vCPU
	MemoryBytes uint64 // what the kernel has, a little less than what is installed

	Virtual       bool
	VirtualSystem string // "kvm", "vmware", "hyperv", "xen", …; may be "" when Virtual

	CloudProvider string // OpenTelemetry's cloud.provider: "aws"; "" if the machine does not say
	InstanceType  string // "m5.large"; only where the provider writes it into the machine (AWS)
}

// Read returns what it could find out about the machine below root. If something
// cannot be read it returns the rest, and an error that joins the failures. That
// there is no machine id, no DMI table or no cloud is no failure.
func Read(ctx context.Context, root string) (Facts, error) {
	ctx = withRoot(ctx, root)
	var f Facts
	var errs []error
	errs = append(errs,
		guard("host: CPU of "+below(root, "proc/cpuinfo"), func() error { return f.readCPU(ctx, root) }),
		guard("host: memory of "+below(root, "proc/meminfo"), func() error { return f.readMemory(ctx) }))
	var err error
	if f.HostName, err = hostName(root); err != nil {
		errs = append(errs, fmt.Errorf("host: name: %w", err))
	}
	f.HostID = machineID(ctx, root)
	if f.HostID == "" {
		f.HostID = f.HostName
	}
	f.readPlatform(root)
	return f, errors.Join(errs...)
}

func (f *Facts) readCPU(ctx context.Context, root string) error {
	n, err := cpu.CountsWithContext(ctx, true)
	if err != nil {
		return err
	}
	if n <= 0 {
		return errors.New("no CPU found")
	}
	f.LogicalCPUs = n
	infos, err := cpu.InfoWithContext(ctx)
	if len(infos) == 0 {
		return err // a system without the details is no failure
	}
	first := infos[0]
	f.CPUVendor, f.CPUModel = first.VendorID, first.ModelName
	if f.CPUModel == "Undefined" { // gopsutil's word for an Arm part number that it does not know
		f.CPUModel = ""
	}
	// Windows numbers families differently; a field that is no number stays 0.
	if onLinuxOrDarwin {
		f.CPUFamily, _ = strconv.Atoi(first.Family)
		f.CPUModelID, _ = strconv.Atoi(first.Model)
		f.CPUStepping = int(first.Stepping)
	}
	f.Sockets = sockets(root, infos)
	for _, flag := range first.Flags {
		if flag == "hypervisor" || flag == "vmm" { // Linux, macOS
			f.Virtual = true
		}
	}
	return err
}

func (f *Facts) readMemory(ctx context.Context) error {
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return err
	}
	if m.Total == 0 {
		return errors.New("no total found")
	}
	f.MemoryBytes = m.Total
	return nil
}

// withRoot tells gopsutil where the host's files are. Every folder is named, so
// that the environment is never consulted.
func withRoot(ctx context.Context, root string) context.Context {
	return context.WithValue(ctx, common.EnvKey, common.EnvMap{
		common.HostProcEnvKey: below(root, "proc"),
		common.HostSysEnvKey:  below(root, "sys"),
		common.HostEtcEnvKey:  below(root, "etc"),
		common.HostVarEnvKey:  below(root, "var"),
		common.HostRunEnvKey:  below(root, "run"),
		common.HostDevEnvKey:  below(root, "dev"),
		common.HostRootEnvKey: below(root, "."),
	})
}

func below(root, path string) string {
	if root == "" {
		root = "/"
	}
	return filepath.Join(root, filepath.FromSlash(path))
}

// guard runs f and makes a panic an error: gopsutil indexes into what it has read,
// and an empty file in sysfs is enough to make it fail.
func guard(what string, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: not what the kernel promises: %v", what, r)
		}
	}()
	if err := f(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// line returns the first line of a small text file, without the blanks around
// it, or "" if there is no such file, or none with text in it.
func line(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	var buf [512]byte
	n, _ := f.Read(buf[:])
	return firstLine(buf[:n])
}
