package workload

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

const (
	podV2 = "/kubepods.slice/kubepods-pod1b4e28ba_2fa1_11d2_883f_0016d3cca427.slice"
	podV1 = "/kubepods/burstable/pod" + uidA
)

func TestC68ContainerConfinedToOneSocket(t *testing.T) {
	f := unpack(t, "two-sockets-v2.txtar")
	m := f.open(Config{Containers: true, Memory: true})
	told := m.told()
	require.NoError(t, m.err)
	box := podV2 + "/cri-containerd-" + hexA + ".scope"
	assert.Equal(t, 1, told[box].Socket, "CPUs 2 and 4; 3 is offline and says nothing")
	assert.Equal(t, -1, told[podV2].Socket)
	assert.Len(t, told, 2, "a link is not followed")

	// Weights of the newer formula: 290 of 4 CPUs is more than the older gives for all of
	// them. 100 is 1024 shares, one CPU; the pod has 138, which is 1.5, half of it its own.
	assert.InDelta(t, 1000, told[box].Request, 15)
	assert.InDelta(t, 500, told[podV2].Request, 40)
	assert.EqualValues(t, 4_000_000, told[box].Memory)
	assert.EqualValues(t, 1_000_000, told[podV2].Memory, "what its container does not hold")

	busy := m.r.Busy()
	assert.Equal(t, []SocketBusy{{Socket: 0}, {Socket: 1}}, busy.Sockets)
	assert.EqualValues(t, 16384<<10, busy.Memory)
	assert.Equal(t, 4, busy.CPUs)

	f.write("proc/stat", "cpu0 4 0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\ncpu2 0 0 1 0 0 0 0 0 0 0\ncpu4 0 0 0 0 0 0 0 0 0 0\nintr\n")
	m.read()
	assert.Equal(t, []SocketBusy{{Socket: 0, CPU: 20 * ms}, {Socket: 1, CPU: 10 * ms}}, m.r.Busy().Sockets, "bounded by 20 ms and what time there was")
	require.NoError(t, os.Remove(filepath.Join(f.root, "proc/stat")))
}

// From a private cgroup namespace the paths in /proc/PID/cgroup are relative to its root.
func TestC64FindFromAPrivateCgroupNamespace(t *testing.T) {
	m := unpack(t, "two-sockets-v2.txtar").open(Config{Containers: true})
	m.read()
	w := m.r.Find(42)
	require.NotNil(t, w)
	assert.Equal(t, hexA, w.ContainerID)
	assert.Equal(t, uidA, w.PodUID)
	assert.Equal(t, "containerd", w.Runtime)
	assert.Equal(t, Pod, w.Parent.Kind)
}

func TestC64HybridModeCountsInVersion1(t *testing.T) {
	f := unpack(t, "hybrid-v1.txtar")
	f.v1 = true
	m := f.open(Config{Containers: true, Memory: true})
	told := m.told()
	require.NoError(t, m.err)
	assert.EqualValues(t, 250, told[podV1+"/"+hexA].Request)
	assert.EqualValues(t, 50, told[podV1].Request, "300 of the pod, 250 of its container")
	assert.EqualValues(t, 2_000_000, told[podV1].Memory)
	require.NotNil(t, m.r.Find(77))
	assert.Equal(t, hexA, m.r.Find(77).ContainerID)

	f.use(podV1+"/"+hexA, 30*ms)
	for _, p := range []string{podV1, "/kubepods/burstable", "/kubepods", ""} {
		f.use(p, 33*ms)
	}
	assert.Equal(t, map[string]time.Duration{podV1 + "/" + hexA: 30 * ms, podV1 + " exited": 3 * ms}, m.cpu())
}

func TestOpenWithoutAMachine(t *testing.T) {
	_, err := Open(t.TempDir(), Config{})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "root_path")
	var p *sensor.Problem
	require.ErrorAs(t, err, &p)
}

func TestReaderOfThisMachine(t *testing.T) {
	r, err := Open("/", Config{Containers: true, Processes: true, Memory: true, Owner: true, Top: 10})
	require.NoError(t, err)
	m := &machine{t: t, r: r}
	m.read()
	for range 3 {
		time.Sleep(20 * ms)
		m.read()
	}
	require.NotNil(t, r.Find(os.Getpid()))
	assert.Equal(t, os.Getpid(), r.Find(os.Getpid()).PID)
	m.read()
	w := r.Find(os.Getpid())
	assert.InDelta(t, float64(time.Now().Unix()), float64(w.Created.Unix()), 600)
	assert.NotEmpty(t, w.Owner)
	require.NoError(t, r.Close())
	require.NoError(t, r.Close())
	_, err = r.Read(t.Context(), nil)
	require.ErrorIs(t, err, os.ErrClosed)
	assert.Nil(t, r.Find(1))
	assert.Zero(t, r.Stats().Files)
}

func TestABudgetOfFewFilesIsEnough(t *testing.T) {
	f, move := containers(t, 20)
	m := f.open(Config{Containers: true})
	m.r.files.limit = 5
	move(1)
	m.read()
	move(3)
	assert.Equal(t, 40*ms, sum(m.read()))
	assert.LessOrEqual(t, m.r.Stats().Files, 5)
}

func TestFilesReadEachTimeTakeThePlaceOfOthers(t *testing.T) {
	dir := t.TempDir()
	b := budget{limit: 1}
	var one, two handle
	var buf [16]byte
	path := func(name string) func() string {
		p := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(p, []byte(name), 0o600))
		return func() string { return p }
	}
	onePath, twoPath := path("one"), path("two")
	for _, c := range []struct {
		now      uint32
		h        *handle
		path     func() string
		oneStays bool
	}{{1, &one, onePath, true}, {2, &two, twoPath, true}, {6, &two, twoPath, true}, {7, &two, twoPath, false}, {8, &one, onePath, false}} {
		b.now = c.now
		got, err := b.read(c.h, c.path, buf[:])
		require.NoError(t, err)
		assert.Equal(t, filepath.Base(c.path()), string(got))
		assert.Equal(t, c.oneStays, one.isOpen(), c.now)
		assert.Len(t, b.slots, 1)
	}
	b.shutAll()
	assert.False(t, two.isOpen())
}
