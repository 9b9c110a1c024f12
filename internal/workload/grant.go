package workload

import (
	"math"
	"math/bits"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// A claim is what a sub-group asks of what its parent was given.
type claim struct {
	amount uint64 // asked, in ns
	paid   uint64
}

// A splitter holds the memory for exact splits.
type splitter struct {
	weights []uint64
	into    []unit.Microjoules
}

// grant pays claims from an amount: in full if it suffices, else in proportion to the
// nanosecond. It returns what is left.
//
// The counter of a parent is read before those of its children, which therefore are
// ahead by what ran in between. What cannot be paid is asked for again with the next
// Read, so that a read a little late is never a process that nobody saw: nothing is left
// over unless it really ran elsewhere.
func (s *splitter) grant(amount uint64, claims []claim) (rest uint64) {
	var sum uint64
	for i := range claims {
		sum = saturating(sum, claims[i].amount)
	}
	if sum <= amount {
		for i := range claims {
			claims[i].paid = claims[i].amount
		}
		return amount - sum
	}
	s.begin(len(claims))
	for i := range claims {
		s.weights[i] = claims[i].amount
	}
	rest = s.split(amount)
	for i := range claims {
		claims[i].paid = uint64(s.into[i])
	}
	return rest
}

func (s *splitter) begin(n int) {
	if cap(s.weights) < n {
		s.weights = make([]uint64, n+n/2)
		s.into = make([]unit.Microjoules, n+n/2)
	}
	s.weights, s.into = s.weights[:n], s.into[:n]
}

// split is energy.Split of nanoseconds: it knows no unit.
func (s *splitter) split(amount uint64) (rest uint64) {
	return uint64(energy.Split(s.into, unit.Microjoules(amount), s.weights))
}

func saturating(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	if carry != 0 {
		return math.MaxUint64
	}
	return sum
}
