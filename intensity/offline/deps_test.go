package offline_test

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

const mod = "github.com/otelcarbon/otelcarbon"

// The module itself is allowed because its top package embeds clouds.csv.
func TestDependencies(t *testing.T) {
	deptest.Only(t, mod)
	deptest.Never(t, "values come from tables, whoever asks for them",
		mod+"/receiver", mod+"/processor", mod+"/instrumentation", mod+"/cmd", mod+"/intensity/chain",
		mod+"/internal/sensor", mod+"/internal/ledger", mod+"/internal/host", "net", "os")
}
