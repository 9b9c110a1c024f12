package wire_test

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

const mod = "github.com/otelcarbon/otelcarbon"

func TestDependencies(t *testing.T) {
	deptest.Only(t, mod+"/intensity")
}
