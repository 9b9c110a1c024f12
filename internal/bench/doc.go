// Package bench runs the processor carbon and the one of the Collector's own that
// comes nearest, cumulative_to_delta, on the same batches:
//
//	cd internal/bench && go test -bench . -cpu 1
//
// It is a module of its own, so that nobody who uses otelcarbon inherits what is
// only compared with it.
package bench
