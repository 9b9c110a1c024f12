package e2e

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// program returns the path that an environment variable has, or skips the test and says how
// to get it.
func program(t testing.TB, variable, how string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Skipf("%s is not set: it names a program that this test starts; run %s", variable, how)
	}
	return path
}

// process is a child of the test. It does not outlive it, and what it wrote is shown if the
// test fails.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait, once done is closed

	mu  sync.Mutex
	log bytes.Buffer
}

// run starts a program, and waits for nothing.
func run(t testing.TB, path string, args ...string) *process {
	t.Helper()
	return runWith(t, nil, path, args...)
}

// runWith adds to the environment.
func runWith(t testing.TB, env []string, path string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	out, in, err := os.Pipe()
	require.NoError(t, err)
	p.cmd.Stdout, p.cmd.Stderr = in, in
	err = p.cmd.Start()
	in.Close()
	require.NoError(t, err)
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer out.Close()
		lines := bufio.NewReader(out)
		for {
			line, err := lines.ReadString('\n')
			p.mu.Lock()
			p.log.WriteString(line)
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	go func() {
		<-read
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("output of %s:\n%s", filepath.Base(path), p.logs())
		}
	})
	return p
}

// kill sends SIGKILL and waits for the end. It may be called twice.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop sends SIGTERM and waits for a clean exit.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
		require.NoError(p.t, p.err, "%s does not stop cleanly; its output:\n%s", p.cmd.Path, p.logs())
	case <-time.After(patience):
		p.t.Fatalf("%s does not stop; its output:\n%s", p.cmd.Path, p.logs())
	}
}

// signal sends one that the program is to handle, once it does. A collector says that it is
// ready, and takes data, some moments before it asks for signals; one that comes in between
// ends it like a program that handles none.
func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	p.await(func() bool { return p.handles(sig) }, "a handler of "+sig.String())
	require.NoError(p.t, p.cmd.Process.Signal(sig))
}

// handles reports whether a program in Go has asked for a signal (os/signal.Notify). The
// table of its handlers does not tell, as the runtime catches every signal. But for
// os/signal it has a thread that blocks all signals except those that were asked for
// (ensureSigM in runtime/signal_unix.go of Go 1.26). SIGUSR2 stands for one that no program
// here asks for. Where there is no /proc nothing is known, and it says yes.
func (p *process) handles(sig syscall.Signal) bool {
	threads, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "task", "*", "status"))
	if err != nil || len(threads) == 0 {
		return true
	}
	for _, thread := range threads {
		status, _ := os.ReadFile(thread) // it may have ended
		_, after, _ := strings.Cut(string(status), "\nSigBlk:\t")
		text, _, _ := strings.Cut(after, "\n")
		// Bit n-1 is signal n: proc(5). The number of SIGUSR2 is that of Linux; other systems
		// may not have the name.
		const sigusr2 = syscall.Signal(12)
		blocked, _ := strconv.ParseUint(text, 16, 64)
		blocks := func(s syscall.Signal) bool { return blocked&(1<<(s-1)) != 0 }
		if blocks(sigusr2) && !blocks(sig) {
			return true
		}
	}
	return false
}

// ended reports whether the process has come to its end.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// await polls until ready says so. It fails when the process ends before.
func (p *process) await(ready func() bool, what string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !ready(); time.Sleep(20 * time.Millisecond) {
		require.False(p.t, p.ended(), "%s has ended, and there is not %s; its output:\n%s", p.cmd.Path, what, p.logs())
		require.True(p.t, time.Now().Before(deadline), "after %v there is not %s; output of %s:\n%s", patience, what, p.cmd.Path, p.logs())
	}
}

func (p *process) logs() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}
