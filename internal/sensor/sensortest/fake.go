package sensortest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// Step is what one Read of a Fake gives.
type Step struct {
	// Readings are appended; where At is zero, it is the time of the read.
	Readings []sensor.Reading
	// Paused are told by Paused after the Read.
	Paused []*sensor.Part
	// Err is returned beside them.
	Err error
}

// Fake is a sensor that follows a script. It may be used, also by the test that
// watches it, from several goroutines.
type Fake struct {
	// Next, where set, takes the place of the script: it is called with the
	// number of the read, from 0, and the time of it.
	Next func(n int, now time.Time) Step

	mu     sync.Mutex
	script []Step
	paused []*sensor.Part // of the last step
	reads  int
	closed int
}

// NewFake returns a Fake whose nth Read gives the nth step. Behind the end the
// last step repeats.
func NewFake(script ...Step) *Fake { return &Fake{script: script} }

// Read gives the next step. As with every sensor, a canceled context or a
// sensor that is closed give no readings, and no step is used up.
func (f *Fake) Read(ctx context.Context, dst []sensor.Reading) ([]sensor.Reading, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed > 0 {
		return dst, fmt.Errorf("fake: %w", os.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	now := time.Now()
	var step Step
	switch {
	case f.Next != nil:
		step = f.Next(f.reads, now)
	case len(f.script) > 0:
		step = f.script[min(f.reads, len(f.script)-1)]
	}
	f.reads++
	f.paused = step.Paused
	for _, r := range step.Readings {
		if r.At.IsZero() {
			r.At = now
		}
		dst = append(dst, r)
	}
	return dst, step.Err
}

// Paused tells what the last step says.
func (f *Fake) Paused(yield func(p *sensor.Part) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.paused {
		if !yield(p) {
			return
		}
	}
}

// Close counts; it never fails.
func (f *Fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed++
	return nil
}

// Reads returns how many steps were given.
func (f *Fake) Reads() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads
}

// Closed returns how often Close was called.
func (f *Fake) Closed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}
