package carbon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcarbon/otelcarbon/internal/budget"
	"github.com/otelcarbon/otelcarbon/internal/emission"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

// ErrBudgetSpent is the cause of a context that Monitor.Within has canceled.
var ErrBudgetSpent = errors.New("the carbon budget is spent")

// A Budget limits the emissions of the process.
type Budget struct {
	Name  string  // in metrics and events
	Grams float64 // of CO2-equivalent for each period
	// Period is how long the limit holds; it begins at multiples of its length in UTC (24 h
	// at midnight). 0: for the run.
	Period time.Duration
	// Thresholds in percent at which OnThreshold is called, once for each period; nil:
	// 50, 80 and 100.
	Thresholds []float64
	// OnThreshold is called in the background, for one event after the other; nil: nobody
	// is told. It may use the Monitor, and shut it down.
	OnThreshold func(BudgetEvent)
}

// BudgetEvent says that a threshold was reached.
type BudgetEvent struct {
	Name         string
	Percent      float64
	Used, Limit  float64   // g
	Start, End   time.Time // of the period; End is zero for the run
	PeriodIsOver bool      // it was reached, but told late
}

// WithBudget adds a budget.
func WithBudget(b Budget) Option {
	return option(func(c *config) { c.budgets = append(c.budgets, b) })
}

type limit struct {
	*budget.Budget

	name  string
	tell  func(BudgetEvent)
	quiet bool   // about 100 %
	spent func() // nil: nobody waits
	set   metric.ObserveOption
}

func (m *Monitor) budget(b Budget, spent func()) (*limit, error) {
	thresholds, quiet := b.Thresholds, false
	if thresholds != nil && !slices.Contains(thresholds, 100) { // who waits for the end waits for 100 %
		thresholds, quiet = append(slices.Clone(thresholds), 100), true
	}
	one, err := budget.New(budget.Config{Name: b.Name, Grams: b.Grams, Period: b.Period, Thresholds: thresholds}, time.Now())
	if err != nil {
		return nil, err
	}
	l := &limit{
		Budget: one, name: b.Name, tell: b.OnThreshold, quiet: quiet, spent: spent,
		set: m.set(attribute.String(names.AttrBudgetName, b.Name)),
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, other := range m.limits {
		if other.name == b.Name {
			return nil, fmt.Errorf("budget %q: there is one of that name already", b.Name)
		}
	}
	m.limits = append(m.limits, l)
	return l, nil
}

// Within returns a context that is canceled when the budget is spent, with ErrBudgetSpent
// as its cause, for what is to stop then. It counts from now on, whatever was emitted
// before. Call the function when the work is done. A budget that is wrong, or has the name of
// another one that runs, cancels nothing and is an error.
func (m *Monitor) Within(ctx context.Context, b Budget) (context.Context, context.CancelFunc, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	if m == nil || m.closed.Load() {
		return ctx, func() { cancel(nil) }, nil
	}
	l, err := m.budget(b, func() { cancel(ErrBudgetSpent) })
	if err != nil {
		return ctx, func() { cancel(nil) }, err
	}
	return ctx, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		for i, other := range m.limits {
			if other == l {
				m.limits = append(m.limits[:i:i], m.limits[i+1:]...)
				break
			}
		}
		cancel(nil)
	}, nil
}

// spend counts emissions, and tells who is to know.
func (m *Monitor) spend(from, to time.Time, r emission.Range) {
	for _, l := range m.limits {
		l.Turn(to)
		l.Add(budget.Key{}, budget.Host, from, to, r.Grams)
		for _, c := range l.Crossings(nil) {
			if l.spent != nil && c.Percent >= 100 && !c.Late {
				l.spent()
			}
			if l.tell != nil && !(l.quiet && c.Percent == 100) {
				event := BudgetEvent{Name: l.name, Percent: c.Percent, Used: c.Used, Limit: c.Limit, Start: c.Start, End: c.End, PeriodIsOver: c.Late}
				m.events.tell(func() { l.tell(event) })
			}
		}
	}
}
