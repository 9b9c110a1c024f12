// Package e2e tests the distribution from the outside: it starts a built
// otelcol-carbon as a child process, gives it a root folder shaped as the kernel
// makes it or OTLP over loopback, and reads what it writes, or asks a backend to
// which it was sent.
//
// The tests need programs, whose paths are in environment variables: the binary in
// OTELCOL_CARBON, which `make e2e` and `make test` build first; the agent of
// examples/gateway in E2E_AGENT (`make gateway`); and backends in E2E_PROMETHEUS,
// E2E_VICTORIA_METRICS and E2E_JAEGER (`make backends`). Tests whose program is
// missing are skipped, and say so; `make ci` has all of them.
package e2e
