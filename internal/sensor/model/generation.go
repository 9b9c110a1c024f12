package model

import (
	"strings"

	"github.com/otelcarbon/otelcarbon/internal/tables"
)

// generation finds the microarchitecture of a server CPU: by its row in cpus.csv,
// else by what the CPU says of itself below the name, which a hypervisor often
// replaces by "AMD EPYC" or "Intel(R) Xeon(R) CPU @ 2.20GHz". It is nil if unknown.
func generation(h *Host, cpu *tables.CPU) *tables.Microarchitecture {
	if cpu != nil && cpu.Family != nil {
		return cpu.Family
	}
	return tables.LookupMicroarchitecture(familyOf(h))
}

func familyOf(h *Host) string {
	if strings.Contains(h.CPUModel, "Neoverse") {
		return armFamily(h)
	}
	if !h.Virtual && h.CPUModel != "" && !isServer(h.CPUModel) {
		return "" // a desktop CPU may share its numbers with a server's
	}
	for _, g := range x86Families() {
		if g.vendor == h.CPUVendor && g.family == h.CPUFamily && g.model == h.CPUModelID &&
			h.CPUStepping >= g.stepping && (h.Virtual || !g.client) {
			return g.name
		}
	}
	return ""
}

// armFamily: Linux names the core, from which the makers of servers build theirs.
func armFamily(h *Host) string {
	core := h.CPUModel[strings.Index(h.CPUModel, "Neoverse")+len("Neoverse"):]
	core = strings.ToUpper(strings.Trim(core, "- "))
	if h.CloudProvider == "aws" {
		return map[string]string{"N1": "Graviton2", "V1": "Graviton3", "V2": "Graviton4"}[core] // AWS Graviton technical guide
	}
	return "Neoverse " + core
}

type x86Family struct {
	vendor        string
	family, model int
	stepping      int // the least
	client        bool
	name          string // in microarchitectures.csv
}

// x86Families lists CPUID numbers of servers: Intel's from Linux,
// arch/x86/include/asm/intel-family.h, AMD's from arch/x86/kernel/cpu/amd.c and
// AMD's processor programming references. The numbers of desktop CPUs are those
// that QEMU's CPU models show, so they mean a server only in a virtual machine.
func x86Families() []x86Family {
	const intel, amd = "GenuineIntel", "AuthenticAMD"
	return []x86Family{
		{intel, 6, 0x2d, 0, false, "Sandy Bridge"},
		{intel, 6, 0x2a, 0, true, "Sandy Bridge"},
		{intel, 6, 0x3e, 0, false, "Ivy Bridge"},
		{intel, 6, 0x3a, 0, true, "Ivy Bridge"},
		{intel, 6, 0x3f, 0, false, "Haswell"},
		{intel, 6, 0x3c, 0, true, "Haswell"},
		{intel, 6, 0x4f, 0, false, "Broadwell"},
		{intel, 6, 0x56, 0, false, "Broadwell"},
		{intel, 6, 0x3d, 0, true, "Broadwell"},
		{intel, 6, 0x55, 5, false, "Cascade Lake"}, // 5–7; 10 and 11 are Cooper Lake, its nearest relative
		{intel, 6, 0x55, 0, false, "Skylake"},
		{intel, 6, 0x5e, 0, true, "Skylake"},
		{intel, 6, 0x6a, 0, false, "Ice Lake"},
		{intel, 6, 0x6c, 0, false, "Ice Lake"},
		{intel, 6, 0x8f, 0, false, "Sapphire Rapids"},
		{intel, 6, 0xcf, 0, false, "Emerald Rapids"},
		{intel, 6, 0xad, 0, false, "Granite Rapids"},
		{intel, 6, 0xae, 0, false, "Granite Rapids"},
		{amd, 0x17, 0x01, 0, false, "EPYC 1st Gen"},
		{amd, 0x17, 0x31, 0, false, "EPYC 2nd Gen"},
		{amd, 0x19, 0x01, 0, false, "EPYC 3rd Gen"},
		{amd, 0x19, 0x11, 0, false, "EPYC 4th Gen"},
		{amd, 0x19, 0xa0, 0, false, "EPYC 4th Gen"},
		{amd, 0x1a, 0x02, 0, false, "EPYC 5th Gen"},
		{amd, 0x1a, 0x11, 0, false, "EPYC 5th Gen"},
	}
}
