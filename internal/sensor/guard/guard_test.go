package guard_test

import (
	"context"
	"sync/atomic"
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

// What a sensor can offer besides being read.
type (
	wraps    struct{}
	says     struct{}
	attempts struct{}
)

func (wraps) Wrap() time.Duration { return 7 * time.Second }
func (says) Describe() string     { return "fine" }
func (attempts) Failures(yield func(class sensor.Class, n uint64) bool) {
	yield(sensor.IO, 3)
}

func TestWhatTheInnerSensorOffersTheGuardOffersToo(t *testing.T) {
	plain := func() *sensortest.Fake { return sensortest.NewFake(sensortest.Step{}) }
	for name, c := range map[string]struct {
		inner                     sensor.Sensor
		wraps, describes, attempt bool
	}{
		"nothing": {plain(), false, false, false},
		"wraps": {struct {
			sensor.Sensor
			wraps
		}{plain(), wraps{}}, true, false, false},
		"describes": {struct {
			sensor.Sensor
			says
		}{plain(), says{}}, false, true, false},
		"attempts": {struct {
			sensor.Sensor
			attempts
		}{plain(), attempts{}}, false, false, true},
		"all": {struct {
			sensor.Sensor
			wraps
			says
			attempts
		}{plain(), wraps{}, says{}, attempts{}}, true, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := guard.New("fake", c.inner, time.Second)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			_, err := s.Read(t.Context(), nil)
			require.NoError(t, err)

			w, ok := s.(sensor.Wrapper)
			require.True(t, ok)
			want := time.Duration(0) // none wraps
			if c.wraps {
				want = 7 * time.Second
			}
			assert.Equal(t, want, w.Wrap())
			d, ok := s.(sensor.Describer)
			if require.Equal(t, c.describes, ok); ok {
				assert.Equal(t, "fine", d.Describe())
			}
			a, ok := s.(sensor.Attempter)
			if require.Equal(t, c.attempt, ok); ok {
				for class, n := range a.Failures {
					assert.Equal(t, sensor.IO, class)
					assert.Equal(t, uint64(3), n)
				}
			}
		})
	}
}

func TestThePauseOfAPartIsTold(t *testing.T) {
	p := part()
	s := guard.New("fake", sensortest.NewFake(sensortest.Step{Paused: []*sensor.Part{p}}), time.Second)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	_, err := s.Read(t.Context(), nil)
	require.NoError(t, err)
	var got []*sensor.Part
	for p := range s.(sensor.Pauser).Paused {
		got = append(got, p)
	}
	assert.Equal(t, []*sensor.Part{p}, got)
}

// touchy may not be asked for anything while it is read.
type touchy struct {
	slow
	t       *testing.T
	reading atomic.Bool
}

func (s *touchy) Read(ctx context.Context, dst []sensor.Reading) ([]sensor.Reading, error) {
	s.reading.Store(true)
	defer s.reading.Store(false)
	return s.slow.Read(ctx, dst)
}

func (s *touchy) Wrap() time.Duration {
	assert.False(s.t, s.reading.Load())
	return time.Duration(1+s.reads) * time.Second
}

func (s *touchy) Describe() string {
	assert.False(s.t, s.reading.Load())
	return "fine"
}

func (s *touchy) Paused(yield func(p *sensor.Part) bool) {
	assert.False(s.t, s.reading.Load())
	yield(part())
}

func (s *touchy) Failures(yield func(class sensor.Class, n uint64) bool) {
	assert.False(s.t, s.reading.Load())
	yield(sensor.IO, 1)
}

func TestNobodyTouchesASensorThatIsBeingRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &touchy{t: t, slow: slow{n: 2, letGo: make(chan struct{})}}
		s := guard.New("hwmon", inner, 100*time.Millisecond)
		offers := s.(interface {
			sensor.Wrapper
			sensor.Describer
			sensor.Attempter
			sensor.Pauser
		})
		pauses := func() (n int) {
			for range offers.Paused {
				n++
			}
			return n
		}
		told := func() (n uint64) {
			for _, k := range offers.Failures {
				n += k
			}
			return n
		}
		_, err := s.Read(t.Context(), nil)
		require.NoError(t, err)
		assert.Equal(t, 2*time.Second, offers.Wrap())

		_, err = s.Read(t.Context(), nil)
		require.ErrorIs(t, err, guard.ErrSlow)
		assert.Equal(t, 2*time.Second, offers.Wrap(), "as before")
		assert.Empty(t, offers.Describe())
		assert.Zero(t, told())
		assert.Zero(t, pauses())

		close(inner.letGo)
		synctest.Wait()
		_, err = s.Read(t.Context(), nil)
		require.NoError(t, err)
		assert.Equal(t, 3*time.Second, offers.Wrap())
		assert.Equal(t, "fine", offers.Describe())
		assert.Equal(t, uint64(1), told())
		assert.Equal(t, 1, pauses())
		require.NoError(t, s.Close())
		assert.Empty(t, offers.Describe(), "closed")
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

// knows is a sensor of which one process uses the GPU, another one in each read.
type knows struct{ slow }

func (k *knows) Instances(dst []sensor.Instance) []sensor.Instance { return dst }
func (k *knows) Loads(dst []sensor.Load) []sensor.Load             { return dst }
func (k *knows) Processes(dst []sensor.ProcessUse) []sensor.ProcessUse {
	return append(dst, sensor.ProcessUse{PID: uint32(k.reads)})
}

func TestWhoUsesAPartIsToldOfTheLastReadThatWasInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &knows{slow{n: 2, letGo: make(chan struct{})}}
		s := guard.New("fake", inner, 100*time.Millisecond)
		pid := func() uint32 {
			ps := s.(sensor.Attributor).Processes(nil)
			if len(ps) == 0 {
				return 0
			}
			return ps[0].PID
		}
		assert.Zero(t, pid())
		_, err := s.Read(t.Context(), nil)
		require.NoError(t, err)
		assert.EqualValues(t, 1, pid())
		_, err = s.Read(t.Context(), nil)
		require.ErrorIs(t, err, guard.ErrSlow)
		assert.EqualValues(t, 1, pid())
		close(inner.letGo)
		synctest.Wait()
		_, err = s.Read(t.Context(), nil)
		require.NoError(t, err)
		assert.EqualValues(t, 2, pid())
		require.NoError(t, s.Close())
	})
}
