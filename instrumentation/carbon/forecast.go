package carbon

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/internal/emission"
)

// steps are the equal parts of a task that are done: epochs, batches, files.
type steps struct {
	n          int
	joules     float64 // of the task when the last one ended
	mean, m2   float64 // of a step's energy (Welford)
	last       time.Time
	meanS, m2S float64 // of a step's duration
}

// Step says that one of the equal steps of the task is done.
func (t *Task) Step() {
	if t == nil || t.t == nil {
		return
	}
	m := t.t.m
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	s := &t.t.steps
	if s.n == 0 {
		s.last = t.t.started
	}
	total := max(t.t.energy.Total()+t.t.ahead(now), s.joules) // what was weighed meanwhile may be less
	s.n++
	s.mean, s.m2 = welford(s.n, s.mean, s.m2, total-s.joules)
	s.meanS, s.m2S = welford(s.n, s.meanS, s.m2S, now.Sub(s.last).Seconds())
	s.joules, s.last = total, now
}

// ahead is what the task has and is not in its energy yet, in J.
func (t *tally) ahead(now time.Time) float64 {
	e, ok := t.m.clock.Read(t.ref, int64(now.Sub(t.m.began)))
	if !ok {
		return 0
	}
	return max(0, e.Joules-t.counted)
}

func welford(n int, mean, m2, x float64) (float64, float64) {
	d := x - mean
	mean += d / float64(n)
	return mean, m2 + d*(x-mean)
}

// Forecast is what a task will have used when all of its steps are done.
type Forecast struct {
	Steps, Of        int
	Remaining        time.Duration
	Energy           float64 // J, of the whole task
	EnergyLower      float64
	EnergyUpper      float64
	Emissions        float64 // g of CO2-equivalent, of the whole task
	Lower, Upper     float64
	Intensity        float64 // g/kWh, of what remains
	IntensityIsKnown bool    // a forecast of the grid is in it; else the intensity of now
	Method           string  // of most of the newest energy
}

// Errors of Forecast.
var (
	ErrNoSteps     = errors.New("no step is done yet: call Step after each")
	ErrNoIntensity = errors.New("nobody knows the intensity of the grid")
)

// Forecast extrapolates from the steps that are done to all of them. Its range contains
// the spread of the steps (at 95 %, as if they were independent), that of the power and
// that of the intensity. With a source that forecasts (WithIntensity), the intensity is
// that of the time that remains; it may go to the network, and honors ctx. of is how many
// steps there will be, those that are done included.
func (t *Task) Forecast(ctx context.Context, of int) (Forecast, error) {
	if t == nil || t.t == nil {
		return Forecast{}, ErrNoSteps
	}
	m := t.t.m
	m.mu.Lock()
	now := time.Now()
	s, r := t.t.steps, t.t.report(now)
	unpriced := min(t.t.ahead(now), max(s.joules-r.Energy.Total(), 0)) // of the steps
	m.mu.Unlock()
	if s.n == 0 {
		return Forecast{}, ErrNoSteps
	}
	if of < s.n {
		return Forecast{}, fmt.Errorf("of %d steps %d are done: want how many there will be", of, s.n)
	}
	left := float64(max(0, of-s.n))
	f := Forecast{Method: r.Method, Steps: s.n, Of: of, Remaining: time.Duration(left * s.meanS * float64(time.Second))}
	spread := 0.0
	if s.n > 1 {
		spread = student(s.n-1) * math.Sqrt(s.m2/float64(s.n-1)) * math.Sqrt(left+left*left/float64(s.n))
	} else if left > 0 {
		spread = left * s.mean // one step says nothing of the others
	}
	more := left * s.mean
	f.Energy = s.joules + more
	off := math.Hypot(spread, (s.joules+more)*m.method.Load().Half)
	f.EnergyLower, f.EnergyUpper = max(f.Energy-off, s.joules*(1-min(m.method.Load().Half, 1))), f.Energy+off

	grams, half, known, err := m.ahead(ctx, f.Remaining)
	if err != nil {
		return f, err
	}
	f.Intensity, f.IntensityIsKnown = grams, known
	width := 0.0
	if more > 0 {
		width = spread / more
	}
	ahead := emission.Around(emission.Grams(more, m.grid.pue, grams), math.Hypot(width, emission.Combine(m.method.Load().Half, half)))
	all := emission.Range{Grams: r.Emissions, Lower: r.Lower, Upper: r.Upper}
	all.Add(ahead)
	if p := m.grid.price(now, now, unpriced, m.method.Load().Half); p.slot != nil {
		all.Add(p.Range)
	}
	f.Emissions, f.Lower, f.Upper = all.Grams, all.Lower, all.Upper
	return f, nil
}

// ahead returns the mean intensity of the time to come and its half-width.
func (m *Monitor) ahead(ctx context.Context, d time.Duration) (grams, half float64, known bool, err error) {
	now := time.Now()
	if m.cfg.grid != nil && d > 0 {
		if s, err := m.grid.source.Forecast(ctx, m.grid.query, d); err == nil {
			e := intensity.Integrate([]intensity.Use{{Start: now, End: now.Add(d), Joules: 3.6e6}}, s)
			if priced := (e.Joules - e.Uncovered) / 3.6e6; priced > 0.5 {
				return e.Grams / priced, e.Half, true, nil
			}
		}
	}
	if m.grid.handle == nil {
		return 0, 0, false, ErrNoIntensity
	}
	s := m.grid.handle.Peek(now)
	if s == nil {
		return 0, 0, false, ErrNoIntensity
	}
	return s.GramsPerKWh, s.Spread.Half, false, nil
}

// student returns the quantile of 97.5 % of Student's distribution with n degrees of
// freedom: a textbook table, which is within 5 % of the normal one from 15 on.
func student(n int) float64 {
	table := [...]float64{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131}
	if n <= len(table) {
		return table[n-1]
	}
	return 1.96 + 2.5/float64(n)
}
