package ledger_test

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

const module = "github.com/otelcarbon/otelcarbon"

// The books know amounts and what sensors are, not where readings come from nor
// where accounts go.
func TestDependencies(t *testing.T) {
	deptest.Only(t, module+"/internal/unit", module+"/internal/energy", module+"/internal/sensor", module+"/internal/usage")
	deptest.Never(t, "the types of package sensor are enough", module+"/internal/sensor/rapl", module+"/internal/sensor/model")
	deptest.Pure(t)
}
