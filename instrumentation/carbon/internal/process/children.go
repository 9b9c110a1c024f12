package process

import (
	"math/bits"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// children is what ended children cost, but for GPUs, of which they have their use (see
// family). While they lived they were others; when the kernel tells their CPU time, that
// was long ago, so they get of what all others used since Open the part that their time
// has of the others' time.
type children struct {
	known bool
	time  time.Duration // of those that count
	taken time.Duration // of others' time
	sum   sums
}

// take moves the energy of children of which the kernel has told more CPU time by now.
// others is what all other processes used, in the time othersTime.
func (c *children) take(ended time.Duration, others *sums, othersTime time.Duration) {
	if !c.known {
		c.known, c.time = true, ended
		return
	}
	more := ended - c.time
	left := othersTime - c.taken
	if more <= 0 || left <= 0 {
		return // the latter comes when it has been told that others were busy
	}
	c.time = ended
	part := min(more, left)
	for t := range others {
		for m := range others[t] {
			c.sum[t][m] += portion(others[t][m]-min(c.sum[t][m], others[t][m]), part, left)
		}
	}
	c.taken += part
}

// portion is e · part ÷ whole, rounded down.
func portion(e unit.Microjoules, part, whole time.Duration) unit.Microjoules {
	hi, lo := bits.Mul64(uint64(e), uint64(part)) //nolint:gosec // 0 < part ≤ whole
	q, _ := bits.Div64(hi, lo, uint64(whole))     //nolint:gosec // so it fits
	return unit.Microjoules(q)
}
