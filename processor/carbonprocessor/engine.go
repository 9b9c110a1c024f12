package carbonprocessor

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcarbon/otelcarbon"
	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/chain"
	"github.com/otelcarbon/otelcarbon/intensity/offline"
	"github.com/otelcarbon/otelcarbon/internal/emission"
	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor/internal/journal"
	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor/internal/metadata"
)

// engine is what the pipelines share that have one processor of the configuration: the
// source of intensity with its requests and its cache, and what it says of itself.
// The first pipeline that starts opens it, the last one that stops closes it.
type engine struct {
	config   *Config
	log      *zap.Logger
	id       component.ID
	build    string // version
	counters *counters
	live     *live
	tracked  atomic.Int64 // streams of all pipelines, for the gauge
	open     func(context.Context, *engine, component.Host) (intensity.Source, *offline.Provider, error)

	inputs map[string]*input
	widths emission.Widths
	emits  emits
	// temporality of what is emitted; unspecified: that of the input
	temporality pmetric.AggregationTemporality

	mu      sync.Mutex
	users   int
	began   time.Time // with the monotonic clock
	source  intensity.Source
	tables  *offline.Provider
	hash    hasher
	born    int64 // ns since 1970: streams that began later and are not known are new
	budgets *budgets
	revises bool

	clients   []storage.Client
	cache     chain.Store       // nil: what providers say is not stored
	journal   *journal.Journal  // nil: nothing is stored
	restored  []*journal.Stream // the least recently seen first
	pipelines []*metricsProcessor
	leaving   bool               // a pipeline has stopped: what is in memory is not all any more
	quit      context.CancelFunc // ends a compaction; may be nil

	compacting, failing atomic.Bool
	told                sync.Map // metrics that were logged as useless
	toldOf              atomic.Int32
	work                sync.WaitGroup
}

func newEngine(cfg *Config, set processor.Settings) (*engine, error) {
	builder, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	counters := newCounters(builder)
	return &engine{
		config: cfg, log: set.Logger, id: set.ID, build: set.BuildInfo.Version, counters: counters, open: openSource,
		live:   newLive(cfg, set.TelemetrySettings, counters),
		inputs: inputsOf(cfg), widths: cfg.Uncertainty.widths(),
		emits: emits{
			bounds: cfg.Range, water: cfg.WUE > 0,
			cost: cfg.ElectricityPrice.PerKWh > 0, currency: "{" + cfg.ElectricityPrice.Currency + "}",
		},
		temporality: temporalities()[cfg.Temporality],
		revises:     cfg.Revise,
	}, nil
}

// start reads the tables and makes the source. It waits for no network.
func (e *engine) start(ctx context.Context, host component.Host) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.users++; e.users > 1 {
		return nil
	}
	err := e.begin(ctx, host)
	if err != nil {
		e.users--
	}
	return err
}

func (e *engine) begin(ctx context.Context, host component.Host) (err error) {
	e.began = time.Now()
	if err := e.openState(ctx, host); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.closeState(ctx))
		}
	}()
	if e.source, e.tables, err = e.open(ctx, e, host); err != nil {
		return err
	}
	err = e.counters.RegisterProcessorCarbonStreamsTrackedCallback(func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(e.tracked.Load())
		return nil
	})
	if err == nil {
		err = e.counters.RegisterProcessorCarbonIntensityAgeCallback(e.live.observeAges)
	}
	if err != nil {
		return errors.Join(err, e.end())
	}
	e.log.Debug("attributions of the tables", zap.String("notice", otelcarbon.Notice())) // which keeps them in the binary, as the licenses want
	return nil
}

// enter starts the engine for a pipeline, which gets places of its own and leaves by
// calling detach and stop.
func (e *engine) enter(ctx context.Context, host component.Host) (at *places, detach func(), err error) {
	if err := e.start(ctx, host); err != nil {
		return nil, nil, err
	}
	at, err = newPlaces(e.config, e.source, e.tables, e.log, e.live.providers...) //nolint:contextcheck // names are looked up with one that has ended
	if err != nil {
		return nil, nil, errors.Join(err, e.stop(ctx))
	}
	return at, e.live.status.attach(host), nil
}

// stop is called once for each start that succeeded.
func (e *engine) stop(ctx context.Context) error {
	e.mu.Lock()
	e.users--
	last := e.users == 0
	if last && e.quit != nil {
		e.quit() // what is stored stays valid
	}
	e.mu.Unlock()
	if !last {
		return nil
	}
	return errors.Join(e.end(), e.closeState(ctx)) // the cache of the source is stored, too
}

// end closes connections after those who use them.
func (e *engine) end() error {
	defer e.live.close()
	return e.source.Close()
}

// maxTold bounds the metrics that are logged as useless.
const maxTold = 100

// useless logs once that a metric is an input and cannot be used as it is.
func (e *engine) useless(m pmetric.Metric, in *input, why outcome) {
	name := m.Name()
	if _, done := e.told.Load(name); done || pointsOf(m) == 0 || e.toldOf.Load() >= maxTold {
		return
	}
	e.toldOf.Add(1)
	e.told.Store(strings.Clone(name), nil)
	e.log.Warn("a metric of energy or power is not priced: name it under inputs as what it is, or mend its sender",
		zap.String("metric", name), zap.String("reason", reasons()[why]), zap.String("type", m.Type().String()),
		zap.String("unit", m.Unit()), zap.String("wanted_unit", in.unit))
}
