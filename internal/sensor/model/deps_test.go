package model

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

const mod = "github.com/otelcarbon/otelcarbon"

// Applications open this sensor by name: it must bring neither gopsutil (host)
// nor the other sensors into their go.mod. The root package is the table of clouds.
func TestDependencies(t *testing.T) {
	deptest.Only(t, mod)
	deptest.Never(t, "the model stands on the tables alone",
		mod+"/internal/host", mod+"/internal/ledger", mod+"/internal/sensor/rapl", mod+"/internal/sensor/all",
		mod+"/intensity", mod+"/receiver", mod+"/processor", mod+"/cmd")
	deptest.Never(t, "the caller hands in what the machine says", "os", "net")
}
