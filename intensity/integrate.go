package intensity

import (
	"math"
	"time"
)

// Use is an amount of energy that was drawn evenly over the half-open interval
// [Start, End). If it has no length, all of it belongs to the moment End.
type Use struct {
	Start, End time.Time
	Joules     float64
}

// Emission is the result of Integrate. Power usage effectiveness is not in it.
type Emission struct {
	Grams     float64
	Joules    float64 // all energy, priced or not
	Uncovered float64 // J that met a gap: reported, never priced at zero
	// ByQuality holds the grams by the quality of the slot they were priced with:
	// e.ByQuality[intensity.Estimated].
	ByQuality [Assumed + 1]float64
	// Half is the relative half-width of Grams that comes from the intensity. Slots
	// of one provider and method err together: their half-widths are averaged by
	// grams; such groups are combined as the root of the sum of squares. A slot of
	// unknown spread counts as exact.
	Half   float64
	Worst  Quality   // of the slots that were used; 0 if none was
	Latest time.Time // newest UpdatedAt that went in: the version of the result
	Filled Filled    // what of Grams and Joules met slots that Fill had put into gaps
}

// Filled is a part of an Emission, by the rule of Fill that gave it its price.
type Filled struct {
	Neighbor  Amount // a slot next to the gap
	DayBefore Amount // the same hour of the day before
	Fallback  Amount // the last resort
}

// Amount is energy and what it emitted.
type Amount struct{ Grams, Joules float64 }

// Total adds up the rules.
func (f Filled) Total() Amount {
	return Amount{
		Grams:  f.Neighbor.Grams + f.DayBefore.Grams + f.Fallback.Grams,
		Joules: f.Neighbor.Joules + f.DayBefore.Joules + f.Fallback.Joules,
	}
}

// FilledShare returns the part of all energy that met filled gaps: 0.02 is 2 %. It
// is 0 if there was no energy.
func (e Emission) FilledShare() float64 {
	if e.Joules <= 0 {
		return 0
	}
	return e.Filled.Total().Joules / e.Joules
}

// Integrate prices uses with s. It cuts every Use at slot borders, because the
// intensity is constant inside a slot and nowhere else. It is pure. Uses whose
// energy is negative or not a number are left out; slots that do not pass Check
// are gaps.
func Integrate(uses []Use, s Series) Emission {
	var (
		e      Emission
		groups []group
		grid   = Grid{step: 1, coarse: newLayer(s.Slots)}
	)
	price := func(slot *Slot, joules float64) {
		e.Joules += joules
		if slot == nil {
			e.Uncovered += joules
			return
		}
		grams := joules / joulesPerKWh * slot.GramsPerKWh
		e.Grams += grams
		if slot.Quality <= Assumed {
			e.ByQuality[slot.Quality] += grams
		}
		e.Worst = max(e.Worst, slot.Quality)
		if slot.Origin.UpdatedAt.After(e.Latest) {
			e.Latest = slot.Origin.UpdatedAt
		}
		e.Filled.add(slot.Flags, grams, joules)
		groups = add(groups, slot, grams)
	}
	for _, u := range uses {
		grid.Each(u.Start, u.End, u.Joules, price)
	}
	e.Half = relative(combined(groups), e.Grams)
	return e
}

func (f *Filled) add(flags Flags, grams, joules float64) {
	var a *Amount
	switch {
	case flags.Has(FilledNeighbor):
		a = &f.Neighbor
	case flags.Has(FilledDayBefore):
		a = &f.DayBefore
	case flags.Has(FilledFallback):
		a = &f.Fallback
	default:
		return
	}
	a.Grams += grams
	a.Joules += joules
}

const joulesPerKWh = 3.6e6 // exact by definition: 1000 W × 3600 s

// group is the slots whose errors are taken as fully correlated.
type group struct {
	provider, method string
	half             float64 // g: Σ grams × relative half-width
}

func add(groups []group, s *Slot, grams float64) []group {
	for i := range groups {
		if g := &groups[i]; g.provider == s.Origin.Provider && g.method == s.Origin.Method {
			g.half += grams * s.Spread.Half
			return groups
		}
	}
	return append(groups, group{provider: s.Origin.Provider, method: s.Origin.Method, half: grams * s.Spread.Half})
}

// combined returns the half-width of groups that err independently of each other.
func combined(groups []group) float64 {
	var squares float64
	for _, g := range groups {
		squares += g.half * g.half
	}
	return math.Sqrt(squares)
}
