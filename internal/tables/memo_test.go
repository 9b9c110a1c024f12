package tables

import (
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMemoIsBoundedAndFindsOnce(t *testing.T) {
	var m memo[string, int]
	asked := 0
	find := func(key string) *int {
		asked++
		if n, err := strconv.Atoi(key); err == nil {
			return &n
		}
		return nil
	}
	for range 3 {
		require.Equal(t, 7, *m.get("7", find))
		require.Nil(t, m.get("seven", find))
	}
	require.Equal(t, 2, asked, "what is not there is remembered, too")
	for n := range 3 * maxMemo {
		require.Equal(t, n, *m.get(strconv.Itoa(n), find))
		require.LessOrEqual(t, len(m.known), maxMemo)
	}
	m.get("seven", find)
	asked = 0
	require.Nil(t, m.get("seven", find))
	require.Zero(t, asked, "a memo that was full remembers again")
}

func TestMemoIsSafeForConcurrentUse(t *testing.T) {
	var m memo[int, int]
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for n := range 500 {
				if got := m.get(n, func(n int) *int { return &n }); *got != n {
					t.Errorf("got %d, want %d", *got, n)
				}
			}
		})
	}
	wg.Wait()
}
