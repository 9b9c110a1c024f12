package tables

import (
	"strings"
	"sync"

	"github.com/otelcarbon/otelcarbon/data"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// CPU is one processor model.
type CPU struct {
	Key     string          // the normalized name that Lookup compares
	Name    string          // as the vendor's list has it
	Vendor  string          // AMD, Intel, Apple, Arm
	TDP     unit.Microwatts // thermal design power of the package, never 0
	Cores   int             // 0: unknown
	Threads int             // 0: unknown

	Launched string // 2019-08-07, 2013-Q2, 2004, or ""
	Source   string // ids in sources.csv, joined by "+"

	// Family is the microarchitecture, nil where the table does not name it.
	Family *Microarchitecture
}

// Microarchitecture is a family of processors with the power of whole servers that
// carry them, divided by their threads. The figures contain memory, fans and power
// supply: never add them to a TDP.
type Microarchitecture struct {
	Name            string          // Ice Lake, EPYC 3rd Gen
	Vendor          string          // AMD, Intel, Arm, AWS
	MinPerThread    unit.Microwatts // at idle
	MaxPerThread    unit.Microwatts // at full load
	MemoryGBPerChip float64         // GB of memory per chip in those servers
	Results         int             // number of SPECpower results averaged; 0: assumed
	Method          string          // ccf-published, recomputed, ccf-assumed
	Source          string
	Notes           string
}

// maxModelName is beyond every model name: CPUID has room for 48 bytes.
const maxModelName = 256

// CPUTable searches cpus.csv.
type CPUTable struct {
	rows  *sorted
	known memo[string, CPU]
}

// CPUs returns the embedded cpus.csv.
func CPUs() *CPUTable { return cpus() }

var cpus = sync.OnceValue(func() *CPUTable { return &CPUTable{rows: newSorted(data.CPUs())} })

// Lookup returns the processor that a model name means, as /proc/cpuinfo or CPUID
// spells it, nil if the table has none or the name is a hypervisor's ("Intel Xeon
// Processor (Skylake, IBRS)"). Asking for the same name again allocates nothing.
func (t *CPUTable) Lookup(modelName string) *CPU {
	if len(modelName) > maxModelName {
		return nil
	}
	return t.known.get(modelName, t.find)
}

func (t *CPUTable) find(modelName string) *CPU {
	key := matchKey(modelName)
	if key == "" {
		return nil
	}
	c := t.row(key)
	for _, vendor := range []string{"amd ", "intel "} { // lists leave their maker's name out
		if c == nil && !strings.HasPrefix(key, vendor) {
			c = t.row(vendor + key)
		}
	}
	return c
}

func (t *CPUTable) row(key string) *CPU {
	r, ok := t.rows.find(func(line string) int {
		k, _ := firstCell(line)
		return strings.Compare(k, key)
	})
	if !ok {
		return nil
	}
	return &CPU{
		Key:      r.text("match_key"),
		Name:     r.text("model_name"),
		Vendor:   r.text("vendor"),
		TDP:      r.watts("tdp_w"),
		Cores:    r.integer("cores"),
		Threads:  r.integer("threads"),
		Launched: r.text("launched"),
		Source:   r.text("source"),
		Family:   LookupMicroarchitecture(r.text("microarchitecture")),
	}
}

// LookupMicroarchitecture returns a family of processors by its name in
// microarchitectures.csv, nil if there is none. Names are unique over all vendors.
func LookupMicroarchitecture(name string) *Microarchitecture { return microarchitectures()[name] }

var microarchitectures = sync.OnceValue(func() map[string]*Microarchitecture {
	m := make(map[string]*Microarchitecture)
	for r := range rows(data.Microarchitectures()) {
		a := &Microarchitecture{
			Name:            r.text("microarchitecture"),
			Vendor:          r.text("vendor"),
			MinPerThread:    r.watts("min_w_per_vcpu"),
			MaxPerThread:    r.watts("max_w_per_vcpu"),
			MemoryGBPerChip: r.number("memory_gb_per_chip"),
			Results:         r.integer("spec_results"),
			Method:          r.text("method"),
			Source:          r.text("source"),
			Notes:           r.text("notes"),
		}
		m[a.Name] = a
	}
	return m
})
