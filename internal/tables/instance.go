package tables

import (
	"cmp"
	"strings"
	"sync"

	"github.com/otelcarbon/otelcarbon/data"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// Instance is one instance type of a cloud provider.
type Instance struct {
	Provider string  // cloud.provider
	Type     string  // host.type: m5.large, Standard_D2s_v3, n2-standard-8
	VCPUs    float64 // may be a fraction of one
	MemoryGB float64 // 0: unknown

	CPUModel string // as the provider names it, "" unknown
	// Microarchitectures that the type may run on, separated by ";".
	Microarchitectures string
	PlatformVCPUs      float64 // vCPUs of the whole server, 0: unknown
	GPUModel           string
	GPUCount           int

	// Power of the instance at 0, 10, 50 and 100 % load, its share of the server
	// included; all 0 if unknown, which PowerMethod "" says.
	Idle, At10, At50, At100 unit.Microwatts
	PowerMethod             string // teads (measured curves), ccf-linear, ccf-assumed
	PowerSource             string

	ServerEmbodiedKg     float64 // kg CO2e of the whole server, 0: unknown
	LifetimeYears        float64
	EmbodiedGramsPerHour float64 // the share of this type, 0: unknown
	EmbodiedSource       string

	Notes string
}

// InstanceTable searches instances.csv.
type InstanceTable struct {
	rows  *sorted
	known memo[instanceKey, Instance]
}

type instanceKey struct{ provider, instanceType string }

// Instances returns the embedded instances.csv: AWS, Azure and Google Cloud.
func Instances() *InstanceTable { return instances() }

var instances = sync.OnceValue(func() *InstanceTable { return &InstanceTable{rows: newSorted(data.Instances())} })

// Lookup returns an instance type, nil if the table has none. The arguments are the
// resource attributes cloud.provider and host.type; case is ignored. Asking
// for the same type again allocates nothing.
func (t *InstanceTable) Lookup(provider, instanceType string) *Instance {
	if instanceType == "" || len(instanceType) > maxName || len(provider) > maxName {
		return nil
	}
	return t.known.get(instanceKey{provider, instanceType}, t.find)
}

func (t *InstanceTable) find(k instanceKey) *Instance {
	provider, instanceType := canonicalProvider(k.provider), k.instanceType
	r, ok := t.rows.find(func(line string) int {
		p, rest := firstCell(line)
		typ, _ := firstCell(rest)
		return cmp.Or(strings.Compare(p, provider), strings.Compare(typ, instanceType))
	})
	if !ok {
		r, ok = t.anyCase(provider, instanceType)
	}
	if !ok {
		return nil
	}
	return &Instance{
		Provider:             r.text("cloud.provider"),
		Type:                 r.text("instance_type"),
		VCPUs:                r.number("vcpus"),
		MemoryGB:             r.number("memory_gb"),
		CPUModel:             r.text("cpu_model"),
		Microarchitectures:   r.text("microarchitecture"),
		PlatformVCPUs:        r.number("platform_vcpus"),
		GPUModel:             r.text("gpu_model"),
		GPUCount:             r.integer("gpu_count"),
		Idle:                 r.watts("power_idle_w"),
		At10:                 r.watts("power_10pct_w"),
		At50:                 r.watts("power_50pct_w"),
		At100:                r.watts("power_100pct_w"),
		PowerMethod:          r.text("power_method"),
		PowerSource:          r.text("power_source"),
		ServerEmbodiedKg:     r.number("server_embodied_kgco2e"),
		LifetimeYears:        r.number("embodied_lifetime_years"),
		EmbodiedGramsPerHour: r.number("embodied_g_per_h"),
		EmbodiedSource:       r.text("embodied_source"),
		Notes:                r.text("notes"),
	}
}

// anyCase reads all rows of a provider: Azure's sizes are mixed case, and its
// metadata service, its documents and the table do not always agree.
func (t *InstanceTable) anyCase(provider, instanceType string) (row, bool) {
	for line := range t.rows.each {
		p, rest := firstCell(line)
		if p != provider {
			continue
		}
		if typ, _ := firstCell(rest); strings.EqualFold(typ, instanceType) {
			return t.rows.parse(line)
		}
	}
	return row{}, false
}

// canonicalProvider returns the spelling of the semantic conventions.
func canonicalProvider(provider string) string {
	var buf [maxName]byte
	if name, ok := providerAliases[string(fold(&buf, provider, " -_"))]; ok {
		return name
	}
	return lower(provider)
}
