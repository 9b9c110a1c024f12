package carbonprocessor

import (
	"context"
	"fmt"
	"io"
	"os"

	"go.opentelemetry.io/collector/component"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/chain"
	"github.com/otelcarbon/otelcarbon/intensity/offline"
)

// openSource makes the chain that the configuration describes: its providers in
// order, then the tables.
func openSource(ctx context.Context, e *engine, host component.Host) (intensity.Source, *offline.Provider, error) {
	cfg := e.config
	tables, err := openTables(cfg)
	if err != nil {
		return nil, nil, err
	}
	providers, err := e.live.open(ctx, cfg, host)
	if err != nil {
		return nil, nil, err
	}
	widths := cfg.Uncertainty.halfWidths()
	src, err := chain.New(chain.Config{
		MaxPlaces: maxPlaces, Offline: cfg.Offline, HalfWidths: &widths, Store: e.cache, Hooks: e.live.hooks(), //nolint:contextcheck // they are called from the background
	}, append(providers, tables)...)
	if err != nil {
		return nil, nil, err
	}
	return src, tables, nil
}

func openTables(cfg *Config) (*offline.Provider, error) {
	o := offline.Options{HalfWidths: cfg.Uncertainty.halfWidths()}
	if cfg.CloudsFile != "" {
		f, err := os.Open(cfg.CloudsFile)
		if err != nil {
			return nil, fmt.Errorf("clouds_file: %w", err)
		}
		defer func() { _ = f.Close() }() // was only read
		o.Clouds, o.CloudsName = io.Reader(f), cfg.CloudsFile
	}
	p, err := offline.New(o)
	if err != nil && cfg.CloudsFile != "" {
		return nil, fmt.Errorf("clouds_file: %w", err)
	}
	return p, err
}
