package chain

import (
	"context"
	"errors"
	"sync"
)

// flights makes one request for all who want the same at the same time. The zero value is
// usable. It is singleflight for code that is not ours: whatever ends the one who asks,
// runtime.Goexit too, those who wait are told.
type flights[T any] struct {
	mu sync.Mutex
	of map[string]*flight[T]
}

type flight[T any] struct {
	done chan struct{}
	val  T
	err  error
}

var errEnded = errors.New("the request has been ended by what it called")

// do returns what ask returns, for the first of those who want a key or for another one
// before. It goes on when they have gone. start starts a goroutine, or reports false.
func (f *flights[T]) do(ctx context.Context, key string, start func(func()) bool, ask func() (T, error)) (T, error) {
	f.mu.Lock()
	c, ok := f.of[key]
	if !ok {
		c = &flight[T]{done: make(chan struct{}), err: errEnded}
		started := start(func() {
			defer func() {
				f.mu.Lock()
				delete(f.of, key)
				f.mu.Unlock()
				close(c.done)
			}()
			c.val, c.err = ask()
		})
		if !started {
			f.mu.Unlock()
			return c.val, ErrClosed
		}
		if f.of == nil {
			f.of = make(map[string]*flight[T])
		}
		f.of[key] = c
	}
	f.mu.Unlock()
	select {
	case <-c.done:
		return c.val, c.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
