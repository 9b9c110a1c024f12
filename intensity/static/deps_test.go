package static_test

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

func TestDependencies(t *testing.T) {
	const mod = "github.com/otelcarbon/otelcarbon"
	deptest.Only(t, mod+"/intensity", mod+"/internal/names")
	deptest.Never(t, "a constant needs no tables", mod+"/intensity/offline", mod+"/internal/tables")
	deptest.Pure(t)
}
