package gpu

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

// The only part of the instrumentation that reaches go-nvml, and nothing else beside.
func TestDependencies(t *testing.T) {
	const internal = "github.com/otelcarbon/otelcarbon/internal/"
	deptest.Only(t, internal+"energy", internal+"names", internal+"sensor", internal+"unit", "github.com/NVIDIA/go-nvml")
	deptest.Never(t, "one sensor is opened by name", internal+"host", internal+"sensor/all")
}
