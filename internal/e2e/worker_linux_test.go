package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The test binary is also the processes that use the machine.
const workerKey = "OTELCARBON_E2E_WORKER"

func TestMain(m *testing.M) {
	switch os.Getenv(workerKey) {
	case "":
		os.Exit(m.Run())
	case lateWorker:
		handleLate()
	default:
		work()
	}
}

// work does what a test says on its standard input, a word for each line, until that
// ends: "burn 30" uses so many milliseconds of CPU time, counted from the start of the
// process so that nothing else that it does is added to them; "fork 100" runs so many
// programs, one after the other.
func work() {
	var burnt time.Duration
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		word, rest, _ := strings.Cut(in.Text(), " ")
		n, _ := strconv.Atoi(rest)
		switch word {
		case "burn":
			for burnt += time.Duration(n) * time.Millisecond; used() < burnt; {
				continue
			}
		case "fork":
			for range n {
				c := exec.Command("/bin/true")
				c.Env = []string{}
				_ = c.Run()
			}
		default: // "ready": what starting took is behind it
			burnt = used()
		}
		fmt.Fprintln(os.Stdout, "done")
	}
}

func used() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano())
}

// worker is such a process. What it is told, it may be told from any goroutine.
type worker struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// employ starts a worker and moves it into a cgroup, if one is named.
func employ(t testing.TB, folder string, args ...string) *worker {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), workerKey+"=1", "GOMAXPROCS=1", "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	w := &worker{t: t, cmd: cmd, in: in, out: bufio.NewReader(out)}
	t.Cleanup(w.dismiss)
	w.do("ready")
	if folder != "" {
		w.join(folder)
	}
	return w
}

func (w *worker) pid() int { return w.cmd.Process.Pid }

func (w *worker) join(folder string) {
	w.t.Helper()
	assert.NoError(w.t, os.WriteFile(filepath.Join(folder, "cgroup.procs"), []byte(strconv.Itoa(w.pid())), 0))
}

// do returns when it is done.
func (w *worker) do(what string) {
	w.t.Helper()
	if _, err := fmt.Fprintln(w.in, what); err != nil {
		w.t.Errorf("%q: %v", what, err)
		return
	}
	if _, err := w.out.ReadString('\n'); err != nil {
		w.t.Errorf("%q: %v", what, err)
	}
}

// dismiss lets a worker end. It may be called twice.
func (w *worker) dismiss() {
	if w.cmd.ProcessState == nil {
		_ = w.in.Close()
		_ = w.cmd.Wait()
	}
}

// groups is a cgroup of the machine that a test may fill, where CPU time is counted.
type groups struct {
	t     testing.TB
	top   string // mount point of the hierarchy
	dir   string // below which containers are made as dockerd does without systemd
	usage string // file that counts
	n     atomic.Int64
}

// makeGroups skips the test where no cgroup can be made.
func makeGroups(t testing.TB) *groups {
	t.Helper()
	g := &groups{t: t}
	switch controllers, _ := os.ReadFile("/sys/fs/cgroup/cgroup.controllers"); {
	case strings.Contains(string(controllers), "cpu"):
		g.top, g.usage = "/sys/fs/cgroup", "cpu.stat"
	default:
		g.usage = "cpuacct.usage"
		for _, name := range []string{"cpu,cpuacct", "cpuacct,cpu", "cpuacct"} {
			if top := "/sys/fs/cgroup/" + name; exists(filepath.Join(top, g.usage)) {
				g.top = top
				break
			}
		}
	}
	if g.top == "" {
		t.Skip("this machine counts the CPU time of no cgroup")
	}
	own := filepath.Join(g.top, fmt.Sprintf("otelcarbon-e2e-%d-%s", os.Getpid(), filepath.Base(t.TempDir())))
	g.add(own)
	g.dir = filepath.Join(own, "docker")
	g.add(g.dir)
	return g
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (g *groups) add(folder string) {
	g.t.Helper()
	if err := os.Mkdir(folder, 0o755); err != nil {
		g.t.Skipf("no cgroup can be made here: %v", err)
	}
	g.t.Cleanup(func() { g.remove(folder) })
}

// container makes the cgroup of a container and returns its folder and its id.
func (g *groups) container() (folder, id string) {
	g.t.Helper()
	id = fmt.Sprintf("%032x%032x", os.Getpid(), g.n.Add(1))
	folder = filepath.Join(g.dir, id)
	g.again(folder)
	g.t.Cleanup(func() { g.remove(folder) })
	return folder, id
}

// pod makes the cgroups of a pod with one container for which one CPU is reserved, if that can be
// done: where version 1 counts, and has the attribute in a hierarchy of its own or the same.
func (g *groups) pod() (folder string, reserved bool) {
	g.t.Helper()
	const below = "kubepods/pod1b4e28ba-2fa1-11d2-883f-0016d3cca427"
	id := fmt.Sprintf("%032x%032x", os.Getpid(), g.n.Add(1))
	tops := []string{g.top}
	if own := "/sys/fs/cgroup/cpu"; g.usage != "cpu.stat" && g.top == own+"acct" && exists(own+"/cpu.shares") {
		tops = append(tops, own)
	}
	for _, top := range tops {
		path := strings.Replace(filepath.Dir(g.dir), g.top, top, 1)
		for name := range strings.SplitSeq(filepath.Join(below, id), "/") {
			if !exists(path) {
				g.add(path)
			}
			path = filepath.Join(path, name)
		}
		g.add(path)
		shares := filepath.Join(path, "cpu.shares") // 1024 for a CPU, which pods have from the start
		reserved = reserved || exists(shares) && os.WriteFile(shares, []byte("1024"), 0) == nil
	}
	return filepath.Join(filepath.Dir(g.dir), below, id), reserved
}

// again makes a cgroup that has been removed.
func (g *groups) again(folder string) {
	g.t.Helper()
	assert.NoError(g.t, os.Mkdir(folder, 0o755))
}

// remove removes a cgroup that the last process is leaving. It may be called twice.
func (g *groups) remove(folder string) {
	g.t.Helper()
	assert.Eventually(g.t, func() bool {
		err := os.Remove(folder)
		return err == nil || os.IsNotExist(err)
	}, patience, time.Millisecond, "%s cannot be removed", folder)
}

// cpu is the CPU time that a cgroup has used.
func (g *groups) cpu(folder string) time.Duration {
	g.t.Helper()
	raw, err := os.ReadFile(filepath.Join(folder, g.usage))
	require.NoError(g.t, err)
	text, scale := strings.TrimSpace(string(raw)), time.Nanosecond
	if g.usage == "cpu.stat" {
		rest, ok := strings.CutPrefix(text, "usage_usec ")
		require.True(g.t, ok, "%s begins with usage_usec", g.usage)
		text, scale = strings.Fields(rest)[0], time.Microsecond
	}
	n, err := strconv.ParseInt(text, 10, 64)
	require.NoError(g.t, err)
	return time.Duration(n) * scale
}

// all is the CPU time of all groups and, where it is told, of what runs beside them.
func (g *groups) all() (sum time.Duration) {
	g.t.Helper()
	if g.usage != "cpu.stat" {
		return g.cpu(g.top)
	}
	tops, err := filepath.Glob(filepath.Join(g.top, "*", g.usage))
	require.NoError(g.t, err)
	for _, file := range tops {
		sum += g.cpu(filepath.Dir(file))
	}
	return sum
}
