package e2e

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stored is a distribution whose processors keep their state in the extension
// file_storage. Two pipelines have the one processor carbon, each with a meter of its own;
// two more have carbon/delta, and see the same meters' points both. Nothing is queued, so
// that what an exporter has not sent when the process is killed is one batch at most.
const stored = `
extensions:
  health_check: {endpoint: "${HEALTH}"}
  file_storage/carbon: {directory: "${STORAGE}", recreate: ${RECREATE}}
receivers:
  otlp/a: {protocols: {http: {endpoint: "${A}"}}}
  otlp/b: {protocols: {http: {endpoint: "${B}"}}}
processors:
  carbon: &carbon {providers: [{static: {g_per_kwh: 100}}], pue: ${PUE}, storage: file_storage/carbon}
  carbon/delta: {<<: *carbon, temporality: delta}
exporters:
  otlp_http/a: &exporter {endpoint: "${SINK}/a", compression: none, encoding: proto, sending_queue: {enabled: false}, retry_on_failure: {enabled: false}}
  otlp_http/b: {<<: *exporter, endpoint: "${SINK}/b"}
  otlp_http/c: {<<: *exporter, endpoint: "${SINK}/c"}
  otlp_http/d: {<<: *exporter, endpoint: "${SINK}/d"}
service:
  extensions: [health_check, file_storage/carbon]
  telemetry: {metrics: {level: none}, logs: {level: ${LEVEL}}}
  pipelines:
    metrics/a: {receivers: [otlp/a], processors: [carbon], exporters: [otlp_http/a]}
    metrics/b: {receivers: [otlp/b], processors: [carbon], exporters: [otlp_http/b]}
    metrics/c: {receivers: [otlp/a, otlp/b], processors: [carbon/delta], exporters: [otlp_http/c]}
    metrics/d: {receivers: [otlp/a, otlp/b], processors: [carbon/delta], exporters: [otlp_http/d]}
`

// rig is stored, once or many times in turn, with what is around it.
type rig struct {
	t testing.TB
	*collector
	sink     *sink
	a, b     *meter
	storage  string
	recreate string
	level    string
}

func newRig(t testing.TB) *rig {
	t.Helper()
	binary(t)
	r := &rig{t: t, sink: newSink(t), storage: t.TempDir(), recreate: "false", level: "info"}
	r.a = newMeter(t, freePort(t), "a", 1000)
	r.b = newMeter(t, freePort(t), "b", 350)
	return r
}

func (r *rig) configuration(pue string) string {
	return strings.NewReplacer(
		"${STORAGE}", r.storage, "${RECREATE}", r.recreate, "${LEVEL}", r.level, "${A}", r.a.endpoint, "${B}", r.b.endpoint, "${SINK}", r.sink.url, "${PUE}", pue,
	).Replace(stored)
}

func (r *rig) launch() {
	r.t.Helper()
	r.collector = launch(r.t, r.configuration("1"))
}

// takes waits until each meter has handed in n values more.
func (r *rig) takes(n int) {
	r.t.Helper()
	a, b := r.a.count()+n, r.b.count()+n
	r.await(func() bool { return r.a.count() >= a && r.b.count() >= b }, "an answer to the meters")
}

// grams of energy at 100 g/kWh and a PUE of 1: 1 kWh is 3.6 MJ.
func grams(joules float64) float64 { return joules / 3.6e6 * 100 }

// total is the newest value of the only cumulative series of an exporter, which must never
// have fallen nor begun anew.
func (s *sink) total(who, host string) float64 {
	s.t.Helper()
	var last point
	for _, p := range s.points(who, "carbon.host.emissions") {
		if p.resource["host.id"] != host {
			continue
		}
		if last.metric != "" {
			require.Equal(s.t, last.start, p.start, "%s: the series of %s begins anew", who, host)
			require.GreaterOrEqual(s.t, p.value, last.value, "%s: %s falls", who, host)
		}
		last = p
	}
	return last.value
}

// sum is what all deltas of an exporter come to. None may begin before the end of the one
// before it.
func (s *sink) sum(who, host string) (sum float64) {
	s.t.Helper()
	var last point
	for _, p := range s.points(who, "carbon.host.emissions") {
		if p.resource["host.id"] != host {
			continue
		}
		require.False(s.t, p.start.Before(last.at), "%s: %s: what was drawn from %v to %v is told twice", who, host, p.start, last.at)
		sum += p.value
		last = p
	}
	return sum
}

// A total is what was drawn since the first value, to the last bit of a float that 1e-9
// leaves out. Of deltas each kill may lose one batch: that which was stored and not
// handed on. None is told twice.
func TestKilledFiftyTimesNothingIsCountedTwice(t *testing.T) {
	const kills = 50
	r := newRig(t)
	r.level = "warn" // of so many
	r.a.run()
	r.b.run()
	began := time.Now()
	for range kills {
		r.launch()
		r.takes(1)
		time.Sleep(rand.N(120 * time.Millisecond)) // the moment is to be anyone
		r.kill()
	}
	t.Logf("killed %d times in %v", kills, time.Since(began).Round(time.Second))
	r.launch()
	r.takes(10)
	r.a.stop()
	r.b.stop()
	r.stop()

	for who, m := range map[string]*meter{"a": r.a, "b": r.b} {
		joules, unsure := m.truth()
		require.Greater(t, m.count(), 3*kills)
		require.LessOrEqual(t, len(m.gaps), kills)
		require.InEpsilon(t, grams(joules), r.sink.total(who, who), 1e-9, "%s: cumulative", who)
		for _, of := range []string{"c", "d"} {
			sum := r.sink.sum(of, who)
			require.LessOrEqual(t, sum, grams(joules)*(1+1e-9), "%s: deltas tell of more than was drawn", who)
			require.GreaterOrEqual(t, sum, grams(joules-unsure)*(1-1e-9), "%s: deltas have lost more than one batch each time", who)
			t.Logf("%s: %.4f g were drawn in %d batches; %s: %.4f g are missing, of %.4f g in %d batches that nobody has answered",
				who, grams(joules), m.count(), of, grams(joules)-sum, grams(unsure), len(m.gaps))
		}
	}
}

func TestRestartLosesNothing(t *testing.T) {
	r := newRig(t)
	r.a.run()
	r.b.run()
	for range 3 {
		r.launch()
		r.takes(20)
		r.stop()
	}
	r.launch()
	r.takes(1)
	r.a.stop()
	r.b.stop()
	r.stop()
	// What a meter offers while the collector stops may be lost on the way out, so deltas
	// are compared with what it is sure of; a total contains it all.
	for who, m := range map[string]*meter{"a": r.a, "b": r.b} {
		joules, _ := m.truth()
		require.InEpsilon(t, grams(joules), r.sink.total(who, who), 1e-9)
		for _, of := range []string{"c", "d"} {
			require.InEpsilon(t, grams(joules), r.sink.sum(of, who), 1e-9)
		}
	}
}

// 100 × 1000 J at a PUE of 1, then as much at a PUE of 2:
// (100 000 + 2 × 100 000) J / 3.6 MJ × 100 g = 8.333… g.
func TestReloadKeepsTotals(t *testing.T) {
	r := newRig(t)
	r.launch()
	r.ready()
	ticks := func(n int) {
		for range n {
			r.a.tick()
			r.b.tick()
		}
	}
	ticks(101) // the first is the baseline
	file := r.cmd.Args[len(r.cmd.Args)-1]
	config := strings.NewReplacer("${OUT}", r.out, "${HEALTH}", r.health).Replace(r.configuration("2"))
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	const running = "Everything is ready"
	r.signal(syscall.SIGHUP)
	r.await(func() bool { return strings.Count(r.logs(), running) == 2 }, "a second start")
	r.ready()
	ticks(100)
	r.stop()

	require.Empty(t, r.a.gaps)
	require.Equal(t, 201, r.a.count())
	for who, step := range map[string]float64{"a": 1000, "b": 350} {
		want := grams(100*step) + 2*grams(100*step)
		require.InEpsilon(t, want, r.sink.total(who, who), 1e-9)
		for _, of := range []string{"c", "d"} {
			require.InEpsilon(t, want, r.sink.sum(of, who), 1e-9)
		}
	}
	require.InEpsilon(t, 8.3333333333, r.sink.total("a", "a"), 1e-9)
}

// fill gives a collector something to store, stops it, and returns its files.
func (r *rig) fill() (files []string) {
	r.t.Helper()
	r.launch()
	r.ready()
	for range 20 {
		r.a.tick()
		r.b.tick()
	}
	r.stop()
	files, err := filepath.Glob(filepath.Join(r.storage, "processor_carbon_*"))
	require.NoError(r.t, err)
	require.Len(r.t, files, 2, "one of carbon, one of carbon/delta")
	return files
}

// goesOn starts the collector, and requires that it prices energy from a new start on:
// 10 × 1000 J × 100 g / 3.6 MJ = 0.2777… g.
func (r *rig) goesOn() {
	r.t.Helper()
	before := len(r.sink.points("a", "carbon.host.emissions"))
	began := time.Now()
	r.launch()
	r.ready()
	for range 11 { // the first is a baseline
		r.a.tick()
	}
	r.stop()
	points := r.sink.points("a", "carbon.host.emissions")[before:]
	require.Len(r.t, points, 10)
	require.InEpsilon(r.t, 0.2777777778, points[9].value, 1e-9)
	require.True(r.t, points[9].start.After(began), "what is forgotten begins anew")
}

// What happens to the file while the collector is away is no reason not to run. The streams
// begin anew then, which the log says.
func TestDamagedStorageIsNoReasonNotToRun(t *testing.T) {
	const closed, damaged = "storage cannot be opened: the state is kept in memory only", "stored state is damaged"
	noise := func(b []byte) []byte {
		source := rand.New(rand.NewPCG(1, 2))
		for i := range b {
			b[i] = byte(source.Uint32())
		}
		return b
	}
	for _, damage := range []struct {
		name, says string
		times      int // that it says so
		recreate   string
		do         func(content []byte) []byte // nil: a folder in the place of the file
	}{
		{"empty", "error", 0, "false", func([]byte) []byte { return nil }}, // which is a new one for bbolt
		{"cut to a page", closed, 2, "false", func(b []byte) []byte { return b[:4096] }},
		{"cut to a page, with recreate", closed, 2, "true", func(b []byte) []byte { return b[:4096] }},
		{"noise at its head", closed, 2, "false", func(b []byte) []byte { noise(b[:8192]); return b }},
		{"noise all over, with recreate", closed, 2, "true", noise},
		// Every value begins with a magic. Those of carbon alone name the source of the intensity.
		{"noise in all values", damaged, 2, "false", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("ocj\x01"), []byte("nois")) }},
		{"noise in some values", damaged, 1, "false", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("static"), []byte("noises")) }},
		{"a folder in its place", closed, 2, "false", nil},
	} {
		t.Run(damage.name, func(t *testing.T) {
			r := newRig(t)
			r.recreate = damage.recreate
			for _, file := range r.fill() {
				content, err := os.ReadFile(file)
				require.NoError(t, err)
				require.NoError(t, os.Remove(file))
				if damage.do == nil {
					require.NoError(t, os.Mkdir(file, 0o700))
					continue
				}
				require.NoError(t, os.WriteFile(file, damage.do(content), 0o600))
			}
			r.goesOn()
			require.Equal(t, damage.times, strings.Count(r.logs(), "\t"+damage.says), "times that it says %q; log:\n%s", damage.says, r.logs())
		})
	}
}

// With some files bbolt, in which file_storage keeps everything, panics in a goroutine of its
// own, where neither the option recreate nor the processor can catch it. The README says
// what to do.
func TestStorageThatStopsBboltHasToBeRemoved(t *testing.T) {
	r := newRig(t)
	r.recreate = "true"
	files := r.fill()
	for _, file := range files {
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.NoError(t, os.Truncate(file, info.Size()/2))
	}
	r.launch()
	log := r.fails()
	require.Contains(t, log, "created by go.etcd.io/bbolt.(*DB).freepages", "if this has changed, say so in the README")
	for _, file := range files {
		require.NoError(t, os.Remove(file))
	}
	r.goesOn()
}
