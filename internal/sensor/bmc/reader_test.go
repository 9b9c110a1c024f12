package bmc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// script is a source whose nth question gives what next says.
type script struct {
	mu     sync.Mutex
	next   func(ctx context.Context, n int) (sample, error)
	times  []time.Time
	closed int
}

func (s *script) sample(ctx context.Context) (sample, error) {
	s.mu.Lock()
	n := len(s.times)
	s.times = append(s.times, time.Now())
	s.mu.Unlock()
	return s.next(ctx, n)
}

func (s *script) close(context.Context) { s.closed++ }
func (s *script) where() string         { return "script" }

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.times)
}

// begin starts a reader of the script in a bubble.
func begin(t *testing.T, next func(ctx context.Context, n int) (sample, error)) (*reader, *script) {
	t.Helper()
	s := &script{next: next}
	r := newReader(s, Config{}.withDefaults())
	r.start()
	t.Cleanup(func() { _ = r.Close() })
	synctest.Wait()
	return r, s
}

func watts(w unit.Microwatts, stamp string) (sample, error) {
	return sample{at: time.Now(), power: w * unit.Watt, name: nameInputAC, stamp: stamp}, nil
}

func tick(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestReadGivesEachAnswerOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := begin(t, func(_ context.Context, n int) (sample, error) { return watts(unit.Microwatts(300+n), "") })
		var last *sensor.Part
		for n := range 5 {
			asked := time.Now()
			rs, err := r.Read(t.Context(), nil)
			require.NoError(t, err)
			require.Len(t, rs, 1)
			assert.Equal(t, unit.Microwatts(300+n)*unit.Watt, rs[0].Power)
			assert.Equal(t, asked, rs[0].At)
			assert.Equal(t, sensor.Gauge, rs[0].Kind)
			if last != nil {
				assert.Same(t, last, rs[0].Part)
			}
			last = rs[0].Part
			for range 4 { // it is read each second
				time.Sleep(time.Second)
				rs, err = r.Read(t.Context(), nil)
				require.NoError(t, err)
				assert.Empty(t, rs)
			}
			tick(time.Second)
		}
		assert.Equal(t, 6, s.count())
		assert.Equal(t, &sensor.Part{
			ID: "bmc:host", Name: "chassis input power (AC)", Type: "other", Sensor: "bmc",
			Method: sensor.Integrated, Role: sensor.Envelope, Whole: true, Period: 5 * time.Second, Socket: -1, Die: -1,
		}, last)
	})
}

func TestReadC43StaleRepeat(t *testing.T) {
	t.Run("C43 stale repeat is missing after 30 s", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var moved atomic.Bool
			r, _ := begin(t, func(context.Context, int) (sample, error) {
				if moved.Load() {
					return watts(300, "b") // the same power, measured anew
				}
				return watts(300, "a")
			})
			for n := range 7 { // at 0, 5, … 30 s
				rs, err := r.Read(t.Context(), nil)
				require.NoError(t, err, n)
				assert.Len(t, rs, 1, n)
				tick(5 * time.Second)
			}
			rs, err := r.Read(t.Context(), nil) // 35 s
			assert.Empty(t, rs)
			p := problemOf(t, err)
			assert.Equal(t, sensor.IO, p.Class)
			assert.Contains(t, p.Error(), "older than 30s")
			_, again := r.Read(t.Context(), nil)
			assert.Same(t, p, problemOf(t, again), "a failure that lasts is one value")
			moved.Store(true)
			tick(7 * time.Second)
			rs, err = r.Read(t.Context(), nil)
			require.NoError(t, err)
			assert.Len(t, rs, 1)
		})
	})
	t.Run("C43 a constant power measured anew is no repeat", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, _ := begin(t, func(_ context.Context, n int) (sample, error) { return watts(300, fmt.Sprint(n)) })
			for range 20 {
				rs, err := r.Read(t.Context(), nil)
				require.NoError(t, err)
				assert.Len(t, rs, 1)
				tick(5 * time.Second)
			}
		})
	})
	t.Run("C43 without a stamp nothing is a repeat", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, _ := begin(t, func(context.Context, int) (sample, error) { return watts(300, "") })
			tick(5 * time.Minute)
			rs, err := r.Read(t.Context(), nil)
			require.NoError(t, err)
			assert.Len(t, rs, 1)
		})
	})
	t.Run("C43 the service repeats value and Date", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := load(t, "modern")
			m.frozen = "Tue, 24 Nov 2026 03:00:00 GMT" // before the first question
			s, err := Open("", Config{Redfish: m.bubble()})
			require.NoError(t, err)
			defer s.Close()
			tick(31 * time.Second)
			_, err = s.Read(t.Context(), nil)
			require.NoError(t, err)
			tick(5 * time.Second)
			rs, err := s.Read(t.Context(), nil)
			assert.Empty(t, rs)
			assert.Equal(t, sensor.IO, problemOf(t, err).Class)
			m.do(func() { m.frozen = "" })
			tick(time.Minute)
			rs, err = s.Read(t.Context(), nil)
			require.NoError(t, err)
			assert.Len(t, rs, 1)
		})
	})
}

func TestReadC43Timeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := load(t, "modern")
		s, err := Open("", Config{Redfish: m.bubble()})
		require.NoError(t, err)
		defer s.Close()
		synctest.Wait()
		rs, err := s.Read(t.Context(), nil)
		require.NoError(t, err)
		assert.Len(t, rs, 1)

		m.do(func() { m.delay = time.Hour })
		begun := time.Now()
		tick(5*time.Second + requestDeadline)
		rs, err = s.Read(t.Context(), nil)
		assert.Equal(t, 15*time.Second, time.Since(begun), "Read waits for nothing")
		assert.Empty(t, rs)
		p := problemOf(t, err)
		assert.Equal(t, sensor.IO, p.Class)
		require.ErrorIs(t, p, context.DeadlineExceeded)
		assert.Equal(t, "https://bmc.example.net", p.Path)

		m.do(func() { m.delay = 2 * time.Second }) // slow, but alive: two metrics take 4 s
		tick(5 * time.Minute)
		rs, err = s.Read(t.Context(), nil)
		require.NoError(t, err)
		assert.Len(t, rs, 1)
	})
}

func TestReadC43Unauthorized(t *testing.T) {
	for _, auth := range []string{"basic", "session"} {
		synctest.Test(t, func(t *testing.T) {
			m := load(t, "modern")
			m.auth, m.password = auth, "changed"
			s, err := Open("", Config{Redfish: m.withCredentials(m.bubble())})
			require.NoError(t, err)
			defer s.Close()
			tick(time.Hour)
			p := problemOf(t, second(s.Read(t.Context(), nil)))
			assert.Equal(t, sensor.Permission, p.Class)
			assert.Contains(t, p.Remedy, "password")
			// 5 min and up to a quarter more: 3600/375 + 1 = 10 to 3600/300 + 1 = 13.
			assert.GreaterOrEqual(t, m.attempts, 10)
			assert.LessOrEqual(t, m.attempts, 13)
			m.do(func() { m.password = testPassword })
			tick(6*time.Minute + 15*time.Second)
			rs, err := s.Read(t.Context(), nil)
			require.NoError(t, err)
			assert.Len(t, rs, 1)
		})
	}
}

func second[A, B any](_ A, b B) B { return b }

func TestReadBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("connection refused")
		r, s := begin(t, func(_ context.Context, n int) (sample, error) {
			if n == 0 || n > 9 {
				return watts(300, "")
			}
			return sample{}, broken
		})
		tick(time.Hour)
		require.Greater(t, s.count(), 12)
		// After the nth failure: 5, 10, 20 … 320 → 300 s, each up to a quarter longer.
		for i, seconds := range []int{5, 5, 10, 20, 40, 80, 160, 300, 300, 300, 5} {
			least := time.Duration(seconds) * time.Second
			gap := s.times[i+1].Sub(s.times[i])
			assert.GreaterOrEqual(t, gap, least, i)
			assert.LessOrEqual(t, gap, least*5/4, i)
		}
		rs, err := r.Read(t.Context(), nil)
		require.NoError(t, err)
		assert.Len(t, rs, 1)
	})
}

func TestReadAsksAnAbsentMeterRarelyAndALostOneSooner(t *testing.T) {
	for name, first := range map[string]int{"never there": 0, "lost": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, s := begin(t, func(_ context.Context, n int) (sample, error) {
					if n < first {
						return watts(300, "")
					}
					return sample{}, notOffered("a meter")
				})
				tick(time.Minute)
				if first == 0 {
					assert.Equal(t, 1, s.count())
				} else {
					assert.GreaterOrEqual(t, s.count(), 4) // at 0, 5, 10–11.25, 20–23.75 s …
				}
			})
		})
	}
}

func TestReadSaysThatAQuestionHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r, _ := begin(t, func(context.Context, int) (sample, error) { <-release; return watts(300, "") })
		rs, err := r.Read(t.Context(), nil)
		require.NoError(t, err, "not yet")
		assert.Empty(t, rs)
		tick(31 * time.Second)
		_, err = r.Read(t.Context(), nil)
		assert.Contains(t, problemOf(t, err).Error(), "no answer for longer than 30s")
		begun := time.Now()
		require.ErrorContains(t, r.Close(), "left behind")
		assert.Equal(t, 6*time.Second, time.Since(begun))
		close(release)
	})
}

func TestReadChangesThePartWithWhatIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := load(t, "modern")
		s, err := Open("", Config{Redfish: m.bubble()})
		require.NoError(t, err)
		defer s.Close()
		synctest.Wait()
		rs, err := s.Read(t.Context(), nil)
		require.NoError(t, err)
		first := rs[0].Part
		assert.Equal(t, nameInputAC, first.Name)

		m.replace(t, bay1+"/Metrics", "237.4", "null") // a cord is pulled
		tick(6 * time.Second)
		_, err = s.Read(t.Context(), nil)
		assert.Equal(t, sensor.Absent, problemOf(t, err).Class)
		tick(2 * time.Minute)
		rs, err = s.Read(t.Context(), nil)
		require.NoError(t, err)
		assert.Equal(t, nameEnvironment, rs[0].Part.Name)
		assert.Equal(t, "bmc:host", rs[0].Part.ID)
		assert.Equal(t, nameInputAC, first.Name, "what was returned does not change")

		m.replace(t, bay1+"/Metrics", "null", "237.4") // and put back
		tick(chooseAfter + time.Minute)
		rs, err = s.Read(t.Context(), nil)
		require.NoError(t, err)
		assert.Equal(t, nameInputAC, rs[0].Part.Name)
		assert.Equal(t, unit.Microwatts(477_500_000), rs[0].Power)
	})
}

func TestReadLooksForABetterReadingOnceInAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := load(t, "modern")
		m.replace(t, "/redfish/v1/Chassis/1U/PowerSubsystem", "PowerSupplies", "X")
		s, err := Open("", Config{Redfish: m.bubble()})
		require.NoError(t, err)
		defer s.Close()
		tick(time.Minute)
		rs, err := s.Read(t.Context(), nil)
		require.NoError(t, err)
		assert.Equal(t, nameEnvironment, rs[0].Part.Name)
		var looked atomic.Int32
		m.do(func() { // what is better does not answer any more
			m.handle["/redfish/v1/Chassis/1U/PowerSubsystem"] = func(_ http.ResponseWriter, r *http.Request) {
				looked.Add(1)
				<-r.Context().Done()
			}
		})
		tick(chooseAfter + time.Minute)
		assert.Equal(t, int32(1), looked.Load())
		rs, err = s.Read(t.Context(), nil)
		require.NoError(t, err)
		assert.Equal(t, nameEnvironment, rs[0].Part.Name)
	})
}

func TestCloseEndsTheSessionAndTheGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := load(t, "modern")
		m.auth = "session"
		s, err := Open("", Config{Redfish: m.withCredentials(m.bubble())})
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, 1, m.open)
		require.NoError(t, s.Close())
		require.NoError(t, s.Close())
		assert.Zero(t, m.open)
		_, err = s.Read(t.Context(), nil)
		require.ErrorIs(t, err, errClosed)
	})
	synctest.Test(t, func(t *testing.T) { // while a question is under way
		m := load(t, "modern")
		m.delay = time.Hour
		s, err := Open("", Config{Redfish: m.bubble()})
		require.NoError(t, err)
		synctest.Wait()
		begun := time.Now()
		require.NoError(t, s.Close())
		assert.Zero(t, time.Since(begun))
	})
	synctest.Test(t, func(t *testing.T) {
		s := &script{next: func(context.Context, int) (sample, error) { return watts(1, "") }}
		r := newReader(s, Config{}.withDefaults())
		require.NoError(t, r.Close(), "before it was started")
		r, s = begin(t, s.next)
		require.NoError(t, r.Close())
		require.NoError(t, r.Close())
		assert.Equal(t, 1, s.closed)
	})
}

// Questions at 0, 5, 15 and 35 s fail, with jitter of up to a quarter; it is read
// each second.
func TestFailuresAreThoseOfTheQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := begin(t, func(_ context.Context, n int) (sample, error) {
			switch n {
			case 0, 1:
				return sample{}, errServer
			case 2:
				return sample{}, errMalformed
			}
			return watts(300, "")
		})
		told := func() map[sensor.Class]uint64 {
			got := map[sensor.Class]uint64{}
			for class, n := range r.Failures {
				got[class] += n
			}
			return got
		}
		assert.Equal(t, map[sensor.Class]uint64{sensor.IO: 1}, told())
		for s.count() < 2 {
			_, err := r.Read(t.Context(), nil)
			require.Error(t, err, "it lasts")
			assert.Empty(t, told(), "and nothing was asked since")
			tick(time.Second)
		}
		for s.count() < 3 {
			tick(time.Second)
		}
		for class, n := range r.Failures {
			assert.Equal(t, sensor.IO, class)
			assert.Equal(t, uint64(1), n)
			break
		}
		assert.Equal(t, map[sensor.Class]uint64{sensor.Malformed: 1}, told(), "what was not told before")
		for s.count() < 6 {
			tick(time.Second)
		}
		assert.Empty(t, told(), "the others were answered")
	})
}

func TestReadAllocatesNothing(t *testing.T) {
	r := newReader(&script{}, Config{}.withDefaults())
	s, _ := watts(300, "")
	r.publish(&s, nil)
	ctx, dst := t.Context(), make([]sensor.Reading, 0, 1)
	assert.Zero(t, testing.AllocsPerRun(500, func() {
		dst, _ = r.Read(ctx, dst[:0])
		r.newest.Part = r.part
	}))
	assert.Len(t, dst, 1)
	r.publish(nil, newProblem("x", errMissing))
	assert.Zero(t, testing.AllocsPerRun(500, func() { dst, _ = r.Read(ctx, dst[:0]) }))
}

func BenchmarkRead(b *testing.B) {
	r := newReader(&script{}, Config{}.withDefaults())
	s, _ := watts(300, "")
	r.publish(&s, nil)
	ctx, dst := b.Context(), make([]sensor.Reading, 0, 1)
	b.ReportAllocs()
	for b.Loop() {
		r.newest.Part = r.part
		dst, _ = r.Read(ctx, dst[:0])
	}
	if len(dst) != 1 {
		b.Fatal("no reading")
	}
}

// BenchmarkQuestion is one question with its two requests, without a socket.
func BenchmarkQuestion(b *testing.B) {
	r := newSource(b, load(b, "modern").bubble())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.sample(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAskAsksOutOfTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fails atomic.Bool
		r, s := begin(t, func(context.Context, int) (sample, error) {
			if fails.Load() {
				return sample{}, errors.New("connection refused")
			}
			time.Sleep(100 * time.Millisecond)
			return watts(300, "")
		})
		tick(2 * time.Second)
		_, err := r.Read(t.Context(), nil)
		require.NoError(t, err)
		begun := time.Now()
		for range 2 { // the second is a moment later
			r.Ask(t.Context())
			assert.Equal(t, 2, s.count())
			assert.Equal(t, 100*time.Millisecond, time.Since(begun))
		}
		rs, err := r.Read(t.Context(), nil)
		require.NoError(t, err)
		require.Len(t, rs, 1)
		assert.Equal(t, time.Now(), rs[0].At)

		fails.Store(true)
		tick(5 * time.Second)
		asked := s.count()
		r.Ask(t.Context())
		assert.Equal(t, asked, s.count(), "after a failure it keeps its pauses")
		require.NoError(t, r.Close())
		r.Ask(t.Context())
	})
}

func TestAskWaitsForNoneThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := begin(t, func(ctx context.Context, n int) (sample, error) {
			if n > 0 {
				<-ctx.Done()
			}
			return watts(300, "")
		})
		for range 2 { // the first has it asked, the second finds it asking
			tick(2 * time.Second)
			begun := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			r.Ask(ctx)
			cancel()
			assert.Equal(t, time.Second, time.Since(begun))
		}
	})
}

// After the nth refusal since the last answer: 30, 60, 120, 240, 300 s, each up to a quarter
// longer. A failure of another kind among them brings the account no nearer to its lock,
// nor farther from it.
func TestReadC43ARefusalAfterAnswersIsTriedAgainSooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := begin(t, func(_ context.Context, n int) (sample, error) {
			switch n {
			case 0, 7, 12:
				return watts(300, "")
			case 10:
				return sample{}, errors.New("connection refused")
			}
			return sample{}, denied("refused", "wait")
		})
		tick(time.Hour)
		// 10 is the third failure in a row: 5, 10, 20 s. 11 is the third refusal.
		for i, seconds := range []int{5, 30, 60, 120, 240, 300, 300, 5, 30, 60, 20, 120, 5} {
			least := time.Duration(seconds) * time.Second
			gap := s.times[i+1].Sub(s.times[i])
			assert.GreaterOrEqual(t, gap, least, i)
			assert.LessOrEqual(t, gap, least*5/4, i)
		}
	})
}
