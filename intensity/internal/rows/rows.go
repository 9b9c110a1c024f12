// Package rows makes a Series of what a provider's answer holds. It is pure: the moment
// comes in.
package rows

import (
	"fmt"
	"slices"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// Ask is what a provider was asked for, for its decoder.
type Ask struct {
	Provider string // value of carbon.grid.source, for errors
	Zone     string // in the provider's spelling, for errors
	From, To time.Time
	Now      time.Time // by the clock of the server, where it has one
	// Late is how long after its end a slot may still have no value although nothing
	// is wrong: such gaps are KindNotYet, all others KindNoData.
	Late time.Duration
}

// Check returns an error of KindConfig unless From lies before To, by most at most; 0
// is no limit.
func (a *Ask) Check(most time.Duration) error {
	switch {
	case !a.From.Before(a.To):
		return a.Error(intensity.KindConfig, "asked for %s to %s: the end has to be later than the beginning", stamp(a.From), stamp(a.To))
	case most > 0 && a.To.Sub(a.From) > most:
		return a.Error(intensity.KindConfig, "asked for %s at once: ask for at most %s", a.To.Sub(a.From), most)
	}
	return nil
}

// Quality is that of a slot which the provider calls measured: Measured once it is
// settled, Preliminary before, and Predicted if it has not begun, whatever it is called.
func (a *Ask) Quality(start, end time.Time, settle time.Duration) intensity.Quality {
	switch {
	case start.After(a.Now):
		return intensity.Predicted
	case a.Now.Sub(end) < settle:
		return intensity.Preliminary
	}
	return intensity.Measured
}

// Series sorts slots, keeps the last of those with one start, drops what lies outside
// [From, To), and says where nothing is left. Slots that overlap otherwise are an error
// of KindMalformed; if nothing is left at all, that is an error of KindNoData.
func (a *Ask) Series(slots []*intensity.Slot) (intensity.Series, error) {
	var inside []*intensity.Slot
	for _, s := range slots {
		if s.Start.Before(a.To) && s.End.After(a.From) || !s.Start.Before(s.End) {
			inside = append(inside, s)
		}
	}
	slices.Reverse(inside) // so that the last comes first
	slices.SortStableFunc(inside, func(x, y *intensity.Slot) int { return x.Start.Compare(y.Start) })
	inside = slices.CompactFunc(inside, func(x, y *intensity.Slot) bool { return x.Start.Equal(y.Start) })
	grid, err := intensity.NewGrid(inside, nil)
	if err != nil {
		return intensity.Series{}, a.Error(intensity.KindMalformed, "%v", err)
	}
	if len(inside) == 0 {
		return intensity.Series{}, a.Error(intensity.KindNoData, "the answer has no value from %s to %s", stamp(a.From), stamp(a.To))
	}
	s := grid.Series(a.From, a.To, nil)
	for i := range s.Gaps {
		g := &s.Gaps[i]
		g.Err = intensity.KindNoData
		if a.Now.Sub(g.End) < a.Late {
			g.Err = intensity.KindNotYet
		}
	}
	return s, nil
}

// Error returns an error about the answer.
func (a *Ask) Error(kind intensity.Kind, format string, args ...any) error {
	return &intensity.Error{Kind: kind, Provider: a.Provider, Zone: a.Zone, Detail: fmt.Sprintf(format, args...)}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04Z") }
