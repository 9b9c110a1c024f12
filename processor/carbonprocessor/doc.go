//go:generate go tool -modfile=../../internal/tools/go.mod mdatagen metadata.yaml

// Package carbonprocessor is the Collector processor "carbon": it prices the
// energy in hw.energy and carbon.energy with the carbon intensity of the grid at
// the place of the resource and the time at which the energy was drawn, and adds
// the grams of CO2-equivalent, their bounds and the intensity to the batch. Spans
// with the attribute carbon.energy get theirs as attributes.
//
// It has nothing to do with Graphite's Carbon.
package carbonprocessor
