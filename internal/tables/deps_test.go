package tables

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

const mod = "github.com/otelcarbon/otelcarbon"

func TestDependencies(t *testing.T) {
	// The root package's path is a prefix of all others, so these stand apart.
	for _, p := range []string{"/cmd", "/instrumentation", "/intensity", "/processor", "/receiver"} {
		deptest.Never(t, "tables are the lowest layer: everything else looks things up in them", mod+p)
	}
	for _, p := range []string{"emission", "energy", "host", "ledger", "names", "sensor", "workload"} {
		deptest.Never(t, "tables are the lowest layer: everything else looks things up in them", mod+"/internal/"+p)
	}
	deptest.Only(t, mod)
	deptest.Pure(t)
}
