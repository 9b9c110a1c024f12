package clock_test

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

func TestDependencies(t *testing.T) {
	deptest.Only(t)
	deptest.Pure(t)
}
