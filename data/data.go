// Package data carries the tables about grids, zones, processors, accelerators
// and cloud instances as text. It parses nothing; typed look-ups are in
// internal/tables.
//
// Every table is a UTF-8 csv file with CRLF line ends, one header row, rows
// sorted by key; an empty cell means unknown. PROVENANCE.md describes the columns
// and says where each figure comes from, LICENCES.md under which terms.
package data

import _ "embed"

//go:embed coefficients.csv
var coefficients string

//go:embed cpus.csv
var cpus string

//go:embed embodied.csv
var embodied string

//go:embed gpus.csv
var gpus string

//go:embed grids.csv
var grids string

//go:embed instances.csv
var instances string

//go:embed microarchitectures.csv
var microarchitectures string

//go:embed sources.csv
var sources string

//go:embed zones.csv
var zones string

//go:embed LICENCES.md
var licenses string

//go:embed PROVENANCE.md
var provenance string

// Coefficients returns coefficients.csv: constants for what nothing measures,
// each with its unit. Key: name.
func Coefficients() string { return coefficients }

// CPUs returns cpus.csv: thermal design power of processors. Key: match_key.
func CPUs() string { return cpus }

// Embodied returns embodied.csv: emissions of manufacturing. Key: component, variant.
func Embodied() string { return embodied }

// GPUs returns gpus.csv: power and embodied emissions of accelerators. Key:
// vendor, model.
func GPUs() string { return gpus }

// Grids returns grids.csv: yearly carbon intensity of countries, subdivisions and
// eGRID subregions. Key: zone, year, boundary, basis, source.
func Grids() string { return grids }

// Instances returns instances.csv: power curves of cloud instance types. Key:
// cloud.provider, instance_type.
func Instances() string { return instances }

// Microarchitectures returns microarchitectures.csv: server watts per thread for
// families of processors. Key: vendor, microarchitecture.
func Microarchitectures() string { return microarchitectures }

// Sources returns sources.csv: what the ids in the source columns of the other
// tables stand for. Key: source.
func Sources() string { return sources }

// Zones returns zones.csv: keys, names and bounding boxes of grid zones. Key:
// zone_key.
func Zones() string { return zones }

// Licenses returns LICENCES.md.
func Licenses() string { return licenses }

// Provenance returns PROVENANCE.md.
func Provenance() string { return provenance }
