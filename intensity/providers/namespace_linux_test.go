package providers_test

import (
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/chain"
	"github.com/otelcarbon/otelcarbon/intensity/offline"
	"github.com/otelcarbon/otelcarbon/intensity/providers"
)

const inNamespace = "OTELCARBON_TEST_NAMESPACE"

// In a network namespace without any route an offline chain answers as everywhere, and one
// that is not falls back to the tables, says so, and says why.
func TestWithoutANetwork(t *testing.T) {
	if os.Getenv(inNamespace) == "" {
		unshare, err := exec.LookPath("unshare")
		if err != nil {
			t.Skip("there is no program unshare, of util-linux, to make a network namespace")
		}
		if out, err := exec.CommandContext(t.Context(), unshare, "--map-root-user", "--net", "true").CombinedOutput(); err != nil {
			t.Skipf("a network namespace cannot be made here: %v: %s", err, out)
		}
		child := exec.CommandContext(t.Context(), unshare, "--map-root-user", "--net", os.Args[0], "-test.run=^TestWithoutANetwork$", "-test.v")
		child.Env = append(os.Environ(), inNamespace+"=1")
		out, err := child.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return
	}
	tables, err := offline.New(offline.Options{})
	require.NoError(t, err)
	live, err := providers.New("uk_national_grid", providers.Options{})
	require.NoError(t, err)
	q := intensity.Query{Location: intensity.Location{Country: "GB"}}
	for _, off := range []bool{true, false} {
		var mu sync.Mutex
		var asked []error
		src, err := chain.New(chain.Config{Offline: off, Hooks: chain.Hooks{Request: func(_, _ string, _ time.Duration, err error) {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, err)
		}}}, live, tables)
		require.NoError(t, err)
		slot, err := src.At(t.Context(), q, time.Now())
		require.NoError(t, err)
		require.NoError(t, src.Close())
		assert.Equal(t, intensity.Periodic, slot.Quality)
		mu.Lock()
		said := asked
		mu.Unlock()
		if off {
			assert.Empty(t, said, "no socket")
			continue
		}
		require.NotEmpty(t, said)
		require.ErrorIs(t, said[0], intensity.KindUpstream)
		assert.NotZero(t, slot.Flags&intensity.FellBack)
	}
}
