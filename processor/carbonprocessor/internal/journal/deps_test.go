package journal

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

func TestDependencies(t *testing.T) {
	deptest.Never(t, "what is stored knows nothing of what is done with it", "github.com/otelcarbon/otelcarbon")
	deptest.Never(t, "the storage is handed in", "go.etcd.io/bbolt", "github.com/open-telemetry", "os", "net")
}
