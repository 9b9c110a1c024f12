// Package otelcarbon carries the two files of the repository's top folder that
// every binary needs: clouds.csv, the table of cloud regions, and NOTICE, the
// attributions that the licenses of the embedded data ask for.
//
// It has no logic. Look regions up with the packages under intensity; print
// [Notice] where a program shows its licenses.
package otelcarbon

import _ "embed"

//go:embed clouds.csv
var clouds string

//go:embed NOTICE
var notice string

// CloudsCSV returns the text of clouds.csv: one row for each cloud region, UTF-8,
// CRLF line ends, one header row. Columns and sources are described in
// data/PROVENANCE.md.
func CloudsCSV() string { return clouds }

// Notice returns the attributions and license notices of the data in this
// module. Whoever passes on a binary that contains the tables passes this on.
func Notice() string { return notice }
