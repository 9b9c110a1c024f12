package intensity

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// MaxGramsPerKWh bounds what is believed: burning lignite at 20 % efficiency
// emits about 2000 g/kWh, so anything above this is a wrong unit.
const MaxGramsPerKWh = 5000

// Always returns the interval that slots without beginning and end carry: the
// zero Time, so that Start.IsZero reports it, and the end of the year 9999.
func Always() (start, end time.Time) {
	return time.Time{}, time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
}

// Check returns an error of KindMalformed if the slot has no length, its value is
// not a number between 0 and MaxGramsPerKWh, or its half-width is not a number of
// 0 or more.
func (s *Slot) Check() error {
	switch {
	case s == nil:
		return malformed("a slot is nil")
	case !s.Start.Before(s.End):
		return malformed("slot ends at %s, not after its start %s", stamp(s.End), stamp(s.Start))
	case !validGrams(s.GramsPerKWh):
		return malformed("%v is not a number between 0 and %d g/kWh, slot from %s", s.GramsPerKWh, MaxGramsPerKWh, stamp(s.Start))
	case !(s.Spread.Half >= 0) || math.IsInf(s.Spread.Half, 0):
		return malformed("half-width %v is not a number of 0 or more, slot from %s", s.Spread.Half, stamp(s.Start))
	}
	return nil
}

// CheckSlots returns an error of KindMalformed unless every slot passes Check, the
// slots are sorted, none overlaps the next, and all have one Basis.
func CheckSlots(slots []*Slot) error {
	var before *Slot
	for _, s := range slots {
		if err := s.follows(before); err != nil {
			return err
		}
		before = s
	}
	return nil
}

// follows checks a slot and that it may stand behind another; nil for the first.
func (s *Slot) follows(before *Slot) error {
	if err := s.Check(); err != nil {
		return err
	}
	switch {
	case before == nil:
	case s.Start.Before(before.End):
		return malformed("slot from %s begins before the one from %s ends", stamp(s.Start), stamp(before.Start))
	case s.Basis != before.Basis:
		return malformed("slot from %s is %s, the one before %s", stamp(s.Start), s.Basis, before.Basis)
	}
	return nil
}

// Check returns an error of KindMalformed unless slots and gaps are sorted and
// cover [From, To) exactly, without overlap. A Series of no length has neither.
func (s Series) Check() error {
	if err := CheckSlots(s.Slots); err != nil {
		return err
	}
	at, slots, gaps := s.From, s.Slots, s.Gaps
	for len(slots) > 0 || len(gaps) > 0 {
		switch {
		case len(slots) > 0 && slots[0].Start.Equal(at):
			at, slots = slots[0].End, slots[1:]
		case len(gaps) > 0 && gaps[0].Start.Equal(at) && gaps[0].Start.Before(gaps[0].End):
			at, gaps = gaps[0].End, gaps[1:]
		default:
			return malformed("neither a slot nor a gap begins at %s", stamp(at))
		}
	}
	if s.From.Before(s.To) && !at.Equal(s.To) {
		return malformed("series ends at %s instead of %s", stamp(at), stamp(s.To))
	}
	return nil
}

// Err joins the errors of the gaps; it is nil without gaps.
func (s Series) Err() error {
	errs := make([]error, 0, len(s.Gaps))
	for _, g := range s.Gaps {
		err := g.Err
		if err == nil {
			err = KindNoData
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func validGrams(g float64) bool { return g >= 0 && g <= MaxGramsPerKWh } // false for NaN

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func malformed(format string, args ...any) error {
	return &Error{Kind: KindMalformed, Detail: fmt.Sprintf(format, args...)}
}
