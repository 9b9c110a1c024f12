package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/idle"
	"github.com/otelcarbon/otelcarbon/internal/ledger"
	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/sensor/perf"
	"github.com/otelcarbon/otelcarbon/internal/unit"
	"github.com/otelcarbon/otelcarbon/internal/usage"
)

// Longest is how long may pass between two Reads. Counters wrap, in the worst case after
// 30 s; what was counted in a longer time may be missing, as a gap.
const Longest = 15 * time.Second

// Source tells what the process draws. It is safe for concurrent use.
type Source struct {
	config Config
	system system

	mu      sync.Mutex
	closed  bool
	machine machine
	endStat func()
	held    func() uint64
	endHeld func()

	inputs   []*input
	tried    []string // what is not used, and why
	readings []sensor.Reading
	measured [types]bool // parts of the type have been given by something better than the model
	opening  sync.WaitGroup

	books  *ledger.Ledger
	floors *idle.Floors
	floor  func(*sensor.Part) unit.Microwatts // a method, made into a value once
	self   *usage.Workload
	use    ledger.Use
	gpus   gpuUses
	bytes  uint64 // of the machine's memory
	pid    int

	began    time.Duration // CPU time at Open
	spent    time.Duration // CPU time that has been divided by
	others   time.Duration // CPU time of all others since Open
	children children
	ahead    ahead
	told     sums

	amounts Reading // as of the last look, but for what was used
	err     error   // of the last look
}

// system is what a test replaces: it cannot be told by files below a root.
type system struct {
	cpuTime func(children bool) (own, ended time.Duration, err error)
	held    func() (held func() uint64, end func())
	perf    func(root string, c perf.Config) (sensor.Sensor, error)
}

// Open finds out how to tell what this process draws, and begins to. An error that wraps
// errors.ErrUnsupported says that there is no way and what was tried; any other names
// what is wrong in the Config.
func Open(ctx context.Context, c Config) (*Source, error) {
	return openOn(ctx, c, system{cpuTime, openHeld, perf.Open})
}

func openOn(ctx context.Context, c Config, on system) (*Source, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("energy of this process: %w", err)
	}
	if c.Root == "" {
		c.Root = "/"
	}
	own, _, err := on.cpuTime(c.Children)
	if err != nil {
		return nil, fmt.Errorf("energy of this process: %w", err)
	}
	s := &Source{
		config: c, system: on, endStat: func() {}, pid: ownPID(c.Root),
		books:  ledger.New(ledger.Config{Psys: ledger.TrustNever, Whole: ledger.TrustNever, Idle: c.Idle}),
		floors: idle.New(c.IdleWatts),
		self:   &usage.Workload{ID: "self", Kind: usage.Process},
		began:  own, spent: own, amounts: newAmounts(),
	}
	s.floor = s.idlePower
	if c.Children {
		s.gpus.family = &family{parent: func(pid int) (int, uint64, bool) { return parentOf(c.Root, pid) }, known: map[int]relative{}}
	}
	s.held, s.endHeld = on.held()
	if err := s.openSensors(); err != nil {
		return nil, errors.Join(fmt.Errorf("energy of this process: %w", err), s.Close())
	}
	s.use = ledger.Use{
		Usages: []usage.Usage{{Of: s.self, Socket: -1}},
		Busy:   usage.Busy{Sockets: make([]usage.SocketBusy, 1), Memory: s.bytes, CPUs: s.machine.cpus},
		Floor:  s.floor,
	}
	s.look(ctx, time.Now())
	s.openExtra()
	return s, nil
}

// Read tells what was used until now. It looks at the machine at most once in a second.
//
// An error says what cannot be read of what counted before, or that nothing can be; the
// Reading holds all the rest. Call it at least as often as Longest says.
func (s *Source) Read(ctx context.Context) (Reading, error) { return s.read(ctx, false) }

// Near is Settle, unless there was a look within the tenth of a second before: the kernel
// counts busy time in steps of 10 ms, so a look would tell little that is right.
func (s *Source) Near(ctx context.Context) (Reading, error) {
	s.mu.Lock()
	old := time.Since(s.ahead.at) >= firstWindow
	s.mu.Unlock()
	return s.read(ctx, old)
}

// Settle is Read with a look at the machine now: before a program ends, or where what
// Read is ahead by would matter.
func (s *Source) Settle(ctx context.Context) (Reading, error) { return s.read(ctx, true) }

// Glance is Read without a look at the machine: by the CPU time of the process alone, once it
// is known what that costs. It waits for nobody: it reports false if somebody reads or
// nothing can be told.
func (s *Source) Glance() (Reading, bool) {
	if !s.mu.TryLock() {
		return Reading{}, false
	}
	defer s.mu.Unlock()
	now := time.Now()
	if s.closed || s.err != nil || now.Sub(s.ahead.at) > 2*lastWindow { // then the rates are too old
		return Reading{}, false
	}
	own, _, err := s.system.cpuTime(false)
	if err != nil {
		return Reading{}, false
	}
	if !s.ahead.rated {
		if own-s.ahead.cpuTime < leastCPU || len(s.config.Extra) > 0 {
			return Reading{}, false
		}
		s.look(context.Background(), now)
	}
	s.ahead.raise(&s.told, now, own)
	return s.tell(now, own), true
}

func (s *Source) read(ctx context.Context, settle bool) (Reading, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.closed {
		return s.tell(now, s.spent), fmt.Errorf("energy of this process: %w", fs.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return s.tell(now, s.spent), err
	}
	if settle || s.ahead.due(now) {
		s.look(ctx, now)
	}
	if settle {
		s.books.Settle()
		own, _ := s.fromBooks()
		s.ahead.sum = own
	}
	own, _, err := s.system.cpuTime(false)
	if err != nil {
		return s.tell(now, s.spent), err
	}
	s.ahead.raise(&s.told, now, own)
	return s.tell(now, own), s.err
}

// look reads all sensors, books what they say and divides it.
func (s *Source) look(ctx context.Context, now time.Time) {
	own, ended, err := s.system.cpuTime(s.config.Children)
	if err != nil {
		s.err = err
		return
	}
	busy, busyErr := s.machine.advance(now)
	readErr := s.readSensors(ctx)
	s.books.Book(s.readings)
	if busyErr == nil { // else what was used waits, and so does the energy
		used := max(own-s.spent, 0)
		s.use.Usages[0].CPU, s.use.Usages[0].Memory = used, s.held()
		s.use.Busy.Sockets[0].CPU = busy
		s.use.GPUs = s.gpus.read(s.inputs, s.self, s.pid)
		s.books.Attribute(s.use)
		s.spent = max(s.spent, own)
		s.others += max(busy-used, 0)
		s.floors.Note(s.gpus.loads, now)
		s.floors.Look(s.books, s.machine.busy, s.machine.capacity, now)
	}
	waited := s.amounts.Waits > 0
	s.fromParts(now)
	mine, others := s.fromBooks()
	if s.config.Children {
		s.children.take(ended, &others, s.others)
	}
	s.ahead.next(now, s.spent, &mine, waited || s.amounts.Waits > 0)
	s.err = errors.Join(busyErr, readErr)
}

// idlePower is what a part draws while nobody uses it, 0 where that is not known.
func (s *Source) idlePower(p *sensor.Part) unit.Microwatts {
	power, _ := s.floors.Value(p)
	return power
}

// Close ends it. It may be called twice. What Config.Extra still opens is closed as soon
// as it is open.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.endStat()
	s.endHeld()
	var errs []error
	for _, in := range s.inputs {
		errs = append(errs, in.sensor.Close())
	}
	return errors.Join(errs...)
}
