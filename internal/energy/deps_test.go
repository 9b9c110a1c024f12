package energy_test

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

const module = "github.com/otelcarbon/otelcarbon"

// Arithmetic knows quantities and nothing of the world.
func TestDependencies(t *testing.T) {
	deptest.Only(t, module+"/internal/unit")
	deptest.Pure(t)
}
