package bmc

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

// Of the IPMI library only the ioctl part is used: its client brings terminals and
// tables along.
func TestDependencies(t *testing.T) {
	const mod = "github.com/otelcarbon/otelcarbon/internal/"
	deptest.Only(t, mod+"sensor", mod+"unit", "golang.org/x/sys/unix", "github.com/bougou/go-ipmi/pkg/open")
	deptest.Never(t, "a sensor is read by the ledger's owner and knows no other", mod+"sensor/all", mod+"sensor/model", mod+"sensor/rapl")
}
