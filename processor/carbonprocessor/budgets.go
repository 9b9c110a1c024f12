package carbonprocessor

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/otelcarbon/otelcarbon/internal/budget"
	"github.com/otelcarbon/otelcarbon/internal/names"
)

// BudgetConfig is a limit of emissions.
type BudgetConfig struct {
	Name       string            `mapstructure:"name"`
	Grams      float64           `mapstructure:"grams"`      // of CO2-equivalent for each period
	Period     time.Duration     `mapstructure:"period"`     // 0: as long as the state lasts
	Match      map[string]string `mapstructure:"match"`      // attributes of the resource or the point; a * stands for anything, "" for none
	Thresholds []float64         `mapstructure:"thresholds"` // in percent
}

const maxBudgets = 64 // bits of stream.budgets

func (c *Config) checkBudgets(refuse func(format string, args ...any)) {
	if n := len(c.Budgets); n > maxBudgets {
		refuse("budgets: %d are too many; %d at most", n, maxBudgets)
	}
	seen := map[string]bool{}
	for i := range c.Budgets {
		b := &c.Budgets[i]
		if _, err := budget.New(b.plain(), time.Unix(0, 0)); err != nil {
			refuse("budgets[%d]: %w", i, err)
		}
		if b.Name != "" && seen[b.Name] {
			refuse("budgets[%d]: name: %q stands there twice", i, b.Name)
		}
		seen[b.Name] = true
		if _, empty := b.Match[""]; empty {
			refuse("budgets[%d]: match: an attribute without a name", i)
		}
	}
}

func (c *BudgetConfig) plain() budget.Config {
	return budget.Config{Name: c.Name, Grams: c.Grams, Period: c.Period, Thresholds: c.Thresholds}
}

// budgets are those of the configuration, for all pipelines.
type budgets struct {
	log  *zap.Logger
	list []limited

	freed   atomic.Uint32 // how often a claim was given up, and 1: never 0
	mu      sync.Mutex
	claims  map[identity]*metricsProcessor // who books a stream that several pipelines see
	crossed []budget.Crossing
	changed bool
}

type limited struct {
	*budget.Budget

	match []pattern
}

func newBudgets(cfg *Config, now time.Time, log *zap.Logger) (*budgets, error) {
	b := &budgets{log: log, claims: map[identity]*metricsProcessor{}}
	b.freed.Store(1)
	for i := range cfg.Budgets {
		one, err := budget.New(cfg.Budgets[i].plain(), now)
		if err != nil {
			return nil, err
		}
		b.list = append(b.list, limited{one, patterns(cfg.Budgets[i].Match)})
	}
	return b, nil
}

// claim finds out which budgets a stream counts in: none as long as another pipeline counts it.
func (b *budgets) claim(p *metricsProcessor, s *stream, resource, point pcommon.Map) {
	s.budgets, s.refused = 0, 0
	set := uint64(0)
	for i := range b.list {
		if matches(b.list[i].match, resource, point) {
			set |= 1 << i
		}
	}
	if set == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if owner := b.claims[s.id]; owner != nil && owner != p {
		s.refused = b.freed.Load()
		return
	}
	b.claims[s.id] = p
	s.budgets = set
}

// released notes that a claim was given up, for those who were refused. It needs the lock.
func (b *budgets) released() {
	if b.freed.Add(1) == 0 {
		b.freed.Store(1)
	}
}

// unclaimed reports whether the claim of a stream may be had that was refused before.
func (b *budgets) unclaimed(s *stream) bool { return s.refused != 0 && s.refused != b.freed.Load() }

// matches reports whether the resource or the point has each attribute, and neither those
// that must not be there.
func matches(ms []pattern, resource, point pcommon.Map) bool {
	for i := range ms {
		m := &ms[i]
		absent := len(m.texts) == 1 && m.texts[0] == ""
		switch a, b := m.fits(resource), m.fits(point); {
		case absent && (!a || !b), !a && !b:
			return false
		}
	}
	return true
}

// free gives up the claim of a stream that is forgotten.
func (b *budgets) free(s *stream) {
	if s.budgets == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.claims, s.id)
	b.released()
}

// leave gives up the claims of a pipeline that stops.
func (b *budgets) leave(p *metricsProcessor) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, owner := range b.claims {
		if owner == p {
			delete(b.claims, id)
		}
	}
	b.released()
}

// book counts what was priced of a machine or of a workload on it.
func (b *budgets) book(set uint64, machine identity, of budget.Scope, parts []part) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changed = true
	for i := range parts {
		p := &parts[i]
		from, to := time.Unix(0, p.from), time.Unix(0, p.to)
		for set := set; set != 0; set &= set - 1 {
			b.list[bits.TrailingZeros64(set)].Add(budget.Key{machine.hi, machine.lo}, of, from, to, p.sum.Grams)
		}
	}
}

// turn is called before the first booking of a batch.
func (b *budgets) turn(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.list {
		b.list[i].Turn(now)
	}
}

// tell logs which thresholds were reached.
func (b *budgets) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.list {
		b.crossed = b.list[i].Crossings(b.crossed[:0])
		for _, c := range b.crossed {
			fields := []zap.Field{
				zap.String(names.AttrBudgetName, b.list[i].Name()), zap.Float64("percent", c.Percent),
				zap.Float64("used_g", c.Used), zap.Float64("limit_g", c.Limit), zap.Time("period_start", c.Start),
			}
			if !c.End.IsZero() {
				fields = append(fields, zap.Time("period_end", c.End))
			}
			if c.Late {
				fields = append(fields, zap.Bool("period_over", true))
			}
			b.log.Warn("carbon budget: threshold reached", fields...)
		}
	}
}

// state returns what has to survive, and whether it has changed since the last time.
func (b *budgets) state() (out []byte, changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.changed {
		return nil, false
	}
	b.changed = false
	return b.encode(), true
}

// again has the state stored with the next batch, because it could not be with this one.
func (b *budgets) again() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changed = true
}

// whole returns the state, changed or not.
func (b *budgets) whole() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.encode()
}

func (b *budgets) encode() (out []byte) {
	for i := range b.list {
		one, err := b.list[i].MarshalBinary()
		if err != nil {
			continue // it does not fail
		}
		out = binary.AppendUvarint(out, uint64(len(b.list[i].Name())))
		out = append(out, b.list[i].Name()...)
		out = binary.AppendUvarint(out, uint64(len(one)))
		out = append(out, one...)
	}
	return out
}

var errTorn = errors.New("it ends in the middle")

// restore takes back what state returned, for budgets that still exist.
func (b *budgets) restore(data []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := func() ([]byte, error) {
		n, size := binary.Uvarint(data)
		if size <= 0 || n > uint64(len(data)-size) { //nolint:gosec // not negative
			return nil, errTorn
		}
		field := data[size : size+int(n)] //nolint:gosec // checked above
		data = data[size+int(n):]         //nolint:gosec // likewise
		return field, nil
	}
	var errs []error
	for len(data) > 0 {
		name, err := next()
		if err != nil {
			return err
		}
		one, err := next()
		if err != nil {
			return err
		}
		for i := range b.list {
			if b.list[i].Name() == string(name) {
				errs = append(errs, b.list[i].UnmarshalBinary(one))
			}
		}
	}
	return errors.Join(errs...)
}

// put appends how the budgets of a set stand to metrics of ours.
func (b *budgets) put(set uint64, at pcommon.Timestamp, list pmetric.MetricSlice) {
	b.mu.Lock()
	defer b.mu.Unlock()
	limit, used := list.AppendEmpty(), list.AppendEmpty()
	limit.SetName(names.MetricBudgetLimit)
	limit.SetDescription("Emissions that a budget allows in its period")
	limit.SetUnit(names.UnitGram)
	used.SetName(names.MetricBudgetUtilization)
	used.SetDescription("Share of a budget that its period has used so far")
	used.SetUnit(names.UnitOne)
	limits, uses := limit.SetEmptyGauge().DataPoints(), used.SetEmptyGauge().DataPoints()
	for ; set != 0; set &= set - 1 {
		one := &b.list[bits.TrailingZeros64(set)]
		status := one.Status()
		point := func(dp pmetric.NumberDataPoint, v float64) {
			dp.SetTimestamp(at)
			dp.SetDoubleValue(v)
			dp.Attributes().PutStr(names.AttrBudgetName, one.Name())
		}
		point(limits.AppendEmpty(), status.Limit)
		point(uses.AppendEmpty(), status.Utilization)
	}
}
