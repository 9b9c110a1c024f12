package carbonprocessor

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processorhelper"

	"github.com/otelcarbon/otelcarbon/internal/shared"
	"github.com/otelcarbon/otelcarbon/processor/carbonprocessor/internal/metadata"
)

// NewFactory returns the factory of the processor "carbon".
func NewFactory() processor.Factory {
	f := new(factory)
	return processor.NewFactory(metadata.Type, createDefaultConfig,
		processor.WithMetrics(f.createMetrics, metadata.MetricsStability),
		processor.WithTraces(f.createTraces, metadata.TracesStability))
}

// factory knows the engines in use. The pipelines of one processor of the configuration
// have one Config, by which they find theirs.
type factory struct{ engines shared.Map[*Config, *engine] }

// engine returns the one of a configuration and what gives it up.
func (f *factory) engine(set processor.Settings, cfg component.Config) (*engine, func(), error) {
	c := cfg.(*Config)
	e, release, err := f.engines.Get(c, func() (*engine, error) { return newEngine(c, set) })
	if err != nil {
		return nil, nil, err
	}
	return e, func() {
		if release() {
			e.counters.Shutdown()
		}
	}, nil
}

func (f *factory) createMetrics(ctx context.Context, set processor.Settings, cfg component.Config, next consumer.Metrics) (processor.Metrics, error) {
	e, release, err := f.engine(set, cfg)
	if err != nil {
		return nil, err
	}
	p := newMetricsProcessor(e, release)
	return processorhelper.NewMetrics(ctx, set, cfg, next, p.processMetrics,
		processorhelper.WithCapabilities(consumer.Capabilities{MutatesData: true}),
		processorhelper.WithStart(p.start),
		processorhelper.WithShutdown(p.shutdown))
}

func (f *factory) createTraces(ctx context.Context, set processor.Settings, cfg component.Config, next consumer.Traces) (processor.Traces, error) {
	e, release, err := f.engine(set, cfg)
	if err != nil {
		return nil, err
	}
	p := newTracesProcessor(e, release)
	return processorhelper.NewTraces(ctx, set, cfg, next, p.processTraces,
		processorhelper.WithCapabilities(consumer.Capabilities{MutatesData: true}),
		processorhelper.WithStart(p.start),
		processorhelper.WithShutdown(p.shutdown))
}
