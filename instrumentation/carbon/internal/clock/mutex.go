package clock

import "sync"

// spins is how often a lock is tried before the goroutine sleeps: for some 100 ns.
const spins = 30

// A Mutex is held for some 30 ns at a time. Who finds it locked waits a moment, before he
// lets the scheduler take the goroutine away, which costs a thousand. Where each nanosecond
// counts, call TryLock first, which is inlined, and do not defer Unlock.
type Mutex struct{ mu sync.Mutex }

// TryLock locks it unless it is locked, and reports whether it did.
func (m *Mutex) TryLock() bool { return m.mu.TryLock() }

// Lock locks it.
func (m *Mutex) Lock() {
	for range spins {
		if m.mu.TryLock() {
			return
		}
	}
	m.mu.Lock()
}

// Unlock unlocks it.
func (m *Mutex) Unlock() { m.mu.Unlock() }
