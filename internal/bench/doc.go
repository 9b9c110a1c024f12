// Package bench runs the processor carbon and the one of the Collector's own that
// comes nearest, cumulative_to_delta, on the same batches:
//
//	cd internal/bench && go test -bench . -cpu 1
//
// cumulative_to_delta emits no points of its own, carbon three for each with its
// range and one without. What these cost alone, in pdata, is measured beside it.
// Much of all figures is garbage collection, which GOGC and GOMEMLIMIT govern.
//
// It is a module of its own, so that nobody who uses otelcarbon inherits what is
// only compared with it.
package bench
