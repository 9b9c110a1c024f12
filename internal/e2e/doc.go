// Package e2e tests the distribution from the outside: it starts a built
// otelcol-carbon as a child process, gives it a root folder shaped as the kernel
// makes it or OTLP over loopback, and reads what it writes.
//
// The tests need the binary, whose path is in OTELCOL_CARBON; `make e2e` and
// `make test` build it first.
package e2e
