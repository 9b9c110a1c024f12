package battery

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

// Applications may open this sensor by name, so what it needs is in their go.mod.
func TestDependencies(t *testing.T) {
	const mod = "github.com/otelcarbon/otelcarbon/internal/"
	deptest.Only(t, mod+"names", mod+"sensor", mod+"unit", "golang.org/x/sys/unix")
	deptest.Never(t, "a sensor is read by the ledger's owner and knows no other", mod+"sensor/all", mod+"sensor/rapl")
}
