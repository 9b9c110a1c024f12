package perf

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

const (
	socket2 = "perf:package-2"
	dram2   = "perf:package-2/dram"
)

// offline takes CPUs 18 and 19 away, as the kernel does: open events stand still,
// new ones are refused.
func offline(t *testing.T, root string, k *script) {
	t.Helper()
	k.kill(18)
	k.refuse = func(_ uint64, cpu int) error {
		if cpu == 18 {
			return unix.ENODEV
		}
		return nil
	}
	set(t, root, mask, "0\n")
}

func online(t *testing.T, root string, k *script) {
	t.Helper()
	k.refuse = nil
	set(t, root, mask, "0,18\n")
}

func TestC19PackageGoesAndReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root, k := tree(t, "xeon-2s"), newScript()
		s := mustOpen(t, root, Config{}, k)
		ledger := energy.NewCounter(energy.Limits{})
		var sum unit.Microjoules
		tick := func() (map[string]sensor.Reading, []*sensor.Problem, energy.Event) {
			time.Sleep(time.Second)
			k.count(pkgEvent, 0, 50*joule)
			k.count(pkgEvent, 18, 100*joule)
			rs, problems := read(t, s)
			var e energy.Event
			if r, ok := rs[socket2]; ok {
				var d energy.Delta
				d, e = ledger.Advance(r.At, r.Energy)
				sum += d.Energy
			}
			return rs, problems, e
		}
		before, _, _ := tick()
		require.Len(t, before, 4)
		_, _, _ = tick()
		_, _, _ = tick()
		require.EqualValues(t, 200_000_000, sum)

		offline(t, root, k)
		for range 10 {
			rs, problems, _ := tick()
			assert.Equal(t, []string{"perf:package-0", "perf:package-0/dram"}, ids(rs))
			require.Equal(t, []sensor.Class{sensor.Gone, sensor.Gone}, classes(problems))
			assert.Contains(t, problems[0].Error(), socket2)
			assert.Contains(t, problems[1].Error(), dram2)
		}
		assert.Len(t, k.live, 2, "events of the others")

		online(t, root, k)
		var after map[string]sensor.Reading
		for range 5 { // the scan is at most 5 s away
			after, _, _ = tick()
		}
		require.Len(t, after, 4)
		for id := range before {
			assert.Same(t, before[id].Part, after[id].Part, id)
		}
		opened := len(k.opened)
		rs, problems, e := tick()
		assert.Empty(t, problems)
		assert.True(t, e.Has(energy.Accepted))
		assert.Len(t, k.opened, opened)

		// 300 J before, 100 J in each tick since it is open again. What was used between
		// is unknown and not invented; nothing was taken back.
		since := k.value(pkgEvent, 18) / joule
		require.GreaterOrEqual(t, since, uint64(100))
		assert.EqualValues(t, (300+since)*1_000_000, rs[socket2].Energy)
		assert.EqualValues(t, (200+since)*1_000_000, sum)
		assert.Zero(t, ledger.Stats().Resets)
		assert.Zero(t, ledger.Stats().Suspects)
		assert.Zero(t, ledger.Debt())
	})
}

// value returns the count of the live event.
func (k *script) value(config uint64, cpu int) uint64 {
	for _, e := range k.live {
		if e.config == config && e.cpu == cpu {
			return e.sample.value
		}
	}
	return 0
}

// The package goes and returns between two scans: only that the event stands still
// tells, since the kernel keeps answering.
func TestC19PackageGoesAndReturnsUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newScript()
		s := mustOpen(t, tree(t, "xeon-2s"), Config{}, k)
		k.count(pkgEvent, 18, 7*joule)
		_, _ = read(t, s)
		time.Sleep(time.Second)
		k.kill(18)
		rs, problems := read(t, s)
		assert.Len(t, rs, 4)
		require.Equal(t, []sensor.Class{sensor.Gone, sensor.Gone}, classes(problems), "what was lost is said …")
		assert.Contains(t, problems[0].Error(), "stopped counting")
		assert.Contains(t, problems[0].Remedy, "not counted")
		assert.EqualValues(t, 7_000_000, rs[socket2].Energy)

		k.count(pkgEvent, 18, 2*joule)
		time.Sleep(time.Second)
		rs, problems = read(t, s)
		assert.Empty(t, problems, "… once")
		assert.EqualValues(t, 9_000_000, rs[socket2].Energy)
		assert.Len(t, k.live, 4)
	})
}

func TestC12StandingCountIsNotAnEndedEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newScript() // it runs and counts nothing
		s := mustOpen(t, tree(t, "xeon-2s"), Config{}, k)
		for range 20 {
			rs, problems := read(t, s)
			assert.Len(t, rs, 4)
			assert.Empty(t, problems)
			time.Sleep(time.Second)
		}
		assert.Len(t, k.opened, 4)
	})
}

func TestTwoReadsWithinAStepOfTheKernelsClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newScript()
		s := mustOpen(t, tree(t, "epyc-1s"), never, k)
		_, _ = read(t, s)
		k.kill(0)
		time.Sleep(99 * time.Millisecond)
		rs, problems := read(t, s)
		assert.Len(t, rs, 1)
		assert.Empty(t, problems)
		time.Sleep(time.Millisecond)
		_, problems = read(t, s)
		assert.Len(t, problems, 1)
	})
}

// The first CPU of a package goes and another stands in: the kernel moves the event,
// which loses nothing.
func TestC19AnotherCPUOfThePackageTakesOver(t *testing.T) {
	root, k := tree(t, "xeon-2s"), newScript()
	s := mustOpen(t, root, often, k)
	_, _ = read(t, s)
	set(t, root, mask, "1,18\n")
	k.count(pkgEvent, 0, 5*joule)
	rs, problems := read(t, s)
	assert.Empty(t, problems)
	assert.EqualValues(t, 5_000_000, rs["perf:package-0"].Energy)
	assert.Len(t, k.opened, 4)
	assert.Empty(t, k.closed)
}

func TestASocketThatWasOfflineAtTheStartAppears(t *testing.T) {
	root, k := tree(t, "xeon-2s"), newScript()
	set(t, root, mask, "0\n")
	s := mustOpen(t, root, often, k)
	rs, _ := read(t, s)
	assert.Len(t, rs, 2)
	set(t, root, mask, "0,18\n")
	rs, problems := read(t, s)
	assert.Len(t, rs, 4)
	assert.Empty(t, problems)
}

// While only one die of a machine is online nothing tells that it has more. Then
// its part has to go, or the die would be counted twice.
func TestADieThatWasOfflineAtTheStartAppears(t *testing.T) {
	root, k := tree(t, "cascadelake-ap"), newScript()
	set(t, root, mask, "0\n")
	s := mustOpen(t, root, often, k)
	rs, _ := read(t, s)
	assert.Equal(t, []string{"perf:package-0", "perf:package-0/dram"}, ids(rs))
	set(t, root, mask, "0,24\n")
	rs, problems := read(t, s)
	assert.Empty(t, problems)
	assert.Equal(t, []string{"perf:package-0-die-0", "perf:package-0-die-0/dram", "perf:package-0-die-1", "perf:package-0-die-1/dram"}, ids(rs))
	assert.Len(t, k.live, 4)
	set(t, root, mask, "0\n")
	rs, _ = read(t, s)
	assert.NotContains(t, rs, "perf:package-0")
}

func TestDriverIsLoadedAnew(t *testing.T) {
	root, k := tree(t, "epyc-1s"), newScript()
	s := mustOpen(t, root, often, k)
	k.count(pkgEvent, 0, 4*joule)
	_, _ = read(t, s)
	set(t, root, dir+"type", "12\n")
	_, _ = read(t, s)
	k.count(pkgEvent, 0, 3*joule)
	rs, problems := read(t, s)
	assert.Empty(t, problems)
	assert.EqualValues(t, 7_000_000, rs["perf:package-0"].Energy)
	assert.Len(t, k.live, 1)
	assert.EqualValues(t, 12, k.opened[1].typ)
}

func TestDriverIsUnloaded(t *testing.T) {
	root, k := tree(t, "epyc-1s"), newScript()
	k.refuse = func(uint64, int) error { return unix.EACCES }
	s := mustOpen(t, root, often, k)
	k.refuse = func(uint64, int) error { return unix.ENOENT }
	remove(t, root, dir, "sys/bus/event_source/devices/power")
	for range 2 {
		rs, problems := read(t, s)
		assert.Empty(t, rs)
		assert.NotEmpty(t, problems)
	}
}

func TestReadErrors(t *testing.T) {
	for _, c := range []struct {
		err    error
		class  sensor.Class
		opened int
	}{
		{unix.EIO, sensor.IO, 1},
		{errShort, sensor.IO, 1},
		{errEnded, sensor.Gone, 2},
		{unix.ENODEV, sensor.Gone, 2},
	} {
		t.Run("C15 "+c.err.Error(), func(t *testing.T) {
			k := newScript()
			s := mustOpen(t, tree(t, "epyc-1s"), never, k)
			k.count(pkgEvent, 0, 2*joule)
			_, _ = read(t, s)
			k.fail = c.err
			for range 3 {
				rs, problems := read(t, s)
				assert.Empty(t, rs)
				assert.Equal(t, []sensor.Class{c.class}, classes(problems))
			}
			assert.Len(t, k.opened, c.opened, "not again before the next scan")
			ctx := t.Context()
			assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = s.Read(ctx, nil) }))

			k.fail = nil
			s.rescan(time.Now())
			k.count(pkgEvent, 0, 3*joule) // C20: arrives with the next good read, where the event lives on
			rs, problems := read(t, s)
			assert.Empty(t, problems)
			assert.GreaterOrEqual(t, rs["perf:package-0"].Energy, unit.Microjoules(2_000_000))
			if c.opened == 1 {
				assert.EqualValues(t, 5_000_000, rs["perf:package-0"].Energy)
			}
		})
	}
}

func TestEventThatTheKernelNeverRuns(t *testing.T) {
	k := newScript()
	s := mustOpen(t, tree(t, "epyc-1s"), often, k)
	k.kill(0)
	for range 3 {
		rs, problems := read(t, s)
		assert.Empty(t, rs, "0 J would be wrong")
		require.Equal(t, []sensor.Class{sensor.IO}, classes(problems))
		assert.Contains(t, problems[0].Error(), "does not run")
	}
	assert.Len(t, k.opened, 1)
}

func TestCloseClosesAllEvents(t *testing.T) {
	k := newScript()
	s := mustOpen(t, tree(t, "cascadelake-ap"), never, k)
	require.Len(t, k.live, 8)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	assert.Empty(t, k.live)
	assert.Len(t, k.closed, 8)
}

func TestTopologyWithoutEndCostsBoundedMemory(t *testing.T) {
	root := tree(t, "epyc-1s")
	s := mustOpen(t, root, never, refusing(unix.EACCES))
	for i := range maxCounters + 50 {
		r := &scan{dir: root, typ: 9, events: []event{{pkg, pkgEvent, power()}}, places: []place{{0, i, 0}}}
		s.update(r)
	}
	assert.Len(t, s.counters, maxCounters)
}

func BenchmarkReadFourEvents(b *testing.B) {
	k := newScript()
	s := mustOpen(b, tree(b, "xeon-2s"), never, k)
	ctx := b.Context()
	dst, err := s.Read(ctx, nil)
	if err != nil || len(dst) != 4 {
		b.Fatal(fmt.Errorf("%d readings: %w", len(dst), err))
	}
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = s.Read(ctx, dst[:0])
	}
}

func BenchmarkScanTwoSockets(b *testing.B) {
	s := mustOpen(b, tree(b, "xeon-2s"), never, newScript())
	b.ReportAllocs()
	for b.Loop() {
		s.rescan(time.Now())
	}
}
