package spanprocessor_test

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

func TestDependencies(t *testing.T) {
	deptest.Never(t, "applications must not inherit the collector", "go.opentelemetry.io/collector", "github.com/open-telemetry")
	deptest.Never(t, "applications without gRPC must not inherit it", "google.golang.org/grpc")
	const mod = "github.com/otelcarbon/otelcarbon"
	deptest.Only(t, mod+"/internal/names", mod+"/instrumentation/carbon",
		"go.opentelemetry.io/otel", "go.opentelemetry.io/auto/sdk",
		"github.com/cespare/xxhash/v2", "github.com/go-logr", "github.com/google/uuid", "golang.org/x/sys")
}
