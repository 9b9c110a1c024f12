// Package chain makes the intensity.Source that programs use, out of providers in
// order of preference:
//
//	src, err := chain.New(chain.Config{}, ownTable, electricityMaps, offline)
//
// The first provider that has a value of the wanted basis answers; the next one
// fills what it leaves open, provided that it speaks of the same basis. A value
// that is not the first provider's carries the flag FellBack and its depth. When
// nobody answers, the error joins what each provider said. Nothing crosses a
// basis, and nothing becomes 0. Only a Handle has values of another basis, those of
// the tables, where the query leaves the basis open and no live value is known: each
// slot says of which it is.
//
// Providers that need a network are asked in the background, for the places that have
// a Handle, shortly after each of their slots has ended, and by At, Range and Forecast
// for what is not in the cache. All of them share one patience: a provider is asked once
// by all who want the same, at most as often as it allows, again after a pause that
// grows, and not at all for a while once it has failed several times. Forecasts have half of
// the rate that a provider allows, so that values are not held up by them. A value that
// cannot be renewed is carried forward for Query.MaxStale, with the flags Extrapolated
// and, if asking failed, Stale, and with a range that grows; then the tables answer.
package chain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// Config of a chain. The zero value is usable.
type Config struct {
	// MaxPlaces bounds how many places and bases are remembered, the least recently
	// asked or read being forgotten first; 0 means 1024. A Handle that has been forgotten
	// keeps answering, but is not shared and not renewed any more.
	MaxPlaces int
	// MaxZones bounds the zones of live providers that are remembered beside those of the
	// places that are; 0 means 1024. Each has at most 20,000 slots of some 300 bytes, a day
	// of hours as a rule.
	MaxZones int
	// MaxIdle is for how long a place or zone that nobody asks for is kept up; 0 means 48 h.
	// A Handle that was not read for so long is not renewed, and the values of a zone that
	// only such places have are stored and forgotten. The Handle then answers from the tables,
	// and from live values again within about a minute of being read.
	MaxIdle time.Duration
	// Offline asks no provider that needs a network: no socket is opened.
	Offline bool
	// HalfWidths widen what is carried forward; nil means intensity.DefaultHalfWidths.
	HalfWidths *intensity.HalfWidths
	// Store keeps what live providers have said beyond the end of the program; nil: it
	// is forgotten.
	Store Store
	Hooks Hooks
}

const (
	defaultMaxPlaces = 1024 // some 5 KB each, with ten yearly slots
	defaultMaxZones  = 1024
	defaultMaxIdle   = 48 * time.Hour // longer than from one night's job to the next

	closeWithin = 5 * time.Second // for requests, and again for the Store
)

// ErrClosed is what a closed Source answers.
var ErrClosed = errors.New("intensity source is closed")

// New returns a Source over providers in order. Errors are of KindConfig.
func New(cfg Config, providers ...intensity.Provider) (intensity.Source, error) {
	if len(providers) == 0 {
		return nil, refuse("a chain needs at least one provider")
	}
	s := &source{
		hooks: cfg.Hooks, store: cfg.Store, widths: intensity.DefaultHalfWidths(), maxIdle: cmp.Or(cfg.MaxIdle, defaultMaxIdle),
		wake: make(chan struct{}, 1), calls: newCrew(), stores: newCrew(), storing: make(chan struct{}, storeAtOnce),
		leaving: make(map[zoneKey]*zone),
	}
	s.close = sync.OnceValue(s.end)
	if cfg.MaxIdle < 0 {
		return nil, refuse("MaxIdle is %v: want a time, or 0 for %v", cfg.MaxIdle, defaultMaxIdle)
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	for i, p := range providers {
		if p == nil {
			return nil, refuse("provider %d is nil", i)
		}
		caps := p.Caps()
		if caps.Network {
			if !cfg.Offline {
				s.upstreams = append(s.upstreams, newUpstream(p, caps, i, &s.hooks, s.ctx.Done(), s.calls))
			}
			continue
		}
		t, ok := p.(intensity.Table)
		if !ok {
			return nil, refuse("provider %q needs no network, so it has to implement intensity.Table", caps.ID)
		}
		s.tables = append(s.tables, table{t, i})
	}
	if len(s.tables)+len(s.upstreams) == 0 {
		return nil, refuse("a chain that is offline needs at least one table")
	}
	if cfg.HalfWidths != nil {
		if err := cfg.HalfWidths.Check(); err != nil {
			return nil, err
		}
		s.widths = *cfg.HalfWidths
	}
	var err error
	if s.places, err = newCache[place, answer]("MaxPlaces", "places", cfg.MaxPlaces, defaultMaxPlaces, nil); err != nil {
		return nil, err
	}
	if s.zones, err = newCache("MaxZones", "zones", cfg.MaxZones, defaultMaxZones, func(_ zoneKey, z *zone) { s.evicted = append(s.evicted, z) }); err != nil {
		return nil, err
	}
	return s, nil
}

func newCache[K comparable, V any](key, what string, size, usual int, evicted func(K, V)) (*simplelru.LRU[K, V], error) {
	if size < 0 {
		return nil, refuse("%s is %d: want a number of %s, or 0 for %d", key, size, what, usual)
	}
	if size == 0 {
		size = usual
	}
	c, err := simplelru.NewLRU[K, V](size, evicted)
	if err != nil {
		return nil, refuse("%s: %v", key, err)
	}
	return c, nil
}

// table is a Table and its place in the chain.
type table struct {
	intensity.Table

	depth int
}

type source struct {
	tables    []table
	upstreams []*upstream
	hooks     Hooks
	widths    intensity.HalfWidths
	store     Store
	maxIdle   time.Duration

	ctx  context.Context //nolint:containedctx // that of the background, which Close ends
	stop context.CancelFunc
	wake chan struct{} // there is more to do in the background

	calls   *crew         // the background, and requests
	stores  *crew         // calls of the store
	storing chan struct{} // held by each of those
	close   func() error

	mu      sync.Mutex // guards what follows
	places  *simplelru.LRU[place, answer]
	zones   *simplelru.LRU[zoneKey, *zone]
	evicted []*zone           // not stored yet
	leaving map[zoneKey]*zone // being stored
	started bool
	closed  bool
}

type zoneKey struct {
	upstream *upstream
	name     string
}

// answer is what is known of a place, failures included.
type answer struct {
	handle *intensity.Handle
	live   *livePlace // nil: only tables are asked, which do not change
	err    error
}

func (s *source) Handle(q intensity.Query) (*intensity.Handle, error) {
	a, err := s.answer(q)
	if err != nil {
		return nil, err
	}
	if a.live != nil {
		a.live.handed.Store(true)
		if !a.live.wanted.Swap(true) {
			s.nudge()
		}
	}
	return a.handle, a.err
}

func (s *source) answer(q intensity.Query) (answer, error) {
	p, small := placeOf(q)
	a, known, err := s.remembered(p)
	if err != nil {
		return answer{}, err
	}
	if a.live != nil {
		a.live.use(time.Now())
	}
	if !known {
		a = s.ask(q) // without the lock: providers are foreign code
		if small {
			a = s.remember(p, a)
		}
	}
	return a, nil
}

func (s *source) At(ctx context.Context, q intensity.Query, t time.Time) (*intensity.Slot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a, err := s.answer(q)
	if err != nil {
		return nil, err
	}
	if a.live != nil {
		return s.liveAt(ctx, a.live, t)
	}
	if a.err != nil {
		return nil, a.err
	}
	if slot := a.handle.Peek(t); slot != nil {
		s.hooks.answer(slot, time.Now(), true)
		return slot, nil
	}
	return nil, noData("nothing is known for %s", t.UTC().Format(time.RFC3339))
}

// liveAt asks the providers for the slot around t, unless it is known, and for the last
// day where t is about now and that is not: the provider's newest value may be of then.
func (s *source) liveAt(ctx context.Context, p *livePlace, t time.Time) (*intensity.Slot, error) {
	since := time.Now().Add(-min(p.maxStale(), recently))
	if t.Before(since) {
		since = time.Time{}
	}
	asked, because := s.cover(ctx, p, t, t.Add(1), since)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if asked {
		s.renewed(p)
	}
	live, coarse, _ := s.layers(p, t, t.Add(1), because)
	slot := cmp.Or(holding(live, t), holding(coarse, t), p.handle.Peek(t)) // the last of another basis, if the query leaves it open
	if slot == nil {
		return nil, s.series(p, t, t.Add(1), because).Err()
	}
	s.hooks.answer(slot, time.Now(), !asked)
	return slot, nil
}

// holding returns the slot that holds t.
func holding(slots []*intensity.Slot, t time.Time) *intensity.Slot {
	for _, s := range slots {
		if !s.Start.After(t) && s.End.After(t) {
			return s
		}
	}
	return nil
}

func (s *source) Range(ctx context.Context, q intensity.Query, from, to time.Time) (intensity.Series, error) {
	if err := ctx.Err(); err != nil {
		return intensity.Series{}, err
	}
	a, err := s.answer(q)
	if err != nil {
		return intensity.Series{}, err
	}
	if a.live == nil && a.err != nil {
		return intensity.Series{}, a.err
	}
	var series intensity.Series
	asked := false
	if a.live == nil {
		series = a.handle.Grid().Series(from, to, noData("no provider of the chain has values for this time"))
	} else {
		var because error
		if from.Before(to) {
			asked, because = s.cover(ctx, a.live, from, to, time.Time{})
		}
		if ctx.Err() != nil {
			return intensity.Series{}, ctx.Err()
		}
		if asked {
			s.renewed(a.live)
		}
		series = s.series(a.live, from, to, because)
	}
	if len(series.Slots) == 0 && len(series.Gaps) > 0 {
		return intensity.Series{}, series.Err()
	}
	if len(series.Slots) > 0 {
		s.hooks.answer(series.Slots[len(series.Slots)-1], time.Now(), !asked)
	}
	return series, nil
}

// Forecast asks the providers that forecast, in order. A table without forecasts
// does not stand in: a constant future would make every plan look equally good.
func (s *source) Forecast(ctx context.Context, q intensity.Query, horizon time.Duration) (intensity.Series, error) {
	if err := ctx.Err(); err != nil {
		return intensity.Series{}, err
	}
	a, err := s.answer(q)
	if err != nil {
		return intensity.Series{}, err
	}
	var errs []error
	if a.live != nil {
		series, err := s.liveForecast(ctx, a.live, horizon)
		if err == nil || ctx.Err() != nil {
			return series, err
		}
		errs = append(errs, err)
	}
	for _, t := range s.tables {
		f, ok := t.Table.(intensity.Forecaster)
		if !ok {
			continue
		}
		series, err := forecast(ctx, t, f, q, horizon)
		if err == nil {
			return series, nil
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return intensity.Series{}, err
	}
	return intensity.Series{}, noData("no provider of the chain forecasts")
}

func (s *source) Close() error { return s.close() }

func (s *source) end() error {
	s.mu.Lock()
	s.closed = true
	zones := s.zones.Values()
	for _, a := range s.places.Values() {
		if a.live != nil {
			zones = append(zones, a.live.known()...) // some may have been forgotten otherwise
		}
	}
	s.places.Purge()
	s.mu.Unlock()
	s.stop()
	late := s.calls.close(closeWithin)
	var errs []error
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin) // for all of them
	defer cancel()
	for _, z := range zones {
		errs = append(errs, s.keep(ctx, z, true))
	}
	s.mu.Lock()
	leaving := slices.Collect(maps.Values(s.leaving)) // their turn may not have come
	s.mu.Unlock()
	for _, z := range leaving {
		errs = append(errs, s.keep(ctx, z, true))
	}
	until, _ := ctx.Deadline()
	late = append(late, s.stores.close(time.Until(until))...)
	if len(late) > 0 {
		errs = append(errs, fmt.Errorf("closed, but these do not end within %v of being told to: %s", closeWithin, strings.Join(late, ", ")))
	}
	return errors.Join(errs...)
}

func (s *source) remembered(p place) (a answer, known bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return answer{}, false, ErrClosed
	}
	a, known = s.places.Get(p)
	return a, known, nil
}

// remember returns what another goroutine has stored meanwhile, so that all share
// one Handle.
func (s *source) remember(p place, a answer) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if other, ok := s.places.Get(p); ok {
		return other
	}
	if s.closed {
		return a
	}
	s.places.Add(p, a)
	if a.live != nil {
		a.live.kept.Store(true)
		s.begin()
	}
	return a
}

func refuse(format string, args ...any) error {
	return &intensity.Error{Kind: intensity.KindConfig, Detail: fmt.Sprintf(format, args...)}
}

func noData(format string, args ...any) error {
	return &intensity.Error{Kind: intensity.KindNoData, Detail: fmt.Sprintf(format, args...)}
}
