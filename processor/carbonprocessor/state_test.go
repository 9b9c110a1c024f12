package carbonprocessor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor/processortest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"

	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor/internal/metadata"
)

// shelf is a storage extension in memory. Clients of one name share what they store.
type shelf struct {
	component.StartFunc
	component.ShutdownFunc

	mu     sync.Mutex
	values map[string][]byte
	fail   error // of everything
	open   int
}

func newShelf() *shelf { return &shelf{values: map[string][]byte{}} }

func (s *shelf) GetClient(_ context.Context, kind component.Kind, id component.ID, name string) (storage.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return nil, s.fail
	}
	s.open++
	return &drawer{s, fmt.Sprintf("%s/%s/%s/", kind, id, name)}, nil
}

type drawer struct {
	*shelf

	prefix string
}

func (d *drawer) Get(ctx context.Context, key string) ([]byte, error) {
	op := storage.GetOperation(key)
	err := d.Batch(ctx, op)
	return op.Value, err
}

func (d *drawer) Set(ctx context.Context, key string, v []byte) error {
	return d.Batch(ctx, storage.SetOperation(key, v))
}

func (d *drawer) Delete(ctx context.Context, key string) error {
	return d.Batch(ctx, storage.DeleteOperation(key))
}

func (d *drawer) Batch(_ context.Context, ops ...*storage.Operation) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return d.fail
	}
	for _, op := range ops {
		switch op.Type {
		case storage.Get:
			op.Value = bytes.Clone(d.values[d.prefix+op.Key])
		case storage.Set:
			d.values[d.prefix+op.Key] = bytes.Clone(op.Value)
		case storage.Delete:
			delete(d.values, d.prefix+op.Key)
		}
	}
	return nil
}

func (d *drawer) Close(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open--
	return nil
}

// home is a Collector with extensions.
type home map[component.ID]component.Component

func (h home) GetExtensions() map[component.ID]component.Component { return h }

var shelfID = component.MustNewID("file_storage") //nolint:gochecknoglobals // of the tests

func (s *shelf) host() component.Host { return home{shelfID: s} }

// life is one run of a Collector with a pipeline or two, which may die at any moment.
type life struct {
	t         testing.TB
	pipelines []*metricsProcessor
	logs      *observer.ObservedLogs
}

func (s *shelf) live(t testing.TB, pipelines int, edit func(*Config)) *life {
	t.Helper()
	cfg := createDefaultConfig().(*Config)
	g := 360.0
	cfg.Providers, cfg.Storage = []ProviderConfig{{Static: &StaticConfig{GramsPerKWh: &g}}}, &shelfID
	if edit != nil {
		edit(cfg)
	}
	require.NoError(t, cfg.Validate())
	set := processortest.NewNopSettings(metadata.Type)
	core, logs := observer.New(zap.InfoLevel)
	set.Logger = zap.New(core)
	e, err := newEngine(cfg, set)
	require.NoError(t, err)
	l := &life{t: t, logs: logs}
	for range pipelines {
		p := newMetricsProcessor(e, func() {})
		require.NoError(t, p.start(t.Context(), s.host()))
		l.pipelines = append(l.pipelines, p)
	}
	return l
}

func (l *life) stop() {
	l.t.Helper()
	for _, p := range l.pipelines {
		require.NoError(l.t, p.shutdown(context.WithoutCancel(l.t.Context())))
	}
}

// crash ends what would outlive the test, and nothing that a dead process could.
func (l *life) crash(s *shelf) {
	s.mu.Lock()
	s.fail = errors.New("the process is dead")
	s.mu.Unlock()
	for _, p := range l.pipelines {
		_ = p.shutdown(context.WithoutCancel(l.t.Context()))
	}
	s.mu.Lock()
	s.fail = nil
	s.mu.Unlock()
}

func (l *life) send(pipeline int, began time.Time, temporality pmetric.AggregationTemporality, start, at, joules float64) (out pmetric.Metrics) {
	l.t.Helper()
	r := &rig{t: l.t, began: began}
	md := energy(l.t, in{temporality: temporality, attrs: map[string]any{"hw.id": "cpu"}, resource: map[string]any{"host.id": "h"}},
		func(dp pmetric.NumberDataPoint) { r.fill(dp, point{start, at, joules}) })
	out, err := l.pipelines[pipeline].processMetrics(l.t.Context(), md)
	require.NoError(l.t, err)
	return out
}

func grams(out pmetric.Metrics, name string) (sum float64) {
	for _, dp := range found(out, name) {
		sum += dp.DoubleValue()
	}
	return sum
}

// At 360 g/kWh, 1000 J are 0.1 g.
func TestTotalsSurviveARestart(t *testing.T) {
	for name, end := range map[string]func(*life, *shelf){
		"that was asked for": func(l *life, _ *shelf) { l.stop() },
		"by kill -9":         func(l *life, s *shelf) { l.crash(s) },
	} {
		t.Run(name, func(t *testing.T) {
			s, began := newShelf(), time.Now()
			all := func(c *Config) {
				c.Budgets = []BudgetConfig{{Name: "b", Grams: 1}}
				c.Embodied = configoptional.Some(EmbodiedConfig{KgCO2e: 36, Lifetime: 10 * time.Hour}) // 1 g/s
				c.ElectricityPrice.PerKWh, c.WUE = 3600, 3600                                          // 1 for each kJ
			}
			l := s.live(t, 1, all)
			l.send(0, began, cumulative, -5, 10, 5000) // a baseline
			l.send(0, began, cumulative, -5, 20, 6000)
			out := l.send(0, began, cumulative, -5, 30, 7000)
			assert.InEpsilon(t, 0.2, byType(out, "carbon.host.emissions", "operational", "")[""], 1e-12)
			end(l, s)
			assert.Zero(t, s.open)

			l = s.live(t, 1, all)
			out = l.send(0, began, cumulative, -5, 60, 10_000) // 3000 J since the last point that was passed on
			assert.InEpsilon(t, 0.5, byType(out, "carbon.host.emissions", "operational", "")[""], 1e-12)
			assert.InEpsilon(t, 50, byType(out, "carbon.host.emissions", "embodied", "")[""], 1e-9, "from 10 s on")
			assert.InEpsilon(t, 5, grams(out, "carbon.electricity_cost"), 1e-12)
			assert.InEpsilon(t, 5, grams(out, "carbon.water_usage"), 1e-12)
			for _, dp := range found(out, "carbon.host.emissions") {
				assert.Equal(t, began.Add(10*time.Second).UnixNano(), dp.StartTimestamp().AsTime().UnixNano())
			}
			// 50.5 g of 1 g: its thresholds were told before.
			assert.InEpsilon(t, 50.5, grams(out, "carbon.budget.utilization"), 1e-9)
			assert.Zero(t, l.logs.FilterMessage("carbon budget: threshold reached").Len())
			l.stop()
		})
	}
}

// Deltas that were passed on are known after a crash: none is priced twice.
func TestADeltaIsNotCountedAgainAfterACrash(t *testing.T) {
	s, began := newShelf(), time.Now()
	l := s.live(t, 1, nil)
	assert.InEpsilon(t, 0.1, grams(l.send(0, began, delta, 0, 10, 1000), "carbon.host.emissions"), 1e-12)
	l.crash(s)
	l = s.live(t, 1, nil)
	assert.Empty(t, found(l.send(0, began, delta, 0, 10, 1000), "carbon.host.emissions"))
	assert.InEpsilon(t, 0.2, grams(l.send(0, began, delta, 10, 20, 2000), "carbon.host.emissions"), 1e-12)
	l.stop()
}

// A counter that began while nobody was there counts as a whole, one that is new but
// older than the first start does not.
func TestWhatIsNewAfterARestart(t *testing.T) {
	s, began := newShelf(), time.Now()
	l := s.live(t, 1, nil)
	l.send(0, began, cumulative, -5, 10, 1000)
	l.stop()
	l = s.live(t, 1, nil)
	r := &rig{t: t, began: began}
	other := func(id string, start float64) float64 {
		md := energy(t, in{attrs: map[string]any{"hw.id": id}}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{start, 20, 1000.0}) })
		out, err := l.pipelines[0].processMetrics(t.Context(), md)
		require.NoError(t, err)
		return grams(out, "carbon.host.emissions")
	}
	assert.InEpsilon(t, 0.1, other("gpu-1", 12), 1e-12)
	assert.Zero(t, other("gpu-2", -3))
	l.stop()
}

// Both pipelines see the stream, one of them is behind when the process dies.
// Of more streams than there may be, those that were seen last are kept.
func TestTheLastSeenStreamsSurviveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, began := newShelf(), time.Now()
		limit := func(c *Config) { c.MaxStreams = 3 }
		send := func(l *life, id string, at float64) float64 {
			r := &rig{t: t, began: began}
			md := energy(t, in{attrs: map[string]any{"hw.id": id}}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{-5, at, at * 1000}) })
			out, err := l.pipelines[0].processMetrics(t.Context(), md)
			require.NoError(t, err)
			return grams(out, "carbon.host.emissions")
		}
		l := s.live(t, 1, limit)
		for i := range 20 {
			time.Sleep(time.Second)
			send(l, fmt.Sprint(i), 10)
		}
		l.crash(s)
		l = s.live(t, 1, limit)
		for _, p := range l.pipelines {
			var all []*label
			for x := p.streams.ring.newer; x != &p.streams.ring; x = x.newer {
				for i := range x.sums {
					all = append(all, x.sums[i].label)
				}
			}
			assert.Empty(t, all)
		}
		for _, id := range []string{"17", "18", "19"} {
			assert.InDelta(t, 1, send(l, id, 20), 1e-9, "10 kJ since its baseline of %s", id)
		}
		l.crash(s)
		l = s.live(t, 1, limit)
		first := l.pipelines[0].streams.ring.newer
		require.Len(t, first.sums, 1)
		assert.Same(t, first.sums[0].label, first.newer.sums[0].label, "equal labels are one")
		l.stop()
	})
}

// A sender that has gone does not keep what was counted from being stored.
func TestABatchIsStoredThoughItsSenderIsGone(t *testing.T) {
	s, began := newShelf(), time.Now()
	l := s.live(t, 1, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := &rig{t: t, began: began}
	md := energy(t, in{}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{5, 10, 10_000.0}) })
	_, err := l.pipelines[0].processMetrics(ctx, md)
	require.NoError(t, err)
	assert.Zero(t, l.logs.FilterMessageSnippet("cannot be stored").Len())
	l.crash(s)
	l = s.live(t, 1, nil)
	md = energy(t, in{}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{5, 20, 20_000.0}) })
	out, err := l.pipelines[0].processMetrics(t.Context(), md)
	require.NoError(t, err)
	assert.InDelta(t, 2, grams(out, "carbon.host.emissions"), 1e-9)
	l.stop()
}

// The end of a series is known after a crash: what begins anew then is another series.
func TestTheEndOfASeriesSurvivesACrash(t *testing.T) {
	s, began := newShelf(), time.Now()
	r := &rig{t: t, began: began}
	send := func(l *life, start, at, joules float64, end bool) pmetric.Metrics {
		out, err := l.pipelines[0].processMetrics(t.Context(), energy(t, in{}, func(dp pmetric.NumberDataPoint) {
			r.fill(dp, point{start, at, joules})
			dp.SetFlags(dp.Flags().WithNoRecordedValue(end))
		}))
		require.NoError(t, err)
		return out
	}
	l := s.live(t, 1, nil)
	send(l, 5, 10, 10_000, false)
	send(l, 5, 20, 0, true)
	l.crash(s)
	l = s.live(t, 1, nil)
	got := found(send(l, 25, 30, 20_000, false), "carbon.host.emissions")
	require.Len(t, got, 1)
	assert.InDelta(t, 2, got[0].DoubleValue(), 1e-9)
	assert.InDelta(t, 25, r.seconds(got[0].StartTimestamp()), 1e-6)
	l.stop()
}

// A compaction that a slow store holds up ends with the last pipeline.
func TestShutdownDoesNotWaitForACompaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newShelf().live(t, 1, nil)
		e := l.pipelines[0].engine
		ctx, cancel := context.WithTimeout(t.Context(), compactWithin)
		defer cancel()
		_, ok := e.whole(cancel)
		require.True(t, ok)
		e.work.Go(func() { <-ctx.Done() })
		began := time.Now()
		l.stop()
		assert.Zero(t, time.Since(began))
	})
}

func TestTwoPipelinesOfOneStore(t *testing.T) {
	s, began := newShelf(), time.Now()
	l := s.live(t, 2, nil)
	for at := 10.0; at <= 30; at += 10 {
		for p := range 2 {
			if p == 1 && at == 30 {
				continue // it is behind
			}
			l.send(p, began, cumulative, -5, at, at*100)
		}
	}
	l.crash(s)
	l = s.live(t, 2, nil)
	for p := range 2 {
		out := l.send(p, began, cumulative, -5, 40, 4000)
		assert.InEpsilon(t, 0.3, grams(out, "carbon.host.emissions"), 1e-12, "of the 30 s since the baseline")
	}
	l.stop()
	assert.Zero(t, s.open)
}

func TestAStoreThatCannotBeUsed(t *testing.T) {
	for name, c := range map[string]struct {
		host component.Host
		want string
	}{
		"is not there":   {home{}, `storage: there is no extension "file_storage"`},
		"stores nothing": {home{shelfID: struct{ component.Component }{}}, `storage: the extension "file_storage" stores nothing`},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := createDefaultConfig().(*Config)
			cfg.Storage = &shelfID
			p := newProcessor(t, cfg, processortest.NewNopSettings(metadata.Type))
			require.ErrorContains(t, p.start(t.Context(), c.host), c.want)
			require.NoError(t, p.shutdown(t.Context()))
		})
	}
	t.Run("fails", func(t *testing.T) {
		s, began := newShelf(), time.Now()
		s.fail = errors.New("invalid database")
		l := s.live(t, 1, nil)
		require.Equal(t, 1, l.logs.FilterMessageSnippet("storage cannot be opened").Len())
		l.send(0, began, cumulative, -5, 10, 1000)
		assert.InEpsilon(t, 0.1, grams(l.send(0, began, cumulative, -5, 20, 2000), "carbon.host.emissions"), 1e-12, "it works without")
		l.stop()
	})
	// A second run without the store would emit what a third one with it emits again.
	t.Run("is somebody else's", func(t *testing.T) {
		for _, fail := range []error{fmt.Errorf("open carbon: %w", fs.ErrPermission), errors.New("timeout")} {
			s := newShelf()
			s.fail = fail
			cfg := createDefaultConfig().(*Config)
			cfg.Storage = &shelfID
			p := newProcessor(t, cfg, processortest.NewNopSettings(metadata.Type))
			require.ErrorContains(t, p.start(t.Context(), s.host()), `storage: "file_storage" is in use by another process, or not ours`)
			require.NoError(t, p.shutdown(t.Context()))
		}
	})
	t.Run("fails later", func(t *testing.T) {
		s, began := newShelf(), time.Now()
		l := s.live(t, 1, nil)
		l.send(0, began, cumulative, -5, 10, 1000)
		s.fail = errors.New("the disk is full")
		assert.InEpsilon(t, 0.1, grams(l.send(0, began, cumulative, -5, 20, 2000), "carbon.host.emissions"), 1e-12)
		l.send(0, began, cumulative, -5, 30, 3000)
		require.Equal(t, 1, l.logs.FilterMessageSnippet("state cannot be stored").Len(), "told once")
		s.mu.Lock()
		s.fail = nil
		s.mu.Unlock()
		l.send(0, began, cumulative, -5, 40, 4000)
		require.Equal(t, 1, l.logs.FilterMessage("state is stored again").Len())
		l.stop()
		l = s.live(t, 1, nil)
		assert.InEpsilon(t, 0.4, grams(l.send(0, began, cumulative, -5, 50, 5000), "carbon.host.emissions"), 1e-12)
		l.stop()
	})
	t.Run("is damaged", func(t *testing.T) {
		s, began := newShelf(), time.Now()
		l := s.live(t, 1, nil)
		l.send(0, began, cumulative, -5, 10, 1000)
		l.stop()
		for key := range s.values {
			if strings.HasSuffix(key, "head") {
				s.values[key] = []byte("rubbish")
			}
		}
		l = s.live(t, 1, nil)
		require.Equal(t, 1, l.logs.FilterMessageSnippet("stored state is damaged").Len())
		l.send(0, began, cumulative, -5, 20, 2000)
		assert.InEpsilon(t, 0.1, grams(l.send(0, began, cumulative, -5, 30, 3000), "carbon.host.emissions"), 1e-12, "it begins anew")
		l.stop()
	})
}

// A meter of 100 W that is read every 10 s, and a Collector that dies at any of the points:
// before it is stored, after that, or when it has been passed on. Whatever happens, a
// cumulative point that is passed on is all that was drawn since the first one, and of
// deltas only those are missing that died with their batch.
func TestAnyNumberOfCrashes(t *testing.T) {
	for _, temporality := range []pmetric.AggregationTemporality{cumulative, delta} {
		t.Run(temporality.String(), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				s, began := newShelf(), time.Now()
				l := s.live(t, 1, nil)
				for i := range rapid.IntRange(3, 30).Draw(rt, "points") {
					at := float64(10 * (i + 1))
					value, start, want := 100*at, -5.0, 0.1*float64(i)
					if temporality == delta {
						value, start, want = 1000, at-10, 0.1
					}
					fate := "lives"
					if i > 0 {
						fate = rapid.SampledFrom([]string{"lives", "lives", "before it is stored", "before it is passed on", "after"}).Draw(rt, "dies")
					}
					if fate == "before it is stored" {
						s.fail = errors.New("the process is dead")
					}
					out := l.send(0, began, temporality, start, at, value)
					if fate != "lives" {
						l.crash(s)
						l = s.live(t, 1, nil)
					}
					if fate == "lives" || fate == "after" {
						if g := grams(out, "carbon.host.emissions"); math.Abs(g-want) > 1e-9 {
							rt.Fatalf("%v g at point %d, not %v", g, i, want)
						}
					}
				}
				l.stop()
			})
		})
	}
}

// A snapshot is made while points come in, and holds them.
func TestTheJournalIsCompacted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, began := newShelf(), time.Now()
		l := s.live(t, 2, nil)
		md := func(at float64) pmetric.Metrics {
			all := pmetric.NewMetrics()
			r := &rig{t: t, began: began}
			for i := range 300 {
				energy(t, in{attrs: map[string]any{"hw.id": fmt.Sprint(i)}}, func(dp pmetric.NumberDataPoint) { r.fill(dp, point{0, at, at * 100}) }).
					ResourceMetrics().MoveAndAppendTo(all.ResourceMetrics())
			}
			return all
		}
		var out pmetric.Metrics
		for round := 1; round <= 100; round++ {
			for _, p := range l.pipelines {
				var err error
				out, err = p.processMetrics(t.Context(), md(10*float64(round)))
				require.NoError(t, err)
			}
			synctest.Wait()
		}
		size := 0
		for _, v := range s.values {
			size += len(v)
		}
		assert.Less(t, size, 4<<20, "60,000 states of 600 streams have some 6 MB")
		assert.InEpsilon(t, 300*10, grams(out, "carbon.host.emissions"), 1e-9)
		l.stop()
		l = s.live(t, 1, nil)
		out, err := l.pipelines[0].processMetrics(t.Context(), md(1010))
		require.NoError(t, err)
		assert.InEpsilon(t, 300*10.1, grams(out, "carbon.host.emissions"), 1e-9)
		l.stop()
	})
}

func TestStoringAllocatesNothing(t *testing.T) {
	s, start := newShelf(), time.Now()
	l := s.live(t, 1, nil)
	p := l.pipelines[0]
	md := fleet(10, 10, start)
	round := 1
	run := func() {
		restore(md, start, round)
		round++
		_, _ = p.processMetrics(t.Context(), md)
	}
	run()
	with := testing.AllocsPerRun(20, run)
	l.stop()
	r := newRig(t, nil)
	p, round = r.p, 1
	run()
	without := testing.AllocsPerRun(20, run)
	assert.LessOrEqual(t, with-without, 20.0, "%v allocations with a store, %v without", with, without)
}

var _ storage.Extension = (*shelf)(nil)

func TestTheEngineEndsWithItsLastPipeline(t *testing.T) {
	f := new(factory)
	cfg := createDefaultConfig().(*Config)
	set := processortest.NewNopSettings(metadata.Type)
	a, releaseA, err := f.engine(set, cfg)
	require.NoError(t, err)
	b, releaseB, err := f.engine(set, cfg)
	require.NoError(t, err)
	assert.Same(t, a, b)
	first, second := newMetricsProcessor(a, releaseA), newMetricsProcessor(b, releaseB)
	require.NoError(t, first.start(t.Context(), componenttest.NewNopHost()))
	require.NoError(t, second.start(t.Context(), componenttest.NewNopHost()))
	assert.Same(t, first.places.source, second.places.source)
	require.NoError(t, first.shutdown(t.Context()))
	out, err := second.processMetrics(t.Context(), fleet(1, 1, time.Now()))
	require.NoError(t, err)
	assert.NotEmpty(t, found(out, "carbon.host.emissions"), "the other one goes on")
	require.NoError(t, second.shutdown(t.Context()))
	c, _, err := f.engine(set, cfg)
	require.NoError(t, err)
	assert.NotSame(t, a, c)
	c.counters.Shutdown()
}

// After a restart the last answers of a provider that is gone are used as they were.
func TestWhatProvidersSaidSurvivesARestart(t *testing.T) {
	s := newShelf()
	server := httptest.NewServer(new(world))
	entries := []ProviderConfig{at("uk_national_grid", server.URL, nil)}
	stored := func(c *Config) { c.Storage = &shelfID }
	r := liveRig(t, s.host(), "GB", entries, stored)
	grams, _ := r.until("uk_national_grid")
	assert.InEpsilon(t, 0.5, grams, 1e-9)
	require.NoError(t, r.p.shutdown(t.Context()))
	assert.Zero(t, s.open)
	server.Close()

	r = liveRig(t, s.host(), "GB", entries, stored)
	grams, _ = r.until("uk_national_grid")
	assert.InEpsilon(t, 0.5, grams, 1e-9)
	require.NoError(t, r.p.shutdown(t.Context()))
	assert.Zero(t, s.open)
}
