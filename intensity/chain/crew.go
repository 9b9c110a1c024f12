package chain

import (
	"slices"
	"sync"
	"time"
)

// crew is the goroutines of a source, by whose code they run: Close waits for them, but
// not for ever, and says whose do not end.
type crew struct {
	mu     sync.Mutex
	at     map[string]int
	closed bool
	gone   chan struct{} // closed when all have left, after close
}

// background is who runs our own code, and the program's hooks.
const background = "the background"

func newCrew() *crew {
	return &crew{at: make(map[string]int), gone: make(chan struct{})}
}

// run starts a goroutine, unless the crew is closed.
func (c *crew) run(who string, f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.at[who]++
	go func() {
		defer c.leave(who) // also if it panics or ends its goroutine
		f()
	}()
	return true
}

func (c *crew) leave(who string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at[who]--; c.at[who] == 0 {
		delete(c.at, who)
	}
	if c.closed && len(c.at) == 0 {
		close(c.gone)
	}
}

// close lets nobody in any more, and returns who has not left in time.
func (c *crew) close(within time.Duration) (late []string) {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		if len(c.at) == 0 {
			close(c.gone)
		}
	}
	c.mu.Unlock()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-c.gone:
		return nil
	case <-timer.C:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for who := range c.at {
		late = append(late, who)
	}
	slices.Sort(late)
	return late
}
