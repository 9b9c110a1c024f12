package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// thisMachine is a root folder with the cgroups and processes of this machine, and a
// socket of 150 W with 30 W of DRAM that no machine of ours has. Its package has an idle
// power of 40 W and its DRAM of 6 W, by configuration: what is learned here depends on
// who else is at work.
func thisMachine(t testing.TB) *tree {
	t.Helper()
	const (
		pkgMax, pkgMod   = 262_143_328_850, 262_143_328_911
		dramMax, dramMod = 65_712_999_613, 65_712_999_628
	)
	tr := newTree(t, []*counter{
		{dir: "intel-rapl/intel-rapl:0", name: "package-0", modulus: pkgMod, maxRange: pkgMax, watts: 150.25, maxPower: 600_000_000, twin: -1, counted: true, value: 1_234_567},
		{dir: "intel-rapl/intel-rapl:0/intel-rapl:0:0", name: "dram", modulus: dramMod, maxRange: dramMax, watts: 30.125, maxPower: 120_000_000, twin: -1, counted: true, value: 7_654_321},
	})
	require.NoError(t, os.Symlink("/proc", filepath.Join(tr.root, "proc")))
	require.NoError(t, os.MkdirAll(filepath.Join(tr.root, "sys/fs"), 0o755))
	require.NoError(t, os.Symlink("/sys/fs/cgroup", filepath.Join(tr.root, "sys/fs/cgroup")))
	return tr
}

// power is one receiver and its pipeline.
type power struct {
	name      string // also the end of the name of the file that it is exported to
	workloads string // the section of that name
	more      string // further keys
}

// dividing is a configuration of receivers that divide the energy of the same machine,
// each with its own pipeline. Ended workloads are told for three collections, which is
// the least.
func dividing(tr *tree, collect, sample string, receivers ...power) string {
	var r, e, p strings.Builder
	for _, x := range receivers {
		fmt.Fprintf(&r, `
  power/%s:
    root_path: %s
    collection_interval: %s
    sampling_interval: %s
    initial_delay: 100ms
    sensors: {rapl: {required: true}}
    idle_watts: {cpu: 40, memory: 6}
    workloads: {retention: 0s, %s}
    %s`, x.name, tr.root, collect, sample, x.workloads, x.more)
		fmt.Fprintf(&e, "\n  file/%s: {path: \"${OUT}.%s\"}", x.name, x.name)
		fmt.Fprintf(&p, "\n    metrics/%s: {receivers: [power/%s], processors: [carbon], exporters: [file/%s]}", x.name, x.name, x.name)
	}
	return `
extensions:
  health_check: {endpoint: "${HEALTH}"}
receivers:` + r.String() + `
processors:
  carbon: {pue: 1, providers: [{static: {g_per_kwh: 100}}]}
exporters:` + e.String() + `
service:
  extensions: [health_check]
  telemetry: {metrics: ${TELEMETRY}}
  pipelines:` + p.String() + "\n"
}

const (
	containersOnly = `containers: {enabled: true}`
	allProcesses   = `containers: {enabled: true}, processes: {enabled: true, top: 0}`
)

// divide starts a collector without telemetry of its own.
func divide(t testing.TB, config string) *collector {
	t.Helper()
	return start(t, strings.ReplaceAll(config, "${TELEMETRY}", "{level: none}"))
}

// audit audits what one receiver has exported.
func (c *collector) audit(receiver string, look func(*books)) *books {
	c.t.Helper()
	return audit(c.t, receiver, exported(c.t, c.out+"."+receiver), look)
}

// churn lets processes that live for milliseconds run in cgroups that live for little
// longer, in all of the given time: workers run a few dozen programs in a cgroup, move to a new one
// and remove the old one. It returns how many programs and cgroups there were.
func churn(t testing.TB, g *groups, workers int, d time.Duration) (programs, cgroups int) {
	t.Helper()
	const batch = 25
	var wg sync.WaitGroup
	var made atomic.Int64
	for range workers {
		w := employ(t, "")
		wg.Go(func() {
			last := ""
			for end := time.Now().Add(d); time.Now().Before(end) && !t.Failed(); made.Add(1) {
				folder, _ := g.container()
				w.join(folder)
				if last != "" {
					g.remove(last)
				}
				w.do(fmt.Sprintf("fork %d", batch))
				last = folder
			}
			w.dismiss()
			g.remove(last)
		})
	}
	wg.Wait()
	return int(made.Load()) * batch, int(made.Load())
}

func TestC58_C60_C62_every_export_adds_up_during_churn(t *testing.T) {
	g := makeGroups(t)
	tr := thisMachine(t)
	c := divide(t, dividing(tr, "500ms", "100ms", power{name: "processes", workloads: allProcesses}, power{name: "containers", workloads: containersOnly}))
	tr.run()
	programs, cgroups := churn(t, g, 4, 7*time.Second)
	time.Sleep(2500 * time.Millisecond) // the last ends are told after three collections
	tr.freeze()
	c.stop()
	t.Logf("%d programs, %d cgroups", programs, cgroups)
	require.Greater(t, programs, 1000)

	truth, _ := tr.truth()
	for _, receiver := range []string{"processes", "containers"} {
		var exited float64
		b := c.audit(receiver, nil)
		var all int64
		for _, l := range b.energy {
			all += microjoules(l.value)
			if l.str("carbon.share") == "exited" {
				exited += l.value
			}
		}
		require.Equal(t, int64(truth), all, "%s: µJ that the counters have moved by", receiver)
		require.NotZero(t, b.ended, "%s: ends told", receiver)
		t.Logf("%s: %d exports, %d series, %d ends, %.1f J exited", receiver, b.n, len(b.energy), b.ended, exited)
		if receiver == "processes" {
			require.Positive(t, exited, "most programs ended before anybody saw them")
		}
	}
}

// Two pipelines read the same machine, one of them has two exporters, and each of them tells all of it.
func TestC71_who_else_reads_takes_nothing_away(t *testing.T) {
	g := makeGroups(t)
	tr := thisMachine(t)
	box, id := g.container()
	scraped := freePort(t)
	config := dividing(tr, "500ms", "200ms", power{name: "one", workloads: containersOnly}, power{name: "two", workloads: containersOnly})
	config = strings.Replace(config, "exporters: [file/two]", "exporters: [file/two, prometheus]", 1)
	config = strings.Replace(config, "exporters:", fmt.Sprintf("exporters:\n  prometheus: {endpoint: %q, resource_to_telemetry_conversion: {enabled: true}}", scraped), 1)
	c := divide(t, config)
	tr.run()
	stop := keepBusy(t, box)
	time.Sleep(3 * time.Second)
	tr.freeze()
	stop()
	truth, _ := tr.truth()
	var pulled map[string]int64 // µJ by share and hw.type
	require.Eventually(t, func() bool {
		pulled = map[string]int64{}
		var sum int64
		for line := range strings.Lines(get(t, scraped)) {
			labels, value, ok := strings.Cut(line, "} ")
			if !ok || !strings.HasPrefix(labels, "carbon_energy_joules_total{") {
				continue
			}
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			require.NoError(t, err)
			sum += microjoules(v)
			if strings.Contains(labels, id) {
				pulled[label(labels, "hw_type")] += microjoules(v)
			}
		}
		return sum == int64(truth)
	}, patience, 100*time.Millisecond, "Prometheus has the sum of all, too")
	c.stop()

	containers := map[string]map[string]int64{}
	for _, receiver := range []string{"one", "two"} {
		containers[receiver] = map[string]int64{}
		var all int64
		for _, l := range c.audit(receiver, nil).energy {
			all += microjoules(l.value)
			if l.res("container.id") == id {
				containers[receiver][l.str("hw.type")] += microjoules(l.value)
			}
		}
		require.Equal(t, int64(truth), all, "%s: µJ", receiver)
	}
	require.NotEmpty(t, pulled)
	require.Equal(t, pulled, containers["two"], "µJ of the container that Prometheus and the file have")
	for hwType, v := range containers["one"] { // samples of the two are not of the same moments
		require.InEpsilon(t, v, containers["two"][hwType], 0.1, hwType)
	}
}

// get reads the metrics at an endpoint for Prometheus, "" where there are none yet.
func get(t testing.TB, endpoint string) string {
	t.Helper()
	resp, err := http.Get("http://" + endpoint + "/metrics")
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(b)
}

// label finds the value of a label in a line of Prometheus' format.
func label(line, name string) string {
	_, rest, _ := strings.Cut(line, name+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// A process is told by its name, number and start. What it was started with is nobody's
// business.
func TestC79_no_secret_of_a_process_is_told(t *testing.T) {
	const inArguments, inEnvironment = "hunter2-argument", "hunter2-environment"
	t.Setenv("DATABASE_PASSWORD", inEnvironment)
	tr := thisMachine(t)
	owned := "resource_attributes: {process.owner: {enabled: true}}"
	w := employ(t, "", "--password="+inArguments)
	require.NoError(t, os.Unsetenv("DATABASE_PASSWORD")) // the collector does not inherit it
	for file, secret := range map[string]string{"cmdline": inArguments, "environ": inEnvironment} {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", w.pid(), file))
		require.NoError(t, err)
		require.Contains(t, string(raw), secret, "there is something to be found")
	}
	c := divide(t, dividing(tr, "500ms", "100ms", power{name: "processes", workloads: allProcesses}, power{name: "owned", workloads: allProcesses, more: owned}))
	tr.run()
	for range 20 {
		w.do("burn 50")
	}
	tr.freeze()
	c.stop()

	owners := map[string]string{}
	for _, receiver := range []string{"processes", "owned"} {
		told := false
		for _, l := range c.audit(receiver, nil).energy {
			if owner, ok := l.resource["process.owner"]; ok {
				require.Equal(t, "owned", receiver, "only who asks is told an owner")
				if l.res("process.pid") == strconv.Itoa(w.pid()) {
					owners[receiver] = fmt.Sprint(owner)
				}
			}
			told = told || l.res("process.pid") == strconv.Itoa(w.pid())
		}
		require.True(t, told, "%s: the process", receiver)
		raw, err := os.ReadFile(c.out + "." + receiver)
		require.NoError(t, err)
		require.NotContains(t, string(raw), "hunter2")
	}
	// The root folder has no etc/passwd.
	require.Equal(t, map[string]string{"owned": strconv.Itoa(os.Getuid())}, owners)
	require.NotContains(t, c.logs(), "hunter2")
}

// Whoever bears what is drawn unused, the sum is what was drawn. One pod reserves one CPU, where
// the test may say so, and burns all the time. The package draws 40 W unused:
//
//   - separate: all of that is idle;
//   - request: the pod bears one of n CPUs' worth of it;
//   - equal: the pod and whatever other containers there are bear each as much as remains idle;
//   - usage: none remains.
func TestIdlePolicies(t *testing.T) {
	g := makeGroups(t)
	tr := thisMachine(t)
	box, reserved := g.pod()
	w := employ(t, box)
	policies := []string{"separate", "request", "equal", "usage"}
	var receivers []power
	for _, p := range policies {
		receivers = append(receivers, power{name: p, workloads: containersOnly + ", idle_policy: " + p})
	}
	c := divide(t, dividing(tr, "500ms", "250ms", receivers...))
	tr.run()
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		w.do("burn 20")
	}
	tr.freeze()
	c.stop()

	truth, _ := tr.truth()
	idle := map[string]float64{}
	for _, p := range policies {
		b := c.audit(p, nil)
		require.Equal(t, int64(truth), microjoules(b.sum(func(*line) bool { return true })), "%s: µJ", p)
		idle[p] = b.sum(func(l *line) bool { return l.str("carbon.share") == "idle" && l.str("hw.type") == "cpu" })
	}
	t.Logf("idle, in J: %v", idle)
	require.Positive(t, idle["separate"])
	if reserved {
		cpus := float64(runtime.NumCPU())
		require.InEpsilon(t, idle["separate"]*(cpus-1)/cpus, idle["request"], 0.1, "samples are not of the same moments")
	}
	require.LessOrEqual(t, idle["equal"], 0.55*idle["separate"], "the pod bears half of it at most")
	require.Zero(t, idle["usage"])
}

func TestTelemetryOfWorkloads(t *testing.T) {
	tr := thisMachine(t)
	c, endpoint := divideWatched(t, dividing(tr, "500ms", "250ms", power{name: "processes", workloads: allProcesses}))
	tr.run()
	require.Eventually(t, func() bool {
		n, ok := telemetry(get(t, endpoint), "otelcol_receiver_power_workloads", `kind="process"`)
		return ok && n > 0
	}, patience, 100*time.Millisecond, "processes with energy are counted")
	body := get(t, endpoint)
	for _, kind := range []string{"container", "pod", "service", "machine", "job", "step", "group"} {
		_, ok := telemetry(body, "otelcol_receiver_power_workloads", fmt.Sprintf("kind=%q", kind))
		require.True(t, ok, kind)
	}
	for _, class := range []string{"permission", "io", "malformed", "masked", "limit"} {
		_, ok := telemetry(body, "otelcol_receiver_power_workload_read_errors", fmt.Sprintf("error_type=%q", class))
		require.True(t, ok, "%s in\n%s", class, body)
	}
	tr.freeze()
	c.stop()
	c.audit("processes", nil)
}

// divideWatched starts a collector that tells about itself at an endpoint.
func divideWatched(t testing.TB, config string) (c *collector, endpoint string) {
	t.Helper()
	endpoint = freePort(t)
	host, port, _ := strings.Cut(endpoint, ":")
	return start(t, strings.ReplaceAll(config, "${TELEMETRY}",
		fmt.Sprintf("{level: normal, readers: [{pull: {exporter: {prometheus: {host: %q, port: %s}}}}]}", host, port))), endpoint
}

// telemetry finds the first series of a metric with that label, whatever its suffix.
func telemetry(body, metric, label string) (v float64, ok bool) {
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, metric) && strings.Contains(line, label) {
			fields := strings.Fields(line)
			v, err := strconv.ParseFloat(fields[len(fields)-1], 64)
			return v, err == nil
		}
	}
	return 0, false
}
