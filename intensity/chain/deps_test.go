package chain_test

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

func TestDependencies(t *testing.T) {
	const mod = "github.com/otelcarbon/otelcarbon"
	deptest.Only(t, mod+"/intensity", "github.com/hashicorp/golang-lru/v2")
	deptest.Never(t, "a chain is handed its providers", mod+"/intensity/offline", mod+"/intensity/static")
}
