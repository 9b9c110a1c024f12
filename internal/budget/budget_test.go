package budget_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/budget"
)

const day = 24 * time.Hour

// noon of a Wednesday; its week began on Monday, March 11.
var noon = time.Date(2024, 3, 13, 12, 0, 0, 0, time.UTC)

func at(s string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05", s)
	if err != nil {
		panic(err)
	}
	return t
}

func open(t testing.TB, c budget.Config, now time.Time) *budget.Budget {
	t.Helper()
	if c.Name == "" {
		c.Name = "test"
	}
	b, err := budget.New(c, now)
	require.NoError(t, err)
	return b
}

// at1 books grams of a workload at one moment, of a machine of its own.
func at1(b *budget.Budget, moment time.Time, grams float64) float64 {
	return b.Add(budget.Key{1, 1}, budget.Workload, moment, moment, grams)
}

func TestPeriodsAreAlignedInUTC(t *testing.T) {
	auckland := time.FixedZone("", 13*3600)
	for _, c := range []struct {
		name       string
		period     time.Duration
		now        time.Time
		start, end string
	}{
		{"a day begins at midnight UTC", day, noon, "2024-03-13 00:00:00", "2024-03-14 00:00:00"},
		{"midnight belongs to the day that it begins", day, at("2024-03-13 00:00:00"), "2024-03-13 00:00:00", "2024-03-14 00:00:00"},
		{"the zone of the machine does not matter", day, time.Date(2024, 3, 14, 5, 0, 0, 0, auckland), "2024-03-13 00:00:00", "2024-03-14 00:00:00"},
		{"a week begins on Monday", 7 * day, noon, "2024-03-11 00:00:00", "2024-03-18 00:00:00"},
		{"Sunday ends it", 7 * day, at("2024-03-17 23:59:59"), "2024-03-11 00:00:00", "2024-03-18 00:00:00"},
		{"an hour", time.Hour, at("2024-03-13 12:59:59"), "2024-03-13 12:00:00", "2024-03-13 13:00:00"},
		// 0001-01-01 was a Monday, 738,957 days before 2024-03-13: 738,957.5 days are
		// 17,734,980 h = 7 × 2,533,568 h + 4 h at noon, so 7 hours began at 8.
		{"a length that does not divide a day", 7 * time.Hour, noon, "2024-03-13 08:00:00", "2024-03-13 15:00:00"},
		// 738,957 = 10 × 73,895 + 7.
		{"ten days", 10 * day, noon, "2024-03-06 00:00:00", "2024-03-16 00:00:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, budget.Config{Grams: 1, Period: c.period}, c.now).Status()
			assert.Equal(t, at(c.start), s.Start)
			assert.Equal(t, at(c.end), s.End)
		})
	}
	s := open(t, budget.Config{Grams: 1}, noon).Status()
	assert.Equal(t, noon, s.Start)
	assert.True(t, s.End.IsZero(), "the whole run does not end: %v", s.End)
}

// Each case books one interval while March 13 is the current day, and then turns to
// one of the three open days to read it.
func TestAcrossAPeriodTurn(t *testing.T) {
	for _, c := range []struct {
		name     string
		from, to time.Time
		grams    float64
		days     [3]float64 // March 12, 13, 14
		unbooked float64
	}{
		{"within the day", at("2024-03-13 10:00:00"), at("2024-03-13 10:00:10"), 100, [3]float64{0, 100, 0}, 0},
		{"half an hour on each side", at("2024-03-12 23:30:00"), at("2024-03-13 00:30:00"), 100, [3]float64{50, 50, 0}, 0},
		// 15 of 60 minutes, then 45.
		{"a quarter before midnight", at("2024-03-12 23:45:00"), at("2024-03-13 00:45:00"), 100, [3]float64{25, 75, 0}, 0},
		{"ends at midnight", at("2024-03-12 23:00:00"), at("2024-03-13 00:00:00"), 100, [3]float64{100, 0, 0}, 0},
		{"begins at midnight", at("2024-03-13 00:00:00"), at("2024-03-13 01:00:00"), 100, [3]float64{0, 100, 0}, 0},
		{"is the day", at("2024-03-13 00:00:00"), at("2024-03-14 00:00:00"), 100, [3]float64{0, 100, 0}, 0},
		{"a moment at midnight", at("2024-03-13 00:00:00"), at("2024-03-13 00:00:00"), 100, [3]float64{0, 100, 0}, 0},
		{"a moment at the next midnight", at("2024-03-14 00:00:00"), at("2024-03-14 00:00:00"), 100, [3]float64{0, 0, 100}, 0},
		{"yesterday", at("2024-03-12 10:00:00"), at("2024-03-12 11:00:00"), 100, [3]float64{100, 0, 0}, 0},
		{"the sender's clock is ahead", at("2024-03-13 23:59:54"), at("2024-03-14 00:00:04"), 100, [3]float64{0, 60, 40}, 0},
		{"no start", time.Time{}, noon, 100, [3]float64{0, 100, 0}, 0},
		{"start after end", at("2024-03-14 12:00:00"), noon, 100, [3]float64{0, 100, 0}, 0},
		// 72 h: 12 of March 11, 24, 24, 12.
		{"three days, the first half of it long over", at("2024-03-11 12:00:00"), at("2024-03-14 12:00:00"), 144, [3]float64{48, 48, 24}, 24},
		// 120 h from noon on the 10th to noon on the 15th: 36 before, 72 inside, 12 after.
		{"five days", at("2024-03-10 12:00:00"), at("2024-03-15 12:00:00"), 120, [3]float64{24, 24, 24}, 48},
		{"long over", at("2024-03-10 12:00:00"), at("2024-03-11 12:00:00"), 100, [3]float64{}, 100},
		{"ends where yesterday began", at("2024-03-11 12:00:00"), at("2024-03-12 00:00:00"), 100, [3]float64{}, 100},
		{"far ahead", at("2024-03-15 00:00:00"), at("2024-03-15 01:00:00"), 100, [3]float64{}, 100},
		{"without any time", time.Time{}, time.Time{}, 100, [3]float64{}, 100},
		// One second of three falls into each of two days: 1/3 of 1 g is rounded to a
		// picogram, and the rest is what is left.
		{"thirds", at("2024-03-12 23:59:59"), at("2024-03-13 00:00:02"), 1, [3]float64{0.333333333333, 0.666666666667, 0}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var days [3]float64
			for i := range days {
				b := open(t, budget.Config{Grams: 1000, Period: day}, noon)
				unbooked := b.Add(budget.Key{}, budget.Host, c.from, c.to, c.grams)
				assert.Equal(t, c.unbooked, unbooked) //nolint:testifylint // amounts are exact
				s := b.Status()
				assert.Equal(t, c.unbooked, s.Late+s.Ahead) //nolint:testifylint // amounts are exact
				b.Turn(noon.AddDate(0, 0, i-1))
				days[i] = b.Status().Used
			}
			assert.Equal(t, c.days, days)
		})
	}
}

func TestLateAndAheadAreToldApart(t *testing.T) {
	b := open(t, budget.Config{Grams: 1000, Period: day}, noon)
	b.Add(budget.Key{}, budget.Host, at("2024-03-10 12:00:00"), at("2024-03-15 12:00:00"), 120) // see "five days"
	s := b.Status()
	assert.Equal(t, 36.0, s.Late)  //nolint:testifylint // amounts are exact
	assert.Equal(t, 12.0, s.Ahead) //nolint:testifylint // amounts are exact
}

func TestTheWholeRunTakesEverything(t *testing.T) {
	b := open(t, budget.Config{Grams: 1000}, noon)
	assert.Zero(t, b.Add(budget.Key{}, budget.Host, at("2020-01-01 00:00:00"), at("2020-01-02 00:00:00"), 3))
	assert.Zero(t, b.Add(budget.Key{}, budget.Host, time.Time{}, time.Time{}, 4))
	b.Turn(noon.AddDate(1, 0, 0))
	b.Turn(noon.AddDate(-9, 0, 0))
	assert.Zero(t, at1(b, noon.AddDate(1, 0, 0), 5))
	assert.Equal(t, budget.Status{Start: noon, Used: 12, Limit: 1000, Utilization: 0.012, Machines: 2}, b.Status())
}

func TestTurn(t *testing.T) {
	fill := func() *budget.Budget {
		b := open(t, budget.Config{Grams: 1000, Period: day}, noon)
		for i, grams := range []float64{12, 13, 14} {
			assert.Zero(t, at1(b, at("2024-03-12 12:00:00").AddDate(0, 0, i), grams))
		}
		return b
	}
	for _, c := range []struct {
		name  string
		turns []int // days of March
		want  float64
	}{
		{"stays", []int{13}, 13},
		{"forwards", []int{14}, 14},
		{"what came ahead is yesterday's after two days", []int{15, 14}, 14},
		{"three days on nothing is left", []int{16}, 0},
		{"and does not come back", []int{16, 14}, 0},
		{"a clock set back by a day", []int{12}, 12},
		{"and right again", []int{12, 13}, 13},
		{"yesterday is dropped with the turn", []int{14, 13, 12}, 0},
		{"a clock far ahead loses the day", []int{30, 13}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := fill()
			for _, d := range c.turns {
				b.Turn(time.Date(2024, 3, d, 9, 0, 0, 0, time.UTC))
			}
			s := b.Status()
			assert.Equal(t, c.want, s.Used) //nolint:testifylint // amounts are exact
			assert.Equal(t, time.Date(2024, 3, c.turns[len(c.turns)-1], 0, 0, 0, 0, time.UTC), s.Start)
		})
	}
}

func TestNothingCountsTwice(t *testing.T) {
	type booking struct {
		key   budget.Key
		of    budget.Scope
		grams float64
	}
	a, b, unknown := budget.Key{1, 0}, budget.Key{0, 1}, budget.Key{}
	for _, c := range []struct {
		name     string
		bookings []booking
		want     float64
	}{
		{"workloads alone add up", []booking{{a, budget.Workload, 30}, {a, budget.Workload, 12}}, 42},
		{"a host alone", []booking{{a, budget.Host, 100}}, 100},
		{"a host contains its workloads", []booking{{a, budget.Host, 100}, {a, budget.Workload, 30}, {a, budget.Workload, 12}}, 100},
		{"whichever comes first", []booking{{a, budget.Workload, 42}, {a, budget.Host, 100}}, 100},
		{"parts of a host add up", []booking{{a, budget.Host, 60}, {a, budget.Host, 40}, {a, budget.Workload, 42}}, 100},
		{"machines add up", []booking{{a, budget.Host, 100}, {b, budget.Workload, 42}}, 142},
		{"a host hides no other machine's workloads", []booking{{a, budget.Host, 100}, {b, budget.Host, 10}, {a, budget.Workload, 42}, {b, budget.Workload, 9}}, 110},
		{"machines that nobody knows are one", []booking{{unknown, budget.Host, 100}, {unknown, budget.Workload, 42}, {a, budget.Workload, 1}}, 101},
		{"a host that was booked for less than its workloads", []booking{{a, budget.Workload, 42}, {a, budget.Host, 5}}, 42},
		{"until it catches up", []booking{{a, budget.Workload, 42}, {a, budget.Host, 5}, {a, budget.Host, 40}}, 45},
		{"what is no amount is ignored", []booking{
			{a, budget.Host, math.NaN()},
			{a, budget.Host, math.Inf(1)},
			{a, budget.Host, -1},
			{a, budget.Host, 0},
			{a, budget.Host, 2 * budget.MaxGrams},
			{a, budget.Workload, 7},
		}, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			budgets := open(t, budget.Config{Grams: 1000, Period: day}, noon)
			used := 0.0
			for _, k := range c.bookings {
				assert.Zero(t, budgets.Add(k.key, k.of, noon.Add(-time.Second), noon, k.grams))
				s := budgets.Status()
				assert.GreaterOrEqual(t, s.Used, used, "what is used fell")
				used = s.Used
			}
			assert.Equal(t, c.want, used) //nolint:testifylint // amounts are exact
		})
	}
}

func TestAHostOfYesterdayHidesNoWorkloadOfToday(t *testing.T) {
	b := open(t, budget.Config{Grams: 1000, Period: day}, noon)
	b.Add(budget.Key{1, 0}, budget.Host, noon, noon, 100)
	b.Turn(noon.Add(day))
	b.Add(budget.Key{1, 0}, budget.Workload, noon.Add(day), noon.Add(day), 42)
	assert.Equal(t, 42.0, b.Status().Used) //nolint:testifylint // amounts are exact
}

func TestCrossings(t *testing.T) {
	b := open(t, budget.Config{Grams: 200, Period: day}, noon)
	start, end := at("2024-03-13 00:00:00"), at("2024-03-14 00:00:00")
	told := func(want ...budget.Crossing) {
		t.Helper()
		assert.Equal(t, want, b.Crossings(nil))
		assert.Nil(t, b.Crossings(nil), "told twice")
	}
	told()
	at1(b, noon, 99.999999999999)
	told()
	at1(b, noon, 1e-12) // 50 % of 200 g
	told(budget.Crossing{Percent: 50, Used: 100, Limit: 200, Start: start, End: end})
	at1(b, noon, 110) // 80 % are 160 g, 100 % are 200 g
	told(
		budget.Crossing{Percent: 80, Used: 210, Limit: 200, Start: start, End: end},
		budget.Crossing{Percent: 100, Used: 210, Limit: 200, Start: start, End: end},
	)
	at1(b, noon, 1000)
	told()
	assert.Equal(t, 6.05, b.Status().Utilization) //nolint:testifylint // 1210/200

	// A new day tells anew, and what yesterday gets late is told as such.
	b.Turn(noon.Add(day))
	told()
	at1(b, noon.Add(day), 100)
	told(budget.Crossing{Percent: 50, Used: 100, Limit: 200, Start: end, End: end.Add(day)})
	b.Turn(noon.Add(2 * day))
	at1(b, noon.Add(day), 65)
	told(budget.Crossing{Percent: 80, Used: 165, Limit: 200, Start: end, End: end.Add(day), Late: true})

	// What came ahead is told once its day has come, and once only.
	at1(b, noon.Add(3*day), 130)
	told()
	b.Turn(noon.Add(3 * day))
	told(budget.Crossing{Percent: 50, Used: 130, Limit: 200, Start: end.Add(2 * day), End: end.Add(3 * day)})
	b.Turn(noon.Add(2 * day))
	b.Turn(noon.Add(3 * day))
	told()
}

func TestCrossingsAreAppended(t *testing.T) {
	b := open(t, budget.Config{Grams: 10, Thresholds: []float64{90, 10, 250}}, noon)
	at1(b, noon, 9)
	got := b.Crossings([]budget.Crossing{{Percent: 1}})
	require.Len(t, got, 3)
	assert.Equal(t, []float64{1, 10, 90}, []float64{got[0].Percent, got[1].Percent, got[2].Percent})
	at1(b, noon, 16)
	assert.Equal(t, 250.0, b.Crossings(nil)[0].Percent) //nolint:testifylint // copied, not computed
}

// 0.1 g is no binary fraction: as float64, ten of them make 0.9999999999999999 g.
func TestTenTenthsAreAWhole(t *testing.T) {
	b := open(t, budget.Config{Grams: 1, Thresholds: []float64{100}}, noon)
	for range 10 {
		at1(b, noon, 0.1)
	}
	require.Len(t, b.Crossings(nil), 1)
	assert.Equal(t, 1.0, b.Status().Utilization) //nolint:testifylint // amounts are exact
}

func TestLargeAmounts(t *testing.T) {
	b := open(t, budget.Config{Grams: budget.MaxGrams, Thresholds: []float64{100, 10_000}}, noon)
	assert.Empty(t, b.Crossings(nil))
	for range 3 {
		at1(b, noon, budget.MaxGrams)
	}
	at1(b, noon, 1e-12) // lost in no rounding, though in float64 it would be
	assert.InEpsilon(t, 3, b.Status().Utilization, 1e-15)
	assert.NotEmpty(t, b.Crossings(nil))
}

func TestMachinesBeyondTheBoundShareAnAccount(t *testing.T) {
	b := open(t, budget.Config{Grams: 1e6, Period: day}, noon)
	for i := range uint64(budget.MaxKeys) {
		b.Add(budget.Key{i, 1}, budget.Workload, noon, noon, 1)
	}
	assert.False(t, b.Status().Lumped)
	// 65,536 g so far. Two more machines, of which one is known by its host: the
	// lump has 10 g of hosts and 3 g + 4 g of workloads, so it counts 10 g.
	b.Add(budget.Key{1, 2}, budget.Workload, noon, noon, 3)
	b.Add(budget.Key{2, 2}, budget.Workload, noon, noon, 4)
	b.Add(budget.Key{2, 2}, budget.Host, noon, noon, 10)
	b.Add(budget.Key{5, 1}, budget.Host, noon, noon, 2) // one that was known: 2 g in place of 1 g
	s := b.Status()
	assert.True(t, s.Lumped)
	assert.Equal(t, budget.MaxKeys, s.Machines)
	assert.Equal(t, 65_547.0, s.Used) //nolint:testifylint // amounts are exact

	b.Turn(noon.Add(day))
	assert.Equal(t, budget.Status{Start: at("2024-03-14 00:00:00"), End: at("2024-03-15 00:00:00"), Limit: 1e6}, b.Status())
}

func TestConfigIsChecked(t *testing.T) {
	good := budget.Config{Name: "team-a", Grams: 5000, Period: day}
	for _, c := range []struct {
		name string
		edit func(*budget.Config)
		want string
	}{
		{"no name", func(c *budget.Config) { c.Name = "" }, "name: is empty"},
		{"no limit", func(c *budget.Config) { c.Grams = 0 }, `budget "team-a": grams: 0 is not`},
		{"a negative limit", func(c *budget.Config) { c.Grams = -1 }, "grams: -1"},
		{"an undefined limit", func(c *budget.Config) { c.Grams = math.NaN() }, "grams: NaN"},
		{"an infinite limit", func(c *budget.Config) { c.Grams = math.Inf(1) }, "grams: +Inf"},
		{"a negative period", func(c *budget.Config) { c.Period = -day }, "period: -24h0m0s"},
		{"a short period", func(c *budget.Config) { c.Period = time.Millisecond }, "period: 1ms is too short"},
		{"a threshold of nothing", func(c *budget.Config) { c.Thresholds = []float64{50, 0} }, "thresholds: 0 is"},
		{"an undefined threshold", func(c *budget.Config) { c.Thresholds = []float64{math.NaN()} }, "thresholds: NaN is"},
		{"a threshold out of reach", func(c *budget.Config) { c.Thresholds = []float64{10_001} }, "thresholds: 10001 is"},
		{"a threshold twice", func(c *budget.Config) { c.Thresholds = []float64{80, 50, 80} }, "thresholds: 80 stands there twice"},
		{"too many thresholds", func(c *budget.Config) { c.Thresholds = make([]float64, 17) }, "thresholds: 17 of them"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := good
			c.edit(&cfg)
			b, err := budget.New(cfg, noon)
			require.ErrorContains(t, err, c.want)
			assert.Nil(t, b)
		})
	}
	b := open(t, budget.Config{Name: "team-a", Grams: 1, Thresholds: []float64{}}, noon)
	at1(b, noon, 100)
	assert.Empty(t, b.Crossings(nil), "no thresholds, no events")
	assert.Equal(t, "team-a", b.Name())
}

// No length of a period, and no moment, makes a budget panic.
func TestExtremes(t *testing.T) {
	moments := []time.Time{{}, time.Unix(0, 0), time.Unix(0, math.MaxInt64), time.Unix(0, math.MinInt64), time.Unix(1<<40, 0), noon}
	for _, length := range []time.Duration{0, time.Second, day, math.MaxInt64} {
		b := open(t, budget.Config{Grams: 1, Period: length}, noon)
		for _, now := range moments {
			b.Turn(now)
			for _, from := range moments {
				for _, to := range moments {
					before := b.Status()
					unbooked := b.Add(budget.Key{}, budget.Host, from, to, 1)
					assert.LessOrEqual(t, unbooked, 1.0)
					assert.LessOrEqual(t, b.Status().Used-before.Used, 1.000001)
				}
			}
		}
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	b := open(t, budget.Config{Grams: 1e9, Period: day, Thresholds: []float64{100}}, noon)
	keys := make([]budget.Key, 1000)
	for i := range keys {
		keys[i] = budget.Key{uint64(i), 7}
		b.Add(keys[i], budget.Host, noon.Add(-13*time.Hour), noon, 1)
	}
	var told []budget.Crossing
	i := 0
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		b.Turn(noon)
		b.Add(keys[i%len(keys)], budget.Host, noon.Add(-time.Second), noon, 1)
		b.Add(keys[i%len(keys)], budget.Workload, noon.Add(-13*time.Hour), noon, 1)
		told = b.Crossings(told[:0])
		_ = b.Status()
		i++
	}))
}

func BenchmarkAdd(b *testing.B) {
	for _, c := range []struct {
		name string
		from time.Time
	}{{"within the day", noon.Add(-time.Second)}, {"across midnight", noon.Add(-13 * time.Hour)}} {
		b.Run(c.name, func(b *testing.B) {
			budgets := open(b, budget.Config{Grams: 1e9, Period: day}, noon)
			b.ReportAllocs()
			i := uint64(0)
			for b.Loop() {
				budgets.Turn(noon)
				budgets.Add(budget.Key{i % 1000, 7}, budget.Workload, c.from, noon, 1)
				i++
			}
		})
	}
}
