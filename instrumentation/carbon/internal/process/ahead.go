package process

import (
	"time"

	"github.com/otelcarbon/otelcarbon/internal/unit"
)

const (
	firstWindow = 100 * time.Millisecond
	lastWindow  = time.Second

	// leastCPU is how much CPU time tells what a CPU-second costs.
	leastCPU = time.Millisecond
)

// ahead tells what was used since the books were last read, from what was used in the
// window before: of CPUs per CPU time, of all else per time.
type ahead struct {
	window  time.Duration           // how long the present one is
	at      time.Time               // when it began
	cpuTime time.Duration           // then
	sum     sums                    // then
	rates   [types][methods]float64 // µJ per ns
	rated   bool                    // it is known what a CPU-second costs
}

// due reports whether the window is over.
func (a *ahead) due(now time.Time) bool { return now.Sub(a.at) >= a.window }

// next begins a window. What arrived after a counter had failed (late) says nothing
// about the window that ends.
func (a *ahead) next(now time.Time, cpuTime time.Duration, sum *sums, late bool) {
	dt, used := now.Sub(a.at), cpuTime-a.cpuTime
	for t := range sum {
		over := dt
		if t == cpuType {
			if over = used; used < leastCPU && !late {
				continue // what it cost before
			}
		}
		for m := range sum[t] {
			a.rates[t][m] = 0
			if !late && over > 0 && !a.at.IsZero() {
				a.rates[t][m] = float64(sum[t][m]-a.sum[t][m]) / float64(over)
				a.rated = a.rated || t == cpuType && a.rates[t][m] > 0
			}
		}
	}
	a.at, a.cpuTime, a.sum = now, cpuTime, *sum
	a.window = min(max(2*a.window, firstWindow), lastWindow)
}

// raise brings told up to what was used until now. What was told too much is not taken
// back; nothing is added until it has been used.
func (a *ahead) raise(told *sums, now time.Time, cpuTime time.Duration) {
	dt := min(now.Sub(a.at), a.window)
	for t := range told {
		over := dt
		if t == cpuType {
			over = cpuTime - a.cpuTime
		}
		for m := range told[t] {
			e := a.sum[t][m] + unit.Microjoules(a.rates[t][m]*float64(max(over, 0)))
			told[t][m] = max(told[t][m], e)
		}
	}
}
