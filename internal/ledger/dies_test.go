package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
)

// Two distinct dies of 50 and 60 W. perf loses die 1 after 10 s and die 0 after 40 s, or one
// after the other; rapl reads both all the time and takes over. 100 s × 110 W.
func TestDiesThatFallSilentOneAfterTheOther(t *testing.T) {
	for _, last := range []int{40, 11} {
		b := open(t, ledger.Config{})
		b.run(0, 100,
			source{part: rapl(die(0, 0, false)), watts: 50}, source{part: rapl(die(0, 1, false)), watts: 60},
			source{part: perf(die(0, 0, false)), watts: 50, last: last}, source{part: perf(die(0, 1, false)), watts: 60, last: 10})
		assert.Equal(t, 11_000*j, b.account("host").Energy)
	}
}
