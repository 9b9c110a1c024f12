package intensity

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// IntegrateFrom prices uses with what src knows of a place: it asks for the time
// that they span, fills the gaps by rules (see Fill), and integrates. If there are
// gaps, it asks a second time, for as much more before and after as the rules look
// at: a day and an hour.
//
// A value of a table that src has put behind its first provider (flagged FellBack,
// of Quality Periodic or Assumed) is a last resort, and waits until the other rules
// have been tried: it is used as Rules.Fallback is, where that has nothing. A table
// that stands first in a chain is what the operator wants, and is used as it is.
// Emission.FilledShare tells how much was filled, Emission.Uncovered what no rule
// could price.
//
// Errors are those of src.Range, if it knows nothing at all about the place and the
// time; those of Fill; and KindBasis if the query does not accept the Basis of
// Rules.Fallback. The Emission is right even then: all energy is in it, priced by
// Rules.Fallback or uncovered. IntegrateFrom may be called by many at once, as src
// may be.
func IntegrateFrom(ctx context.Context, src Source, q Query, uses []Use, rules Rules) (Emission, error) {
	from, to := around(uses)
	if !from.Before(to) {
		return Emission{}, nil
	}
	if f := rules.Fallback; len(f) > 0 && f[0] != nil && !q.Want.Accepts(f[0].Basis) {
		err := &Error{Kind: KindBasis, Detail: fmt.Sprintf("the fallback is %s, wanted is %s", f[0].Basis, q.Want)}
		return Integrate(uses, Series{}), err
	}
	s, err := src.Range(ctx, q, from, to)
	if err == nil {
		hourly, _ := apart(s)
		if e := Integrate(uses, hourly); e.Uncovered <= 0 {
			return e, nil
		}
	}
	if ctx.Err() != nil {
		return Integrate(uses, Series{}), ctx.Err()
	}
	before, after := rules.reach()
	if more, failed := src.Range(ctx, q, from.Add(-before), to.Add(after)); failed == nil {
		s, err = more, nil
	}
	if err != nil {
		s = Series{From: from, To: to, Gaps: []Gap{{Start: from, End: to, Err: err}}}
	}
	hourly, last := apart(s)
	s, wrong := Fill(hourly, rules)
	if wrong == nil && len(last) > 0 {
		s, wrong = Fill(s, Rules{Neighbor: -1, NoDayBefore: true, Fallback: last, HalfWidths: rules.HalfWidths})
	}
	return Integrate(uses, s), errors.Join(err, wrong)
}

// apart separates a Series from the last resorts in it, which become gaps.
func apart(s Series) (hourly Series, last []*Slot) {
	hourly = Series{From: s.From, To: s.To, Gaps: s.Gaps}
	for _, slot := range s.Slots {
		if slot != nil && slot.Quality >= Periodic && slot.Flags.Has(FellBack) {
			last = append(last, slot)
		} else {
			hourly.Slots = append(hourly.Slots, slot)
		}
	}
	return hourly, last
}

// around returns the shortest interval that holds all uses which Integrate prices,
// of no length if there are none.
func around(uses []Use) (from, to time.Time) {
	for _, u := range uses {
		if !(u.Joules >= 0) || math.IsInf(u.Joules, 0) {
			continue
		}
		start, end := u.Start, u.End
		if !start.Before(end) { // all of it belongs to the moment End
			start, end = u.End, u.End.Add(1)
		}
		if !from.Before(to) {
			from, to = start, end
		}
		from, to = earlier(from, start), later(to, end)
	}
	return from.UTC(), to.UTC()
}
