// Package energy turns raw readings into amounts of energy and divides them,
// without losing or inventing a microjoule.
//
// A [Counter] takes the reads of a hardware counter that wraps, is reset,
// glitches and sometimes cannot be read, and says how much energy each read
// adds. A [Gauge] does the same for power readings. [Split] divides an amount
// by weights so that the shares add up to it exactly.
//
// The package is pure: it knows no clock, no file and no log. Moments are
// arguments; hand in the moment of the very read, as time.Now gave it, so that
// intervals are taken on the monotonic clock and a step of the wall clock
// changes nothing. Nothing here is safe for concurrent use, and nothing
// allocates in steady state.
package energy
