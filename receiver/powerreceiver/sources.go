package powerreceiver

import (
	"slices"

	"github.com/otelcarbon/otelcarbon/internal/host"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/all"
	"github.com/otelcarbon/otelcarbon/internal/sensor/model"
)

// sources translates the configuration into the sensors to try. The model comes
// last, so that it knows what the others gave in the same sample.
func (c *Config) sources(facts host.Facts, measured func(hwType string) bool) []*source {
	m := c.Sensors.Model
	if m.InstanceType != "" {
		facts.InstanceType = m.InstanceType
	}
	if m.CloudProvider != "" {
		facts.CloudProvider = m.CloudProvider
	}
	options := all.Options{
		Root: c.RootPath,
		Model: model.Config{
			Times:             host.NewCPUMeter(c.RootPath).Times,
			Host:              all.ModelHost(facts),
			IdleWatts:         m.IdleWatts,
			MaxWatts:          m.MaxWatts,
			MemoryWattsPerGiB: m.MemoryWattsPerGiB,
			Measured:          measured,
		},
	}
	var out []*source
	for _, name := range slices.Concat(all.NotBuilt, all.Names) {
		use, named := c.Sensors.selected(name)
		if !use || !named && slices.Contains(all.NotBuilt, name) {
			continue
		}
		out = append(out, &source{
			name: name, named: named, required: c.Sensors.required(name),
			open: func() (sensor.Sensor, error) { return all.Open(name, options) },
		})
	}
	return out
}
