package carbonprocessor

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

func TestDependencies(t *testing.T) {
	const mod = "github.com/otelcarbon/otelcarbon"
	deptest.Never(t, "a face imports no other face", mod+"/receiver", mod+"/instrumentation", mod+"/cmd")
	deptest.Never(t, "only the receiver and the command look at this machine", mod+"/internal/host", mod+"/internal/sensor/all", mod+"/internal/ledger")
}
