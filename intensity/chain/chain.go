// Package chain makes the intensity.Source that programs use, out of providers in
// order of preference:
//
//	src, err := chain.New(chain.Config{}, ownTable, offline)
//
// The first provider that has a value of the wanted basis answers; the next one
// fills what it leaves open, provided that it speaks of the same basis. A value
// that is not the first provider's carries the flag FellBack and its depth. When
// nobody answers, the error joins what each provider said. Nothing crosses a
// basis, and nothing becomes 0.
//
// All providers of a chain have to be tables (intensity.Table): New refuses those
// that need a network.
package chain

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// Config of a chain. The zero value is usable.
type Config struct {
	// MaxPlaces bounds how many places and bases are remembered, the least recently
	// asked being forgotten first; 0 means 1024. A Handle that has been forgotten
	// keeps answering, but is not shared any more.
	MaxPlaces int
}

const defaultMaxPlaces = 1024 // some 5 KB each, with ten yearly slots

// ErrClosed is what a closed Source answers.
var ErrClosed = errors.New("intensity source is closed")

// New returns a Source over providers in order. Errors are of KindConfig.
func New(cfg Config, providers ...intensity.Provider) (intensity.Source, error) {
	if len(providers) == 0 {
		return nil, refuse("a chain needs at least one provider")
	}
	s := &source{}
	for i, p := range providers {
		if p == nil {
			return nil, refuse("provider %d is nil", i)
		}
		caps := p.Caps()
		if caps.Network {
			return nil, refuse("provider %q needs a network, and this version reads tables only", caps.ID)
		}
		t, ok := p.(intensity.Table)
		if !ok {
			return nil, refuse("provider %q needs no network, so it has to implement intensity.Table", caps.ID)
		}
		s.tables = append(s.tables, t)
	}
	if cfg.MaxPlaces < 0 {
		return nil, refuse("MaxPlaces is %d: want a number of places, or 0 for %d", cfg.MaxPlaces, defaultMaxPlaces)
	}
	if cfg.MaxPlaces == 0 {
		cfg.MaxPlaces = defaultMaxPlaces
	}
	places, err := simplelru.NewLRU[place, answer](cfg.MaxPlaces, nil)
	if err != nil {
		return nil, refuse("%v", err)
	}
	s.places = places
	return s, nil
}

type source struct {
	tables []intensity.Table

	mu     sync.Mutex // guards what follows
	places *simplelru.LRU[place, answer]
	closed bool
}

// answer is what the tables say of a place, failures included: they do not change.
type answer struct {
	handle *intensity.Handle
	err    error
}

func (s *source) Handle(q intensity.Query) (*intensity.Handle, error) {
	p, small := placeOf(q)
	a, known, err := s.remembered(p)
	if err != nil {
		return nil, err
	}
	if !known {
		a = s.ask(q) // without the lock: providers are foreign code
		if small {
			a = s.remember(p, a)
		}
	}
	return a.handle, a.err
}

func (s *source) At(ctx context.Context, q intensity.Query, t time.Time) (*intensity.Slot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h, err := s.Handle(q)
	if err != nil {
		return nil, err
	}
	if slot := h.Peek(t); slot != nil {
		return slot, nil
	}
	return nil, noData("nothing is known for %s", t.UTC().Format(time.RFC3339))
}

func (s *source) Range(ctx context.Context, q intensity.Query, from, to time.Time) (intensity.Series, error) {
	if err := ctx.Err(); err != nil {
		return intensity.Series{}, err
	}
	h, err := s.Handle(q)
	if err != nil {
		return intensity.Series{}, err
	}
	series := h.Grid().Series(from, to, noData("no provider of the chain has values for this time"))
	if len(series.Slots) == 0 && len(series.Gaps) > 0 {
		return intensity.Series{}, series.Err()
	}
	return series, nil
}

// Forecast asks the providers that forecast, in order. A table without forecasts
// does not stand in: a constant future would make every plan look equally good.
func (s *source) Forecast(ctx context.Context, q intensity.Query, horizon time.Duration) (intensity.Series, error) {
	if _, _, err := s.remembered(place{}); err != nil {
		return intensity.Series{}, err
	}
	var errs []error
	for _, t := range s.tables {
		if err := ctx.Err(); err != nil {
			return intensity.Series{}, err
		}
		f, ok := t.(intensity.Forecaster)
		if !ok {
			continue
		}
		series, err := forecast(ctx, t, f, q, horizon)
		if err == nil {
			return series, nil
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return intensity.Series{}, noData("no provider of the chain forecasts")
	}
	return intensity.Series{}, errors.Join(errs...)
}

func (s *source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.places.Purge()
	return nil
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
	if !s.closed {
		s.places.Add(p, a)
	}
	return a
}

func refuse(format string, args ...any) error {
	return &intensity.Error{Kind: intensity.KindConfig, Detail: fmt.Sprintf(format, args...)}
}

func noData(format string, args ...any) error {
	return &intensity.Error{Kind: intensity.KindNoData, Detail: fmt.Sprintf(format, args...)}
}
