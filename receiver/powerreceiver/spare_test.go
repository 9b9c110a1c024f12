package powerreceiver

import (
	"errors"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// gpus is a machine with one GPU of 100 W, which a library and a program show.
type gpus struct {
	library *sensortest.Fake
	began   time.Time
	fails   func(since time.Duration) bool // the library
	opened  []time.Duration                // the program, after the start
	program []*sensortest.Fake             // each time
}

func (g *gpus) part(name string, rank int, method sensor.Method) *sensor.Part {
	return &sensor.Part{
		ID: name + ":GPU-0", Name: "H100", Type: "gpu", Sensor: name, Method: method, Same: "gpu/GPU-0", Rank: rank, Socket: -1, Die: -1,
	}
}

// sampler returns one over both, of which the program is the spare.
func (g *gpus) sampler(t *testing.T) (*scraper, func(message string) int) {
	t.Helper()
	g.began = time.Now()
	counted := g.part("nvml", 0, sensor.Measured)
	hangs := &sensor.Problem{Sensor: "nvml", Class: sensor.IO, Path: "nvmlDeviceGetTotalEnergyConsumption"}
	g.library = &sensortest.Fake{Next: func(_ int, now time.Time) sensortest.Step {
		since := now.Sub(g.began)
		if g.fails(since) {
			return sensortest.Step{Err: hangs}
		}
		e := unit.Microjoules(since.Milliseconds()) * 100_000 // µJ: 0.1 J in 1 ms
		return sensortest.Step{Readings: []sensor.Reading{{Part: counted, At: now, Kind: sensor.Counter, Energy: e}}}
	}}
	s, logs := scripted(t)
	s.sampler.ledger = ledger.New(ledger.Config{MaxGap: 3 * time.Second})
	library := &source{name: "nvml", open: func() (sensor.Sensor, error) { return g.library, nil }}
	spare := &source{name: "nvidia_smi", spareOf: library, open: func() (sensor.Sensor, error) {
		p := g.part("nvidia_smi", 1, sensor.Integrated)
		f := &sensortest.Fake{Next: func(_ int, now time.Time) sensortest.Step {
			return sensortest.Step{Readings: []sensor.Reading{{Part: p, At: now, Kind: sensor.Gauge, Power: 100 * unit.Watt}}}
		}}
		g.opened, g.program = append(g.opened, time.Since(g.began)), append(g.program, f)
		return f, nil
	}}
	s.sampler.sources = []*source{library, spare}
	return s, func(message string) int { return logs.FilterMessage(message).Len() }
}

func classes(s *sampler) map[string]sensor.Class {
	return maps.Collect(s.unavailable)
}

// between calls f while no sample is taken.
func between(s *sampler, f func()) {
	synctest.Wait()
	<-s.reading
	defer func() { s.reading <- struct{}{} }()
	f()
}

// energies returns the energy of each part, in J, and that of the host.
func energies(s *sampler) (parts map[string]float64, host float64) {
	parts = map[string]float64{}
	for a := range s.ledger.Accounts {
		switch a.Kind {
		case ledger.HostAccount:
			host = a.Energy.Joules()
		case ledger.PartAccount:
			parts[a.Part.ID] = a.Energy.Joules()
		case ledger.DetailAccount, ledger.UncountedAccount:
		}
	}
	return parts, host
}

func TestASpareThatIsNotNeededIsNeitherOpenedNorUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gpus{fails: func(since time.Duration) bool { // never for as long as it takes
			return since%time.Minute > 35*time.Second
		}}
		s, _ := g.sampler(t)
		require.NoError(t, s.sampler.start(t.Context()))
		for range 100 {
			time.Sleep(7 * time.Second)
			_, reported := classes(s.sampler)["nvidia_smi"]
			assert.False(t, reported)
		}
		require.NoError(t, s.sampler.stop(t.Context()))
		assert.Empty(t, g.opened)
	})
}

// The library fails from 60.5 s to 180.5 s. Its last reading is that of 60 s; the first
// sample more than 30 s after it is that of 91 s. It reads again at 181 s, and for half a minute
// at 211 s.
func TestASpareTakesOverAndIsClosedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gpus{fails: func(since time.Duration) bool {
			return since > 60500*time.Millisecond && since < 180500*time.Millisecond
		}}
		s, said := g.sampler(t)
		require.NoError(t, s.sampler.start(t.Context()))
		time.Sleep(60*time.Second + 300*time.Millisecond)
		between(s.sampler, func() {
			parts, _ := energies(s.sampler)
			assert.Equal(t, map[string]float64{"nvml:GPU-0": 6000}, parts)
			assert.Empty(t, g.opened)
		})

		time.Sleep(60 * time.Second) // 120.3 s
		between(s.sampler, func() {
			assert.Equal(t, []time.Duration{91 * time.Second}, g.opened)
			parts, host := energies(s.sampler)
			assert.Equal(t, map[string]float64{"nvml:GPU-0": 6000, "nvidia_smi:GPU-0": 2900}, parts, "from 91 s to 120 s")
			assert.InDelta(t, 8900, host, 1e-9)
		})
		assert.Equal(t, 1, said("power sensor gives nothing; its spare is opened"))
		assert.Equal(t, map[string]sensor.Class{"nvml": sensor.IO}, classes(s.sampler))

		time.Sleep(80 * time.Second) // 200.3 s
		between(s.sampler, func() {
			assert.Zero(t, g.program[0].Closed(), "not before the library has worked for a while")
		})

		time.Sleep(100 * time.Second) // 300.3 s
		between(s.sampler, func() {
			assert.Equal(t, 1, g.program[0].Closed())
			assert.Len(t, g.opened, 1)
			// 300 s of 100 W but for the 31 s in which nobody looked. The library counts again from 182 s,
			// the end of its first interval without a backlog.
			parts, host := energies(s.sampler)
			assert.Equal(t, map[string]float64{"nvml:GPU-0": 6000 + 11_800, "nvidia_smi:GPU-0": 9100}, parts)
			assert.InDelta(t, 26_900, host, 1e-9)
		})
		assert.Equal(t, 1, said("power sensor gives readings again; its spare is closed"))
		assert.Empty(t, classes(s.sampler))
		require.NoError(t, s.sampler.stop(t.Context()))
		assert.Equal(t, 1, g.program[0].Closed())
	})
}

// Neither is there at first. The library comes with the driver, a minute later: the
// program is not looked for any more.
func TestASpareOfWhatIsNotThereIsOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gpus{fails: func(time.Duration) bool { return false }}
		s, _ := g.sampler(t)
		library, spare := s.sampler.sources[0], s.sampler.sources[1]
		missing := func(name string) error {
			return &sensor.Problem{Sensor: name, Class: sensor.Absent, Err: errors.ErrUnsupported}
		}
		openLibrary := library.open
		library.open = func() (sensor.Sensor, error) {
			if time.Since(g.began) < time.Minute {
				return nil, missing("nvml")
			}
			return openLibrary()
		}
		looked := 0
		spare.open = func() (sensor.Sensor, error) {
			looked++
			return nil, missing("nvidia_smi")
		}
		require.NoError(t, s.sampler.start(t.Context()))
		assert.Equal(t, map[string]sensor.Class{"nvml": sensor.Absent, "nvidia_smi": sensor.Absent}, classes(s.sampler))
		time.Sleep(10 * time.Minute)
		assert.Equal(t, 1, looked)
		assert.Empty(t, classes(s.sampler))
		require.NoError(t, s.sampler.stop(t.Context()))
	})
}
