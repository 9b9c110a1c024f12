package watttime_test

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

const mod = "github.com/otelcarbon/otelcarbon"

// The module itself is allowed because its top package embeds clouds.csv.
func TestDependencies(t *testing.T) {
	deptest.Only(t, mod)
	deptest.Never(t, "a provider is one upstream", mod+"/intensity/chain", mod+"/intensity/offline", mod+"/receiver", mod+"/processor")
}
