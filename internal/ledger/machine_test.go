package ledger_test

import (
	"slices"
	"testing"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

const (
	s  = time.Second
	ms = time.Millisecond
	j  = unit.Microjoules(1_000_000)

	intelMax = 262_143_328_850 // 262 kJ
)

var epoch = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// Parts as the rapl and model sensors describe them.

func pkg(socket int) *sensor.Part {
	n := string(rune('0' + socket))
	return &sensor.Part{
		ID: "rapl:package-" + n, Name: "package-" + n, Type: "cpu", Sensor: "rapl",
		Method: sensor.Measured, Socket: socket, Die: -1,
	}
}

func die(socket, number int, mayMirror bool) *sensor.Part {
	p, n := pkg(socket), string(rune('0'+number))
	p.ID, p.Name, p.Die, p.MayMirror = p.ID+"-die-"+n, p.Name+"-die-"+n, number, mayMirror
	return p
}

func dram(socket int) *sensor.Part {
	p := pkg(socket)
	p.ID, p.Name, p.Type = p.ID+"/dram", "dram", "memory"
	return p
}

func core(socket int) *sensor.Part {
	p := pkg(socket)
	p.ID, p.Name, p.Parent, p.Role = p.ID+"/core", "core", p.ID, sensor.Breakdown
	return p
}

func psys() *sensor.Part {
	return &sensor.Part{
		ID: "rapl:psys", Name: "psys", Type: "other", Sensor: "rapl", Method: sensor.Measured,
		Role: sensor.Envelope, Socket: -1, Die: -1,
	}
}

func model(hw string) *sensor.Part {
	return &sensor.Part{ID: "model:" + hw, Name: hw, Type: hw, Sensor: "model", Method: sensor.Modelled, Socket: -1, Die: -1}
}

func gpu() *sensor.Part {
	return &sensor.Part{ID: "hwmon:gpu", Name: "gpu", Type: "gpu", Sensor: "hwmon", Method: sensor.Integrated, Socket: -1, Die: -1}
}

// source is a part that is read in ticks of 1 s at a constant power, unless
// something else is said.
type source struct {
	part        *sensor.Part
	watts       uint64
	energy      func(time.Duration) unit.Microjoules // instead of watts
	glitch      func(tick int) unit.Microjoules      // added to what is read
	skew        time.Duration                        // read that much after the tick
	first, last int                                  // ticks in which it is there; last 0: to the end
	missing     []int                                // ticks in which the read fails
	gauge       bool
}

func (c source) read(tick int) (sensor.Reading, bool) {
	if tick < c.first || c.last > 0 && tick > c.last || slices.Contains(c.missing, tick) {
		return sensor.Reading{}, false
	}
	t := time.Duration(tick)*s + c.skew
	r := sensor.Reading{Part: c.part, At: epoch.Add(t)}
	if c.gauge {
		r.Kind, r.Power = sensor.Gauge, unit.Microwatts(c.watts)*unit.Watt
		return r, true
	}
	r.Max = intelMax
	switch {
	case c.energy != nil:
		r.Energy = c.energy(t)
	default:
		r.Energy = (unit.Microwatts(c.watts) * unit.Watt).Over(t)
	}
	if c.glitch != nil {
		r.Energy += c.glitch(tick)
	}
	r.Energy = (r.Energy + 12_345*j) % (intelMax + 61) // counts since some time before
	return r, true
}

// books is a ledger whose invariants are checked at every tick.
type books struct {
	*ledger.Ledger
	t      failer
	totals map[string]unit.Microjoules
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func open(t failer, c ledger.Config) *books {
	return &books{Ledger: ledger.New(c), t: t, totals: map[string]unit.Microjoules{}}
}

// run books the ticks from … to of the sources.
func (b *books) run(from, to int, sources ...source) {
	b.t.Helper()
	for tick := from; tick <= to; tick++ {
		var rs []sensor.Reading
		for _, c := range sources {
			if r, ok := c.read(tick); ok {
				rs = append(rs, r)
			}
		}
		b.book(rs...)
	}
}

func (b *books) book(rs ...sensor.Reading) {
	b.t.Helper()
	b.Book(rs)
	b.check()
}

// check: Σ parts == host, nothing falls, order is by ID with the host last.
func (b *books) check() {
	b.t.Helper()
	var sum unit.Microjoules
	last, host := "", false
	for a := range b.Accounts {
		id := "host"
		if a.Part != nil {
			id = a.Part.ID
			if id <= last || host {
				b.t.Fatalf("%q comes after %q, host %v", id, last, host)
			}
			last = id
		}
		switch a.Kind {
		case ledger.PartAccount:
			sum += a.Energy
		case ledger.HostAccount:
			host = true
			if a.Energy != sum {
				b.t.Fatalf("host %d µJ, its parts %d µJ", a.Energy, sum)
			}
		case ledger.UncountedAccount:
			if a.Energy != 0 || a.Live {
				b.t.Fatalf("uncounted %+v", a)
			}
		}
		if a.Energy < b.totals[id] {
			b.t.Fatalf("%s fell from %d to %d µJ", id, b.totals[id], a.Energy)
		}
		if a.Start.IsZero() || a.At.Before(a.Start) {
			b.t.Fatalf("%s from %v to %v", id, a.Start, a.At)
		}
		b.totals[id] = a.Energy
	}
	if sum > 0 && !host {
		b.t.Fatalf("%d µJ and no host", sum)
	}
}

// account returns the account of a part, or of the host for "host".
func (b *books) account(id string) ledger.Account {
	b.t.Helper()
	for a := range b.Accounts {
		if a.Part != nil && a.Part.ID == id || a.Part == nil && id == "host" {
			return a
		}
	}
	b.t.Fatalf("no account of %s", id)
	return ledger.Account{}
}

func (b *books) has(id string) bool {
	for a := range b.Accounts {
		if a.Part != nil && a.Part.ID == id {
			return true
		}
	}
	return false
}

var _ failer = testing.TB(nil)
