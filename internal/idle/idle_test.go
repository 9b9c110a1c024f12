package idle

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// machine is one of 4 CPUs whose package draws 30 W and 70 W more when all are busy,
// and whose GPU draws 40 W.
type machine struct {
	books          *ledger.Ledger
	floors         *Floors
	now            time.Time
	pkg, gpu       sensor.Part
	energy         unit.Microjoules
	busy, capacity time.Duration
}

func newMachine(configured map[string]float64) *machine {
	return &machine{
		books: ledger.New(ledger.Config{}), floors: New(configured), now: time.Now(),
		pkg: sensor.Part{ID: "rapl:package-0", Type: "cpu", Method: sensor.Measured, Socket: 0, Die: -1},
		gpu: sensor.Part{ID: "nvml:GPU-1", Type: "gpu", Method: sensor.Integrated, Socket: -1, Die: -1},
	}
}

func (m *machine) second(use float64, held bool) {
	m.now = m.now.Add(time.Second)
	m.energy += unit.FromJoules(30 + 70*use)
	m.busy += time.Duration(4 * use * float64(time.Second))
	m.capacity += 4 * time.Second
	m.books.Book([]sensor.Reading{
		{Part: &m.pkg, At: m.now, Energy: m.energy},
		{Part: &m.gpu, At: m.now, Kind: sensor.Gauge, Power: 40 * unit.Watt},
	})
	m.floors.Note([]sensor.Load{{GPU: &m.gpu, Held: held}}, m.now)
	m.floors.Look(m.books, m.busy, m.capacity, m.now)
}

func TestC69_an_idle_machine_tells_its_floor(t *testing.T) {
	m := newMachine(nil)
	for range 30 {
		m.second(0.02, false) // 30 W + 1.4 W, which is below the twentieth that counts as idle
	}
	p, origin := m.floors.Value(&m.pkg)
	assert.Equal(t, energy.Learned, origin)
	assert.InDelta(t, 31.4, p.Watts(), 1.2) // a bin is 3.8 % wide
	p, origin = m.floors.Value(&m.gpu)
	assert.Equal(t, energy.Learned, origin)
	assert.InDelta(t, 40, p.Watts(), 1.5)
}

func TestC69_a_machine_that_is_never_idle_is_extrapolated(t *testing.T) {
	m := newMachine(nil)
	for i := range 200 {
		m.second(0.2+0.1*float64(i%7), true)
	}
	p, origin := m.floors.Value(&m.pkg)
	assert.Equal(t, energy.Extrapolated, origin)
	assert.InDelta(t, 30, p.Watts(), 1)
	_, origin = m.floors.Value(&m.gpu)
	assert.Equal(t, energy.Unknown, origin, "somebody holds it all the time")
}

func TestWhatIsConfiguredWins(t *testing.T) {
	m := newMachine(map[string]float64{"cpu": 20, "nvml:GPU-1": 35})
	p, origin := m.floors.Value(&m.pkg)
	assert.Equal(t, energy.Configured, origin)
	assert.Equal(t, 20*unit.Watt, p)
	p, _ = m.floors.Value(&m.gpu)
	assert.Equal(t, 35*unit.Watt, p)
	p, origin = m.floors.Value(&sensor.Part{ID: "model:memory", Type: "memory", Idle: 3 * unit.Watt})
	assert.Equal(t, energy.Modelled, origin)
	assert.Equal(t, 3*unit.Watt, p)
}

func TestATimeOfUnknownUseTeachesNothing(t *testing.T) {
	m := newMachine(nil)
	for range 30 {
		m.second(0, false)
		m.capacity -= 4 * time.Second // the meter left it out
	}
	_, origin := m.floors.Value(&m.pkg)
	assert.Equal(t, energy.Unknown, origin)
}

func TestValidateNamesTheKey(t *testing.T) {
	require.Empty(t, Validate(map[string]float64{"cpu": 0, "rapl:package-0": 100_000}))
	errs := Validate(map[string]float64{"": 1, "cpu": math.NaN(), "gpu": -1, "memory": 100_001})
	require.Len(t, errs, 4)
	for i, key := range []string{"nothing", "cpu", "gpu", "memory"} {
		require.ErrorContains(t, errs[i], key)
	}
}

func TestLookAllocatesNothing(t *testing.T) {
	m := newMachine(nil)
	m.second(0, false)
	m.second(0, false)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		m.now = m.now.Add(time.Second)
		m.capacity += 4 * time.Second
		m.floors.Look(m.books, m.busy, m.capacity, m.now)
	}))
}
