// Package model estimates the power of machines that no sensor measures, which
// most virtual machines in a cloud are: from what the CPU is and how busy it was.
//
// Its figures are rough, ± 35–60 % where they were compared with measurements,
// and are always marked as modelled. Give idle and full watts by hand if you know
// them; nothing else makes it better. Left alone, it takes the first of:
//
//  1. the instance type of a cloud, if it has no GPU: power at idle, 10, 50 and
//     100 % use (instances.csv);
//  2. the generation of the CPU: watts of whole servers per hardware thread
//     (microarchitectures.csv), also where a hypervisor shows only the family;
//  3. the design power of the CPU: TDP × (0.09 + 0.66 × use) (cpus.csv), for
//     desktop and laptop CPUs on bare metal before 2;
//  4. the mean of a cloud's servers per hardware thread (coefficients.csv).
//
// The figures of 1, 2 and 4 are of whole servers and have memory in them, as have
// watts given by hand. Memory is therefore a part of its own only
//
//   - next to a TDP, which leaves memory out,
//   - where something measures the CPU, so that nothing has counted memory yet,
//   - or if watts per GiB are configured.
//
// The package reads no file but its tables: utilization and the facts about the
// machine come from the caller.
package model

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/otelcarbon/otelcarbon/internal/sensor"
	"github.com/otelcarbon/otelcarbon/internal/unit"
)

const name = "model"

const (
	// maxGap is the longest interval over which power is integrated. A process that
	// was stopped for longer has lost too much to say anything.
	maxGap = 24 * time.Hour
	// patience is how long the CPU times may stand still before that is a problem,
	// and from where on an interval is checked for a machine that was asleep.
	patience = time.Minute
)

// Config says what machine it is and where utilization comes from.
type Config struct {
	// Times returns how long the CPUs were busy and how long they could have been,
	// both cumulative from any origin. Only differences are used, modulo 2⁶⁴ ns. It
	// is called once in each Read, and not at all once the CPU is measured or where
	// idle and full watts are equal; only then it may be nil.
	Times func(ctx context.Context) (busy, capacity time.Duration, err error)
	Host  Host

	IdleWatts         float64 // of the CPU or machine with nothing to do; 0: from the tables
	MaxWatts          float64 // with all CPUs busy; 0: from the tables
	MemoryWattsPerGiB float64 // 0: from the tables, and only where no other figure includes memory

	// Measured says whether something better than a model gives the energy of parts
	// of a type ("cpu", "memory"). It is asked at each Read, by the goroutine that
	// reads, until it has said yes once: from then on the model reads that
	// type once more and then leaves it alone for good, as the ledger does. So a sensor that becomes readable later
	// replaces the model, and memory that was inside the model's figure for the CPU
	// gets a part of its own at that moment. Nil: nothing is measured.
	Measured func(hwType string) bool
}

// Host describes the machine. Zero fields are unknown.
type Host struct {
	CPUVendor, CPUModel                string // "GenuineIntel", "Intel(R) Xeon(R) Platinum 8175M CPU @ 2.50GHz"
	CPUFamily, CPUModelID, CPUStepping int    // CPUID, as /proc/cpuinfo shows it
	LogicalCPUs, Sockets               int
	MemoryBytes                        uint64
	Virtual                            bool
	CloudProvider, InstanceType        string // "aws", "m5.large"
}

// Sensor implements sensor.Sensor.
type Sensor struct {
	config Config
	curve  curve
	flat   bool // no utilization needed
	memory memory

	cpuPart, memoryPart         sensor.Part
	cpuMeasured, memoryMeasured bool // latched
	closed                      bool

	begun          bool
	at             time.Time // of the last interval that was counted
	busy, capacity time.Duration
	cpu            integrator

	memoryBegun bool
	memoryAt    time.Time
	memorySum   integrator
}

// Open chooses the figures for the machine. An error names the field of the
// configuration, by its key, that is not possible; a *sensor.Problem that wraps
// errors.ErrUnsupported says that too little is known of the machine.
func Open(c Config) (sensor.Sensor, error) {
	s, err := open(c)
	if err != nil {
		return nil, err // not s: a nil *Sensor is no nil sensor.Sensor
	}
	return s, nil
}

func open(c Config) (*Sensor, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	cv, err := choose(&c)
	if unknown, ok := errors.AsType[*sensor.Problem](err); ok {
		return nil, unknown
	}
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	m, err := chooseMemory(&c)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	return &Sensor{
		config: c, curve: cv, flat: cv.flat(), memory: m,
		cpuPart:    part("cpu", cv.idle(), cv.full()),
		memoryPart: part("memory", m.power, m.power),
	}, nil
}

func part(hwType string, idle, full unit.Microwatts) sensor.Part {
	return sensor.Part{
		ID: name + ":" + hwType, Name: hwType, Type: hwType,
		Sensor: name, Method: sensor.Modelled, Role: sensor.Primary,
		Socket: -1, Die: -1, MaxPower: 2 * full, Idle: idle,
	}
}

// Describe says, for people, which figures are used and where they come from. What
// is known to be measured is left out.
func (s *Sensor) Describe() string {
	var texts []string
	ownMemory := s.memoryIsOwnPart(s.cpuMeasured)
	if !s.cpuMeasured {
		text := fmt.Sprintf("%s: %s idle, %s full", s.curve.why, watts(s.curve.idle()), watts(s.curve.full()))
		if s.curve.withMemory && !ownMemory {
			text += ", memory included"
		}
		texts = append(texts, text)
	}
	if ownMemory && !s.memoryMeasured {
		texts = append(texts, fmt.Sprintf("memory: %s (%s)", watts(s.memory.power), s.memory.why))
	}
	return strings.Join(texts, "; ")
}

func (s *Sensor) memoryIsOwnPart(cpuMeasured bool) bool {
	return s.memory.power > 0 && (!s.curve.withMemory || s.memory.configured || cpuMeasured)
}

// Read implements sensor.Sensor. The readings are sums since the first Read, in
// which they are 0. An interval in which the CPU times did not move gives no
// reading; its energy comes with the next one. Read gives nothing, and no error,
// where everything is measured.
func (s *Sensor) Read(ctx context.Context, dst []sensor.Reading) ([]sensor.Reading, error) {
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	if s.closed {
		return dst, fmt.Errorf("model: %w", fs.ErrClosed)
	}
	// What becomes measured is read once more: the measurement begins at its baseline,
	// and what was drawn before that is only known here.
	readsCPU := !s.cpuMeasured && s.begun
	readsMemory := !s.memoryMeasured && s.memoryBegun
	s.askMeasured()

	awake := true
	var err error
	if readsCPU || !s.cpuMeasured {
		var counted bool
		counted, awake, err = s.readCPU(ctx)
		if counted {
			dst = append(dst, sensor.Reading{Part: &s.cpuPart, At: s.at, Kind: sensor.Counter, Energy: s.cpu.energy})
		}
	}
	if (readsMemory || !s.memoryMeasured) && s.memoryIsOwnPart(s.cpuMeasured) {
		s.addMemory(time.Now(), awake)
		dst = append(dst, sensor.Reading{Part: &s.memoryPart, At: s.memoryAt, Kind: sensor.Counter, Energy: s.memorySum.energy})
	}
	return dst, err
}

func (s *Sensor) askMeasured() {
	if s.config.Measured == nil {
		return
	}
	s.cpuMeasured = s.cpuMeasured || s.config.Measured("cpu")
	s.memoryMeasured = s.memoryMeasured || s.config.Measured("memory")
}

// readCPU advances the sum of the CPU. It reports whether there is a new reading,
// and whether the machine was awake since the last one.
func (s *Sensor) readCPU(ctx context.Context) (counted, awake bool, err error) {
	var busy, capacity time.Duration
	if !s.flat {
		if busy, capacity, err = s.config.Times(ctx); err != nil {
			return false, true, problem(err)
		}
	}
	at := time.Now()
	dt, used, could := at.Sub(s.at), busy-s.busy, capacity-s.capacity
	s.busy, s.capacity = busy, capacity
	use := 0.0
	switch {
	case !s.begun:
		s.begun, s.at = true, at
		return true, true, nil
	case s.flat:
		awake = dt <= maxGap
	case could > 0 && used >= 0:
		awake = s.wasAwake(dt, could)
		use = float64(used) / float64(could)
	case dt > patience:
		return false, true, &sensor.Problem{
			Sensor: name, Class: sensor.Malformed,
			Remedy: "to count without utilization, set idle_watts and max_watts to the same value",
			Err:    fmt.Errorf("the CPU times have not advanced for %v", dt.Round(time.Second)),
		}
	default: // not yet, or the times began anew: what follows tells the use of this interval too
		return false, true, nil
	}
	if awake {
		s.cpu.add(s.curve.at(use), dt)
	}
	s.at = at
	return true, awake, nil
}

// wasAwake tells a long interval in which the machine ran from one in which it
// slept: some systems let the monotonic clock go on then, but no CPU time passes.
// Half the CPUs may be offline without being taken for sleep.
func (s *Sensor) wasAwake(dt, capacity time.Duration) bool {
	n := s.config.Host.LogicalCPUs
	return dt <= patience || dt <= maxGap && (n == 0 || capacity.Seconds() >= float64(n)/2*dt.Seconds())
}

func (s *Sensor) addMemory(at time.Time, awake bool) {
	if dt := at.Sub(s.memoryAt); s.memoryBegun && dt > 0 && awake && dt <= maxGap {
		s.memorySum.add(s.memory.power, dt)
	}
	s.memoryBegun, s.memoryAt = true, at
}

// Close implements sensor.Sensor.
func (s *Sensor) Close() error {
	s.closed = true
	return nil
}

func problem(err error) error {
	p := &sensor.Problem{Sensor: name, Class: sensor.IO, Err: err}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, errors.ErrUnsupported):
		p.Class = sensor.NotBuilt
	case errors.Is(err, fs.ErrPermission):
		p.Class, p.Remedy = sensor.Permission, "let this process read the file; /proc/stat is mode 0444 unless a sandbox hides it"
	case errors.Is(err, fs.ErrNotExist):
		p.Class, p.Remedy = sensor.Absent, "mount the host's /proc below the root, read-only"
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		p.Path, p.Err = path.Path, fmt.Errorf("cpu times: %w", path.Err)
	}
	return p
}
