// Package bench runs the processor carbon and those of the Collector's own that
// come nearest, cumulative_to_delta for metrics and attributes for spans, on the
// same batches:
//
//	cd internal/bench && go test -bench Metrics -cpu 1
//	cd internal/bench && go test -bench Traces -cpu 1,2
//
// cumulative_to_delta emits no points of its own, carbon three for each with its
// range and one without. What these cost alone, in pdata, is measured beside it.
// The attributes processor inserts constants where carbon writes what it computes.
// Much of all figures is garbage collection, which GOGC and GOMEMLIMIT govern.
//
// It is a module of its own, so that nobody who uses otelcarbon inherits what is
// only compared with it.
package bench
