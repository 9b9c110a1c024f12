package place_test

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

const mod = "github.com/otelcarbon/otelcarbon"

// The module itself is allowed because its top package embeds clouds.csv.
func TestDependencies(t *testing.T) {
	deptest.Only(t, mod)
	for _, p := range []string{"/receiver", "/processor", "/instrumentation", "/cmd", "/intensity/chain", "/intensity/offline", "/internal/ledger"} {
		deptest.Never(t, "a zone comes from tables, whoever asks for it", mod+p)
	}
	deptest.Never(t, "nothing is looked up in a network, least of all the caller's address", "net")
	deptest.Pure(t)
}
