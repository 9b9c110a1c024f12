package carbon

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Glances that take 100 µs are 20 ms apart, so that they are a part in 200 of the time, and
// those that take next to nothing 2 ms. 20 may come at once.
func TestGlancesThatTakeLongAreRare(t *testing.T) {
	for took, far := range map[time.Duration]time.Duration{0: 2 * time.Millisecond, 100 * time.Microsecond: 20 * time.Millisecond} {
		m, err := Start(WithZone("FR"), WithInterval(time.Minute))
		require.NoError(t, err)
		time.Sleep(time.Millisecond)
		now := m.now()
		m.takes, m.glances = int64(took), -int64(time.Hour) // there was none for long
		m.look(now)
		assert.Equal(t, now-19*int64(far), m.sparing.Load())
		m.takes, m.glances = int64(took), now
		m.ticked.Store(0)
		m.look(now)
		assert.Equal(t, now+int64(far), m.sparing.Load())
		assert.NotEqual(t, int64(took), m.takes, "what it takes is learned")
		assert.Less(t, m.takes, int64(took)+int64(longestGlance)/8+1)
		require.NoError(t, m.Shutdown(t.Context()))
	}
}
