package chain

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// ask goes through the tables until all of time is covered, and finds out which live
// providers come before them.
func (s *source) ask(q intensity.Query) answer {
	slots, first, err := s.askTables(q)
	live := &livePlace{query: q, coarse: slots}
	live.use(time.Now())
	for _, u := range s.upstreams {
		if u.depth < first {
			live.upstreams = append(live.upstreams, u)
		}
	}
	if len(live.upstreams) == 0 && err != nil {
		return answer{err: err}
	}
	g, err := intensity.NewGrid(slots, nil)
	if err != nil {
		return answer{err: err}
	}
	h := intensity.NewHandle(g)
	if len(live.upstreams) == 0 {
		return answer{handle: h}
	}
	live.handle, live.found = h, make([]finding, len(live.upstreams))
	for i := range live.found {
		live.found[i].turn = make(chan struct{}, 1)
	}
	return answer{handle: h, live: live}
}

// askTables returns what the tables have, and the place in the chain of the first that
// has anything.
func (s *source) askTables(q intensity.Query) (slots []*intensity.Slot, first int, err error) {
	var errs []error
	first = math.MaxInt
	for _, t := range s.tables {
		more, err := fromTable(t, q)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		more = marked(more, t.depth)
		if slots == nil {
			slots, first = more, t.depth
		} else if more[0].Basis == slots[0].Basis {
			slots = filled(slots, more)
		}
		if complete(slots) {
			break
		}
	}
	if slots == nil {
		if len(errs) == 1 {
			return nil, first, errs[0]
		}
		if len(errs) == 0 {
			return nil, first, noData("the chain has no table")
		}
		return nil, first, errors.Join(errs...)
	}
	return slots, first, nil
}

// fromTable returns slots that fit the query, at least one, or an error.
func fromTable(t intensity.Table, q intensity.Query) ([]*intensity.Slot, error) {
	caps := t.Caps()
	fail := func(kind intensity.Kind, format string, args ...any) error {
		return &intensity.Error{Kind: kind, Provider: caps.ID, Zone: q.Location.Zone, Detail: fmt.Sprintf(format, args...)}
	}
	if !caps.Offers(q.Want) {
		return nil, fail(intensity.KindBasis, "wanted is %s", q.Want)
	}
	slots, err := t.Slots(q)
	if err != nil {
		return nil, err
	}
	if len(slots) == 0 {
		return nil, fail(intensity.KindNoData, "")
	}
	if err := intensity.CheckSlots(slots); err != nil {
		return nil, fail(intensity.KindMalformed, "%v", err)
	}
	if b := slots[0].Basis; !q.Want.Accepts(b) {
		return nil, fail(intensity.KindMismatch, "answered with %s, wanted is %s", b, q.Want)
	}
	if q.Worst != 0 {
		for _, s := range slots {
			if s.Quality == 0 || s.Quality > q.Worst {
				return nil, fail(intensity.KindNoData, "values are %s, wanted is %s or better", s.Quality, q.Worst)
			}
		}
	}
	return slots, nil
}

// marked returns copies that say how far down the chain they come from.
func marked(slots []*intensity.Slot, depth int) []*intensity.Slot {
	if depth == 0 {
		return slots
	}
	out := make([]*intensity.Slot, len(slots))
	for i, s := range slots {
		c := *s
		c.Flags |= intensity.FellBack
		c.Origin.Depth = depth
		out[i] = &c
	}
	return out
}

func complete(slots []*intensity.Slot) bool { return len(over(slots).Gaps) == 0 }

// filled puts the parts of more into the gaps of slots.
func filled(slots, more []*intensity.Slot) []*intensity.Slot {
	fill, err := intensity.NewGrid(more, nil)
	if err != nil {
		return slots // CheckSlots has passed: cannot happen
	}
	first := over(slots)
	var out []*intensity.Slot
	for len(first.Slots) > 0 || len(first.Gaps) > 0 {
		if len(first.Gaps) == 0 || len(first.Slots) > 0 && first.Slots[0].Start.Before(first.Gaps[0].Start) {
			out, first.Slots = append(out, first.Slots[0]), first.Slots[1:]
			continue
		}
		gap := first.Gaps[0]
		out, first.Gaps = append(out, fill.Series(gap.Start, gap.End, nil).Slots...), first.Gaps[1:]
	}
	return out
}

func over(slots []*intensity.Slot) intensity.Series {
	g, err := intensity.NewGrid(slots, nil)
	if err != nil {
		return intensity.Series{}
	}
	start, end := intensity.Always()
	return g.Series(start, end, nil)
}

func forecast(ctx context.Context, p intensity.Provider, f intensity.Forecaster, q intensity.Query, horizon time.Duration) (intensity.Series, error) {
	caps := p.Caps()
	if !caps.Offers(q.Want) {
		return intensity.Series{}, &intensity.Error{Kind: intensity.KindBasis, Provider: caps.ID, Detail: "wanted is " + q.Want.String()}
	}
	zone, err := p.Resolve(ctx, q.Location)
	if err != nil {
		return intensity.Series{}, err
	}
	s, err := f.FetchForecast(ctx, zone, horizon)
	if err != nil {
		return intensity.Series{}, err
	}
	if err := s.Check(); err != nil {
		return intensity.Series{}, err
	}
	if len(s.Slots) > 0 && !q.Want.Accepts(s.Slots[0].Basis) {
		return intensity.Series{}, &intensity.Error{
			Kind: intensity.KindMismatch, Provider: caps.ID, Zone: zone,
			Detail: fmt.Sprintf("answered with %s, wanted is %s", s.Slots[0].Basis, q.Want),
		}
	}
	return s, nil
}
