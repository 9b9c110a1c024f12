package workload

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMilliOfShares(t *testing.T) {
	// The kubelet rounds down: 100 thousandths are 102.4 shares.
	for shares, want := range map[uint64]uint32{0: 0, 2: 0, 3: 3, 102: 100, 256: 250, 512: 500, 1024: 1000, 1536: 1500, 262144: 256000, 1 << 60: 0} {
		assert.Equal(t, want, milliOfShares(shares), shares)
	}
}

func TestMilliOfWeight(t *testing.T) {
	// Older: 1024 shares → 1 + 1022·9999 ÷ 262142 = 1 + 38 = 39, as all from 999 to 1024.
	// Newer: 1024 shares → log₂ is 10, (100 + 1250) ÷ 612 − 7 ÷ 34 = 2, weight 100.
	assert.EqualValues(t, 39, weightOfShares(1024))
	assert.EqualValues(t, 100, newWeightOfShares(1024))
	assert.EqualValues(t, 1, newWeightOfShares(2))
	assert.EqualValues(t, 10000, newWeightOfShares(262144))
	for _, weight := range []uint64{0, 1, 10001} {
		assert.Zero(t, milliOfWeight(weight, false))
		assert.Zero(t, milliOfWeight(weight, true))
	}
	for milli := uint32(50); milli < 200_000; milli += milli/7 + 1 {
		shares := uint64(milli) * 1024 / 1000
		// A weight of the older formula is 26 shares wide: half of it, and rounding.
		assert.InDelta(t, milli, milliOfWeight(weightOfShares(shares), false), 15, "older, %d", milli)
		// One of the newer is coarser than that only where the weights are small.
		assert.InEpsilon(t, milli, milliOfWeight(newWeightOfShares(shares), true), 0.06, "newer, %d", milli)
	}
}

func TestIsNewer(t *testing.T) {
	// 4 CPUs of which 0.1 are the system's: 3993 shares. 8 CPUs less 1: 7168.
	for _, c := range []struct {
		shares uint64
		cpus   int
	}{{3993, 4}, {7168, 8}, {62000, 64}, {194000, 192}} {
		assert.False(t, isNewer(weightOfShares(c.shares), c.cpus))
		assert.True(t, isNewer(newWeightOfShares(c.shares), c.cpus))
	}
	assert.False(t, isNewer(newWeightOfShares(1024), 4), "three of four CPUs reserved: ambiguous")
	assert.False(t, isNewer(10000, 0))
}
