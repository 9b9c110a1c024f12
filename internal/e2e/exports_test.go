package e2e

import (
	"fmt"
	"maps"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// gramsPerKWh is the intensity behind the exports that audit reads; 1 kWh is 3.6 MJ.
const gramsPerKWh = 100

// microjoules undoes the division by 10⁶. Totals here are far below 2⁵³ µJ, so nothing
// is lost.
func microjoules(joules float64) int64 { return int64(math.Round(joules * 1e6)) }

// line is one series of carbon.energy or carbon.emissions under one start time.
type line struct {
	point // the newest

	increase float64   // in the newest export
	closed   time.Time // when its end was told
}

// books is what exports add up to.
type books struct {
	t      testing.TB
	who    string
	energy map[string]*line // by resource and attributes; those that ended and began anew by their start, too
	grams  map[string]*line
	parts  map[string]point // of hw.energy, by hw.id
	n      int              // exports with carbon.energy
	ended  int              // ends of energy told
}

// audit goes through all exports of one receiver and looks after each that
//
//   - carbon.energy adds up to hw.energy, by hw.type and to the microjoule, what ended
//     included (C58);
//   - no series falls or goes back in time, each is told in every export until its end is,
//     once, and nothing comes under its start time afterwards (C61, C63);
//   - every point of carbon.energy has one of carbon.emissions of the same resource and
//     attributes, in proportion.
//
// look, if not nil, is called after each.
func audit(t testing.TB, who string, exports []pmetric.Metrics, look func(*books)) *books {
	t.Helper()
	b := &books{t: t, who: who, energy: map[string]*line{}, grams: map[string]*line{}, parts: map[string]point{}}
	for _, md := range exports {
		b.read(md)
		if look != nil {
			look(b)
		}
	}
	require.NotZero(t, b.n, "%s exports nothing", who)
	return b
}

func (b *books) read(md pmetric.Metrics) {
	b.t.Helper()
	for _, p := range pointsOf(b.t, md, "hw.energy") {
		b.parts[p.str("hw.id")] = p
	}
	energy := pointsOf(b.t, md, "carbon.energy")
	if len(energy) > 0 {
		b.n++
		b.enter(b.energy, energy)
	}
	b.compareSums()
	b.ended += b.price(energy, pointsOf(b.t, md, "carbon.emissions"))
}

// enter takes in the points of one metric and one export.
func (b *books) enter(lines map[string]*line, points []point) {
	b.t.Helper()
	told := make(map[string]bool, len(points))
	for _, p := range points {
		key := fmt.Sprint(p.resource, p.attrs)
		require.False(b.t, told[key], "%s: %s is told twice in one export", b.who, key)
		told[key] = true
		l := lines[key]
		switch {
		case l == nil:
			require.False(b.t, p.ended, "%s: %s ends without having begun", b.who, key)
			l = &line{}
			lines[key] = l
		case !l.closed.IsZero():
			require.True(b.t, p.start.After(l.start), "%s: %s goes on after its end", b.who, key)
			require.False(b.t, p.start.Before(l.closed), "%s: %s begins anew before it has ended", b.who, key)
			require.False(b.t, p.ended, "%s: %s ends twice", b.who, key)
			lines[fmt.Sprint(key, l.start)] = l
			l = &line{}
			lines[key] = l
		default:
			require.Equal(b.t, l.start, p.start, "%s: the start of %s moves", b.who, key)
			require.True(b.t, p.at.After(l.at), "%s: the time stamps of %s do not grow", b.who, key)
		}
		if p.ended {
			l.closed, l.increase, l.at = p.at, 0, p.at
			continue
		}
		require.GreaterOrEqual(b.t, p.value, l.value, "%s: %s falls", b.who, key)
		require.False(b.t, p.start.After(p.at), "%s: %s begins after its time stamp", b.who, key)
		l.increase, l.point = p.value-l.value, p
	}
	for key, l := range lines {
		if l.closed.IsZero() {
			require.True(b.t, told[key], "%s: %s is gone and nobody said so", b.who, key)
		}
	}
}

func (b *books) compareSums() {
	b.t.Helper()
	measured, divided := map[string]int64{}, map[string]int64{}
	for _, p := range b.parts {
		measured[p.str("hw.type")] += microjoules(p.value)
	}
	for _, l := range b.energy {
		divided[l.str("hw.type")] += microjoules(l.value)
	}
	maps.DeleteFunc(measured, func(_ string, v int64) bool { return v == 0 }) // nobody has used anything yet
	require.Equal(b.t, measured, divided, "%s: µJ after %d exports", b.who, b.n)
}

// price compares emissions with energy, and counts the ends told of the latter.
func (b *books) price(energy, emissions []point) (ended int) {
	b.t.Helper()
	b.enter(b.grams, emissions)
	grams := make(map[string]point, len(emissions))
	for _, p := range emissions {
		attrs := maps.Clone(p.attrs)
		for _, more := range []string{"carbon.emission_type", "carbon.grid.zone", "carbon.grid.source", "carbon.grid.boundary"} {
			delete(attrs, more)
		}
		grams[fmt.Sprint(p.resource, attrs)] = p
	}
	assert.Len(b.t, grams, len(emissions))
	assert.Len(b.t, emissions, len(energy), "%s: emissions of every point of energy, and no others", b.who)
	for _, p := range energy {
		key := fmt.Sprint(p.resource, p.attrs)
		g, ok := grams[key]
		require.True(b.t, ok, "%s: %s has no emissions", b.who, key)
		require.Equal(b.t, p.ended, g.ended, "%s: the end of %s", b.who, key)
		if p.ended {
			ended++
			continue
		}
		require.Equal(b.t, p.start, g.start, "%s: start of the emissions of %s", b.who, key)
		require.InEpsilon(b.t, p.value*gramsPerKWh/3.6e6, g.value, 1e-9, "%s: grams of %s", b.who, key)
	}
	return ended
}

// sum adds up the newest values of the series that a test is after, in J.
func (b *books) sum(of func(*line) bool) (joules float64) {
	for _, l := range b.energy {
		if of(l) {
			joules += l.value
		}
	}
	return joules
}

func share(name string) func(*line) bool {
	return func(l *line) bool { return l.str("carbon.share") == name }
}

// res returns an attribute of the resource as text, "" if there is none.
func (l *line) res(key string) string {
	if v, ok := l.resource[key]; ok {
		return fmt.Sprint(v)
	}
	return ""
}
