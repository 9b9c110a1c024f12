package chain_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/intensity"
	"github.com/otelcarbon/otelcarbon/intensity/chain"
)

// given is a Store that has one value for whatever it is asked.
type given []byte

func (g given) Get(context.Context, string) ([]byte, error) { return g, nil }
func (given) Set(context.Context, string, []byte) error     { return nil }

// Whatever a store returns, what comes out of a chain is a value as any other, or none.
func FuzzStored(f *testing.F) {
	store := &memory{}
	src, err := chain.New(chain.Config{Store: store}, newUpstream("live"))
	require.NoError(f, err)
	_, err = src.At(f.Context(), france(), time.Now())
	require.NoError(f, err)
	require.NoError(f, src.Close())
	require.Len(f, store.values, 1)
	for _, b := range store.values {
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Add([]byte(`{"version":1,"provider":"live","zone":"FR","origins":[{}],"slots":[{"s":-9223372036854775808,"e":9223372036854775807,"g":1,"q":1}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		down := newUpstream("live")
		down.fail = failing("live", intensity.KindAuth, 0)
		src, err := chain.New(chain.Config{Store: given(b)}, down, yearly(lifecycle()))
		require.NoError(t, err)
		now := time.Now()
		s, err := src.Range(t.Context(), france(), now.Add(-24*time.Hour), now)
		require.NoError(t, err)
		require.NoError(t, s.Check())
		for _, slot := range s.Slots {
			require.NotZero(t, slot.Quality)
		}
		require.NoError(t, src.Close())
	})
}
