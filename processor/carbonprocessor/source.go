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
	"github.com/otelcarbon/otelcarbon/intensity/static"
)

// openSource makes the chain that the configuration describes: its providers in
// order, then the tables.
func openSource(_ context.Context, e *engine, _ component.Host) (intensity.Source, *offline.Provider, error) {
	cfg := e.config
	tables, err := openTables(cfg)
	if err != nil {
		return nil, nil, err
	}
	providers := make([]intensity.Provider, 0, len(cfg.Providers)+1)
	for i, c := range cfg.Providers {
		p, err := static.New(static.Options{GramsPerKWh: *c.Static.GramsPerKWh, Half: c.Static.HalfWidth})
		if err != nil {
			return nil, nil, fmt.Errorf("providers[%d]: %w", i, err)
		}
		providers = append(providers, p)
	}
	src, err := chain.New(chain.Config{MaxPlaces: maxPlaces}, append(providers, tables)...)
	return src, tables, err
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
