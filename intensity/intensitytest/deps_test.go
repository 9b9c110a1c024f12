package intensitytest_test

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

func TestDependencies(t *testing.T) {
	deptest.Never(t, "providers are tested without a collector", "go.opentelemetry.io")
}
