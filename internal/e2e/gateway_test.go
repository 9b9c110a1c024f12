package e2e

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The row aws, eu-west-3 of clouds.csv, in which the examples are: lifecycle_… of FR and
// pue_ratio.
const (
	euWest3    = 41.45
	euWest3PUE = 1.35
)

// example runs a program with a configuration from examples/, of which a second file
// changes what a test on one machine has to.
func example(t *testing.T, path, config, changes string, env ...string) *collector {
	t.Helper()
	c := &collector{health: freePort(t)}
	file := filepath.Join(t.TempDir(), "changes.yaml")
	changes += "\nextensions: {health_check: {endpoint: \"" + c.health + "\"}}\nservice: {telemetry: {metrics: {level: none}}}\n"
	require.NoError(t, os.WriteFile(file, []byte(changes), 0o600))
	c.process = runWith(t, env, path, "--config", filepath.Join("../../examples", config), "--config", file)
	return c
}

// gateways starts two with the example's configuration, each with a sink of its own:
// gateway0 and gateway1.
func gateways(t *testing.T, s *sink) (list []*collector, endpoints []string) {
	t.Helper()
	for i := range 2 {
		endpoint := freePort(t)
		c := example(t, binary(t), "gateway/gateway.yaml", "",
			"OTELCARBON_LISTEN="+endpoint, "OTELCARBON_STORAGE="+t.TempDir(), fmt.Sprintf("OTLP_ENDPOINT=%s/gateway%d", s.url, i))
		list, endpoints = append(list, c), append(endpoints, endpoint)
	}
	for _, c := range list {
		c.ready()
	}
	return list, endpoints
}

// totals adds up the newest values of all series of carbon.host.emissions of each host.
// Exporters send several batches at once, which may overtake each other.
func (s *sink) totals(who string) map[string]float64 {
	newest := map[string]point{}
	for _, p := range s.points(who, "carbon.host.emissions") {
		if key := fmt.Sprint(p.resource, p.attrs); p.at.After(newest[key].at) {
			newest[key] = p
		}
	}
	sums := map[string]float64{}
	for _, p := range newest {
		sums[p.resource["host.id"].(string)] += p.value
	}
	return sums
}

// onHost changes what agents on one machine would quarrel about.
func onHost(t *testing.T, root, otlp string) string {
	t.Helper()
	return fmt.Sprintf(`
receivers:
  power: {root_path: %q, collection_interval: 1s, sampling_interval: 500ms, initial_delay: 200ms, sensors: {rapl: {required: true}}}
  otlp: {protocols: {grpc: {endpoint: %q}, http: {endpoint: %q}}}
`, root, freePort(t), otlp)
}

// Two hosts with known energy are measured twice: by agents that convert it themselves, as
// examples/collector has it, and by agents that leave this to two gateways. Both ways have to
// tell joules / 3.6e6 × 1.35 × 41.45 grams. Through one of the agents come 32 hosts more, of
// 1 kWh each, or 1.35 × 41.45 grams.
func TestGatewaysConvertWhatAgentsWould(t *testing.T) {
	const hosts = 32
	path := program(t, "E2E_AGENT", "`make gateway`, and then `make e2e`, which sets it")
	s := newSink(t)
	converters, endpoints := gateways(t, s)

	trees := map[string]*tree{} // by host.id
	var agents []*collector
	var otlp string
	for i := range 2 {
		tr, id := twoSockets(t), strings.Repeat(fmt.Sprint(i+1), 32)
		require.NoError(t, os.WriteFile(filepath.Join(tr.root, "etc/machine-id"), []byte(id+"\n"), 0o600))
		trees[id], otlp = tr, freePort(t)
		agents = append(
			agents,
			example(t, binary(t), "collector/config.yaml", onHost(t, tr.root, freePort(t)), "OTELCARBON_STORAGE="+t.TempDir(), "OTLP_ENDPOINT="+s.url+"/agents"),
			example(t, path, "gateway/agent.yaml", onHost(t, tr.root, otlp), "GATEWAY_0="+endpoints[0], "GATEWAY_1="+endpoints[1]),
		)
	}
	for _, c := range agents {
		c.ready()
	}
	for i, c := range agents { // the first collections are over
		who := [...][]string{{"agents"}, {"gateway0", "gateway1"}}[i%2]
		id := strings.Repeat(fmt.Sprint(i/2+1), 32)
		c.await(func() bool {
			return slices.ContainsFunc(who, func(one string) bool {
				return slices.ContainsFunc(s.points(one, "hw.energy"), func(p point) bool { return p.resource["host.id"] == id })
			})
		}, "a point of "+id)
	}
	for _, tr := range trees {
		tr.run()
	}
	for i := range hosts {
		send(t, otlp, kWh(map[string]any{"host.id": fmt.Sprint("host ", i)}, time.Now().Add(-2*time.Hour)))
	}
	time.Sleep(4 * time.Second) // the time in which energy is drawn
	for _, tr := range trees {
		tr.freeze()
	}
	want := map[string]float64{}
	for id, tr := range trees {
		drawn, _ := tr.truth()
		require.Greater(t, drawn, uint64(10_000_000_000), "µJ")
		want[id] = float64(drawn) / 1e6 / 3.6e6 * euWest3PUE * euWest3
	}
	s.await(want, "agents")
	for i := range hosts {
		want[fmt.Sprint("host ", i)] = euWest3PUE * euWest3
	}
	s.await(want, "gateway0", "gateway1")
	require.NotEmpty(t, s.totals("gateway0"), "all hosts went to one gateway")
	require.NotEmpty(t, s.totals("gateway1"), "all hosts went to one gateway")
	for _, c := range append(agents, converters...) {
		c.stop()
	}
	s.await(want, "gateway0", "gateway1")
}

// await polls until the totals of what exporters have sent are those, of each host from one
// exporter alone.
func (s *sink) await(want map[string]float64, from ...string) {
	s.t.Helper()
	var wrong string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		got := map[string]float64{}
		for _, who := range from {
			for id, grams := range s.totals(who) {
				require.NotContains(s.t, got, id, "a host is at both gateways")
				got[id] = grams
			}
		}
		if wrong = differences(want, got); wrong == "" {
			return
		}
	}
	require.Empty(s.t, wrong, "what %v sent", from)
}

func differences(want, got map[string]float64) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d hosts, want %d", len(got), len(want))
	}
	for id, grams := range want {
		if math.Abs(got[id]/grams-1) > 1e-9 {
			return fmt.Sprintf("%v g of %s, want %v", got[id], id, grams)
		}
	}
	return ""
}

// What the README warns of. Each of two gateways that get the values of a counter in turn
// takes the differences of those that it sees: the same energy twice. Of 21 values, 1000 J
// apart, the first gateway sees 11, which are 10 000 J × 2, the second 10, which are
// 9 000 J × 2: 38 000 J, of 20 000 J that were drawn.
func TestGatewaysWithoutAffinityCountTwice(t *testing.T) {
	var running []*collector
	var endpoints []string
	for range 2 {
		c, endpoint := startGateway(t, "{providers: [{static: {g_per_kwh: 100}}]}")
		running, endpoints = append(running, c), append(endpoints, endpoint)
	}
	m := newMeter(t, "", "a", 1000)
	for i := range 21 {
		m.endpoint = endpoints[i%2]
		m.tick()
	}
	require.Equal(t, 21, m.count())
	sum := 0.0
	for _, c := range running {
		c.stop()
		last := c.last("carbon.host.emissions")
		require.Len(t, last, 1)
		sum += last[0].value
	}
	drawn, _ := m.truth()
	require.InEpsilon(t, 20_000, drawn, 1e-9)
	require.InEpsilon(t, grams(38_000), sum, 1e-9)
}
