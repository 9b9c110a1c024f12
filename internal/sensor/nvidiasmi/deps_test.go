package nvidiasmi

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

func TestDependencies(t *testing.T) {
	const mod = "github.com/otelcarbon/otelcarbon/internal/"
	deptest.Only(t, mod+"names", mod+"sensor", mod+"unit", "golang.org/x/sys/unix")
	deptest.Never(t, "it exists for builds without cgo", mod+"sensor/nvml", "github.com/NVIDIA")
}
