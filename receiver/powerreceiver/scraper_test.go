package powerreceiver

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/pmetrictest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/otel/attribute"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
	"github.com/otelcarbon/otelcarbon/internal/unit"
	"github.com/otelcarbon/otelcarbon/receiver/powerreceiver/internal/metadata"
)

var update = false // set to true to rewrite the golden files

const joule unit.Microjoules = 1_000_000

// noon is when all scripted readings begin.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return noon.Add(d) }

type noTelemetry struct{}

func (noTelemetry) sampled(context.Context, time.Duration)                   {}
func (noTelemetry) readFailed(context.Context, string, sensor.Class, uint64) {}

// scripted returns a scraper over fake sensors; each scrape takes one sample.
func scripted(t testing.TB, fakes ...sensor.Sensor) (*scraper, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	smp := newSampler(time.Second, ledger.New(ledger.Config{MaxGap: time.Minute}), zap.New(core), noTelemetry{})
	smp.now = func() time.Time { return time.Time{} } // workloads end by the time of the readings
	for _, f := range fakes {
		smp.sources = append(smp.sources, &source{name: "fake", sensor: f, open: func() (sensor.Sensor, error) { return f, nil }})
	}
	cfg := createDefaultConfig().(*Config)
	cfg.Metrics.CarbonSensorEnergy.Enabled = true
	rb := metadata.NewResourceBuilder(cfg.ResourceAttributes)
	rb.SetHostID("0123456789abcdef0123456789abcdef")
	rb.SetHostName("fake")
	host := rb.Emit()
	return &scraper{
		sampler: smp, resource: host, streams: make(map[string]*stream), patience: time.Minute,
		mb: metadata.NewMetricsBuilder(cfg.MetricsBuilderConfig, receivertest.NewNopSettings(metadata.Type)), workloads: newWorkloads(cfg.ResourceAttributes, host),
	}, logs
}

func counting(p *sensor.Part, when time.Time, e unit.Microjoules) sensor.Reading {
	return sensor.Reading{Part: p, At: when, Kind: sensor.Counter, Energy: e, Max: 262_143_328_850}
}

func rapl(name, hwType string, role sensor.Role, socket int) *sensor.Part {
	return &sensor.Part{ID: "rapl:" + name, Name: name, Type: hwType, Sensor: "rapl", Method: sensor.Measured, Role: role, Socket: socket, Die: -1}
}

// twoSockets is a script: package-0 draws 100 W, its core (a breakdown) 60 W,
// package-1 50 W, both DRAMs 10 W, all from arbitrary origins.
func twoSockets() []sensortest.Step {
	pkg0, pkg1 := rapl("package-0", "cpu", sensor.Primary, 0), rapl("package-1", "cpu", sensor.Primary, 1)
	dram0, dram1 := rapl("package-0/dram", "memory", sensor.Primary, 0), rapl("package-1/dram", "memory", sensor.Primary, 1)
	core := rapl("package-0/core", "cpu", sensor.Breakdown, 0)
	core.Parent = pkg0.ID
	var steps []sensortest.Step
	for i := range 4 {
		when, s := at(time.Duration(10*i)*time.Second), unit.Microjoules(10*i)
		steps = append(steps, sensortest.Step{Readings: []sensor.Reading{
			counting(pkg0, when, 7*joule+s*100*joule), counting(core, when, 99*joule+s*60*joule), counting(dram0, when, s*10*joule),
			counting(pkg1, when, 123_456+s*50*joule), counting(dram1, when, 5*joule+s*10*joule),
		}})
	}
	return steps
}

func scrape(t testing.TB, s *scraper) pmetric.Metrics {
	t.Helper()
	md, err := s.scrape(t.Context())
	require.NoError(t, err)
	if md.DataPointCount() > 0 {
		require.NoError(t, pmetrictest.ValidateMetrics(md), "C82")
	}
	return md
}

// value returns the point of the metric with this hw.id.
func value(md pmetric.Metrics, metric, id string) (v float64, dp pmetric.NumberDataPoint, ok bool) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Name() != metric {
					continue
				}
				points := pmetric.NewNumberDataPointSlice()
				if m.Type() == pmetric.MetricTypeSum {
					points = m.Sum().DataPoints()
				} else if m.Type() == pmetric.MetricTypeGauge {
					points = m.Gauge().DataPoints()
				}
				for _, p := range points.All() {
					if got, _ := p.Attributes().Get("hw.id"); got.Str() == id {
						return p.DoubleValue(), p, true
					}
				}
			}
		}
	}
	return 0, dp, false
}

func requireValue(t testing.TB, md pmetric.Metrics, metric, id string, want float64) {
	t.Helper()
	got, _, ok := value(md, metric, id)
	require.True(t, ok, "%s of %s is missing", metric, id)
	require.InDelta(t, want, got, 1e-9, "%s of %s", metric, id)
}

func requireNone(t testing.TB, md pmetric.Metrics, metric, id string) {
	t.Helper()
	_, _, ok := value(md, metric, id)
	require.False(t, ok, "there is a point of %s for %s", metric, id)
}

func TestC9_the_first_reading_is_a_baseline_and_energy_begins_at_zero(t *testing.T) {
	s, _ := scripted(t, sensortest.NewFake(twoSockets()...))
	require.Zero(t, scrape(t, s).DataPointCount(), "a baseline is no energy")

	// After 10 s: 100 W × 10 s; the host is 1000 + 500 + 100 + 100 J.
	md := scrape(t, s)
	requireValue(t, md, "hw.energy", "rapl:package-0", 1000)
	requireValue(t, md, "hw.energy", "rapl:package-1", 500)
	requireValue(t, md, "hw.energy", "rapl:package-0/dram", 100)
	requireValue(t, md, "hw.host.energy", "host", 1700)
	requireValue(t, md, "hw.power", "rapl:package-0", 100)
	requireValue(t, md, "hw.host.power", "host", 170)
	requireNone(t, md, "hw.energy", "rapl:package-0/core")
	requireValue(t, md, "carbon.sensor.energy", "rapl:package-0/core", 600)

	_, dp, _ := value(md, "hw.energy", "rapl:package-0")
	assert.Equal(t, pcommon.NewTimestampFromTime(noon), dp.StartTimestamp(), "C82: the series starts at its baseline")
	assert.Equal(t, pcommon.NewTimestampFromTime(at(10*time.Second)), dp.Timestamp())
	_, nested := dp.Attributes().Get("hw.parent")
	assert.False(t, nested)
	_, dp, _ = value(md, "carbon.sensor.energy", "rapl:package-0/core")
	parent, _ := dp.Attributes().Get("hw.parent")
	assert.Equal(t, "rapl:package-0", parent.Str())
}

func TestC80_replay_of_a_recorded_trace_is_identical_to_the_byte(t *testing.T) {
	replay := func() []byte {
		s, _ := scripted(t, sensortest.NewFake(twoSockets()...))
		var out []byte
		var last pmetric.Metrics
		for range 4 {
			last = scrape(t, s)
			b, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(last)
			require.NoError(t, err)
			out = append(out, b...)
		}
		file := filepath.Join("testdata", "two_sockets.yaml")
		if update {
			require.NoError(t, golden.WriteMetrics(t, file, last))
		}
		want, err := golden.ReadMetrics(file)
		require.NoError(t, err)
		require.NoError(t, pmetrictest.CompareMetrics(want, last, pmetrictest.IgnoreTimestamp(), pmetrictest.IgnoreStartTimestamp(), pmetrictest.IgnoreMetricsOrder(), pmetrictest.IgnoreMetricDataPointsOrder()))
		return out
	}
	require.True(t, bytes.Equal(replay(), replay()))
}

func TestC20_a_failed_part_is_missing_and_its_energy_arrives_later(t *testing.T) {
	steps := twoSockets()
	failed := errors.Join(&sensor.Problem{Sensor: "rapl", Class: sensor.IO, Path: "/sys/x/energy_uj", Err: syscall.EIO})
	steps[2].Readings = steps[2].Readings[1:] // all but package-0
	steps[2].Err = failed
	s, logs := scripted(t, sensortest.NewFake(steps...))
	scrape(t, s)
	scrape(t, s)

	md := scrape(t, s)
	requireNone(t, md, "hw.energy", "rapl:package-0")
	requireNone(t, md, "hw.power", "rapl:package-0")
	requireValue(t, md, "hw.energy", "rapl:package-1", 1000)
	requireNone(t, md, "hw.host.energy", "host") // which is not known without one of its parts
	requireNone(t, md, "hw.host.power", "host")

	md = scrape(t, s)
	requireValue(t, md, "hw.energy", "rapl:package-0", 3000)
	requireValue(t, md, "hw.power", "rapl:package-0", 100) // 2000 J in 20 s
	requireValue(t, md, "hw.host.energy", "host", 5100)    // 3 × 1700 J
	requireValue(t, md, "hw.host.power", "host", 170)      // 3400 J in 20 s
	assert.Equal(t, 1, logs.FilterMessage("power sensor cannot be read").Len())
	assert.Equal(t, 1, logs.FilterMessage("power sensor can be read again").Len())
}

func TestAFailureThatLastsIsReportedOnce(t *testing.T) {
	failed := &sensor.Problem{Sensor: "rapl", Class: sensor.Permission, Path: "/sys/x/energy_uj", Err: syscall.EACCES, Remedy: "chmod it"}
	steps := twoSockets()
	for i := range steps {
		steps[i].Readings, steps[i].Err = steps[i].Readings[1:], failed
	}
	s, logs := scripted(t, sensortest.NewFake(steps...))
	for range 4 {
		scrape(t, s)
	}
	entries := logs.FilterMessage("power sensor cannot be read").All()
	require.Len(t, entries, 1)
	assert.Contains(t, entries[0].ContextMap()["error"], "chmod it")
}

func TestAModelledPartKeepsItsTotalWhenASensorTakesOver(t *testing.T) {
	modelled := &sensor.Part{ID: "model:cpu", Name: "cpu", Type: "cpu", Sensor: "model", Method: sensor.Modelled, Socket: -1, Die: -1}
	pkg := rapl("package-0", "cpu", sensor.Primary, 0)
	m := func(i int) sensor.Reading {
		return sensor.Reading{Part: modelled, At: at(time.Duration(10*i) * time.Second), Kind: sensor.Counter, Energy: unit.Microjoules(i) * 200 * joule}
	}
	r := func(i int) sensor.Reading {
		return counting(pkg, at(time.Duration(10*i)*time.Second), unit.Microjoules(i)*1000*joule)
	}
	s, _ := scripted(t, sensortest.NewFake(
		sensortest.Step{Readings: []sensor.Reading{m(0)}}, sensortest.Step{Readings: []sensor.Reading{m(1)}},
		sensortest.Step{Readings: []sensor.Reading{r(2), m(2)}}, sensortest.Step{Readings: []sensor.Reading{r(3), m(3)}},
		sensortest.Step{Readings: []sensor.Reading{r(4), m(4)}},
	))
	scrape(t, s)
	requireValue(t, scrape(t, s), "hw.energy", "model:cpu", 200)
	scrape(t, s)
	scrape(t, s)
	md := scrape(t, s)
	requireValue(t, md, "hw.energy", "rapl:package-0", 2000)
	requireNone(t, md, "hw.power", "model:cpu")
	model, _, ok := value(md, "hw.energy", "model:cpu")
	require.True(t, ok)
	require.GreaterOrEqual(t, model, 200.0)
	requireValue(t, md, "hw.host.energy", "host", 2000+model)
}

// moments returns moments by the time since the test began, on both clocks.
func moments(t *testing.T) (now func(m time.Duration) time.Time) {
	t.Helper()
	began := time.Now()
	return began.Add
}

func TestC10_wall_clock_set_back_a_little_slows_the_time_stamps_down(t *testing.T) {
	now := moments(t)
	// The last time stamp lies 20 s ahead of what the wall clock shows now.
	st := &series{start: now(-time.Hour), at: now(0), wall: now(20 * time.Second), total: 500 * joule}
	start := st.start
	for _, step := range []struct{ at, want time.Duration }{
		{10 * time.Second, 25 * time.Second}, // half of the 10 s that passed
		{20 * time.Second, 30 * time.Second},
		{30 * time.Second, 35 * time.Second},
		{40 * time.Second, 40 * time.Second}, // caught up
		{50 * time.Second, 50 * time.Second},
	} {
		st.advance(now(step.at), 600*joule)
		require.True(t, st.wall.Equal(now(step.want).Round(0)), "at %v: %v", step.at, st.wall)
	}
	require.Equal(t, start, st.start, "the series goes on")
	require.Zero(t, st.base)
}

func TestC10_wall_clock_set_back_far_begins_a_new_series_and_loses_nothing(t *testing.T) {
	now := moments(t)
	st := &series{start: now(-time.Hour), at: now(0), wall: now(time.Hour), total: 500 * joule}
	st.advance(now(10*time.Second), 600*joule)
	require.Equal(t, 500*joule, st.base, "the new series begins where the old one ended")
	require.True(t, st.start.Equal(now(0).Round(0)), "ten seconds before the reading")
	require.True(t, st.wall.Equal(now(10*time.Second).Round(0)))
}

func TestThePowerOfNoTimeIsNotTold(t *testing.T) {
	pkg := rapl("package-0", "cpu", sensor.Primary, 0)
	s, _ := scripted(t, sensortest.NewFake(
		sensortest.Step{Readings: []sensor.Reading{counting(pkg, noon, 0)}},
		sensortest.Step{Readings: []sensor.Reading{counting(pkg, at(time.Millisecond), 0)}}, // not refreshed yet
		sensortest.Step{Readings: []sensor.Reading{counting(pkg, at(10*time.Second), 1000*joule)}},
	))
	s.shortest = 500 * time.Millisecond
	scrape(t, s)
	md := scrape(t, s)
	requireValue(t, md, "hw.energy", "rapl:package-0", 0)
	requireNone(t, md, "hw.power", "rapl:package-0")
	requireNone(t, md, "hw.host.power", "host")
	requireValue(t, scrape(t, s), "hw.power", "rapl:package-0", 100)
}

func TestTheHostDoesNotWaitForEverForAPartThatIsGone(t *testing.T) {
	steps := twoSockets()
	for i := range steps[2:] {
		steps[2+i].Readings = steps[2+i].Readings[1:] // package-0 was taken offline
	}
	s, _ := scripted(t, sensortest.NewFake(steps...))
	s.patience = 15 * time.Second
	scrape(t, s)
	scrape(t, s)
	requireNone(t, scrape(t, s), "hw.host.energy", "host")
	md := scrape(t, s) // 20 s after its last reading
	requireValue(t, md, "hw.host.energy", "host", 1000+3*700)
}

// A package of 100 W in two sensors, one of which fails in ticks 3 … 6 and again from
// 10 on, and a second package of 50 W; samples and collections each 10 s. The other
// sensor counts from 20 s to 80 s, and from 90 s on, with all that it saw: 1500 J of the
// two arrive for each 10 s.
func TestC19_a_sensor_that_takes_over_brings_what_the_other_missed(t *testing.T) {
	good, spare, other := rapl("package-0", "cpu", sensor.Primary, 0), rapl("package-0", "cpu", sensor.Primary, 0), rapl("package-1", "cpu", sensor.Primary, 1)
	good.ID, good.Sensor, good.Same = "perf:package-0", "perf", "package-0"
	spare.Same, spare.Rank = "package-0", 1
	var steps []sensortest.Step
	for i := range 16 {
		when, s := at(time.Duration(10*i)*time.Second), unit.Microjoules(10*i)
		rs := []sensor.Reading{counting(spare, when, s*100*joule), counting(other, when, s*50*joule)}
		if i < 3 || i > 6 && i < 10 {
			rs = append(rs, counting(good, when, s*100*joule))
		}
		steps = append(steps, sensortest.Step{Readings: rs})
	}
	s, _ := scripted(t, sensortest.NewFake(steps...))
	s.patience = 30 * time.Second
	want := map[int]struct{ good, spare float64 }{ // in the tick in which another takes over
		6: {2000, 4000}, 8: {2000, 6000}, 13: {3000, 10_000}, 15: {3000, 12_000},
	}
	for i := range 16 {
		md := scrape(t, s)
		for _, id := range []string{good.ID, spare.ID} {
			if got, _, ok := value(md, "hw.power", id); ok {
				assert.InDelta(t, 100, got, 1e-9, "%s in collection %d", id, i)
			}
		}
		if got, _, ok := value(md, "hw.host.power", "host"); ok {
			assert.InDelta(t, 150, got, 1e-9, "in collection %d", i)
		}
		if w, ok := want[i]; ok {
			requireValue(t, md, "hw.energy", good.ID, w.good)
			requireValue(t, md, "hw.energy", spare.ID, w.spare)
			requireValue(t, md, "hw.host.energy", "host", float64(i)*1500)
		}
	}
}

func TestFailuresOfOneReasonAreToldTogether(t *testing.T) {
	denied := func(path string) error {
		return &sensor.Problem{Sensor: "rapl", Class: sensor.Permission, Path: path, Err: syscall.EACCES}
	}
	odd := &sensor.Problem{Sensor: "rapl", Class: sensor.Malformed, Path: "/sys/z/name", Finding: true}
	s, logs := scripted(t, sensortest.NewFake(
		sensortest.Step{Err: errors.Join(denied("/sys/x/energy_uj"), odd, denied("/sys/y/energy_uj"))},
		sensortest.Step{Err: errors.Join(denied("/sys/x/energy_uj"), denied("/sys/y/energy_uj"))},
	))
	s.sampler.sample(t.Context())
	s.sampler.sample(t.Context())
	told := logs.FilterMessage("power sensor cannot be read").All()
	require.Len(t, told, 1)
	assert.Equal(t, []any{"/sys/y/energy_uj"}, told[0].ContextMap()["likewise"])
	assert.Equal(t, 1, logs.FilterMessage("power sensor has something that is not counted").Len())
	assert.Zero(t, logs.FilterMessage("power sensor can be read again").Len(), "a finding has no end")
}

func TestC74_scrapes_samples_and_telemetry_at_the_same_time(t *testing.T) {
	pkg := rapl("package-0", "cpu", sensor.Primary, 0)
	fake := &sensortest.Fake{Next: func(n int, now time.Time) sensortest.Step {
		return sensortest.Step{Readings: []sensor.Reading{counting(pkg, now, unit.Microjoules(n))}}
	}}
	s, _ := scripted(t, fake)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				s.sampler.sampleNow(t.Context(), freshWait, 0)
				s.sampler.eachPart(func(string, ledger.Stats) {})
				for range s.sampler.unavailable {
					t.Error("nothing is unavailable")
				}
			}
		})
	}
	for range 200 {
		scrape(t, s)
	}
	wg.Wait()
}

func BenchmarkSample(b *testing.B) {
	s, _ := scripted(b, sensortest.NewFake(twoSockets()...))
	b.ReportAllocs()
	for b.Loop() {
		s.sampler.sample(b.Context())
	}
}

func BenchmarkScrape(b *testing.B) {
	pkg := rapl("package-0", "cpu", sensor.Primary, 0)
	s, _ := scripted(b, &sensortest.Fake{Next: func(n int, now time.Time) sensortest.Step {
		return sensortest.Step{Readings: []sensor.Reading{counting(pkg, now, unit.Microjoules(n))}}
	}})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.scrape(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func idSet(id string) attribute.Set { return attribute.NewSet(attribute.String("hw.id", id)) }

// wraps is the number of wraps of all parts.
func (s *sampler) wraps() (n uint64) {
	s.eachPart(func(_ string, st ledger.Stats) { n += st.Wraps })
	return n
}

// sumOfPowers adds up the hw.power of one export.
func sumOfPowers(md pmetric.Metrics) (sum float64) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Name() != "hw.power" {
					continue
				}
				for _, p := range m.Gauge().DataPoints().All() {
					sum += p.DoubleValue()
				}
			}
		}
	}
	return sum
}

// A package of 100 W, read with each collection, and a GPU of 300 W whose last line is up to
// 0.9 s old. Over 10 s of the host the GPU brings 3 kJ ± 270 J: energy over time would be
// up to 427 W.
func TestThePowerOfTheHostIsThatOfItsPartsAlsoWhereOneLags(t *testing.T) {
	pkg := rapl("package-0", "cpu", sensor.Primary, 0)
	gpu := &sensor.Part{ID: "nvidia_smi:GPU-0", Name: "L4", Type: "gpu", Sensor: "nvidia_smi", Method: sensor.Integrated, Socket: -1, Die: -1}
	var steps []sensortest.Step
	for i, lag := range []int{900, 0, 300, 900, 100, 500} { // ms
		when := at(time.Duration(10*i) * time.Second)
		steps = append(steps, sensortest.Step{Readings: []sensor.Reading{
			counting(pkg, when, unit.Microjoules(i)*1000*joule), power(gpu, when.Add(-time.Duration(lag)*time.Millisecond), 300),
		}})
	}
	s, _ := scripted(t, sensortest.NewFake(steps...))
	scrape(t, s)
	for i := range 5 {
		md := scrape(t, s)
		requireValue(t, md, "hw.host.power", "host", 400)
		require.InDelta(t, 400, sumOfPowers(md), 1e-9)
		energy, _, _ := value(md, "hw.energy", gpu.ID)
		requireValue(t, md, "hw.host.energy", "host", 1000*float64(i+1)+energy)
	}
}

// The DRAM of 10 W begins in the middle of the second interval: 10 W in the half of it
// that it is known for. The package draws 100 W.
func TestThePowerOfTheHostHoldsThatOfAPartThatBeganLater(t *testing.T) {
	pkg, dram := rapl("package-0", "cpu", sensor.Primary, 0), rapl("package-0/dram", "memory", sensor.Primary, 0)
	of := func(sec int) sensortest.Step {
		when, e := at(time.Duration(sec)*time.Second), unit.Microjoules(sec)*joule
		rs := []sensor.Reading{counting(pkg, when, 100*e)}
		if sec > 10 {
			rs = append(rs, counting(dram, when, 10*e))
		}
		return sensortest.Step{Readings: rs}
	}
	s, _ := scripted(t, sensortest.NewFake(of(0), of(10), of(15), of(20), of(30)))
	scrape(t, s)
	requireValue(t, scrape(t, s), "hw.host.power", "host", 100)
	s.sampler.sample(t.Context()) // at 15 s, between two collections
	for range 2 {
		requireValue(t, scrape(t, s), "hw.host.power", "host", 110)
	}
}

// Two packages of 100 W each. One is silent for longer than it is waited for; its 6 kJ of a
// minute are no 600 W of the last 10 s.
func TestThePowerOfTheHostDoesNotJumpWhenAPartReturns(t *testing.T) {
	pkg0, pkg1 := rapl("package-0", "cpu", sensor.Primary, 0), rapl("package-1", "cpu", sensor.Primary, 1)
	var steps []sensortest.Step
	for i := range 9 {
		when, e := at(time.Duration(10*i)*time.Second), unit.Microjoules(i)*1000*joule
		rs := []sensor.Reading{counting(pkg0, when, e)}
		if i < 2 || i > 6 {
			rs = append(rs, counting(pkg1, when, e))
		}
		steps = append(steps, sensortest.Step{Readings: rs})
	}
	s, _ := scripted(t, sensortest.NewFake(steps...))
	s.patience = 30 * time.Second
	scrape(t, s)
	for i, want := range []float64{200, 0, 0, 0, 100, 100, 200, 200} { // W; not told while it is waited for
		md := scrape(t, s)
		if want == 0 {
			requireNone(t, md, "hw.host.power", "host")
			continue
		}
		got, _, ok := value(md, "hw.host.power", "host")
		require.True(t, ok, "at %d0 s", i+1)
		require.InDelta(t, want, got, 1e-9, "at %d0 s", i+1)
	}
}

// The counter of package-0 cannot be read at 20 s, where it draws 300 W instead of 100 W
// from 10 s on, and package-1 50 W, then 150 W from 20 s on. At 30 s package-0 tells the mean of
// 20 s, package-1 that of 10 s: 450 W. The host is told for all of the 20 s: 400 W.
func TestThePowerOfTheHostIsTheMeanOfItsOwnTimeWhereThePartsHaveDifferentOnes(t *testing.T) {
	pkg0, pkg1 := rapl("package-0", "cpu", sensor.Primary, 0), rapl("package-1", "cpu", sensor.Primary, 1)
	step := func(sec int, e ...unit.Microjoules) (out sensortest.Step) {
		when := at(time.Duration(sec) * time.Second)
		out.Readings = append(out.Readings, counting(pkg1, when, e[0]*joule))
		if len(e) > 1 {
			out.Readings = append(out.Readings, counting(pkg0, when, e[1]*joule))
		}
		return out
	}
	s, _ := scripted(t, sensortest.NewFake(step(0, 0, 0), step(10, 500, 1000), step(20, 1000), step(30, 2500, 7000), step(40, 4000, 10_000)))
	scrape(t, s)
	requireValue(t, scrape(t, s), "hw.host.power", "host", 150)
	requireNone(t, scrape(t, s), "hw.host.power", "host")
	md := scrape(t, s)
	requireValue(t, md, "hw.host.power", "host", 400) // 6000 J + 2000 J
	require.InDelta(t, 450, sumOfPowers(md), 1e-9)
	md = scrape(t, s)
	requireValue(t, md, "hw.host.power", "host", 450)
	require.InDelta(t, 450, sumOfPowers(md), 1e-9, "the same time again")
}

// 100 W; the counter is not read for so long that it may have wrapped: what it drew
// meanwhile is unknown, and is neither 0 W nor part of the power after it.
func TestThePowerAfterAGapIsThatOfTheKnownTime(t *testing.T) {
	pkg := rapl("package-0", "cpu", sensor.Primary, 0)
	var steps []sensortest.Step
	for _, sec := range []int{0, 10, 1000, 1010} { // it wraps in 262 s at 1 kW
		steps = append(steps, sensortest.Step{Readings: []sensor.Reading{counting(pkg, at(time.Duration(sec)*time.Second), unit.Microjoules(sec)*100*joule)}})
	}
	s, _ := scripted(t, sensortest.NewFake(steps...))
	scrape(t, s)
	requireValue(t, scrape(t, s), "hw.power", "rapl:package-0", 100)
	s.shortest = time.Second
	md := scrape(t, s)
	requireNone(t, md, "hw.power", "rapl:package-0")
	requireNone(t, md, "hw.host.power", "host")
	md = scrape(t, s)
	requireValue(t, md, "hw.power", "rapl:package-0", 100)
	requireValue(t, md, "hw.host.power", "host", 100)
}
