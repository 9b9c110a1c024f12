package carbonprocessor

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processorhelper"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcarbon/otelcarbon"
	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/offline"
	"github.com/otelcarbon/otelcarbon/internal/emission"
	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor/internal/metadata"
)

// NewFactory returns the factory of the processor "carbon".
func NewFactory() processor.Factory {
	return processor.NewFactory(metadata.Type, createDefaultConfig,
		processor.WithMetrics(createMetrics, metadata.MetricsStability))
}

func createMetrics(ctx context.Context, set processor.Settings, cfg component.Config, next consumer.Metrics) (processor.Metrics, error) {
	p, err := newMetricsProcessor(cfg.(*Config), set)
	if err != nil {
		return nil, err
	}
	return processorhelper.NewMetrics(ctx, set, cfg, next, p.processMetrics,
		processorhelper.WithCapabilities(consumer.Capabilities{MutatesData: true}),
		processorhelper.WithStart(p.start),
		processorhelper.WithShutdown(p.shutdown))
}

// metricsProcessor prices the energy in batches of metrics. One lock guards its
// state; it is held while a batch is walked, not while the next consumer works.
type metricsProcessor struct {
	config   *Config
	log      *zap.Logger
	version  string
	open     func(*Config) (intensity.Source, *offline.Provider, error)
	counters *counters
	tracked  atomic.Int64 // streams, for the gauge

	host, workload *family
	bounds         bool
	widths         emission.Widths
	hash           hasher

	mu      sync.Mutex
	started time.Time // with the monotonic clock
	streams *streams  // nil while not running
	places  *places
	prices  *prices

	// The rest is the batch in progress, kept here so that it allocates nothing.
	now     time.Duration
	batch   uint64
	index   int // of the resource
	place   *place
	gauges  []*gauge
	sums    []series
	dropped [outcomes]int64
	resets  int64
}

func newMetricsProcessor(cfg *Config, set processor.Settings) (*metricsProcessor, error) {
	builder, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	return &metricsProcessor{
		config: cfg, open: openSource, log: set.Logger, version: set.BuildInfo.Version, counters: newCounters(builder),
		host: hostFamily(), workload: workloadFamily(),
		bounds: cfg.Range, widths: cfg.Uncertainty.widths(), hash: newHasher(),
	}, nil
}

// start reads the tables. It opens no socket and starts no goroutine.
func (p *metricsProcessor) start(context.Context, component.Host) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams != nil {
		return nil
	}
	now := time.Now()
	streams := newStreams(p.config.MaxStreams, p.config.StaleAfter, now.UnixNano())
	src, tables, err := p.open(p.config)
	if err != nil {
		return err
	}
	places, err := newPlaces(p.config, src, tables, p.log)
	if err != nil {
		return errors.Join(err, src.Close())
	}
	err = p.counters.RegisterProcessorCarbonStreamsTrackedCallback(func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(p.tracked.Load())
		return nil
	})
	if err != nil {
		return errors.Join(err, src.Close())
	}
	p.log.Debug("attributions of the tables", zap.String("notice", otelcarbon.Notice())) // which keeps them in the binary, as the licenses want
	p.started, p.streams, p.places, p.prices = now, streams, places, newPrices()
	return nil
}

// shutdown may be called twice, and without start. Batches that still arrive pass
// unchanged.
func (p *metricsProcessor) shutdown(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counters.Shutdown()
	if p.streams == nil {
		return nil
	}
	err := p.places.source.Close()
	p.streams, p.places, p.prices = nil, nil, nil
	return err
}
