package process

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/perf"
	"github.com/otelcarbon/otelcarbon/internal/testfs"
)

const (
	zone = "sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/"
	dram = zone + "intel-rapl:0:0/"
)

// world is a machine whose counters a test turns. It lives in a bubble.
type world struct {
	t    testing.TB
	root string

	pkg, dram  uint64 // µJ
	busy, idle uint64 // ticks
	cpus       int
}

// program is a process in a world.
type program struct {
	own, ended time.Duration
	held       uint64
	err        error
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return &world{
		t: t, root: testfs.UnpackFile(t, "testdata/server.txtar"), cpus: 8,
		pkg: 1_000_000_001, dram: 2_000_000_002, busy: 1000, idle: 9000,
	}
}

func (w *world) open(p *program, c Config) *Source {
	w.t.Helper()
	s, err := w.tryOpen(p, c)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, s.Close()) })
	return s
}

func (w *world) tryOpen(p *program, c Config) (*Source, error) {
	c.Root = w.root
	return openOn(w.t.Context(), c, system{
		cpuTime: func(bool) (own, ended time.Duration, err error) { return p.own, p.ended, p.err },
		held:    func() (held func() uint64, end func()) { return func() uint64 { return p.held }, func() {} },
		perf: func(string, perf.Config) (sensor.Sensor, error) {
			return nil, fmt.Errorf("perf: none in this test: %w", errors.ErrUnsupported)
		},
	})
}

// run lets d pass in which the package and the DRAM draw so many watts and so many CPUs
// are busy.
func (w *world) run(d time.Duration, pkg, dram, busy float64) {
	w.t.Helper()
	time.Sleep(d)
	w.pkg += uint64(math.Round(pkg * 1e6 * d.Seconds()))
	w.dram += uint64(math.Round(dram * 1e6 * d.Seconds()))
	b := uint64(math.Round(busy * 100 * d.Seconds()))
	w.busy += b
	w.idle += uint64(math.Round(float64(w.cpus)*100*d.Seconds())) - b
	w.show()
}

func (w *world) show() {
	w.t.Helper()
	w.write(zone+"energy_uj", fmt.Sprintln(w.pkg))
	w.write(dram+"energy_uj", fmt.Sprintln(w.dram))
	w.write("proc/stat", fmt.Sprintf("cpu  %d 0 0 %d 0 0 0 0 0 0\nintr 1\n", w.busy, w.idle))
}

// write changes a file that is there, in place, as a kernel does.
func (w *world) write(name, content string) {
	w.t.Helper()
	path := filepath.Join(w.root, name)
	if _, err := os.Stat(path); err == nil {
		require.NoError(w.t, os.WriteFile(path, []byte(content), 0o600))
	}
}

func (w *world) remove(name string) {
	w.t.Helper()
	require.NoError(w.t, os.RemoveAll(filepath.Join(w.root, name)))
}

func settle(t testing.TB, s *Source) Reading {
	t.Helper()
	r, err := s.Settle(t.Context())
	require.NoError(t, err)
	return r
}
