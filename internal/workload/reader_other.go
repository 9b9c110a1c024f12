//go:build !linux

package workload

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

// A Reader reads the workloads of one machine. One goroutine uses it at a time.
type Reader struct{}

// Open returns errors.ErrUnsupported.
func Open(string, Config) (*Reader, error) {
	return nil, fmt.Errorf("workload: %s has neither cgroups nor /proc, from which workloads are read: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Read returns nothing.
func (*Reader) Read(_ context.Context, dst []Usage) ([]Usage, error) { return dst, nil }

// Busy returns nothing.
func (*Reader) Busy() Busy { return Busy{} }

// Find returns nil.
func (*Reader) Find(int) *Workload { return nil }

// Stats returns nothing.
func (*Reader) Stats() Stats { return Stats{} }

// Close does nothing.
func (*Reader) Close() error { return nil }
