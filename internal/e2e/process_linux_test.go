package e2e

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const lateWorker = "late"

// handleLate says that it is ready before it handles signals, as a collector does, and ends
// well at SIGTERM. It asks for SIGHUP first, which is not enough.
func handleLate() {
	fmt.Fprintln(os.Stdout, "ready")
	time.Sleep(200 * time.Millisecond)
	heard := make(chan os.Signal, 2)
	signal.Notify(heard, syscall.SIGHUP)
	time.Sleep(200 * time.Millisecond)
	signal.Notify(heard, syscall.SIGTERM)
	for sig := range heard {
		fmt.Fprintln(os.Stdout, sig)
		if sig == syscall.SIGTERM {
			return
		}
	}
}

// Without the wait in signal both would kill it.
func TestSignalsWaitForTheirHandlers(t *testing.T) {
	p := runWith(t, []string{workerKey + "=" + lateWorker}, "/proc/self/exe")
	says := func(line string) func() bool {
		return func() bool { return strings.Contains(p.logs(), line) }
	}
	p.await(says("ready"), "a first line")
	p.signal(syscall.SIGHUP)
	p.await(says(syscall.SIGHUP.String()), "a sign of SIGHUP")
	p.stop()
	require.True(t, says(syscall.SIGTERM.String())(), p.logs())
}
