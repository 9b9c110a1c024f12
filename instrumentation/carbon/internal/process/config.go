package process

import (
	"errors"
	"fmt"

	"github.com/otelcarbon/otelcarbon/internal/idle"
	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/model"
)

// Config of a Source; the zero value is the usual one.
type Config struct {
	// Root is the folder below which proc and sys of the machine lie: "" is "/"; in a
	// container it may be where the host is mounted.
	Root string
	// Idle is ledger.IdleSeparate or ledger.IdleByUsage.
	Idle ledger.IdlePolicy
	// IdleWatts is what parts draw while nobody uses them, by hw.id or hw.type. What is
	// not given is learned, as in the receiver.
	IdleWatts map[string]float64

	// CloudProvider and HostType, as in the resource: "aws", "m5.large". The model knows
	// many such machines.
	CloudProvider, HostType string
	// Of the model: CPU or machine with nothing to do and with all CPUs busy; 0: from
	// the tables.
	ModelIdleWatts, ModelMaxWatts, ModelMemoryWattsPerGiB float64

	// Children has the CPU time of children counted when they have ended and were
	// waited for, at what a CPU-second of the other processes cost in the mean since Open.
	// Windows does not tell it. What they, and theirs, use of GPUs counts while they do.
	Children bool

	// Extra opens further sensors, such as that of GPUs. Each is opened in a goroutine of
	// its own, since a driver may take its time, and read from then on. Of a
	// sensor.Attributor the process gets what is its own.
	Extra []func() (sensor.Sensor, error)
}

func (c *Config) check() error {
	var errs []error
	if c.Idle != ledger.IdleSeparate && c.Idle != ledger.IdleByUsage {
		errs = append(errs, fmt.Errorf("idle policy %d: a process knows of no other; use separate or usage", c.Idle))
	}
	return errors.Join(append(errs, idle.Validate(c.IdleWatts)...)...)
}

func (c *Config) model(m *machine, h model.Host, measured func(string) bool) model.Config {
	h.CloudProvider, h.InstanceType = c.CloudProvider, c.HostType
	return model.Config{
		Times: m.times, Host: h, Measured: measured,
		IdleWatts: c.ModelIdleWatts, MaxWatts: c.ModelMaxWatts, MemoryWattsPerGiB: c.ModelMemoryWattsPerGiB,
	}
}
