package shared_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
	"github.com/otelcarbon/otelcarbon/internal/shared"
)

func TestDependencies(t *testing.T) { deptest.Only(t) }

func TestTheLastOwnerEndsIt(t *testing.T) {
	var m shared.Map[string, *int]
	made := 0
	get := func(key string) (*int, func() bool) {
		v, release, err := m.Get(key, func() (*int, error) { made++; return new(int), nil })
		require.NoError(t, err)
		return v, release
	}
	a, releaseA := get("x")
	b, releaseB := get("x")
	other, releaseOther := get("y")
	assert.Same(t, a, b)
	assert.NotSame(t, a, other)
	assert.Equal(t, 2, made)

	assert.False(t, releaseA())
	assert.False(t, releaseA(), "given up already")
	assert.True(t, releaseB())
	assert.False(t, releaseB(), "the end is told once")
	assert.True(t, releaseOther())

	again, release := get("x")
	assert.NotSame(t, a, again)
	assert.True(t, release())
}

func TestAFailureLeavesNothing(t *testing.T) {
	var m shared.Map[int, int]
	boom := errors.New("boom")
	_, release, err := m.Get(1, func() (int, error) { return 0, boom })
	require.ErrorIs(t, err, boom)
	assert.Nil(t, release)
	v, release, err := m.Get(1, func() (int, error) { return 7, nil })
	require.NoError(t, err)
	assert.Equal(t, 7, v)
	assert.True(t, release())
}

func TestManyOwners(t *testing.T) {
	var m shared.Map[int, *atomic.Int64]
	var wg sync.WaitGroup
	var made, ended atomic.Int64
	for range 50 {
		wg.Go(func() {
			for range 100 {
				v, release, err := m.Get(1, func() (*atomic.Int64, error) { made.Add(1); return new(atomic.Int64), nil })
				if err != nil {
					t.Error(err)
					return
				}
				v.Add(1)
				if release() {
					ended.Add(1)
				}
			}
		})
	}
	wg.Wait()
	assert.Equal(t, made.Load(), ended.Load())
}
