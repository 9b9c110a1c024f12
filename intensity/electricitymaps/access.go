package electricitymaps

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/internal/wire"
)

// Access is what a key may do, as the provider lists it. The list is known to promise a
// little too much.
type Access struct {
	routes map[string][]string // by zone
	known  bool
}

// Known reports whether the provider said what the key may do. It lists its zones for
// anybody, and what may be done with them to those whose key it takes.
func (a *Access) Known() bool { return a != nil && a.known }

// Zones returns the zones that the list holds, sorted.
func (a *Access) Zones() []string {
	if a == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(a.routes))
}

// May reports whether the list has a route, such as "carbon-intensity/history", for a
// zone; true if it is not Known.
func (a *Access) May(zone, route string) bool {
	if !a.Known() {
		return true
	}
	r := a.routes[zone]
	return slices.Contains(r, route) || slices.Contains(r, "*")
}

// decodeAccess reads the list of zones. It is pure.
func decodeAccess(body []byte) (*Access, error) {
	var zones map[string]struct {
		ZoneName string   `json:"zoneName"`
		Access   []string `json:"access"` // nil: not said
	}
	malformed := func(detail string) error {
		return &intensity.Error{Kind: intensity.KindMalformed, Provider: id, Detail: detail}
	}
	if err := wire.Unmarshal(body, &zones); err != nil {
		return nil, malformed(err.Error())
	}
	if len(zones) == 0 {
		return nil, malformed("the list of zones is empty")
	}
	a := &Access{routes: make(map[string][]string, len(zones))}
	for key, z := range zones {
		if key == "" || z.ZoneName == "" {
			return nil, malformed("want a list of zones with zoneName")
		}
		a.routes[key] = z.Access
		a.known = a.known || z.Access != nil
	}
	return a, nil
}

// Access asks for what the key may do, once: the answer is remembered, and Fetch does not ask
// for what is not in it. After an error, the next Access asks again. KindAuth: the key is
// wrong.
func (p *Provider) Access(ctx context.Context) (*Access, error) {
	select {
	case p.access.turn <- struct{}{}:
		defer func() { <-p.access.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if a := p.access.get(); a != nil {
		return a, nil
	}
	answer, err := p.http.Get(ctx, "/"+p.version+"/zones", nil, p.header())
	if err != nil {
		return nil, err
	}
	if answer.Status != http.StatusOK {
		return nil, p.refused(answer, "zones", "")
	}
	if answer.IsHTML() {
		return nil, p.http.Error(intensity.KindMalformed, "", "status 200 with a page of HTML instead of JSON")
	}
	a, err := decodeAccess(answer.Body)
	if err != nil {
		return nil, err
	}
	if a.known {
		p.worked.Store(true) // without a known access, the key may have been overlooked
	}
	p.access.set(a)
	return a, nil
}

// plan is what is known of a key: what Access has read, and what was refused since. It is
// safe for concurrent use.
type plan struct {
	turn chan struct{} // held by the one who probes

	mu      *sync.Mutex // guards what follows
	access  *Access
	refused map[refusal]time.Time
}

type refusal struct{ zone, route string }

const (
	// refusedFor is how long a refusal is believed: plans change.
	refusedFor  = 24 * time.Hour
	maxRefusals = 4096
)

func newPlan() plan {
	return plan{turn: make(chan struct{}, 1), mu: new(sync.Mutex), refused: make(map[refusal]time.Time)}
}

func (p *plan) get() *Access {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.access
}

func (p *plan) set(a *Access) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.access = a
}

// may reports whether nothing is known to forbid a route.
func (p *plan) may(zone, route string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, refused := p.refused[refusal{zone, route}]
	return p.access.May(zone, route) && (!refused || now.Sub(at) >= refusedFor)
}

func (p *plan) refuse(zone, route string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.refused) >= maxRefusals {
		clear(p.refused)
	}
	p.refused[refusal{zone, route}] = now
}

// Probe implements intensity.Prober: it asks what Access tells, for what is asked later.
func (p *Provider) Probe(ctx context.Context) error {
	_, err := p.Access(ctx)
	return err
}
