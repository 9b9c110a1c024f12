package process

import (
	"testing"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

// What this package reaches, every application that measures itself gets into its
// go.mod: golang.org/x/sys and no more.
func TestDependencies(t *testing.T) {
	const mod = "github.com/otelcarbon/otelcarbon"
	const internal = mod + "/internal/"
	deptest.Only(t, mod, mod+"/data", internal+"energy", internal+"idle", internal+"ledger", internal+"names",
		internal+"sensor", internal+"sysfs", internal+"tables", internal+"unit", internal+"usage", "golang.org/x/sys")
	deptest.Never(t, "go mod tidy ignores build tags, so their requirements would enter every application's go.mod",
		internal+"host", internal+"sensor/all", internal+"sensor/nvml")
	deptest.Never(t, "an application's own energy needs no network and starts nothing", "net", "net/http", "os/exec")
}
