package e2e

import (
	"bytes"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

const traces = `
extensions:
  health_check: {endpoint: "${HEALTH}"}
receivers:
  otlp: {protocols: {http: {endpoint: "${OTLP}"}}}
processors:
  carbon: ${CARBON}
exporters:
  otlp_http: {endpoint: "http://${JAEGER}"}
service:
  extensions: [health_check]
  telemetry: {metrics: {level: none}}
  pipelines:
    traces: {receivers: [otlp], processors: [carbon], exporters: [otlp_http]}
`

// startJaeger runs all of it, and returns where it takes OTLP and where it is asked.
func startJaeger(t *testing.T) (p *process, otlp, api string) {
	t.Helper()
	otlp, api = freePort(t), freePort(t)
	args := []string{"--collector.otlp.http.host-port=" + otlp, "--query.http-server.host-port=" + api}
	for _, other := range []string{
		"admin.http.host-port", "collector.grpc-server.host-port", "collector.http-server.host-port", "collector.otlp.grpc.host-port",
		"http-server.host-port", "query.grpc-server.host-port", "processor.jaeger-binary.server-host-port",
		"processor.jaeger-compact.server-host-port", "processor.zipkin-compact.server-host-port",
	} {
		args = append(args, "--"+other+"="+freePort(t))
	}
	p = run(t, program(t, "E2E_JAEGER", "`make backends`, and then `make e2e`, which sets it"), args...)
	p.await(func() bool { return ask("http://"+api+"/api/services", new(any)) == nil }, "an answer of Jaeger")
	return p, otlp, api
}

// aSpan has drawn 3600 J.
func aSpan(id byte) ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "shop")
	span := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	span.SetTraceID(pcommon.TraceID{15: id})
	span.SetSpanID(pcommon.SpanID{7: id})
	span.SetName("checkout")
	now := time.Now()
	span.SetStartTimestamp(pcommon.NewTimestampFromTime(now.Add(-time.Second)))
	span.SetEndTimestamp(pcommon.NewTimestampFromTime(now))
	span.Attributes().PutDouble("carbon.energy", 3600)
	span.Attributes().PutStr("carbon.method", "measured")
	return td
}

func TestJaegerShowsTheGramsOfASpan(t *testing.T) {
	p, jaeger, api := startJaeger(t)
	for i, c := range []struct {
		name, carbon string
		want         map[string]any
	}{
		{
			// 3600 J / 3.6e6 × 100 g/kWh; ± √(0.07² + 0.24²). What is valid everywhere has no zone.
			"static", "{providers: [{static: {g_per_kwh: 100, half_width: 0.24}}]}",
			map[string]any{"carbon.emissions": 0.1, "carbon.grid.intensity": 100.0, "carbon.grid.source": "static", "carbon.grid.zone": nil, "carbon.uncertainty": 0.25},
		},
		{
			// 3600 J / 3.6e6 × 1.2 × 41.45 g/kWh, FR 2025 in grids.csv; ± √(0.07² + 0.35²).
			"of the tables", "{location: {zone: FR}, pue: 1.2}",
			map[string]any{"carbon.emissions": 0.04974, "carbon.grid.intensity": 41.45, "carbon.grid.source": "grids_csv", "carbon.grid.zone": "FR", "carbon.uncertainty": 0.3569313659},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			otlp := freePort(t)
			start(t, strings.NewReplacer("${OTLP}", otlp, "${CARBON}", c.carbon, "${JAEGER}", jaeger).Replace(traces))
			id := byte(i + 1)
			sendSpans(t, otlp, aSpan(id))

			var answer struct {
				Data []struct {
					Spans []struct {
						Tags []struct {
							Key   string
							Value any
						}
					}
				}
			}
			address := "http://" + api + "/api/traces/" + pcommon.TraceID{15: id}.String()
			p.await(func() bool { return ask(address, &answer) == nil && len(answer.Data) == 1 }, "the trace")
			require.Len(t, answer.Data[0].Spans, 1)
			got := map[string]any{}
			for _, tag := range answer.Data[0].Spans[0].Tags {
				got[tag.Key] = tag.Value
			}
			require.InEpsilon(t, 3600.0, got["carbon.energy"], 1e-9)
			for key, want := range c.want {
				if number, ok := want.(float64); ok {
					require.InEpsilon(t, number, got[key], 1e-9, key)
				} else {
					require.Equal(t, want, got[key], key)
				}
			}
		})
	}
}

// The program of examples/http-service sends its spans through the collector: Jaeger shows
// what the program knew, untouched, with the sieve paying for itself and the request around
// it for next to nothing.
func TestJaegerShowsTheEnergyOfAnApplication(t *testing.T) {
	p, jaeger, api := startJaeger(t)
	service := filepath.Join(t.TempDir(), "http-service")
	out, err := exec.Command("go", "-C", "../../examples/http-service", "build", "-o", service, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	otlp, listen := freePort(t), freePort(t)
	start(t, strings.NewReplacer("${OTLP}", otlp, "${CARBON}", "{location: {zone: DE}}", "${JAEGER}", jaeger).Replace(traces))
	app := runWith(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + otlp, "OTEL_SERVICE_NAME=primes"}, service, "-listen", listen)
	app.await(func() bool {
		resp, err := http.Get("http://" + listen + "/primes?below=5000000")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, "an answer of the service")
	time.Sleep(300 * time.Millisecond) // until the power is known
	resp, err := http.Get("http://" + listen + "/primes?below=20000000")
	require.NoError(t, err)
	resp.Body.Close()
	app.stop() // which flushes

	var answer struct {
		Data []struct {
			Spans []struct {
				OperationName string
				Tags          []struct {
					Key   string
					Value any
				}
			}
		}
	}
	spans := map[string]map[string]any{}
	p.await(func() bool {
		if ask("http://"+api+"/api/traces?service=primes&limit=100", &answer) != nil {
			return false
		}
		for _, trace := range answer.Data {
			big := false
			for _, s := range trace.Spans {
				for _, tag := range s.Tags {
					big = big || tag.Key == "below" && tag.Value == 20e6
				}
			}
			for _, s := range trace.Spans {
				if !big {
					continue
				}
				spans[s.OperationName] = map[string]any{}
				for _, tag := range s.Tags {
					spans[s.OperationName][tag.Key] = tag.Value
				}
			}
		}
		return len(spans) == 2
	}, "both spans")
	sieve, request := spans["sieve"], map[string]any{}
	require.NotNil(t, sieve)
	for name, got := range spans {
		if name != "sieve" {
			request = got
		}
		require.Equal(t, "FR", got["carbon.grid.zone"], "that of the program, not of the collector")
		require.Equal(t, "grids_csv", got["carbon.grid.source"])
		require.Contains(t, []any{"measured", "modelled"}, got["carbon.method"])
		require.InEpsilon(t, got["carbon.energy"].(float64)/3.6e6*got["carbon.grid.intensity"].(float64), got["carbon.emissions"], 1e-9)
	}
	require.Greater(t, sieve["carbon.energy"], 10*request["carbon.energy"].(float64))
}

func sendSpans(t *testing.T, endpoint string, td ptrace.Traces) {
	t.Helper()
	body, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	require.NoError(t, err)
	resp, err := http.Post("http://"+endpoint+"/v1/traces", "application/x-protobuf", bytes.NewReader(body))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
}
