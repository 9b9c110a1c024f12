package chain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// Store keeps bytes by key: one for each provider, zone and basis that has been asked for.
// The storage extensions of the OpenTelemetry Collector fit it. It is used by several
// goroutines at the same time, and nobody who asks a Source waits for it longer than its
// context. What takes longer than 10 s has failed; of what goes on nevertheless there are
// at most 8 at the same time.
type Store interface {
	// Get returns nil and no error for a key that is not there.
	Get(ctx context.Context, key string) ([]byte, error)
	Set(ctx context.Context, key string, value []byte) error
}

const (
	storeWithin  = 10 * time.Second
	storeAtOnce  = 8 // calls of a Store
	storeVersion = 1
	maxStored    = 64 << 20 // bytes of one value
	keptFor      = 400 * 24 * time.Hour
)

// stored is a zone as it is kept.
type stored struct {
	Version  int                `json:"version"`
	Provider string             `json:"provider"`
	Zone     string             `json:"zone"`
	Basis    intensity.Basis    `json:"basis"`
	Slots    []storedSlot       `json:"slots"`
	Origins  []intensity.Origin `json:"origins"` // each once
}

type storedSlot struct {
	Start   int64             `json:"s"` // seconds since 1970
	End     int64             `json:"e"`
	Grams   float64           `json:"g"`
	Quality intensity.Quality `json:"q"`
	Flags   intensity.Flags   `json:"f,omitempty"`
	Half    float64           `json:"h,omitempty"`
	From    string            `json:"w,omitempty"`
	Origin  int               `json:"o"`
}

// key has what the provider is set to tell, since it would be something else if that were
// changed.
func (z *zone) key() string {
	words := []string{"intensity", z.up.caps.ID, z.name}
	for _, b := range z.up.caps.Bases {
		words = append(words, strings.ReplaceAll(b.String(), " ", "_"))
	}
	return strings.Join(words, "/")
}

// storeOf is the key of keep among the jobs.
type storeOf struct{ zone *zone }

// unstored returns the zones of which there has been something to store for a minute.
func (s *source) unstored(now time.Time) []*zone {
	if s.store == nil {
		return nil
	}
	s.mu.Lock()
	zones := s.zones.Values()
	s.mu.Unlock()
	return slices.DeleteFunc(zones, func(z *zone) bool {
		z.mu.Lock()
		defer z.mu.Unlock()
		return !z.dirty || now.Sub(z.stored) < storeAgain
	})
}

// keep stores what has changed of a zone.
func (s *source) keep(ctx context.Context, z *zone, last bool) error {
	if s.store == nil {
		return nil
	}
	z.mu.Lock()
	if !z.dirty || !last && time.Since(z.stored) < storeAgain {
		z.mu.Unlock()
		return nil
	}
	z.dirty, z.stored = false, time.Now()
	out := stored{Version: storeVersion, Provider: z.up.caps.ID, Zone: z.name}
	oldest := time.Now().Add(-keptFor)
	origins := make(map[intensity.Origin]int)
	for _, slot := range z.slots {
		if slot.End.Before(oldest) {
			continue
		}
		o, ok := origins[slot.Origin]
		if !ok {
			o = len(out.Origins)
			origins[slot.Origin] = o
			out.Origins = append(out.Origins, slot.Origin)
		}
		out.Basis = slot.Basis
		out.Slots = append(out.Slots, storedSlot{
			Start: slot.Start.Unix(), End: slot.End.Unix(), Grams: slot.GramsPerKWh, Quality: slot.Quality,
			Flags: slot.Flags, Half: slot.Spread.Half, From: slot.Spread.From, Origin: o,
		})
	}
	z.mu.Unlock()
	b, err := json.Marshal(out)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, storeWithin)
		defer cancel()
		_, err = s.io(ctx, func(ctx context.Context) ([]byte, error) { return nil, s.store.Set(ctx, z.key(), b) })
	}
	if err != nil {
		z.mu.Lock()
		z.dirty, z.stored = true, time.Now().Add(storeFailed-storeAgain)
		z.mu.Unlock()
		return fmt.Errorf("values of %s for %s cannot be stored: %w", z.up.caps.ID, z.name, err)
	}
	return nil
}

// io calls the store, in a goroutine of its own: its code is not ours.
func (s *source) io(ctx context.Context, f func(context.Context) ([]byte, error)) ([]byte, error) {
	type result struct {
		b   []byte
		err error
	}
	select {
	case s.storing <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	done := make(chan result, 1)
	if !s.stores.run("the store", func() {
		r := result{err: errors.New("the store ends its goroutine")}
		defer func() {
			if p := recover(); p != nil {
				r.err = fmt.Errorf("the store panics: %v", p)
			}
			<-s.storing
			done <- r
		}()
		b, err := f(ctx)
		r = result{b, err}
	}) {
		<-s.storing
		return nil, ErrClosed
	}
	select {
	case r := <-done:
		return r.b, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// recall takes over what was stored of a zone. What cannot be read is as if nothing had
// been, and is written anew.
func (s *source) recall(z *zone) {
	ctx, cancel := context.WithTimeout(s.ctx, storeWithin)
	defer cancel()
	b, err := s.io(ctx, func(ctx context.Context) ([]byte, error) { return s.store.Get(ctx, z.key()) })
	if err == nil && b != nil {
		err = z.take(b)
	}
	if err != nil {
		s.hooks.trouble(fmt.Errorf("stored values of %s for %s are not used: %w", z.up.caps.ID, z.name, err))
	}
}

func (z *zone) take(b []byte) error {
	var in stored
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	if in.Version != storeVersion || in.Provider != z.up.caps.ID || in.Zone != z.name {
		return fmt.Errorf("it is version %d of %q for %q", in.Version, in.Provider, in.Zone)
	}
	slots := make([]*intensity.Slot, 0, len(in.Slots))
	for _, k := range in.Slots {
		if k.Origin < 0 || k.Origin >= len(in.Origins) {
			return errors.New("a slot names an origin that is not there")
		}
		if k.Quality == 0 || k.Quality > intensity.Assumed {
			return errors.New("a slot has no quality")
		}
		slots = append(slots, &intensity.Slot{
			Start: time.Unix(k.Start, 0).UTC(), End: time.Unix(k.End, 0).UTC(), GramsPerKWh: k.Grams, Basis: in.Basis,
			Quality: k.Quality, Flags: k.Flags, Spread: intensity.Spread{Half: k.Half, From: k.From}, Origin: in.Origins[k.Origin],
		})
	}
	if err := intensity.CheckSlots(slots); err != nil {
		return err
	}
	if tells := func(b intensity.Basis) bool { return b.Accepts(in.Basis) }; len(slots) > 0 && !slices.ContainsFunc(z.up.caps.Bases, tells) {
		return fmt.Errorf("it is %s, which the provider does not tell any more", in.Basis)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if len(z.slots) == 0 {
		z.slots = slots[max(len(slots)-maxSlots, 0):]
	}
	return nil
}

// NewFileStore returns a Store of one file for each key below a folder, which is made if
// need be. Only the user of this process can read them. A file is replaced as a whole,
// so that what stops in the middle leaves the one before.
func NewFileStore(folder string) (Store, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, refuse("the folder of the cache cannot be made: %v", err)
	}
	return fileStore{folder}, nil
}

type fileStore struct{ folder string }

func (f fileStore) path(key string) string {
	return filepath.Join(f.folder, url.PathEscape(key)+".json")
}

func (f fileStore) Get(ctx context.Context, key string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	file, err := os.Open(f.path(key))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(file, maxStored+1))
	if err == nil && len(b) > maxStored {
		err = fmt.Errorf("%s is larger than %d MiB", f.path(key), maxStored>>20)
	}
	return b, errors.Join(err, file.Close())
}

func (f fileStore) Set(ctx context.Context, key string, value []byte) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(f.folder, ".new-*") // of mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name()) // there is an error already
		}
	}()
	_, err = tmp.Write(value)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), f.path(key))
}
