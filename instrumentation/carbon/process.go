package carbon

import (
	"context"

	"github.com/otelcarbon/otelcarbon/instrumentation/carbon/internal/process"
	"github.com/otelcarbon/otelcarbon/internal/ledger"
)

// ownEnergy is the EnergySource of programs that have no other.
type ownEnergy struct {
	source  *process.Source
	amounts []Amount
}

func openProcess(ctx context.Context, cfg *config) (EnergySource, error) {
	c := process.Config{Root: cfg.root, Idle: ledger.IdleSeparate, Children: cfg.children, CloudProvider: cfg.place.CloudProvider, HostType: cfg.hostType}
	if cfg.gpus != nil {
		c.Extra = append(c.Extra, cfg.gpus)
	}
	if cfg.idle == IdleByUsage {
		c.Idle = ledger.IdleByUsage
	}
	s, err := process.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	return &ownEnergy{source: s}, nil
}

// Describe says, for people, what is counted and how, what is not used and why, and with
// which intensity of which place it is priced.
func (m *Monitor) Describe() string {
	if m == nil {
		return ""
	}
	grid := m.grid.describe()
	if m.own != nil {
		return m.own.source.Describe() + "; " + grid
	}
	return grid
}

func (o *ownEnergy) Read(ctx context.Context) (Reading, error) { return o.reading(o.source.Read(ctx)) }

// Settle is Read with a look at the machine, which Read has once in a second.
func (o *ownEnergy) Settle(ctx context.Context) (Reading, error) {
	return o.reading(o.source.Settle(ctx))
}

// reading tells what is known even if something cannot be read: that is a gap of its part.
func (o *ownEnergy) reading(r process.Reading, err error) (Reading, error) {
	o.amounts = o.amounts[:0]
	counts := false
	for a := range r.All {
		counts = counts || a.Now
		o.amounts = append(o.amounts, Amount{Type: a.Type, Method: string(a.Method), Sensor: a.Sensor, Joules: a.Energy.Joules()})
	}
	if err != nil && (!counts || r.Waits > 0) { // what is still read comes with the rest
		return Reading{}, err
	}
	return Reading{At: r.At, Amounts: o.amounts}, nil
}

// Near is Settle, unless there was a look a moment ago.
func (o *ownEnergy) Near(ctx context.Context) (Reading, error) {
	return o.reading(o.source.Near(ctx))
}

// Glance is a reading for the time between two others. It costs a microsecond or two.
func (o *ownEnergy) Glance() (Reading, bool) {
	r, ok := o.source.Glance()
	if !ok {
		return Reading{}, false
	}
	out, err := o.reading(r, nil)
	return out, err == nil
}

func (o *ownEnergy) Close() error { return o.source.Close() }
