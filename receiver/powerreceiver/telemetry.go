package powerreceiver

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcarbon/otelcarbon/internal/energy"
	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
	"github.com/otelcarbon/otelcarbon/receiver/powerreceiver/internal/metadata"
)

// selfTelemetry is what the receiver says about its own work.
type selfTelemetry struct{ builder *metadata.TelemetryBuilder }

func newSelfTelemetry(set component.TelemetrySettings) (*selfTelemetry, error) {
	b, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, err
	}
	return &selfTelemetry{builder: b}, nil
}

func (t *selfTelemetry) sampled(ctx context.Context, d time.Duration) {
	t.builder.ReceiverPowerSampleDuration.Record(ctx, d.Seconds())
}

func (t *selfTelemetry) readFailed(ctx context.Context, sensorName string, class sensor.Class, n uint64) {
	t.builder.ReceiverPowerReadErrors.Add(ctx, int64(n), metric.WithAttributes( //nolint:gosec // counts events
		attribute.String("carbon.sensor", sensorName), attribute.String("error.type", string(class))))
}

// observe publishes the counts of the ledger when the Collector's own telemetry
// is read.
func (t *selfTelemetry) observe(s *sampler) error {
	counts := func(of func(ledger.Stats) uint64) metric.Int64Callback {
		return func(_ context.Context, o metric.Int64Observer) error {
			s.eachPart(func(id string, st ledger.Stats) {
				o.Observe(int64(of(st)), metric.WithAttributes(attribute.String("hw.id", id))) //nolint:gosec // counts events
			})
			return nil
		}
	}
	for _, register := range []func() error{
		func() error {
			return t.builder.RegisterReceiverPowerWrapsCallback(counts(func(st ledger.Stats) uint64 { return st.Wraps }))
		},
		func() error {
			return t.builder.RegisterReceiverPowerResetsCallback(counts(func(st ledger.Stats) uint64 { return st.Resets }))
		},
		func() error {
			return t.builder.RegisterReceiverPowerSuspectReadingsCallback(counts(func(st ledger.Stats) uint64 { return st.Suspects }))
		},
		func() error {
			return t.builder.RegisterReceiverPowerGlitchesCorrectedCallback(counts(func(st ledger.Stats) uint64 { return st.Corrections }))
		},
		func() error {
			return t.builder.RegisterReceiverPowerGapTimeCallback(func(_ context.Context, o metric.Float64Observer) error {
				s.eachPart(func(id string, st ledger.Stats) {
					o.Observe(st.GapTime.Seconds(), metric.WithAttributes(attribute.String("hw.id", id)))
				})
				return nil
			})
		},
		func() error {
			return t.builder.RegisterReceiverPowerEnvelopeDemotedCallback(func(_ context.Context, o metric.Int64Observer) error {
				s.eachEnvelope(func(id string, wrong bool) {
					var v int64
					if wrong {
						v = 1
					}
					o.Observe(v, metric.WithAttributes(attribute.String("hw.id", id)))
				})
				return nil
			})
		},
		func() error {
			return t.builder.RegisterReceiverPowerIdleFloorCallback(func(_ context.Context, o metric.Float64Observer) error {
				s.eachIdle(func(id string, power unit.Microwatts, origin energy.Origin) {
					o.Observe(power.Watts(), metric.WithAttributes(attribute.String("hw.id", id), attribute.String("origin", origin.String())))
				})
				return nil
			})
		},
		func() error {
			return t.builder.RegisterReceiverPowerIgnoredReadingsCallback(func(_ context.Context, o metric.Int64Observer) error {
				for reason, n := range s.ignored() {
					o.Observe(int64(n), metric.WithAttributes(attribute.String("reason", reason))) //nolint:gosec // counts readings
				}
				return nil
			})
		},
		func() error {
			return t.builder.RegisterReceiverPowerSensorDifferenceCallback(func(_ context.Context, o metric.Float64Observer) error {
				for _, d := range s.crossCheck.differences() {
					o.Observe(d.Relative, metric.WithAttributes(attribute.String("hw.id", names.SensorPerf+":"+d.Same)))
				}
				return nil
			})
		},
		func() error {
			return t.builder.RegisterReceiverPowerSensorUnavailableCallback(func(_ context.Context, o metric.Int64Observer) error {
				for name, class := range s.unavailable {
					o.Observe(1, metric.WithAttributes(attribute.String("carbon.sensor", name), attribute.String("error.type", string(class))))
				}
				return nil
			})
		},
		func() error {
			return t.builder.RegisterReceiverPowerWorkloadsCallback(func(_ context.Context, o metric.Int64Observer) error {
				s.eachKind(func(kind string, n int) {
					o.Observe(int64(n), metric.WithAttributes(attribute.String("kind", kind)))
				})
				return nil
			})
		},
		func() error {
			return t.builder.RegisterReceiverPowerWorkloadReadErrorsCallback(func(_ context.Context, o metric.Int64Observer) error {
				s.eachUnread(func(class string, n uint64) {
					o.Observe(int64(n), metric.WithAttributes(attribute.String("error.type", class))) //nolint:gosec // counts reads
				})
				return nil
			})
		},
	} {
		if err := register(); err != nil {
			return err
		}
	}
	return nil
}

func (t *selfTelemetry) shutdown() { t.builder.Shutdown() }

// eachPart calls f with the id and the counts of every part in the ledger.
func (s *sampler) eachPart(f func(id string, st ledger.Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for a := range s.ledger.Accounts {
		if a.Kind != ledger.HostAccount {
			f(a.Part.ID, a.Stats)
		}
	}
}

// eachEnvelope calls f with the id of every envelope and whether it was demoted or does
// not earn trust.
func (s *sampler) eachEnvelope(f func(id string, wrong bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for a := range s.ledger.Accounts {
		if a.Kind == ledger.DetailAccount && a.Part.Role == sensor.Envelope {
			f(a.Part.ID, a.Stats.Demoted || a.Stats.Short != ledger.Shortfall{})
		}
	}
}

// ignored counts the readings that were not used, by reason.
func (s *sampler) ignored() map[string]uint64 {
	var overRange, untimely uint64
	s.eachPart(func(_ string, st ledger.Stats) {
		overRange += st.OverRange
		untimely += st.Untimely
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.ledger.Counters()
	return map[string]uint64{
		"over_range": overRange, "untimely": untimely,
		"refused": c.Refused, "duplicate": c.Duplicates, "conflict": c.Conflicts, "overflow": c.Overflows,
	}
}
