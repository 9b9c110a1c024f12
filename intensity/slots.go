package intensity

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// BestSlots returns when a job that may be interrupted emits least: in the slots
// with the lowest intensity, the earliest of equal ones, until its Duration is
// filled. Of the last slot it takes a part: the beginning, or the end if that makes
// it one run with the slot after. Slots that follow each other make one run. Gaps
// are never taken.
//
// With Job.MinChunk, no run is shorter, and the answer is the best of all plans
// with that property whose runs begin and end on a lattice: that of the longest
// step of which Duration, MinChunk, and the times between the borders of the slots,
// Earliest and Deadline are multiples. That is the best of all plans whatever. Where
// this step is too short to try everything, Earliest and Deadline give way, and the
// job begins on the lattice after Earliest; but the answer is never worse than that
// of BestWindow. Of equal plans the one that is done first wins. It takes time in
// proportion to the steps between Earliest and Deadline times the steps of the job,
// at most some 100 ms.
//
// What an interruption costs, in energy for saving and loading the state, is not
// reckoned with. Errors are those of BestWindow; KindNoData here means that slots,
// or stretches of MinChunk, do not suffice, and KindConfig also that the lattice
// has too many steps: the text names its step.
func BestSlots(s Series, job Job) (Plan, error) {
	t, err := newTrack(s, job)
	if err != nil {
		return Plan{}, err
	}
	var runs []interval
	if job.MinChunk == 0 {
		runs, err = t.cheapest()
	} else {
		runs, err = t.chunks(uint64(job.MinChunk)) //nolint:gosec // not negative
	}
	if err != nil {
		return Plan{}, err
	}
	return t.plan(runs), nil
}

// cheapest takes slots by intensity until the job is filled.
func (t *track) cheapest() ([]interval, error) {
	order := make([]int, len(t.cells))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(t.cells[a].nano, t.cells[b].nano) })

	taken := make([]interval, len(t.cells)) // of each cell; no length: nothing
	left := t.length
	for _, i := range order {
		all := interval{max(t.lo, t.cells[i].from), min(t.hi, t.cells[i].to)}
		if left > all.length() {
			taken[i] = all
			left -= all.length()
			continue
		}
		taken[i] = interval{all.from, all.from + int64(left)} //nolint:gosec // no more than all
		joinsLeft := i > 0 && taken[i-1].length() > 0 && taken[i-1].to == all.from
		joinsRight := i+1 < len(taken) && taken[i+1].length() > 0 && taken[i+1].from == all.to
		if joinsRight && !joinsLeft {
			taken[i] = interval{all.to - int64(left), all.to} //nolint:gosec // no more than all
		}
		return merged(taken), nil
	}
	return nil, t.noData("the slots in that time add up to %s", time.Duration(t.length-left)) //nolint:gosec // was a Duration
}

// merged joins intervals that touch and leaves out those of no length.
func merged(sorted []interval) []interval {
	var out []interval
	for _, i := range sorted {
		switch n := len(out); {
		case i.length() == 0:
		case n > 0 && out[n-1].to == i.from:
			out[n-1].to = i.to
		default:
			out = append(out, i)
		}
	}
	return out
}

const (
	maxStates = 1 << 22 // steps of the time times steps of the job: 40 MB for the moment of the search
	maxSteps  = 1 << 20 // times MaxGramsPerKWh in 10⁻⁹ g fit an int64
)

// chunks finds the best runs of at least chunk by trying all on a lattice.
func (t *track) chunks(chunk uint64) ([]interval, error) {
	whole := t.window(interval{t.lo, t.hi})
	l, ok := t.lattice(chunk)
	if !ok && !whole.found {
		return nil, refuse("runs of at least %s of a job of %s: trying all in steps of %s is too much; "+
			"let both be multiples of the length of a slot, or the Deadline be earlier",
			time.Duration(chunk), time.Duration(t.length), time.Duration(l.step)) //nolint:gosec // each divides a Duration
	}
	var (
		runs []interval
		cost wide
	)
	if ok {
		runs = l.search()
	}
	for _, r := range runs {
		t.parts(r, func(_ *Slot, c cell) { cost.add(c.nano, c.length()) })
	}
	switch {
	case whole.found && (runs == nil || whole.cost.less(cost)):
		return []interval{whole.interval}, nil
	case runs == nil:
		return nil, t.noData("stretches of at least %s without a gap do not add up to it", time.Duration(chunk)) //nolint:gosec // was a Duration
	}
	return runs, nil
}

// lattice is the time from first in equal steps.
type lattice struct {
	first       int64
	step        uint64  // ns
	nano        []int64 // intensity of each step, 10⁻⁹ g/kWh; -1 in a gap
	chunk, fill int     // steps
}

// lattice lays the longest step on which nothing is lost, or, if that makes too
// many, the longest on which all borders of slots lie.
func (t *track) lattice(chunk uint64) (lattice, bool) {
	l := lattice{first: t.lo, step: gcd(t.length, chunk)}
	inside := false
	for _, c := range t.cells {
		for _, border := range []int64{c.from, c.to} {
			if border <= t.lo || border >= t.hi {
				continue
			}
			if !inside {
				inside, l.first = true, border
			}
			l.step = gcd(l.step, interval{l.first, border}.length())
		}
	}
	fine := gcd(gcd(l.step, interval{t.lo, l.first}.length()), interval{t.lo, t.hi}.length())
	if steps := (interval{t.lo, t.hi}).length() / fine; fits(steps, t.length/fine) {
		l.step = fine
	}
	l.first = t.lo + int64(interval{t.lo, l.first}.length()%l.step) //nolint:gosec // less than a step
	steps := interval{min(l.first, t.hi), t.hi}.length() / l.step
	if !fits(steps, t.length/l.step) {
		return l, false
	}
	l.chunk, l.fill = int(chunk/l.step), int(t.length/l.step) //nolint:gosec // few, as fits says
	l.nano = make([]int64, steps)
	i := 0
	for n := range l.nano {
		at := l.at(n)
		for i < len(t.cells) && t.cells[i].to <= at {
			i++
		}
		if l.nano[n] = -1; i < len(t.cells) && t.cells[i].from <= at {
			l.nano[n] = int64(t.cells[i].nano) //nolint:gosec // at most MaxGramsPerKWh
		}
	}
	return l, true
}

func fits(steps, fill uint64) bool {
	return steps <= maxSteps && fill <= maxSteps && (steps+1)*(fill+1) <= maxStates
}

func (l *lattice) at(n int) int64 { return l.first + int64(n)*int64(l.step) } //nolint:gosec // no later than the Deadline

// search fills a table, step by step in time: what does it cost at least to have
// run for k steps by then? A run is opened with chunk steps at once and may then
// go on step by step, so that each question takes one look at a few cells. It
// returns nil if nothing fits.
func (l *lattice) search() []interval {
	const never = math.MaxInt64
	const (
		closes = 1 << iota // a run ends here
		opens              // the cheapest run that ends here is no longer than chunk
	)
	width := l.fill + 1
	cost := make([]int64, (len(l.nano)+1)*width) // of k steps by the moment n, at n·width + k
	made := make([]byte, len(cost))
	for k := 1; k < width; k++ {
		cost[k] = never
	}
	// running holds for each k the cost of having run for k steps and running still,
	// less sum, the cost of running always.
	running, before := make([]int64, width), make([]int64, width)
	for k := range running {
		running[k] = never
	}
	sums := make([]int64, len(l.nano)+1)
	long := 0 // steps since the last gap
	for n := 1; n <= len(l.nano); n++ {
		running, before = before, running
		open := l.nano[n-1] >= 0
		if sums[n], long = sums[n-1], long+1; open {
			sums[n] += l.nano[n-1]
		} else {
			long = 0
		}
		row := n * width
		running[0] = never
		copy(cost[row:row+width], cost[row-width:row])
		for k := 1; k < width; k++ {
			r := int64(never)
			if open {
				r = before[k-1]
			}
			if long >= l.chunk && k >= l.chunk {
				if c := cost[row-l.chunk*width+k-l.chunk]; c != never && c-sums[n-l.chunk] < r {
					r = c - sums[n-l.chunk]
					made[row+k] |= opens
				}
			}
			if running[k] = r; r != never && r+sums[n] < cost[row+k] {
				cost[row+k] = r + sums[n]
				made[row+k] |= closes
			}
		}
	}
	n, k := len(l.nano), l.fill
	if cost[n*width+k] == never {
		return nil
	}
	var runs []interval
	for k > 0 {
		if made[n*width+k]&closes == 0 {
			n--
			continue
		}
		end := n
		for made[n*width+k]&opens == 0 {
			n, k = n-1, k-1
		}
		n, k = n-l.chunk, k-l.chunk
		runs = append(runs, interval{l.at(n), l.at(end)})
	}
	slices.Reverse(runs)
	return merged(runs)
}
