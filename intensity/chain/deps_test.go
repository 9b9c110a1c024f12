package chain_test

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

const mod = "github.com/otelcarbon/otelcarbon"

func TestDependencies(t *testing.T) {
	deptest.Only(t, mod+"/intensity", "github.com/hashicorp/golang-lru/v2", "github.com/cenkalti/backoff/v5", "golang.org/x/time/rate")
	deptest.Never(t, "a chain is handed its providers", mod+"/intensity/offline", mod+"/intensity/static")
}
