package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// patience is how long a step of a test may take on a loaded machine.
const patience = 60 * time.Second

// binary returns the path of the distribution under test.
func binary(t testing.TB) string {
	t.Helper()
	return program(t, "OTELCOL_CARBON", "`make e2e`, which builds otelcol-carbon and sets it")
}

// collector is an otelcol-carbon, or another distribution, as a child process.
type collector struct {
	*process

	out    string // the file exporter's output
	health string // where it says that it is healthy
}

// start runs the distribution with the configuration, in which ${OUT} stands for
// the file that metrics reads and ${HEALTH} for the health check's endpoint, and
// waits until it is healthy.
func start(t testing.TB, config string) *collector {
	t.Helper()
	c := launch(t, config)
	c.ready()
	return c
}

// launch runs the distribution without waiting for anything.
func launch(t testing.TB, config string) *collector {
	t.Helper()
	return launchAs(t, binary(t), config)
}

func launchAs(t testing.TB, path, config string) *collector {
	t.Helper()
	dir := t.TempDir()
	c := &collector{out: filepath.Join(dir, "out.json"), health: freePort(t)}
	file := filepath.Join(dir, "config.yaml")
	config = strings.NewReplacer("${OUT}", c.out, "${HEALTH}", c.health).Replace(config)
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	c.process = run(t, path, "--config", file)
	return c
}

// ready waits until the collector is healthy.
func (c *collector) ready() {
	c.t.Helper()
	c.await(func() bool { return healthy(c.health) }, "a healthy collector")
}

// fails waits for the exit that a refused configuration ends in, and returns the log.
func (c *collector) fails() string {
	c.t.Helper()
	select {
	case <-c.done:
		require.Error(c.t, c.err, "the collector accepts the configuration")
	case <-time.After(patience):
		c.t.Fatal("the collector runs although its configuration should be refused")
	}
	return c.logs()
}

// metrics returns all that the file exporter has written so far.
func (c *collector) metrics() []pmetric.Metrics {
	c.t.Helper()
	return exported(c.t, c.out)
}

// exported returns what a file exporter has written so far: an element for each export.
func exported(t testing.TB, file string) []pmetric.Metrics {
	t.Helper()
	f, err := os.Open(file)
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	defer f.Close()
	var all []pmetric.Metrics
	lines := bufio.NewReader(f)
	var decode pmetric.JSONUnmarshaler
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return all // a last line without an end is still being written
		}
		require.NoError(t, err)
		md, err := decode.UnmarshalMetrics(line)
		require.NoError(t, err)
		all = append(all, md)
	}
}

// point is a number data point with what identifies its series.
type point struct {
	metric   string
	unit     string
	resource map[string]any
	attrs    map[string]any
	value    float64
	start    time.Time
	at       time.Time
	ended    bool // has no recorded value
}

func (p point) str(key string) string { s, _ := p.attrs[key].(string); return s }

// points returns every point of the metric, in the order of writing.
func (c *collector) points(metric string) []point {
	var all []point
	for _, md := range c.metrics() {
		all = append(all, pointsOf(c.t, md, metric)...)
	}
	return all
}

// pointsOf returns the points of the metric in one export.
func pointsOf(t testing.TB, md pmetric.Metrics, metric string) []point {
	t.Helper()
	var all []point
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Name() != metric {
					continue
				}
				var dps pmetric.NumberDataPointSlice
				switch m.Type() {
				case pmetric.MetricTypeSum:
					dps = m.Sum().DataPoints()
				case pmetric.MetricTypeGauge:
					dps = m.Gauge().DataPoints()
				default:
					t.Fatalf("%s is a %v", metric, m.Type())
				}
				for _, dp := range dps.All() {
					all = append(all, point{
						metric: metric, unit: m.Unit(), resource: rm.Resource().Attributes().AsRaw(), attrs: dp.Attributes().AsRaw(),
						value: dp.DoubleValue(), start: dp.StartTimestamp().AsTime(), at: dp.Timestamp().AsTime(),
						ended: dp.Flags().NoRecordedValue(),
					})
				}
			}
		}
	}
	return all
}

// last returns the newest point of each series of the metric.
func (c *collector) last(metric string) []point {
	var order []string
	newest := make(map[string]point)
	for _, p := range c.points(metric) {
		key := fmt.Sprint(p.resource, p.attrs)
		if _, ok := newest[key]; !ok {
			order = append(order, key)
		}
		newest[key] = p
	}
	out := make([]point, 0, len(order))
	for _, k := range order {
		out = append(out, newest[k])
	}
	return out
}

func healthy(endpoint string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+endpoint+"/", http.NoBody)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// freePort returns an address on loopback that nothing listens on. It is below those that
// Linux gives to connections, which would take it again before it is used.
func freePort(t testing.TB) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 16_000+rand.N(16_000))
		if _, taken := ports.LoadOrStore(address, true); taken {
			continue
		}
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// ports were given to somebody.
var ports sync.Map
