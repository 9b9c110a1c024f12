package carbon

import (
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcarbon/otelcarbon/internal/emission"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

// A Unit counts what the program does: requests, inferences, jobs. carbon.sci is the
// emissions of the process for each of them in the last one to two minutes; Grams is that
// since Start.
type Unit struct {
	m    *Monitor
	name string
	set  metric.ObserveOption

	// Of this minute and the one before. Monitor.mu guards them.
	now, before minute
	// In all.
	units   float64
	emitted float64
}

// minute is at least one: it ends when both are known.
type minute struct {
	count, grams float64
	began        time.Time
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
	u := &Unit{m: m, name: name, set: m.set(attribute.String(names.AttrSCIPer, name))}
	m.units = append(m.units, u)
	return u
}

// Add counts n more units. What is not a number above 0 is ignored.
func (u *Unit) Add(n float64) {
	if u == nil || !(n > 0) || math.IsInf(n, 0) {
		return
	}
	u.m.mu.Lock()
	defer u.m.mu.Unlock()
	u.now.count += n
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

func (u *Unit) add(r emission.Range, at time.Time) {
	u.emitted += r.Grams
	u.now.grams += r.Grams
	if u.now.began.IsZero() {
		u.now.began = at
	}
	if at.Sub(u.now.began) >= time.Minute && u.now.count > 0 {
		u.before, u.now = u.now, minute{began: at}
	}
}

// recent returns the emissions for each unit in the last one to two minutes in which there
// were any; all readers are told the same.
func (u *Unit) recent(at time.Time) (float64, bool) {
	sum := u.now
	if !u.before.began.IsZero() {
		if u.now.count == 0 && at.Sub(u.now.began) > time.Minute {
			return 0, false
		}
		sum.count, sum.grams = sum.count+u.before.count, sum.grams+u.before.grams
	}
	if !(sum.grams > 0) {
		return 0, false
	}
	return emission.SCI(sum.grams, 0, sum.count)
}
