package nvml

import (
	"go/build"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
)

func TestDependencies(t *testing.T) {
	const mod = "github.com/otelcarbon/otelcarbon/internal/"
	deptest.Only(t, mod+"energy", mod+"names", mod+"sensor", mod+"unit", "github.com/NVIDIA/go-nvml")
	deptest.Never(t, "a sensor is read by the ledger's owner and knows no other", mod+"sensor/all", mod+"sensor/model")
}

// Whoever builds without the tag, without cgo or for another system needs
// neither go-nvml nor a C compiler.
func TestOnlyTheTagBringsTheLibrary(t *testing.T) {
	for _, c := range []struct {
		system string
		cgo    bool
		tags   []string
		want   bool
	}{
		{"linux", true, nil, false},
		{"linux", false, []string{"nvml"}, false},
		{"windows", true, []string{"nvml"}, false},
		{"darwin", true, []string{"nvml"}, false},
		{"linux", true, []string{"nvml"}, true},
	} {
		context := build.Default
		context.GOOS, context.CgoEnabled, context.BuildTags = c.system, c.cgo, c.tags
		p, err := context.ImportDir(".", 0)
		require.NoError(t, err)
		got := strings.Contains(strings.Join(p.Imports, " "), "go-nvml")
		assert.Equal(t, c.want, got, "%+v", c)
	}
}
