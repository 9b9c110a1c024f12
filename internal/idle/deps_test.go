package idle_test

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

// Receiver and instrumentation learn alike, each with the busy time that it knows.
func TestDependencies(t *testing.T) {
	const mod = "github.com/otelcarbon/otelcarbon/internal/"
	deptest.Only(t, mod+"energy", mod+"ledger", mod+"sensor", mod+"unit", mod+"usage")
	deptest.Pure(t)
}
