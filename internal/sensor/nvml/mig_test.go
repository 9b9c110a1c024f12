package nvml

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cut is a GPU in MIG mode with instances of these numbers of slices.
func cut(uuid string, sizes ...int) *fakeGPU {
	g := hopper(uuid)
	g.migStatus, g.mig, g.slices = success, true, 7
	g.partition(sizes...)
	return g
}

func (g *fakeGPU) partition(sizes ...int) {
	g.instances = nil
	for i, n := range sizes {
		g.instances = append(g.instances, migInstance{id: i + 1, slices: n, devices: []string{fmt.Sprintf("MIG-%s-%d-%d", g.uuid[4:], i, n)}})
	}
}

func TestInstances(t *testing.T) {
	t.Run("C53_slices in no instance are told", func(t *testing.T) {
		r := mustOpen(t, machine(cut("GPU-a1", 3, 2), hopper("GPU-b2"), cut("GPU-c3", 7)), Config{})
		_, ps := read(t, r)
		require.Empty(t, ps)
		a, c := r.core.gpus[0].part, r.core.gpus[2].part
		assert.Equal(t, []Instance{
			{GPU: a, ID: 1, Slices: 3, Total: 7, Devices: []string{"MIG-a1-0-3"}},
			{GPU: a, ID: 2, Slices: 2, Total: 7, Devices: []string{"MIG-a1-1-2"}},
			{GPU: a, ID: unallocated, Slices: 2, Total: 7},
			{GPU: c, ID: 1, Slices: 7, Total: 7, Devices: []string{"MIG-c3-0-7"}},
		}, r.Instances(nil))
	})
	t.Run("C53_read again when mode or instances change, and only then", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := cut("GPU-a1")
			g.mig = false
			r := mustOpen(t, machine(g), Config{})
			tick := func() (rs []Instance) {
				time.Sleep(10 * time.Second)
				got, ps := read(t, r)
				require.Empty(t, ps)
				require.Len(t, got, 1, "the energy of the GPU goes on")
				return r.Instances(nil)
			}
			assert.Empty(t, tick())
			assert.Zero(t, g.listed)

			g.mig = true
			assert.Len(t, tick(), 1, "all of it unallocated")
			g.partition(3, 3)
			assert.Len(t, tick(), 3)
			g.partition(4, 3)
			assert.Len(t, tick(), 2)
			assert.Equal(t, 3, g.listed)
			for range 10 {
				assert.Len(t, tick(), 2)
			}
			assert.Equal(t, 3, g.listed, "enumeration is slow")

			g.mig = false
			assert.Empty(t, tick())
		})
	})
	t.Run("C53_within the interval nothing is asked", func(t *testing.T) {
		g := cut("GPU-a1", 7)
		r := mustOpen(t, machine(g), Config{})
		for range 10 {
			read(t, r)
		}
		assert.Equal(t, 1, g.layouts)
	})
	t.Run("C53_there is no utilization under MIG, and it comes back", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := cut("GPU-a1", 7)
			g.uses = []useSample{}
			g.lists = map[ProcessKind][]process{compute: {{pid: 7, instance: 1, memory: 5}, {pid: 7, instance: 2, memory: 6}}}
			r := mustOpen(t, machine(g), Config{Processes: true})
			_, ps := read(t, r)
			require.Empty(t, ps)
			part := r.core.gpus[0].part
			assert.Equal(t, []ProcessUse{
				{GPU: part, PID: 7, Instance: 1, Kind: compute, Memory: 5},
				{GPU: part, PID: 7, Instance: 2, Kind: compute, Memory: 6},
			}, r.Processes(nil))

			g.mig, g.lists = false, map[ProcessKind][]process{}
			time.Sleep(10 * time.Second)
			read(t, r)
			time.Sleep(time.Second)
			g.uses = []useSample{{7, stamp(time.Now()), 100}}
			read(t, r)
			assert.Equal(t, []ProcessUse{{GPU: part, PID: 7, Instance: unallocated, Busy: time.Second}}, r.Processes(nil))
		})
	})
	t.Run("C53_instances that cannot be listed are a problem of their own", func(t *testing.T) {
		g := cut("GPU-a1", 7)
		g.migStatus = noPermission
		rs, ps := read(t, mustOpen(t, machine(g), Config{}))
		assert.Len(t, rs, 1)
		assert.Contains(t, ps, "GPU-a1: MIG instances")
	})
	t.Run("more slices than there are", func(t *testing.T) {
		r := mustOpen(t, machine(cut("GPU-a1", 7, 7)), Config{})
		read(t, r)
		assert.Len(t, r.Instances(nil), 2)
	})
}
