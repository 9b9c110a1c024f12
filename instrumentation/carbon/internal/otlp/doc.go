// Package otlp sends spans with energy through the batch processor and the
// OTLP/HTTP exporter of the SDK to a server, and looks at what arrives:
//
//	go -C instrumentation/carbon/internal/otlp test ./...
//
// It is a module of its own: the exporter requires gRPC and protobuf for OTLP, and a
// requirement of tests is one of everybody who uses otelcarbon.
package otlp
