package chain

import (
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
)

// sweep lets go of what nobody has asked for during MaxIdle, and takes up again what is
// read again: it returns those places.
func (s *source) sweep(now time.Time) (again []*livePlace) {
	places := s.livePlaces()
	for _, p := range places {
		if s.look(p, now) {
			again = append(again, p)
		}
		for _, z := range p.known() {
			z.use(time.Unix(0, p.used.Load()))
		}
	}
	lost := make(map[*zone]bool)
	for _, p := range places {
		for _, z := range p.known() {
			if z.unused(now) > s.maxIdle {
				p.lose(z)
				lost[z] = true
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, z := range s.zones.Values() {
		if z.unused(now) > s.maxIdle {
			s.zones.Remove(zoneKey{z.up, z.name})
			delete(lost, z)
		}
	}
	for z := range lost { // the cache had let go of it before
		s.evicted = append(s.evicted, z)
	}
	s.touch(now)
	s.storeEvicted()
	return again
}

// touch counts a Handle that has been read as asked for, so that it is not the first to be
// forgotten when many other places are. The mutex is held.
func (s *source) touch(now time.Time) {
	for _, k := range s.places.Keys() {
		a, _ := s.places.Peek(k)
		if a.live == nil || a.live.used.Load() != now.UnixNano() {
			continue
		}
		s.places.Get(k)
		for _, z := range a.live.known() {
			s.zones.Get(zoneKey{z.up, z.name})
		}
	}
}

// look finds out whether the Handle of a place is read, and whether that is again.
func (s *source) look(p *livePlace, now time.Time) (again bool) {
	if p.handle.Read() {
		p.use(now)
		return p.handed.Load() && !p.wanted.Swap(true)
	}
	if now.Sub(time.Unix(0, p.used.Load())) > s.maxIdle && !p.idle.Load() {
		p.wanted.Store(false)
		s.forget(p)
	}
	return false
}

// forget takes the live values from the Handle of a place.
func (s *source) forget(p *livePlace) {
	p.rebuilding.Lock()
	defer p.rebuilding.Unlock()
	p.idle.Store(true)
	p.shown = nil
	if g, err := intensity.NewGrid(p.coarse, nil); err == nil {
		p.handle.Set(g)
	}
}

// lose takes a zone from a place, which finds it again when somebody asks.
func (p *livePlace) lose(z *zone) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.found {
		if f := &p.found[i]; f.zone == z {
			f.zone, f.again = nil, time.Time{}
		}
	}
}

func (z *zone) use(at time.Time) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if at.After(z.used) {
		z.used = at
	}
}

func (z *zone) unused(now time.Time) time.Duration {
	z.mu.Lock()
	defer z.mu.Unlock()
	return now.Sub(z.used)
}
