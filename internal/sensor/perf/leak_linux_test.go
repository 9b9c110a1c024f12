package perf

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// What was opened before it turned out to be of no use is closed: it is tried each minute.
func TestNothingIsLeftOpenWherePsysIsAllThereIs(t *testing.T) {
	root := tree(t, "xeon-spr")
	set(t, root, "proc/cpuinfo", "vendor_id : GenuineIntel\nflags : hypervisor\n")
	remove(t, root, events+"energy-pkg", events+"energy-ram")
	k := newScript()
	for range 3 {
		_, err := openWith(root, often, k)
		require.Error(t, err)
	}
	require.Empty(t, k.live, "descriptors left open: %d opened, %d closed", len(k.opened), len(k.closed))
}

// The permission comes later than 10 s after the start: psys is not told to count nothing
// in the very Read that opens it.
func TestC14_psysHasItsTimeFromWhenItIsOpened(t *testing.T) {
	root := tree(t, "xeon-spr")
	remove(t, root, events+"energy-pkg", events+"energy-ram")
	k := newScript()
	denied := true
	k.refuse = func(uint64, int) error {
		if denied {
			return unix.EACCES
		}
		return nil
	}
	s := mustOpen(t, root, often, k)
	_, ps := read(t, s)
	require.NotEmpty(t, ps)
	denied = false
	_, ps = read(t, s)
	require.Empty(t, ps)
}
