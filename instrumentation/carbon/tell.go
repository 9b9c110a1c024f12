package carbon

import (
	"fmt"
	"sync"

	"go.opentelemetry.io/otel"
)

// A teller has functions that are foreign called, one after the other, by a goroutine of
// its own while there are any: they may take their time, use the Monitor and shut it down.
type teller struct {
	mu     sync.Mutex // after all others
	untold []func()
	told   uint64 // of them, so far
	busy   bool   // a goroutine tells
}

func (t *teller) tell(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.untold = append(t.untold, f)
	if t.busy {
		return
	}
	t.busy = true
	go func() {
		for f := t.next(); f != nil; f = t.next() {
			callForeign(f)
			t.mu.Lock()
			t.told++
			t.mu.Unlock()
		}
	}()
}

// next returns what is to be told next, or nil.
func (t *teller) next() func() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.untold) == 0 {
		t.busy, t.untold = false, nil
		return nil
	}
	f := t.untold[0]
	t.untold[0] = nil
	t.untold = t.untold[1:]
	return f
}

// progress is how much was told.
func (t *teller) progress() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.told
}

// backlog is how much waits to be told.
func (t *teller) backlog() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.untold)
}

// handle tells of an error that is nobody's answer.
func handle(err error) {
	defer func() { _ = recover() }() // of a handler that cannot be told
	otel.Handle(err)
}

func callForeign(f func()) {
	defer func() {
		if p := recover(); p != nil {
			handle(fmt.Errorf("a function of the program: panic: %v", p))
		}
	}()
	f()
}
