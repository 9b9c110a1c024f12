package tables

import (
	"strings"
	"sync"

	"github.com/otelcarbon/otelcarbon/data"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// GPU is one accelerator card.
type GPU struct {
	Model   string   // NVIDIA A100 SXM4 40GB
	Vendor  string   // NVIDIA, AMD, Google
	Aliases []string // names that drivers report

	TDP        unit.Microwatts // of the card, never 0; prefer the limit that the driver reports
	TDPSource  string
	Idle       unit.Microwatts // an estimate, about 12 % of TDP; 0: unknown
	IdleSource string
	MemoryGB   float64 // 0: unknown
	EmbodiedKg Value   // kg CO2e of the card
	Notes      string
}

// GPUTable holds gpus.csv.
type GPUTable struct {
	rows  []GPU
	names map[string]*GPU
}

// GPUs returns the embedded gpus.csv.
func GPUs() *GPUTable { return gpus() }

var gpus = sync.OnceValue(func() *GPUTable {
	t := &GPUTable{names: make(map[string]*GPU)}
	for r := range rows(data.GPUs()) {
		g := GPU{
			Model:      r.text("model"),
			Vendor:     r.text("vendor"),
			TDP:        r.watts("tdp_w"),
			TDPSource:  r.text("tdp_source"),
			Idle:       r.watts("idle_w"),
			IdleSource: r.text("idle_source"),
			MemoryGB:   r.number("memory_gb"),
			EmbodiedKg: r.value("embodied_kgco2e", "embodied_source"),
			Notes:      r.text("notes"),
		}
		for alias := range strings.SplitSeq(r.text("aliases"), ";") {
			if alias != "" {
				g.Aliases = append(g.Aliases, alias)
			}
		}
		t.rows = append(t.rows, g)
	}
	for i := range t.rows {
		t.names[lower(t.rows[i].Model)] = &t.rows[i]
	}
	for i := range t.rows {
		for _, alias := range t.rows[i].Aliases {
			if alias = lower(alias); t.names[alias] == nil {
				t.names[alias] = &t.rows[i]
			}
		}
	}
	return t
})

// Lookup returns an accelerator by its name in the table or the one that its driver
// reports ("NVIDIA A100-SXM4-40GB"), nil if there is none. Case is ignored.
func (t *GPUTable) Lookup(name string) *GPU {
	var buf [maxName]byte
	return t.names[string(fold(&buf, name, ""))]
}
