package powerreceiver

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.uber.org/zap/zapcore"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
	"github.com/otelcarbon/otelcarbon/internal/testfs"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// stuck is a sensor whose second read and those behind it never end by
// themselves, as that of a driver that waits for a dead processor.
type stuck struct {
	*sensortest.Fake
	release chan struct{}
}

func (s *stuck) Read(ctx context.Context, dst []sensor.Reading) ([]sensor.Reading, error) {
	if s.Reads() > 0 {
		<-s.release
	}
	return s.Fake.Read(ctx, dst)
}

func newStuck() *stuck {
	return &stuck{Fake: sensortest.NewFake(twoSockets()...), release: make(chan struct{})}
}

func TestC15_a_read_that_blocks_holds_back_no_collection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := newStuck()
		s, logs := scripted(t, hangs)
		scrape(t, s) // the baseline
		for range 3 {
			began := time.Now()
			scrape(t, s)
			assert.LessOrEqual(t, time.Since(began), freshWait)
		}
		assert.Equal(t, 1, logs.FilterMessage("power sensor does not answer; meanwhile its parts are missing").Len(), "said once")
		close(hangs.release)
		synctest.Wait()
		assert.NotZero(t, scrape(t, s).DataPointCount(), "it goes on when the read ends")
	})
}

func TestC15_a_read_that_blocks_does_not_hold_back_the_end(t *testing.T) {
	for name, limit := range map[string]time.Duration{"with a deadline": 100 * time.Millisecond, "without": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hangs := newStuck()
				s, _ := scripted(t, hangs)
				smp := s.sampler
				require.NoError(t, smp.start(t.Context()))
				time.Sleep(10 * time.Second) // the second sample hangs
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				began := time.Now()
				require.Error(t, smp.stop(ctx))
				assert.LessOrEqual(t, time.Since(began), min(limit, patience))
				assert.Zero(t, hangs.Closed(), "nothing is closed under a read")

				close(hangs.release)
				synctest.Wait()
				assert.Equal(t, 1, hangs.Closed(), "but as soon as it ends")
				require.NoError(t, smp.stop(t.Context()), "a second time")
			})
		})
	}
}

func TestC15_a_first_read_that_blocks_does_not_hold_back_the_start(t *testing.T) {
	for name, required := range map[string]bool{"starts": false, "unless it is required": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hangs := newStuck()
				_, err := hangs.Fake.Read(t.Context(), nil) // so that the next one hangs
				require.NoError(t, err)
				s, _ := scripted(t, hangs)
				s.sampler.sources[0].required = required
				err = s.sampler.start(t.Context())
				if required {
					require.ErrorContains(t, err, "sensors::fake::required is true, but fake does not answer")
				} else {
					require.NoError(t, err)
				}
				close(hangs.release)
				synctest.Wait()
				require.NoError(t, s.sampler.stop(t.Context()))
			})
		})
	}
}

func TestAnEndThatInterruptsAReadIsNoRecovery(t *testing.T) {
	failed := &sensor.Problem{Sensor: "rapl", Class: sensor.Permission, Path: "/sys/x/energy_uj", Err: syscall.EACCES}
	s, logs := scripted(t, sensortest.NewFake(sensortest.Step{Err: failed}))
	s.sampler.sample(t.Context())
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	s.sampler.sample(canceled)
	assert.Equal(t, 1, logs.FilterMessage("power sensor cannot be read").Len())
	assert.Zero(t, logs.FilterMessage("power sensor can be read again").Len())
}

// A counter that fails every other second changes its state 86 400 times a day.
func TestAFailureThatComesAndGoesIsNotToldEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := &sensor.Problem{Sensor: "rapl", Class: sensor.IO, Path: "/sys/x/energy_uj", Err: syscall.EIO}
		s, logs := scripted(t, &sensortest.Fake{Next: func(n int, _ time.Time) sensortest.Step {
			if n%2 == 0 {
				return sensortest.Step{Err: failed}
			}
			return sensortest.Step{}
		}})
		for range 3600 {
			s.sampler.sample(t.Context())
			time.Sleep(time.Second)
		}
		assert.Equal(t, 6, logs.FilterMessage("power sensor cannot be read").Len(), "once in ten minutes")
		assert.LessOrEqual(t, logs.FilterMessage("power sensor can be read again").Len(), 6)
	})
}

func TestASensorThatIsNotNeededIsNotUnavailable(t *testing.T) {
	idle := sensortest.NewFake(sensortest.Step{})
	s, _ := scripted(t, sensortest.NewFake(twoSockets()...), idle)
	s.sampler.sources[1].name, s.sampler.sources[1].required = "model", true
	require.NoError(t, s.sampler.start(t.Context()), "required, and everything that it could give is measured")
	defer func() { require.NoError(t, s.sampler.stop(t.Context())) }()
	for name, class := range s.sampler.unavailable {
		t.Errorf("%s is said to be unavailable: %s", name, class)
	}
}

func TestTheClassOfASensorWithSeveralProblemsIsAlwaysTheSame(t *testing.T) {
	var all error
	for _, class := range []sensor.Class{sensor.Permission, sensor.IO, sensor.Gone, sensor.Malformed} {
		all = errors.Join(all, &sensor.Problem{Sensor: "rapl", Class: class, Path: string(class)})
	}
	for range 50 {
		s, _ := scripted(t, sensortest.NewFake(sensortest.Step{Err: all}))
		s.sampler.sample(t.Context())
		for _, class := range s.sampler.unavailable {
			require.Equal(t, sensor.Gone, class)
		}
	}
}

func TestARequiredSensorIsToldItsOwnProblems(t *testing.T) {
	other := &sensor.Problem{Sensor: "other", Class: sensor.IO, Path: "/sys/other"}
	own := &sensor.Problem{Sensor: "rapl", Class: sensor.Permission, Path: "/sys/own"}
	s, _ := scripted(t, sensortest.NewFake(sensortest.Step{Err: other}), sensortest.NewFake(sensortest.Step{Err: own}))
	s.sampler.sources[1].required = true
	err := s.sampler.start(t.Context())
	require.ErrorContains(t, err, "/sys/own")
	require.NotContains(t, err.Error(), "/sys/other")
}

// wrapping is a sensor whose counters pass their end in half a second.
type wrapping struct{ *sensortest.Fake }

func (wrapping) Wrap() time.Duration { return 500 * time.Millisecond }

func TestASensorThatComesLaterAndWrapsTooSoonIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, logs := scripted(t)
		opened := 0
		s.sampler.sources = []*source{{name: "rapl", open: func() (sensor.Sensor, error) {
			if opened++; opened == 1 {
				return nil, &sensor.Problem{Sensor: "rapl", Class: sensor.Absent, Err: errors.ErrUnsupported}
			}
			return wrapping{sensortest.NewFake(twoSockets()...)}, nil
		}}}
		require.NoError(t, s.sampler.start(t.Context()))
		time.Sleep(5 * time.Minute)
		require.NoError(t, s.sampler.stop(t.Context()))
		assert.Equal(t, 1, logs.FilterMessage("counters can wrap unseen").Len())
	})
}

// Firmware that says nothing sensible about a limit must not keep the Collector
// from starting: 0x3FFFF eighths of a watt are 32 767.875 W.
func TestAPowerLimitThatIsAllOnesDoesNotPreventStart(t *testing.T) {
	root := testfs.Unpack(t, []byte(oneSocket))
	testfs.Write(t, root, "sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/intel-rapl:0:0/constraint_0_max_power_uw", "32767875000\n")
	s, _ := settings(componenttest.NewTelemetry(), zapcore.InfoLevel)
	r, err := newReceiver(s, onlyRAPL(root), consumertest.NewNop())
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	require.NoError(t, r.Shutdown(t.Context()))
}

// psys shows 100 W and the package in it 150 W: it does not contain its parts.
func TestAnEnvelopeThatIsNoLongerTrustedIsTold(t *testing.T) {
	pkg, psys := rapl("package-0", "cpu", sensor.Primary, 0), rapl("psys", "other", sensor.Envelope, -1)
	var steps []sensortest.Step
	for i := range 200 {
		when, e := at(time.Duration(i)*time.Second), unit.Microjoules(i)*joule
		steps = append(steps, sensortest.Step{Readings: []sensor.Reading{counting(pkg, when, 150*e), counting(psys, when, 100*e)}})
	}
	s, logs := scripted(t, sensortest.NewFake(steps...))
	s.sampler.ledger = ledger.New(ledger.Config{Psys: ledger.TrustAlways})
	for range steps {
		scrape(t, s)
	}
	assert.Equal(t, 1, logs.FilterMessageSnippet("the envelope of the host shows less than the parts in it").Len())
}

// The counter becomes readable after 105 s. Until the sample at 110 s the model
// counts 50 W: 5500 J. The sensor counts from there on.
func TestC14_nothing_is_lost_when_a_sensor_takes_over_from_the_model(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := testfs.Unpack(t, []byte(oneSocket))
		counter := filepath.Join(root, "sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/energy_uj")
		require.NoError(t, os.WriteFile(counter, []byte("garbage\n"), 0o600))
		cfg := onlyRAPL(root)
		cfg.Sensors.named = []string{"rapl", "model"}
		cfg.Sensors.Model.IdleWatts, cfg.Sensors.Model.MaxWatts = 50, 50
		cfg.CollectionInterval, cfg.SamplingInterval = time.Hour, 10*time.Second
		s, _ := settings(componenttest.NewTelemetry(), zapcore.InfoLevel)
		sink := new(consumertest.MetricsSink)
		r, err := newReceiver(s, cfg, sink)
		require.NoError(t, err)
		require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
		time.Sleep(105 * time.Second)
		require.NoError(t, os.WriteFile(counter, []byte("5000000\n"), 0o600))
		time.Sleep(20 * time.Second)
		require.NoError(t, os.WriteFile(counter, []byte("8000000\n"), 0o600))
		require.NoError(t, r.Shutdown(t.Context()))

		modelled, _ := lastOf(sink.AllMetrics(), "hw.energy", "model:cpu")
		assert.InDelta(t, 5500, modelled, 1e-9)
		measured, _ := lastOf(sink.AllMetrics(), "hw.energy", "rapl:package-0")
		assert.InDelta(t, 3, measured, 1e-9)
		host, _ := lastOf(sink.AllMetrics(), "hw.host.energy", "host")
		assert.InDelta(t, modelled+measured, host, 1e-9)
	})
}
