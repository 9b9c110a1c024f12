package guard_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/deptest"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/guard"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
)

func TestDependencies(t *testing.T) {
	deptest.Only(t, "github.com/otelcarbon/otelcarbon/internal/sensor", "github.com/otelcarbon/otelcarbon/internal/unit")
}

func part() *sensor.Part {
	return &sensor.Part{ID: "fake:a", Name: "a", Type: "other", Sensor: "fake", Method: sensor.Integrated, Socket: -1, Die: -1}
}

func TestSuite(t *testing.T) {
	sensortest.Run(t, func(*testing.T) sensor.Sensor {
		p := part()
		return guard.New("fake", &sensortest.Fake{Next: func(int, time.Time) sensortest.Step {
			return sensortest.Step{Readings: []sensor.Reading{{Part: p, Kind: sensor.Gauge, Power: 1}}}
		}}, time.Second)
	}, sensortest.Options{MinReadings: 1})
}

// slow blocks in the nth read until it is let go.
type slow struct {
	sensortest.Fake
	n     int
	letGo chan struct{}
	reads int
}

func (s *slow) Read(ctx context.Context, dst []sensor.Reading) ([]sensor.Reading, error) {
	if s.reads++; s.reads == s.n {
		<-s.letGo
	}
	return s.Fake.Read(ctx, dst)
}

func TestC56_a_read_that_hangs_holds_back_nobody_and_is_not_lost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := part()
		inner := &slow{n: 2, letGo: make(chan struct{})}
		inner.Next = func(n int, now time.Time) sensortest.Step {
			return sensortest.Step{Readings: []sensor.Reading{{Part: p, At: now, Kind: sensor.Gauge, Power: 7}}}
		}
		s := guard.New("hwmon", inner, 100*time.Millisecond)
		got, err := s.Read(t.Context(), nil)
		require.NoError(t, err)
		require.Len(t, got, 1)

		for range 3 {
			began := time.Now()
			got, err = s.Read(t.Context(), nil)
			require.Empty(t, got)
			require.ErrorContains(t, err, "does not end within 100ms")
			assert.Equal(t, 100*time.Millisecond, time.Since(began))
		}
		close(inner.letGo)
		synctest.Wait()
		got, err = s.Read(t.Context(), nil)
		require.NoError(t, err)
		require.Len(t, got, 1, "of the read that took so long")
		require.NoError(t, s.Close())
		require.NoError(t, s.Close())
		assert.Equal(t, 1, inner.Closed())
	})
}

func TestCloseDoesNotWaitForAReadThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &slow{n: 1, letGo: make(chan struct{})}
		s := guard.New("hwmon", inner, 100*time.Millisecond)
		_, err := s.Read(t.Context(), nil)
		require.Error(t, err)
		require.Error(t, s.Close())
		assert.Zero(t, inner.Closed(), "not under a read")
		close(inner.letGo)
		synctest.Wait()
		assert.Equal(t, 1, inner.Closed())
	})
}

func BenchmarkRead(b *testing.B) {
	p := part()
	s := guard.New("fake", &sensortest.Fake{Next: func(_ int, now time.Time) sensortest.Step {
		return sensortest.Step{Readings: []sensor.Reading{{Part: p, At: now, Kind: sensor.Gauge}}}
	}}, time.Second)
	defer s.Close()
	var buf []sensor.Reading
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = s.Read(b.Context(), buf[:0])
	}
}
