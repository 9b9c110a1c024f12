package powerreceiver

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/guard"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
)

// offers is a sensor that offers everything that the receiver asks for.
type offers struct {
	sensortest.Fake
	failed map[sensor.Class]uint64
	asked  bool
}

func (*offers) Wrap() time.Duration { return time.Hour }
func (*offers) Describe() string    { return "fine" }

func (o *offers) Ask(context.Context) { o.asked = true }

func (*offers) Instances(dst []sensor.Instance) []sensor.Instance {
	return append(dst, sensor.Instance{})
}

func (*offers) Processes(dst []sensor.ProcessUse) []sensor.ProcessUse {
	return append(dst, sensor.ProcessUse{})
}
func (*offers) Loads(dst []sensor.Load) []sensor.Load { return append(dst, sensor.Load{}) }
func (o *offers) Failures(yield func(class sensor.Class, n uint64) bool) {
	for class, n := range o.failed {
		if !yield(class, n) {
			return
		}
	}
	clear(o.failed)
}

// assertions lists the types that the receiver asserts of a sensor, as they are written.
func assertions(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		ast.Inspect(tree, func(n ast.Node) bool {
			a, ok := n.(*ast.TypeAssertExpr)
			if !ok {
				return true
			}
			if x, ok := a.X.(*ast.SelectorExpr); ok && x.Sel.Name == "sensor" {
				of, ok := a.Type.(*ast.SelectorExpr)
				if !ok {
					t.Errorf("%s: a sensor is asserted to be something that package sensor does not name", file)
					return true
				}
				seen["sensor."+of.Sel.Name] = true
			}
			return true
		})
	}
	var found []string
	for name := range seen {
		found = append(found, name)
	}
	return found
}

func TestWhatTheReceiverAsksOfASensorSurvivesTheGuard(t *testing.T) {
	inner := &offers{}
	s := guard.New("fake", inner, time.Second)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	_, err := s.Read(t.Context(), nil)
	require.NoError(t, err)
	var known []string
	for name, is := range map[string]func(sensor.Sensor) bool{
		"sensor.Wrapper":   func(s sensor.Sensor) bool { _, ok := s.(sensor.Wrapper); return ok },
		"sensor.Describer": func(s sensor.Sensor) bool { _, ok := s.(sensor.Describer); return ok },
		"sensor.Attempter": func(s sensor.Sensor) bool { _, ok := s.(sensor.Attempter); return ok },
		"sensor.Attributor": func(s sensor.Sensor) bool {
			a, ok := s.(sensor.Attributor)
			return ok && len(a.Processes(nil)) == 1 && len(a.Instances(nil)) == 1 && len(a.Loads(nil)) == 1
		},
		"sensor.Asker": func(s sensor.Sensor) bool {
			a, ok := s.(sensor.Asker)
			if ok {
				a.Ask(t.Context())
			}
			return ok && inner.asked
		},
		"sensor.Pauser": func(s sensor.Sensor) bool { _, ok := s.(sensor.Pauser); return ok },
	} {
		known = append(known, name)
		assert.True(t, is(s), name)
	}
	assert.ElementsMatch(t, known, assertions(t), "what this test knows, and what the code asks for")
}

// failures counts what the receiver tells about failed reads.
type failures map[sensor.Class]uint64

func (failures) sampled(context.Context, time.Duration) {}
func (f failures) readFailed(_ context.Context, _ string, class sensor.Class, n uint64) {
	f[class] += n
}

// A controller is asked twice while it is read ten times; one problem lasts.
func TestFailuresAreThoseOfTheQuestionsWhereASensorAsksAtItsOwnPace(t *testing.T) {
	refused := &sensor.Problem{Sensor: "bmc", Class: sensor.Permission, Path: "bmc.example.net"}
	inner := &offers{failed: map[sensor.Class]uint64{}}
	inner.Next = func(int, time.Time) sensortest.Step { return sensortest.Step{Err: refused} }
	plain := sensortest.NewFake(sensortest.Step{Err: &sensor.Problem{Sensor: "rapl", Class: sensor.IO}})
	s, logs := scripted(t, guard.New("bmc", inner, time.Second), plain)
	t.Cleanup(func() { require.NoError(t, s.sampler.closeSensors()) })
	counted := failures{}
	s.sampler.record = counted
	for i := range 10 {
		if i == 2 || i == 7 {
			inner.failed[sensor.Permission] = 1
		}
		s.sampler.sample(t.Context())
	}
	assert.Equal(t, failures{sensor.Permission: 2, sensor.IO: 10}, counted)
	assert.Equal(t, 2, logs.FilterMessage("power sensor cannot be read").Len(), "once each")
}

// slowChip takes its time for the first read.
type slowChip struct {
	*sensortest.Fake
	first time.Duration
}

func (s slowChip) Read(ctx context.Context, dst []sensor.Reading) ([]sensor.Reading, error) {
	if s.Reads() == 0 {
		time.Sleep(s.first)
	}
	return s.Fake.Read(ctx, dst)
}

func TestTheFirstReadOfARequiredSensorMayTakeAWhile(t *testing.T) {
	for name, tc := range map[string]struct {
		first, waits time.Duration
		err          string
	}{
		"at once":   {0, 0, ""},
		"slow":      {2 * time.Second, 2250 * time.Millisecond, ""},
		"very slow": {4900 * time.Millisecond, 5250 * time.Millisecond, ""},
		"too slow":  {time.Minute, 5500 * time.Millisecond, "sensors::fake::required is true, but it does not answer within 5s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				chip := slowChip{sensortest.NewFake(twoSockets()...), tc.first}
				s, logs := scripted(t, guard.New("hwmon", chip, 250*time.Millisecond))
				counted := failures{}
				s.sampler.record = counted
				s.sampler.sources[0].required, s.sampler.sources[0].silent = true, true
				began := time.Now()
				err := s.sampler.start(t.Context())
				took := time.Since(began)
				if tc.err == "" {
					require.NoError(t, err)
					assert.LessOrEqual(t, took, tc.waits)
					assert.Zero(t, logs.FilterMessage("power sensor cannot be read").Len())
					assert.Empty(t, counted, "slow is not failed")
				} else {
					require.ErrorContains(t, err, tc.err)
					assert.LessOrEqual(t, took, tc.waits+time.Second, "and the closing")
				}
				require.NoError(t, s.sampler.stop(t.Context()))
				time.Sleep(time.Minute) // what was left behind ends
			})
		})
	}
}

// A sensor that nobody requires holds back the start for one sample only.
func TestTheFirstReadOfAnotherSensorIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chip := slowChip{sensortest.NewFake(twoSockets()...), 2 * time.Second}
		s, _ := scripted(t, guard.New("hwmon", chip, 250*time.Millisecond))
		began := time.Now()
		require.NoError(t, s.sampler.start(t.Context()))
		assert.Equal(t, 250*time.Millisecond, time.Since(began))
		time.Sleep(5 * time.Second)
		require.NoError(t, s.sampler.stop(t.Context()))
	})
}

// A chip whose channels are all switched off is there, has nothing to say and reports
// nothing.
func TestARequiredSensorHasToGiveAReading(t *testing.T) {
	nothing := func(int, time.Time) sensortest.Step { return sensortest.Step{} }
	for name, tc := range map[string]struct {
		sensor string
		next   func(n int, now time.Time) sensortest.Step
		waits  time.Duration
		err    string
	}{
		"none": {"hwmon", nothing, 5 * time.Second, "sensors::hwmon::required is true, but it has no reading within 5s"},
		"after two seconds": {"hwmon", func(n int, now time.Time) sensortest.Step {
			if n < 20 { // one each 0.1 s
				return sensortest.Step{}
			}
			return twoSockets()[0]
		}, 2 * time.Second, ""},
		"none, because it pauses": {"battery", func(int, time.Time) sensortest.Step {
			return sensortest.Step{Paused: []*sensor.Part{controller(0)}}
		}, 0, ""},
		"none, because all is measured": {"model", nothing, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := scripted(t, &sensortest.Fake{Next: tc.next})
				src := s.sampler.sources[0]
				src.name, src.required = tc.sensor, true
				began := time.Now()
				err := s.sampler.start(t.Context())
				if tc.err == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, tc.err)
				}
				assert.Equal(t, tc.waits, time.Since(began))
				require.NoError(t, s.sampler.stop(t.Context()))
			})
		})
	}
}
