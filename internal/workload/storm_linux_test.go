package workload

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// counterOf reads the counter of a real cgroup.
func (m *machine) counterOf(path string) time.Duration {
	m.t.Helper()
	b, err := os.ReadFile(m.r.at.tree + path + "/" + m.r.at.usage)
	require.NoError(m.t, err)
	parse := parseUsageV1
	if m.r.at.v2 {
		parse = parseUsage
	}
	ns, ok := parse(b)
	require.True(m.t, ok)
	return time.Duration(ns)
}

// below sums up what is told of a path and what is below it.
func below(us []Usage, path string) (all, survivors, exited time.Duration) {
	for _, u := range us {
		if u.Of == nil || len(u.Of.Path) < len(path) || u.Of.Path[:len(path)] != path {
			continue
		}
		all += u.CPU
		switch {
		case u.Share == Exited:
			exited += u.CPU
		case u.Of.Kind == Process && !u.Ended:
			survivors += u.CPU
		}
	}
	return all, survivors, exited
}

func TestC60ForkStormOfRealProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("starts thousands of processes")
	}
	both(t, func(t *testing.T, v1 bool) {
		m, folder, path := onHost(t, !v1, Config{Containers: true, Processes: true})
		box := cgroup(t, filepath.Join(folder, hexA))
		path += "/" + hexA
		sleeper, forker := start(t, box), start(t, box)
		m.read()
		require.NoError(t, m.err)
		before := m.r.descend(path).last
		var told, exited time.Duration
		per := map[int]time.Duration{}
		for range 5 {
			forker.do("fork 400")
			us := m.read()
			a, _, e := below(us, path)
			told += a
			exited += e
			for _, u := range us {
				if u.Of != nil && u.Of.Kind == Process {
					per[u.Of.PID] += u.CPU
				}
			}
		}
		forker.stop()
		sleeper.stop()
		for range 2 { // its parent is read before it, and may owe it something
			a, _, e := below(m.read(), path)
			told, exited = told+a, exited+e
		}
		after := m.counterOf(path)
		assert.Equal(t, after-time.Duration(before), told, "every nanosecond of the group is told")
		assert.Greater(t, exited, told/4, "2000 programs were started and ended")
		assert.LessOrEqual(t, per[sleeper.cmd.Process.Pid], 3*tick, "who slept is charged for no more than its own ticks")
	})
}

func TestC62RealGroupsThatVanish(t *testing.T) {
	both(t, func(t *testing.T, v1 bool) {
		m, folder, path := onHost(t, !v1, Config{Containers: true})
		box := filepath.Join(folder, hexA)
		cgroup(t, box)
		p := start(t, box)
		m.read()
		p.do("spin 50")
		us := m.read()
		all, _, _ := below(us, path)
		assert.InDelta(t, 50, all.Milliseconds(), 40)
		p.do("spin 30")
		p.stop()
		require.Eventually(t, func() bool { return os.Remove(box) == nil }, 5*time.Second, 5*ms)
		require.NoError(t, os.Mkdir(box, 0o755)) // C63: the same name
		q := start(t, box)
		q.do("spin 20")
		us = m.read()
		all, _, _ = below(us, path)
		var ended, born *Workload
		for _, u := range us {
			switch {
			case u.Of == nil || u.Of.ContainerID != hexA:
			case u.Ended:
				ended = u.Of
			default:
				born = u.Of
			}
		}
		require.NotNil(t, ended)
		require.NotNil(t, born)
		assert.NotSame(t, ended, born)
		assert.GreaterOrEqual(t, all, 20*ms, "of 50 ms on a machine that others may use")
		q.stop()
	})
}

func TestFindOfRealProcesses(t *testing.T) {
	both(t, func(t *testing.T, v1 bool) {
		m, folder, path := onHost(t, !v1, Config{Containers: true})
		p := start(t, cgroup(t, filepath.Join(folder, hexB)))
		m.read()
		w := m.r.Find(p.cmd.Process.Pid)
		require.NotNil(t, w)
		assert.Equal(t, path+"/"+hexB, w.Path)
		assert.Equal(t, hexB, w.ContainerID)
		assert.Nil(t, m.r.Find(-1))
		assert.Nil(t, m.r.Find(1<<30))
	})
}
