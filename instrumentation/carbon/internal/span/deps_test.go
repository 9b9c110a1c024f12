package span_test

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

func TestDependencies(t *testing.T) {
	const mod = "github.com/otelcarbon/otelcarbon"
	deptest.Only(t, mod+"/internal/names", mod+"/instrumentation/carbon/internal/clock",
		"go.opentelemetry.io/otel/attribute", "go.opentelemetry.io/otel/trace", "go.opentelemetry.io/otel/codes",
		"go.opentelemetry.io/otel/internal", "go.opentelemetry.io/otel/semconv",
		"go.opentelemetry.io/auto/sdk", "github.com/cespare/xxhash/v2")
}
