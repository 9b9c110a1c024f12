package carbon

import (
	"reflect"
	"sync"

	"go.opentelemetry.io/otel/metric"
)

// claims are the meter providers to which a Monitor sends the energy of this process.
type claims struct {
	mu     sync.Mutex
	taken  map[metric.MeterProvider]struct{}
	weighs bool // somebody labels goroutines
}

// weigh reports whether nobody labels goroutines yet.
func (c *claims) weigh() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.weighs
	c.weighs = true
	return !before
}

func (c *claims) unweigh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.weighs = false
}

//nolint:gochecknoglobals // it is about the process, which is global
var exports claims

// claim reports whether nobody sends to p yet.
func (c *claims) claim(p metric.MeterProvider) bool {
	if !reflect.TypeOf(p).Comparable() {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, taken := c.taken[p]; taken {
		return false
	}
	if c.taken == nil {
		c.taken = map[metric.MeterProvider]struct{}{}
	}
	c.taken[p] = struct{}{}
	return true
}

// release lets another one send. What was sent stays, and it goes on from there.
func (c *claims) release(p metric.MeterProvider) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.taken, p)
}
