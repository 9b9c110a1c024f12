//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "overhead: energy is divided among workloads on Linux only")
	os.Exit(1)
}
