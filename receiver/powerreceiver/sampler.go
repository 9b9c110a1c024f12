package powerreceiver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/names"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/guard"
	"github.com/otelcarbon/otelcarbon/internal/unit"
	"github.com/otelcarbon/otelcarbon/internal/usage"
	"github.com/otelcarbon/otelcarbon/internal/workload"
)

// reopenInterval is the time after which a sensor that was not there is looked
// for again: a driver may be loaded, a device plugged in.
const reopenInterval = time.Minute

// lastGap is the time between the last two samples.
const lastGap = 100 * time.Millisecond

// spareAfter is for how long a sensor has to give nothing until its spare is opened,
// and how long it has to give something again until the spare is closed.
const spareAfter = 30 * time.Second

// patience is how long Start and Shutdown wait for a read that does not end.
const patience = 5 * time.Second

// source is one sensor and what is known about it.
type source struct {
	name     string
	required bool
	named    bool // by the user's configuration
	open     func() (sensor.Sensor, error)
	spareOf  *source // gives the same and better, and is read before: this one stands by meanwhile

	sensor   sensor.Sensor // nil while it is not there
	standby  bool          // not opened, because it is not needed
	reopenAt time.Time
	gave     int       // readings in the last sample
	silent   bool      // has given nothing since it was opened
	rests    bool      // parts of it pause
	gaveAt   time.Time // last sample in which it gave something, or when it was opened
	gives    time.Time // first of the samples up to the last that all gave something; zero: the last did not
	err      error     // of the last read
	problems troubles
}

type problemKey struct {
	class sensor.Class
	path  string
}

type troubles map[problemKey]*trouble

// only reports whether all are of one of the classes.
func (t troubles) only(classes ...sensor.Class) bool {
	for k := range t {
		if !slices.Contains(classes, k.class) {
			return false
		}
	}
	return true
}

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
	paused   []*sensor.Part  // in the last sample
	measured map[string]bool // hw.type of parts that a sensor gave, now or before
	sampled  time.Time       // when the last sample began
	last     atomic.Bool     // no sample follows the next
	stopped  bool

	crossCheck crossCheck

	busy atomic.Pointer[source] // the one that is being read

	workload workloadReader // nil: energy is not divided
	usages   []usage.Usage
	gpus     gpuUses
	unread   map[sensor.Class]time.Time // when it was said that workloads cannot be read

	mu     sync.Mutex
	ledger *ledger.Ledger
	idle   idleFloors
	reads  workload.Stats // of workload

	// Methods, made into values once.
	idlePower func(*sensor.Part) unit.Microwatts
	pause     func(*sensor.Part) bool
	now       func() time.Time

	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// telemetry receives what a sampler has to say about itself.
type telemetry interface {
	sampled(ctx context.Context, d time.Duration)
	readFailed(ctx context.Context, sensorName string, class sensor.Class, n uint64)
}

func newSampler(interval time.Duration, l *ledger.Ledger, logger *zap.Logger, record telemetry) *sampler {
	s := &sampler{
		interval: interval, ledger: l, logger: logger, record: record,
		reading: make(chan struct{}, 1), measured: make(map[string]bool), idle: newIdleFloors(nil, nil),
	}
	s.reading <- struct{}{}
	s.idlePower, s.pause, s.now = s.floor, s.notePaused, time.Now
	return s
}

// start opens the sensors, takes the first sample, which is the baseline of
// every counter, and goes on sampling until stop.
func (s *sampler) start(ctx context.Context) error {
	var errs []error
	for _, src := range s.sources {
		if s.standsBy(src, time.Now()) {
			continue
		}
		if err := s.openSource(src); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return errors.Join(append(errs, s.closeSensors())...)
	}
	if answered := s.sampleNow(ctx, patience, 0) && s.awaitRequired(ctx); !answered {
		s.logger.Warn("power sensor does not answer", zap.String("sensor", s.isReading()))
		errs = append(errs, s.missRequired())
	} else {
		for _, src := range s.sources {
			errs = append(errs, s.checkAfterFirstRead(src))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return errors.Join(err, s.stop(ctx))
	}
	if !slices.ContainsFunc(s.sources, func(src *source) bool { return !src.silent && src.sensor != nil }) {
		s.logger.Warn("no power sensor gives anything now: there are no metrics until one does")
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
		src.sensor, src.silent, src.gaveAt, src.gives = opened, true, time.Now(), time.Time{}
		return nil
	case !errors.Is(err, errors.ErrUnsupported):
		return fmt.Errorf("sensor %s: %w", src.name, err) // a wrong configuration
	case src.required:
		return fmt.Errorf("sensors::%s::required is true, but the sensor is not available: %w", src.name, err)
	}
	now := time.Now()
	src.reopenAt = now.Add(reopenInterval)
	reasons, changed := make(troubles), src.problems == nil
	for p := range sensor.Problems(err) {
		k := problemKey{p.Class, p.Path}
		changed = changed || src.problems[k] == nil
		reasons[k] = &trouble{told: true, toldAt: now, lasts: true}
	}
	src.problems = reasons
	if changed {
		log := s.logger.Debug
		switch {
		case src.named:
			log = s.logger.Warn
		case src.name == names.SensorRAPL || src.name == names.SensorPerf || !reasons.only(sensor.Absent, sensor.NotBuilt):
			log = s.logger.Info // most machines lack the others, and nobody misses them
		}
		log("power sensor not available", zap.String("sensor", src.name), zap.Error(err))
	}
	return nil
}

// missRequired is the error of Start when nothing was read in time.
func (s *sampler) missRequired() error {
	for _, src := range s.sources {
		if src.required && src.silent {
			return fmt.Errorf("sensors::%s::required is true, but %s does not answer", src.name, s.isReading())
		}
	}
	return nil
}

// checkAfterFirstRead refuses what would give wrong numbers for as long as the
// receiver runs.
func (s *sampler) checkAfterFirstRead(src *source) error {
	if src.sensor == nil {
		return nil
	}
	switch {
	case src.pending() && (src.err != nil || src.name == names.SensorBMC):
		return fmt.Errorf("sensors::%s::required is true, but it does not answer within %v", src.name, patience)
	case src.pending():
		return fmt.Errorf("sensors::%s::required is true, but it has no reading within %v: it is there, and none of its parts has a value", src.name, patience)
	case src.required && src.silent && src.err != nil:
		return fmt.Errorf("sensors::%s::required is true, but nothing can be read: %w", src.name, src.err)
	}
	return s.checkWrap(src)
}

// pending reports whether a required sensor has given nothing yet and may still: one
// that has not said why either, or one whose first read takes long. A part that pauses is
// enough, and the model gives nothing where everything is measured.
func (src *source) pending() bool {
	if !src.required || src.sensor == nil || !src.silent {
		return false
	}
	return src.err == nil && !src.rests && src.name != names.SensorModel || errors.Is(src.err, guard.ErrSlow)
}

// awaitRequired gives such sensors some time. It reports false if a sample was not
// booked in time.
func (s *sampler) awaitRequired(ctx context.Context) bool {
	for end := time.Now().Add(patience); slices.ContainsFunc(s.sources, (*source).pending) && time.Now().Before(end); {
		select {
		case <-time.After(lastGap):
		case <-ctx.Done():
			return true
		}
		if !s.sampleNow(ctx, patience, 0) {
			return false
		}
	}
	return true
}

func (s *sampler) checkWrap(src *source) error {
	if w, ok := src.sensor.(sensor.Wrapper); ok {
		switch wrap := w.Wrap(); {
		case wrap/2 < minSampling && wrap > 0: // no machine has such a counter: its stated range is wrong
			s.logger.Warn("a counter states a range that it would pass in no time; its energy may be missing",
				zap.String("sensor", src.name), zap.Duration("wraps_in", wrap))
		case wrap > 0 && s.interval > wrap/2:
			return fmt.Errorf("sampling_interval: %v is too long: a counter of %s can wrap in %v; use at most %v, half of that",
				s.interval, src.name, wrap.Round(time.Millisecond), (wrap / 2).Truncate(time.Millisecond))
		}
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
			select {
			case <-s.reading:
				// Not right after one that a collection asked for: in too short a time the
				// step of a counter that is refreshed rarely looks like a glitch.
				if time.Since(s.sampled) >= s.interval/4 {
					s.sample(ctx)
				}
				s.reading <- struct{}{}
			default: // one is being taken
			}
		}
	}
}

// sampleNow has a sample taken, unless one is being taken already or the last one
// is younger than age, and waits for it, but not for longer than the given time: a
// read that hangs must hold back nobody. It reports whether the sample was booked.
func (s *sampler) sampleNow(ctx context.Context, wait, age time.Duration) bool {
	select {
	case <-s.reading:
		if time.Since(s.sampled) < age {
			s.reading <- struct{}{}
			return true
		}
		s.wg.Go(func() {
			defer func() { s.reading <- struct{}{} }()
			s.sample(ctx)
		})
	default:
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-s.reading:
		s.reading <- struct{}{}
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// sampleLast takes a sample a little after the last one. Right after it, the step of
// a counter that is refreshed rarely looks like a glitch and is held back until the
// next sample, of which there will be none.
func (s *sampler) sampleLast(ctx context.Context) {
	s.last.Store(true)
	select {
	case <-s.reading:
		s.askLast(ctx)
		rest := lastGap - time.Since(s.sampled)
		s.reading <- struct{}{}
		select {
		case <-time.After(rest):
		case <-ctx.Done():
		}
	default: // one is being taken
	}
	s.sampleNow(ctx, freshWait, 0)
}

// askLast has sensors that ask at their own pace ask once more: what they would tell
// later, nobody will hear.
func (s *sampler) askLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, freshWait)
	defer cancel()
	for _, src := range s.sources {
		if a, ok := src.sensor.(sensor.Asker); ok {
			a.Ask(ctx)
		}
	}
}

// isReading names the sensor that is being read.
func (s *sampler) isReading() string {
	if src := s.busy.Load(); src != nil {
		return src.name
	}
	return ""
}

// sample reads every sensor once and books the readings.
func (s *sampler) sample(ctx context.Context) {
	if s.stopped {
		return
	}
	began := time.Now()
	s.sampled = began
	readings := s.readings[:0]
	s.paused = s.paused[:0]
	for _, src := range s.sources {
		readings = s.read(ctx, src, readings)
	}
	s.readings = readings
	s.crossCheck.book(readings, s.logger)
	used, told := s.readWorkloads(ctx)
	s.mu.Lock()
	for _, p := range s.paused {
		s.ledger.Pause(p)
	}
	s.ledger.Book(readings)
	if s.last.Load() {
		s.ledger.Finish()
	}
	if told {
		s.ledger.Attribute(used)
		s.reads = s.workload.Stats()
	}
	s.mu.Unlock()
	s.observeIdle(ctx, began)
	s.checkIdleKeys(began)
	s.record.sampled(ctx, time.Since(began))
}

// read appends what one sensor gives. A sensor that was missing is looked for
// once in a while.
func (s *sampler) read(ctx context.Context, src *source, dst []sensor.Reading) []sensor.Reading {
	s.busy.Store(src)
	defer s.busy.Store(nil)
	src.gave, src.err = 0, nil
	now := time.Now()
	spare := src.standby // until now; its reopenAt is over
	if s.standsBy(src, now) {
		return dst
	}
	missed := src.sensor == nil
	if missed && !now.Before(src.reopenAt) {
		err := s.openSource(src)
		if err != nil {
			src.reopenAt = now.Add(reopenInterval)
		}
		switch {
		case spare && src.sensor != nil:
			s.logger.Info("power sensor gives nothing; its spare is opened", zap.String("sensor", src.spareOf.name), zap.String("spare", src.name))
		case spare:
			s.logger.Warn("power sensor gives nothing, and its spare cannot be opened",
				zap.String("sensor", src.spareOf.name), zap.String("spare", src.name), zap.Error(err))
		case err != nil:
			s.logger.Warn("power sensor not available", zap.Error(err))
		}
	}
	if src.sensor == nil {
		return dst
	}
	before := len(dst)
	dst, src.err = src.sensor.Read(ctx, dst)
	src.gave = len(dst) - before
	resting := len(s.paused)
	if p, ok := src.sensor.(sensor.Pauser); ok {
		p.Paused(s.pause)
	}
	src.rests = len(s.paused) > resting
	src.heard(now)
	s.remember(dst[before:])
	if src.silent && src.gave > 0 {
		src.silent = false
		s.introduce(src, dst[before:])
	}
	if ctx.Err() != nil || src.pending() {
		return dst // what was not read because of that is no better and no worse than before
	}
	s.countFailures(ctx, src)
	if src.err != nil || len(src.problems) > 0 {
		s.note(src)
	}
	if missed {
		if err := s.checkWrap(src); err != nil {
			s.logger.Warn("counters can wrap unseen", zap.Error(err))
		}
	}
	return dst
}

func (s *sampler) notePaused(p *sensor.Part) bool {
	s.paused = append(s.paused, p)
	return true
}

// heard takes in whether the sample that began now gave something.
func (src *source) heard(now time.Time) {
	switch {
	case src.gave == 0:
		src.gives = time.Time{}
	case src.gives.IsZero():
		src.gaveAt, src.gives = now, now
	default:
		src.gaveAt = now
	}
}

// standsBy reports whether a spare is not needed now. One that was is closed when the
// other has worked again for a while.
func (s *sampler) standsBy(src *source, now time.Time) bool {
	other := src.spareOf
	if other == nil || other.sensor == nil {
		src.standby = false
		return false
	}
	wait := max(spareAfter, 3*s.interval)
	switch {
	case src.sensor != nil:
		if other.gives.IsZero() || now.Sub(other.gives) < wait {
			return false
		}
		s.logger.Info("power sensor gives readings again; its spare is closed", zap.String("sensor", other.name), zap.String("spare", src.name))
		if err := src.sensor.Close(); err != nil {
			s.logger.Warn("power sensor cannot be closed", zap.String("sensor", src.name), zap.Error(err))
		}
		src.sensor = nil
	case now.Sub(other.gaveAt) > wait:
		src.standby = false
		return false
	}
	src.standby, src.reopenAt, src.problems = true, time.Time{}, nil
	return true
}

// introduce says what a sensor gives, when it does for the first time.
func (s *sampler) introduce(src *source, readings []sensor.Reading) {
	parts := make([]string, len(readings))
	for i := range readings {
		parts[i] = readings[i].Part.ID
	}
	fields := []zap.Field{zap.String("sensor", src.name), zap.Strings("parts", parts)}
	if d, ok := src.sensor.(sensor.Describer); ok {
		fields = append(fields, zap.String("what", d.Describe()))
	}
	s.logger.Info("reading power sensor", fields...)
}

// remember notes which types of parts something better than the model gives.
func (s *sampler) remember(readings []sensor.Reading) {
	for i := range readings {
		p := readings[i].Part
		if p.Role != sensor.Primary || p.Method == sensor.Modelled || s.measured[p.Type] && p.Covers == nil {
			continue
		}
		s.measured[p.Type] = true
		for _, covered := range p.Covers {
			s.measured[covered] = true
		}
	}
}

// isMeasured tells whether a sensor has given parts of the type. Sensors call it
// from Read.
func (s *sampler) isMeasured(hwType string) bool { return s.measured[hwType] }

// countFailures counts what failed since the last read.
func (s *sampler) countFailures(ctx context.Context, src *source) {
	if a, ok := src.sensor.(sensor.Attempter); ok {
		for class, n := range a.Failures {
			s.record.readFailed(ctx, src.name, class, n)
		}
		return
	}
	for p := range sensor.Problems(src.err) {
		s.record.readFailed(ctx, src.name, p.Class, 1)
	}
}

// note speaks when a failure begins or ends.
func (s *sampler) note(src *source) {
	now := time.Now()
	for _, t := range src.problems {
		t.seen = false
	}
	var began []*sensor.Problem
	for p := range sensor.Problems(src.err) {
		k := problemKey{p.Class, p.Path}
		t := src.problems[k]
		if t == nil {
			if len(src.problems) >= maxTroubles {
				continue
			}
			if src.problems == nil {
				src.problems = make(troubles)
			}
			t = new(trouble)
			src.problems[k] = t
		}
		t.odd = p.Finding
		if t.seen = true; t.begin(now) {
			began = append(began, p)
		}
	}
	s.tell(src, began)
	for k, t := range src.problems {
		if t.seen {
			continue
		}
		if t.end() && !t.odd && !src.fails(k.path) {
			s.logger.Info("power sensor can be read again", zap.String("sensor", src.name), zap.String("path", k.path), zap.String("was", string(k.class)))
		}
		if t.over(now) {
			delete(src.problems, k)
		}
	}
}

// tell logs failures that began, those of one class together: the counters of a
// machine mostly fail for one reason.
func (s *sampler) tell(src *source, began []*sensor.Problem) {
	for len(began) > 0 {
		first := began[0]
		var also []string
		rest := began[:0]
		for _, p := range began[1:] {
			if p.Class == first.Class && p.Finding == first.Finding {
				also = append(also, p.Path)
			} else {
				rest = append(rest, p)
			}
		}
		began = rest
		fields := []zap.Field{zap.String("sensor", src.name), zap.Error(first)}
		if len(also) > 0 {
			fields = append(fields, zap.Strings("likewise", also))
		}
		if first.Finding {
			s.logger.Warn("power sensor has something that is not counted", fields...)
		} else {
			s.logger.Warn("power sensor cannot be read", fields...)
		}
	}
}

// fails reports whether there is a failure of this file in the present sample.
func (src *source) fails(path string) bool {
	for k, t := range src.problems {
		if t.seen && k.path == path {
			return true
		}
	}
	return false
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
		if src.gave > 0 || src.standby || src.sensor != nil && src.err == nil { // neither is needed
			continue
		}
		if !yield(src.name, src.class()) {
			return
		}
	}
}

// class is that of the problems; of several, the first by name, so that a lasting
// state is one series.
func (src *source) class() sensor.Class {
	first := sensor.Class("")
	for k, t := range src.problems {
		if t.lasts && (first == "" || k.class < first) {
			first = k.class
		}
	}
	return cmp.Or(first, sensor.IO)
}

func (s *sampler) closeSensors() error {
	var errs []error
	for _, src := range s.sources {
		if src.sensor != nil {
			errs = append(errs, src.sensor.Close())
			src.sensor = nil
		}
	}
	return errors.Join(append(errs, s.closeWorkloads())...)
}

// stop ends sampling and closes the sensors. It may be called twice, and before
// start. A read that does not end is left behind, after ctx or some patience: its
// sensors are closed when it ends after all.
func (s *sampler) stop(ctx context.Context) error {
	if s.cancel != nil {
		s.cancel()
	}
	select {
	case <-s.reading:
		return s.finish()
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-s.reading:
		return s.finish()
	case <-ctx.Done():
	case <-timer.C:
	}
	go func() {
		<-s.reading
		_ = s.finish()
	}()
	return fmt.Errorf("power sensor %s does not answer and is left open", s.isReading())
}

// finish is called by who may read: nobody else does, or will.
func (s *sampler) finish() error {
	s.stopped = true
	err := s.closeSensors()
	s.reading <- struct{}{}
	s.wg.Wait()
	return err
}
