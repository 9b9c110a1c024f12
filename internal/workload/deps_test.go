package workload

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

// The ledger takes the types of this package, and applications open it by name.
func TestDependencies(t *testing.T) {
	const mod = "github.com/otelcarbon/otelcarbon/internal/"
	deptest.Only(t, mod+"energy", mod+"names", mod+"sensor", mod+"unit", mod+"usage", "golang.org/x/sys/unix")
	deptest.Never(t, "what a container is called is read from the tree of cgroups, not from a runtime or API server", "net", "net/http", "os/exec")
}
