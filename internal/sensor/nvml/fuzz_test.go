package nvml

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/energy"
)

func FuzzIdentity(f *testing.F) {
	for _, s := range []string{"GPU-4a3b1c2d-0000-1111-2222-333344445555", "MIG-GPU-4a3b/1/0", "MIG-4a3b", "0", "00000000:3B:00.0", "10000:e1:00.0", "\xff", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if address, ok := pciAddress(s); ok {
			if again, ok := pciAddress(address); !ok || again != address || address != strings.ToLower(address) {
				t.Errorf("%q becomes %q, and that %q", s, address, again)
			}
		}
		if saneUUID(s) && strings.ContainsAny(s, " \n\x00/\"") {
			t.Errorf("%q passes for a UUID", s)
		}
		if name := saneName(s); name == "" || len(name) > maxName {
			t.Errorf("the name %q becomes %q", s, name)
		}
		if isSelector(s) {
			matches(s, []candidate{{key: "GPU-4a", mig: func() []string { return []string{"MIG-4a"} }}})
		}
	})
}

// Whatever a driver answers, totals neither fall nor run ahead of time.
func FuzzSamples(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 200, 1, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		now := time.Unix(1_800_000_000, 0)
		begin := now
		n := &integral{gauge: energy.NewGauge(silence)}
		u := &users{}
		var told time.Duration
		for len(raw) >= 12 {
			at := stamp(now) - 2_000_000 + binary.LittleEndian.Uint64(raw)%10_000_000
			if raw[7] > 128 {
				at = binary.LittleEndian.Uint64(raw)
			}
			value := binary.LittleEndian.Uint32(raw[8:])
			raw = raw[12:]
			now = now.Add(time.Duration(value%3) * time.Second)
			before := n.total
			n.add([]powerSample{{at, uint64(value)}}, now)
			if n.total < before {
				t.Fatalf("the energy falls from %d to %d µJ", before, n.total)
			}
			u.begin(true)
			u.plan(now)
			for call := range u.calls {
				u.add([]useSample{{7, at, value}, {7, at + 1, value}, {8, at, 50}}, call, now)
			}
			u.end()
			for _, p := range u.all {
				if p.busy < 0 {
					t.Fatalf("busy for %v", p.busy)
				}
				if p.pid == 7 {
					told += p.busy
				}
			}
		}
		if told > now.Sub(begin) {
			t.Errorf("busy for %v of %v", told, now.Sub(begin))
		}
	})
}
