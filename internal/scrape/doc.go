// Package scrape puts the Collector's Prometheus receiver before the processor carbon
// and lets it scrape what other exporters serve:
//
//	make scrape
//
// What the receiver makes of it is kept in the testdata of the processor, whose own
// tests go on from there; go test -tags remove_all_sd -update writes it anew. The tag
// leaves out the discovery of targets in clouds, with their SDKs.
//
// It is a module of its own, so that nobody who uses otelcarbon inherits Prometheus.
package scrape
