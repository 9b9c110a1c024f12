package tables

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/otelcarbon/otelcarbon/data"
)

// EmbodiedFactor is what the making of one component emitted.
type EmbodiedFactor struct {
	Component     string  // server, cpu, gpu, memory, storage
	Variant       string  // which one: "SSD drive", "DRAM"
	V             float64 // in Unit
	Unit          string  // kgCO2e/unit or kgCO2e/GB
	LifetimeYears float64 // over which the source spreads it, 0: not said
	Stage         string  // manufacturing, cradle-to-gate
	Method        string
	Source        string // id in sources.csv
	Notes         string
}

// EmbodiedTable holds embodied.csv.
type EmbodiedTable struct {
	rows []EmbodiedFactor

	// The constants of the model behind Server, and of a card.
	server, socket, memory, card *EmbodiedFactor
}

// Embodied returns the embedded embodied.csv.
func Embodied() *EmbodiedTable { return embodied() }

var embodied = sync.OnceValue(func() *EmbodiedTable {
	t := &EmbodiedTable{}
	for r := range rows(data.Embodied()) {
		t.rows = append(t.rows, EmbodiedFactor{
			Component:     r.text("component"),
			Variant:       r.text("variant"),
			V:             r.number("value"),
			Unit:          r.text("unit"),
			LifetimeYears: r.number("lifetime_years"),
			Stage:         r.text("stage"),
			Method:        r.text("method"),
			Source:        r.text("source"),
			Notes:         r.text("notes"),
		})
	}
	for _, c := range constants {
		*c.of(t) = cmp.Or(t.Lookup(c.component, c.variant), &EmbodiedFactor{})
	}
	return t
})

// constants are the rows that look-ups are made of. Check makes sure of them.
var constants = []struct {
	component, variant string
	of                 func(*EmbodiedTable) **EmbodiedFactor
}{
	{"server", "rack server, 1 socket, 16 GB, no local storage", func(t *EmbodiedTable) **EmbodiedFactor { return &t.server }},
	{"cpu", "additional socket", func(t *EmbodiedTable) **EmbodiedFactor { return &t.socket }},
	{"memory", "DRAM", func(t *EmbodiedTable) **EmbodiedFactor { return &t.memory }},
	{"gpu", "accelerator card, generic", func(t *EmbodiedTable) **EmbodiedFactor { return &t.card }},
}

// Lookup returns the factor of a component, nil if the table has none.
func (t *EmbodiedTable) Lookup(component, variant string) *EmbodiedFactor {
	for i := range t.rows {
		if e := &t.rows[i]; e.Component == component && e.Variant == variant {
			return e
		}
	}
	return nil
}

// All yields the factors in the order of the file.
func (t *EmbodiedTable) All() iter.Seq[*EmbodiedFactor] {
	return func(yield func(*EmbodiedFactor) bool) {
		for i := range t.rows {
			if !yield(&t.rows[i]) {
				return
			}
		}
	}
}

// Coefficient returns a constant of coefficients.csv, which gives its unit:
// "memory" is in kWh/GBh, "pue_aws" a ratio. OK is false if there is none of that
// name.
func Coefficient(name string) Value { return coefficients()[name] }

var coefficients = sync.OnceValue(func() map[string]Value {
	m := make(map[string]Value)
	for r := range rows(data.Coefficients()) {
		m[r.text("name")] = r.value("value", "source")
	}
	return m
})

// Source is where figures come from, and under which terms.
type Source struct {
	ID                string // what the source columns say
	Publisher         string
	Title             string
	Repository        string // without https://
	Path              string
	Commit            string
	DataLicense       string
	RepositoryLicense string
	CarriedAs         string // what was taken
	Attribution       string // to be shown wherever the figures are
}

// SourceTable holds sources.csv.
type SourceTable struct{ rows []Source }

// Sources returns the embedded sources.csv.
func Sources() *SourceTable { return sources() }

var sources = sync.OnceValue(func() *SourceTable {
	t := &SourceTable{}
	for r := range rows(data.Sources()) {
		t.rows = append(t.rows, Source{
			ID:                r.text("source"),
			Publisher:         r.text("publisher"),
			Title:             r.text("title"),
			Repository:        r.text("repository"),
			Path:              r.text("path"),
			Commit:            r.text("commit"),
			DataLicense:       r.text("data_licence"),
			RepositoryLicense: r.text("repository_licence"),
			CarriedAs:         r.text("carried_as"),
			Attribution:       r.text("attribution"),
		})
	}
	return t
})

// Lookup returns a source by its id, nil if there is none. The ids of a cell that
// names several ("amd-specs+codecarbon-cpu") are separated by "+"; Attribution
// takes such a cell.
func (t *SourceTable) Lookup(id string) *Source {
	i, ok := slices.BinarySearchFunc(t.rows, id, func(s Source, id string) int { return strings.Compare(s.ID, id) })
	if !ok {
		return nil
	}
	return &t.rows[i]
}

// Attribution returns the attributions of a cell of a source column, separated by
// "; ", for programs that show where a figure comes from. Unknown ids, as in a
// user's table, stand for themselves.
func (t *SourceTable) Attribution(ids string) string {
	var texts []string
	for id := range strings.SplitSeq(ids, "+") {
		if s := t.Lookup(id); s != nil {
			id = s.Attribution
		}
		if id != "" && !slices.Contains(texts, id) {
			texts = append(texts, id)
		}
	}
	return strings.Join(texts, "; ")
}

// All yields the sources in the order of their ids.
func (t *SourceTable) All() iter.Seq[*Source] {
	return func(yield func(*Source) bool) {
		for i := range t.rows {
			if !yield(&t.rows[i]) {
				return
			}
		}
	}
}
