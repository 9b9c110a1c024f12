package journal

import (
	"context"
	"errors"
	"maps"
	"sync"

	"go.opentelemetry.io/collector/extension/xextension/storage"
)

var (
	errDead = errors.New("the process was killed")
	errFull = errors.New("no space left")
)

// A store is a storage client in memory. Operations of a batch are executed one by
// one, each through before, which may refuse it.
type store struct {
	mu     sync.Mutex
	values map[string][]byte
	// before sees every operation. If late is set with the error, the operation is
	// executed nonetheless.
	before func(*storage.Operation) (late bool, err error)
}

func newStore() *store { return &store{values: map[string][]byte{}} }

func (s *store) Get(ctx context.Context, key string) ([]byte, error) {
	op := storage.GetOperation(key)
	err := s.Batch(ctx, op)
	return op.Value, err
}

func (s *store) Set(ctx context.Context, key string, v []byte) error {
	return s.Batch(ctx, storage.SetOperation(key, v))
}

func (s *store) Delete(ctx context.Context, key string) error {
	return s.Batch(ctx, storage.DeleteOperation(key))
}

func (s *store) Batch(_ context.Context, ops ...*storage.Operation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, op := range ops {
		var late bool
		var err error
		if s.before != nil {
			if late, err = s.before(op); err != nil && !late {
				return err
			}
		}
		switch op.Type {
		case storage.Get:
			op.Value = nil
			if v, ok := s.values[op.Key]; ok {
				op.Value = append([]byte{}, v...)
			}
		case storage.Set: // copied: the buffer is used again
			s.values[op.Key] = append([]byte{}, op.Value...)
		case storage.Delete:
			delete(s.values, op.Key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *store) Close(context.Context) error { return nil }

// copy is what a process that starts now would find.
func (s *store) copy() *store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &store{values: maps.Clone(s.values)}
}

// A walkable store can also list what it holds.
type walkable struct{ *store }

func (w walkable) Walk(ctx context.Context, fn storage.WalkFunc) error {
	var all []*storage.Operation
	for key, v := range w.copy().values {
		ops, err := fn(key, v)
		if err != nil {
			return err
		}
		all = append(all, ops...)
	}
	return w.Batch(ctx, all...)
}
