//go:build nvml && cgo && linux

package gpu_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon"
	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/gpu"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

const (
	// hardwareTime is the variable that has the test of this file run, as those of the
	// sensor, and for about how long: it needs a GPU, and a python3 with PyTorch.
	hardwareTime = "OTELCARBON_TEST_GPU"
	// rankOf makes this program a rank. Its value is how long and how much its load works.
	rankOf = "OTELCARBON_TEST_GPU_RANK"
	// learn is how long the idle power is learned, and late after how long the driver has
	// told all.
	learn, late = 15 * time.Second, 4 * time.Second
)

// load multiplies matrices for argv[1] seconds, argv[2] of the time, once it is told to, and
// says how often it did.
const load = `
import sys, time, torch
seconds, part = float(sys.argv[1]), float(sys.argv[2])
a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
a @ a
torch.cuda.synchronize()
print("ready", flush=True)
sys.stdin.readline()
end, n = time.time() + seconds, 0
while time.time() < end:
    began = time.time()
    while time.time() < began + 0.2 * part:
        for _ in range(4):
            a @ a
        torch.cuda.synchronize()
        n += 4
    time.sleep(0.2 * (1 - part))
print(n, flush=True)
`

func TestMain(m *testing.M) {
	if args := os.Getenv(rankOf); args != "" {
		if err := rank(strings.Fields(args)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// worked is what a rank or a load says in the end.
type worked struct {
	Products float64
	Joules   float64
}

// rank measures itself and its load. It begins, and the load does, when it is told to.
func rank(args []string) error {
	m, err := carbon.Start(carbon.WithZone("FR"), carbon.WithGPUs(gpu.Open), carbon.WithChildren())
	if err != nil {
		return err
	}
	time.Sleep(learn) // while nobody holds the GPU
	p, err := begin(exec.Command("python3", append([]string{"-c", load}, args...)...))
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	_, task := m.Task(context.Background(), "load")
	products, err := p.end()
	if err != nil {
		return err
	}
	time.Sleep(late)
	r := task.End()
	fmt.Fprintln(os.Stderr, r, m.Describe())
	text, err := json.Marshal(worked{products, r.Energy.GPU})
	if err != nil {
		return err
	}
	fmt.Println(string(text))
	return m.Shutdown(context.Background())
}

// running is a program that says "ready", works when it is told to, and tells what it did.
type running struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func begin(cmd *exec.Cmd) (*running, error) {
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &running{cmd, in, bufio.NewReader(out)}
	if line, err := p.out.ReadString('\n'); line != "ready\n" {
		return nil, fmt.Errorf("%s: want ready: %q, %w", cmd.Path, line, err)
	}
	return p, nil
}

func (p *running) tell() error { _, err := fmt.Fprintln(p.in, "go"); return err }

func (p *running) hear() (string, error) {
	line, err := p.out.ReadString('\n')
	if err != nil {
		return "", err
	}
	return line, p.cmd.Wait()
}

// end is tell and hear of a load.
func (p *running) end() (products float64, err error) {
	if err := p.tell(); err != nil {
		return 0, err
	}
	line, err := p.hear()
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscan(line, &products)
	return products, err
}

// Three programs use a GPU: two ranks, each by a child and one four times as long as the
// other, and a stranger. What ranks get is about in proportion to their work, as far as the
// utilization that the driver samples is, and with what the stranger would get in that
// proportion it is what the card drew above idle: nothing twice.
func TestHardwareRanksTakeTheirShares(t *testing.T) {
	text := os.Getenv(hardwareTime)
	if text == "" {
		t.Skip("needs an NVIDIA GPU and PyTorch: set " + hardwareTime + " to a duration such as 60s")
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err)
	card, err := gpu.Open()
	require.NoError(t, err)
	defer func() { require.NoError(t, card.Close()) }()
	self, err := os.Executable()
	require.NoError(t, err)
	before := counted(t, card)
	time.Sleep(5 * time.Second)
	from := counted(t, card)
	idle := (from.joules - before.joules) / from.at.Sub(before.at).Seconds()

	args := func(part float64) []string { return []string{fmt.Sprint(d.Seconds()), fmt.Sprint(part)} }
	var all [3]*running
	var failed [2]error
	var ranked sync.WaitGroup
	for i, part := range []float64{0.8, 0.2} {
		ranked.Go(func() {
			cmd := exec.CommandContext(t.Context(), self)
			cmd.Env = append(os.Environ(), rankOf+"="+strings.Join(args(part), " "))
			all[i], failed[i] = begin(cmd)
		})
	}
	ranked.Wait()
	require.NoError(t, errors.Join(failed[:]...))
	all[2], err = begin(exec.CommandContext(t.Context(), "python3", append([]string{"-c", load}, args(0.4)...)...))
	require.NoError(t, err)
	from = counted(t, card)
	for _, p := range all {
		require.NoError(t, p.tell())
	}
	var did [3]worked
	for i, p := range all {
		line, err := p.hear()
		require.NoError(t, err)
		if i == 2 {
			_, err = fmt.Sscan(line, &did[i].Products)
		} else {
			err = json.Unmarshal([]byte(line), &did[i])
		}
		require.NoError(t, err)
	}
	to := counted(t, card)
	drew := to.joules - from.joules
	used := drew - idle*to.at.Sub(from.at).Seconds()
	products := did[0].Products + did[1].Products + did[2].Products
	ranks := did[0].Joules + did[1].Joules
	t.Logf("idle %.1f W; the card drew %.0f J, %.0f J above idle; ranks and stranger: %+v", idle, drew, used, did)
	t.Logf("ranks %.0f J, by their products %.0f J; one to the other %.2f, by products %.2f", ranks,
		used*(did[0].Products+did[1].Products)/products, did[0].Joules/did[1].Joules, did[0].Products/did[1].Products)
	assert.LessOrEqual(t, ranks, used*1.02)
	assert.InEpsilon(t, used*(did[0].Products+did[1].Products)/products, ranks, 0.15)
	assert.InEpsilon(t, did[0].Products/did[1].Products, did[0].Joules/did[1].Joules, 0.3)
}

type count struct {
	at     time.Time
	joules float64
}

func counted(t *testing.T, card sensor.Sensor) (c count) {
	t.Helper()
	all, err := card.Read(t.Context(), nil)
	require.NoError(t, err)
	for _, r := range all {
		if r.Part.Role == sensor.Primary {
			c.at, c.joules = r.At, c.joules+r.Energy.Joules()
		}
	}
	return c
}
