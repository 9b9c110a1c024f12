package sensortest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

func cpu() *sensor.Part {
	return &sensor.Part{ID: "rapl:package-0", Name: "package-0", Type: "cpu", Sensor: "rapl", Method: sensor.Measured, Die: -1}
}

func counting(p *sensor.Part) *Fake {
	return NewFake(Step{Readings: []sensor.Reading{{Part: p, Energy: 1000}}})
}

var memory = &sensor.Part{ID: "rapl:package-0/dram", Name: "dram", Type: "memory", Sensor: "rapl", Method: sensor.Measured, Die: -1}

func TestFakeIsASensor(t *testing.T) {
	Run(t, func(*testing.T) sensor.Sensor {
		return NewFake(Step{Readings: []sensor.Reading{{Part: cpu(), Energy: 7, Max: 9}, {Part: memory, Kind: sensor.Gauge, Power: 3}}})
	}, Options{ZeroAlloc: true, MinReadings: 2, Advance: func(*testing.T) {}})
}

func TestFakeFollowsItsScript(t *testing.T) {
	p, at, sad := cpu(), time.Now().Add(-time.Hour), errors.New("sad")
	f := NewFake(
		Step{Readings: []sensor.Reading{{Part: p, Energy: 1, At: at}}},
		Step{Err: sad},
		Step{Readings: []sensor.Reading{{Part: p, Energy: 3}}},
	)
	rs, err := f.Read(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, []sensor.Reading{{Part: p, Energy: 1, At: at}}, rs, "a scripted time stays")

	rs, err = f.Read(t.Context(), rs)
	require.ErrorIs(t, err, sad)
	assert.Len(t, rs, 1)

	for range 2 { // the last step repeats
		rs, err = f.Read(t.Context(), nil)
		require.NoError(t, err)
		assert.EqualValues(t, 3, rs[0].Energy)
		assert.WithinDuration(t, time.Now(), rs[0].At, time.Minute)
	}
	assert.Equal(t, 4, f.Reads())
	require.NoError(t, f.Close())
	assert.Equal(t, 1, f.Closed())

	empty, err := NewFake().Read(t.Context(), nil)
	require.NoError(t, err)
	assert.Empty(t, empty)
}

// odd is a sensor with one thing wrong.
type odd struct {
	*Fake
	read  func(context.Context, []sensor.Reading) ([]sensor.Reading, error)
	close func() error
}

func (o odd) Read(ctx context.Context, dst []sensor.Reading) ([]sensor.Reading, error) {
	if o.read == nil {
		return o.Fake.Read(ctx, dst)
	}
	return o.read(ctx, dst)
}

func (o odd) Close() error {
	if o.close == nil {
		return o.Fake.Close()
	}
	return o.close()
}

type check = func(*testing.T, func() sensor.Sensor, Options) error

func TestSuiteNoticesWhatIsWrong(t *testing.T) {
	steady := func(rs ...sensor.Reading) sensor.Sensor { return NewFake(Step{Readings: rs}) }
	partWith := func(change func(*sensor.Part)) sensor.Sensor {
		p := cpu()
		change(p)
		return steady(sensor.Reading{Part: p})
	}
	opened := 0
	for _, c := range []struct {
		name  string
		check check
		open  func() sensor.Sensor
	}{
		{"reads nothing", checkAppends, func() sensor.Sensor { return NewFake() }},
		{"returns only its own", checkAppends, func() sensor.Sensor {
			f := counting(cpu())
			return odd{Fake: f, read: func(ctx context.Context, _ []sensor.Reading) ([]sensor.Reading, error) { return f.Read(ctx, nil) }}
		}},
		{"overwrites dst", checkAppends, func() sensor.Sensor {
			f := counting(cpu())
			return odd{Fake: f, read: func(ctx context.Context, dst []sensor.Reading) ([]sensor.Reading, error) {
				for i := range dst {
					dst[i].Energy++
				}
				return f.Read(ctx, dst)
			}}
		}},
		{"no part", checkReadings, func() sensor.Sensor { return steady(sensor.Reading{}) }},
		{"one part twice", checkReadings, func() sensor.Sensor {
			return steady(sensor.Reading{Part: cpu()}, sensor.Reading{Part: cpu()})
		}},
		{"time of yesterday", checkReadings, func() sensor.Sensor {
			return steady(sensor.Reading{Part: cpu(), At: time.Now().Add(-24 * time.Hour)})
		}},
		{"wall clock only", checkReadings, func() sensor.Sensor {
			return &Fake{Next: func(_ int, now time.Time) Step {
				return Step{Readings: []sensor.Reading{{Part: cpu(), At: now.Round(0)}}}
			}}
		}},
		{"counter with power", checkReadings, func() sensor.Sensor { return steady(sensor.Reading{Part: cpu(), Power: 1}) }},
		{"gauge with energy", checkReadings, func() sensor.Sensor {
			return steady(sensor.Reading{Part: cpu(), Kind: sensor.Gauge, Energy: 1})
		}},
		{"unknown kind", checkReadings, func() sensor.Sensor { return steady(sensor.Reading{Part: cpu(), Kind: 7}) }},
		{"empty ID", checkReadings, func() sensor.Sensor { return partWith(func(p *sensor.Part) { p.ID = "" }) }},
		{"ID from an index", checkReadings, func() sensor.Sensor { return partWith(func(p *sensor.Part) { p.ID = "rapl:0" }) }},
		{"ID of another sensor", checkReadings, func() sensor.Sensor { return partWith(func(p *sensor.Part) { p.Sensor = "perf" }) }},
		{"unknown type", checkReadings, func() sensor.Sensor { return partWith(func(p *sensor.Part) { p.Type = "fan" }) }},
		{"unknown method", checkReadings, func() sensor.Sensor { return partWith(func(p *sensor.Part) { p.Method = "guessed" }) }},
		{"breakdown of nothing", checkReadings, func() sensor.Sensor { return partWith(func(p *sensor.Part) { p.Role = sensor.Breakdown }) }},
		{"a new part at each read", checkContinuity, func() sensor.Sensor {
			return &Fake{Next: func(int, time.Time) Step { return Step{Readings: []sensor.Reading{{Part: cpu()}}} }}
		}},
		{"a part that changes", checkContinuity, func() sensor.Sensor {
			p := cpu()
			return &Fake{Next: func(n int, _ time.Time) Step {
				p.Socket = n
				return Step{Readings: []sensor.Reading{{Part: p}}}
			}}
		}},
		{"a part that appears later", checkContinuity, func() sensor.Sensor {
			all := []sensor.Reading{{Part: cpu()}, {Part: memory}}
			return &Fake{Next: func(n int, _ time.Time) Step { return Step{Readings: all[:min(n+1, 2)]} }}
		}},
		{"the time of the first read for ever", checkContinuity, func() sensor.Sensor {
			return steady(sensor.Reading{Part: cpu(), At: time.Now()})
		}},
		{"other IDs when opened again", checkSecondSensor, func() sensor.Sensor {
			opened++
			return partWith(func(p *sensor.Part) { p.ID += string(rune('a' + opened)) })
		}},
		{"fewer parts when opened again", checkSecondSensor, func() sensor.Sensor {
			opened++
			return steady([]sensor.Reading{{Part: cpu()}, {Part: memory}}[:1+opened%2]...)
		}},
		{"reads without looking at the context", checkCanceled, func() sensor.Sensor {
			f := counting(cpu())
			return odd{Fake: f, read: func(ctx context.Context, dst []sensor.Reading) ([]sensor.Reading, error) {
				return f.Read(context.WithoutCancel(ctx), dst)
			}}
		}},
		{"Close fails", checkClose, func() sensor.Sensor {
			return odd{Fake: counting(cpu()), close: func() error { return errors.New("already closed") }}
		}},
		{"reads after Close", checkClose, func() sensor.Sensor {
			return odd{Fake: counting(cpu()), close: func() error { return nil }}
		}},
		{"allocates", checkAllocations, func() sensor.Sensor {
			f := counting(cpu())
			return odd{Fake: f, read: func(ctx context.Context, dst []sensor.Reading) ([]sensor.Reading, error) {
				return f.Read(ctx, slices.Clone(dst))
			}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Error(t, c.check(t, c.open, Options{ZeroAlloc: true, MinReadings: 1}))
		})
	}
}
