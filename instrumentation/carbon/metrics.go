package carbon

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

// ScopeName is the name of the meter.
const ScopeName = "github.com/otelcarbon/otelcarbon/instrumentation/carbon"

type instruments struct {
	energy, emissions, lower, upper metric.Float64ObservableCounter
	gap                             metric.Float64ObservableCounter
	intensity, limit, used, sci     metric.Float64ObservableGauge

	operationEnergy, operationEmissions metric.Float64Counter
}

// register makes the metrics. All are observed together, so that they fit each other.
func (m *Monitor) register() error {
	meter := m.cfg.meters.Meter(ScopeName)
	i := &m.instruments
	var errs []error
	counter := func(name, unit, what string) metric.Float64ObservableCounter {
		c, err := meter.Float64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(what))
		errs = append(errs, err)
		return c
	}
	gauge := func(name, unit, what string) metric.Float64ObservableGauge {
		g, err := meter.Float64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(what))
		errs = append(errs, err)
		return g
	}
	i.energy = counter(names.MetricEnergy, names.UnitJoule, "Energy attributed to the process")
	i.emissions = counter(names.MetricEmissions, names.UnitGram, "CO2-equivalent emitted for the energy of the process")
	i.lower = counter(names.MetricEmissionsLower, names.UnitGram, "Lower bound of "+names.MetricEmissions)
	i.upper = counter(names.MetricEmissionsUpper, names.UnitGram, "Upper bound of "+names.MetricEmissions)
	i.gap = counter(names.MetricEnergyGap, names.UnitSecond, "Time in which the energy of the process was not known")
	i.intensity = gauge(names.MetricGridIntensity, names.UnitGramsPerKWh, "Carbon intensity of the grid")
	i.limit = gauge(names.MetricBudgetLimit, names.UnitGram, "Emissions that a budget allows in its period")
	i.used = gauge(names.MetricBudgetUtilization, names.UnitOne, "Share of a budget that its period has used so far")
	i.sci = gauge(names.MetricSCI, names.UnitGram, "CO2-equivalent for each functional unit")
	sync := func(name, unit, what string) metric.Float64Counter {
		c, err := meter.Float64Counter(name, metric.WithUnit(unit), metric.WithDescription(what))
		errs = append(errs, err)
		return c
	}
	i.operationEnergy = sync(names.MetricOperationEnergy, names.UnitJoule, "Energy of the operations that the attributes name")
	i.operationEmissions = sync(names.MetricOperationEmissions, names.UnitGram, "CO2-equivalent emitted for the energy of operations")
	if err := errors.Join(errs...); err != nil {
		return err
	}
	_, err := meter.RegisterCallback(m.observe, i.energy, i.emissions, i.lower, i.upper, i.gap, i.intensity, i.limit, i.used, i.sci)
	return err
}

func (m *Monitor) observe(_ context.Context, o metric.Observer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := &m.instruments
	for k, e := range m.books.energy {
		if e.set == nil {
			e.set = set(k.attributes(m.cfg.attrs))
		}
		o.ObserveFloat64(i.energy, e.joules, e.set)
	}
	for k, e := range m.books.emission {
		if e.set == nil {
			e.set = set(k.attributes(m.cfg.attrs))
		}
		o.ObserveFloat64(i.emissions, e.Grams, e.set)
		o.ObserveFloat64(i.lower, e.Lower, e.set)
		o.ObserveFloat64(i.upper, e.Upper, e.set)
	}
	o.ObserveFloat64(i.gap, m.unknown(m.end()).Seconds(), m.set())
	if m.over { // what is so now is not known any more
		return nil
	}
	if h := m.grid.handle; h != nil {
		if s := h.Peek(time.Now()); s != nil {
			o.ObserveFloat64(i.intensity, s.GramsPerKWh, set(m.describe(s)))
		}
	}
	for _, l := range m.limits {
		l.Turn(time.Now())
		s := l.Status()
		o.ObserveFloat64(i.limit, s.Limit, l.set)
		o.ObserveFloat64(i.used, s.Utilization, l.set)
	}
	for _, u := range m.units {
		if each, ok := u.recent(time.Now()); ok {
			o.ObserveFloat64(i.sci, each, u.set)
		}
	}
	return nil
}

func set(attrs []attribute.KeyValue) metric.ObserveOption {
	return metric.WithAttributeSet(attribute.NewSet(attrs...))
}

// set has the attributes of all points, and more.
func (m *Monitor) set(more ...attribute.KeyValue) metric.ObserveOption {
	return set(slices.Concat(m.cfg.attrs, more))
}

// describe returns the attributes of carbon.grid.intensity.
func (m *Monitor) describe(s *intensity.Slot) []attribute.KeyValue {
	out := append(slices.Clone(m.cfg.attrs), attribute.String(names.AttrGridSource, s.Origin.Provider), attribute.String(names.AttrGridQuality, s.Quality.String()))
	for key, value := range map[string]string{
		names.AttrGridZone: s.Origin.ZoneServed, names.AttrGridBoundary: s.Basis.Boundary.String(), names.AttrGridSignal: s.Basis.Signal.String(),
	} {
		if value != "" {
			out = append(out, attribute.String(key, value))
		}
	}
	return out
}
