package workload

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The test binary is also the processes that the tests look at.
const childKey = "OTELCARBON_WORKLOAD_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childKey) != "" {
		child()
		return
	}
	os.Exit(m.Run())
}

// child does what a test says on its standard input, a word for each line, until that
// ends: "spin 30" runs for so many milliseconds, "fork 100" runs so many programs.
func child() {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		word, rest, _ := strings.Cut(in.Text(), " ")
		n, _ := strconv.Atoi(rest)
		switch word {
		case "spin":
			for end := time.Now().Add(time.Duration(n) * time.Millisecond); ; {
				if time.Now().After(end) {
					break
				}
			}
		case "fork":
			for range n {
				c := exec.Command("/bin/true")
				c.Env = []string{}
				_ = c.Run()
			}
		case "name": // PR_SET_NAME: comm of this thread; the main thread is that of the process
			_ = os.WriteFile("/proc/self/comm", []byte(rest), 0)
		}
		fmt.Fprintln(os.Stdout, "done")
	}
}

type proc struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// start starts a child inside a cgroup.
func start(t testing.TB, folders ...string) *proc {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childKey+"=1", "GOMAXPROCS=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &proc{t: t, cmd: cmd, in: in, out: bufio.NewReader(out)}
	t.Cleanup(p.stop)
	p.do("ready")
	for _, f := range folders {
		require.NoError(t, os.WriteFile(f+"/cgroup.procs", []byte(strconv.Itoa(cmd.Process.Pid)), 0))
	}
	return p
}

func (p *proc) do(what string) {
	p.t.Helper()
	_, err := fmt.Fprintln(p.in, what)
	require.NoError(p.t, err)
	_, err = p.out.ReadString('\n')
	require.NoError(p.t, err)
}

func (p *proc) stop() {
	if p.cmd.ProcessState == nil {
		_ = p.in.Close()
		_ = p.cmd.Wait()
	}
}

// onHost opens the machine that the test runs on and makes a cgroup there that the test may
// fill. It skips where that is not allowed.
func onHost(t testing.TB, v2 bool, c Config) (m *machine, folder, path string) {
	t.Helper()
	r, err := Open("/", c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	if r.at.v2 != v2 {
		if !v2 || !exists("/sys/fs/cgroup/unified/cgroup.controllers") {
			t.Skipf("this machine counts in %q", r.at.tree)
		}
		top := "/sys/fs/cgroup/unified"
		r.at = layout{v2: true, tree: top, cpu: top, memory: top, cpuset: top, usage: "cpu.stat", held: "memory.current", reserved: "cpu.weight", confined: "cpuset.cpus.effective"}
	}
	if r.at.tree == "" {
		t.Skip("this machine has no cgroups")
	}
	path = fmt.Sprintf("/otelcarbon-test-%d-%s", os.Getpid(), filepath.Base(t.TempDir()))
	folder = r.at.tree + path
	cgroup(t, folder)
	return &machine{t: t, r: r}, folder, path
}

// cgroup makes a cgroup, and removes it when the test ends.
func cgroup(t testing.TB, folder string) string {
	t.Helper()
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Skipf("no cgroup can be made here: %v", err)
	}
	t.Cleanup(func() {
		for range 100 { // processes take a moment to leave
			if err := os.Remove(folder); err == nil || os.IsNotExist(err) {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("%s stays behind", folder)
	})
	return folder
}
