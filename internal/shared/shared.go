// Package shared lets several owners use one value: the pipelines of a Collector
// component that have one state, for instance. The first owner makes it, the last one
// ends it.
package shared

import "sync"

// Map holds values by key while somebody owns them. The zero value is empty. It is safe
// for concurrent use.
type Map[K comparable, V any] struct {
	mu     sync.Mutex
	values map[K]*owned[V]
}

type owned[V any] struct {
	value  V
	owners int
}

// Get returns the value of a key, made by create if nobody owns one, and a function that
// gives it up. The function may be called several times; it reports whether it was the
// last owner who gave up, once. A create that fails leaves nothing.
//
// While one is made nobody else gets any: create must not call Get of the same Map.
func (m *Map[K, V]) Get(key K, create func() (V, error)) (value V, release func() (last bool), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.values[key]
	if o == nil {
		o = new(owned[V])
		if o.value, err = create(); err != nil {
			return value, nil, err
		}
		if m.values == nil {
			m.values = map[K]*owned[V]{}
		}
		m.values[key] = o
	}
	o.owners++
	var once sync.Once
	return o.value, func() (last bool) {
		once.Do(func() { last = m.giveUp(key, o) })
		return last
	}, nil
}

func (m *Map[K, V]) giveUp(key K, o *owned[V]) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o.owners--; o.owners > 0 {
		return false
	}
	delete(m.values, key)
	return true
}
