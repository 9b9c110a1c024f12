package workload

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

func both(t *testing.T, test func(t *testing.T, v1 bool)) {
	t.Helper()
	for _, v1 := range []bool{false, true} {
		t.Run(map[bool]string{false: "v2", true: "v1"}[v1], func(t *testing.T) { test(t, v1) })
	}
}

func TestC64AContainerHasWhatItsCounterSays(t *testing.T) {
	both(t, func(t *testing.T, v1 bool) {
		f := newTree(t, v1)
		f.use("/docker", 5000*ms)
		f.use("/docker/"+hexA, 3000*ms)
		f.use("/docker/"+hexB, 2000*ms)
		m := f.open(Config{Containers: true})
		require.Empty(t, m.read(), "the first Read is the baseline")
		require.NoError(t, m.err)

		// A 100 ms, B 50 ms, 7 ms of a container that came and went.
		f.use("/docker/"+hexA, 3100*ms)
		f.use("/docker/"+hexB, 2050*ms)
		f.use("/docker", 5157*ms)
		assert.Equal(t, map[string]time.Duration{"/docker/" + hexA: 100 * ms, "/docker/" + hexB: 50 * ms, "machine exited": 7 * ms}, m.cpu())
		require.NoError(t, m.err)
		assert.Empty(t, m.read())
	})
}

// Children are read after their parent and are ahead of it. What they are ahead by is
// told with the next Read, not as somebody else's.
func TestC58ReadSkewIsNobodysWork(t *testing.T) {
	both(t, func(t *testing.T, v1 bool) {
		f := newTree(t, v1)
		f.use("/docker", 0)
		f.use("/docker/"+hexA, 0)
		m := f.open(Config{Containers: true})
		m.read()
		f.use("/docker", 100*ms)
		f.use("/docker/"+hexA, 103*ms)
		assert.Equal(t, map[string]time.Duration{"/docker/" + hexA: 100 * ms}, m.cpu())
		f.use("/docker", 200*ms)
		f.use("/docker/"+hexA, 200*ms)
		assert.Equal(t, map[string]time.Duration{"/docker/" + hexA: 100 * ms}, m.cpu())
	})
}

func TestC62GroupsThatVanish(t *testing.T) {
	pod := "/kubepods/burstable/pod" + uidA
	start := func(t *testing.T, v1 bool) (*tree, *machine) {
		f := newTree(t, v1)
		f.use("/kubepods", 0)
		f.use("/kubepods/burstable", 0)
		f.use(pod, 0)
		f.use(pod+"/"+hexA, 0)
		f.use(pod+"/"+hexB, 0)
		m := f.open(Config{Containers: true})
		m.read()
		// A uses 300 ms, B 100 ms in the interval before.
		time.Sleep(2 * ms)
		f.use(pod+"/"+hexA, 300*ms)
		f.use(pod+"/"+hexB, 100*ms)
		for _, p := range []string{pod, "/kubepods/burstable", "/kubepods"} {
			f.use(p, 400*ms)
		}
		require.Equal(t, map[string]time.Duration{pod + "/" + hexA: 300 * ms, pod + "/" + hexB: 100 * ms}, m.cpu())
		return f, m
	}
	both(t, func(t *testing.T, v1 bool) {
		t.Run("one has what is left", func(t *testing.T) {
			f, m := start(t, v1)
			f.remove(pod + "/" + hexA)
			f.use(pod+"/"+hexB, 120*ms)
			for _, p := range []string{pod, "/kubepods/burstable", "/kubepods"} {
				f.use(p, 470*ms)
			}
			told := m.told()
			assert.Equal(t, 50*ms, told[pod+"/"+hexA].CPU)
			assert.True(t, told[pod+"/"+hexA].Ended)
			assert.Equal(t, 20*ms, told[pod+"/"+hexB].CPU)
			assert.Len(t, told, 2)
		})
		t.Run("two share it by what they used before", func(t *testing.T) {
			f, m := start(t, v1)
			f.remove(pod + "/" + hexA)
			f.remove(pod + "/" + hexB)
			for _, p := range []string{pod, "/kubepods/burstable", "/kubepods"} {
				f.use(p, 440*ms)
			}
			told := m.told()
			assert.Equal(t, 30*ms, told[pod+"/"+hexA].CPU)
			assert.Equal(t, 10*ms, told[pod+"/"+hexB].CPU)
			assert.True(t, told[pod+"/"+hexB].Ended)
		})
		t.Run("a whole pod", func(t *testing.T) {
			f, m := start(t, v1)
			f.remove(pod)
			for _, p := range []string{"/kubepods/burstable", "/kubepods"} {
				f.use(p, 440*ms)
			}
			told := m.told()
			assert.Equal(t, 30*ms, told[pod+"/"+hexA].CPU)
			assert.Equal(t, 10*ms, told[pod+"/"+hexB].CPU)
			assert.Equal(t, 40*ms, sum(m.buf))
			assert.Equal(t, 2, m.r.Stats().Cgroups)
		})
		t.Run("C63 the same name is another container", func(t *testing.T) {
			f, m := start(t, v1)
			was := m.buf
			f.use(pod+"/x", 0) // takes an inode, so that the file system gives another one
			f.remove(pod + "/" + hexA)
			f.use(pod+"/"+hexA, 15*ms)
			for _, p := range []string{pod, "/kubepods/burstable", "/kubepods"} {
				f.use(p, 440*ms)
			}
			_ = was
			all := m.read()
			assert.Equal(t, 40*ms, sum(all))
			var ended, born int
			for _, u := range all {
				if u.Ended {
					ended++
				} else if u.Of.ContainerID == hexA {
					born++
					assert.Equal(t, 15*ms, u.CPU)
				}
			}
			assert.Equal(t, []int{1, 1}, []int{ended, born}, fmt.Sprint(all))
		})
	})
}
