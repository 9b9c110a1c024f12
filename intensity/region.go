package intensity

import (
	"errors"
	"fmt"
	"math"
	"sort"
)

// Candidate is a place where a Job may run.
type Candidate struct {
	Name   string // for errors and for the answer: "eu-west-3"
	Series Series // what is known of its grid
}

// Choice is where and when a Job should run.
type Choice struct {
	Index int    // in the candidates
	Name  string // of the candidate
	Plan  Plan   // Plan.Saving is against running at once in the same place
	// Saving is against running at once in the first candidate, which is where the
	// job runs if nothing moves it.
	Saving Saving
	// Skipped holds an error for each candidate without a plan, of KindNoData.
	Skipped []error
}

// BestRegion returns which of several places is best for a job, and when, as best
// finds it in each of them: BestWindow, which nil stands for, or BestSlots. Of
// equal means the one that stands first wins, so name the place where the job
// would run otherwise first. Energy for moving data is the caller's to weigh, as is
// the difference of the places in power usage effectiveness.
//
// All Series have to be of one Basis: the marginal value of one grid and the
// average of another have no order. Candidates of which too little is known are
// skipped, and reported.
//
// Errors: KindBasis if two candidates differ in Basis; KindNoData if all had to be
// skipped; KindConfig without candidates; and those of best that are not of
// KindNoData.
func BestRegion(candidates []Candidate, job Job, best func(Series, Job) (Plan, error)) (Choice, error) {
	if len(candidates) == 0 {
		return Choice{}, refuse("no candidates: name one region or more")
	}
	if best == nil {
		best = BestWindow
	}
	if err := oneBasis(candidates); err != nil {
		return Choice{}, err
	}
	choice := Choice{Index: -1}
	for i, c := range candidates {
		plan, err := best(c.Series, job)
		switch {
		case errors.Is(err, KindNoData):
			choice.Skipped = append(choice.Skipped, fmt.Errorf("%s: %w", c.Name, err))
		case err != nil:
			return Choice{}, fmt.Errorf("%s: %w", c.Name, err)
		case choice.Index < 0 || plan.GramsPerKWh < choice.Plan.GramsPerKWh:
			choice.Index, choice.Name, choice.Plan = i, c.Name, plan
		}
	}
	if choice.Index < 0 {
		return Choice{}, errors.Join(choice.Skipped...)
	}
	choice.Saving = choice.Plan.Saving
	if choice.Index > 0 {
		choice.Saving = savingAway(candidates[0].Series, candidates[choice.Index].Series, choice.Plan, job)
	}
	return choice, nil
}

func oneBasis(candidates []Candidate) error {
	var first *Candidate
	for i := range candidates {
		c := &candidates[i]
		if len(c.Series.Slots) == 0 || c.Series.Slots[0] == nil {
			continue
		}
		if first == nil {
			first = c
			continue
		}
		if a, b := first.Series.Slots[0].Basis, c.Series.Slots[0].Basis; a != b {
			return &Error{Kind: KindBasis, Detail: fmt.Sprintf("%s is %s and %s is %s: ask for one basis with Query.Want", first.Name, a, c.Name, b)}
		}
	}
	return nil
}

// savingAway compares a plan with running at once somewhere else. The two have
// nothing in common that would err on both alike.
func savingAway(home, away Series, plan Plan, job Job) Saving {
	h, err := newTrack(home, job)
	if err != nil {
		return Saving{}
	}
	atOnce, known := h.mean(h.once())
	if !known {
		return Saving{}
	}
	before, sure := h.half([]interval{h.once()})
	for _, r := range plan.Runs {
		for _, slot := range within(away.Slots, r) {
			sure = sure && slot.Spread != Spread{}
		}
	}
	return newSaving(atOnce, plan.GramsPerKWh, math.Hypot(before, plan.Half*plan.GramsPerKWh), sure)
}

// within returns those of sorted slots that have a part in r.
func within(slots []*Slot, r Span) []*Slot {
	first := sort.Search(len(slots), func(i int) bool { return slots[i].End.After(r.Start) })
	end := first + sort.Search(len(slots)-first, func(i int) bool { return !slots[first+i].Start.Before(r.End) })
	return slots[first:end]
}
