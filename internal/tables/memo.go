package tables

import "sync"

// maxMemo bounds what a memo keeps. A machine has one processor and one instance
// type; a gateway sees those of a fleet.
const maxMemo = 1024

// memo keeps the results of a look-up, also that there is none, so that asking
// again allocates nothing. It is safe for concurrent use.
type memo[K comparable, V any] struct {
	mu    sync.RWMutex
	known map[K]*V
}

// get returns what find found for the key, now or before. When the memo is full, it
// starts anew: names that somebody made up must not keep out, for the rest of the
// process, the few that are asked for all the time.
func (m *memo[K, V]) get(key K, find func(K) *V) *V {
	m.mu.RLock()
	v, ok := m.known[key]
	m.mu.RUnlock()
	if ok {
		return v
	}
	v = find(key)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = make(map[K]*V)
	}
	if len(m.known) >= maxMemo {
		clear(m.known)
	}
	m.known[key] = v
	return v
}
