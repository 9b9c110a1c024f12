package carbon

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcarbon/otelcarbon/internal/emission"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

// A Unit counts what the program does: requests, inferences, jobs. carbon.sci is the
// emissions of the process for each of them.
type Unit struct {
	m    *Monitor
	name string
	set  metric.ObserveOption

	// Since carbon.sci was told last. Monitor.mu guards them.
	count float64
	grams float64
	// In all.
	units   float64
	emitted float64
}

// Unit returns the counter of a functional unit, the same for the same name. Its name is
// the attribute carbon.sci.per.
func (m *Monitor) Unit(name string) *Unit {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, u := range m.units {
		if u.name == name {
			return u
		}
	}
	attrs := append([]attribute.KeyValue{}, m.cfg.attrs...)
	u := &Unit{m: m, name: name, set: metric.WithAttributeSet(attribute.NewSet(append(attrs, attribute.String(names.AttrSCIPer, name))...))}
	m.units = append(m.units, u)
	return u
}

// Add counts n more units; less than 0 is ignored.
func (u *Unit) Add(n float64) {
	if u == nil || !(n > 0) {
		return
	}
	u.m.mu.Lock()
	defer u.m.mu.Unlock()
	u.count += n
	u.units += n
}

// Grams returns the emissions for each unit, in g, since Start; false while there is
// none.
func (u *Unit) Grams() (float64, bool) {
	if u == nil {
		return 0, false
	}
	u.m.mu.Lock()
	defer u.m.mu.Unlock()
	return emission.SCI(u.emitted, 0, u.units)
}

func (u *Unit) add(r emission.Range) {
	u.grams += r.Grams
	u.emitted += r.Grams
}

// since returns the emissions for each unit since the last call that had both.
func (u *Unit) since() (float64, bool) {
	each, ok := emission.SCI(u.grams, 0, u.count)
	if ok && u.grams > 0 {
		u.grams, u.count = 0, 0
		return each, true
	}
	return 0, false
}
