// Command testreport turns the output of go test -json into something that a
// person reads: a line for each package, the full output of whatever failed, and
// at the end every skipped test with its reason, so that nothing is skipped
// silently.
//
//	go test -race -json ./... | go run ./scripts/testreport
//
// It exits with 1 if anything failed or if there was nothing to report.
package main

import (
	"fmt"
	"os"
)

func main() {
	ok, err := report(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
	}
	if !ok || err != nil {
		os.Exit(1)
	}
}
