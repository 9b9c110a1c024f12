//go:generate go tool -modfile=../../internal/tools/go.mod mdatagen metadata.yaml

// Package powerreceiver reads the power sensors of the machine that the
// Collector runs on and reports the energy and power of its parts.
//
// It is the Collector component of type "power". Use it through NewFactory; see
// README.md for its configuration and documentation.md for its metrics.
package powerreceiver
