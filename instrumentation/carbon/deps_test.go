package carbon_test

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

func TestDependencies(t *testing.T) {
	const mod = "github.com/otelcarbon/otelcarbon"
	deptest.Only(t, mod, "go.opentelemetry.io/otel", "github.com/hashicorp/golang-lru/v2", "golang.org/x/sys", "golang.org/x/time/rate",
		"github.com/cenkalti/backoff/v5", "github.com/go-logr", "github.com/cespare/xxhash/v2", "go.opentelemetry.io/auto/sdk")
	deptest.Never(t, "applications must not inherit the Collector, the SDK or the libraries of its sensors",
		"go.opentelemetry.io/collector", "go.opentelemetry.io/otel/sdk", "google.golang.org", "github.com/shirou/gopsutil", "github.com/NVIDIA/go-nvml",
		mod+"/internal/host", mod+"/internal/sensor/all", mod+"/internal/sensor/nvml", mod+"/receiver", mod+"/processor")
}
