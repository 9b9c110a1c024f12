package nvml

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

func TestWatchdog(t *testing.T) {
	t.Run("C56_a call that hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			lib := machine(hopper("GPU-a1"), hopper("GPU-b2"))
			r := mustOpen(t, lib, Config{})
			release := make(chan struct{})
			lib.block = func() { <-release }

			start := time.Now()
			rs, ps := read(t, r)
			assert.Empty(t, rs)
			assert.Equal(t, 500*time.Millisecond, time.Since(start))
			p := ps["GPU 0: energy counter"]
			require.NotNil(t, p)
			assert.Equal(t, sensor.IO, p.Class)
			require.ErrorContains(t, p, "hangs")

			time.Sleep(time.Second)
			start = time.Now()
			for range 100 {
				_, ps = read(t, r)
				require.Same(t, p, ps[p.Path])
			}
			assert.Zero(t, time.Since(start), "later Reads do not wait")

			close(release)
			time.Sleep(time.Second)
			start = time.Now()
			rs, ps = read(t, r)
			assert.Empty(t, ps)
			require.Len(t, rs, 2)
			assert.False(t, rs["nvml:GPU-a1"].At.Before(start), "what came late is read again")
			// 300 W over all the time: 0.5 s and twice 1 s after 5 000 J.
			assert.EqualValues(t, 5_750_000_000, rs["nvml:GPU-a1"].Energy)
		})
	})
	t.Run("C56_a slow driver is waited for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			lib := machine(hopper("GPU-a1"))
			r := mustOpen(t, lib, Config{Timeout: 2 * time.Second})
			lib.block = func() { time.Sleep(1500 * time.Millisecond) }
			rs, ps := read(t, r)
			assert.Empty(t, ps)
			assert.Len(t, rs, 1)
		})
	})
	t.Run("C56_Close does not wait for a call that hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			lib := machine(hopper("GPU-a1"))
			s, err := open(lib, Config{})
			require.NoError(t, err)
			release := make(chan struct{})
			lib.block = func() { <-release }
			_, err = s.Read(t.Context(), nil)
			require.ErrorContains(t, err, "hangs")
			start := time.Now()
			require.NoError(t, s.Close())
			require.NoError(t, s.Close())
			assert.Zero(t, time.Since(start))
			assert.Zero(t, lib.shut)
			close(release)
			synctest.Wait()
			assert.Equal(t, 1, lib.shut, "the worker gives the library back when it can")
		})
	})
	t.Run("C56_Open does not wait for ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			lib := machine(hopper("GPU-a1"))
			release := make(chan struct{})
			lib.block, lib.blockInit = func() { <-release }, true
			start := time.Now()
			r := mustOpen(t, lib, Config{})
			assert.Equal(t, openTimeout, time.Since(start))
			_, ps := read(t, r)
			assert.Contains(t, ps, "nvmlInit")
			close(release)
			time.Sleep(time.Second)
			rs, _ := read(t, r)
			assert.Len(t, rs, 1)
		})
	})
	t.Run("a context that ends while the driver works", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			lib := machine(hopper("GPU-a1"))
			r := mustOpen(t, lib, Config{})
			lib.block = func() { time.Sleep(300 * time.Millisecond) }
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, err := r.Read(ctx, nil)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			rs, ps := read(t, r) // the rest of the old answer, then a new one
			assert.Empty(t, ps)
			assert.Len(t, rs, 1)
		})
	})
	t.Run("what processes did is not lost with a late answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := hopper("GPU-a1")
			g.uses = []useSample{}
			lib := machine(g)
			r := mustOpen(t, lib, Config{Processes: true})
			read(t, r)
			time.Sleep(time.Second)
			g.uses = []useSample{{7, stamp(time.Now()), 50}}
			lib.block = func() { time.Sleep(time.Second) }
			_, ps := read(t, r)
			require.NotEmpty(t, ps)
			time.Sleep(time.Second)
			synctest.Wait()
			lib.block = nil
			read(t, r)
			require.Len(t, r.Processes(nil), 1)
			// Half of the 2 s between the question at 0 s and that at 2 s, of which the
			// first second had no sample before: the whole round counts.
			assert.Equal(t, time.Second, r.Processes(nil)[0].Busy)
			read(t, r)
			assert.Empty(t, r.Processes(nil))
		})
	})
}
