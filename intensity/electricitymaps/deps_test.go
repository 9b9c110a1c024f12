package electricitymaps_test

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

const mod = "github.com/otelcarbon/otelcarbon"

// The module itself is allowed because its top package embeds clouds.csv.
func TestDependencies(t *testing.T) {
	deptest.Only(t, mod)
	for _, p := range []string{"/receiver", "/processor", "/instrumentation", "/cmd", "/intensity/chain", "/intensity/offline", "/internal/ledger", "/internal/sensor"} {
		deptest.Never(t, "a provider is one upstream and nothing around it", mod+p)
	}
}
