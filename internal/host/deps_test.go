package host

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

// gopsutil brings relatives for Windows and the BSDs; no other package may need
// them, and this one needs nothing of ours.
func TestDependencies(t *testing.T) {
	deptest.Only(t,
		"github.com/shirou/gopsutil/v3",
		"golang.org/x/sys",
		// gopsutil's own requirements
		"github.com/tklauser", "github.com/shoenig/go-m1cpu", "github.com/yusufpapurcu/wmi",
		"github.com/go-ole/go-ole", "github.com/lufia/plan9stats", "github.com/power-devops/perfstat",
	)
}
