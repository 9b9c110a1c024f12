package perf

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/testfs"
)

const (
	dir    = "sys/devices/power/"
	events = dir + "events/"
	mask   = dir + "cpumask"

	joule = 1 << 32 // counts

	// Configurations of the events.
	coresEvent, pkgEvent, ramEvent, gpuEvent, psysEvent = 1, 2, 3, 4, 5
)

// often makes every Read look at the folder first; never leaves it alone.
var (
	often = Config{RescanInterval: time.Nanosecond}
	never = Config{RescanInterval: time.Hour}
)

// script is a kernel that counts what it is told to.
type script struct {
	refuse func(config uint64, cpu int) error // open
	fail   error                              // read
	live   map[int]*scripted                  // by descriptor
	opened []scripted                         // all that ever were
	next   int
	closed []int
}

type scripted struct {
	typ    uint32
	config uint64
	cpu    int

	sample sample
	dead   bool // its CPU went: it stays as it is
}

func newScript() *script { return &script{live: map[int]*scripted{}, next: 100} }

func (k *script) open(typ uint32, config uint64, cpu int) (int, error) {
	if k.refuse != nil {
		if err := k.refuse(config, cpu); err != nil {
			return -1, err
		}
	}
	k.next++
	k.live[k.next] = &scripted{typ: typ, config: config, cpu: cpu}
	k.opened = append(k.opened, *k.live[k.next])
	return k.next, nil
}

func (k *script) read(fd int) (sample, error) {
	e := k.live[fd]
	if e == nil {
		return sample{}, unix.EBADF
	}
	if k.fail != nil {
		return sample{}, k.fail
	}
	if !e.dead {
		e.sample.running++
	}
	return e.sample, nil
}

func (k *script) close(fd int) {
	k.closed = append(k.closed, fd)
	delete(k.live, fd)
}

// count adds counts to the live events on a CPU.
func (k *script) count(config uint64, cpu int, counts int64) {
	for _, e := range k.live {
		if e.config == config && e.cpu == cpu && !e.dead {
			e.sample.value += uint64(counts)
		}
	}
}

// kill makes the events on a CPU what they are when the last CPU of a package
// went: open, and without progress.
func (k *script) kill(cpu int) {
	for _, e := range k.live {
		e.dead = e.dead || e.cpu == cpu
	}
}

func tree(t testing.TB, machine string) (root string) {
	t.Helper()
	return testfs.UnpackFile(t, filepath.Join("testdata", machine+".txtar"))
}

func mustOpen(t testing.TB, root string, c Config, k kernel) *reader {
	t.Helper()
	if c.RescanInterval == 0 {
		c.RescanInterval = rescanInterval
	}
	s, err := openWith(root, c, k)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s.(*reader)
}

// read returns the readings by ID, and the problems in the order that they have.
func read(t testing.TB, s sensor.Sensor) (map[string]sensor.Reading, []*sensor.Problem) {
	t.Helper()
	rs, err := s.Read(t.Context(), nil)
	byID := map[string]sensor.Reading{}
	for _, r := range rs {
		require.NotContains(t, byID, r.Part.ID)
		byID[r.Part.ID] = r
	}
	var problems []*sensor.Problem
	for p := range sensor.Problems(err) {
		require.Equal(t, "perf", p.Sensor)
		require.NotEmpty(t, p.Path)
		problems = append(problems, p)
	}
	require.Equal(t, err != nil, len(problems) > 0, "every error is a problem: %v", err)
	return byID, problems
}

func ids(rs map[string]sensor.Reading) []string { return slices.Sorted(maps.Keys(rs)) }

func classes(ps []*sensor.Problem) (cs []sensor.Class) {
	for _, p := range ps {
		cs = append(cs, p.Class)
	}
	return cs
}

func set(t testing.TB, root, name, content string) {
	t.Helper()
	testfs.Write(t, root, name, content)
}

func remove(t testing.TB, root string, names ...string) {
	t.Helper()
	for _, name := range names {
		require.NoError(t, os.RemoveAll(filepath.Join(root, name)))
	}
}

// eventsOpen counts the perf events that this process has open.
func eventsOpen(t testing.TB) (n int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, fd := range fds {
		target, err := os.Readlink("/proc/self/fd/" + fd.Name())
		if err == nil && strings.Contains(target, "perf_event") {
			n++
		}
	}
	return n
}

// theProblem returns the only problem in an error.
func theProblem(t testing.TB, err error) *sensor.Problem {
	t.Helper()
	var p *sensor.Problem
	require.ErrorAs(t, err, &p)
	require.Equal(t, "perf", p.Sensor)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	return p
}
