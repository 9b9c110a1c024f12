package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// counter is one energy_uj file.
type counter struct {
	dir      string // below <root>/sys/devices/virtual/powercap
	name     string
	modulus  uint64 // µJ: max_energy_range_uj plus one unit of the hardware
	maxRange uint64 // µJ
	watts    float64
	maxPower uint64 // µW, in constraint_0_max_power_uw
	twin     int    // index of the counter that this one shows again, or -1
	counted  bool   // part of what the receiver is to report

	value uint64 // µJ, as the file shows it
	drawn uint64 // µJ since the tree began
	wraps int
	carry float64
}

// tree is a powercap tree whose counters a goroutine advances as the hardware
// would. It is frozen until run is called.
type tree struct {
	t        testing.TB
	root     string
	counters []*counter
	stop     chan struct{}
	wg       sync.WaitGroup
}

// twoSockets is a two-socket machine with DRAM, psys and an MMIO view of the
// first package. Power is far above that of real machines and the counters begin
// below their ends, so that those of real size wrap within seconds: in 20 s each
// package once, the DRAM of the first twice (10 kJ and 75.7 kJ at 3.9 kW), that of
// the second once. Limits are four times the power: this tree advances in steps, and
// on a busy machine in large ones, which must not look like glitches.
//
// Units: 61.035 µJ for packages (max 262 143 328 850, modulus one unit, 61 µJ,
// more), 15.3 µJ for DRAM (max 65 712 999 613, modulus 65 712 999 628).
func twoSockets(t testing.TB) *tree {
	t.Helper()
	const (
		pkgMax, pkgMod   = 262_143_328_850, 262_143_328_911
		dramMax, dramMod = 65_712_999_613, 65_712_999_628
		kJ               = 1_000_000_000 // µJ
	)
	return newTree(t, []*counter{
		{dir: "intel-rapl/intel-rapl:0", name: "package-0", modulus: pkgMod, maxRange: pkgMax, watts: 4_321, maxPower: 9_500_000_000, twin: -1, counted: true, value: pkgMax - 20*kJ},
		{dir: "intel-rapl/intel-rapl:0/intel-rapl:0:0", name: "dram", modulus: dramMod, maxRange: dramMax, watts: 3_876.5, maxPower: 8_000_000_000, twin: -1, counted: true, value: dramMax - 10*kJ},
		{dir: "intel-rapl/intel-rapl:0/intel-rapl:0:1", name: "core", modulus: pkgMod, maxRange: pkgMax, watts: 3_000, maxPower: 9_500_000_000, twin: -1, value: 1},
		{dir: "intel-rapl/intel-rapl:1", name: "package-1", modulus: pkgMod, maxRange: pkgMax, watts: 3_800.25, maxPower: 9_500_000_000, twin: -1, counted: true, value: pkgMax - 40*kJ},
		{dir: "intel-rapl/intel-rapl:1/intel-rapl:1:0", name: "dram", modulus: dramMod, maxRange: dramMax, watts: 3_000, maxPower: 8_000_000_000, twin: -1, counted: true, value: dramMax},
		{dir: "intel-rapl/intel-rapl:2", name: "psys", modulus: pkgMod, maxRange: pkgMax, watts: 4_500, maxPower: 9_900_000_000, twin: -1, value: 42},
		{dir: "intel-rapl-mmio/intel-rapl-mmio:0", name: "package-0", modulus: pkgMod, maxRange: pkgMax, twin: 0, maxPower: 9_500_000_000},
	})
}

func newTree(t testing.TB, counters []*counter) *tree {
	t.Helper()
	tr := &tree{t: t, root: t.TempDir(), counters: counters, stop: make(chan struct{})}
	class := filepath.Join(tr.root, "sys/class/powercap")
	require.NoError(t, os.MkdirAll(class, 0o755))
	for _, c := range counters {
		dir := tr.dir(c)
		require.NoError(t, os.MkdirAll(dir, 0o755))
		tr.write(c, "name", c.name)
		tr.write(c, "max_energy_range_uj", strconv.FormatUint(c.maxRange, 10))
		tr.write(c, "enabled", "0")
		tr.write(c, "constraint_0_name", "long_term")
		tr.write(c, "constraint_0_max_power_uw", strconv.FormatUint(c.maxPower, 10))
		target, err := filepath.Rel(class, dir)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(target, filepath.Join(class, filepath.Base(dir))))
	}
	for _, c := range counters {
		tr.show(c)
	}
	require.NoError(t, os.MkdirAll(filepath.Join(tr.root, "etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(tr.root, "etc/machine-id"), []byte("0123456789abcdef0123456789abcdef\n"), 0o600))
	t.Cleanup(tr.freeze)
	return tr
}

func (tr *tree) dir(c *counter) string {
	return filepath.Join(tr.root, "sys/devices/virtual/powercap", c.dir)
}

func (tr *tree) write(c *counter, file, content string) {
	require.NoError(tr.t, os.WriteFile(filepath.Join(tr.dir(c), file), []byte(content+"\n"), 0o644))
}

// show replaces energy_uj in one step, so that no reader sees half a number.
func (tr *tree) show(c *counter) {
	v := c.value
	if c.twin >= 0 {
		v = tr.counters[c.twin].value
	}
	path := filepath.Join(tr.dir(c), "energy_uj")
	next := path + ".next"
	if err := os.WriteFile(next, fmt.Appendln(nil, v), 0o600); err != nil {
		tr.t.Error(err)
	}
	if err := os.Rename(next, path); err != nil {
		tr.t.Error(err)
	}
}

// run lets the counters advance, 50 times a second.
func (tr *tree) run() {
	tr.wg.Go(func() {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		last := time.Now()
		for {
			select {
			case <-tr.stop:
				return
			case now := <-ticker.C:
				tr.advance(now.Sub(last))
				last = now
			}
		}
	})
}

func (tr *tree) advance(d time.Duration) {
	for _, c := range tr.counters {
		c.carry += c.watts * d.Seconds() * 1e6
		step := uint64(c.carry)
		c.carry -= float64(step)
		c.drawn += step
		c.value += step
		for c.value >= c.modulus {
			c.value -= c.modulus
			c.wraps++
		}
	}
	for _, c := range tr.counters {
		tr.show(c)
	}
}

// freeze stops the counters. It may be called twice.
func (tr *tree) freeze() {
	select {
	case <-tr.stop:
	default:
		close(tr.stop)
	}
	tr.wg.Wait()
}

// truth is the energy in µJ that the counted parts have drawn, and the number of
// their wraps.
func (tr *tree) truth() (drawn uint64, wraps int) {
	for _, c := range tr.counters {
		if c.counted {
			drawn += c.drawn
			wraps += c.wraps
		}
	}
	return drawn, wraps
}
