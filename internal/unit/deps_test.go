package unit_test

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

func TestDependencies(t *testing.T) {
	deptest.Only(t) // every package uses it, so it may use none
	deptest.Pure(t)
}
