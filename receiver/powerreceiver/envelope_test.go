package powerreceiver

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/sensortest"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

// controller is the part of a BMC that answers once in a period.
func controller(period time.Duration) *sensor.Part {
	return &sensor.Part{
		ID: "bmc:host", Name: "input", Type: "other", Sensor: "bmc", Method: sensor.Integrated, Role: sensor.Envelope,
		Whole: true, Socket: -1, Die: -1, Period: period,
	}
}

func power(p *sensor.Part, when time.Time, watts unit.Microwatts) sensor.Reading {
	return sensor.Reading{Part: p, At: when, Kind: sensor.Gauge, Power: watts * unit.Watt}
}

// 100 W, nothing else: the remainder exists before the host has any energy.
func TestAnEnvelopeAloneIsTheHost(t *testing.T) {
	p := controller(5 * time.Second)
	var steps []sensortest.Step
	for i := range 10 {
		steps = append(steps, sensortest.Step{Readings: []sensor.Reading{power(p, at(time.Duration(5*i)*time.Second), 100)}})
	}
	s, _ := scripted(t, sensortest.NewFake(steps...))
	last := scrape(t, s)
	for range 9 {
		last = scrape(t, s)
	}
	// Trusted at the sixth reading, 25 s; four intervals of 5 s since.
	requireValue(t, last, "hw.host.energy", "host", 2000)
	requireValue(t, last, "hw.energy", "other", 2000)
	requireValue(t, last, "hw.host.power", "host", 100)
}

// A package of 100 W, read every 10 s, in a host of 200 W, of which its controller
// tells once in a minute: no collection shows more or less than 200 W.
func TestASlowEnvelopeDoesNotMakeThePowerJump(t *testing.T) {
	p, pkg := controller(time.Minute), rapl("package-0", "cpu", sensor.Primary, 0)
	var steps []sensortest.Step
	for i := range 80 {
		when := at(time.Duration(10*i) * time.Second)
		rs := []sensor.Reading{counting(pkg, when, unit.Microjoules(i)*1000*joule)}
		if i%6 == 0 {
			rs = append(rs, power(p, when, 200))
		}
		steps = append(steps, sensortest.Step{Readings: rs})
	}
	s, _ := scripted(t, sensortest.NewFake(steps...))
	s.patience = 30 * time.Second
	told := 0
	for i := range 80 {
		md := scrape(t, s)
		if got, _, ok := value(md, "hw.host.power", "host"); ok && i > 36 { // trusted after six answers
			assert.InDelta(t, 200, got, 1e-9, "in collection %d", i)
			told++
		}
	}
	assert.Equal(t, 7, told, "once for each answer: collections 42, 48, … 78")
}

// A package of 100 W in a laptop of 130 W, which is on a charger from 100 s to 130 s:
// the host is told in every collection, without the 30 W meanwhile.
func TestC42ABatteryOnAChargerDoesNotHoldTheHostBack(t *testing.T) {
	battery, pkg := controller(0), rapl("package-0", "cpu", sensor.Primary, 0)
	battery.ID, battery.Sensor = "battery:host", "battery"
	var steps []sensortest.Step
	for i := range 20 {
		when := at(time.Duration(10*i) * time.Second)
		step := sensortest.Step{Readings: []sensor.Reading{counting(pkg, when, unit.Microjoules(i)*1000*joule)}}
		if i >= 10 && i <= 13 {
			step.Paused = []*sensor.Part{battery}
		} else {
			step.Readings = append(step.Readings, power(battery, when, 130))
		}
		steps = append(steps, step)
	}
	s, logs := scripted(t, sensortest.NewFake(steps...))
	s.patience = 30 * time.Second
	for range 7 { // trusted at the sixth reading
		scrape(t, s)
	}
	remainder := 300.0
	for i := 7; i < 20; i++ {
		md := scrape(t, s)
		watts := 100.0
		if i < 10 || i > 14 { // in 14 the battery has its first reading after the charger
			watts, remainder = 130, remainder+300
		}
		requireValue(t, md, "hw.energy", "other", remainder)
		requireValue(t, md, "hw.host.energy", "host", float64(i)*1000+remainder)
		if i == 14 { // who knows when it was back
			requireNone(t, md, "hw.host.power", "host")
			continue
		}
		requireValue(t, md, "hw.host.power", "host", watts)
	}
	assert.Zero(t, logs.FilterMessageSnippet("sum of its parts").Len(), "it is not demoted")
}

// A package of 100 W in a host of 200 W, whose controller says nothing from 110 s to 190 s.
// It is trusted at the sixth reading; it is waited for until 130 s. Of the time that it
// missed it tells nothing when it is back, at 200 s: that the remainder drew 0 W then, or
// a ninth of what it draws in 210 s, would be wrong.
func TestC43ASilentControllerLeavesEveryCollectionConsistent(t *testing.T) {
	p, pkg := controller(5*time.Second), rapl("package-0", "cpu", sensor.Primary, 0)
	var steps []sensortest.Step
	for i := range 24 {
		when := at(time.Duration(10*i) * time.Second)
		rs := []sensor.Reading{counting(pkg, when, unit.Microjoules(i)*1000*joule)}
		if i < 11 || i > 19 {
			rs = append(rs, power(p, when, 200))
		}
		steps = append(steps, sensortest.Step{Readings: rs})
	}
	s, _ := scripted(t, sensortest.NewFake(steps...))
	s.patience = 30 * time.Second
	for i := range 24 {
		md := scrape(t, s)
		if i < 7 {
			continue
		}
		if i >= 11 && i <= 13 {
			requireNone(t, md, "hw.energy", "other")
			requireNone(t, md, "hw.host.energy", "host")
			continue
		}
		remainder := 1000 * float64(min(i, 10)-5+max(i-20, 0))
		requireValue(t, md, "hw.energy", "other", remainder)
		requireValue(t, md, "hw.host.energy", "host", float64(i)*1000+remainder)
		switch {
		case i < 11, i > 20:
			requireValue(t, md, "hw.power", "other", 100)
			requireValue(t, md, "hw.host.power", "host", 200)
		case i < 20:
			requireNone(t, md, "hw.power", "other")
			requireValue(t, md, "hw.host.power", "host", 100)
		default:
			requireNone(t, md, "hw.power", "other")
			requireNone(t, md, "hw.host.power", "host")
		}
	}
}

// Silent for 20 s, a controller is waited for, and tells nothing of that time. Its power
// when it is back, at 130 s, is not that of the 10 s before.
func TestC43AControllerThatMissedATimeHasNoPowerAtItsReturn(t *testing.T) {
	p, pkg := controller(5*time.Second), rapl("package-0", "cpu", sensor.Primary, 0)
	var steps []sensortest.Step
	for i := range 15 {
		when := at(time.Duration(10*i) * time.Second)
		rs := []sensor.Reading{counting(pkg, when, unit.Microjoules(i)*1000*joule)}
		if i < 11 || i > 12 {
			rs = append(rs, power(p, when, 200))
		}
		steps = append(steps, sensortest.Step{Readings: rs})
	}
	s, _ := scripted(t, sensortest.NewFake(steps...))
	s.sampler.ledger = ledger.New(ledger.Config{MaxGap: 10 * time.Second}) // or three periods, 15 s
	s.patience = 30 * time.Second
	for range 13 {
		scrape(t, s)
	}
	back := scrape(t, s)
	requireValue(t, back, "hw.energy", "other", 5000) // 60 s … 100 s
	requireValue(t, back, "hw.host.energy", "host", 18_000)
	requireNone(t, back, "hw.power", "other")
	requireNone(t, back, "hw.host.power", "host")
	next := scrape(t, s)
	requireValue(t, next, "hw.energy", "other", 6000)
	requireValue(t, next, "hw.power", "other", 100)
	requireValue(t, next, "hw.host.power", "host", 200)
}

func TestAtTheEndTheHostWaitsForNoPart(t *testing.T) {
	p, pkg := controller(time.Minute), rapl("package-0", "cpu", sensor.Primary, 0)
	s, _ := scripted(t, sensortest.NewFake(
		sensortest.Step{Readings: []sensor.Reading{counting(pkg, noon, 0), power(p, noon, 200)}},
		sensortest.Step{Readings: []sensor.Reading{counting(pkg, at(10*time.Second), 1000*joule)}},
	))
	scrape(t, s)
	s.final = true
	requireValue(t, scrape(t, s), "hw.host.energy", "host", 1000)
}

func TestARequiredControllerThatDoesNotAnswerFailsStart(t *testing.T) {
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0") // accepts, and says nothing
	require.NoError(t, err)
	defer silent.Close()
	cfg, err := load(t, map[string]any{"sensors": map[string]any{"bmc": map[string]any{
		"required": true, "redfish": map[string]any{"endpoint": "http://" + silent.Addr().String()},
	}}})
	require.NoError(t, err)
	set, _ := settings(componenttest.NewTelemetry(), zap.InfoLevel)
	r, err := newReceiver(set, cfg, consumertest.NewNop())
	require.NoError(t, err)
	require.ErrorContains(t, r.Start(t.Context(), componenttest.NewNopHost()), "sensors::bmc::required is true, but it does not answer")
	require.NoError(t, r.Shutdown(t.Context()))
}

// A package of 100 W, and a controller that shows 80 W: that of another machine. After a
// minute that is said once. From 120 s on it shows 150 W.
func TestAnEnvelopeThatNeverContainsItsPartsIsTold(t *testing.T) {
	p, pkg := controller(5*time.Second), rapl("package-0", "cpu", sensor.Primary, 0)
	var steps []sensortest.Step
	for i := range 40 {
		when, watts := at(time.Duration(5*i)*time.Second), unit.Microwatts(80)
		if i >= 24 {
			watts = 150
		}
		steps = append(steps, sensortest.Step{Readings: []sensor.Reading{counting(pkg, when, unit.Microjoules(i)*500*joule), power(p, when, watts)}})
	}
	s, logs := scripted(t, sensortest.NewFake(steps...))
	wrong := func() (got map[string]bool) {
		got = map[string]bool{}
		s.sampler.eachEnvelope(func(id string, w bool) { got[id] = w })
		return got
	}
	for i := range 24 {
		scrape(t, s)
		assert.Equal(t, map[string]bool{"bmc:host": i >= 12}, wrong(), "in collection %d", i)
	}
	told := logs.FilterMessageSnippet("is not used").All()
	require.Len(t, told, 1)
	assert.Equal(t, map[string]any{"envelope": "bmc:host", "envelope_watts": 80.0, "parts_watts": 100.0}, told[0].ContextMap())
	assert.Contains(t, told[0].Message, "sensors::bmc::redfish")
	var last pmetric.Metrics
	for range 16 {
		last = scrape(t, s)
	}
	assert.Equal(t, map[string]bool{"bmc:host": false}, wrong())
	assert.Equal(t, 1, logs.FilterMessageSnippet("contains its parts after all").Len())
	requireValue(t, last, "hw.host.power", "host", 150)
	assert.Equal(t, 1, logs.FilterMessageSnippet("is not used").Len())
}

// asker is a controller of 200 W that tells every 5 s, and when it is asked.
type asker struct {
	sensortest.Fake
	asked bool
}

func (a *asker) Ask(context.Context) { a.asked = true }

// A package of 100 W in it. It is trusted after 25 s and has left 1500 J at 40 s. The
// receiver is stopped at 42.05 s: until then it draws 410 J, and the package, which is
// read 0.1 s after the sample before, 210 J.
func TestAtTheEndTheControllerIsAskedOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, pkg, whole := time.Now(), rapl("package-0", "cpu", sensor.Primary, 0), controller(5*time.Second)
		bmc := &asker{}
		bmc.Next = func(n int, now time.Time) (step sensortest.Step) {
			if n%5 == 0 || bmc.asked {
				step.Readings = []sensor.Reading{power(whole, now, 200)}
			}
			if bmc.asked {
				step.Readings[0].At = began.Add(42_050 * time.Millisecond)
			}
			return step
		}
		s, _ := scripted(t, bmc, &sensortest.Fake{Next: func(_ int, now time.Time) sensortest.Step {
			return sensortest.Step{Readings: []sensor.Reading{counting(pkg, now, unit.Microjoules(now.Sub(began).Milliseconds())*joule/10)}}
		}})
		require.NoError(t, s.sampler.start(t.Context()))
		time.Sleep(42_050 * time.Millisecond)
		between(s.sampler, func() {
			parts, _ := energies(s.sampler)
			assert.InDelta(t, 1500, parts["other"], 1e-9)
		})
		s.sampler.sampleLast(t.Context())
		parts, host := energies(s.sampler)
		assert.InDelta(t, 1500+410-210, parts["other"], 1e-9)
		assert.InDelta(t, 4210+1700, host, 1e-9)
		require.NoError(t, s.sampler.stop(t.Context()))
	})
}

// Until an envelope is trusted, a calibration of 10 W tells the remainder: the collection in
// which that happens has the power of neither. It is the one at 25 s, with the sixth reading,
// but the remainder has nothing of the envelope before the next one, at 30 s, 100 W.
func TestAnEnvelopeThatTakesOverFromACalibrationMixesNoPowers(t *testing.T) {
	p, pkg := controller(5*time.Second), rapl("package-0", "cpu", sensor.Primary, 0)
	var steps []sensortest.Step
	for i := range 8 {
		when := at(time.Duration(5*i) * time.Second)
		steps = append(steps, sensortest.Step{Readings: []sensor.Reading{counting(pkg, when, unit.Microjoules(i)*500*joule), power(p, when, 200)}})
	}
	s, _ := scripted(t, sensortest.NewFake(steps...))
	s.sampler.ledger = ledger.New(ledger.Config{Calibration: ledger.Calibration{Offset: 10 * unit.Watt}})
	for i := range 8 {
		md := scrape(t, s)
		switch {
		case i == 5:
			requireNone(t, md, "hw.power", "other")
			requireNone(t, md, "hw.host.power", "host")
			requireValue(t, md, "hw.energy", "other", 250)
		case i > 5:
			requireValue(t, md, "hw.power", "other", 100)
			requireValue(t, md, "hw.host.power", "host", 200)
		case i > 1:
			requireValue(t, md, "hw.power", "other", 10)
			requireValue(t, md, "hw.host.power", "host", 110)
		}
	}
}
