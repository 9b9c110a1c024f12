package rows_test

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

func TestDependencies(t *testing.T) {
	deptest.Only(t, "github.com/otelcarbon/otelcarbon/intensity")
	deptest.Pure(t)
}
