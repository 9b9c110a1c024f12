package intensity_test

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

// Applications import this package for its words alone.
func TestDependencies(t *testing.T) {
	deptest.Only(t)
	deptest.Pure(t)
}
