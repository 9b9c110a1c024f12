package cputime

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"runtime/pprof"
)

// Key is the label whose values are counted.
const Key = "otelcarbon"

// PerSecond is how many samples there are in a second of CPU time (runtime/pprof,
// StartCPUProfile).
const PerSecond = 100

// most is how large a profile may be, unpacked: 10 000 stacks of 64 frames are 2 MB.
const most = 256 << 20

// AddLabel returns ctx with a value of Key.
func AddLabel(ctx context.Context, value string) context.Context {
	return pprof.WithLabels(ctx, pprof.Labels(Key, value))
}

// WithLabel returns a context with the labels of ctx and a value of Key, and nothing else of
// ctx, for that may be much.
func WithLabel(ctx context.Context, value string) context.Context {
	return pprof.WithLabels(Labels(ctx), pprof.Labels(Key, value))
}

// Labels returns a context with the labels of ctx and nothing else.
func Labels(ctx context.Context) context.Context {
	var pairs []string
	pprof.ForLabels(ctx, func(key, value string) bool {
		pairs = append(pairs, key, value)
		return true
	})
	if pairs == nil {
		return context.Background()
	}
	return pprof.WithLabels(context.Background(), pprof.Labels(pairs...))
}

// HasLabels reports whether ctx has any label.
func HasLabels(ctx context.Context) (has bool) {
	pprof.ForLabels(ctx, func(string, string) bool {
		has = true
		return false
	})
	return has
}

// Label has the goroutine that calls it, and those that it starts, counted under the labels
// of ctx and no others.
func Label(ctx context.Context) { pprof.SetGoroutineLabels(ctx) }

// A Profiler takes profiles, one after the other. One goroutine uses it. The zero value is
// ready.
type Profiler struct {
	packed bytes.Buffer
	raw    bytes.Buffer
	unpack gzip.Reader
}

// Start begins a profile. The error says that there is another already.
func (p *Profiler) Start() error {
	p.packed.Reset()
	return pprof.StartCPUProfile(&p.packed)
}

// Stop ends it. It adds the samples to counts by the value of Key, those without to "".
func (p *Profiler) Stop(counts map[string]int64) error {
	pprof.StopCPUProfile()
	if err := p.unpack.Reset(&p.packed); err != nil {
		return fmt.Errorf("CPU profile: %w", err)
	}
	p.raw.Reset()
	n, err := io.Copy(&p.raw, io.LimitReader(&p.unpack, most))
	if err != nil {
		return fmt.Errorf("CPU profile: %w", err)
	}
	if n == most {
		return fmt.Errorf("CPU profile: of more than %d MiB", most>>20)
	}
	return count(p.raw.Bytes(), counts)
}
