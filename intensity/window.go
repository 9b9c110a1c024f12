package intensity

import (
	"slices"
	"time"
)

// BestWindow returns when a job that must not be interrupted emits least. The
// answer is exact for values of up to nine decimals: the mean of a window that
// slides over slots changes its slope only where its start or its end touches a
// border, and all such windows are compared, not only those that begin at a slot.
// Of windows with equal means the earliest wins. A window that touches a gap is no
// candidate, because nobody knows what it would emit.
//
// It takes time in proportion to the number of slots. It is pure: plan again when
// a new forecast arrives. Average and marginal intensity have different best
// windows, so the Query that the Series answers should name the Signal.
//
// Errors: KindConfig if the job is impossible in itself; KindNoData if no stretch
// without gaps is long enough; KindMalformed if the slots do not pass CheckSlots.
func BestWindow(s Series, job Job) (Plan, error) {
	t, err := newTrack(s, job)
	if err != nil {
		return Plan{}, err
	}
	best := t.window(interval{t.lo, t.hi})
	if !best.found {
		return Plan{}, t.tooShort()
	}
	return t.plan([]interval{best.interval}), nil
}

// BestWindows returns up to count windows without overlap, the best first: the
// first is that of BestWindow, and each one after it the best in the time that
// those before it leave free. It is for jobs that are queued one behind the other,
// or for a person to choose. Errors are those of BestWindow, and KindConfig if
// count is less than 1; having found one window, it returns those that there are.
func BestWindows(s Series, job Job, count int) ([]Plan, error) {
	t, err := newTrack(s, job)
	if err != nil {
		return nil, err
	}
	if count < 1 {
		return nil, refuse("%d windows: want 1 or more", count)
	}
	type stretch struct {
		free interval
		best window
	}
	// In order of time, so that the first of equal ones is the earliest.
	stretches := []stretch{{interval{t.lo, t.hi}, t.window(interval{t.lo, t.hi})}}
	var plans []Plan
	for len(plans) < count {
		least := -1
		for i, x := range stretches {
			if x.best.found && (least < 0 || x.best.cost.less(stretches[least].best.cost)) {
				least = i
			}
		}
		if least < 0 {
			break
		}
		x := stretches[least]
		plans = append(plans, t.plan([]interval{x.best.interval}))
		left, right := interval{x.free.from, x.best.from}, interval{x.best.to, x.free.to}
		stretches = slices.Replace(stretches, least, least+1, stretch{left, t.window(left)}, stretch{right, t.window(right)})
	}
	if len(plans) == 0 {
		return nil, t.tooShort()
	}
	return plans, nil
}

// window is a candidate.
type window struct {
	interval
	cost  wide
	found bool
}

// window returns the earliest of the best windows inside free.
func (t *track) window(free interval) window {
	var best window
	for run, cells := range t.runs(free) {
		if run.length() >= t.length {
			slide(cells, run, t.length, &best)
		}
	}
	return best
}

// runs yields the stretches without gaps inside free, with the cells that cover
// them.
func (t *track) runs(free interval) func(yield func(interval, []cell) bool) {
	return func(yield func(interval, []cell) bool) {
		first := t.holder(free.from)
		for first < len(t.cells) && t.cells[first].from < free.to {
			last := first
			for last+1 < len(t.cells) && t.cells[last].to < free.to && t.cells[last+1].from == t.cells[last].to {
				last++
			}
			run := interval{max(free.from, t.cells[first].from), min(free.to, t.cells[last].to)}
			if !yield(run, t.cells[first:last+1]) {
				return
			}
			first = last + 1
		}
	}
}

// slide moves a window of the given length over a run, from one border that it
// touches to the next, and keeps the best. The sum is exact, so that it does not
// drift.
func slide(cells []cell, run interval, length uint64, best *window) {
	at := interval{run.from, run.from}
	var cost wide
	head, tail := 0, 0 // the cells that hold at.to and at.from
	for at.length() < length {
		step := min(length-at.length(), interval{at.to, cells[head].to}.length())
		cost.add(cells[head].nano, step)
		if at.to += int64(step); at.to == cells[head].to { //nolint:gosec // wraps as intended
			head++
		}
	}
	for {
		if !best.found || cost.less(best.cost) {
			*best = window{interval: at, cost: cost, found: true}
		}
		if at.to >= run.to {
			return
		}
		step := min(interval{at.from, cells[tail].to}.length(), interval{at.to, min(cells[head].to, run.to)}.length())
		cost.add(cells[head].nano, step)
		cost.sub(cells[tail].nano, step)
		at.from += int64(step) //nolint:gosec // wraps as intended
		at.to += int64(step)   //nolint:gosec // wraps as intended
		if at.from == cells[tail].to {
			tail++
		}
		if at.to == cells[head].to {
			head++
		}
	}
}

// tooShort names the longest stretch that there is.
func (t *track) tooShort() error {
	var longest interval
	for run := range t.runs(interval{t.lo, t.hi}) {
		if run.length() > longest.length() {
			longest = run
		}
	}
	if longest.length() == 0 {
		return t.noData("the series has no value in that time")
	}
	return t.noData("the longest stretch without a gap is %s from %s",
		time.Duration(longest.length()), stamp(longest.span().Start)) //nolint:gosec // shorter than the job, which is a Duration
}
