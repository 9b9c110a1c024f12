package powerreceiver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
)

// reopenInterval is the time after which a sensor that was not there is looked
// for again: a driver may be loaded, a device plugged in.
const reopenInterval = time.Minute

// source is one sensor and what is known about it.
type source struct {
	name     string
	required bool
	named    bool // by the user's configuration
	open     func() (sensor.Sensor, error)

	sensor   sensor.Sensor // nil while it is not there
	reopenAt time.Time
	gave     int                 // readings in the last sample
	problems map[problemKey]bool // those that hold now; true: seen in this sample
}

type problemKey struct {
	class sensor.Class
	path  string
}

// wrapper is what a sensor whose counters wrap offers besides sensor.Sensor.
type wrapper interface {
	// Wrap returns the shortest time in which a counter can wrap, 0 if none does.
	Wrap() time.Duration
}

// describer is a sensor that can say in one line what it measures and how.
type describer interface{ Describe() string }

// sampler reads the sensors every interval, and on demand, and books what they
// say. All sensors are used by one goroutine at a time, which holds reading; the
// ledger is guarded by mu, which is never held during a read, so that a sensor
// that hangs cannot hold back who wants to know what is booked.
type sampler struct {
	interval time.Duration
	logger   *zap.Logger
	record   telemetry
	sources  []*source

	reading  chan struct{} // holds one token: the right to use the sensors and what follows
	readings []sensor.Reading
	measured map[string]bool // hw.type of parts that a sensor gave, now or before

	mu       sync.Mutex
	ledger   *ledger.Ledger
	failures []error // problems that began since the last call of takeFailures

	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// telemetry receives what a sampler has to say about itself.
type telemetry interface {
	sampled(ctx context.Context, d time.Duration)
	readFailed(ctx context.Context, sensorName string, class sensor.Class)
}

func newSampler(interval time.Duration, l *ledger.Ledger, logger *zap.Logger, record telemetry) *sampler {
	s := &sampler{
		interval: interval, ledger: l, logger: logger, record: record,
		reading: make(chan struct{}, 1), measured: make(map[string]bool),
	}
	s.reading <- struct{}{}
	return s
}

// start opens the sensors, takes the first sample, which is the baseline of
// every counter, and goes on sampling until stop.
func (s *sampler) start(ctx context.Context) error {
	var errs []error
	for _, src := range s.sources {
		if err := s.openSource(src); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return errors.Join(append(errs, s.closeSensors())...)
	}
	s.sample(ctx)
	for _, src := range s.sources {
		if err := s.checkAfterFirstRead(src); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return errors.Join(append(errs, s.closeSensors())...)
	}
	// Not Start's context: that one ends when Start does.
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	s.wg.Go(func() { s.run(run) })
	return nil
}

// openSource opens one sensor. Only the absence of a required one is an error.
func (s *sampler) openSource(src *source) error {
	opened, err := src.open()
	switch {
	case err == nil:
		src.sensor = opened
		fields := []zap.Field{zap.String("sensor", src.name)}
		if d, ok := opened.(describer); ok {
			fields = append(fields, zap.String("what", d.Describe()))
		}
		s.logger.Info("reading power sensor", fields...)
		return nil
	case !errors.Is(err, errors.ErrUnsupported):
		return fmt.Errorf("sensor %s: %w", src.name, err) // a wrong configuration
	case src.required:
		return fmt.Errorf("sensors::%s::required is true, but the sensor is not available: %w", src.name, err)
	}
	src.reopenAt = time.Now().Add(reopenInterval)
	if src.problems == nil { // the first time
		src.problems = make(map[problemKey]bool)
		log := s.logger.Info
		if src.named {
			log = s.logger.Warn
		}
		log("power sensor not available", zap.String("sensor", src.name), zap.Error(err))
	}
	for p := range sensor.Problems(err) {
		src.problems[problemKey{p.Class, p.Path}] = true
	}
	return nil
}

// checkAfterFirstRead refuses what would give wrong numbers for as long as the
// receiver runs.
func (s *sampler) checkAfterFirstRead(src *source) error {
	if src.sensor == nil {
		return nil
	}
	if w, ok := src.sensor.(wrapper); ok {
		switch wrap := w.Wrap(); {
		case wrap/2 < minSampling && wrap > 0: // no machine has such a counter: its stated range is wrong
			s.logger.Warn("a counter states a range that it would pass in no time; its energy may be missing",
				zap.String("sensor", src.name), zap.Duration("wraps_in", wrap))
		case wrap > 0 && s.interval > wrap/2:
			return fmt.Errorf("sampling_interval: %v is too long: a counter of %s can wrap in %v; use at most %v, half of that",
				s.interval, src.name, wrap.Round(time.Millisecond), (wrap / 2).Truncate(time.Millisecond))
		}
	}
	if src.required && src.gave == 0 {
		return fmt.Errorf("sensors::%s::required is true, but nothing can be read: %w", src.name, errors.Join(s.takeFailures()...))
	}
	return nil
}

func (s *sampler) run(ctx context.Context) {
	ticker := time.NewTicker(s.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.sampleNow(ctx, 0)
		}
	}
}

// sampleNow takes a sample unless one is being taken already, in which case it
// waits for that one, for at most the given time.
func (s *sampler) sampleNow(ctx context.Context, wait time.Duration) {
	select {
	case <-s.reading:
		defer func() { s.reading <- struct{}{} }()
		s.sample(ctx)
		return
	default:
	}
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-s.reading:
		s.reading <- struct{}{}
	case <-timer.C:
	case <-ctx.Done():
	}
}

// sample reads every sensor once and books the readings.
func (s *sampler) sample(ctx context.Context) {
	began := time.Now()
	readings := s.readings[:0]
	for _, src := range s.sources {
		if src.sensor == nil && !began.Before(src.reopenAt) {
			if err := s.openSource(src); err != nil {
				s.logger.Warn("power sensor not available", zap.Error(err))
				src.reopenAt = began.Add(reopenInterval)
			}
		}
		src.gave = 0
		if src.sensor == nil {
			continue
		}
		before := len(readings)
		var err error
		readings, err = src.sensor.Read(ctx, readings)
		src.gave = len(readings) - before
		s.remember(readings[before:])
		if err != nil || len(src.problems) > 0 {
			s.note(ctx, src, err)
		}
	}
	s.readings = readings
	s.mu.Lock()
	s.ledger.Book(readings)
	s.mu.Unlock()
	s.record.sampled(ctx, time.Since(began))
}

// remember notes which types of parts something better than the model gives.
func (s *sampler) remember(readings []sensor.Reading) {
	for i := range readings {
		if p := readings[i].Part; p.Role == sensor.Primary && p.Method != sensor.Modelled && !s.measured[p.Type] {
			s.measured[p.Type] = true
		}
	}
}

// isMeasured tells whether a sensor has given parts of the type. Sensors call it
// from Read.
func (s *sampler) isMeasured(hwType string) bool { return s.measured[hwType] }

// note counts failures, and speaks only when one begins or ends.
func (s *sampler) note(ctx context.Context, src *source, err error) {
	for k := range src.problems {
		src.problems[k] = false
	}
	for p := range sensor.Problems(err) {
		s.record.readFailed(ctx, src.name, p.Class)
		k := problemKey{p.Class, p.Path}
		if _, known := src.problems[k]; !known {
			s.logger.Warn("power sensor cannot be read", zap.String("sensor", src.name), zap.Error(p))
			s.mu.Lock()
			s.failures = append(s.failures, p)
			s.mu.Unlock()
		}
		if src.problems == nil {
			src.problems = make(map[problemKey]bool)
		}
		src.problems[k] = true
	}
	for k, now := range src.problems {
		if !now {
			delete(src.problems, k)
			s.logger.Info("power sensor can be read again", zap.String("sensor", src.name), zap.String("path", k.path), zap.String("was", string(k.class)))
		}
	}
}

// takeFailures returns the problems that began since it was last called.
func (s *sampler) takeFailures() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.failures
	s.failures = nil
	return f
}

// unavailable yields the sensors that give nothing now, with the reason's class.
func (s *sampler) unavailable(yield func(name string, class sensor.Class) bool) {
	select {
	case <-s.reading:
		defer func() { s.reading <- struct{}{} }()
	default:
		return // a sample is being taken: the next collection will tell
	}
	for _, src := range s.sources {
		if src.gave > 0 {
			continue
		}
		class := sensor.IO
		for k := range src.problems {
			class = k.class
			break
		}
		if !yield(src.name, class) {
			return
		}
	}
}

func (s *sampler) closeSensors() error {
	var errs []error
	for _, src := range s.sources {
		if src.sensor != nil {
			errs = append(errs, src.sensor.Close())
			src.sensor = nil
		}
	}
	return errors.Join(errs...)
}

// stop ends sampling and closes the sensors. It may be called twice, and before
// start.
func (s *sampler) stop() error {
	if s.cancel != nil {
		s.cancel()
	}
	s.wg.Wait()
	return s.closeSensors()
}
